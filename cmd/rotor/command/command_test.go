package command_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/cmd/rotor/command"
	"github.com/rotor-auth/rotor/cmd/rotor/terminal"
)

// token has the shape of a refresh token.
const token = "rotor_AQfEncAXl4oi4YJEXsKf1I34AZDzobLD1OX2BxgpOktcbQAAACqD3yxbB0w6JyZ3ecSf_WVpK1Ii9w"

// TestMisuse checks what is not understood: nothing is called, the exit code is 2, and the
// error says what to do.
func TestMisuse(t *testing.T) {
	called := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s was called", r.Method, r.URL) }))
	defer called.Close()
	for _, test := range []struct {
		args string
		want string
	}{
		{"fly", `there is no command "fly"`},
		{"famlies alice", `did you mean families?`},
		{"clients", "rotor clients needs a command"},
		{"clients aply x", "did you mean apply?"},
		{"secrets new", `there is no command "new"`},
		{"explain --what", "unknown flag: --what"},
		{"explain x", "explain takes no arguments"},
		{"explain --sid 01M8GAMF9AQCMGH6PX7HA147TY", "--sid with --user"},
		{"explain --user alice", "--sid with --user"},
		{"explain", "no token on the standard input"},
		{"families", "give the user once"},
		{"families alice --user alice", "give the user once"},
		{"families alice bob", "families takes one argument, USER"},
		{"families ''", "USER is empty"},
		{"families alice --client ''", "--client has no value"},
		{"revoke", "give a family, or --user"},
		{"revoke --yes", "give a family, or --user"},
		{"revoke --user '' --yes", "--user has no value"},
		{"revoke --user alice --client '' --yes", "--client has no value"},
		{"revoke --user alice --except '' --yes", "--except has no value"},
		{"revoke --user alice", "say --yes, or --dry-run"},
		{"revoke f --user alice --yes", "give a family, or --user"},
		{"revoke f --family f --yes", "the family is given twice"},
		{"revoke f --cause password_changed --yes", "go with --user"},
		{"erase", "give a user, or --user-key"},
		{"erase alice --user-key k", "give a user, or --user-key"},
		{"erase alice", "say --yes, or --dry-run"},
		{"events --type sertft", "no stored event of type"},
		{"events --from yesterday", "--from is \"yesterday\""},
		{"events --follow --to 2026-11-28T05:30:00Z", "leave --to out"},
		{"clients apply", "apply takes 1 argument: FILE"},
		{"clients apply /no/such/file --yes", "no such file"},
		{"run --json", "run has no --json"},
		{"console --json", "console has no --json"},
		{"completion", "completion needs a command"},
		{"completion tcsh", "no command \"tcsh\""},
		{"clients delete shop", "say --yes"},
		{"secrets remove backend x", "say --yes"},
		{"secrets remove backend --yes", "remove takes 2 arguments: CLIENT SECRET_ID"},
		{"keys emergency --mac 1 --yes", "Give --stage or --function"},
		{"keys emergency --stage prod --yes", "which keys have leaked?"},
		{"keys emergency --stage prod --mac 256 --yes", "from 0 to 255"},
		{"keys emergency --stage prod --mac 1", "say --yes"},
		{"keys status --stage prod --function f", "give --function or --stage"},
		{"families alice --url ''", "--url has no value"},
		{"families alice --url ftp://x", "address"},
		{"families alice --url http://192.0.2.1", "must begin with https"},
		{"keys status --url http://192.0.2.1", "must begin with https"},
		{"explain " + token, "a token or secret cannot be an argument"},
		{token, "a token or secret cannot be an argument"},
		{"explain rotor_AQfEncAXl4oi4YJ", "a token or secret cannot be an argument"},
		{"rotor_AQfEncAXl4oi4YJ", "a token or secret cannot be an argument"},
		{"clients apply rotor_clients_of_production_eu-central-1.yaml --yes", "no such file"},
		{"explain --" + token, "a token or secret cannot be an argument"},
		{"families --user " + token, "a token or secret cannot be an argument"},
		{"explain --family eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "a token or secret cannot be an argument"},
		{"secrets remove backend rotor_secret_09KULdqvaB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3x0 --yes", "a token or secret cannot be an argument"},
	} {
		t.Run(strings.ReplaceAll(test.args, "/", "|"), func(t *testing.T) {
			var args []string
			for _, arg := range strings.Fields(test.args) {
				args = append(args, strings.Trim(arg, "'"))
			}
			r := run(t, map[string]string{"ROTOR_URL": called.URL}, "", args...)
			if r.code != 2 || !strings.Contains(r.err, test.want) || r.out != "" {
				t.Errorf("ended with %d, %q, %q, and not with 2 and %q", r.code, r.out, r.err, test.want)
			}
			for _, secret := range []string{token[10:30], "eyJhbGci", "09KULdqv"} {
				if strings.Contains(r.err, secret) {
					t.Errorf("the error has the token: %s", r.err)
				}
			}
			if lines := strings.Split(strings.TrimSpace(r.err), "\n"); !strings.HasSuffix(lines[len(lines)-1], "--help says more.") {
				t.Errorf("the error does not end with where to read more: %s", r.err)
			}
		})
	}
}

// TestHelp checks that each command explains itself, also what scripts rely on.
func TestHelp(t *testing.T) {
	for args, want := range map[string][]string{
		"--help": {
			"ROTOR_URL", "http://127.0.0.1:3000", "--profile", "NO_COLOR", "UTC", "standard input", "explain", "families", "revoke", "events", "clients",
			"secrets", "keys", "erase", "version", "run", "completion", "0 done, 1 refused or failed, 2 not understood, 3 the token is dead, 4 no answer",
		},
		"explain --help":        {"3 if the token is dead", "--family", "--sid", "not shown"},
		"families --help":       {"--client", "--status", "--user", "Columns"},
		"revoke --help":         {"--yes", "--dry-run", "--except", "password_changed", `{"revoked": 3}`},
		"events --help":         {"--follow", "ferrt", "srrt", "7d"},
		"clients apply --help":  {"YAML or JSON", "preset: auth0", "--dry-run"},
		"secrets add --help":    {"never shown again"},
		"keys emergency --help": {"lambda:InvokeFunction", "--mac", "--signing"},
		"keys status --help":    {"jwks.json", "lambda:InvokeFunction"},
		"erase --help":          {"cannot be undone", "--user-key"},
		"completion bash":       {"rotor"},
		"completion zsh":        {"#compdef rotor"},
		"completion fish":       {"complete -c rotor"},
	} {
		r := run(t, nil, "", strings.Fields(args)...)
		if r.code != 0 || r.err != "" {
			t.Errorf("rotor %s ended with %d: %s", args, r.code, r.err)
		}
		for _, text := range want {
			if !strings.Contains(r.out, text) {
				t.Errorf("rotor %s does not say %q", args, text)
			}
		}
		for line := range strings.Lines(r.out) {
			if len(line) > 130 && !strings.Contains(args, "completion") {
				t.Errorf("rotor %s has a line that is too long: %s", args, line)
			}
		}
	}
	for args, want := range map[string]string{"families alice --status ": "unregistered", "events --type ": "resource_cleanup", "revoke --cause ": "password_changed"} {
		if r := run(t, nil, "", append([]string{"__complete"}, strings.Split(args, " ")...)...); !strings.Contains(r.out, want) {
			t.Errorf("the shell is not offered %s: %s", want, r.out)
		}
	}
}

func TestUnreachable(t *testing.T) {
	const nobody = "http://127.0.0.1:1" // needs root to listen on
	for _, args := range [][]string{{"families", "alice"}, {"events"}, {"events", "--follow"}, {"clients", "list"}, {"erase", "alice", "--yes"}, {"keys", "status"}, {"explain"}} {
		r := run(t, map[string]string{"ROTOR_URL": nobody}, token, args...)
		if r.code != 4 || !strings.Contains(r.err, "no answer from "+nobody) || strings.Contains(r.err, token) {
			t.Errorf("%v ended with %d, %q", args, r.code, r.err)
		}
	}
}

// TestFullDisk checks that what cannot be written is not taken for success.
func TestFullDisk(t *testing.T) {
	w := newWorld(t)
	for _, args := range [][]string{{"version"}, {"clients", "list"}, {"clients", "list", "--json"}, {"keys", "status"}} {
		var errs strings.Builder
		code := command.Main(t.Context(), args, func(string) string { return w.url }, terminal.New(strings.NewReader(""), full{}, &errs))
		if code != 1 || !strings.Contains(errs.String(), "no space is left") {
			t.Errorf("%v ended with %d, %q", args, code, errs.String())
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space is left") }

// TestCompletion checks that the shell offers names of files for a file alone.
func TestCompletion(t *testing.T) {
	const noFiles = ":4\n" // of cobra
	for command, want := range map[string]bool{"clients apply": true, "clients show": false, "revoke": false, "families": false, "erase": false, "secrets add": false} {
		r := run(t, nil, "", append(append([]string{"__complete"}, strings.Fields(command)...), "")...)
		if r.code != 0 || strings.HasSuffix(r.out, noFiles) == want {
			t.Errorf("%s: %+v", command, r)
		}
	}
	if r := run(t, nil, "", "completion", "bash"); r.code != 0 || !strings.Contains(r.out, "complete ") {
		t.Errorf("the completion of bash: %d, %s", r.code, r.err)
	}
}
