package main

import (
	"bytes"
	"io"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const repository = "../.."

// TestTableIsOfThisCode checks that the texts which mutants replace exist, and the tests that
// should detect them.
func TestTableIsOfThisCode(t *testing.T) {
	all, err := choose(table, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := check(repository, all); err != nil {
		t.Error(err)
	}
	seen := map[string]bool{}
	for _, m := range all {
		if seen[m.rule] || m.rule == "" || strings.ContainsAny(m.rule, "|\n") {
			t.Errorf("the rule %q is there twice, or no cell of a table", m.rule)
		}
		seen[m.rule] = true
		if suites[m.pkg] == nil {
			t.Errorf("%q: there are no suites for %s", m.rule, m.pkg)
		}
	}
}

// TestDocument checks that the document is what the table generates, and that the tests that
// it names exist.
func TestDocument(t *testing.T) {
	document, err := os.ReadFile(filepath.Join(repository, "docs", "mutants.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range table {
		for _, m := range c.mutants {
			if err := exists(repository, m.test); err != nil {
				t.Errorf("%q: %v", m.rule, err)
			}
		}
	}
	if string(document) != markdown(table) {
		t.Error("docs/mutants.md is not of this table: go run ./lab/mutants -write docs/mutants.md, in the root of the repository")
	}
}

// module returns the folder of a module with one package, shared/server, with a function and
// tests of it.
func module(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":               "module example.com/m\n\ngo 1.26\n",
		"shared/server/api.go": "package server\n\nfunc Double(n int) int { return 2 * n }\n\nfunc Unused() int { return 1 }\n",
		"shared/server/api_test.go": `package server

import "testing"

func TestDouble(t *testing.T) {
	t.Run("of two", func(t *testing.T) {
		if Double(2) != 4 {
			t.Error("wrong")
		}
	})
}

func TestNothing(t *testing.T) {}
`,
	} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestVerdicts(t *testing.T) {
	root := module(t)
	file := func() string {
		b, err := os.ReadFile(filepath.Join(root, "shared/server/api.go"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	before := file()
	of := func(test, old, replacement string) mutant {
		return mutant{rule: old + " becomes " + replacement, pkg: "server", test: test, edits: []edit{{old, replacement}}}
	}
	mutants := []mutant{
		of("server.TestDouble", "2 * n", "3 * n"),
		of("server.TestNothing", "2 * n", "n"), // detected only by the whole suite
		of("server.TestDouble", "2 * n", "n + n"),
		of("server.TestDouble", "return 1", "return x"),
	}
	want := []verdict{
		{outcome: killed, by: "server.TestDouble/of_two"}, {outcome: killed, by: "server.TestDouble/of_two"}, {outcome: survived}, {outcome: broken},
	}
	var out bytes.Buffer
	got, err := tryAll(t.Context(), log.New(&out, "", 0), root, mutants, 2, false)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		if v.outcome != want[i].outcome || v.by != want[i].by {
			t.Errorf("%s: %+v", mutants[i].rule, v)
		}
	}
	lines := regexp.MustCompile(`(?m)^(killed|SURVIVED|BROKEN)`).FindAllString(out.String(), -1)
	if strings.Join(lines, " ") != "killed killed SURVIVED BROKEN" {
		t.Errorf("printed %s", out.String())
	}
	if file() != before {
		t.Error("the file was changed")
	}
}

// TestBaseline checks that no mutant gets a verdict if a test fails without mutants.
func TestBaseline(t *testing.T) {
	root := module(t)
	name := filepath.Join(root, "shared/server/api.go")
	if err := os.WriteFile(name, []byte("package server\n\nfunc Double(n int) int { return n }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []string{"server.TestDouble", "server.TestNothing"} { // one fails at once, and one when the whole suite runs
		m := mutant{rule: "r", pkg: "server", test: test, edits: []edit{{"return n", "return (n)"}}}
		_, err := tryAll(t.Context(), log.New(io.Discard, "", 0), root, []mutant{m}, 2, false)
		if err == nil || !strings.Contains(err.Error(), "without a mutant, server.TestDouble/of_two fails") {
			t.Errorf("%s: %v", test, err)
		}
	}
}

func TestStaleTable(t *testing.T) {
	root := module(t)
	for _, m := range []mutant{
		{rule: "gone", pkg: "server", test: "server.TestDouble", edits: []edit{{"4 * n", "n"}}},
		{rule: "not clear which", pkg: "server", test: "server.TestDouble", edits: []edit{{"return", "panic"}}},
		{rule: "nothing", pkg: "server", test: "server.TestDouble", edits: []edit{{"2 * n", "2 * n"}}},
		{rule: "no such file", pkg: "server", file: "apis.go", test: "server.TestDouble", edits: []edit{{"2 * n", "n"}}},
		{rule: "no such test", pkg: "server", test: "server.TestTriple", edits: []edit{{"2 * n", "n"}}},
	} {
		if _, err := tryAll(t.Context(), log.New(io.Discard, "", 0), root, []mutant{m}, 1, false); err == nil || !strings.Contains(err.Error(), m.rule) {
			t.Errorf("%s: %v", m.rule, err)
		}
	}
}

// TestMutantFindsItsFiles checks that a mutant finds its texts in any file of its package, and
// reports an error if they are ambiguous.
func TestMutantFindsItsFiles(t *testing.T) {
	root := t.TempDir()
	for name, content := range map[string]string{
		"shared/server/a.go":        "package server\n\nconst one, both = 1, true\n",
		"shared/server/b.go":        "package server\n\nconst two, both2 = 2, true\n",
		"shared/server/api_test.go": "package server\n\nconst tested = 1\n",
		"shared/store/c.go":         "package store\n\nconst three = 3\n",
	} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const a, b = "shared/server/a.go", "shared/server/b.go"
	for _, tt := range []struct {
		file  string
		edits []edit
		want  map[string]string
		err   string
	}{
		{"", []edit{{"= 2", "= 3"}}, map[string]string{b: "package server\n\nconst two, both2 = 3, true\n"}, ""},
		{"", []edit{{"= 2", "= 3"}, {"= 1", "= 0"}}, map[string]string{
			a: "package server\n\nconst one, both = 0, true\n", b: "package server\n\nconst two, both2 = 3, true\n",
		}, ""},
		{"", []edit{{"= 2", "= 3"}, {"= 3", "= 4"}}, map[string]string{b: "package server\n\nconst two, both2 = 4, true\n"}, ""},
		{"b.go", []edit{{"true", "false"}}, map[string]string{b: "package server\n\nconst two, both2 = 2, false\n"}, ""},
		{"", []edit{{"true", "false"}}, nil, "in shared/server this text occurs 2 times, not once"},
		{"", []edit{{"= 3", "= 4"}}, nil, "but it occurs in shared/store/c.go"},
	} {
		got, err := mutant{rule: "r", pkg: "server", file: tt.file, edits: tt.edits}.mutate(&sources{root: root})
		if !maps.Equal(got, tt.want) || (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%v: %v, %v", tt.edits, got, err)
		}
	}
}

func TestFailedIn(t *testing.T) {
	for _, tt := range []struct {
		output  string
		outcome outcome
		test    string
	}{
		{"--- FAIL: TestA (0.00s)\n    a_test.go:1: wrong\n--- FAIL: TestB (0.00s)\n", killed, "TestA"},
		{"--- FAIL: TestA (0.00s)\n    --- FAIL: TestA/x (0.00s)\n        --- FAIL: TestA/x/y (0.00s)\n    --- FAIL: TestA/z (0.00s)\n", killed, "TestA/x/y"},
		{"PASS\nleaked\n", killed, "TestMain"},
		{"panic: test timed out after 2s\n\trunning tests:\n\t\tTestA/x (2s)\n\ngoroutine 1 [running]:\n", hung, "TestA/x"},
	} {
		if o, test := failedIn(tt.output); o != tt.outcome || test != tt.test {
			t.Errorf("%s, %s of %q", o, test, tt.output)
		}
	}
}

// TestChanged checks that exactly those packages count in which a file differs from the
// commit, committed or not.
func TestChanged(t *testing.T) {
	root := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"}, args...)...)
		cmd.Dir = root
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, b)
		}
	}
	write := func(name, content string) {
		t.Helper()
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"shared/a/a.go", "shared/b/b.go", "shared/c/c.go", "shared/d/d.md"} {
		write(name, "package x\n")
	}
	git("init", "-q")
	git("add", ".")
	git("commit", "-qm", "one")
	write("shared/a/a.go", "package y\n")
	git("commit", "-qam", "two")
	write("shared/b/b.go", "package y\n")
	write("shared/d/d.md", "package y\n")
	mutants := []mutant{{rule: "a", pkg: "a"}, {rule: "b", pkg: "b"}, {rule: "c", pkg: "c"}, {rule: "d", pkg: "d"}}
	for since, want := range map[string]string{"HEAD": "b", "HEAD~1": "ab"} {
		got, err := changed(t.Context(), root, since, mutants)
		if err != nil {
			t.Fatal(err)
		}
		rules := ""
		for _, m := range got {
			rules += m.rule
		}
		if rules != want {
			t.Errorf("since %s: %s, not %s", since, rules, want)
		}
	}
	if _, err := changed(t.Context(), root, "nothing", mutants); err == nil {
		t.Error("a commit that is not there is none")
	}
}

func TestByPackage(t *testing.T) {
	mutants := []mutant{{pkg: "b"}, {pkg: "a"}, {pkg: "a"}}
	got := byPackage(mutants, []verdict{{outcome: killed}, {outcome: survived}, {outcome: killed}})
	if want := "   1 of   2 killed in shared/a\n   1 of   1 killed in shared/b\n"; got != want {
		t.Errorf("got\n%s", got)
	}
}
