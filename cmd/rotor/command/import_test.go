package command_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rotor-auth/rotor/clients/manage"
)

// foreignToken returns a refresh token of another provider.
func foreignToken(n int) string { return fmt.Sprintf("v1.M%040d", n) }

// hashOf returns the SHA-256 of a token in hexadecimal.
func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// totals is what "rotor import --json" writes.
type totals struct {
	Rows, Imported, Already, Conflict, Expired, Refused int

	DryRun bool `json:"dry_run"`
}

// newImportWorld returns a world whose client demo-spa accepts the tokens of foreignToken.
func newImportWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.register(&manage.TokenShape{Prefix: "v1.M", Length: 44})
	return w
}

// register registers demo-spa with what it accepts.
func (w *world) register(accepts *manage.TokenShape) {
	w.t.Helper()
	if _, err := w.Register(w.t.Context(), "demo-spa", &manage.Settings{Type: "public", Scope: "openid orders", AcceptsImported: accepts}); err != nil {
		w.t.Fatal(err)
	}
}

// imports runs "rotor import" of a text on the standard input.
func (w *world) imports(text string, args ...string) result {
	w.t.Helper()
	return w.run(text, append([]string{"import", "-", "--client", "demo-spa", "--json"}, args...)...)
}

// imported runs "rotor import", which must succeed, and returns the totals.
func (w *world) imported(text string, args ...string) totals {
	w.t.Helper()
	r := w.imports(text, args...)
	if r.code != 0 {
		w.t.Fatalf("it ended with %d: %s", r.code, r.err)
	}
	return decode[totals](w.t, r.out)
}

// TestImportCommand checks that a file in either form is imported, with tokens or their hashes, and
// that the sessions go on. A second run changes nothing.
func TestImportCommand(t *testing.T) {
	sum := sha256.Sum256([]byte(foreignToken(2)))
	for name, text := range map[string]string{
		"CSV": "\ufeffuser_id,token,token_sha256,scope,device,claims,amr,auth_time,expires_at,acr,audience\r\n" +
			"alice," + foreignToken(1) + `,,openid orders,"Pixel, blue","{""tenant"":""acme""}",pwd otp,1767225600,2126-01-01T00:00:00Z,aal2,https://a.example https://b.example` + "\r\n" +
			"bob,,\"" + base64.RawURLEncoding.EncodeToString(sum[:]) + "\",,,,,,,,\r\n" +
			"carol,," + strings.ToUpper(hashOf(foreignToken(3))) + ",,\"two\r\nlines\",,,,,,",
		"JSON lines": `{"user_id":"alice","token":"` + foreignToken(1) + `","scope":"openid orders","device":"Pixel, blue","claims":{"tenant":"acme"},"amr":["pwd","otp"],` +
			`"auth_time":"2026-01-01T00:00:00Z","expires_at":"2126-01-01T00:00:00Z","acr":"aal2","audience":["https://a.example","https://b.example"]}` + "\n\n" +
			`{"user_id":"bob","token_sha256":"` + base64.RawURLEncoding.EncodeToString(sum[:]) + `"}` + "\n" +
			`  {"user_id":"carol","token_sha256":"` + hashOf(foreignToken(3)) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newImportWorld(t)
			if got := w.imported(text, "--dry-run"); got != (totals{Rows: 3, Imported: 3, DryRun: true}) {
				t.Errorf("the dry run says %+v", got)
			}
			file := filepath.Join(t.TempDir(), "sessions")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if out := w.ok("import", file, "--client", "demo-spa"); out != "3 rows: 3 imported, 0 already there, 0 conflicts, 0 expired, 0 refused\n" {
				t.Errorf("it says %q", out)
			}
			if got := w.imported(text); got != (totals{Rows: 3, Already: 3}) {
				t.Errorf("a second run says %+v", got)
			}
			for n := range 3 {
				if status := w.refresh(foreignToken(n + 1)); status != http.StatusOK {
					t.Errorf("token %d is answered %d", n+1, status)
				}
			}
			for f, err := range w.Families(t.Context(), manage.FamilyFilter{UserID: "alice"}) {
				if err != nil {
					t.Fatal(err)
				}
				if f.Scope != "openid orders" || f.Device != "Pixel, blue" || string(f.Claims) != `{"tenant":"acme"}` || f.ACR != "aal2" || strings.Join(f.AMR, " ") != "pwd otp" ||
					f.AuthTime.Unix() != 1767225600 || strings.Join(f.Audience, " ") != "https://a.example https://b.example" || f.Origin != "imported" || f.Counter != 1 {
					t.Errorf("the family is %+v", f)
				}
			}
		})
	}
}

