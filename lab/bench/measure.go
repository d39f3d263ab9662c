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
	sessions = 64 // refreshed in turn
	workers  = 8
	crowd    = "crowd" // the client of the races
)

// subject is a service under load, with what has been measured of it so far.
type subject struct {
	Load
	name            string // which program it is
	service         *service
	own             *storeProcess // the store, if it is a process of ours, or nil
	borrowed        bool          // it is another subject's, which stops it
	load            *load.Generator
	alone, together []*load.Result
}

// loads measures refreshes under both signatures over each store, all in turn, so
// that other work of the machine affects all alike. The client has no reuse
// interval, so that every refresh rotates: with one, all but a few would be held.
// The condition of its write has one comparison less than usual.
func (b *bench) loads(ctx context.Context) (err error) {
	var subjects []*subject
	defer func() {
		for _, s := range subjects {
			err = errors.Join(err, s.stop())
		}
	}()
	for _, alg := range []string{"ES256", "RS256"} {
		for _, store := range b.stores() {
			s, err := b.subject(ctx, alg, store)
			if err != nil {
				return fmt.Errorf("%s over %s: %w", alg, store, err)
			}
			subjects = append(subjects, s)
		}
	}
	return b.measureAll(ctx, subjects)
}

// stores returns the stores that there are.
func (b *bench) stores() []string {
	if b.dynamodb == "" {
		return []string{inProcess, apart}
	}
	return []string{inProcess, apart, dynamodbLocal}
}

// measureAll measures the subjects.
func (b *bench) measureAll(ctx context.Context, subjects []*subject) error {
	for round := range b.size.loads {
		b.progress("  round %d of %d", round+1, b.size.loads)
		for _, s := range subjects {
			if err := errors.Join(b.round(ctx, s), b.keep(s)); err != nil {
				return fmt.Errorf("%s over %s: %w", s.Algorithm, s.Store, err)
			}
		}
	}
	for _, s := range subjects {
		if err := errors.Join(b.finish(ctx, s), b.keep(s)); err != nil {
			return fmt.Errorf("%s over %s: %w", s.Algorithm, s.Store, err)
		}
		b.progress("  %s over %s: %.0f/s, one at a time p50 %.2f ms, p99 %.2f ms", s.Algorithm, s.Store, s.Together.Rate, s.Alone.P50, s.Alone.P99)
	}
	return nil
}

// subject starts a Rotor over the given store, and warms it.
func (b *bench) subject(ctx context.Context, alg, store string) (*subject, error) {
	s := &subject{name: ourselves, Load: Load{Algorithm: alg, Store: store}}
	if err := s.start(ctx, b); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// start starts everything that stop ends, or as much of it as possible.
func (s *subject) start(ctx context.Context, b *bench) (err error) {
	at := ""
	switch s.Store {
	case apart:
		if s.own == nil {
			if s.own, err = b.startStore(ctx, embeddedStore); err != nil {
				return err
			}
		}
		at = s.own.url
	case dynamodbLocal:
		at = b.dynamodb
	}
	switch s.name {
	case theFloor:
		s.service, err = b.startFloor(ctx, at, s.Algorithm)
	case another:
		s.service, err = startProgram(ctx, b.other, at, newTable(), "ALG="+s.Algorithm)
	case aPeer:
		s.service, err = startProvider(ctx)
	default:
		s.service, err = b.start(ctx, at, "ALG="+s.Algorithm)
	}
	if err != nil {
		return err
	}
	if s.load, err = load.Open(ctx, load.Options{URL: s.service.URL, Sessions: sessions}); err != nil {
		return err
	}
	warm := b.size.warm
	switch s.name {
	case theFloor:
		warm += 4 * sessions // it learns from each family
	case aPeer:
		warm *= 5 // its code is compiled while it runs
	}
	return failed(s.load.Run(ctx, load.Run{Workers: workers, Requests: warm}))
}

// stop ends what start has started.
func (s *subject) stop() (err error) {
	if s.load != nil {
		s.load.Close()
	}
	if s.service != nil {
		err = s.service.Stop()
	}
	if s.own != nil && !s.borrowed {
		err = errors.Join(err, s.own.Stop())
	}
	return err
}

// round measures refreshes one at a time, and takes samples of 8 at a time.
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
		many.For = 0 // without a limit of time
	}
	for range b.size.samples {
		together, sample, err := s.sample(ctx, many)
		if err != nil {
			return err
		}
		sample.SignCPU = sign
		s.together, s.Samples = append(s.together, together), append(s.Samples, sample)
	}
	return nil
}

// sample makes load, of one refresh at least, and measures what it takes.
func (s *subject) sample(ctx context.Context, run load.Run) (*load.Result, Sample, error) {
	cpu, storeCPU, err := s.cpuTimes()
	if err != nil {
		return nil, Sample{}, err
	}
	result, err := s.load.Run(ctx, run)
	if err := failed(result, err); err != nil {
		return nil, Sample{}, err
	}
	cpuAfter, storeCPUAfter, err := s.cpuTimes()
	if err != nil {
		return nil, Sample{}, err
	}
	if result.Count == 0 { // the time was over before a refresh could begin
		return s.sample(ctx, load.Run{Workers: run.Workers, Requests: run.Workers})
	}
	n := float64(result.Count)
	return result, Sample{Rate: result.Rate(), CPU: milliseconds(cpuAfter-cpu) / n, StoreCPU: milliseconds(storeCPUAfter-storeCPU) / n}, nil
}

// cpuTimes returns the CPU times of the service and of its store, if that is a
// process.
func (s *subject) cpuTimes() (cpu, storeCPU time.Duration, err error) {
	if cpu, err = s.service.CPU(); err != nil || s.own == nil {
		return cpu, 0, err
	}
	storeCPU, err = s.own.CPU()
	return cpu, storeCPU, err
}

// keep sums up what was measured so far of a subject, and writes the report.
func (b *bench) keep(s *subject) error {
	alone, together := load.Merge(s.alone...), load.Merge(s.together...)
	s.Alone, s.Together = latenciesOf(alone), latenciesOf(together)
	s.Together.Rate = median(s.Samples, Sample.rate)
	s.CPU, s.StoreCPU, s.SignCPU = median(s.Samples, Sample.cpu), median(s.Samples, Sample.storeCPU), median(s.Samples, Sample.signCPU)
	s.Refreshes = int64(b.size.warm) + alone.Count + together.Count
	if l := b.report.load(s.Algorithm, s.Store); l != nil {
		*l = s.Load
	} else {
		b.report.Loads = append(b.report.Loads, s.Load)
	}
	return b.save()
}

// finish makes the measurements that follow the rounds.
func (b *bench) finish(ctx context.Context, s *subject) error {
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

// races measures many refreshes at the same moment, with one token for all and with
// a token each. The largest race comes first, right after all connections were
// opened. The policy is the default one. Between two rounds the clock moves ahead,
// so that every token may rotate.
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
		return s.meet(ctx, crowd) // otherwise the racers would wait for the client, too
	}
	if err := failed(g.Spread(ctx, racers)); err != nil { // opens the connections
		return err
	}
	for _, n := range []int{racers, 200, 50} {
		one := Race{Racers: n, Tokens: 1, Rounds: b.size.rounds}
		each := Race{Racers: n, Tokens: n, Rounds: b.size.rounds}
		var ones, eaches []*load.Result
		for range b.size.rounds { // in turn, so that other work of the machine affects both alike
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

// of takes the results of the rounds.
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
