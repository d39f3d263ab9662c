package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/rotor-auth/rotor/lab/load"
)

// racers is how many requests present one token at the same moment.
const racers = 1000

// The calls whose storage requests are aims.
const (
	oneRefresh = "refresh"
	oneHeld    = "refresh inside the interval"
	theRace    = "race of 1,000"
)

// excess is how many families are over the limit in the measured sweep.
const excess = 10

// counted is a call whose storage requests are counted.
type counted struct {
	name string
	// prepare prepares n calls, and returns the call.
	prepare func(ctx context.Context, s *service, n int) (func(context.Context) error, error)
	once    bool
}

var countedCalls = []counted{
	// Under the default policy, so that the write is the usual one, and each for
	// another family, so that each rotates.
	{name: oneRefresh, prepare: func(ctx context.Context, s *service, n int) (func(context.Context) error, error) {
		g, err := load.Open(ctx, load.Options{URL: s.URL, Client: "app", Policy: usualPolicy, Sessions: n})
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) error {
			defer g.Close()
			return failed(g.Run(ctx, load.Run{Workers: 1, Requests: n}))
		}, nil
	}},
	// With the newest token, right after the rotation: the condition fails.
	{name: oneHeld, prepare: func(ctx context.Context, s *service, n int) (func(context.Context) error, error) {
		newest, err := s.rotated(ctx, n, usualPolicy)
		return func(ctx context.Context) error {
			return times(n, func(i int) error { return s.hold(ctx, newest[i]) })
		}, err
	}},
	// With the newest token in an interval of hours, minutes after the last recorded
	// use: the condition fails, and the use is recorded.
	{name: "refresh inside a long interval, minutes later", prepare: func(ctx context.Context, s *service, n int) (func(context.Context) error, error) {
		newest, err := s.rotated(ctx, n, `{"reuse_interval":7200}`)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) error {
			return times(n, func(i int) error { return s.hold(ctx, newest[i]) })
		}, s.pass(ctx)
	}},
	// With one token that may rotate: one request rotates it, and all get its
	// successor.
	{name: theRace, once: true, prepare: func(ctx context.Context, s *service, _ int) (func(context.Context) error, error) {
		g, err := load.Open(ctx, load.Options{URL: s.URL, Client: "app", Policy: usualPolicy, Sessions: 1})
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) error {
			defer g.Close()
			return failed(g.Race(ctx, racers))
		}, nil
	}},
	{name: "issue", prepare: func(ctx context.Context, s *service, n int) (func(context.Context) error, error) {
		if err := s.register(ctx, "app", usualPolicy); err != nil {
			return nil, err
		}
		logins := func(ctx context.Context) error {
			return times(n, func(i int) error {
				_, err := s.issue(ctx, strconv.Itoa(i), "app")
				return err
			})
		}
		return logins, logins(ctx)
	}},
	{name: "issue, the user's first in the client", prepare: func(ctx context.Context, s *service, n int) (func(context.Context) error, error) {
		return func(ctx context.Context) error {
			return times(n, func(i int) error {
				_, err := s.issue(ctx, "new "+strconv.Itoa(i), "app")
				return err
			})
		}, s.register(ctx, "app", usualPolicy)
	}},
	{name: "dead token", prepare: func(ctx context.Context, s *service, n int) (func(context.Context) error, error) {
		families, err := s.families(ctx, n, usualPolicy)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) error {
				return times(n, func(i int) error {
					return s.refresh(ctx, http.StatusBadRequest, "app", families[i].RefreshToken)
				})
			}, times(n, func(i int) error {
				return s.manage(ctx, http.StatusOK, http.MethodDelete, "/v1/families/"+families[i].Family, "", nil)
			})
	}},
	{name: "reuse", prepare: func(ctx context.Context, s *service, n int) (func(context.Context) error, error) {
		families, err := s.families(ctx, n, usualPolicy)
		if err != nil {
			return nil, err
		}
		rotated := times(n, func(i int) error {
			_, err := s.rotate(ctx, families[i].RefreshToken)
			return err
		})
		if rotated != nil {
			return nil, rotated
		}
		return func(ctx context.Context) error {
			return times(n, func(i int) error {
				return s.refresh(ctx, http.StatusBadRequest, "app", families[i].RefreshToken)
			})
		}, s.pass(ctx)
	}},
	{name: sweepOfOwner, once: true, prepare: func(ctx context.Context, s *service, _ int) (func(context.Context) error, error) {
		if err := s.register(ctx, "app", `{"max_active":5}`); err != nil {
			return nil, err
		}
		return func(ctx context.Context) error {
				var swept struct{ Removed int }
				if err := s.manage(ctx, http.StatusOK, http.MethodPost, "/local/sweep", "{}", &swept); err != nil {
					return err
				}
				if swept.Removed != excess {
					return fmt.Errorf("%d families were removed, not %d", swept.Removed, excess)
				}
				return nil
			}, times(5+excess, func(int) error {
				_, err := s.issue(ctx, "user", "app")
				return err
			})
	}},
}

