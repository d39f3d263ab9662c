package sweep_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
	"github.com/rotor-auth/rotor/shared/sweep"
)

var rules = []family.Evict{family.LeastRecentlyUsed, family.Oldest}

// lives returns the places of the living families among those issued to user 1.
func (w *world) lives() (places []int) {
	w.t.Helper()
	for i, cause := range w.causes(1, "app") {
		if cause == "" {
			places = append(places, i)
		}
	}
	return places
}

// want checks which families are alive, and that the trail names the others.
func (w *world) want(places ...int) {
	w.t.Helper()
	if diff := cmp.Diff(places, w.lives()); diff != "" {
		w.t.Errorf("of the families live (-want +got) %s", diff)
	}
	w.named()
}

// TestEvict checks that the rule decides whether an old family that is in use is kept, and one
// that was just logged in. The record, the event and the log name the rule.
func TestEvict(t *testing.T) {
	for _, tt := range []struct {
		rule family.Evict
		live []int
	}{
		{family.LeastRecentlyUsed, []int{0, 3}}, // 1 and 2 were not used since
		{family.Oldest, []int{2, 3}},
	} {
		t.Run(string(tt.rule), func(t *testing.T) {
			w := newWorld(t, 2)
			w.policy(func(p *family.Policy) { p.MaxActive, p.Evict = 2, tt.rule })
			ids := w.issue(1, "app", 3)
			w.use(ids[0])
			ids = append(ids, w.issue(1, "app", 1)...)
			if r := w.sweep(); r.Removed != 2 {
				t.Errorf("swept %+v", r)
			}
			w.want(tt.live...)
			for _, i := range []int{1} { // both rules end this one
				f, err := w.table.Family(t.Context(), ids[i])
				if err != nil || f.Revoked.Evict != tt.rule || f.Revoked.Active != 4 {
					t.Errorf("the record says %+v, %v", f.Revoked, err)
				}
			}
			if events := w.events(); len(events) != 1 || events[0].Evict != tt.rule || events[0].Start != 4 || events[0].Removed != 2 {
				t.Errorf("the events are %+v", events)
			}
			if line := w.log.String(); !strings.Contains(line, `"evict":"`+string(tt.rule)+`","start":4`) {
				t.Errorf("logged %s", line)
			}
		})
	}
}

// TestEvictLoginOrUse checks that the rule decides between a family that was just logged in
// and an older one that is in use.
func TestEvictLoginOrUse(t *testing.T) {
	for rule, live := range map[family.Evict][]int{family.LeastRecentlyUsed: {0}, family.Oldest: {1}} {
		w := newWorld(t, 1)
		w.policy(func(p *family.Policy) { p.MaxActive, p.Evict = 1, rule })
		ids := w.issue(1, "app", 2)
		w.use(ids[0])
		w.sweep()
		w.want(live...)
	}
}

// TestPlannedFamilyIsUsed checks that a planned family which is used before the sweep ends it
// is kept. The sweep then decides again: by the last use another family ends, by the age the
// same one.
func TestPlannedFamilyIsUsed(t *testing.T) {
	for rule, live := range map[family.Evict][]int{family.LeastRecentlyUsed: {0, 2, 3}, family.Oldest: {1, 2, 3}} {
		for clock, shift := range map[string]time.Duration{"later": time.Minute, "the same clock": 0, "a clock behind": -time.Hour} {
			t.Run(string(rule)+"/"+clock, func(t *testing.T) {
				live := live
				w := newWorld(t, 3)
				w.policy(func(p *family.Policy) { p.MaxActive, p.Evict = 3, rule })
				ids := w.issue(1, "app", 4)
				w.clock.Advance(2 * time.Hour)
				for _, id := range ids[1:] {
					w.use(id)
				}
				w.useAt(ids[0], w.clock.Now().Add(-90*time.Minute))
				r := w.sweepAnd(2, "UpdateItem", func() { // the plan is stored by now
					w.useAt(ids[0], w.clock.Now().Add(shift))
				})
				if clock == "a clock behind" && rule == family.LeastRecentlyUsed {
					live = []int{1, 2, 3} // 1 was used, but its use is still the oldest
				}
				if r.Removed != 1 {
					t.Errorf("swept %+v", r)
				}
				w.want(live...)
				if events := w.events(); len(events) != 1 {
					t.Errorf("the events are %+v", events)
				}
				if o := w.owner(); o.Active != 3 || o.Plan != nil || w.listed() != 0 {
					t.Errorf("the owner is %+v, %d on the work list", o, w.listed())
				}
			})
		}
	}
}

