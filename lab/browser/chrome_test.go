//go:build browser

// Package browser drives the pages of the console in a real Chromium.
package browser

import (
	"context"
	"os"
	"testing"

	"github.com/rotor-auth/rotor/lab/chromium"
)

// foreign is a name that no resolver knows, and that this Chromium finds on loopback.
const foreign = "evil.example"

// chrome is the one Chromium of all tests. Each test has a profile of its own in it.
var chrome context.Context

func TestMain(m *testing.M) {
	os.Exit(chromium.Run(m, &chrome, "MAP "+foreign+" 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"))
}
