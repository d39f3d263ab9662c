package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/lab/inside"
	"github.com/rotor-auth/rotor/lab/page"
	"github.com/rotor-auth/rotor/lab/price"
)

// good returns a report that only just meets every aim.
func good() *Report {
	return &Report{
		Machine: Machine{Began: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), CPU: "a|b", CPUs: 2},
		Storage: []Storage{
			{Call: "refresh", Calls: 2, Requests: map[string]float64{"UpdateItem": 1}, Units: &Units{Write: 1}},
			{Call: oneHeld, Calls: 2, Requests: map[string]float64{"UpdateItem": 1}, Units: &Units{Write: 1}},
			{Call: theRace, Calls: 1, Requests: map[string]float64{"UpdateItem": 1000}, Units: &Units{Write: 1000}},
		},
		Loads: []Load{{
			Algorithm: "ES256", Store: apart, Alone: Latencies{Requests: 10, Rate: 900, P50: 1, P99: 2.99, Max: 4},
			Together: Latencies{Requests: 97_000, Rate: 3500, P50: 2, P99: 5, Max: 9}, CPU: 0.16, StoreCPU: 0.1, SignCPU: 0.035,
			Samples:   []Sample{{Rate: 3500, CPU: 0.16, StoreCPU: 0.11, SignCPU: 0.035}, {Rate: 3400, CPU: 0.149, StoreCPU: 0.1, SignCPU: 0.0295}, {Rate: 3300, CPU: 0.17, StoreCPU: 0.12, SignCPU: 0.04}},
			Refreshes: 100_000, RSS: 39.9, RSSAfterRaces: 120,
			Races: []Race{
				{Racers: 50, Tokens: 1, Rounds: 1, Statuses: map[int]int64{200: 50}, Successors: 1, Latencies: Latencies{P50: 8, P99: 9}},
				{Racers: 1000, Tokens: 1, Rounds: 5, Statuses: map[int]int64{200: 5000}, Successors: 1, Latencies: Latencies{P50: 100, P99: 999}},
				{Racers: 1000, Tokens: 1000, Rounds: 5, Statuses: map[int]int64{200: 5000}, Successors: 1000, Latencies: Latencies{P50: 90, P99: 100}},
			},
		}, {Algorithm: "RS256", Store: apart, CPU: 0.8, SignCPU: 0.6}},
		Floors: []Contest{beside("ES256", 1.2), beside("RS256", 1.15)},
		Peers: []Contest{{Workers: workers, Pinned: true, Sides: []Side{
			{Name: ourselves, Algorithm: "ES256", Store: apart, Latencies: Latencies{Rate: 4000, P50: 1, P99: 2}, Samples: []Sample{{Rate: 4000, CPU: 0.1, StoreCPU: 0.2}}},
			{Name: aPeer, Algorithm: "ES256", Store: inProcess, Latencies: Latencies{Rate: 2000, P50: 1, P99: 2}, Samples: []Sample{{Rate: 2000, CPU: 0.2}}},
		}}},
		PeerRaces: []PeerRace{{
			Name: aPeer, Store: inProcess, Racers: 50, Sessions: 20, Statuses: map[int]int64{200: 20, 400: 980}, Successors: 1, Latencies: Latencies{P50: 5, P99: 6},
		}},
		Invocations: []Invocations{{Algorithm: "ES256", Count: 10, CPU: 0.25, RSS: 30}, {Algorithm: "RS256", Count: 10, CPU: 0.9, RSS: 31}},
		Profile:     []Share{{What: "the signature", Share: .25, CPU: .05}, {What: "the rest", Share: .75, Kernel: .5, Allocation: .1, CPU: .15}},
		Sizes:       Sizes{Family: 434, LongestFamily: 1013, LogLine: 600, AccessLogLine: 400},
		Micro:       []Micro{{Name: "SignAccess/ES256", Nanoseconds: 29_500, Bytes: 14_614, Allocations: 171}},
		Zips:        []Zip{{"keys", 5.99}, {"token", 4.13}},
		Starts:      []Start{{Function: "keys", Asked: "keys", Answered: 118}, {Function: "token", Asked: "refresh", Ready: 5.8, Answered: 59.9, Memory: 15, Emulated: 31, Second: 8}},
	}
}

// beside returns a contest in which Rotor takes so many times the floor's CPU.
func beside(algorithm string, times float64) Contest {
	return Contest{Workers: workers, Sides: []Side{
		{Name: theFloor, Algorithm: algorithm, Store: apart, Latencies: Latencies{Rate: 4000}, Samples: []Sample{{Rate: 4000, CPU: 0.1}}},
		{Name: ourselves, Algorithm: algorithm, Store: apart, Latencies: Latencies{Rate: 3000}, Samples: []Sample{{Rate: 3000, CPU: 0.1 * times}}},
	}}
}

