package main

import (
	"slices"

	"github.com/rotor-auth/rotor/lab/page"
)

// growthSections are the tables of how cost grows, by their names on a page.
var growthSections = map[string]func(*Growth) *page.Table{
	"machine": grownMachineTable,
	"tables":  grownTablesTable,
	"times":   grownTimesTable,
	"users":   grownUsersTable,
	"lists":   grownListsTable,
	"aims":    func(g *Growth) *page.Table { return aimsOf("How cost grows: aims", g.Aims) },
}

// table returns the named table, or nil.
func (g *Growth) table(name string) *page.Table {
	if section := growthSections[name]; section != nil {
		return section(g)
	}
	return nil
}

func grownMachineTable(g *Growth) *page.Table {
	return machineTable(&Report{Short: g.Short, Machine: g.Machine})
}

func grownTablesTable(g *Growth) *page.Table {
	t := grownTable("What a call asks of storage, by families in the table", "families in the table", g.Tables)
	t.Note("Each family is of a user of its own. Its item has %s bytes, and every user has a second one, which counts the families.", page.Number(float64(g.FamilyItem), 0))
	return t
}

func grownUsersTable(g *Growth) *page.Table {
	t := grownTable("What a call asks of storage, by families of the user", "families of the user", g.Users)
	t.Columns = append(t.Columns, "units for each family")
	next := 0
	for _, call := range callsOf(g.Users) {
		for _, s := range stretches(sizesOf(g.Users, call)) {
			each := "" // costs that do not grow are not given per owner
			if u := s[0].Units; u != nil && len(s) == 1 {
				each = page.Short((u.Write + u.Read + u.Index) / float64(s[0].Size))
			}
			t.Rows[next] = append(t.Rows[next], each)
			next++
		}
	}
	t.Note("The sweep is of a user who may have so many families, and has %d more.", excess)
	return t
}

// grownTable returns a table with a row for each call, and for each size from which
// on its cost differs.
func grownTable(title, sizes string, all []Grown) *page.Table {
	t := &page.Table{Title: title, Columns: []string{"call", sizes, "requests", "write units", "read units", "units of the index"}}
	for _, call := range callsOf(all) {
		for _, s := range stretches(sizesOf(all, call)) {
			row := []string{call, s.sizes(), s[0].requests(), "", "", ""}
			if u := s[0].Units; u != nil {
				row[3], row[4], row[5] = page.Short(u.Write), page.Short(u.Read), page.Short(u.Index)
			}
			t.Row(row...)
		}
	}
	return t
}

// callsOf returns the names of the calls, in the order in which they were measured.
func callsOf(all []Grown) []string {
	var calls []string
	for i := range all {
		if !slices.Contains(calls, all[i].Call) {
			calls = append(calls, all[i].Call)
		}
	}
	return calls
}

// sizesOf returns the costs of a call, from the smallest size to the largest.
func sizesOf(all []Grown, call string) []Grown {
	var of []Grown
	for i := range all {
		if all[i].Call == call {
			of = append(of, all[i])
		}
	}
	slices.SortFunc(of, func(a, b Grown) int { return a.Size - b.Size })
	return of
}

// stretch is a run of sizes at which a call's cost is the same.
type stretch []Grown

// stretches divides the costs of a call, which are sorted by size, into stretches.
func stretches(of []Grown) []stretch {
	var all []stretch
	for i := range of {
		if i == 0 || spokenOf(&of[i]) != spokenOf(&of[i-1]) {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], of[i])
	}
	return all
}

// spokenOf returns a cost in words, with units if they are known.
func spokenOf(g *Grown) string {
	if g.Units == nil {
		return g.requests()
	}
	return spoken(&g.Storage)
}

func (s stretch) sizes() string {
	first, last := page.Number(float64(s[0].Size), 0), page.Number(float64(s[len(s)-1].Size), 0)
	if first == last {
		return first
	}
	return first + " to " + last
}

func grownTimesTable(g *Growth) *page.Table {
	t := &page.Table{Title: "The time of a call, by families in the table", Columns: []string{"call", "how many"}}
	for i, call := range callsOf(g.Tables) {
		of := sizesOf(g.Tables, call)
		first := of[0].Latencies
		if first == nil {
			continue
		}
		row := []string{call, page.Number(float64(first.Requests), 0)}
		for j := range of {
			size, l := page.Number(float64(of[j].Size), 0), of[j].Latencies
			column, cell := size+": ratio", page.Number(l.P50/first.P50, 2)+" / "+page.Number(l.P99/first.P99, 2)
			if j == 0 {
				column, cell = size+": p50 / p99 ms", percentiles(*l)
			}
			if i == 0 {
				t.Columns = append(t.Columns, column)
			}
			row = append(row, cell)
		}
		t.Row(row...)
	}
	t.Note("One at a time, on DynamoDB Local, by turns on all tables. The ratios are those of p50 and p99 to the smallest table's. " +
		"They are of this machine, and of the one SQLite database that DynamoDB Local keeps all these tables in: nothing is claimed of times.")
	return t
}

func grownListsTable(g *Growth) *page.Table {
	t := &page.Table{
		Title:   "A sweep, by owners on the work list",
		Columns: []string{"owners", "requests", "write units", "read units", "units of the index", "requests for each", "write", "read", "index"},
	}
	for i := range g.Lists {
		l := &g.Lists[i]
		all := float64(l.Calls)
		row := []string{page.Number(float64(l.Size), 0), page.Number(l.all()*all, 0), "", "", "", page.Short(l.all()), "", "", ""}
		if u := l.Units; u != nil {
			row[2], row[3], row[4] = page.Number(u.Write*all, 0), page.Number(u.Read*all, 0), page.Number(u.Index*all, 0)
			row[6], row[7], row[8] = page.Short(u.Write), page.Short(u.Read), page.Short(u.Index)
		}
		t.Row(row...)
	}
	t.Note("Each owner has %d families, %d over the limit. Beside what it does for each owner, a sweep reads the list, 100 at a time, and each client once.", usualLimit+excess, excess)
	return t
}
