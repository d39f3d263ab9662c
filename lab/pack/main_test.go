package main

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// write writes a program with the given content, mode and time into a new folder.
func write(t *testing.T, content string, mode os.FileMode, modified time.Time) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, modified, modified); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestSameProgramSameBytes checks that the same program makes the same bytes, by which CDK,
// and people who check a release, tell builds apart.
func TestSameProgramSameBytes(t *testing.T) {
	now := time.Now()
	one := write(t, "a program", 0o755, now)
	two := write(t, "a program", 0o600, now.Add(-48*time.Hour))
	other := write(t, "another program", 0o755, now)

	var zips [][]byte
	for _, src := range []string{one, two, other} {
		dst := filepath.Join(t.TempDir(), "function.zip")
		if err := pack(dst, src); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(dst)
		if err != nil {
			t.Fatal(err)
		}
		zips = append(zips, b)
	}
	if !bytes.Equal(zips[0], zips[1]) {
		t.Error("one program, of another mode and time, made other bytes")
	}
	if bytes.Equal(zips[0], zips[2]) {
		t.Error("another program made the same bytes")
	}
}

func TestEntry(t *testing.T) {
	const program = "a program"
	src := write(t, program, 0o600, time.Now())
	dst := filepath.Join(t.TempDir(), "function.zip")
	if err := pack(dst, src); err != nil {
		t.Fatal(err)
	}
	archive, err := os.ReadFile(dst)
	if err != nil {
		t.Fatal(err)
	}
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}

	if len(r.File) != 1 {
		t.Fatalf("%d entries, want 1", len(r.File))
	}
	f := r.File[0]
	if f.Name != "bootstrap" {
		t.Errorf("name %q, want bootstrap", f.Name)
	}
	if f.Mode() != 0o755 {
		t.Errorf("mode %v, want %v", f.Mode(), os.FileMode(0o755))
	}
	if !f.Modified.Equal(epoch) {
		t.Errorf("time %v, want %v", f.Modified, epoch)
	}
	if f.Method != zip.Deflate {
		t.Errorf("method %d, want Deflate", f.Method)
	}
	content, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	got, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != program {
		t.Errorf("content %q, want %q", got, program)
	}
}

// TestNoProgramNoZip checks that a failed build leaves no zip that could be deployed.
func TestNoProgramNoZip(t *testing.T) {
	for name, src := range map[string]string{
		"missing": filepath.Join(t.TempDir(), "missing"),
		"empty":   write(t, "", 0o755, time.Now()),
		"folder":  t.TempDir(),
	} {
		t.Run(name, func(t *testing.T) {
			dst := filepath.Join(t.TempDir(), "function.zip")
			if err := pack(dst, src); err == nil {
				t.Error("no error")
			}
			if _, err := os.Stat(dst); !os.IsNotExist(err) {
				t.Errorf("a zip is there: %v", err)
			}
		})
	}
	t.Run("no folder to write to", func(t *testing.T) {
		dst := filepath.Join(t.TempDir(), "missing", "function.zip")
		if err := pack(dst, write(t, "a program", 0o755, time.Now())); err == nil {
			t.Error("no error")
		}
	})
}
