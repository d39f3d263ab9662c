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

// credentials are how a client says who it is: at most one of the header and
// the body (RFC 6749 §2.3).
type credentials struct{ id, secret string }

// authenticate is the client of a request: by client_secret_basic,
// client_secret_post or, a public client, by its id alone. Unless it is who it
// says, the error is invalid_client (RFC 6749 §5.2), and the trail says why.
func (a *API) authenticate(ctx context.Context, r *http.Request, p params, now time.Time) (*store.Client, error) {
	c, err := readCredentials(r, p)
	var client *store.Client
	if err == nil {
		client, err = a.identify(ctx, c, now)
	}
	if err != nil {
		return nil, a.unproven(r, c, client, err, now)
	}
	return client, nil
}

// authenticateConfidential is authenticate for what public clients may not do.
func (a *API) authenticateConfidential(ctx context.Context, r *http.Request, p params, now time.Time) (*store.Client, error) {
	client, err := a.authenticate(ctx, r, p, now)
	if err != nil || client.Confidential {
		return client, err
	}
	// Of a public client anybody can say that it is it.
	return nil, a.unproven(r, credentials{id: client.ID}, client, notThatClient("public_client"), now)
}

// identify returns the client that has these credentials. With an error it returns
// the client whose id they name, if there is one.
func (a *API) identify(ctx context.Context, c credentials, now time.Time) (*store.Client, error) {
	if !session.IsClientID(c.id) {
		return nil, notThatClient("malformed_client_id")
	}
	client, err := a.Clients.Client(ctx, c.id, now)
	if errors.Is(err, store.ErrNotFound) {
		return nil, notThatClient("unknown_client")
	}
	if err != nil {
		return nil, err
	}
	switch {
	case !client.Confidential && c.secret != "":
		return client, notThatClient("needless_secret")
	case client.Confidential && c.secret == "":
		return client, notThatClient("missing_secret")
	case client.Confidential && !secretMatches(client, c.secret):
		return client, notThatClient("wrong_secret")
	}
	return client, nil
}

// maxUnknownID is how much of an unknown client's id the log shows, in bytes: it may
// be another provider's secret in the wrong place.
const maxUnknownID = 24

// unproven returns err. If that is of a client that was not believed, the trail has
// it, once; client is the one whose id was named, or nil.
func (a *API) unproven(r *http.Request, c credentials, client *store.Client, err error, now time.Time) error {
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

func readCredentials(r *http.Request, p params) (credentials, error) {
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		if p.get("client_id") == "" {
			return credentials{}, refused("missing_client_id", "client_id is missing.")
		}
		return credentials{id: p.get("client_id"), secret: p.get("client_secret")}, nil
	}
	c := credentials{}
	if len(header) > 1 {
		return c, invalidRequest("The Authorization header is repeated.")
	}
	scheme, encoded, _ := strings.Cut(header[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return c, refused("another_scheme", "The scheme of the Authorization header must be Basic.")
	}
	if p.get("client_secret") != "" {
		return c, invalidRequest("The client authenticates both by header and by body.")
	}
	pair, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return c, refused("malformed_header", "The Authorization header is malformed.")
	}
	id, secret, ok := strings.Cut(string(pair), ":")
	if !ok {
		return c, refused("malformed_header", "The Authorization header is malformed.")
	}
	// Both halves are form-encoded before they are joined (RFC 6749 §2.3.1).
	c.id, err = url.QueryUnescape(id)
	if err != nil {
		return c, refused("malformed_header", "The Authorization header is malformed.")
	}
	c.secret, err = url.QueryUnescape(secret)
	if err != nil {
		return c, refused("malformed_header", "The Authorization header is malformed.")
	}
	if p.get("client_id") != "" && p.get("client_id") != c.id {
		return c, invalidRequest("client_id differs from the one in the Authorization header.")
	}
	return c, nil
}

// refused is the error of a client that is not believed. The reason is for the log,
// which may say more than the description.
func refused(reason, description string) error {
	return &oauthError{status: http.StatusUnauthorized, code: "invalid_client", description: description, reason: reason}
}

// notThatClient is the error of a client that does not prove who it says it is, for
// whatever reason: an unknown client and a wrong secret answer alike, so that no
// stranger learns which clients there are.
func notThatClient(reason string) error { return refused(reason, "Client authentication failed.") }

// secretMatches compares with every live secret, in constant time.
func secretMatches(client *store.Client, secret string) bool {
	hash := sha256.Sum256([]byte(secret))
	match := 0
	for _, s := range client.Secrets {
		match |= subtle.ConstantTimeCompare(hash[:], s.Hash[:])
	}
	return match == 1
}
