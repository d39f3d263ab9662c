package family_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/family"
)

var (
	now     = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	userKey = [16]byte{1}
)

// ago returns the time d before now.
func ago(d time.Duration) time.Time { return now.Add(-d) }

// record returns a family that has rotated at the given ages, newest first, and was
// issued an hour before the oldest.
func record(t testing.TB, ages ...time.Duration) *family.Family {
	t.Helper()
	issued := ago(time.Hour)
	if len(ages) > 0 {
		issued = ago(ages[len(ages)-1] + time.Hour)
	}
	id, err := family.NewID(userKey, issued)
	if err != nil {
		t.Fatal(err)
	}
	f := &family.Family{
		ID: id, UserID: "u", ClientID: "app", Counter: uint32(len(ages)) + 1,
		LastUsedAt: issued, ExpiresAt: issued.Add(30 * 24 * time.Hour), Scope: []string{"read", "write"},
		RotationID: []byte("theirs"),
	}
	if len(ages) > 0 {
		f.RotatedAt = ago(ages[0])
		f.LastUsedAt = f.RotatedAt
	}
	return f
}

func TestDecide(t *testing.T) {
	const s = time.Second
	strict := func(_ *family.Family, p *family.Policy, _ *family.Attempt) { p.ReuseInterval = 0 }
	fixed := func(_ *family.Family, p *family.Policy, _ *family.Attempt) { p.Rotation = false }
	used := func(f *family.Family, _ *family.Policy, _ *family.Attempt) { f.Held = f.Counter }
	untilUsed := func(_ *family.Family, p *family.Policy, _ *family.Attempt) { p.LostResponse = family.UntilUsed }
	type change = func(*family.Family, *family.Policy, *family.Attempt)
	audience := func(values ...string) change {
		return func(f *family.Family, _ *family.Policy, _ *family.Attempt) { f.Audience = values }
	}
	asks := func(resource ...string) change {
		return func(_ *family.Family, _ *family.Policy, a *family.Attempt) { a.Resource, a.Issuer = resource, "issuer" }
	}
	tests := []struct {
		name    string
		ages    []time.Duration
		n       uint32
		changes []change
		want    family.Verdict
	}{
		{name: "the first", n: 1, want: family.Verdict{Kind: family.Current}},
		{name: "the newest, just made", ages: []time.Duration{0}, n: 2, want: family.Verdict{Kind: family.Held}},
		{name: "the newest, still held", ages: []time.Duration{59_999 * time.Millisecond}, n: 2, want: family.Verdict{Kind: family.Held, Age: 59_999 * time.Millisecond}},
		{name: "the newest, no longer held", ages: []time.Duration{60 * s}, n: 2, want: family.Verdict{Kind: family.Current}},
		{name: "the newest, from a clock that ran ahead", ages: []time.Duration{-5 * s}, n: 2, want: family.Verdict{Kind: family.Held}},
		{name: "the newest, strict", ages: []time.Duration{0}, n: 2, changes: []change{strict}, want: family.Verdict{Kind: family.Current}},
		{name: "the newest, without rotation", ages: []time.Duration{s}, n: 2, changes: []change{fixed}, want: family.Verdict{Kind: family.Current}},
		{
			name: "another client's", ages: []time.Duration{s}, n: 2, changes: []change{func(_ *family.Family, _ *family.Policy, a *family.Attempt) { a.ClientID = "other" }},
			want: family.Verdict{Kind: family.Dead, Cause: family.WrongClient},
		},
		{name: "wrong client comes before revoked", ages: []time.Duration{s}, n: 2, changes: []change{func(f *family.Family, _ *family.Policy, a *family.Attempt) {
			a.ClientID = "other"
			f.Revoked = family.Revocation{At: now, Cause: family.LimitExceeded}
		}}, want: family.Verdict{Kind: family.Dead, Cause: family.WrongClient}},
		{name: "revoked", ages: []time.Duration{s}, n: 2, changes: []change{func(f *family.Family, _ *family.Policy, _ *family.Attempt) {
			f.Revoked = family.Revocation{At: now, Cause: family.PasswordChanged}
		}}, want: family.Verdict{Kind: family.Dead, Cause: family.PasswordChanged}},
		{name: "revoked comes before expired", n: 1, changes: []change{func(f *family.Family, _ *family.Policy, _ *family.Attempt) {
			f.Revoked = family.Revocation{At: now, Cause: family.ReuseDetected}
			f.ExpiresAt = ago(s)
		}}, want: family.Verdict{Kind: family.Dead, Cause: family.ReuseDetected}},
		{
			name: "at the absolute end", n: 1, changes: []change{func(f *family.Family, _ *family.Policy, _ *family.Attempt) { f.ExpiresAt = now }},
			want: family.Verdict{Kind: family.Dead, Cause: family.ExpiredAbsolute},
		},
		{name: "a millisecond before the absolute end", n: 1, changes: []change{func(f *family.Family, _ *family.Policy, _ *family.Attempt) {
			f.ExpiresAt = now.Add(time.Millisecond)
		}}, want: family.Verdict{Kind: family.Current}},
		{name: "at the idle end", n: 1, changes: []change{func(f *family.Family, p *family.Policy, _ *family.Attempt) {
			f.LastUsedAt = now.Add(-p.IdleLifetime.Duration())
		}}, want: family.Verdict{Kind: family.Dead, Cause: family.ExpiredIdle}},
		{name: "a millisecond before the idle end", n: 1, changes: []change{func(f *family.Family, p *family.Policy, _ *family.Attempt) {
			f.LastUsedAt = now.Add(-p.IdleLifetime.Duration() + time.Millisecond)
		}}, want: family.Verdict{Kind: family.Current}},
		{name: "of two ends passed the first counts", n: 1, changes: []change{func(f *family.Family, p *family.Policy, _ *family.Attempt) {
			f.LastUsedAt = now.Add(-p.IdleLifetime.Duration() - time.Hour)
			f.ExpiresAt = ago(time.Minute)
		}}, want: family.Verdict{Kind: family.Dead, Cause: family.ExpiredIdle}},
		{name: "no ends", n: 1, changes: []change{func(f *family.Family, p *family.Policy, _ *family.Attempt) {
			f.ExpiresAt, p.IdleLifetime, f.LastUsedAt = time.Time{}, 0, ago(20*365*24*time.Hour)
		}}, want: family.Verdict{Kind: family.Current}},
		{name: "issued before the client's not_before", n: 1, changes: []change{func(f *family.Family, p *family.Policy, _ *family.Attempt) {
			p.NotBefore = f.IssuedAt().Add(time.Millisecond)
		}}, want: family.Verdict{Kind: family.Dead, Cause: family.ClientNotBefore}},
		{name: "issued at the client's not_before", n: 1, changes: []change{func(f *family.Family, p *family.Policy, _ *family.Attempt) {
			p.NotBefore = f.IssuedAt()
		}}, want: family.Verdict{Kind: family.Current}},
		{name: "our own write", ages: []time.Duration{0}, n: 1, changes: []change{func(_ *family.Family, p *family.Policy, a *family.Attempt) {
			a.WriteID, p.ReuseInterval = []byte("theirs"), 0
		}}, want: family.Verdict{Kind: family.Ours}},

		{name: "inside the interval", ages: []time.Duration{59_999 * time.Millisecond}, n: 1, want: family.Verdict{Kind: family.Newest, Age: 59_999 * time.Millisecond}},
		{name: "at the end of the interval", ages: []time.Duration{60 * s}, n: 1, want: family.Verdict{Kind: family.Reuse, Age: 60 * s}},
		{name: "from a clock that ran ahead", ages: []time.Duration{-5 * s}, n: 1, want: family.Verdict{Kind: family.Newest}},
		{name: "two back, its successor inside", ages: []time.Duration{1 * s, 59 * s}, n: 1, want: family.Verdict{Kind: family.Reuse, Age: 1 * s, AgeAtLeast: true}},
		{name: "two back, its successor outside", ages: []time.Duration{60 * s, 120 * s}, n: 1, want: family.Verdict{Kind: family.Reuse, Age: 60 * s, AgeAtLeast: true}},
		{name: "two back, of a request older than the newest rotation", ages: []time.Duration{-time.Millisecond, 59 * s}, n: 1, want: family.Verdict{Kind: family.Unclear}},
		{
			name: "two back, of a request older than the newest rotation, strict", ages: []time.Duration{-time.Millisecond, 59 * s}, n: 1, changes: []change{strict},
			want: family.Verdict{Kind: family.Reuse, AgeAtLeast: true},
		},
		{name: "two back, of a request older than the newest rotation, observed", ages: []time.Duration{-time.Millisecond, 59 * s}, n: 1, changes: []change{func(_ *family.Family, p *family.Policy, _ *family.Attempt) {
			p.ReuseDetection, p.ObserveUntil = family.Observe, now.Add(time.Hour)
		}}, want: family.Verdict{Kind: family.Observed, AgeAtLeast: true}},
		{name: "ten back", ages: []time.Duration{s, s, s, s, s, s, s, s, s, s}, n: 1, want: family.Verdict{Kind: family.Reuse, Age: s, AgeAtLeast: true}},
		{name: "without rotation any more, inside", ages: []time.Duration{s}, n: 1, changes: []change{fixed}, want: family.Verdict{Kind: family.Newest, Age: s}},
		{name: "without rotation any more, outside", ages: []time.Duration{time.Hour}, n: 1, changes: []change{fixed}, want: family.Verdict{Kind: family.Reuse, Age: time.Hour}},
		{
			name: "strict, the same millisecond", ages: []time.Duration{0}, n: 1, changes: []change{func(_ *family.Family, p *family.Policy, _ *family.Attempt) { p.ReuseInterval = 0 }},
			want: family.Verdict{Kind: family.Reuse},
		},
		{
			name: "strict, a clock that ran ahead", ages: []time.Duration{-s}, n: 1, changes: []change{func(_ *family.Family, p *family.Policy, _ *family.Attempt) { p.ReuseInterval = 0 }},
			want: family.Verdict{Kind: family.Reuse},
		},

		{name: "a lost response", ages: []time.Duration{time.Hour}, n: 1, changes: []change{untilUsed}, want: family.Verdict{Kind: family.Lost, Age: time.Hour}},
		{name: "a used successor is no lost response", ages: []time.Duration{time.Hour, time.Hour}, n: 1, changes: []change{untilUsed}, want: family.Verdict{Kind: family.Reuse, Age: time.Hour, AgeAtLeast: true}},
		{name: "nor is one that was used while it was held", ages: []time.Duration{time.Hour}, n: 1, changes: []change{untilUsed, used}, want: family.Verdict{Kind: family.Reuse, Age: time.Hour}},
		{name: "a racer, though the newest was used while it was held", ages: []time.Duration{s}, n: 1, changes: []change{untilUsed, used}, want: family.Verdict{Kind: family.Newest, Age: s}},
		{name: "a skipped token", ages: []time.Duration{s, s}, n: 2, changes: []change{untilUsed, func(f *family.Family, _ *family.Policy, _ *family.Attempt) {
			f.Skipped = family.Range{From: 2, To: 2}
		}}, want: family.Verdict{Kind: family.Reuse, Age: s}},
		{name: "a response lost twice", ages: []time.Duration{time.Hour, time.Hour}, n: 1, changes: []change{untilUsed, func(f *family.Family, _ *family.Policy, _ *family.Attempt) {
			f.Skipped = family.Range{From: 2, To: 2}
		}}, want: family.Verdict{Kind: family.Lost, Age: time.Hour}},
		{name: "a lost response, once the skip's token was used", ages: []time.Duration{time.Hour, time.Hour, time.Hour}, n: 1, changes: []change{untilUsed, func(f *family.Family, _ *family.Policy, _ *family.Attempt) {
			f.Skipped = family.Range{From: 2, To: 2}
		}}, want: family.Verdict{Kind: family.Reuse, Age: time.Hour, AgeAtLeast: true}},
		{name: "a skipped token, once a later one was used", ages: []time.Duration{s, s, s}, n: 2, changes: []change{untilUsed, func(f *family.Family, _ *family.Policy, _ *family.Attempt) {
			f.Skipped = family.Range{From: 2, To: 2}
		}}, want: family.Verdict{Kind: family.Reuse, Age: s, AgeAtLeast: true}},

		{name: "newer than the record", ages: []time.Duration{s}, n: 3, want: family.Verdict{Kind: family.Ahead}},
		{name: "the largest counter", ages: []time.Duration{s}, n: math.MaxUint32, want: family.Verdict{Kind: family.Refused, Cause: family.CounterSpent}},
		{
			name: "the largest counter, reached", n: math.MaxUint32, changes: []change{func(f *family.Family, _ *family.Policy, _ *family.Attempt) { f.Counter = math.MaxUint32 }},
			want: family.Verdict{Kind: family.Refused, Cause: family.CounterSpent},
		},

		{
			name: "a scope that was granted", ages: []time.Duration{s}, n: 2, changes: []change{func(_ *family.Family, _ *family.Policy, a *family.Attempt) { a.Scope = []string{"write"} }},
			want: family.Verdict{Kind: family.Held, Age: s},
		},
		{
			name: "a scope that was not", ages: []time.Duration{s}, n: 2, changes: []change{func(_ *family.Family, _ *family.Policy, a *family.Attempt) { a.Scope = []string{"read", "admin"} }},
			want: family.Verdict{Kind: family.ScopeNotGranted},
		},
		{
			name: "a scope that was not, of a racer", ages: []time.Duration{s}, n: 1, changes: []change{func(_ *family.Family, _ *family.Policy, a *family.Attempt) { a.Scope = []string{"admin"} }},
			want: family.Verdict{Kind: family.ScopeNotGranted},
		},
		{
			name: "a resource of the audience", ages: []time.Duration{s}, n: 2, changes: []change{audience("a", "b"), asks("b")},
			want: family.Verdict{Kind: family.Held, Age: s},
		},
		{
			name: "a resource that is not", ages: []time.Duration{s}, n: 2, changes: []change{audience("a", "b"), asks("b", "c")},
			want: family.Verdict{Kind: family.TargetNotGranted},
		},
		{
			name: "a resource that is not, of a racer", ages: []time.Duration{s}, n: 1, changes: []change{audience("a"), asks("c")},
			want: family.Verdict{Kind: family.TargetNotGranted},
		},
		{
			name: "the issuer, of a family without an audience", ages: []time.Duration{s}, n: 2, changes: []change{asks("issuer")},
			want: family.Verdict{Kind: family.Held, Age: s},
		},
		{
			name: "another, of a family without an audience", ages: []time.Duration{s}, n: 2, changes: []change{asks("a")},
			want: family.Verdict{Kind: family.TargetNotGranted},
		},
		{
			name: "the issuer, of a family with another audience", ages: []time.Duration{s}, n: 2, changes: []change{audience("a"), asks("issuer")},
			want: family.Verdict{Kind: family.TargetNotGranted},
		},
		{
			name: "reuse with a resource that is not is reuse", ages: []time.Duration{time.Hour}, n: 1, changes: []change{audience("a"), asks("c")},
			want: family.Verdict{Kind: family.Reuse, Age: time.Hour},
		},
		{
			name: "neither the scope nor the resource", ages: []time.Duration{s}, n: 2, changes: []change{asks("c"), func(_ *family.Family, _ *family.Policy, a *family.Attempt) { a.Scope = []string{"admin"} }},
			want: family.Verdict{Kind: family.ScopeNotGranted},
		},
		{
			name: "reuse with a scope that was not granted is reuse", ages: []time.Duration{time.Hour}, n: 1, changes: []change{func(_ *family.Family, _ *family.Policy, a *family.Attempt) { a.Scope = []string{"admin"} }},
			want: family.Verdict{Kind: family.Reuse, Age: time.Hour},
		},

		{name: "observed", ages: []time.Duration{time.Hour}, n: 1, changes: []change{func(_ *family.Family, p *family.Policy, _ *family.Attempt) {
			p.ReuseDetection, p.ObserveUntil = family.Observe, now.Add(time.Millisecond)
		}}, want: family.Verdict{Kind: family.Observed, Age: time.Hour}},
		{name: "observed for long enough", ages: []time.Duration{time.Hour}, n: 1, changes: []change{func(_ *family.Family, p *family.Policy, _ *family.Attempt) {
			p.ReuseDetection, p.ObserveUntil = family.Observe, now
		}}, want: family.Verdict{Kind: family.Reuse, Age: time.Hour}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, p := record(t, tt.ages...), family.DefaultPolicy()
			a := family.Attempt{Counter: tt.n, ClientID: "app", WriteID: []byte("ours"), Now: now}
			for _, c := range tt.changes {
				c(f, &p, &a)
			}
			if diff := cmp.Diff(tt.want, family.Decide(f, &p, a)); diff != "" {
				t.Error(diff)
			}
		})
	}
	p := family.DefaultPolicy()
	if got := family.Decide(nil, &p, family.Attempt{Counter: 1}); got.Kind != family.Dead || got.Cause != family.Purged {
		t.Errorf("without a record: %+v", got)
	}
}

