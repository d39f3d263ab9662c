package oauth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// credentials are what a client authenticates with, from either the header or the body
// (RFC 6749 §2.3). A public client has no secret.
type credentials struct{ id, secret string }

// authenticate returns the client that sent the request. Confidential clients authenticate
// by client_secret_basic or client_secret_post; public clients only name their id. If
// authentication fails, the error is invalid_client (RFC 6749 §5.2), and the audit log
// records the reason.
func (a *API) authenticate(ctx context.Context, r *http.Request, p params, now time.Time) (*store.Client, error) {
	c, err := readCredentials(r, p)
	var client *store.Client
	if err == nil {
		client, err = a.identify(ctx, c, now)
	}
	if err != nil {
		return nil, a.recordRefusal(r, c, client, err, now)
	}
	return client, nil
}

// authenticateConfidential authenticates the client and refuses public ones.
func (a *API) authenticateConfidential(ctx context.Context, r *http.Request, p params, now time.Time) (*store.Client, error) {
	client, err := a.authenticate(ctx, r, p, now)
	if err != nil || client.Confidential {
		return client, err
	}
	// Anybody can claim to be a public client, so that nothing has been proven.
	return nil, a.recordRefusal(r, credentials{id: client.ID}, client, authenticationFailed("public_client"), now)
}

// identify returns the client that these credentials belong to. If they are not valid, it
// returns an error and the client whose id they name, nil if there is none.
func (a *API) identify(ctx context.Context, c credentials, now time.Time) (*store.Client, error) {
	if !session.IsClientID(c.id) {
		return nil, authenticationFailed("malformed_client_id")
	}
	client, err := a.Clients.Client(ctx, c.id, now)
	if errors.Is(err, store.ErrNotFound) {
		return nil, authenticationFailed("unknown_client")
	}
	if err != nil {
		return nil, err
	}
	switch {
	case !client.Confidential && c.secret != "":
		return client, authenticationFailed("needless_secret")
	case client.Confidential && c.secret == "":
		return client, authenticationFailed("missing_secret")
	case client.Confidential && !secretMatches(client, c.secret):
		return client, authenticationFailed("wrong_secret")
	}
	return client, nil
}

// maxUnknownID limits what the log shows of an unregistered client id, in bytes: it may be
// another provider's secret, put in the wrong place.
const maxUnknownID = 24

// recordRefusal logs a failed client authentication and returns err as it is. Any other
// error is not logged. client is the one whose id was named, nil if there is none.
func (a *API) recordRefusal(r *http.Request, c credentials, client *store.Client, err error, now time.Time) error {
	var refused *oauthError
	if !errors.As(err, &refused) || refused.reason == "" {
		return err
	}
	e := web.CallerOf(r).Event(audit.Refused, now)
	e.Cause, e.Reason, e.Name = audit.InvalidClient, refused.reason, strings.TrimPrefix(r.Pattern, "/oauth/")
	switch {
	case client != nil:
		e.ClientID = client.ID
	case session.IsClientID(c.id):
		e.ClientID, e.Unregistered = session.Cut(audit.Hide(c.id), maxUnknownID), true
	}
	a.Trail.Record(r.Context(), &e)
	return err
}

// readCredentials returns the client's credentials. They are not verified.
func readCredentials(r *http.Request, p params) (credentials, error) {
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		if p.get("client_id") == "" {
			return credentials{}, invalidClient("missing_client_id", "client_id is missing.")
		}
		return credentials{id: p.get("client_id"), secret: p.get("client_secret")}, nil
	}
	c := credentials{}
	if len(header) > 1 {
		return c, invalidRequest("The Authorization header is repeated.")
	}
	scheme, encoded, _ := strings.Cut(header[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return c, invalidClient("another_scheme", "The scheme of the Authorization header must be Basic.")
	}
	if p.get("client_secret") != "" {
		return c, invalidRequest("The client authenticates both by header and by body.")
	}
	pair, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return c, invalidClient("malformed_header", "The Authorization header is malformed.")
	}
	id, secret, ok := strings.Cut(string(pair), ":")
	if !ok {
		return c, invalidClient("malformed_header", "The Authorization header is malformed.")
	}
	// Both halves are form-encoded before they are joined (RFC 6749 §2.3.1).
	c.id, err = url.QueryUnescape(id)
	if err != nil {
		return c, invalidClient("malformed_header", "The Authorization header is malformed.")
	}
	c.secret, err = url.QueryUnescape(secret)
	if err != nil {
		return c, invalidClient("malformed_header", "The Authorization header is malformed.")
	}
	if p.get("client_id") != "" && p.get("client_id") != c.id {
		return c, invalidRequest("client_id differs from the one in the Authorization header.")
	}
	return c, nil
}

// invalidClient returns the error of a client that did not authenticate. The reason goes to
// the log, which may say more than the description.
func invalidClient(reason, description string) error {
	return &oauthError{status: http.StatusUnauthorized, code: "invalid_client", description: description, reason: reason}
}

// authenticationFailed returns an invalid_client error with the same description for every
// reason. An unknown client and a wrong secret are answered alike, so that a stranger
// cannot find out which clients exist.
func authenticationFailed(reason string) error {
	return invalidClient(reason, "Client authentication failed.")
}

// secretMatches reports whether secret is one of the client's. It compares with each of
// them, in constant time.
func secretMatches(client *store.Client, secret string) bool {
	hash := sha256.Sum256([]byte(secret))
	match := 0
	for _, s := range client.Secrets {
		match |= subtle.ConstantTimeCompare(hash[:], s.Hash[:])
	}
	return match == 1
}
