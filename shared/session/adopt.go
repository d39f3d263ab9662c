package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/foreign"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/token"
)

const (
	// claimFor is how long a claim is taken to be somebody's who is still asking the provider. That
	// takes 5 s at most, and the writes after it little.
	claimFor = 30 * time.Second
	// refusedFor is how long a refusal by the provider is remembered in the table.
	refusedFor = time.Hour
)

// Errors of an adoption that say nothing about the token.
var (
	errAdoptions = errors.New("the client adopts no more tokens in this second")
	errOutage    = errors.New("exchanges at the client's provider are being lost, and none is begun for some seconds")
	errAsking    = errors.New("the token's provider is being asked about it")
	errReleased  = errors.New("the token's provider was asked in vain, and the token can be presented again")
	errElsewhere = errors.New("the token was refused at the provider of another client, and can be presented again")
)

// UnadoptedError is the error of [Engine.ParseForeign] for a token that its provider was asked
// about, and that has no family.
type UnadoptedError struct{ Claim *store.Claim }

func (e *UnadoptedError) Error() string {
	if !e.Claim.Settled() {
		return errAsking.Error()
	}
	return "the token was not adopted: " + string(e.Claim.Cause)
}

// Unwrap returns ErrUnknownForeign.
func (e *UnadoptedError) Unwrap() error { return ErrUnknownForeign }

// openForeign returns the token that a refresh token of another provider stands for. If the token
// is unknown, and its client adopts such tokens, it is adopted.
func (e *Engine) openForeign(ctx context.Context, keys *keyring.Keys, u *Use) (token.Token, error) {
	tok, err := e.ParseForeign(ctx, keys, u.Client, u.Token, u.Now)
	if !errors.Is(err, ErrUnknownForeign) || !u.Client.Adopt.Fits(u.Token) {
		return tok, err
	}
	u.Origin = family.Adopted
	var unadopted *UnadoptedError
	if errors.As(err, &unadopted) && unadopted.Claim.Refuses(u.Client.ID, u.Now) {
		return token.Token{}, unadopted
	}
	if u.mustBind() && u.Proof.Key == nil { // its family would not begin, and the token would be spent
		return token.Token{}, e.refuseProof(ctx, *u)
	}
	a := &adoption{Engine: e, u: u, keys: keys, name: nameForeign(keys, HashForeign(u.Token))}
	known, err := a.adopt(ctx, unadopted)
	if err != nil {
		return token.Token{}, err
	}
	return a.answer(known)
}

// adoption is the adoption of one token.
type adoption struct {
	*Engine
	u    *Use
	keys *keyring.Keys
	name store.ForeignName
}

// answer returns the token of the family that there is, or the error for a claim.
func (a *adoption) answer(known store.Known) (token.Token, error) {
	switch {
	case known.Family != nil:
		return token.Token{Family: *known.Family}, nil
	case known.Claim == nil:
		return token.Token{}, errReleased
	case !known.Claim.Settled():
		return token.Token{}, errAsking
	case !known.Claim.Refuses(a.u.Client.ID, a.u.Now):
		return token.Token{}, errElsewhere
	}
	err := &UnadoptedError{known.Claim}
	a.strangers.add(a.name, a.u.Client.ID, err, a.u.Now)
	return token.Token{}, err
}

// adopt returns what is known of the token after everything that can be done about it. unadopted
// is what was known before, nil for nothing. Nobody waits for a lock: a claim in the table belongs
// to one caller, who asks the provider, and others wait a little for what comes of it.
func (a *adoption) adopt(ctx context.Context, unadopted *UnadoptedError) (store.Known, error) {
	var over *store.Claim
	if unadopted != nil {
		over = unadopted.Claim
		switch {
		case over.Settled(): // the refusal is forgotten, or was another client's
		case IsBeingAsked(over, a.u.Now):
			return a.wait(ctx)
		case !a.u.Client.Adopt.Repeatable || over.ClientID != a.u.Client.ID:
			return a.settle(ctx, over, family.AdoptionLost, "nobody_settled_it", time.Time{})
		}
	}
	if a.keys.Stale {
		return store.Known{}, fmt.Errorf("adopt a token: %w: this instance's copy is too old", keyring.ErrUnavailable)
	}
	if a.outages.now(a.u.Client.ID, a.u.Now) {
		return store.Known{}, errOutage
	}
	x, err := a.Providers.Prepare(ctx, a.u.Client.Adopt, a.u.Now)
	if err != nil {
		return store.Known{}, err
	}
	defer x.Close()
	if err := a.count(ctx); err != nil {
		return store.Known{}, err
	}
	claim := &store.Claim{ClientID: a.u.Client.ID, At: a.u.Now}
	_, _ = rand.Read(claim.ID[:]) // never fails, by its contract
	known, err := a.Table.Claim(ctx, a.name, claim, over)
	switch {
	case err != nil: // it may be written: nobody asks the provider, and the token must not be lost for it
		return store.Known{}, errors.Join(err, a.release(ctx, claim))
	case !known.Claim.IsMine(claim.ID) && known.Claim != nil && !known.Claim.Settled():
		return a.wait(ctx)
	case !known.Claim.IsMine(claim.ID):
		return known, nil
	}
	return a.ask(ctx, x, claim)
}

// refuseUnadopted logs why a token that its provider was asked about is rejected, and returns a
// [DeadTokenError].
func (e *Engine) refuseUnadopted(ctx context.Context, u Use, claim *store.Claim) error {
	u.Origin = family.Adopted
	event := e.useEvent(u.refused(), u, token.Token{}, nil)
	event.Cause, event.Reason = claim.Cause, claim.Reason
	e.Trail.Record(ctx, &event)
	return &DeadTokenError{claim.Cause}
}

