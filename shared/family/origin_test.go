package family_test

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/family"
)

var (
	challenge = bytes.Repeat([]byte{7}, 32)
	redirect  = bytes.Repeat([]byte{9}, 16)
)

// pending returns a family whose code was issued that long ago.
func pending(t testing.TB, age time.Duration) *family.Family {
	t.Helper()
	id, err := family.NewID(userKey, ago(age))
	if err != nil {
		t.Fatal(err)
	}
	return &family.Family{
		ID: id, UserID: "u", ClientID: "app", LastUsedAt: ago(age), ExpiresAt: ago(age).Add(30 * 24 * time.Hour), Scope: []string{"read"},
		Origin: family.Origin{Kind: family.Code, Until: ago(age).Add(family.CodeLifetime), Challenge: challenge, Redirect: redirect},
	}
}

// exchanged returns a family whose code was exchanged that long ago.
func exchanged(t testing.TB, age time.Duration) *family.Family {
	t.Helper()
	f := pending(t, age+time.Second)
	f.Counter, f.RotatedAt, f.LastUsedAt, f.RotationID = 1, ago(age), ago(age), []byte("theirs")
	f.Origin.Until = family.AfterExchange(ago(age))
	return f
}

// asserted returns a family that an assertion started that long ago.
func asserted(t testing.TB, age time.Duration) *family.Family {
	t.Helper()
	f := pending(t, age)
	f.Counter, f.RotatedAt, f.Origin = 1, ago(age), family.Origin{Kind: family.Assertion}
	return f
}

type change = func(*family.Family, *family.Policy, *family.Attempt)

// otherVerifier makes the proof that of another verifier. The next ones change other things about a
// use of number 0.
func otherVerifier(_ *family.Family, _ *family.Policy, a *family.Attempt) {
	a.Challenge = bytes.Repeat([]byte{8}, 32)
}
func noVerifier(_ *family.Family, _ *family.Policy, a *family.Attempt) { a.Challenge = nil }

func otherRedirect(_ *family.Family, _ *family.Policy, a *family.Attempt) {
	a.Redirect = bytes.Repeat([]byte{10}, 16)
}
func noRedirect(_ *family.Family, _ *family.Policy, a *family.Attempt) { a.Redirect = nil }

func otherClient(_ *family.Family, _ *family.Policy, a *family.Attempt) { a.ClientID = "other" }

func ownMark(f *family.Family, _ *family.Policy, a *family.Attempt) { a.WriteID = f.RotationID }

func strict(_ *family.Family, p *family.Policy, _ *family.Attempt) { p.ReuseInterval = 0 }

func untilUsed(_ *family.Family, p *family.Policy, _ *family.Attempt) {
	p.LostResponse = family.UntilUsed
}

func observing(_ *family.Family, p *family.Policy, _ *family.Attempt) {
	p.ReuseDetection, p.ObserveUntil = family.Observe, now.Add(time.Hour)
}

func revoked(f *family.Family, _ *family.Policy, _ *family.Attempt) {
	f.Revoked = family.Revocation{At: now, Cause: family.PasswordChanged}
}

func notBefore(_ *family.Family, p *family.Policy, _ *family.Attempt) { p.NotBefore = now }

func absoluteEnd(f *family.Family, _ *family.Policy, _ *family.Attempt) { f.ExpiresAt = now }

func idleEnd(f *family.Family, p *family.Policy, _ *family.Attempt) {
	p.IdleLifetime, f.LastUsedAt = 30, ago(30*time.Second)
}

func otherResource(_ *family.Family, _ *family.Policy, a *family.Attempt) {
	a.Resource, a.Issuer = []string{"https://other.example"}, "issuer"
}

// rotated makes the family one that has rotated three times since, last just now.
func rotated(f *family.Family, _ *family.Policy, _ *family.Attempt) { f.Counter, f.RotatedAt = 4, now }

// bound makes the family one that is bound to the caller's key.
func bound(f *family.Family, _ *family.Policy, a *family.Attempt) {
	f.JKT, a.JKT = []byte("key"), []byte("key")
}

