package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/rotor-auth/rotor/lab/page"
	"github.com/rotor-auth/rotor/lab/price"
)

// findings are the results to show.
type findings struct {
	in   *inputs
	runs []run
}

// rates are the rates to examine, in refreshes per second.
var rates = []float64{100, 10_000, 100_000}

// sections are the tables, by their names on a page.
var sections = []struct {
	name  string
	table func(*findings) *page.Table
}{
	{"inputs", inputTable},
	{"quotas", quotaTable},
	{"limits", limitTable},
	{"order", orderTable},
	{"turns", turnTable},
	{"cost", costTable},
	{"runs", runTable},
	{"reuse", reuseTable},
}

// table returns the named table, or nil.
func (f *findings) table(name string) *page.Table {
	for _, s := range sections {
		if s.name == name {
			return s.table(f)
		}
	}
	return nil
}

func number(n float64) string { return page.Number(n, 0) }

func perSecond() (columns []string) {
	for _, rate := range rates {
		columns = append(columns, number(rate)+"/s")
	}
	return columns
}

func inputTable(f *findings) *page.Table {
	in := f.in
	t := &page.Table{Title: "What a refresh takes", Columns: []string{"what", "value", "from"}}
	const measured = "measured"
	for _, alg := range []string{"RS256", "ES256"} {
		t.Row("CPU on a whole core, "+alg, page.Number(in.cpu[alg], 3)+" ms", measured)
	}
	t.Row("waiting for DynamoDB", page.Short(price.Wait)+" ms", "assumed: \"single-digit milliseconds\"")
	for _, alg := range []string{"RS256", "ES256"} {
		t.Row("invocation with "+number(price.Memory)+" MB, "+alg, page.Number(price.InvocationTime(in.cpu[alg]), 1)+" ms, billed "+number(price.BilledTime(in.cpu[alg])), "computed of these, with the share of a vCPU")
	}
	t.Row("write units, read units", page.Short(in.writes)+", "+page.Short(in.reads), measured)
	t.Row("log lines, of the function and the gateway", number(float64(in.logs))+" bytes", measured)
	t.Row("a family's item", number(float64(in.family))+" bytes", measured)
	t.Row("cold start of `token`, to its first answer", page.Number(in.start, 1)+" ms", measured)
	t.Row("… and what Lambda adds", number(lambdaStarts)+" ms", "assumed")
	t.Row("requests to sweep an owner", number(in.sweeping), measured)
	t.Row("clients in the registry", number(registered), "assumed")
	t.Row("tokens that two present", number(100*twice)+" %", "assumed")
	t.Row("a caller goes on asking for", number(asksFor)+" s", "assumed")
	t.Note("Measured: in %s, which began %s, revision %s, on %s.", in.path, in.began.Format(time.RFC3339), in.revision, in.machine)
	if in.short {
		t.Note("That was a short run: no time in it is worth anything.")
	}
	return t
}

func quotaTable(*findings) *page.Table {
	t := &page.Table{Title: "What AWS allows", Columns: []string{"what", "by default", "in Service Quotas", "can be raised", "documentation"}}
	for _, q := range quotas {
		t.Row(q.what, q.value, q.name, q.raise, "["+q.page+"]("+q.url+")")
	}
	t.Note("Read on %s, in copies that may be older.", read)
	return t
}

func limitTable(f *findings) *page.Table {
	t := &page.Table{Title: "Asked for, of what there is as deployed", Columns: append([]string{"what", "there is"}, perSecond()...)}
	for i := range limits {
		l := &limits[i]
		row := []string{l.what, number(l.most)}
		for _, rate := range rates {
			asked := l.asked(f.in, rate)
			cell := number(asked) + ": "
			switch ratio := l.most / asked; {
			case ratio < 1:
				cell = "**" + cell + page.Short(1/ratio) + " × too many**"
			case ratio >= 10:
				cell += "1 in " + number(ratio)
			default:
				cell += "1 in " + page.Number(ratio, 1)
			}
			row = append(row, cell)
		}
		t.Row(row...)
	}
	perSweep := sweepTimeout * 1000 / (f.in.sweeping * price.Wait)
	t.Note("Environments are taken to serve %d requests a second each. A Monday morning goes from %s %% of the rate to all of it at once. %s %% of the refreshes are taken to be reuse. "+
		"A sweep ends after %d s, and has ended the excess of %s owners by then, %s a second, one request after another of %s ms each.",
		perConcurrency, number(100*trough), page.Short(100*reused), sweepTimeout, number(perSweep), number(perSweep/(sweepMinutes*60)), page.Short(price.Wait))
	for _, rate := range rates {
		gb := rate * refreshes * float64(f.in.family) / 1e9
		t.Note("At %s/s, with a refresh an hour, %s million sessions are in use: %s GB, which by size alone are %s partitions.",
			number(rate), page.Short(rate*refreshes/1e6), page.Number(gb, 1), number(math.Ceil(gb/partitionGB)))
	}
	return t
}

// orderTable returns the limits in the order in which a growing rate reaches them.
func orderTable(f *findings) *page.Table {
	t := &page.Table{Title: "What breaks first", Columns: []string{"at refreshes/s", "what", "there is", "callers see", "turn"}}
	for _, i := range inOrder(f.in) {
		l := &limits[i]
		t.Row(number(math.Floor(l.breaksAt(f.in))), l.what, number(l.most), l.sees, l.turn)
	}
	return t
}

