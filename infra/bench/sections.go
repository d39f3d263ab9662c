package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// sections are the tables, by the names that a page gives them.
var sections = map[string]func(*Report) *table{
	"machine": machineTable,
	"storage": storageTable,
	"load":    loadTable,
	"races":   raceTable,
	"sizes":   sizeTable,
	"micro":   microTable,
	"starts":  startTable,
	"cost":    costTable,
	"prices":  priceTable,
	"peers":   peerTable,
	"aims":    aimTable,
}

// table is the one of this name, or nil.
func (r *Report) table(name string) *table {
	if section := sections[name]; section != nil {
		return section(r)
	}
	return nil
}

func machineTable(r *Report) *table {
	m := r.Machine
	t := &table{title: "Machine", columns: []string{"what", "value"}}
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
			t.row(row[0], row[1])
		}
	}
	if r.Short {
		t.note("This was a short run: it shows that everything runs, and no time in it is worth anything.")
	}
	t.note("Rotor, its store and the load generator share these CPUs.")
	return t
}

func storageTable(r *Report) *table {
	t := &table{title: "What a call asks of storage", columns: []string{"call", "requests", "write units", "read units", "units of the index"}}
	unknown := false
	for i := range r.Storage {
		s := &r.Storage[i]
		if s.Units == nil {
			unknown = true
			t.row(s.Call, s.requests(), "", "", "")
			continue
		}
		t.row(s.Call, s.requests(), short(s.Units.Write), short(s.Units.Read), short(s.Units.Index))
	}
	if unknown {
		t.note("Units are left out: DynamoDB Local reports them, and ROTOR_TEST_DYNAMODB does not say where one is.")
	} else {
		t.note("As DynamoDB Local reports them; for an event put in a transaction it says 2 units of the index where DynamoDB takes 1. " +
			"A condition that failed is billed, but not reported: it is counted by the size of its item.")
	}
	return t
}

// all is how many requests there are.
func (s *Storage) all() float64 {
	n := 0.0
	for _, each := range s.Requests {
		n += each
	}
	return n
}

// requests are those of each operation, in words.
func (s *Storage) requests() string {
	var parts []string
	for _, operation := range slices.Sorted(maps.Keys(s.Requests)) {
		parts = append(parts, short(s.Requests[operation])+" "+operation)
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// spoken is all that a call asks for, in words.
func spoken(s *Storage) string {
	text := s.requests() + ": " + short(s.Units.Write) + " write, " + short(s.Units.Read) + " read"
	if s.Units.Index > 0 {
		text += ", " + short(s.Units.Index) + " of the index"
	}
	return text
}

func loadTable(r *Report) *table {
	t := &table{
		title: "Refreshes",
		columns: []string{
			"signature", "store", "one at a time p50 / p99 ms", "8 at a time: refreshes/s", "p50 / p99 ms",
			"CPU ms of the service", "its signature", "CPU ms of the store", "memory after so many refreshes", "after the races",
		},
	}
	for _, l := range r.Loads {
		ofStore := ""
		if l.StoreCPU > 0 {
			ofStore = number(l.StoreCPU, 3)
		}
		t.row(l.Algorithm, l.Store, percentiles(l.Alone), number(l.Together.Rate, 0), percentiles(l.Together),
			number(l.CPU, 3), number(l.SignCPU, 3), ofStore, number(l.RSS, 1)+" MB, "+number(float64(l.Refreshes), 0), number(l.RSSAfterRaces, 1)+" MB")
	}
	t.note("%d sessions, each refreshed with the token of its last answer. Every request was a success, or the run would have failed. "+
		"CPU is that of the whole process for each refresh, at 8 at a time. In the process, the store's CPU and memory are the service's.", sessions)
	return t
}

func percentiles(l Latencies) string { return number(l.P50, 2) + " / " + number(l.P99, 2) }

func raceTable(r *Report) *table {
	t := &table{
		title:   "At the same moment",
		columns: []string{"signature", "store", "at once", "statuses", "successors", "p50 / p99 ms", "p99, to a token each"},
	}
	for i := range r.Loads {
		l := &r.Loads[i]
		for _, race := range l.Races {
			at, ratio := number(float64(race.Racers), 0)+" × one token", ""
			if race.Tokens > 1 {
				at = number(float64(race.Racers), 0) + " × a token each"
			} else if each := l.race(race.Racers, race.Racers); each != nil && each.Latencies.P99 > 0 {
				ratio = number(race.Latencies.P99/each.Latencies.P99, 2) + " ×"
			}
			t.row(l.Algorithm, l.Store, at, statuses(race.Statuses), number(float64(race.Successors), 0), percentiles(race.Latencies), ratio)
		}
	}
	t.note("Successors are the different tokens that were given in a round; statuses are those of all rounds.")
	return t
}

func statuses(by map[int]int64) string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(by)) {
		parts = append(parts, number(float64(by[status]), 0)+" × "+fmt.Sprint(status))
	}
	return strings.Join(parts, ", ")
}

func sizeTable(r *Report) *table {
	t := &table{title: "Sizes", columns: []string{"what", "bytes"}}
	t.row("family item, usual", number(float64(r.Sizes.Family), 0))
	t.row("family item, longest allowed (a write unit is 1,024)", number(float64(r.Sizes.LongestFamily), 0))
	t.row("log line of a refresh, with metrics", number(float64(r.Sizes.LogLine), 0))
	t.row("the gateway's access log line", number(float64(r.Sizes.AccessLogLine), 0))
	return t
}

