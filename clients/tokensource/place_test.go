//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package tokensource_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/clients/tokensource"
)

// ended returns the error of f, which must return at once: a program that reads a
// pipe would wait forever.
func ended(t *testing.T, what string, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(10 * time.Second):
		t.Fatalf("%s hangs", what)
		return nil
	}
}

// obstacles are things that can be where a file is expected. Each is made at path,
// and may use the token file at other.
var obstacles = []struct {
	name, says string
	make       func(t *testing.T, path, other string) error
}{
	{"a symbolic link to a token file", "is a symbolic link", func(_ *testing.T, path, other string) error { return os.Symlink(other, path) }},
	{"a symbolic link to nothing", "is a symbolic link", func(_ *testing.T, path, other string) error { return os.Symlink(other+".none", path) }},
	{"a symbolic link to a pipe", "is a symbolic link", func(_ *testing.T, path, other string) error {
		return errors.Join(syscall.Mkfifo(other+".pipe", 0o600), os.Symlink(other+".pipe", path))
	}},
	{"a symbolic link inside the folder", "is a symbolic link", func(_ *testing.T, path, _ string) error {
		return errors.Join(os.WriteFile(path+".real", []byte("1\n{}"), 0o600), os.Symlink(filepath.Base(path)+".real", path))
	}},
	{"a pipe", "is a named pipe", func(_ *testing.T, path, _ string) error { return syscall.Mkfifo(path, 0o600) }},
	{"a folder", "is a folder", func(_ *testing.T, path, _ string) error { return os.Mkdir(path, 0o700) }},
	{"a socket", "is a socket", func(t *testing.T, path, _ string) error {
		l, err := net.Listen("unix", path)
		if err == nil {
			t.Cleanup(func() { _ = l.Close() })
		}
		return err
	}},
}

