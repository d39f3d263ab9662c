package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// The sides of the contest with the floor.
const (
	theFloor  = "floor"
	ourselves = "Rotor"
	another   = "Rotor, another build"
)

// floors measures Rotor by turns with the floor, under each signature. Both work on
// one store, which is a process of its own.
func (b *bench) floors(ctx context.Context) error {
	for _, alg := range []string{"ES256", "RS256"} {
		for _, store := range b.stores() {
			if store == inProcess {
				continue
			}
			if err := b.floor(ctx, alg, store); err != nil {
				return fmt.Errorf("%s over %s: %w", alg, store, err)
			}
		}
	}
	return nil
}

func (b *bench) floor(ctx context.Context, alg, store string) (err error) {
	var subjects []*subject
	defer func() {
		for _, s := range slices.Backward(subjects) { // the first one has the store
			err = errors.Join(err, s.stop())
		}
	}()
	for _, name := range []string{theFloor, ourselves, another} {
		if name == another && b.other == "" {
			continue
		}
		s := &subject{name: name, Load: Load{Algorithm: alg, Store: store}}
		if len(subjects) > 0 {
			s.own, s.borrowed = subjects[0].own, true
		}
		subjects = append(subjects, s)
		if err := s.start(ctx, b); err != nil {
			return err
		}
	}
	for _, n := range []int{workers, 1} {
		c, err := b.contest(ctx, n, subjects)
		if err != nil {
			return err
		}
		b.report.Floors = append(b.report.Floors, c)
		if err := b.save(); err != nil {
			return err
		}
		b.progress("  %s over %s, %d at a time: %.2f times the floor's CPU", alg, store, n, ratio(c.side(ourselves), c.side(theFloor), Sample.cpu).median)
	}
	return nil
}

// multiple returns Rotor's CPU time as a multiple of the floor's, over the embedded
// store and at eight at a time.
func (r *Report) multiple(algorithm string) Ratio {
	for i := range r.Floors {
		c := &r.Floors[i]
		floor, rotor := c.side(theFloor), c.side(ourselves)
		if c.Workers == workers && floor != nil && rotor != nil && rotor.Algorithm == algorithm && rotor.Store == apart {
			return ratio(rotor, floor, Sample.cpu)
		}
	}
	return Ratio{}
}
