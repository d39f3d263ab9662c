package server_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store/storetest"
	"github.com/rotor-auth/rotor/shared/token"
)

func (w *world) refreshAt(server int, refreshToken string) answer {
	w.t.Helper()
	return w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(refreshToken))
}

func (w *world) issueAt(server int) answer {
	w.t.Helper()
	return w.sendTo(server, http.MethodPost, "/v1/families", jsonType, `{"user_id":"u","client_id":"app"}`)
}

func (w *world) mustRefreshAt(server int, refreshToken string) string {
	w.t.Helper()
	a := w.refreshAt(server, refreshToken)
	if a.status != http.StatusOK {
		w.t.Fatalf("server %d: %v", server, a)
	}
	return a.text("refresh_token")
}

func (v *vault) mustRotate(now time.Time) {
	v.t.Helper()
	if err := v.rotate(v.t.Context(), now); err != nil {
		v.t.Fatal(err)
	}
}

// alone returns a codec with one MAC key of the vault, such as a thief has who found one old
// key.
func (v *vault) alone(id byte) *token.Codec {
	v.t.Helper()
	d := v.document()
	for _, k := range d.MAC {
		if k.ID != id {
			continue
		}
		k.Revoked = time.Time{}
		codec, err := token.NewCodec([]token.Key{k})
		if err != nil {
			v.t.Fatal(err)
		}
		return codec
	}
	v.t.Fatalf("there is no MAC key %d", id)
	return nil
}

// TestOldKeyForgesNothingNewer checks that a leaked old key cannot forge, at any endpoint, a
// token of a session that began after the key was replaced.
func TestOldKeyForgesNothingNewer(t *testing.T) {
	w, v := newVaultWorld(t, 1)
	secret := w.addSecret("web")
	old, oldID := w.login()
	v.mustRotate(w.clock.Now())
	w.clock.Advance(15*time.Minute + token.Lead - time.Millisecond)
	last, lastID := w.login() // in time for a server that knows only the old key
	w.clock.Advance(time.Millisecond)
	first, id := w.login()
	thief := v.alone(1)
	forgedFor := func(familyID string) string {
		f, err := family.ParseID(familyID)
		if err != nil {
			t.Fatal(err)
		}
		return thief.Mint(token.Token{Family: f, Counter: 1}, w.clock.Now()).Reveal()
	}

	forged := forgedFor(id)
	w.dead(forged, family.NeverIssued)
	w.explain("refresh_token", forged).says(t, "dead", "never_issued")
	if a := w.send(http.MethodPost, "/oauth/revoke", formType, "client_id=app&token="+forged); a.status != http.StatusOK {
		t.Errorf("revoke: %v", a)
	}
	if w.family(id).text("status") != "active" || w.counter(id) != 1 {
		t.Errorf("the family is %v", w.family(id))
	}
	a := w.issue(`{"user_id":"u","client_id":"web"}`)
	for tok, active := range map[string]bool{forgedFor(a.text("family")): false, a.text("refresh_token"): true} {
		got := w.send(http.MethodPost, "/oauth/introspect", formType, "token="+tok, "Authorization", basic("web", secret))
		if got.json["active"] != active {
			t.Errorf("introspection of a token, forged or not (%v): %v", !active, got)
		}
	}
	w.rotate(first)

	// Sessions from the time of the key are within reach until they are no longer refreshed.
	for familyID, honest := range map[string]string{oldID: old, lastID: last} {
		if forged := forgedFor(familyID); w.refresh(forged).status != http.StatusOK {
			t.Error("a token of the key's own time is refused")
		}
		w.rotate(honest)
	}
}

// TestStaleKeysStartNoFamily checks a server whose copy of the keys is so old that it may not
// know the key that now mints. It starts no family, and harms none.
func TestStaleKeysStartNoFamily(t *testing.T) {
	w, v := newVaultWorld(t, 2)
	w.issueAt(1) // reads the client and the keys
	tok := w.mustRefreshAt(1, w.issueAt(0).text("refresh_token"))
	read := w.clock.Now()
	v.outages[1].Store(true)
	v.mustRotate(read.Add(time.Second)) // as soon as possible after the copy was read

	var started []string
	for _, age := range []time.Duration{6 * time.Minute, 14 * time.Minute, 15 * time.Minute} {
		w.clock.Advance(read.Add(age).Sub(w.clock.Now()))
		a := w.issueAt(1)
		if a.status != http.StatusCreated {
			t.Fatalf("with a copy %v old: %v", age, a)
		}
		started = append(started, a.text("refresh_token"))
	}
	w.clock.Advance(time.Millisecond)
	w.refreshAt(1, "rotor_x") // so that the client is read again
	w.store.Counted()
	a := w.issueAt(1)
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("with a copy more than 15 minutes old: %v", a)
	}
	if calls := w.store.Counted(); len(calls) != 0 {
		t.Errorf("the store was asked %v", calls)
	}
	for range 3 {
		w.clock.Advance(time.Hour)
		tok = w.mustRefreshAt(1, tok)
		for i, s := range started {
			started[i] = w.mustRefreshAt(1, s)
		}
		if a := w.issueAt(1); a.status != http.StatusServiceUnavailable {
			t.Errorf("later: %v", a)
		}
	}
	for _, s := range append(started, tok) {
		if got := macID(s); got != 1 {
			t.Errorf("the server knows of a key %d", got)
		}
		w.mustRefreshAt(0, s)
	}
	v.outages[1].Store(false)
	w.clock.Advance(30 * time.Second)
	if a := w.issueAt(1); a.status != http.StatusCreated || macID(a.text("refresh_token")) != 2 {
		t.Errorf("as soon as it can read: %v", a)
	}
}

