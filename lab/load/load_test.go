package load_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/lab/load"
)

// fake is a service that rotates tokens and misbehaves as it is told. A token is a family and
// a counter. The newest token and the one before are accepted.
type fake struct {
	t *testing.T
	*httptest.Server

	mu        sync.Mutex
	misbehave misbehaviour
	counters  map[string]int // by family
	client    string
	body      string // of the registration
	refreshes int
	broken    int // how often a token was presented that no app may hold
	atOnce    int // refreshes in progress
	mostly    int // and how many there were at most
}

// misbehaviour answers a refresh, numbered from 0, or returns false to have it answered
// properly.
type misbehaviour func(n int, w http.ResponseWriter, presented, newest string) bool

func (f *fake) will(m misbehaviour) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.misbehave = m
}

func wellBehaved(int, http.ResponseWriter, string, string) bool { return false }

func newFake(t *testing.T) *fake {
	f := &fake{t: t, counters: map[string]int{}, misbehave: wellBehaved}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /v1/clients/{id}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		f.client, f.body = r.PathValue("id"), string(body)
	})
	mux.HandleFunc("POST /v1/families", func(w http.ResponseWriter, _ *http.Request) {
		family := fmt.Sprintf("family%d", len(f.counters))
		f.counters[family] = 1
		w.WriteHeader(http.StatusCreated)
		f.answer(w, family+".1")
	})
	mux.HandleFunc("POST /oauth/token", f.refresh)
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) answer(w http.ResponseWriter, token string) {
	w.Header().Set("Content-Type", "application/json")
	if _, err := fmt.Fprintf(w, `{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":%q}`, token); err != nil {
		f.t.Error(err)
	}
}

func (f *fake) refresh(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("grant_type") != "refresh_token" || r.PostFormValue("client_id") != f.client {
		f.t.Errorf("the body is %v", r.PostForm)
	}
	presented := r.PostFormValue("refresh_token")
	family, number, _ := strings.Cut(presented, ".")

	f.mu.Lock()
	f.atOnce++
	f.mostly = max(f.mostly, f.atOnce)
	n := f.refreshes
	f.refreshes++
	switch number {
	case fmt.Sprint(f.counters[family]):
		f.counters[family]++
	case fmt.Sprint(f.counters[family] - 1):
	default:
		f.broken++
	}
	newest := fmt.Sprintf("%s.%d", family, f.counters[family])
	misbehave := f.misbehave
	f.mu.Unlock()

	if !misbehave(n, w, presented, newest) {
		f.answer(w, newest)
	}
	f.mu.Lock()
	f.atOnce--
	f.mu.Unlock()
}

func open(t *testing.T, f *fake, sessions int) *load.Generator {
	t.Helper()
	g, err := load.Open(t.Context(), load.Options{URL: f.URL, Sessions: sessions, Policy: `{"reuse_interval":5}`})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func run(t *testing.T, g *load.Generator, r load.Run) *load.Result {
	t.Helper()
	result, err := g.Run(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestFollowsRotation(t *testing.T) {
	for _, workers := range []int{1, 4} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			f := newFake(t)
			g := open(t, f, 8)
			if f.client != "load" || f.body != `{"policy":{"reuse_interval":5},"type":"public"}` {
				t.Errorf("registered %s with %s", f.client, f.body)
			}
			got := run(t, g, load.Run{Workers: workers, Requests: 400})
			if err := got.Err(); err != nil || got.Count != 400 || got.Requests != 400 || !maps.Equal(got.ByStatus, map[int]int64{200: 400}) || len(got.Errors) != 0 {
				t.Errorf("got %+v: %v", got, err)
			}
			if f.broken != 0 {
				t.Errorf("%d requests had a token that was not the newest", f.broken)
			}
			if f.mostly > workers {
				t.Errorf("%d requests at a time", f.mostly)
			}
			// Every session had its turn, and equally often where sessions had to wait.
			for family, counter := range f.counters {
				if workers == 1 && counter != 51 || counter < 2 {
					t.Errorf("%s is at %d", family, counter)
				}
			}
			if got.Elapsed <= 0 || got.Rate() <= 0 || got.P50() <= 0 || !slices.IsSorted([]time.Duration{got.P50(), got.P90(), got.P99(), got.P999(), got.Max()}) || got.Max() > got.Elapsed+time.Millisecond {
				t.Errorf("got %s in %s", got, got.Elapsed)
			}
		})
	}
}

// cut answers with fewer bytes than the header announces, and closes the connection.
func cut(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Length", "1000")
	if _, err := io.WriteString(w, text); err != nil {
		panic(err)
	}
	if err := http.NewResponseController(w).Flush(); err != nil {
		panic(err)
	}
	panic(http.ErrAbortHandler)
}

