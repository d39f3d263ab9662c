package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

func (a answer) unavailable() bool {
	return a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "" &&
		a.text("error") == "temporarily_unavailable" && a.header.Get("Cache-Control") == "no-store"
}

// TestAnswerLostToTheSDK checks that a refresh succeeds if the SDK repeats a write that was
// already applied, even under the strictest policy.
func TestAnswerLostToTheSDK(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","policy":{"reuse_interval":0}}`)
	first, id := w.login()
	w.refresh("none")
	w.store.Once(1, storetest.Lost)
	second := w.rotate(first)
	if calls := w.store.Counted(); len(calls) != 2 {
		t.Errorf("the store was asked %v", calls)
	}
	w.store.Break(nil)
	if w.counter(id) != 2 || len(w.logged("ferrt")) != 0 {
		t.Errorf("counter %d, reuse %v", w.counter(id), w.logged("ferrt"))
	}
	w.rotate(second)
}

// TestStorageFails checks a fault that outlasts the SDK's retries, at each store request of
// each kind of refresh. The client gets 503, and the same token works afterwards.
func TestStorageFails(t *testing.T) {
	type situation struct {
		name    string
		policy  string
		prepare func(w *world, refreshToken, id string) string // returns the token to present
	}
	situations := []situation{
		{"refresh", `{}`, func(_ *world, tok, _ string) string { return tok }},
		{"without rotation", `{"rotation":false}`, func(_ *world, tok, _ string) string { return tok }},
		{"superseded inside the interval", `{}`, func(w *world, tok, _ string) string { w.rotate(tok); return tok }},
		{"lost response", `{"lost_response":"until_used"}`, func(w *world, tok, _ string) string {
			w.rotate(tok)
			w.clock.Advance(time.Hour)
			return tok
		}},
		{"newer than the table", `{}`, func(w *world, _, id string) string { return w.mint(id, 7) }},
	}
	for _, s := range situations {
		for name, fault := range everyFault() {
			t.Run(s.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.confidential(s.policy)
				first, id := w.login()
				presented := s.prepare(w, first, id)
				broken := 0
				for call := 1; ; call++ { // reads the client, then writes once or twice
					w.store.Break(func(n int, _ string) storetest.Fault {
						if n >= call {
							return fault
						}
						return storetest.None
					})
					a := w.refresh(presented)
					reached := len(w.store.Counted()) >= call
					w.store.Break(nil)
					if !reached {
						break
					}
					broken++
					// A lost answer that the SDK's retry makes up for is a success.
					if !a.unavailable() && a.status != http.StatusOK {
						t.Fatalf("call %d broken: %v", call, a)
					}
				}
				if broken == 0 {
					t.Fatal("nothing was broken")
				}
				a := w.refresh(presented)
				if a.status != http.StatusOK {
					t.Fatalf("mended: %v", a)
				}
				w.rotate(a.text("refresh_token"))
				if n := len(w.logged("ferrt")) + len(w.logged("fertft")); n != 0 {
					t.Errorf("%d refusals were logged", n)
				}
			})
		}
	}
}

// TestStorageFailsDuringRevocation checks that after a failure while reuse is answered, the
// next replay ends the family. The family is not half revoked, and the reuse is recorded once.
func TestStorageFailsDuringRevocation(t *testing.T) {
	parallel(t)
	for name, fault := range map[string]storetest.Fault{"failed": storetest.Failed, "answer lost": storetest.Lost} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			first, id := w.login()
			newest := w.rotate(first)
			w.clock.Advance(time.Hour)
			w.refresh("none")
			w.store.Break(func(_ int, operation string) storetest.Fault {
				if operation == "TransactWriteItems" {
					return fault
				}
				return storetest.None
			})
			a := w.refresh(first)
			if !a.unavailable() && !a.refused(http.StatusBadRequest) {
				t.Fatalf("broken: %v", a)
			}
			w.store.Break(nil)
			if a := w.refresh(first); !a.refused(http.StatusBadRequest) {
				t.Fatalf("mended: %v", a)
			}
			w.dead(newest, family.ReuseDetected)
			if n := w.storedEvents("ferrt"); n != 1 || w.family(id).text("cause") != "reuse_detected" {
				t.Errorf("%d events stored", n)
			}
		})
	}
}

