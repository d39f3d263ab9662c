package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/token"
)

var both = keyring.Secrets{Token: keyringtest.ID, Signing: keyringtest.SigningID}

// newApart returns a rotator of two secrets, of which the one with the token keys has the
// given text.
func newApart(t *testing.T, text string) *rotator {
	t.Helper()
	r := newRotator(t, text)
	r.rotation.Secrets = both
	return r
}

// beginSigning begins a rotation of the signing keys, and returns its pending version.
func (r *rotator) beginSigning() string {
	r.begun++
	version := fmt.Sprintf("rotation-%032d", r.begun)
	r.m.Signing.Begin(version)
	return version
}

// runSigning takes all steps of a rotation of the signing keys, until one fails.
func (r *rotator) runSigning(now time.Time, version string) error {
	for _, step := range steps {
		e := keyring.RotationEvent{Step: step, SecretID: keyringtest.SigningID, Version: version}
		if err := r.rotation.Step(r.t.Context(), now, e); err != nil {
			return err
		}
	}
	return nil
}

func (r *rotator) mustRunSigning(now time.Time) {
	r.t.Helper()
	version := r.beginSigning()
	if err := r.runSigning(now, version); err != nil {
		r.t.Fatal(err)
	}
	if current := r.m.Signing.Labeled("AWSCURRENT"); current != version {
		r.t.Fatalf("the current version of the signing keys is %s", current)
	}
}

