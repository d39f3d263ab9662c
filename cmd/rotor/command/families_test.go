package command_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/command"
	"github.com/rotor-auth/rotor/cmd/rotor/terminal"
	"github.com/rotor-auth/rotor/shared/logtest"
)

func TestExplain(t *testing.T) {
	w := newWorld(t)
	tokens := w.login("alice", "Pixel 9")
	if r := w.run(" "+tokens.RefreshToken+"\r\n", "explain"); r.code != 0 || !strings.HasPrefix(r.out, "verdict\tvalid\n") || r.err != "" {
		t.Errorf("a good token: %+v", r)
	}
	w.reuse(tokens)
	for name, r := range map[string]result{
		"refresh token": w.run(tokens.RefreshToken, "explain"),
		"access token":  w.run(tokens.AccessToken, "explain", "--client", "demo-spa"),
		"family":        w.run("", "explain", "--family", tokens.Family),
		"sid":           w.run("", "explain", "--sid", sid(t, tokens), "--user", "alice"),
	} {
		if r.code != 3 || r.err != "" {
			t.Errorf("a dead %s: %+v", name, r)
		}
		for _, want := range []string{"cause\treuse_detected\n", "The family was revoked on ", "advice\tThe previous token came back", "user\talice\n", "device\tPixel 9\n", "family\t" + tokens.Family, "recommended_reuse_interval\t300\n"} {
			if !strings.Contains(r.out, want) {
				t.Errorf("of a dead %s there is no %q in\n%s", name, want, r.out)
			}
		}
		moments := slices.DeleteFunc(rows(r.out), func(row []string) bool { return row[0] != "moment" })
		if len(moments) != 3 || len(moments[2]) != 9 || moments[2][2] != "reuse_detected" || moments[2][3] != "1" || moments[2][4] != "2" {
			t.Errorf("the timeline is %q", moments)
		}
		if _, err := time.Parse(time.RFC3339, moments[0][1]); err != nil {
			t.Error(err)
		}
	}
	r := w.run(tokens.RefreshToken, "explain", "--json")
	if x := decode[manage.Explanation](t, r.out); r.code != 3 || x.Cause != "reuse_detected" || len(x.Timeline) != 3 {
		t.Errorf("as JSON: %+v", r)
	}
	if r := w.run("nonsense", "explain"); r.code != 3 || !strings.Contains(r.out, "malformed") {
		t.Errorf("nonsense: %+v", r)
	}
	for what, text := range map[string]string{
		"binary": "\x7fELF\x02\x01\x00\x00", "no UTF-8": "\xff\xfe", "long": strings.Repeat("x", 16<<10), "long as JSON": strings.Repeat(`"`, 9000),
	} {
		if r := w.run(text, "explain"); r.code != 2 || r.out != "" || !strings.Contains(r.err, "that is no token") {
			t.Errorf("%s: %+v", what, r)
		}
	}
	if r := w.run(strings.Repeat("x", 65<<10), "explain"); r.code != 1 || !strings.Contains(r.err, "longer than") {
		t.Errorf("a long input: %+v", r)
	}
	if r := w.run("", "explain", "--family", "nope"); r.code != 2 || r.out != "" || !strings.Contains(r.err, "no id of a family") {
		t.Errorf("no family: %+v", r)
	}
}

// sid returns what an access token has as its sid.
func sid(t *testing.T, tokens *manage.Tokens) string {
	t.Helper()
	var claims struct{ SID string }
	part, err := base64.RawURLEncoding.DecodeString(strings.Split(tokens.AccessToken, ".")[1])
	if err != nil || json.Unmarshal(part, &claims) != nil || claims.SID == "" {
		t.Fatalf("the access token has no sid: %v", err)
	}
	return claims.SID
}

func TestFamilies(t *testing.T) {
	w := newWorld(t)
	phone := w.login("alice", "Pixel\t9")
	w.reuse(phone)
	laptop := w.login("alice", "ThinkPad")
	got := rows(w.ok("families", "alice"))
	if len(got) != 2 || got[0][0] != laptop.Family || got[0][2] != "active" || got[1][0] != phone.Family || got[1][3] != "reuse_detected" || len(got[1]) != 9 {
		t.Errorf("the families are %q", got)
	}
	if got := rows(w.ok("families", "--user", "alice", "--status", "active", "--client", "demo-spa")); len(got) != 1 || got[0][6] != "ThinkPad" {
		t.Errorf("the living families are %q", got)
	}
	lines := strings.Split(strings.TrimSpace(w.ok("families", "alice", "--json")), "\n")
	if len(lines) != 2 || decode[manage.Family](t, lines[0]+"\n").ID != laptop.Family {
		t.Errorf("as JSON: %q", lines)
	}
	if got := w.ok("families", "nobody"); got != "" {
		t.Errorf("nobody has %q", got)
	}
	if r := w.run("", "families", "alice", "--status", "dead"); r.code != 2 || !strings.Contains(r.err, "status") {
		t.Errorf("an unknown status: %+v", r)
	}
	if got := w.ok("families", "--", "-odd"); got != "" {
		t.Errorf("-odd has %q", got)
	}
}

