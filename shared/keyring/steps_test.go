package keyring_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
	"github.com/rotor-auth/rotor/shared/logtest"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/token"
)

// steps are the steps of a rotation, in order.
var steps = []string{"createSecret", "setSecret", "testSecret", "finishSecret"}

// random is what CloudFormation generates for a secret.
const random = `{N}:p#w0rd"9[*mac(userkey)%$~/x7Q`

// rotator is a Secrets Manager with the function that it invokes.
type rotator struct {
	t        *testing.T
	m        *keyringtest.SecretsManager
	rotation keyring.Rotation
	log      *logtest.Buffer
	begun    int
}

func newRotator(t *testing.T, text string) *rotator {
	t.Helper()
	m := keyringtest.New(t, text)
	log := new(logtest.Buffer)
	return &rotator{t: t, m: m, log: log, rotation: keyring.Rotation{
		Client: m.Client(1), Secrets: keyring.Secrets{Token: keyringtest.ID}, Algorithm: signing.ES256, LongestAccessToken: longest, Log: slog.New(slog.NewJSONHandler(log, nil)),
	}}
}

// begin begins a rotation, and returns its pending version.
func (r *rotator) begin() string {
	r.begun++
	version := fmt.Sprintf("rotation-%032d", r.begun)
	r.m.Begin(version)
	return version
}

func (r *rotator) step(now time.Time, step, version string) error {
	return r.rotation.Step(r.t.Context(), now, keyring.RotationEvent{Step: step, SecretID: keyringtest.ID, Version: version})
}

// run takes all steps, until one fails.
func (r *rotator) run(now time.Time, version string) error {
	for _, step := range steps {
		if err := r.step(now, step, version); err != nil {
			return err
		}
	}
	return nil
}

func (r *rotator) mustRun(now time.Time, version string) {
	r.t.Helper()
	if err := r.run(now, version); err != nil {
		r.t.Fatal(err)
	}
	if current := r.m.Labeled("AWSCURRENT"); current != version {
		r.t.Fatalf("the current version is %s", current)
	}
}

// document returns the current document.
func (r *rotator) document() *keyring.Document {
	r.t.Helper()
	d, err := keyring.Parse([]byte(r.m.Text("AWSCURRENT")))
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

func mustFail(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the error is %v, want one with %q", err, want)
	}
}

func TestRotation(t *testing.T) {
	first := generate(t)
	r := newRotator(t, encode(t, first))
	now := epoch().Add(30 * day)
	version := r.begin()
	r.m.Calls()
	for _, want := range []struct {
		step  string
		calls []string
	}{
		{"createSecret", []string{"DescribeSecret", "GetSecretValue", "GetSecretValue", "PutSecretValue"}},
		{"setSecret", []string{"DescribeSecret"}},
		{"testSecret", []string{"DescribeSecret", "GetSecretValue", "GetSecretValue"}},
		{"finishSecret", []string{"DescribeSecret", "GetSecretValue", "GetSecretValue", "UpdateSecretVersionStage"}},
	} {
		if r.m.Text("AWSCURRENT") != encode(t, first) {
			t.Errorf("before %s the current keys have changed", want.step)
		}
		if err := r.step(now, want.step, version); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.calls, r.m.Calls()); diff != "" {
			t.Errorf("%s: calls (-want +got):\n%s", want.step, diff)
		}
	}
	second := r.document()
	if len(second.MAC) != 2 || len(second.Signing) != 2 || r.m.Text("AWSPREVIOUS") != encode(t, first) || r.m.Labeled("AWSPENDING") != "" {
		t.Errorf("the current keys are %v", second)
	}
	mustHide(t, second, "log", r.log.String())
	for _, line := range []string{`"msg":"keys made","first":false,"secret_version":"` + version + `"`, `"msg":"keys rotated","secret_version":"` + version + `"`} {
		if strings.Count(r.log.String(), line) != 1 {
			t.Errorf("the log lacks %s: %s", line, r.log)
		}
	}
}

