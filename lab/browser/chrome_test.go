//go:build browser

// Package browser drives the pages of the console in a real Chromium.
package browser

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// foreign is a name that no resolver knows, and that this Chromium finds on loopback.
const foreign = "evil.example"

// chrome is the one Chromium of all tests. Each test has a profile of its own in it.
var chrome context.Context

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run runs the tests beside a Chromium, and returns the exit code.
func run(m *testing.M) int {
	profile, err := os.MkdirTemp("", "rotor-browser-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(profile) }()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.UserDataDir(profile),
		chromedp.Flag("disable-component-update", true),
		// No name leads away from this machine.
		chromedp.Flag("host-resolver-rules", "MAP "+foreign+" 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
	)
	if os.Geteuid() == 0 { // a sandbox of Chromium is for other users
		options = append(options, chromedp.NoSandbox)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	if err := chromedp.Do(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "start Chromium, which is Debian's package chromium: %v\n", err)
		return 1
	}
	chrome = ctx
	code := m.Run()
	closing, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Cancel(closing); err != nil {
		fmt.Fprintf(os.Stderr, "end Chromium: %v\n", err)
		return 1
	}
	return code
}
