package family_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/family"
)

// foreignKinds are the origins that are another provider's refresh token.
var foreignKinds = []family.OriginKind{family.Imported, family.Adopted}

// waiting returns a family that has waited that long for another provider's token.
func waiting(t testing.TB, age time.Duration) *family.Family {
	t.Helper()
	f := pending(t, age)
	f.Origin = family.Origin{Kind: family.Imported}
	return f
}

// movedIn returns a family that such a token started that long ago.
func movedIn(t testing.TB, age time.Duration) *family.Family {
	t.Helper()
	f := waiting(t, age+time.Hour)
	f.Counter, f.RotatedAt, f.LastUsedAt, f.RotationID = 1, ago(age), ago(age), []byte("theirs")
	return f
}

func unrotated(_ *family.Family, p *family.Policy, _ *family.Attempt) { p.Rotation = false }

// held makes the newest token one that was used while it was held. The next ones change other
// things about a use of a foreign token.
func held(f *family.Family, _ *family.Policy, _ *family.Attempt) { f.Held = f.Counter }

func skipped(f *family.Family, _ *family.Policy, _ *family.Attempt) {
	f.Counter, f.Skipped = 2, family.Range{From: 1, To: 1}
}

func otherScope(_ *family.Family, _ *family.Policy, a *family.Attempt) { a.Scope = []string{"admin"} }

// counts makes the newest token number n, all between 0 and which were skipped.
func counts(n uint32) change {
	return func(f *family.Family, _ *family.Policy, _ *family.Attempt) {
		f.Counter, f.Skipped = n, family.Range{From: 1, To: n - 1}
	}
}

// restored makes the record one that was pending in the backup, and that token n has moved ahead.
func restored(n uint32, since time.Duration) change {
	return func(f *family.Family, p *family.Policy, _ *family.Attempt) { *f = *f.AfterRestore(n, p, ago(since)) }
}

