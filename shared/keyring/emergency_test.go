package keyring_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
)

func (r *rotator) emergency(now time.Time, leak keyring.Leak) (*keyring.Inventory, error) {
	return r.rotation.Emergency(r.t.Context(), now, leak)
}

// current returns which keys in the secret are in use, and for what.
func (r *rotator) current(now time.Time) (mac, sig string) {
	r.t.Helper()
	return uses(r.document(), now)
}

func TestEmergency(t *testing.T) {
	first := generate(t)
	r := newRotator(t, encode(t, first))
	now := epoch().Add(day)
	leak := keyring.Leak{MAC: []int{1}, Signing: []string{first.Signing[0].JWK.KeyID}}
	before := r.m.Labeled("AWSCURRENT")
	r.m.Calls()
	got, err := r.emergency(now, leak)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"}, r.m.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	d := r.document()
	if mac, sig := uses(d, now); mac != "1 revoked, 2 in_use" || sig != "revoked, in_use" {
		t.Errorf("the keys are %s; %s", mac, sig)
	}
	if diff := cmp.Diff(d.Inventory(now), got); diff != "" {
		t.Errorf("it answers (-want +got):\n%s", diff)
	}
	if !slices.Equal(d.UserKey, first.UserKey) || r.m.Labeled("AWSPREVIOUS") != before || r.m.Labeled("AWSPENDING") != "" {
		t.Error("more has changed")
	}
	line := `"level":"WARN","msg":"keys revoked","mac":[1],"signing":["` + first.Signing[0].JWK.KeyID + `"],"secret_version":"` + r.m.Labeled("AWSCURRENT") + `","before":"` + before + `"`
	if strings.Count(r.log.String(), line) != 1 {
		t.Errorf("the log lacks %s: %s", line, r.log)
	}
	mustHide(t, first, "log", r.log.String())
	mustHide(t, d, "log", r.log.String())
	mustHide(t, d, "answer", fmt.Sprintf("%+v", *got))

	// A repeated call changes and writes nothing.
	text := r.m.Text("AWSCURRENT")
	again, err := r.emergency(now.Add(time.Minute), leak)
	if err != nil || !cmp.Equal(again, r.document().Inventory(now.Add(time.Minute))) {
		t.Errorf("again: %+v, %v", again, err)
	}
	if calls := r.m.Calls(); r.m.Text("AWSCURRENT") != text || slices.Contains(calls, "PutSecretValue") {
		t.Errorf("again it called %v", calls)
	}
	// Rotation continues from there.
	r.mustRun(now.Add(time.Hour), r.begin())
	if mac, sig := r.current(now.Add(time.Hour)); mac != "1 revoked, 2 in_use, 3 waiting" || sig != "revoked, in_use, waiting" {
		t.Errorf("rotated: %s; %s", mac, sig)
	}
}

func TestInventory(t *testing.T) {
	d, now := threeKeys(t)
	r := newRotator(t, encode(t, d))
	got, err := r.rotation.Inventory(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&keyring.Inventory{
		MAC: []keyring.MACEntry{
			{ID: 1, Use: keyring.Replaced, From: d.MAC[0].From},
			{ID: 2, Use: keyring.InUse, From: d.MAC[1].From},
			{ID: 3, Use: keyring.Waiting, From: d.MAC[2].From},
		},
		Signing: []keyring.SigningEntry{
			{ID: d.Signing[0].JWK.KeyID, Algorithm: "ES256", Use: keyring.Replaced, From: d.Signing[0].From, Until: d.Signing[0].Until},
			{ID: d.Signing[1].JWK.KeyID, Algorithm: "ES256", Use: keyring.InUse, From: d.Signing[1].From, Until: d.Signing[1].Until},
			{ID: d.Signing[2].JWK.KeyID, Algorithm: "ES256", Use: keyring.Waiting, From: d.Signing[2].From},
		},
	}, got); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
	r.m.Break(func(int, string) keyringtest.Fault { return keyringtest.Failed })
	if _, err := r.rotation.Inventory(t.Context(), now); err == nil {
		t.Error("the failure is not reported")
	}
}

