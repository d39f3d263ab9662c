package main

import "math/rand/v2"

// What AWS documents about Lambda's scaling in "Lambda scaling behavior", and an
// assumption about what it does not.
const (
	scalingRate    = 100    // environments per second, for each function: 1,000 every 10 s,
	scalingBurst   = 1000   // which do not accumulate when they are not used
	rampRate       = 1000   // how many more requests per second in each second: 10,000 every 10 s
	rampBurst      = 10_000 //
	perConcurrency = 10     // requests per second for each unit of the account's concurrency
	idleFor        = 300    // s that an idle environment is kept; the documentation only says "some time"
)

// retryQuota is the SDK's: what an environment may spend on retries (aws/retry in
// aws-sdk-go-v2). A retry costs retryCost, which is returned when it succeeds. Each
// attempt that succeeds returns 1.
const (
	retryQuota = 500
	retryCost  = 5
)

// environment is an execution environment, which serves one request at a time.
type environment struct {
	idleSince int32
	quota     int32             // what is left of retryQuota
	knows     [registered]int32 // until when each client is cached
}

// lambda is the function token, in an account whose other functions are idle.
type lambda struct {
	concurrency int
	provisioned int // environments that are always there
	scaling     bucket
	all         []environment
	idle        []int32 // the one that was used last is used next
	gone        []int32 // ended; their places in all are reused
	busy        int
	colds       int // in this second

	// Requests per second: how many in this second, the most in any, and how many
	// more than that this second may have.
	count, level, headroom int
}

// newLambda returns a lambda that has had level requests per second for some time,
// for which warm environments were enough. Other provisioned environments have not
// served any request yet.
func newLambda(concurrency, warm, level, provisioned int, r *rand.Rand) *lambda {
	l := &lambda{concurrency: concurrency, provisioned: provisioned, scaling: newBucket(scalingRate, scalingBurst), level: min(max(level, perConcurrency*provisioned), perConcurrency*concurrency), headroom: rampBurst}
	n := min(max(warm, provisioned), concurrency)
	for i := range n {
		e := environment{quota: retryQuota}
		if n-i <= warm { // the last ones are used first
			for c := range e.knows {
				e.knows[c] = r.Int32N(cachedFor * 1000)
			}
		}
		l.all, l.idle = append(l.all, e), append(l.idle, int32(i))
	}
	return l
}

// invoke returns an environment. ok is false if Lambda throttles.
func (l *lambda) invoke(now int32) (env int32, cold, ok bool) {
	if l.count >= min(perConcurrency*l.concurrency, l.level+l.headroom) || l.busy >= l.concurrency {
		return 0, false, false
	}
	switch n := len(l.idle); {
	case n > 0:
		env, l.idle = l.idle[n-1], l.idle[:n-1]
	case !l.scaling.take(now):
		return 0, false, false
	default:
		cold = true
		if n := len(l.gone); n > 0 {
			env, l.gone = l.gone[n-1], l.gone[:n-1]
		} else {
			env = int32(len(l.all)) //nolint:gosec // as many as the account's concurrency
			l.all = append(l.all, environment{})
		}
		l.all[env] = environment{quota: retryQuota}
	}
	l.count++
	l.busy++
	if cold {
		l.colds++
	}
	return env, cold, true
}

// environments returns the number of environments.
func (l *lambda) environments() int { return len(l.all) - len(l.gone) }

// release makes the environment idle.
func (l *lambda) release(env, now int32) {
	l.busy--
	l.all[env].idleSince = now
	l.idle = append(l.idle, env)
}

// second ends a second, and the environments that have been idle for too long.
func (l *lambda) second(now int32) {
	if l.count > l.level {
		l.headroom -= l.count - l.level
		l.level = l.count
	}
	l.headroom = min(rampBurst, l.headroom+rampRate)
	l.count, l.colds = 0, 0
	old := 0
	for old < len(l.idle) && l.environments()-old > l.provisioned && now-l.all[l.idle[old]].idleSince > idleFor*1000 {
		old++
	}
	l.gone = append(l.gone, l.idle[:old]...)
	l.idle = l.idle[old:]
}
