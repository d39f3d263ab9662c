package keyring

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/token"
)

// Leak names keys that have, or may have, leaked.
type Leak struct {
	MAC     []int    `json:"mac,omitempty"`     // ids of MAC keys
	Signing []string `json:"signing,omitempty"` // ids of signing keys, the "kid" of the tokens
}

// Revoke returns a document in which the leaked keys are revoked from now on. It
// does not change d, and returns d itself if all of them were revoked before.
//
// Tokens under a revoked key are void. If a revoked key is one that makes tokens at
// present, a new key takes over at once, a signing key with alg: there is no time to
// publish it first. A function that meets a token under the new key and has an older
// copy of the keys reads them again (see [Source]). All other keys stay as they are.
//
// An id that d does not have is an error, which lists the ids that d has. The user
// key cannot be revoked: it makes no tokens, only the addresses of records.
func (d *Document) Revoke(leak Leak, now time.Time, alg signing.Algorithm) (*Document, error) {
	if len(leak.MAC)+len(leak.Signing) == 0 {
		return nil, errors.New("keyring: revoke: no key is named")
	}
	next := &Document{UserKey: d.UserKey, MAC: slices.Clone(d.MAC), Signing: slices.Clone(d.Signing)}
	macs, err := next.revokeMAC(leak.MAC, now)
	if err != nil {
		return nil, fmt.Errorf("keyring: revoke: %w", err)
	}
	signings, err := next.revokeSigning(leak.Signing, now, alg)
	if err != nil {
		return nil, fmt.Errorf("keyring: revoke: %w", err)
	}
	if !macs && !signings {
		return d, nil
	}
	return next, nil
}

// revokeMAC revokes MAC keys in place, and reports whether that changed any.
func (d *Document) revokeMAC(ids []int, now time.Time) (changed bool, err error) {
	minting := d.minting(now)
	for _, id := range ids {
		i := slices.IndexFunc(d.MAC, func(k token.Key) bool { return int(k.ID) == id })
		if i < 0 {
			return false, fmt.Errorf("there is no MAC key %d, but there are %s", id, list(d.MAC, func(k token.Key) string { return fmt.Sprint(k.ID) }))
		}
		if !d.MAC[i].Revoked.IsZero() {
			continue
		}
		d.MAC[i].Revoked = now
		changed = true
	}
	if !slices.ContainsFunc(d.MAC, func(k token.Key) bool { return k.ID == minting && !k.Revoked.IsZero() }) {
		return changed, nil
	}
	id, err := d.freeID()
	if err != nil {
		return false, err
	}
	d.MAC = append(d.MAC, token.Key{ID: id, Secret: newSecret(), From: now})
	return changed, nil
}

// minting returns the id of the key that mints at now, by the rule of
// [token.Codec.Mint].
func (d *Document) minting(now time.Time) byte {
	var minting token.Key
	found := false
	for _, k := range slices.SortedFunc(slices.Values(d.MAC), func(a, b token.Key) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.ID, b.ID))
	}) {
		if k.Revoked.IsZero() && (!found || !k.From.After(now)) {
			minting, found = k, true
		}
	}
	return minting.ID
}

// revokeSigning revokes signing keys in place, drops their private halves, and
// reports whether that changed any.
func (d *Document) revokeSigning(ids []string, now time.Time, alg signing.Algorithm) (changed bool, err error) {
	signer := d.signer(now)
	for _, id := range ids {
		i := slices.IndexFunc(d.Signing, func(k signing.Key) bool { return k.JWK.KeyID == id })
		if i < 0 {
			return false, fmt.Errorf("there is no signing key %q, but there are %s", id, list(d.Signing, func(k signing.Key) string { return k.JWK.KeyID }))
		}
		k := d.Signing[i]
		if !k.Revoked.IsZero() {
			continue
		}
		k.Revoked = now
		d.Signing[i] = k.Retired(k.Until)
		changed = true
	}
	if !changed {
		return false, nil
	}
	if signer == "" || slices.Contains(ids, signer) {
		key, err := signing.GenerateKey(alg, now)
		if err != nil {
			return false, err
		}
		d.Signing = append(d.Signing, key)
		signer = key.JWK.KeyID
	}
	// If the key that was to take over has been revoked, the present one continues.
	if !slices.ContainsFunc(d.Signing, func(k signing.Key) bool { return k.Private() && k.From.After(now) }) {
		i := slices.IndexFunc(d.Signing, func(k signing.Key) bool { return k.JWK.KeyID == signer })
		d.Signing[i].Until = time.Time{}
	}
	return true, nil
}

// signer returns the id of the key that signs at now, by the rule of [signing.Set],
// or "" if none does.
func (d *Document) signer(now time.Time) string {
	var signer string
	for _, k := range slices.SortedFunc(slices.Values(d.Signing), func(a, b signing.Key) int {
		return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.JWK.KeyID, b.JWK.KeyID))
	}) {
		if k.Private() && published(k, now) && (signer == "" || !k.From.After(now)) {
			signer = k.JWK.KeyID
		}
	}
	return signer
}

func list[K any](keys []K, id func(K) string) string {
	var ids []string
	for _, k := range keys {
		ids = append(ids, id(k))
	}
	return strings.Join(ids, ", ")
}
