package main

import (
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/family"
)

// grown returns a report of growth that meets every aim.
func grown() *Growth {
	g := &Growth{FamilyItem: 401}
	of := func(size int, call string, requests map[string]float64, units Units) Grown {
		return Grown{Size: size, Storage: Storage{Call: call, Calls: 2, Requests: requests, Units: &units}}
	}
	for i, call := range slices.Concat(tableCalls, tableSweeps) {
		for j, size := range []int{1000, 10_000, 1_000_000} {
			made := of(size, call.name, map[string]float64{"UpdateItem": float64(i + 1)}, Units{Write: float64(i)})
			made.Latencies = &Latencies{Requests: 10, P50: 2 + float64(j), P99: 4}
			g.Tables = append(g.Tables, made)
			made.Latencies, made.Units = nil, nil
			g.Embedded = append(g.Embedded, made)
		}
	}
	for _, n := range []int{1, 10, 1000} {
		some := float64(n)
		g.Users = append(
			g.Users,
			of(n, "issue", map[string]float64{"PutItem": 1, "UpdateItem": 1}, Units{Write: 2}),
			of(n, oneRefresh, map[string]float64{"UpdateItem": 1}, Units{Write: 1}),
			of(n, listFamilies, map[string]float64{"Query": 1}, Units{Read: 1 + some/10}),
			of(n, revokeAll, map[string]float64{"TransactWriteItems": 1, "Query": 1, "UpdateItem": some - 1}, Units{Write: 3 + some, Read: 1, Index: 1}),
			of(n, sweepOfOwner, map[string]float64{"UpdateItem": 12}, Units{Write: 15, Read: 8 + some/10, Index: 1}),
		)
	}
	for _, n := range []int{10, 1000} {
		each := of(n, sweepOfOwner, map[string]float64{"UpdateItem": 12, "Query": 2 + 1/float64(n)}, Units{Write: 15, Read: 6, Index: 1})
		each.Calls = n
		g.Lists = append(g.Lists, each)
	}
	return g
}

// find returns what was measured of a call.
func find(t *testing.T, of []Grown, size int, call string) *Grown {
	t.Helper()
	i := slices.IndexFunc(of, func(g Grown) bool { return g.Size == size && g.Call == call })
	if i < 0 {
		t.Fatalf("%s was not measured with %d", call, size)
	}
	return &of[i]
}