// TestDecideOrigin checks what each use of a family's number 0 means, and what a refresh token
// means whose record says that the code was not exchanged yet.
func TestDecideOrigin(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	dead := func(c family.Cause) family.Verdict { return family.Verdict{Kind: family.Dead, Cause: c} }
	refused := func(c family.Cause) family.Verdict { return family.Verdict{Kind: family.Refused, Cause: c} }
	used := func(age time.Duration) family.Verdict {
		return family.Verdict{Kind: family.Refused, Cause: family.CodeUsed, Age: age}
	}
	reuse := func(age time.Duration) family.Verdict { return family.Verdict{Kind: family.Reuse, Age: age} }
	current, ahead := family.Verdict{Kind: family.Current}, family.Verdict{Kind: family.Ahead}
	for _, tt := range []struct {
		name    string
		family  *family.Family
		n       uint32
		changes []change
		want    family.Verdict
	}{
		{"a code, at once", pending(t, 0), 0, nil, current},
		{"a code, in its last millisecond", pending(t, 60*s-ms), 0, nil, current},
		{"a code of a bound family", pending(t, s), 0, []change{bound}, current},
		{"a code, at its end", pending(t, 60*s), 0, nil, dead(family.CodeExpired)},
		{"a code, long after", pending(t, 23*time.Hour), 0, nil, dead(family.CodeExpired)},
		{"a code, by a clock that is behind", pending(t, -5*s), 0, nil, current},
		{"a code, strict", pending(t, s), 0, []change{strict}, current},
		{"a code, without rotation", pending(t, s), 0, []change{func(_ *family.Family, p *family.Policy, _ *family.Attempt) { p.Rotation = false }}, current},
		{"another verifier", pending(t, s), 0, []change{otherVerifier}, refused(family.WrongVerifier)},
		{"no verifier", pending(t, s), 0, []change{noVerifier}, refused(family.WrongVerifier)},
		{"another redirect URI", pending(t, s), 0, []change{otherRedirect}, refused(family.WrongRedirect)},
		{"no redirect URI", pending(t, s), 0, []change{noRedirect}, refused(family.WrongRedirect)},
		{"neither", pending(t, s), 0, []change{otherVerifier, otherRedirect}, refused(family.WrongVerifier)},
		{"a wrong proof is no reuse, also while reuse is observed", pending(t, s), 0, []change{otherVerifier, observing}, refused(family.WrongVerifier)},
		{"another verifier, too late", pending(t, 60*s), 0, []change{otherVerifier}, dead(family.CodeExpired)},
		{"another client's", pending(t, s), 0, []change{otherClient}, dead(family.WrongClient)},
		{"another client's, with its own verifier", pending(t, s), 0, []change{otherClient, otherVerifier}, dead(family.WrongClient)},
		{"revoked while pending", pending(t, s), 0, []change{revoked}, dead(family.PasswordChanged)},
		{"revoked while pending, too late", pending(t, 60*s), 0, []change{revoked}, dead(family.PasswordChanged)},
		{"before the client's not_before", pending(t, s), 0, []change{notBefore}, dead(family.ClientNotBefore)},
		{"before the client's not_before, too late", pending(t, 60*s), 0, []change{notBefore}, dead(family.ClientNotBefore)},
		{"at the absolute end", pending(t, s), 0, []change{absoluteEnd}, dead(family.ExpiredAbsolute)},
		{"at the idle end", pending(t, 30*s), 0, []change{idleEnd}, dead(family.ExpiredIdle)},
		{"at the absolute end, too late", pending(t, 60*s), 0, []change{absoluteEnd}, dead(family.CodeExpired)},
		{"a resource that is none of the audience", pending(t, s), 0, []change{otherResource}, family.Verdict{Kind: family.TargetNotGranted}},
		{"such a resource, with another verifier", pending(t, s), 0, []change{otherResource, otherVerifier}, refused(family.WrongVerifier)},

		{"our own exchange", exchanged(t, 0), 0, []change{ownMark}, family.Verdict{Kind: family.Ours}},
		{"our own exchange, and revoked since", exchanged(t, 0), 0, []change{ownMark, revoked}, dead(family.PasswordChanged)},
		{"a second use at once", exchanged(t, 0), 0, nil, used(0)},
		{"a second use just inside the ten seconds", exchanged(t, 10*s-ms), 0, nil, used(10*s - ms)},
		{"a second use at ten seconds", exchanged(t, 10*s), 0, nil, reuse(10 * s)},
		{"a second use later, bound", exchanged(t, time.Hour), 0, []change{bound}, used(time.Hour)},
		{"a second use later, another verifier, bound", exchanged(t, time.Hour), 0, []change{otherVerifier, bound}, used(time.Hour)},
		{"a second use later", exchanged(t, time.Hour), 0, nil, reuse(time.Hour)},
		{"a second use by a clock that is behind", exchanged(t, -5*s), 0, nil, used(0)},
		{"a second use with another verifier", exchanged(t, s), 0, []change{otherVerifier}, reuse(s)},
		{"a second use with no verifier", exchanged(t, s), 0, []change{noVerifier}, reuse(s)},
		{"a second use with another redirect URI", exchanged(t, s), 0, []change{otherRedirect}, used(s)},
		{"a second use by another client", exchanged(t, s), 0, []change{otherClient, otherVerifier}, dead(family.WrongClient)},
		{"a second use after rotations, strict", exchanged(t, s), 0, []change{strict, rotated}, used(s)},
		{"a second use after rotations, strict, at ten seconds", exchanged(t, 10*s), 0, []change{strict, rotated}, reuse(10 * s)},
		{"a second use is no lost response", exchanged(t, time.Hour), 0, []change{untilUsed}, reuse(time.Hour)},
		{"a second use, observed", exchanged(t, time.Hour), 0, []change{observing}, used(time.Hour)},
		{"a second use with another verifier, observed", exchanged(t, s), 0, []change{observing, otherVerifier}, used(s)},
		{"a second use of a dead family", exchanged(t, time.Hour), 0, []change{revoked}, dead(family.PasswordChanged)},
		{"a second use with a resource that is none of the audience", exchanged(t, time.Hour), 0, []change{otherResource}, reuse(time.Hour)},

		{"the first token, held", exchanged(t, s), 1, nil, family.Verdict{Kind: family.Held, Age: s}},
		{"the first token, after the interval", exchanged(t, time.Minute), 1, nil, current},
		{"the first token, strict", exchanged(t, s), 1, []change{strict}, current},

		{"a restored record, in the time of its code", pending(t, s), 1, nil, ahead},
		{"a restored record, past that time", pending(t, time.Hour), 1, nil, ahead},
		{"a restored record, a later token", pending(t, time.Hour), 9, nil, ahead},
		{"a restored record, another client's", pending(t, time.Hour), 1, []change{otherClient}, dead(family.WrongClient)},
		{"a restored record, revoked", pending(t, time.Hour), 1, []change{revoked}, dead(family.PasswordChanged)},
		{"a restored record, before the not_before", pending(t, time.Hour), 1, []change{notBefore}, dead(family.ClientNotBefore)},
		{"a restored record, at the absolute end", pending(t, time.Hour), 1, []change{absoluteEnd}, dead(family.ExpiredAbsolute)},
		{"a restored record, at the idle end", pending(t, time.Hour), 1, []change{idleEnd}, dead(family.ExpiredIdle)},
		{"a restored record, the largest counter", pending(t, s), math.MaxUint32, nil, refused(family.CounterSpent)},
		{"a restored record, a resource that is none of the audience", pending(t, time.Hour), 1, []change{otherResource}, family.Verdict{Kind: family.TargetNotGranted}},

		{"an assertion again, at once", asserted(t, 0), 0, nil, family.Verdict{Kind: family.Newest}},
		{"an assertion again, inside the interval", asserted(t, 60*s-ms), 0, nil, family.Verdict{Kind: family.Newest, Age: 60*s - ms}},
		{"an assertion again, at its end", asserted(t, 60*s), 0, nil, refused(family.AssertionUsed)},
		{"an assertion again, strict", asserted(t, 0), 0, []change{strict}, refused(family.AssertionUsed)},
		{"an assertion again, after a rotation", asserted(t, 0), 0, []change{rotated}, refused(family.AssertionUsed)},
		{"an assertion again, by another client", asserted(t, 0), 0, []change{otherClient}, dead(family.WrongClient)},
		{"an assertion again, for a dead family", asserted(t, 0), 0, []change{revoked}, dead(family.PasswordChanged)},
		{"an assertion again, for a resource that is none of the audience", asserted(t, 0), 0, []change{otherResource}, family.Verdict{Kind: family.TargetNotGranted}},

		{"number 0 of a family that has none", record(t, s), 0, nil, family.Verdict{Kind: family.Unclear}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, p := *tt.family, family.DefaultPolicy()
			a := family.Attempt{Counter: tt.n, ClientID: "app", WriteID: []byte("ours"), Challenge: challenge, Redirect: redirect, Now: now}
			for _, c := range tt.changes {
				c(&f, &p, &a)
			}
			if diff := cmp.Diff(tt.want, family.Decide(&f, &p, a)); diff != "" {
				t.Error(diff)
			}
			if tt.want.Kind == family.Ours {
				return // only the request itself knows its mark
			}
			// What support reads says the same.
			e := family.Explain(&f, &p, f.IssuedAt(), a)
			if (e.Verdict != family.DeadToken) != tt.want.Active() || e.Summary == "" || e.Advice == "" {
				t.Errorf("it is explained as %+v", e)
			}
			if cause := tt.want.Cause; cause != "" && e.Cause != cause {
				t.Errorf("it is explained with the cause %s, not %s", e.Cause, cause)
			}
		})
	}
}

