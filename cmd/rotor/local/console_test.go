package local

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/console/timeline"
	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/logtest"
)

// browser is a browser with its cookies.
type browser struct {
	p    *program
	http *http.Client
}

func (p *program) browser() *browser {
	p.tb.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.tb.Fatal(err)
	}
	return &browser{p, &http.Client{Jar: jar, Transport: p.client.Transport}}
}

// send makes a request as a browser does, follows redirects, and returns the page.
func (b *browser) send(method, path string, form url.Values) (status int, page string) {
	b.p.tb.Helper()
	r := b.p.request(method, path, form.Encode())
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Site", "none")
	r.Header.Del("Content-Type")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Origin", regexp.MustCompile(`^http://[^/]+`).FindString(b.p.url))
	}
	answer, err := b.http.Do(r)
	if err != nil {
		b.p.tb.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		b.p.tb.Fatal(err)
	}
	if secrets.Match(body) {
		b.p.tb.Errorf("%s %s: the page has a secret: %s", method, path, secrets.Find(body))
	}
	return answer.StatusCode, string(body)
}

// do does a step of the playground, and returns the page.
func (b *browser) do(step string) string {
	b.p.tb.Helper()
	status, page := b.send(http.MethodPost, "/console/play", url.Values{"do": {step}, "client": {"demo-spa"}})
	if status != http.StatusOK {
		b.p.tb.Fatalf("%s: %d\n%s", step, status, page)
	}
	return page
}

// wants fails unless the page has each of the texts.
func (b *browser) wants(page string, texts ...string) {
	b.p.tb.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			b.p.tb.Errorf("the page has no %q:\n%s", text, page)
		}
	}
}

// TestAddressIsAPageForBrowsers checks that the address that is printed opens in a browser, and is
// what it was for programs.
func TestAddressIsAPageForBrowsers(t *testing.T) {
	for _, base := range []string{"", "/auth", "/a/console"} {
		p := start(t, map[string]string{"BASE_PATH": base})
		b := p.browser()
		for _, path := range []string{"", "/"} {
			status, page := b.send(http.MethodGet, path, nil)
			if status != http.StatusOK {
				t.Errorf("%s%s: %d", base, path, status)
			}
			b.wants(page, "Log in as Alice", `action="`+base+`/console/play"`, `href="`+base+`/console/assets/console.css`)
			for _, accept := range []string{"", "*/*", "application/json"} {
				r := p.request(http.MethodGet, path, "")
				r.Header.Set("Accept", accept)
				if got := p.send(r); got.status != http.StatusNotFound {
					t.Errorf("%s%s for a program: %d", base, path, got.status)
				}
			}
		}
		b.wants(b.do("login"), "Five tabs at once", "Next:", base+"/console/explain?family=")
		for _, path := range []string{"/console", "/console/explain", "/console/assets/console.css"} {
			if status, _ := b.send(http.MethodGet, path, nil); status != http.StatusOK {
				t.Errorf("%s%s: %d", base, path, status)
			}
		}
		r := p.request(http.MethodPost, "/", "{}")
		r.Header.Set("Accept", "text/html")
		if got := p.send(r); got.status != http.StatusNotFound {
			t.Errorf("a post: %d", got.status)
		}
	}
}

// TestConsoleIsGuarded checks that the console is kept from pages of other origins here as well.
func TestConsoleIsGuarded(t *testing.T) {
	p := start(t, nil)
	for _, path := range []string{"/", "/console/explain", "/console/play"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			for host, header := range map[string][2]string{
				"evil.example": {"Sec-Fetch-Site", "same-origin"}, "127.0.0.1": {"Sec-Fetch-Site", "same-site"}, "localhost": {"Origin", "http://localhost:1"},
			} {
				r := p.request(method, path, "")
				r.Host = host
				r.Header.Set("Accept", "text/html")
				r.Header.Set(header[0], header[1])
				answer, err := p.client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				if _ = answer.Body.Close(); answer.StatusCode != http.StatusForbidden && answer.StatusCode != http.StatusMisdirectedRequest {
					t.Errorf("%s %s of %s with %v: %d", method, path, host, header, answer.StatusCode)
				}
			}
		}
	}
}

