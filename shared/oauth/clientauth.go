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

	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// credentials are what a client authenticates with, from either the header or the body
// (RFC 6749 §2.3). A public client has neither a secret nor an assertion.
type credentials struct{ id, secret, assertion string }

// assertionType is the client_assertion_type of a JWT (RFC 7523 §2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// tokenPath is the path of the token endpoint, below the issuer.
const tokenPath = "/oauth/token"

// authenticate returns the client that sent the request. Confidential clients authenticate
// by client_secret_basic, client_secret_post or private_key_jwt; public clients only name their
// id. If authentication fails, the error is invalid_client (RFC 6749 §5.2), and the audit log
// records the reason.
func (a *API) authenticate(ctx context.Context, r *http.Request, p params, now time.Time) (*store.Client, error) {
	c, err := readCredentials(r, p)
	var client *store.Client
	if err == nil {
		client, err = a.identify(ctx, &c, a.Issuer+r.Pattern, now)
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

// identify returns the client that these credentials belong to, at the endpoint of that URL. If
// they are not valid, it returns an error and the client whose id they name, nil if there is
// none. An assertion may name it alone, and then gives the credentials their id.
func (a *API) identify(ctx context.Context, c *credentials, endpoint string, now time.Time) (*store.Client, error) {
	said, unread := readAssertion(c)
	if unread != nil && c.id == "" {
		return nil, unread
	}
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
	case !client.Confidential && c.assertion != "":
		return client, authenticationFailed("needless_assertion")
	case !client.Confidential:
		return client, nil
	case c.assertion != "" && !client.Keys.Any():
		return client, authenticationFailed("no_keys")
	case unread != nil:
		return client, unread
	case said != nil && said.ClientID != c.id:
		return client, authenticationFailed("other_client_id")
	case said != nil:
		names := []string{a.Issuer, a.Issuer + tokenPath, endpoint}
		return client, assertionError(a.Assertions.VerifyClient(ctx, said, client.Keys, names, now))
	case c.secret == "":
		return client, authenticationFailed("missing_secret")
	case !secretMatches(client, c.secret):
		return client, authenticationFailed("wrong_secret")
	}
	return client, nil
}

// readAssertion reads the assertion of the credentials, and returns nil if there is none.
func readAssertion(c *credentials) (*assertion.ClientAssertion, error) {
	if c.assertion == "" {
		return nil, nil
	}
	said, err := assertion.ReadClient(c.assertion)
	if err != nil {
		return nil, assertionError(err)
	}
	if c.id == "" { // it is unnecessary then (RFC 7521 §4.2)
		c.id = said.ClientID
	}
	return said, nil
}

// assertionError returns the error for a client's assertion that was not accepted. If its keys
// cannot be had, that is no fault of the client.
func assertionError(err error) error {
	var bad *assertion.RefusedError
	if errors.As(err, &bad) {
		return authenticationFailed("assertion_" + string(bad.Reason))
	}
	return err
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
	if p.get("client_assertion") != "" || p.get("client_assertion_type") != "" {
		return readAssertionParams(p, len(header) > 0)
	}
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

// readAssertionParams returns the credentials of a client that authenticates by an assertion, and
// must not by anything else (RFC 6749 §2.3).
func readAssertionParams(p params, alsoByHeader bool) (credentials, error) {
	c := credentials{id: p.get("client_id")}
	if alsoByHeader || p.get("client_secret") != "" {
		return c, invalidRequest("The client authenticates in more than one way.")
	}
	kind, err := p.required("client_assertion_type")
	if err != nil {
		return c, err
	}
	if kind != assertionType {
		return c, invalidClient("another_assertion_type", "The client_assertion_type must be "+assertionType+".")
	}
	c.assertion, err = p.required("client_assertion")
	return c, err
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