// TestOldPlan checks the plan of a sweep that crashed, carried out an hour later. It ends no
// family that was used since, and its event names those that it had ended already.
func TestOldPlan(t *testing.T) {
	for _, rule := range rules {
		for ended := range 3 {
			w := newWorld(t, 3)
			w.policy(func(p *family.Policy) { p.MaxActive, p.Evict = 3, rule })
			ids := w.issue(1, "app", 6)
			w.dyingSweep(1 + ended) // the plan names the first three
			if n := 6 - len(w.lives()); n != ended {
				t.Fatalf("%d had ended, not %d", n, ended)
			}
			w.clock.Advance(time.Hour)
			var used []int
			for _, i := range w.lives() {
				if i < 3 {
					w.use(ids[i])
					used = append(used, i)
				}
			}
			w.sweep()
			if rule == family.Oldest {
				w.want(3, 4, 5) // a new plan chose by age
			} else {
				w.want(append(used, []int{3, 4, 5}[3-ended:]...)...)
			}
		}
	}
}

// TestOldPlanThatEndsNothing checks that a plan whose families were all used since stores no
// event, whatever clock recorded the use, and that the sweep goes on.
func TestOldPlanThatEndsNothing(t *testing.T) {
	for clock, shift := range map[string]time.Duration{"later": time.Minute, "a clock behind": -time.Hour} {
		t.Run(clock, func(t *testing.T) {
			w := newWorld(t, 2)
			ids := w.issue(1, "app", 3)
			w.dyingSweep(1)
			w.revoke(ids[2]) // this brings the owner within its limit
			w.useAt(ids[0], w.clock.Now().Add(shift))
			if r := w.sweep(); r.Removed != 0 {
				t.Errorf("swept %+v", r)
			}
			w.want(0, 1)
			w.sweepLater()
			if o := w.owner(); o.Active != 2 || o.Plan != nil || w.listed() != 0 || len(w.events()) != 0 {
				t.Errorf("the owner is %+v, the events %v", o, w.events())
			}
		})
	}
}

// before is a transport that calls happens right before each update that ends families of f.
type before struct {
	below   aws.HTTPClient
	happens func()
}

func (b before) Do(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".UpdateItem") {
		b.happens()
	}
	return b.below.Do(r)
}

// TestFamiliesInUseAllTheTime checks that a sweep ends even if families are used as fast as it
// plans to end them. Their owner stays on the work list.
func TestFamiliesInUseAllTheTime(t *testing.T) {
	w := newWorld(t, 1)
	ids := w.issue(1, "app", 2)
	cfg := w.store.Config()
	uses := 0
	cfg.HTTPClient = before{cfg.HTTPClient, func() {
		uses++
		for _, id := range ids {
			w.use(id)
		}
	}}
	table := store.New(cfg, w.store.Name(), store.DefaultRetention)
	s := &sweep.Sweeper{Table: table, Clients: store.NewRegistry(table, slog.New(slog.DiscardHandler)), Trail: w.sweeper.Trail}
	r, err := s.Sweep(t.Context(), w.clock.Now())
	if err != nil || r != (sweep.Result{Owners: 1}) || uses > 20 {
		t.Errorf("swept %+v, %v, after %d uses", r, err, uses)
	}
	w.want(0, 1)
	if w.listed() != 1 || w.owner().Plan != nil {
		t.Errorf("%d on the work list, the owner is %+v", w.listed(), w.owner())
	}
	if r := w.sweep(); r.Removed != 1 || w.listed() != 0 {
		t.Errorf("swept %+v", r)
	}
}

// TestIssueLeavesAPlan checks that a login keeps the stored plan of a sweep that crashed,
// because what the plan has ended must still get its event.
func TestIssueLeavesAPlan(t *testing.T) {
	for ended := range 3 {
		w := newWorld(t, 2)
		w.issue(1, "app", 4)
		w.dyingSweep(1 + ended)
		plan := w.owner().Plan
		if plan == nil {
			t.Fatal("there is no plan")
		}
		w.issue(1, "app", 1)
		if diff := cmp.Diff(plan, w.owner().Plan); diff != "" {
			t.Errorf("the plan (-before +after the issue) %s", diff)
		}
		w.sweep()
		w.want(3, 4)
		if n := len(w.events()); n != 2 {
			t.Errorf("%d events", n)
		}
	}
}

