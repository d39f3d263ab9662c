package tokensource

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"golang.org/x/oauth2"
)

// refresh takes one step after another until there is an access token other than
// rejected, a final error, or no time left. A step begins with the record in the
// store, which alone determines what to do next: any process can take the next step,
// no matter which took the last.
func (s *Source) refresh(ctx context.Context, rejected string) (*held, error) {
	s.refreshing.Lock()
	defer s.refreshing.Unlock()
	began := s.clock.now()
	s.began.Store(&began)
	defer s.began.Store(nil)
	var reason error
	owed := false
	for n := 0; ; n++ {
		h, err := s.step(ctx, rejected, n)
		if err == nil {
			return h, nil
		}
		var again *retry
		more := errors.As(err, &again)
		if more {
			owed = owed || again.owed
			if reason == nil || !errors.Is(again.reason, errBusy) {
				reason = again.reason
			}
			more = s.clock.now().steady+again.after <= began.steady+patience
		} else {
			reason = err
		}
		if h := s.latest.Load(); (!owed || !more) && s.usable(h, rejected) && !s.dead(h) {
			return h, nil
		}
		if !more {
			return nil, reason
		}
		if err := s.clock.sleep(ctx, again.after); err != nil {
			return nil, err
		}
	}
}

// retry asks for another step.
type retry struct {
	after  time.Duration
	reason error
	// owed is set if the session depends on that step, because the token is in doubt
	// or the new one is not saved. The next call may come too late.
	owed bool
}

func (r *retry) Error() string { return r.reason.Error() }

// errBusy is the reason to wait for another process.
var errBusy = errors.New("refresh: another one is under way, or has just failed")

// step takes one step. n is how many were taken before.
func (s *Source) step(ctx context.Context, rejected string, n int) (*held, error) {
	r, h, err := s.load(ctx)
	if err == nil && s.unsaved != nil {
		r, h, err = s.settle(ctx, r, h)
	}
	if err != nil {
		return nil, &retry{s.pause(n+1, 0), fmt.Errorf("refresh: %w", err), s.unsaved != nil}
	}
	now := s.clock.now()
	switch {
	case h.RefreshToken == "":
		return nil, fmt.Errorf("%w: the store holds no token", ErrLoginRequired)
	case s.dead(h):
		return nil, s.bury(ctx, r, h)
	case h.AccessToken != rejected && h.fresh(now):
		return h, nil
	case h.AccessToken == rejected && s.justReplaced(h, now):
		return h, nil
	}
	if wait := s.wait(h, now); wait > 0 {
		return nil, &retry{min(wait, poll(n)), errBusy, false}
	}
	if s.tooLate(h, now) && s.usable(h, rejected) {
		return h, nil
	}
	return s.attempt(ctx, r, h, rejected)
}

// pace returns how long a request may take, from which all other times derive.
func (s *Source) pace() time.Duration {
	if s.interval == 0 {
		return 20 * time.Second // there is no second chance to get the response
	}
	return max(time.Second, min(10*time.Second, s.interval/4))
}

// pause returns how long to wait after the count-th failure in a row. asked, the
// server's Retry-After, is limited to the pace: after an hour's wait, the provider
// would no longer accept the token.
func (s *Source) pause(count int, asked time.Duration) time.Duration {
	const shortest = 250 * time.Millisecond
	d := min(shortest<<min(max(count-1, 0), 10), s.pace())
	return max(time.Duration((1+s.clock.random())/2*float64(d)), min(asked, s.pace()))
}

// poll returns how long to wait before looking for the n-th time at what others have
// done.
func poll(n int) time.Duration { return min(50*time.Millisecond<<min(n, 10), time.Second) }

// wait returns how long this process must not use the token yet. It goes by the
// steady clock, and by the wall clock too, because a process may not live long
// enough to wait by the former. A wall clock that is ahead takes the claim from a
// holder that is alive. Within a reuse interval that costs one more request, but a
// strict provider would end the session. With a strict provider the wall clock is
// therefore only believed once it says that hours have passed.
func (s *Source) wait(h *held, now moment) time.Duration {
	a := h.Attempt
	if a == nil || a.Claim != "" && a.Claim == s.claim {
		return 0
	}
	waited := now.wall.Sub(a.At)
	if a.Claim != "" && s.interval == 0 {
		waited -= 2 * time.Hour
	}
	return min(a.Pause, patience/2) - max(waited, now.steady-h.found.steady)
}

// tooLate reports whether the token is in doubt, and using it again now could be
// taken for reuse.
func (s *Source) tooLate(h *held, now moment) bool {
	if h.Attempt == nil || h.Attempt.DoubtSince.IsZero() {
		return false
	}
	return max(0, now.wall.Sub(h.Attempt.DoubtSince)) > s.interval-s.pace()
}

// justReplaced reports whether the rejected access token was itself obtained a short
// time ago because of a rejection. The cause then is something else, and another
// refresh would not help. A time in the future means that clocks differ, which may
// be the cause of the rejection.
func (s *Source) justReplaced(h *held, now moment) bool {
	const short = 5 * time.Minute
	age := h.age + now.since(h.first)
	return h.AfterRejection && age < short && !h.ObtainedAt.After(now.wall)
}

