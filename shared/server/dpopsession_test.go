package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
)

// supersede returns the first token of a bound family, which was superseded two minutes ago, and its newest.
func (p *prover) supersede() (first, newest string) {
	p.w.t.Helper()
	first = p.bound().text("refresh_token")
	p.w.clock.Advance(2 * time.Minute)
	a := p.refresh(first)
	if a.status != http.StatusOK {
		p.w.t.Fatal(a)
	}
	p.w.clock.Advance(2 * time.Minute)
	return first, a.text("refresh_token")
}

// lateEvents returns how many events of late uses of alice's families are stored.
func (w *world) lateEvents() int {
	w.t.Helper()
	return len(slices.DeleteFunc(w.events("user_id=alice"), func(e map[string]any) bool { return e["type"] != "late_use" }))
}

// TestRaceOfABoundFamily checks that 50 racers on eight servers, who prove the key and have one superseded token, get
// one answer, and that one event is stored.
func TestRaceOfABoundFamily(t *testing.T) {
	w := newBoundWorld(t, "required", servers(8), oneIssuer())
	p := w.prover()
	p.issuer = "https://auth.example.com"
	first, newest := p.supersede()
	const racers = 50
	answers := make([]answer, racers)
	proofs := make([]string, racers)
	for i := range proofs {
		proofs[i] = p.proof()
	}
	var done sync.WaitGroup
	for i := range racers {
		done.Go(func() {
			a, err := w.try(i%len(w.servers), http.MethodPost, "/oauth/token", formType, refreshForm(first), "DPoP", proofs[i])
			if err != nil {
				t.Error(err)
			}
			answers[i] = a
		})
	}
	done.Wait()
	for _, a := range answers {
		if a.status != http.StatusOK || a.text("refresh_token") != newest {
			t.Fatalf("a racer got %v", a)
		}
	}
	if n := w.lateEvents(); n != 1 || len(w.logged("late_use")) != 1 || len(w.logged("ferrt")) != 0 {
		t.Errorf("%d events are stored, and the lines are %v", n, w.logged("late_use"))
	}
	late := 0
	for _, line := range w.logged("sertft") {
		if line["late"] == true {
			late++
		}
	}
	if late != racers {
		t.Errorf("%d late uses are in the log", late)
	}
	if a := p.refresh(newest); a.status != http.StatusOK {
		t.Error(a)
	}
}

// TestFaultsOfABoundFamily breaks each request to the store of each kind of use. The caller gets tokens or a 503, and
// the same request works afterwards. Nothing is refused, one event is stored for a late use, and the family is bound
// to its key.
func TestFaultsOfABoundFamily(t *testing.T) {
	for _, tt := range []struct {
		name    string
		prepare func(p *prover) string // returns the form to send
		late    int                    // events that are stored in the end
	}{
		{"code", func(p *prover) string { return exchangeForm(p.w.code()) }, 0},
		{"newest", func(p *prover) string { _, newest := p.supersede(); return refreshForm(newest) }, 0},
		{"superseded in the interval", func(p *prover) string {
			_, newest := p.supersede()
			p.refresh(newest)
			p.w.clock.Advance(59 * time.Second)
			return refreshForm(newest)
		}, 0},
		{"late", func(p *prover) string { first, _ := p.supersede(); return refreshForm(first) }, 1},
		{"late, soon after another", func(p *prover) string {
			first, _ := p.supersede()
			if a := p.refresh(first); a.status != http.StatusOK {
				p.w.t.Fatal(a)
			}
			p.w.clock.Advance(2 * time.Minute)
			return refreshForm(first)
		}, 1},
		{"restored", func(p *prover) string {
			first, newest := p.supersede()
			id, _ := p.w.content(first)
			f := p.w.record(id.String())
			f.Counter = 1
			policy := family.DefaultPolicy()
			p.w.putBack(f, &policy)
			return refreshForm(newest)
		}, 0},
	} {
		for name, fault := range everyFault() {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				for call := 1; ; call++ {
					w := newBoundWorld(t, "required")
					p := w.prover()
					form := tt.prepare(p)
					w.restart(0)
					w.store.Counted()
					w.breakCall(call, fault, false)
					a := p.post(form)
					reached := len(w.store.Counted()) >= call
					w.store.Break(nil)
					if !reached {
						break
					}
					if !a.unavailable() && a.status != http.StatusOK {
						t.Fatalf("call %d broken: %v", call, a)
					}
					b := p.post(form)
					// A code that was exchanged is refused, and its family lives.
					if tt.name == "code" && a.unavailable() && b.codeRefused() {
						continue
					}
					if tt.name == "code" && a.status == http.StatusOK {
						b = p.refresh(a.text("refresh_token"))
					}
					if b.status != http.StatusOK || b.cnf(t) != p.jkt() {
						t.Fatalf("call %d mended: %v", call, b)
					}
					if f := w.recordOf(b.text("refresh_token")); f.KeyThumbprint() != p.jkt() || !f.Revoked.At.IsZero() {
						t.Errorf("call %d: the record is %+v", call, f)
					}
					if n := w.lateEvents(); n != tt.late {
						t.Errorf("call %d: %d events are stored", call, n)
					}
					if n := len(w.logged("ferrt")) + len(w.logged("fertft")); n != 0 {
						t.Errorf("call %d: %d refusals", call, n)
					}
				}
			})
		}
	}
}

