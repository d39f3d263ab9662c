package main

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/rotor-auth/rotor/lab/price"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

func kept(t *testing.T) *inputs {
	t.Helper()
	in, err := readInputs("bench.json")
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// failures returns the number of requests that failed.
func (o *outcome) failures() int { return o.gateway + o.lambda + o.store }

// short returns a steady load of some seconds.
func short(rate float64, seconds int) load {
	return load{name: "short", seconds: seconds, rate: steady(rate), within: 1}
}

// TestEveryRequestEndsOnce checks that every request ends exactly once, whatever is
// overloaded.
func TestEveryRequestEndsOnce(t *testing.T) {
	in := kept(t)
	open := raisedSettings(in, 8000)[1] // here the table is overloaded
	open.accountRate, open.accountMax = 20_000, 20_000
	few := open
	few.concurrency = 50
	for seed := range uint64(storetest.Size(3, 1)) {
		for _, s := range []settings{defaultSettings(in), open, few} {
			for _, l := range []load{short(8000, 10), race(4500), everybody(500)} {
				o := simulate(s, l, seed)
				if ended := o.first + o.retried + o.refused + o.gaveUp; ended != o.presented || o.presented == 0 {
					t.Errorf("%s, %s: of %d requests %d ended", s.name, l.name, o.presented, ended)
				}
				answered := 0
				for _, n := range o.waits {
					answered += n
				}
				if answered != o.first+o.retried || o.longest >= asksFor*1000 {
					t.Errorf("%s, %s: %d answers have a wait, of %d; the longest is %d ms", s.name, l.name, answered, o.first+o.retried, o.longest)
				}
				if o.clients > o.store {
					t.Errorf("%s, %s: %d of %d failed for want of the client", s.name, l.name, o.clients, o.store)
				}
				if o.failures() == 0 && o.retried+o.refused+o.gaveUp > 0 {
					t.Errorf("%s, %s: nothing failed, and not all were answered at once", s.name, l.name)
				}
			}
		}
	}
}

// TestBelowTheLimits checks that below all limits nothing is throttled, and that a request
// waits only for its own work.
func TestBelowTheLimits(t *testing.T) {
	in := kept(t)
	for _, c := range []struct {
		settings settings
		load     load
	}{
		{defaultSettings(in), short(500, 60)},
		{defaultSettings(in), everybody(100)},
		{raisedSettings(in, 10_000)[4], monday(10_000)},
	} {
		o := simulate(c.settings, c.load, 1)
		if o.failures() > 0 || o.first != o.presented {
			t.Errorf("%s under %s: %d failures, %d of %d answered at once", c.load.name, c.settings.name, o.failures(), o.first, o.presented)
		}
		if low := int(in.warmTime()) - 4; o.percentile(.5) < low || o.percentile(.5) > low+10 {
			t.Errorf("%s: half of the requests are answered within %d ms, an invocation takes %v", c.load.name, o.percentile(.5), in.warmTime())
		}
	}
}

// TestLittlesLaw checks Little's law: as many invocations are in progress as arrive in the
// time that one takes.
func TestLittlesLaw(t *testing.T) {
	s := raisedSettings(kept(t), 5000)[4]
	o := simulate(s, short(5000, 30), 1)
	want := float64(o.presented) / 30 * price.InvocationTime(s.cpu) / 1000
	// Every environment reads each client once a minute, and waits for that as well.
	reading := float64(o.environments*registered) / cachedFor * price.Wait / 1000
	if o.busy < want*0.98 || o.busy > (want+reading)*1.02 {
		t.Errorf("%.1f invocations at the same time, not %.1f to %.1f", o.busy, want, want+reading)
	}
}

func TestSameSeedSameOutcome(t *testing.T) {
	s := defaultSettings(kept(t))
	one := simulate(s, race(1500), 7)
	if again := simulate(s, race(1500), 7); !reflect.DeepEqual(one, again) {
		t.Error("the same seed gives another outcome")
	}
	if other := simulate(s, race(1500), 8); reflect.DeepEqual(one, other) {
		t.Error("another seed gives the same outcome")
	}
}

// TestBucketNeverPassesMore checks that in any time t, from any moment on, at most rate × t +
// burst passes.
func TestBucketNeverPassesMore(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		rate, burst := 1+random.Float64()*500, 1+random.Float64()*500
		b := newBucket(rate, burst)
		var passed []int32
		for now := int32(0); now < 5000; now += random.Int32N(20) {
			for range random.IntN(30) {
				if b.take(now) {
					passed = append(passed, now)
				}
			}
		}
		for i := 0; i < len(passed); i += 1 + len(passed)/50 {
			for j := i; j < len(passed); j += 1 + len(passed)/50 {
				if most := rate*float64(passed[j]-passed[i])/1000 + burst; float64(j-i+1) > most+1e-6 {
					t.Fatalf("%d passed in %d ms: %v a second and %v at once are allowed", j-i+1, passed[j]-passed[i], rate, burst)
				}
			}
		}
	}
}

