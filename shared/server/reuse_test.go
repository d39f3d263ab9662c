package server_test

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/token"
)

// mint returns the family's token with that number as the service would make it.
func (w *world) mint(familyID string, counter uint32) string {
	w.t.Helper()
	id, err := family.ParseID(familyID)
	if err != nil {
		w.t.Fatal(err)
	}
	minted := w.keys.Codec.Mint(token.Token{Family: id, Counter: counter}, w.clock.Now()).Reveal()
	trail.add("refresh_token", minted)
	return minted
}

// TestStraggler checks that a delayed request gets the newest token until an interval after
// the successor was made. Later it ends the family, but no other family of the user.
func TestStraggler(t *testing.T) {
	w := newWorld(t)
	a, id := w.login()
	other, _ := w.login()
	b := w.rotate(a)
	w.clock.Advance(20 * time.Second)
	if got := w.rotate(b); got != b {
		t.Error("the family rotated twice in one interval")
	}
	w.clock.Advance(20 * time.Second)
	if got := w.rotate(a); got != b {
		t.Error("the straggler did not get the newest token")
	}
	if got := w.counter(id); got != 2 {
		t.Errorf("the counter is %d", got)
	}
	honoured := w.logged("sertft")
	last := honoured[len(honoured)-1]
	if last["reused"] != true || last["ageMs"] != 40_000.0 || last["tokenCounter"] != 1.0 || last["latestCounter"] != 2.0 {
		t.Errorf("the reuse was logged as %v", last)
	}
	if len(w.logged("ferrt")) != 0 {
		t.Error("reuse was detected")
	}

	w.clock.Advance(20 * time.Second)
	c := w.rotate(b)
	w.clock.Advance(20 * time.Second)
	if got := w.refresh(a); !got.refused(http.StatusBadRequest) {
		t.Fatalf("a replay got %v", got)
	}
	lines := w.logged("ferrt")
	if len(lines) != 1 {
		t.Fatalf("%d ferrt lines", len(lines))
	}
	for name, want := range map[string]any{
		"familyId": id, "userId": "u", "clientId": "app", "tokenCounter": 1.0, "latestCounter": 3.0, "ageMs": 20_000.0, "cause": "reuse_detected",
	} {
		if lines[0][name] != want {
			t.Errorf("%s is %v, not %v", name, lines[0][name], want)
		}
	}
	for _, tok := range []string{a, b, c} {
		w.dead(tok, family.ReuseDetected)
	}
	w.rotate(other)
	if f := w.family(id); f.text("status") != "revoked" || f.text("cause") != "reuse_detected" {
		t.Errorf("the family is %v", f)
	}
}

// TestReuseFromElsewhere checks that the address and user agent of a reuse are compared with
// those of the rotation.
func TestReuseFromElsewhere(t *testing.T) {
	w := newWorld(t)
	first, _ := w.login()
	post := func(agent string) map[string]any {
		a := w.send(http.MethodPost, "/oauth/token", formType, refreshForm(first), "User-Agent", agent)
		if a.status != http.StatusOK {
			t.Fatal(a)
		}
		lines := w.logged("sertft")
		return lines[len(lines)-1]
	}
	post("Firefox")
	if line := post("Firefox"); line["otherUserAgent"] != nil || line["otherIp"] != nil {
		t.Errorf("the same browser was logged as %v", line)
	}
	if line := post("curl"); line["otherUserAgent"] != true || line["otherIp"] != nil {
		t.Errorf("another program was logged as %v", line)
	}
}

// TestLostResponse checks that a phone whose last response was lost keeps its session after an
// hour offline, even if it sends several requests at once.
func TestLostResponse(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","policy":{"lost_response":"until_used"}}`)
	first, id := w.login()
	second := w.rotate(first)
	lost := w.later(second)
	w.clock.Advance(time.Hour)
	w.refresh("none") // caches the client
	w.store.Counted()
	third := w.rotate(second)
	if calls := w.store.Counted(); len(calls) != 2 {
		t.Errorf("the store was asked %v", calls)
	}
	if third == lost || w.counter(id) != 4 {
		t.Errorf("the counter is %d", w.counter(id))
	}
	lines := w.logged("sertft")
	if last := lines[len(lines)-1]; last["lostResponse"] != true || last["ageMs"] != 3_600_000.0 {
		t.Errorf("logged as %v", last)
	}
	if got := w.rotate(second); got != third {
		t.Error("a racer with the same token got another successor")
	}
	var skipped []any
	for _, m := range w.family(id).json["timeline"].([]any) {
		if m := m.(map[string]any); m["event"] == "skipped" {
			skipped = append(skipped, m["counter"])
		}
	}
	if len(skipped) != 1 || skipped[0] != 3.0 {
		t.Errorf("skipped in the timeline: %v", skipped)
	}
	// The next response is lost as well.
	w.clock.Advance(time.Hour)
	fourth := w.rotate(second)
	w.rotate(fourth)
	if n := len(w.logged("ferrt")); n != 0 {
		t.Errorf("%d ferrt lines", n)
	}
}

