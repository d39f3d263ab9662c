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

// DeadTokenError is an [ErrDeadToken] of which the cause is known. The OAuth endpoints answer
// every cause alike.
type DeadTokenError struct{ Cause family.Cause }

func (e *DeadTokenError) Error() string { return ErrDeadToken.Error() }

// Unwrap returns [ErrDeadToken].
func (e *DeadTokenError) Unwrap() error { return ErrDeadToken }

// Use is one use of a refresh token.
type Use struct {
	Client   *store.Client
	Token    string   // as it was presented: a refresh token, or an authorization code
	Scope    []string // the scope asked for; nil for all that was granted
	Resource []string // the resources asked for; nil for the whole audience
	From     Caller
	Now      time.Time

	// Cookie is set, and Token is "", if the refresh token is in a session's cookies.
	Cookie *Cookie

	// Origin is set if Token is no refresh token of ours. An authorization code comes with its code
	// verifier (RFC 7636 §4.5), and with the redirect URI, which is "" if there was none.
	Origin                family.OriginKind
	Verifier, RedirectURI string

	Proof Proof // what came of the request's DPoP header

	unrenewed string // why the device cookie is not good but the browser can be expected to renew it, "" if it cannot
}

// Refresh exchanges a refresh token for tokens, or returns one of the errors above. It
// normally makes one request to the store, and none if the token is not ours. A refresh token of
// another provider takes one read more, and is exchanged there before if it is to be adopted. It makes
// two to revoke a family for reuse, to forgive a lost response, to move a restored record
// ahead, and to record a use that does not rotate; and more if others change the record
// meanwhile.
func (e *Engine) Refresh(ctx context.Context, u Use) (*Tokens, error) {
	if err := e.checkProof(ctx, u); err != nil {
		return nil, err
	}
	keys, err := e.Keys.Keys(ctx, u.Now)
	if err != nil {
		return nil, err
	}
	var tok token.Token
	if u.Cookie != nil {
		var answer *Tokens
		var used bool
		if answer, used, u.unrenewed, err = e.refreshByDevice(ctx, keys, u); used || err != nil {
			return answer, err
		}
		tok, keys, err = e.parseCookie(ctx, keys, u.Cookie, u.Now)
	} else {
		tok, keys, err = e.parseToken(ctx, keys, u.Token, (*token.Codec).Parse, u.Now)
		if errors.Is(err, token.ErrMalformed) && u.Client.KnowsForeign(u.Token) {
			u.Origin = family.Imported
			tok, err = e.openForeign(ctx, keys, &u)
		}
	}
	if err != nil {
		return nil, e.refuseUnreadable(ctx, u, err)
	}
	f, err := e.exchange(ctx, u, tok)
	if err != nil {
		return nil, err
	}
	return e.tokens(keys, f, u.Client, grant{scope: u.Scope, resource: u.Resource, jkt: u.accessKey(f)}, u.Now)
}

// refuseUnreadable turns err, returned by parseToken or parseCookie, into the error of a refresh. If the
// token is to blame, it logs the refusal with its cause.
func (e *Engine) refuseUnreadable(ctx context.Context, u Use, err error) error {
	var revoked *token.RevokedError
	var unadopted *UnadoptedError
	var wrong *wrongSessionError
	switch {
	case errors.Is(err, errNoCookie) && u.unrenewed != "":
		return e.notRenewed(ctx, u, token.Token{}, nil)
	case errors.Is(err, errNoCookie) && u.Cookie.SessionID == "": // a page that asks whether there is a session: nothing ended
		return &DeadTokenError{family.NoCookie}
	case errors.Is(err, errNoCookie):
		return e.refuse(ctx, u, token.Token{}, nil, family.NoCookie)
	case errors.As(err, &wrong):
		return e.refuse(ctx, u, wrong.token, nil, family.WrongSession)
	case errors.As(err, &revoked):
		return e.refuse(ctx, u, revoked.Token, nil, family.KeyRevoked)
	case errors.As(err, &unadopted) && unadopted.Claim.Refuses(u.Client.ID, u.Now):
		return e.refuseUnadopted(ctx, u, unadopted.Claim)
	case errors.Is(err, token.ErrForged):
		return e.refuse(ctx, u, token.Token{}, nil, family.NeverIssued)
	case errors.Is(err, token.ErrMalformed):
		return e.refuse(ctx, u, token.Token{}, nil, family.Malformed)
	case errors.Is(err, ErrUnknownForeign):
		return e.refuse(ctx, u, token.Token{}, nil, family.NeverImported)
	default:
		return err
	}
}

