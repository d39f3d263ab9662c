package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/rotor-auth/rotor/lab/page"
)

// Growth is the report of how cost grows. Its times are only comparable with each
// other.
type Growth struct {
	Short   bool    `json:"short"`
	Machine Machine `json:"machine"`

	FamilyItem int `json:"family_item"` // bytes

	Tables   []Grown `json:"families_in_table"`
	Embedded []Grown `json:"families_in_table_embedded"` // the same calls, over the embedded store
	Users    []Grown `json:"families_of_user"`
	Lists    []Grown `json:"owners_on_work_list"` // for each owner

	Aims []Aim `json:"aims"`
}

// Grown is the cost of a call at one size.
type Grown struct {
	Size int `json:"size"`
	Storage
	Latencies *Latencies `json:"one_at_a_time,omitempty"`
}

// growthSize says how much work the measurement of growth does.
type growthSize struct {
	tables   []int // families in the table
	embedded []int // the same for the embedded store, which is slow beyond some 20,000 items
	users    []int // families of a user
	lists    []int // owners on the work list
	repeat   int   // how often a counted call is made
	rounds   int   // rounds of timed calls, after one that is not timed
	each     int   // calls on each table in a round
}

var (
	fullGrowth = growthSize{
		tables: []int{1_000, 10_000, 100_000, 1_000_000}, embedded: []int{1_000, 10_000},
		users: []int{1, 10, 100, 200, 1_000}, lists: []int{10, 1_000}, repeat: 20, rounds: 10, each: 25,
	}
	smallGrowth = growthSize{
		tables: []int{1_000, 10_000}, embedded: []int{1_000},
		users: []int{1, 10, 100, 200, 1_000}, lists: []int{10, 100}, repeat: 5, rounds: 3, each: 10,
	}
)

