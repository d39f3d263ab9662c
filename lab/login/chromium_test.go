//go:build logins

package login

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// bundles are the builds for browsers of the SDKs, as their packages ship them.
var bundles = map[string]string{
	"oidc-client-ts": "oidc-client-ts/dist/browser/oidc-client-ts.min.js",
	"tslib":          "tslib/tslib.es6.mjs", // of auth-js
	"auth0-spa-js":   "@auth0/auth0-spa-js/dist/auth0-spa-js.production.js",
}

// chrome is the one Chromium of all pages. Each page has a profile of its own in it.
var chrome context.Context

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run runs the tests beside a Chromium, and returns the exit code.
func run(m *testing.M) int {
	profile, err := os.MkdirTemp("", "rotor-login-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(profile) }()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.UserDataDir(profile),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"), // no name leads away from this machine
		chromedp.Flag("ignore-certificate-errors-spki-list", trusted()),
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

// page returns the function that opens the page of that name, and waits for its report.
func page(sdk string) func(t *testing.T, w *world, name string) []byte {
	return func(t *testing.T, w *world, name string) []byte {
		t.Helper()
		thrown := make(chan string, 1)
		ctx, cancel := chromedp.NewContext(chrome, chromedp.WithNewBrowserContext(), chromedp.WithListener(func(event any) {
			if e, ok := event.(*runtime.EventExceptionThrown); ok {
				text := e.ExceptionDetails.Text
				if e.ExceptionDetails.Exception != nil {
					text += " " + e.ExceptionDetails.Exception.Description
				}
				select {
				case thrown <- text:
				default:
				}
			}
		}))
		defer cancel()
		if err := chromedp.Do(ctx, chromedp.Navigate(w.app.URL+"/pages/"+sdk+".html?case="+name)); err != nil {
			t.Fatal(err)
		}
		timeout := time.NewTimer(patience)
		defer timeout.Stop()
		select {
		case text := <-w.reports:
			return text
		case text := <-thrown:
			t.Fatalf("the page throws: %s", text)
		case <-timeout.C:
			address, err := chromedp.Run(ctx, chromedp.Location())
			t.Fatalf("no report of %s: %v\n%s", secrets.ReplaceAllString(address, "[SECRET]"), err, w.log)
		}
		return nil
	}
}

// trusted returns what Chromium knows the certificate of our servers by, which no authority has
// signed.
func trusted() string {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	sum := sha256.Sum256(s.Certificate().RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}