func TestAims(t *testing.T) {
	r := good()
	for _, a := range aims(r) {
		if a.State != reached || a.Got == "" {
			t.Errorf("%s: %s, %s is wanted and %s measured", a.What, a.State, a.Want, a.Got)
		}
	}
	count := len(aims(r))

	r.Storage[0].Units.Read = .5
	r.Storage[1].Units.Write = 2
	r.Storage[2].Requests["GetItem"] = 1
	l := &r.Loads[0]
	l.Alone.P99, l.RSS, l.Samples = 3, 40, []Sample{{Rate: 3499, CPU: 0.2, SignCPU: 0.03}, {Rate: 3400, CPU: 0.25, SignCPU: 0.03}}
	r.Floors = []Contest{beside("ES256", 1.21), beside("RS256", 1.16)}
	r.Zips[0].Size, r.Starts[1].Answered, r.Starts[1].Ready, l.Races[1].Latencies.P99, r.Loads[1].CPU = 6, 60, 15, 1000, 0.9
	for _, a := range aims(r) {
		if a.State != missed {
			t.Errorf("%s: %s, %s is wanted and %s measured", a.What, a.State, a.Want, a.Got)
		}
	}

	l.Refreshes = 99_999
	for i := range r.Storage {
		r.Storage[i].Units = nil
	}
	r.Floors = nil
	r.Starts, r.Zips, l.Together.Requests, l.Races, r.Loads[1].SignCPU, l.Samples = nil, nil, 0, nil, 0, nil
	for _, r := range []*Report{r, {}} {
		all := aims(r)
		if len(all) != count {
			t.Errorf("%d aims, not %d", len(all), count)
		}
		for _, a := range all {
			if a.State != notMeasured || a.Got != "" {
				t.Errorf("%s: %s, %s is wanted and %s measured", a.What, a.State, a.Want, a.Got)
			}
		}
	}
}

// TestAllRequests checks that a report has one sum, in whatever order its fractions are added.
func TestAllRequests(t *testing.T) {
	s := &Storage{Requests: map[string]float64{"GetItem": .1, "Query": .2, "UpdateItem": .3}}
	sums := map[float64]bool{}
	for range 1000 {
		sums[s.all()] = true
	}
	if len(sums) != 1 {
		t.Errorf("the sums are %v", slices.Collect(maps.Keys(sums)))
	}
}

// TestAssumptionsAreTheStacks checks that what the report assumes about the stack is what the
// stack sets.
func TestAssumptionsAreTheStacks(t *testing.T) {
	props, err := os.ReadFile("../../infra/props.go")
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`c\.number\("TokenMemory", &p\.TokenMemory, (\d+),`).FindSubmatch(props)
	if match == nil || string(match[1]) != fmt.Sprint(price.Memory) {
		t.Errorf("token has %q MB, not %d", match, price.Memory)
	}
	format, err := os.ReadFile("../../infra/accesslog.json")
	if err != nil {
		t.Fatal(err)
	}
	var set map[string]string
	if err := json.Unmarshal(format, &set); err != nil {
		t.Fatal(err)
	}
	keys := slices.Sorted(maps.Keys(set))
	var ours []string
	for key := range inside.AccessLog() {
		ours = append(ours, key)
	}
	slices.Sort(ours)
	if len(keys) == 0 || !slices.Equal(keys, ours) {
		t.Errorf("the access log has %v, not %v", keys, ours)
	}
}

