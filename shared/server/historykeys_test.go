package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
)

// historyHolders is how many holders of keys there are in a history. They are numbered from 1.
const historyHolders = 2

// holderKeys has the keys of the holders, for all histories.
var holderKeys = sync.OnceValue(func() (keys [historyHolders]*ecdsa.PrivateKey) {
	for i := range keys {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err) // never, with this source of randomness
		}
		keys[i] = key
	}
	return keys
})

// holder returns the holder with that number.
func (h *history) holder(number int) *prover {
	return &prover{w: h.world, key: holderKeys()[number-1], nonce: h.keys.Codec.Nonce(h.clock.Now())}
}

// jkt returns the thumbprint of the holder's key, "" for nobody's, which is 0.
func (h *history) jkt(holder int) string {
	if holder == 0 {
		return ""
	}
	return h.holder(holder).jkt()
}

// keyProof returns what a token comes with that takes the key of that holder, or 0 for nobody's. By the step, that
// is what it takes, no proof, a proof of another's key, one with a stale nonce, one for another address, or one of
// the key with the oldest nonce that is still good. Where no key is needed, the last three are of the first
// holder's.
func (s step) keyProof(owner int) modelKeyProof {
	whose := max(owner, 1)
	switch s.DPoP % 6 {
	case 0:
		return modelKeyProof{key: owner}
	case 2:
		return modelKeyProof{key: historyHolders + 1 - whose}
	case 3:
		return modelKeyProof{key: whose, flaw: staleNonce}
	case 4:
		return modelKeyProof{key: whose, flaw: otherAddress}
	case 5:
		return modelKeyProof{key: whose, old: true}
	default:
		return modelKeyProof{}
	}
}

// proof returns the header that a request to a server's token endpoint has.
func (h *history) proof(p modelKeyProof, server int) []string {
	if p.key == 0 {
		return nil
	}
	now, address := h.clock.Now(), h.servers[server].URL+"/oauth/token"
	holder := h.holder(p.key)
	switch {
	case p.flaw == staleNonce:
		holder.nonce = h.keys.Codec.Nonce(now.Add(-10 * time.Minute))
	case p.old:
		holder.nonce = h.keys.Codec.Nonce(now.Add(-5 * time.Minute))
	}
	if p.flaw == otherAddress {
		address = h.servers[server].URL + "/oauth/revoke"
	}
	return []string{"DPoP", holder.proof("htu", address)}
}

// confirmed checks whose key the access token of an answer is bound to, 0 for nobody's.
func (h *history) confirmed(got answer, holder int) {
	_, said := decodeJWT(h.t, got.text("access_token"))
	wantType, wantCnf := "Bearer", any(nil)
	if holder != 0 {
		wantType, wantCnf = "DPoP", map[string]any{"jkt": h.jkt(holder)}
	}
	if got.text("token_type") != wantType || !reflect.DeepEqual(said["cnf"], wantCnf) {
		h.fail("the access token is of type %s with cnf %v, not of type %s with %v", got.text("token_type"), said["cnf"], wantType, wantCnf)
	}
}

// stored returns the family's record, or nil if there is none.
func (h *history) stored(f *modelFamily) *family.Family {
	id, err := family.ParseID(f.id)
	if err != nil {
		h.t.Fatal(err)
	}
	got, err := h.table.Family(h.t.Context(), id)
	if err != nil {
		return nil
	}
	return got
}

// keysCount checks a use of a token of a bound family by nothing but the family's record, which was stored before the
// use, and whether the family was alive then: no reuse ends it. Who lacks its key gets nothing and changes nothing,
// and who has it gets the newest token, unless it is a code that comes.
func (h *history) keysCount(u use, before *modelFamily, stored *family.Family, got answer) {
	if stored == nil || stored.JKT == nil || stored.Pending() && isConfidential(stored.ClientID) {
		return
	}
	now := h.stored(u.f)
	if now != nil && now.Revoked.Cause == family.ReuseDetected && stored.Revoked.Cause == "" {
		h.fail("a reuse has ended a bound family")
	}
	if family.EncodeThumbprint(stored.JKT) != h.jkt(u.asked.key.proven()) {
		if got.json["access_token"] != nil || got.json["refresh_token"] != nil {
			h.fail("without the key of its family, token %d got tokens", u.n)
		}
		if !reflect.DeepEqual(stored, now) {
			h.fail("without the key of its family, token %d changed the record from %v to %v", u.n, stored, now)
		}
		return
	}
	asks := u.asked.target || !u.f.grants(u.asked.scope) || u.client != stored.ClientID || u.unknown || u.code()
	alive := before.deathOnceBegun(u.policy, u.now) == ""
	if alive && !asks && (got.status == http.StatusBadRequest || got.status == http.StatusForbidden) {
		h.fail("with the key of its family, token %d of %d got %v", u.n, stored.Counter, got)
	}
	if got.status == http.StatusOK && got.text("refresh_token") != h.mint(u.f.id, now.Counter) {
		h.fail("with the key of its family, token %d got another one than the newest, %d", u.n, now.Counter)
	}
}

// boundAsBegun checks that the key of a family that has begun never changes.
func (h *history) boundAsBegun(f *family.Family) {
	if f.Pending() {
		return
	}
	id, jkt := f.ID.String(), family.EncodeThumbprint(f.JKT)
	if begun, ok := h.keyed[id]; ok && begun != jkt {
		h.fail("a family that began with the key %q is bound to %q", begun, jkt)
	}
	h.keyed[id] = jkt
}

// milliseconds returns a time in milliseconds, 0 for the zero time.
func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
