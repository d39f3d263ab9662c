//go:build browser

package browser

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/local"
	"github.com/rotor-auth/rotor/shared/logtest"
)

// server is rotor run, in this process.
type server struct {
	t   testing.TB
	url string
	api *manage.Client
	log *logtest.Buffer
}

// secrets matches what must not be in a log or an address: refresh tokens, client secrets and
// JWTs, whose header begins with {"alg":….
var secrets = regexp.MustCompile(`rotor_[A-Za-z0-9_-]{8,}|eyJhbGciOi[A-Za-z0-9_-]*`)

// start runs the local program on a free port. At the end of the test the program must stop
// without an error, and must not have logged a secret.
func start(t testing.TB) *server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{t: t, log: &logtest.Buffer{}}
	welcome, done := make(chan string, 1), make(chan error, 1)
	env := map[string]string{"ADDR": "127.0.0.1:0", "ALG": "ES256"}
	go func() {
		done <- local.Run(ctx, func(name string) string { return env[name] }, writerFunc(func(text []byte) { welcome <- string(text) }), s.log)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("rotor run: %v", err)
		}
		if secrets.MatchString(s.log.String()) {
			t.Errorf("the log has a secret:\n%s", secrets.ReplaceAllString(s.log.String(), "[SECRET]"))
		}
	})
	select {
	case text := <-welcome:
		s.url = regexp.MustCompile(`\ARotor is ready at (http://\S+)\n`).FindStringSubmatch(text)[1]
	case err := <-done:
		done <- nil
		t.Fatalf("rotor run: %v\n%s", err, s.log)
	}
	api, err := manage.New(s.url, manage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.api = api
	return s
}

// login starts a family, and returns its tokens.
func (s *server) login(l *manage.Login) *manage.Tokens {
	s.t.Helper()
	tokens, err := s.api.StartFamily(s.t.Context(), l)
	if err != nil {
		s.t.Fatal(err)
	}
	return tokens
}

// refresh refreshes with a token of demo-spa, and returns the new one, or "" if it is refused.
// The headers come in pairs.
func (s *server) refresh(token string, headers ...string) string {
	s.t.Helper()
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {"demo-spa"}, "refresh_token": {token}}
	var answer struct {
		Token string `json:"refresh_token"`
	}
	status := s.send("/oauth/token", "application/x-www-form-urlencoded", form.Encode(), &answer, headers...)
	if (status == http.StatusOK) != (answer.Token != "") {
		s.t.Fatalf("a refresh is answered with %d", status)
	}
	return answer.Token
}

// wait moves the server's clock ahead, by a duration such as 2m.
func (s *server) wait(duration string) {
	s.t.Helper()
	var answer struct{ Now string }
	if status := s.send("/local/clock", "application/json", `{"advance":"`+duration+`"}`, &answer); status != http.StatusOK {
		s.t.Fatalf("the clock answers %d", status)
	}
}

// send posts a body, and decodes the answer.
func (s *server) send(path, kind, body string, answer any, headers ...string) int {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		s.t.Fatalf("POST %s: %d is not JSON: %v", path, response.StatusCode, err)
	}
	return response.StatusCode
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// registration returns a registered client.
func (s *server) registration(id string) *manage.Registration {
	s.t.Helper()
	r, err := s.api.Registration(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}