// failed returns what is wrong with a load, or nil.
func failed(r *load.Result, err error) error {
	if err != nil {
		return err
	}
	return r.Err()
}

func times(n int, do func(int) error) error {
	for i := range n {
		if err := do(i); err != nil {
			return err
		}
	}
	return nil
}

// families registers the client app, and starts n families, each for its own user.
func (s *service) families(ctx context.Context, n int, policy string) ([]issued, error) {
	if err := s.register(ctx, "app", policy); err != nil {
		return nil, err
	}
	families := make([]issued, n)
	return families, times(n, func(i int) (err error) {
		families[i], err = s.issue(ctx, strconv.Itoa(i), "app")
		return err
	})
}

// rotated registers the client app, starts n families, rotates each once, and
// returns the newest token of each.
func (s *service) rotated(ctx context.Context, n int, policy string) ([]string, error) {
	families, err := s.families(ctx, n, policy)
	if err != nil {
		return nil, err
	}
	newest := make([]string, n)
	return newest, times(n, func(i int) (err error) {
		newest[i], err = s.rotate(ctx, families[i].RefreshToken)
		return err
	})
}

// storage counts what calls ask of the store, on DynamoDB Local in units as well.
func (b *bench) storage(ctx context.Context) error {
	below := embeddedStore
	if b.dynamodb != "" {
		below = b.dynamodb
	}
	store, err := b.startStore(ctx, below)
	if err != nil {
		return err
	}
	for _, call := range countedCalls {
		n := b.size.repeat
		if call.once {
			n = 1
		}
		b.progress("  %s", call.name)
		asked, err := b.count(ctx, store, call, n)
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", call.name, err), store.Stop())
		}
		if asked.Unknown > 0 {
			return errors.Join(fmt.Errorf("%s: of %d requests nothing says what they consumed", call.name, asked.Unknown), store.Stop())
		}
		b.report.Storage = append(b.report.Storage, storageOf(call.name, n, asked, b.dynamodb != ""))
	}
	return store.Stop()
}

// storageOf returns what one call asks of the store, given what n calls asked.
func storageOf(name string, n int, asked counts, units bool) Storage {
	s := Storage{Call: name, Calls: n, Requests: map[string]float64{}}
	for operation, all := range asked.Operations {
		s.Requests[operation] = float64(all) / float64(n)
	}
	if units {
		s.Units = &Units{asked.Write / float64(n), asked.Read / float64(n), asked.Index / float64(n)}
	}
	return s
}

// count returns what n calls ask of the store. It starts a new program for them,
// whose clock has not moved and whose own sweep is a minute away.
func (b *bench) count(ctx context.Context, store *storeProcess, call counted, n int) (asked counts, err error) {
	s, err := b.start(ctx, store.url)
	if err != nil {
		return counts{}, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	do, err := call.prepare(ctx, s, n)
	if err != nil {
		return counts{}, err
	}
	if err := s.meet(ctx, "app"); err != nil {
		return counts{}, err
	}
	before, err := store.counts(ctx)
	if err != nil {
		return counts{}, err
	}
	if err := do(ctx); err != nil {
		return counts{}, err
	}
	after, err := store.counts(ctx)
	return after.since(before), err
}
