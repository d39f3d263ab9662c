package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/token"
)

// errDeadToken is the fate of a token that is not honoured; why is in the log.
var errDeadToken = errors.New("the refresh token is dead")

// use is one use of a refresh token.
type use struct {
	client    *store.Client
	presented string
	scope     []string
	resource  []string
	from      caller
	now       time.Time
}

// refresh exchanges a refresh token: it returns the family, whose newest token is
// the successor, or errDeadToken. It costs no request to the store where the
// token is not ours, one as a rule, and two where reuse is detected, a lost
// response forgiven, a restored record moved ahead, or a use that rotates nothing
// is to be recorded.
func (a *API) refresh(ctx context.Context, u use) (*family.Family, error) {
	keys, err := a.Keys.Keys(ctx, u.now)
	if err != nil {
		return nil, err
	}
	p := &u.client.Policy
	tok, err := a.parseToken(ctx, keys, u.presented, u.now)
	if errors.Is(err, keyring.ErrUnavailable) {
		return nil, err
	}
	var revoked *token.RevokedError
	switch {
	case errors.As(err, &revoked):
		return nil, a.refuse(ctx, u, revoked.Token, nil, family.KeyRevoked)
	case errors.Is(err, token.ErrForged):
		return nil, a.refuse(ctx, u, token.Token{}, nil, family.NeverIssued)
	case err != nil:
		return nil, a.refuse(ctx, u, token.Token{}, nil, family.Malformed)
	}
	if tok.Counter == math.MaxUint32 {
		return nil, a.refuse(ctx, u, tok, nil, family.CounterSpent)
	}
	if family.ID(tok.Family).IssuedAt().Before(p.NotBefore) {
		return nil, a.refuse(ctx, u, tok, nil, family.ClientNotBefore)
	}
	if len(u.client.Bound(u.scope)) < len(u.scope) {
		return nil, invalidScope("The client may not be granted this scope.")
	}
	writeID := make([]byte, 8)
	_, _ = rand.Read(writeID) // never fails, by its contract
	write := store.Refresh{
		Family: tok.Family,
		Attempt: family.Attempt{
			Counter: tok.Counter, ClientID: u.client.ID, Scope: u.scope, Resource: u.resource, Issuer: a.Issuer,
			WriteID: writeID, Now: u.now,
		},
		Policy: p, LastIP: u.from.ip, LastUserAgent: u.from.userAgent,
	}
	f, done, err := a.Table.Refresh(ctx, write)
	if err == nil && done {
		return f, a.exchanged(ctx, u, tok, f, family.Verdict{Kind: family.Current})
	}
	// The record moves on under other callers' writes: look again each time.
	const looks = 4
	for range looks {
		if err != nil {
			return nil, err
		}
		v := family.Decide(f, p, write.Attempt)
		switch v.Kind {
		case family.Ours:
			return f, a.exchanged(ctx, u, tok, f, v)
		case family.Observed:
			return f, a.observe(ctx, u, tok, f, v)
		case family.Held, family.Newest:
			seen := f
			done = !f.MustRecord(v, p, u.now)
			if !done {
				f, done, err = a.Table.RecordUse(ctx, f, v.Kind == family.Held, write)
			}
			if err == nil && done {
				return seen, a.exchanged(ctx, u, tok, seen, v)
			}
		case family.ScopeNotGranted:
			return nil, invalidScope("The scope was not granted to this refresh token.")
		case family.TargetNotGranted:
			return nil, errTarget
		case family.Refused, family.Dead:
			return nil, a.refuse(ctx, u, tok, f, v.Cause)
		case family.Reuse:
			return nil, a.revokeReused(ctx, u, tok, f, v)
		case family.Lost:
			f, done, err = a.Table.ForgiveLost(ctx, f, f.AfterLost(tok.Counter, u.now), write)
			if err == nil && done {
				return f, a.exchanged(ctx, u, tok, f, v)
			}
		case family.Ahead:
			f, done, err = a.catchUp(ctx, u, tok, f, write)
			if err == nil && done {
				return f, nil
			}
		case family.Unclear, family.Current:
			// The condition failed and the record does not say why, or it moved on twice
			// while this request was under way: never guess.
			return nil, fmt.Errorf("refresh family %s: its record explains no refusal", f.ID)
		}
	}
	return nil, fmt.Errorf("refresh family %s: its record kept changing", f.ID)
}