// TestDecideForeign checks what each use of another provider's token means, imported or adopted,
// and what a refresh token means whose record says that nobody has used the foreign one yet.
func TestDecideForeign(t *testing.T) {
	const s, ms, day = time.Second, time.Millisecond, 24 * time.Hour
	dead := func(c family.Cause) family.Verdict { return family.Verdict{Kind: family.Dead, Cause: c} }
	newest := func(age time.Duration) family.Verdict { return family.Verdict{Kind: family.Newest, Age: age} }
	reuse := func(age time.Duration) family.Verdict { return family.Verdict{Kind: family.Reuse, Age: age} }
	older := func(age time.Duration) family.Verdict {
		return family.Verdict{Kind: family.Reuse, Age: age, AgeAtLeast: true}
	}
	current, unclear := family.Verdict{Kind: family.Current}, family.Verdict{Kind: family.Unclear}
	ahead, noTarget := family.Verdict{Kind: family.Ahead}, family.Verdict{Kind: family.TargetNotGranted}
	for _, tt := range []struct {
		name    string
		family  *family.Family
		n       uint32
		changes []change
		want    family.Verdict
	}{
		{"the first use, at once", waiting(t, 0), 0, nil, current},
		{"the first use, long after a code would have ended", waiting(t, 10*day), 0, nil, current},
		{"the first use, by a clock that is behind", waiting(t, -5*s), 0, nil, current},
		{"the first use, strict", waiting(t, s), 0, []change{strict}, current},
		{"the first use, without rotation", waiting(t, s), 0, []change{unrotated}, current},
		{"the first use, where lost responses are forgiven", waiting(t, s), 0, []change{untilUsed}, current},
		{"the first use, observed", waiting(t, s), 0, []change{observing}, current},
		{"the first use, with no proof of a code", waiting(t, s), 0, []change{noVerifier, noRedirect}, current},
		{"the first use, by another client", waiting(t, s), 0, []change{otherClient}, dead(family.WrongClient)},
		{"the first use, revoked while it waited", waiting(t, s), 0, []change{revoked}, dead(family.PasswordChanged)},
		{"the first use, before the client's not_before", waiting(t, s), 0, []change{notBefore}, dead(family.ClientNotBefore)},
		{"the first use, at the absolute end", waiting(t, s), 0, []change{absoluteEnd}, dead(family.ExpiredAbsolute)},
		{"the first use, at the idle end", waiting(t, 30*s), 0, []change{idleEnd}, dead(family.ExpiredIdle)},
		{"the first use, for a scope that was not granted", waiting(t, s), 0, []change{otherScope}, family.Verdict{Kind: family.ScopeNotGranted}},
		{"the first use, for a resource that is none of the audience", waiting(t, s), 0, []change{otherResource}, noTarget},

		{"our own first use", movedIn(t, 0), 0, []change{ownMark}, family.Verdict{Kind: family.Ours}},
		{"our own first use, strict", movedIn(t, 0), 0, []change{ownMark, strict}, family.Verdict{Kind: family.Ours}},
		{"our own first use, and revoked since", movedIn(t, 0), 0, []change{ownMark, revoked}, dead(family.PasswordChanged)},
		{"again, at once", movedIn(t, 0), 0, nil, newest(0)},
		{"again, at the end of a code's forgiveness", movedIn(t, 10*s), 0, nil, newest(10 * s)},
		{"again, just inside the interval", movedIn(t, 60*s-ms), 0, nil, newest(60*s - ms)},
		{"again, at the end of the interval", movedIn(t, 60*s), 0, nil, reuse(60 * s)},
		{"again, later", movedIn(t, 10*day), 0, nil, reuse(10 * day)},
		{"again, by a clock that is behind", movedIn(t, -5*s), 0, nil, newest(0)},
		{"again, strict", movedIn(t, 0), 0, []change{strict}, reuse(0)},
		{"again, strict, by a clock that is behind", movedIn(t, -5*s), 0, []change{strict}, reuse(0)},
		{"again, without rotation, inside the interval", movedIn(t, s), 0, []change{unrotated}, newest(s)},
		{"again, without rotation, later", movedIn(t, time.Hour), 0, []change{unrotated}, reuse(time.Hour)},
		{"again, observed, inside the interval", movedIn(t, s), 0, []change{observing}, newest(s)},
		{"again, observed, later", movedIn(t, time.Hour), 0, []change{observing}, family.Verdict{Kind: family.Observed, Age: time.Hour}},
		{"again, by another client", movedIn(t, time.Hour), 0, []change{otherClient}, dead(family.WrongClient)},
		{"again, the family revoked", movedIn(t, s), 0, []change{revoked}, dead(family.PasswordChanged)},
		{"again, before the client's not_before", movedIn(t, s), 0, []change{notBefore}, dead(family.ClientNotBefore)},
		{"again, at the absolute end", movedIn(t, s), 0, []change{absoluteEnd}, dead(family.ExpiredAbsolute)},
		{"again, at the idle end", movedIn(t, s), 0, []change{idleEnd}, dead(family.ExpiredIdle)},
		{"again, for a scope that was not granted", movedIn(t, s), 0, []change{otherScope}, family.Verdict{Kind: family.ScopeNotGranted}},
		{"again, later, for a scope that was not granted", movedIn(t, time.Hour), 0, []change{otherScope}, reuse(time.Hour)},
		{"again, for a resource that is none of the audience", movedIn(t, s), 0, []change{otherResource}, noTarget},
		{"again, after rotations, the last just now", movedIn(t, time.Hour), 0, []change{rotated}, older(0)},
		{"again, after rotations, strict", movedIn(t, time.Hour), 0, []change{rotated, strict}, older(0)},
		{"again, after rotations, where lost responses are forgiven", movedIn(t, time.Hour), 0, []change{rotated, untilUsed}, older(0)},
		{"again, after rotations, observed", movedIn(t, time.Hour), 0, []change{rotated, observing}, family.Verdict{Kind: family.Observed, AgeAtLeast: true}},
		{"again, by a request that is older than the newest rotation", movedIn(t, time.Hour), 0, []change{rotated, slowly}, unclear},

		{"the first answer was lost", movedIn(t, time.Hour), 0, []change{untilUsed}, family.Verdict{Kind: family.Lost, Age: time.Hour}},
		{"the first answer was lost, strict", movedIn(t, 0), 0, []change{untilUsed, strict}, family.Verdict{Kind: family.Lost}},
		{"the first answer was lost, inside the interval", movedIn(t, s), 0, []change{untilUsed}, newest(s)},
		{"the first answer was not lost: its token was used", movedIn(t, time.Hour), 0, []change{untilUsed, held}, reuse(time.Hour)},
		{"its token was used, inside the interval", movedIn(t, s), 0, []change{untilUsed, held}, newest(s)},
		{"the answer was lost twice", movedIn(t, time.Hour), 0, []change{untilUsed, skipped}, family.Verdict{Kind: family.Lost, Age: time.Hour}},
		{"the answer was lost twice, inside the interval", movedIn(t, s), 0, []change{untilUsed, skipped}, newest(s)},
		{"the second answer was not lost", movedIn(t, time.Hour), 0, []change{untilUsed, skipped, held}, reuse(time.Hour)},
		{"the token of a lost answer", movedIn(t, s), 1, []change{untilUsed, skipped}, reuse(s)},

		{"the first token, held", movedIn(t, s), 1, nil, family.Verdict{Kind: family.Held, Age: s}},
		{"the first token, after the interval", movedIn(t, time.Minute), 1, nil, current},
		{"the first token, strict", movedIn(t, s), 1, []change{strict}, current},
		{"the first token, without rotation", movedIn(t, s), 1, []change{unrotated}, current},

		{"next to the largest number", movedIn(t, time.Hour), 0, []change{untilUsed, counts(math.MaxUint32 - 1)}, family.Verdict{Kind: family.Lost, Age: time.Hour}},
		{"at the largest number", movedIn(t, time.Hour), 0, []change{untilUsed, counts(math.MaxUint32)}, reuse(time.Hour)},
		{"at the largest number, inside the interval", movedIn(t, s), 0, []change{counts(math.MaxUint32)}, newest(s)},
		{"at the largest number, none skipped", movedIn(t, s), 0, []change{func(f *family.Family, _ *family.Policy, _ *family.Attempt) { f.Counter = math.MaxUint32 }}, older(s)},
		{"the largest number, while the family waits", waiting(t, s), math.MaxUint32, nil, family.Verdict{Kind: family.Refused, Cause: family.CounterSpent}},
		{"the largest number but one, while the family waits", waiting(t, s), math.MaxUint32 - 1, nil, ahead},

		{"a restored record", waiting(t, time.Hour), 1, nil, ahead},
		{"a restored record, another client's", waiting(t, time.Hour), 1, []change{otherClient}, dead(family.WrongClient)},
		{"a restored record, revoked", waiting(t, time.Hour), 1, []change{revoked}, dead(family.PasswordChanged)},
		{"a restored record, at the absolute end", waiting(t, time.Hour), 1, []change{absoluteEnd}, dead(family.ExpiredAbsolute)},
		{"a restored record, at the idle end", waiting(t, time.Hour), 1, []change{idleEnd}, dead(family.ExpiredIdle)},
		{"a restored record, moved ahead to the first token", waiting(t, time.Hour), 0, []change{restored(1, s)}, newest(s)},
		{"a restored record, moved ahead to the first token long ago", waiting(t, time.Hour), 0, []change{restored(1, time.Minute)}, reuse(time.Minute)},
		{"a restored record is used: it forgives no lost answer", waiting(t, time.Hour), 0, []change{untilUsed, restored(1, time.Minute)}, reuse(time.Minute)},
		{"a restored record, strict", waiting(t, time.Hour), 0, []change{strict, restored(1, 0)}, older(0)},
		{"a restored record, moved ahead further", waiting(t, time.Hour), 0, []change{restored(9, s)}, older(s)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, kind := range foreignKinds {
				f, p := *tt.family, family.DefaultPolicy()
				f.Origin.Kind = kind
				a := family.Attempt{Counter: tt.n, ClientID: "app", WriteID: []byte("ours"), Now: now}
				for _, c := range tt.changes {
					c(&f, &p, &a)
				}
				if diff := cmp.Diff(tt.want, family.Decide(&f, &p, a)); diff != "" {
					t.Error(kind, diff)
				}
			}
		})
	}
}

