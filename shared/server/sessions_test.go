package server_test

import (
	"container/heap"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// sessionCount is how many sessions of the naive client TestNaiveSessions plays.
var sessionCount = flag.Int("sessions", storetest.SizeWhereSlow(400, 400, 100), "sessions of the naive client, by the movable clock")

// sessions plays clients as they are found in the field on a movable clock, each with a
// session of its own. Requests and answers arrive in an order of their own. It calls the
// handler without a network.
type sessions struct {
	t       testing.TB
	handler http.Handler
	clock   *storetest.Clock
	events  atomic.Int64 // refusals and reuses, which a session must never cause
}

func newSessions(t testing.TB) *sessions {
	t.Helper()
	s := &sessions{t: t, clock: storetest.NewClock()}
	table, _ := storetest.Open(t)
	document, err := keyring.Generate(signing.ES256, s.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	source, err := keyring.Local(document)
	if err != nil {
		t.Fatal(err)
	}
	s.handler = server.New(server.Config{
		Issuer: "https://rotor.example", Table: table, Keys: source, Now: s.clock.Now, Log: slog.New(slog.NewJSONHandler(s, nil)),
	}).Handler()
	return s
}

// Write counts the log's lines about refusals and reuse.
func (s *sessions) Write(line []byte) (int, error) {
	if text := string(line); strings.Contains(text, `"fertft"`) || strings.Contains(text, `"ferrt"`) || strings.Contains(text, "unavailable") {
		s.events.Add(1)
	}
	return len(line), nil
}

// call makes a request and returns the status and one member of the answer.
func (s *sessions) call(method, path, contentType, body, member string) (status int, value string) {
	s.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	answer := map[string]any{}
	if b, err := io.ReadAll(w.Body); err != nil || json.Unmarshal(b, &answer) != nil {
		s.t.Fatalf("%s %s answered %d, %v", method, path, w.Code, err)
	}
	value, _ = answer[member].(string)
	return w.Code, value
}

func (s *sessions) policy(interval, accessToken int) {
	s.t.Helper()
	status, _ := s.call(http.MethodPut, "/v1/clients/app", jsonType,
		fmt.Sprintf(`{"type":"public","policy":{"reuse_interval":%d,"access_token_lifetime":%d,"absolute_lifetime":0,"idle_lifetime":0}}`, interval, accessToken), "")
	if status != http.StatusCreated && status != http.StatusOK {
		s.t.Fatalf("the policy got %d", status)
	}
	s.clock.Advance(time.Minute)
}

func (s *sessions) login() (refreshToken string) {
	s.t.Helper()
	status, refreshToken := s.call(http.MethodPost, "/v1/families", jsonType, `{"user_id":"u`+strconv.FormatUint(rand.Uint64(), 36)+`","client_id":"app"}`, "refresh_token")
	if status != http.StatusCreated {
		s.t.Fatalf("a login got %d", status)
	}
	return refreshToken
}

func (s *sessions) refresh(refreshToken string) (successor string, ok bool) {
	s.t.Helper()
	status, successor := s.call(http.MethodPost, "/oauth/token", formType, refreshForm(refreshToken), "refresh_token")
	return successor, status == http.StatusOK
}

// agenda holds what is to happen, by the time since the beginning.
type agenda []appointment

type appointment struct {
	at time.Duration
	do func()
}

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at < a[j].at }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(appointment)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

func (a *agenda) add(at time.Duration, do func()) { heap.Push(a, appointment{at, do}) }

// play plays everything on the agenda, and what is added to it meanwhile.
func (s *sessions) play(a *agenda) {
	began := s.clock.Now()
	for a.Len() > 0 {
		next := heap.Pop(a).(appointment)
		s.clock.Advance(began.Add(next.at).Sub(s.clock.Now()))
		next.do()
	}
}

// part returns a random part of d.
func part(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }

// naive plays a client that refreshes in bursts shorter than half an interval, and reports
// whether the session survives. The client uses whatever token it holds, and keeps the answer
// that arrives last. Answers take up to half an interval and overtake each other. More than
// two intervals lie between two bursts.
func (s *sessions) naive(r *rand.Rand, interval time.Duration) (alive bool) {
	holds := s.login()
	alive = true
	var a agenda
	start := part(r, interval)
	for range 2 + r.IntN(2) {
		for range 2 + r.IntN(3) {
			sent := start + part(r, interval/2)
			a.add(sent, func() {
				answer, ok := s.refresh(holds)
				if !ok {
					alive = false
					return
				}
				a.add(sent+part(r, interval/2), func() { holds = answer })
			})
		}
		start += interval/2 + 2*interval + 1 + part(r, 4*interval)
	}
	s.play(&a)
	_, ok := s.refresh(holds)
	return alive && ok
}

// TestNaiveSessions checks that a naive client keeps its session without a lock, a comparison
// or an order of answers.
func TestNaiveSessions(t *testing.T) {
	const players = 8
	for i := range players {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			r := rand.New(rand.NewPCG(seed, 0))
			for played := 0; played < *sessionCount/players; {
				s := newSessions(t)
				interval := []int{1, 2, 5, 10, 60, 600, 7200, 86_400, 2_592_000}[r.IntN(9)]
				s.policy(interval, 60)
				for range min(50, *sessionCount/players-played) {
					if !s.naive(r, time.Duration(interval)*time.Second) || s.events.Load() != 0 {
						t.Fatalf("session %d of seed %d died, with an interval of %d s", played, seed, interval)
					}
					played++
				}
			}
		})
	}
}

