package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAdoptSecrets reads a secret of another provider from a file, and checks what is said where
// there is none.
func TestAdoptSecrets(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good", `{"rotor/adopt/shop":"hidden"}`)
	if secret, err := adoptSecrets(good)(t.Context(), "rotor/adopt/shop"); secret != "hidden" || err != nil {
		t.Error(secret, err)
	}
	for _, tt := range []struct{ path, name, says string }{
		{"", "rotor/adopt/shop", "ADOPT_SECRETS is not set"},
		{good, "rotor/adopt/mail", "has no secret of this name"},
		{filepath.Join(dir, "missing"), "rotor/adopt/shop", "no such file"},
		{write("bad", `"hidden`), "rotor/adopt/shop", "is not a JSON object"},
	} {
		secret, err := adoptSecrets(tt.path)(t.Context(), tt.name)
		if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "hidden") || secret != "" {
			t.Errorf("%s: %q, %v", tt.says, secret, err)
		}
	}
}