// TestCodeIsUsedOnce checks that a code which was exchanged is never honoured again, whatever
// the family became since and whatever comes with it, also after the record was moved ahead.
func TestCodeIsUsedOnce(t *testing.T) {
	p := family.DefaultPolicy()
	var became []*family.Family
	for _, age := range []time.Duration{-time.Second, 0, 9 * time.Second, 10 * time.Second, time.Minute, time.Hour} {
		f := exchanged(t, age)
		g := *f
		g.Counter, g.RotatedAt = 2, now
		became = append(became, f, &g, g.AfterLost(1, now), f.AfterRestore(7, &p, now), pending(t, age).AfterRestore(1, &p, now))
	}
	for _, f := range became {
		for _, interval := range []family.Seconds{0, 60} {
			for _, lost := range []family.LostResponse{family.Revoke, family.UntilUsed} {
				for _, c := range [][]byte{challenge, nil} {
					p.ReuseInterval, p.LostResponse = interval, lost
					v := family.Decide(f, &p, family.Attempt{ClientID: "app", WriteID: []byte("ours"), Challenge: c, Redirect: redirect, Now: now})
					if v.Active() || v.Kind != family.Refused && v.Kind != family.Reuse {
						t.Errorf("the code of a family at %d is %+v", f.Counter, v)
					}
					if c == nil && v.Kind != family.Reuse {
						t.Errorf("without the verifier the code of a family at %d is %+v", f.Counter, v)
					}
				}
			}
		}
	}
}