// TestRaceOfAStrictClient checks that the playground says why a client without an interval loses a race.
func TestRaceOfAStrictClient(t *testing.T) {
	p := start(t, nil)
	b := p.browser()
	if status, page := b.send(http.MethodPost, "/console/play", url.Values{"do": {"login"}, "client": {"demo-auth0"}}); status != http.StatusOK {
		t.Fatalf("%d\n%s", status, page)
	}
	b.wants(b.do("tabs"), "This client has no reuse interval: the race was taken for theft", `class="verdict dead"`)
}

// TestPlaygroundTellsTheStory plays the first minute: five tabs, a pause, a thief.
func TestPlaygroundTellsTheStory(t *testing.T) {
	p := start(t, nil)
	b := p.browser()
	b.wants(b.do("login"), "Alice logged in.", `class="verdict valid"`, `value="tabs"><span class="next">`)
	b.wants(b.do("tabs"), "Five answers, and one token in all of them.", "This is token 2", `value="wait-2m"><span class="next">`)
	b.wants(b.do("thief"), "Inside the reuse interval a thief looks like another tab", "used again from elsewhere")
	b.wants(b.do("wait-2m"), "The clock moved on by 2 minutes.", `value="thief"><span class="next">`)
	page := b.do("thief")
	b.wants(page, "The thief got nothing", `class="verdict dead"`, "reuse_detected", "revoked: token 1 came back", "198.51.100.66 the thief&#39;s script",
		"Token 1 was used again", "Let the app refresh: it is told that Alice has to log in again.", `value="refresh"><span class="next">`)
	b.wants(b.do("thief"), "The thief got nothing: the family had ended before.")
	b.wants(b.do("wait-20s"), "The family has ended, and time does not bring it back.")
	b.wants(b.do("refresh"), "It was answered 400 invalid_grant, as the family had ended", "Token 2 was refused", `value="again"><span class="next">`)
	b.wants(b.do("logout"), "which changed nothing: the family had ended before.")
	b.wants(b.do("again"), "Log in as Alice")

	b.do("login")
	b.wants(b.do("lose"), "The app still holds the old token.", "superseded", `class="verdict interval"`)
	b.wants(b.do("refresh"), "The app tried again, with the token that it had saved.", "It got a newer token", "This is token 2")
	b.do("wait-2m")
	b.do("lose")
	b.do("wait-2m")
	b.wants(b.do("refresh"), "It was answered 400 invalid_grant", `class="verdict dead"`)

	b.do("login")
	b.wants(b.do("logout"), "The app revoked its token (status 200)", "revoked_by_client", "logged out by the application")
	b.do("wait-360h")
	b.do("wait-360h")
	b.do("wait-360h")
	b.wants(b.do("wait-360h"), "purged") // there is no record to draw
}

// TestPlaysAreApart checks that each browser plays for itself, that steps without a login do nothing,
// and that steps that there are not are refused.
func TestPlaysAreApart(t *testing.T) {
	p := start(t, nil)
	alice, bob := p.browser(), p.browser()
	alice.do("login")
	for _, step := range []string{"refresh", "tabs", "thief", "logout", "wait-2m"} {
		bob.wants(bob.do(step), "Log in as Alice")
	}
	alice.wants(alice.do("refresh"), "This is token 2")
	for _, form := range []url.Values{{"do": {"nothing"}}, {"do": {"wait-1000h"}}, {"do": {"wait-"}}, {}, {"do": {"login"}, "client": {"demo-web"}}} {
		if status, _ := alice.send(http.MethodPost, "/console/play", form); status != http.StatusBadRequest {
			t.Errorf("%v: %d", form, status)
		}
	}
	// Of many browsers the one that came first is forgotten, and no other.
	bob.do("login")
	for range 63 {
		p.browser().do("login")
	}
	alice.wants(alice.do("refresh"), "Log in as Alice")
	bob.wants(bob.do("refresh"), "This is token 2")
}

// TestCallsOfTheConsoleAreRecorded checks that what the console does is in the audit trail like any call.
func TestCallsOfTheConsoleAreRecorded(t *testing.T) {
	p := start(t, nil)
	p.browser().do("login")
	if log := p.stderr.String(); !strings.Contains(log, `"operation":"issue_family"`) || !strings.Contains(log, `"by":"local"`) || !strings.Contains(log, `"path":"/console/play"`) {
		t.Errorf("the log is\n%s", log)
	}
}