// TestAfterLost checks the tokens after a skip. A caller that presents the same token at the
// same time is inside the interval, and a caller that presents a skipped token is a thief,
// however often the response is lost.
func TestAfterLost(t *testing.T) {
	p := family.DefaultPolicy()
	p.LostResponse = family.UntilUsed
	f := record(t, time.Hour, 2*time.Hour)
	for loss := range 12 {
		at := now.Add(time.Duration(loss) * time.Hour)
		attempt := func(n uint32) family.Kind {
			return family.Decide(f, &p, family.Attempt{Counter: n, ClientID: "app", Now: at}).Kind
		}
		if got := attempt(2); got != family.Lost {
			t.Fatalf("loss %d: token 2 is %v", loss, got)
		}
		f = f.AfterLost(2, at)
		if want := uint32(4 + loss); f.Counter != want {
			t.Fatalf("loss %d: the counter is %d, not %d", loss, f.Counter, want)
		}
		if got := attempt(2); got != family.Newest {
			t.Fatalf("loss %d: a racer is %v", loss, got)
		}
		for n := uint32(3); n < f.Counter; n++ {
			if got := attempt(n); got != family.Reuse {
				t.Fatalf("loss %d: skipped token %d is %v", loss, n, got)
			}
		}
		if got := attempt(1); got != family.Reuse {
			t.Fatalf("loss %d: token 1, superseded long ago, is %v", loss, got)
		}
		if got := attempt(f.Counter); got != family.Held {
			t.Fatalf("loss %d: the newest is %v", loss, got)
		}
	}
}