// TestTables checks that each table shows what was measured, or says that it was not.
func TestTables(t *testing.T) {
	r := good()
	r.Aims = aims(r)
	for name, want := range map[string]string{
		"machine":     "CPU |a\\|b |",
		"storage":     "race of 1,000 |1,000 UpdateItem |1,000 |0 |0 |",
		"load":        "ES256 |embedded, a process of its own |1.00 / 2.99 |3,400 (3,300–3,500) |2.00 / 5.00 |0.160 (0.149–0.170) |0.035 (0.030–0.040) |0.110 (0.100–0.120) |39.9 MB, 100,000 |120.0 MB |",
		"floor":       "ES256 |embedded, a process of its own |8 |Rotor |120 |1.20 × (1.20–1.20) |3,000 |0.75 × (0.75–0.75) |",
		"races":       "1,000 × one token |5,000 × 200 |1 |100.00 / 999.00 |9.99 × |",
		"profile":     "**together** |200 |100.0 % |50.0 % |10.0 % |",
		"invocations": "RS256 |10 |0.900 |31.0 MB |",
		"sizes":       "longest allowed (a write unit is 1,024) |1,013 |",
		"micro":       "SignAccess/ES256 |29.5 |14,614 |171 |",
		"starts":      "token |4.13 MB |refresh |5.8 ms |59.9 ms |15 MB |31.0 ms |8.0 ms |",
		"peers":       "one each |8 |**Rotor**, embedded, a process of its own |4,000 |2.00 × (2.00–2.00) |100 + 200 |1.50 × (1.50–1.50) |1.00 / 2.00 |",
		"peerraces":   "node-oidc-provider 9.13.3, in memory |50 |20 × 200, 980 × 400 |1 |0 of 20 |5.00 / 6.00 |",
		"aims":        "zip of a function, the largest |< 6 MB |5.99 MB |reached |",
	} {
		got := sections[name](r)
		if text := strings.ReplaceAll(got.Markdown(), "| ", "|"); !strings.Contains(text, want) {
			t.Errorf("%s does not have %s:\n%s", name, want, text)
		}
		for _, row := range got.Rows {
			if len(row) != len(got.Columns) {
				t.Errorf("%s: %v has not a cell for each of %v", name, row, got.Columns)
			}
		}
		if text := got.Text(); strings.Contains(text, "**") || !strings.HasPrefix(text, got.Title+"\n\n") || !strings.HasSuffix(text, "\n") {
			t.Errorf("%s as text:\n%s", name, text)
		}
	}
	for name, want := range map[string]string{"storage": "Units are left out", "starts": "left out: no Java.", "peers": "Left out: no Node.", "peerraces": "Left out: no Node.", "machine": "short run"} {
		none := &Report{Short: true, Storage: []Storage{{Call: "issue"}}, StartsLeftOut: "no Java", PeersLeftOut: "no Node"}
		if text := sections[name](none).Text(); !strings.Contains(text, want) {
			t.Errorf("%s of what was not measured:\n%s", name, text)
		}
	}
}

func TestPage(t *testing.T) {
	dir := t.TempDir()
	report, file := filepath.Join(dir, benchFile), filepath.Join(dir, "page.md")
	r := good()
	if err := write(report, r); err != nil {
		t.Fatal(err)
	}
	again, err := read[Report](report)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, again); diff != "" {
		t.Error(diff)
	}
	const text = "# Page\n\n<!-- bench: sizes -->\n<!-- end -->\n\nBetween.\n\n<!-- bench: micro -->\nold $1\n<!-- end -->\nAfter.\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := run(t.Context(), []string{"-markdown", file, "-o", dir}, nil, nil); err != nil {
			t.Fatal(err)
		}
		want := "# Page\n\n<!-- bench: sizes -->\n\n" + sizeTable(r).Markdown() + "\n<!-- end -->\n\nBetween.\n\n<!-- bench: micro -->\n\n" + microTable(r).Markdown() + "\n<!-- end -->\nAfter.\n"
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Fatal(diff)
		}
	}
}

// TestPartOfAPage checks that a run of some parts sets their tables and keeps the others, and that it does not if it is
// older than a run of all.
func TestPartOfAPage(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "page.md")
	const text = "<!-- bench: sizes -->\nold sizes\n<!-- end -->\n<!-- bench: machine -->\nold machine\n<!-- end -->\n<!-- bench: floor -->\nold floor\n<!-- end -->\n"
	set := func() string {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := setPage(file, dir); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(got)
	}
	part := good()
	part.Parts, part.Machine.Load = []string{"floor"}, "3.5 2 1"
	if err := write(filepath.Join(dir, partFile), part); err != nil {
		t.Fatal(err)
	}
	got := set()
	if !strings.Contains(got, "old sizes") || !strings.Contains(got, "old machine") || strings.Contains(got, "old floor") || !strings.Contains(got, "busy (load average 3.5 2 1)") {
		t.Errorf("set by a part:\n%s", got)
	}
	all := good()
	all.Machine.Began = part.Machine.Began.Add(time.Second)
	if err := write(filepath.Join(dir, benchFile), all); err != nil {
		t.Fatal(err)
	}
	if got := set(); strings.Contains(got, "old") || strings.Contains(got, "busy") || !strings.Contains(got, "Measured 2030-01-02") {
		t.Errorf("set by a run after it:\n%s", got)
	}
}

// TestDocumentation checks that the page in docs has a place for each table and no others.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	for m, tables := range map[string]struct {
		table func(string) *page.Table
		names []string
	}{
		marker:       {good().table, slices.Collect(maps.Keys(sections))},
		growthMarker: {grown().table, slices.Collect(maps.Keys(growthSections))},
	} {
		if _, err := page.Fill(text, m, tables.table); err != nil {
			t.Error(err)
		}
		for _, name := range tables.names {
			if n := strings.Count(string(text), "<!-- "+m+": "+name+" -->\n"); n != 1 {
				t.Errorf("%d places for %s: %s", n, m, name)
			}
		}
	}
}