// TestRotationRepeatsSteps checks that Secrets Manager can repeat a step whose response it did
// not get, and resume a rotation from its first step.
func TestRotationRepeatsSteps(t *testing.T) {
	r := newRotator(t, encode(t, generate(t)))
	now := epoch().Add(day)
	version := r.begin()
	var made string
	for i, step := range steps {
		for _, again := range append([]string{step}, steps[:i+1]...) {
			if err := r.step(now, again, version); err != nil {
				t.Fatalf("%s after %s: %v", again, step, err)
			}
		}
		if made == "" {
			made = r.m.Text("AWSPENDING")
		}
	}
	if made == "" || r.m.Text("AWSCURRENT") != made {
		t.Error("the current keys are not those made first")
	}
	if n := strings.Count(r.log.String(), "keys made"); n != 1 {
		t.Errorf("keys were made %d times", n)
	}
	if n := strings.Count(r.log.String(), "keys rotated"); n != 1 {
		t.Errorf("keys were rotated %d times", n)
	}
}

// TestRotationFaults checks that whichever request fails, once or until the SDK gives up, the
// keys in use are either the old or the new ones, and the next attempt succeeds.
func TestRotationFaults(t *testing.T) {
	for what, text := range map[string]string{"keys": encode(t, generate(t)), "no keys": random} {
		for name, fault := range map[string]keyringtest.Fault{"failed": keyringtest.Failed, "denied": keyringtest.Denied, "answer lost": keyringtest.Lost} {
			t.Run(what+"/"+name, func(t *testing.T) {
				t.Parallel()
				broken := 0
				for call := 1; ; call++ {
					r := newRotator(t, text)
					now := epoch().Add(day)
					version := r.begin()
					r.m.Break(func(n int, _ string) keyringtest.Fault {
						if n == call {
							return fault
						}
						return keyringtest.None
					})
					err := r.run(now, version)
					if len(r.m.Calls()) < call {
						if err != nil {
							t.Fatal(err)
						}
						break
					}
					broken++
					if err == nil {
						t.Fatalf("call %d: the failure is not reported", call)
					}
					if r.m.Text("AWSCURRENT") != text && r.m.Labeled("AWSCURRENT") != version {
						t.Fatalf("call %d: the keys in use are others", call)
					}
					made := r.m.Text("AWSPENDING")
					r.m.Break(nil)
					r.mustRun(now.Add(time.Minute), version)
					d := r.document()
					compile(t, d)
					if made != "" && encode(t, d) != made {
						t.Errorf("call %d: keys that had been made were not taken", call)
					}
					mustHide(t, d, "log", r.log.String())
					mustHide(t, d, "error", err.Error())
				}
				if broken < 10 {
					t.Errorf("%d calls were broken", broken)
				}
			})
		}
	}
}

// TestRotationAnswerLostToTheSDK checks that a rotation succeeds if the SDK's retries overcome
// a failure, even if the response to a write is lost.
func TestRotationAnswerLostToTheSDK(t *testing.T) {
	r := newRotator(t, encode(t, generate(t)))
	r.rotation.Client = r.m.Client(3)
	version := r.begin()
	failed := map[string]bool{}
	r.m.Break(func(_ int, operation string) keyringtest.Fault {
		if failed[operation] {
			return keyringtest.None
		}
		failed[operation] = true
		return keyringtest.Lost
	})
	// The SDK's retry of the request that moved the label fails, because the version
	// that it is taken from no longer has it.
	err := r.run(epoch().Add(day), version)
	if err != nil && !strings.Contains(err.Error(), "finishSecret") {
		t.Fatal(err)
	}
	r.m.Break(nil)
	r.mustRun(epoch().Add(day), version)
	if len(failed) != 4 {
		t.Errorf("answers to %v were lost", failed)
	}
}