// TestClockSetBackOfABoundFamily checks that a bound session lives on a server whose clock is behind the others'.
func TestClockSetBackOfABoundFamily(t *testing.T) {
	var clocks movable
	w := newBoundWorld(t, "required", servers(2), oneIssuer(), skewed(clocks.of))
	p := w.prover()
	p.issuer = "https://auth.example.com"
	first, newest := p.supersede()
	post := func(server int, token string) answer {
		t.Helper()
		var a answer
		for range 2 { // the nonce of the other server may not be one of this server's time
			a = w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(token), "DPoP", p.proof())
			p.nonce = a.header.Get("DPoP-Nonce")
			if a.text("error") != "use_dpop_nonce" {
				break
			}
		}
		return a
	}
	for _, by := range []time.Duration{-time.Minute, -10 * time.Minute, -23 * time.Hour} {
		clocks.by[1].Store(int64(by))
		for _, server := range []int{1, 0, 1} {
			for _, token := range []string{newest, first} {
				a := post(server, token)
				if a.status != http.StatusOK || a.cnf(t) != p.jkt() {
					t.Fatalf("a clock off by %v, server %d: %v", by, server, a)
				}
				if token == newest {
					newest = a.text("refresh_token")
				}
			}
		}
		w.clock.Advance(2 * time.Minute)
	}
	if n := w.lateEvents(); n != 1 {
		t.Errorf("%d events are stored within the hour", n)
	}
	if n := len(w.logged("ferrt")) + len(w.logged("fertft")); n != 0 {
		t.Errorf("%d refusals", n)
	}
}