// exchange rotates the token's family, or decides why it must not, and returns the family
// as it is then. Its newest token is the one to answer with.
func (e *Engine) exchange(ctx context.Context, u Use, tok token.Token) (*family.Family, error) {
	p := &u.Client.Policy
	if tok.Counter == math.MaxUint32 {
		return nil, e.refuse(ctx, u, tok, nil, family.CounterSpent)
	}
	if family.ID(tok.Family).IssuedAt().Before(p.NotBefore) {
		return nil, e.refuse(ctx, u, tok, nil, family.ClientNotBefore)
	}
	if len(u.Client.Bound(u.Scope)) < len(u.Scope) {
		return nil, ErrScopeWithdrawn
	}
	writeID := make([]byte, 8)
	_, _ = rand.Read(writeID) // never fails, by its contract
	write := store.Refresh{
		Family: tok.Family,
		Attempt: family.Attempt{
			Counter: tok.Counter, Origin: u.Origin, ClientID: u.Client.ID, Scope: u.Scope, Resource: u.Resource, Issuer: e.Issuer,
			WriteID: writeID, JKT: u.Proof.Key, Binds: tok.Counter == 0 && u.binds(), Unbinds: u.Client.Confidential, Now: u.Now,
		},
		Policy: p, LastIP: u.From.IP, LastUserAgent: u.From.UserAgent,
	}
	if u.Origin == family.Code {
		write.Attempt.Challenge, write.Attempt.Redirect = Challenge(u.Verifier), HashRedirect(u.RedirectURI)
	}
	f, done, err := e.firstTry(ctx, u, write)
	if err == nil && done {
		e.recordExchange(ctx, u, tok, f, family.Verdict{Kind: family.Current})
		return f, nil
	}
	// Other callers may change the record meanwhile. Each change calls for a new decision.
	const attempts = 4
	for attempt := range attempts {
		if err != nil {
			return nil, err
		}
		begins := f != nil && f.Pending() // if the use succeeds
		write.Attempt.Binds = begins && u.binds()
		v := family.Decide(f, p, write.Attempt)
		if begins && v.Active() && u.mustBind() && u.Proof.Key == nil {
			return nil, e.refuseProof(ctx, u)
		}
		switch v.Kind {
		case family.Ours:
			e.recordExchange(ctx, u, tok, f, v)
			return f, nil
		case family.Observed:
			return f, e.observe(ctx, u, tok, f, v)
		case family.Held, family.Newest, family.Proven:
			seen := f
			f, done, err = e.recordUse(ctx, u, tok, f, v, write)
			if err == nil && done {
				e.recordExchange(ctx, u, tok, seen, v)
				return seen, nil
			}
		case family.ScopeNotGranted:
			return nil, ErrScopeNotGranted
		case family.TargetNotGranted:
			return nil, ErrTarget
		case family.Refused, family.Dead:
			return nil, e.refuse(ctx, u, tok, f, v.Cause)
		case family.Unproven:
			return nil, e.refuseUnproven(ctx, u, tok, f, v.Cause)
		case family.Reuse:
			return nil, e.revokeReused(ctx, u, tok, f, v)
		case family.Lost:
			f, done, err = e.Table.ForgiveLost(ctx, f, f.AfterLost(tok.Counter, u.Now), write)
			if err == nil && done {
				e.recordExchange(ctx, u, tok, f, v)
				return f, nil
			}
		case family.Ahead:
			f, done, err = e.catchUp(ctx, u, tok, f, write)
			if err == nil && done {
				return f, nil
			}
		case family.Unclear, family.Current:
			if v.Kind == family.Current && attempt > 0 {
				// Another caller has moved the record ahead to this very token meanwhile, and
				// it is not held.
				f, done, err = e.Table.Refresh(ctx, write)
				if err == nil && done {
					e.recordExchange(ctx, u, tok, f, v)
					return f, nil
				}
				continue
			}
			// The condition failed and the record does not say why. The answer is 503, and
			// not a guess.
			return nil, fmt.Errorf("refresh family %s: its record explains no refusal", f.ID)
		}
	}
	return nil, fmt.Errorf("refresh family %s: its record kept changing", f.ID)
}

// firstTry makes the write of a refresh. If it would begin a family without the key that its client demands, it
// only reads the record: a family that began before the policy demanded one may have begun with this very token.
func (e *Engine) firstTry(ctx context.Context, u Use, write store.Refresh) (f *family.Family, done bool, err error) {
	if write.Attempt.Counter > 0 || !u.mustBind() || u.Proof.Key != nil {
		return e.Table.Refresh(ctx, write)
	}
	f, err = e.Table.Family(ctx, write.Family)
	if errors.Is(err, store.ErrNotFound) {
		return nil, false, nil
	}
	return f, false, err
}

// exchanged returns the type of the event of a use that succeeded.
func (u *Use) exchanged() audit.Type {
	switch u.Origin {
	case family.Code:
		return audit.CodeExchanged
	case family.Assertion:
		return audit.AssertionExchanged
	default:
		return audit.Exchanged
	}
}

// refused returns the type of the event of a use that was refused.
func (u *Use) refused() audit.Type {
	switch u.Origin {
	case family.Code:
		return audit.CodeRefused
	case family.Assertion:
		return audit.AssertionRefused
	default:
		return audit.Refused
	}
}

