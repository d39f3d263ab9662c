package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rotor-auth/rotor/infra/load"
)

// The stores that Rotor is measured over.
const (
	inProcess     = "embedded, in the process"
	apart         = "embedded, a process of its own"
	dynamodbLocal = "DynamoDB Local"
)

const (
	sessions = 64 // that are refreshed in turn
	workers  = 8
	crowd    = "crowd" // the client of those who race
)

// loads measures refreshes under both signatures over each store.
func (b *bench) loads(ctx context.Context) error {
	for _, alg := range []string{"ES256", "RS256"} {
		for _, store := range []string{inProcess, apart, dynamodbLocal} {
			if store == dynamodbLocal && b.dynamodb == "" {
				continue
			}
			l, err := b.load(ctx, alg, store)
			if err != nil {
				return fmt.Errorf("%s over %s: %w", alg, store, err)
			}
			b.report.Loads = append(b.report.Loads, l)
			b.progress("  %s over %s: %.0f/s, one at a time p50 %.2f ms, p99 %.2f ms", alg, store, l.Together.Rate, l.Alone.P50, l.Alone.P99)
		}
	}
	return nil
}

func (b *bench) load(ctx context.Context, alg, store string) (l Load, err error) {
	l = Load{Algorithm: alg, Store: store}
	if l.SignCPU, err = signatureCPU(alg); err != nil {
		return l, err
	}
	at := ""
	var own *storeProcess // where the store is ours to measure
	switch store {
	case apart:
		if own, err = b.startStore(ctx, embeddedStore); err != nil {
			return l, err
		}
		defer func() { err = errors.Join(err, own.Stop()) }()
		at = own.url
	case dynamodbLocal:
		at = b.dynamodb
	}
	s, err := b.start(ctx, at, "ALG="+alg)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()

	if err := b.refreshes(ctx, s, own, &l); err != nil {
		return l, err
	}
	if err := b.races(ctx, s, &l); err != nil {
		return l, err
	}
	rss, err := s.RSS()
	l.RSSAfterRaces = megabytes(rss)
	return l, err
}

// refreshes measures refreshes one at a time and 8 at a time.
func (b *bench) refreshes(ctx context.Context, s *service, own *storeProcess, l *Load) error {
	g, err := load.Open(ctx, load.Options{URL: s.URL, Sessions: sessions})
	if err != nil {
		return err
	}
	defer g.Close()
	run := func(r load.Run) (*load.Result, error) {
		result, err := g.Run(ctx, r)
		return result, failed(result, err)
	}
	if _, err := run(load.Run{Workers: workers, Requests: b.size.warm}); err != nil {
		return err
	}
	one, err := run(load.Run{Workers: 1, Requests: b.size.alone})
	if err != nil {
		return err
	}
	l.Alone = latenciesOf(one)

	many := load.Run{Workers: workers, Requests: b.size.together, For: b.size.limit}
	if l.Algorithm == "ES256" && l.Store != dynamodbLocal && !b.report.Short {
		many.For = 0 // whatever it takes
	}
	cpu, storeCPU, err := cpuTimes(s, own)
	if err != nil {
		return err
	}
	together, err := run(many)
	if err != nil {
		return err
	}
	cpuAfter, storeCPUAfter, err := cpuTimes(s, own)
	if err != nil {
		return err
	}
	l.Together = latenciesOf(together)
	l.CPU = milliseconds(cpuAfter-cpu) / float64(together.Count)
	if own != nil {
		l.StoreCPU = milliseconds(storeCPUAfter-storeCPU) / float64(together.Count)
	}
	l.Refreshes = int64(b.size.warm) + one.Count + together.Count
	rss, err := s.RSS()
	if err != nil {
		return err
	}
	l.RSS = megabytes(rss)
	if l.Algorithm == "ES256" && l.Store == apart {
		return b.profile(ctx, s, g, l)
	}
	return nil
}

// cpuTimes are the CPU times of the service and, if there is one, of its store.
func cpuTimes(s *service, own *storeProcess) (cpu, storeCPU time.Duration, err error) {
	if cpu, err = s.CPU(); err != nil || own == nil {
		return cpu, 0, err
	}
	storeCPU, err = own.CPU()
	return cpu, storeCPU, err
}

// races measures many at the same moment: of one token, and beside it of a token
// each. The most come first, right after all the connections were opened: one that
// is not used within 5 s of its opening is closed by the program.
func (b *bench) races(ctx context.Context, s *service, l *Load) error {
	g, err := load.Open(ctx, load.Options{URL: s.URL, Client: crowd, Sessions: racers})
	if err != nil {
		return err
	}
	defer g.Close()
	if err := failed(g.Spread(ctx, racers)); err != nil { // opens the connections
		return err
	}
	for _, n := range []int{racers, 200, 50} {
		one := Race{Racers: n, Tokens: 1, Rounds: b.size.rounds}
		each := Race{Racers: n, Tokens: n, Rounds: b.size.rounds}
		var ones, eaches []*load.Result
		for range b.size.rounds { // by turns, so that whatever else the machine does meets both
			r, err := g.Race(ctx, n)
			if err := failed(r, err); err != nil {
				return fmt.Errorf("%d at once with one token: %w", n, err)
			}
			one.Successors = max(one.Successors, r.Successors)
			ones = append(ones, r)
			if n < racers {
				continue
			}
			if r, err = g.Spread(ctx, n); failed(r, err) != nil {
				return fmt.Errorf("%d at once with a token each: %w", n, failed(r, err))
			}
			each.Successors = max(each.Successors, r.Successors)
			eaches = append(eaches, r)
		}
		if n == racers {
			each.of(load.Merge(eaches...))
			l.Races = append(l.Races, each)
		}
		one.of(load.Merge(ones...))
		l.Races = append(l.Races, one)
	}
	slices.Reverse(l.Races)
	return nil
}

// of takes over what the rounds came to.
func (r *Race) of(all *load.Result) {
	r.Statuses, r.Latencies = all.ByStatus, latenciesOf(all)
}

func latenciesOf(r *load.Result) Latencies {
	return Latencies{
		Requests: r.Requests, Rate: r.Rate(),
		P50: milliseconds(r.P50()), P99: milliseconds(r.P99()), Max: milliseconds(r.Max()),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func megabytes(n int64) float64 { return float64(n) / 1e6 }
