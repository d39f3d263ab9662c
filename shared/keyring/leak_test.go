package keyring_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/token"
)

func revoke(tb testing.TB, d *keyring.Document, now time.Time, leak keyring.Leak) *keyring.Document {
	tb.Helper()
	next, err := d.Revoke(leak, now, signing.ES256)
	if err != nil {
		tb.Fatal(err)
	}
	return next
}

// uses returns what the keys are used for, such as "1 revoked, 2 in_use".
func uses(d *keyring.Document, now time.Time) (mac, sig string) {
	v := d.Inventory(now)
	var macs, sigs []string
	for _, k := range v.MAC {
		macs = append(macs, fmt.Sprintf("%d %s", k.ID, k.Use))
	}
	for _, k := range v.Signing {
		sigs = append(sigs, string(k.Use))
	}
	return strings.Join(macs, ", "), strings.Join(sigs, ", ")
}

// threeKeys returns a document whose first keys were rotated at epoch()+30 d, so
// that at now one of its MAC keys is replaced, one in use and one waiting, and the
// same for its signing keys.
func threeKeys(tb testing.TB) (d *keyring.Document, now time.Time) {
	tb.Helper()
	d = rotate(tb, generate(tb), epoch().Add(30*day))
	now = epoch().Add(31*day + 10*time.Minute)
	return rotate(tb, d, now.Add(-time.Minute)), now
}

func TestRevokeMAC(t *testing.T) {
	for _, test := range []struct {
		ids  []int
		want string
	}{
		{[]int{1}, "1 revoked, 2 in_use, 3 waiting"},
		{[]int{2}, "1 replaced, 2 revoked, 3 waiting, 4 in_use"},
		{[]int{3}, "1 replaced, 2 in_use, 3 revoked"},
		{[]int{2, 3}, "1 replaced, 2 revoked, 3 revoked, 4 in_use"},
		{[]int{3, 2, 1, 2}, "1 revoked, 2 revoked, 3 revoked, 4 in_use"},
	} {
		d, now := threeKeys(t)
		if mac, _ := uses(d, now); mac != "1 replaced, 2 in_use, 3 waiting" {
			t.Fatalf("there are %s", mac)
		}
		before := encode(t, d)
		next := revoke(t, d, now, keyring.Leak{MAC: test.ids})
		if encode(t, d) != before {
			t.Error("the document itself has changed")
		}
		if mac, _ := uses(next, now); mac != test.want {
			t.Errorf("%v revoked: %s, not %s", test.ids, mac, test.want)
		}
		keys, old := compile(t, next), compile(t, d)
		// These say whether a token of each key is accepted now, for a family that began while
		// the key minted.
		for _, k := range d.MAC {
			at := k.From
			if at.After(now) {
				continue // the key has made none
			}
			tok := token.Token{Family: familyOf(at), Counter: 1}
			_, err := keys.Codec.Parse(old.Codec.Mint(tok, at).Reveal())
			var revoked *token.RevokedError
			if isRevoked := errors.As(err, &revoked); isRevoked != slices.Contains(test.ids, int(k.ID)) || !isRevoked && err != nil {
				t.Errorf("%v revoked, a token of key %d: %v", test.ids, k.ID, err)
			} else if isRevoked && !revoked.At.Equal(now) {
				t.Errorf("revoked since %s", revoked.At)
			}
		}
		// A key can be used now and at any later time.
		for _, at := range []time.Time{now, now.Add(time.Minute), now.Add(time.Hour), now.Add(1000 * day)} {
			tok := token.Token{Family: familyOf(at), Counter: 1}
			if _, err := keys.Codec.Parse(keys.Codec.Mint(tok, at).Reveal()); err != nil {
				t.Errorf("%v revoked, %v later: %v", test.ids, at.Sub(now), err)
			}
		}
		// The document can be written and read, and revoking again changes nothing.
		read, err := keyring.Parse([]byte(encode(t, next)))
		if err != nil || encode(t, read) != encode(t, next) {
			t.Errorf("written and read it differs: %v", err)
		}
		if again := revoke(t, read, now.Add(time.Hour), keyring.Leak{MAC: test.ids}); again != read {
			t.Errorf("revoked again: %v", again)
		}
		mustHide(t, d, "inventory", fmt.Sprintf("%+v", next.Inventory(now)))
	}
}

