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
// the family that was started from it. It makes one read, and none if it found the token unknown lately.
// Its errors are [ErrUnknownForeign], [ErrManyUnknown], and those of the store.
func (e *Engine) ParseForeign(ctx context.Context, keys *keyring.Keys, presented string, now time.Time) (token.Token, error) {
	name := nameForeign(keys, HashForeign(presented))
	if err := e.strangers.check(name, now); err != nil {
		return token.Token{}, err
	}
	f, err := e.Table.Foreign(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		e.strangers.add(name, now)
		return token.Token{}, ErrUnknownForeign
	}
	if err != nil {
		return token.Token{}, err
	}
	return token.Token{Family: f.Family}, nil
}

// FindForeign returns what is on record of another provider's refresh token, whichever client it is
// of, or [store.ErrNotFound]. It is for who may see every family: it neither limits what is looked
// up nor remembers it.
func (e *Engine) FindForeign(ctx context.Context, keys *keyring.Keys, presented string) (*store.Foreign, error) {
	return e.Table.Foreign(ctx, nameForeign(keys, HashForeign(presented)))
}

// ParseAny parses a refresh token of ours, or else one of another provider that the client
// accepts. Its errors are those of [Engine.ParseToken] and of [Engine.ParseForeign].
func (e *Engine) ParseAny(ctx context.Context, keys *keyring.Keys, client *store.Client, presented string, now time.Time) (token.Token, error) {
	tok, err := e.ParseToken(ctx, keys, presented, now)
	if errors.Is(err, token.ErrMalformed) && client.AcceptsImported.Fits(presented) {
		return e.ParseForeign(ctx, keys, presented, now)
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

// strangers remembers foreign tokens that were unknown lately, so that a second use of one costs
// no read. It limits how many reads find nothing: who sends made-up tokens of the right shape
// must not cost the table a read for each. It is safe for concurrent use.
type strangers struct {
	mu    sync.Mutex
	seen  *simplelru.LRU[store.ForeignName, time.Time]
	reads *rate.Limiter
}

func newStrangers() *strangers {
	seen, err := simplelru.NewLRU[store.ForeignName, time.Time](maxStrangers, nil)
	if err != nil {
		panic(err) // the size is positive
	}
	return &strangers{seen: seen, reads: rate.NewLimiter(strangersEach, strangersBurst)}
}

// check returns an error if the token must not be looked up now.
func (s *strangers) check(name store.ForeignName, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.seen.Get(name); ok && now.Sub(at) < strangerFor {
		return ErrUnknownForeign
	}
	if s.reads.TokensAt(now) < 1 {
		return ErrManyUnknown
	}
	return nil
}

// add remembers that a token was unknown at now.
func (s *strangers) add(name store.ForeignName, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen.Add(name, now)
	s.reads.AllowN(now, 1)
}
