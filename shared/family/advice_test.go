package family_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
)

// policies returns all combinations of the values that advice depends on.
func policies() []family.Policy {
	var all []family.Policy
	for _, interval := range []family.Seconds{0, 10, 60, 3600, 7200, family.MaxReuseInterval} {
		for _, lost := range []family.LostResponse{family.Revoke, family.UntilUsed} {
			for _, absolute := range []family.Seconds{0, family.Days(30), family.MaxLifetime} {
				for _, idle := range []family.Seconds{0, family.Days(15), family.MaxLifetime} {
					for _, maxActive := range []int{1, 3, 200, family.MaxMaxActive} {
						for _, access := range []family.Seconds{60, 3600, 86_400} {
							for _, detection := range []family.ReuseDetection{family.Enforce, family.Observe} {
								p := family.DefaultPolicy()
								p.ReuseInterval, p.LostResponse, p.AbsoluteLifetime, p.IdleLifetime = interval, lost, absolute, idle
								p.MaxActive, p.AccessTokenLifetime, p.ReuseDetection = maxActive, access, detection
								if detection == family.Observe {
									p.ObserveUntil = now.Add(time.Hour)
								}
								all = append(all, p)
							}
						}
					}
				}
			}
		}
	}
	return all
}

// evidence holds one family, and the token that support asks about.
type evidence struct {
	name  string
	f     *family.Family
	n     uint32
	cause family.Cause // the cause that explain gives; "" if it depends on the policy
}

// stories returns every cause with the evidence that there can be for it.
func stories(t *testing.T) []evidence {
	t.Helper()
	var all []evidence
	add := func(name string, f *family.Family, n uint32, cause family.Cause) {
		all = append(all, evidence{name, f, n, cause})
	}
	revoked := func(cause family.Cause, ages ...time.Duration) *family.Family {
		f := record(t, ages...)
		f.Revoked = family.Revocation{At: ago(time.Second), Cause: cause}
		return f
	}
	for _, cause := range []family.Cause{family.LimitExceeded, family.RevokedByClient, family.RevokedByAdmin, family.PasswordChanged} {
		add(string(cause), revoked(cause, time.Hour), 2, cause)
	}
	for _, age := range []time.Duration{0, 30 * time.Second, 20 * time.Minute, 90 * time.Minute, 5 * time.Hour, 40 * 24 * time.Hour} {
		for _, used := range []bool{false, true} {
			for token := uint32(1); token <= 3; token++ {
				f := record(t, age, age+time.Hour, age+2*time.Hour) // token 4 is the newest
				f.ExpiresAt = time.Time{}
				if used {
					f.Held = f.Counter
				}
				living := *f
				add(fmt.Sprintf("token %d of 4, superseded %v ago, used=%v, living", token, age, used), &living, token, "")
				f.Revoked = family.Revocation{At: now, Cause: family.ReuseDetected, TokenCounter: token, ReuseAge: age}
				add(fmt.Sprintf("token %d of 4, superseded %v ago, used=%v, revoked", token, age, used), f, token, family.ReuseDetected)
				skipped := *f
				skipped.Skipped = family.Range{From: 3, To: 3}
				add(fmt.Sprintf("token %d of 4, 3 was passed over %v ago", token, age), &skipped, token, family.ReuseDetected)
			}
		}
	}
	for _, age := range []time.Duration{0, 30 * time.Second, 20 * time.Minute, 5 * time.Hour} {
		for _, newest := range []uint32{1, 2} {
			for _, used := range []bool{false, true} {
				f := movedIn(t, age)
				f.Counter, f.ExpiresAt = newest, time.Time{}
				if used {
					f.Held = f.Counter
				}
				living := *f
				add(fmt.Sprintf("a foreign token, exchanged for %d %v ago, used=%v, living", newest, age, used), &living, 0, "")
				f.Revoked = family.Revocation{At: now, Cause: family.ReuseDetected, ReuseAge: age}
				add(fmt.Sprintf("a foreign token, exchanged for %d %v ago, used=%v, revoked", newest, age, used), f, 0, family.ReuseDetected)
			}
		}
	}
	expired := record(t, time.Hour)
	expired.ExpiresAt = ago(time.Minute)
	add("expired, with less than the policy has", expired, 2, "")
	old := record(t, 31*24*time.Hour)
	old.ExpiresAt, old.LastUsedAt = old.IssuedAt().Add(30*24*time.Hour), ago(2*24*time.Hour)
	add("expired by the policy", old, 2, "")
	unused := record(t, family.MaxLifetime.Duration()+24*time.Hour)
	unused.ExpiresAt = time.Time{}
	add("not used for the longest idle lifetime", unused, 2, "")
	oldest := record(t, family.MaxLifetime.Duration()+24*time.Hour)
	oldest.ExpiresAt = oldest.IssuedAt().Add(family.MaxLifetime.Duration())
	oldest.LastUsedAt = oldest.ExpiresAt.Add(-24 * time.Hour)
	add("expired by the longest absolute lifetime", oldest, 2, "")
	return all
}

var number = regexp.MustCompile(`reuse_interval of (?:two access token lifetimes, )?(\d+) seconds`)

