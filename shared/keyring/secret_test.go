package keyring_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/logtest"
)

// manager is a Secrets Manager with one secret, "rotor/keys".
type manager struct {
	tb testing.TB

	mu    sync.Mutex
	calls int
	value *string // nil if the secret has no text
	fault string  // if set, the type of error to answer with
	// If these are set, a call sends on entered and waits for release.
	entered, release chan struct{}
}

func (m *manager) set(value, fault string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.value, m.fault = &value, fault
}

func (m *manager) setNone() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.value, m.fault = nil, ""
}

// hold makes calls wait from now on, until release is closed.
func (m *manager) hold() (entered <-chan struct{}, release chan<- struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entered, m.release = make(chan struct{}, 100), make(chan struct{})
	return m.entered, m.release
}

func (m *manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		m.tb.Error(err)
	}
	var input struct {
		SecretID     string `json:"SecretId"`
		VersionStage string
	}
	err = json.Unmarshal(body, &input)
	if err != nil {
		m.tb.Error(err)
	}
	if target := r.Header.Get("X-Amz-Target"); target != "secretsmanager.GetSecretValue" {
		m.tb.Errorf("called %q", target)
	}
	if input.SecretID != "rotor/keys" || input.VersionStage != "AWSCURRENT" {
		m.tb.Errorf("asked for %+v", input)
	}

	m.mu.Lock()
	m.calls++
	value, fault, entered, release := m.value, m.fault, m.entered, m.release
	m.mu.Unlock()
	if release != nil {
		entered <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
			return
		}
	}

	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	answer := map[string]any{"Name": "rotor/keys", "VersionId": "v", "VersionStages": []string{"AWSCURRENT"}}
	switch {
	case fault != "":
		w.WriteHeader(http.StatusBadRequest)
		answer = map[string]any{"__type": fault, "message": "no"}
	case value != nil:
		answer["SecretString"] = *value
	}
	err = json.NewEncoder(w).Encode(answer)
	if err != nil {
		m.tb.Error(err)
	}
}

func (m *manager) wantCalls(want int) {
	m.tb.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calls != want {
		m.tb.Errorf("the secret was read %d times, want %d", m.calls, want)
	}
}

// start serves the secret with the given value and opens it through the SDK. Logs
// go to the buffer.
func start(tb testing.TB, value string) (*manager, *keyring.Secret, *logtest.Buffer) {
	tb.Helper()
	m := &manager{tb: tb, value: &value}
	server := httptest.NewServer(m)
	tb.Cleanup(server.Close)
	client := secretsmanager.New(secretsmanager.Options{
		BaseEndpoint: aws.String(server.URL),
		Region:       "eu-central-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "key"}, nil
		}),
		HTTPClient:       server.Client(),
		RetryMaxAttempts: 1,
	})
	logs := new(logtest.Buffer)
	return m, keyring.SecretsManager(client, keyring.Secrets{Token: "rotor/keys"}, keyring.ToIssue, slog.New(slog.NewJSONHandler(logs, nil))), logs
}

