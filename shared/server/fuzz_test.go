package server_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// quiet is a handler over a new store, called without a socket. One with a log serves one
// request at a time, and its log has the lines of the last request only.
type quiet struct {
	http.Handler
	store   *storetest.Transport
	table   *store.Table
	keys    *keyring.Keys
	clock   *storetest.Clock
	path    string // path of the issuer
	log     bytes.Buffer
	secrets []string // must not appear in an error or a log line
}

// newQuiet returns a handler with a log.
func newQuiet(tb testing.TB) *quiet {
	tb.Helper()
	return newQuietBelow(tb, "")
}

// newQuietBelow returns a handler with a log whose issuer has a path.
func newQuietBelow(tb testing.TB, path string) *quiet {
	tb.Helper()
	q := &quiet{path: path}
	table, rt := storetest.Open(tb)
	q.store = rt
	q.open(tb, table, signing.ES256, slog.New(slog.NewJSONHandler(&q.log, nil)))
	return q
}

// newQuietOver returns a handler without a log over a table.
func newQuietOver(tb testing.TB, table *store.Table, alg signing.Algorithm) *quiet {
	tb.Helper()
	q := &quiet{}
	q.open(tb, table, alg, slog.New(slog.DiscardHandler))
	return q
}

func (q *quiet) open(tb testing.TB, table *store.Table, alg signing.Algorithm, log *slog.Logger) {
	tb.Helper()
	q.table, q.clock = table, storetest.NewClock()
	document, err := keyring.Generate(alg, q.clock.Now())
	if err != nil {
		tb.Fatal(err)
	}
	source, err := keyring.Local(document)
	if err != nil {
		tb.Fatal(err)
	}
	if q.keys, err = source.Keys(tb.Context(), q.clock.Now()); err != nil {
		tb.Fatal(err)
	}
	q.Handler = server.New(server.Config{
		Issuer: "https://rotor.example" + q.path, Table: table, Keys: source, Log: log, Now: q.clock.Now,
	}).Handler()
}

// serve makes a request without a socket.
func (q *quiet) serve(method, path, contentType, authorization, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	q.log.Reset()
	q.ServeHTTP(w, newRequest(method, path, contentType, authorization, body))
	return w
}