// in returns the document with the label in a secret.
func (r *rotator) in(s *keyringtest.Secret, label string) *keyring.Document {
	r.t.Helper()
	d, err := keyring.Parse([]byte(s.Text(label)))
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

// read returns the keys that a function which has just started reads.
func (r *rotator) read(secrets keyring.Secrets, need keyring.Need, now time.Time) (*keyring.Keys, error) {
	return keyring.SecretsManager(r.m.Client(1), secrets, need, slog.New(slog.DiscardHandler)).Keys(context.Background(), now)
}

func (r *rotator) mustRead(secrets keyring.Secrets, need keyring.Need, now time.Time) *keyring.Keys {
	r.t.Helper()
	keys, err := r.read(secrets, need, now)
	if err != nil {
		r.t.Fatal(err)
	}
	return keys
}

// mustAgree checks that functions which have just started take each other's tokens. secrets
// are what each of them knows.
func (r *rotator) mustAgree(now time.Time, known ...keyring.Secrets) {
	r.t.Helper()
	for _, maker := range known {
		makes := r.mustRead(maker, keyring.ToIssue, now)
		access, refresh := sign(r.t, makes, now), makes.Codec.Mint(token.Token{Counter: 1}, now).Reveal()
		for _, reader := range known {
			for _, need := range []keyring.Need{keyring.ToIssue, keyring.ToCheck, keyring.ToPublish} {
				reads := r.mustRead(reader, need, now)
				if _, err := reads.Signing.Verify(access, "i", now); err != nil {
					r.t.Errorf("need %d of %+v does not take an access token of %+v: %v", need, reader, maker, err)
				}
				if need == keyring.ToPublish {
					continue
				}
				if _, err := reads.Codec.Parse(refresh); err != nil {
					r.t.Errorf("need %d of %+v does not take a refresh token of %+v: %v", need, reader, maker, err)
				}
				if reads.Users.Key("u") != makes.Users.Key("u") {
					r.t.Errorf("need %d of %+v has another user key", need, reader)
				}
			}
		}
	}
}

// mustPublish checks that the public keys are those of the current signing keys, and that
// nothing private is among them. If somebody has given up, a key of a version that did not
// become current may be public as well.
func (r *rotator) mustPublish(now time.Time, givenUp ...bool) {
	r.t.Helper()
	current, public := r.in(r.m.Signing, "AWSCURRENT"), r.in(r.m.Signing, keyring.LabelPublic)
	mustHide(r.t, current, "the public version", r.m.Signing.Text(keyring.LabelPublic))
	for _, k := range public.Signing {
		if k.Private() {
			r.t.Errorf("%v is published", k)
		}
	}
	if len(givenUp) > 0 && givenUp[0] {
		public.Signing = slices.DeleteFunc(public.Signing, func(k signing.Key) bool {
			return !slices.ContainsFunc(current.Signing, func(other signing.Key) bool { return other.JWK.KeyID == k.JWK.KeyID })
		})
	}
	want, got := current.Inventory(now).Signing, public.Inventory(now).Signing
	for _, entries := range [][]keyring.SigningEntry{want, got} {
		for i := range entries {
			if entries[i].Use != keyring.Revoked {
				entries[i].Use = "" // a public key has none
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("the public keys (-current +public):\n%s", diff)
	}
}

// TestApartFirstKeys checks that each secret gets keys of its kind, whichever rotates first, and
// that the public keys can be read apart from the private ones.
func TestApartFirstKeys(t *testing.T) {
	for _, tokenFirst := range []bool{true, false} {
		r := newApart(t, random)
		now := epoch()
		if tokenFirst {
			r.mustRun(now, r.begin())
		}
		if r.m.Tag(keyring.TagApart) != "" {
			t.Error("the keys are said to be apart before they are")
		}
		r.mustRunSigning(now)
		if !tokenFirst {
			r.mustRun(now, r.begin())
		}
		if d := r.document(); len(d.MAC) != 1 || len(d.Signing) != 0 || strings.Contains(r.m.Text("AWSCURRENT"), "signing") {
			t.Errorf("the secret of the token keys has %v", d)
		}
		if d := r.in(r.m.Signing, "AWSCURRENT"); len(d.MAC) != 0 || d.UserKey != nil || len(d.Signing) != 1 || !d.Signing[0].From.Equal(now) {
			t.Errorf("the secret of the signing keys has %v", d)
		}
		if r.m.Tag(keyring.TagApart) != "true" || r.m.Signing.Tag(keyring.TagApart) != "" {
			t.Error("the secret of the token keys does not say that the signing keys are elsewhere")
		}
		r.mustPublish(now)
		r.mustAgree(now, both)
		for _, need := range []keyring.Need{keyring.ToCheck, keyring.ToPublish} {
			keys := r.mustRead(both, need, now)
			if _, err := keys.Signing.SignAccess(now, signing.Access{}); !errors.Is(err, signing.ErrVerifiesOnly) {
				t.Errorf("with the need %d it signs: %v", need, err)
			}
			if has := keys.Codec != nil && keys.Users != nil; has != (need == keyring.ToCheck) {
				t.Errorf("with the need %d there are token keys: %v", need, has)
			}
		}
		for i := range 4 { // each by itself, for months
			now = now.Add(30 * day)
			r.mustRun(now, r.begin())
			r.mustPublish(now)
			r.mustAgree(now, both)
			r.mustRunSigning(now.Add(time.Hour))
			r.mustPublish(now)
			r.mustAgree(now.Add(2*time.Hour), both)
			r.mustAgree(now.Add(2*day), both)
			if mac, _ := r.current(now); mac[:1] != "1" || len(r.document().MAC) != 2+i {
				t.Errorf("the MAC keys are %s", mac)
			}
		}
	}
}

// TestApartTakesOver checks that the tokens of a secret that had all keys stay good while the
// signing keys move out of it. For functions of the earlier release they do until the signing
// keys have been replaced.
func TestApartTakesOver(t *testing.T) {
	first, now := threeKeys(t)
	now = now.Add(2 * day) // none waits, so that a rotation would make one
	r := newApart(t, encode(t, first))
	before, after := keyring.Secrets{Token: keyringtest.ID}, both
	old := r.mustRead(before, keyring.ToIssue, now)
	r.mustAgree(now, before, after)
	r.mustRun(now, r.begin()) // the token keys may be rotated before the signing keys have moved
	if got := r.document(); len(got.Signing) != len(first.Signing) || r.m.Signing.Text("AWSCURRENT") != "{}" {
		t.Fatalf("not yet moved: %v", got)
	}

	r.mustRunSigning(now)
	if diff := cmp.Diff(encode(t, &keyring.Document{Signing: first.Signing}), r.m.Signing.Text("AWSCURRENT")); diff != "" {
		t.Error("the signing keys have not moved as they were") // without the diff: it holds keys
	}
	if !strings.Contains(r.log.String(), `"taken_over":true`) {
		t.Errorf("logged %s", r.log)
	}
	r.mustPublish(now)
	r.mustAgree(now, before, after)
	for _, need := range []keyring.Need{keyring.ToIssue, keyring.ToCheck, keyring.ToPublish} {
		if got := r.mustRead(after, need, now); string(got.Signing.JWKS(now)) != string(old.Signing.JWKS(now)) {
			t.Errorf("with the need %d other keys are published", need)
		}
	}

	// Until the signing keys have been rotated, the earlier release can come back.
	now = now.Add(time.Hour)
	r.mustRun(now, r.begin())
	if got := r.document(); !slices.EqualFunc(got.Signing, first.Signing, func(a, b signing.Key) bool { return a.JWK.KeyID == b.JWK.KeyID }) {
		t.Errorf("the secret of the token keys has %v", got)
	}
	r.mustAgree(now, before, after)
	now = now.Add(29 * day)
	r.mustRunSigning(now)
	r.mustPublish(now)
	r.mustAgree(now, after)
	if len(r.document().Signing) == 0 {
		t.Error("the signing keys are gone before the token keys were rotated")
	}

	// A rotation of the token keys then rids the secret of them.
	now = now.Add(time.Hour)
	r.mustRun(now, r.begin())
	if got := r.document(); len(got.Signing) != 0 || len(got.MAC) < 4 {
		t.Errorf("the secret of the token keys has %v", got)
	}
	r.mustAgree(now, after)
	if _, err := r.read(before, keyring.ToIssue, now); !errors.Is(err, keyring.ErrUnavailable) {
		t.Errorf("the earlier release reads keys: %v", err)
	}
	refresh := old.Codec.Mint(token.Token{Counter: 1}, epoch()).Reveal()
	if _, err := r.mustRead(after, keyring.ToIssue, now).Codec.Parse(refresh); err != nil {
		t.Errorf("a refresh token of before: %v", err)
	}
	mustHide(t, first, "log", r.log.String())
}

// TestApartKeepsSigningKeys checks that a pending version without the signing keys does not
// become current while they are needed in the secret of the token keys.
func TestApartKeepsSigningKeys(t *testing.T) {
	first := generate(t)
	now := epoch().Add(30 * day)
	r := newApart(t, encode(t, first))
	without := encode(t, rotate(t, &keyring.Document{UserKey: first.UserKey, MAC: first.MAC}, now))
	pend := func() string {
		version := r.begin()
		r.m.Edit(func(versions map[string]*keyringtest.Version) { versions[version].Text = &without })
		return version
	}
	mustFail(t, r.run(now, pend()), "is missing") // not yet moved
	r.mustRunSigning(now)
	mustFail(t, r.run(now, pend()), "is missing") // moved a moment ago
	r.mustRunSigning(now)
	r.mustRun(now, pend())
	r.mustAgree(now, both)
}

// TestApartFaults checks that each key that signs is published, wherever a rotation of the
// signing keys or an emergency fails, and that repeating it leads to where it would have led.
func TestApartFaults(t *testing.T) {
	combined := encode(t, generate(t))
	now := epoch().Add(30 * day)
	kid := func(r *rotator) string { return r.in(r.m.Signing, "AWSCURRENT").Signing[0].JWK.KeyID }
	emergency := func(r *rotator, leaked string, now time.Time) error {
		_, err := r.emergency(now, keyring.Leak{Signing: []string{leaked}})
		return err
	}
	for name, does := range map[string]struct {
		text    string
		prepare func(r *rotator) func(time.Time) error
	}{
		"first keys": {random, func(r *rotator) func(time.Time) error {
			r.mustRun(now, r.begin())
			version := r.beginSigning()
			return func(now time.Time) error { return r.runSigning(now, version) }
		}},
		"taking over": {combined, func(r *rotator) func(time.Time) error {
			version := r.beginSigning()
			return func(now time.Time) error { return r.runSigning(now, version) }
		}},
		"rotation": {combined, func(r *rotator) func(time.Time) error {
			r.mustRunSigning(epoch())
			version := r.beginSigning()
			return func(now time.Time) error { return r.runSigning(now, version) }
		}},
		"emergency": {combined, func(r *rotator) func(time.Time) error {
			r.mustRunSigning(epoch())
			leaked := kid(r)
			return func(now time.Time) error { return emergency(r, leaked, now) }
		}},
		"emergency before": {combined, func(r *rotator) func(time.Time) error {
			leaked := r.document().Signing[0].JWK.KeyID
			return func(now time.Time) error { return emergency(r, leaked, now) }
		}},
	} {
		for name2, fault := range map[string]keyringtest.Fault{"failed": keyringtest.Failed, "answer lost": keyringtest.Lost} {
			t.Run(name+"/"+name2, func(t *testing.T) {
				t.Parallel()
				broken := 0
				for call := 1; ; call++ {
					r := newApart(t, does.text)
					do := does.prepare(r)
					r.m.Break(func(n int, _ string) keyringtest.Fault {
						if n == call {
							return fault
						}
						return keyringtest.None
					})
					err := do(now)
					reached := len(r.m.Calls()) >= call
					r.m.Break(nil)
					if err != nil {
						mustHide(t, r.document(), "error", err.Error())
						if keys, err := r.read(both, keyring.ToIssue, now); err == nil {
							public := r.mustRead(both, keyring.ToPublish, now)
							if _, err := public.Signing.Verify(sign(t, keys, now), "i", now); err != nil {
								t.Errorf("call %d: what signs is not published: %v", call, err)
							}
						} else if does.text != random {
							t.Errorf("call %d: there are no keys: %v", call, err)
						}
						if err := do(now.Add(time.Minute)); err != nil {
							t.Fatalf("call %d, repeated: %v", call, err)
						}
					}
					r.mustPublish(now.Add(time.Minute))
					r.mustAgree(now.Add(time.Minute), both)
					if strings.HasPrefix(name, "emergency") {
						if _, sig := uses(r.in(r.m.Signing, "AWSCURRENT"), now.Add(time.Minute)); sig != "revoked, in_use" {
							t.Errorf("call %d: the signing keys are %s", call, sig)
						}
					} else if r.m.Tag(keyring.TagApart) != "true" {
						t.Errorf("call %d: nobody is told that the keys are apart", call)
					}
					if !reached {
						break
					}
					broken++
				}
				if broken < 10 {
					t.Errorf("%d calls were broken", broken)
				}
			})
		}
	}
}

// TestApartEmergency checks that a leak of one kind touches one secret, and that a leak of both
// touches neither if a key of it does not exist.
func TestApartEmergency(t *testing.T) {
	r := newApart(t, encode(t, generate(t)))
	r.mustRunSigning(epoch())
	now := epoch().Add(day)
	kid := r.in(r.m.Signing, "AWSCURRENT").Signing[0].JWK.KeyID
	stolen := r.mustRead(both, keyring.ToIssue, now)
	forged := sign(t, stolen, now)

	tokens, signs := r.m.Text("AWSCURRENT"), r.m.Signing.Text("AWSCURRENT")
	for _, leak := range []keyring.Leak{
		{}, {MAC: []int{1}, Signing: []string{"x"}}, {MAC: []int{9}, Signing: []string{kid}}, {MAC: []int{9}}, {Signing: []string{"x"}},
	} {
		if _, err := r.emergency(now, leak); err == nil {
			t.Errorf("%+v is revoked", leak)
		}
	}
	if r.m.Text("AWSCURRENT") != tokens || r.m.Signing.Text("AWSCURRENT") != signs {
		t.Error("what was refused has changed the keys")
	}

	got, err := r.emergency(now, keyring.Leak{MAC: []int{1}})
	if err != nil || r.m.Signing.Text("AWSCURRENT") != signs || len(got.MAC) != 2 || len(got.Signing) != 1 || got.Signing[0].Use != keyring.InUse {
		t.Errorf("a MAC key: %+v, %v", got, err)
	}
	if d := r.document(); len(d.Signing) != 1 {
		t.Errorf("the emergency has removed signing keys: %v", d)
	}
	tokens = r.m.Text("AWSCURRENT")
	got, err = r.emergency(now, keyring.Leak{Signing: []string{kid}})
	if err != nil || r.m.Text("AWSCURRENT") != tokens || len(got.MAC) != 2 || len(got.Signing) != 2 || got.Signing[0].Use != keyring.Revoked || got.Signing[1].Use != keyring.InUse {
		t.Errorf("a signing key: %+v, %v", got, err)
	}
	listed, err := r.rotation.Inventory(t.Context(), now)
	if diff := cmp.Diff(got, listed); err != nil || diff != "" {
		t.Errorf("the list (-emergency +list): %v\n%s", err, diff)
	}
	r.mustPublish(now)
	r.mustAgree(now, both)
	for _, need := range []keyring.Need{keyring.ToIssue, keyring.ToCheck, keyring.ToPublish} {
		if _, err := r.mustRead(both, need, now).Signing.Verify(forged, "i", now); err == nil || errors.Is(err, signing.ErrUnknownKey) {
			t.Errorf("with the need %d, under the leaked key: %v", need, err)
		}
	}
	got, err = r.emergency(now, keyring.Leak{MAC: []int{2}, Signing: []string{got.Signing[1].ID}})
	if err != nil || len(got.MAC) != 3 || len(got.Signing) != 3 || got.MAC[1].Use != keyring.Revoked || got.Signing[1].Use != keyring.Revoked {
		t.Errorf("both: %+v, %v", got, err)
	}
	r.mustPublish(now)
	r.mustAgree(now, both)

	// The copy of the leaked key in the secret of the token keys goes with their next rotation.
	r.mustRun(now.Add(time.Hour), r.begin())
	if d := r.document(); len(d.Signing) != 0 {
		t.Errorf("the secret of the token keys has %v", d)
	}

	// One secret that cannot be read does not keep the other's keys in use.
	r.m.Signing.Put("damaged-version-00000000000000000", `{"signing":[`)
	_, err = r.emergency(now, keyring.Leak{MAC: []int{3}})
	mustFail(t, err, "the keys are revoked, but the other secret")
	if mac, _ := r.current(now); mac != "1 revoked, 2 revoked, 3 revoked, 4 waiting, 5 in_use" {
		t.Errorf("the MAC keys are %s", mac)
	}
}

// TestApartEmergencyTakesOver checks that an emergency before the signing keys have moved takes
// them over without the leaked one, which no rotation that was under way brings back.
func TestApartEmergencyTakesOver(t *testing.T) {
	first := generate(t)
	leak := keyring.Leak{Signing: []string{first.Signing[0].JWK.KeyID}}
	for after := range steps {
		r := newApart(t, encode(t, first))
		now := epoch().Add(day)
		version := r.beginSigning()
		for _, step := range steps[:after] {
			if err := r.rotation.Step(t.Context(), now, keyring.RotationEvent{Step: step, SecretID: keyringtest.SigningID, Version: version}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.emergency(now, leak); err != nil {
			t.Fatal(err)
		}
		if r.m.Text("AWSCURRENT") != encode(t, first) {
			t.Error("the secret of the token keys has changed")
		}
		err := r.runSigning(now, version)
		if (err == nil) != (after == 0) {
			t.Errorf("after %d steps: %v", after, err)
		}
		check := func() {
			t.Helper()
			r.mustPublish(now)
			r.mustAgree(now, both)
			if _, sig := uses(r.in(r.m.Signing, "AWSCURRENT"), now); !strings.HasPrefix(sig, "revoked, in_use") {
				t.Errorf("after %d steps the signing keys are %s", after, sig)
			}
		}
		check()
		now = now.Add(time.Hour)
		r.mustRunSigning(now)
		check()
		r.mustRun(now, r.begin())
		check()
	}
}

// TestApartEmergencyMeetsRotation checks that an emergency at any request of a rotation of the
// signing keys wins: what is published in the end has the leaked key revoked, and each key that
// signs.
func TestApartEmergencyMeetsRotation(t *testing.T) {
	first := generate(t)
	leak := keyring.Leak{Signing: []string{first.Signing[0].JWK.KeyID}}
	now := epoch().Add(30 * day)
	for _, moved := range []bool{false, true} {
		met := 0
		for call := 1; ; call++ {
			r := newApart(t, encode(t, first))
			if moved {
				r.mustRunSigning(epoch())
			}
			calm, n, came := r.rotation, 0, false
			r.rotation.Client = r.m.ClientOver(roundTrips(func(req *http.Request) (*http.Response, error) {
				if n++; n == call {
					came = true
					if _, err := calm.Emergency(t.Context(), now, leak); err != nil {
						t.Error(err)
					}
				}
				return http.DefaultTransport.RoundTrip(req)
			}), 1)
			version := r.beginSigning()
			failed := r.runSigning(now, version)
			r.rotation = calm
			if !came {
				break
			}
			met++
			check := func() {
				t.Helper()
				r.mustPublish(now, failed != nil)
				r.mustAgree(now, both)
				if _, sig := uses(r.in(r.m.Signing, "AWSCURRENT"), now); !strings.HasPrefix(sig, "revoked, ") || !strings.Contains(sig, "in_use") {
					t.Errorf("at request %d the signing keys are %s", call, sig)
				}
			}
			if failed != nil { // Secrets Manager takes it up again, and then begins another
				_ = r.runSigning(now, version)
			}
			check()
			r.mustRunSigning(now.Add(time.Minute))
			failed = nil
			check()
		}
		if met < 15 {
			t.Errorf("%d requests were met", met)
		}
	}
}

type roundTrips func(*http.Request) (*http.Response, error)

func (f roundTrips) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestPublishGivesUp checks that it is reported after five attempts that somebody else is always
// faster with the public keys.
func TestPublishGivesUp(t *testing.T) {
	r := newApart(t, encode(t, generate(t)))
	r.mustRunSigning(epoch())
	calm, n := r.rotation, 0
	r.rotation.Client = r.m.ClientOver(&interposed{http.DefaultTransport, "UpdateSecretVersionStage", func() {
		n++
		text := fmt.Sprintf(`{"n":%d}`, n)
		r.m.Signing.Edit(func(versions map[string]*keyringtest.Version) {
			for _, v := range versions {
				v.Labels = slices.DeleteFunc(v.Labels, func(l string) bool { return l == keyring.LabelPublic })
			}
			versions[fmt.Sprintf("somebody-%032d", n)] = &keyringtest.Version{Text: &text, Labels: []string{keyring.LabelPublic}}
		})
	}}, 1)
	now, version := epoch().Add(30*day), r.beginSigning()
	mustFail(t, r.runSigning(now, version), "the public keys have changed 5 times")
	r.rotation = calm
	if err := r.runSigning(now, version); err != nil {
		t.Fatal(err)
	}
	r.mustPublish(now)
}

// TestApartRefuses checks that the secrets hold what belongs in them, and that nothing is written
// over that may be keys.
func TestApartRefuses(t *testing.T) {
	all := generate(t)
	combined, tokens, signs := encode(t, all), encode(t, all.Token()), encode(t, &keyring.Document{Signing: all.Signing})
	public := encode(t, &keyring.Document{Signing: []signing.Key{all.Signing[0].Retired(time.Time{})}})
	for name, test := range map[string]struct{ token, signing, want string }{
		"signing keys alone as token keys":           {signs, "{}", "it has no token keys"},
		"token keys as signing keys":                 {tokens, tokens, "it has token keys"},
		"all keys as signing keys":                   {tokens, combined, "it has token keys"},
		"public keys as signing keys":                {tokens, public, "can sign"},
		"damaged signing keys":                       {tokens, signs[:100], "not overwritten"},
		"damaged keys of which some may take over":   {combined[:len(combined)-40], "{}", "the secret of the token keys"},
		"keys of another program for the first ones": {tokens, `{"password":"x"}`, "not overwritten"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newApart(t, test.token)
			r.m.Signing.Put("another-version-00000000000000000", test.signing)
			mustFail(t, r.runSigning(epoch().Add(day), r.beginSigning()), test.want)
			_, err := r.rotation.Inventory(t.Context(), epoch())
			if err == nil {
				t.Error("they are listed")
			} else {
				mustHide(t, all, "error", err.Error())
			}
			if _, err := r.read(both, keyring.ToIssue, epoch().Add(day)); !errors.Is(err, keyring.ErrUnavailable) {
				t.Errorf("they are read: %v", err)
			}
			if r.m.Signing.Text("AWSCURRENT") != test.signing || r.m.Signing.Text(keyring.LabelPublic) != "" {
				t.Error("the keys are others")
			}
		})
	}
	// In one secret there must be both.
	for _, text := range []string{tokens, signs} {
		r := newRotator(t, text)
		if err := r.run(epoch().Add(day), r.begin()); err == nil || r.m.Text("AWSCURRENT") != text {
			t.Errorf("keys of one kind in the only secret are rotated: %v", err)
		}
		if _, err := r.read(keyring.Secrets{Token: keyringtest.ID}, keyring.ToIssue, epoch()); err == nil {
			t.Error("keys of one kind in the only secret are read")
		}
	}
	// Signing keys whose place a random text took are not lost, and not replaced by old ones.
	r := newApart(t, combined)
	r.mustRunSigning(epoch())
	r.m.Signing.Put("random-version-000000000000000000", random)
	mustFail(t, r.runSigning(epoch().Add(day), r.beginSigning()), "may have")
}

// TestSecretOfTheEvent checks that an event which names another secret is refused, and that one
// with the ARN of a secret that is configured by its name is not.
func TestSecretOfTheEvent(t *testing.T) {
	for id, want := range map[string]string{
		keyringtest.ID:        "AWSPENDING",
		keyringtest.SigningID: "AWSPENDING",
		"arn:aws:secretsmanager:eu-central-1:123456789012:secret:rotor/keys-a1B2c3":     "ResourceNotFoundException", // by the test's Secrets Manager
		"arn:aws:secretsmanager:eu-central-1:123456789012:secret:rotor/signing-a1B2c3":  "ResourceNotFoundException",
		"arn:aws:secretsmanager:eu-central-1:123456789012:secret:rotor/keys-old-a1B2c3": "is none of those",
		"arn:aws:secretsmanager:eu-central-1:123456789012:secret:rotor/keysxa1B2c3":     "is none of those",
		"arn:aws:secretsmanager:eu-central-1:123456789012:secret:a1B2c3":                "is none of those",
		"rotor/keys-a1B2c3": "is none of those",
		"":                  "is none of those",
	} {
		r := newApart(t, encode(t, generate(t)))
		err := r.rotation.Step(t.Context(), epoch(), keyring.RotationEvent{Step: "createSecret", SecretID: id, Version: "v"})
		mustFail(t, err, want)
	}
}

// TestApartReads checks that a function asks for no more than it needs, and keeps its copy if one
// of the two reads fails.
func TestApartReads(t *testing.T) {
	first, now := generate(t), epoch().Add(day)
	for _, test := range []struct {
		need         keyring.Need
		before, then []string
	}{
		{keyring.ToIssue, []string{"keys AWSCURRENT", "signing AWSCURRENT"}, []string{"keys AWSCURRENT", "signing AWSCURRENT"}},
		{keyring.ToCheck, []string{"keys AWSCURRENT", "signing ROTOR_PUBLIC"}, []string{"keys AWSCURRENT", "signing ROTOR_PUBLIC"}},
		{keyring.ToPublish, []string{"keys AWSCURRENT", "signing ROTOR_PUBLIC"}, []string{"signing ROTOR_PUBLIC"}},
	} {
		r := newApart(t, encode(t, first))
		var mu sync.Mutex
		var asked []string
		var refuse string
		client := r.m.ClientOver(roundTrips(func(req *http.Request) (*http.Response, error) {
			text := body(t, req)
			mu.Lock()
			defer mu.Unlock()
			for _, secret := range []string{"keys", "signing"} {
				for _, label := range []string{"AWSCURRENT", keyring.LabelPublic} {
					if strings.Contains(text, `"rotor/`+secret+`"`) && strings.Contains(text, `"`+label+`"`) {
						asked = append(asked, secret+" "+label)
						if refuse == secret {
							return nil, errors.New("refused")
						}
					}
				}
			}
			return http.DefaultTransport.RoundTrip(req)
		}), 1)
		source := keyring.SecretsManager(client, both, test.need, slog.New(slog.DiscardHandler))
		read := func(at time.Time) *keyring.Keys {
			t.Helper()
			asked = nil
			keys, err := source.Keys(t.Context(), at)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(asked)
			return keys
		}
		read(now)
		if diff := cmp.Diff(test.before, asked); diff != "" {
			t.Errorf("the need %d, before they are apart (-want +got):\n%s", test.need, diff)
		}
		r.mustRunSigning(now)
		read(now.Add(keyring.MaxAge + 1))
		if diff := cmp.Diff(test.then, asked); diff != "" {
			t.Errorf("the need %d (-want +got):\n%s", test.need, diff)
		}
		for i, secret := range []string{"keys", "signing"} {
			refuse = secret
			keys := read(now.Add(time.Duration(2+i) * 10 * time.Minute))
			if needed := slices.ContainsFunc(test.then, func(s string) bool { return strings.HasPrefix(s, secret) }); keys.Overdue != needed {
				t.Errorf("the need %d without %s: overdue is %v", test.need, secret, keys.Overdue)
			}
		}
	}
}

// body returns the body of a request, which it leaves to be read again.
func body(t *testing.T, r *http.Request) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	r.Body = io.NopCloser(strings.NewReader(string(text)))
	return string(text)
}
