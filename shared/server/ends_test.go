package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
)

const day = 24 * time.Hour

func TestAbsoluteEnd(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","policy":{"absolute_lifetime":3600,"idle_lifetime":0}}`)
	early, _ := w.login()
	late, _ := w.login()
	for range 59 { // rotation does not extend it
		w.clock.Advance(time.Minute)
		late = w.rotate(late)
	}
	w.clock.Advance(time.Minute - time.Millisecond)
	a := w.refresh(late)
	if a.status != 200 || a.number("refresh_token_expires_in") != 0 || a.number("expires_in") != 1 {
		t.Fatalf("a millisecond before its end: %v", a)
	}
	w.clock.Advance(time.Millisecond)
	w.dead(a.text("refresh_token"), family.ExpiredAbsolute)
	w.dead(late, family.ExpiredAbsolute) // even a token inside the reuse interval
	w.dead(early, family.ExpiredAbsolute)
}

// TestAccessTokenEndsWithItsFamily checks that no access token or ID token outlives its
// family, not even by a fraction of a second. expires_in is never 0, which clients would take
// for a token that does not expire.
func TestAccessTokenEndsWithItsFamily(t *testing.T) {
	for _, begins := range []time.Duration{0, 5 * time.Millisecond, 300 * time.Millisecond, 999 * time.Millisecond} {
		w := newWorld(t)
		w.clock.Advance(w.clock.Now().Truncate(time.Second).Add(time.Second + begins).Sub(w.clock.Now()))
		issued := w.issue(`{"user_id":"u","client_id":"app","scope":"openid","absolute_lifetime":7200}`)
		end := w.clock.Now().Add(7200 * time.Second)
		tok := issued.text("refresh_token")
		for _, left := range []time.Duration{
			7200 * time.Second, 3601 * time.Second, 3600*time.Second + time.Millisecond, 3600 * time.Second, 3600*time.Second - time.Millisecond, 3599500 * time.Millisecond,
			time.Minute, 1999 * time.Millisecond, 1500 * time.Millisecond, 1001 * time.Millisecond, time.Second, 999 * time.Millisecond, 500 * time.Millisecond,
			301 * time.Millisecond, 300 * time.Millisecond, 10 * time.Millisecond, 6 * time.Millisecond, 5 * time.Millisecond, time.Millisecond,
		} {
			w.clock.Advance(end.Add(-left).Sub(w.clock.Now()))
			now := w.clock.Now()
			a := w.refresh(tok)
			if a.status != http.StatusOK {
				t.Fatal(a)
			}
			tok = a.text("refresh_token")
			for _, name := range []string{"access_token", "id_token"} {
				_, claims := decodeJWT(t, a.text(name))
				var exp, iat int64
				for claim, to := range map[string]*int64{"exp": &exp, "iat": &iat} {
					var err error
					if *to, err = claims[claim].(json.Number).Int64(); err != nil {
						t.Fatal(err)
					}
				}
				want := min(now.Unix()+3600, end.Unix())
				if exp != want || time.Unix(exp, 0).After(end) || iat != now.Unix() || exp < iat {
					t.Errorf("%v before an end at %v of a second the %s is of %d to %d, not to %d", left, begins, name, iat, exp, want)
				}
			}
			in := a.number("expires_in")
			if in != max(1, min(3600, float64(left/time.Second))) {
				t.Errorf("%v before an end at %v of a second expires_in is %v", left, begins, in)
			}
			if ends := a.number("authorization_expires_in"); ends != float64(left/time.Second) {
				t.Errorf("%v before the end authorization_expires_in is %v", left, ends)
			}
		}
	}
}

func TestAbsoluteLifetimeOfOneFamily(t *testing.T) {
	w := newWorld(t)
	a := w.issue(`{"user_id":"u","client_id":"app","absolute_lifetime":60}`)
	if a.number("refresh_token_expires_in") != 60 || a.number("expires_in") != 60 {
		t.Errorf("issued %v", a)
	}
	w.clock.Advance(time.Minute)
	w.dead(a.text("refresh_token"), family.ExpiredAbsolute)
}