// TestCountsWhatIsNoSuccess checks that no answer which would mislead an app counts as a
// success, and that none stops the load.
func TestCountsWhatIsNoSuccess(t *testing.T) {
	f := newFake(t)
	f.Config.ErrorLog = nil // does not log the aborts
	f.will(func(n int, w http.ResponseWriter, presented, newest string) bool {
		switch n % 10 {
		case 0:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			f.answer(w, newest) // is a failure even with a token
		case 1:
			w.WriteHeader(http.StatusCreated)
			f.answer(w, newest)
		case 2:
			f.answer(w, presented)
		case 3:
			cut(w, fmt.Sprintf(`{"refresh_token":%q}`, newest))
		case 4:
			panic(http.ErrAbortHandler)
		case 5:
			_, _ = io.WriteString(w, `{"access_token":"a"}`)
		case 6:
			_, _ = io.WriteString(w, `<html>502 Bad Gateway</html>`)
		case 7:
			_, _ = io.WriteString(w, `{"refresh_token":["`+newest+`"]}`)
		default:
			return false
		}
		return true
	})
	g := open(t, f, 8)
	got := run(t, g, load.Run{Workers: 4, Requests: 200})
	if got.Requests != 200 || got.Count != 40 {
		t.Errorf("%d of %d", got.Count, got.Requests)
	}
	if want := map[int]int64{200: 120, 201: 20, 503: 20}; !maps.Equal(got.ByStatus, want) {
		t.Errorf("by status %v, want %v", got.ByStatus, want)
	}
	want := map[string]int64{
		load.SameToken: 20, load.CutShort + ": unexpected EOF": 20, load.NoAnswer + ": EOF": 20, load.NoToken: 20, load.NotJSON: 40,
	}
	if !maps.Equal(got.Errors, want) {
		t.Errorf("errors %v, want %v", got.Errors, want)
	}
	if f.broken != 0 {
		t.Errorf("%d requests had a token that no app would hold", f.broken)
	}
	if err := got.Err(); err == nil || !strings.Contains(err.Error(), "160 of 200 requests failed: 20 of status 201, 20 of status 503, ") || strings.Contains(err.Error(), "family") {
		t.Errorf("got %v", err)
	}
	f.will(wellBehaved)
	if err := run(t, g, load.Run{Workers: 8, Requests: 100}).Err(); err != nil {
		t.Errorf("when all is well again: %v", err)
	}
}

func TestRefusedAreNoSuccess(t *testing.T) {
	f := newFake(t)
	g := open(t, f, 2)
	g.Close() // or the open connection would fail otherwise
	f.Server.Close()
	got := run(t, g, load.Run{Workers: 2, Requests: 10})
	if got.Count != 0 || got.Requests != 10 || got.Errors[load.NoAnswer+": connection refused"] != 10 || len(got.ByStatus) != 0 {
		t.Errorf("got %s: %v", got, got.Err())
	}
	if got.Rate() != 0 || got.Max() != 0 {
		t.Errorf("got %s", got)
	}
}

func TestRunEndsInTime(t *testing.T) {
	g := open(t, newFake(t), 4)
	const d = time.Second // is enough for a worker to get the processor
	got := run(t, g, load.Run{Workers: 2, For: d})
	if got.Elapsed < d || got.Count == 0 {
		t.Errorf("got %s in %s", got, got.Elapsed)
	}
	if got := run(t, g, load.Run{Workers: 2, For: time.Hour, Requests: 3}); got.Count != 3 {
		t.Errorf("got %s", got)
	}
	for _, r := range []load.Run{{Workers: 0, Requests: 1}, {Workers: 5, Requests: 1}, {Workers: 1}} {
		if _, err := g.Run(t.Context(), r); err == nil {
			t.Errorf("%+v is run", r)
		}
	}
}

// TestRunIsBrokenOff checks that a request which the caller cancels does not count as a
// failure.
func TestRunIsBrokenOff(t *testing.T) {
	f := newFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	hang := make(chan struct{})
	f.will(func(n int, _ http.ResponseWriter, _, _ string) bool {
		if n < 10 {
			return false
		}
		cancel()
		<-hang
		return true
	})
	g := open(t, f, 4)
	got, err := g.Run(ctx, load.Run{Workers: 2, For: time.Hour})
	close(hang)
	if !errors.Is(err, context.Canceled) || got.Err() != nil || got.Count < 9 || got.Count > 10 {
		t.Errorf("got %v, %v: %v", got, got.Err(), err)
	}
	f.will(wellBehaved)
	if err := run(t, g, load.Run{Workers: 4, Requests: 100}).Err(); err != nil { // no session was lost
		t.Errorf("after it: %v", err)
	}
}

// together holds refreshes back until n arrive at the same time.
func together(n int) misbehaviour {
	var waiting sync.WaitGroup
	waiting.Add(n)
	return func(int, http.ResponseWriter, string, string) bool {
		waiting.Done()
		waiting.Wait()
		return false
	}
}

func TestRace(t *testing.T) {
	f := newFake(t)
	g := open(t, f, 2)
	f.will(together(50))
	got, err := g.Race(t.Context(), 50)
	if err != nil || got.Err() != nil || got.Count != 50 || got.Successors != 1 || got.ByStatus[200] != 50 || got.P50() <= 0 || got.Rate() <= 0 {
		t.Errorf("got %+v: %v, %v", got, got.Err(), err)
	}
	f.will(wellBehaved)
	if err := run(t, g, load.Run{Workers: 1, Requests: 4}).Err(); err != nil || f.broken != 0 || f.counters["family0"] != 4 || f.counters["family1"] != 3 {
		t.Errorf("the sessions did not go on: %v, %v", f.counters, err)
	}
}

