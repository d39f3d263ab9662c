package keyring_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/signing"
)

func keysOf(tb testing.TB, source keyring.Source) *keyring.Keys {
	tb.Helper()
	keys, err := source.Keys(tb.Context(), epoch())
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

func openFile(tb testing.TB, path string, alg signing.Algorithm) *keyring.Keys {
	tb.Helper()
	source, err := keyring.File(path, alg, epoch())
	if err != nil {
		tb.Fatal(err)
	}
	return keysOf(tb, source)
}

func TestFileMakesAndReopens(t *testing.T) {
	for _, c := range []struct{ asked, got signing.Algorithm }{
		{"", signing.RS256}, {signing.RS256, signing.RS256}, {signing.ES256, signing.ES256},
	} {
		folder := t.TempDir()
		path := filepath.Join(folder, "keys.json")
		made := openFile(t, path, c.asked)
		if got := made.Signing.Algorithms(epoch()); len(got) != 1 || got[0] != string(c.got) {
			t.Errorf("%q made %v", c.asked, got)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 {
			t.Errorf("mode %v, want 0600", info.Mode())
		}
		for _, alg := range []signing.Algorithm{c.got, ""} {
			if fingerprint(openFile(t, path, alg)) != fingerprint(made) {
				t.Errorf("other keys when opened again with %q", alg)
			}
		}
		onlyFile(t, folder)
	}
}

// onlyFile checks that no temporary file is left.
func onlyFile(t *testing.T, folder string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != "keys.json" {
		t.Errorf("the folder holds %v", entries)
	}
}

func TestFileConcurrentCreatorsAgree(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "keys.json")
	const creators = 8
	var prints [creators]string
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range creators {
		wg.Go(func() {
			<-start
			source, err := keyring.File(path, signing.ES256, epoch())
			if err != nil {
				t.Error(err)
				return
			}
			keys, err := source.Keys(t.Context(), epoch())
			if err != nil {
				t.Error(err)
				return
			}
			prints[i] = fingerprint(keys)
		})
	}
	close(start)
	wg.Wait()
	for i, print := range prints {
		if print == "" || print != prints[0] {
			t.Errorf("creator %d has keys of its own", i)
		}
	}
	onlyFile(t, folder)
}

func TestFileRefuses(t *testing.T) {
	d := generate(t) // makes an ES256 key
	good := encode(t, d)
	retired := *d
	retired.Signing = []signing.Key{d.Signing[0].Retired(time.Time{})}
	for _, c := range []struct {
		name, data string
		mode       os.FileMode
		alg        signing.Algorithm
		want       string
	}{
		{"readable by the group", good, 0o640, "", "chmod 600"},
		{"readable by others", good, 0o604, "", "chmod 600"},
		{"writable by others", good, 0o602, "", "chmod 600"},
		{"corrupt", good[:len(good)-20], 0o600, "", "keys.json"},
		{"empty", "", 0o600, "", "keys.json"},
		{"not yet keys", "{}", 0o600, "", "user_key"},
		{"too large", good + strings.Repeat(" ", 64<<10), 0o600, "", "larger"},
		{"another algorithm", good, 0o600, signing.RS256, "RS256 was asked for, and its keys sign with ES256"},
		{"the algorithm of a retired key", encode(t, &retired), 0o600, signing.ES256, "sign with nothing"},
		{"no key that signs", encode(t, &retired), 0o600, "", "sign with nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys.json")
			err := os.WriteFile(path, []byte(c.data), 0o600)
			if err != nil {
				t.Fatal(err)
			}
			err = os.Chmod(path, c.mode) // sets the mode whatever the umask
			if err != nil {
				t.Fatal(err)
			}
			_, err = keyring.File(path, c.alg, epoch())
			if err == nil {
				t.Fatal("taken")
			}
			if !strings.HasPrefix(err.Error(), "keyring: file") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error does not say %q: %v", c.want, err)
			}
			mustHide(t, d, "error", err.Error())
			after, err := os.ReadFile(path)
			if err != nil || string(after) != c.data {
				t.Error("the file was changed")
			}
		})
	}
}

func TestFileBadPaths(t *testing.T) {
	folder := t.TempDir()
	dangling := filepath.Join(folder, "dangling")
	err := os.Symlink(filepath.Join(folder, "nowhere"), dangling)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{folder, filepath.Join(folder, "none", "keys.json"), dangling, ""} {
		if _, err := keyring.File(path, "", epoch()); err == nil {
			t.Errorf("%q: taken", path)
		}
	}
	if _, err := keyring.File(filepath.Join(folder, "keys.json"), "HS256", epoch()); err == nil {
		t.Error("made keys for HS256")
	}
}