func TestIdleEnd(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","policy":{"idle_lifetime":3600}}`)
	awake, _ := w.login()
	asleep, _ := w.login()
	w.clock.Advance(time.Hour - time.Millisecond)
	awake = w.rotate(awake)
	w.clock.Advance(time.Millisecond)
	w.dead(asleep, family.ExpiredIdle)
	w.clock.Advance(time.Hour - 2*time.Millisecond)
	awake = w.rotate(awake)
	w.clock.Advance(time.Hour)
	w.dead(awake, family.ExpiredIdle)
}

// TestIdleEndFollowsThePolicy checks that the idle lifetime is the one that the client has
// now. A shorter one ends a sleeping family, and a longer one keeps it alive.
func TestIdleEndFollowsThePolicy(t *testing.T) {
	w := newWorld(t)
	first, _ := w.login()
	w.clock.Advance(10 * day)
	w.putClient("app", `{"type":"public","policy":{"idle_lifetime":864001}}`)
	first = w.rotate(first)
	w.clock.Advance(10 * day)
	w.putClient("app", `{"type":"public","policy":{"idle_lifetime":864000}}`)
	w.dead(first, family.ExpiredIdle)
	w.putClient("app", `{"type":"public","policy":{"idle_lifetime":0}}`)
	w.rotate(first)
}

// TestPolicyReachesOtherServers checks that a changed policy reaches other servers within a
// minute.
func TestPolicyReachesOtherServers(t *testing.T) {
	w := newWorld(t, servers(2))
	first, _ := w.login()
	first = w.rotate(first) // server 0 has cached the client
	w.clock.Advance(2 * time.Minute)
	first = w.rotate(first)
	if a := w.sendTo(1, "PUT", "/v1/clients/app", jsonType, `{"type":"public","policy":{"idle_lifetime":30}}`); a.status != 200 {
		t.Fatal(a)
	}
	w.clock.Advance(59 * time.Second)
	first = w.rotate(first)
	w.clock.Advance(59 * time.Second)
	w.dead(first, family.ExpiredIdle)
}

func TestClientNotBefore(t *testing.T) {
	w := newWorld(t)
	older, id := w.login()
	w.clock.Advance(time.Millisecond)
	newer, _ := w.login()
	w.putClient("app", `{"type":"public","not_before":"`+w.clock.Now().Format(time.RFC3339Nano)+`"}`)
	w.refresh("none")
	w.store.Counted()
	w.dead(older, family.ClientNotBefore)
	if calls := w.store.Counted(); len(calls) != 0 {
		t.Errorf("the store was asked %v", calls)
	}
	w.rotate(newer)
	if f := w.family(id); f.text("status") != "revoked" || f.text("cause") != "client_not_before" {
		t.Errorf("the family is %v", f)
	}
	// Leaving not_before out of a later PUT does not revive a family; setting an earlier time
	// does.
	w.putClient("app", `{"type":"public"}`)
	w.dead(older, family.ClientNotBefore)
	w.putClient("app", `{"type":"public","not_before":"2000-01-01T00:00:00Z"}`)
	w.rotate(older)
}

func TestWithoutRotation(t *testing.T) {
	w := newWorld(t)
	w.confidential(`{"rotation":false,"idle_lifetime":3600}`)
	first, id := w.login()
	for range 5 {
		w.clock.Advance(50 * time.Minute) // the idle end still moves with each use
		if got := w.rotate(first); got != first {
			t.Fatal("the token changed")
		}
	}
	if w.counter(id) != 1 {
		t.Errorf("the counter is %d", w.counter(id))
	}
	w.confidential(`{"rotation":true,"idle_lifetime":3600}`)
	if second := w.rotate(first); second == first || w.counter(id) != 2 {
		t.Errorf("switched on, the counter is %d", w.counter(id))
	}
	w.confidential(`{"rotation":false,"idle_lifetime":3600}`)
	w.clock.Advance(2 * time.Hour)
	w.dead(first, family.ExpiredIdle)
}

