package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/lab/page"
)

// sections are the tables, by their names on a page.
var sections = map[string]func(*Report) *page.Table{
	"machine":     machineTable,
	"storage":     storageTable,
	"floor":       floorTable,
	"load":        loadTable,
	"races":       raceTable,
	"invocations": invocationTable,
	"profile":     profileTable,
	"sizes":       sizeTable,
	"micro":       microTable,
	"starts":      startTable,
	"peers":       peerTable,
	"peerraces":   peerRaceTable,
	"aims":        aimTable,
}

// table returns the named table, or nil. What a run of some parts has not measured is
// kept on the page.
func (r *Report) table(name string) *page.Table {
	section := sections[name]
	if section == nil {
		return nil
	}
	if len(r.Parts) == 0 {
		return section(r)
	}
	for _, part := range new(bench).parts() {
		if name != "machine" && slices.Contains(r.Parts, part.name) && slices.Contains(part.sections, name) {
			return section(r)
		}
	}
	return page.Keep
}

// measured returns when and of what these numbers are, in a table that may be newer than
// the others of its page, and a warning if other programs had the machine.
func (r *Report) measured() string {
	m := r.Machine
	text := "Measured " + m.Began.Format(time.DateOnly) + ", revision " + m.Revision
	var load float64
	if _, err := fmt.Sscan(m.Load, &load); err == nil && load > float64(m.CPUs) {
		text += ", on a machine that was busy (load average " + m.Load + "), so that rates and latencies say little, and CPU times are too long on all sides alike"
	}
	return text
}

func machineTable(r *Report) *page.Table {
	m := r.Machine
	t := &page.Table{Title: "Machine", Columns: []string{"what", "value"}}
	for _, row := range [][2]string{
		{"began", m.Began.Format(time.RFC3339)},
		{"revision", m.Revision},
		{"CPU", m.CPU},
		{"CPUs", fmt.Sprint(m.CPUs)},
		{"system", m.System},
		{"Go", m.Go},
		{"load average then", m.Load},
	} {
		if row[1] != "" {
			t.Row(row[0], row[1])
		}
	}
	if r.Unfinished != "" {
		t.Note("This run is not complete: %s.", r.Unfinished)
	}
	if r.Short {
		t.Note("This was a short run: it shows that everything runs, and no time in it is worth anything.")
	}
	t.Note("Rotor, its store and the load generator share these CPUs.")
	return t
}

func storageTable(r *Report) *page.Table {
	t := &page.Table{Title: "What a call asks of storage", Columns: []string{"call", "requests", "write units", "read units", "units of the index"}}
	unknown := false
	for i := range r.Storage {
		s := &r.Storage[i]
		if s.Units == nil {
			unknown = true
			t.Row(s.Call, s.requests(), "", "", "")
			continue
		}
		t.Row(s.Call, s.requests(), page.Short(s.Units.Write), page.Short(s.Units.Read), page.Short(s.Units.Index))
	}
	if unknown {
		t.Note("Units are left out: DynamoDB Local reports them, and ROTOR_TEST_DYNAMODB does not say where one is.")
	} else {
		t.Note("As DynamoDB Local reports them; for an event put in a transaction it says 2 units of the index where DynamoDB takes 1. " +
			"A condition that failed is billed, but not reported: it is counted by the size of its item.")
	}
	return t
}

// all returns the number of requests.
func (s *Storage) all() float64 {
	n := 0.0
	// In order, because the sum of floating-point numbers depends on it.
	for _, operation := range slices.Sorted(maps.Keys(s.Requests)) {
		n += s.Requests[operation]
	}
	return n
}

