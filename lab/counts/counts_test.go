package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

// TestCounts checks that no call takes more than the committed report says. It fails as the command does.
func TestCounts(t *testing.T) {
	if err := run(t.Context(), false, io.Discard); err != nil {
		t.Error(err)
	}
}

// TestCountsAreExact checks that counts but allocations are the same each time, and those that docs state: one
// conditional write for a refresh, within one unit.
func TestCountsAreExact(t *testing.T) {
	first, err := count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, err := count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for call, counted := range first {
		for what, n := range counted {
			if what != allocations && again[call][what] != n {
				t.Errorf("%s: %s: %v, and then %v", call, what, n, again[call][what])
			}
		}
	}
	for _, call := range []string{"refresh", "refresh inside the interval"} {
		got := first[call]
		if got["UpdateItem"] != 1 || got[writeUnits] != 1 || got[readUnits] != 0 || got["GetItem"] != 0 || got[record] > 1024 {
			t.Errorf("%s takes %v", call, got)
		}
	}
	if got := first["reuse"]; got[writeUnits] != 5 || got[indexUnits] != 1 {
		t.Errorf("reuse takes %v", got)
	}
	if got := first["token that is no token"]; got["UpdateItem"]+got["GetItem"]+got[sent] != 0 {
		t.Errorf("a token that is none takes %v", got)
	}
}

// TestGrowthFails checks that each count of the committed report is compared: with any of them smaller, or missing on
// either side, the comparison fails.
func TestGrowthFails(t *testing.T) {
	var committed counts
	if err := json.Unmarshal(report, &committed); err != nil {
		t.Fatal(err)
	}
	copied := func() counts {
		var c counts
		if err := json.Unmarshal(report, &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	if notes, err := compare(committed, copied()); err != nil || len(notes) > 0 {
		t.Errorf("the report and itself: %v, %v", notes, err)
	}
	seen := map[string]bool{}
	for call, counted := range committed {
		for what, n := range counted {
			seen[what] = true
			least := 1.0
			if what == allocations {
				least = math.Floor(n*tolerance(what)) + 1
			}
			grown := copied()
			grown[call][what] += least
			if _, err := compare(committed, grown); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%s: %s: %s, and %s before", call, what, number(n+least), number(n))) {
				t.Errorf("%s: %s has grown: %v", call, what, err)
			}
			shrunk := copied()
			shrunk[call][what] -= least
			if notes, err := compare(committed, shrunk); err != nil || len(notes) != 1 || !strings.Contains(notes[0], what) {
				t.Errorf("%s: %s has shrunk: %v, %v", call, what, notes, err)
			}
			gone := copied()
			delete(gone[call], what)
			_, err1 := compare(committed, gone)
			_, err2 := compare(gone, committed)
			if err1 == nil || err2 == nil {
				t.Errorf("%s: %s is in one report alone: %v, %v", call, what, err1, err2)
			}
		}
	}
	for _, what := range []string{"UpdateItem", writeUnits, readUnits, indexUnits, sent, received, answered, logged, record, allocations} {
		if !seen[what] {
			t.Errorf("the report has no %s", what)
		}
	}
	if notes, err := compare(counts{"c": {allocations: 100}}, counts{"c": {allocations: 102}}); err != nil || len(notes) > 0 {
		t.Errorf("within the tolerance: %v, %v", notes, err)
	}
}

// TestUnits checks the units of items at the ends of a unit.
func TestUnits(t *testing.T) {
	var got []float64
	for _, size := range []float64{0, 1, 1024, 1025, 2048, 2049} {
		got = append(got, units(size, 1024))
	}
	if want := []float64{1, 1, 1, 2, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("got %v, not %v", got, want)
	}
}
