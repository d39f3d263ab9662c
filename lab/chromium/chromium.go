// Package chromium runs tests beside one Chromium that all of them share.
package chromium

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
)

// Run starts a Chromium with a profile of its own, sets chrome to its context, runs the tests, ends Chromium, and
// returns the exit code. hosts says which names Chromium finds where, as its option host-resolver-rules has it. No other
// name leads away from this machine.
func Run(m *testing.M, chrome *context.Context, hosts string, more ...chromedp.ExecAllocatorOption) int {
	profile, err := os.MkdirTemp("", "rotor-chromium-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(profile) }()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.UserDataDir(profile),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", hosts),
	)
	options = append(options, more...)
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
	version, err := cdp.Call(ctx, chromedp.FromContext(ctx).Browser, browser.GetVersion, cdp.Empty{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(version.Product)
	*chrome = ctx
	code := m.Run()
	closing, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := chromedp.Cancel(closing); err != nil {
		fmt.Fprintf(os.Stderr, "end Chromium: %v\n", err)
		return 1
	}
	return code
}