// TestRestoredBoundFamily checks families whose records come from a backup. One from before the first use does not
// know the key, and is bound by the first caller with a token; one from after it is bound as it was.
func TestRestoredBoundFamily(t *testing.T) {
	policy := family.DefaultPolicy()
	for _, d := range doors {
		for _, begun := range []bool{false, true} {
			for _, dpop := range []string{"allowed", "required"} {
				t.Run(fmt.Sprint(d.name, " begun ", begun, " ", dpop), func(t *testing.T) {
					w, form := d.make(t, "public", fmt.Sprintf(`{"dpop":%q}`, dpop))
					p := w.prover()
					if d.name == "adopted" && !begun {
						t.Log("its record is made by the first use")
						begun = true
					}
					if strings.Contains(d.name, "assertion") || d.name == "token exchange" {
						begun = true
					}
					user := "alice"
					var backup *family.Family
					if !begun {
						list := w.started(user)
						if len(list) != 1 {
							t.Fatal(list)
						}
						backup = w.record(fmt.Sprint(list[0]["family"]))
					}
					a := p.post(form)
					if a.status != http.StatusOK {
						t.Fatal(a)
					}
					if begun {
						backup = w.recordOf(a.text("refresh_token"))
					}
					w.clock.Advance(2 * time.Minute)
					newest := p.refresh(a.text("refresh_token")).text("refresh_token")
					w.putBack(backup, &policy)
					w.clock.Advance(2 * time.Minute)
					image, err := w.store.Image(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if begun || dpop == "required" {
						if a := w.refresh(newest); !a.unproven() {
							t.Errorf("without a proof: %v", a)
						}
					}
					if begun {
						if a := w.prover().refresh(newest); !a.refused(http.StatusBadRequest) {
							t.Errorf("with another key: %v", a)
						}
					}
					if after, err := w.store.Image(t.Context()); err != nil || after != image {
						t.Errorf("the table was\n%s\nand is\n%s", image, after)
					}
					got := p.refresh(newest)
					if got.status != http.StatusOK || got.cnf(t) != p.jkt() || len(w.logged("ahead")) != 1 {
						t.Fatalf("with the key: %v, %v", got, w.logged("ahead"))
					}
					if f := w.recordOf(newest); f.KeyThumbprint() != p.jkt() || f.Counter != 2 {
						t.Errorf("the record is %+v", f)
					}
					w.clock.Advance(2 * time.Minute)
					for _, token := range []string{newest, a.text("refresh_token")} {
						if a := w.refresh(token); !a.unproven() {
							t.Errorf("without a proof: %v", a)
						}
						if a := p.refresh(token); a.status != http.StatusOK {
							t.Errorf("with the key: %v", a)
						}
					}
				})
			}
		}
	}
}

// TestRestoredCodeOfAConfidentialClient checks a record that says that a code waits for its key, while the code was
// exchanged: the family was not bound from then on, and is not now.
func TestRestoredCodeOfAConfidentialClient(t *testing.T) {
	for _, proven := range []bool{false, true} {
		w := newWorld(t)
		w.open("confidential", `{"dpop":"allowed"}`, `"scope":"openid read write","redirect_uris":["`+callback+`"]`)
		p := w.prover()
		code := w.code("dpop_jkt", p.jkt())
		backup := w.record(w.familyOfCode(code))
		a := p.post(w.with(exchangeForm(code)))
		if a.status != http.StatusOK || !backup.Bound() {
			t.Fatal(a)
		}
		policy := family.DefaultPolicy()
		w.putBack(backup, &policy)
		w.clock.Advance(2 * time.Minute)
		if other := w.prover(); proven {
			a = other.post(w.with(refreshForm(a.text("refresh_token"))))
		} else {
			a = w.refresh(a.text("refresh_token"))
		}
		if a.status != http.StatusOK || w.recordOf(a.text("refresh_token")).Bound() || len(w.logged("ahead")) != 1 {
			t.Fatalf("a token with another key %t: %v", proven, a)
		}
		w.clock.Advance(2 * time.Minute)
		if a := w.refresh(a.text("refresh_token")); a.status != http.StatusOK || a.cnf(t) != "" {
			t.Errorf("and then %v", a)
		}
		// The code itself stays bound, until it was exchanged.
		code = w.code("dpop_jkt", p.jkt())
		if a := w.prover().post(w.with(exchangeForm(code))); !a.codeRefused() {
			t.Errorf("a code with another key: %v", a)
		}
	}
}

// TestLateUse checks what is kept of a superseded token that comes with the key: each is in the log and counted, and
// an event is stored at most once an hour.
func TestLateUse(t *testing.T) {
	w := newBoundWorld(t, "required", metrics())
	p := w.prover()
	first, newest := p.supersede()
	for i, wait := range []time.Duration{0, 30 * time.Minute, 30*time.Minute - time.Millisecond, time.Millisecond, time.Hour} {
		w.clock.Advance(wait)
		stored := []int{1, 1, 1, 2, 3}[i]
		a := w.send(http.MethodPost, "/oauth/token", formType, refreshForm(first), "DPoP", p.proof("nonce", w.keys.Codec.Nonce(w.clock.Now())), "User-Agent", "a restored phone")
		if a.status != http.StatusOK || a.text("refresh_token") != newest {
			t.Fatal(a)
		}
		if n, lines := w.lateEvents(), len(w.logged("late_use")); n != stored || lines != stored {
			t.Errorf("use %d: %d events are stored, %d lines", i, n, lines)
		}
		if n := w.counted("LateUse"); n != float64(i+1) {
			t.Errorf("use %d: counted %v", i, n)
		}
		line, _ := w.last("sertft")
		if line["late"] != true || line["tokenCounter"] != 1.0 || line["latestCounter"] != 2.0 || (line["otherUserAgent"] == true) != (i == 0) {
			t.Errorf("use %d: logged %v", i, line)
		}
		if f := w.recordOf(first); f.LastUserAgent != "a restored phone" || w.clock.Now().Sub(f.LastUsedAt) > time.Minute {
			t.Errorf("use %d is not on record: %+v", i, f)
		}
	}
	a := w.explain("refresh_token", first)
	a.says(t, "valid", "", "This is token 1, superseded", "bound to a key", "newest, 2")
	if got := a.moments(t); !slices.Contains(got, "late_use 2") {
		t.Errorf("the timeline is %v", got)
	}
	w.explain("refresh_token", newest).says(t, "valid", "", "bound to a key")
	for _, e := range w.events("user_id=alice") {
		if e["type"] != "late_use" || e["tokenCounter"] != 1.0 || e["latestCounter"] != 2.0 || e["clientId"] != "app" {
			t.Errorf("stored is %v", e)
		}
	}
}

// TestThiefOfABoundFamily checks what somebody can do who has a token and not its key: log its owner out, and nothing
// else.
func TestThiefOfABoundFamily(t *testing.T) {
	w := newBoundWorld(t, "allowed")
	p := w.prover()
	first, newest := p.supersede()
	thief := w.prover()
	for _, token := range []string{first, newest} {
		w.refresh(token)
		thief.refresh(token)
	}
	if a := p.refresh(first); a.status != http.StatusOK {
		t.Fatalf("after he tried to refresh: %v", a)
	}
	if a := w.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", first)); a.status != http.StatusOK {
		t.Errorf("a revocation got %v", a)
	}
	if a := p.refresh(newest); !a.refused(http.StatusBadRequest) {
		t.Errorf("after that its owner got %v", a)
	}
	if line, _ := w.last("fertft"); line["cause"] != "revoked_by_client" {
		t.Errorf("logged %v", line)
	}
	w.explain("refresh_token", newest).says(t, "dead", "revoked_by_client")
}

