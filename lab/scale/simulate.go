package main

import (
	"math"
	"math/rand/v2"

	"github.com/rotor-auth/rotor/lab/price"
)

// What callers and functions do in Rotor's code, and what is assumed about them.
const (
	registered = 20  // clients in the registry, all equally used; an assumption
	registry   = 3   // read units of a query of them all, with less than 600 bytes each, which is a client with a long policy
	cachedFor  = 60  // s: freshFor in shared/store/registry.go
	secretFor  = 300 // s: maxAge in shared/keyring/secret.go
	secrets    = 2   // that the function token reads
	attempts   = 3   // by the SDK: MaxAttempts in shared/store/table.go
	backoff    = 50  // ms, at most, before the second attempt, and twice that before the third
	retryAfter = 3   // s, at most, in Rotor's own 503 (shared/internal/web/answer.go); the gateway's responses have none
	reuse      = 60  // s: the default policy of shared/family/policy.go

	// A caller whose refresh fails pauses as clients/tokensource does with that
	// interval: for a random part of 250 ms, which doubles each time up to 10 s.
	shortestPause = 250
	longestPause  = 10_000
	// asksFor is how long a caller keeps trying, in s; an assumption.
	asksFor = 300
	// twice is the fraction of tokens that two callers present at the same moment,
	// such as two tabs, each of which keeps trying with its token; an assumption.
	twice = 0.02
)

// settings are the settings and quotas of a deployment and its account.
type settings struct {
	name                    string
	stageRate, stageBurst   float64 // requests per second that the API accepts, sustained and at once
	accountRate, accountMax float64 // the same for all APIs of the account
	concurrency             int     // of the account
	provisioned             int     // environments that are always there
	warm, tableWrites       float64 // write units per second: what the table is ready for, and its quota
	kept                    float64 // s of unused capacity that a partition can use later
	splits                  float64 // s for which a partition throttles before it is split
	apart                   bool    // each client has its own partition, which is not so in reality
	cpu, cold               float64 // ms: of a refresh on a whole core, and what a cold start adds
}

// load is the traffic that arrives.
type load struct {
	name    string
	seconds int
	rate    func(second float64) float64 // requests per second
	crowdAt int                          // s: when a crowd comes, how many, and within how many ms
	crowd   int
	within  int
	race    bool // the crowd presents one token
}

// outcome is the outcome of a load.
type outcome struct {
	// Each presented request ends as one of the others: answered at once, answered
	// after failures, refused for good, or not answered within asksFor.
	presented, first, retried, refused, gaveUp int

	gateway, lambda, store int // failures: 429, 503, and Rotor's own 503
	clients                int // the failures of the store in which the client could not be read

	waits   []int // how many callers waited that many ms for an answer
	longest int   // ms, the longest of these

	busy                          float64 // invocations at the same time, on average while requests arrived
	peakBusy, environments        int
	peakColds, peakReads, hottest int         // in a second: cold starts, reads of clients, writes to one partition
	gaps                          map[int]int // s between the rotation and the last use of the tokens that several callers present
	leftAlone                     int         // of these, how many were given up by a caller afterwards
	served, written               int         // totals of invocations and writes
}

// stage is what a request does next.
type stage uint8

const (
	arrives  stage = iota // at the gateway
	reads                 // the client from the table
	writes                // its family
	succeeds              // it has been answered
	dies                  // it has been refused for good
	fails                 // the table has throttled too often
)

// request is one caller with one token, until it is answered.
type request struct {
	began  int32
	key    uint32 // the place of the family in the table
	env    int32
	stage  stage
	client uint8
	tries  uint8 // earlier tries of the caller
	asked  uint8 // earlier attempts of the SDK
	token  int32 // the token, if others present it too, or alone
}

// alone is the token of a request whose token nobody else presents.
const alone = -1

// token is a token that several callers present.
type token struct {
	rotated, last    int32 // when it was superseded, or -1, and when it was last used
	revoked, givenUp bool  // whether its family was revoked, and whether a caller gave up
}

// region is a simulation in steps of 1 ms, which is shorter than any time that
// matters. The events of one step happen in the order in which they were caused.
type region struct {
	settings
	stage, account bucket
	lambda         *lambda
	table          *table

	random  *rand.Rand
	now     int32              // ms
	ahead   [1 << 14][]request // a ring of what happens that many ms from now
	pending int                // requests that have not ended
	tokens  []token            // that several callers present
	out     outcome
}

