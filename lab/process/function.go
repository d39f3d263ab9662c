package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// shutdownTimeout is how long the Runtime API waits for requests of a program that
// is gone, which end by themselves.
const shutdownTimeout = 10 * time.Second

// Function is the running program of a Lambda function. It has a Runtime API that
// gives it one event at a time, which is as much of Lambda as a warm function needs.
type Function struct {
	*Process
	// Events takes the events for the program, which gets each when it asks for the
	// next one.
	Events chan<- []byte
	// Answers has the program's answers. It holds one; the program waits until that
	// is taken.
	Answers <-chan Answer

	server *http.Server
}

// Answer is what a program sent to the Runtime API for an event. Path ends in
// /response or, if the invocation failed, in /error.
type Answer struct {
	Path string
	Body []byte
}

// StartFunction starts the program at path, with env and those of Lambda's
// environment variables that our programs read. name is the function's name, and
// memory its memory in MB.
func StartFunction(ctx context.Context, path, name string, memory int, env ...string) (*Function, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the function %s: %w", name, err)
	}
	events, answers := make(chan []byte), make(chan Answer, 1)
	server := &http.Server{Handler: runtimeAPI{events, answers}, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }() // until Kill
	p, err := Start(ctx, path, append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String(),
		"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=local", "AWS_SECRET_ACCESS_KEY=local", "AWS_SESSION_TOKEN=local",
		"AWS_LAMBDA_FUNCTION_NAME=rotor-" + name, "AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(memory),
		"AWS_LAMBDA_LOG_FORMAT=JSON",
	}, env...)...)
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	return &Function{p, events, answers, server}, nil
}

// Invoke gives the program an event and returns its answer. It waits until ctx is
// done.
func (f *Function) Invoke(ctx context.Context, event []byte) (Answer, error) {
	select {
	case f.Events <- event:
	case <-f.Ended():
		return Answer{}, fmt.Errorf("%s has ended: %s", f.name(), f.Output())
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("%s asks for nothing: %w", f.name(), ctx.Err())
	}
	select {
	case a := <-f.Answers:
		return a, nil
	case <-f.Ended():
		return Answer{}, fmt.Errorf("%s has ended: %s", f.name(), f.Output())
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("%s does not answer: %w", f.name(), ctx.Err())
	}
}

// Kill ends the program, as [Process.Kill] does, and the Runtime API. An answer that
// was sent by then is in Answers.
func (f *Function) Kill() error {
	err := f.Process.Kill()
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	return errors.Join(err, f.server.Shutdown(ctx))
}

// runtimeAPI serves /2018-06-01/runtime/invocation.
type runtimeAPI struct {
	events  <-chan []byte
	answers chan<- Answer
}

func (l runtimeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet { // the next event
		select {
		case event := <-l.events:
			h := w.Header()
			h.Set("Content-Type", "application/json")
			h.Set("Lambda-Runtime-Aws-Request-Id", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")
			h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(10*time.Second).UnixMilli(), 10))
			h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:rotor")
			_, _ = w.Write(event) // should the program be gone, nothing is answered
		case <-r.Context().Done():
		}
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // killed while it answered
	}
	l.answers <- Answer{r.URL.Path, body}
	w.WriteHeader(http.StatusAccepted)
}
