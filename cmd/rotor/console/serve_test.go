package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/shared/logtest"
)

// TestServe checks the console of a service that asks for signatures: each call is signed with the
// operator's credentials, and they are in no answer of the console.
func TestServe(t *testing.T) {
	const keyID, secretKey, session = "AKIDEXAMPLE", "the-secret-access-key", "the-session-token"
	w := newWorld(t)
	login, newest := w.stolen()
	signed := regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=` + keyID + `/\d{8}/eu-central-1/execute-api/aws4_request, SignedHeaders=.*, Signature=[0-9a-f]{64}$`)
	gateway := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !signed.MatchString(r.Header.Get("Authorization")) || r.Header.Get("X-Amz-Security-Token") != session {
			t.Errorf("%s %s is not signed: %v", r.Method, r.URL.Path, r.Header)
		}
		_, _ = io.WriteString(w.asked, "signed "+r.URL.Path+"\n")
		w.service.ServeHTTP(rw, r)
	}))
	t.Cleanup(gateway.Close)
	api, err := manage.New(gateway.URL, manage.Options{HTTPClient: gateway.Client(), AWS: &aws.Config{
		Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider(keyID, secretKey, session),
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told, done := make(chan string, 1), make(chan error, 1)
	var errs logtest.Buffer
	go func() {
		done <- Serve(ctx, "localhost:0", api, w.clock.Now, writer(func(text []byte) { told <- string(text) }), &errs)
	}()
	var text string
	select {
	case text = <-told:
	case err := <-done:
		t.Fatal(err)
	}
	address := regexp.MustCompile(`http://127\.0\.0\.1:\d+/[\w-]{43}/\?key=[\w-]{43}\n`).FindString(text)
	if address == "" || !strings.Contains(text, "The console of "+gateway.URL+" is ready.") {
		t.Fatalf("it says %q", text)
	}
	address = strings.TrimSpace(address)
	root := address[:strings.Index(address, "/?")]
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Transport: &http.Transport{}}
	defer browser.CloseIdleConnections()
	for _, path := range []string{
		address, root + "/console/explain?family=" + login.Family, root + "/console/users?user_id=alice", root + "/console/clients/app", root + "/console/events",
	} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, seen := whole(t, browser, r)
		if got != http.StatusOK {
			t.Errorf("%s: %d\n%s", path, got, seen)
		}
		for _, secret := range []string{keyID, secretKey, session, "Signature="} {
			if strings.Contains(seen, secret) {
				t.Errorf("%s: the answer has %s:\n%s", path, secret, seen)
			}
		}
	}
	// A browser also sends the cookies that other servers on this machine have set.
	many, err := http.NewRequestWithContext(ctx, http.MethodGet, root+"/console/events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 180 {
		many.AddCookie(&http.Cookie{Name: fmt.Sprintf("other-%d", i), Value: strings.Repeat("x", 4000)})
	}
	if got, seen := whole(t, browser, many); got != http.StatusOK {
		t.Errorf("with many cookies: %d\n%s", got, seen)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, root+"/console/explain", strings.NewReader(url.Values{"pasted": {newest}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if got, seen := whole(t, browser, r); got != http.StatusOK || !strings.Contains(seen, "reuse_detected") {
		t.Errorf("%d: %s", got, seen)
	}
	if !strings.Contains(w.asked.String(), "signed /v1/explain") {
		t.Error("the service was asked nothing")
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("it ended with %v", err)
	}
	if errs.String() != "" {
		t.Errorf("it logged %s", errs.String())
	}
}

type writer func([]byte)

func (f writer) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// whole returns the status of an answer, and its header and body as text.
func whole(t *testing.T, browser *http.Client, r *http.Request) (status int, text string) {
	t.Helper()
	got, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	var b bytes.Buffer
	if err := errors.Join(got.Header.Write(&b), func() error { _, err := b.ReadFrom(got.Body); return err }()); err != nil {
		t.Fatal(err)
	}
	return got.StatusCode, b.String()
}

// TestServeOnLoopbackAlone checks that the console listens on no address that others reach.
func TestServeOnLoopbackAlone(t *testing.T) {
	w := newWorld(t)
	for address, want := range map[string]string{
		"0.0.0.0:0": "not loopback", ":0": "not loopback", "[::]:0": "not loopback", "127.0.0.1": "missing port", "127.0.0.1:99999": "invalid port", "": "missing port",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := Serve(ctx, address, w.api, w.clock.Now, io.Discard, io.Discard)
		cancel()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, not %s", address, err, want)
		}
	}
}