// TestImportNamesLines checks that what is wrong is told by its line, before anything is imported,
// whether it is found here or by the service, and that no token is shown.
func TestImportNamesLines(t *testing.T) {
	w := newImportWorld(t)
	w.imported("user_id,token\neve," + foreignToken(90))
	csv := strings.Join([]string{
		"user_id,token,token_sha256,scope,expires_at,claims", // line 1
		"alice," + foreignToken(1) + ",,,,",
		"," + foreignToken(2) + ",,,,",
		"alice,,,,,",
		"alice," + foreignToken(3) + "," + hashOf(foreignToken(3)) + ",,,", // 5
		"alice," + foreignToken(1) + ",,,,",
		"alice," + foreignToken(4) + "x,,,,",
		"alice,," + foreignToken(4) + ",,,",
		"alice," + foreignToken(5) + ",,,tomorrow,",
		"alice," + foreignToken(6) + ",,,,7", // 10
		"alice," + foreignToken(7),
		"alice," + foreignToken(8) + ",,admin,,", // found by the service
		"mallory," + foreignToken(90) + ",,,,",
		`alice,"` + foreignToken(9) + `"x,,,,`,
		"alice," + foreignToken(10) + ",,,2026-01-01T00:00:00Z,", // 15: that is no fault
		"\x01," + foreignToken(11) + ",,,,",
		"\xff," + foreignToken(12) + ",,,,",
		strings.Repeat("u", 129) + "," + foreignToken(13) + ",,,,",
	}, "\n")
	local := []string{
		"-:3: user_id is missing", "-:4: it must have either token or token_sha256", "-:5: it must have either", "-:6: its token stands in line 2, too",
		"-:7: token does not look as accepts_imported", "-:8: token_sha256 is not a SHA-256", "-:9: expires_at is no time", "-:10: claims is not a JSON object",
		"-:11: wrong number of fields", `-:14: extraneous or missing "`, "-:16: user_id has control characters", "-:17: user_id is not UTF-8", "-:18: user_id is 129 bytes long",
	}
	remote := []string{`-:12: scope is "admin", but must be within the client's`, "-:13: its token belongs to another user or client"}
	check := func(name string, r result, code int, says ...string) {
		t.Helper()
		if r.code != code || strings.Contains(r.out+r.err, "v1.M") {
			t.Errorf("%s ended with %d: %s", name, r.code, r.err)
		}
		for _, want := range says {
			if !strings.Contains(r.err, want) {
				t.Errorf("%s does not say %q: %s", name, want, r.err)
			}
		}
	}
	r := w.imports(csv)
	check("an import", r, 2, append(local, "Nothing was imported")...)
	if r.out != "" || strings.Contains(r.err, "-:12:") || w.refresh(foreignToken(1)) == http.StatusOK {
		t.Errorf("something was done: %+v", r)
	}
	r = w.imports(csv, "--dry-run")
	check("a dry run", r, 2, append(local, remote...)...)
	if got := decode[totals](t, r.out); got != (totals{Rows: 17, Imported: 1, Conflict: 1, Expired: 1, Refused: 14, DryRun: true}) {
		t.Errorf("the dry run says %+v", got)
	}
	r = w.imports("user_id,token,scope\nalice," + foreignToken(1) + ",\nalice," + foreignToken(8) + ",admin\nmallory," + foreignToken(90) + ",")
	check("an import that the service refuses", r, 2, "-:3: scope", "-:4: its token belongs", "Nothing was imported")
	if w.refresh(foreignToken(1)) == http.StatusOK {
		t.Error("something was imported")
	}
	w.advance("10s") // for so long the service remembers a token as unknown
	r = w.imports(csv, "--skip-bad")
	check("what is left", r, 0, append(local, remote...)...)
	if got := decode[totals](t, r.out); got != (totals{Rows: 17, Imported: 1, Conflict: 1, Expired: 1, Refused: 14}) {
		t.Errorf("without the bad lines: %+v", got)
	}
	if w.refresh(foreignToken(1)) != http.StatusOK || w.refresh(foreignToken(8)) == http.StatusOK {
		t.Error("the wrong line was imported")
	}
	lines := strings.Join([]string{
		`{"user_id":"alice","token":"` + foreignToken(20) + `"}`,
		`{"user_id":"alice","tokens":"` + foreignToken(21) + `"}`,
		`{"user_id":7,"token":"` + foreignToken(21) + `"}`,
		`{"user_id":"alice","token":"` + foreignToken(21) + `","expires_at":"soon"}`,
		`{"user_id":"alice","token":"` + foreignToken(21) + `"} {}`,
		`"` + foreignToken(21) + `"`,
		`{"user_id":"alice","token":"` + foreignToken(21),
		`{"user_id":"alice","token":"` + foreignToken(21) + `","expires_at":1801353600}`,
	}, "\n")
	check("JSON lines", w.imports(lines), 2, `-:2: there is no member "tokens"`, "-:3: user_id is a number, but must be a string", "-:4: auth_time or expires_at",
		"-:5: there is more than one value", "-:6: it is not a JSON object", "-:7: it is not a JSON object", "-:8: auth_time or expires_at")
	var many strings.Builder
	many.WriteString("user_id,token\n")
	for range 70 {
		many.WriteString(",\n")
	}
	check("many faults", w.imports(many.String()), 2, "-:51: user_id is missing", "and 20 lines more")
}

