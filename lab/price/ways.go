package price

import (
	"math"

	"github.com/rotor-auth/rotor/lab/page"
)

// List prices of what the settings and the architecture can be changed to.
const (
	Log10TB      = 0.25 // CloudWatch, a GB of Lambda's logs past 10 TB a month, or of the class Infrequent Access, or for S3
	Gateway300M  = 0.90 // HTTP API, a million requests past 300 million a month
	WriteHour    = 0.00065
	ReadHour     = 0.00013
	BalancerHour = 0.0225
	AddressHour  = 0.005 // a public IPv4 address
	LCUHour      = 0.008 // a load balancer's capacity unit

	hours = 730 // of a month
)

// What a capacity unit of a load balancer is enough for, with a Lambda function as target.
const (
	lcuConnections = 25  // new ones a second
	lcuGB          = 0.4 // an hour
)

// Quantities that are not measured.
const (
	// Addresses are those of a load balancer, one in each zone.
	Addresses = 2
	// RefreshKB is what the load balancer is taken to process for a refresh, both ways, in KB.
	RefreshKB = 3
	// Rest is the part of the least write units that the stack provisions of the
	// units which refreshes hardly use: reads, and both kinds of the index
	// (infra/service.go).
	Rest = 0.1
)

// Front is what stands between callers and the function token.
type Front string

// The fronts. Refreshes pass an HTTP API, as deployed, unless they are said to pass another.
const (
	HTTPAPI     Front = ""
	Balancer    Front = "balancer"
	FunctionURL Front = "url"
)

// Way is a way to run Rotor. For each refresh, CPU is the CPU time on a whole core in
// ms, Write and Read are DynamoDB units, and AuditLine and AccessLine bytes of log.
type Way struct {
	Algorithm             string
	CPU, Write, Read      float64
	AuditLine, AccessLine int

	Memory    int     // of the function token, in MB; 512 if it is 0
	Front     Front   // what refreshes pass
	Millions  float64 // of refreshes in a month, which share what costs by the hour; for a load balancer
	InUse     float64 // the part of the provisioned write units that is used; 0 for a table on demand
	AuditRate float64 // of a GB of the function's lines; [Log] if it is 0
	Past300M  bool    // the requests are past the first price of HTTP APIs
}

// Total returns what a million refreshes cost, in US dollars.
func (w Way) Total() float64 { return w.Cost().Total() }

// Cost returns what a million refreshes cost.
func (w Way) Cost() Cost {
	memory, duration := w.memory(), w.Billed()
	gigabyteSeconds := float64(memory) / 1024 * duration * 1e6 / 1000
	items := append(w.front(), Item{"Lambda requests", "1,000,000", usd(Request, 2) + " a million", Request},
		Item{"Lambda duration, arm64", page.Number(gigabyteSeconds, 0) + " GB-s", usd(Duration*1e6, 2) + " a million GB-s", gigabyteSeconds * Duration})
	if w.InUse > 0 {
		units := w.Write * 1e6 / 3600 / w.InUse
		items = append(items,
			Item{"DynamoDB write units, provisioned", page.Number(units, 0) + " for an hour", usd(WriteHour, 5) + " an hour", units * WriteHour},
			Item{"… and reads and the index", page.Number(Rest*units, 0) + " of each for an hour", usd(ReadHour, 5) + ", " + usd(WriteHour, 5) + " an hour", Rest * units * (2*ReadHour + WriteHour)})
	} else {
		items = append(items,
			Item{"DynamoDB write units", page.Number(w.Write*1e6, 0), usd(Write, 3) + " a million", w.Write * Write},
			Item{"DynamoDB read units", page.Number(w.Read*1e6, 0), usd(Read, 3) + " a million", w.Read * Read})
	}
	rate := w.AuditRate
	if rate == 0 {
		rate = Log
	}
	audit, access := float64(w.AuditLine)/1000, float64(w.AccessLine)/1000
	return Cost{Algorithm: w.Algorithm, Duration: duration, Items: append(items,
		Item{"CloudWatch logs, audit line", page.Number(audit, 2) + " GB", usd(rate, 2) + " a GB", audit * rate},
		Item{"CloudWatch logs, access log", page.Number(access, 2) + " GB", usd(Log, 2) + " a GB", access * Log})}
}

// front returns what the front costs.
func (w Way) front() []Item {
	switch w.Front {
	case Balancer:
		connections := 1e6 / (lcuConnections * 3600.0) // each refresh over a new one
		units := math.Max(connections, RefreshKB*1e6/1e6/lcuGB)
		return []Item{
			{"load balancer and its addresses", page.Number(hours/w.Millions, 1) + " hours", usd(BalancerHour, 4) + ", " + usd(AddressHour, 3) + " an hour", BalancerMonth() / w.Millions},
			{"its capacity units", page.Number(units, 1) + " for an hour", usd(LCUHour, 3) + " an hour", units * LCUHour},
		}
	case FunctionURL:
		return nil
	default:
		rate := Gateway
		if w.Past300M {
			rate = Gateway300M
		}
		return []Item{{"HTTP API requests", "1,000,000", usd(rate, 2) + " a million", rate}}
	}
}

// BalancerMonth returns what a load balancer costs in a month before the first request.
func BalancerMonth() float64 { return hours * (BalancerHour + Addresses*AddressHour) }

func (w Way) memory() int {
	if w.Memory == 0 {
		return Memory
	}
	return w.Memory
}

// Elapsed returns how long an invocation takes, in ms: its CPU time at the memory's
// share of a core, which is at most one for a program of one goroutine at a time, and
// the wait for DynamoDB.
func (w Way) Elapsed() float64 {
	return w.CPU*FullCPU/float64(min(w.memory(), FullCPU)) + Wait
}

// Billed returns the duration that is billed for an invocation, in ms.
func (w Way) Billed() float64 { return math.Ceil(w.Elapsed()) }

// EvenUse returns the part of the provisioned write units that has to be in use, over
// the month, for them to cost as little as on demand.
func EvenUse() float64 { return 1e6 / 3600 * (WriteHour + Rest*(2*ReadHour+WriteHour)) / Write }

// EvenMillions returns the millions of refreshes in a month from which a load balancer
// costs less than an HTTP API.
func EvenMillions() float64 {
	units := Way{Front: Balancer, Millions: 1}.front()[1].USD
	return BalancerMonth() / (Gateway - units)
}