// TestOverdueKeys checks a server that cannot read the keys. About a token under a newer key,
// no endpoint claims that it is invalid, revoked or inactive: that would log a user out, hide
// a failed logout, or turn a user away.
func TestOverdueKeys(t *testing.T) {
	w, v := newVaultWorld(t, 2, oneIssuer())
	secret := basic("web", w.addSecret("web"))
	issue := func() answer {
		t.Helper()
		return w.issue(`{"user_id":"u","client_id":"web"}`)
	}
	at := func(server int, path, body string) answer {
		t.Helper()
		return w.sendTo(server, http.MethodPost, path, formType, body, "Authorization", secret)
	}
	for _, c := range []struct {
		kind string
		wait time.Duration // until a new key makes such tokens
	}{{"access_token", 24 * time.Hour}, {"refresh_token", 15 * time.Minute}} {
		known := issue().text(c.kind)
		at(1, "/oauth/introspect", "token="+known)
		v.outages[1].Store(true)
		v.mustRotate(w.clock.Now())
		w.clock.Advance(c.wait)
		a := issue()
		tok, id := a.text(c.kind), a.text("family")
		check := func(what string, a answer) {
			t.Helper()
			if !a.unavailable() {
				t.Errorf("%s: %s: %v", c.kind, what, a)
			}
		}
		if c.kind == "refresh_token" {
			check("refresh", at(1, "/oauth/token", "grant_type=refresh_token&refresh_token="+tok))
		}
		if a := w.sendTo(1, http.MethodPost, "/v1/explain", jsonType, `{"`+c.kind+`":"`+tok+`"}`); a.status != http.StatusServiceUnavailable {
			t.Errorf("%s: explain: %v", c.kind, a)
		}
		check("introspect", at(1, "/oauth/introspect", "token="+tok))
		check("revoke", at(1, "/oauth/revoke", "token="+tok))
		if f := w.family(id); f.text("status") != "active" {
			t.Errorf("%s: the family is %v", c.kind, f)
		}
		if got := w.logged("fertft"); len(got) != 0 {
			t.Errorf("%s: refusals are logged: %v", c.kind, got)
		}

		// Input that no newer key could make valid is answered as usual.
		junk := map[string]string{
			"of another issuer": madeUp(t, "https://other.example.com", w.clock.Now().Add(time.Hour)),
			"that is expired":   madeUp(t, "https://auth.example.com", w.clock.Now()),
			"that is none":      "x",
		}
		if c.kind == "refresh_token" {
			junk["forged under a known key"] = forge(known)
		}
		for what, tok := range junk {
			if a := at(1, "/oauth/introspect", "token="+tok); a.status != http.StatusOK || a.json["active"] != false {
				t.Errorf("%s: introspection of a token %s: %v", c.kind, what, a)
			}
		}
		check("introspect a token made up", at(1, "/oauth/introspect", "token="+madeUp(t, "https://auth.example.com", w.clock.Now().Add(time.Hour))))

		v.outages[1].Store(false)
		w.clock.Advance(30 * time.Second)
		if a := at(1, "/oauth/introspect", "token="+tok); a.json["active"] != true {
			t.Errorf("%s: introspection, mended: %v", c.kind, a)
		}
		if a := at(1, "/oauth/revoke", "token="+tok); a.status != http.StatusOK {
			t.Errorf("%s: revocation, mended: %v", c.kind, a)
		}
		if f := w.family(id); f.text("cause") != "revoked_by_client" {
			t.Errorf("%s: the family is %v", c.kind, f)
		}
	}
}