// TestRotationLeftBehind checks a rotation whose function was killed after it made keys, and
// that nobody resumed. A later rotation makes other keys.
func TestRotationLeftBehind(t *testing.T) {
	first := generate(t)
	r := newRotator(t, encode(t, first))
	left := r.begin()
	if err := r.step(epoch(), "createSecret", left); err != nil {
		t.Fatal(err)
	}
	abandoned := r.m.Text("AWSPENDING")
	next := r.begin()
	now := epoch().Add(30 * day)
	r.mustRun(now, next)
	d := r.document()
	if len(d.MAC) != 2 || encode(t, d) == abandoned || !d.MAC[1].From.Equal(now.Add(15*time.Minute)) {
		t.Errorf("the keys in use are %v", d)
	}
	mustFail(t, r.run(now, left), "AWSPENDING")
}

// TestRotationTooLate checks keys whose time comes while they are pending, so that the
// functions do not have them. They never come into use, but the keys of the next rotation do.
func TestRotationTooLate(t *testing.T) {
	for _, step := range []string{"createSecret", "testSecret"} { // the last step is done in time
		for _, late := range []time.Duration{5*time.Minute + 1, time.Hour, 30 * day} {
			t.Run(step+"/"+late.String(), func(t *testing.T) {
				text := encode(t, generate(t))
				r := newRotator(t, text)
				now := epoch().Add(day)
				version := r.begin()
				for _, s := range steps[:slices.Index(steps, step)+1] {
					if err := r.step(now, s, version); err != nil {
						t.Fatal(err)
					}
				}
				mustFail(t, r.run(now.Add(late), version), "before all functions know it")
				if r.m.Text("AWSCURRENT") != text || r.m.Labeled("AWSPENDING") != "" {
					t.Error("the pending version is not given up")
				}
				mustFail(t, r.run(now.Add(late), version), "AWSPENDING")
				r.mustRun(now.Add(late), r.begin())
			})
		}
	}
	r := newRotator(t, encode(t, generate(t)))
	version := r.begin()
	if err := r.step(epoch(), "createSecret", version); err != nil {
		t.Fatal(err)
	}
	r.mustRun(epoch().Add(5*time.Minute), version)

	// The first keys are in use at once, because nobody has any before.
	r = newRotator(t, random)
	version = r.begin()
	if err := r.step(epoch(), "createSecret", version); err != nil {
		t.Fatal(err)
	}
	r.mustRun(epoch().Add(30*day), version)
}

func TestRotationFirstKeys(t *testing.T) {
	for name, text := range map[string]string{
		"random": random, "empty object": "{}", "spaced object": "{ }\n", "letters": strings.Repeat("aB3", 21), "digits": "12345678901234567890123456789012",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRotator(t, text)
			source := keyring.SecretsManager(r.m.Client(1), keyring.Secrets{Token: keyringtest.ID}, keyring.ToIssue, slog.New(slog.DiscardHandler))
			_ = mustBeUnavailable(t, source, epoch())
			r.mustRun(epoch(), r.begin())
			keys := keysAt(t, source, epoch())
			tok := keys.Codec.Mint(token.Token{Counter: 1}, epoch()).Reveal()
			if id := decode(t, tok)[1]; id != 1 {
				t.Errorf("MAC key %d mints", id)
			}
			if _, err := keys.Signing.Verify(sign(t, keys, epoch()), "i", epoch()); err != nil {
				t.Error(err)
			}
			if !strings.Contains(r.log.String(), `"first":true`) {
				t.Errorf("logged %s", r.log)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		r := newRotator(t, "")
		r.m.Edit(func(versions map[string]*keyringtest.Version) { clear(versions) })
		r.mustRun(epoch(), r.begin())
		r.document()
	})
	t.Run("a placeholder after another", func(t *testing.T) {
		r := newRotator(t, "{}")
		r.m.Put("another-placeholder", random)
		r.mustRun(epoch(), r.begin())
		r.document()
	})
}