func TestRevoke(t *testing.T) {
	w := newWorld(t)
	var logins []*manage.Tokens
	for i := range 3 {
		logins = append(logins, w.login("alice", fmt.Sprint("device ", i)))
	}
	active := func() int { return len(rows(w.ok("families", "alice", "--status", "active"))) }
	r := w.run("", "revoke", "--user", "alice", "--dry-run", "--json")
	if r.code != 0 || r.out != `{"revoked":3,"dry_run":true}`+"\n" || !strings.Contains(r.err, `would end 3 living families of user "alice"`) || active() != 3 {
		t.Errorf("a dry run: %+v", r)
	}
	if r := w.run("", "revoke", logins[0].Family, "--dry-run"); r.code != 0 || r.out != "1 family would end\n" || !strings.Contains(r.err, `on "device 0"`) || active() != 3 {
		t.Errorf("a dry run of one: %+v", r)
	}
	if r := w.run("y\n", "revoke", "--user", "alice"); r.code != 2 || active() != 3 {
		t.Errorf("an answer that is no terminal's: %+v", r)
	}
	if got := w.ok("revoke", logins[0].Family, "--yes"); got != "1 family ended\n" || active() != 2 {
		t.Errorf("one family: %s", got)
	}
	if r := w.run("", "revoke", "--family", logins[0].Family, "--yes", "--json"); r.code != 0 || r.out != `{"revoked":0}`+"\n" || !strings.Contains(r.err, "has ended already: revoked_by_admin") {
		t.Errorf("the same again: %+v", r)
	}
	if got := w.ok("revoke", "--user", "alice", "--except", logins[1].Family, "--yes"); got != "1 family ended\n" || active() != 1 {
		t.Errorf("all but one: %s", got)
	}
	if r := w.run("", "revoke", "--user", "alice", "--except", logins[0].Family, "--yes"); r.code != 1 || !strings.Contains(r.err, "except must be a living family") {
		t.Errorf("all but a dead one: %+v", r)
	}
	if got := w.ok("revoke", "--user", "alice", "--client", "demo-web", "--yes"); got != "0 families ended\n" || active() != 1 {
		t.Errorf("in another client: %s", got)
	}
	if got := w.ok("revoke", "--user", "alice", "--cause", "password_changed", "--yes", "--json"); got != `{"revoked":1}`+"\n" || active() != 0 {
		t.Errorf("all: %s", got)
	}
	got := rows(w.ok("families", "alice")) // those of one millisecond are in any order
	if !slices.ContainsFunc(got, func(row []string) bool { return row[0] == logins[1].Family && row[3] == "password_changed" }) {
		t.Errorf("the families are %q", got)
	}
	if r := w.run("", "revoke", "no-such-family", "--yes"); r.code != 2 || r.err == "" {
		t.Errorf("an id that is none: %+v", r)
	}
	if r := w.run("", "revoke", "--user", "alice", "--cause", "boredom", "--yes"); r.code != 2 || !strings.Contains(r.err, "cause") {
		t.Errorf("a cause that is none: %+v", r)
	}
}

// TestIDsThatBeginWithADash checks that an id is not taken for flags: one in 64 begins so.
func TestIDsThatBeginWithADash(t *testing.T) {
	w := newWorld(t)
	var tokens, other *manage.Tokens
	for i := 0; tokens == nil || tokens.Family[0] != '-'; i++ {
		if i == 2000 {
			t.Fatal("no id begins with a dash")
		}
		tokens = w.login(fmt.Sprint("user-", i), "")
	}
	f, err := w.Family(t.Context(), tokens.Family)
	if err != nil {
		t.Fatal(err)
	}
	other = w.login(f.UserID, "")
	if got := w.ok("revoke", "--user", f.UserID, "--except", tokens.Family, "--dry-run"); got != "1 family would end\n" {
		t.Errorf("--except: %s", got)
	}
	if r := w.run("", "explain", "--family", other.Family); r.code != 0 {
		t.Errorf("--family: %+v", r)
	}
	if got := w.ok("revoke", tokens.Family, "--yes"); got != "1 family ended\n" {
		t.Errorf("an argument: %s", got)
	}
}

