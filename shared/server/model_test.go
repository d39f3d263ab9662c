package server_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
)

// model is what Rotor promises, with no store, no tokens and no wire: the
// families and what becomes of each use of a token. It takes its words from the
// service and none of its code; random histories hold the one to the other.
type model struct {
	policies map[string]*family.Policy // by client
	families []*modelFamily            // oldest first
	owners   map[modelOwner]*modelCount
	keys     map[modelKey]*modelStart // the logins that a key stands for
}

// modelKey is an Idempotency-Key of a user in a client.
type modelKey struct {
	modelOwner
	key int
}

// modelStart is the family that a login with a key has started.
type modelStart struct {
	family *modelFamily
	scope  string
	until  time.Time
}

type modelOwner struct{ user, client string }

// modelFamily is one login.
type modelFamily struct {
	modelOwner
	id, ulid   string
	issued     time.Time
	expires    time.Time // absolute end; zero for none
	used       time.Time // last
	newest     uint32
	made       time.Time    // when the newest was; zero for the first
	parent     uint32       // the token that got the newest
	newestUsed bool         // without a rotation, as far as it was written down
	observed   bool         // reuse was, once
	scope      string       // which a change may narrow
	claim      int          // which a change sets
	revoked    family.Cause // "" while it is not
	purge      time.Time    // when its record may go; zero for never
	gone       bool         // the record
	erased     bool         // with all that was kept of its user
}

// fate is what a use of a token comes to.
type fate struct {
	kind  fateKind
	cause family.Cause // of refused and dead
}

type fateKind string

const (
	rotates  fateKind = "rotates"  // the newest: gets its successor
	held     fateKind = "held"     // the newest inside the interval after its rotation: gets itself
	newest   fateKind = "newest"   // the one before it, inside the interval: gets the newest token
	skips    fateKind = "skips"    // a lost response: gets the one after the unused newest
	ahead    fateKind = "ahead"    // newer than the record
	observed fateKind = "observed" // reuse that is only recorded: gets the newest token
	reuse    fateKind = "reuse"    // ends the family
	refused  fateKind = "refused"  // the family lives on
	dead     fateKind = "dead"
	noScope  fateKind = "no scope"  // never granted: an error that costs nothing
	noTarget fateKind = "no target" // a resource that is none of the audience: the same
	unclear  fateKind = "unclear"   // may have been good when the request began: it is to come again
)

// honoured says whether the fate is a new token.
func (k fateKind) honoured() bool {
	return slices.Contains([]fateKind{rotates, held, newest, skips, ahead, observed}, k)
}

// fate of token n, presented by the client, whose policy is p, at now.
func (f *modelFamily) fate(n uint32, client string, p *family.Policy, now time.Time) fate {
	switch cause := f.death(p, now); {
	case f.gone:
		return fate{dead, family.Purged}
	case client != f.client:
		return fate{dead, family.WrongClient}
	case cause != "":
		return fate{dead, cause}
	case n > f.newest:
		return fate{kind: ahead}
	case n == f.newest && p.Rotation && f.inside(p, now):
		return fate{kind: held}
	case n == f.newest:
		return fate{kind: rotates}
	case n == f.parent && f.inside(p, now):
		return fate{kind: newest}
	case n == f.parent && p.LostResponse == family.UntilUsed && !f.newestUsed:
		return fate{kind: skips}
	case n < f.parent && p.ReuseInterval > 0 && now.Before(f.made) && f.reused(p, now).kind == reuse:
		return fate{kind: unclear}
	}
	return f.reused(p, now)
}

// inside says whether the last rotation is less than an interval ago.
func (f *modelFamily) inside(p *family.Policy, now time.Time) bool {
	return !f.made.IsZero() && max(now.Sub(f.made), 0) < p.ReuseInterval.Duration()
}

func (*modelFamily) reused(p *family.Policy, now time.Time) fate {
	if p.ReuseDetection == family.Observe && now.Before(p.ObserveUntil) {
		return fate{kind: observed}
	}
	return fate{kind: reuse}
}

// death returns why the family is dead, "" while it lives.
func (f *modelFamily) death(p *family.Policy, now time.Time) family.Cause {
	switch idle := f.used.Add(p.IdleLifetime.Duration()); {
	case f.revoked != "":
		return f.revoked
	case f.issued.Before(p.NotBefore):
		return family.ClientNotBefore
	case p.IdleLifetime > 0 && !now.Before(idle) && (f.expires.IsZero() || idle.Before(f.expires)):
		return family.ExpiredIdle
	case !f.expires.IsZero() && !now.Before(f.expires):
		return family.ExpiredAbsolute
	}
	return ""
}

