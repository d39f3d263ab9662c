package command_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/clients/manage"
)

// oldToken is a refresh token of another provider.
const oldToken = "v1.MjQ1pX0cV-kZ8mB2sWfT4yHn6uLqRd9aEoGi3JbKv7"

// movesIn imports oldToken as alice's, and returns its family.
func (w *world) movesIn() string {
	w.t.Helper()
	if _, err := w.Register(w.t.Context(), "moving", &manage.Settings{Type: "public", AcceptsImported: &manage.TokenShape{}}); err != nil {
		w.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(oldToken))
	done, err := w.Import(w.t.Context(), "moving", []manage.Import{{UserID: "alice", TokenSHA256: base64.RawURLEncoding.EncodeToString(sum[:]), Device: "phone"}}, false)
	if err != nil || len(done) != 1 {
		w.t.Fatalf("%v, %v", done, err)
	}
	return done[0].Family
}

// present sends oldToken to the token endpoint, and returns the status.
func (w *world) present() int {
	w.t.Helper()
	res, err := http.PostForm(w.url+"/oauth/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"moving"}, "refresh_token": {oldToken}})
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// TestExplainForeign lists and explains a session that moves in, from its import to its end.
func TestExplainForeign(t *testing.T) {
	w := newWorld(t)
	id := w.movesIn()
	got := rows(w.ok("families", "alice", "--status", "pending"))
	if len(got) != 1 || got[0][0] != id || got[0][8] != "imported" {
		t.Errorf("the pending families are %q", got)
	}
	for _, r := range []result{w.run(oldToken+"\n", "explain"), w.run("", "explain", "--family", id)} {
		if r.code != 0 || !strings.HasPrefix(r.out, "verdict\tvalid\nsummary\tThis is another provider's refresh token, imported on ") ||
			!strings.Contains(r.out, "\ntoken\t0\norigin_token\timported\n") || !strings.Contains(r.out, "\nstatus\tpending\norigin\timported\ndevice\tphone\nnewest\t0\n") ||
			!slices.Equal(moments(t, r.out), []string{"imported  0 "}) || strings.Contains(r.out, oldToken) {
			t.Errorf("explain: %+v", r)
		}
	}
	const what = `of user "alice" in client "moving", on "phone", whose old token was not presented yet`
	if r := w.run("", "revoke", id, "--dry-run"); r.code != 0 || !strings.Contains(r.err, what) {
		t.Errorf("a dry run: %+v", r)
	}
	if status := w.present(); status != http.StatusOK {
		t.Fatalf("the old token is answered %d", status)
	}
	if r := w.run(oldToken, "explain"); r.code != 0 || !strings.HasPrefix(r.out, "verdict\tvalid_in_reuse_interval\n") ||
		!slices.Equal(moments(t, r.out), []string{"imported  0 ", "exchanged 0 1 "}) {
		t.Errorf("exchanged: %+v", r)
	}
	w.advance("2m")
	if r := w.run(oldToken, "explain"); r.code != 3 || !strings.Contains(r.out, "cause\tsuperseded\n") || !strings.Contains(r.out, "presenting this token again would be reuse") {
		t.Errorf("superseded: %+v", r)
	}
	if status := w.present(); status != http.StatusBadRequest {
		t.Errorf("the reuse is answered %d", status)
	}
	if r := w.run(oldToken, "explain"); r.code != 3 || !strings.Contains(r.out, "cause\treuse_detected\n") ||
		!slices.Equal(moments(t, r.out), []string{"imported  0 ", "exchanged 0 1 ", "reuse_detected 0 1 reuse_detected"}) {
		t.Errorf("reused: %+v", r)
	}
	if got := rows(w.ok("events", "--user", "alice")); len(got) != 1 || got[0][1] != "ferrt" || got[0][4] != id || got[0][9] != "imported" {
		t.Errorf("the events are %q", got)
	}
	if r := w.run("v1.Mnobody-has-imported-this", "explain"); r.code != 3 || !strings.HasPrefix(r.out, "verdict\tdead\ncause\tnever_imported\n") {
		t.Errorf("a stranger: %+v", r)
	}
}