// TestImportMisused checks what cannot be imported at all.
func TestImportMisused(t *testing.T) {
	w := newImportWorld(t)
	dir := t.TempDir()
	for _, tt := range []struct {
		text string
		args []string
		code int
		says string
	}{
		{"user_id,token\n", []string{"import", "-"}, 2, "--client is missing"},
		{"user_id,token\n", []string{"import", "-", "--client", "demo-spa", "--parallel", "17"}, 2, "from 1 to 16"},
		{"user_id,token\n", []string{"import", "-", "--client", "nobody"}, 1, `client "nobody"`},
		{"user_id,token\n", []string{"import", "-", "--client", "demo-web"}, 1, "accepts no imported tokens"},
		{"", []string{"import", "-", "--client", "demo-spa"}, 2, "- has no rows"},
		{" \n", []string{"import", "-", "--client", "demo-spa"}, 2, "- has no rows"},
		{"v1.Mgm3xTZ9,alice\n", []string{"import", "-", "--client", "demo-spa"}, 2, `column 1 of the header is none of user_id`},
		{"user,token\n", []string{"import", "-", "--client", "demo-spa"}, 2, `the header has "user", but the columns are user_id`},
		{"token,token\n", []string{"import", "-", "--client", "demo-spa"}, 2, "token twice"},
		{`[{"user_id":"alice"}]`, []string{"import", "-", "--client", "demo-spa"}, 2, "an object on each line"},
		{"user_id,token\n\"" + strings.Repeat("x\n", 20_000), []string{"import", "-", "--client", "demo-spa"}, 2, "more than 16384 bytes"},
		{`{"user_id":"` + strings.Repeat("x", 40_000) + `"}`, []string{"import", "-", "--client", "demo-spa"}, 2, "more than 16384 bytes"},
		{"", []string{"import", filepath.Join(dir, "none"), "--client", "demo-spa"}, 2, "no such file"},
		{"", []string{"import", dir, "--client", "demo-spa"}, 2, "is a directory"},
	} {
		if r := w.run(tt.text, tt.args...); r.code != tt.code || !strings.Contains(r.err, tt.says) || r.out != "" || strings.Contains(r.err, "Mgm3xTZ9") {
			t.Errorf("%.100q, %q: %d, %.300s", tt.text, tt.args, r.code, r.err)
		}
	}
}

