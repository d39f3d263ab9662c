// Package keyringtest is a Secrets Manager for tests. It has one secret with its
// versions and their labels, and speaks the protocol of the SDK.
package keyringtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// ID is the name of the secret.
const ID = "rotor/keys"

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

// SecretsManager is a running Secrets Manager. Rotation of its secret is enabled.
type SecretsManager struct {
	t   testing.TB
	srv *httptest.Server

	mu       sync.Mutex
	versions map[string]*Version
	calls    []string
	fault    func(call int, operation string) Fault
	disabled bool
	longest  int
}

// Version is a version of the secret.
type Version struct {
	Text   *string // nil while it has none
	Binary []byte
	Labels []string
}

// New starts a Secrets Manager whose secret has the given text.
func New(t testing.TB, text string) *SecretsManager {
	t.Helper()
	m := &SecretsManager{t: t, versions: map[string]*Version{}}
	m.Put("first-version-of-the-secret-0000", text)
	m.srv = httptest.NewServer(m)
	t.Cleanup(m.srv.Close)
	return m
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
func (m *SecretsManager) Put(version, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.versions[version] = &Version{Text: &text}
	m.label(version, "AWSCURRENT")
}

// Begin begins a rotation with a pending version that has no text, as Secrets
// Manager does before it invokes the function.
func (m *SecretsManager) Begin(version string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.versions[version] == nil {
		m.versions[version] = &Version{}
	}
	m.label(version, "AWSPENDING")
}

// Edit calls f to change the versions.
func (m *SecretsManager) Edit(f func(versions map[string]*Version)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m.versions)
}

// Text returns the text of the version with the given label, or "" if there is none.
func (m *SecretsManager) Text(label string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v := m.versions[m.labeled(label)]; v != nil && v.Text != nil {
		return *v.Text
	}
	return ""
}

// Labeled returns the id of the version with the given label, or "" if there is
// none.
func (m *SecretsManager) Labeled(label string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.labeled(label)
}

// Longest returns the length of the longest text that was ever put.
func (m *SecretsManager) Longest() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.longest
}

// Disable turns rotation off.
func (m *SecretsManager) Disable() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disabled = true
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

func (m *SecretsManager) labeled(label string) string {
	for id, v := range m.versions {
		if slices.Contains(v.Labels, label) {
			return id
		}
	}
	return ""
}

// label moves a label to a version, or to none if that is "". When AWSCURRENT moves,
// AWSPREVIOUS goes to the version that had it, and the version that gets it loses
// AWSPENDING.
func (m *SecretsManager) label(version, label string) {
	before := m.labeled(label)
	if before == version {
		return
	}
	m.unlabel(before, label)
	if version != "" {
		m.versions[version].Labels = append(m.versions[version].Labels, label)
	}
	if label == "AWSCURRENT" {
		m.unlabel(version, "AWSPENDING")
		if before != "" {
			m.label(before, "AWSPREVIOUS")
		}
	}
}

func (m *SecretsManager) unlabel(version, label string) {
	if v := m.versions[version]; v != nil {
		v.Labels = slices.DeleteFunc(v.Labels, func(l string) bool { return l == label })
	}
}

// refusal is an error response of Secrets Manager.
type refusal struct{ kind, message string }

func (r *refusal) Error() string { return r.kind + ": " + r.message }

// ServeHTTP implements [http.Handler].
func (m *SecretsManager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone, because it was killed
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, operation)
	fault := None
	if m.fault != nil {
		fault = m.fault(len(m.calls), operation)
	}
	status, answer := http.StatusOK, any(nil)
	switch fault {
	case Failed:
		status, answer = http.StatusInternalServerError, map[string]string{"__type": "InternalServiceError", "message": "injected"}
	case Denied:
		status, answer = http.StatusBadRequest, map[string]string{"__type": "AccessDeniedException", "message": "injected"}
	default:
		var refused *refusal
		answer, refused = m.do(operation, body)
		if refused != nil {
			status, answer = http.StatusBadRequest, map[string]string{"__type": refused.kind, "message": refused.message}
		}
		if fault == Lost {
			panic(http.ErrAbortHandler)
		}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the client may be gone
}

