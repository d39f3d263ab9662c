// Package keyringtest is a Secrets Manager for tests. It has two secrets with their
// versions and their labels, and speaks the protocol of the SDK.
package keyringtest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// The names of the secrets: of the one with the token keys, or with all keys, and of the
// one with the signing keys.
const (
	ID        = "rotor/keys"
	SigningID = "rotor/signing"
)

// MaxText is the longest text that Secrets Manager keeps, in bytes.
const MaxText = 65536

// Fault is a way in which a request fails.
type Fault int

// The faults.
const (
	None Fault = iota
	Failed
	Denied
	Lost // the request is applied, but its response is lost
)

// SecretsManager is a running Secrets Manager. Rotation of its secrets is enabled.
type SecretsManager struct {
	*Secret         // the one with the name ID
	Signing *Secret // the one with the name SigningID

	t   testing.TB
	srv *httptest.Server

	mu      sync.Mutex
	calls   []string
	fault   func(call int, operation string) Fault
	longest int
}

// Secret is a secret in a [SecretsManager].
type Secret struct {
	mu       *sync.Mutex // of the SecretsManager
	name     string
	versions map[string]*Version
	tags     map[string]string
	disabled bool
}

// Version is a version of the secret.
type Version struct {
	Text   *string // nil while it has none
	Binary []byte
	Labels []string
}

// New starts a Secrets Manager whose secret ID has the given text. The secret SigningID
// has none that is a key.
func New(t testing.TB, text string) *SecretsManager {
	t.Helper()
	m := &SecretsManager{t: t}
	m.Secret, m.Signing = m.secret(ID), m.secret(SigningID)
	m.Put("first-version-of-the-secret-0000", text)
	m.Signing.Put("first-version-of-the-secret-0001", "{}")
	m.srv = httptest.NewServer(m)
	t.Cleanup(m.srv.Close)
	return m
}

func (m *SecretsManager) secret(name string) *Secret {
	return &Secret{mu: &m.mu, name: name, versions: map[string]*Version{}, tags: map[string]string{}}
}

// Client returns an SDK client that makes up to the given number of attempts of each
// request.
func (m *SecretsManager) Client(attempts int) *secretsmanager.Client {
	return m.ClientOver(m.srv.Client().Transport, attempts)
}

// ClientOver returns a [SecretsManager.Client] with another transport.
func (m *SecretsManager) ClientOver(rt http.RoundTripper, attempts int) *secretsmanager.Client {
	return secretsmanager.New(secretsmanager.Options{
		BaseEndpoint: aws.String(m.srv.URL),
		Region:       "eu-central-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "key"}, nil
		}),
		HTTPClient: &http.Client{Transport: whole{rt}},
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = attempts, time.Millisecond
		}),
	})
}

// Direct returns a [SecretsManager.Client] that uses no socket, for runs of many
// requests.
func (m *SecretsManager) Direct(attempts int) *secretsmanager.Client {
	return m.ClientOver(direct{m}, attempts)
}

// DirectOver returns a [SecretsManager.Direct] client whose transport is wrapped by
// through, for tests with a simulated clock.
func (m *SecretsManager) DirectOver(through func(http.RoundTripper) http.RoundTripper, attempts int) *secretsmanager.Client {
	return m.ClientOver(through(direct{m}), attempts)
}

// direct serves requests without a socket.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

// whole reads responses to their end. The SDK closes a request's body as soon as the
// response begins. On the loopback interface that may be before the transport has
// seen the end of the body, and then the connection breaks during a long response.
type whole struct{ http.RoundTripper }

func (w whole) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, err
}

// Put makes a version with the given text the current one, as an operator would.
func (s *Secret) Put(version, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions[version] = &Version{Text: &text}
	s.label(version, "AWSCURRENT")
}

// Begin begins a rotation with a pending version that has no text, as Secrets
// Manager does before it invokes the function.
func (s *Secret) Begin(version string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.versions[version] == nil {
		s.versions[version] = &Version{}
	}
	s.label(version, "AWSPENDING")
}

// Edit calls f to change the versions.
func (s *Secret) Edit(f func(versions map[string]*Version)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.versions)
}

// Text returns the text of the version with the given label, or "" if there is none.
func (s *Secret) Text(label string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.versions[s.labeled(label)]; v != nil && v.Text != nil {
		return *v.Text
	}
	return ""
}

// Labeled returns the id of the version with the given label, or "" if there is
// none.
func (s *Secret) Labeled(label string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.labeled(label)
}

// Longest returns the length of the longest text that was ever put.
func (m *SecretsManager) Longest() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.longest
}

// Disable turns rotation off.
func (s *Secret) Disable() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disabled = true
}

// Tag returns the value of a tag of the secret, or "" if it has none of that name.
func (s *Secret) Tag(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tags[name]
}

// Break makes f decide the fault of each request from now on, numbered from 1. A nil
// f ends all faults.
func (m *SecretsManager) Break(f func(call int, operation string) Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault, m.calls = f, nil
}

// Calls returns the operations requested since [SecretsManager.Break] or Calls was
// last called.
func (m *SecretsManager) Calls() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	calls := m.calls
	m.calls = nil
	return calls
}

func (s *Secret) labeled(label string) string {
	for id, v := range s.versions {
		if slices.Contains(v.Labels, label) {
			return id
		}
	}
	return ""
}

// label moves a label to a version, or to none if that is "". When AWSCURRENT moves,
// AWSPREVIOUS goes to the version that had it, and the version that gets it loses
// AWSPENDING.
func (s *Secret) label(version, label string) {
	before := s.labeled(label)
	if before == version {
		return
	}
	s.unlabel(before, label)
	if version != "" {
		s.versions[version].Labels = append(s.versions[version].Labels, label)
	}
	if label == "AWSCURRENT" {
		s.unlabel(version, "AWSPENDING")
		if before != "" {
			s.label(before, "AWSPREVIOUS")
		}
	}
}

func (s *Secret) unlabel(version, label string) {
	if v := s.versions[version]; v != nil {
		v.Labels = slices.DeleteFunc(v.Labels, func(l string) bool { return l == label })
	}
}