// newRequest returns a request. Unlike httptest.NewRequest, it takes any method and path.
func newRequest(method, path, contentType, authorization, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	path, query, _ := strings.Cut(path, "?")
	r.Method, r.URL = method, &url.URL{Path: path, RawQuery: query}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

// must makes a request with a JSON body that has to succeed, and returns the answer.
func (q *quiet) must(tb testing.TB, method, path, body string) map[string]any {
	tb.Helper()
	w := q.serve(method, path, jsonType, "", body)
	var m map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Code >= 300 {
		tb.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return m
}

// secret makes a new secret of the client, and adds it to those that must not appear in errors
// and log lines.
func (q *quiet) secret(tb testing.TB, client string) string {
	tb.Helper()
	secret, _ := q.must(tb, http.MethodPost, "/v1/clients/"+client+"/secrets", "")["client_secret"].(string)
	q.secrets = append(q.secrets, secret)
	return secret
}

// issued holds a family and its first tokens, which must not appear in errors and log lines.
type issued struct{ refresh, access, family string }

func (q *quiet) issue(tb testing.TB, body string) issued {
	tb.Helper()
	m := q.must(tb, http.MethodPost, "/v1/families", body)
	var i issued
	i.refresh, _ = m["refresh_token"].(string)
	i.access, _ = m["access_token"].(string)
	i.family, _ = m["family"].(string)
	q.secrets = append(q.secrets, i.refresh, i.access)
	return i
}

// status returns the family's status in the management API.
func (q *quiet) status(tb testing.TB, family string) string {
	tb.Helper()
	status, _ := q.must(tb, http.MethodGet, "/v1/families/"+family, "")["status"].(string)
	return status
}

// ended reports whether a family is not active or has no record.
func (q *quiet) ended(t *testing.T, family string) bool {
	t.Helper()
	a := q.ask(t, http.MethodGet, "/v1/families/"+family, "", "", "")
	return a.status != http.StatusOK || a.text("status") != "active"
}

// oauthErrors lists the codes of RFC 6749 §5.2 that are in use, and not_found.
var oauthErrors = []string{"invalid_request", "invalid_client", "invalid_grant", "invalid_scope", "invalid_target", "unsupported_grant_type", "unauthorized_client", "not_found"}

// description matches the characters that RFC 6749 §5.2 allows.
var description = regexp.MustCompile(`^[ !#-\[\]-~]+$`)

// ask makes a request and checks what holds for every answer: it is JSON and not a failure of
// the service, an error has the shape of its API, and no secret is in an error or in the log.
func (q *quiet) ask(t *testing.T, method, path, contentType, authorization, body string) answer {
	t.Helper()
	w := q.serve(method, path, contentType, authorization, body)
	a := answer{status: w.Code, header: w.Header(), body: w.Body.String()}
	path, _, _ = strings.Cut(path, "?")
	path = q.below(path)
	management := path == "/v1" || strings.HasPrefix(path, "/v1/")
	switch err := json.Unmarshal(w.Body.Bytes(), &a.json); {
	case a.status >= 500:
		t.Fatalf("%v\n%s", a, &q.log)
	case a.header.Get("X-Content-Type-Options") != "nosniff":
		t.Errorf("%v: %v", a, a.header)
	case a.status == http.StatusNoContent:
		if a.body != "" {
			t.Errorf("204 with a body: %s", a.body)
		}
	case err != nil || a.json == nil:
		t.Fatalf("no JSON object: %v", a)
	case a.status < 300:
	case a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache":
		t.Errorf("%v may be cached: %v", a, a.header)
	case a.header.Get("X-Sb-Error-Code") != "":
		if raw := q.path + path; !strings.Contains(raw, "/auth/v1/") || a.text("error_code") != a.header.Get("X-Sb-Error-Code") || a.number("code") != float64(a.status) || a.text("msg") == "" || len(a.json) != 3 {
			t.Errorf("at %s no error of Supabase: %v", path, a)
		}
	case management:
		a.problem(t, a.status)
		a.fields(t)
	default:
		a.oauthError(t)
	}
	if a.status == http.StatusMethodNotAllowed && (a.header.Get("Allow") == "" || slices.Contains(strings.Split(a.header.Get("Allow"), ", "), method)) {
		t.Errorf("%s is refused, allowed are %q", method, a.header.Get("Allow"))
	}
	for _, secret := range q.secrets {
		if a.status >= 300 && strings.Contains(a.body, secret) {
			t.Errorf("a secret is in the answer %d", a.status)
		}
		// A user id may be any text, and the management API logs it.
		if !management && strings.Contains(q.log.String(), secret) {
			t.Errorf("a secret is in the log of the answer %v", a)
		}
	}
	return a
}

// below returns a path without the path of the issuer.
func (q *quiet) below(path string) string {
	if rest, ok := strings.CutPrefix(path, q.path); ok && strings.HasPrefix(rest, "/") {
		return rest
	}
	return path
}

// oauthError checks the shape of an error of RFC 6749 §5.2.
func (a answer) oauthError(t *testing.T) {
	t.Helper()
	code := a.text("error")
	switch {
	case a.header.Get("Content-Type") != jsonType:
		t.Errorf("%v is %q", a, a.header.Get("Content-Type"))
	case !slices.Contains(oauthErrors, code) || !description.MatchString(a.text("error_description")) || len(a.json) != 2:
		t.Errorf("no OAuth error: %v", a)
	case (code == "invalid_client") != (a.status == http.StatusUnauthorized):
		t.Errorf("%v", a)
	case a.header.Get("WWW-Authenticate") != "" && a.status != http.StatusUnauthorized:
		t.Errorf("%v with WWW-Authenticate", a)
	}
}

// isBasic reports whether a header has these credentials. The scheme may be in any case, and
// spaces may surround the base64.
func isBasic(authorization, id, secret string) bool {
	scheme, pair, _ := strings.Cut(authorization, " ")
	return strings.EqualFold(scheme, "Basic") && "Basic "+strings.TrimSpace(pair) == basic(id, secret)
}

// fields returns the details of a problem's errors by field, and checks that each detail names
// its field.
func (a answer) fields(t *testing.T) map[string][]string {
	t.Helper()
	fields := map[string][]string{}
	list, _ := a.json["errors"].([]any)
	for _, e := range list {
		e, _ := e.(map[string]any)
		field, _ := e["field"].(string)
		detail, _ := e["detail"].(string)
		if !strings.HasPrefix(detail, field+" ") || !strings.Contains(detail, "must be ") {
			t.Errorf("the detail of %q is %q", field, detail)
		}
		fields[field] = append(fields[field], detail)
	}
	return fields
}