type request struct {
	SecretID            string `json:"SecretId"`
	VersionID           string `json:"VersionId"`
	ClientRequestToken  string
	SecretString        *string
	VersionStage        string
	VersionStages       []string
	MoveToVersionID     string `json:"MoveToVersionId"`
	RemoveFromVersionID string `json:"RemoveFromVersionId"`
}

func (m *SecretsManager) do(operation string, body []byte) (any, *refusal) {
	var in request
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, &refusal{"SerializationException", err.Error()}
	}
	if in.SecretID != ID {
		return nil, &refusal{"ResourceNotFoundException", "no such secret"}
	}
	switch operation {
	case "DescribeSecret":
		return m.describe()
	case "GetSecretValue":
		return m.get(in)
	case "PutSecretValue":
		return m.put(in)
	case "UpdateSecretVersionStage":
		return m.update(in)
	}
	m.t.Errorf("called %q", operation)
	return nil, &refusal{"InvalidAction", operation}
}

func (m *SecretsManager) describe() (any, *refusal) {
	stages := map[string][]string{}
	for id, v := range m.versions {
		if len(v.Labels) > 0 { // versions without labels are deprecated, and left out
			stages[id] = v.Labels
		}
	}
	return map[string]any{"Name": ID, "RotationEnabled": !m.disabled, "VersionIdsToStages": stages}, nil
}

func (m *SecretsManager) get(in request) (any, *refusal) {
	id := in.VersionID
	if id == "" {
		if in.VersionStage == "" {
			in.VersionStage = "AWSCURRENT"
		}
		id = m.labeled(in.VersionStage)
	}
	v := m.versions[id]
	if v == nil || in.VersionStage != "" && !slices.Contains(v.Labels, in.VersionStage) || v.Text == nil && v.Binary == nil {
		return nil, &refusal{"ResourceNotFoundException", "Secrets Manager can't find the specified secret value"}
	}
	answer := map[string]any{"Name": ID, "VersionId": id, "VersionStages": v.Labels}
	if v.Text != nil {
		answer["SecretString"] = *v.Text
	} else {
		answer["SecretBinary"] = v.Binary
	}
	return answer, nil
}

func (m *SecretsManager) put(in request) (any, *refusal) {
	id := in.ClientRequestToken
	switch {
	case len(id) < 32 || len(id) > 64:
		return nil, &refusal{"InvalidParameterException", fmt.Sprintf("a token of %d characters", len(id))}
	case in.SecretString == nil || len(*in.SecretString) == 0 || len(*in.SecretString) > MaxText:
		return nil, &refusal{"ValidationException", "the length of the text"}
	}
	m.longest = max(m.longest, len(*in.SecretString))
	v := m.versions[id]
	if v == nil {
		v = &Version{}
		m.versions[id] = v
	}
	switch {
	case v.Text == nil:
		v.Text = in.SecretString
	case *v.Text != *in.SecretString:
		return nil, &refusal{"ResourceExistsException", "a version cannot be changed"}
	}
	labels := in.VersionStages
	if len(labels) == 0 {
		labels = []string{"AWSCURRENT"}
	}
	for _, l := range labels {
		m.label(id, l)
	}
	return map[string]any{"Name": ID, "VersionId": id, "VersionStages": v.Labels}, nil
}

func (m *SecretsManager) update(in request) (any, *refusal) {
	attached := m.labeled(in.VersionStage)
	switch {
	case in.MoveToVersionID == "" && in.RemoveFromVersionID == "":
		return nil, &refusal{"InvalidParameterException", "neither to nor from"}
	case in.MoveToVersionID != "" && m.versions[in.MoveToVersionID] == nil:
		return nil, &refusal{"ResourceNotFoundException", "no such version among " + strings.Join(slices.Sorted(maps.Keys(m.versions)), ", ")}
	case in.MoveToVersionID == "" && in.VersionStage == "AWSCURRENT":
		return nil, &refusal{"InvalidParameterException", "AWSCURRENT must be somewhere"}
	case in.MoveToVersionID != attached && attached != in.RemoveFromVersionID:
		return nil, &refusal{"InvalidParameterException", "the label is attached to another version"}
	}
	m.label(in.MoveToVersionID, in.VersionStage)
	return map[string]any{"Name": ID}, nil
}
