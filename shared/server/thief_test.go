package server_test

import (
	"fmt"
	"net/http"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rotor-auth/rotor/shared/family"
)

// TestFastThief checks that a thief is detected however fast it refreshes. Once it is two
// rotations ahead, the victim's token ends the family and leaves an event.
func TestFastThief(t *testing.T) {
	for _, tt := range []struct {
		name     string
		policy   string
		pace     time.Duration
		times    int
		interval time.Duration
	}{
		{"every 7 s for an hour, an interval of 60 s", `{"reuse_interval":60}`, 7 * time.Second, 515, time.Minute},
		{"every 65 s, as at Atlassian", `{"reuse_interval":600}`, 65 * time.Second, 60, 10 * time.Minute},
		{"every 1.1 s, as at Supabase", `{"reuse_interval":10,"lost_response":"until_used","absolute_lifetime":0,"idle_lifetime":0}`, 1100 * time.Millisecond, 100, 10 * time.Second},
		{"every 7 s, lost responses forgiven", `{"reuse_interval":60,"lost_response":"until_used"}`, 7 * time.Second, 100, time.Minute},
		{"nine at once, then as rarely as it can, an interval of 30 days", `{"reuse_interval":2592000,"absolute_lifetime":0,"idle_lifetime":0}`, 0, 9, 30 * day},
		{"without an interval", `{"reuse_interval":0}`, 0, 3, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.putClient("app", `{"type":"public","policy":`+tt.policy+`}`)
			victims, id := w.login()
			thiefs := w.rotate(victims)
			for range tt.times {
				w.clock.Advance(tt.pace)
				thiefs = w.rotate(thiefs)
			}
			for w.counter(id) < 3 {
				w.clock.Advance(tt.interval)
				thiefs = w.rotate(thiefs)
			}
			w.foundOut(id, victims, thiefs)
		})
	}
}

// foundOut presents the victim's own token, and checks that this ends the family.
func (w *world) foundOut(id, victims, thiefs string) {
	w.t.Helper()
	if a := w.refresh(victims); !a.refused(http.StatusBadRequest) {
		w.t.Fatalf("the victim got %v", a)
	}
	if f := w.family(id); f.text("cause") != "reuse_detected" {
		w.t.Fatalf("the family is %v", f)
	}
	if n := len(w.logged("ferrt")); n == 0 || w.storedEvents("ferrt") == 0 {
		w.t.Fatal("no event is on record")
	}
	w.dead(thiefs, family.ReuseDetected)
}

// TestRandomThief checks that thief and victim cannot both go on, whatever their tokens and
// their pace. The family ends as soon as one presents a token that the other's rotations have
// left behind.
func TestRandomThief(t *testing.T) {
	brief(t)
	checkHistories(t, func(tb historyTB, rt *rapid.T) {
		w := newWorld(tb)
		interval := rapid.SampledFrom([]int{0, 1, 2, 10, 60, 600, 7200, 86_400, int(family.MaxReuseInterval)}).Draw(rt, "interval")
		lost := rapid.SampledFrom([]family.LostResponse{family.Revoke, family.UntilUsed}).Draw(rt, "lost_response")
		w.putClient("app", fmt.Sprintf(`{"type":"public","policy":{"reuse_interval":%d,"lost_response":%q,"absolute_lifetime":0,"idle_lifetime":0}}`, interval, lost))
		w.clock.Advance(time.Minute)
		length := max(time.Duration(interval)*time.Second, time.Second)
		first, id := w.login()
		holds := []string{first, first} // the tokens of the victim and of the thief
		refused := func(who int, presented, newest uint32, a answer) {
			if !a.refused(http.StatusBadRequest) || presented >= newest || w.family(id).text("cause") != "reuse_detected" || w.storedEvents("ferrt") != 1 {
				rt.Fatalf("token %d of %d got %v", presented, newest, a)
			}
			w.dead(holds[1-who], family.ReuseDetected)
		}
		for use := range 60 {
			// A pause is rarely a whole interval, so that long stories occur as well.
			w.clock.Advance(length * time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 10, 100, 500, 999, 1000, 1500}).Draw(rt, "pause")) / 1000)
			who := rapid.SampledFrom([]int{0, 1, 1}).Draw(rt, "who")
			_, presented := w.content(holds[who])
			newest := uint32(w.counter(id))
			a := w.refresh(holds[who])
			switch got := w.successor(a); {
			case a.status == http.StatusOK:
				if got < newest || got > newest+1 || presented+2 <= newest && lost == family.Revoke {
					rt.Fatalf("use %d: token %d of %d got token %d", use, presented, newest, got)
				}
				holds[who] = a.text("refresh_token")
			default:
				refused(who, presented, newest, a)
				return
			}
		}
		// Neither is behind yet: now the thief goes on until the victim is behind, or is
		// detected itself.
		for range 3 {
			w.clock.Advance(length)
			_, presented := w.content(holds[1])
			newest := uint32(w.counter(id))
			a := w.refresh(holds[1])
			if a.status != http.StatusOK {
				refused(1, presented, newest, a)
				return
			}
			holds[1] = a.text("refresh_token")
		}
		w.foundOut(id, holds[0], holds[1])
	})
}

// successor returns the number of an answer's refresh token, or 0 if it has none.
func (w *world) successor(a answer) uint32 {
	w.t.Helper()
	if a.text("refresh_token") == "" {
		return 0
	}
	_, n := w.content(a.text("refresh_token"))
	return n
}

// TestThiefWithoutKey gives a thief every token of a bound family as soon as its owner has it, and checks that it gets
// nothing: without a proof, with one of its own key, or with a damaged one of the owner's. The owner, who presents old
// tokens as well, never notices.
func TestThiefWithoutKey(t *testing.T) {
	for _, policy := range []string{`{"dpop":"required","reuse_interval":0}`, `{"dpop":"allowed","reuse_interval":60,"lost_response":"until_used"}`} {
		w := newWorld(t)
		w.putClient("app", `{"type":"public","policy":`+policy+`}`)
		w.clock.Advance(time.Minute)
		owner, thief := w.prover(), w.prover()
		a := w.issue(fmt.Sprintf(`{"user_id":"u","client_id":"app","dpop_jkt":%q}`, owner.jkt()))
		id, tokens := a.text("family"), []string{a.text("refresh_token")}
		for use := range 30 {
			seen := owner.proof()
			w.clock.Advance([]time.Duration{0, 7 * time.Second, 2 * time.Minute, 20 * time.Minute}[use%4])
			for _, token := range tokens[max(0, len(tokens)-3):] {
				before := w.family(id)
				without, own := w.refresh(token), thief.refresh(token)
				stale := w.send(http.MethodPost, "/oauth/token", formType, refreshForm(token), "DPoP", seen+"x")
				if !without.unproven() || !own.refused(http.StatusBadRequest) || !stale.unproven() {
					t.Fatalf("%s: the thief got %v, %v and %v", policy, without, own, stale)
				}
				if after := w.family(id); !reflect.DeepEqual(after.json, before.json) {
					t.Fatalf("%s: the family is %v, and was %v", policy, after, before)
				}
			}
			a := owner.refresh(tokens[max(0, len(tokens)-1-use%3)])
			if a.status != http.StatusOK {
				t.Fatalf("%s: the owner got %v", policy, a)
			}
			tokens = append(tokens, a.text("refresh_token"))
		}
		if n := len(w.logged("ferrt")); n != 0 || w.storedEvents("ferrt") != 0 {
			t.Errorf("%s: %d reuses are on record", policy, n)
		}
	}
}