// TestRotationRefusesDamagedKeys checks that a text which may have been keys is kept.
func TestRotationRefusesDamagedKeys(t *testing.T) {
	d := generate(t)
	good := encode(t, d)
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(good), &members); err != nil {
		t.Fatal(err)
	}
	quoted, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"a quarter":           good[:len(good)/4],
		"almost all":          good[:len(good)-1],
		"the beginning":       good[:12],
		"the end":             good[len(good)-80:],
		"an end with a name":  `"mac":[{"id":1}]}`,
		"twice":               good + good,
		"another member":      `{"colour":1,` + good[1:],
		"members renamed":     strings.NewReplacer("user_key", "uk", `"mac"`, `"m"`, `"signing"`, `"s"`).Replace(good),
		"one member":          `{"user_key":` + string(members["user_key"]) + `}`,
		"null members":        `{"user_key":null,"mac":null,"signing":null}`,
		"other members":       `{"a":1}`,
		"an array":            "[" + good + "]",
		"an empty array":      "[]",
		"a string":            string(quoted),
		"base64":              strings.Repeat("eyJ1c2VyX2tleSI6", 20),
		"no MAC keys":         strings.Replace(good, string(members["mac"]), "[]", 1),
		"no key that signs":   strings.Replace(good, `"d":`, `"dd":`, 1),
		"a user key cut":      strings.Replace(good, string(members["user_key"]), `"AAAA"`, 1),
		"a long random text":  strings.Repeat("x", 65),
		"a password template": `{"password":"` + strings.Repeat("x", 32) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRotator(t, text)
			version := r.begin()
			err := r.run(epoch(), version)
			if err == nil {
				t.Fatal("it was written over")
			}
			mustHide(t, d, "error", err.Error())
			// The later steps, which find a version, do not replace it either.
			r.m.Edit(func(versions map[string]*keyringtest.Version) { versions[version].Text = &good })
			for _, step := range []string{"testSecret", "finishSecret"} {
				if r.step(epoch(), step, version) == nil {
					t.Errorf("%s succeeds", step)
				}
			}
			if r.m.Text("AWSCURRENT") != text {
				t.Error("it was written over")
			}
		})
	}
}

// TestRotationRefusesReplacedKeys checks a secret whose keys were replaced with a new random
// text by a change of the stack's template. The keys are still in the previous version.
func TestRotationRefusesReplacedKeys(t *testing.T) {
	good := encode(t, generate(t))
	for _, text := range []string{random, "{}"} {
		r := newRotator(t, good)
		r.m.Put("a-stack-was-updated", text)
		mustFail(t, r.run(epoch(), r.begin()), "first-version-of-the-secret-0000")
		if r.m.Text("AWSPREVIOUS") != good {
			t.Error("the keys are gone")
		}
		r.m.Put("as-the-error-says", good)
		r.mustRun(epoch(), r.begin())
	}
	r := newRotator(t, "")
	r.m.Edit(func(versions map[string]*keyringtest.Version) {
		versions["binary"] = &keyringtest.Version{Binary: []byte(good), Labels: []string{"AWSCURRENT"}}
		delete(versions, "first-version-of-the-secret-0000")
	})
	mustFail(t, r.run(epoch(), r.begin()), "binary")
}

