package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rotor-auth/rotor/lab/load"
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

// subject is a Rotor under load, and what has been measured of it so far.
type subject struct {
	Load
	service         *service
	own             *storeProcess // where the store is ours to measure, or nil
	load            *load.Generator
	alone, together []*load.Result
}

// loads measures refreshes under both signatures over each store: all by turns, so
// that whatever else the machine does meets each of them. The client has no reuse
// interval, so that every refresh rotates: with one, all but a few would be held. The
// condition of its write has a comparison less than the usual one.
func (b *bench) loads(ctx context.Context) (err error) {
	var subjects []*subject
	defer func() {
		for _, s := range subjects {
			err = errors.Join(err, s.stop())
		}
	}()
	for _, alg := range []string{"ES256", "RS256"} {
		for _, store := range []string{inProcess, apart, dynamodbLocal} {
			if store == dynamodbLocal && b.dynamodb == "" {
				continue
			}
			s, err := b.subject(ctx, alg, store)
			if err != nil {
				return fmt.Errorf("%s over %s: %w", alg, store, err)
			}
			subjects = append(subjects, s)
		}
	}
	return b.measureAll(ctx, subjects)
}

// measureAll measures the subjects.
func (b *bench) measureAll(ctx context.Context, subjects []*subject) error {
	for round := range b.size.loads {
		b.progress("  round %d of %d", round+1, b.size.loads)
		for _, s := range subjects {
			if err := b.round(ctx, s); err != nil {
				return fmt.Errorf("%s over %s: %w", s.Algorithm, s.Store, err)
			}
		}
	}
	for _, s := range subjects {
		if err := b.finish(ctx, s); err != nil {
			return fmt.Errorf("%s over %s: %w", s.Algorithm, s.Store, err)
		}
		b.report.Loads = append(b.report.Loads, s.Load)
		b.progress("  %s over %s: %.0f/s, one at a time p50 %.2f ms, p99 %.2f ms", s.Algorithm, s.Store, s.Together.Rate, s.Alone.P50, s.Alone.P99)
	}
	return nil
}

// subject starts a Rotor over that store, and warms it.
func (b *bench) subject(ctx context.Context, alg, store string) (*subject, error) {
	s := &subject{Load: Load{Algorithm: alg, Store: store}}
	if err := s.start(ctx, b); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// start starts what stop ends: all of it, or as much as could be.
func (s *subject) start(ctx context.Context, b *bench) (err error) {
	at := ""
	switch s.Store {
	case apart:
		if s.own, err = b.startStore(ctx, embeddedStore); err != nil {
			return err
		}
		at = s.own.url
	case dynamodbLocal:
		at = b.dynamodb
	}
	if s.service, err = b.start(ctx, at, "ALG="+s.Algorithm); err != nil {
		return err
	}
	if s.load, err = load.Open(ctx, load.Options{URL: s.service.URL, Sessions: sessions}); err != nil {
		return err
	}
	return failed(s.load.Run(ctx, load.Run{Workers: workers, Requests: b.size.warm}))
}

// stop ends what was started.
func (s *subject) stop() (err error) {
	if s.load != nil {
		s.load.Close()
	}
	if s.service != nil {
		err = s.service.Stop()
	}
	if s.own != nil {
		err = errors.Join(err, s.own.Stop())
	}
	return err
}

// round measures refreshes one at a time, and samples of 8 at a time.
func (b *bench) round(ctx context.Context, s *subject) error {
	sign, err := signatureCPU(s.Algorithm)
	if err != nil {
		return err
	}
	one, err := s.load.Run(ctx, load.Run{Workers: 1, Requests: b.size.alone})
	if err := failed(one, err); err != nil {
		return err
	}
	s.alone = append(s.alone, one)
	many := load.Run{Workers: workers, Requests: b.size.together, For: b.size.limit}
	if s.Algorithm == "ES256" && s.Store != dynamodbLocal && !b.report.Short {
		many.For = 0 // whatever it takes
	}
	for range b.size.samples {
		cpu, storeCPU, err := s.cpuTimes()
		if err != nil {
			return err
		}
		together, err := s.load.Run(ctx, many)
		if err := failed(together, err); err != nil {
			return err
		}
		cpuAfter, storeCPUAfter, err := s.cpuTimes()
		if err != nil {
			return err
		}
		s.together = append(s.together, together)
		n := float64(together.Count)
		s.Samples = append(s.Samples, Sample{
			Rate: together.Rate(), CPU: milliseconds(cpuAfter-cpu) / n, StoreCPU: milliseconds(storeCPUAfter-storeCPU) / n, SignCPU: sign,
		})
	}
	return nil
}

// cpuTimes are the CPU times of the service and, if there is one, of its store.
func (s *subject) cpuTimes() (cpu, storeCPU time.Duration, err error) {
	if cpu, err = s.service.CPU(); err != nil || s.own == nil {
		return cpu, 0, err
	}
	storeCPU, err = s.own.CPU()
	return cpu, storeCPU, err
}

// finish sums up the rounds, and measures what comes after them.
func (b *bench) finish(ctx context.Context, s *subject) error {
	alone, together := load.Merge(s.alone...), load.Merge(s.together...)
	s.Alone, s.Together = latenciesOf(alone), latenciesOf(together)
	s.Together.Rate = median(s.Samples, Sample.rate)
	s.CPU, s.StoreCPU, s.SignCPU = median(s.Samples, Sample.cpu), median(s.Samples, Sample.storeCPU), median(s.Samples, Sample.signCPU)
	s.Refreshes = int64(b.size.warm) + alone.Count + together.Count
	rss, err := s.service.RSS()
	if err != nil {
		return err
	}
	s.RSS = megabytes(rss)
	if s.Algorithm == "ES256" && s.Store == apart {
		if err := b.profile(ctx, s.service, s.load, &s.Load); err != nil {
			return err
		}
	}
	if err := b.races(ctx, s.service, &s.Load); err != nil {
		return err
	}
	rss, err = s.service.RSS()
	s.RSSAfterRaces = megabytes(rss)
	return err
}

// races measures many at the same moment: of one token, and beside it of a token
// each. The most come first, right after all the connections were opened. The policy
// is the usual one: between two rounds time passes, so that every token may rotate.
func (b *bench) races(ctx context.Context, s *service, l *Load) error {
	g, err := load.Open(ctx, load.Options{URL: s.URL, Client: crowd, Policy: usualPolicy, Sessions: racers})
	if err != nil {
		return err
	}
	defer g.Close()
	later := func() error {
		if err := s.pass(ctx); err != nil {
			return err
		}
		return s.meet(ctx, crowd) // or the racers would wait for the client, too
	}
	if err := failed(g.Spread(ctx, racers)); err != nil { // opens the connections
		return err
	}
	for _, n := range []int{racers, 200, 50} {
		one := Race{Racers: n, Tokens: 1, Rounds: b.size.rounds}
		each := Race{Racers: n, Tokens: n, Rounds: b.size.rounds}
		var ones, eaches []*load.Result
		for range b.size.rounds { // by turns, so that whatever else the machine does meets both
			if err := later(); err != nil {
				return err
			}
			r, err := g.Race(ctx, n)
			if err := failed(r, err); err != nil {
				return fmt.Errorf("%d at once with one token: %w", n, err)
			}
			one.Successors = max(one.Successors, r.Successors)
			ones = append(ones, r)
			if n < racers {
				continue
			}
			if err := later(); err != nil {
				return err
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