// requests returns the requests of each operation, in words.
func (s *Storage) requests() string {
	var parts []string
	for _, operation := range slices.Sorted(maps.Keys(s.Requests)) {
		parts = append(parts, page.Short(s.Requests[operation])+" "+operation)
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// spoken returns everything that a call asks of the store, in words.
func spoken(s *Storage) string {
	text := s.requests() + ": " + page.Short(s.Units.Write) + " write, " + page.Short(s.Units.Read) + " read"
	if s.Units.Index > 0 {
		text += ", " + page.Short(s.Units.Index) + " of the index"
	}
	return text
}

func loadTable(r *Report) *page.Table {
	t := &page.Table{
		Title: "Refreshes",
		Columns: []string{
			"signature", "store", "one at a time p50 / p99 ms", "8 at a time: refreshes/s", "p50 / p99 ms",
			"CPU ms of the service", "its signature", "CPU ms of the store", "memory after so many refreshes", "after the races",
		},
	}
	for _, l := range r.Loads {
		ofStore := ""
		if l.StoreCPU > 0 {
			ofStore = spread(l.Samples, Sample.storeCPU, 3)
		}
		t.Row(l.Algorithm, l.Store, percentiles(l.Alone), spread(l.Samples, Sample.rate, 0), percentiles(l.Together),
			spread(l.Samples, Sample.cpu, 3), spread(l.Samples, Sample.signCPU, 3), ofStore, page.Number(l.RSS, 1)+" MB, "+page.Number(float64(l.Refreshes), 0), page.Number(l.RSSAfterRaces, 1)+" MB")
	}
	t.Note("%d sessions, each refreshed with the token of its last answer, by a client without a reuse interval: every refresh rotates. Every request was a success, or the run would have failed. "+
		"CPU is that of the whole process for each refresh, at 8 at a time. In the process, the store's CPU and memory are the service's.", sessions)
	if len(r.Loads) > 0 {
		t.Note("Rates and CPU times are medians of %d samples, the least and the most in parentheses, by turns with the other rows.", len(r.Loads[0].Samples))
	}
	return t
}

// spread returns the median of the samples, with the smallest and the largest.
func spread(samples []Sample, of func(Sample) float64, decimals int) string {
	least, most := extremes(samples, of)
	return fmt.Sprintf("%s (%s–%s)", page.Number(median(samples, of), decimals), page.Number(least, decimals), page.Number(most, decimals))
}

func percentiles(l Latencies) string { return page.Number(l.P50, 2) + " / " + page.Number(l.P99, 2) }

func raceTable(r *Report) *page.Table {
	t := &page.Table{
		Title:   "At the same moment",
		Columns: []string{"signature", "store", "at once", "statuses", "successors", "p50 / p99 ms", "p99, to a token each"},
	}
	for i := range r.Loads {
		l := &r.Loads[i]
		for _, race := range l.Races {
			at, ratio := page.Number(float64(race.Racers), 0)+" × one token", ""
			if race.Tokens > 1 {
				at = page.Number(float64(race.Racers), 0) + " × a token each"
			} else if each := l.race(race.Racers, race.Racers); each != nil && each.Latencies.P99 > 0 {
				ratio = page.Number(race.Latencies.P99/each.Latencies.P99, 2) + " ×"
			}
			t.Row(l.Algorithm, l.Store, at, statuses(race.Statuses), page.Number(float64(race.Successors), 0), percentiles(race.Latencies), ratio)
		}
	}
	t.Note("Successors are the different tokens that were given in a round; statuses are those of all rounds.")
	return t
}

func statuses(by map[int]int64) string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(by)) {
		parts = append(parts, page.Number(float64(by[status]), 0)+" × "+fmt.Sprint(status))
	}
	return strings.Join(parts, ", ")
}

func profileTable(r *Report) *page.Table {
	t := &page.Table{Title: "Where the CPU time of a refresh goes", Columns: []string{"part", "µs", "of all", "in system calls", "allocating"}}
	percent := func(share float64) string { return page.Number(share*100, 1) + " %" }
	var all Share
	for _, s := range r.Profile {
		t.Row(s.What, page.Number(s.CPU*1000, 0), percent(s.Share), percent(s.Kernel), percent(s.Allocation))
		all.CPU, all.Share, all.Kernel, all.Allocation = all.CPU+s.CPU, all.Share+s.Share, all.Kernel+s.Kernel, all.Allocation+s.Allocation
	}
	t.Row("**together**", page.Number(all.CPU*1000, 0), percent(all.Share), percent(all.Kernel), percent(all.Allocation))
	t.Note("ES256, %s, 8 at a time: the shares of a CPU profile of the service, and of the CPU time above.", apart)
	return t
}