// TestSweepReadsAgainWhatLivesAgain checks that a sweep reads families again that a longer
// idle lifetime or an earlier not_before has revived.
func TestSweepReadsAgainWhatLivesAgain(t *testing.T) {
	for name, change := range map[string]func(p *family.Policy, start time.Time){
		"none is idle any more": func(p *family.Policy, _ time.Time) { p.IdleLifetime = 0 },
		"a longer idle lifetime": func(p *family.Policy, _ time.Time) {
			p.IdleLifetime = family.Days(15)
		},
		"an earlier not_before": func(p *family.Policy, start time.Time) {
			p.IdleLifetime, p.NotBefore = family.Days(15), start.Add(-time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			start := w.clock.Now()
			w.issue(1, "app", 3)
			w.clock.Advance(time.Hour)
			w.policy(func(p *family.Policy) {
				p.MaxActive, p.IdleLifetime = 3, 600
				if name == "an earlier not_before" {
					p.IdleLifetime, p.NotBefore = family.Days(15), w.clock.Now()
				}
			})
			w.issue(1, "app", 4)
			w.clock.Advance(6 * time.Minute)
			if r := w.sweep(); r.Removed != 1 {
				t.Errorf("swept %+v", r)
			}
			if o := w.owner(); o.Horizon.From.Timestamp().Before(start.Add(30 * time.Minute)) {
				t.Errorf("what has ended is read again: %+v", o.Horizon)
			}
			w.policy(func(p *family.Policy) {
				p.MaxActive = 3
				change(p, start)
			})
			w.issue(1, "app", 1)
			if r := w.sweep(); r.Removed != 4 {
				t.Errorf("swept %+v", r)
			}
			w.want(5, 6, 7)
		})
	}
}

// TestSweepSeesAUseByAClockBehind checks a use by a server whose clock is behind, during a
// sweep that finds the family past its idle end. The next sweep must see the use.
func TestSweepSeesAUseByAClockBehind(t *testing.T) {
	w := newWorld(t, 3)
	w.policy(func(p *family.Policy) { p.MaxActive, p.IdleLifetime = 3, 3600 })
	ids := w.issue(1, "app", 1)
	w.clock.Advance(time.Hour)
	w.issue(1, "app", 4)
	w.sweep()
	w.useAt(ids[0], ids[0].IssuedAt().Add(time.Hour-time.Second))
	w.issue(1, "app", 1)
	if r := w.sweep(); r.Removed != 2 {
		t.Errorf("swept %+v", r)
	}
	w.want(3, 4, 5)
}

