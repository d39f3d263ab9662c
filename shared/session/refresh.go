package session

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

// Errors of a refresh.
var (
	ErrDeadToken       = errors.New("the refresh token is rejected") // the audit log records the cause
	ErrScopeWithdrawn  = errors.New("the client may not be granted this scope")
	ErrScopeNotGranted = errors.New("the scope was not granted to this refresh token")
	ErrTarget          = errors.New("a requested resource is not among the audiences of this refresh token")
)

// Use is one use of a refresh token.
type Use struct {
	Client   *store.Client
	Token    string   // as it was presented
	Scope    []string // that is asked for, nil for all that was granted
	Resource []string // the same
	From     Caller
	Now      time.Time
}

// Refresh exchanges a refresh token for tokens, or returns one of the errors above. It
// costs no request to the store where the token is not ours, one as a rule, and two
// where reuse is detected, a lost response forgiven, a restored record moved ahead, or
// a use that rotates nothing is to be recorded.
func (en *Engine) Refresh(ctx context.Context, u Use) (*Tokens, error) {
	keys, err := en.Keys.Keys(ctx, u.Now)
	if err != nil {
		return nil, err
	}
	tok, keys, err := en.parseToken(ctx, keys, u.Token, u.Now)
	if err != nil {
		return nil, en.unread(ctx, u, err)
	}
	f, err := en.exchange(ctx, u, tok)
	if err != nil {
		return nil, err
	}
	return en.tokens(keys, f, u.Client, u.Scope, u.Resource, u.Now)
}

// unread returns the error of a refresh whose token could not be read for err, and logs
// what the token is to blame for.
func (en *Engine) unread(ctx context.Context, u Use, err error) error {
	var revoked *token.RevokedError
	switch {
	case errors.Is(err, keyring.ErrUnavailable):
		return err
	case errors.As(err, &revoked):
		return en.refuse(ctx, u, revoked.Token, nil, family.KeyRevoked)
	case errors.Is(err, token.ErrForged):
		return en.refuse(ctx, u, token.Token{}, nil, family.NeverIssued)
	}
	return en.refuse(ctx, u, token.Token{}, nil, family.Malformed)
}

// exchange returns the family of the token, whose newest token is the successor.
func (en *Engine) exchange(ctx context.Context, u Use, tok token.Token) (*family.Family, error) {
	p := &u.Client.Policy
	if tok.Counter == math.MaxUint32 {
		return nil, en.refuse(ctx, u, tok, nil, family.CounterSpent)
	}
	if family.ID(tok.Family).IssuedAt().Before(p.NotBefore) {
		return nil, en.refuse(ctx, u, tok, nil, family.ClientNotBefore)
	}
	if len(u.Client.Bound(u.Scope)) < len(u.Scope) {
		return nil, ErrScopeWithdrawn
	}
	writeID := make([]byte, 8)
	_, _ = rand.Read(writeID) // never fails, by its contract
	write := store.Refresh{
		Family: tok.Family,
		Attempt: family.Attempt{
			Counter: tok.Counter, ClientID: u.Client.ID, Scope: u.Scope, Resource: u.Resource, Issuer: en.Issuer,
			WriteID: writeID, Now: u.Now,
		},
		Policy: p, LastIP: u.From.IP, LastUserAgent: u.From.UserAgent,
	}
	f, done, err := en.Table.Refresh(ctx, write)
	if err == nil && done {
		return f, en.exchanged(ctx, u, tok, f, family.Verdict{Kind: family.Current})
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
			return f, en.exchanged(ctx, u, tok, f, v)
		case family.Observed:
			return f, en.observe(ctx, u, tok, f, v)
		case family.Held, family.Newest:
			seen := f
			done = !f.MustRecord(v, p, u.Now)
			if !done {
				f, done, err = en.Table.RecordUse(ctx, f, v.Kind == family.Held, write)
			}
			if err == nil && done {
				return seen, en.exchanged(ctx, u, tok, seen, v)
			}
		case family.ScopeNotGranted:
			return nil, ErrScopeNotGranted
		case family.TargetNotGranted:
			return nil, ErrTarget
		case family.Refused, family.Dead:
			return nil, en.refuse(ctx, u, tok, f, v.Cause)
		case family.Reuse:
			return nil, en.revokeReused(ctx, u, tok, f, v)
		case family.Lost:
			f, done, err = en.Table.ForgiveLost(ctx, f, f.AfterLost(tok.Counter, u.Now), write)
			if err == nil && done {
				return f, en.exchanged(ctx, u, tok, f, v)
			}
		case family.Ahead:
			f, done, err = en.catchUp(ctx, u, tok, f, write)
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
func (en *Engine) exchanged(ctx context.Context, u Use, tok token.Token, f *family.Family, v family.Verdict) error {
	e := en.useEvent(audit.Exchanged, u, tok, f)
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
	en.Trail.Record(ctx, &e)
	return nil
}

// refuse logs a refusal. f is the family where it is known.
func (en *Engine) refuse(ctx context.Context, u Use, tok token.Token, f *family.Family, cause family.Cause) error {
	e := en.useEvent(audit.Refused, u, tok, f)
	e.Cause = cause
	en.Trail.Record(ctx, &e)
	return ErrDeadToken
}

// revokeReused ends a family one of whose tokens is in other hands. Of many
// callers at once one revokes and records it.
func (en *Engine) revokeReused(ctx context.Context, u Use, tok token.Token, f *family.Family, v family.Verdict) error {
	e := en.useEvent(audit.Reuse, u, tok, f)
	e.Cause = family.ReuseDetected
	markReuse(&e, u, f, v)
	done, err := en.Table.Revoke(ctx, f, &u.Client.Policy, &e)
	if err != nil {
		return err
	}
	if done {
		en.Trail.Record(ctx, &e)
	}
	return ErrDeadToken
}

// observe records, once for each family, a reuse that would have ended it.
func (en *Engine) observe(ctx context.Context, u Use, tok token.Token, f *family.Family, v family.Verdict) error {
	if f.ObservedAt.IsZero() {
		e := en.useEvent(audit.Reuse, u, tok, f)
		e.Observed = true
		markReuse(&e, u, f, v)
		done, err := en.Table.Observe(ctx, f, &e)
		if err != nil {
			return err
		}
		if done {
			en.Trail.Record(ctx, &e)
		}
	}
	v.Kind = family.Newest
	return en.exchanged(ctx, u, tok, f, v)
}

// catchUp follows a token that is newer than its record.
func (en *Engine) catchUp(ctx context.Context, u Use, tok token.Token, f *family.Family, write store.Refresh) (*family.Family, bool, error) {
	e := en.useEvent(audit.Ahead, u, tok, f)
	f, done, err := en.Table.CatchUp(ctx, f, f.AfterRestore(tok.Counter, &u.Client.Policy, u.Now), write, &e)
	if err == nil && done {
		en.Trail.Record(ctx, &e)
	}
	return f, done, err
}

// useEvent is an event of this use of a token; f is nil where it is not known.
func (en *Engine) useEvent(t audit.Type, u Use, tok token.Token, f *family.Family) audit.Event {
	e := u.From.Event(t, u.Now)
	e.ClientID = u.Client.ID
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
func markReuse(e *audit.Event, u Use, f *family.Family, v family.Verdict) {
	e.Age = v.Age
	e.OtherIP = f.LastIP != "" && u.From.IP != f.LastIP && (u.From.IP != "" || u.From.ForwardedBy == "")
	e.OtherAgent = f.LastUserAgent != "" && u.From.UserAgent != f.LastUserAgent && (u.From.UserAgent != "" || u.From.ForwardedBy == "")
}
