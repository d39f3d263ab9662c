package main

import (
	"fmt"

	"github.com/rotor-auth/rotor/lab/page"
	"github.com/rotor-auth/rotor/lab/price"
)

// names are those of the tables, in the page's order.
var names = []string{"now", "ways", "together", "memory", "users"}

// table returns the table of that name, or nil.
func (m measurements) table(name string) *page.Table {
	switch name {
	case "now":
		return m.now()
	case "ways":
		return m.ways()
	case "together":
		return m.together()
	case "memory":
		return m.memory()
	case "users":
		return m.users()
	default:
		return nil
	}
}

func dollars(n float64) string { return page.Number(n, 2) }

// now returns what a refresh costs as deployed, part by part.
func (m measurements) now() *page.Table {
	t := &page.Table{Title: "A million refreshes, as deployed", Columns: []string{"what", "how many", "price", "$ with RS256", "$ with ES256"}}
	rs, es := m["RS256"].Cost(), m["ES256"].Cost()
	for i, item := range rs.Items {
		count := item.Count
		if other := es.Items[i].Count; other != count {
			count += ", " + other
		}
		t.Row(item.What, count, item.Price, dollars(item.USD), dollars(es.Items[i].USD))
	}
	t.Row("**together**", "", "", "**"+dollars(rs.Total())+"**", "**"+dollars(es.Total())+"**")
	t.Note("An invocation is billed %.0f ms with RS256 and %.0f ms with ES256. The audit line has %d bytes, the line of the access log %d.",
		rs.Duration, es.Duration, m["RS256"].AuditLine, m["RS256"].AccessLine)
	return t
}

// change is a way to run Rotor, as it differs from another.
type change struct {
	name, setting, gives string
	to                   func(w *price.Way)
}

func off(w *price.Way)         { w.AccessLine = 0 }
func provisioned(w *price.Way) { w.InUse = 0.7 }

// url changes a way to a function URL. It has no access log, like a load balancer.
func url(w *price.Way) { w.Front, w.AccessLine = price.FunctionURL, 0 }

func balancer(millions float64) func(*price.Way) {
	return func(w *price.Way) { w.Front, w.Millions, w.AccessLine = price.Balancer, millions, 0 }
}

// without stands where others have a setting, for what Rotor does not have.
const without = "not built"

// changes are the ways to lower the cost, each by itself.
var changes = []change{
	{"no access log", "`accessLog=off`", "a line for each request that reached no function (throttled, refused by IAM or the gateway), the gateway's latency of one request, and the caller of a read in `/v1`", off},
	{"signatures by ES256", "`signingAlgorithm=ES256`", "API Gateway's JWT authorizer of HTTP APIs, which takes RSA alone", nil},
	{"provisioned write units, 70 % in use", "`minWriteUnits`, `maxWriteUnits`", "room for a crowd that comes faster than the scaling follows, within minutes: it gets 503 and comes back", provisioned},
	{"the requests past 300 million a month", "none: AWS counts", "nothing", func(w *price.Way) { w.Past300M = true }},
	{"the function's lines past 10 TB a month", "none: AWS counts", "nothing", func(w *price.Way) { w.AuditRate = price.Log10TB }},
	{"the function's lines in the class Infrequent Access", without, "every metric and alarm that comes from lines, the filters, and Live Tail; queries stay", func(w *price.Way) { w.AuditRate = price.Log10TB }},
	{"the function's lines to S3 or Firehose", without, "the same, and the saved queries", func(w *price.Way) { w.AuditRate = price.Log10TB }},
	{"a load balancer in front of the public endpoints, 20 million a month", "`listenerArn`", "see below", balancer(20)},
	{"the same, 100 million a month", "`listenerArn`", "see below", balancer(100)},
	{"the same, 1,000 million a month", "`listenerArn`", "see below", balancer(1000)},
	{"a function URL", without, "see below", url},
}

