package local

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/problem"
)

// demoSecret returns demo-web's secret, which must be printed exactly once.
func demoSecret(tb testing.TB, p *program) string {
	tb.Helper()
	found := regexp.MustCompile(`demo-web: secret, shown this once: (rotor_secret_\S+)`).FindAllStringSubmatch(p.stdout, -1)
	if len(found) != 1 || strings.Count(p.stdout, "rotor_secret_") != 1 {
		tb.Fatalf("the secret is not there once:\n%s", p.stdout)
	}
	return found[0][1]
}

func TestDemoClientsHaveTheirPresets(t *testing.T) {
	p := start(t, nil)
	for _, c := range []struct{ id, clientType, preset, row string }{
		{"demo-spa", "public", "", "60 s 30 d 15 d 400"},
		{"demo-web", "confidential", "", "60 s 30 d 15 d 400"},
		{"demo-auth0", "public", "auth0", "0 s 30 d 15 d 403"},
		{"demo-atlassian", "public", "atlassian", "600 s 365 d 90 d 403"},
		{"demo-supabase", "public", "supabase", "10 s never never 400"},
		{"demo-copies", "public", "copies", "7200 s 30 d 15 d 400"},
	} {
		got := p.must(http.StatusOK, http.MethodGet, "/v1/clients/"+c.id, "")
		want, err := family.Preset(c.preset)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(got.body["policy"])
		if err != nil {
			t.Fatal(err)
		}
		var policy family.Policy
		if err := json.Unmarshal(raw, &policy); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, policy); diff != "" {
			t.Errorf("%s: %s", c.id, diff)
		}
		if got.text("type") != c.clientType || got.text("preset") != c.preset {
			t.Errorf("%s is %v", c.id, got.body)
		}
		row := strings.Join([]string{c.id, c.clientType, c.row}, " ")
		if !strings.Contains(strings.Join(strings.Fields(p.stdout), " "), row) {
			t.Errorf("stdout has no %q:\n%s", row, p.stdout)
		}
	}
}

// script returns the printed commands, by step.
func script(t *testing.T, stdout string) []string {
	t.Helper()
	_, printed, ok := strings.Cut(stdout, "\n\n# 1. ")
	if !ok {
		t.Fatalf("stdout has no commands:\n%s", stdout)
	}
	var steps []string
	for i, step := range regexp.MustCompile(`(?m)^# \d+\. `).Split(printed, -1) {
		about, commands, ok := strings.Cut(step, "\n")
		if !ok || about == "" || !strings.Contains(stdout, "# "+strconv.Itoa(i+1)+". "+about) {
			t.Fatalf("step %d is %q", i+1, step)
		}
		steps = append(steps, commands)
	}
	return steps
}

// TestPrintedCommands checks that the printed commands work as pasted. It needs bash and curl.
func TestPrintedCommands(t *testing.T) {
	p := start(t, map[string]string{"ALG": "RS256"})
	steps := script(t, p.stdout)
	const mark = "\n==== step\n"
	bash := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", strings.Join(steps, "\nprintf '"+strings.ReplaceAll(mark, "\n", `\n`)+"'\n"))
	bash.Env = append(bash.Environ(), "NO_PROXY=*", "no_proxy=*") // the machine's proxy cannot reach our loopback
	var stderr strings.Builder
	bash.Stderr = &stderr
	stdout, err := bash.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("%v: %s\n%s", err, &stderr, stdout)
	}
	outputs := strings.Split(string(stdout), mark)
	if len(outputs) != 6 {
		t.Fatalf("%d steps, want 6:\n%s", len(outputs), stdout)
	}
	const token, dead = `(rotor_[A-Za-z0-9_-]{78})`, `\{"error":"invalid_grant","error_description":"Unknown or invalid refresh token\."\}`
	const clock = `\{"now":"[^"]+","purged":0\}\n`
	var found []string
	for i, want := range []string{
		token,
		`\{"access_token":"eyJ[^"]+","token_type":"Bearer","expires_in":3600,"refresh_token":"` + token + `","refresh_token_expires_in":1296000,"refresh_token_timeout":1296000,"authorization_expires_in":(?:2592000|2591999)\}`,
		token + `\n` + token,
		clock + ` *5 ` + token,
		clock + dead + `\n` + dead + `\n\{"verdict":"dead","cause":"reuse_detected","summary":"[^"]*token 1 was presented again, which had been superseded before the last rotation, 2 min [^"]*","advice":"[^"]*login[^"]*".*"event":"reuse_detected".*\}`,
		`\{\}\n` + dead,
	} {
		match := regexp.MustCompile(`\A` + want + `\n*\z`).FindStringSubmatch(outputs[i])
		if match == nil {
			t.Fatalf("step %d printed\n%s\nwant %s", i+1, outputs[i], want)
		}
		found = append(found, match[1:]...)
	}
	if len(found) != 5 || found[0] == found[1] || found[1] == found[4] || found[0] == found[4] {
		t.Errorf("the tokens of steps 1, 2 and 4 are %v, want three different ones", found)
	}
	if len(found) == 5 && (found[2] != found[1] || found[3] != found[1]) {
		t.Errorf("the tokens of step 3 are %v, want that of step 2: %s", found[2:4], found[1])
	}
	log := p.stderr.String()
	for event, want := range map[string]int{`"type":"ferrt"`: 1, `"type":"srrt"`: 1, `"type":"sertft"`: 8, `"type":"fertft"`: 2, `"held":true`: 1, `"reused":true`: 5} {
		if got := strings.Count(log, event); got != want {
			t.Errorf("%d events with %s, want %d", got, event, want)
		}
	}
}

// TestDemoClientsBesideAnother checks that two programs which start at the same time on one
// table make one secret, and that the other one reports that it made none.
func TestDemoClientsBesideAnother(t *testing.T) {
	secret := http.StatusConflict
	beside := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			problem.Write(w, secret, "no secret")
			return
		}
		id := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		kind := map[bool]string{true: "confidential", false: "public"}[id == "demo-web"]
		writeJSON(w, demoClient{ID: id, Type: kind})
	})
	clients, err := demoClients(t.Context(), beside, "http://127.0.0.1:3000")
	if err != nil || len(clients) != 6 {
		t.Fatalf("%v, %v", clients, err)
	}
	for _, c := range clients {
		want := ""
		if c.ID == "demo-web" {
			want = "has a secret from before, and got no other"
		}
		if c.note != want {
			t.Errorf("of %s is said %q", c.ID, c.note)
		}
	}
	secret = http.StatusServiceUnavailable
	if _, err := demoClients(t.Context(), beside, "http://127.0.0.1:3000"); err == nil || !strings.HasPrefix(err.Error(), "register demo-web: ") || !strings.Contains(err.Error(), "no secret") {
		t.Errorf("the error is %v", err)
	}
}

func TestLifetimesAsShown(t *testing.T) {
	for lifetime, want := range map[family.Seconds]string{0: "never", 86400: "1 d", 31536000: "365 d", 3600: "3600 s", 90000: "90000 s"} {
		if got := days(lifetime); got != want {
			t.Errorf("%d seconds are shown as %s, not %s", lifetime, got, want)
		}
	}
}
