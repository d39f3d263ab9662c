package oauth

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
)

// introspection is the answer of RFC 7662 §2.2. If Active is false, nothing else is set.
type introspection struct {
	Active    bool             `json:"active"`
	TokenType string           `json:"token_type,omitempty"` // a type of RFC 6749 §7.1, thus of access tokens only
	Scope     string           `json:"scope,omitempty"`
	ClientID  string           `json:"client_id,omitempty"`
	Subject   string           `json:"sub,omitempty"`
	Audience  signing.Audience `json:"aud,omitempty"`
	Issuer    string           `json:"iss,omitempty"`
	SessionID string           `json:"sid,omitempty"`
	ID        string           `json:"jti,omitempty"`
	IssuedAt  int64            `json:"iat,omitempty"`
	ExpiresAt int64            `json:"exp,omitempty"`
	session.Expirations

	Confirmation *signing.Confirmation `json:"cnf,omitempty"` // of a token that is bound to a key (RFC 9449 §6.2)
}

// introspect serves POST /oauth/introspect (RFC 7662) to confidential clients. Reads of the
// family are strongly consistent: once a revocation has been answered, no token of the
// family is active.
func (a *API) introspect(w http.ResponseWriter, r *http.Request) error {
	q, err := a.readInquiry(r, a.authenticateConfidential)
	if err != nil {
		return err
	}
	answer, err := a.introspectRefresh(r.Context(), q)
	if err != nil {
		return err
	}
	if !answer.Active {
		answer, err = a.introspectAccess(r.Context(), q)
		if err != nil {
			return err
		}
	}
	web.NoStore(w)
	web.WriteJSON(w, http.StatusOK, answer)
	return nil
}

// introspectRefresh describes one of the client's own refresh tokens. It is active if a
// refresh would succeed now.
func (a *API) introspectRefresh(ctx context.Context, q *inquiry) (introspection, error) {
	tok, err := a.ParseAny(ctx, q.keys, q.client, q.token, q.now)
	if session.IsBadToken(err) {
		return introspection{}, nil
	}
	if err != nil {
		return introspection{}, err
	}
	f, err := a.Table.Family(ctx, tok.Family)
	if errors.Is(err, store.ErrNotFound) {
		return introspection{}, nil
	}
	if err != nil {
		return introspection{}, err
	}
	p := &q.client.Policy
	v := family.Decide(f, p, family.Attempt{Counter: tok.Counter, ClientID: q.client.ID, JKT: f.JKT, Now: q.now})
	if !v.Active() {
		return introspection{}, nil
	}
	answer := introspection{
		Active: true, Scope: strings.Join(q.client.Bound(f.Scope), " "), ClientID: f.ClientID, Subject: f.UserID,
		Issuer: a.Issuer, SessionID: f.ID.ULID().String(), IssuedAt: f.IssuedAt().Unix(),
	}
	if end := f.End(p); !end.IsZero() {
		answer.ExpiresAt = end.Unix()
	}
	answer.Confirmation = signing.Confirm(f.KeyThumbprint())
	answer.Expirations = session.ExpirationsOf(f, p, q.now)
	return answer, nil
}

// introspectAccess describes an access token of the client's own, or of any client if it may
// introspect those. The token is inactive once its family has ended.
func (a *API) introspectAccess(ctx context.Context, q *inquiry) (introspection, error) {
	access, err := a.VerifyAccess(ctx, q.keys, q.token, q.now, (*signing.Set).Verify)
	if errors.Is(err, keyring.ErrUnavailable) {
		return introspection{}, err
	}
	if err != nil || access.ClientID != q.client.ID && !q.client.MayIntrospect {
		return introspection{}, nil
	}
	owner := q.client
	if access.ClientID != q.client.ID {
		owner, err = a.Clients.Client(ctx, access.ClientID, q.now)
		if errors.Is(err, store.ErrNotFound) {
			return introspection{}, nil
		}
		if err != nil {
			return introspection{}, err
		}
	}
	if _, err := a.LivingFamily(ctx, q.keys, access, owner, q.now); errors.Is(err, store.ErrNotFound) {
		return introspection{}, nil
	} else if err != nil {
		return introspection{}, err
	}
	return introspection{
		Active: true, TokenType: access.Type(), Confirmation: signing.Confirm(access.JKT), Scope: access.Scope, ClientID: access.ClientID, Subject: access.Subject,
		Audience: access.Audience, Issuer: access.Issuer, SessionID: access.SessionID, ID: access.JTI,
		IssuedAt: access.IssuedAt.Unix(), ExpiresAt: access.ExpiresAt.Unix(),
	}, nil
}