// TestRaceThatForks checks that of racers who each get a successor of their own only one
// counts as a success.
func TestRaceThatForks(t *testing.T) {
	f := newFake(t)
	g := open(t, f, 1)
	f.will(func(n int, w http.ResponseWriter, presented, _ string) bool {
		f.answer(w, fmt.Sprintf("%s-%d", presented, max(n, 5))) // 6 racers get the same successor
		return true
	})
	got, err := g.Race(t.Context(), 20)
	if err != nil || got.Count != 6 || got.Requests != 20 || got.Successors != 15 || got.Errors[load.AnotherSuccessor] != 14 || got.ByStatus[200] != 20 {
		t.Errorf("got %+v: %v", got, err)
	}
	if got.Err() == nil {
		t.Error("it passes for a success")
	}
}

func TestRaceThatFails(t *testing.T) {
	f := newFake(t)
	g := open(t, f, 1)
	f.will(func(n int, w http.ResponseWriter, presented, _ string) bool {
		if n%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		} else {
			f.answer(w, presented)
		}
		return true
	})
	got, err := g.Race(t.Context(), 10)
	if err != nil || got.Count != 0 || got.Successors != 0 || got.ByStatus[503] != 5 || got.Errors[load.SameToken] != 5 {
		t.Errorf("got %+v: %v", got, err)
	}
	f.will(wellBehaved)
	if err := run(t, g, load.Run{Workers: 1, Requests: 3}).Err(); err != nil || f.broken != 0 {
		t.Errorf("after it: %v", err)
	}
}

func TestSpread(t *testing.T) {
	f := newFake(t)
	g := open(t, f, 50)
	f.will(together(50))
	got, err := g.Spread(t.Context(), 50)
	if err != nil || got.Err() != nil || got.Count != 50 || got.Successors != 50 {
		t.Errorf("got %+v: %v, %v", got, got.Err(), err)
	}
	for family, counter := range f.counters {
		if counter != 2 {
			t.Errorf("%s is at %d", family, counter)
		}
	}
	if _, err := g.Spread(t.Context(), 51); err == nil {
		t.Error("there are no 51 sessions")
	}
}

// TestCallsTogether checks that simultaneous calls share the sessions, and that each of them
// ends.
func TestCallsTogether(t *testing.T) {
	f := newFake(t)
	g := open(t, f, 8)
	var calls sync.WaitGroup
	results := make(chan *load.Result, 100)
	call := func(do func() (*load.Result, error)) {
		calls.Go(func() {
			for range 10 {
				result, err := do()
				if err != nil {
					t.Error(err)
				}
				results <- result
			}
		})
	}
	for range 2 {
		call(func() (*load.Result, error) { return g.Run(t.Context(), load.Run{Workers: 8, Requests: 40}) })
		call(func() (*load.Result, error) { return g.Spread(t.Context(), 8) })
		call(func() (*load.Result, error) { return g.Race(t.Context(), 5) })
	}
	calls.Wait()
	close(results)
	all := load.Merge(slices.Collect(func(yield func(*load.Result) bool) {
		for r := range results {
			if !yield(r) {
				return
			}
		}
	})...)
	if err := all.Err(); err != nil || all.Count != 2*10*(40+8+5) || f.broken != 0 {
		t.Errorf("got %s, %d broken: %v", all, f.broken, err)
	}
}

func TestMerge(t *testing.T) {
	g := open(t, newFake(t), 2)
	a, b := run(t, g, load.Run{Workers: 1, Requests: 10}), run(t, g, load.Run{Workers: 2, Requests: 20})
	got := load.Merge(a, b)
	if got.Count != 30 || got.Requests != 30 || got.ByStatus[200] != 30 || got.Elapsed != a.Elapsed+b.Elapsed || got.Max() != max(a.Max(), b.Max()) {
		t.Errorf("%s and %s are %s", a, b, got)
	}
	if a.Count != 10 || b.Count != 20 {
		t.Error("merging changed what was merged")
	}
}

// TestPolicyByDefault checks that a load makes rotations unless it is told otherwise.
func TestPolicyByDefault(t *testing.T) {
	f := newFake(t)
	g, err := load.Open(t.Context(), load.Options{URL: f.URL, Client: "app", Sessions: 1})
	if err != nil {
		t.Fatal(err)
	}
	g.Close()
	if f.client != "app" || f.body != `{"policy":{"reuse_interval":0},"type":"public"}` {
		t.Errorf("registered %s with %s", f.client, f.body)
	}
}

func TestOpenFails(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"no client": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
		},
		"no family": func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/v1/families") {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		},
		"no token": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") },
		"no JSON":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(handler)
			defer server.Close()
			if _, err := load.Open(t.Context(), load.Options{URL: server.URL, Sessions: 1}); err == nil {
				t.Error("it is opened")
			}
		})
	}
}
