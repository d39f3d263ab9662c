package local

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/logtest"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
)

// limited sets how many families of a user demo-spa keeps.
func (p *program) limited(families int) {
	p.tb.Helper()
	p.must(http.StatusOK, http.MethodPut, "/v1/clients/demo-spa", `{"type":"public","policy":{"max_active":`+strconv.Itoa(families)+`}}`)
}

// sweep runs a sweep and checks its result.
func (p *program) sweep(body string, owners, removed float64) {
	p.tb.Helper()
	got := p.must(http.StatusOK, http.MethodPost, "/local/sweep", body)
	if got.body["owners"] != owners || got.body["removed"] != removed || len(got.body) != 2 {
		p.tb.Errorf("the sweep did %v, want %v owners, %v removed", got.body, owners, removed)
	}
}

func TestSweep(t *testing.T) {
	p := start(t, nil)
	p.sweep("", 0, 0)
	p.limited(3)
	families, tokens := make([]string, 4), make([]string, 4)
	for i := range families {
		families[i], tokens[i] = p.issue("demo-spa")
		p.must(http.StatusOK, http.MethodPost, "/local/clock", `{"advance":"1s"}`) // otherwise two could have the same age
	}
	p.sweep("", 1, 1)
	p.sweep("{}", 0, 0)
	if got := p.refresh("demo-spa", tokens[0]); got.text("error") != "invalid_grant" {
		t.Errorf("the oldest: %d %v", got.status, got.body)
	}
	if got := p.must(http.StatusOK, http.MethodPost, "/v1/explain", `{"refresh_token":"`+tokens[0]+`"}`); got.text("cause") != "limit_exceeded" {
		t.Errorf("the oldest is %v", got.body)
	}
	for i, token := range tokens[1:] {
		if got := p.refresh("demo-spa", token); got.status != http.StatusOK {
			t.Errorf("family %d: %d %v", i+1, got.status, got.body)
		}
	}

	// A changed limit applies at once, by the moved clock.
	p.limited(1)
	p.advance("48h")
	before := p.now()
	family, _ := p.issue("demo-spa")
	p.sweep("", 1, 3)
	for i, id := range append(families, family) {
		want := "limit_exceeded"
		if id == family {
			want = ""
		}
		if got := p.must(http.StatusOK, http.MethodGet, "/v1/families/"+id, ""); got.text("cause") != want {
			t.Errorf("family %d is %v", i, got.body)
		}
	}
	events, _ := p.must(http.StatusOK, http.MethodGet, "/v1/events?type=resource_cleanup", "").body["events"].([]any)
	if len(events) != 2 {
		t.Fatalf("the events are %v", events)
	}
	newest, _ := events[0].(map[string]any)
	at, err := time.Parse(time.RFC3339, newest["at"].(string))
	if err != nil || at.Before(before) || newest["start"] != 4.0 || newest["removedCount"] != 3.0 || newest["endCount"] != 1.0 {
		t.Errorf("past %s the event is %v", before, newest)
	}
	if got := strings.Count(p.stderr.String(), `"type":"resource_cleanup"`); got != 2 {
		t.Errorf("%d clean-ups are in the log, want 2", got)
	}
}

func TestSweepRefuses(t *testing.T) {
	p := start(t, nil)
	p.limited(1)
	p.issue("demo-spa")
	p.issue("demo-spa")
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		got := p.do(method, "/local/sweep", "")
		if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != http.MethodPost {
			t.Errorf("%s: %d, Allow: %q", method, got.status, got.header.Get("Allow"))
		}
		if method != http.MethodHead {
			wantProblem(t, got, http.StatusMethodNotAllowed)
		}
	}
	for _, body := range []string{`{"owner":"alice"}`, `[]`, `null`, `"{}"`, `{} {}`, `{`, ` `} {
		t.Run(body, func(t *testing.T) { wantProblem(t, p.do(http.MethodPost, "/local/sweep", body), http.StatusBadRequest) })
	}
	wantProblem(t, p.do(http.MethodPost, "/local/sweep", strings.Repeat(" ", 17<<10)), http.StatusRequestEntityTooLarge)
	wantProblem(t, p.do(http.MethodPost, "/local/sweep/now", ""), http.StatusNotFound)
	p.sweep("", 1, 1) // none of these requests has swept
}

// bubble holds the API in memory, in a bubble of synctest, for tests that take time.
type bubble struct {
	t       *testing.T
	handler http.Handler
	store   *breakable
	log     *logtest.Buffer
	sweeper sweeper
}

// breakable is a transport to the store that a test can break.
type breakable struct {
	http.RoundTripper
	broken atomic.Bool
}

func (b *breakable) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.broken.Load() {
		return nil, errors.New("connection reset")
	}
	return b.RoundTripper.RoundTrip(r)
}

