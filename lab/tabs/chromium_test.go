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

	"github.com/chromedp/chromedp"

	"github.com/rotor-auth/rotor/lab/chromium"
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

func TestMain(m *testing.M) {
	certificate, err := identity()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(chromium.Run(m, &chrome, resolver, trusting(certificate), chromedp.Flag("enable-features", binding)))
}

// resolver says which names Chromium finds where.
const resolver = "MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"

// binding are the features by which Chromium binds sessions to keys also on a machine without a TPM. They do nothing unless
// a service asks for it.
const binding = "EnableBoundSessionCredentialsSoftwareKeysForManualTesting,DeviceBoundSessions"

// trusting returns the option by which Chromium accepts a certificate that no authority has signed. To its pages that is a
// secure connection as any other, without which it binds no session.
func trusting(c *tls.Certificate) chromedp.ExecAllocatorOption {
	return chromedp.Flag("ignore-certificate-errors-spki-list", fingerprint(c.Leaf))
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