// TestPurge checks that a record is not purged before its retention has passed since the
// family's end, and that a live family is never purged, even if its policy has changed.
func TestPurge(t *testing.T) {
	parallel(t)
	retention := 30 * day
	purged := func(w *world) int {
		w.t.Helper()
		n, err := w.table.Purge(w.t.Context(), w.clock.Now())
		if err != nil {
			w.t.Fatal(err)
		}
		return n
	}
	gone := func(w *world, id string) bool {
		return w.send("GET", "/v1/families/"+id, "", "").status == 404
	}
	// lasts advances the clock in steps until the record is gone, and returns how long that
	// took.
	lasts := func(w *world, id string, limit time.Duration) time.Duration {
		w.t.Helper()
		start := w.clock.Now()
		for !gone(w, id) {
			w.clock.Advance(12 * time.Hour)
			purged(w)
			if w.clock.Now().Sub(start) > limit {
				return -1
			}
		}
		return w.clock.Now().Sub(start)
	}

	t.Run("absolute end", func(t *testing.T) {
		w := newWorld(t)
		first, id := w.login()
		w.clock.Advance(10 * day)
		w.rotate(first)
		got := lasts(w, id, 365*day)
		if want := 20*day + retention; got < want || got > want+day {
			t.Errorf("the record lasted %v, not %v", got, want)
		}
	})
	t.Run("revoked", func(t *testing.T) {
		w := newWorld(t)
		first, id := w.login()
		w.send("POST", "/oauth/revoke", formType, "client_id=app&token="+first)
		if got, want := lasts(w, id, 365*day), 15*day+retention; got < want || got > want+day {
			t.Errorf("the record lasted %v", got)
		}
	})
	t.Run("revoked shortly before its absolute end", func(t *testing.T) {
		w := newWorld(t)
		first, id := w.login()
		for range 2 {
			w.clock.Advance(14 * day)
			first = w.rotate(first)
		}
		w.send("POST", "/oauth/revoke", formType, "client_id=app&token="+first)
		if got, want := lasts(w, id, 365*day), 2*day+retention; got < want || got > want+day {
			t.Errorf("the record lasted %v", got)
		}
	})
	t.Run("idle end alone", func(t *testing.T) {
		w := newWorld(t)
		w.putClient("app", `{"type":"public","policy":{"absolute_lifetime":0}}`)
		first, id := w.login()
		for range 30 { // long past the end that was set at issue
			w.clock.Advance(14 * day)
			if purged(w); gone(w, id) {
				t.Fatal("a living family was purged")
			}
			first = w.rotate(first)
		}
		if got := lasts(w, id, 365*day); got < 45*day || got > 46*day {
			t.Errorf("the record lasted %v", got)
		}
	})
	t.Run("an idle end that was taken away", func(t *testing.T) {
		w := newWorld(t)
		w.putClient("app", `{"type":"public","policy":{"absolute_lifetime":0}}`)
		first, id := w.login()
		w.putClient("app", `{"type":"public","policy":{"absolute_lifetime":0,"idle_lifetime":0}}`)
		first = w.rotate(first)
		if got := lasts(w, id, 3*365*day); got != -1 {
			t.Errorf("a living family was purged after %v", got)
		}
		first = w.rotate(first)
		w.send("POST", "/oauth/revoke", formType, "client_id=app&token="+first)
		if got := lasts(w, id, 365*day); got < 60*day+retention || got > 61*day+retention {
			t.Errorf("dead, the record lasted %v", got)
		}
	})
	t.Run("an absolute end that new families no longer have", func(t *testing.T) {
		w := newWorld(t)
		first, id := w.login()
		w.putClient("app", `{"type":"public","policy":{"absolute_lifetime":0,"idle_lifetime":60}}`)
		w.rotate(first)
		if got := lasts(w, id, 365*day); got < 60*day || got > 61*day {
			t.Errorf("the record lasted %v", got)
		}
	})
	t.Run("nothing relies on it", func(t *testing.T) {
		w := newWorld(t)
		first, _ := w.login()
		w.clock.Advance(365 * day) // TTL is late, so the record still exists
		w.dead(first, family.ExpiredIdle)
	})
}