// TestRacerAfterALostResponse checks two callers that present a token whose response was lost.
// The first skips the lost successor and may go on rotating. The interval of the second begins
// at that skip: inside it, the second gets the newest token, and only after it counts as
// reuse.
func TestRacerAfterALostResponse(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","policy":{"lost_response":"until_used"}}`)
	first, _ := w.login()
	w.rotate(first) // the response is lost
	w.clock.Advance(time.Hour)
	third := w.rotate(first)
	w.clock.Advance(time.Second)
	newest := w.rotate(third) // held, which counts as use
	if got := w.rotate(first); got != newest {
		t.Error("the racer got another token than the newest")
	}
	w.clock.Advance(59 * time.Second)
	if a := w.refresh(first); !a.refused(http.StatusBadRequest) {
		t.Errorf("after the interval: %v", a)
	}
	w.dead(newest, family.ReuseDetected)
}

// TestLostResponseFindsTheThief checks that a thief who waits until the victim is idle gets a
// token, but is detected at the victim's next refresh.
func TestLostResponseFindsTheThief(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","policy":{"lost_response":"until_used"}}`)
	stolen, _ := w.login()
	victims := w.rotate(stolen)
	w.clock.Advance(time.Hour)
	thiefs := w.rotate(stolen)
	if a := w.refresh(victims); !a.refused(http.StatusBadRequest) {
		t.Fatalf("the victim got %v", a)
	}
	lines := w.logged("ferrt")
	if len(lines) != 1 || lines[0]["tokenCounter"] != 2.0 || lines[0]["latestCounter"] != 3.0 {
		t.Errorf("logged %v", lines)
	}
	w.dead(thiefs, family.ReuseDetected)
}

func TestLostResponseRevokesByDefault(t *testing.T) {
	w := newWorld(t)
	first, _ := w.login()
	lost := w.rotate(first)
	w.clock.Advance(time.Hour)
	if a := w.refresh(first); !a.refused(http.StatusBadRequest) {
		t.Errorf("got %v", a)
	}
	w.dead(lost, family.ReuseDetected)
}

func TestStrict(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","policy":{"reuse_interval":0}}`)
	first, _ := w.login()
	second := w.rotate(first)
	if a := w.refresh(first); !a.refused(http.StatusBadRequest) || len(w.logged("ferrt")) != 1 {
		t.Errorf("the second use got %v", a)
	}
	w.dead(second, family.ReuseDetected)
}

// TestClockThatRanAhead checks that a rotation by a server whose clock was ahead counts as
// just now: the superseded token is neither older nor younger.
func TestClockThatRanAhead(t *testing.T) {
	w := newWorld(t)
	first, _ := w.login()
	w.clock.Advance(30 * time.Second)
	second := w.rotate(first)
	w.clock.Advance(-30 * time.Second)
	if got := w.rotate(first); got != second {
		t.Error("did not get the newest token")
	}
	lines := w.logged("sertft")
	if last := lines[len(lines)-1]; last["ageMs"] != 0.0 {
		t.Errorf("logged as %v", last)
	}
}

