package assertion

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

const (
	freshFor     = 10 * time.Minute // how long a set is used without a fetch
	staleFor     = time.Hour        // how long it is used while the issuer does not answer
	refetchPause = 30 * time.Second // between two fetches for a key that the set does not have
	failurePause = 5 * time.Second  // after a fetch that failed
	maxSets      = 100              // sets in the cache
)

// ErrUnavailable is returned if the keys of an issuer or a client cannot be had, or may be newer
// than those at hand.
var ErrUnavailable = errors.New("the keys at a jwks_uri are unavailable")

// cache keeps the JWK Sets of issuers and clients, by address.
type cache struct {
	fetch    func(ctx context.Context, uri string) ([]jose.JSONWebKey, error)
	fetching singleflight.Group

	mu   sync.Mutex
	sets map[string]set
}

// set is what is known of the keys at an address.
type set struct {
	keys      []jose.JSONWebKey // nil if no fetch succeeded
	fetchedAt time.Time         // of the keys
	failedAt  time.Time         // of the last fetch, if it failed
	err       error             // why
}

func newCache(fetch func(context.Context, string) ([]jose.JSONWebKey, error)) *cache {
	return &cache{fetch: fetch, sets: map[string]set{}}
}

// keys returns the keys at an address that fit. It fetches them if the set at hand is old or
// has none that fit, but not right after another fetch. If the fetch fails, it returns what
// the set at hand has, as long as that is not too old. It returns none that fit only if the
// issuer has none.
func (c *cache) keys(ctx context.Context, uri string, fits func([]jose.JSONWebKey) []jose.JSONWebKey, now time.Time) ([]jose.JSONWebKey, error) {
	s := c.known(uri, now)
	fit := fits(s.keys)
	fresh := s.keys != nil && age(now, s.fetchedAt) < freshFor
	switch {
	case fresh && (len(fit) > 0 || age(now, s.fetchedAt) < refetchPause):
		return fit, nil
	case s.err == nil || age(now, s.failedAt) >= failurePause:
		latest, err := c.refresh(ctx, uri, now)
		if err == nil {
			return fits(latest.keys), nil
		}
		s.err = err
	}
	if len(fit) > 0 {
		return fit, nil
	}
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, s.err)
}

// known returns what is known of the keys at an address.
func (c *cache) known(uri string, now time.Time) set {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sets[uri]
	// An age is a distance in either direction. Otherwise a clock that is set back would keep
	// a set for longer.
	if s.keys != nil && age(now, s.fetchedAt) >= staleFor {
		s.keys = nil
	}
	return s
}

// refresh fetches a set, once for all callers that wait for it. If one of them stops
// waiting, the others still get the result.
func (c *cache) refresh(ctx context.Context, uri string, now time.Time) (set, error) {
	fetching := c.fetching.DoChan(uri, func() (any, error) {
		// A fetch that ended since the caller looked is as good as one of its own.
		switch s := c.known(uri, now); {
		case s.keys != nil && age(now, s.fetchedAt) < refetchPause:
			return s, nil
		case s.err != nil && age(now, s.failedAt) < failurePause:
			return s, s.err
		}
		keys, err := c.fetch(context.WithoutCancel(ctx), uri)
		if err != nil {
			err = fmt.Errorf("fetch %s: %w", uri, err)
		}
		return c.keep(uri, keys, err, now), err
	})
	select {
	case <-ctx.Done():
		return set{}, ctx.Err()
	case result := <-fetching:
		s, _ := result.Val.(set)
		return s, result.Err
	}
}

// keep caches the result of a fetch at now.
func (c *cache) keep(uri string, keys []jose.JSONWebKey, err error, now time.Time) set {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.sets[uri]
	if !ok && len(c.sets) >= maxSets {
		c.dropOldest()
	}
	if err != nil {
		s.failedAt, s.err = now, err
	} else {
		s = set{keys: keys, fetchedAt: now}
	}
	c.sets[uri] = s
	return s
}

// dropOldest deletes the set that was fetched first.
func (c *cache) dropOldest() {
	oldest, found := "", false
	for uri, s := range c.sets {
		if !found || s.last().Before(c.sets[oldest].last()) {
			oldest, found = uri, true
		}
	}
	delete(c.sets, oldest)
}

// last returns when the set was last fetched, whether or not it could be.
func (s set) last() time.Time {
	if s.failedAt.After(s.fetchedAt) {
		return s.failedAt
	}
	return s.fetchedAt
}

// age returns how far t lies from now, in either direction.
func age(now, t time.Time) time.Duration { return now.Sub(t).Abs() }