// familyOf returns the id of a family that began at the given time.
func familyOf(at time.Time) (id [32]byte) {
	ms := uint64(at.UnixMilli())
	for i := range 6 {
		id[16+i] = byte(ms >> (40 - 8*i))
	}
	return id
}

func TestRevokeSigning(t *testing.T) {
	for _, test := range []struct {
		which []int
		want  string
	}{
		{[]int{0}, "revoked, in_use, waiting"},
		{[]int{1}, "replaced, revoked, waiting, in_use"},
		{[]int{2}, "replaced, in_use, revoked"},
		{[]int{0, 1, 2}, "revoked, revoked, revoked, in_use"},
	} {
		d, now := threeKeys(t)
		if _, sig := uses(d, now); sig != "replaced, in_use, waiting" {
			t.Fatalf("there are %s", sig)
		}
		var ids []string
		for _, i := range test.which {
			ids = append(ids, d.Signing[i].JWK.KeyID)
		}
		next := revoke(t, d, now, keyring.Leak{Signing: ids})
		if _, sig := uses(next, now); sig != test.want {
			t.Errorf("%v revoked: %s, not %s", test.which, sig, test.want)
		}
		for _, i := range test.which {
			if next.Signing[i].Private() {
				t.Error("a revoked key has its private half")
			}
		}
		keys := compile(t, next)
		published := kids(t, keys.Signing.JWKS(now))
		for i, k := range next.Signing {
			if slices.Contains(published, k.JWK.KeyID) == slices.Contains(test.which, i) {
				t.Errorf("%v revoked: of key %d the key set says %v", test.which, i, published)
			}
		}
		for _, at := range []time.Time{now, now.Add(day), now.Add(1000 * day)} {
			if _, err := keys.Signing.Verify(sign(t, keys, at), "i", at); err != nil {
				t.Errorf("%v revoked, %v later: %v", test.which, at.Sub(now), err)
			}
		}
		if again := revoke(t, next, now.Add(time.Hour), keyring.Leak{Signing: ids}); again != next {
			t.Errorf("revoked again: %v", again)
		}
	}

	// The new key has the requested algorithm.
	d, now := threeKeys(t)
	next, err := d.Revoke(keyring.Leak{Signing: []string{d.Signing[1].JWK.KeyID}}, now, signing.RS256)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ES256", "RS256"}, compile(t, next).Signing.Algorithms(now)); diff != "" {
		t.Error(diff)
	}
}

func TestRevokeRefuses(t *testing.T) {
	d, now := threeKeys(t)
	kid := d.Signing[0].JWK.KeyID
	for want, leak := range map[string]keyring.Leak{
		"no key is named": {},
		"there is no MAC key 9, but there are 1, 2, 3":      {MAC: []int{1, 9}},
		"there is no MAC key 257,":                          {MAC: []int{257}}, // and key 1 is not taken for it
		"there is no MAC key -1,":                           {MAC: []int{-1}},
		`there is no signing key "x", but there are ` + kid: {MAC: []int{1}, Signing: []string{kid, "x"}},
		`there is no signing key ""`:                        {Signing: []string{""}},
	} {
		next, err := d.Revoke(leak, now, signing.ES256)
		if next != nil {
			t.Errorf("%+v: %v", leak, next)
		}
		mustFail(t, err, want)
	}
	if _, err := d.Revoke(keyring.Leak{Signing: []string{d.Signing[1].JWK.KeyID}}, now, "HS256"); err == nil {
		t.Error("replaced by a key for HS256")
	}
	for len(d.MAC) < 256 {
		now = now.Add(day)
		d = rotate(t, d, now)
	}
	now = now.Add(day)
	_, err := d.Revoke(keyring.Leak{MAC: []int{int(d.MAC[255].ID)}}, now, signing.ES256)
	mustFail(t, err, "remove from the document")
	if _, err := d.Revoke(keyring.Leak{MAC: []int{1}}, now, signing.ES256); err != nil {
		t.Errorf("one that needs no successor: %v", err)
	}
}

