//go:build tabs

// Package tabs tries the cookie transport, and the package for JavaScript, in a real Chromium: ten tabs of one
// session, a script of somebody else in the page, and pages of other sites.
package tabs

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
)

// The hosts. Chromium takes the first three for one site.
const (
	appHost     = "app.example.test"  // has the page
	authHost    = "auth.example.test" // is the service
	siblingHost = "evil.example.test" // is a sibling that is not configured
	foreignHost = "evil.test"         // is another site
)

// chrome is the one Chromium of all tests. Each test has a profile of its own in it.
var chrome context.Context

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run runs the tests beside a Chromium, and returns the exit code.
func run(m *testing.M) int {
	profile, err := os.MkdirTemp("", "rotor-tabs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(profile) }()
	certificate, err := identity()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.UserDataDir(profile),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"), // no name leads away from this machine
		chromedp.Flag("ignore-certificate-errors-spki-list", fingerprint(certificate.Leaf)),
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
	version, err := cdp.Call(ctx, chromedp.FromContext(ctx).Browser, browser.GetVersion, cdp.Empty{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(version.Product)
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

// identity returns the certificate of all hosts, which no authority has signed.
var identity = sync.OnceValues(func() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lab/tabs"}, DNSNames: []string{appHost, authHost, siblingHost, foreignHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
})

// fingerprint returns what Chromium knows a certificate by.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}
