package command_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/command"
	"github.com/rotor-auth/rotor/cmd/rotor/local"
	"github.com/rotor-auth/rotor/cmd/rotor/terminal"
)

// world is a service that runs in this process, and a shell beside it.
type world struct {
	*manage.Client
	t   testing.TB
	url string
}

// newWorld starts the local program on a free port, and stops it at the end of the test.
func newWorld(t testing.TB) *world {
	t.Helper()
	env := map[string]string{"ADDR": "127.0.0.1:0", "ALG": "ES256"}
	ctx, stop := context.WithCancel(context.Background())
	welcome, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- local.Run(ctx, func(name string) string { return env[name] }, writer(func(p []byte) { welcome <- string(p) }), io.Discard)
	}()
	t.Cleanup(func() {
		stop()
		http.DefaultClient.CloseIdleConnections()
		if err := <-done; err != nil {
			t.Errorf("the local program: %v", err)
		}
	})
	w := &world{t: t}
	select {
	case err := <-done:
		t.Fatalf("the local program: %v", err)
	case text := <-welcome:
		line, _, _ := strings.Cut(text, "\n")
		w.url = line[strings.Index(line, "http://"):]
	}
	var err error
	if w.Client, err = manage.New(w.url, manage.Options{}); err != nil {
		t.Fatal(err)
	}
	return w
}

type writer func([]byte)

func (f writer) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// result is what a command has done.
type result struct {
	code     int
	out, err string
}

// run runs rotor with ROTOR_URL set, and the text on its standard input.
func (w *world) run(stdin string, args ...string) result {
	w.t.Helper()
	return run(w.t, map[string]string{"ROTOR_URL": w.url}, stdin, args...)
}

func run(t testing.TB, env map[string]string, stdin string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := command.Main(t.Context(), args, func(name string) string { return env[name] }, terminal.New(strings.NewReader(stdin), &out, &errs))
	return result{code, out.String(), errs.String()}
}

// ok runs rotor, which must succeed, and returns what it writes.
func (w *world) ok(args ...string) string {
	w.t.Helper()
	r := w.run("", args...)
	if r.code != 0 {
		w.t.Errorf("rotor %s ended with %d: %s", strings.Join(args, " "), r.code, r.err)
	}
	return r.out
}

// login starts a family of the client demo-spa.
func (w *world) login(userID, device string) *manage.Tokens {
	w.t.Helper()
	tokens, err := w.StartFamily(w.t.Context(), &manage.Login{UserID: userID, ClientID: "demo-spa", Device: device})
	if err != nil {
		w.t.Fatal(err)
	}
	return tokens
}

// refresh presents a token of demo-spa, and returns the status.
func (w *world) refresh(token string) int {
	w.t.Helper()
	res, err := http.PostForm(w.url+"/oauth/token", map[string][]string{
		"grant_type": {"refresh_token"}, "client_id": {"demo-spa"}, "refresh_token": {token},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// advance moves the clock of the service.
func (w *world) advance(by string) {
	w.t.Helper()
	res, err := http.Post(w.url+"/local/clock", "application/json", strings.NewReader(`{"advance":"`+by+`"}`))
	if err != nil || res.StatusCode != http.StatusOK {
		w.t.Fatalf("the clock: %v, %v", res, err)
	}
	res.Body.Close()
}

// reuse makes a family die of reuse.
func (w *world) reuse(tokens *manage.Tokens) {
	w.t.Helper()
	if status := w.refresh(tokens.RefreshToken); status != http.StatusOK {
		w.t.Fatalf("the refresh is answered %d", status)
	}
	w.advance("2m")
	if status := w.refresh(tokens.RefreshToken); status != http.StatusBadRequest {
		w.t.Fatalf("the reuse is answered %d", status)
	}
}

// rows returns the lines of a list, and the columns of each.
func rows(text string) (all [][]string) {
	for line := range strings.Lines(text) {
		all = append(all, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return all
}

// decode reads one document of JSON.
func decode[T any](t testing.TB, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil || strings.Count(text, "\n") != 1 {
		t.Fatalf("%q is not one line of JSON: %v", text, err)
	}
	return v
}