// TestRotateAfterRevoke checks that rotation continues after an emergency. A key that was
// revoked while it waited does not keep the next one from being made, and revoked signing keys
// are removed in time.
func TestRotateAfterRevoke(t *testing.T) {
	d, now := threeKeys(t)
	leak := keyring.Leak{MAC: []int{2, 3}}
	for _, k := range d.Signing {
		leak.Signing = append(leak.Signing, k.JWK.KeyID)
	}
	d = revoke(t, d, now, leak)
	d = rotate(t, d, now.Add(time.Second))
	if mac, sig := uses(d, now.Add(time.Second)); mac != "1 replaced, 2 revoked, 3 revoked, 4 in_use, 5 waiting" || sig != "revoked, revoked, in_use, revoked, waiting" {
		t.Errorf("rotated at once: %s; %s", mac, sig)
	}
	at := now.Add(30 * day)
	d = rotate(t, d, at)
	if mac, sig := uses(d, at); mac != "1 replaced, 2 revoked, 3 revoked, 4 replaced, 5 in_use, 6 waiting" || sig != "revoked, revoked, revoked, in_use, waiting" {
		t.Errorf("after 30 days: %s; %s", mac, sig)
	}
	at = at.Add(time.Second)
	d = rotate(t, d, at)
	if _, sig := uses(d, at); sig != "in_use, waiting" {
		t.Errorf("after more than 30 days: %s", sig)
	}
	compile(t, d)
}

// TestParseWithoutRevocations checks that an older document, from before there were
// revocations, is read, and written unchanged.
func TestParseWithoutRevocations(t *testing.T) {
	good := encode(t, generate(t))
	if strings.Contains(good, "revoked") {
		t.Error("of a document without revocations an older release reads nothing")
	}
	d, now := threeKeys(t)
	next := revoke(t, d, now, keyring.Leak{MAC: []int{1}, Signing: []string{d.Signing[0].JWK.KeyID}})
	text := encode(t, next)
	if n := strings.Count(text, `"revoked":"2026-04-01T12:10:00Z"`); n != 2 {
		t.Errorf("%d revocations are written", n)
	}
	for _, bad := range []string{`null`, `""`, `"0001-01-01T00:00:00Z"`, `true`, `1772366400`} {
		_, err := keyring.Parse([]byte(strings.Replace(text, `"2026-04-01T12:10:00Z"`, bad, 1)))
		mustFail(t, err, "mac[0].revoked")
		i := strings.LastIndex(text, `"2026-04-01T12:10:00Z"`)
		_, err = keyring.Parse([]byte(text[:i] + bad + text[i+len(`"2026-04-01T12:10:00Z"`):]))
		mustFail(t, err, "signing[0].revoked")
	}
}

// TestRevokedFits checks that a document has room for its keys even if all but one are
// revoked.
func TestRevokedFits(t *testing.T) {
	d, err := keyring.Generate(signing.RS256, epoch())
	if err != nil {
		t.Fatal(err)
	}
	leak := keyring.Leak{Signing: []string{d.Signing[0].JWK.KeyID}}
	for i := 1; i < 255; i++ {
		leak.MAC = append(leak.MAC, i)
		d.MAC = append(d.MAC, token.Key{ID: byte(i + 1), Secret: []byte(strings.Repeat("s", 64)), From: epoch().Add(time.Duration(i) * 123456789)})
	}
	d = revoke(t, d, epoch().Add(day+123456789), keyring.Leak{MAC: append(leak.MAC, 255), Signing: leak.Signing})
	if len(d.MAC) != 256 || len(d.Signing) != 2 {
		t.Fatalf("there are %v", d)
	}
	if n := len(encode(t, d)); n > keyringtest.MaxText {
		t.Errorf("the document has %d bytes", n)
	} else {
		t.Logf("%d bytes", n)
	}
}