func keysAt(tb testing.TB, source keyring.Source, now time.Time) *keyring.Keys {
	tb.Helper()
	keys, err := source.Keys(tb.Context(), now)
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

func mustBeUnavailable(tb testing.TB, source keyring.Source, now time.Time) error {
	tb.Helper()
	keys, err := source.Keys(tb.Context(), now)
	if keys != nil || !errors.Is(err, keyring.ErrUnavailable) {
		tb.Fatalf("got %v, %v; want ErrUnavailable", keys, err)
	}
	return err
}

func TestSecretIsCachedForFiveMinutes(t *testing.T) {
	first, second := generate(t), generate(t)
	m, secret, logs := start(t, encode(t, first))
	m.wantCalls(0)

	old := keysAt(t, secret, epoch())
	want, err := first.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if fingerprint(old) != fingerprint(want) {
		t.Error("the keys are not those of the secret")
	}
	m.set(encode(t, second), "")
	for _, age := range []time.Duration{0, time.Second, 4 * time.Minute, 5 * time.Minute, 4 * time.Minute} {
		if keysAt(t, secret, epoch().Add(age)) != old {
			t.Errorf("other keys after %s", age)
		}
	}
	m.wantCalls(1)

	again := epoch().Add(5*time.Minute + 1)
	fresh := keysAt(t, secret, again)
	if fingerprint(fresh) == fingerprint(old) {
		t.Error("the old keys after five minutes")
	}
	m.wantCalls(2)
	if keysAt(t, secret, again.Add(5*time.Minute)) != fresh {
		t.Error("read again too soon")
	}
	m.wantCalls(2)
	keysAt(t, secret, again.Add(time.Hour))
	m.wantCalls(3)
	if logs.String() != "" {
		t.Errorf("logged %s", logs)
	}
}

// TestSecretReadAheadOfTime checks that a copy is read again if the clock was ahead when it
// was read.
func TestSecretReadAheadOfTime(t *testing.T) {
	m, secret, _ := start(t, encode(t, generate(t)))
	keysAt(t, secret, epoch().AddDate(1, 0, 0))
	keysAt(t, secret, epoch())
	m.wantCalls(2)
}

func TestSecretKeepsOldCopyWhenReadingFails(t *testing.T) {
	d := generate(t)
	for name, fail := range map[string]func(*manager){
		"error":         func(m *manager) { m.set("", "InternalServiceError") },
		"denied":        func(m *manager) { m.set("", "AccessDeniedException") },
		"gone":          func(m *manager) { m.set("", "ResourceNotFoundException") },
		"no text":       func(m *manager) { m.setNone() },
		"empty":         func(m *manager) { m.set("{}", "") },
		"corrupt":       func(m *manager) { m.set(encode(t, d)[:100], "") },
		"nothing signs": func(m *manager) { m.set(strings.Replace(encode(t, d), `"d":`, `"dd":`, 1), "") },
	} {
		t.Run(name, func(t *testing.T) {
			m, secret, logs := start(t, encode(t, d))
			old := keysAt(t, secret, epoch())
			fail(m)

			failed := epoch().Add(6 * time.Minute)
			if !isOverdueCopy(keysAt(t, secret, failed), old) {
				t.Error("not the old copy")
			}
			m.wantCalls(2)
			if n := strings.Count(logs.String(), "\n"); n != 1 || !strings.Contains(logs.String(), `"level":"WARN"`) {
				t.Errorf("%d lines in the log: %s", n, logs)
			}
			mustHide(t, d, "log", logs.String())

			for _, later := range []time.Duration{0, time.Second, 30*time.Second - 1} {
				if !isOverdueCopy(keysAt(t, secret, failed.Add(later)), old) {
					t.Errorf("not the old copy after %s", later)
				}
			}
			m.wantCalls(2)
			if !isOverdueCopy(keysAt(t, secret, failed.Add(30*time.Second)), old) {
				t.Error("not the old copy after another failure")
			}
			m.wantCalls(3)

			m.set(encode(t, generate(t)), "")
			keysAt(t, secret, failed.Add(59*time.Second))
			m.wantCalls(3)
			fresh := keysAt(t, secret, failed.Add(time.Minute))
			m.wantCalls(4)
			if fresh.Codec == old.Codec || fresh.Overdue {
				t.Error("still the old copy")
			}
			keysAt(t, secret, failed.Add(6*time.Minute))
			m.wantCalls(4)
		})
	}
}

// isOverdueCopy reports whether keys are the old ones, marked as overdue.
func isOverdueCopy(keys, old *keyring.Keys) bool {
	return keys.Codec == old.Codec && keys.Signing == old.Signing && keys.Overdue
}

func TestSecretWithoutCopyIsUnavailable(t *testing.T) {
	d := generate(t)
	m, secret, logs := start(t, "{}")
	_ = mustBeUnavailable(t, secret, epoch())
	m.setNone()
	_ = mustBeUnavailable(t, secret, epoch())
	m.set("", "")
	_ = mustBeUnavailable(t, secret, epoch())
	m.set("", "ResourceNotFoundException")
	if err := mustBeUnavailable(t, secret, epoch()); !strings.Contains(err.Error(), "ResourceNotFoundException") {
		t.Errorf("the error does not say why: %v", err)
	}
	m.set(encode(t, d)[:120], "")
	mustHide(t, d, "error", mustBeUnavailable(t, secret, epoch()).Error())
	m.wantCalls(5)

	m.set(encode(t, d), "")
	keysAt(t, secret, epoch())
	keysAt(t, secret, epoch())
	m.wantCalls(6)
	if logs.String() != "" {
		t.Errorf("logged what was returned: %s", logs)
	}
}

func TestSecretConcurrentFirstRequestsReadOnce(t *testing.T) {
	m, secret, _ := start(t, encode(t, generate(t)))
	entered, release := m.hold()
	const requests = 50
	got := make(chan *keyring.Keys, requests)
	request := func() {
		keys, err := secret.Keys(t.Context(), epoch())
		if err != nil {
			t.Error(err)
		}
		got <- keys
	}
	for range requests {
		go request()
	}
	<-entered
	close(release)
	first := <-got
	for range requests - 1 {
		if keys := <-got; keys == nil || keys != first {
			t.Error("requests got different keys")
		}
	}
	m.wantCalls(1)
}

// TestSecretOthersUseTheOldCopy checks that while one request reads the secret again, the
// others do not wait for it.
func TestSecretOthersUseTheOldCopy(t *testing.T) {
	m, secret, _ := start(t, encode(t, generate(t)))
	old := keysAt(t, secret, epoch())
	m.set(encode(t, generate(t)), "")
	entered, release := m.hold()

	later := epoch().Add(10 * time.Minute)
	got := make(chan *keyring.Keys)
	go func() {
		keys, err := secret.Keys(t.Context(), later)
		if err != nil {
			t.Error(err)
		}
		got <- keys
	}()
	<-entered
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			keys, err := secret.Keys(t.Context(), later)
			if err != nil || !isOverdueCopy(keys, old) {
				t.Errorf("not the old copy: %v, %v", keys, err)
			}
		})
	}
	wg.Wait()
	close(release)
	fresh := <-got
	if fresh == old {
		t.Error("the reader got the old copy")
	}
	if keysAt(t, secret, later) != fresh {
		t.Error("not the new copy")
	}
	m.wantCalls(2)
}

// TestSecretRequestGivesUp checks that a request which gives up does not end the read for the
// others that wait for it.
func TestSecretRequestGivesUp(t *testing.T) {
	m, secret, _ := start(t, encode(t, generate(t)))
	entered, release := m.hold()
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error)
	go func() {
		_, err := secret.Keys(ctx, epoch())
		gaveUp <- err
	}()
	<-entered
	cancel()
	if err := <-gaveUp; !errors.Is(err, keyring.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want ErrUnavailable and context.Canceled", err)
	}
	close(release)
	first := keysAt(t, secret, epoch())
	m.wantCalls(1)

	// If there is a copy, a request that gives up still gets it.
	entered, release = m.hold()
	ctx, cancel = context.WithCancel(t.Context())
	go func() {
		<-entered
		cancel()
	}()
	keys, err := secret.Keys(ctx, epoch().Add(time.Hour))
	if err != nil || !isOverdueCopy(keys, first) {
		t.Errorf("got %v, %v; want the old copy", keys, err)
	}
	close(release)
}