// exchanged logs a success; v says which kind.
func (a *API) exchanged(ctx context.Context, u use, tok token.Token, f *family.Family, v family.Verdict) error {
	e := a.useEvent(audit.Exchanged, u, tok, f)
	switch v.Kind {
	case family.Held:
		e.Held = true
		markReuse(&e, u, f, v)
	case family.Newest:
		e.Reused = true
		markReuse(&e, u, f, v)
	case family.Lost:
		e.LostResponse = true
		e.Age = v.Age
	}
	a.trail.Record(ctx, &e)
	return nil
}

// refuse logs a refusal. f is the family where it is known.
func (a *API) refuse(ctx context.Context, u use, tok token.Token, f *family.Family, cause family.Cause) error {
	e := a.useEvent(audit.Refused, u, tok, f)
	e.Cause = cause
	a.trail.Record(ctx, &e)
	return errDeadToken
}

// revokeReused ends a family one of whose tokens is in other hands. Of many
// callers at once one revokes and records it.
func (a *API) revokeReused(ctx context.Context, u use, tok token.Token, f *family.Family, v family.Verdict) error {
	e := a.useEvent(audit.Reuse, u, tok, f)
	e.Cause = family.ReuseDetected
	markReuse(&e, u, f, v)
	done, err := a.Table.Revoke(ctx, f, &u.client.Policy, &e)
	if err != nil {
		return err
	}
	if done {
		a.trail.Record(ctx, &e)
	}
	return errDeadToken
}

// observe records, once for each family, a reuse that would have ended it.
func (a *API) observe(ctx context.Context, u use, tok token.Token, f *family.Family, v family.Verdict) error {
	if f.ObservedAt.IsZero() {
		e := a.useEvent(audit.Reuse, u, tok, f)
		e.Observed = true
		markReuse(&e, u, f, v)
		done, err := a.Table.Observe(ctx, f, &e)
		if err != nil {
			return err
		}
		if done {
			a.trail.Record(ctx, &e)
		}
	}
	v.Kind = family.Newest
	return a.exchanged(ctx, u, tok, f, v)
}

// catchUp follows a token that is newer than its record.
func (a *API) catchUp(ctx context.Context, u use, tok token.Token, f *family.Family, write store.Refresh) (*family.Family, bool, error) {
	e := a.useEvent(audit.Ahead, u, tok, f)
	f, done, err := a.Table.CatchUp(ctx, f, f.AfterRestore(tok.Counter, &u.client.Policy, u.now), write, &e)
	if err == nil && done {
		a.trail.Record(ctx, &e)
	}
	return f, done, err
}

// useEvent is an event of this use of a token; f is nil where it is not known.
func (a *API) useEvent(t audit.Type, u use, tok token.Token, f *family.Family) audit.Event {
	e := u.from.event(t, u.now)
	e.ClientID = u.client.ID
	e.Family = tok.Family
	e.TokenCounter = tok.Counter
	if f != nil {
		e.UserID = f.UserID
		e.LatestCounter = f.Counter
	}
	return e
}

// markReuse adds what tells a second tab from a second holder: how old the token
// was, and whether the rotation came from elsewhere. What a backend did not tell of
// its user is no evidence.
func markReuse(e *audit.Event, u use, f *family.Family, v family.Verdict) {
	e.Age = v.Age
	e.OtherIP = f.LastIP != "" && u.from.ip != f.LastIP && (u.from.ip != "" || u.from.forwardedBy == "")
	e.OtherAgent = f.LastUserAgent != "" && u.from.userAgent != f.LastUserAgent && (u.from.userAgent != "" || u.from.forwardedBy == "")
}