// TestPurgeOfTheRevoked checks that a revoked family's record is purged once nobody can be
// expected to ask for it, even if its lifetime is years. Until then, a device that returns is
// told apart from one that was never known.
func TestPurgeOfTheRevoked(t *testing.T) {
	const years = 10 * 365 * day
	ways := []struct {
		name string
		end  func(w *world, tok, id string)
		why  family.Cause
	}{
		{"logout", func(w *world, tok, _ string) {
			w.send("POST", "/oauth/revoke", formType, "client_id=app&token="+tok)
		}, family.RevokedByClient},
		{"one", func(w *world, _, id string) { w.send("DELETE", "/v1/families/"+id, "", "") }, family.RevokedByAdmin},
		{"all", func(w *world, _, _ string) { w.bulk("user_id", "u") }, family.RevokedByAdmin},
		{"all but one", func(w *world, _, _ string) {
			_, kept := w.login()
			w.bulk("user_id", "u", "except", kept)
		}, family.RevokedByAdmin},
		{"reuse", func(w *world, tok, _ string) {
			w.rotate(tok)
			w.clock.Advance(2 * time.Minute)
			w.refresh(tok)
		}, family.ReuseDetected},
		{"the limit", func(w *world, _, _ string) {
			w.clock.Advance(time.Second)
			w.login()
			w.sweep()
		}, family.LimitExceeded},
	}
	for _, tt := range []struct {
		name, policy string
		issue        string        // more members of the login
		used         time.Duration // until the revocation
		want         time.Duration // counted from the revocation
	}{
		{"of ten years", `"absolute_lifetime":315360000`, ``, 0, 45 * day},
		{"of ten years, after a while", `"absolute_lifetime":315360000`, ``, 10 * day, 45 * day},
		{"of ten years without an idle lifetime", `"absolute_lifetime":315360000,"idle_lifetime":0`, ``, day, 90 * day},
		{"without ends", `"absolute_lifetime":0,"idle_lifetime":0`, ``, day, 90 * day},
		{"idle end alone", `"absolute_lifetime":0`, ``, day, 45 * day},
		{"shorter than its policy's", `"absolute_lifetime":315360000`, `,"absolute_lifetime":864000`, day, 39 * day},
		{"of a day", `"absolute_lifetime":86400`, ``, day / 2, 30*day + day/2},
	} {
		for _, way := range ways {
			t.Run(tt.name+"/"+way.name, func(t *testing.T) {
				w := newWorld(t)
				w.putClient("app", `{"type":"public","policy":{"max_active":1,`+tt.policy+`}}`)
				a := w.issue(`{"user_id":"u","client_id":"app"` + tt.issue + `}`)
				w.clock.Advance(tt.used)
				way.end(w, a.text("refresh_token"), a.text("family"))
				f := w.family(a.text("family"))
				revoked, err := time.Parse(time.RFC3339, f.text("revoked_at"))
				if err != nil {
					t.Fatal(f, err)
				}
				purge, err := time.Parse(time.RFC3339, f.text("purge_at"))
				if err != nil {
					t.Fatal(f, err)
				}
				slack := 5 * time.Minute // the time that the steps took, if the end was fixed before
				if got := purge.Sub(revoked); got < tt.want-slack || got > tt.want+time.Second {
					t.Errorf("the record lasts %v from its revocation, not %v", got, tt.want)
				}
				w.clock.Advance(35 * day)
				w.purge()
				if kept := tt.want > 36*day; kept {
					w.dead(a.text("refresh_token"), way.why)
				} else {
					w.dead(a.text("refresh_token"), family.Purged)
				}
				w.clock.Advance(years)
				w.purge()
				w.dead(a.text("refresh_token"), family.Purged)
			})
		}
	}
	// The record holds another end than the policy, which has changed since.
	t.Run("whose policy has changed", func(t *testing.T) {
		for _, lifetimes := range [][2]int{{315360000, 86400}, {86400, 315360000}, {0, 86400}, {86400, 0}} {
			w := newWorld(t)
			w.putClient("app", fmt.Sprintf(`{"type":"public","policy":{"absolute_lifetime":%d}}`, lifetimes[0]))
			_, id := w.login()
			w.putClient("app", fmt.Sprintf(`{"type":"public","policy":{"absolute_lifetime":%d}}`, lifetimes[1]))
			revoked := w.clock.Now()
			if n, _ := w.bulk("user_id", "u"); n != 1 {
				t.Errorf("revoked %d", n)
			}
			want := 45 * day
			if lifetimes[0] == 86400 {
				want = 31 * day
			}
			purge, err := time.Parse(time.RFC3339, w.family(id).text("purge_at"))
			if got := purge.Sub(revoked); err != nil || got < want || got > want+time.Second {
				t.Errorf("of %d s, then %d: the record lasts %v, not %v", lifetimes[0], lifetimes[1], got, want)
			}
		}
	})
}