// simulate returns the outcome of the load in a region that has had its first rate
// for some time. The same seed gives the same outcome.
func simulate(s settings, l load, seed uint64) outcome {
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // it is to be the same each time
	warm := int(math.Ceil(2 * l.rate(0) * price.InvocationTime(s.cpu) / 1000))
	r := &region{
		settings: s, random: random,
		stage: newBucket(s.stageRate, s.stageBurst), account: newBucket(s.accountRate, s.accountMax),
		lambda: newLambda(s.concurrency, warm, int(l.rate(0)), s.provisioned, random),
		table:  newTable(s.warm, s.tableWrites, s.kept, s.splits, s.apart),
		out:    outcome{waits: make([]int, asksFor*1000+1), gaps: map[int]int{}},
	}
	crowd := make([]int, l.within)
	for range l.crowd {
		crowd[random.IntN(l.within)]++
	}
	racing, end := random.Uint32(), l.seconds*1000
	if l.race {
		r.several()
	}
	for next := r.gap(l, 0); int(r.now) < end || r.pending > 0; r.now++ {
		for ; int(r.now) < end && next < float64(r.now+1); next += r.gap(l, next) {
			key := random.Uint32()
			if random.Float64() >= twice {
				r.present(key, alone)
				continue
			}
			t := r.several()
			r.present(key, t)
			r.present(key, t)
		}
		if at := int(r.now) - l.crowdAt*1000; at >= 0 && at < l.within {
			for range crowd[at] {
				if l.race {
					r.present(racing, 0)
				} else {
					r.present(random.Uint32(), alone)
				}
			}
		}
		slot := &r.ahead[int(r.now)%len(r.ahead)]
		for _, q := range *slot {
			r.step(q)
		}
		*slot = (*slot)[:0]
		if int(r.now) < end {
			r.out.busy += float64(r.lambda.busy) / float64(end)
		}
		r.out.peakBusy = max(r.out.peakBusy, r.lambda.busy)
		if r.now%1000 == 999 {
			r.second()
		}
	}
	r.second()
	for _, t := range r.tokens {
		switch {
		case t.rotated < 0:
		case t.givenUp:
			r.out.leftAlone++
		default:
			r.out.gaps[int(t.last-t.rotated)/1000]++
		}
	}
	return r.out
}

// gap returns the time to the next arrival in ms. Requests arrive independently of
// each other.
func (r *region) gap(l load, at float64) float64 {
	return r.random.ExpFloat64() * 1000 / l.rate(at/1000) * (1 + twice)
}

// second ends a second.
func (r *region) second() {
	o := &r.out
	o.environments = max(o.environments, r.lambda.environments())
	o.peakColds, o.peakReads = max(o.peakColds, r.lambda.colds), max(o.peakReads, r.table.reads)
	r.lambda.second(r.now)
	o.hottest = max(o.hottest, r.table.second())
}

// later schedules the request's next stage in the given ms. The time is rounded up
// or down to a step at random, so that it is right on average, and is at least one
// step.
func (r *region) later(q request, next stage, ms float64) {
	q.stage = next
	in := min(max(1, int(ms+r.random.Float64())), len(r.ahead)-1)
	slot := &r.ahead[(int(r.now)+in)%len(r.ahead)]
	*slot = append(*slot, q)
}

// wait returns how long DynamoDB takes in ms, which is at least half of the average.
func (r *region) wait() float64 { return price.Wait / 2 * (1 + r.random.ExpFloat64()) }

// several adds a token that several callers will present, and returns its index.
func (r *region) several() int32 {
	r.tokens = append(r.tokens, token{rotated: -1})
	return int32(len(r.tokens) - 1) //nolint:gosec // millions
}

// present makes the first request of a caller.
func (r *region) present(key uint32, token int32) {
	r.out.presented++
	r.pending++
	r.step(request{began: r.now, key: key, token: token, client: uint8(r.random.UintN(registered))}) //nolint:gosec // fewer than 256
}

func (r *region) step(q request) {
	switch q.stage {
	case arrives:
		r.arrive(q)
	case reads:
		r.read(q)
	case writes:
		r.write(q)
	default:
		r.lambda.release(q.env, r.now)
		r.answer(q)
	}
}