// TestRotationGivesUp checks that a pending version which does not follow the current one is
// given up by either of the steps that check it. Nothing changes.
func TestRotationGivesUp(t *testing.T) {
	start := epoch().Add(30 * day)
	change := func(f func(next, current *keyring.Document)) func(t *testing.T, current *keyring.Document) string {
		return func(t *testing.T, current *keyring.Document) string {
			t.Helper()
			next := rotate(t, current, start)
			next.UserKey = slices.Clone(next.UserKey)
			f(next, current)
			return encode(t, next)
		}
	}
	other := generate(t)
	for name, c := range map[string]struct {
		pending func(t *testing.T, current *keyring.Document) string
		want    string
	}{
		"another user key": {change(func(next, _ *keyring.Document) { next.UserKey[0] ^= 1 }), "user key"},
		"a MAC key less":   {change(func(next, _ *keyring.Document) { next.MAC = next.MAC[1:] }), "MAC key 1 is missing"},
		"a MAC key replaced": {change(func(next, _ *keyring.Document) {
			next.MAC[0].Secret = slices.Clone(other.MAC[0].Secret)
		}), "MAC key 1 is another"},
		"a MAC key at another time": {change(func(next, _ *keyring.Document) { next.MAC[0].From = epoch().Add(time.Second) }), "MAC key 1 is another"},
		"a MAC key at once":         {change(func(next, _ *keyring.Document) { next.MAC[1].From = start }), "before all functions know it"},
		"a signing key less":        {change(func(next, _ *keyring.Document) { next.Signing = next.Signing[1:] }), "is missing"},
		"a signing key at once":     {change(func(next, _ *keyring.Document) { next.Signing[1].From = start }), "before all gateways know it"},
		"a signing key that ends":   {change(func(next, _ *keyring.Document) { next.Signing[0].Until = start.Add(longest - time.Second) }), "last access token"},
		"a signing key that cannot": {change(func(next, _ *keyring.Document) { next.Signing[0] = next.Signing[0].Retired(time.Time{}) }), "beside the current keys"},
		"no key that signs": {change(func(next, _ *keyring.Document) {
			for i, k := range next.Signing {
				next.Signing[i] = k.Retired(time.Time{})
			}
		}), "can sign"},
		"other keys":      {func(t *testing.T, _ *keyring.Document) string { t.Helper(); return encode(t, other) }, "user key"},
		"a damaged text":  {func(t *testing.T, d *keyring.Document) string { t.Helper(); return encode(t, d)[:99] }, "parse"},
		"what was before": {func(*testing.T, *keyring.Document) string { return "{}" }, "parse"},
	} {
		for _, step := range []string{"testSecret", "finishSecret"} {
			t.Run(name+"/"+step, func(t *testing.T) {
				current := generate(t)
				text := encode(t, current)
				r := newRotator(t, text)
				version := r.begin()
				pending := c.pending(t, current)
				r.m.Edit(func(versions map[string]*keyringtest.Version) { versions[version].Text = &pending })
				err := r.step(start, step, version)
				mustFail(t, err, c.want)
				mustHide(t, current, "error", err.Error())
				if r.m.Text("AWSCURRENT") != text || r.m.Labeled("AWSPENDING") != "" {
					t.Error("it is not given up")
				}
				r.mustRun(start, r.begin())
			})
		}
	}
	// A key that no longer signs is published for as long as announced.
	now := epoch().Add(25 * time.Hour)
	retired := rotate(t, rotate(t, generate(t), epoch()), now)
	r := newRotator(t, encode(t, retired))
	version := r.begin()
	next := rotate(t, retired, now)
	next.Signing[0].Until = next.Signing[0].Until.Add(-time.Second)
	text := encode(t, next)
	r.m.Edit(func(versions map[string]*keyringtest.Version) { versions[version].Text = &text })
	mustFail(t, r.step(now, "testSecret", version), "no longer published until")

	// Secrets Manager may stage the current keys to test the configuration of rotation.
	r = newRotator(t, encode(t, generate(t)))
	version, text = r.begin(), r.m.Text("AWSCURRENT")
	r.m.Edit(func(versions map[string]*keyringtest.Version) { versions[version].Text = &text })
	if err := r.step(start, "testSecret", version); err != nil {
		t.Error(err)
	}
}