// TestAfterRestore checks that a token which moves a restored record ahead becomes the newest
// and is held. It and its predecessor, which may still be on its way, are accepted for the
// interval.
func TestAfterRestore(t *testing.T) {
	p := family.DefaultPolicy()
	p.LostResponse = family.UntilUsed
	f := record(t, time.Hour, 2*time.Hour).AfterRestore(7, &p, now)
	if f.Counter != 7 || !f.RotatedAt.Equal(now) {
		t.Fatalf("counter %d, rotated at %v", f.Counter, f.RotatedAt)
	}
	for _, tt := range []struct {
		n     uint32
		after time.Duration
		want  family.Kind
	}{
		{8, time.Second, family.Ahead},
		{7, 59 * time.Second, family.Held},
		{6, 59 * time.Second, family.Newest},
		{5, time.Second, family.Reuse}, // superseded before token 6 was
		{7, time.Minute, family.Current},
		{6, time.Minute, family.Reuse}, // 7 has been used
	} {
		if got := family.Decide(f, &p, family.Attempt{Counter: tt.n, ClientID: "app", Now: now.Add(tt.after)}).Kind; got != tt.want {
			t.Errorf("token %d is %v after %v, not %v", tt.n, got, tt.after, tt.want)
		}
	}
}

// TestAfterRestoreStrict checks that without an interval the token that moves a record ahead
// is used up by that.
func TestAfterRestoreStrict(t *testing.T) {
	p := family.DefaultPolicy()
	p.ReuseInterval = 0
	f := record(t, time.Hour).AfterRestore(7, &p, now)
	for n, want := range map[uint32]family.Kind{9: family.Ahead, 8: family.Current, 7: family.Reuse, 6: family.Reuse} {
		if got := family.Decide(f, &p, family.Attempt{Counter: n, ClientID: "app", Now: now}).Kind; got != want {
			t.Errorf("token %d is %v, not %v", n, got, want)
		}
	}
	p.Rotation = false
	if f := record(t, time.Hour).AfterRestore(7, &p, now); f.Counter != 7 {
		t.Errorf("without rotation the counter is %d", f.Counter)
	}
}

