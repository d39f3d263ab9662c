package version_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/rotor-auth/rotor/shared/version"
)

// TestChangelog checks that CHANGELOG.md lists this version with its date, because a release
// takes its notes from there.
func TestChangelog(t *testing.T) {
	text, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	newest := regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$`).FindSubmatch(text)
	if newest == nil || string(newest[1]) != version.Number {
		t.Errorf("the newest part of CHANGELOG.md is %q, and the version %s", newest, version.Number)
	}
}