// TestRotationMeetsEdit checks a secret that is edited between two steps. A key that was
// removed does not come back, and one that was added is not lost.
func TestRotationMeetsEdit(t *testing.T) {
	start := epoch().Add(30 * day)
	edits := map[string]func(d *keyring.Document){
		"a key put in":    func(d *keyring.Document) { d.MAC = append(d.MAC, token.Key{ID: 200, Secret: d.UserKey, From: start}) },
		"a key taken out": func(d *keyring.Document) { d.MAC = d.MAC[1:] },
	}
	for name, edit := range edits {
		for after := range 3 {
			t.Run(fmt.Sprintf("%s after %s", name, steps[after]), func(t *testing.T) {
				current := rotate(t, generate(t), epoch())
				r := newRotator(t, encode(t, current))
				version := r.begin()
				for _, step := range steps[:after+1] {
					if err := r.step(start, step, version); err != nil {
						t.Fatal(err)
					}
				}
				edit(current)
				r.m.Put("edited", encode(t, current))
				if r.run(start, version) == nil {
					t.Error("the rotation went on")
				}
				if r.m.Labeled("AWSCURRENT") != "edited" || r.m.Labeled("AWSPENDING") != "" {
					t.Error("the edit is lost")
				}
				r.mustRun(start, r.begin())
			})
		}
	}
}

// interposed is a transport that calls a function before each request of an
// operation.
type interposed struct {
	http.RoundTripper
	operation string
	do        func()
}

func (i interposed) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("X-Amz-Target") == "secretsmanager."+i.operation {
		i.do()
	}
	return i.RoundTripper.RoundTrip(r)
}

// TestRotationMeetsLateEdit checks the same at the last moment, between the last check and the
// move.
func TestRotationMeetsLateEdit(t *testing.T) {
	current := generate(t)
	r := newRotator(t, encode(t, current))
	edited := encode(t, rotate(t, current, epoch()))
	r.rotation.Client = r.m.ClientOver(interposed{http.DefaultTransport, "UpdateSecretVersionStage", func() { r.m.Put("edited", edited) }}, 1)
	start := epoch().Add(30 * day)
	version := r.begin()
	mustFail(t, r.run(start, version), "InvalidParameterException")
	if r.m.Labeled("AWSCURRENT") != "edited" {
		t.Error("the edit is lost")
	}
	// The next check finds that the version does not follow the current one.
	r.rotation.Client = r.m.Client(1)
	mustFail(t, r.run(start, version), "given up")
	r.mustRun(start, r.begin())
}

func TestRotationRefuses(t *testing.T) {
	good := encode(t, generate(t))
	r := newRotator(t, good)
	version := r.begin()
	for _, step := range []string{"", "createsecret", "deleteSecret"} {
		mustFail(t, r.step(epoch(), step, version), fmt.Sprintf("%q", step))
	}
	if calls := r.m.Calls(); len(calls) != 0 {
		t.Errorf("for an unknown step %v was called", calls)
	}
	for _, step := range steps {
		mustFail(t, r.step(epoch(), step, "no-such-version-0000000000000000000000"), "AWSPENDING")
		mustFail(t, r.step(epoch(), step, ""), "AWSPENDING")
		err := r.rotation.Step(t.Context(), epoch(), keyring.RotationEvent{Step: step, SecretID: "another", Version: version})
		mustFail(t, err, "the secret another is none of those")
	}
	for _, step := range []string{"testSecret", "finishSecret"} {
		mustFail(t, r.step(epoch(), step, version), "has no text") // createSecret was left out
	}
	r.rotation.Algorithm = "HS256"
	mustFail(t, r.step(epoch(), "createSecret", version), "HS256")
	r.rotation.Algorithm = signing.ES256

	r.m.Edit(func(versions map[string]*keyringtest.Version) { versions[version].Labels = []string{"AWSPREVIOUS"} })
	for _, step := range steps {
		mustFail(t, r.step(epoch(), step, version), "AWSPENDING")
	}
	r.m.Begin(version)
	r.m.Disable()
	for _, step := range steps {
		mustFail(t, r.step(epoch(), step, version), "not enabled")
	}
	if r.m.Text("AWSCURRENT") != good {
		t.Error("the keys in use are others")
	}
}