// madeUp returns an access token signed with a key of its maker's own.
func madeUp(t testing.TB, issuer string, expires time.Time) string {
	t.Helper()
	key, err := signing.GenerateKey(signing.ES256, expires.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	set, err := signing.NewSet([]signing.Key{key})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := set.SignAccess(expires, signing.Access{
		Issuer: issuer, Subject: "u", Audience: signing.Audience{issuer}, ClientID: "web", SessionID: ulid.Make().String(), IssuedAt: expires.Add(-time.Hour), ExpiresAt: expires,
	})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestRotationsAtRandom rotates keys slowly and at random, while servers with different clocks
// lose access to the keys at random, and sessions start and go on at any server. No genuine
// token may be refused, and no session may start that another server would refuse.
func TestRotationsAtRandom(t *testing.T) {
	parallel(t)
	const four = 4
	steps := storetest.SizeWhereSlow(600, 600, 300)
	seen := map[string]int{}
	seeds := storetest.Size(8, 1)
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 77))
		var skew [four]time.Duration
		for i := range skew {
			skew[i] = time.Duration(r.Int64N(int64(8*time.Minute))) - 4*time.Minute
		}
		w, v := newVaultWorld(t, four, skewed(func(server int) time.Duration { return skew[server] }))
		w.putClient("app", `{"type":"public","policy":{"absolute_lifetime":0,"idle_lifetime":0,"reuse_interval":1200}}`) // the clocks differ by up to 8 minutes
		var mended [four]time.Time
		fail := func(what string, server int, a answer) {
			t.Helper()
			t.Fatalf("seed %d, %s at server %d, clock off by %v, in an outage %v: %v", seed, what, server, skew[server], v.outages[server].Load(), a)
		}
		// ok reports whether a request succeeded. Any other answer must be 503, and only where
		// keys cannot be read.
		ok := func(what string, server int, a answer) bool {
			t.Helper()
			if a.status == http.StatusOK || a.status == http.StatusCreated {
				return true
			}
			out := v.outages[server].Load() || w.clock.Now().Sub(mended[server]) < time.Minute
			if a.status != http.StatusServiceUnavailable || !out {
				fail(what, server, a)
			}
			seen[what+" 503"]++
			return false
		}
		var sessions []string
		var pending string // version of the rotation that is in progress, of each secret
		var made time.Time
		for range steps {
			w.clock.Advance(time.Duration(r.Int64N(int64(4 * time.Minute))))
			now := w.clock.Now()
			step := func(step string) error {
				return errors.Join(
					v.rotation.Step(t.Context(), now, keyring.RotationEvent{Step: step, SecretID: keyringtest.ID, Version: pending}),
					v.rotation.Step(t.Context(), now, keyring.RotationEvent{Step: step, SecretID: keyringtest.SigningID, Version: pending}),
				)
			}
			switch {
			case pending == "" && r.IntN(8) == 0:
				v.begun++
				pending, made = fmt.Sprintf("rotation-%032d", v.begun), now
				v.m.Begin(pending)
				v.m.Signing.Begin(pending)
				if err := step("createSecret"); err != nil {
					t.Fatal(err)
				}
			case pending != "":
				// A server reads the keys just before the new ones are made, and does not
				// learn of those.
				if deaf := r.IntN(four); r.IntN(2) == 0 && !v.outages[deaf].Load() {
					w.sendTo(deaf, http.MethodGet, "/.well-known/jwks.json", "", "")
					v.outages[deaf].Store(true)
				}
				// A rotation ends at the last permitted moment or a little later, when it is
				// given up.
				if err := step("finishSecret"); err != nil && now.Sub(made) <= 5*time.Minute {
					t.Fatal(err)
				} else if err == nil {
					seen["rotations"]++
				}
				pending = ""
			}
			if server := r.IntN(four); r.IntN(4) == 0 && (!v.outages[server].Load() || r.IntN(6) == 0) {
				v.outages[server].Store(!v.outages[server].Load())
				mended[server] = now
			}
			server := r.IntN(four)
			if len(sessions) == 0 || r.IntN(3) == 0 {
				if a := w.issueAt(server); ok("login", server, a) {
					tok := a.text("refresh_token")
					if newest := v.document().MAC; macID(tok) != newest[len(newest)-1].ID {
						seen["logins under an older key"]++
					}
					for other := range four {
						ok("first refresh", other, w.refreshAt(other, tok))
					}
					sessions = append(sessions, w.mustRefreshAt(server, tok))
				}
				if len(sessions) > 20 {
					sessions = slices.Delete(sessions, 0, 1)
				}
				continue
			}
			s := r.IntN(len(sessions))
			if a := w.refreshAt(server, sessions[s]); ok("refresh", server, a) {
				sessions[s] = a.text("refresh_token")
				seen["refreshes"]++
			}
		}
		for server := range four {
			v.outages[server].Store(false)
		}
		w.clock.Advance(time.Minute)
		for _, tok := range sessions {
			for server := range four {
				if a := w.refreshAt(server, tok); a.status != http.StatusOK {
					fail("the end", server, a)
				}
			}
		}
		if n := len(w.logged("fertft")) + len(w.logged("ferrt")); n != 0 {
			t.Fatalf("seed %d: %d refusals", seed, n)
		}
	}
	t.Logf("%v", seen)
	for what, least := range map[string]int{
		"rotations": 100, "refreshes": 1000, "login 503": 20, "refresh 503": 20, "first refresh 503": 20, "logins under an older key": 100,
	} {
		if least = least * seeds / 8; seen[what] < least {
			t.Errorf("%d %s, too few to mean anything", seen[what], what)
		}
	}
}
