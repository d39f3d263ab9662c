package session

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/token"
)

// HashForeign returns what stands for a foreign token wherever it is kept.
func HashForeign(presented string) [sha256.Size]byte { return sha256.Sum256([]byte(presented)) }

// ErrUnknownForeign is returned for a foreign token that has no family.
var ErrUnknownForeign = errors.New("the token is another provider's, and belongs to no family")

// ErrManyUnknown is returned in place of an answer if too many unknown tokens have come lately.
// It says nothing about the token.
var ErrManyUnknown = errors.New("too many unknown tokens of another provider have been presented")

// ParseForeign returns the token that a refresh token of another provider stands for: number 0 of
// the family that was started from it. It makes one read, and none if the client presented it
// lately and it had no family. Its errors are [ErrUnknownForeign], also as an [*UnadoptedError],
// [ErrManyUnknown], and those of the store.
func (e *Engine) ParseForeign(ctx context.Context, keys *keyring.Keys, client *store.Client, presented string, now time.Time) (token.Token, error) {
	name := nameForeign(keys, HashForeign(presented))
	if err := e.strangers.check(name, client.ID, now); err != nil {
		return token.Token{}, err
	}
	known, err := e.Table.Known(ctx, name)
	switch {
	case err != nil:
		return token.Token{}, err
	case known.Family != nil:
		return token.Token{Family: *known.Family}, nil
	case known.Claim == nil && client.Adopt.Fits(presented): // it may be adopted at any moment
		e.strangers.count(now)
		return token.Token{}, ErrUnknownForeign
	case known.Claim == nil:
		e.strangers.add(name, client.ID, ErrUnknownForeign, now)
		return token.Token{}, ErrUnknownForeign
	case known.Claim.Refuses(client.ID, now):
		e.strangers.add(name, client.ID, &UnadoptedError{known.Claim}, now)
	}
	return token.Token{}, &UnadoptedError{known.Claim}
}

// FindForeign returns what is on record of another provider's refresh token, whichever client it is
// of. It is for who may see every family: it neither limits what is looked up nor remembers it.
func (e *Engine) FindForeign(ctx context.Context, keys *keyring.Keys, presented string) (store.Known, error) {
	return e.Table.Known(ctx, nameForeign(keys, HashForeign(presented)))
}

// IsBeingAsked reports whether the provider of a token is still being asked about it.
func IsBeingAsked(c *store.Claim, now time.Time) bool {
	return !c.Settled() && now.Sub(c.At) < claimFor
}

// ParseAny parses a refresh token of ours, or else one of another provider that the client
// accepts. Its errors are those of [Engine.ParseToken] and of [Engine.ParseForeign]. It adopts
// nothing.
func (e *Engine) ParseAny(ctx context.Context, keys *keyring.Keys, client *store.Client, presented string, now time.Time) (token.Token, error) {
	tok, err := e.ParseToken(ctx, keys, presented, now)
	if errors.Is(err, token.ErrMalformed) && client.KnowsForeign(presented) {
		tok, err = e.ParseForeign(ctx, keys, client, presented, now)
		var unadopted *UnadoptedError
		if errors.As(err, &unadopted) && unadopted.Claim.ClientID == client.ID && IsBeingAsked(unadopted.Claim, now) {
			err = errAsking // it may have a family in a moment: what ends it must not be told that there is none
		}
	}
	return tok, err
}

// IsBadToken reports whether an error of [Engine.ParseAny] says that the token is bad. Any other
// error says nothing about the token.
func IsBadToken(err error) bool {
	var revoked *token.RevokedError
	return errors.Is(err, token.ErrMalformed) || errors.Is(err, token.ErrForged) || errors.Is(err, ErrUnknownForeign) || errors.As(err, &revoked)
}

// nameForeign returns the name of a foreign token in the table.
func nameForeign(keys *keyring.Keys, hash [sha256.Size]byte) store.ForeignName {
	return store.ForeignName(keys.Users.Key("\x00foreign\x00" + string(hash[:])))
}

const (
	strangerFor    = 10 * time.Second // how long a token that was unknown is held to be unknown
	maxStrangers   = 10_000           // remembered at a time
	strangersEach  = 100              // reads a second that may find nothing
	strangersBurst = 500
)

// strangers remembers foreign tokens that had no family lately, and why, so that a second use of
// one costs no read. It limits how many reads find nothing: who sends made-up tokens of the right shape
// must not cost the table a read for each. It is safe for concurrent use.
type strangers struct {
	mu    sync.Mutex
	seen  *simplelru.LRU[stranger, seenStranger]
	reads *rate.Limiter
}

// stranger is a token as a client presented it. The clients of a service may have different
// providers.
type stranger struct {
	name     store.ForeignName
	clientID string
}

type seenStranger struct {
	at  time.Time
	err error // what was found out
}

func newStrangers() *strangers {
	seen, err := simplelru.NewLRU[stranger, seenStranger](maxStrangers, nil)
	if err != nil {
		panic(err) // the size is positive
	}
	return &strangers{seen: seen, reads: rate.NewLimiter(strangersEach, strangersBurst)}
}

// check returns an error if the token must not be looked up now.
func (s *strangers) check(name store.ForeignName, clientID string, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seen, ok := s.seen.Get(stranger{name, clientID}); ok && now.Sub(seen.at).Abs() < strangerFor {
		return seen.err
	}
	if s.reads.TokensAt(now) < 1 {
		return ErrManyUnknown
	}
	return nil
}

// count counts a read that found nothing.
func (s *strangers) count(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads.AllowN(now, 1)
}

// add remembers what was found out about a token at now.
func (s *strangers) add(name store.ForeignName, clientID string, found error, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen.Add(stranger{name, clientID}, seenStranger{now, found})
	s.reads.AllowN(now, 1)
}
