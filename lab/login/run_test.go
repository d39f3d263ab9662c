//go:build logins

package login

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// node returns the function that runs a module of the folder node.
func node(module string) func(t *testing.T, w *world, name string) []byte {
	return func(t *testing.T, w *world, name string) []byte {
		t.Helper()
		return w.command(name, []string{"node/app.mjs", "node/" + module}, "node", module)
	}
}

// python runs the app of the folder python.
func python(t *testing.T, w *world, name string) []byte {
	t.Helper()
	return w.command(name, []string{"python/app.py"}, "../venv/bin/python", "-B", "app.py")
}

// command runs a program in a folder with copies of the files, below that of the libraries, and
// returns what it prints.
func (w *world) command(name string, files []string, program ...string) []byte {
	w.t.Helper()
	// Node looks for libraries in the folders above a module.
	dir, err := os.MkdirTemp(libraries, "run-")
	if err != nil {
		w.t.Fatalf("make test-logins fetches what is needed: %v", err)
	}
	w.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	certificate := filepath.Base(w.certificate(dir))
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program[0], program[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "NO_PROXY=*", "NODE_EXTRA_CA_CERTS=" + certificate, "REQUESTS_CA_BUNDLE=" + certificate,
		"ISSUER=" + w.rotor.URL, "CLIENT_ID=" + clientID, "CLIENT_SECRET=" + w.secret, "CLIENT_KEY=" + string(w.key), "REDIRECT_URI=" + w.callback, "AFTER_LOGOUT=" + w.left,
		"LATER=" + w.app.URL + "/later", "CASE=" + name,
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("%v\n%s\n%s", err, secrets.ReplaceAllString(stderr.String(), "[SECRET]"), w.log)
	}
	return out
}