// attempt uses the refresh token once. It claims the token before, and saves the
// result.
func (s *Source) attempt(ctx context.Context, r Record, h *held, rejected string) (*held, error) {
	start := s.clock.now()
	var before attempt
	if h.Attempt != nil {
		before = *h.Attempt
	}
	claimed := h.state
	if s.makesKey && s.keyOf(&claimed) == nil {
		var err error
		if claimed.Key, err = makeKey(); err != nil {
			return nil, fmt.Errorf("refresh: %w", err)
		}
	}
	claimed.Attempt = &attempt{
		Claim: rand.Text(), At: start.wall, Pause: s.pace() * 3 / 2, Count: before.Count + 1, DoubtSince: before.DoubtSince,
	}
	if claimed.Attempt.DoubtSince.IsZero() {
		claimed.Attempt.DoubtSince = start.wall
	}
	s.claim = claimed.Attempt.Claim
	if err := s.save(ctx, r.Version+1, claimed); errors.Is(err, ErrConflict) {
		return nil, &retry{poll(0), errBusy, false}
	} else if err != nil {
		return nil, &retry{s.pause(before.Count+1, 0), fmt.Errorf("refresh: claim the token: %w", err), false}
	}
	asked := s.clock.now()
	left := s.pace() - asked.since(start)
	if left < s.pace()/2 {
		// By the time of a response the claim could be another process's.
		return nil, &retry{s.pause(1, 0), errors.New("refresh: claiming the token took too long"), false}
	}

	t, failed := s.ask(ctx, h.RefreshToken, s.keyOf(&claimed), left)
	if failed == nil {
		granted := s.granted(t, asked.wall, h, rejected)
		granted.Key = claimed.Key
		data, err := granted.encode()
		if err != nil {
			return nil, err
		}
		s.unsaved = &unsaved{h.RefreshToken, data}
		r, h, err := s.settle(ctx, Record{Version: r.Version + 1}, h)
		if err != nil {
			return nil, &retry{s.pause(1, 0), fmt.Errorf("refresh: %w", err), true}
		}
		if !bytes.Equal(r.Data, data) {
			return nil, &retry{poll(0), errBusy, false}
		}
		return h, nil
	}
	if failed.refusal != nil {
		s.refused = &refused{h.RefreshToken, failed.refusal}
		return s.step(ctx, rejected, 0) // which uses a newer token if the store has one
	}
	over := *claimed.Attempt
	over.Claim, over.At, over.Pause = "", s.clock.now().wall, s.pause(over.Count, failed.retryAfter)
	if !failed.doubt {
		over.DoubtSince = before.DoubtSince
	}
	claimed.Attempt = &over
	_ = s.save(ctx, r.Version+2, claimed) // if this is not saved, the claim lapses by itself
	if failed.final {
		return nil, fmt.Errorf("refresh: %w", failed.err)
	}
	return nil, &retry{over.Pause, fmt.Errorf("refresh: %w", failed.err), failed.doubt}
}

// granted returns the state after a refresh. The age of the token is counted from
// the request, since the response may have taken long.
func (s *Source) granted(t *oauth2.Token, asked time.Time, h *held, rejected string) state {
	return state{
		Logins:       h.Logins,
		RefreshToken: t.RefreshToken, // the old one if the response has none
		AccessToken:  t.AccessToken, TokenType: t.TokenType, ExpiresIn: expiresIn(t),
		ObtainedAt: asked, Extra: s.keepExtra(t),
		AfterRejection: rejected != "" && h.AccessToken == rejected,
	}
}

// settle saves the unsaved token over the record r, if that still holds the token
// which it was given for, and reads it back. Afterwards the store has either the
// unsaved token or what another process has saved.
func (s *Source) settle(ctx context.Context, r Record, h *held) (Record, *held, error) {
	u := s.unsaved
	open := func() bool {
		return h.RefreshToken == u.presented && !h.Refusal.isLogout() && !bytes.Equal(r.Data, u.data)
	}
	if open() {
		saving := s.saveData(ctx, r.Version+1, u.data)
		var err error
		r, h, err = s.load(ctx)
		if err = cmp.Or(err, saving); h == nil || err != nil && open() {
			return r, h, fmt.Errorf("%w: %w", ErrNotSaved, err)
		}
		if open() {
			return r, h, fmt.Errorf("%w: the store returns another record than was saved", ErrNotSaved)
		}
	}
	s.unsaved = nil
	return r, h, nil
}

// dead reports whether the provider has refused the refresh token to this client, or
// the user has logged out.
func (s *Source) dead(h *held) bool {
	return s.refusalIn(h) != nil || s.refused != nil && s.refused.refreshToken == h.RefreshToken
}

// refusalIn returns the refusal in a record if it counts for this client, nil otherwise.
func (s *Source) refusalIn(h *held) *refusal {
	if h.Refusal.isLogout() || h.Refusal != nil && h.Refusal.By == s.self() {
		return h.Refusal
	}
	return nil
}

// self identifies the client, the token endpoint and the parameters with which the
// token is presented. A token that the wrong client presented is not dead for the
// right one. Nor is one that was presented with a parameter which the provider
// refuses with the same code, or with another key than the session's.
func (s *Source) self() string {
	self := s.conf.ClientID + " at " + s.conf.Endpoint.TokenURL
	if params := s.params.Encode(); params != "" {
		self += " with " + fingerprint(params)
	}
	if s.ownKey != nil {
		self += " by key " + s.ownKey.thumbprint
	}
	return self
}

// bury marks a dead token in the store, for all processes, and returns the error.
// The token stays there, so that one can still ask the provider why it died.
func (s *Source) bury(ctx context.Context, r Record, h *held) error {
	cause := s.refusalIn(h)
	if cause == nil {
		cause = s.refused.refusal
		marked := h.state
		marked.Refusal, marked.Attempt = cause, nil
		if errors.Is(s.save(ctx, r.Version+1, marked), ErrConflict) {
			return &retry{poll(0), errBusy, false} // somebody may have logged in
		}
		_, _, _ = s.load(ctx) // so that all callers in this process see it
	}
	return fmt.Errorf("%w: %w", ErrLoginRequired, cause.error())
}