func microTable(r *Report) *table {
	t := &table{title: "One refresh, without network and store, and its signature", columns: []string{"benchmark", "µs", "bytes", "allocations"}}
	for _, m := range r.Micro {
		t.row(m.Name, number(m.Nanoseconds/1000, 1), number(m.Bytes, 0), number(m.Allocations, 0))
	}
	t.note("By the clock: whatever else the machine does is in the time.")
	return t
}

func startTable(r *Report) *table {
	t := &table{title: "Cold starts and zips", columns: []string{"function", "arm64 zip"}}
	if len(r.Starts) > 0 {
		t.columns = append(t.columns, "asked for", "ready", "first answer", "memory", "first answer, emulator", "second")
	}
	ms := func(n float64) string { return number(n, 1) + " ms" }
	for _, z := range r.Zips {
		row := []string{z.Function, number(z.Size, 2) + " MB"}
		for _, s := range r.Starts {
			if s.Function == z.Function {
				row = append(row, s.Asked, ms(s.Ready), ms(s.Answered), number(s.Memory, 0)+" MB", ms(s.Emulated), ms(s.Second))
			}
		}
		t.row(row...)
	}
	if r.StartsLeftOut != "" {
		t.note("Cold starts are left out: %s.", r.StartsLeftOut)
	} else {
		t.note("Medians, of programs for this machine's own architecture. Ready: from the program's start until it asks for an invocation; first answer: until it has " +
			"given one; emulator: from the start of Lambda's emulator, which starts the program. Lambda adds its own: fetching the zip, TLS, a share of a core.")
	}
	return t
}

func costTable(r *Report) *table {
	t := &table{title: "A million refreshes", columns: []string{"what", "how many", "price"}}
	if len(r.Costs) == 0 {
		t.note("Left out: what DynamoDB would bill is not known without DynamoDB Local.")
		return t
	}
	for i, cost := range r.Costs {
		t.columns = append(t.columns, "$ with "+cost.Algorithm)
		for j, item := range cost.Items {
			if i == 0 {
				t.row(item.What, item.Count, item.Price)
			} else if t.rows[j][1] != item.Count {
				t.rows[j][1] += ", " + item.Count
			}
			t.rows[j] = append(t.rows[j], number(item.USD, 2))
		}
	}
	together := []string{"**together**", "", ""}
	for _, cost := range r.Costs {
		together = append(together, "**"+number(cost.total(), 2)+"**")
		t.note("With %s an invocation is billed %s ms.", cost.Algorithm, number(cost.Duration, 0))
	}
	t.row(together...)
	return t
}

func priceTable(*Report) *table {
	t := &table{title: "What the cost assumes"}
	t.note("Prices: %s.", pricesOf)
	t.note("The duration is the CPU time measured, at the share of a vCPU that %s MB have (%s MB have a whole one), and %s ms for DynamoDB, "+
		"which is an assumption; rounded up to a millisecond. A core here and one of Lambda's are taken to be the same.", number(tokenMemory, 0), number(fullCPU, 0), short(assumedWait))
	t.note("Left out: what costs by the month (the secret, alarms, metrics), storage, backups, cold starts.")
	return t
}

func peerTable(r *Report) *table {
	t := &table{
		title:   "Beside others",
		columns: []string{"what", "refreshes/s", "CPU ms, service + store", "storage calls", "one at a time p50 / p99 ms", "50 at once with one token"},
	}
	for i := range r.Loads {
		l := &r.Loads[i]
		if l.Store == inProcess {
			continue
		}
		cpu := number(l.CPU, 2)
		if l.StoreCPU > 0 {
			cpu += " + " + number(l.StoreCPU, 2)
		}
		calls, race := "", ""
		if s := r.storage(oneRefresh); s != nil {
			calls = s.requests()
		}
		if fifty := l.race(50, 1); fifty != nil {
			race = fmt.Sprintf("%s, successors: %d, p50 %s ms", statuses(fifty.Statuses), fifty.Successors, number(fifty.Latencies.P50, 1))
		}
		t.row("**Rotor**: "+l.Algorithm+", "+l.Store, number(l.Together.Rate, 0), cpu, calls, percentiles(l.Alone), race)
	}
	for _, p := range peers {
		t.row(p.what, p.rate, p.cpu, p.calls, p.alone, p.race)
	}
	t.note("The others were measured elsewhere, on a machine of 2 cores that made the load as well; Keycloak's is what it publishes. " +
		"Postgres keeps what is written on a disk; neither store that Rotor is measured over does, and DynamoDB is further away than both.")
	return t
}

func aimTable(r *Report) *table {
	t := aimsOf("Aims", r.Aims)
	t.note("Times, CPU and memory are those over the embedded store in a process of its own. Without the signature is less the CPU time of one, measured alone.")
	return t
}

func aimsOf(title string, aims []Aim) *table {
	t := &table{title: title, columns: []string{"what", "wanted", "measured", ""}}
	for _, a := range aims {
		t.row(a.What, a.Want, a.Got, a.State)
	}
	return t
}
