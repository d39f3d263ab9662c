package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
)

func (a *API) revokeEndpoint() []endpoint {
	return []endpoint{{
		path: "/oauth/revoke", browser: true,
		methods: map[string]handler{http.MethodPost: a.revoke},
	}}
}

// revoke is the revocation endpoint (RFC 7009). Any token of a family ends the
// family: a superseded refresh token, and an access token, expired or not.
// token_type_hint changes nothing: our tokens tell what they are (§2.1).
func (a *API) revoke(w http.ResponseWriter, r *http.Request) error {
	now := a.now()
	p, err := readParams(r)
	if err != nil {
		return err
	}
	client, err := a.authenticate(r.Context(), r, p, now)
	if err != nil {
		return err
	}
	from, err := endUser(r, client)
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
	id, counter, ok, err := a.familyOf(r.Context(), keys, presented, now)
	if err != nil {
		return err
	}
	if ok {
		if err := a.revokeFamily(r.Context(), client, id, counter, from, now); err != nil {
			return err
		}
	}
	// Unknown and dead tokens are as revoked as can be (§2.2). Some clients insist
	// on a JSON body.
	noStore(w)
	writeJSON(w, http.StatusOK, struct{}{})
	return nil
}

// familyOf is the family of a refresh or access token that we issued; counter is
// 0 for an access token. A token under a revoked key is not ok: whoever has the key
// could make it, and end the families of others.
func (a *API) familyOf(ctx context.Context, keys *keyring.Keys, presented string, now time.Time) (id family.ID, counter uint32, ok bool, err error) {
	tok, err := a.parseToken(ctx, keys, presented, now)
	if err == nil {
		return tok.Family, tok.Counter, true, nil
	}
	if errors.Is(err, keyring.ErrUnavailable) {
		return family.ID{}, 0, false, err
	}
	access, err := a.verifyAccess(ctx, keys, presented, now, (*signing.Set).VerifyExpired)
	if errors.Is(err, keyring.ErrUnavailable) {
		return family.ID{}, 0, false, err
	}
	if err != nil {
		return family.ID{}, 0, false, nil
	}
	sid, err := ulid.ParseStrict(access.SessionID)
	if err != nil {
		return family.ID{}, 0, false, nil
	}
	return family.JoinID(keys.Codec.UserKey(access.Subject), sid), 0, true, nil
}

func (a *API) revokeFamily(ctx context.Context, client *store.Client, id family.ID, counter uint32, from caller, now time.Time) error {
	f, err := a.Table.Family(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if f.ClientID != client.ID {
		return &oauthError{status: http.StatusBadRequest, code: "invalid_grant", description: "The token was issued to another client."}
	}
	if f.Death(&client.Policy, now) != "" {
		return nil
	}
	_, err = a.revokeLiving(ctx, f, &client.Policy, family.RevokedByClient, counter, from, now)
	return err
}

// revokeLiving ends one living family and records it; not done where another was
// first. counter is of the token that asked for it, or 0.
func (a *API) revokeLiving(ctx context.Context, f *family.Family, p *family.Policy, cause family.Cause, counter uint32, from caller, now time.Time) (done bool, err error) {
	e := from.event(audit.Revoked, now)
	e.UserID, e.ClientID, e.Family = f.UserID, f.ClientID, f.ID
	e.Cause, e.TokenCounter, e.LatestCounter = cause, counter, f.Counter
	done, err = a.Table.Revoke(ctx, f, p, &e)
	if err == nil && done {
		a.trail.Record(ctx, &e)
	}
	return done, err
}