func TestErase(t *testing.T) {
	w := newWorld(t)
	tokens := w.login("alice", "")
	w.ok("revoke", tokens.Family, "--yes")
	w.login("alice", "")
	if got := w.ok("erase", "alice", "--dry-run", "--json"); got != `{"families":2,"events":1,"dry_run":true}`+"\n" || len(rows(w.ok("families", "alice"))) != 2 {
		t.Errorf("a dry run: %s", got)
	}
	if got := w.ok("erase", "alice", "--yes"); got != "2 families and 1 stored event erased\n" || w.ok("families", "alice") != "" {
		t.Errorf("erased: %s", got)
	}
	events := strings.TrimSuffix(w.ok("events", "--type", "sdu", "--json"), "\n")
	key := decode[manage.Event](t, events+"\n").UserKey
	if got := w.ok("erase", "--user-key", key, "--yes", "--json"); got != `{"families":0,"events":0}`+"\n" {
		t.Errorf("by key: %s", got)
	}
}

func TestEvents(t *testing.T) {
	w := newWorld(t)
	dead := w.login("alice", "")
	w.reuse(dead)
	w.ok("revoke", w.login("bob", "").Family, "--yes")
	w.login("carol", "")
	w.login("carol", "")
	w.ok("revoke", "--user", "carol", "--yes")
	w.ok("erase", "dave", "--yes")
	all := rows(w.ok("events"))
	var types []string
	for i, row := range all {
		types = append(types, row[1])
		if i > 0 && row[0] > all[i-1][0] {
			t.Errorf("%q is newer than what stands before it", row)
		}
	}
	if want := []string{"sdu", "srrt", "srrt", "ferrt"}; !slices.Equal(types, want) {
		t.Errorf("the types are %v, not %v", types, want)
	}
	if all[3][2] != "alice" || all[3][4] != dead.Family || all[3][5] != "reuse_detected" || all[1][2] != "carol" || all[1][4] != "2 families" || all[1][7] != "local" {
		t.Errorf("the events are %q", all)
	}
	for args, want := range map[string]int{
		"--user bob": 1, "--user nobody": 0, "--type srrt": 2, "--user alice --type srrt": 0, "--family " + dead.Family: 1, "--from 1d": 4,
		"--to " + time.Now().Add(-time.Hour).Format(time.RFC3339): 0,
	} {
		if got := rows(w.ok(append([]string{"events"}, strings.Fields(args)...)...)); len(got) != want {
			t.Errorf("events %s: %q", args, got)
		}
	}
	if lines := strings.Split(strings.TrimSpace(w.ok("events", "--json", "--type", "ferrt")), "\n"); len(lines) != 1 || decode[manage.Event](t, lines[0]+"\n").UserID != "alice" {
		t.Errorf("as JSON: %q", lines)
	}
}

// TestFollow checks that each event is written once, in order, until the interrupt.
func TestFollow(t *testing.T) {
	w := newWorld(t)
	w.ok("revoke", w.login("user-0", "").Family, "--yes")
	target, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	// Once it has answered, the service fails for a while.
	var asked, fails atomic.Int32
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if n := asked.Add(1); n == 7 || n == 8 {
			fails.Add(1)
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		proxy.ServeHTTP(rw, r)
	}))
	defer front.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var out, errs logtest.Buffer
	done := make(chan int, 1)
	go func() {
		done <- command.Main(ctx, []string{"events", "--follow"}, func(string) string { return front.URL }, terminal.New(strings.NewReader(""), &out, &errs))
	}()
	users := func() (all []string) {
		for _, row := range rows(out.String()) {
			all = append(all, row[2])
		}
		return all
	}
	want := []string{"user-0"}
	for i := 1; i <= 3; i++ {
		for deadline := time.Now().Add(time.Minute); !slices.Equal(users(), want); {
			if time.Now().After(deadline) || len(users()) > len(want) {
				t.Fatalf("the events are of %v, not of %v\n%s", users(), want, errs.String())
			}
			select {
			case code := <-done:
				t.Fatalf("ended with %d: %s", code, errs.String())
			case <-time.After(20 * time.Millisecond):
			}
		}
		if i == 3 {
			break
		}
		for range 2 { // between two questions
			user := fmt.Sprint("user-", len(want))
			w.ok("revoke", w.login(user, "").Family, "--yes")
			want = append(want, user)
		}
	}
	interrupt()
	if code := <-done; code != 0 || fails.Load() != 2 || strings.Count(errs.String(), "It is asked again until it answers.") != 1 {
		t.Errorf("ended with %d after %d failures: %s", code, fails.Load(), errs.String())
	}
}

// TestInterrupt checks that an interrupted command has not succeeded, and blames nobody.
func TestInterrupt(t *testing.T) {
	called := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(called)
		<-r.Context().Done()
	}))
	defer srv.Close()
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		<-called
		interrupt()
	}()
	var out, errs logtest.Buffer
	code := command.Main(ctx, []string{"families", "alice"}, func(string) string { return srv.URL }, terminal.New(strings.NewReader(""), &out, &errs))
	if code != 1 || errs.String() != "rotor: interrupted\n" || out.String() != "" {
		t.Errorf("ended with %d: %s%s", code, out.String(), errs.String())
	}
}