// TestRestoredPending checks the record of a family that was pending in the backup, once a token
// has moved it ahead.
func TestRestoredPending(t *testing.T) {
	p := family.DefaultPolicy()
	f := pending(t, time.Hour).AfterRestore(1, &p, now)
	if f.Pending() || f.Death(&p, now.Add(time.Hour)) != "" {
		t.Errorf("the record is %+v", f)
	}
	for n, want := range map[uint32]family.Kind{0: family.Reuse, 1: family.Held, 2: family.Ahead} {
		a := family.Attempt{Counter: n, ClientID: "app", Challenge: challenge, Redirect: redirect, Now: now.Add(time.Second)}
		if got := family.Decide(f, &p, a).Kind; got != want {
			t.Errorf("number %d is %v, not %v", n, got, want)
		}
	}
}

// TestDeathOnceBegun checks that of the reasons of a pending family's death the end of its code
// alone does not count for who has a token of the family.
func TestDeathOnceBegun(t *testing.T) {
	for _, tt := range []struct {
		name         string
		age          time.Duration
		changes      []change
		death, begun family.Cause
	}{
		{"in time", time.Second, nil, "", ""},
		{"too late", time.Minute, nil, family.CodeExpired, ""},
		{"too late, and revoked", time.Minute, []change{revoked}, family.PasswordChanged, family.PasswordChanged},
		{"too late, and past the absolute end", time.Minute, []change{absoluteEnd}, family.CodeExpired, family.ExpiredAbsolute},
		{"too late, and before the not_before", time.Minute, []change{notBefore}, family.ClientNotBefore, family.ClientNotBefore},
	} {
		f, p := pending(t, tt.age), family.DefaultPolicy()
		for _, c := range tt.changes {
			c(f, &p, &family.Attempt{})
		}
		if death, begun := f.Death(&p, now), f.DeathOnceBegun(&p, now); death != tt.death || begun != tt.begun {
			t.Errorf("%s: %q and %q, not %q and %q", tt.name, death, begun, tt.death, tt.begun)
		}
	}
}