// TestSweepOfAHealthCheckBesideADevice checks a device in use beside a program that logs in
// every second. Sweeps remember the device and do not read the ended families again. The
// device is kept, and ended when its time has come.
func TestSweepOfAHealthCheckBesideADevice(t *testing.T) {
	t.Parallel()
	const maxActive, perSweep = 3, 300
	w := newWorld(t, maxActive)
	device := w.issue(1, "app", 1)[0]
	remembered := 0
	for round := range storetest.Size(9, 6) {
		w.use(device)
		w.issue(1, "app", perSweep)
		o := w.owner()
		read, err := w.table.FamiliesFrom(t.Context(), userKey(1), o.Horizon.From)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(o.Horizon.Kept); n > 0 {
			remembered++
			if n > maxActive || len(read) > perSweep+maxActive+300 {
				t.Errorf("round %d keeps %d families and reads %d", round, n, len(read))
			}
		}
		if most := 1000 + 10*maxActive + perSweep + maxActive + 300; len(read) > most {
			t.Fatalf("round %d reads %d families, more than %d", round, len(read), most)
		}
		w.use(device)
		w.sweep()
		if f, err := w.table.Family(t.Context(), device); err != nil || !f.Revoked.At.IsZero() {
			t.Fatalf("round %d: the device is %+v, %v", round, f, err)
		}
	}
	if remembered == 0 {
		t.Error("nothing was remembered")
	}
	sizes := func() int {
		sizes, err := w.store.Sizes(t.Context(), "k#")
		if err != nil {
			t.Fatal(err)
		}
		return len(sizes)
	}
	if n := sizes(); n != 1 {
		t.Errorf("%d records of what is remembered", n)
	}
	w.clock.Advance(time.Minute)
	w.issue(1, "app", maxActive+1)
	if r := w.sweep(); r.Removed != maxActive+1 {
		t.Errorf("swept %+v", r)
	}
	if f, err := w.table.Family(t.Context(), device); err != nil || f.Revoked.Cause != family.LimitExceeded {
		t.Errorf("the device is %+v, %v", f, err)
	}
	w.clock.Advance(10 * time.Minute)
	w.issue(1, "app", 1)
	w.sweep()
	if _, err := w.table.Purge(t.Context(), w.clock.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if o := w.owner(); len(o.Horizon.Kept) != 0 || sizes() != 0 || o.Active != maxActive {
		t.Errorf("the owner is %+v, %d records of what is remembered", o, sizes())
	}
	w.named()
}

// TestSweepWhoseMemoryIsGone checks that a sweep reads everything again if what it remembered
// has been purged.
func TestSweepWhoseMemoryIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2)
	device := w.issue(1, "app", 1)[0]
	w.issue(1, "app", 1100)
	w.clock.Advance(10 * time.Minute)
	w.use(device)
	w.sweep()
	if len(w.owner().Horizon.Kept) == 0 {
		t.Fatal("nothing is remembered")
	}
	if err := w.table.Erase(t.Context(), userKey(1), "k#app"); err != nil {
		t.Fatal(err)
	}
	if o := w.owner(); o.Horizon.From != (ulid.ULID{}) {
		t.Errorf("the horizon is %+v", o.Horizon)
	}
	w.issue(1, "app", 2)
	if r := w.sweep(); r.Removed != 2 { // the device is one of them
		t.Errorf("swept %+v", r)
	}
	if f, err := w.table.Family(t.Context(), device); err != nil || f.Revoked.Cause != family.LimitExceeded {
		t.Errorf("the device is %+v, %v", f, err)
	}
}

// TestSweepBesideAnErasure checks that a sweep during an erasure of its user brings back
// neither an owner nor an event.
func TestSweepBesideAnErasure(t *testing.T) {
	for _, at := range []struct {
		n         int64
		operation string
	}{
		{1, "Query"},
		{2, "Query"},
		{1, "GetItem"},
		{2, "GetItem"},
		{1, "UpdateItem"},
		{2, "UpdateItem"},
		{3, "UpdateItem"},
		{1, "TransactWriteItems"},
		{2, "TransactWriteItems"},
	} {
		w := newWorld(t, 2)
		w.issue(1, "app", 4)
		table := w.store.Meanwhile(at.n, at.operation, func() { w.erase() })
		s := &sweep.Sweeper{Table: table, Clients: store.NewRegistry(table, slog.New(slog.DiscardHandler)), Trail: audit.Trail{Log: w.sweeper.Trail.Log}}
		if _, err := s.Sweep(context.Background(), w.clock.Now()); err != nil {
			t.Errorf("%d. %s: %v", at.n, at.operation, err)
		}
		w.sweep()
		w.nothing()
	}
}

// TestPlanOfAnErasedUser checks that a plan which was stored before an erasure brings nothing
// back.
func TestPlanOfAnErasedUser(t *testing.T) {
	for ended := range 3 {
		w := newWorld(t, 2)
		w.issue(1, "app", 4)
		w.dyingSweep(1 + ended)
		w.erase()
		w.sweep()
		w.nothing()
	}
}

// erase erases user 1, as DELETE /v1/users does.
func (w *world) erase() {
	w.t.Helper()
	ctx := context.Background()
	keys, err := w.table.UserItems(ctx, userKey(1), "", 10_000)
	if err != nil {
		w.t.Error(err)
	}
	for _, sk := range keys.InOrder() {
		if err := w.table.Erase(ctx, userKey(1), sk); err != nil {
			w.t.Error(err)
		}
	}
}

// nothing checks that nothing is stored about user 1.
func (w *world) nothing() {
	w.t.Helper()
	keys, err := w.table.UserItems(w.t.Context(), userKey(1), "", 10_000)
	if err != nil || !keys.Empty() {
		w.t.Errorf("there is %v of the user, %v", keys, err)
	}
	if n := w.listed(); n > 0 {
		w.t.Errorf("%d on the work list", n)
	}
}