// modelAsked is what a use asks for: a scope, "" for all that there is; and whether a
// target that it cannot have.
type modelAsked struct {
	scope  string
	target bool
}

// grants says whether the family may have the scope.
func (f *modelFamily) grants(scope string) bool {
	return !slices.ContainsFunc(strings.Fields(scope), func(s string) bool { return !slices.Contains(strings.Fields(f.scope), s) })
}

// refresh uses token n, and is what happens then.
func (f *modelFamily) refresh(n uint32, client string, asked modelAsked, p *family.Policy, now time.Time) fate {
	if f.issued.Before(p.NotBefore) { // the token itself says so: no record is asked
		return fate{dead, family.ClientNotBefore}
	}
	got := f.fate(n, client, p, now)
	switch {
	case got.kind.honoured() && !f.grants(asked.scope):
		return fate{kind: noScope}
	case got.kind.honoured() && asked.target:
		return fate{kind: noTarget}
	}
	switch got.kind {
	case rotates:
		if f.newestUsed = !p.Rotation; p.Rotation {
			f.moved(n, n+1, now)
		}
		f.usedAt(now, p)
	case held:
		if p.LostResponse == family.UntilUsed && !f.newestUsed || f.overdue(p, now) {
			f.newestUsed = true
			f.usedAt(now, p)
		}
	case newest:
		if f.overdue(p, now) {
			f.usedAt(now, p)
		}
	case skips:
		f.moved(n, f.newest+1, now)
		f.usedAt(now, p)
	case ahead: // n is the newest, and used
		f.moved(n-1, n, now)
		if f.newestUsed = true; p.Rotation && p.ReuseInterval == 0 {
			f.moved(n, n+1, now)
		}
		f.usedAt(now, p)
	case observed:
		f.observed = true
	case reuse:
		f.revoke(family.ReuseDetected, p, now)
	}
	return got
}

// moved makes a token the newest, for one that was presented.
func (f *modelFamily) moved(parent, newest uint32, now time.Time) {
	f.parent, f.newest, f.made, f.newestUsed = parent, newest, now, false
}

// overdue says whether the last use on record is too long ago to leave a use
// unrecorded.
func (f *modelFamily) overdue(p *family.Policy, now time.Time) bool {
	allowed := time.Minute
	if p.IdleLifetime > 0 && p.IdleLifetime.Duration()/16 < allowed {
		allowed = p.IdleLifetime.Duration() / 16
	}
	return now.Sub(f.used) > allowed
}

// retention is how long a record outlives its family.
const retention = 30 * 24 * time.Hour

func (f *modelFamily) usedAt(now time.Time, p *family.Policy) {
	f.used = now
	if f.expires.IsZero() {
		f.purge = time.Time{}
		if p.IdleLifetime > 0 {
			f.purge = now.Add(p.IdleLifetime.Duration() + retention)
		}
	}
}

// purgeAt returns purge as the record has it: whole seconds, rounded up; 0 for never.
func (f *modelFamily) purgeAt() int64 {
	if f.purge.IsZero() {
		return 0
	}
	return f.purge.Add(time.Second - time.Nanosecond).Unix()
}

// revoke ends the family, unless something else did.
func (f *modelFamily) revoke(cause family.Cause, p *family.Policy, now time.Time) {
	if f.gone || f.revoked != "" {
		return
	}
	f.revoked = cause
	late := p.IdleLifetime.Duration()
	if late == 0 {
		late = 60 * 24 * time.Hour
	}
	if purge := now.Add(late + retention); f.expires.IsZero() || purge.Before(f.purge) {
		f.purge = purge
	}
}

func (f *modelFamily) clone() *modelFamily {
	g := *f
	return &g
}

// modelCount is how many families an owner is taken to have, and whether that
// has put it on the sweep's list. A login or a sweep that was cut short leaves
// it open what it did.
type modelCount struct {
	low, high int         // the count is between these
	must, may bool        // it is on the list; it may be
	plans     []modelPlan // what sweeps that were cut short may have set out to end
}

// modelPlan is what a sweep set out to end, and when.
type modelPlan struct {
	at       time.Time
	families []*modelFamily
	used     []time.Time // the last use of each that it saw
}

// left are those of its families that it still ends: none that ended otherwise, and
// none that came into use.
func (p *modelPlan) left() (families []*modelFamily) {
	for i, f := range p.families {
		if !f.gone && f.revoked == "" && f.used.Equal(p.used[i]) {
			families = append(families, f)
		}
	}
	return families
}