// growth measures how cost grows, and prints it: on DynamoDB Local, and over the
// embedded store with as many families as that can handle. It keeps temporary files
// in dir.
func (b *bench) growth(ctx context.Context, short bool, dir string) (*Growth, error) {
	size := fullGrowth
	if short {
		size = smallGrowth
	}
	g := &Growth{Short: short, Machine: machine(ctx)}
	b.progress("measuring how cost grows, on DynamoDB Local")
	err := b.over(ctx, b.dynamodb, dir, size, func(o *overStore) (err error) {
		if g.FamilyItem, err = o.family.size(); err != nil {
			return err
		}
		if g.Tables, err = o.tables(ctx, size.tables); err != nil {
			return err
		}
		if g.Users, err = o.users(ctx, size.users); err != nil {
			return err
		}
		g.Lists, err = o.lists(ctx, size.lists)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("measure on DynamoDB Local: %w", err)
	}
	size.rounds = 0 // the embedded store's own times grow
	b.progress("measuring how cost grows, over the embedded store")
	err = b.over(ctx, embeddedStore, dir, size, func(o *overStore) (err error) {
		g.Embedded, err = o.tables(ctx, size.embedded)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("measure over the embedded store: %w", err)
	}
	g.Aims = growthAims(g)
	for _, name := range []string{"machine", "tables", "times", "users", "lists", "aims"} {
		if _, err := io.WriteString(b.stdout, g.table(name).Text()+"\n"); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// overStore measures growth over a store.
type overStore struct {
	*bench
	*filler
	counting *storeProcess // counts the requests to the store
	units    bool          // whether the store reports units
	growthSize
}

// over calls measure with the store below, whose tables it can fill.
func (b *bench) over(ctx context.Context, below, dir string, size growthSize, measure func(*overStore) error) (err error) {
	counting, err := b.startStore(ctx, below)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, counting.Stop()) }()
	o := &overStore{bench: b, counting: counting, units: below != embeddedStore, growthSize: size}
	if below == embeddedStore {
		below = counting.url // that process has the store
	}
	if o.filler, err = b.newFiller(ctx, below, dir, append(slices.Clone(size.users), usualLimit)...); err != nil {
		return err
	}
	return measure(o)
}

// place creates a table with the clients, on which no local program runs yet.
func (o *overStore) place(ctx context.Context) (*place, error) {
	p := &place{filler: o.filler, table: newTable(), store: o.counting.url}
	return p, o.open(ctx, p.table)
}

// serving runs a local program on each of the places while do runs, over the store
// at the URL. The programs have read the client app.
func (o *overStore) serving(ctx context.Context, places []*place, store string, do func([]*place) error) (err error) {
	var served []*place
	defer func() {
		for _, p := range served {
			err = errors.Join(err, p.s.Stop())
		}
	}()
	for _, p := range places {
		s, err := o.startOn(ctx, store, p.table, o.env...)
		if err != nil {
			return err
		}
		there := *p
		there.s, there.store = s, store
		served = append(served, &there)
		if _, err := o.refresh(ctx, s, http.StatusBadRequest, "none"); err != nil {
			return err
		}
	}
	return do(served)
}

// tables measures calls on tables with the given numbers of families.
func (o *overStore) tables(ctx context.Context, sizes []int) ([]Grown, error) {
	var all []Grown
	var places []*place
	for _, n := range sizes {
		p, err := o.place(ctx)
		if err != nil {
			return nil, err
		}
		p.families = n
		began := time.Now()
		err = o.put(ctx, p.table, o.all(func(yield func(owner) bool) {
			for i := 1; i <= n && yield(owner{user: userOf(i), client: app, families: 1}); i++ {
			}
		}))
		if err != nil {
			return nil, err
		}
		if err := o.check(ctx, p.table, 2*n); err != nil { // a family and its owner each
			return nil, err
		}
		o.progress("  a table of %s families, filled in %s", page.Number(float64(n), 0), time.Since(began).Round(time.Millisecond))
		places = append(places, p)

		err = o.serving(ctx, []*place{p}, p.store, func(served []*place) error {
			counted, err := o.count(ctx, served[0], n, tableCalls, o.repeat)
			all = append(all, counted...)
			return err
		})
		if err != nil {
			return nil, err
		}
		counted, err := o.count(ctx, p, n, tableSweeps, o.repeat)
		if err != nil {
			return nil, err
		}
		all = append(all, counted...)
	}
	if o.rounds == 0 {
		return all, nil
	}
	o.progress("  times, by turns on %d tables", len(places))
	err := o.serving(ctx, places, o.url, func(served []*place) error {
		return o.time(ctx, served, tableCalls, all)
	})
	if err != nil {
		return nil, err
	}
	for _, p := range places {
		p.store = o.url // without counting
	}
	return all, o.time(ctx, places, tableSweeps, all)
}

// count returns what each call asks of the store, as the average of n calls.
func (o *overStore) count(ctx context.Context, p *place, size int, calls []grownCall, n int) ([]Grown, error) {
	var all []Grown
	for _, call := range calls {
		sum := counts{Operations: map[string]int64{}}
		for i := range n {
			asked, err := o.once(ctx, p, call, i)
			if err != nil {
				return nil, fmt.Errorf("%s, %d: %w", call.name, size, err)
			}
			sum.add(asked)
		}
		if sum.Unknown > 0 {
			return nil, fmt.Errorf("%s, %d: of %d requests nothing says what they consumed", call.name, size, sum.Unknown)
		}
		all = append(all, Grown{Size: size, Storage: storageOf(call.name, n, sum, o.units)})
	}
	return all, nil
}

// once makes a call and returns what it asked of the store.
func (o *overStore) once(ctx context.Context, p *place, call grownCall, i int) (counts, error) {
	if call.prepare != nil {
		if err := call.prepare(ctx, p, i); err != nil {
			return counts{}, err
		}
	}
	before, err := o.counting.counts(ctx)
	if err != nil {
		return counts{}, err
	}
	if err := call.do(ctx, p, i); err != nil {
		return counts{}, err
	}
	after, err := o.counting.counts(ctx)
	return after.since(before), err
}

// time times the calls on all places in turn, so that other work of the machine
// affects all alike, and sets the latencies.
func (o *overStore) time(ctx context.Context, places []*place, calls []grownCall, all []Grown) error {
	for _, call := range calls {
		latencies := make([]*hdrhistogram.Histogram, len(places)) // in microseconds
		for i := range latencies {
			latencies[i] = hdrhistogram.New(1, time.Minute.Microseconds(), 3)
		}
		each := o.each
		if call.slow {
			each = max(1, each/10)
		}
		for round := range 1 + o.rounds {
			for at, p := range places {
				for i := range each {
					took, err := timed(ctx, p, call, o.repeat+round*o.each+i)
					if err != nil {
						return fmt.Errorf("%s, %d: %w", call.name, p.families, err)
					}
					if round == 0 {
						continue // the first ones warm up
					}
					if err := latencies[at].RecordValue(took.Microseconds()); err != nil {
						return err
					}
				}
			}
		}
		ms := func(us int64) float64 { return float64(us) / 1000 }
		for i := range all {
			if all[i].Call != call.name {
				continue
			}
			h := latencies[slices.IndexFunc(places, func(p *place) bool { return p.families == all[i].Size })]
			all[i].Latencies = &Latencies{
				Requests: h.TotalCount(), Rate: 1e6 / h.Mean(),
				P50: ms(h.ValueAtQuantile(50)), P99: ms(h.ValueAtQuantile(99)), Max: ms(h.Max()),
			}
		}
	}
	return nil
}

func timed(ctx context.Context, p *place, call grownCall, i int) (time.Duration, error) {
	if call.prepare != nil {
		if err := call.prepare(ctx, p, i); err != nil {
			return 0, err
		}
	}
	began := time.Now()
	err := call.do(ctx, p, i)
	return time.Since(began), err
}

// users measures calls for users with the given numbers of families. A user's last
// family is issued through the API.
func (o *overStore) users(ctx context.Context, sizes []int) ([]Grown, error) {
	p, err := o.place(ctx)
	if err != nil {
		return nil, err
	}
	var all []Grown
	const repeat = 3 // users of each size
	for _, n := range sizes {
		o.progress("  users with %s families", page.Number(float64(n), 0))
		user := func(i int) string { return userOf(10*n + i) }
		var newest [repeat]string // tokens
		calls := []grownCall{
			{name: "issue", prepare: func(ctx context.Context, p *place, i int) error {
				return p.add(ctx, p.table, owner{user: user(i), client: app, families: n - 1})
			}, do: func(ctx context.Context, p *place, i int) error {
				answer, err := p.s.issue(ctx, user(i), app)
				newest[i] = answer.RefreshToken
				return err
			}},
			{name: oneRefresh, do: func(ctx context.Context, p *place, i int) error {
				_, err := p.refresh(ctx, p.s, http.StatusOK, newest[i])
				return err
			}},
			{name: listFamilies, do: func(ctx context.Context, p *place, i int) error {
				return p.list(ctx, min(n, 100), user(i))
			}},
			{name: revokeAll, do: func(ctx context.Context, p *place, i int) error {
				return p.revoke(ctx, n, "/v1/families?user_id="+url.QueryEscape(user(i)))
			}},
		}
		sweep := grownCall{name: sweepOfOwner, prepare: func(ctx context.Context, p *place, i int) error {
			return p.add(ctx, p.table, owner{userOf(1_000_000 + 10*n + i), limited(n), n + excess, true})
		}, do: func(ctx context.Context, p *place, _ int) error {
			return p.sweep(ctx, 1, excess)
		}}
		err := o.serving(ctx, []*place{p}, p.store, func(served []*place) error {
			counted, err := o.count(ctx, served[0], n, calls, repeat)
			all = append(all, counted...)
			return err
		})
		if err != nil {
			return nil, err
		}
		counted, err := o.count(ctx, p, n, []grownCall{sweep}, repeat)
		if err != nil {
			return nil, err
		}
		all = append(all, counted...)
	}
	return all, nil
}

// lists measures sweeps of the given numbers of owners, each 10 families over the
// limit. The results are per owner.
func (o *overStore) lists(ctx context.Context, sizes []int) ([]Grown, error) {
	var all []Grown
	for _, n := range sizes {
		o.progress("  a sweep of %s owners", page.Number(float64(n), 0))
		p, err := o.place(ctx)
		if err != nil {
			return nil, err
		}
		err = o.put(ctx, p.table, o.all(func(yield func(owner) bool) {
			for i := 1; i <= n && yield(owner{userOf(i), limited(usualLimit), usualLimit + excess, true}); i++ {
			}
		}))
		if err != nil {
			return nil, err
		}
		sweep := grownCall{name: sweepOfOwner, do: func(ctx context.Context, p *place, _ int) error {
			return p.sweep(ctx, n, n*excess)
		}}
		asked, err := o.once(ctx, p, sweep, 0)
		if err == nil && asked.Unknown > 0 {
			err = fmt.Errorf("of %d requests nothing says what they consumed", asked.Unknown)
		}
		if err != nil {
			return nil, fmt.Errorf("a sweep of %d owners: %w", n, err)
		}
		all = append(all, Grown{Size: n, Storage: storageOf(sweepOfOwner, n, asked, o.units)})
	}
	return all, nil
}