// TestEmergencyRefuses checks that nothing changes if the leak names an unknown key, or if the
// secret has no document.
func TestEmergencyRefuses(t *testing.T) {
	d := generate(t)
	good := encode(t, d)
	for _, test := range []struct {
		name, text string
		leak       keyring.Leak
		want       string
	}{
		{"nothing", good, keyring.Leak{}, "no key is named"},
		{"another id", good, keyring.Leak{MAC: []int{1, 7}}, "there is no MAC key 7"},
		{"another kid", good, keyring.Leak{Signing: []string{"x"}}, `there is no signing key "x"`},
		{"no keys yet", random, keyring.Leak{MAC: []int{1}}, "the current version"},
		{"cut", good[:200], keyring.Leak{MAC: []int{1}}, "the current version"},
		{"no key that signs", strings.Replace(good, `"d":`, `"dd":`, 1), keyring.Leak{MAC: []int{1}}, "the current version"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRotator(t, test.text)
			_, err := r.emergency(epoch().Add(day), test.leak)
			mustFail(t, err, test.want)
			if err != nil {
				mustHide(t, d, "error", err.Error())
			}
			if r.m.Text("AWSCURRENT") != test.text {
				t.Error("the keys in use are others")
			}
		})
	}
	r := newRotator(t, good)
	r.rotation.Secrets.Token = "another"
	if _, err := r.emergency(epoch(), keyring.Leak{MAC: []int{1}}); err == nil {
		t.Error("another secret")
	}
	r.rotation.Secrets.Token = keyringtest.ID
	r.m.Edit(func(versions map[string]*keyringtest.Version) { clear(versions) })
	_, err := r.emergency(epoch(), keyring.Leak{MAC: []int{1}})
	mustFail(t, err, "no text")
}

// TestEmergencyFaults checks that whichever request fails, the keys in use are either the old
// ones or those without the leaked ones. Repeating the call leads to the latter, with one new
// key of each kind.
func TestEmergencyFaults(t *testing.T) {
	first := generate(t)
	text := encode(t, first)
	leak := keyring.Leak{MAC: []int{1}, Signing: []string{first.Signing[0].JWK.KeyID}}
	now := epoch().Add(day)
	for name, fault := range map[string]keyringtest.Fault{"failed": keyringtest.Failed, "denied": keyringtest.Denied, "answer lost": keyringtest.Lost} {
		for attempts := 1; attempts <= 3; attempts += 2 { // without the SDK's retries, and with them
			t.Run(fmt.Sprintf("%s/%d", name, attempts), func(t *testing.T) {
				broken := 0
				for call := 1; ; call++ {
					r := newRotator(t, text)
					r.rotation.Client = r.m.Client(attempts)
					r.m.Break(func(n int, _ string) keyringtest.Fault {
						if n == call {
							return fault
						}
						return keyringtest.None
					})
					_, err := r.emergency(now, leak)
					reached := len(r.m.Calls()) >= call
					r.m.Break(nil)
					if current := r.m.Text("AWSCURRENT"); current != text {
						if mac, sig := r.current(now); mac != "1 revoked, 2 in_use" || sig != "revoked, in_use" {
							t.Fatalf("call %d: %s; %s", call, mac, sig)
						}
					} else if err == nil {
						t.Fatalf("call %d: it succeeds, and the keys are those of before", call)
					}
					if r.m.Labeled("AWSPENDING") != "" {
						t.Errorf("call %d: no rotation would begin any more", call)
					}
					if err != nil {
						silent(t, r.m.Text("AWSCURRENT"), err.Error())
					}
					if !reached {
						break
					}
					broken++
					if _, err := r.emergency(now.Add(time.Minute), leak); err != nil {
						t.Fatalf("call %d, repeated: %v", call, err)
					}
					if mac, sig := r.current(now.Add(time.Minute)); mac != "1 revoked, 2 in_use" || sig != "revoked, in_use" {
						t.Fatalf("call %d, repeated: %s; %s", call, mac, sig)
					}
					r.mustRun(now.Add(time.Hour), r.begin())
				}
				if broken < 4 {
					t.Errorf("%d calls were broken", broken)
				}
			})
		}
	}
}

// TestEmergencyBesideRotation checks an emergency at each moment of a rotation. The leaked
// keys do not come back: neither those in use, nor those that the rotation has just made, nor
// those that wait.
func TestEmergencyBesideRotation(t *testing.T) {
	one := func(i int) func(*keyring.Document) keyring.Leak {
		return func(d *keyring.Document) keyring.Leak {
			return keyring.Leak{MAC: []int{int(d.MAC[i].ID)}, Signing: []string{d.Signing[i].JWK.KeyID}}
		}
	}
	for after := range len(steps) + 1 {
		for name, leaked := range map[string]func(*keyring.Document) keyring.Leak{
			"the first keys": nil, "all of three": leakOf, "replaced ones": one(0), "those in use": one(1), "waiting ones": one(2),
		} {
			t.Run(fmt.Sprintf("after %d steps/%s", after, name), func(t *testing.T) {
				current, now := generate(t), epoch().Add(30*day)
				if leaked == nil {
					leaked = leakOf
				} else {
					current, now = threeKeys(t) // some of these keys wait, so a rotation makes none
				}
				r := newRotator(t, encode(t, current))
				version := r.begin()
				for _, step := range steps[:after] {
					if err := r.step(now, step, version); err != nil {
						t.Fatal(err)
					}
				}
				leak := leaked(current)
				if _, err := r.emergency(now, leak); err != nil {
					t.Fatal(err)
				}
				text := r.m.Text("AWSCURRENT")
				err := r.run(now.Add(time.Second), version) // Secrets Manager resumes the rotation
				switch {
				case after == 0: // the rotation sees what the emergency has left
					if err != nil {
						t.Error(err)
					}
				case after == len(steps): // the rotation was over
					mustFail(t, err, "AWSPENDING")
				case err == nil || r.m.Text("AWSCURRENT") != text || r.m.Labeled("AWSPENDING") != "":
					t.Errorf("the rotation is not given up: %v", err)
				}
				check := func(when string) {
					t.Helper()
					v := r.document().Inventory(now)
					for _, k := range v.MAC {
						if slices.Contains(leak.MAC, int(k.ID)) != (k.Use == keyring.Revoked) {
							t.Errorf("%s MAC key %d is %s", when, k.ID, k.Use)
						}
					}
					for _, k := range v.Signing {
						if slices.Contains(leak.Signing, k.ID) != (k.Use == keyring.Revoked) {
							t.Errorf("%s a signing key is %s", when, k.Use)
						}
					}
				}
				check("after the emergency")
				r.mustRun(now.Add(time.Minute), r.begin())
				check("rotated")
			})
		}
	}
}

