package family_test

import (
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
)

// TestActive checks for every verdict whether the token works.
func TestActive(t *testing.T) {
	for kind, want := range map[family.Kind]bool{
		family.Unclear: false, family.Current: true, family.Held: true, family.Ours: true, family.Newest: true, family.Observed: true, family.Lost: true,
		family.Ahead: true, family.ScopeNotGranted: false, family.TargetNotGranted: false, family.Refused: false, family.Reuse: false, family.Dead: false,
		family.Dead + 1: false, -1: false,
	} {
		if got := (family.Verdict{Kind: kind}).Active(); got != want {
			t.Errorf("a verdict of kind %d is active: %t", kind, got)
		}
	}
}

// TestLostResponseLikely checks that a reuse may be a lost response if it is of the token
// before the newest and less than an hour late.
func TestLostResponseLikely(t *testing.T) {
	for _, tt := range []struct {
		origin        family.OriginKind
		token, newest uint32
		after         time.Duration
		want          bool
	}{
		{"", 1, 2, 0, true},
		{"", 1, 2, time.Hour - time.Millisecond, true},
		{"", 1, 2, time.Hour, false},
		{"", 1, 3, time.Second, false},
		{"", 2, 2, time.Second, false},
		{"", 3, 2, time.Second, false},
		{family.Code, 0, 1, time.Second, false},
		{family.Imported, 0, 1, time.Second, true},
		{family.Imported, 0, 1, time.Hour, false},
		{family.Imported, 0, 2, time.Second, false},
		{family.Adopted, 0, 1, time.Second, true},
	} {
		if got := family.LostResponseLikely(tt.origin, tt.token, tt.newest, tt.after); got != tt.want {
			t.Errorf("token %d of %d, %q, after %v: %t", tt.token, tt.newest, tt.origin, tt.after, got)
		}
	}
}

// TestRecommend checks that the recommendation is the smallest customary interval that would
// have kept nineteen of twenty families, and not less than the present one. An interval does
// not cover a reuse exactly as old as itself.
func TestRecommend(t *testing.T) {
	ages := func(of map[time.Duration]int) (all []time.Duration) {
		for age, n := range of {
			for range n {
				all = append(all, age)
			}
		}
		return all
	}
	for _, tt := range []struct {
		name    string
		present family.Seconds
		ages    map[time.Duration]int
		want    family.Recommendation
	}{
		{"nothing to keep", 60, nil, family.Recommendation{ReuseInterval: 60, Of: 30}},
		{"just inside", 10, map[time.Duration]int{30*time.Second - time.Millisecond: 20}, family.Recommendation{ReuseInterval: 30, WouldHaveKept: 20, Of: 30}},
		{"at the end", 10, map[time.Duration]int{30 * time.Second: 20}, family.Recommendation{ReuseInterval: 60, WouldHaveKept: 20, Of: 30}},
		{"nineteen in twenty", 10, map[time.Duration]int{20 * time.Second: 19, time.Minute: 1}, family.Recommendation{ReuseInterval: 30, WouldHaveKept: 19, Of: 30}},
		{"eighteen in twenty", 10, map[time.Duration]int{20 * time.Second: 18, time.Minute: 2}, family.Recommendation{ReuseInterval: 120, WouldHaveKept: 20, Of: 30}},
		{"the present one is enough", 60, map[time.Duration]int{5 * time.Second: 20}, family.Recommendation{ReuseInterval: 60, WouldHaveKept: 20, Of: 30}},
		{"no customary one is above the present", 86_400, map[time.Duration]int{5 * time.Second: 1}, family.Recommendation{ReuseInterval: 86_400, WouldHaveKept: 1, Of: 30}},
		{"the present one is not enough, nor a customary one", 7200, map[time.Duration]int{3 * time.Hour: 20}, family.Recommendation{ReuseInterval: 7200, Of: 30}},
	} {
		if got := family.Recommend(tt.present, ages(tt.ages), 30); got != tt.want {
			t.Errorf("%s: %+v, not %+v", tt.name, got, tt.want)
		}
	}
}

// TestTexts checks that texts give durations in two units at most, and say of an end that it
// moves with each use if it does.
func TestTexts(t *testing.T) {
	f, p := record(t), family.DefaultPolicy()
	for _, tt := range []struct {
		lastUse time.Duration
		absent  bool // no absolute end
		idle    family.Seconds
		parts   []string
	}{
		{999 * time.Millisecond, false, family.Days(15), []string{"used 999 ms ago", "if it is not used before."}},
		{time.Second, false, family.Days(15), []string{"used 1 s ago."}},
		{24*time.Hour + 2*time.Hour + 3*time.Minute + 4*time.Second, false, family.Days(15), []string{"used 1 d 2 h ago."}},
		{26*time.Hour + 4*time.Second, false, family.Days(60), []string{"used 1 d 2 h ago.", " UTC, used or not."}},
		{time.Hour + 4*time.Second, true, 0, []string{"used 1 h 4 s ago. The family has no end."}},
	} {
		g := *f
		g.LastUsedAt, p.IdleLifetime = ago(tt.lastUse), tt.idle
		if tt.absent {
			g.ExpiresAt = time.Time{}
		}
		e := family.Explain(&g, &p, g.IssuedAt(), family.Attempt{Counter: 1, ClientID: "app", Now: now})
		for _, part := range tt.parts {
			if !strings.Contains(e.Summary, part) {
				t.Errorf("nothing of %q in: %s", part, e.Summary)
			}
		}
	}
}