// TestAdvice checks that advice follows from the evidence and the policy: it does not
// recommend what is already set, does not contradict the evidence, and does not blame one
// cause if two are possible.
func TestAdvice(t *testing.T) {
	seen := map[string]int{}
	for _, story := range stories(t) {
		for _, p := range policies() {
			a := family.Attempt{Counter: story.n, ClientID: "app", Now: now}
			e := family.Explain(story.f, &p, story.f.IssuedAt(), a)
			if e.Summary == "" || e.Advice == "" {
				t.Fatalf("%s: nothing is said: %+v", story.name, e)
			}
			complain := func(format string, args ...any) {
				t.Helper()
				t.Fatalf("%s, under %+v: %s\n%s\n%s", story.name, p, fmt.Sprintf(format, args...), e.Summary, e.Advice)
			}
			if story.cause != "" && e.Cause != story.cause && e.Cause != family.ExpiredIdle && e.Cause != family.ExpiredAbsolute {
				complain("the cause is %s", e.Cause)
			}
			seen[string(e.Cause)]++
			has := func(part string) bool { return strings.Contains(e.Advice, part) }

			// What is already set is not recommended.
			if has("until_used") && p.LostResponse == family.UntilUsed {
				complain("until_used is set")
			}
			for _, m := range number.FindAllStringSubmatch(e.Advice, -1) {
				seen["interval"]++
				if n, err := strconv.Atoi(m[1]); err != nil || family.Seconds(n) <= p.ReuseInterval || family.Seconds(n) > family.MaxReuseInterval {
					complain("an interval of %s", m[1])
				}
			}
			if has("copies") && p.ReuseInterval >= 2*p.AccessTokenLifetime {
				complain("the interval is that of copies")
			}
			for setting, greatest := range map[string]bool{
				"aise max_active": p.MaxActive == family.MaxMaxActive, "aise idle_lifetime": p.IdleLifetime == family.MaxLifetime,
				"aise absolute_lifetime": p.AbsoluteLifetime == family.MaxLifetime || p.AbsoluteLifetime == 0,
			} {
				if has(setting) {
					seen[setting]++
					if greatest {
						complain("R%s is not possible", setting)
					}
				}
			}

			// The advice does not contradict the evidence, and names every possible cause.
			if e.Cause != family.ReuseDetected && e.Cause != family.Superseded {
				continue
			}
			if !has("stolen") && !has("thief") {
				complain("a thief is not thought of")
			}
			if !has("two programs") && !has("two holders") && !has("copy") {
				complain("a second honest holder is not thought of")
			}
			pred := story.f.Counter - 1
			if story.f.Skipped.To == 3 {
				pred = 2
			}
			switch {
			case story.n > pred && (has("was lost") || !has("two holders")):
				complain("a token that was passed over has two holders")
			case story.n == pred && story.f.Held == story.f.Counter && (has("a response was lost") || !has("fails to save")):
				complain("the successor was used, so that no response was lost")
			case story.n == pred && story.f.Held != story.f.Counter && !has("a response was lost"):
				complain("a lost response is not thought of")
			case story.n < pred && has("was lost"):
				complain("no response was lost")
			}
		}
	}
	for _, want := range []string{
		"limit_exceeded", "revoked_by_client", "revoked_by_admin", "password_changed", "reuse_detected", "superseded", "expired_absolute", "expired_idle",
		"interval", "aise max_active", "aise idle_lifetime", "aise absolute_lifetime",
	} {
		if seen[want] == 0 {
			t.Errorf("%s was not seen", want)
		}
	}
}

// TestAdviceOnTheLimitNamesBothReadings checks that a user who simply has three devices is not
// told that a program logs in again and again.
func TestAdviceOnTheLimitNamesBothReadings(t *testing.T) {
	f, p := record(t), family.DefaultPolicy()
	p.MaxActive = 2
	f.Revoked = family.Revocation{At: now, Cause: family.LimitExceeded}
	e := family.Explain(f, &p, f.IssuedAt(), family.Attempt{Counter: 1, ClientID: "app", Now: now})
	for _, part := range []string{"devices", "logs in again and again", "max_active"} {
		if !strings.Contains(e.Advice, part) {
			t.Errorf("nothing of %q in: %s", part, e.Advice)
		}
	}
}

// TestAdviceOfKeys checks that lost responses lead to the advice to bind sessions to a key, unless the client may do so already.
func TestAdviceOfKeys(t *testing.T) {
	for _, dpop := range []family.DPoP{family.DPoPOff, family.DPoPAllowed, family.DPoPRequired} {
		p := family.DefaultPolicy()
		p.DPoP = dpop
		f := record(t, 5*time.Hour, 6*time.Hour)
		f.Revoked = family.Revocation{At: now, Cause: family.ReuseDetected, TokenCounter: f.Counter - 1, ReuseAge: 5 * time.Hour}
		e := family.Explain(f, &p, f.IssuedAt(), family.Attempt{Counter: f.Counter - 1, ClientID: f.ClientID, Now: now})
		if said := strings.Contains(e.Advice, "policy.dpop"); said != (dpop == family.DPoPOff) || e.Cause != family.ReuseDetected {
			t.Errorf("with dpop %q the advice is %q", dpop, e.Advice)
		}
	}
}
