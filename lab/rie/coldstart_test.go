//go:build linux && rie

package rie_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// starts is how often each function is started for each of the measurements.
const starts = 10

// TestColdStart prints what a cold start takes, and checks that each function answers. It sets
// no limit on the time. Lambda takes longer, because it gives a function of 256 MB about a
// seventh of a CPU and fetches its zip first.
func TestColdStart(t *testing.T) {
	w := newWorld(t)
	secrets := w.withSecret("{}")
	version := 0
	next := func() string {
		version++
		v := fmt.Sprintf("00000000-0000-4000-8000-%012d", version)
		secrets.Begin(v)
		return v
	}
	first := next()
	for _, step := range []string{"createSecret", "testSecret", "finishSecret"} {
		if _, err := w.raw("keys", rotationStep(step, first)); err != nil {
			t.Fatal(err)
		}
	}
	w.register()

	// For each function, an event and what must be prepared for it.
	asked := map[string]struct {
		what  string
		event func() event
	}{
		"token": {"refresh", func() event {
			w.login("manage-issue-family")
			_, e := w.sample("token-refresh")
			return e
		}},
		"revoke": {"revoke a family", func() event {
			w.login("manage-issue-family")
			_, e := w.sample("revoke-token")
			return e
		}},
		"introspect": {"introspect a refresh token", func() event {
			w.login("manage-issue-confidential-family")
			_, e := w.sample("introspect-token")
			return e
		}},
		"discovery": {"the key set", func() event {
			_, e := w.sample("discovery-jwks")
			return e
		}},
		"manage": {"issue a family", func() event {
			_, e := w.sample("manage-issue-family")
			return e
		}},
		"sweep": {"an empty work list", func() event {
			_, e := w.sample("sweep-schedule")
			return e
		}},
		"keys": {"make the next keys (RSA)", func() event { return rotationStep("createSecret", next()) }},
	}

	var table strings.Builder
	out := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...string) { _, _ = fmt.Fprintln(out, strings.Join(cells, "\t")+"\t") }
	row("function", "asked for", "arm64 zip", "amd64 zip", "ready", "first answer", "memory", "first answer, emulator", "second")
	for _, function := range slices.Sorted(maps.Keys(programs)) {
		ask, ok := asked[function]
		if !ok {
			t.Errorf("%s is not measured", function)
			continue
		}
		var alone []coldStart
		var emulated, second []time.Duration
		for range starts {
			alone = append(alone, w.startAlone(function, ask.event(), tracing{}))

			e := ask.event()
			begun := time.Now()
			i := w.fresh(function)
			w.answers(i, e)
			emulated = append(emulated, time.Since(begun))
			e = ask.event()
			begun = time.Now()
			w.answers(i, e)
			second = append(second, time.Since(begun))
			i.stop()
		}
		row(function, ask.what, megabytes(t, zipOf(function, "arm64")), megabytes(t, zipOf(function, "amd64")),
			milliseconds(alone, func(c coldStart) time.Duration { return c.ready }),
			milliseconds(alone, func(c coldStart) time.Duration { return c.answered }),
			fmt.Sprintf("%d MB", median(alone, func(c coldStart) int { return c.peak })>>10),
			milliseconds(emulated, func(d time.Duration) time.Duration { return d }),
			milliseconds(second, func(d time.Duration) time.Duration { return d }))
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("cold starts, medians of %d:\n\n%s\n"+
		"ready: from the start of the program until it asks for an invocation; first answer: until it has given one;\n"+
		"memory: the most that was resident by then; emulator: from the start of the emulator, which starts the program.", starts, &table)
}

// answers invokes an instance and accepts any answer except an error.
func (w *world) answers(i *instance, e event) {
	w.t.Helper()
	payload, err := json.Marshal(e)
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := i.invoke(w.t.Context(), payload)
	if err != nil {
		w.t.Fatal(err)
	}
	w.succeeded(i.function, out)
}