// TestRotationForDecades checks that the keys in use are kept when, after decades, the ids of
// MAC keys are used up, and that the document is within Secrets Manager's limit.
func TestRotationForDecades(t *testing.T) {
	t.Parallel()
	d, now := generate(t), epoch()
	for len(d.MAC) < 240 {
		now = now.Add(30 * day)
		d = rotate(t, d, now)
	}
	r := newRotator(t, encode(t, d))
	full := 0
	for range 30 {
		now = now.Add(30 * day)
		version := r.begin()
		before := r.m.Text("AWSCURRENT")
		err := r.run(now, version)
		if err != nil {
			full++
			if !strings.Contains(err.Error(), "remove from the document") {
				t.Fatal(err)
			}
			if r.m.Text("AWSCURRENT") != before {
				t.Fatal("the keys in use are others")
			}
			d := r.document()
			d.MAC = d.MAC[100:]
			r.m.Put(fmt.Sprintf("by-hand-%032d", full), encode(t, d))
			r.mustRun(now, version)
		}
		d := r.document()
		if len(d.Signing) > 2 {
			t.Fatalf("there are %v", d)
		}
	}
	if full != 1 || r.m.Longest() > keyringtest.MaxText {
		t.Errorf("ids were used up %d times; up to %d bytes were put", full, r.m.Longest())
	}
}

// TestRotationReachesFunctions checks that a function which read the secret just before it
// changed reads the new keys before the first token is minted under them.
func TestRotationReachesFunctions(t *testing.T) {
	r := newRotator(t, random)
	r.mustRun(epoch(), r.begin())
	start := epoch().Add(30 * day)
	log := slog.New(slog.DiscardHandler)
	slow, quick := keyring.SecretsManager(r.m.Client(1), keyring.Secrets{Token: keyringtest.ID}, keyring.ToIssue, log), keyring.SecretsManager(r.m.Client(1), keyring.Secrets{Token: keyringtest.ID}, keyring.ToIssue, log)

	version := r.begin()
	if err := r.step(start, "createSecret", version); err != nil {
		t.Fatal(err)
	}
	end := start.Add(keyring.RotationTime)
	keysAt(t, slow, end)
	r.mustRun(end, version)
	// Its next reads fail for the longest time that is planned for.
	for at := end; at.Before(end.Add(2 * keyring.MaxAge)); at = at.Add(10 * time.Second) {
		r.m.Break(func(int, string) keyringtest.Fault { return keyringtest.Failed })
		old := keysAt(t, slow, at)
		r.m.Break(nil)
		fresh := keysAt(t, quick, at)
		for _, pair := range [][2]*keyring.Keys{{old, fresh}, {fresh, old}} {
			if _, err := pair[1].Codec.Parse(pair[0].Codec.Mint(token.Token{Counter: 1}, at).Reveal()); err != nil {
				t.Fatalf("%v after the rotation: %v", at.Sub(end), err)
			}
			if _, err := pair[1].Signing.Verify(sign(t, pair[0], at), "i", at); err != nil {
				t.Fatalf("%v after the rotation: %v", at.Sub(end), err)
			}
		}
	}
	at := end.Add(2 * keyring.MaxAge)
	tok := keysAt(t, quick, at).Codec.Mint(token.Token{Counter: 1}, at).Reveal()
	if id := decode(t, tok)[1]; id != 2 {
		t.Errorf("MAC key %d mints", id)
	}
	later := at.Add(keyring.RetryAfter)
	if _, err := keysAt(t, slow, later).Codec.Parse(tok); err != nil {
		t.Errorf("a function that can read again: %v", err)
	}
}
