//go:build callers

package manage_test

import (
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/lab/sigv4"
)

// callers has the libraries of the documentation's signed calls; `make test-clients` fetches them.
const callers = "../../.tools/callers"

// story returns what each example is made to do, as [method, path, query, body] each.
func story() [][4]any {
	calls := [][4]any{
		{"PUT", "/v1/clients/app", map[string]string{}, map[string]any{"type": "public"}},
		{"GET", "/v1/clients/app", map[string]string{}, nil},
		{"GET", "/v1/clients/no%20such%2Fclient~", map[string]string{}, nil},
	}
	for _, user := range strangeUsers {
		calls = append(calls,
			[4]any{"POST", "/v1/families", map[string]string{}, map[string]any{"user_id": user, "client_id": "app"}},
			[4]any{"GET", "/v1/families", map[string]string{"user_id": user, "status": "active"}, nil},
			[4]any{"DELETE", "/v1/families", map[string]string{"user_id": user, "cause": "password_changed"}, nil})
	}
	return append(calls, [4]any{"DELETE", "/v1/clients/app", map[string]string{}, nil})
}

const nodeMain = `import { readFileSync } from 'node:fs';
import { rotor } from './rotor.mjs';
for (const [method, path, query, body] of JSON.parse(readFileSync(0))) {
  const told = await rotor(method, path, query, body ?? undefined).catch((error) => ({ refused: error.message }));
  console.log(JSON.stringify(told ?? null));
}
`

const pythonMain = `import json, sys
from rotor import requests, rotor
for method, path, query, body in json.load(sys.stdin):
    try:
        print(json.dumps(rotor(method, path, query, body)))
    except requests.HTTPError as refusal:
        print(json.dumps({"refused": str(refusal.response.status_code) + " " + refusal.response.text}))
`

// TestSignedCallsOfTheDocumentation runs the examples of docs/clients.md, as they stand there except for the address, against a
// service behind the verifier of signatures.
func TestSignedCallsOfTheDocumentation(t *testing.T) {
	for _, language := range []struct {
		info, file, main, program string
		command                   []string
	}{
		{"js", "rotor.mjs", "main.mjs", nodeMain, []string{"node", "main.mjs"}},
		{"python", "rotor.py", "main.py", pythonMain, []string{"../venv/bin/python", "main.py"}},
	} {
		t.Run(language.info, func(t *testing.T) {
			srv, _ := signedWorld(t)
			// Node looks for libraries in the folders above a module.
			dir, err := os.MkdirTemp(callers, "run-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			example := strings.ReplaceAll(example(t, language.info, language.file), "https://auth.example.com", srv.URL)
			certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
			for name, text := range map[string]string{language.file: example, language.main: language.program, "ca.pem": string(certificate)} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			calls, err := json.Marshal(story())
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), language.command[0], language.command[1:]...)
			cmd.Dir, cmd.Stdin = dir, strings.NewReader(string(calls))
			cmd.Env = []string{
				"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "NO_PROXY=*", "NODE_EXTRA_CA_CERTS=ca.pem", "REQUESTS_CA_BUNDLE=ca.pem",
				"AWS_REGION=" + sigv4.Region, "AWS_DEFAULT_REGION=" + sigv4.Region, "AWS_EC2_METADATA_DISABLED=true",
				"AWS_ACCESS_KEY_ID=" + sigv4.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + sigv4.SecretAccessKey, "AWS_SESSION_TOKEN=" + sigv4.SessionToken,
			}
			var stderr strings.Builder
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s%s", err, out, &stderr)
			}
			answers := strings.Split(strings.TrimSpace(string(out)), "\n")
			if len(answers) != len(story()) {
				t.Fatalf("%d calls had %d answers:\n%s", len(story()), len(answers), out)
			}
			for i, call := range story() {
				want := map[any]string{"PUT": `"client_id":`, "GET": `"client_id":`, "POST": `"refresh_token":`, "DELETE": `"revoked":`}[call[0]]
				switch {
				case i == 2:
					want = "must be 1 to 64 of"
				case i == len(answers)-1:
					want = "null"
				}
				if got := strings.ReplaceAll(answers[i], `": `, `":`); !strings.Contains(got, want) {
					t.Errorf("%v is answered %s, without %s", call, got, want)
				}
			}
		})
	}
}

// example returns the block of docs/clients.md that begins with the name of its file.
func example(t *testing.T, info, file string) string {
	t.Helper()
	return exampleOf(t, "clients.md", info, file)
}

// exampleOf returns the block of a page of the documentation that begins with the name of its file.
func exampleOf(t *testing.T, name, info, file string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(page), "\n```"+info+"\n")[1:] {
		text, _, _ := strings.Cut(block, "\n```")
		if first, _, _ := strings.Cut(text, "\n"); strings.HasSuffix(first, " "+file) {
			return text + "\n"
		}
	}
	t.Fatalf("docs/%s has no example %s", name, file)
	return ""
}
