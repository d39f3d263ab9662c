//go:build logins

package login

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/rotor-auth/rotor/lab/chromium"
)

// bundles are the builds for browsers of the SDKs, as their packages ship them.
var bundles = map[string]string{
	"oidc-client-ts": "oidc-client-ts/dist/browser/oidc-client-ts.min.js",
	"tslib":          "tslib/tslib.es6.mjs", // of auth-js
	"auth0-spa-js":   "@auth0/auth0-spa-js/dist/auth0-spa-js.production.js",
}

// chrome is the one Chromium of all pages. Each page has a profile of its own in it.
var chrome context.Context

func TestMain(m *testing.M) {
	os.Exit(chromium.Run(m, &chrome, "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", chromedp.Flag("ignore-certificate-errors-spki-list", trusted())))
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