// TestThiefIsNamed checks that the event of a theft and the pages name the thief's address and
// program, and nobody of the management API.
func TestThiefIsNamed(t *testing.T) {
	p := start(t, nil)
	b := p.browser()
	b.do("login")
	b.do("tabs")
	b.do("wait-2m")
	b.wants(b.do("thief"), "<bdi>198.51.100.66 the thief&#39;s script</bdi>")
	status, page := b.send(http.MethodGet, "/console/events?type=ferrt", nil)
	if status != http.StatusOK || strings.Contains(page, "· by ") {
		t.Errorf("%d: %s", status, page)
	}
	b.wants(page, "from 198.51.100.66", "the thief&#39;s script")
}

// TestTrail checks that a family's uses are kept from the lines of the log, by the service's time.
func TestTrail(t *testing.T) {
	seen := newTrail()
	var out logtest.Buffer
	log := slog.New(seen.handler(slog.NewJSONHandler(&out, nil))).With(slog.String("run", "1"))
	begin := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	id, err := family.NewID([16]byte{1}, begin)
	if err != nil {
		t.Fatal(err)
	}
	add := func(after time.Duration, e audit.Event) {
		base := audit.New(e.Type, begin.Add(after))
		e.ID, e.At, e.Family = base.ID, base.At, id
		audit.Trail{Log: log}.Record(t.Context(), &e)
	}
	add(time.Hour, audit.Event{Type: audit.Exchanged, TokenCounter: 1, LatestCounter: 2, IP: "192.0.2.1", UserAgent: "app"})
	add(time.Hour+time.Second, audit.Event{Type: audit.Exchanged, TokenCounter: 1, LatestCounter: 2, Reused: true, Age: time.Second, OtherIP: true})
	add(time.Hour+2*time.Second, audit.Event{Type: audit.Exchanged, TokenCounter: 2, LatestCounter: 2, Held: true, Age: 2 * time.Second})
	add(2*time.Hour, audit.Event{Type: audit.Exchanged, TokenCounter: 1, LatestCounter: 3, LostResponse: true})
	add(3*time.Hour, audit.Event{Type: audit.Revoked, Cause: family.RevokedByAdmin})
	add(4*time.Hour, audit.Event{Type: audit.Refused, TokenCounter: 3, Cause: family.RevokedByAdmin})
	log.InfoContext(t.Context(), "request")
	var got []string
	for _, m := range seen.of(id.String()) {
		got = append(got, fmt.Sprintf("%s %d %d-%d %s %t %q %s", m.At.Sub(begin), m.Kind, m.Token, m.Newest, m.Age, m.Elsewhere, m.From, m.Cause))
	}
	want := []string{
		fmt.Sprintf(`1h0m0s %d 1-2 0s false "192.0.2.1 app" `, timeline.Rotated), fmt.Sprintf(`1h0m1s %d 1-2 1s true "" `, timeline.Reused),
		fmt.Sprintf(`1h0m2s %d 2-2 2s false "" `, timeline.Used), fmt.Sprintf(`2h0m0s %d 1-3 0s false "" `, timeline.Skipped),
		fmt.Sprintf(`4h0m0s %d 3-0 0s false "" revoked_by_admin`, timeline.Refused),
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("kept is\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if n := strings.Count(out.String(), "\n"); n != 7 {
		t.Errorf("%d lines of 7 were written", n)
	}
}

// TestTrailOfACode checks that the uses of a family's code are kept as well: what was refused before its
// exchange, the exchange, and what was refused after it. The reuse that ends the family is in its record.
func TestTrailOfACode(t *testing.T) {
	seen := newTrail()
	var out logtest.Buffer
	log := slog.New(seen.handler(slog.NewJSONHandler(&out, nil)))
	begin := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	id, err := family.NewID([16]byte{1}, begin)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range []audit.Event{
		{Type: audit.CodeRefused, Cause: family.WrongVerifier, IP: "192.0.2.66"},
		{Type: audit.CodeExchanged, LatestCounter: 1, IP: "192.0.2.1", UserAgent: "app"},
		{Type: audit.CodeRefused, LatestCounter: 1, Cause: family.CodeUsed},
		{Type: audit.Reuse, LatestCounter: 1, Cause: family.ReuseDetected},
	} {
		base := audit.New(e.Type, begin.Add(time.Duration(i)*time.Second))
		e.ID, e.At, e.Family, e.OriginToken = base.ID, base.At, id, family.Code
		audit.Trail{Log: log}.Record(t.Context(), &e)
	}
	var got []string
	for _, m := range seen.of(id.String()) {
		got = append(got, fmt.Sprintf("%s %d %s %d-%d %q %s", m.At.Sub(begin), m.Kind, m.Origin, m.Token, m.Newest, m.From, m.Cause))
	}
	want := []string{
		fmt.Sprintf(`0s %d code 0-0 "192.0.2.66" wrong_verifier`, timeline.Refused),
		fmt.Sprintf(`1s %d code 0-1 "192.0.2.1 app" `, timeline.Exchanged),
		fmt.Sprintf(`2s %d code 0-1 "" code_used`, timeline.Refused),
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("kept is\n%s\nnot\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestStoryOfACode checks that a local run tells each use of a code once, with who presented it.
func TestStoryOfACode(t *testing.T) {
	p := start(t, nil)
	const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	sum := sha256.Sum256([]byte(verifier))
	api, err := manage.New(p.url, manage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	code, err := api.StartWithCode(t.Context(), &manage.Login{UserID: "alice", ClientID: "demo-spa"},
		manage.CodeRequest{Challenge: base64.RawURLEncoding.EncodeToString(sum[:])})
	if err != nil {
		t.Fatal(err)
	}
	for _, verifier := range []string{strings.Repeat("x", 43), verifier, verifier} {
		form := url.Values{"grant_type": {"authorization_code"}, "client_id": {"demo-spa"}, "code": {code.Code}, "code_verifier": {verifier}}
		p.form("/oauth/token", form)
	}
	status, page := p.browser().send(http.MethodGet, "/console/explain?family="+code.Family, nil)
	if status != http.StatusOK {
		t.Fatal(status)
	}
	for _, words := range []string{
		"The login: the family begins with an authorization code, its number 0.",
		"The authorization code was refused: it came with another code_verifier than its code_challenge asks for.",
		"The authorization code was exchanged for token 1.", "The authorization code was refused: it had been exchanged before.",
	} {
		if n := strings.Count(page, ">"+words+"</td>"); n != 1 {
			t.Errorf("%q is told %d times:\n%s", words, n, page)
		}
	}
	if strings.Contains(page, "there may have been other uses") {
		t.Error("the page doubts that these were all uses")
	}
}

// TestTrailIsBounded checks that the last uses are kept, of whatever families, and that nothing is
// left of a family whose uses are all forgotten.
func TestTrailIsBounded(t *testing.T) {
	seen := newTrail()
	const each = 250
	for i := range 1000 {
		for n := range each - 1 {
			seen.add(fmt.Sprint(i), timeline.Moment{Newest: uint32(n)})
		}
		seen.add("busy", timeline.Moment{Newest: uint32(i)})
	}
	busy, last := seen.of("busy"), seen.of("999")
	if len(busy) != maxTrail/each || busy[0].Newest != 1000-maxTrail/each || busy[len(busy)-1].Newest != 999 {
		t.Errorf("of the busy family %d uses are kept", len(busy))
	}
	if len(last) != each-1 || last[0].Newest != 0 || last[each-2].Newest != each-2 || seen.of("0") != nil {
		t.Errorf("of the last family %d uses are kept, and of the first %d", len(last), len(seen.of("0")))
	}
	if want := maxTrail/each + 1; len(seen.newest) != want || len(seen.uses) != maxTrail {
		t.Errorf("%d families are known, not %d, and %d uses", len(seen.newest), want, len(seen.uses))
	}
	for i := range maxTrail + 10 {
		seen.add("alone", timeline.Moment{Newest: uint32(i)})
	}
	alone := seen.of("alone")
	if len(alone) != maxTrail || alone[0].Newest != 10 || alone[maxTrail-1].Newest != maxTrail+9 || len(seen.newest) != 1 {
		t.Errorf("kept are %d, of %d families", len(alone), len(seen.newest))
	}
}