// ways returns what each change saves by itself.
func (m measurements) ways() *page.Table {
	t := &page.Table{Title: "What lowers it", Columns: []string{"way", "setting", "$ a million", "saves", "gives up"}}
	now := m["RS256"].Total()
	t.Row("as deployed", "", dollars(now), "", "")
	for _, c := range changes {
		w := m["ES256"]
		if c.to != nil {
			w = m["RS256"]
			c.to(&w)
		}
		t.Row(c.name, c.setting, dollars(w.Total()), dollars(now-w.Total()), c.gives)
	}
	return t
}

// aim is what a million refreshes are to cost at most, on demand.
const aim = 1.60

// together returns what changes cost together.
func (m measurements) together() *page.Table {
	t := &page.Table{Title: "Together", Columns: []string{"way, with ES256", "on demand", "provisioned, 70 % in use"}}
	for _, c := range []change{
		{name: "as deployed"},
		{name: "`accessLog=off`", to: off},
		{name: "no log lines at all, which is not Rotor: HTTP API, Lambda and DynamoDB alone", to: func(w *price.Way) { w.AccessLine, w.AuditLine = 0, 0 }},
		{name: "`listenerArn` at 50 million a month", to: balancer(50)},
		{name: "`listenerArn` at 100 million a month", to: balancer(100)},
		{name: "`listenerArn` at 1,000 million a month", to: balancer(1000)},
		{name: "a function URL (not built)", to: url},
	} {
		w := m["ES256"]
		if c.to != nil {
			c.to(&w)
		}
		demand := w.Total()
		provisioned(&w)
		t.Row(c.name, "**"+dollars(demand)+"**", dollars(w.Total()))
	}
	t.Note("From %.0f million refreshes a month on a load balancer costs less than an HTTP API with `accessLog=off`. It costs %s dollars a month before the first.", price.EvenMillions(), dollars(price.BalancerMonth()))
	one := m["ES256"]
	balancer(1)(&one)
	t.Note("From %.0f million a month on it is at most %s dollars on demand, with ES256.", price.BalancerMonth()/(aim-one.Total()+price.BalancerMonth()), dollars(aim))
	t.Note("From %.0f %% in use, over the month, provisioned units cost less than those on demand.", 100*price.EvenUse())
	return t
}

// memory returns what memory does to an invocation and its price.
func (m measurements) memory() *page.Table {
	t := &page.Table{Title: "Memory of token", Columns: []string{"`tokenMemory`", "RS256: takes", "$ a million", "ES256: takes", "$ a million"}}
	for _, memory := range []int{128, 256, 512, 1024, 1769} {
		row := []string{fmt.Sprintf("%d MB", memory)}
		for _, algorithm := range []string{"RS256", "ES256"} {
			w := m[algorithm]
			w.Memory = memory
			row = append(row, page.Number(w.Elapsed(), 1)+" ms, billed "+page.Number(w.Billed(), 0), page.Number(w.Total(), 3))
		}
		t.Row(row...)
	}
	return t
}

// plan is what another provider asks for a user who was active in a month.
type plan struct {
	name string
	usd  float64
}

var plans = []plan{
	{"Cognito, Lite", 0.0055},
	{"Cognito, Essentials", 0.015},
	{"Auth0, Essentials, past the 500 users of its 35 $ a month", 0.07},
}

// users returns how many refreshes of a user in a month cost as much as others ask for one.
func (m measurements) users() *page.Table {
	t := &page.Table{Title: "Beside a price for each active user", Columns: []string{"plan", "$ for an active user", "as many refreshes cost as much, as deployed", "with ES256 and `accessLog=off`"}}
	now, least := m["RS256"].Total()/1e6, m["ES256"]
	off(&least)
	for _, p := range plans {
		t.Row(p.name, page.Number(p.usd, 4), page.Number(p.usd/now, 0), page.Number(p.usd/(least.Total()/1e6), 0))
	}
	for _, n := range []struct {
		times float64
		how   string
	}{{100, "five times a working day"}, {730, "once an hour, day and night"}, {10950, "every four minutes, day and night"}} {
		t.Note("A user whose app refreshes %s (%s a month) costs %s dollars a month as deployed.", n.how, page.Number(n.times, 0), page.Number(n.times*now, 5))
	}
	return t
}