// TestNaiveSessionsCanDie checks that a naive client loses its session if an answer may arrive
// more than an interval after its request. So the other tests would notice if sessions could
// die.
func TestNaiveSessionsCanDie(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := newSessions(t)
	s.policy(5, 60)
	died := 0
	for range 100 {
		if !s.naive(r, 15*time.Second) { // as if the interval were three times as long
			died++
		}
	}
	if died == 0 || s.events.Load() == 0 {
		t.Error("no session died")
	}
}

// copies plays programs that each hold a copy of one token, and reports whether the session
// survives. Each program refreshes when its own access token expires.
func (s *sessions) copies(r *rand.Rand, programs int, accessToken, long time.Duration) (alive bool) {
	first := s.login()
	alive = true
	var a agenda
	for range programs {
		holds := first
		var refresh func(at time.Duration)
		refresh = func(at time.Duration) {
			a.add(at, func() {
				if !alive || at > long {
					return
				}
				answer, ok := s.refresh(holds)
				if !ok {
					alive = false
					return
				}
				holds = answer
				refresh(at + accessToken + part(r, accessToken/20)) // a few seconds late
			})
		}
		refresh(part(r, accessToken))
	}
	s.play(&a)
	return alive
}

// TestCopies checks that three programs with a copy each keep their session if the interval is
// longer than the lifetime of an access token, as in the preset "copies". Their sessions last
// ten days in a short run, four where that is slow, and 30 in a long one. With an interval of
// half that lifetime their sessions die; how soon is a matter of chance, so another follows one
// that survives its days.
func TestCopies(t *testing.T) {
	preset, err := family.Preset("copies")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		interval int
		lives    bool
	}{{int(preset.ReuseInterval), true}, {70 * 60, true}, {30 * 60, false}} {
		t.Run(fmt.Sprint(tt.interval), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(3, 4))
			s := newSessions(t)
			s.policy(tt.interval, int(preset.AccessTokenLifetime))
			lived, played, long := 0, max(1, *sessionCount/5000), time.Duration(storetest.SizeWhereSlow(10, 10, 4))*day
			if played > 1 {
				long = 30 * day
			}
			if !tt.lives {
				for s.copies(r, 3, preset.AccessTokenLifetime.Duration(), long) {
					if lived++; lived == 100 {
						t.Fatalf("%d sessions lived", lived)
					}
				}
				return
			}
			for range played {
				if s.copies(r, 3, preset.AccessTokenLifetime.Duration(), long) {
					lived++
				}
			}
			if lived < played {
				t.Errorf("%d of %d sessions lived", lived, played)
			}
		})
	}
}