// arrive takes the request through the gateway to an environment.
func (r *region) arrive(q request) {
	if !r.stage.has(r.now) || !r.account.take(r.now) {
		r.out.gateway++
		r.again(q, 0)
		return
	}
	r.stage.tokens--
	env, cold, ok := r.lambda.invoke(r.now)
	if !ok {
		r.out.lambda++
		r.again(q, 0)
		return
	}
	r.out.served++
	takes := price.ElapsedTime(r.cpu)
	if cold {
		takes += r.cold
		if r.table.readAhead(r.now) {
			for c := range r.lambda.all[env].knows {
				r.lambda.all[env].knows[c] = r.now + cachedFor*1000
			}
		}
	}
	q.env, q.asked = env, 0
	if r.lambda.all[env].knows[q.client] > r.now {
		r.later(q, writes, takes)
	} else {
		r.later(q, reads, takes)
	}
}

// read reads the client, which the environment then knows for a while.
func (r *region) read(q request) {
	if !r.table.read(r.now) {
		r.throttled(q)
		return
	}
	r.unthrottled(&q)
	r.lambda.all[q.env].knows[q.client] = r.now + cachedFor*1000
	r.later(q, writes, r.wait())
}

// write refreshes: it makes the conditional write, and decides by the record.
func (r *region) write(q request) {
	if !r.table.write(q.key, r.now) {
		r.throttled(q)
		return
	}
	r.unthrottled(&q)
	r.out.written++
	if q.token != alone {
		t := &r.tokens[q.token]
		if t.rotated < 0 {
			t.rotated = r.now
		}
		t.last = r.now
		t.revoked = t.revoked || t.last-t.rotated >= reuse*1000
		if t.revoked {
			r.later(q, dies, r.wait())
			return
		}
	}
	r.later(q, succeeds, r.wait())
}

// throttled does what the SDK does when the table throttles a request.
func (r *region) throttled(q request) {
	q.asked++
	e := &r.lambda.all[q.env]
	if q.asked == attempts || e.quota < retryCost {
		if q.stage == reads {
			r.out.clients++
		}
		r.later(q, fails, r.wait())
		return
	}
	e.quota -= retryCost
	r.later(q, q.stage, r.wait()+r.random.Float64()*float64(int(backoff)<<(q.asked-1)))
}

// unthrottled ends the attempts of one request to the table.
func (r *region) unthrottled(q *request) {
	e := &r.lambda.all[q.env]
	e.quota = min(retryQuota, e.quota+1)
	if q.asked > 0 {
		e.quota = min(retryQuota, e.quota+retryCost)
	}
	q.asked = 0
}

// answer ends an invocation.
func (r *region) answer(q request) {
	waited := int(r.now - q.began)
	switch {
	case q.stage == fails:
		r.out.store++
		r.again(q, float64(1000*(1+r.random.IntN(retryAfter))))
		return
	case q.stage == dies:
		r.out.refused++
	case q.tries == 0:
		r.out.first++
	default:
		r.out.retried++
	}
	if q.stage == succeeds {
		r.out.longest = max(r.out.longest, waited)
		r.out.waits[min(waited, len(r.out.waits)-1)]++
	}
	r.pending--
}

// again makes the caller retry after a pause of at least the given ms.
func (r *region) again(q request, asked float64) {
	pause := min(float64(int(shortestPause)<<min(q.tries, 10)), longestPause)
	pause = max(pause*(1+r.random.Float64())/2, asked)
	q.tries++
	if float64(r.now-q.began)+pause > asksFor*1000-longestPause {
		r.out.gaveUp++
		r.pending--
		if q.token != alone {
			r.tokens[q.token].givenUp = true
		}
		return
	}
	r.later(q, arrives, pause)
}

// percentile returns how long, in ms, the given share of the answered callers waited
// at most.
func (o *outcome) percentile(share float64) int {
	n := int(math.Ceil(share * float64(o.first+o.retried)))
	for ms, count := range o.waits {
		if n -= count; n <= 0 {
			return ms
		}
	}
	return 0
}

// later counts the tokens of several callers whose last use came at least the given
// seconds after the rotation.
func (o *outcome) later(seconds int) int {
	n := 0
	for gap, tokens := range o.gaps {
		if gap >= seconds {
			n += tokens
		}
	}
	return n
}
