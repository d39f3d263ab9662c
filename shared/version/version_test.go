package version_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/rotor-auth/rotor/shared/version"
)

// CHANGELOG.md says what is in this version, and when it was made: a release takes its
// notes from there.
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
