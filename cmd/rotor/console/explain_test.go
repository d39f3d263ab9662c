package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/console/timeline"
)

// stolen plays the theft of the README, and returns the tokens of the login and the newest one.
func (w *world) stolen() (login *manage.Tokens, newest string) {
	w.tb.Helper()
	login = w.login(&manage.Login{UserID: "alice", Device: "Pixel 9"})
	newest = w.refresh(login.RefreshToken)
	w.clock.Advance(2 * time.Minute)
	if w.refresh(login.RefreshToken) != "" {
		w.tb.Fatal("the thief got a token")
	}
	return login, newest
}

func TestExplainSaysWhy(t *testing.T) {
	w := newWorld(t)
	login, newest := w.stolen()
	got := w.explain(newest)
	got.wants(t, `class="verdict dead"`, "reuse_detected", "token 1 was presented again 2 min after it had been superseded",
		"Save the new token before using it.", "Pixel 9", `href="/console/users?user_id=alice"`, `href="/console/clients/app"`, login.Family,
		"<svg", "revoked: token 1 came back", `aria-labelledby="family-wide-title family-wide-desc"`, "token 2: you asked about it",
		"Token 1 came back outside the reuse interval.", "A reuse interval of <strong>5 min</strong> instead of 1 min")

	for pasted, kind := range map[string]string{
		login.RefreshToken: "refresh token", "Bearer " + login.AccessToken: "access token", login.Family: "family id", `"` + newest + `"`: "refresh token",
		"nonsense": "value of an unknown kind",
	} {
		w.explain(pasted).wants(t, "This "+kind, `class="verdict dead"`)
	}
	w.get("/console/explain?family="+login.Family).wants(t, `class="verdict dead"`)

	// A living family, and one whose record is gone.
	alive := w.login(&manage.Login{UserID: "bob"})
	w.explain(alive.RefreshToken).wants(t, `class="verdict valid"`, "idle end", "absolute end", "<svg")
	w.clock.Advance(400 * 24 * time.Hour)
	got = w.explain(alive.RefreshToken)
	got.wants(t, `class="verdict dead"`)
}

// TestExplainOfASession checks that the sid of an access token is asked about with its user.
func TestExplainOfASession(t *testing.T) {
	w := newWorld(t)
	const sid = "01M8GAMF9AQCMGH6PX7HA147TY"
	w.explain(sid).wants(t, "This has the form of a sid")
	got := w.post("/console/explain", url.Values{"pasted": {sid}, "user_id": {"alice"}})
	got.wants(t, "There is no record of a family with this sid and this user.", `value="alice"`)
	// A user beside a token is not sent: it says whose it is.
	got = w.post("/console/explain", url.Values{"pasted": {w.login(&manage.Login{UserID: "bob"}).RefreshToken}, "user_id": {"alice"}})
	got.wants(t, `class="verdict valid"`)
	got = w.post("/console/explain", url.Values{"pasted": {w.login(&manage.Login{UserID: "bob"}).RefreshToken}, "client_id": {"another"}})
	got.wants(t, "wrong_client")
}

