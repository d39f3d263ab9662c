package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
)

// TestRotationTimes checks that the record has the times of the last rotation and of the last
// use.
func TestRotationTimes(t *testing.T) {
	w := newWorld(t)
	tok, familyID := w.login()
	id, err := family.ParseID(familyID)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		w.clock.Advance(time.Duration(n+1) * time.Hour)
		tok = w.rotate(tok)
		f, err := w.table.Family(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if now := w.clock.Now(); !f.RotatedAt.Equal(now) || !f.LastUsedAt.Equal(now) {
			t.Errorf("after %d rotations: rotated at %v, last used at %v, now is %v", n+1, f.RotatedAt, f.LastUsedAt, now)
		}
	}
}

// TestLastRotationFromElsewhere checks that a reuse is compared with the last rotation, and
// not with the login or an earlier rotation.
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
	w.clock.Advance(time.Minute)
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
