package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/token"
)

// ExchangeAssertion starts a family of the user that an assertion of a trusted issuer names,
// and returns its first tokens, or one of the errors of a refresh. An assertion is its family's
// token number 0 and starts only one: a second use is decided as [family.Decide] says.
func (e *Engine) ExchangeAssertion(ctx context.Context, u Use) (*Tokens, error) {
	u.Origin = family.Assertion
	if err := e.checkProof(ctx, u); err != nil {
		return nil, err
	}
	if u.mustBind() && u.Proof.Key == nil {
		return nil, e.refuseProof(ctx, u)
	}
	said, err := e.Assertions.Verify(ctx, u.Token, u.Client.TrustedIssuers, u.Now)
	var bad *assertion.RefusedError
	if errors.As(err, &bad) {
		return nil, e.refuseAssertion(ctx, u, bad)
	}
	if err != nil {
		return nil, err
	}
	if said.MadeAt.Before(u.Client.Policy.NotBefore) { // the login was before it, though the family would not be
		return nil, e.refuse(ctx, u, token.Token{}, nil, family.ClientNotBefore)
	}
	f := u.familyOf(said)
	if !f.IsFor(u.Resource, e.Issuer) {
		return nil, ErrTarget
	}
	// The client itself asks for the scope, so that only its registration can bound it.
	if slices.ContainsFunc(u.Scope, func(s string) bool { return !slices.Contains(u.Client.Scope, s) }) {
		return nil, ErrScopeWithdrawn
	}
	keys, err := e.freshKeys(ctx, u.Now)
	if err != nil {
		return nil, err
	}
	alias := store.Alias{Name: nameOf(keys, said, u.Client.ID), Until: said.UsableUntil}
	first, err := e.startAs(ctx, keys.Users.Key(said.UserID), &u.Client.Policy, &alias, func() (*family.Family, error) { return f, nil }, u.Now)
	if err != nil {
		return nil, err
	}
	if first.existing == nil || first.existing.Family == f.ID { // or only the write's answer was lost
		e.recordExchange(ctx, u, token.Token{Family: f.ID}, f, family.Verdict{Kind: family.Current})
	} else if f, err = e.useAgain(ctx, u, first.existing.Family); err != nil {
		return nil, err
	}
	return e.tokens(keys, f, u.Client, grant{scope: u.Scope, resource: u.Resource, jkt: u.accessKey(f)}, u.Now)
}

// nameOf returns the name of the alias that leads from an assertion to its family.
func nameOf(keys *keyring.Keys, said *assertion.Assertion, clientID string) [16]byte {
	return macFor(keys, "assertion", said.UserID, clientID, string(said.Digest[:]))
}

// StartedBy returns the family that an assertion started for the client. It returns
// [store.ErrNotFound] if it started none, or so long ago that this is forgotten.
func (e *Engine) StartedBy(ctx context.Context, keys *keyring.Keys, said *assertion.Assertion, clientID string, now time.Time) (family.ID, error) {
	alias, err := e.Table.Alias(ctx, keys.Users.Key(said.UserID), nameOf(keys, said, clientID), now)
	if err != nil {
		return family.ID{}, err
	}
	return alias.Family, nil
}

// familyOf returns the family that the assertion starts, without an id.
func (u *Use) familyOf(said *assertion.Assertion) *family.Family {
	f := NewFamily(u.Client, said.UserID, u.Now)
	if u.Scope != nil {
		f.Scope = u.Scope
	}
	f.Origin = family.Origin{Kind: family.Assertion}
	if u.binds() {
		f.JKT = u.Proof.Key
	}
	f.RotatedAt = u.Now // from number 0
	f.LastIP, f.LastUserAgent = u.From.IP, u.From.UserAgent
	f.AuthTime = said.AuthTime
	if len(said.ACR) <= MaxACR {
		f.ACR = said.ACR
	}
	if IsAMR(said.AMR) {
		f.AMR = said.AMR
	}
	return f
}

// IsAMR reports whether a family's record can keep these authentication methods (RFC 8176).
func IsAMR(values []string) bool {
	joined := strings.Join(values, " ")
	return len(joined) <= MaxAMR && joined == Describe(joined) &&
		!slices.ContainsFunc(values, func(v string) bool { return v == "" || strings.Contains(v, " ") })
}

// useAgain returns the family that an assertion has started before, if the assertion may still
// be answered with its token.
func (e *Engine) useAgain(ctx context.Context, u Use, id family.ID) (*family.Family, error) {
	tok := token.Token{Family: id}
	f, err := e.Table.Family(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, e.refuse(ctx, u, tok, nil, family.Purged)
	}
	if err != nil {
		return nil, err
	}
	v := family.Decide(f, &u.Client.Policy, family.Attempt{ClientID: u.Client.ID, Scope: u.Scope, Resource: u.Resource, Issuer: e.Issuer, JKT: u.Proof.Key, Now: u.Now})
	switch v.Kind {
	case family.Newest:
		e.recordExchange(ctx, u, tok, f, v)
		return f, nil
	case family.ScopeNotGranted:
		return nil, ErrScopeNotGranted
	case family.TargetNotGranted:
		return nil, ErrTarget
	case family.Refused, family.Dead:
		return nil, e.refuse(ctx, u, tok, f, v.Cause)
	case family.Unproven:
		return nil, e.refuseUnproven(ctx, u, tok, f, v.Cause)
	default:
		return nil, fmt.Errorf("use the assertion of family %s again: its record explains no refusal", id)
	}
}

// refuseAssertion logs why an assertion is refused, and returns [ErrDeadToken].
func (e *Engine) refuseAssertion(ctx context.Context, u Use, bad *assertion.RefusedError) error {
	event := e.useEvent(u.refused(), u, token.Token{}, nil)
	event.Cause, event.Reason, event.Issuer = audit.InvalidAssertion, string(bad.Reason), bad.Issuer
	e.Trail.Record(ctx, &event)
	return ErrDeadToken
}

// NewFamily returns a family of the user with what the client is granted by default, and
// without an id. Its first token is number 1.
func NewFamily(client *store.Client, userID string, now time.Time) *family.Family {
	f := &family.Family{UserID: userID, ClientID: client.ID, Counter: 1, LastUsedAt: now, Scope: client.Scope, Audience: client.Audience}
	if lifetime := client.Policy.AbsoluteLifetime; lifetime != 0 {
		f.ExpiresAt = now.Add(lifetime.Duration())
	}
	return f
}
