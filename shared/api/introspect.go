package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
)

func (a *API) introspectEndpoint() []endpoint {
	return []endpoint{{
		path:    "/oauth/introspect",
		methods: map[string]handler{http.MethodPost: a.introspect},
	}}
}

// introspection is the answer of RFC 7662 §2.2; inactive, it says nothing else.
type introspection struct {
	Active    bool             `json:"active"`
	TokenType string           `json:"token_type,omitempty"` // of RFC 6749 §7.1: of access tokens
	Scope     string           `json:"scope,omitempty"`
	ClientID  string           `json:"client_id,omitempty"`
	Subject   string           `json:"sub,omitempty"`
	Audience  signing.Audience `json:"aud,omitempty"`
	Issuer    string           `json:"iss,omitempty"`
	SessionID string           `json:"sid,omitempty"`
	ID        string           `json:"jti,omitempty"`
	IssuedAt  int64            `json:"iat,omitempty"`
	ExpiresAt int64            `json:"exp,omitempty"`
	expirations
}

// introspect is the introspection endpoint (RFC 7662), for confidential clients.
// It reads the family strongly consistent: after a revocation has answered, no
// token of it is active.
func (a *API) introspect(w http.ResponseWriter, r *http.Request) error {
	now := a.now()
	p, err := readParams(r)
	if err != nil {
		return err
	}
	client, err := a.authenticateConfidential(r.Context(), r, p, now)
	if err != nil {
		return err
	}
	presented, err := p.required("token")
	if err != nil {
		return err
	}
	keys, err := a.Keys.Keys(r.Context(), now)
	if err != nil {
		return err
	}
	answer, err := a.introspectRefresh(r.Context(), client, keys, presented, now)
	if err != nil {
		return err
	}
	if !answer.Active {
		answer, err = a.introspectAccess(r.Context(), client, keys, presented, now)
		if err != nil {
			return err
		}
	}
	noStore(w)
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// introspectRefresh is of a refresh token of the client's own: active means that
// a refresh now would succeed.
func (a *API) introspectRefresh(ctx context.Context, client *store.Client, keys *keyring.Keys, presented string, now time.Time) (introspection, error) {
	tok, err := a.parseToken(ctx, keys, presented, now)
	if errors.Is(err, keyring.ErrUnavailable) {
		return introspection{}, err
	}
	if err != nil {
		return introspection{}, nil
	}
	f, err := a.Table.Family(ctx, tok.Family)
	if errors.Is(err, store.ErrNotFound) {
		return introspection{}, nil
	}
	if err != nil {
		return introspection{}, err
	}
	p := &client.Policy
	v := family.Decide(f, p, family.Attempt{Counter: tok.Counter, ClientID: client.ID, Now: now})
	if !v.Active() {
		return introspection{}, nil
	}
	answer := introspection{
		Active: true, Scope: strings.Join(client.Bound(f.Scope), " "), ClientID: f.ClientID, Subject: f.UserID,
		Issuer: a.Issuer, SessionID: f.ID.ULID().String(), IssuedAt: f.IssuedAt().Unix(),
	}
	if end := f.End(p); !end.IsZero() {
		answer.ExpiresAt = end.Unix()
	}
	answer.expirations = expirationsOf(f, p, now)
	return answer, nil
}

// introspectAccess is of an access token, of the client's own or of any where the
// client may: inactive once its family is dead.
func (a *API) introspectAccess(ctx context.Context, client *store.Client, keys *keyring.Keys, presented string, now time.Time) (introspection, error) {
	access, err := a.verifyAccess(ctx, keys, presented, now, (*signing.Set).Verify)
	if errors.Is(err, keyring.ErrUnavailable) {
		return introspection{}, err
	}
	if err != nil || access.ClientID != client.ID && !client.MayIntrospect {
		return introspection{}, nil
	}
	owner := client
	if access.ClientID != client.ID {
		owner, err = a.clients.Client(ctx, access.ClientID, now)
		if errors.Is(err, store.ErrNotFound) {
			return introspection{}, nil
		}
		if err != nil {
			return introspection{}, err
		}
	}
	sid, err := ulid.ParseStrict(access.SessionID)
	if err != nil {
		return introspection{}, nil
	}
	f, err := a.Table.Family(ctx, family.JoinID(keys.Codec.UserKey(access.Subject), sid))
	if errors.Is(err, store.ErrNotFound) {
		return introspection{}, nil
	}
	if err != nil {
		return introspection{}, err
	}
	if f.ClientID != access.ClientID || f.Death(&owner.Policy, now) != "" {
		return introspection{}, nil
	}
	return introspection{
		Active: true, TokenType: "Bearer", Scope: access.Scope, ClientID: access.ClientID, Subject: access.Subject,
		Audience: access.Audience, Issuer: access.Issuer, SessionID: access.SessionID, ID: access.JTI,
		IssuedAt: access.IssuedAt.Unix(), ExpiresAt: access.ExpiresAt.Unix(),
	}, nil
}