// inOrder returns the indexes of the limits that a rate can reach, in the order of
// that rate.
func inOrder(in *inputs) []int {
	var order []int
	at := make([]float64, len(limits))
	for i := range limits {
		if at[i] = limits[i].breaksAt(in); !math.IsInf(at[i], 1) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(at[i], at[j]) })
	return order
}

func turnTable(f *findings) *page.Table {
	t := &page.Table{Title: "What to turn, and how far", Columns: append([]string{"what", "as deployed"}, perSecond()...)}
	row := func(what string, of func(settings) float64) {
		cells := []string{what, number(of(defaultSettings(f.in)))}
		for _, rate := range rates {
			steps := raisedSettings(f.in, rate)
			cells = append(cells, number(of(steps[len(steps)-1])))
		}
		t.Row(cells...)
	}
	row("`throttleRate`", func(s settings) float64 { return s.stageRate })
	row("`throttleBurst`", func(s settings) float64 { return s.stageBurst })
	row("`warmWriteUnits`", func(s settings) float64 { return s.warm })
	row("Table-level write throughput limit (L-AB614373)", func(s settings) float64 { return s.tableWrites })
	cells := []string{"PutLogEvents throttle limit (L-7E1FAE88)", number(logPuts)}
	for _, rate := range rates {
		cells = append(cells, number(max(logPuts, headroom*f.in.fleet(rate))))
	}
	t.Row(cells...)
	row("API Gateway's Throttle rate (L-8A5B8E43)", func(s settings) float64 { return s.accountRate })
	row("Lambda's Concurrent executions (L-B99A9384)", func(s settings) float64 { return float64(s.concurrency) })
	row("`provisionedConcurrency`", func(s settings) float64 { return float64(s.provisioned) })
	t.Note("%s times what is asked for, where that is more than there is. Quotas are shared with whatever else the account does in the region: add that.", page.Short(headroom))
	return t
}

func costTable(f *findings) *page.Table {
	t := &page.Table{Title: "A month at that rate", Columns: append([]string{"what, in $"}, perSecond()...)}
	totals := map[string][]float64{"RS256": make([]float64, len(rates)), "ES256": make([]float64, len(rates))}
	var first []price.Item
	rows := map[int][]string{}
	for i, rate := range rates {
		for _, alg := range []string{"RS256", "ES256"} {
			items := f.in.monthly(alg, rate)
			for j, item := range items {
				totals[alg][i] += item.USD
				if alg == "RS256" {
					rows[j] = append(rows[j], number(item.USD))
				}
			}
			first = items
		}
	}
	for j, item := range first {
		t.Row(append([]string{item.What}, rows[j]...)...)
	}
	for _, alg := range []string{"RS256", "ES256"} {
		cells := []string{"**together, " + alg + "**"}
		for _, total := range totals[alg] {
			cells = append(cells, "**"+number(total)+"**")
		}
		t.Row(cells...)
	}
	t.Note("730 hours at the rate, day and night; rows are those of RS256. Prices: %s, and without what AWS takes off for volume.", price.Basis)
	return t
}

func runTable(f *findings) *page.Table {
	t := &page.Table{Title: "Simulated", Columns: []string{
		"refreshes/s", "load", "settings", "requests", "answered at once", "later", "refused", "given up", "p50 / p99", "longest wait",
		"429", "503 of Lambda", "503 of Rotor", "of these, for want of the client", "at the same time, average / most", "environments", "hottest partition, writes/s",
	}}
	for i := range f.runs {
		r := &f.runs[i]
		share := func(n int) string { return page.Short(100*float64(n)/float64(r.presented)) + " %" }
		t.Row(number(r.rate), r.load.name, r.settings.name, number(float64(r.presented)), share(r.first), share(r.retried), number(float64(r.refused)), share(r.gaveUp),
			duration(r.percentile(.5))+" / "+duration(r.percentile(.99)), duration(r.longest),
			number(float64(r.outcome.gateway)), number(float64(r.outcome.lambda)), number(float64(r.outcome.store)), number(float64(r.outcome.clients)),
			number(r.busy)+" / "+number(float64(r.peakBusy)), number(float64(r.environments)), number(float64(r.hottest)))
	}
	t.Note("429 and 503 count answers: one request can have many. Waits are those of requests that were answered, from the first attempt to the answer.")
	return t
}

// duration returns a number of ms in words.
func duration(ms int) string {
	if ms < 1000 {
		return fmt.Sprintf("%d ms", ms)
	}
	return page.Number(float64(ms)/1000, 1) + " s"
}

func reuseTable(f *findings) *page.Table {
	t := &page.Table{Title: "Who would be logged out", Columns: []string{
		"refreshes/s", "load", "settings", "tokens of several", "longest from rotation to last use", "reuse at 10 s", "reuse at 60 s", "one gave up after the rotation",
	}}
	for i := range f.runs {
		r := &f.runs[i]
		if r.outcome.gateway+r.outcome.lambda+r.outcome.store == 0 {
			continue
		}
		tokens, longest := r.leftAlone, 0
		for gap, n := range r.gaps {
			tokens, longest = tokens+n, max(longest, gap)
		}
		t.Row(number(r.rate), r.load.name, r.settings.name, number(float64(tokens)), number(float64(longest))+" s",
			number(float64(r.later(10))), number(float64(r.later(reuse))), number(float64(r.leftAlone)))
	}
	t.Note("Of runs in which anything failed. A token that one caller presents alone is never refused, however long it waits.")
	return t
}
