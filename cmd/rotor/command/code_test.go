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

// verifier is the code verifier of every code here.
const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

// code starts a family of the client demo-spa whose tokens the app fetches with a code.
func (w *world) code(userID, device string) *manage.Code {
	w.t.Helper()
	sum := sha256.Sum256([]byte(verifier))
	code, err := w.StartWithCode(w.t.Context(), &manage.Login{UserID: userID, ClientID: "demo-spa", Device: device},
		manage.CodeRequest{Challenge: base64.RawURLEncoding.EncodeToString(sum[:])})
	if err != nil {
		w.t.Fatal(err)
	}
	return code
}

// exchange presents a code of demo-spa with a verifier, and returns the status.
func (w *world) exchange(code, verifier string) int {
	w.t.Helper()
	res, err := http.PostForm(w.url+"/oauth/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"demo-spa"}, "code": {code}, "code_verifier": {verifier},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

// moments returns the lines of a timeline: event, token, newest token and cause of each.
func moments(t *testing.T, text string) (all []string) {
	t.Helper()
	for _, row := range rows(text) {
		if row[0] == "moment" {
			all = append(all, strings.Join(row[2:6], " "))
		}
	}
	return all
}

// TestPendingFamily lists, explains and ends a family whose code waits to be exchanged.
func TestPendingFamily(t *testing.T) {
	w := newWorld(t)
	w.login("alice", "laptop")
	code := w.code("alice", "phone")
	got := rows(w.ok("families", "alice", "--status", "pending"))
	if len(got) != 1 || got[0][0] != code.Family || got[0][2] != "pending" || got[0][8] != "code" {
		t.Errorf("the pending families are %q", got)
	}
	if got := rows(w.ok("families", "alice", "--status", "active")); len(got) != 1 || got[0][6] != "laptop" || got[0][8] != "" {
		t.Errorf("the active families are %q", got)
	}
	for _, r := range []result{w.run(code.Code+"\n", "explain"), w.run("", "explain", "--family", code.Family)} {
		if r.code != 0 || !strings.HasPrefix(r.out, "verdict\tvalid\nsummary\tThis is the authorization code of a family") ||
			!strings.Contains(r.out, "\ntoken\t0\norigin_token\tcode\n") || !strings.Contains(r.out, "\nstatus\tpending\norigin\tcode\ndevice\tphone\nnewest\t0\n") ||
			!slices.Equal(moments(t, r.out), []string{"issued  0 "}) || strings.Contains(r.out, code.Code) {
			t.Errorf("explain: %+v", r)
		}
	}
	const what = `of user "alice" in client "demo-spa", on "phone", whose authorization code was not exchanged yet`
	if r := w.run("", "revoke", code.Family, "--dry-run"); r.code != 0 || r.out != "1 family would end\n" || !strings.Contains(r.err, what) {
		t.Errorf("a dry run: %+v", r)
	}
	if r := w.run("", "revoke", "--user", "alice", "--dry-run"); r.code != 0 || r.out != "2 families would end\n" {
		t.Errorf("a dry run of all: %+v", r)
	}
	if got := w.ok("revoke", code.Family, "--yes"); got != "1 family ended\n" {
		t.Errorf("revoke: %s", got)
	}
	if status := w.exchange(code.Code, verifier); status != http.StatusBadRequest {
		t.Errorf("the code of an ended family is answered %d", status)
	}
	if r := w.run(code.Code, "explain"); r.code != 3 || !strings.Contains(r.out, "cause\trevoked_by_admin\n") || !strings.Contains(r.out, "\norigin_token\tcode\n") {
		t.Errorf("after its end: %+v", r)
	}
}

// TestExplainCode explains codes that are dead: exchanged, reused, and never exchanged.
func TestExplainCode(t *testing.T) {
	w := newWorld(t)
	code := w.code("alice", "phone")
	if w.exchange(code.Code, strings.Repeat("x", 43)) != http.StatusBadRequest || w.exchange(code.Code, verifier) != http.StatusOK {
		t.Fatal("the exchange fails")
	}
	r := w.run(code.Code, "explain")
	if r.code != 3 || !strings.HasPrefix(r.out, "verdict\tdead\ncause\tcode_used\nsummary\tThis is the authorization code of a family") ||
		!slices.Equal(moments(t, r.out), []string{"issued  0 ", "exchanged 0 1 "}) {
		t.Errorf("exchanged: %+v", r)
	}
	r = w.run(code.Code, "explain", "--json")
	if x := decode[manage.Explanation](t, r.out); r.code != 3 || x.OriginToken != "code" || x.TokenCounter != 0 || x.Family.Origin != "code" || x.Family.Status != "active" {
		t.Errorf("as JSON: %+v", r)
	}
	w.advance("2m")
	if status := w.exchange(code.Code, verifier); status != http.StatusBadRequest {
		t.Errorf("the second exchange is answered %d", status)
	}
	r = w.run(code.Code, "explain")
	if r.code != 3 || !strings.Contains(r.out, "cause\treuse_detected\n") || !strings.Contains(r.out, "its authorization code was presented again") ||
		!slices.Equal(moments(t, r.out), []string{"issued  0 ", "exchanged 0 1 ", "reuse_detected 0 1 reuse_detected"}) {
		t.Errorf("reused: %+v", r)
	}
	got := rows(w.ok("events", "--user", "alice"))
	if len(got) != 1 || got[0][1] != "ferrt" || got[0][4] != code.Family || got[0][9] != "code" {
		t.Errorf("the events are %q", got)
	}

	late := w.code("bob", "")
	w.advance("61s")
	if r := w.run(late.Code, "explain"); r.code != 3 || !strings.Contains(r.out, "cause\tcode_expired\n") ||
		!slices.Equal(moments(t, r.out), []string{"issued  0 ", "expired  0 code_expired"}) {
		t.Errorf("expired: %+v", r)
	}
	if r := w.run("", "revoke", late.Family, "--yes"); r.code != 0 || r.out != "0 families ended\n" || !strings.Contains(r.err, "has ended already: code_expired") {
		t.Errorf("revoke of what never began: %+v", r)
	}
}