// TestObstacles checks that an obstacle in place of the token file, its lock or its
// next version is not followed, opened, removed or waited for.
func TestObstacles(t *testing.T) {
	for _, o := range obstacles {
		for _, place := range []string{"token", "token.lock", "token.new"} {
			t.Run(o.name+" at "+place, func(t *testing.T) {
				t.Chdir(private(t)) // the address of a socket must be short
				outside := filepath.Join(private(t), "outside")
				if err := os.WriteFile(outside, []byte("1\n{}"), 0o600); err != nil {
					t.Fatal(err)
				}
				if place != "token" {
					if err := os.WriteFile("token", []byte("1\n{}"), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if err := o.make(t, place, outside); err != nil {
					t.Fatal(err)
				}
				before, err := os.Lstat(place)
				if err != nil {
					t.Fatal(err)
				}
				s := tokensource.NewFile("token")
				err = ended(t, "loading", func() error { _, err := s.Load(t.Context()); return err })
				if place == "token" && (err == nil || !strings.Contains(err.Error(), o.says)) || place != "token" && err != nil {
					t.Errorf("load: %v", err)
				}
				err = ended(t, "saving", func() error { return s.Save(t.Context(), tokensource.Record{Version: 2, Data: []byte("{}")}) })
				if err == nil || !strings.Contains(err.Error(), o.says) || !strings.Contains(err.Error(), place) || errors.Is(err, tokensource.ErrConflict) {
					t.Errorf("save: %v", err)
				}
				if after, err := os.Lstat(place); err != nil || !os.SameFile(before, after) {
					t.Errorf("it was replaced or removed: %v", err)
				}
				if b, err := os.ReadFile(outside); err != nil || string(b) != "1\n{}" {
					t.Errorf("a file elsewhere was written to: %q, %v", b, err)
				}
			})
		}
	}
}

// TestSwapped checks the same for an obstacle that replaces the file after it was
// checked.
func TestSwapped(t *testing.T) {
	for _, o := range obstacles {
		t.Run(o.name, func(t *testing.T) {
			t.Chdir(private(t))
			s := tokensource.NewFile("token")
			if err := s.Save(t.Context(), tokensource.Record{Version: 1, Data: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
			other := filepath.Join(private(t), "outside")
			if err := os.WriteFile(other, []byte("1\n{}"), 0o600); err != nil {
				t.Fatal(err)
			}
			tokensource.Between(s, func() {
				if err := errors.Join(os.Rename("token", "before"), o.make(t, "token", other)); err != nil {
					t.Error(err)
				}
			})
			err := ended(t, "loading", func() error { _, err := s.Load(t.Context()); return err })
			refused(t, "load", err, "token")
		})
	}
}

// TestDevice checks that a device is not read.
func TestDevice(t *testing.T) {
	for _, path := range []string{"/dev/null", "/dev/zero"} {
		s := tokensource.NewFile(path)
		err := ended(t, "loading", func() error { _, err := s.Load(t.Context()); return err })
		refused(t, "load", err, "is a device")
	}
}

// TestFolder checks that a token is neither read nor saved where others could
// replace it, and that the error says what to do.
func TestFolder(t *testing.T) {
	for _, test := range []struct {
		name string
		mode fs.FileMode
		says string // "" if it is used
	}{
		{"private", 0o700, ""},
		{"readable by others", 0o755, ""},
		{"writable by its group", 0o770, "chmod go-w"},
		{"writable by others", 0o702, "chmod go-w"},
		{"as /tmp", 0o777 | fs.ModeSticky, "chmod go-w"},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := private(t)
			path := filepath.Join(folder, "token")
			if err := tokensource.NewFile(path).Save(t.Context(), tokensource.Record{Version: 1, Data: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(folder, test.mode); err != nil {
				t.Fatal(err)
			}
			s := tokensource.NewFile(path)
			_, err := s.Load(t.Context())
			refused(t, "load", err, test.says, folder)
			refused(t, "save", s.Save(t.Context(), tokensource.Record{Version: 2, Data: []byte("{}")}), test.says, folder)
		})
	}
}

// refused checks that err contains the texts, or that it is nil if the first text is
// empty.
func refused(t *testing.T, what string, err error, says ...string) {
	t.Helper()
	if says[0] == "" {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	for _, text := range says {
		if err == nil || !strings.Contains(err.Error(), text) || errors.Is(err, tokensource.ErrConflict) {
			t.Errorf("%s: %v, which does not say %q", what, err, text)
		}
	}
}

// TestOwner checks that the folder must belong to this user or root, and the files
// to this user.
func TestOwner(t *testing.T) {
	me := os.Geteuid()
	const stranger = 4242
	for _, test := range []struct {
		name, of string
		owner    int
		says     string
	}{
		{"a folder of mine", "private", me, ""},
		{"a folder of root", "private", 0, ""},
		{"a folder of another", "private", stranger, "belongs to user 4242"},
		{"a token of another", "token", stranger, "belongs to user 4242"},
		{"a lock of another", "token.lock", stranger, "belongs to user 4242"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(private(t), "token")
			s := tokensource.NewFile(path)
			if err := s.Save(t.Context(), tokensource.Record{Version: 1, Data: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
			tokensource.Belongs(s, test.of, test.owner)
			_, err := s.Load(t.Context())
			if test.of == "token.lock" {
				refused(t, "load", err, "") // reading takes no lock
			} else {
				refused(t, "load", err, test.says, test.of)
			}
			refused(t, "save", s.Save(t.Context(), tokensource.Record{Version: 2, Data: []byte("{}")}), test.says, test.of)
		})
	}
	path := filepath.Join(private(t), "token")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if uid, err := tokensource.OwnerOf(path); err != nil || uid != me {
		t.Errorf("the owner is %d, and not %d; %v", uid, me, err)
	}
}

// TestLockMode checks that a lock which others can hold is not used.
func TestLockMode(t *testing.T) {
	path := filepath.Join(private(t), "token")
	if err := os.WriteFile(path+".lock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path+".lock", 0o604); err != nil {
		t.Fatal(err)
	}
	err := tokensource.NewFile(path).Save(t.Context(), tokensource.Record{Version: 1})
	refused(t, "save", err, "chmod 600", "token.lock")
}

// TestTwoNames checks that a token file with two names is refused. It would become
// two files with a token each, one of which is dead.
func TestTwoNames(t *testing.T) {
	path := filepath.Join(private(t), "token")
	a, b := tokensource.NewFile(path), tokensource.NewFile(path+".copy")
	if err := a.Save(t.Context(), tokensource.Record{Version: 1, Data: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(path, path+".copy"); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*tokensource.File{a, b} {
		_, err := s.Load(t.Context())
		refused(t, "load", err, "2 names")
		refused(t, "save", s.Save(t.Context(), tokensource.Record{Version: 2}), "2 names")
	}
	if err := os.Remove(path + ".copy"); err != nil {
		t.Fatal(err)
	}
	if err := a.Save(t.Context(), tokensource.Record{Version: 2, Data: []byte("{}")}); err != nil {
		t.Error(err)
	}
}

// TestFolderGone checks that a missing folder, as of a disk that is not mounted, is
// an error and not an empty store.
func TestFolderGone(t *testing.T) {
	folder := filepath.Join(private(t), "later")
	s := tokensource.NewFile(filepath.Join(folder, "token"))
	_, err := s.Load(t.Context())
	refused(t, "load", err, "mkdir -m 700", folder)
	refused(t, "save", s.Save(t.Context(), tokensource.Record{Version: 1}), "mkdir -m 700", folder)
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = s.Load(t.Context())
	refused(t, "load", err, "is not a folder")
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(folder, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, "load", ended(t, "loading", func() error { _, err := s.Load(t.Context()); return err }), "is not a folder")
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(t.Context(), tokensource.Record{Version: 1, Data: []byte("{}")}); err != nil {
		t.Error(err)
	}
}

// TestFolderLink checks that a folder may be reached by a symbolic link. The token
// stays where the link leads at first use, even if the link or the working directory
// changes.
func TestFolderLink(t *testing.T) {
	first, second, home := private(t), private(t), private(t)
	t.Chdir(home)
	if err := os.Symlink(first, "current"); err != nil {
		t.Fatal(err)
	}
	s := tokensource.NewFile("current/token")
	if _, err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove("current"), os.Symlink(second, "current")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(second)
	if err := s.Save(t.Context(), tokensource.Record{Version: 1, Data: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(first, "token")); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(second); err != nil || len(entries) > 0 {
		t.Errorf("the other folder has %v, %v", entries, err)
	}
}

// TestReadWhileReplaced checks that a reader sees one version or the next, however
// often the file is replaced.
func TestReadWhileReplaced(t *testing.T) {
	s := tokensource.NewFile(filepath.Join(private(t), "token"))
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for latest := uint64(0); ctx.Err() == nil; {
				r, err := s.Load(ctx)
				if err != nil || r.Version < latest {
					t.Errorf("version %d after %d, %v", r.Version, latest, err)
					return
				}
				latest = r.Version
			}
		})
	}
	for version := range uint64(100) {
		if err := s.Save(t.Context(), tokensource.Record{Version: version + 1, Data: []byte("{}")}); err != nil {
			t.Error(err)
		}
	}
	cancel()
	readers.Wait()
}