// TestExchangedAt checks that the record tells when its code was exchanged.
func TestExchangedAt(t *testing.T) {
	moved := movedIn(t, time.Hour)
	rotated(moved, nil, nil)
	for _, tt := range []struct {
		name   string
		family *family.Family
		want   time.Time
	}{
		{"a code that was exchanged", exchanged(t, 5*time.Second), ago(5 * time.Second)},
		{"a code that was not", pending(t, time.Second), time.Time{}},
		{"an assertion", asserted(t, time.Second), time.Time{}},
		{"no origin", record(t, time.Second), time.Time{}},
		{"another provider's token that was", movedIn(t, 5*time.Second), ago(5 * time.Second)},
		{"another provider's token that was not", waiting(t, time.Second), time.Time{}},
		{"another provider's token, after a rotation", moved, time.Time{}},
	} {
		if got := tt.family.ExchangedAt(); !got.Equal(tt.want) {
			t.Errorf("%s: %v, not %v", tt.name, got, tt.want)
		}
	}
}

// TestExplainOrigin checks what the texts about number 0 tell.
func TestExplainOrigin(t *testing.T) {
	ended := exchanged(t, time.Hour)
	ended.Revoked = family.Revocation{At: now, Cause: family.ReuseDetected, ReuseAge: time.Hour}
	for _, tt := range []struct {
		name    string
		family  *family.Family
		n       uint32
		changes []change
		parts   []string
	}{
		{"a code", pending(t, 20*time.Second), 0, nil, []string{"has not been exchanged", "until 2030-05-01 12:00:40 UTC", "code_verifier"}},
		{"too late", pending(t, time.Minute), 0, nil, []string{"not exchanged until 2030-05-01 12:00:00 UTC", "feacft"}},
		{"another verifier", pending(t, time.Second), 0, []change{otherVerifier}, []string{"another code_verifier", "until 2030-05-01 12:00:59 UTC"}},
		{"another redirect URI", pending(t, time.Second), 0, []change{otherRedirect}, []string{"another redirect_uri", "to the letter"}},
		{"twice at once", exchanged(t, 4*time.Second), 0, nil, []string{"exchanged 4 s ago", "refused, and the family lives", "Up to 10 s"}},
		{"twice, later", exchanged(t, time.Hour), 0, nil, []string{"exchanged 1 h ago", "would revoke it", "mounts twice"}},
		{"reuse of the code ended it", ended, 1, nil, []string{"authorization code was presented again, 1 h after"}},
		{"an assertion again", asserted(t, time.Second), 0, nil, []string{"1 s ago", "still gets the family's token", "a retry"}},
		{"an assertion, later", asserted(t, time.Hour), 0, nil, []string{"starts one family", "The family is untouched", "new assertion for each login"}},
	} {
		f, p := *tt.family, family.DefaultPolicy()
		a := family.Attempt{Counter: tt.n, ClientID: "app", Challenge: challenge, Redirect: redirect, Now: now}
		for _, c := range tt.changes {
			c(&f, &p, &a)
		}
		e := family.Explain(&f, &p, f.IssuedAt(), a)
		for _, part := range tt.parts {
			if !strings.Contains(e.Summary+" "+e.Advice, part) {
				t.Errorf("%s: nothing of %q in: %s %s", tt.name, part, e.Summary, e.Advice)
			}
		}
	}
}

