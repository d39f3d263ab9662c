package api

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/token"
)

// tokenResponse is the answer of the token endpoint (RFC 6749 §5.1).
type tokenResponse struct {
	AccessToken           string `json:"access_token"`
	TokenType             string `json:"token_type"`
	ExpiresIn             int64  `json:"expires_in"`
	RefreshToken          string `json:"refresh_token"`
	RefreshTokenExpiresIn *int64 `json:"refresh_token_expires_in,omitempty"` // left out where there is no end
	Scope                 string `json:"scope,omitempty"`
	IDToken               string `json:"id_token,omitempty"`
	Family                string `json:"family,omitempty"` // of the management API
}

// respond makes the tokens for the family as it now is: its newest refresh
// token and an access token of the scope asked for, all that was granted if nil.
func (a *API) respond(ctx context.Context, f *family.Family, p *family.Policy, scope []string, now time.Time) (*tokenResponse, error) {
	keys, err := a.Keys.Keys(ctx, now)
	if err != nil {
		return nil, err
	}
	if scope == nil {
		scope = f.Scope
	}
	// An access token does not outlive its family's absolute end.
	lifetime := int64(p.AccessTokenLifetime)
	if !f.ExpiresAt.IsZero() {
		lifetime = max(1, min(lifetime, secondsUntil(f.ExpiresAt, now)))
	}
	expires := now.Add(time.Duration(lifetime) * time.Second)
	sid := f.ID.ULID().String()
	access := signing.Access{
		Issuer: a.Issuer, Subject: f.UserID, Audience: f.Audience, ClientID: f.ClientID,
		Scope: strings.Join(scope, " "), SessionID: sid,
		IssuedAt: now, ExpiresAt: expires, AuthTime: f.AuthTime, ACR: f.ACR, AMR: f.AMR,
	}
	if access.Audience == "" {
		access.Audience = a.Issuer // RFC 9068 §3: there is always an audience
	}
	if f.Claims != "" {
		var claims map[string]json.RawMessage // raw: a number keeps its digits
		if err := json.Unmarshal([]byte(f.Claims), &claims); err != nil {
			return nil, fmt.Errorf("read the claims of a family: %w", err)
		}
		access.Custom = make(map[string]any, len(claims))
		for name, value := range claims {
			access.Custom[name] = value
		}
	}
	answer := &tokenResponse{
		TokenType:    "Bearer",
		ExpiresIn:    lifetime,
		RefreshToken: keys.Codec.Mint(token.Token{Family: f.ID, Counter: f.Counter}, now).Reveal(),
		Scope:        access.Scope,
	}
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
			Issuer: a.Issuer, Subject: f.UserID, ClientID: f.ClientID, SessionID: sid,
			IssuedAt: now, ExpiresAt: expires, AuthTime: f.AuthTime, ACR: f.ACR, AMR: f.AMR,
		})
		if err != nil {
			return nil, err
		}
	}
	return answer, nil
}