// keyed is what a login with the key comes to: a status that is not 201 is that of a
// refusal; a family that is nil is a new one.
func (m *model) keyed(k modelKey, scope string, now time.Time) (*modelFamily, int) {
	s := m.keys[k]
	switch {
	case k.key == 0 || s == nil || !now.Before(s.until):
		return nil, http.StatusCreated
	case s.scope != scope:
		return nil, http.StatusUnprocessableEntity
	case s.family.gone || s.family.newest != 1 || s.family.death(m.policies[k.client], now) != "":
		return nil, http.StatusConflict
	}
	return s.family, http.StatusCreated
}

// login starts a family.
func (m *model) login(id family.ID, owner modelOwner, scope string, now time.Time) *modelFamily {
	p := m.policies[owner.client]
	f := &modelFamily{modelOwner: owner, id: id.String(), ulid: id.ULID().String(), scope: scope, issued: now, newest: 1}
	if p.AbsoluteLifetime > 0 {
		f.expires = now.Add(p.AbsoluteLifetime.Duration())
		f.purge = f.expires.Add(retention)
	}
	f.usedAt(now, p)
	m.families = append(m.families, f)
	return f
}

// counted says that a family was counted to its owner, or may have been.
func (m *model) counted(owner modelOwner, surely bool) {
	c := m.owners[owner]
	if c == nil {
		c = &modelCount{}
		m.owners[owner] = c
	}
	c.high++
	c.may = c.may || c.high > m.policies[owner.client].MaxActive
	if surely {
		c.low++
		c.must = c.must || c.low > m.policies[owner.client].MaxActive
	}
}

// active are the owner's active families, oldest first, without those that are to
// end anyway.
func (m *model) active(owner modelOwner, ending []*modelFamily, now time.Time) (active []*modelFamily) {
	for _, f := range m.families {
		if f.modelOwner == owner && !f.gone && f.death(m.policies[owner.client], now) == "" && !slices.Contains(ending, f) {
			active = append(active, f)
		}
	}
	slices.SortFunc(active, func(f, g *modelFamily) int { return strings.Compare(f.ulid, g.ulid) })
	return active
}

// excess returns those of them that go, past the owner's limit: by their last use, or by
// their age.
func (m *model) excess(owner modelOwner, ending []*modelFamily, now time.Time) []*modelFamily {
	p := m.policies[owner.client]
	active := m.active(owner, ending, now)
	if p.Evict == family.LeastRecentlyUsed {
		slices.SortStableFunc(active, func(f, g *modelFamily) int { return f.used.Compare(g.used) })
	}
	return active[:max(0, len(active)-p.MaxActive)]
}

// swept returns what a sweep at now may end of the owner's families: one of these sets. It
// carries out a plan that is there, and then makes its own.
func (m *model) swept(owner modelOwner, now time.Time) [][]*modelFamily {
	c := m.owners[owner]
	var allowed [][]*modelFamily
	if !c.must {
		allowed = append(allowed, nil)
	}
	if !c.may {
		return allowed
	}
	made := [][]*modelFamily{m.excess(owner, nil, now)}
	allowed = append(allowed, made[0])
	for _, p := range c.plans {
		left := p.left()
		own := m.excess(owner, left, now)
		made = append(made, own)
		allowed = append(allowed, slices.Concat(left, own))
	}
	for _, families := range made {
		p := modelPlan{at: now, families: families}
		for _, f := range families {
			p.used = append(p.used, f.used)
		}
		if len(families) > 0 {
			c.plans = append(c.plans, p)
		}
	}
	return allowed
}

// settled takes note of what a sweep of the owner left; whole says that nothing cut
// it short, some that it ended families.
func (m *model) settled(owner modelOwner, whole, some bool, now time.Time) {
	c := m.owners[owner]
	active := len(m.active(owner, nil, now))
	switch {
	case !whole:
		c.low = min(c.low, active)
		c.must = c.must && active > m.policies[owner.client].MaxActive
	case c.must || some:
		*c = modelCount{low: active, high: active}
	default: // whether it was on the list cannot be seen
		*c = modelCount{low: min(c.low, active), high: c.high}
	}
}

// others are the user's living families but for one.
func (m *model) others(user string, keep *modelFamily, now time.Time) (living []*modelFamily) {
	for _, f := range m.families {
		if f.user == user && f != keep && !f.gone && f.death(m.policies[f.client], now) == "" {
			living = append(living, f)
		}
	}
	return living
}

// erase takes all that is kept of a user away.
func (m *model) erase(user string) {
	for _, f := range m.families {
		if f.user == user {
			f.gone, f.erased = true, true
		}
	}
	for owner := range m.owners {
		if owner.user == user {
			m.owners[owner] = &modelCount{}
		}
	}
	maps.DeleteFunc(m.keys, func(k modelKey, _ *modelStart) bool { return k.user == user })
}
