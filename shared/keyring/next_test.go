package keyring_test

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/token"
)

const day = 24 * time.Hour

// longest is the longest lifetime of access tokens in the tests.
const longest = day

func rotate(tb testing.TB, d *keyring.Document, now time.Time) *keyring.Document {
	tb.Helper()
	next, err := d.Rotate(now, signing.ES256, longest)
	if err != nil {
		tb.Fatal(err)
	}
	return next
}

func compile(tb testing.TB, d *keyring.Document) *keyring.Keys {
	tb.Helper()
	keys, err := d.Compile()
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

// kids returns the ids of the keys in a key set.
func kids(tb testing.TB, jwks []byte) []string {
	tb.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(jwks, &set); err != nil {
		tb.Fatal(err)
	}
	var ids []string
	for _, k := range set.Keys {
		ids = append(ids, k.KeyID)
	}
	return ids
}

// kid returns the id of the key that signs access tokens at the given time.
func kid(tb testing.TB, keys *keyring.Keys, at time.Time) string {
	tb.Helper()
	signed, err := jose.ParseSignedCompact(sign(tb, keys, at), []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	if err != nil {
		tb.Fatal(err)
	}
	return signed.Signatures[0].Protected.KeyID
}

// sign returns an access token that is signed at the given time and lives as long as
// one can.
func sign(tb testing.TB, keys *keyring.Keys, at time.Time) string {
	tb.Helper()
	access, err := keys.Signing.SignAccess(at, signing.Access{
		Issuer: "i", Subject: "s", Audience: signing.Audience{"a"}, ClientID: "c", IssuedAt: at, ExpiresAt: at.Add(longest),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return access
}

// TestLeads checks that all functions have a MAC key before the first of them mints under it,
// even one that read the secret just before it changed and whose next ten reads fail.
func TestLeads(t *testing.T) {
	if left := keyring.MACLead - keyring.RotationTime - keyring.MaxAge; left < 10*keyring.RetryAfter {
		t.Errorf("a function has %v after its copy's age to read the secret", left)
	}
	if keyring.RotationTime < time.Minute {
		t.Errorf("a rotation has %v", keyring.RotationTime)
	}
	// docs/design.md and the documentation of gateways promise a day at most.
	if left := keyring.SigningLead - keyring.RotationTime - keyring.MaxAge; left < 23*time.Hour {
		t.Errorf("key sets may be kept for %v", left)
	}
}

func TestRotate(t *testing.T) {
	first := generate(t)
	before := encode(t, first)
	start := epoch().Add(30 * day)
	second := rotate(t, first, start)
	if encode(t, first) != before {
		t.Error("the document itself has changed")
	}
	keys := compile(t, second)
	old, fresh := first.Signing[0].JWK.KeyID, second.Signing[1].JWK.KeyID
	if diff := cmp.Diff(first.UserKey, second.UserKey); diff != "" {
		t.Error("the user key is another")
	}
	if !second.MAC[1].From.Equal(start.Add(15*time.Minute)) || second.MAC[1].ID != 2 || len(second.MAC) != 2 {
		t.Errorf("the MAC keys are %v", second.MAC)
	}

	// The keys take turns.
	macID := func(at time.Time) byte {
		return decode(t, keys.Codec.Mint(token.Token{Counter: 1}, at).Reveal())[1]
	}
	for _, tt := range []struct {
		after     time.Duration
		mac       byte
		signer    string
		published []string
	}{
		{0, 1, old, []string{old, fresh}},
		{15*time.Minute - 1, 1, old, []string{old, fresh}},
		{15 * time.Minute, 2, old, []string{old, fresh}},
		{day - 1, 2, old, []string{old, fresh}},
		{day, 2, fresh, []string{old, fresh}},
		{2*day - 1, 2, fresh, []string{old, fresh}},
		{2 * day, 2, fresh, []string{fresh}},
	} {
		at := start.Add(tt.after)
		if id := macID(at); id != tt.mac {
			t.Errorf("after %v MAC key %d mints, not %d", tt.after, id, tt.mac)
		}
		if id := kid(t, keys, at); id != tt.signer {
			t.Errorf("after %v another key signs", tt.after)
		}
		if diff := cmp.Diff(tt.published, kids(t, keys.Signing.JWKS(at))); diff != "" {
			t.Errorf("after %v the key set differs (-want +got):\n%s", tt.after, diff)
		}
	}

	// A key that has signed for the last time loses its private half, and is removed when it
	// is no longer published. The time of its end does not change.
	private := func(d *keyring.Document, id string) string {
		i := slices.IndexFunc(d.Signing, func(k signing.Key) bool { return k.JWK.KeyID == id })
		if i < 0 {
			return "gone"
		}
		if d.Signing[i].Private() {
			return "private"
		}
		return "public until " + d.Signing[i].Until.Sub(start).String()
	}
	for after, want := range map[time.Duration]string{day - 1: "private", day: "public until 48h0m0s", 2*day - 1: "public until 48h0m0s", 2 * day: "gone"} {
		second.Signing = slices.Grow(second.Signing, 2) // gives it spare capacity, as a parsed one may have
		was := encode(t, second)
		third := rotate(t, second, start.Add(after))
		if encode(t, second) != was {
			t.Errorf("rotated after %v, the document itself has changed", after)
		}
		if got := private(third, old); got != want {
			t.Errorf("rotated after %v, the old key is %s, want %s", after, got, want)
		}
		if got := private(third, fresh); got != "private" {
			t.Errorf("rotated after %v, the key that signs is %s", after, got)
		}
	}
}

// TestRotateAgain checks that rotating again adds no keys while keys wait for their time.
func TestRotateAgain(t *testing.T) {
	d := generate(t)
	start := epoch().Add(day)
	d = rotate(t, d, start)
	for _, tt := range []struct {
		after        time.Duration
		mac, signing int
	}{
		{0, 2, 2},
		{15*time.Minute - 1, 2, 2},
		{15 * time.Minute, 3, 2},
		{29 * time.Minute, 3, 2},
		{day - 1, 4, 2},
		{day, 4, 3}, // the second key signs, and the first is public
	} {
		d = rotate(t, d, start.Add(tt.after))
		if len(d.MAC) != tt.mac || len(d.Signing) != tt.signing {
			t.Errorf("after %v there are %d MAC and %d signing keys, want %d and %d", tt.after, len(d.MAC), len(d.Signing), tt.mac, tt.signing)
		}
	}
}

func TestRotateAlgorithm(t *testing.T) {
	d := generate(t)
	next, err := d.Rotate(epoch(), signing.RS256, longest)
	if err != nil {
		t.Fatal(err)
	}
	keys := compile(t, next)
	if diff := cmp.Diff([]string{"ES256", "RS256"}, keys.Signing.Algorithms(epoch())); diff != "" {
		t.Errorf("algorithms (-want +got):\n%s", diff)
	}
	if id := kid(t, keys, epoch().Add(day)); id != next.Signing[1].JWK.KeyID || next.Signing[1].JWK.Algorithm != "RS256" {
		t.Error("the new key does not sign")
	}
	if _, err := d.Rotate(epoch(), "HS256", longest); err == nil {
		t.Error("rotated to HS256")
	}
}

// TestRotateMACIDs checks that ids wrap around, are never used twice, and run out.
func TestRotateMACIDs(t *testing.T) {
	d := generate(t)
	now := epoch()
	for len(d.MAC) < 256 {
		now = now.Add(day)
		d = rotate(t, d, now)
	}
	compile(t, d)
	if d.MAC[255].ID != 0 || d.MAC[254].ID != 255 {
		t.Errorf("the last ids are %d and %d", d.MAC[254].ID, d.MAC[255].ID)
	}
	now = now.Add(day)
	_, err := d.Rotate(now, signing.ES256, longest)
	if err == nil || !strings.Contains(err.Error(), "256") || !strings.Contains(err.Error(), "remove") {
		t.Errorf("a 257th key: %v", err)
	}
	// Keys that are removed by hand make room for new ones.
	d.MAC = slices.Delete(d.MAC, 5, 7)
	d = rotate(t, d, now)
	if last := d.MAC[len(d.MAC)-1]; last.ID != 6 {
		t.Errorf("the new id is %d", last.ID)
	}
	compile(t, d)
}

// TestRotateFits checks that a document with the greatest number of the longest keys fits into
// a secret.
func TestRotateFits(t *testing.T) {
	now := epoch()
	d, err := keyring.Generate(signing.RS256, now)
	if err != nil {
		t.Fatal(err)
	}
	for i := 2; i <= 256; i++ {
		d.MAC = append(d.MAC, token.Key{ID: byte(i), Secret: []byte(strings.Repeat("s", 64)), From: now.Add(123456789)})
	}
	d.MAC = d.MAC[:254]
	most := 0
	for range 4 {
		now = now.Add(12 * time.Hour)
		if d, err = d.Rotate(now, signing.RS256, longest); err != nil {
			t.Fatal(err)
		}
		d.MAC = d.MAC[:254]
		most = max(most, len(encode(t, d))+2*len(`{"id":255,"key":"","from":"2026-03-01T12:00:00.123456789Z"},`)+2*88)
	}
	t.Logf("%d bytes", most)
	if most > keyringtest.MaxText {
		t.Errorf("the document has %d bytes", most)
	}
}

// TestRotateKeepsTokens checks that the tokens of every minute are accepted until they end,
// whenever rotations happen.
func TestRotateKeepsTokens(t *testing.T) {
	for _, every := range []time.Duration{10 * time.Minute, 5 * time.Hour, 11 * time.Hour, day - time.Second, day, day + time.Second, 30*time.Hour + time.Minute, 30 * day} {
		t.Run(every.String(), func(t *testing.T) {
			t.Parallel()
			type issued struct {
				at              time.Time
				refresh, access string
			}
			var tokens []issued
			d, now := generate(t), epoch()
			most := 0
			for i := range 60 {
				now = epoch().Add(time.Duration(i) * every)
				before := compile(t, d)
				d = rotate(t, d, now)
				most = max(most, len(d.Signing))
				keys := compile(t, d)
				// Both documents make a token at each time until the next rotation.
				for _, after := range []time.Duration{0, 14 * time.Minute, 16 * time.Minute, every - 1} {
					at := now.Add(min(after, every-1))
					maker := keys
					if after < 15*time.Minute {
						maker = before
					}
					tokens = append(tokens, issued{at, maker.Codec.Mint(token.Token{Counter: 1}, at).Reveal(), sign(t, maker, at)})
				}
				for _, made := range tokens {
					if _, err := keys.Codec.Parse(made.refresh); err != nil {
						t.Fatalf("after %v, the refresh token of %v: %v", now.Sub(epoch()), made.at.Sub(epoch()), err)
					}
					for _, at := range []time.Time{now, now.Add(every - 1), made.at.Add(longest - time.Second)} {
						if at.Before(now) || at.Before(made.at) || !at.Before(made.at.Truncate(time.Second).Add(longest)) || !at.Before(now.Add(every)) {
							continue
						}
						if _, err := keys.Signing.Verify(made.access, "i", at); err != nil {
							t.Fatalf("at %v, the access token of %v: %v", at.Sub(epoch()), made.at.Sub(epoch()), err)
						}
					}
				}
				tokens = slices.DeleteFunc(tokens, func(made issued) bool { return now.Sub(made.at) > 2*longest })
			}
			if most > 4 {
				t.Errorf("up to %d signing keys", most)
			}
		})
	}
}

// TestRotateForDecades checks 300 monthly rotations, in which the oldest MAC keys are removed
// when there is no room.
func TestRotateForDecades(t *testing.T) {
	d, now := generate(t), epoch()
	biggest, most := 0, 0
	for i := range 300 {
		now = now.Add(30 * day)
		if len(d.MAC) == 256 {
			d.MAC = d.MAC[1:]
		}
		last := d
		d = rotate(t, d, now)
		keys := compile(t, d)
		if _, err := keys.Signing.Verify(sign(t, compile(t, last), now), "i", now.Add(longest-time.Second)); err != nil {
			t.Fatalf("rotation %d: %v", i, err)
		}
		biggest, most = max(biggest, len(encode(t, d))), max(most, len(d.Signing))
	}
	if biggest > keyringtest.MaxText || most != 2 {
		t.Errorf("up to %d bytes and %d signing keys", biggest, most)
	}
	t.Logf("%d MAC keys, up to %d bytes", len(d.MAC), biggest)
}

// decode returns the bytes of a refresh token.
func decode(tb testing.TB, refresh string) []byte {
	tb.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(refresh, token.Prefix))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}
