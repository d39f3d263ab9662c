package tokensource

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// failure is why a request returned no token, and what that means for the next
// request.
type failure struct {
	err        error
	refusal    *refusal      // the token is dead
	doubt      bool          // the provider may have replaced the token
	final      bool          // retrying soon would fail as well
	retryAfter time.Duration // what the server asked for
}

// ask asks the token endpoint once.
//
// With a key it adds a proof. That may take a second request, for a nonce, after one that changed nothing.
func (s *Source) ask(ctx context.Context, refreshToken string, key *dpopKey, timeout time.Duration) (*oauth2.Token, *failure) {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, s.tokenClient(key)), timeout)
	defer cancel()
	secrets := []string{refreshToken, s.conf.ClientSecret}
	if s.clientKey != nil {
		assertion, err := s.clientKey.assertion(s.conf.ClientID, s.clock.now().wall)
		if err != nil {
			return nil, &failure{err: err} // nothing has been sent
		}
		ctx, secrets = withAssertion(ctx, assertion), append(secrets, assertion)
	}
	t, err := s.conf.TokenSource(ctx, &oauth2.Token{RefreshToken: refreshToken}).Token()
	if err == nil {
		return t, nil
	}
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		// net/http dials before it writes. If dialing fails, nothing has been sent.
		var op *net.OpError
		unsent := errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect")
		if text := scrub(err.Error(), secrets); text != err.Error() {
			err = errors.New(text)
		}
		return nil, &failure{err: err, doubt: !unsent}
	}
	status := answer.Response.StatusCode
	r := &refusal{
		By: s.self(), Status: status, Code: scrub(answer.ErrorCode, secrets),
		Description: scrub(answer.ErrorDescription, secrets), URI: scrub(answer.ErrorURI, secrets),
	}
	f := &failure{err: r.error(), retryAfter: retryAfter(answer.Response.Header, s.clock.now().wall)}
	switch {
	case status == http.StatusTooManyRequests, r.Code == "use_dpop_nonce": // nothing has changed
	case status >= 500, status == http.StatusRequestTimeout, r.Code == "temporarily_unavailable", r.Code == "server_error":
		f.doubt = true
	case r.Code == "invalid_grant", r.Code == "bad_refresh_token" /* GitHub */, r.Code == "invalid_refresh_token" /* Slack */ :
		f.refusal = r
	default:
		f.final = true
	}
	return nil, f
}

// error returns the refusal as an error of golang.org/x/oauth2, without body and
// request, which may hold the token.
func (r *refusal) error() error {
	return &oauth2.RetrieveError{
		Response:  &http.Response{StatusCode: r.Status, Status: strconv.Itoa(r.Status) + " " + http.StatusText(r.Status)},
		ErrorCode: r.Code, ErrorDescription: r.Description, ErrorURI: r.URI,
	}
}

// scrub removes secrets from a text of another's.
func scrub(text string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.NewReplacer(secret, "[redacted]", url.QueryEscape(secret), "[redacted]").Replace(text)
		}
	}
	return text
}

// expiresIn returns the lifetime of a new access token in seconds, or 0 if it has no
// known end. A form-encoded response has it only among the extra members.
func expiresIn(t *oauth2.Token) int64 {
	n := t.ExpiresIn
	if n == 0 {
		switch v := t.Extra("expires_in").(type) {
		case int64:
			n = v
		case json.Number:
			n, _ = v.Int64()
		}
	}
	return max(n, 0)
}
