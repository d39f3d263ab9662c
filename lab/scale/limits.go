package main

import (
	"math"

	"github.com/rotor-auth/rotor/lab/price"
)

// read is when the documentation was read, in copies that may be older.
const read = "2026-11-26"

// The stack's defaults, in infra/props.go and infra/functions.go.
const (
	throttleRate  = 1000
	throttleBurst = 2000
	sweepMinutes  = 5
	sweepTimeout  = 300 // s
)

// The defaults of an account, which AWS documents; see quotas.
const (
	accountRate   = 10_000
	accountBurst  = 5000
	concurrency   = 1000
	newTableWrite = 4000
	tableWrites   = 40_000
	secretReads   = 10_000
	logPuts       = 5000
	partitionGB   = 10
)

// headroom is the factor by which quotas are set above what is needed.
const headroom = 1.5

// What the computation assumes about the traffic.
const (
	trough    = 0.25       // of the peak, with which a Monday morning begins
	racers    = 1000       // requests that present one token in a second
	reused    = 0.001      // the fraction of refreshes that is reuse, each with a stored event
	refreshes = 3600.0     // s between two refreshes of a session in use: the access token's lifetime, so that each rotates
	months    = 730 * 3600 // s in a month
)

// quota is a limit that AWS documents.
type quota struct {
	what, value string
	name        string // in Service Quotas
	raise       string // whether it can be raised
	page, url   string // of the documentation
}

const (
	docs   = "https://docs.aws.amazon.com/"
	dynamo = docs + "amazondynamodb/latest/developerguide/"
)

var quotas = []quota{
	{"API Gateway, all APIs of the account in a region", number(accountRate) + " requests/s, " + number(accountBurst) + " at once", "Throttle rate (L-8A5B8E43)", "the rate; AWS sets the burst by it", "Amazon API Gateway quotas", docs + "apigateway/latest/developerguide/limits.html"},
	{"Lambda, requests at the same time, all functions", number(concurrency), "Concurrent executions (L-B99A9384)", "to tens of thousands", "Lambda quotas", docs + "lambda/latest/dg/gettingstarted-limits.html"},
	{"Lambda, requests", number(perConcurrency) + " × the concurrency a second", "with the concurrency", "with it", "Lambda quotas", docs + "lambda/latest/dg/gettingstarted-limits.html"},
	{"Lambda, growth of each function", number(scalingBurst) + " environments or " + number(rampBurst) + " requests/s more in 10 s", "", "no", "Lambda scaling behavior", docs + "lambda/latest/dg/scaling-behavior.html"},
	{"DynamoDB, a new table on demand", number(newTableWrite) + " writes/s; then to twice its peak within 30 minutes", "", "by warm throughput", "DynamoDB on-demand capacity mode", dynamo + "on-demand-capacity-mode.html"},
	{"DynamoDB, a table or an index", number(tableWrites) + " write units/s", "Table-level write throughput limit (L-AB614373)", "yes", "Quotas in Amazon DynamoDB", dynamo + "ServiceQuotas.html"},
	{"DynamoDB, a partition", number(partitionWrites) + " write and " + number(partitionReads) + " read units/s; " + number(partitionGB) + " GB", "", "no", "DynamoDB burst and adaptive capacity", dynamo + "burst-adaptive-capacity.html"},
	{"Secrets Manager, GetSecretValue and DescribeSecret", number(secretReads) + " a second", "Combined rate of DescribeSecret and GetSecretValue API requests", "no", "AWS Secrets Manager quotas", docs + "secretsmanager/latest/userguide/reference_limits.html"},
	{"CloudWatch Logs, PutLogEvents", number(logPuts) + " a second", "PutLogEvents throttle limit in transactions per second (L-7E1FAE88)", "yes", "Amazon CloudWatch Logs endpoints and quotas", docs + "general/latest/gr/cwl_region.html"},
}

// What a caller gets when a limit is reached.
const (
	sees429 = "429 of the gateway, without Retry-After"
	sees503 = "503 of the gateway, without Retry-After"
	seesOur = "503 `temporarily_unavailable`, Retry-After: 1 to 3"
)

// limit is a limit that refreshes can reach.
type limit struct {
	what  string
	most  float64
	asked func(in *inputs, rate float64) float64 // at a rate of refreshes per second
	sees  string
	turn  string
}

