package keyring

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/token"
)

// How long a key is in the document before its first use. All that verify its tokens
// must have read it by then.
const (
	// macLead is the lead of a MAC key, for the functions, whose copy of the
	// document is normally no older than maxAge. The rest of it allows for the
	// rotation itself, and for reads that fail and are retried. A function whose
	// reads fail for longer starts no family (see [Keys.Stale]).
	macLead = token.Lead
	// signingLead is the lead of a signing key, for gateways, which cache a key set
	// for hours.
	signingLead = 24 * time.Hour
	// rotationTime is how long a new document may take to become current.
	rotationTime = macLead - 2*maxAge
	// revokedKeptFor is how long a revoked signing key stays in the document, so
	// that revoking it again succeeds.
	revokedKeptFor = 30 * 24 * time.Hour
)

// maxMAC is how many MAC keys there can be: a token names its key in one byte.
const maxMAC = 256

// Rotate returns the document that follows d. It does not change d.
//
// The new document has another MAC key, which mints from 15 minutes from now on. MAC
// keys stay, even revoked ones, until they are removed by hand, because refresh
// tokens may live forever. When all 256 ids are taken, the error says what to do.
//
// It has another signing key, with the algorithm alg, which is published at once and
// signs from 24 hours from now on. The key that it replaces stays published until
// its last token has expired, which is longestAccessToken after its last signature.
// The first rotation after that signature drops its private half, and the first
// rotation after the end of its publication drops the key.
//
// While a key of one kind is still waiting for its first use, no other of that kind
// is added. So rotating repeatedly is harmless, and makes at most one signing key a
// day. The user key is never replaced. Of a kind that d does not have, it adds none.
func (d *Document) Rotate(now time.Time, alg signing.Algorithm, longestAccessToken time.Duration) (*Document, error) {
	next := &Document{UserKey: d.UserKey, MAC: slices.Clone(d.MAC), Signing: slices.Clone(d.Signing)}
	if len(d.MAC) > 0 && !slices.ContainsFunc(d.MAC, func(k token.Key) bool { return k.Revoked.IsZero() && k.From.After(now) }) {
		id, err := d.freeID()
		if err != nil {
			return nil, fmt.Errorf("keyring: rotate: %w", err)
		}
		next.MAC = append(next.MAC, token.Key{ID: id, Secret: newSecret(), From: now.Add(macLead)})
	}
	if len(d.Signing) > 0 && !slices.ContainsFunc(d.Signing, func(k signing.Key) bool { return k.Private() && k.From.After(now) }) {
		key, err := signing.GenerateKey(alg, now.Add(signingLead))
		if err != nil {
			return nil, fmt.Errorf("keyring: rotate: %w", err)
		}
		next.Signing = append(next.Signing, key)
	}
	next.retire(now, longestAccessToken)
	return next, nil
}

// freeID returns the first unused id after the newest key's. An id that was freed by
// hand is thus the last to be used again.
func (d *Document) freeID() (byte, error) {
	if len(d.MAC) >= maxMAC {
		return 0, fmt.Errorf("all %d ids of MAC keys are taken: remove from the document those keys under which no living refresh token was minted, the oldest, and rotate again", maxMAC)
	}
	var newest token.Key
	if len(d.MAC) > 0 {
		newest = slices.MaxFunc(d.MAC, func(a, b token.Key) int { return a.From.Compare(b.From) })
	}
	id := newest.ID + 1
	for slices.ContainsFunc(d.MAC, func(k token.Key) bool { return k.ID == id }) {
		id++ // after 255 comes 0
	}
	return id, nil
}

// retire sets the end of the signing keys that have a successor, and drops those
// whose end has passed.
func (d *Document) retire(now time.Time, longestAccessToken time.Duration) {
	slices.SortStableFunc(d.Signing, func(a, b signing.Key) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.JWK.KeyID, b.JWK.KeyID)) // as in signing.NewSet
	})
	successor := -1 // of the key looked at: the nearest later one that signs
	for i := len(d.Signing) - 1; i >= 0; i-- {
		k := d.Signing[i]
		if !k.Private() {
			continue
		}
		if successor >= 0 {
			stops := d.Signing[successor].From
			if k.Until.IsZero() {
				k.Until = stops.Add(longestAccessToken)
			}
			if !stops.After(now) {
				k = k.Retired(k.Until)
			}
			d.Signing[i] = k
		}
		successor = i
	}
	d.Signing = slices.DeleteFunc(d.Signing, func(k signing.Key) bool {
		return !published(k, now) && (k.Revoked.IsZero() || now.Sub(k.Revoked) > revokedKeptFor)
	})
}

func published(k signing.Key, now time.Time) bool {
	return k.Revoked.IsZero() && (k.Until.IsZero() || now.Before(k.Until))
}

// check returns an error unless each key of the document that makes tokens makes
// ones which the document verifies.
func (d *Document) check(now time.Time) error {
	keys, err := d.compile()
	if err != nil {
		return err
	}
	for _, k := range d.MAC {
		if !k.Revoked.IsZero() {
			continue
		}
		err := checkRefresh(keys, keys, k.From)
		if err != nil {
			return fmt.Errorf("MAC key %d: %w", k.ID, err)
		}
	}
	for _, k := range d.Signing {
		if !k.Private() || !k.Revoked.IsZero() {
			continue
		}
		at := k.From
		if at.Before(now) {
			at = now
		}
		err := checkSignature(keys, keys, at, at)
		if err != nil {
			return fmt.Errorf("signing key %q: %w", k.JWK.KeyID, err)
		}
	}
	return nil
}