func invocationTable(r *Report) *page.Table {
	t := &page.Table{Title: "The function token, warm", Columns: []string{"signature", "invocations", "CPU ms of one", "memory after them"}}
	for _, i := range r.Invocations {
		t.Row(i.Algorithm, page.Number(float64(i.Count), 0), page.Number(i.CPU, 3), page.Number(i.RSS, 1)+" MB")
	}
	t.Note("Refreshes one after the other, each of which rotates, by the program that Lambda runs, over a Runtime API that does nothing else. CPU is that of the whole process, on a whole core.")
	return t
}

func sizeTable(r *Report) *page.Table {
	t := &page.Table{Title: "Sizes", Columns: []string{"what", "bytes"}}
	t.Row("family item, usual", page.Number(float64(r.Sizes.Family), 0))
	t.Row("family item, longest allowed (a write unit is 1,024)", page.Number(float64(r.Sizes.LongestFamily), 0))
	t.Row("log line of a refresh, with metrics", page.Number(float64(r.Sizes.LogLine), 0))
	t.Row("the gateway's access log line", page.Number(float64(r.Sizes.AccessLogLine), 0))
	return t
}

func microTable(r *Report) *page.Table {
	t := &page.Table{Title: "One refresh, without network and store, and its signature", Columns: []string{"benchmark", "µs", "bytes", "allocations"}}
	for _, m := range r.Micro {
		t.Row(m.Name, page.Number(m.Nanoseconds/1000, 1), page.Number(m.Bytes, 0), page.Number(m.Allocations, 0))
	}
	t.Note("By the clock: whatever else the machine does is in the time.")
	return t
}

func startTable(r *Report) *page.Table {
	t := &page.Table{Title: "Cold starts and zips", Columns: []string{"function", "arm64 zip"}}
	if len(r.Starts) > 0 {
		t.Columns = append(t.Columns, "asked for", "ready", "first answer", "memory", "first answer, emulator", "second")
	}
	ms := func(n float64) string { return page.Number(n, 1) + " ms" }
	for _, z := range r.Zips {
		row := []string{z.Function, page.Number(z.Size, 2) + " MB"}
		for _, s := range r.Starts {
			if s.Function == z.Function {
				row = append(row, s.Asked, ms(s.Ready), ms(s.Answered), page.Number(s.Memory, 0)+" MB", ms(s.Emulated), ms(s.Second))
			}
		}
		t.Row(row...)
	}
	if r.StartsLeftOut != "" {
		t.Note("Cold starts are left out: %s.", r.StartsLeftOut)
	} else {
		t.Note("Medians, of programs for this machine's own architecture. Ready: from the program's start until it asks for an invocation; first answer: until it has " +
			"given one; emulator: from the start of Lambda's emulator, which starts the program. Lambda adds its own: fetching the zip, TLS, a share of a core.")
	}
	return t
}

func aimTable(r *Report) *page.Table {
	t := aimsOf("Aims", r.Aims)
	t.Note("Times, CPU and memory are those over the embedded store in a process of its own. Without the signature is less the CPU time of one, measured alone. " +
		"CPU times and rates are judged by the best sample: whatever else the machine does only adds to the one and takes from the other.")
	return t
}

func aimsOf(title string, aims []Aim) *page.Table {
	t := &page.Table{Title: title, Columns: []string{"what", "wanted", "measured", ""}}
	for _, a := range aims {
		t.Row(a.What, a.Want, a.Got, a.State)
	}
	return t
}
