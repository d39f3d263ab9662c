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

// refresh goes on, one step after another, until there is an access token other
// than rejected, an error that is final, or no patience left. A step begins with
// the record in the store, which alone says what is to be done: any process can
// take the next step, whoever took the last.
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
	// owed says that the session depends on that step: the token is in doubt, or the
	// new one is not saved. The next call may come too late.
	owed bool
}

func (r *retry) Error() string { return r.reason.Error() }

// errBusy is the reason to wait for others.
var errBusy = errors.New("refresh: another one is under way, or has just failed")

// step takes one step. n says how many were taken before.
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

// pace is what a request may take, and what all other times are made of.
func (s *Source) pace() time.Duration {
	if s.interval == 0 {
		return 20 * time.Second // for an answer there is no second chance to get
	}
	return max(time.Second, min(10*time.Second, s.interval/4))
}

// pause is how long to wait after the count-th failure in a row. What the server asks
// for is kept up to the pace: whoever believes it an hour comes back to a provider that
// has long forgotten the token.
func (s *Source) pause(count int, asked time.Duration) time.Duration {
	const shortest = 250 * time.Millisecond
	d := min(shortest<<min(max(count-1, 0), 10), s.pace())
	return max(time.Duration((1+s.clock.random())/2*float64(d)), min(asked, s.pace()))
}

// poll is how long to wait before the n-th look at what others do.
func poll(n int) time.Duration { return min(50*time.Millisecond<<min(n, 10), time.Second) }

// wait is how long the token must still be left alone, by the steady clock of who
// waits, or by its wall clock, since who waits may not live that long. A wall clock
// that is ahead takes a claim from a holder who is alive: inside a reuse interval
// that is one request more, but a strict provider would end the session, so there
// it is only believed when it says that hours have gone by.
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

// tooLate says whether the token is in doubt, and can no longer be used again
// without the danger of reuse.
func (s *Source) tooLate(h *held, now moment) bool {
	if h.Attempt == nil || h.Attempt.DoubtSince.IsZero() {
		return false
	}
	return max(0, now.wall.Sub(h.Attempt.DoubtSince)) > s.interval-s.pace()
}

// justReplaced says whether an access token that is rejected was obtained for the
// same reason a short time ago: then the reason is another one, and refreshing for
// each request would help nobody. A time in the future says that clocks differ,
// which may well be why it is rejected.
func (s *Source) justReplaced(h *held, now moment) bool {
	const short = 5 * time.Minute
	age := h.age + now.since(h.first)
	return h.AfterRejection && age < short && !h.ObtainedAt.After(now.wall)
}

// attempt uses the refresh token once, claiming it before and saving what came of
// it.
func (s *Source) attempt(ctx context.Context, r Record, h *held, rejected string) (*held, error) {
	start := s.clock.now()
	var before attempt
	if h.Attempt != nil {
		before = *h.Attempt
	}
	claimed := h.state
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
		// By the time of an answer the claim could be another's.
		return nil, &retry{s.pause(1, 0), errors.New("refresh: claiming the token took too long"), false}
	}

	t, failed := s.ask(ctx, h.RefreshToken, left)
	if failed == nil {
		data, err := s.granted(t, asked.wall, h, rejected).encode()
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
		return s.step(ctx, rejected, 0) // if the store has a newer token, that is used
	}
	over := *claimed.Attempt
	over.Claim, over.At, over.Pause = "", s.clock.now().wall, s.pause(over.Count, failed.retryAfter)
	if !failed.doubt {
		over.DoubtSince = before.DoubtSince
	}
	claimed.Attempt = &over
	_ = s.save(ctx, r.Version+2, claimed) // if it is not saved, the claim lapses by itself
	if failed.final {
		return nil, fmt.Errorf("refresh: %w", failed.err)
	}
	return nil, &retry{over.Pause, fmt.Errorf("refresh: %w", failed.err), failed.doubt}
}

// granted is the state after a refresh. The age of the token is counted from the
// request, since the answer may have been long under way.
func (s *Source) granted(t *oauth2.Token, asked time.Time, h *held, rejected string) state {
	return state{
		Logins:       h.Logins,
		RefreshToken: t.RefreshToken, // the old one, where the response has none
		AccessToken:  t.AccessToken, TokenType: t.TokenType, ExpiresIn: expiresIn(t),
		ObtainedAt: asked, Extra: s.keepExtra(t),
		AfterRejection: rejected != "" && h.AccessToken == rejected,
	}
}

// settle saves the unsaved token on the record r, as long as that still holds the
// token it was given for, and reads it back. Afterwards either is in the store:
// the unsaved token, or what somebody else has saved.
func (s *Source) settle(ctx context.Context, r Record, h *held) (Record, *held, error) {
	u := s.unsaved
	open := func() bool { return h.RefreshToken == u.presented && !bytes.Equal(r.Data, u.data) }
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

// dead says whether the provider has refused the refresh token, to this client.
func (s *Source) dead(h *held) bool {
	return h.Refusal != nil && h.Refusal.By == s.self() || s.refused != nil && s.refused.refreshToken == h.RefreshToken
}

// self says who presents the token, and with what. A token that was presented by the
// wrong client is not dead for the right one; nor is it, with some providers, when it
// was presented with a parameter that they refuse by the same code.
func (s *Source) self() string {
	self := s.conf.ClientID + " at " + s.conf.Endpoint.TokenURL
	if params := s.params.Encode(); params != "" {
		self += " with " + fingerprint(params)
	}
	return self
}

// bury marks a dead token in the store, for all processes, and returns the error.
// The token stays there, so that a provider who can explain its death can be asked.
func (s *Source) bury(ctx context.Context, r Record, h *held) error {
	cause := h.Refusal
	if cause == nil || cause.By != s.self() {
		cause = s.refused.refusal
		marked := h.state
		marked.Refusal, marked.Attempt = cause, nil
		if errors.Is(s.save(ctx, r.Version+1, marked), ErrConflict) {
			return &retry{poll(0), errBusy, false} // perhaps somebody has logged in
		}
		_, _, _ = s.load(ctx) // so that all callers here know
	}
	return fmt.Errorf("%w: %w", ErrLoginRequired, cause.error())
}
