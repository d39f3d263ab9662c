package tokensource_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/rotor-auth/rotor/clients/tokensource"
)

// childJob is the variable that makes this test binary a child process. It has the
// job as JSON.
const childJob = "ROTOR_TOKENSOURCE_CHILD"

type job struct {
	File, TokenURL string
	Goroutines     int
	Interval       time.Duration
	DieBeforeSave  int // the n-th save; 0 for none
	DieAfterSave   int
	Steps          bool // take a token after each line of input, which says how far to move the clocks
}

type result struct{ Token, Error string }

// child prints that it is ready, waits for its input to end, and prints what its
// goroutines got.
func child(encoded string) int {
	var j job
	if err := json.Unmarshal([]byte(encoded), &j); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	conf := &oauth2.Config{ClientID: "app", Endpoint: oauth2.Endpoint{TokenURL: j.TokenURL}}
	opts := []tokensource.Option{tokensource.WithReuseInterval(j.Interval)}
	if j.Steps {
		return steps(conf, tokensource.NewFile(j.File), opts)
	}
	src := tokensource.New(conf, &mortalStore{Store: tokensource.NewFile(j.File), job: j}, opts...)
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	results := make([]result, j.Goroutines)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() {
			t, err := src.Token()
			if err != nil {
				results[i].Error = err.Error()
				return
			}
			results[i].Token = t.AccessToken
		})
	}
	all.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		return 1
	}
	return 0
}

// steps takes a token each time it is told to move its clocks.
func steps(conf *oauth2.Config, store tokensource.Store, opts []tokensource.Option) int {
	began, moved := time.Now(), time.Duration(0)
	src := tokensource.New(conf, store, append(opts, tokensource.WithClock(
		func() time.Time { return time.Now().Add(moved) }, func() time.Duration { return time.Since(began) + moved },
		func(context.Context, time.Duration) error { return errors.New("nothing is to be waited for") },
	))...)
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		d, err := time.ParseDuration(lines.Text())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		moved += d
		var r result
		if t, err := src.Token(); err != nil {
			r.Error = err.Error()
		} else {
			r.Token = t.AccessToken
		}
		if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
			return 1
		}
	}
	return 0
}

// mortalStore kills its process before or after a save, so that none of its code
// runs again.
type mortalStore struct {
	tokensource.Store
	job   job
	saves int
}

func (m *mortalStore) Save(ctx context.Context, r tokensource.Record) error {
	m.saves++
	if m.saves == m.job.DieBeforeSave {
		die()
	}
	err := m.Store.Save(ctx, r)
	if m.saves == m.job.DieAfterSave {
		die()
	}
	return err
}

func die() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {}
}

// process is a running child.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser // closing it lets the process begin
	out *bufio.Reader
}

// start starts a process and waits until it is ready.
func start(t *testing.T, j job) *process {
	t.Helper()
	encoded, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childJob+"="+string(encoded))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }) // it may have ended already
	p := &process{cmd, in, bufio.NewReader(out)}
	if line, err := p.out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the process said %q, %v", line, err)
	}
	return p
}

// results lets the process begin and waits for its end. It returns no results if the
// process was killed.
func (p *process) results(t *testing.T) []result {
	t.Helper()
	if err := p.in.Close(); err != nil {
		t.Fatal(err)
	}
	return p.end(t)
}

func (p *process) end(t *testing.T) []result {
	t.Helper()
	out, err := io.ReadAll(p.out)
	if err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := p.cmd.Wait(); errors.As(err, &exit) && !exit.Exited() {
		return nil // by a signal
	} else if err != nil {
		t.Fatal(err)
	}
	var results []result
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatalf("the results of a process: %v", err)
	}
	for _, r := range results {
		trail.secrets(map[string]any{"access_token": r.Token})
		if r.Error != "" {
			trail.print(errors.New(r.Error))
		}
	}
	return results
}

// TestFourProcesses checks four processes with twelve goroutines each that share an
// expired token. One of them refreshes, once.
func TestFourProcesses(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(private(t), "token")
	family := w.begun("app", tokensource.NewFile(path))
	w.arrived.Store(0)
	var all []*process
	for range 4 {
		all = append(all, start(t, job{File: path, TokenURL: w.server.URL + "/oauth/token", Goroutines: 12, Interval: time.Minute}))
	}
	for _, p := range all {
		if err := p.in.Close(); err != nil {
			t.Fatal(err)
		}
	}
	tokens := map[string]int{}
	for _, p := range all {
		for _, r := range p.end(t) {
			if r.Error != "" {
				t.Error(r.Error)
			}
			tokens[r.Token]++
		}
	}
	for token, n := range tokens {
		if n != 48 || !w.active(token) {
			t.Errorf("%d callers got a token that is active: %v", n, w.active(token))
		}
	}
	if counter, _ := w.family(family); counter != 2 || w.arrived.Load() != 1 || len(tokens) != 1 {
		t.Errorf("%d requests moved the counter to %d, and brought %d tokens", w.arrived.Load(), counter, len(tokens))
	}
}

// TestKilled checks that when the kernel kills a process at the worst moments, the
// next one continues from the file alone.
func TestKilled(t *testing.T) {
	for _, test := range []struct {
		name     string
		job      job
		requests int64 // of both processes together
	}{
		{"after the claim", job{DieAfterSave: 1}, 1},
		{"between response and save", job{DieBeforeSave: 2}, 2},
		{"after the save", job{DieAfterSave: 2}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // they spend their time waiting
			w := newWorld(t)
			path := filepath.Join(private(t), "token")
			family := w.begun("app", tokensource.NewFile(path))
			w.arrived.Store(0)
			test.job.File, test.job.TokenURL, test.job.Goroutines = path, w.server.URL+"/oauth/token", 1
			test.job.Interval = 12 * time.Second // a claim of 4.5 s: the next process waits for its end
			if r := start(t, test.job).results(t); r != nil {
				t.Fatal("the process was not killed")
			}
			next := test.job
			next.DieBeforeSave, next.DieAfterSave = 0, 0
			r := start(t, next).results(t)
			if len(r) != 1 || r[0].Error != "" || !w.active(r[0].Token) {
				t.Fatalf("the next process got the error %q", r[0].Error)
			}
			if counter, status := w.family(family); counter != 2 || status != "active" || w.arrived.Load() != test.requests {
				t.Errorf("%d requests, counter %d, status %s", w.arrived.Load(), counter, status)
			}
		})
	}
}