// succeeded fails the test if the answer to the gateway is an error.
func (w *world) succeeded(function string, out []byte) {
	w.t.Helper()
	if function == "sweep" || function == "keys" {
		return
	}
	if a := w.read(out); a.Status >= http.StatusBadRequest {
		w.t.Fatalf("%s answers %d %s", function, a.Status, a.Body)
	}
}

// coldStart holds what was measured of one start of a program.
type coldStart struct {
	ready, answered time.Duration // since its start
	cpu             time.Duration // of the whole process
	peak            int           // most resident memory, in kB
	logged          string
}

// startAlone starts a function's program over a Lambda Runtime API of the test's own, so that
// only the program takes time, and has it answer one event, which may be traced.
func (w *world) startAlone(function string, e event, traced tracing) (c coldStart) {
	w.t.Helper()
	payload, err := json.Marshal(e)
	if err != nil {
		w.t.Fatal(err)
	}
	lambda := &runtimeAPI{payload: payload, trace: traced.header, asked: make(chan time.Time, 1), answered: make(chan result, 1)}
	server := httptest.NewServer(lambda)
	defer server.Close()
	out := w.output(newOutput(w.t, function))
	program := exec.CommandContext(w.t.Context(), programs[function])
	program.Dir, program.Stdout, program.Stderr = filepath.Dir(programs[function]), out.file, out.file
	program.Env = append(append(w.environment(function), "AWS_LAMBDA_RUNTIME_API="+server.Listener.Addr().String()), traced.env...)
	begun := time.Now()
	if err := program.Start(); err != nil {
		w.t.Fatal(err)
	}
	defer func() {
		_ = program.Process.Kill()
		_ = program.Wait() // it was killed
		c.cpu = program.ProcessState.UserTime() + program.ProcessState.SystemTime()
		server.CloseClientConnections()
	}()
	late := time.After(time.Minute)
	select {
	case at := <-lambda.asked:
		c.ready = at.Sub(begun)
	case <-late:
		w.t.Fatalf("%s asks for nothing", function)
	}
	select {
	case r := <-lambda.answered:
		if r.path != "/2018-06-01/runtime/invocation/1/response" {
			w.t.Fatalf("%s answers %s: %s", function, r.path, r.body)
		}
		c.answered = r.at.Sub(begun)
		w.succeeded(function, r.body)
	case <-late:
		w.t.Fatalf("%s does not answer", function)
	}
	c.peak, c.logged = peakMemory(w.t, program.Process.Pid), out.logged()
	return c
}

// runtimeAPI serves as much of Lambda's Runtime API as one invocation needs.
type runtimeAPI struct {
	payload  []byte
	trace    string         // the header that says of which trace the invocation is part; none if ""
	asked    chan time.Time // when the program asked for its first invocation
	answered chan result
}

// result holds what the program answered.
type result struct {
	at   time.Time
	path string
	body []byte
}

func (l *runtimeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	if r.Method == http.MethodGet { // asks for the next invocation
		select {
		case l.asked <- now:
		default:
			<-r.Context().Done() // there is no second one
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", "1")
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(now.Add(10*time.Second).UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:"+region+":123456789012:function:rotor")
		if l.trace != "" {
			h.Set("Lambda-Runtime-Trace-Id", l.trace)
		}
		_, _ = w.Write(l.payload) // if the program has ended, nobody reads this
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		body = []byte(err.Error())
	}
	l.answered <- result{time.Now(), r.URL.Path, body}
	w.WriteHeader(http.StatusAccepted)
}

// peakMemory returns the most resident memory that a process has had, in kB.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ := strings.Cut(after, "\n")
	kB, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(line, "kB")))
	if err != nil {
		t.Fatalf("the peak of resident memory is %q: %v", line, err)
	}
	return kB
}

func median[T any, N int | time.Duration](all []T, of func(T) N) N {
	values := make([]N, len(all))
	for n, one := range all {
		values[n] = of(one)
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

func milliseconds[T any](all []T, of func(T) time.Duration) string {
	return fmt.Sprintf("%.1f ms", median(all, of).Seconds()*1000)
}

func megabytes(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%.2f MB", float64(info.Size())/1e6)
}
