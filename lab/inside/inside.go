// Package inside runs the whole API in the caller's process, without sockets, for
// measurements of the API itself.
package inside

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
)

// A typical family, and a typical request.
const (
	User   = "auth0|0123456789abcdef01234567"
	Family = `{"user_id":"` + User + `","client_id":"` + Client + `","scope":"openid profile read write","audience":"https://api.example.com"}`
	Agent  = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
	IP     = "203.0.113.24"
	Client = "app"
)

// Options configure a [Rotor].
type Options struct {
	Database  aws.Config // of the DynamoDB API
	Table     string     // the table, which is created if it does not exist
	Issuer    string     // by default https://auth.example.com
	Algorithm signing.Algorithm
	Log       *slog.Logger     // by default none
	Metrics   bool             // adds CloudWatch's embedded metrics to the log, with the dimension stage
	Now       func() time.Time // by default the time
}

// Rotor is the whole API, with new keys.
type Rotor struct{ handler http.Handler }

// New returns a Rotor.
func New(ctx context.Context, o Options) (*Rotor, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	table := store.New(o.Database, o.Table, store.DefaultRetention)
	if err := table.Create(ctx); err != nil {
		return nil, err
	}
	document, err := keyring.Generate(o.Algorithm, o.Now())
	if err != nil {
		return nil, err
	}
	keys, err := keyring.Local(document)
	if err != nil {
		return nil, err
	}
	return &Rotor{server.New(server.Config{
		Issuer: cmp.Or(o.Issuer, "https://auth.example.com"), Table: table, Keys: keys, Now: o.Now,
		Log: cmp.Or(o.Log, slog.New(slog.DiscardHandler)), Metrics: o.Metrics, Stage: Stage,
	}).Handler()}, nil
}

// ServeHTTP serves the API.
func (r *Rotor) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.handler.ServeHTTP(w, request)
}

// Call makes a request, as from the gateway.
func (r *Rotor) Call(ctx context.Context, method, path, contentType, body string) *httptest.ResponseRecorder {
	request := httptest.NewRequestWithContext(session.WithRequestID(ctx, "L5fx6RabOe7RCjZ="), method, path, strings.NewReader(body))
	request.RemoteAddr = IP // without a port
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("User-Agent", Agent)
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, request)
	return w
}

// Manage calls the management API, and fails unless that succeeds. It reads the
// answer into v unless that is nil.
func (r *Rotor) Manage(ctx context.Context, method, path, body string, v any) error {
	w := r.Call(ctx, method, path, "application/json", body)
	if w.Code/100 != 2 {
		return fmt.Errorf("%s %s is answered with %d", method, path, w.Code)
	}
	if v == nil {
		return nil
	}
	return json.Unmarshal(w.Body.Bytes(), v)
}

// Register registers the public client that the typical family is of.
func (r *Rotor) Register(ctx context.Context, policy string) error {
	return r.Manage(ctx, http.MethodPut, "/v1/clients/"+Client, `{"type":"public","policy":`+policy+`}`, nil)
}

// Tokens is the part of an answer that has the refresh token.
type Tokens struct {
	Family       string `json:"family"`
	RefreshToken string `json:"refresh_token"`
}

// Issue starts a typical family.
func (r *Rotor) Issue(ctx context.Context) (Tokens, error) {
	var t Tokens
	err := r.Manage(ctx, http.MethodPost, "/v1/families", Family, &t)
	return t, err
}

// Form returns the body of a refresh.
func Form(token string) string {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {Client}, "refresh_token": {token}}.Encode()
}

// Refresh presents a token, and returns the whole answer.
func (r *Rotor) Refresh(ctx context.Context, token string) *httptest.ResponseRecorder {
	return r.Call(ctx, http.MethodPost, "/oauth/token", "application/x-www-form-urlencoded", Form(token))
}

// Rotate presents a token, and returns the answer with its successor. It fails if
// there is none.
func (r *Rotor) Rotate(ctx context.Context, token string) (*httptest.ResponseRecorder, string, error) {
	w := r.Refresh(ctx, token)
	var t Tokens
	if err := json.Unmarshal(w.Body.Bytes(), &t); err != nil || w.Code != http.StatusOK || t.RefreshToken == "" || t.RefreshToken == token {
		return nil, "", fmt.Errorf("a refresh that should rotate is answered with %d", w.Code)
	}
	return w, t.RefreshToken, nil
}