// count counts the adoption among those of this second. Once they are too many, it asks the table
// no more in that second.
func (a *adoption) count(ctx context.Context) error {
	second := a.u.Now.Unix()
	if a.spent.is(a.u.Client.ID, second) {
		return errAdoptions
	}
	ok, err := a.Table.CountAdoption(ctx, a.u.Client.ID, a.u.Client.Adopt.PerSecond, a.u.Now)
	if err != nil {
		return err
	}
	if !ok {
		a.spent.set(a.u.Client.ID, second)
		return errAdoptions
	}
	return nil
}

// ask asks the provider, once, and writes down what comes of it. It goes on if the caller hangs
// up, since the token may be spent by then.
func (a *adoption) ask(ctx context.Context, x *foreign.Exchange, claim *store.Claim) (store.Known, error) {
	ctx, cancel := untilDeadline(ctx)
	defer cancel()
	said, err := x.Do(ctx, a.u.Token, a.u.Now)
	var failure *foreign.Failure // which every error of Do is
	if errors.As(err, &failure) {
		return a.failed(ctx, claim, failure)
	}
	a.outages.over(a.u.Client.ID)
	if said.AuthTime.Before(a.u.Client.Policy.NotBefore) && !said.AuthTime.IsZero() {
		return a.settle(ctx, claim, family.ClientNotBefore, "", a.u.Now.Add(refusedFor))
	}
	return a.begin(ctx, claim, said)
}

// failed writes down what is known of a token whose exchange failed.
func (a *adoption) failed(ctx context.Context, claim *store.Claim, failure *foreign.Failure) (store.Known, error) {
	switch failure.Kind {
	case foreign.Refused:
		a.outages.over(a.u.Client.ID)
		return a.settle(ctx, claim, family.AdoptionRefused, failure.Reason, a.u.Now.Add(refusedFor))
	case foreign.Unknown:
		a.outages.lost(a.u.Client.ID, a.u.Now)
		if !a.u.Client.Adopt.Repeatable {
			return a.settle(ctx, claim, family.AdoptionLost, failure.Reason, time.Time{})
		}
	case foreign.Unspent:
	}
	return store.Known{}, errors.Join(failure, a.release(ctx, claim))
}

// release gives up a claim, also if the caller has hung up: the token can be claimed again.
func (a *adoption) release(ctx context.Context, claim *store.Claim) error {
	ctx, cancel := untilDeadline(ctx)
	defer cancel()
	return persist(ctx, func() error { return a.Table.Release(ctx, a.name, claim) })
}

// begin starts the family of the user that the provider named, pending until the token is used
// here, which is next.
func (a *adoption) begin(ctx context.Context, claim *store.Claim, said *foreign.Said) (known store.Known, err error) {
	f := NewFamily(a.u.Client, said.UserID, a.u.Now)
	f.Origin, f.Counter = family.Origin{Kind: family.Adopted}, 0
	f.AuthTime = said.AuthTime
	if f.ID, err = family.NewID(a.keys.Users.Key(f.UserID), a.u.Now); err != nil {
		return store.Known{}, err
	}
	err = persist(ctx, func() error {
		known, err = a.Table.IssueClaimed(ctx, f, &a.u.Client.Policy, a.name, claim)
		return err
	})
	return known, err
}

// settle writes down that the token is dead, and why. What others have written before is returned
// in its place.
func (a *adoption) settle(ctx context.Context, claim *store.Claim, cause family.Cause, reason string, until time.Time) (known store.Known, err error) {
	settled := *claim
	settled.Cause, settled.Reason, settled.Until = cause, reason, until
	err = persist(ctx, func() error {
		known, err = a.Table.SettleClaim(ctx, a.name, &settled, a.u.Now)
		return err
	})
	return known, err
}

// wait looks again, a few times within a second, what has come of a claim of somebody else.
func (a *adoption) wait(ctx context.Context) (store.Known, error) {
	const looks = 4
	pause := 50 * time.Millisecond
	for range looks {
		if err := sleep(ctx, pause); err != nil {
			return store.Known{}, err
		}
		pause *= 2
		known, err := a.Table.Known(ctx, a.name)
		if err != nil || known.Claim == nil || known.Claim.Settled() {
			return known, err
		}
	}
	return store.Known{}, errAsking
}

// persist repeats a write that failed, since nobody else knows what it is about.
func persist(ctx context.Context, write func() error) (err error) {
	const tries = 3
	for try := range tries {
		if err = write(); err == nil || try == tries-1 {
			break
		}
		if sleep(ctx, 50*time.Millisecond<<try) != nil {
			break
		}
	}
	return err
}

// sleep waits, or returns the error of the context if it ends before.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// untilDeadline returns a context that ends at the deadline of ctx, if it has one, and not when
// the caller hangs up.
func untilDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	detached := context.WithoutCancel(ctx)
	if end, ok := ctx.Deadline(); ok {
		return context.WithDeadline(detached, end)
	}
	return context.WithCancel(detached)
}

// spentSeconds remembers in which second each client had begun all adoptions that it may. It is
// safe for concurrent use.
type spentSeconds struct {
	mu   sync.Mutex
	last map[string]int64
}

func (s *spentSeconds) is(clientID string, second int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last[clientID] == second
}

func (s *spentSeconds) set(clientID string, second int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = map[string]int64{}
	}
	s.last[clientID] = second
}