// TestIntrospectionOfABoundFamily checks that introspection tells the key of each token.
func TestIntrospectionOfABoundFamily(t *testing.T) {
	w := newWorld(t)
	w.open("public", `{"dpop":"allowed"}`, `"redirect_uris":["`+callback+`"]`)
	p := w.prover()
	a := p.post(exchangeForm(w.code("scope", "")))
	w.open("confidential", `{"dpop":"allowed"}`, `"redirect_uris":["`+callback+`"]`, `"may_introspect":true`)
	for _, name := range []string{"refresh_token", "access_token"} {
		got := w.introspectAs("app", w.secret, a.text(name))
		cnf, _ := got.json["cnf"].(map[string]any)
		if got.json["active"] != true || cnf["jkt"] != p.jkt() || len(cnf) != 1 {
			t.Errorf("of the %s it says %v", name, got)
		}
		if name == "access_token" && got.text("token_type") != "DPoP" {
			t.Errorf("of the access token it says %v", got)
		}
	}
	b := w.issue(`{"user_id":"alice","client_id":"app"}`)
	for _, name := range []string{"refresh_token", "access_token"} {
		if got := w.introspectAs("app", w.secret, b.text(name)); got.json["active"] != true || got.json["cnf"] != nil || got.text("token_type") == "DPoP" {
			t.Errorf("of the %s of a family that is not bound it says %v", name, got)
		}
	}
}