// leakOf returns a leak of all keys of a document.
func leakOf(d *keyring.Document) keyring.Leak {
	var leak keyring.Leak
	for _, k := range d.MAC {
		leak.MAC = append(leak.MAC, int(k.ID))
	}
	for _, k := range d.Signing {
		leak.Signing = append(leak.Signing, k.JWK.KeyID)
	}
	return leak
}

// TestEmergencyMeetsRotation checks the same at the last moment. The version that was moved
// first stays.
func TestEmergencyMeetsRotation(t *testing.T) {
	now := epoch().Add(30 * day)
	leak := keyring.Leak{MAC: []int{1}}

	// The emergency comes after the last check of the rotation.
	r := newRotator(t, encode(t, generate(t)))
	calm := r.rotation
	r.rotation.Client = r.m.ClientOver(&interposed{http.DefaultTransport, "UpdateSecretVersionStage", sync.OnceFunc(func() {
		if _, err := calm.Emergency(t.Context(), now, leak); err != nil {
			t.Error(err)
		}
	})}, 1)
	version := r.begin()
	if err := r.run(now, version); err == nil {
		t.Error("the rotation went on")
	}
	if mac, _ := r.current(now); mac != "1 revoked, 2 in_use" {
		t.Errorf("the keys are %s", mac)
	}
	r.rotation = calm
	mustFail(t, r.run(now, version), "given up")
	r.mustRun(now, r.begin())

	// A rotation finishes after the emergency's check, and then another one does.
	r = newRotator(t, encode(t, generate(t)))
	calm = r.rotation
	meets := 0
	r.rotation.Client = r.m.ClientOver(&interposed{http.DefaultTransport, "UpdateSecretVersionStage", func() {
		if meets++; meets > 2 {
			return
		}
		at, begun := now.Add(time.Duration(meets)*time.Hour-2*time.Hour), r.begin()
		for _, step := range steps {
			if err := calm.Step(t.Context(), at, keyring.RotationEvent{Step: step, SecretID: keyringtest.ID, Version: begun}); err != nil {
				t.Error(err)
			}
		}
	}}, 1)
	if _, err := r.emergency(now, leak); err != nil {
		t.Fatal(err)
	}
	if mac, _ := r.current(now); mac != "1 revoked, 2 in_use, 3 waiting" || meets != 3 {
		t.Errorf("the keys are %s, after %d attempts", mac, meets)
	}

	// Another process always writes first.
	r = newRotator(t, encode(t, generate(t)))
	r.rotation.Client = r.m.ClientOver(&interposed{http.DefaultTransport, "UpdateSecretVersionStage", func() {
		r.m.Put(fmt.Sprintf("somebody-%032d", len(r.m.Calls())), r.m.Text("AWSCURRENT"))
		meets++
		r.m.Put(fmt.Sprintf("somebody-else-%032d", meets), r.m.Text("AWSCURRENT"))
	}}, 1)
	_, err := r.emergency(now, leak)
	mustFail(t, err, "has changed 5 times meanwhile")
}

// TestEmergenciesAtOnce checks that of many simultaneous emergencies for the same leak only
// one makes a new key. If the leaks differ, none is lost.
func TestEmergenciesAtOnce(t *testing.T) {
	d, now := threeKeys(t)
	r := newRotator(t, encode(t, d))
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			if _, err := r.emergency(now, keyring.Leak{MAC: []int{1 + i%2}}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if mac, _ := r.current(now); mac != "1 revoked, 2 revoked, 3 waiting, 4 in_use" {
		t.Errorf("the keys are %s", mac)
	}
}