// FuzzOrigin checks any record and any use of it. A code is accepted only while its family is
// pending, in time, and with its whole proof. Once it was exchanged, it is refused or ends the
// family. What a refresh token means never depends on the proof.
func FuzzOrigin(f *testing.F) {
	f.Add(int64(1000), int64(0), uint32(0), uint32(0), true, true, false, int64(60), false, false)
	f.Add(int64(60_000), int64(0), uint32(0), uint32(1), true, true, false, int64(0), true, false)
	f.Add(int64(9_999), int64(0), uint32(1), uint32(0), true, false, false, int64(60), false, true)
	f.Add(int64(10_000), int64(3), uint32(7), uint32(0), false, true, true, int64(86_400), true, true)
	f.Add(int64(-5_000), int64(0), uint32(1<<32-1), uint32(1<<32-1), true, true, false, int64(5), true, false)
	f.Fuzz(func(t *testing.T, age, rotation int64, counter, n uint32, verified, redirected, isRevoked bool, interval int64, lost, observe bool) {
		since := time.Duration(max(-1<<40, min(age, 1<<40))) * time.Millisecond
		f, p := pending(t, 0), family.DefaultPolicy()
		f.Counter, f.ExpiresAt, p.IdleLifetime = counter, time.Time{}, 0
		if f.Origin.Until = ago(since).Add(family.CodeLifetime); counter > 0 {
			f.Origin.Until = family.AfterExchange(ago(since))
			f.RotatedAt = ago(time.Duration(max(-1<<40, min(rotation, 1<<40))) * time.Millisecond)
		}
		if isRevoked {
			f.Revoked = family.Revocation{At: now, Cause: family.RevokedByAdmin}
		}
		p.ReuseInterval = family.Seconds(max(0, min(interval, int64(family.MaxReuseInterval))))
		if lost {
			p.LostResponse = family.UntilUsed
		}
		if observe {
			p.ReuseDetection, p.ObserveUntil = family.Observe, now.Add(time.Hour)
		}
		a := family.Attempt{Counter: n, ClientID: "app", Now: now}
		if verified {
			a.Challenge = challenge
		}
		if redirected {
			a.Redirect = redirect
		}
		v := family.Decide(f, &p, a)
		if n > 0 {
			proved := a
			proved.Challenge, proved.Redirect = nil, nil
			if other := family.Decide(f, &p, proved); other != v {
				t.Fatalf("with a proof token %d is %+v, without it %+v", n, v, other)
			}
			return
		}
		inTime := now.Before(f.Origin.Until)
		honoured := counter == 0 && inTime && verified && redirected && !isRevoked
		if v.Active() != honoured || honoured && v.Kind != family.Current {
			t.Fatalf("the code is %+v", v)
		}
		ends := counter > 0 && !isRevoked && !observe && (!verified || !inTime)
		if (v.Kind == family.Reuse) != ends {
			t.Fatalf("the code is %+v", v)
		}
		if v.Age < 0 {
			t.Fatalf("the age is %v", v.Age)
		}
	})
}