// all asks for everything that is available during some seconds, and returns how much that
// was.
func (t *table) all(seconds int, key func() uint32) (served int) {
	for now := range int32(seconds) * 1000 {
		for range 20 {
			if t.write(key(), now) {
				served++
			}
		}
	}
	return served
}

func TestPartitions(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const forever = 1e9
	for _, c := range []struct {
		what        string
		table       *table
		key         func() uint32
		least, most int
	}{
		{"four partitions", newTable(4000, 40_000, 0, forever, false), random.Uint32, 4 * 10_000, 4 * 11_000},
		{"one key", newTable(4000, 40_000, 0, forever, false), func() uint32 { return 7 }, 10_900, 11_000},
		{"the last key", newTable(4000, 40_000, 0, forever, false), func() uint32 { return math.MaxUint32 }, 10_900, 11_000},
		{"unused capacity", newTable(1000, 40_000, 5, forever, false), random.Uint32, 14_900, 15_000},
		{"the table's quota", newTable(4000, 2000, 0, forever, false), random.Uint32, 21_900, 22_000},
		{"split after 5 s, and again", newTable(1000, 40_000, 0, 5, false), random.Uint32, 20_900, 21_000},
		{"one key, split after 5 s", newTable(1000, 40_000, 0, 5, false), func() uint32 { return 7 }, 10_900, 11_100},
	} {
		if served := c.table.all(10, c.key); served < c.least || served > c.most {
			t.Errorf("%s: %d in 10 s, not %d to %d", c.what, served, c.least, c.most)
		}
	}
}

// TestReadAhead checks that an environment reads all clients at once when it starts, unless it
// is throttled.
func TestReadAhead(t *testing.T) {
	s := raisedSettings(kept(t), 1000)[0]
	o := simulate(s, load{seconds: 1, rate: func(float64) float64 { return 200 }, crowdAt: 0, crowd: 500, within: 100}, 1)
	if warm := o.served - o.environments; o.peakColds < 300 || o.peakReads < o.peakColds*registry || o.peakReads > o.peakColds*registry+warm {
		t.Errorf("%d environments started, and read %d units", o.peakColds, o.peakReads)
	}
	tbl := newTable(4000, 40_000, 0, 1, false)
	n := 0
	for tbl.readAhead(0) {
		n++
	}
	if n != partitionReads/registry {
		t.Errorf("%d queries at once", n)
	}
}

// TestClients checks that clients share what one partition can read, unless each has a
// partition of its own.
func TestClients(t *testing.T) {
	for apart, want := range map[bool]int{false: 3 * partitionReads, true: 3 * partitionReads * registered} {
		table, read := newTable(4000, 40_000, 0, 1, apart), 0
		for now := range int32(2001) {
			for range 500 {
				if table.read(now) {
					read++
				}
			}
		}
		if read > want || read < want-100 {
			t.Errorf("apart %v: %d reads in 2 s, not %d", apart, read, want)
		}
	}
}

func TestHottestPartition(t *testing.T) {
	in := kept(t)
	s := raisedSettings(in, 8000)[1]
	if o := simulate(s, short(8000, 20), 1); o.hottest > 2*partitionWrites || o.store == 0 {
		t.Errorf("a partition has served %d in a second, and %d were throttled", o.hottest, o.store)
	}
}

