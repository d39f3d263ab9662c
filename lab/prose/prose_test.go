package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	long := strings.Repeat("word ", longestSentence)
	for _, tt := range []struct{ source, want string }{
		{"// F returns a number.\nfunc F() int { return 1 }", ""},
		{"// F never returns a number.\nfunc F() int { return 1 }", ""},
		{"func F() int { return 1 }", ""},
		{"// F is a number.\nfunc F() int { return 1 }", `"F is"`},
		{"// Returns a number.\nfunc F() int { return 1 }", "must begin with its name"},
		{"// F a number.\nfunc F() int { return 1 }", `"F a"`},
		{"// F reports whether it is so.\nfunc F() bool { return true }", ""},
		{"// F moves it, and reports whether it did.\nfunc F() bool { return true }", ""},
		{"// F returns whether it is so.\nfunc F() bool { return true }", "reports"},
		{"// F returns a number, and whether it is so.\nfunc F() (n int, ok bool) { return 1, true }", ""},
		{"// f says it.\nfunc f() {}", `"f says"`},
		{"// M is a number.\nfunc (t *T) M() int { return 1 }", `"M is"`},
		{"// T is a value.\ntype T struct{}", ""},
		{"// A T is a value.\ntype T struct{}", ""},
		{"// These are values.\ntype T struct{}", "the type T must begin"},
		{"// These are values.\ntype (\n\tT struct{}\n\tU struct{}\n)", ""},
		{"// c is a number.\nconst c = 1", ""},
		{"// c is for whoever\n// asks.\nconst c = 1", `"whoever"`},
		{"// c is kept for\n// ever.\nconst c = 1", `"for ever"`},
		{"const c = 1 // kept for ever", `"for ever"`},
		{"// c is " + long + ".\nconst c = 1", "a sentence of 42 words"},
		{"// c is " + long[:100] + ". It is " + long[:100] + ".\nconst c = 1", ""},
		{"// c is this:\n//\n//\t" + long + long + "\nconst c = 1", ""},
		{"// c is these:\n//\n//   - " + long[:150] + "\n//   - " + long[:150] + "\nconst c = 1", ""},
	} {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "f.go", "package p\n\n"+tt.source+"\n", parser.ParseComments)
		if err != nil {
			t.Fatalf("%s: %v", tt.source, err)
		}
		got := check(fset, file)
		if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
			t.Errorf("%s\ngot %q, want %q", tt.source, got, tt.want)
		}
	}
}

func TestCheckOfTests(t *testing.T) {
	for _, tt := range []struct{ name, source, want string }{
		{"f_test.go", "// TestF checks it.\nfunc TestF(t *testing.T) {}", ""},
		{"f_test.go", "// F is checked.\nfunc TestF(t *testing.T) {}", "the comment of TestF must begin with its name"},
		{"f_test.go", "// TestF: it is so.\nfunc TestF(t *testing.T) {}", "the comment of TestF must begin with its name"},
		{"f_test.go", "// Without this it could break.\nfunc TestF(t *testing.T) {}", ""},
		{"f.go", "// Without this it could break.\nfunc TestF(t *testing.T) {}", "the comment of TestF must begin with its name"},
		{"f_test.go", "// Without this it could break.\nfunc helper() {}", "the comment of helper must begin with its name"},
		{"f_test.go", "// helper a number.\nfunc helper() {}", `"helper a"`},
		{"f_test.go", "// A program does it.\nfunc ExampleF() {}", ""},
		{"f_test.go", "// A program does it for whoever asks.\nfunc ExampleF() {}", `"whoever"`},
		{"f.go", "// A program does it.\nfunc ExampleF() {}", "the comment of ExampleF must begin with its name"},
		{"f_test.go", "// fate is what follows.\ntype fate int", ""},
		{"f_test.go", "// fate returns what follows.\nfunc (t T) fate() int { return 0 }", ""},
		{"f_test.go", "// outcome returns the fate.\nfunc outcome() int { return 0 }", `"fate"`},
	} {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, tt.name, "package p\n\n"+tt.source+"\n", parser.ParseComments)
		if err != nil {
			t.Fatalf("%s: %v", tt.source, err)
		}
		got := check(fset, file)
		if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
			t.Errorf("%s: %s\ngot %q, want %q", tt.name, tt.source, got, tt.want)
		}
	}
}

// TestRun checks that every package under the root is checked with its tests, and that testdata is not.
func TestRun(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"a/a.go":          "package a\n\n// F is wrong.\nfunc F() {}\n",
		"a/a_test.go":     "package a\n\n// G is wrong.\nfunc G() {}\n",
		"b/b.go":          "package b\n\n// F returns.\nfunc F() {}\n",
		"b/testdata/c.go": "package c\n\n// F is not looked at.\nfunc F() {}\n",
	} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := run(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || !strings.Contains(got[0], "a.go:3:1: ") || !strings.Contains(got[1], "a_test.go:3:1: ") {
		t.Errorf("got %q", got)
	}
}