var limits = []limit{
	{"requests/s that the stage takes", throttleRate, perRefresh(1), sees429, "`throttleRate` and `throttleBurst`"},
	{"requests/s that the account's APIs take", accountRate, perRefresh(1), sees429, "the quota L-8A5B8E43"},
	{"requests/s that Lambda takes", perConcurrency * concurrency, perRefresh(1), sees503, "the quota L-B99A9384"},
	{"requests/s more at once, on a Monday morning", rampBurst, perRefresh(1 - trough), sees503, "`provisionedConcurrency`, of a tenth of the rate"},
	{"invocations at the same time, warm", concurrency, func(in *inputs, rate float64) float64 { return rate * in.warmTime() / 1000 }, sees503, "the quota L-B99A9384; ES256; more memory"},
	{"invocations at the same time, a Monday morning's all cold", concurrency, (*inputs).coldMonday, sees503, "the quota L-B99A9384, or `provisionedConcurrency`"},
	{"write units/s of a new table", newTableWrite, func(in *inputs, rate float64) float64 { return rate * in.writes }, seesOur, "`warmWriteUnits`"},
	{"write units/s of a table", tableWrites, func(in *inputs, rate float64) float64 { return rate * in.writes }, seesOur, "the quota L-AB614373"},
	{"write units/s of one family, in a race of " + number(racers), partitionWrites, func(in *inputs, _ float64) float64 { return racers * in.writes }, seesOur, "nothing: one family is one item"},
	{"read units/s of the clients, by " + number(scalingBurst) + " new environments", partitionReads, func(in *inputs, rate float64) float64 {
		return min(in.fleet(rate), scalingBurst) * registry
	}, "a slower start", "nothing: the clients are read again one by one"},
	{"read units/s of the clients, by environments that were idle for a minute", partitionReads, func(in *inputs, rate float64) float64 {
		return min(rate, in.fleet(rate)*registered)
	}, seesOur, "a change of shared/store: see below"},
	{"read units/s of the clients, warm", partitionReads, func(in *inputs, rate float64) float64 { return in.fleet(rate) * registered / cachedFor }, seesOur, "the same"},
	{"reads/s of the two secrets, by " + number(scalingBurst) + " new environments", secretReads, func(in *inputs, rate float64) float64 { return secrets * min(in.fleet(rate), scalingBurst) }, seesOur, "nothing"},
	{"events/s of one type, in the index `log`", partitionWrites, perRefresh(reused), seesOur, "nothing: find who reuses"},
	{"PutLogEvents/s, one for each environment", logPuts, func(in *inputs, rate float64) float64 { return in.fleet(rate) }, "nothing: log lines come late or are lost", "the quota L-7E1FAE88"},
}

// coldMonday returns how many invocations run at the same time when the rate rises
// from a quarter to all of it at once, and each additional request finds no
// environment.
func (in *inputs) coldMonday(rate float64) float64 {
	return rate*trough*in.warmTime()/1000 + min(rate*(1-trough)*(in.warmTime()+in.coldTime())/1000, scalingBurst)
}

func perRefresh(n float64) func(*inputs, float64) float64 {
	return func(_ *inputs, rate float64) float64 { return rate * n }
}

// fleet returns how many environments there are if each serves at most the ten
// requests per second for which the account has concurrency, or how many work at the
// same time if those are more.
func (in *inputs) fleet(rate float64) float64 {
	return math.Ceil(max(rate/perConcurrency, rate*in.warmTime()/1000))
}

// breaksAt returns the rate at which the limit is exceeded, or infinity if there is
// none.
func (l *limit) breaksAt(in *inputs) float64 {
	low, high := 0.0, 1e7
	if l.asked(in, high) <= l.most {
		return math.Inf(1)
	}
	for high-low > 0.5 {
		if middle := (low + high) / 2; l.asked(in, middle) <= l.most {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// defaultSettings returns the settings of a deployment with the defaults, in an account
// with the defaults.
func defaultSettings(in *inputs) settings {
	return settings{
		name: "as deployed", stageRate: throttleRate, stageBurst: throttleBurst, accountRate: accountRate, accountMax: accountBurst,
		concurrency: concurrency, warm: newTableWrite, tableWrites: tableWrites, splits: doublesIn, cpu: in.cpu["RS256"], cold: in.coldTime(),
	}
}

// raisedSettings returns settings for a rate, each with one more setting raised, in the
// order in which limits break.
func raisedSettings(in *inputs, rate float64) []settings {
	need := rate * headroom
	s := defaultSettings(in)
	all := []settings{s}
	turn := func(name string, set func()) {
		s.name = name
		set()
		all = append(all, s)
	}
	turn("+ throttle", func() { s.stageRate, s.stageBurst = max(s.stageRate, need), max(s.stageBurst, 2*need) })
	turn("+ warm table", func() {
		s.warm, s.tableWrites = max(s.warm, need*in.writes), max(s.tableWrites, need*in.writes)
	})
	turn("+ quotas", func() {
		s.accountRate, s.accountMax = max(s.accountRate, need), max(s.accountMax, need*accountBurst/accountRate)
		s.concurrency = max(s.concurrency, int(need/perConcurrency))
	})
	turn("+ provisioned", func() {
		if in.coldMonday(rate) > concurrency {
			s.provisioned = int(rate / perConcurrency)
		}
	})
	return all
}

// monthly returns what a rate costs per month in US dollars, part by part.
func (in *inputs) monthly(algorithm string, rate float64) []price.Item {
	c := price.Refreshes(algorithm, in.cpu[algorithm], in.writes, in.reads, in.logs)
	for i := range c.Items {
		c.Items[i].USD *= rate * months / 1e6
	}
	steps := raisedSettings(in, rate)
	provisioned := float64(steps[len(steps)-1].provisioned)
	return append(
		c.Items,
		price.Item{What: "the secrets, read by each environment every 5 minutes", USD: secrets * in.fleet(rate) * months / secretFor / 1e4 * price.SecretReads},
		price.Item{What: "provisioned concurrency, of a tenth of the rate", USD: provisioned * price.Memory / 1024 * months * price.Provisioned},
	)
}