// TestLambdaScales checks that Lambda starts no more environments than it may, each second and
// in total, and admits no more requests than the account's concurrency allows.
func TestLambdaScales(t *testing.T) {
	l := newLambda(1500, 0, 0, 0, rand.New(rand.NewPCG(1, 2)))
	invoke := func(n int, now int32) (served int) {
		for range n {
			if _, _, ok := l.invoke(now); ok {
				served++
			}
		}
		return served
	}
	if n := invoke(3000, 0); n != scalingBurst {
		t.Errorf("%d environments at once", n)
	}
	l.second(999)
	if n := invoke(3000, 1000); n != scalingRate {
		t.Errorf("%d environments more after a second", n)
	}
	for now := int32(2000); now < 20_000; now += 1000 {
		l.second(now)
		invoke(3000, now)
	}
	if l.busy != 1500 || l.environments() != 1500 {
		t.Errorf("%d at the same time in %d environments", l.busy, l.environments())
	}
	for env := range l.all {
		l.release(int32(env), 20_000)
	}
	served := 0
	for range 30_000 {
		if env, cold, ok := l.invoke(20_000); ok {
			if cold {
				t.Fatal("a cold start, and there are idle environments")
			}
			l.release(env, 20_000)
			served++
		}
	}
	if want := perConcurrency * 1500; served > want || served < rampBurst {
		t.Errorf("%d requests in a second, %d may be", served, want)
	}
	l.second(20_000 + idleFor*1000 + 1)
	if l.environments() != 0 {
		t.Errorf("%d environments after all were idle for too long", l.environments())
	}
}

// TestLambdaRamps checks that a sudden rise of the rate, larger than Lambda's, is admitted
// step by step.
func TestLambdaRamps(t *testing.T) {
	l := newLambda(100_000, 100, 5000, 0, rand.New(rand.NewPCG(1, 2)))
	var served []int
	for second := range int32(4) {
		n := 0
		for range 60_000 {
			if env, _, ok := l.invoke(second * 1000); ok {
				l.release(env, second*1000)
				n++
			}
		}
		served = append(served, n)
		l.second(second*1000 + 999)
	}
	if want := []int{15_000, 16_000, 17_000, 18_000}; !reflect.DeepEqual(served, want) {
		t.Errorf("served %v a second, not %v", served, want)
	}
}

// slow returns settings that let one request pass in that many seconds.
func slow(t *testing.T, seconds float64) settings {
	s := defaultSettings(kept(t))
	s.stageRate, s.stageBurst = 1/seconds, 1
	return s
}

// TestReuse checks that a token which is presented again is answered inside the reuse interval
// and refused after it. If clients wait longer than the interval, overload logs users out.
func TestReuse(t *testing.T) {
	two := load{name: "two", seconds: 1, rate: steady(1e-6), crowd: 2, within: 1, race: true}
	for _, c := range []struct {
		every                          float64
		retried, refused, later, given int
	}{
		{every: 20, retried: 1},
		{every: 55, retried: 1},
		{every: 75, refused: 1, later: 1},
		{every: 1000, given: 1},
	} {
		o := simulate(slow(t, c.every), two, 1)
		if o.first != 1 || o.retried != c.retried || o.refused != c.refused || o.later(reuse) != c.later || o.leftAlone != c.given || o.gaveUp != c.given {
			t.Errorf("one in %v s: %d answered at once, %d later, %d refused, %d outside, %d given up", c.every, o.first, o.retried, o.refused, o.later(reuse), o.leftAlone)
		}
	}
}

// TestAloneIsNeverRefused checks that a client which alone presents its token is never
// refused.
func TestAloneIsNeverRefused(t *testing.T) {
	o := simulate(slow(t, 75), load{name: "two", seconds: 1, rate: steady(1e-6), crowd: 2, within: 1}, 1)
	if o.first != 1 || o.retried != 1 || o.refused != 0 || o.longest < 70_000 {
		t.Errorf("%d answered at once, %d after at most %d ms, %d refused", o.first, o.retried, o.longest, o.refused)
	}
}