// checkRefresh returns an error unless reader accepts a refresh token that maker mints
// at the given time, of a family that begins then. Without token keys there is nothing to
// check.
func checkRefresh(reader, maker *Keys, at time.Time) error {
	if reader.Codec == nil || maker.Codec == nil {
		return nil
	}
	minted := token.Token{Family: [32]byte{1}, Counter: 1}
	binary.BigEndian.PutUint64(minted.Family[16:], uint64(at.UnixMilli())<<16)
	parsed, err := reader.Codec.Parse(maker.Codec.Mint(minted, at).Reveal())
	if err != nil {
		return err
	}
	if parsed != minted {
		return errors.New("a refresh token does not parse as it was minted")
	}
	return nil
}

// checkSignature returns an error unless reader accepts at readAt an access token that maker
// signs at signedAt. Without signing keys there is nothing to check.
func checkSignature(reader, maker *Keys, signedAt, readAt time.Time) error {
	if reader.Signing == nil || maker.Signing == nil {
		return nil
	}
	const issuer = "https://rotation.invalid" // nobody gets this token
	access, err := maker.Signing.SignAccess(signedAt, signing.Access{
		Issuer: issuer, Subject: "s", Audience: signing.Audience{"a"}, ClientID: "c", IssuedAt: signedAt, ExpiresAt: readAt.Add(time.Hour),
	})
	if err != nil {
		return err
	}
	_, err = reader.Signing.Verify(access, issuer, readAt)
	return err
}

// checkFollows returns an error if replacing current by d at now could make a good token
// be refused, either by a function that still has current or by a gateway that still
// has current's key set.
func (d *Document) checkFollows(current *Document, now time.Time, longestAccessToken time.Duration) error {
	if !bytes.Equal(d.UserKey, current.UserKey) {
		return errors.New("the user key is another")
	}
	for _, k := range current.MAC {
		i := slices.IndexFunc(d.MAC, func(other token.Key) bool { return other.ID == k.ID })
		switch {
		case i < 0:
			return fmt.Errorf("MAC key %d is missing", k.ID)
		case !bytes.Equal(d.MAC[i].Secret, k.Secret) || !d.MAC[i].From.Equal(k.From):
			return fmt.Errorf("MAC key %d is another", k.ID)
		case !d.MAC[i].Revoked.Equal(k.Revoked):
			return fmt.Errorf("MAC key %d is revoked in only one of the two documents", k.ID)
		}
	}
	for _, k := range d.MAC {
		added := !slices.ContainsFunc(current.MAC, func(other token.Key) bool { return other.ID == k.ID })
		if added && k.From.Before(now.Add(macLead-rotationTime)) {
			return fmt.Errorf("MAC key %d mints from %s, before all functions know it", k.ID, k.From.Format(time.RFC3339))
		}
	}
	for _, k := range current.Signing {
		i := slices.IndexFunc(d.Signing, func(other signing.Key) bool { return other.JWK.KeyID == k.JWK.KeyID })
		switch {
		case i >= 0 && !d.Signing[i].Revoked.Equal(k.Revoked):
			return fmt.Errorf("signing key %q is revoked in only one of the two documents", k.JWK.KeyID)
		case !published(k, now):
		case i < 0:
			return fmt.Errorf("signing key %q is missing", k.JWK.KeyID)
		case !k.Until.IsZero() && !published(d.Signing[i], k.Until.Add(-1)):
			return fmt.Errorf("signing key %q is no longer published until %s", k.JWK.KeyID, k.Until.Format(time.RFC3339))
		}
	}
	for _, k := range d.Signing {
		added := !slices.ContainsFunc(current.Signing, func(other signing.Key) bool { return other.JWK.KeyID == k.JWK.KeyID })
		if added && k.From.Before(now.Add(signingLead-rotationTime)) {
			return fmt.Errorf("signing key %q signs from %s, before all gateways know it", k.JWK.KeyID, k.From.Format(time.RFC3339))
		}
	}
	return d.checkTogether(current, now, longestAccessToken)
}

// checkTogether returns an error unless each document accepts the tokens of the other
// while functions may have either of them, and d accepts the last access token of
// current until it expires.
func (d *Document) checkTogether(current *Document, now time.Time, longestAccessToken time.Duration) error {
	before, err := current.compile()
	if err != nil {
		return err
	}
	after, err := d.compile()
	if err != nil {
		return err
	}
	for _, at := range []time.Time{now, now.Add(macLead - rotationTime - 1)} {
		err := cmp.Or(
			checkRefresh(before, after, at), checkRefresh(after, before, at),
			checkSignature(before, after, at, at), checkSignature(after, before, at, at),
		)
		if err != nil {
			return fmt.Errorf("beside the current keys, at %s: %w", at.Format(time.RFC3339), err)
		}
	}
	err = checkSignature(after, before, now, now.Add(longestAccessToken-1))
	if err != nil {
		return fmt.Errorf("the last access token of the current keys: %w", err)
	}
	return nil
}
