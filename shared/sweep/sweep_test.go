package sweep_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
	"github.com/rotor-auth/rotor/shared/sweep"
)

// world is a table with clients, a clock and a sweeper.
type world struct {
	t       testing.TB
	table   *store.Table
	store   *storetest.Transport
	clock   *storetest.Clock
	log     bytes.Buffer
	sweeper *sweep.Sweeper
}

func newWorld(t testing.TB, maxActive int) *world {
	t.Helper()
	w := &world{t: t, clock: storetest.NewClock()}
	w.table, w.store = storetest.Open(t)
	t.Cleanup(func() {
		if weak := w.store.WeakReads(); len(weak) > 0 {
			t.Errorf("reads that are not strongly consistent: %v", weak)
		}
	})
	for _, id := range []string{"app", "other"} {
		c := &store.Client{ID: id, Policy: usual(), UpdatedAt: w.clock.Now()}
		c.Policy.MaxActive = maxActive
		if _, _, err := w.table.PutClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	w.sweeper = w.newSweeper(&w.log)
	return w
}

func (w *world) newSweeper(log *bytes.Buffer) *sweep.Sweeper {
	table := w.store.Table()
	return &sweep.Sweeper{
		Table: table, Clients: store.NewRegistry(table, slog.New(slog.DiscardHandler)),
		Trail: audit.Trail{Log: slog.New(slog.NewJSONHandler(log, nil))},
	}
}

// usual returns the policy of the clients, with the lifetime of the families here.
func usual() family.Policy {
	p := family.DefaultPolicy()
	p.AbsoluteLifetime = family.Days(1)
	return p
}

func userKey(user int) [16]byte { return [16]byte{1, byte(user >> 16), byte(user >> 8), byte(user)} }

// tryIssue issues a family of the user in the client, a second after the last one.
func (w *world) tryIssue(user int, clientID string) (family.ID, error) {
	return w.tryIssueAfter(time.Second, user, clientID)
}

func (w *world) tryIssueAfter(wait time.Duration, user int, clientID string) (family.ID, error) {
	w.clock.Advance(wait)
	return w.issueThrough(w.table, user, clientID)
}

// issueThrough issues a family of the user in the client, now, through another table.
func (w *world) issueThrough(table *store.Table, user int, clientID string) (family.ID, error) {
	client, err := w.table.Client(w.t.Context(), clientID)
	if err != nil {
		return family.ID{}, err
	}
	return w.issueUnder(&client.Policy, table, user, clientID)
}

func (w *world) issueUnder(policy *family.Policy, table *store.Table, user int, clientID string) (family.ID, error) {
	now := w.clock.Now()
	id, err := family.NewID(userKey(user), now)
	if err != nil {
		return id, err
	}
	return id, table.Issue(w.t.Context(), &family.Family{
		ID: id, UserID: fmt.Sprint("user-", user), ClientID: clientID, Counter: 1,
		LastUsedAt: now, ExpiresAt: now.Add(24 * time.Hour),
	}, policy)
}

// issue issues n families of the user in the client, a second after one another. Of many it
// stores all but the last at once.
func (w *world) issue(user int, clientID string, n int) []family.ID {
	w.t.Helper()
	var ids []family.ID
	if n > 50 {
		policy := usual()
		err := w.store.Fill(w.t.Context(), func(table *store.Table) error {
			for range n - 1 {
				w.clock.Advance(time.Second)
				id, err := w.issueUnder(&policy, table, user, clientID)
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
		n = 1
	}
	for range n {
		id, err := w.tryIssue(user, clientID)
		if err != nil {
			w.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func (w *world) sweep() sweep.Result {
	w.t.Helper()
	r, err := w.sweeper.Sweep(w.t.Context(), w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// sweepLater sweeps again when no login can be in progress. Families that are counted but not
// found have ended by then.
func (w *world) sweepLater() {
	w.t.Helper()
	w.clock.Advance(5 * time.Minute)
	if r := w.sweep(); r.Removed != 0 {
		w.t.Errorf("later swept %+v", r)
	}
}

// causes returns the causes for which the user's families ended, oldest first, "" for active
// ones.
func (w *world) causes(user int, clientID string) []family.Cause {
	w.t.Helper()
	p := usual()
	families, err := w.table.FamiliesFrom(w.t.Context(), userKey(user), ulid.ULID{})
	if err != nil {
		w.t.Fatal(err)
	}
	var causes []family.Cause
	for _, f := range families {
		if f.ClientID == clientID {
			causes = append(causes, f.Death(&p, w.clock.Now()))
		}
	}
	return causes
}

// events returns the stored events of user 1.
func (w *world) events() []audit.Event {
	w.t.Helper()
	events, next, err := w.table.UserEvents(w.t.Context(), userKey(1), store.Span{From: time.Unix(0, 0), To: w.clock.Now().Add(time.Hour)}, ulid.ULID{}, 100)
	if err != nil || next != (ulid.ULID{}) {
		w.t.Fatal(err, next)
	}
	return events
}

// owner returns the record of user 1 in client app.
func (w *world) owner() *store.Owner {
	w.t.Helper()
	o, err := w.table.Owner(w.t.Context(), store.OwnerID{UserKey: userKey(1), ClientID: "app"})
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

func (w *world) listed() int {
	w.t.Helper()
	owners, _, err := w.table.OverLimit(w.t.Context(), nil, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(owners)
}

// revoke ends a family for another cause than the limit.
func (w *world) revoke(id family.ID) {
	w.t.Helper()
	p := usual()
	ours, err := w.table.End(w.t.Context(), id, &p, family.Revocation{At: w.clock.Now(), Cause: family.PasswordChanged, Event: ulid.Make()})
	if err != nil || !ours {
		w.t.Fatal(ours, err)
	}
}

// policy registers client app with another policy, and lets the sweeper read it.
func (w *world) policy(change func(*family.Policy)) {
	w.t.Helper()
	c := &store.Client{ID: "app", Policy: usual(), UpdatedAt: w.clock.Now()}
	change(&c.Policy)
	if _, _, err := w.table.PutClient(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
	w.sweeper = w.newSweeper(&w.log)
}

// use uses the newest token of a family, now, a minute after the last step.
func (w *world) use(id family.ID) {
	w.t.Helper()
	w.clock.Advance(time.Minute)
	w.useAt(id, w.clock.Now())
}

// useAt uses the newest token of a family at a time that may differ from the world's.
func (w *world) useAt(id family.ID, now time.Time) {
	w.t.Helper()
	f, err := w.table.Family(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	p := usual()
	p.ReuseInterval = 0
	_, done, err := w.table.Refresh(w.t.Context(), store.Refresh{
		Family: id, Policy: &p, Attempt: family.Attempt{Counter: f.Counter, ClientID: f.ClientID, WriteID: []byte("mark"), Now: now},
	})
	if err != nil || !done {
		w.t.Error("a use was refused: ", err)
	}
}

// repeat returns v n times.
func repeat[T any](v T, n int) []T { return slices.Repeat([]T{v}, n) }

func TestSweep(t *testing.T) {
	w := newWorld(t, 200)
	expired := w.issue(1, "app", 3)
	w.clock.Advance(24 * time.Hour)
	revoked := w.issue(1, "app", 2)
	for _, id := range revoked {
		w.revoke(id)
	}
	ids := w.issue(1, "app", 250)
	w.issue(1, "other", 200)
	w.issue(2, "app", 200)
	if n := w.listed(); n != 1 {
		t.Errorf("%d owners on the work list", n)
	}
	if r := w.sweep(); r != (sweep.Result{Owners: 1, Removed: 50}) {
		t.Errorf("swept %+v", r)
	}
	want := slices.Concat(repeat(family.ExpiredAbsolute, len(expired)), repeat(family.PasswordChanged, len(revoked)),
		repeat(family.LimitExceeded, 50), repeat(family.Cause(""), 200))
	if diff := cmp.Diff(want, w.causes(1, "app")); diff != "" {
		t.Error(diff)
	}
	for _, untouched := range [][]family.Cause{w.causes(1, "other"), w.causes(2, "app")} {
		if diff := cmp.Diff(repeat(family.Cause(""), 200), untouched); diff != "" {
			t.Error(diff)
		}
	}
	events := w.events()
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	e := events[0]
	if e.Type != audit.Cleanup || e.Start != 250 || e.Removed != 50 || e.End != 200 || e.ClientID != "app" || e.UserID != "user-1" {
		t.Errorf("the event is %+v", e)
	}
	var named []ulid.ULID
	for _, id := range ids[:50] {
		named = append(named, id.ULID())
	}
	if diff := cmp.Diff(named, e.Families); diff != "" {
		t.Error(diff)
	}
	if line := w.log.String(); strings.Count(line, "\n") != 1 || !strings.Contains(line, `"start":250,"endCount":200,"removedCount":50,"families":["`+named[0].String()) {
		t.Errorf("logged %s", line)
	}
	o := w.owner()
	if o.Active != 200 || o.Plan != nil || w.listed() != 0 {
		t.Errorf("the owner is %+v, %d on the work list", o, w.listed())
	}
	// A second sweep finds nothing to do.
	if r := w.sweep(); r != (sweep.Result{}) {
		t.Errorf("swept %+v", r)
	}
}

// TestSweepOfOvercounted checks that a count which is too high, because families ended for
// other causes, costs only a read. It costs one more if a login may be in progress.
func TestSweepOfOvercounted(t *testing.T) {
	w := newWorld(t, 3)
	for _, id := range w.issue(1, "app", 3) {
		w.revoke(id)
	}
	w.issue(1, "app", 3)
	w.clock.Advance(5*time.Minute - time.Millisecond)
	for _, looks := range []int{1, 1, 0} {
		if r := w.sweep(); r != (sweep.Result{Owners: looks}) {
			t.Errorf("swept %+v", r)
		}
		w.clock.Advance(time.Millisecond)
	}
	if o := w.owner(); o.Active != 3 || w.listed() != 0 || len(w.events()) != 0 {
		t.Errorf("the owner is %+v, the events %v", o, w.events())
	}
}

// TestSweepOfACountByAClockAhead checks that a login by a server whose clock is ahead does not
// keep its owner on the work list for longer.
func TestSweepOfACountByAClockAhead(t *testing.T) {
	w := newWorld(t, 3)
	for _, id := range w.issue(1, "app", 3) {
		w.revoke(id)
	}
	w.clock.Advance(5 * time.Minute)
	w.issue(1, "app", 1)
	w.clock.Advance(-5 * time.Minute)
	if r := w.sweep(); r != (sweep.Result{Owners: 1}) || w.listed() != 0 || w.owner().Active != 1 {
		t.Errorf("swept %+v, the owner is %+v, %d on the work list", r, w.owner(), w.listed())
	}
}

func TestSweepFollowsThePolicy(t *testing.T) {
	w := newWorld(t, 1000)
	w.issue(1, "app", 12)
	c := &store.Client{ID: "app", Policy: usual(), UpdatedAt: w.clock.Now()}
	c.Policy.MaxActive = 5
	if _, _, err := w.table.PutClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.issue(1, "app", 1) // this puts it on the list
	if r := w.sweep(); r.Removed != 8 {
		t.Errorf("swept %+v", r)
	}
}

func TestSweepOfDeletedClient(t *testing.T) {
	w := newWorld(t, 1)
	w.issue(1, "app", 3)
	if err := w.table.DeleteClient(t.Context(), "app"); err != nil {
		t.Fatal(err)
	}
	if r := w.sweep(); r.Removed != 0 || w.listed() != 0 {
		t.Errorf("swept %+v, %d left", r, w.listed())
	}
}

// TestSweepRequests checks that the number of a sweep's requests grows with the work list and
// not with the table.
func TestSweepRequests(t *testing.T) {
	t.Parallel()
	count := func(owners int) []string {
		w := newWorld(t, 2)
		var group errgroup.Group
		group.SetLimit(8)
		for user := range owners {
			group.Go(func() error {
				_, err := w.tryIssue(user, "app")
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		for user := range 10 {
			w.issue(user*7, "app", 2)
		}
		w.store.Counted()
		if r := w.sweep(); r != (sweep.Result{Owners: 10, Removed: 10}) {
			t.Errorf("swept %+v", r)
		}
		calls := w.store.Counted()
		slices.Sort(calls)
		return calls
	}
	few, many := count(storetest.Size(1000, 70)), count(storetest.Size(10_000, 500))
	if diff := cmp.Diff(few, many); diff != "" {
		t.Errorf("of few and of many owners: %s", diff)
	}
	t.Logf("%d requests for 10 owners", len(many))
}

// TestSweepOfAHealthCheck checks that a program which logs in every second does not make
// sweeps read the ended families again.
func TestSweepOfAHealthCheck(t *testing.T) {
	t.Parallel()
	const maxActive, perSweep = 5, 300
	w := newWorld(t, maxActive)
	rounds := storetest.Size(10, 3)
	for round := range rounds {
		w.issue(1, "app", perSweep)
		o := w.owner()
		read, err := w.table.FamiliesFrom(t.Context(), userKey(1), o.Horizon.From)
		if err != nil {
			t.Fatal(err)
		}
		// A sweep reads the new families, the living, and those issued in the five minutes
		// before the last sweep.
		if most := perSweep + maxActive + 300; round > 0 && len(read) > most {
			t.Fatalf("round %d reads %d families, more than %d", round, len(read), most)
		}
		w.sweep()
	}
	if n := len(w.causes(1, "app")); n != rounds*perSweep {
		t.Errorf("%d records", n)
	}
}

// TestSweepFaults checks that whichever request fails, applied or not, another run reaches the
// same end state as a run without faults, with one event.
func TestSweepFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]storetest.Fault{"failed": storetest.Failed, "answer lost": storetest.Lost} {
		for _, lasting := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/lasting %t", name, lasting), func(t *testing.T) {
				t.Parallel()
				broken := 0
				for call := 1; ; call++ {
					w := newWorld(t, 3)
					w.issue(1, "app", 8)
					w.store.Break(func(n int, _ string) storetest.Fault {
						if n == call || lasting && n > call {
							return fault
						}
						return storetest.None
					})
					_, err := w.sweeper.Sweep(t.Context(), w.clock.Now())
					reached := len(w.store.Counted()) >= call
					w.store.Break(nil)
					if !reached {
						if err != nil {
							t.Errorf("without a fault: %v", err)
						}
						break
					}
					broken++
					w.clock.Advance(time.Minute)
					w.sweep()
					if diff := cmp.Diff(slices.Concat(repeat(family.LimitExceeded, 5), repeat(family.Cause(""), 3)), w.causes(1, "app")); diff != "" {
						t.Errorf("call %d: %s", call, diff)
					}
					events := w.events()
					if len(events) != 1 || events[0].Removed != 5 || events[0].Start != 8 || events[0].End != 3 {
						t.Errorf("call %d: the events are %+v", call, events)
					}
					if o := w.owner(); o.Active != 3 || o.Plan != nil || w.listed() != 0 {
						t.Errorf("call %d: the owner is %+v, %d on the work list", call, o, w.listed())
					}
				}
				if broken < 10 {
					t.Errorf("%d calls broken", broken)
				}
			})
		}
	}
}

// TestIssueFaults checks that a fault during a login only overcounts. The login tries again,
// and after a sweep the newest families are alive, none of them twice.
func TestIssueFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]storetest.Fault{"failed": storetest.Failed, "answer lost": storetest.Lost} {
		t.Run(name, func(t *testing.T) {
			broken := 0
			for call := 1; ; call++ {
				w := newWorld(t, 3)
				w.issue(1, "app", 4)
				w.store.Break(func(n int, _ string) storetest.Fault {
					if n >= call {
						return fault
					}
					return storetest.None
				})
				_, err := w.tryIssue(1, "app")
				reached := len(w.store.Counted()) >= call
				w.store.Break(nil)
				if !reached {
					break
				}
				broken++
				if err == nil {
					t.Errorf("call %d: no error", call)
				}
				last := w.issue(1, "app", 1)[0]
				w.sweep()
				causes := w.causes(1, "app")
				dead := len(causes) - 3
				if diff := cmp.Diff(slices.Concat(repeat(family.LimitExceeded, dead), repeat(family.Cause(""), 3)), causes); diff != "" {
					t.Errorf("call %d: %s", call, diff)
				}
				f, err := w.table.Family(t.Context(), last)
				if err != nil || !f.Revoked.At.IsZero() {
					t.Errorf("call %d: the newest is %+v, %v", call, f, err)
				}
				if events := w.events(); len(events) != 1 || events[0].Removed != dead {
					t.Errorf("call %d: the events are %+v", call, events)
				}
				w.sweepLater()
				if o := w.owner(); o.Active != 3 || w.listed() != 0 {
					t.Errorf("call %d: the owner is %+v", call, o)
				}
			}
			if broken < 4 { // reads the client, counts, adds to the work list, writes the record
				t.Errorf("%d calls broken", broken)
			}
		})
	}
}

// TestSweepsAtOnce checks that many simultaneous sweeps do what one does.
func TestSweepsAtOnce(t *testing.T) {
	w := newWorld(t, 10)
	w.issue(1, "app", 40)
	var group errgroup.Group
	logs := make([]bytes.Buffer, 4)
	for i := range logs {
		s := w.newSweeper(&logs[i])
		group.Go(func() error {
			_, err := s.Sweep(context.Background(), w.clock.Now())
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	w.sweep()
	if diff := cmp.Diff(slices.Concat(repeat(family.LimitExceeded, 30), repeat(family.Cause(""), 10)), w.causes(1, "app")); diff != "" {
		t.Error(diff)
	}
	lines := strings.Count(w.log.String(), "resource_cleanup")
	for i := range logs {
		lines += strings.Count(logs[i].String(), "resource_cleanup")
	}
	if events := w.events(); len(events) != 1 || events[0].Removed != 30 || lines != 1 {
		t.Errorf("the events are %+v, %d lines logged", events, lines)
	}
	if o := w.owner(); o.Active != 10 || o.Plan != nil || w.listed() != 0 {
		t.Errorf("the owner is %+v", o)
	}
}

// TestIssuingDuringSweeps checks that sweeps during logins never end the newest families of a
// user.
func TestIssuingDuringSweeps(t *testing.T) {
	const maxActive, issuers, each = 20, 4, 60
	w := newWorld(t, maxActive)
	done := make(chan struct{})
	var sweeps sync.WaitGroup
	for range 2 {
		s := w.newSweeper(&bytes.Buffer{})
		sweeps.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := s.Sweep(context.Background(), w.clock.Now()); err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				// At least maxActive families must have begun after each ended one.
				causes := w.causes(1, "app")
				for i, cause := range causes {
					if cause != "" && len(causes)-1-i < maxActive {
						t.Errorf("of %d families number %d is dead", len(causes), i)
					}
				}
			}
		})
	}
	var group errgroup.Group
	for range issuers {
		group.Go(func() error {
			for range each {
				// All of this takes less than five minutes, the longest time that a login can
				// be in progress.
				if _, err := w.tryIssueAfter(200*time.Millisecond, 1, "app"); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	close(done)
	sweeps.Wait()
	if err != nil {
		t.Fatal(err)
	}
	w.issue(1, "app", 1) // this finds the count above the limit
	w.sweep()
	total := issuers*each + 1
	if diff := cmp.Diff(slices.Concat(repeat(family.LimitExceeded, total-maxActive), repeat(family.Cause(""), maxActive)), w.causes(1, "app")); diff != "" {
		t.Error(diff)
	}
}

// TestSweepCountsALostAnswer checks that a sweep counts and logs its own event even if the
// answer was lost and the SDK repeated the write.
func TestSweepCountsALostAnswer(t *testing.T) {
	w := newWorld(t, 3)
	w.issue(1, "app", 5)
	lost := false
	w.store.Break(func(_ int, operation string) storetest.Fault {
		if operation == "TransactWriteItems" && !lost {
			lost = true
			return storetest.Lost
		}
		return storetest.None
	})
	if r := w.sweep(); r != (sweep.Result{Owners: 1, Removed: 2}) || !lost {
		t.Errorf("swept %+v", r)
	}
	if n := strings.Count(w.log.String(), "resource_cleanup"); n != 1 {
		t.Errorf("%d lines", n)
	}
}

// TestSweepGoesOn checks that an owner that fails does not stop the sweep of others.
func TestSweepGoesOn(t *testing.T) {
	w := newWorld(t, 1)
	w.issue(1, "app", 3)
	w.issue(2, "app", 3)
	first := true
	w.store.Break(func(n int, operation string) storetest.Fault {
		// The first owner's families cannot be read, through three tries of the SDK.
		if operation == "Query" && first && n > 1 {
			first = n < 6
			return storetest.Failed
		}
		return storetest.None
	})
	r, err := w.sweeper.Sweep(t.Context(), w.clock.Now())
	w.store.Break(nil)
	if err == nil || r.Owners != 2 || r.Removed != 2 || w.listed() != 1 {
		t.Errorf("swept %+v, %v, %d left", r, err, w.listed())
	}
	if r := w.sweep(); r.Removed != 2 || w.listed() != 0 {
		t.Errorf("swept %+v", r)
	}
}
