package manage_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/lab/sigv4"
)

// strangeUsers are user ids that a signature, a path or a query may come to grief over.
var strangeUsers = []string{
	"alice", "a b", "a+b", "a%2Fb", "a/b/../c", "auth0|5f7c", "x=1&y=2", "é中🙂", "~-._!*'()", "a;b,c:d@e$f", `"\<>^{}|`, "#?", "%", "..", " lead and trail ", "\u202e",
}

// TestSigned checks every kind of call behind a verifier of signatures.
func TestSigned(t *testing.T) {
	srv, o := signedWorld(t)
	c, err := manage.New(srv.URL, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Register(t.Context(), "app", &manage.Settings{Type: "public"}); err != nil {
		t.Fatal(err)
	}
	for _, user := range strangeUsers {
		tokens, err := c.StartFamily(t.Context(), &manage.Login{UserID: user, ClientID: "app", IdempotencyKey: fmt.Sprintf("key-%x", user), IP: "2001:db8::1", UserAgent: "Mozilla/5.0  (two spaces)"})
		if err != nil {
			t.Fatalf("user %q: %v", user, err)
		}
		found := all(t, c.Families(t.Context(), manage.FamilyFilter{UserID: user, ClientID: "app"}))
		if len(found) != 1 || found[0].UserID != user || found[0].ID != tokens.Family {
			t.Errorf("user %q has %+v", user, found)
		}
		if x, err := c.Explain(t.Context(), &manage.Question{RefreshToken: tokens.RefreshToken}); err != nil || x.Family.UserID != user {
			t.Errorf("user %q: %+v, %v", user, x, err)
		}
		for done, err := range c.RevokeFamilies(t.Context(), manage.Revocation{UserID: user, Cause: "password_changed"}) {
			if err != nil || done.Families != 1 {
				t.Errorf("user %q: %+v, %v", user, done, err)
			}
		}
	}
	var refused *manage.Error
	for _, id := range []string{"..", "a b", "a/b", "%", "é", "a+b", "~"} {
		if _, err := c.Registration(t.Context(), id); !errors.As(err, &refused) || refused.Denied() {
			t.Errorf("client %q: %v", id, err)
		}
	}
}

// TestBadSignatures checks that the verifier refuses what is not signed so, or not by these credentials.
func TestBadSignatures(t *testing.T) {
	srv, good := signedWorld(t)
	for name, cfg := range map[string]*aws.Config{
		"no signature":   nil,
		"another secret": {Region: sigv4.Region, Credentials: credentials.NewStaticCredentialsProvider(sigv4.AccessKeyID, "other", sigv4.SessionToken)},
		"another key":    {Region: sigv4.Region, Credentials: credentials.NewStaticCredentialsProvider("AKIDOTHER", sigv4.SecretAccessKey, sigv4.SessionToken)},
		"no session":     {Region: sigv4.Region, Credentials: credentials.NewStaticCredentialsProvider(sigv4.AccessKeyID, sigv4.SecretAccessKey, "")},
		"another region": {Region: "us-east-1", Credentials: good.AWS.Credentials},
	} {
		c, err := manage.New(srv.URL, manage.Options{AWS: cfg, HTTPClient: good.HTTPClient})
		if err != nil {
			t.Fatal(err)
		}
		var refused *manage.Error
		if _, err := c.RegistrationPage(t.Context(), ""); !errors.As(err, &refused) || !refused.Denied() {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What is changed on the way is noticed.
	for name, change := range map[string]func(*http.Request){
		"the method": func(r *http.Request) { r.Method = http.MethodDelete },
		"the path":   func(r *http.Request) { r.URL.Path = "/v1/events" },
		"the query":  func(r *http.Request) { r.URL.RawQuery += "x" },
		"the date":   func(r *http.Request) { r.Header.Set("X-Amz-Date", "20200102T030405Z") },
		"a header":   func(r *http.Request) { r.Header.Set("Accept", "text/html") },
	} {
		o := good
		o.HTTPClient = &http.Client{Transport: changing{good.HTTPClient.Transport, change}}
		c, err := manage.New(srv.URL, o)
		if err != nil {
			t.Fatal(err)
		}
		var refused *manage.Error
		if _, err := c.FamilyPage(t.Context(), manage.FamilyFilter{UserID: "a"}, ""); !errors.As(err, &refused) || !refused.Denied() {
			t.Errorf("%s is changed: %v", name, err)
		}
	}
}

type changing struct {
	next   http.RoundTripper
	change func(*http.Request)
}

func (c changing) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	c.change(r)
	return c.next.RoundTrip(r)
}

// TestUnsigned checks that nothing is signed without TLS, where anyone could read it, and that credentials are asked for otherwise.
func TestUnsigned(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header.Values("Authorization"))+len(r.Header.Values("X-Amz-Security-Token")) > 0 {
			t.Error("a call without TLS is signed")
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer srv.Close()
	failing := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errors.New("no role here") })
	cfg := &aws.Config{Credentials: failing}
	c, err := manage.New(srv.URL, manage.Options{AWS: cfg})
	if err != nil {
		t.Fatal(err)
	}
	var refused *manage.Error
	if _, err := c.Registration(t.Context(), "app"); !errors.As(err, &refused) || !refused.NotFound() {
		t.Errorf("without TLS: %v", err)
	}
	if _, err := manage.New("https://auth.example.com", manage.Options{AWS: cfg}); err == nil || !strings.Contains(err.Error(), "no AWS region") {
		t.Errorf("no region: %v", err)
	}
	if _, err := manage.New("https://auth.example.com", manage.Options{AWS: &aws.Config{Region: sigv4.Region}}); err == nil || !strings.Contains(err.Error(), "no AWS credentials") {
		t.Errorf("no credentials: %v", err)
	}
	c, err = manage.New("https://auth.example.com", manage.Options{AWS: &aws.Config{Region: sigv4.Region, Credentials: failing}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Registration(t.Context(), "app"); err == nil || !strings.Contains(err.Error(), "no role here") {
		t.Errorf("credentials that cannot be had: %v", err)
	}
}

// TestRedaction prints what holds a token in every way that a program is likely to.
func TestRedaction(t *testing.T) {
	w := newWorld(t)
	tokens := w.login("alice", "app")
	question := &manage.Question{RefreshToken: tokens.RefreshToken, AccessToken: tokens.AccessToken}
	held := struct {
		Tokens   manage.Tokens
		Question *manage.Question
	}{*tokens, question}
	var out strings.Builder
	log := slog.New(slog.NewJSONHandler(&out, nil))
	for _, v := range []any{tokens, *tokens, question, *question, held, &held, []any{tokens, *question}, fmt.Errorf("%v %v", tokens, question)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	log.Info("x", "tokens", tokens, "value", *tokens, "question", question, "q", *question)
	if strings.Contains(out.String(), tokens.RefreshToken) || strings.Contains(out.String(), tokens.AccessToken) ||
		strings.Contains(out.String(), fmt.Sprintf("%x", tokens.RefreshToken)) {
		t.Errorf("a token is printed:\n%s", out.String())
	}
	if want := "[tokens of family " + tokens.Family + "]"; !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "[question about a token]") {
		t.Errorf("there is no %s in\n%s", want, out.String())
	}
}
