package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rotor-auth/rotor/lab/page"
)

// growthAims compares how cost grows with how it should grow. It compares only
// counts, since times depend on the machine.
func growthAims(g *Growth) []Aim {
	var all []Aim
	add := func(what, want, got string, measured, ok bool) { all = append(all, aim(what, want, got, measured, ok)) }
	// flat adds the aim that the cost is the same at every size.
	flat := func(what string, of []Grown, spoken func(*Grown) string) {
		same, got := constant(of, spoken)
		add(what, "the same at every size", got, len(of) > 1 && got != "", same)
	}
	for _, call := range slices.Concat(tableCalls, tableSweeps) {
		flat(call.name+", by families in the table", sizesOf(g.Tables, call.name), spokenOf)
	}
	got, ok := sameCalls(g)
	add("requests over the embedded store, by families in the table", "those on DynamoDB Local", got, len(g.Tables) > 0 && len(g.Embedded) > 0, ok)

	for _, call := range []string{oneRefresh, "issue"} {
		flat(call+", by families of the user", sizesOf(g.Users, call), spokenOf)
	}
	flat(listFamilies+", requests by families of the user", sizesOf(g.Users, listFamilies), func(g *Grown) string { return g.requests() })
	revoking, spoken, linear := sizesOf(g.Users, revokeAll), []string(nil), true
	for i := range revoking {
		n := revoking[i].all()
		linear = linear && n == float64(revoking[i].Size+1)
		spoken = append(spoken, page.Number(n, 0))
	}
	add(revokeAll+", requests by families of the user", "one for each, and one", strings.Join(spoken, "; "), len(revoking) > 1, linear)
	flat(sweepOfOwner+", write units by families of the user", sizesOf(g.Users, sweepOfOwner), written)

	owners := sizesOf(g.Lists, sweepOfOwner)
	flat("sweep, write units for each owner on the work list", owners, written)
	// fewer adds the aim that many owners cost no more each than few do.
	fewer := func(what string, n func(*Grown) (units float64, known bool)) {
		got, measured, ok := "", len(owners) > 1, false
		if measured {
			few, many := &owners[0], &owners[len(owners)-1]
			ofFew, known := n(few)
			ofMany, _ := n(many)
			got = fmt.Sprintf("%s with %s, %s with %s", page.Short(ofFew), page.Number(float64(few.Size), 0), page.Short(ofMany), page.Number(float64(many.Size), 0))
			measured, ok = known, ofMany <= ofFew
		}
		add(what, "no more of many than of few", got, measured, ok)
	}
	fewer("sweep, requests for each owner on the work list", func(g *Grown) (float64, bool) { return g.all(), true })
	fewer("sweep, read units for each owner on the work list", func(g *Grown) (float64, bool) {
		if g.Units == nil {
			return 0, false
		}
		return g.Units.Read, true
	})
	return all
}

// constant reports whether the cost is the same at every size, and returns it in
// words.
func constant(of []Grown, spoken func(*Grown) string) (same bool, got string) {
	same = true
	for i := range of {
		switch now := spoken(&of[i]); {
		case i == 0:
			got = now
		case now != spoken(&of[i-1]):
			same = false
			got += "; from " + page.Number(float64(of[i].Size), 0) + " on " + now
		}
	}
	return same, got
}

// written returns the write units in words, or "" if they are not known.
func written(g *Grown) string {
	if g.Units == nil {
		return ""
	}
	return page.Short(g.Units.Write) + " write, " + page.Short(g.Units.Index) + " of the index"
}

// sameCalls reports whether the calls make the same requests over the embedded
// store, and returns up to which size, or which calls do not.
func sameCalls(g *Growth) (got string, ok bool) {
	var others []string
	most := 0
	for i := range g.Embedded {
		e := &g.Embedded[i]
		most = max(most, e.Size)
		local := sizesOf(g.Tables, e.Call)
		if len(local) == 0 || !maps.Equal(local[0].Requests, e.Requests) {
			others = append(others, fmt.Sprintf("%s with %s: %s", e.Call, page.Number(float64(e.Size), 0), e.requests()))
		}
	}
	if others != nil {
		return strings.Join(others, "; "), false
	}
	return "the same, up to " + page.Number(float64(most), 0), true
}