// TestBoundFamilyUnderEachPolicy checks that the other settings take nothing from a bound family: a superseded token
// gets the newest with the key, and nothing without it.
func TestBoundFamilyUnderEachPolicy(t *testing.T) {
	for name, settings := range map[string]string{
		"default":    `{}`,
		"strict":     `{"reuse_interval":0}`,
		"observe":    `{"reuse_detection":"observe","observe_until":"2030-01-20T00:00:00Z"}`,
		"until used": `{"lost_response":"until_used"}`,
		"no ends":    `{"absolute_lifetime":0,"idle_lifetime":0}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newBoundWorld(t, "required")
			w.repolicy(strings.TrimSuffix(strings.Replace(settings, "{}", `{"rotation":true}`, 1), "}") + `,"dpop":"required"}`)
			p := w.prover()
			first, newest := p.supersede()
			if a := w.refresh(first); !a.unproven() {
				t.Errorf("without a proof: %v", a)
			}
			if a := w.prover().refresh(first); !a.refused(http.StatusBadRequest) {
				t.Errorf("with another key: %v", a)
			}
			a := p.refresh(first)
			if a.status != http.StatusOK || a.text("refresh_token") != newest {
				t.Errorf("with the key: %v", a)
			}
			f := w.recordOf(newest)
			if f.Counter != 2 || f.Skipped.To != 0 || !f.Revoked.At.IsZero() || w.lateEvents() != 1 || len(w.logged("ferrt")) != 0 {
				t.Errorf("the record is %+v", f)
			}
			if a := p.refresh(newest); a.status != http.StatusOK {
				t.Errorf("the newest: %v", a)
			}
		})
	}
	t.Run("without rotation", func(t *testing.T) {
		w := newBoundWorld(t, "required")
		w.repolicy(`{"dpop":"required","rotation":false}`)
		p := w.prover()
		token := p.bound().text("refresh_token")
		for range 3 {
			w.clock.Advance(25 * time.Hour)
			if a := w.refresh(token); !a.unproven() {
				t.Errorf("without a proof: %v", a)
			}
			if a := p.refresh(token); a.status != http.StatusOK || a.text("refresh_token") != token {
				t.Errorf("with the key: %v", a)
			}
		}
	})
}

// TestLimitOfBoundFamilies checks that the limit ends bound families as others, and that a late use counts as one.
func TestLimitOfBoundFamilies(t *testing.T) {
	w := newBoundWorld(t, "required")
	p, other := w.prover(), w.prover()
	late, _ := p.supersede()
	idle := other.bound().text("refresh_token")
	w.clock.Advance(2 * time.Minute)
	if a := p.refresh(late); a.status != http.StatusOK {
		t.Fatal(a)
	}
	w.clock.Advance(2 * time.Minute)
	w.repolicy(`{"dpop":"required","max_active":2}`)
	w.prover().bound()
	w.sweep()
	if a := other.refresh(idle); !a.refused(http.StatusBadRequest) {
		t.Errorf("the one that was used least recently got %v", a)
	}
	if line, _ := w.last("fertft"); line["cause"] != "limit_exceeded" {
		t.Errorf("logged %v", line)
	}
	if a := p.refresh(late); a.status != http.StatusOK {
		t.Errorf("the one with the late use got %v", a)
	}
}

// TestErasedWhileLate checks a family whose record goes while a late use of it is written: nothing comes back.
func TestErasedWhileLate(t *testing.T) {
	w := newBoundWorld(t, "required")
	p := w.prover()
	first, _ := p.supersede()
	server := w.meanwhile(1, "TransactWriteItems", func() { w.also(http.StatusOK, http.MethodDelete, "/v1/users?user_id=alice", "", "") })
	a := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(first), "DPoP", p.proof())
	if !a.refused(http.StatusBadRequest) {
		t.Errorf("got %v", a)
	}
	if line, _ := w.last("fertft"); line["cause"] != "purged" || w.lateEvents() != 0 {
		t.Errorf("logged %v", line)
	}
}

// TestSlowLateUse checks a late use during which the family moves on: the answer is decided again, and is the newest
// token of then.
func TestSlowLateUse(t *testing.T) {
	w := newBoundWorld(t, "required")
	p := w.prover()
	first, newest := p.supersede()
	var moved string
	server := w.meanwhile(1, "TransactWriteItems", func() { moved = p.refresh(newest).text("refresh_token") })
	a := w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(first), "DPoP", p.proof())
	if a.status != http.StatusOK || a.text("refresh_token") != moved || moved == newest {
		t.Errorf("got %v", a)
	}
	if n := w.lateEvents(); n != 1 {
		t.Errorf("%d events are stored", n)
	}
}