// TestRestoredBackup checks that a family moves ahead to a token that is newer than the table,
// because the service issued it before the table was restored from a backup.
func TestRestoredBackup(t *testing.T) {
	w := newWorld(t)
	_, id := w.login()
	newer := w.mint(id, 41)
	successor := w.rotate(newer)
	if _, n := w.content(successor); n != 41 || w.counter(id) != 41 {
		t.Errorf("token %d, counter %d", n, w.counter(id))
	}
	lines := w.logged("ahead")
	if len(lines) != 1 || lines[0]["tokenCounter"] != 41.0 || lines[0]["latestCounter"] != 1.0 || lines[0]["level"] != "WARN" {
		t.Errorf("logged %v", lines)
	}
	if n := w.storedEvents("ahead"); n != 1 {
		t.Errorf("%d events stored", n)
	}
	if got := w.rotate(newer); got != successor {
		t.Error("a racer with the same token got another successor")
	}
	// The token before it may have been superseded right before the restore.
	if got := w.rotate(w.mint(id, 40)); got != successor {
		t.Error("a token one behind did not get the newest one")
	}
	w.later(successor)

	w.dead(w.mint(id, math.MaxUint32), family.CounterSpent)
	w.rotate(w.mint(id, 43))
	if a := w.refresh(w.mint(id, 41)); !a.refused(http.StatusBadRequest) || len(w.logged("ferrt")) != 1 {
		t.Errorf("a token two behind got %v", a)
	}
}

// TestRestoredBackupRace checks that of many callers with a token newer than the table one moves
// the family ahead, and that all get that token, also if it does not rotate.
func TestRestoredBackupRace(t *testing.T) {
	for _, policy := range []string{`{}`, `{"rotation":false}`} {
		t.Run(policy, func(t *testing.T) {
			w := newWorld(t, servers(2))
			w.confidential(policy)
			_, id := w.login()
			successors := map[string]bool{}
			for _, a := range w.race(racers(), w.mint(id, 9), "client_secret", w.secret) {
				if a.status != http.StatusOK {
					t.Fatalf("a racer got %v", a)
				}
				successors[a.text("refresh_token")] = true
			}
			if len(successors) != 1 || w.counter(id) != 9 || len(w.logged("ahead")) != 1 {
				t.Errorf("%d successors, counter %d, %d events", len(successors), w.counter(id), len(w.logged("ahead")))
			}
		})
	}
}

func TestLostResponseRace(t *testing.T) {
	w := newWorld(t, servers(2))
	w.putClient("app", `{"type":"public","policy":{"lost_response":"until_used"}}`)
	first, id := w.login()
	w.rotate(first)
	w.clock.Advance(time.Hour)
	successors := map[string]bool{}
	for _, a := range w.race(racers(), first) {
		if a.status != http.StatusOK {
			t.Fatalf("a racer got %v", a)
		}
		successors[a.text("refresh_token")] = true
	}
	if len(successors) != 1 || w.counter(id) != 3 {
		t.Errorf("%d successors, counter %d", len(successors), w.counter(id))
	}
}

func TestUnknownFamily(t *testing.T) {
	w := newWorld(t)
	id, err := family.NewID(w.keys.Users.Key("nobody"), w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.dead(w.mint(id.String(), 1), family.Purged)
}

func TestWrongClient(t *testing.T) {
	w := newWorld(t)
	w.putClient("other", `{"type":"public"}`)
	first, id := w.login()
	w.dead(first, family.WrongClient, "client_id", "other")
	if w.counter(id) != 1 {
		t.Error("the counter moved")
	}
	w.rotate(first)
}

// TestObserve checks that while reuse is only observed, the newest token is returned, and what
// would have been revoked is recorded once.
func TestObserve(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", fmt.Sprintf(`{"type":"public","policy":{"reuse_detection":"observe","observe_until":%q}}`,
		w.clock.Now().Add(24*time.Hour).Format(time.RFC3339)))
	first, id := w.login()
	newest := w.rotate(first)
	w.clock.Advance(time.Hour)
	for range 3 {
		if got := w.rotate(first); got != newest {
			t.Error("did not get the newest token")
		}
	}
	lines := w.logged("ferrt")
	if len(lines) != 1 || lines[0]["observed"] != true || lines[0]["tokenCounter"] != 1.0 || w.storedEvents("ferrt") != 1 {
		t.Errorf("recorded %v", lines)
	}
	if f := w.family(id); f.text("status") != "active" {
		t.Errorf("the family is %v", f)
	}
	w.clock.Advance(24 * time.Hour)
	if a := w.refresh(first); !a.refused(http.StatusBadRequest) {
		t.Errorf("when observing is over: %v", a)
	}
	w.dead(newest, family.ReuseDetected)
}
