package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/family"
)

// The record has the times of the last eight rotations, the newest first, while
// fewer are known and after more.
func TestRotationTimes(t *testing.T) {
	w := newWorld(t)
	tok, familyID := w.login()
	id, err := family.ParseID(familyID)
	if err != nil {
		t.Fatal(err)
	}
	var want [family.KnownRotations]time.Time
	for n := range 12 {
		w.clock.Advance(time.Duration(n+1) * time.Hour)
		tok = w.rotate(tok)
		copy(want[1:], want[:])
		want[0] = w.clock.Now()
		f, err := w.table.Family(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, f.RotatedAt); diff != "" {
			t.Fatalf("after %d rotations: %s", n+1, diff)
		}
		if !f.LastUsedAt.Equal(want[0]) {
			t.Errorf("after %d rotations: last used at %v", n+1, f.LastUsedAt)
		}
	}
}

// A reuse is compared with the last rotation, not with the login or an earlier one.
func TestLastRotationFromElsewhere(t *testing.T) {
	w := newWorld(t)
	tok, familyID := w.login()
	post := func(agent, refreshToken string) string {
		a := w.send(http.MethodPost, "/oauth/token", formType, refreshForm(refreshToken), "User-Agent", agent)
		if a.status != http.StatusOK {
			t.Fatal(a)
		}
		return a.text("refresh_token")
	}
	second := post("Firefox", tok)
	post("Safari", second)
	if f := w.family(familyID); f.text("last_user_agent") != "Safari" {
		t.Errorf("the family is %v", f)
	}
	for agent, other := range map[string]any{"Safari": nil, "Firefox": true} {
		post(agent, second)
		lines := w.logged("sertft")
		if last := lines[len(lines)-1]; last["reused"] != true || last["otherUserAgent"] != other {
			t.Errorf("a reuse from %s was logged as %v", agent, last)
		}
	}
}
