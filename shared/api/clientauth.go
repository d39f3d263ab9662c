package api

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

	"github.com/rotor-auth/rotor/shared/store"
)

// isClientID is true of 1 to 64 letters, digits, dots, underscores and hyphens. It is
// no regular expression: to compile one is part of each cold start.
func isClientID(id string) bool {
	const characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	return id != "" && len(id) <= 64 && strings.Trim(id, characters) == ""
}

// credentials are how a client says who it is: at most one of the header and
// the body (RFC 6749 §2.3).
type credentials struct{ id, secret string }

// authenticate is the client of a request: by client_secret_basic,
// client_secret_post or, a public client, by its id alone. Unless it is who it
// says, the error is invalid_client (RFC 6749 §5.2).
func (a *API) authenticate(ctx context.Context, r *http.Request, p params, now time.Time) (*store.Client, error) {
	c, err := readCredentials(r, p)
	if err != nil {
		return nil, err
	}
	if !isClientID(c.id) {
		return nil, errNotThatClient
	}
	client, err := a.clients.Client(ctx, c.id, now)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errNotThatClient
	}
	if err != nil {
		return nil, err
	}
	switch {
	case !client.Confidential && c.secret != "":
		return nil, errNotThatClient
	case client.Confidential && c.secret == "":
		return nil, errNotThatClient
	case client.Confidential && !secretMatches(client, c.secret):
		return nil, errNotThatClient
	}
	return client, nil
}

func readCredentials(r *http.Request, p params) (credentials, error) {
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		if p["client_id"] == "" {
			return credentials{}, refused("client_id is missing.")
		}
		return credentials{id: p["client_id"], secret: p["client_secret"]}, nil
	}
	c := credentials{}
	if len(header) > 1 {
		return c, invalidRequest("The Authorization header is repeated.")
	}
	scheme, encoded, _ := strings.Cut(header[0], " ")
	if !strings.EqualFold(scheme, "Basic") {
		return c, refused("The scheme of the Authorization header must be Basic.")
	}
	if p["client_secret"] != "" {
		return c, invalidRequest("The client authenticates both by header and by body.")
	}
	pair, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return c, refused("The Authorization header is malformed.")
	}
	id, secret, ok := strings.Cut(string(pair), ":")
	if !ok {
		return c, refused("The Authorization header is malformed.")
	}
	// Both halves are form-encoded before they are joined (RFC 6749 §2.3.1).
	c.id, err = url.QueryUnescape(id)
	if err != nil {
		return c, refused("The Authorization header is malformed.")
	}
	c.secret, err = url.QueryUnescape(secret)
	if err != nil {
		return c, refused("The Authorization header is malformed.")
	}
	if p["client_id"] != "" && p["client_id"] != c.id {
		return c, invalidRequest("client_id differs from the one in the Authorization header.")
	}
	return c, nil
}

func refused(description string) error {
	return &oauthError{status: http.StatusUnauthorized, code: "invalid_client", description: description}
}

// errNotThatClient is returned where a client does not prove who it says it is, for
// whatever reason: an unknown client and a wrong secret answer alike, so that no
// stranger learns which clients there are.
var errNotThatClient = refused("Client authentication failed.")

// secretMatches compares with every live secret, in constant time.
func secretMatches(client *store.Client, secret string) bool {
	hash := sha256.Sum256([]byte(secret))
	match := 0
	for _, s := range client.Secrets {
		match |= subtle.ConstantTimeCompare(hash[:], s.Hash[:])
	}
	return match == 1
}