// TestStorageFailsElsewhere checks that every other endpoint that uses the store answers 503,
// too. None of them blames the client.
func TestStorageFailsElsewhere(t *testing.T) {
	w := newWorld(t)
	secret := w.addSecret("web")
	a := w.issue(`{"user_id":"u","client_id":"web"}`)
	refreshToken, accessToken, id := a.text("refresh_token"), a.text("access_token"), a.text("family")
	form := "client_id=web&client_secret=" + secret + "&token="
	requests := []struct{ method, path, contentType, body string }{
		{"POST", "/oauth/revoke", formType, form + refreshToken},
		{"POST", "/oauth/introspect", formType, form + refreshToken},
		{"POST", "/oauth/introspect", formType, form + accessToken},
		{"POST", "/v1/families", jsonType, `{"user_id":"u","client_id":"web"}`},
		{"GET", "/v1/families/" + id, "", ""},
		{"PUT", "/v1/clients/web", jsonType, `{"type":"confidential"}`},
		{"GET", "/v1/clients/web", "", ""},
		{"GET", "/v1/clients", "", ""},
		{"POST", "/v1/clients/web/secrets", "", ""},
		{"DELETE", "/v1/clients/web", "", ""},
	}
	for _, r := range requests {
		for call := 1; ; call++ {
			w.clock.Advance(time.Hour) // so that the client is read again
			w.store.Break(func(n int, _ string) storetest.Fault {
				if n >= call {
					return storetest.Failed
				}
				return storetest.None
			})
			a := w.send(r.method, r.path, r.contentType, r.body)
			reached := len(w.store.Counted()) >= call
			w.store.Break(nil)
			if !reached {
				if call == 1 {
					t.Errorf("%s %s asked the store nothing: %v", r.method, r.path, a)
				}
				break
			}
			if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
				t.Errorf("%s %s, call %d broken: %v", r.method, r.path, call, a)
			}
			if r.path != "/oauth/introspect" && r.method != "GET" {
				break // the first call that succeeds does what the others would do
			}
		}
	}
}

// TestThrottledTwice checks that the caller does not notice throttling which ends within the
// SDK's retries.
func TestThrottledTwice(t *testing.T) {
	w := newWorld(t)
	first, _ := w.login()
	w.refresh("none")
	w.store.Break(func(n int, _ string) storetest.Fault {
		if n <= 2 {
			return storetest.Throttled
		}
		return storetest.None
	})
	w.rotate(first)
	if calls := w.store.Counted(); len(calls) != 3 {
		t.Errorf("the store was asked %v", calls)
	}
}

// TestStorageHangs checks that a request is answered in time if the store hangs, whichever
// store request hangs.
func TestStorageHangs(t *testing.T) {
	w := newWorld(t)
	first, _ := w.login()
	w.rotate(first)
	a, hangs := w.another(w.store.Table(), keysAsTheyAre{w.keys}, func(c *server.Config) { c.Timeout = 100 * time.Millisecond })
	if err := a.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, wait := range []time.Duration{0, 2 * time.Minute} { // with the client cached, and without
		w.clock.Advance(wait)
		w.store.Break(func(int, string) storetest.Fault { return storetest.Hang })
		if a := w.sendTo(hangs, http.MethodPost, "/oauth/token", formType, refreshForm(first)); !a.unavailable() {
			t.Errorf("got %v", a)
		}
	}
}

// TestRecordThatExplainsNothing checks the answer if the record does not explain why the
// condition of a write failed. The service cannot know whether the token is the newest, so it
// neither accepts nor rejects it.
func TestRecordThatExplainsNothing(t *testing.T) {
	w := newWorld(t)
	first, _ := w.login()
	second := w.rotate(first)
	w.clock.Advance(time.Minute)
	w.refresh("none") // caches the client
	before := len(w.logged("fertft"))
	w.store.Break(func(int, string) storetest.Fault { return storetest.Refused })
	if a := w.refresh(second); !a.unavailable() {
		t.Errorf("got %v", a)
	}
	if calls := w.store.Counted(); len(calls) != 1 {
		t.Errorf("the store was asked %v", calls)
	}
	w.store.Break(nil)
	if n := len(w.logged("fertft")) - before + len(w.logged("ferrt")); n != 0 {
		t.Errorf("%d refusals were logged", n)
	}
	w.rotate(second)
}
