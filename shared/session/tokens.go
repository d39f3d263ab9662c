package session

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/token"
)

// Tokens is the answer to the start of a family and to each refresh, in the form of the
// token endpoint (RFC 6749 §5.1).
type Tokens struct {
	AccessToken           string `json:"access_token"`
	TokenType             string `json:"token_type"` // Bearer, or DPoP for an access token that is bound to a key (RFC 9449 §5)
	ExpiresIn             int64  `json:"expires_in"`
	RefreshToken          string `json:"refresh_token,omitempty"`            // left out if it is in a cookie
	RefreshTokenExpiresIn *int64 `json:"refresh_token_expires_in,omitempty"` // left out if the family has no end
	Expirations
	Scope   *string `json:"scope,omitempty"` // left out if no scope was ever granted
	IDToken string  `json:"id_token,omitempty"`
	Family  string  `json:"family,omitempty"` // set by the management API alone

	SessionID       string `json:"sid,omitempty"`               // set for a client whose refresh tokens are in cookies
	IssuedTokenType string `json:"issued_token_type,omitempty"` // of the access token, in a token exchange (RFC 8693 §2.2.1)

	Record   *family.Family `json:"-"` // of the family, as it is now
	ByDevice bool           `json:"-"` // the session's device cookie takes the place of a refresh token
}

// Tokens makes the first tokens of a family, for all that it was granted.
func (e *Engine) Tokens(ctx context.Context, f *family.Family, client *store.Client, now time.Time) (*Tokens, error) {
	keys, err := e.Keys.Keys(ctx, now)
	if err != nil {
		return nil, err
	}
	return e.tokens(keys, f, client, grant{jkt: f.JKT}, now)
}

// grant is what tokens are made for.
type grant struct {
	scope, resource []string // nil for all that the family was granted
	nonce           string   // of the authorization request, for its first id token
	jkt             []byte   // the thumbprint of the key that the access token is bound to, or nil
}

// tokens makes the family's newest refresh token and an access token for the given scope
// and resources. Scope that the client may no longer be granted is left out.
func (e *Engine) tokens(keys *keyring.Keys, f *family.Family, client *store.Client, g grant, now time.Time) (*Tokens, error) {
	p := &client.Policy
	scope, resource := g.scope, g.resource
	if scope == nil {
		scope = f.Scope
	}
	scope = client.Bound(scope)
	if resource == nil {
		resource = f.Audience
	}
	if resource == nil {
		resource = []string{e.Issuer} // RFC 9068 §3: there is always an audience
	}
	expires, lifetime := accessEnd(f, p, now)
	sid := f.ID.ULID().String()
	access := signing.Access{
		Issuer: e.Issuer, Subject: f.UserID, Audience: resource, ClientID: f.ClientID,
		Scope: strings.Join(scope, " "), SessionID: sid,
		IssuedAt: now, ExpiresAt: expires, AuthTime: f.AuthTime, ACR: f.ACR, AMR: f.AMR,
	}
	access.JKT = family.EncodeThumbprint(g.jkt)
	if f.Claims != "" {
		var claims map[string]json.RawMessage // raw, so that numbers keep their digits
		if err := json.Unmarshal([]byte(f.Claims), &claims); err != nil {
			return nil, fmt.Errorf("read the claims of a family: %w", err)
		}
		access.Custom = make(map[string]any, len(claims))
		for name, value := range claims {
			access.Custom[name] = value
		}
	}
	answer := &Tokens{
		Record:       f,
		TokenType:    access.Type(),
		ExpiresIn:    lifetime,
		RefreshToken: keys.Codec.Mint(token.Token{Family: f.ID, Counter: f.Counter}, now).Reveal(),
	}
	if len(f.Scope) > 0 {
		answer.Scope = &access.Scope
	}
	answer.Expirations = ExpirationsOf(f, p, now)
	var err error
	if answer.AccessToken, err = keys.Signing.SignAccess(now, access); err != nil {
		return nil, err
	}
	if end := f.End(p); !end.IsZero() {
		left := max(0, secondsUntil(end, now))
		answer.RefreshTokenExpiresIn = &left
	}
	if slices.Contains(scope, "openid") {
		// OpenID Connect Core §12.2: iss, sub, aud and auth_time as at the login.
		answer.IDToken, err = keys.Signing.SignID(now, signing.ID{
			Issuer: e.Issuer, Subject: f.UserID, ClientID: f.ClientID, SessionID: sid,
			IssuedAt: now, ExpiresAt: expires, AuthTime: f.AuthTime, ACR: f.ACR, AMR: f.AMR, Nonce: g.nonce,
		})
		if err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// accessEnd returns when an access token of f made at now expires, in whole seconds, and
// the expires_in that goes with it. The token never outlives its family's absolute end,
// not even by a part of a second. In the family's last second it has therefore expired as
// soon as it is made. Its expires_in is 1 even then, since some clients take 0 to mean a
// token that never expires.
func accessEnd(f *family.Family, p *family.Policy, now time.Time) (expires time.Time, expiresIn int64) {
	expires, expiresIn = now.Truncate(time.Second).Add(p.AccessTokenLifetime.Duration()), int64(p.AccessTokenLifetime)
	if f.ExpiresAt.IsZero() {
		return expires, expiresIn
	}
	if end := f.ExpiresAt.Truncate(time.Second); end.Before(expires) {
		expires = end
	}
	return expires, max(1, min(expiresIn, secondsUntil(f.ExpiresAt, now)))
}

// Expirations holds the members that draft-ietf-oauth-refresh-token-expiration adds to
// an answer about a refresh token, in seconds. They tell its two ends apart; an end that
// the family does not have is left out.
type Expirations struct {
	RefreshTokenTimeout    *int64 `json:"refresh_token_timeout,omitempty"`    // until it ends if it is not used; no more than the other
	AuthorizationExpiresIn *int64 `json:"authorization_expires_in,omitempty"` // until it ends, used or not
}

// ExpirationsOf returns the Expirations of a family at now.
func ExpirationsOf(f *family.Family, p *family.Policy, now time.Time) Expirations {
	var e Expirations
	if !f.ExpiresAt.IsZero() {
		left := max(0, secondsUntil(f.ExpiresAt, now))
		e.AuthorizationExpiresIn = &left
	}
	if p.IdleLifetime != 0 {
		left := max(0, secondsUntil(f.End(p), now))
		e.RefreshTokenTimeout = &left
	}
	return e
}

// secondsUntil returns the whole seconds from now until t.
func secondsUntil(t, now time.Time) int64 { return int64(t.Sub(now) / time.Second) }