// TestGrowth checks the measurements over the embedded store: the number of requests, and that
// each was answered as it must be.
func TestGrowth(t *testing.T) {
	b := newBench(t)
	size := growthSize{tables: []int{30, 90}, users: []int{1, 12}, lists: []int{1, 3}, repeat: 2, rounds: 1, each: 2}
	g := &Growth{}
	err := b.over(t.Context(), embeddedStore, t.TempDir(), size, func(o *overStore) (err error) {
		if g.Tables, err = o.tables(t.Context(), size.tables); err != nil {
			return err
		}
		if g.Users, err = o.users(t.Context(), size.users); err != nil {
			return err
		}
		g.Lists, err = o.lists(t.Context(), size.lists)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for call, want := range map[string]string{
		oneRefresh:        "1 UpdateItem",
		"reuse":           "1 TransactWriteItems, 1 UpdateItem",
		"revoke a family": "1 GetItem, 1 TransactWriteItems",
		"dead token":      "1 UpdateItem",
		"explain a token": "1 GetItem, 1 Query",
		"introspect":      "1 GetItem",
		listFamilies:      "1 Query",
		"issue":           "1 PutItem, 1 UpdateItem",
		sweepOfOwner:      "3 GetItem, 3 Query, 2 TransactWriteItems, 11 UpdateItem",
		sweepOfNobody:     "1 Query",
	} {
		for _, n := range size.tables {
			made := find(t, g.Tables, n, call)
			if made.requests() != want || made.Units != nil {
				t.Errorf("%s with %d families asks for %s, not %s", call, n, made.requests(), want)
			}
			if l := made.Latencies; l == nil || l.P50 <= 0 || l.P99 < l.P50 || l.Max < l.P99 || l.Requests < 1 || l.Requests > 2 {
				t.Errorf("%s with %d families takes %+v", call, n, l)
			}
		}
	}
	for call, want := range map[string]string{
		"issue":      "1 PutItem, 1 UpdateItem",
		oneRefresh:   "1 UpdateItem",
		listFamilies: "1 Query",
		revokeAll:    "1 Query, 1 TransactWriteItems, 11 UpdateItem",
		sweepOfOwner: "3 GetItem, 3 Query, 2 TransactWriteItems, 11 UpdateItem",
	} {
		if made := find(t, g.Users, 12, call); made.requests() != want {
			t.Errorf("%s of a user with 12 families asks for %s, not %s", call, made.requests(), want)
		}
	}
	// The whole sweep takes one request for the list and one for the client.
	for n, want := range map[int]string{
		1: "3 GetItem, 3 Query, 2 TransactWriteItems, 11 UpdateItem",
		3: "2.33 GetItem, 2.33 Query, 2 TransactWriteItems, 11 UpdateItem",
	} {
		if made := find(t, g.Lists, n, sweepOfOwner); made.requests() != want {
			t.Errorf("a sweep of %d owners asks for %s each, not %s", n, made.requests(), want)
		}
	}
	for _, a := range growthAims(g) {
		if a.State == missed {
			t.Errorf("%s: %s is wanted and %s measured", a.What, a.Want, a.Got)
		}
	}
}

// TestFiller checks that the items that are filled in are those that Rotor writes: its own
// item, under another user's keys.
func TestFiller(t *testing.T) {
	b := newBench(t)
	err := b.over(t.Context(), embeddedStore, t.TempDir(), growthSize{}, func(o *overStore) error {
		p, err := o.place(t.Context())
		if err != nil {
			return err
		}
		of := owner{user: userOf(7), client: app, families: 2}
		if err := o.add(t.Context(), p.table, of); err != nil {
			return err
		}
		for n, ok := range map[int]bool{2: false, 3: true, 4: false} {
			if err := o.check(t.Context(), p.table, n); (err == nil) != ok {
				t.Errorf("two families and an owner are %d items: %v", n, err)
			}
		}
		return o.serving(t.Context(), []*place{p}, o.url, func(served []*place) error {
			return asFilled(t, o, served[0], of)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// asFilled checks an owner of two families that was filled in.
func asFilled(t *testing.T, o *overStore, p *place, of owner) error {
	t.Helper()
	answer, err := p.s.issue(t.Context(), userOf(7), app) // looks where Rotor looks for the user
	if err != nil {
		return err
	}
	var shown struct {
		Status  string
		UserID  string `json:"user_id"`
		Counter int
	}
	if err := p.s.manage(t.Context(), http.StatusOK, http.MethodGet, "/v1/families/"+o.id(of, 1).String(), "", &shown); err != nil {
		return err
	}
	if shown.Status != "active" || shown.UserID != userOf(7) || shown.Counter != 1+rotations {
		t.Errorf("a family is shown as %+v", shown)
	}
	all, err := scan(t.Context(), o.rt, o.url, p.table)
	if err != nil {
		return err
	}
	var pks []string
	for _, i := range all {
		switch sk := i.text("sk"); {
		case sk == "o#"+app:
			if string(i["active"]["N"]) != `"3"` || len(i) != len(o.owner) {
				t.Errorf("the owner is %v after a third family, made from %v", i, o.owner)
			}
		case strings.HasPrefix(sk, "f#") && sk != "f#"+ulidOf(t, answer.Family):
			if diff := cmp.Diff(without(o.family), without(i)); diff != "" {
				t.Errorf("a family differs from Rotor's: %s", diff)
			}
			got, err1 := i.size()
			want, err2 := o.family.size()
			if got != want {
				t.Errorf("a family of %d bytes, and not %d: %v, %v", got, want, err1, err2)
			}
		default:
			continue
		}
		pks = append(pks, i.text("pk"))
	}
	if len(pks) != 3 || pks[0] != pks[1] || pks[1] != pks[2] {
		t.Errorf("the user has items under %q", pks)
	}
	return nil
}

// ulidOf returns the ULID of a family's public id.
func ulidOf(t *testing.T, public string) string {
	t.Helper()
	id, err := family.ParseID(public)
	if err != nil {
		t.Fatal(err)
	}
	return id.ULID().String()
}

// without returns a family's item without the attributes that tell it from others.
func without(i item) item {
	i = maps.Clone(i)
	for _, name := range []string{"pk", "sk", "user_id"} {
		delete(i, name)
	}
	return i
}

// TestGrowthAims checks that every cost that grows but should not is named, with the size at
// which it begins to grow.
func TestGrowthAims(t *testing.T) {
	g := grown()
	count := 0
	for _, a := range growthAims(g) {
		count++
		if a.State != reached || a.Got == "" {
			t.Errorf("%s: %s, %s is wanted and %s measured", a.What, a.State, a.Want, a.Got)
		}
	}
	for _, tt := range []struct {
		grow      func(*Growth)
		what, got string
	}{
		{
			func(g *Growth) { find(t, g.Tables, 1_000_000, oneRefresh).Units.Read = .5 },
			"refresh, by families in the table", "1 UpdateItem: 0 write, 0 read; from 1,000,000 on 1 UpdateItem: 0 write, 0.5 read",
		},
		{
			func(g *Growth) { find(t, g.Tables, 10_000, sweepOfNobody).Requests = map[string]float64{"Query": 2} },
			"sweep, nobody over the limit, by families in the table", "from 10,000 on 2 Query",
		},
		{
			func(g *Growth) { find(t, g.Embedded, 10_000, "introspect").Requests = map[string]float64{"Scan": 1} },
			"requests over the embedded store, by families in the table", "introspect with 10,000: 1 Scan",
		},
		{
			func(g *Growth) {
				find(t, g.Users, 1000, oneRefresh).Requests = map[string]float64{"UpdateItem": 1, "Query": 1}
			},
			"refresh, by families of the user", "from 1,000 on 1 Query, 1 UpdateItem",
		},
		{
			func(g *Growth) { find(t, g.Users, 1000, listFamilies).Requests = map[string]float64{"Query": 10} },
			"list a user's families, requests by families of the user", "from 1,000 on 10 Query",
		},
		{
			func(g *Growth) { find(t, g.Users, 10, revokeAll).Requests["UpdateItem"] = 20 },
			"revoke all of a user, requests by families of the user", "2; 22; 1,001",
		},
		{
			func(g *Growth) { find(t, g.Users, 1000, sweepOfOwner).Units.Write = 16 },
			"sweep of an owner, 10 over the limit, write units by families of the user", "from 1,000 on 16 write",
		},
		{
			func(g *Growth) { find(t, g.Lists, 1000, sweepOfOwner).Units.Write = 15.5 },
			"sweep, write units for each owner on the work list", "from 1,000 on 15.5 write",
		},
		{
			func(g *Growth) { find(t, g.Lists, 1000, sweepOfOwner).Requests["Query"] = 3 },
			"sweep, requests for each owner on the work list", "14.1 with 10, 15 with 1,000",
		},
		{
			func(g *Growth) { find(t, g.Lists, 1000, sweepOfOwner).Units.Read = 7 },
			"sweep, read units for each owner on the work list", "6 with 10, 7 with 1,000",
		},
	} {
		g := grown()
		tt.grow(g)
		var misses []string
		for _, a := range growthAims(g) {
			if a.State != reached {
				misses = append(misses, a.What)
				if a.State != missed || !strings.Contains(a.Got, tt.got) {
					t.Errorf("%s: %s, measured %s", a.What, a.State, a.Got)
				}
			}
		}
		if !slices.Equal(misses, []string{tt.what}) {
			t.Errorf("missed %q, and not %q", misses, tt.what)
		}
	}
	all := growthAims(&Growth{})
	if len(all) != count {
		t.Errorf("%d aims, not %d", len(all), count)
	}
	for _, a := range all {
		if a.State != notMeasured || a.Got != "" {
			t.Errorf("%s: %s, %s measured", a.What, a.State, a.Got)
		}
	}
}

func TestGrowthTables(t *testing.T) {
	g := grown()
	g.Aims = growthAims(g)
	find(t, g.Users, 1000, oneRefresh).Units.Read = 3
	for name, want := range map[string][]string{
		"machine": {"CPUs |"},
		"tables":  {"refresh |1,000 to 1,000,000 |1 UpdateItem |0 |0 |0 |", "Its item has 401 bytes"},
		"times":   {"call |how many |1,000: p50 / p99 ms |10,000: ratio |1,000,000: ratio |", "refresh |10 |2.00 / 4.00 |1.50 / 1.00 |2.00 / 1.00 |"},
		"users":   {"refresh |1 to 10 |1 UpdateItem |1 |0 |0 | |\n|refresh |1,000 |1 UpdateItem |1 |3 |0 |0 |", "revoke all of a user |10 |1 Query, 1 TransactWriteItems, 9 UpdateItem |13 |1 |1 |1.5 |"},
		"lists":   {"1,000 |14,001 |15,000 |6,000 |1,000 |14 |15 |6 |1 |", "10 |141 |150 |60 |10 |14.1 |15 |6 |1 |"},
		"aims":    {"introspect, by families in the table |the same at every size |6 UpdateItem: 5 write, 0 read |reached |"},
	} {
		got := growthSections[name](g)
		text := strings.ReplaceAll(got.Markdown(), "| ", "|")
		for _, want := range want {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not have %s:\n%s", name, want, text)
			}
		}
		for _, row := range got.Rows {
			if len(row) != len(got.Columns) {
				t.Errorf("%s: %v has not a cell for each of %v", name, row, got.Columns)
			}
		}
		none := growthSections[name](&Growth{})
		if text := none.Text(); !strings.HasPrefix(text, none.Title+"\n\n") {
			t.Errorf("%s of nothing:\n%s", name, text)
		}
	}
	// Without units and times, only the requests are left.
	for _, of := range [][]Grown{g.Tables, g.Users, g.Lists} {
		for i := range of {
			of[i].Units, of[i].Latencies = nil, nil
		}
	}
	if text := strings.ReplaceAll(growthSections["tables"](g).Markdown(), "| ", "|"); !strings.Contains(text, "refresh |1,000 to 1,000,000 |1 UpdateItem | | | |") {
		t.Errorf("without units:\n%s", text)
	}
}

// TestPlot checks that the plot is an SVG on white that names every line.
func TestPlot(t *testing.T) {
	g := grown()
	svg, err := g.plot()
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	elements := map[string]int{}
	for d := xml.NewDecoder(strings.NewReader(string(svg))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			elements[token.Name.Local]++
		case xml.CharData:
			words = append(words, strings.Fields(string(token))...)
		}
	}
	text := strings.Join(words, " ")
	// In this report refresh takes no unit, as a sweep of nobody does in DynamoDB Local.
	for _, name := range []string{"reuse", "revoke a family", "introspect", listFamilies, "issue", revokeAll, sweepOfOwner, "1,000,000", "families in the table", "families of the user"} {
		if !strings.Contains(text, name) {
			t.Errorf("the plot does not name %q: %s", name, text)
		}
	}
	if elements["svg"] != 1 || elements["path"] == 0 || !strings.Contains(string(svg), "#FFFFFF") || strings.Contains(string(svg), "NaN") {
		t.Errorf("the plot has %v", elements)
	}
	again, err := g.plot()
	if err != nil || string(again) != string(svg) {
		t.Errorf("the same growth is drawn in another way: %v", err)
	}
	if _, err := (&Growth{}).plot(); err == nil {
		t.Error("nothing is plotted")
	}
}

// TestSeries checks that calls which take the same share a line, and that calls which take
// nothing have none.
func TestSeries(t *testing.T) {
	var all []Grown
	for call, units := range map[string][2]float64{"a": {1, 1}, "b": {1, 10}, "c": {1, 1}, "none": {0, 0}} {
		for i, u := range units {
			all = append(all, Grown{Size: i + 1, Storage: Storage{Call: call, Units: &Units{Read: u}}})
		}
	}
	slices.SortStableFunc(all, func(a, b Grown) int { return strings.Compare(a.Call, b.Call) })
	var got [][]string
	for _, s := range seriesOf(all) {
		got = append(got, s.calls)
	}
	if diff := cmp.Diff([][]string{{"b"}, {"a", "c"}}, got); diff != "" {
		t.Error(diff)
	}
}

// TestPageOfEither checks that a page is made from the reports that exist.
func TestPageOfEither(t *testing.T) {
	const text = "# Page\n\n<!-- bench: sizes -->\nold sizes\n<!-- end -->\n\n<!-- growth: lists -->\nold lists\n<!-- end -->\n"
	r, g := good(), grown()
	for _, tt := range []struct {
		bench, growth bool
		old           []string
	}{{true, true, nil}, {true, false, []string{"old lists"}}, {false, true, []string{"old sizes"}}} {
		dir := t.TempDir()
		page := filepath.Join(dir, "page.md")
		if err := os.WriteFile(page, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if tt.bench {
			if err := write(filepath.Join(dir, benchFile), r); err != nil {
				t.Fatal(err)
			}
		}
		if tt.growth {
			if err := write(filepath.Join(dir, growthFile), g); err != nil {
				t.Fatal(err)
			}
		}
		if err := run(t.Context(), []string{"-markdown", page, "-o", dir}, nil, nil); err != nil {
			t.Fatal(err)
		}
		set, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []struct{ old, now string }{{"old sizes", sizeTable(r).Markdown()}, {"old lists", grownListsTable(g).Markdown()}} {
			stays := slices.Contains(tt.old, part.old)
			if strings.Contains(string(set), part.old) != stays || strings.Contains(string(set), part.now) == stays {
				t.Errorf("%+v: the page is\n%s", tt, set)
			}
		}
		svg, err := os.ReadFile(filepath.Join(dir, plotFile))
		if tt.growth != (err == nil && len(svg) > 1000) {
			t.Errorf("%+v: a plot of %d bytes: %v", tt, len(svg), err)
		}
	}
}