// TestImportOfABusyService checks that an import goes on after the service was busy, also for longer
// than one call is repeated, and that what failed is done by the same command.
func TestImportOfABusyService(t *testing.T) {
	t.Parallel()
	w := newImportWorld(t)
	target, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	var calls, busy, broken atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(target)
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/imports" {
			switch n := calls.Add(1); {
			case broken.Load() > 0 && n >= broken.Load():
				http.Error(rw, "", http.StatusForbidden)
				return
			case n <= busy.Load():
				rw.Header().Set("Retry-After", "1")
				http.Error(rw, "", http.StatusTooManyRequests)
				return
			}
		}
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(srv.Close)
	var text strings.Builder
	text.WriteString("user_id,token\n")
	for n := range 350 {
		fmt.Fprintf(&text, "user-%d,%s\n", n, foreignToken(n))
	}
	env := map[string]string{"ROTOR_URL": srv.URL}
	broken.Store(2)
	r := run(t, env, text.String(), "import", "-", "--client", "demo-spa", "--parallel", "1")
	if r.code != 1 || !strings.Contains(r.err, "Nothing was imported: the file was still being checked.") || strings.Contains(r.err, "before this") || r.out != "" {
		t.Errorf("while it was checked it ended with %d: %s", r.code, r.err)
	}
	calls.Store(0)
	broken.Store(7) // four are checked, and two are imported
	r = run(t, env, text.String(), "import", "-", "--client", "demo-spa", "--parallel", "1")
	if r.code != 1 || !strings.Contains(r.err, "200 tokens were imported before this. The same command does the rest.") || strings.Contains(r.err, "look before") || r.out != "" {
		t.Errorf("it ended with %d: %s", r.code, r.err)
	}
	broken.Store(0)
	calls.Store(0)
	busy.Store(5)
	r = run(t, env, text.String(), "import", "-", "--client", "demo-spa", "--json", "--parallel", "1")
	if got := decode[totals](t, r.out); r.code != 0 || got != (totals{Rows: 350, Imported: 150, Already: 200}) {
		t.Errorf("it ended with %d, %+v: %s", r.code, got, r.err)
	}
	if n := calls.Load(); n != 5+4+4 {
		t.Errorf("%d calls were made", n)
	}
}

// TestAcceptsImportedInAFile checks that a file of clients says what they accept.
func TestAcceptsImportedInAFile(t *testing.T) {
	w := newWorld(t)
	apply := func(value string) result {
		return w.run("clients:\n  shop:\n    type: public\n    accepts_imported: "+value+"\n", "clients", "apply", "-", "--yes")
	}
	for _, tt := range []struct{ value, out, shown string }{
		{"{prefix: v1., length: 44}", `+   accepts_imported: {"prefix":"v1.","length":44}`, `{"prefix":"v1.","length":44}`},
		{"{prefix: v1., length: 44}", "no change", `{"prefix":"v1.","length":44}`},
		{"true", `~   accepts_imported: {"prefix":"v1.","length":44} -> true`, "true"},
		{"false", "~   accepts_imported: true -> (none)", ""},
	} {
		if r := apply(tt.value); r.code != 0 || !strings.Contains(r.out, tt.out) {
			t.Errorf("%s: %+v", tt.value, r)
		}
		for _, row := range rows(w.ok("clients", "show", "shop")) {
			if row[0] == "accepts_imported" && row[1] != tt.shown {
				t.Errorf("%s: it shows %q", tt.value, row)
			}
		}
	}
	for _, value := range []string{"1", "[true]", "{suffix: x}", "{length: x}"} {
		if r := apply(value); r.code != 2 || !strings.Contains(r.err, "-:4:") || !strings.Contains(r.err, "clients.shop.accepts_imported") {
			t.Errorf("%s: %+v", value, r)
		}
	}
}