// TestPastedTokensAreNowhere checks that what is pasted is in no page, address or log. A page has its
// last characters at most.
func TestPastedTokensAreNowhere(t *testing.T) {
	w := newWorld(t)
	login, newest := w.stolen()
	for _, pasted := range []string{
		login.RefreshToken, newest, login.AccessToken, "  " + newest[:40] + "\n" + newest[40:], newest[:30], "Bearer " + newest,
		"rotor_secret_" + newest[10:], strings.Repeat("x", 50000) + newest,
	} {
		for _, path := range []string{"/console/explain", "/", "/console", "/console/nothing", "/console/users", "/console/events"} {
			got := w.post(path, url.Values{"pasted": {pasted}})
			for name, values := range got.header {
				for _, v := range values {
					if strings.Contains(v, pasted[len(pasted)-12:]) {
						t.Errorf("%s: the header %s has it", path, name)
					}
				}
			}
			secret := strings.TrimSpace(strings.TrimPrefix(pasted, "Bearer "))
			for at := 0; at+12 <= len(secret) && at < 2000; at += 6 {
				if part := secret[at : at+12]; strings.Contains(got.body, part) && part != "xxxxxxxxxxxx" {
					t.Fatalf("%s: the page has %q of what was pasted:\n%s", path, part, got.body)
				}
			}
		}
	}
	for _, secret := range []string{login.RefreshToken, newest, login.AccessToken} {
		for name, text := range map[string]string{"the service's log": w.log.String(), "the addresses of calls": w.asked.String()} {
			if strings.Contains(text, secret[10:40]) {
				t.Errorf("%s has a token", name)
			}
		}
	}
	for _, field := range []string{"user_id", "client_id"} {
		got := w.post("/console/explain", url.Values{"pasted": {"x"}, field: {login.AccessToken}})
		if got.status != http.StatusBadRequest || strings.Contains(got.body, login.AccessToken[:20]) {
			t.Errorf("a token as %s: %d\n%s", field, got.status, got.body)
		}
	}
	// A token in an address is refused before the service is asked, and the page has no trace of it.
	if got := w.get("/console/explain?family=" + url.QueryEscape(newest)); got.status != http.StatusBadRequest || strings.Contains(got.body, newest[:20]) {
		t.Errorf("a token in the address: %d\n%s", got.status, got.body)
	}
}

// TestHostileTextsAreInert checks the texts that users choose.
func TestHostileTextsAreInert(t *testing.T) {
	w := newWorld(t)
	const hostile = "<script>alert(1)</script>\u202e\"' onload=x \u200b\u2066\ufeff"
	login := w.login(&manage.Login{UserID: "mallory" + "<img src=x>", Device: hostile, IP: "192.0.2.1", UserAgent: "<b>agent</b> " + hostile})
	for _, got := range []answered{
		w.explain(login.RefreshToken), w.get("/console/users?user_id=" + url.QueryEscape("mallory<img src=x>")),
		w.post("/console/explain", url.Values{"pasted": {"x"}, "user_id": {hostile}, "client_id": {"\"><svg onload=x>"}}),
	} {
		for _, bad := range []string{"<script>a", "<b>agent", "<img src=x", "<svg onload", "\u202e", "\u200b", "\u2066", "\ufeff", `"' onload`} {
			if strings.Contains(got.body, bad) {
				t.Errorf("%d: the page has %q:\n%s", got.status, bad, got.body)
			}
		}
	}
	w.explain(login.RefreshToken).wants(t, "&lt;script&gt;alert(1)&lt;/script&gt;⟨U+202E⟩", "⟨U+200B⟩⟨U+2066⟩⟨U+FEFF⟩")
	for in, want := range map[string]string{
		"plain\n\ttext": "plain\n\ttext", "a\x00b\x1b[31m": "a⟨U+0000⟩b⟨U+001B⟩[31m", "👩\u200d💻 می\u200cخواهم": "👩\u200d💻 می\u200cخواهم",
		"\xff": "⟨U+FFFD⟩", "\u2028": "⟨U+2028⟩", "\r": "⟨U+000D⟩",
	} {
		if got := string(inert([]byte(in))); got != want {
			t.Errorf("%q becomes %q, not %q", in, got, want)
		}
	}
}