// TestMustRecord checks which uses without a rotation are recorded: the first of each newest
// token if lost responses are forgiven, and enough of them for the idle end.
func TestMustRecord(t *testing.T) {
	held, racer := family.Verdict{Kind: family.Held}, family.Verdict{Kind: family.Newest}
	for _, tt := range []struct {
		name    string
		v       family.Verdict
		lost    family.LostResponse
		idle    family.Seconds
		used    bool
		lastUse time.Duration
		want    bool
	}{
		{"a use of the same minute", held, family.Revoke, family.Days(15), false, time.Minute, false},
		{"a use later than that", held, family.Revoke, family.Days(15), false, time.Minute + time.Millisecond, true},
		{"a racer later than that", racer, family.Revoke, family.Days(15), false, time.Minute + time.Millisecond, true},
		{"no idle end", held, family.Revoke, 0, false, time.Minute + time.Millisecond, true},
		{"no idle end, the same minute", held, family.Revoke, 0, false, time.Minute, false},
		{"a sixteenth of a short idle lifetime", held, family.Revoke, 32, false, 2 * time.Second, false},
		{"more than a sixteenth of it", held, family.Revoke, 32, false, 2*time.Second + time.Millisecond, true},
		{"the first of a token that may not be forgotten", held, family.UntilUsed, family.Days(15), false, 0, true},
		{"the second of it", held, family.UntilUsed, family.Days(15), true, 0, false},
		{"a racer does not use the newest", racer, family.UntilUsed, family.Days(15), false, 0, false},
	} {
		f, p := record(t, time.Second), family.DefaultPolicy()
		p.LostResponse, p.IdleLifetime, f.LastUsedAt = tt.lost, tt.idle, ago(tt.lastUse)
		if tt.used {
			f.Held = f.Counter
		}
		if got := f.MustRecord(tt.v, &p, now); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	f, p := record(b, time.Second, 2*time.Second), family.DefaultPolicy()
	a := family.Attempt{Counter: 1, ClientID: "app", WriteID: []byte("ours-now"), Now: now}
	b.ReportAllocs()
	for b.Loop() {
		if family.Decide(f, &p, a).Kind != family.Newest {
			b.Fatal("not honoured")
		}
	}
}

// TestAfterRestoreForgetsWhatWasSkipped checks that tokens which were skipped before a restore
// do not affect those after it.
func TestAfterRestoreForgetsWhatWasSkipped(t *testing.T) {
	p := family.DefaultPolicy()
	f := record(t, time.Hour, 2*time.Hour)
	f.Skipped = family.Range{From: 2, To: 3}
	f = f.AfterRestore(4, &p, now)
	if got := family.Decide(f, &p, family.Attempt{Counter: 3, ClientID: "app", Now: now}).Kind; got != family.Newest {
		t.Errorf("the token before the one that moved the record is %v", got)
	}
}
