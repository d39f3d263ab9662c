package sweep

import (
	"context"
	"errors"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
)

const (
	// maxReread is how many records of families that have ended the next sweep may read
	// again, and rereadPerKept how many more for each open family before them. If there are
	// more, the open families are remembered instead, and read one by one.
	maxReread     = 1000
	rereadPerKept = 10
	// maxKept is how many open families are remembered at most. A record can hold more than
	// that.
	maxKept = 5000
)

// reading is what a sweep finds of an owner's families.
type reading struct {
	active  []*family.Family
	horizon store.Horizon // for the next sweep
	purgeAt time.Time     // when all families that the horizon keeps will have been purged
}

// read reads the owner's families that may be active, which are those from its horizon on
// and those that the horizon keeps.
func (s *Sweeper) read(ctx context.Context, o *store.Owner, p *family.Policy, now time.Time) (*reading, error) {
	before := o.Horizon
	if !before.Holds(p) {
		before = store.Horizon{}
	}
	settled := store.Horizon{Idle: p.IdleLifetime, NotBefore: p.NotBefore}
	_ = settled.From.SetTime(ulid.Timestamp(now.Add(-settleAge))) // fails after the year 10889
	if settled.From.Compare(before.From) < 0 {
		settled.From = before.From
	}
	found := &reading{}
	ended := 0 // how many records are read again if the next sweep begins at the oldest open family
	see := func(f *family.Family) {
		u := f.ID.ULID()
		// A family whose code was not exchanged in time may have been, before the table was restored. Then one
		// of its tokens brings it back.
		open := f.ClientID == o.ID.ClientID && f.DeathOnceBegun(p, now.Add(-settleAge)) == ""
		switch {
		case u.Compare(settled.From) >= 0:
		case open:
			settled.Kept = append(settled.Kept, u)
			if f.PurgeAt.After(found.purgeAt) {
				found.purgeAt = f.PurgeAt
			}
		case len(settled.Kept) > 0:
			ended++
		}
		if f.ClientID == o.ID.ClientID && f.Death(p, now) == "" {
			found.active = append(found.active, f)
		}
	}
	kept, err := s.families(ctx, o.ID.UserKey, before.Kept)
	if err != nil {
		return nil, err
	}
	for _, f := range kept {
		see(f)
	}
	beyond := len(settled.Kept) > 0 // whether there are open families with an unknown number of records after them
	if err := s.Table.EachFamilyFrom(ctx, o.ID.UserKey, before.From, see); err != nil {
		return nil, err
	}
	found.horizon = settled
	if n := len(settled.Kept); n > maxKept || n > 0 && !beyond && ended <= maxReread+rereadPerKept*n {
		found.horizon.From, found.horizon.Kept = settled.Kept[0], nil
	}
	if len(found.horizon.Kept) == 0 {
		found.purgeAt = now
	}
	return found, nil
}

// families reads the user's families with these ULIDs, in that order. It leaves out those
// that are no longer on record.
func (s *Sweeper) families(ctx context.Context, userKey [16]byte, ulids []ulid.ULID) ([]*family.Family, error) {
	read := make([]*family.Family, len(ulids))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(revokeConcurrency)
	for i, u := range ulids {
		group.Go(func() error {
			f, err := s.Table.Family(groupCtx, family.JoinID(userKey, u))
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			read[i] = f
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var there []*family.Family
	for _, f := range read {
		if f != nil {
			there = append(there, f)
		}
	}
	return there, nil
}