func newBubble(t *testing.T) *bubble {
	t.Helper()
	b := &bubble{t: t, store: &breakable{RoundTripper: embedded.New()}, log: &logtest.Buffer{}}
	table := store.New(embedded.Config(b.store), "rotor", store.DefaultRetention)
	if err := table.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	document, err := keyring.Generate(signing.ES256, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.Local(document)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(b.log, nil))
	clock := &clock{}
	b.sweeper = sweeper{clock, table, log}
	b.handler = withLocal(&config{}, b.sweeper, server.New(server.Config{
		Issuer: "http://localhost:3000", Table: table, Keys: keys, Log: log, Now: clock.now, Timeout: requestTimeout,
	}).Handler())
	b.call(http.MethodPut, "/v1/clients/app", `{"type":"public","policy":{"max_active":1}}`)
	return b
}

func (b *bubble) call(method, path, body string) {
	b.t.Helper()
	var v any
	if _, err := call(b.t.Context(), b.handler, method, path, body, &v); err != nil {
		b.t.Fatal(err)
	}
}

// issue starts two families, one too many.
func (b *bubble) issue() {
	b.t.Helper()
	for range 2 {
		b.call(http.MethodPost, "/v1/families", `{"user_id":"alice","client_id":"app"}`)
	}
}

func TestSweepFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		b.issue()
		b.store.broken.Store(true)
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/local/sweep", nil))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("the answer is %d %v %s", w.Code, w.Header(), w.Body)
		}
		if log := b.log.String(); strings.Count(log, `"level":"ERROR"`) != 1 || !strings.Contains(log, "sweep failed") {
			t.Errorf("the log does not say so, once:\n%s", log)
		}
		b.store.broken.Store(false)
		b.call(http.MethodPost, "/local/sweep", "")
		if got := strings.Count(b.log.String(), `"type":"resource_cleanup"`); got != 1 {
			t.Errorf("%d clean-ups, want 1", got)
		}
	})
}

// TestSweepsByItself checks that the sweeper sweeps every minute, even after a failure, until
// it is stopped.
func TestSweepsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() {
			b.sweeper.run(ctx)
			close(stopped)
		}()
		cleanups := func(want int) {
			t.Helper()
			synctest.Wait()
			if got := strings.Count(b.log.String(), `"type":"resource_cleanup"`); got != want {
				t.Errorf("%d clean-ups, want %d", got, want)
			}
		}
		b.issue()
		time.Sleep(sweepEvery - time.Second) // in the time of the bubble
		cleanups(0)
		time.Sleep(2 * time.Second)
		cleanups(1)

		b.issue()
		b.store.broken.Store(true)
		time.Sleep(sweepEvery)
		synctest.Wait()
		b.store.broken.Store(false)
		cleanups(1)
		if !strings.Contains(b.log.String(), "sweep failed") {
			t.Errorf("the log does not say that it failed:\n%s", b.log)
		}
		time.Sleep(sweepEvery)
		cleanups(2)

		b.issue()
		stop()
		<-stopped
		time.Sleep(10 * sweepEvery)
		cleanups(2)
		if leaked := secrets.FindString(b.log.String()); leaked != "" {
			t.Errorf("the log has a secret: %s", leaked)
		}
	})
}

// TestProgramSweepsByItself checks that the program sweeps by itself for as long as it runs,
// by the clock and on the table that it serves.
func TestProgramSweepsByItself(t *testing.T) {
	p := start(t, nil)
	if got := p.text("/debug/pprof/goroutine?debug=1", http.StatusOK); !strings.Contains(got, "cmd/rotor/local.sweeper.run+") {
		t.Errorf("nothing sweeps:\n%s", got)
	}
}

// TestSweepGivenUp checks that a sweep whose caller has gone is not logged as failed.
func TestSweepGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		b.issue()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodPost, "/local/sweep", nil))
		if w.Code != http.StatusServiceUnavailable || strings.Contains(b.log.String(), "sweep failed") {
			t.Errorf("the answer is %d %s, and the log\n%s", w.Code, w.Body, b.log)
		}
	})
}

// TestPurgeFails checks that the clock stays moved even if expired records could not be
// purged, and that the response says so.
func TestPurgeFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t)
		b.issue()
		before := b.sweeper.clock.now()
		b.store.broken.Store(true)
		move := func() *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			b.handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/local/clock", strings.NewReader(`{"advance":"90d"}`)))
			return w
		}
		if w := move(); w.Code != http.StatusServiceUnavailable || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("the answer is %d %v %s", w.Code, w.Header(), w.Body)
		}
		if log := b.log.String(); strings.Count(log, `"level":"ERROR"`) != 1 || !strings.Contains(log, "purge failed") {
			t.Errorf("the log does not say so, once:\n%s", log)
		}
		if ahead := b.sweeper.clock.now().Sub(before); ahead < 90*24*time.Hour {
			t.Errorf("the clock was moved by %v", ahead)
		}
		b.store.broken.Store(false)
		if w := move(); w.Code != http.StatusOK || strings.Contains(w.Body.String(), `"purged":0`) {
			t.Errorf("the next time: %d %s", w.Code, w.Body)
		}
	})
}