// TestMissingPermissionIsNamed checks the pages of an operator who may not do everything.
func TestMissingPermissionIsNamed(t *testing.T) {
	w := newWorld(t)
	login, newest := w.stolen()
	w.refuse = func(r *http.Request) bool { return r.URL.Path == "/v1/explain" }
	got := w.post("/console/explain", url.Values{"pasted": {newest}})
	if got.status != http.StatusForbidden {
		t.Errorf("%d", got.status)
	}
	got.wants(t, "You may not do this", "execute-api:Invoke on …/POST/v1/explain")

	// Without the policy of the client there is a picture, but no interval in it.
	w.refuse = func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/v1/clients/") }
	got = w.explain(newest)
	got.wants(t, "<svg", "your credentials may not read the client", "revoked: token 1 came back")
	if strings.Contains(got.body, `class="band"`) {
		t.Error("the picture has an interval that nobody told")
	}
	w.refuse = nil
	w.get("/console/explain?family="+login.Family).wants(t, `class="band"`)
}

func TestFailuresHavePages(t *testing.T) {
	w := newWorld(t)
	c := New(Config{API: w.api, Now: w.clock.Now, Host: "127.0.0.1"})
	var err error
	c.page("GET /console/failing", func(http.ResponseWriter, *http.Request) error { return err })
	w.console.Config.Handler = c
	for _, tt := range []struct {
		err    error
		status int
		text   string
	}{
		{&manage.Error{Method: "GET", Path: "/v1/events", Status: 403, Detail: "forbidden"}, 403, "execute-api:Invoke on …/GET/v1/events"},
		{fmt.Errorf("x: %w", &manage.Error{Status: 404, Title: "Not Found", Detail: "there is no such <client>"}), 404, "no such &lt;client&gt;"},
		{&manage.Error{Status: 422, Title: "Unprocessable", Detail: "d", Fields: []manage.FieldError{{Field: "policy.x", Detail: "must be y"}}}, 422, "<code>policy.x</code>: must be y"},
		{&manage.Error{Status: 503, Detail: "keys are unavailable"}, 502, "keys are unavailable"},
		{&manage.UnreachableError{Address: "https://auth.example", Err: fmt.Errorf("no route")}, 502, "no answer from https://auth.example: no route"},
		{&inputError{"Nothing was pasted."}, 400, "Nothing was pasted."},
		{fmt.Errorf("there are no AWS credentials"), 502, "there are no AWS credentials"},
	} {
		err = tt.err
		got := w.get("/console/failing")
		if got.status != tt.status {
			t.Errorf("%v: %d", tt.err, got.status)
		}
		got.wants(t, tt.text, `role="alert"`)
	}
}

// many returns the trail of a family with so many rotations, one each hour.
func many(n int, begin time.Time) []timeline.Moment {
	all := make([]timeline.Moment, 0, n)
	for i := range n {
		all = append(all, timeline.Moment{
			At: begin.Add(time.Duration(i+1) * time.Hour), Kind: timeline.Rotated, Token: uint32(i + 1), Newest: uint32(i + 2), From: "192.0.2.1 app",
		})
	}
	return all
}

// TestManyRotationsAreASmallPage checks that the page does not grow with the rotations.
func TestManyRotationsAreASmallPage(t *testing.T) {
	var trail []timeline.Moment
	w := newWorld(t, func(c *Config) {
		c.Trail = func(string) []timeline.Moment { return append([]timeline.Moment(nil), trail...) }
	})
	begin := w.clock.Now()
	login := w.login(&manage.Login{UserID: "alice"})
	trail = many(10_000, begin)
	got := w.explain(login.Family)
	got.wants(t, "Tokens 1 to 10001", "9,998 times more, the same: up to token 10000.")
	if len(got.body) > 64<<10 {
		t.Errorf("the page has %d bytes", len(got.body))
	}
}

// BenchmarkExplain measures the page of a family with 10,000 rotations, from a post to its last byte.
func BenchmarkExplain(b *testing.B) {
	var trail []timeline.Moment
	w := newWorld(b, func(c *Config) {
		c.Trail = func(string) []timeline.Moment { return append([]timeline.Moment(nil), trail...) }
	})
	begin := w.clock.Now()
	login := w.login(&manage.Login{UserID: "alice"})
	trail = many(10_000, begin)
	for b.Loop() {
		w.explain(login.RefreshToken)
	}
}
