// Package chromium runs tests beside one Chromium that all of them share, or with one of their own.
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
	ctx, stop, err := Start(profile, hosts, more...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
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
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// Start starts a Chromium with the profile in a folder, and with options as [Run] has them. It returns its context, and the
// function that ends it as a user does.
func Start(profile, hosts string, more ...chromedp.ExecAllocatorOption) (ctx context.Context, stop func() error, err error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.UserDataDir(profile),
		chromedp.Flag("disable-component-update", true),
		// The first two are chromedp's own. The others are pages of Chromium's own, for its address bar, into which
		// nobody types. They follow each navigation of each tab, which takes almost half of Chromium's work.
		chromedp.Flag("disable-features", "Translate,BlinkGenPropertyTrees,WebUIOmniboxPopup,WebUIOmniboxAimPopup"),
		chromedp.Flag("host-resolver-rules", hosts),
	)
	options = append(options, more...)
	if os.Geteuid() == 0 { // a sandbox of Chromium is for other users
		options = append(options, chromedp.NoSandbox)
	}
	ctx, free := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(ctx)
	if err := chromedp.Do(ctx); err != nil {
		cancel()
		free()
		return nil, nil, fmt.Errorf("start Chromium, which is Debian's package chromium: %w", err)
	}
	return ctx, func() error {
		defer free()
		defer cancel()
		closing, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if err := chromedp.Cancel(closing); err != nil {
			return fmt.Errorf("end Chromium: %w", err)
		}
		return nil
	}, nil
}
