// Package signing signs and verifies access tokens (RFC 9068) and id tokens (OpenID
// Connect Core §2), and publishes the JWK Set (RFC 7517) with which anyone can
// verify them.
//
// A [Set] holds the keys. Each key is pinned to one algorithm, RS256 or ES256: the
// header of a token chooses a key by its id, and never an algorithm (RFC 8725 §3.1).
// The times of the keys determine which one signs. A new key is published well
// before its first signature, and an old one until its last token has expired.
//
// Nothing in this package reads a clock or does I/O. A Set never changes and is safe
// for concurrent use.
package signing

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"
)

// ErrNoKey means that all keys which could sign are past the end of their
// publication, so that nobody could verify a signature.
var ErrNoKey = errors.New("signing: no key to sign with")

// ErrVerifiesOnly means that the set was made by [NewVerifier], and has no private key.
var ErrVerifiesOnly = errors.New("signing: these are public keys, which only verify")

// Set is the signing keys of an issuer, or their public halves alone.
type Set struct {
	public       bool            // it verifies only
	signers      []signer        // by From
	publications []publication   // by end; the last has none
	ids          map[string]bool // of all keys, including those that are no longer published
}

// NewSet returns a set of the keys. Revoked keys neither sign nor verify. It refuses
// keys of which none can sign, and an id that is missing or occurs twice. It also
// refuses an algorithm other than RS256 and ES256, RSA keys of fewer than 2048 bits,
// curves other than P-256, and halves that do not belong together. Its errors name
// the key by its position and id.
func NewSet(keys []Key) (*Set, error) {
	s, err := newSet(keys, false)
	if err != nil {
		return nil, fmt.Errorf("signing: new set: %w", err)
	}
	return s, nil
}

// NewVerifier returns a set of the public halves of the keys. It verifies and publishes as
// a set of [NewSet] does, and signs nothing: that is [ErrVerifiesOnly]. It holds no private
// key, even if it was given some. It refuses what NewSet refuses, but needs no key that can
// sign.
func NewVerifier(keys []Key) (*Set, error) {
	s, err := newSet(keys, true)
	if err != nil {
		return nil, fmt.Errorf("signing: new verifier: %w", err)
	}
	return s, nil
}

func newSet(keys []Key, public bool) (*Set, error) {
	s := &Set{public: public, ids: make(map[string]bool, len(keys))}
	usable := make([]Key, 0, len(keys))
	for i, k := range keys {
		checked, err := k.checked()
		if err != nil {
			return nil, fmt.Errorf("key %d %q: %w", i, k.JWK.KeyID, err)
		}
		if public {
			checked.JWK = checked.JWK.Public()
		}
		if s.ids[k.JWK.KeyID] {
			return nil, fmt.Errorf("key %d %q: its id occurs twice", i, k.JWK.KeyID)
		}
		s.ids[k.JWK.KeyID] = true
		if checked.Revoked.IsZero() {
			usable = append(usable, checked)
		}
	}
	slices.SortFunc(usable, func(a, b Key) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.JWK.KeyID, b.JWK.KeyID))
	})
	for _, k := range usable {
		if !k.Private() {
			continue
		}
		signs, err := newSigner(k)
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", k.JWK.KeyID, err)
		}
		s.signers = append(s.signers, signs)
	}
	if len(s.signers) == 0 && (!public || len(keys) == 0) {
		return nil, fmt.Errorf("none of %d keys can sign", len(keys))
	}
	var err error
	s.publications, err = publish(usable)
	return s, err
}

// signerAt returns the key that signs at now: of the published keys with a private
// half, the newest whose From has passed. If there is none, it returns the oldest,
// so that a clock which is a little slow does not stop the service.
func (s *Set) signerAt(now time.Time) (signer, error) {
	var chosen *signer
	for i := range s.signers {
		candidate := &s.signers[i]
		if !candidate.key.publishedAt(now) {
			continue
		}
		if chosen == nil || !candidate.key.From.After(now) {
			chosen = candidate
		}
	}
	switch {
	case s.public:
		return signer{}, ErrVerifiesOnly
	case chosen == nil:
		return signer{}, ErrNoKey
	}
	return *chosen, nil
}

// String returns how many keys can sign, and none of the keys.
func (s *Set) String() string {
	if s == nil {
		return "no signing keys"
	}
	return fmt.Sprintf("signing keys: %d that sign", len(s.signers))
}

// Format prints String for every verb.
func (s *Set) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, s.String())
}

// LogValue logs String.
func (s *Set) LogValue() slog.Value {
	return slog.StringValue(s.String())
}
