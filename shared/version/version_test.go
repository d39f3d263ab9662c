package version_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/mod/semver"

	"github.com/rotor-auth/rotor/shared/version"
)

// TestChangelog checks that a release is the newest dated part of CHANGELOG.md, from which it
// takes its notes, and that changes which are not released have a version that comes after
// it, and says that it is none.
func TestChangelog(t *testing.T) {
	text, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	if fault := compare(string(text), version.Number); fault != "" {
		t.Error(fault)
	}
}

// TestPackage checks that the package for JavaScript has the version of the repository.
func TestPackage(t *testing.T) {
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile("../../clients/js/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var document struct{ Name, Version string }
		if err := json.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		if document.Name != "@rotor-auth/rotor" || document.Version != version.Number {
			t.Errorf("%s is of %s %s, not %s", name, document.Name, document.Version, version.Number)
		}
	}
}

// TestCompare checks that [TestChangelog] would notice what it is for.
func TestCompare(t *testing.T) {
	const unreleased = "## [Unreleased]\n\n### Fixed\n\n- A fault.\n\n"
	const released = "## [0.1.0] - 2026-11-28\n\nThe first version.\n"
	for _, tt := range []struct{ changelog, number, fault string }{
		{released, "0.1.0", ""},
		{"## [Unreleased]\n\n" + released, "0.1.0", ""},
		{"## [Unreleased]\n\n" + released, "0.1.1-dev", ""},
		{unreleased + released, "0.1.1-dev", ""},
		{unreleased + released, "0.2.0-dev", ""},
		{unreleased + released, "0.1.0", "has changes that are not in 0.1.0"},
		{unreleased + released, "0.1.0-dev", "does not come after 0.1.0"},
		{unreleased + released, "0.2.0", "has changes that are not in 0.2.0"},
		{released, "0.2.0", "not 0.2.0"},
		{released, "0.2.0-rc1", "is neither"},
		{released, "0.2", "is neither"},
		{"", "0.1.0", "no dated part"},
	} {
		fault := compare(tt.changelog, tt.number)
		if (fault == "") != (tt.fault == "") || !strings.Contains(fault, tt.fault) {
			t.Errorf("%s with %q: %q", tt.number, tt.changelog, fault)
		}
	}
}

var (
	form  = regexp.MustCompile(`^\d+\.\d+\.\d+(-dev)?$`)
	dated = regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$`)
	// From its title to that of the next part.
	unreleased = regexp.MustCompile(`(?ms)^## \[Unreleased\]$(.*?)(\n## |\z)`)
)

// compare returns what is wrong with a version and its changelog, or "".
func compare(changelog, number string) string {
	if !form.MatchString(number) {
		return number + " is neither a release's number nor one with -dev"
	}
	newest := dated.FindStringSubmatch(changelog)
	if newest == nil {
		return "CHANGELOG.md has no dated part"
	}
	if strings.HasSuffix(number, "-dev") {
		if semver.Compare("v"+number, "v"+newest[1]) <= 0 {
			return number + " does not come after " + newest[1]
		}
		return ""
	}
	if part := unreleased.FindStringSubmatch(changelog); part != nil && strings.TrimSpace(part[1]) != "" {
		return "CHANGELOG.md has changes that are not in " + number + ": the version must be the next one's, with -dev"
	}
	if newest[1] != number {
		return "the newest part of CHANGELOG.md is of " + newest[1] + ", not " + number
	}
	return ""
}

// TestReleaseRefuses checks that no release is made of what is none: of a version between two
// releases, under the tag of another version, or without notes.
func TestReleaseRefuses(t *testing.T) {
	script, err := os.ReadFile("../../infra/release.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ number, tag, want string }{
		{"0.2.0-dev", "v0.2.0-dev", "0.2.0-dev is no release"},
		{"0.2.0-dev", "v0.2.0", "0.2.0-dev is no release"},
		{"0.2.0", "v0.2.1", "the tag is v0.2.1, and shared/version says 0.2.0"},
		{"0.2.0", "0.2.0", "the tag is 0.2.0, and shared/version says 0.2.0"},
		{"0.3.0", "v0.3.0", "no dated part for 0.3.0"},
	} {
		root := t.TempDir()
		for name, content := range map[string]string{
			"infra/release.sh":          string(script),
			"shared/version/version.go": "package version\n\nconst Number = \"" + tt.number + "\"\n",
			"CHANGELOG.md":              "## [Unreleased]\n\n- A change.\n\n## [0.2.0] - 2026-12-24\n\n- Another.\n",
		} {
			file := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		said, err := exec.CommandContext(t.Context(), "bash", filepath.Join(root, "infra/release.sh"), tt.tag).CombinedOutput()
		if err == nil || !strings.Contains(string(said), tt.want) {
			t.Errorf("%s under %s: %v, %s", tt.number, tt.tag, err, said)
		}
		if files, _ := filepath.Glob(filepath.Join(root, "dist/release/*")); len(files) != 0 {
			t.Errorf("%s under %s: it made %v", tt.number, tt.tag, files)
		}
	}
}