// slowly makes the request one that began before the family rotated last.
func slowly(_ *family.Family, _ *family.Policy, a *family.Attempt) { a.Now = ago(time.Millisecond) }

// TestForeignWaits checks that a family which waits for a foreign token ends as any other, whether
// a use begins it or not.
func TestForeignWaits(t *testing.T) {
	for _, tt := range []struct {
		name    string
		age     time.Duration
		changes []change
		want    family.Cause
	}{
		{"at once", 0, nil, ""},
		{"past the time of a code", time.Hour, nil, ""},
		{"revoked", time.Hour, []change{revoked}, family.PasswordChanged},
		{"before the not_before", time.Hour, []change{notBefore}, family.ClientNotBefore},
		{"past the absolute end", time.Hour, []change{absoluteEnd}, family.ExpiredAbsolute},
		{"past the idle end", time.Hour, []change{idleEnd}, family.ExpiredIdle},
		{"a millisecond before the default idle end", family.DefaultPolicy().IdleLifetime.Duration() - time.Millisecond, nil, ""},
		{"at the default idle end", family.DefaultPolicy().IdleLifetime.Duration(), nil, family.ExpiredIdle},
	} {
		for _, kind := range foreignKinds {
			f, p := waiting(t, tt.age), family.DefaultPolicy()
			f.Origin.Kind = kind
			for _, c := range tt.changes {
				c(f, &p, &family.Attempt{})
			}
			if death, begun := f.Death(&p, now), f.DeathOnceBegun(&p, now); death != tt.want || begun != tt.want {
				t.Errorf("%s, %s: %q and %q, not %q", kind, tt.name, death, begun, tt.want)
			}
			if !f.Pending() || !f.ExchangedAt().IsZero() {
				t.Errorf("%s, %s: it was exchanged at %v", kind, tt.name, f.ExchangedAt())
			}
		}
	}
}