// recordExchange logs a successful exchange; v says of which kind.
func (e *Engine) recordExchange(ctx context.Context, u Use, tok token.Token, f *family.Family, v family.Verdict) {
	event := e.useEvent(u.exchanged(), u, tok, f)
	switch v.Kind {
	case family.Held:
		event.Held = true
		markReuse(&event, u, f, v)
	case family.Newest:
		event.Reused = true
		markReuse(&event, u, f, v)
	case family.Proven:
		event.Late = true
		markReuse(&event, u, f, v)
	case family.Lost:
		event.LostResponse = true
		event.Age = v.Age
	}
	e.Trail.Record(ctx, &event)
}

// recordUse writes down a use that rotates nothing, if that is necessary. A [family.Proven] use is stored as an event,
// unless one was stored lately: if the key was copied, that event is what tells. If done is false, recordUse returns
// the present record.
func (e *Engine) recordUse(ctx context.Context, u Use, tok token.Token, f *family.Family, v family.Verdict, write store.Refresh) (now *family.Family, done bool, err error) {
	switch {
	case v.Kind == family.Proven && f.MustStoreLate(u.Now): // below
	case !f.MustRecord(v, &u.Client.Policy, u.Now):
		return f, true, nil
	default:
		return e.Table.RecordUse(ctx, f, v.Kind == family.Held, write)
	}
	event := e.useEvent(audit.LateUse, u, tok, f)
	markReuse(&event, u, f, v)
	f, done, err = e.Table.RecordLate(ctx, f, write, &event)
	if err == nil && done {
		e.Trail.Record(ctx, &event)
	}
	return f, done, err
}

// refuse logs why a token is rejected, and returns a [DeadTokenError]. f is nil if the family
// is unknown.
func (e *Engine) refuse(ctx context.Context, u Use, tok token.Token, f *family.Family, cause family.Cause) error {
	event := e.useEvent(u.refused(), u, tok, f)
	event.Cause = cause
	e.Trail.Record(ctx, &event)
	return &DeadTokenError{cause}
}

// revokeReused revokes a family because one of its tokens was reused, and returns
// a [DeadTokenError]. Of many concurrent callers, one revokes and records the event.
func (e *Engine) revokeReused(ctx context.Context, u Use, tok token.Token, f *family.Family, v family.Verdict) error {
	event := e.useEvent(audit.Reuse, u, tok, f)
	event.Cause = family.ReuseDetected
	markReuse(&event, u, f, v)
	done, err := e.Table.Revoke(ctx, f, &u.Client.Policy, &event)
	if err != nil {
		return err
	}
	if done {
		e.Trail.Record(ctx, &event)
	}
	return &DeadTokenError{family.ReuseDetected}
}

// observe records a reuse that the policy only observes, once for each family, and lets
// the exchange succeed.
func (e *Engine) observe(ctx context.Context, u Use, tok token.Token, f *family.Family, v family.Verdict) error {
	if f.ObservedAt.IsZero() {
		event := e.useEvent(audit.Reuse, u, tok, f)
		event.Observed = true
		markReuse(&event, u, f, v)
		done, err := e.Table.Observe(ctx, f, &event)
		if err != nil {
			return err
		}
		if done {
			e.Trail.Record(ctx, &event)
		}
	}
	v.Kind = family.Newest
	e.recordExchange(ctx, u, tok, f, v)
	return nil
}

// catchUp moves a record that was restored from a backup ahead to the token, which is
// newer, and records the event.
func (e *Engine) catchUp(ctx context.Context, u Use, tok token.Token, f *family.Family, write store.Refresh) (*family.Family, bool, error) {
	event := e.useEvent(audit.Ahead, u, tok, f)
	next := f.AfterRestore(tok.Counter, &u.Client.Policy, u.Now)
	next.JKT = f.KeyAfterRestore(write.Attempt)
	f, done, err := e.Table.CatchUp(ctx, f, next, write, &event)
	if err == nil && done {
		e.Trail.Record(ctx, &event)
	}
	return f, done, err
}

// useEvent returns an event about this use of a token. f is nil if the family is unknown.
func (e *Engine) useEvent(t audit.Type, u Use, tok token.Token, f *family.Family) audit.Event {
	event := u.From.Event(t, u.Now)
	event.ClientID = u.Client.ID
	event.Family = tok.Family
	event.OriginToken = u.Origin
	event.TokenCounter = tok.Counter
	if f != nil && u.Origin != "" {
		event.OriginToken = f.Origin.Kind // a foreign token was imported or adopted
	}
	if f != nil {
		event.UserID = f.UserID
		event.LatestCounter = f.Counter
	}
	return event
}

// markReuse adds what helps to tell a second tab from a second holder of the token: how
// long ago it was superseded, and whether the rotation came from another address or user
// agent. A value that a forwarding backend left out does not count as different.
func markReuse(event *audit.Event, u Use, f *family.Family, v family.Verdict) {
	event.Age = v.Age
	event.OtherIP = f.LastIP != "" && u.From.IP != f.LastIP && (u.From.IP != "" || u.From.ForwardedBy == "")
	event.OtherAgent = f.LastUserAgent != "" && u.From.UserAgent != f.LastUserAgent && (u.From.UserAgent != "" || u.From.ForwardedBy == "")
}
