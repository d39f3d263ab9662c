package family_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/family"
)

// TestExcess checks that the policy chooses the families that end, by their last use or by
// their age. Families that were last used at the same time end by age.
func TestExcess(t *testing.T) {
	minutes := func(n int) time.Time { return now.Add(time.Duration(n) * time.Minute) }
	var active []*family.Family
	for _, f := range []struct{ issued, used int }{{0, 50}, {20, 20}, {10, 30}, {40, 40}, {30, 30}} {
		id, err := family.NewID([16]byte{1}, minutes(f.issued))
		if err != nil {
			t.Fatal(err)
		}
		active = append(active, &family.Family{ID: id, LastUsedAt: minutes(f.used)})
	}
	for _, tt := range []struct {
		evict family.Evict
		most  int
		want  []int // indexes, in the order of issue
	}{
		{family.LeastRecentlyUsed, 1, []int{20, 10, 30, 40}},
		{family.LeastRecentlyUsed, 4, []int{20}},
		{family.Oldest, 1, []int{0, 10, 20, 30}},
		{family.Oldest, 4, []int{0}},
		{family.Oldest, 5, nil},
		{family.LeastRecentlyUsed, 5, nil},
		{family.LeastRecentlyUsed, 1000, nil},
	} {
		p := family.DefaultPolicy()
		p.Evict, p.MaxActive = tt.evict, tt.most
		var got []int
		for _, f := range p.Excess(active) {
			got = append(got, int(f.IssuedAt().Sub(now)/time.Minute))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s, at most %d: %s", tt.evict, tt.most, diff)
		}
	}
	if at := int(active[1].IssuedAt().Sub(now) / time.Minute); at != 20 {
		t.Error("the families were put into another order")
	}
}