// FuzzForeign checks that a foreign token is a token like any other: whatever the record, a use of
// number n means what a use of number n+1 means in the record whose numbers are all one more.
func FuzzForeign(f *testing.F) {
	f.Add(int64(1000), uint32(0), uint32(0), uint32(0), false, false, true, true, false, int64(60))
	f.Add(int64(60_000), uint32(1), uint32(0), uint32(0), false, false, true, true, false, int64(60))
	f.Add(int64(3_600_000), uint32(1), uint32(0), uint32(0), true, false, false, true, false, int64(0))
	f.Add(int64(3_600_000), uint32(2), uint32(0), uint32(0), true, true, true, false, false, int64(5))
	f.Add(int64(-1), uint32(7), uint32(0), uint32(7), true, false, false, true, true, int64(86_400))
	f.Add(int64(0), uint32(1<<32-3), uint32(1<<32-4), uint32(5), true, true, true, true, true, int64(1))
	f.Fuzz(func(t *testing.T, age int64, counter, n, heldN uint32, lost, skips, adopted, rotation, observe bool, interval int64) {
		const most = math.MaxUint32 - 2 // so that neither record has a token without a successor
		f, p := waiting(t, 0), family.DefaultPolicy()
		f.Origin.Kind = foreignKinds[0]
		if adopted {
			f.Origin.Kind = foreignKinds[1]
		}
		p.Rotation = rotation
		p.ReuseInterval = family.Seconds(max(0, min(interval, int64(family.MaxReuseInterval))))
		if lost {
			p.LostResponse = family.UntilUsed
		}
		if observe {
			p.ReuseDetection, p.ObserveUntil = family.Observe, now.Add(time.Hour)
		}
		f.ExpiresAt, p.IdleLifetime = time.Time{}, 0
		f.Counter, n = min(counter, most), min(n, most)
		if f.Counter > 0 {
			f.RotatedAt = ago(time.Duration(max(-1<<40, min(age, 1<<40))) * time.Millisecond)
			f.Held = min(heldN, f.Counter) // 0 for none: number 0 is never held
		}
		if skips && f.Counter > 1 {
			f.Skipped = family.Range{From: 1 + heldN%(f.Counter-1), To: f.Counter - 1}
		}
		next := *f
		if next.Counter++; f.Held > 0 {
			next.Held++
		}
		if f.Skipped.To > 0 {
			next.Skipped = family.Range{From: f.Skipped.From + 1, To: f.Skipped.To + 1}
		}
		a := family.Attempt{Counter: n, ClientID: "app", Now: now}
		got := family.Decide(f, &p, a)
		a.Counter++
		if want := family.Decide(&next, &p, a); got != want {
			t.Fatalf("number %d of %d is %+v, number %d of %d is %+v", n, f.Counter, got, n+1, next.Counter, want)
		}
		if n == 0 && f.Pending() != (got.Kind == family.Current) {
			t.Fatalf("number 0 of %d is %+v", f.Counter, got)
		}
		if slices.Contains([]family.Kind{family.Refused, family.Dead}, got.Kind) {
			t.Fatalf("number %d of %d is %+v", n, f.Counter, got)
		}
	})
}
