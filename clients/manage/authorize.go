package manage

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// Authorization is what a login answers to an authorization request: the user that it has
// authenticated, or an error if it has turned the user away. Exactly one of UserID and Error is
// required, and Request.
type Authorization struct {
	// Request holds the parameters of the authorization request as the login received them.
	Request url.Values `json:"request"`
	UserID  string     `json:"user_id,omitempty"`
	Error   string     `json:"error,omitempty"` // such as access_denied (RFC 6749 §4.1.2.1)

	Scope            *string         `json:"scope,omitempty"` // what the user consented to; nil for what was asked for
	Audience         Audience        `json:"audience,omitempty"`
	Claims           json.RawMessage `json:"claims,omitempty"` // a JSON object; they are added to the access tokens
	AuthTime         time.Time       `json:"auth_time,omitzero"`
	ACR              string          `json:"acr,omitempty"`
	AMR              []string        `json:"amr,omitempty"`
	Device           string          `json:"device,omitempty"`
	AbsoluteLifetime int64           `json:"absolute_lifetime,omitempty"` // seconds; 0 for the policy's

	// IdempotencyKey, IP and UserAgent are as in [Login].
	IdempotencyKey string `json:"-"`
	IP             string `json:"-"`
	UserAgent      string `json:"-"`
}

// Redirect is where to send the browser. It has a code, so it prints as the family's id alone.
type Redirect struct {
	To        string `json:"redirect_to"`
	Family    string `json:"family"`     // "" if the client is told an error
	ExpiresIn int64  `json:"expires_in"` // of the code, in seconds
	Error     string `json:"error"`      // what the client is told in place of a code
}

// String returns the family's id, or the error, alone.
func (r Redirect) String() string {
	if r.Error != "" {
		return "[redirect with the error " + r.Error + "]"
	}
	return "[redirect with a code of family " + r.Family + "]"
}

// GoString returns what String returns.
func (r Redirect) GoString() string { return r.String() }

// Format prints what String returns, whatever the verb.
func (r Redirect) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue returns what String returns.
func (r Redirect) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Authorize answers an authorization request. The login then sends the browser to the address in
// the answer. An [Error] with the status 400 is for the login to show to its user: a request
// without a registered client and redirect URI must not be redirected.
func (c *Client) Authorize(ctx context.Context, a *Authorization) (*Redirect, error) {
	header, err := loginHeader(a.IdempotencyKey, a.IP, a.UserAgent)
	if err != nil {
		return nil, fmt.Errorf("authorize: %w", err)
	}
	var r Redirect
	err = c.call(ctx, request{
		method: http.MethodPost, path: "/v1/authorize", header: header, body: a, once: a.IdempotencyKey == "" && a.Error == "",
		needs: []string{"redirect_to"},
	}, &r)
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// CodeRequest is what an app sends to a login that does not redirect.
type CodeRequest struct {
	Challenge string `json:"code_challenge"`  // the SHA-256 of its code verifier in base64url
	Nonce     string `json:"nonce,omitempty"` // for the first id token
}

// Code is an authorization code. It prints as the family's id alone.
type Code struct {
	Code      string `json:"code"`
	ExpiresIn int64  `json:"expires_in"` // seconds
	Family    string `json:"family"`
}

// String returns the family's id alone.
func (d Code) String() string { return "[code of family " + d.Family + "]" }

// GoString returns what String returns.
func (d Code) GoString() string { return d.String() }

// Format prints what String returns, whatever the verb.
func (d Code) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, d.String()) }

// LogValue returns what String returns.
func (d Code) LogValue() slog.Value { return slog.StringValue(d.String()) }

// StartWithCode starts a family after a login that does not redirect. The login hands the code to
// the app, which exchanges it for the first tokens with its code verifier.
func (c *Client) StartWithCode(ctx context.Context, l *Login, q CodeRequest) (*Code, error) {
	header, err := loginHeader(l.IdempotencyKey, l.IP, l.UserAgent)
	if err != nil {
		return nil, fmt.Errorf("start a family with a code: %w", err)
	}
	body := struct {
		*Login
		CodeRequest
		Deliver string `json:"deliver"`
	}{l, q, "code"}
	var d Code
	err = c.call(ctx, request{
		method: http.MethodPost, path: "/v1/families", header: header, body: body, once: l.IdempotencyKey == "",
		needs: []string{"code", "family"},
	}, &d)
	if err != nil {
		return nil, err
	}
	return &d, nil
}
