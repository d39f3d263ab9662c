package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRelink checks that a test program is linked with the changed package, and that a change
// which other packages have compiled in is left to go test.
func TestRelink(t *testing.T) {
	root := module(t)
	const source = "package server\n\n// Double is inlined into what calls it.\nfunc Double(n int) int { return 2 * twice(n) }\n\n//go:noinline\nfunc twice(n int) int { return n }\n"
	if err := os.WriteFile(filepath.Join(root, "shared/server/api.go"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := newLab(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	for _, tt := range []struct {
		name, old, replacement string
		ok                     bool
		want                   outcome
	}{
		{"a function's body", "{ return n }", "{ return n + 1 }", true, killed},
		{"nothing", "// Double is", "// Double is ", true, survived},
		{"what is inlined elsewhere", "2 * twice", "4 * twice", false, ""},
		{"what does not compile", "return n", "return x", false, ""},
	} {
		changed := map[string]string{"shared/server/api.go": strings.Replace(source, tt.old, tt.replacement, 1)}
		dir, err := l.overlay(changed)
		if err != nil {
			t.Fatal(err)
		}
		program, ok := l.relink(t.Context(), dir, "server", changed, "server")
		if ok != tt.ok {
			t.Errorf("%s: relinked: %t", tt.name, ok)
		}
		if !ok {
			continue
		}
		v, err := l.test(t.Context(), program, "server", ".", time.Minute)
		if err != nil || v.outcome != tt.want {
			t.Errorf("%s: %v, %v", tt.name, v, err)
		}
	}
}

// TestFit checks that code keeps the number of lines that it replaces.
func TestFit(t *testing.T) {
	for _, tt := range []struct{ name, old, replacement, want string }{
		{"as many lines", "a\nb\n", "c\nd\n", "c\nd\n"},
		{"nothing", "\ta()\n\tb()\n", "", "\n\n"},
		{"fewer", "a()\nb()\nc()\n", "\td()\n", " d()\n\n\n"},
		{"more", "a()\n", "if x {\n\ty()\n}\na()\n", "if x { y()\n };  a();  "},
		{"more, of which some fit", "a()\nb()\n", "c()\nd()\ne()\n", "c()\n d()\n e();  "},
		{"more within a line", "x == 1", "x == 1 ||\n\tx == 2", "x == 1 || x == 2"},
		{"fewer, where no line may end", "a &&\n\tb", "a", "a"},
		{"an operator at the end of a line", "a(b)", "a(\n\tb +\n\t\tc,\n)", "a( b + c, )"},
		{"a text of several lines", "a", "`x\ny`\n", "`x\ny`\n"},
		{"the beginning of a comment", "a() // RFC", "b()\nc()\na() // RFC", "b()\nc()\na() // RFC"},
		{"no tokens", "a", "\"x\n\"y", "\"x\n\"y"},
	} {
		if got := fit(tt.old, tt.replacement); got != tt.want {
			t.Errorf("%s: fit(%q, %q) = %q, want %q", tt.name, tt.old, tt.replacement, got, tt.want)
		}
	}
}
