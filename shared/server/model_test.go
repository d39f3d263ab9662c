package server_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
)

// model is what Rotor promises, without a store, tokens or HTTP: the families, and what
// follows from each use of a token. It shares words with the service but no code, and random
// histories compare the two.
type model struct {
	policies map[string]*family.Policy // by client id
	families []*modelFamily            // oldest first
	owners   map[modelOwner]*modelCount
	keys     map[modelKey]*modelStart // families that idempotency keys have started
	foreign  map[int]*modelForeign    // another provider's tokens that were imported, by their number
}

// modelForeign holds what is remembered of another provider's token: the family that it starts.
type modelForeign struct {
	family *modelFamily
	until  time.Time // when it may be forgotten; zero for never
}

// modelKey identifies an Idempotency-Key of a user in a client.
type modelKey struct {
	modelOwner
	key int
}

// modelStart holds the family that a login with a key has started.
type modelStart struct {
	family *modelFamily
	scope  string
	coded  bool // the login asked for a code
	holder int  // whose key it named
	until  time.Time
}

type modelOwner struct{ user, client string }

// modelFamily holds the family of one login.
type modelFamily struct {
	modelOwner
	id, ulid   string
	issued     time.Time
	expires    time.Time    // absolute end; zero for none
	used       time.Time    // last use
	coded      bool         // a code starts it: its number 0
	foreign    int          // the number of another provider's token, which starts it: its number 0; 0 for none
	until      time.Time    // end of the code, and then of the time in which its second use is forgiven
	newest     uint32       // 0 while its number 0 has not been used
	made       time.Time    // when the newest token was made; zero for the first
	parent     uint32       // the token that was exchanged for the newest
	newestUsed bool         // whether a use without rotation is recorded
	observed   time.Time    // when a reuse was recorded, or a late use was stored; zero for never
	stored     int          // how many late uses are stored as events
	holder     int          // whose key the family is bound to; 0 for nobody's
	codeHolder int          // whose key its code is bound to, until it is exchanged
	scope      string       // a change may narrow it
	claim      int          // a change sets it
	revoked    family.Cause // "" if the family is not revoked
	purge      time.Time    // when its record may be purged; zero for never
	gone       bool         // the record is purged
	erased     bool         // erased with everything about its user
}

// fate is what follows from a use of a token.
type fate struct {
	kind  fateKind
	cause family.Cause // set for refused and dead
}

type fateKind string

const (
	rotates  fateKind = "rotates"  // the newest: gets its successor
	held     fateKind = "held"     // the newest inside the interval after its rotation: gets itself
	newest   fateKind = "newest"   // the newest token's parent inside the interval: gets the newest
	skips    fateKind = "skips"    // a lost response: gets a successor of the unused newest
	ahead    fateKind = "ahead"    // newer than the record: the family moves ahead
	lateUse  fateKind = "late"     // superseded, but the family's key comes with it: gets the newest
	observed fateKind = "observed" // a reuse that is only recorded: gets the newest
	reuse    fateKind = "reuse"    // a reuse that ends the family
	refused  fateKind = "refused"  // refused, but the family is still active
	unproven fateKind = "unproven" // lacks a proof of a key: changes nothing
	noNonce  fateKind = "no nonce" // its proof lacks a recent nonce: changes nothing
	dead     fateKind = "dead"
	noScope  fateKind = "no scope"  // asks for a scope that was never granted: changes nothing
	noTarget fateKind = "no target" // asks for a resource outside the audience: changes nothing
	unclear  fateKind = "unclear"   // may have been valid when the request began: must retry
)

// honoured reports whether the use gets a new token.
func (k fateKind) honoured() bool {
	return slices.Contains([]fateKind{rotates, held, newest, skips, ahead, lateUse, observed}, k)
}

// locks returns whose key it takes to use the family's token n, or 0 for none.
func (f *modelFamily) locks(n uint32) int {
	if f.coded && f.newest == 0 && n == 0 {
		return f.codeHolder
	}
	return f.holder
}

// keyless returns what follows if token n comes with that proof of a key and the proof is not enough. It returns the
// zero value if it is. Who lacks the key of a living family is refused and ends nothing.
func (f *modelFamily) keyless(n uint32, key modelKeyProof) fate {
	switch owner := f.locks(n); {
	case owner == 0 || owner == key.proven():
		return fate{}
	case key.proven() != 0:
		return fate{refused, family.WrongKey}
	}
	return key.refusal()
}

// fateOfCode returns what follows if the client presents the family's code with that proof.
func (f *modelFamily) fateOfCode(proof modelProof, key modelKeyProof, client string, p *family.Policy, now time.Time) fate {
	switch cause := f.death(p, now); {
	case f.gone:
		return fate{dead, family.Purged}
	case client != f.client:
		return fate{dead, family.WrongClient}
	case cause != "":
		return fate{dead, cause}
	case f.keyless(0, key) != fate{}:
		return f.keyless(0, key)
	case f.newest == 0 && proof == wrongVerifier:
		return fate{refused, family.WrongVerifier}
	case f.newest == 0 && proof == wrongRedirect:
		return fate{refused, family.WrongRedirect}
	case f.newest == 0:
		return fate{kind: rotates}
	case f.holder != 0, proof != wrongVerifier && now.Before(f.until), f.reused(p, now).kind == observed:
		return fate{refused, family.CodeUsed}
	}
	return fate{kind: reuse}
}

// fate returns what follows if the client, whose policy is p, presents token n at now, with that proof of a key.
func (f *modelFamily) fate(n uint32, key modelKeyProof, client string, p *family.Policy, now time.Time) fate {
	switch cause := f.deathOnceBegun(p, now); {
	case f.gone:
		return fate{dead, family.Purged}
	case client != f.client:
		return fate{dead, family.WrongClient}
	case cause != "":
		return fate{dead, cause}
	case f.keyless(n, key) != fate{}:
		return f.keyless(n, key)
	case n > f.newest:
		return fate{kind: ahead}
	case n == f.newest && p.Rotation && f.inside(p, now):
		return fate{kind: held}
	case n == f.newest:
		return fate{kind: rotates}
	case n == f.parent && f.inside(p, now):
		return fate{kind: newest}
	case f.holder != 0: // whose key came with it
		return fate{kind: lateUse}
	case n == f.parent && p.LostResponse == family.UntilUsed && !f.newestUsed:
		return fate{kind: skips}
	case n < f.parent && p.ReuseInterval > 0 && now.Before(f.made) && f.reused(p, now).kind == reuse:
		return fate{kind: unclear}
	}
	return f.reused(p, now)
}

// inside reports whether the last rotation is less than an interval ago.
func (f *modelFamily) inside(p *family.Policy, now time.Time) bool {
	return !f.made.IsZero() && max(now.Sub(f.made), 0) < p.ReuseInterval.Duration()
}

func (*modelFamily) reused(p *family.Policy, now time.Time) fate {
	if p.ReuseDetection == family.Observe && now.Before(p.ObserveUntil) {
		return fate{kind: observed}
	}
	return fate{kind: reuse}
}

// deathOnceBegun returns why the family is dead for who has a token of it, even if the record
// does not know of any, or for who ends it.
func (f *modelFamily) deathOnceBegun(p *family.Policy, now time.Time) family.Cause {
	g := f.clone()
	g.newest = max(f.newest, 1)
	return g.death(p, now)
}

// death returns why the family is dead, or "" if it is active.
func (f *modelFamily) death(p *family.Policy, now time.Time) family.Cause {
	switch idle := f.used.Add(p.IdleLifetime.Duration()); {
	case f.revoked != "":
		return f.revoked
	case f.issued.Before(p.NotBefore):
		return family.ClientNotBefore
	case f.coded && f.newest == 0 && !now.Before(f.until):
		return family.CodeExpired
	case p.IdleLifetime > 0 && !now.Before(idle) && (f.expires.IsZero() || idle.Before(f.expires)):
		return family.ExpiredIdle
	case !f.expires.IsZero() && !now.Before(f.expires):
		return family.ExpiredAbsolute
	}
	return ""
}

// modelAsked holds what a use asks for: a scope, "" for every scope of the family, and whether
// it also asks for a resource that it cannot have. With a code comes a proof, and with any token a proof of a
// key may come.
type modelAsked struct {
	scope  string
	target bool
	proof  modelProof
	key    modelKeyProof
}

// modelKeyProof is the proof of a key that comes with a token. The keys are numbered from 1.
type modelKeyProof struct {
	key  int // 0 if no proof comes
	flaw modelFlaw
	old  bool // its nonce is the oldest that is good
}

// modelFlaw is why a proof of a key is no good.
type modelFlaw int

const (
	flawless modelFlaw = iota
	staleNonce
	otherAddress // it is a proof for another endpoint
)

// proven returns whose key is proven, or 0 for nobody's.
func (p modelKeyProof) proven() int {
	if p.flaw != flawless {
		return 0
	}
	return p.key
}

// refusal returns what follows where a proof is needed and this is none.
func (p modelKeyProof) refusal() fate {
	if p.key != 0 && p.flaw == staleNonce {
		return fate{kind: noNonce}
	}
	return fate{unproven, family.NoProof}
}

// demanded returns what follows if the client's policy demands a better proof of every request, and whether it does.
// If a proof comes where one is allowed, it must be good.
func (p modelKeyProof) demanded(client string, policy *family.Policy) (fate, bool) {
	bad := p.key != 0 && p.proven() == 0
	missing := p.key == 0 && policy.DPoP == family.DPoPRequired && isConfidential(client)
	return p.refusal(), bad && policy.DPoP != family.DPoPOff || missing
}

// early returns what follows from a use that needs no record, and whether it needs none.
func (f *modelFamily) early(client string, key modelKeyProof, p *family.Policy) (fate, bool) {
	if got, ok := key.demanded(client, p); ok {
		return got, true
	}
	return fate{dead, family.ClientNotBefore}, f.issued.Before(p.NotBefore) // the token alone tells this
}

// isConfidential reports whether a client of the histories is.
func isConfidential(client string) bool { return client == "web" }

// confirmed returns whose key the access token of a use is bound to that came with that proof, or 0.
func (f *modelFamily) confirmed(key modelKeyProof, p *family.Policy) int {
	if p.DPoP == family.DPoPOff && f.holder == 0 {
		return 0
	}
	return key.proven()
}

// modelProof is what comes with a code.
type modelProof int

const (
	rightProof modelProof = iota
	wrongVerifier
	wrongRedirect
)

// grants reports whether the family may have the scope.
func (f *modelFamily) grants(scope string) bool {
	return !slices.ContainsFunc(strings.Fields(scope), func(s string) bool { return !slices.Contains(strings.Fields(f.scope), s) })
}

// refresh uses token n and returns what follows.
func (f *modelFamily) refresh(n uint32, client string, asked modelAsked, p *family.Policy, now time.Time) fate {
	if got, early := f.early(client, asked.key, p); early {
		return got
	}
	got := f.fate(n, asked.key, client, p, now)
	if n == 0 && f.coded {
		got = f.fateOfCode(asked.proof, asked.key, client, p, now)
	}
	switch {
	case got.kind.honoured() && !f.grants(asked.scope):
		return fate{kind: noScope}
	case got.kind.honoured() && asked.target:
		return fate{kind: noTarget}
	case got.kind.honoured() && f.newest == 0 && p.DPoP == family.DPoPRequired && asked.key.proven() == 0:
		return asked.key.refusal()
	}
	if got.kind.honoured() && f.newest == 0 {
		f.begins(asked.key, p)
	}
	switch got.kind {
	case rotates:
		if f.newestUsed = !p.Rotation; p.Rotation || n == 0 {
			f.moved(n, n+1, now)
		}
		if n == 0 && f.coded {
			f.until = now.Add(10 * time.Second)
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
	case ahead: // n is now the newest, and used
		f.moved(n-1, n, now)
		if f.newestUsed = true; p.Rotation && p.ReuseInterval == 0 {
			f.moved(n, n+1, now)
		}
		f.usedAt(now, p)
	case lateUse:
		if first := f.observed.IsZero(); first || now.Sub(f.observed) >= time.Hour {
			if now.Before(f.used) { // a slow request
				now = f.used
			}
			f.observed = now
			f.stored++
			f.usedAt(now, p)
		} else if f.overdue(p, now) {
			f.usedAt(now, p)
		}
	case observed:
		if f.observed.IsZero() {
			f.observed = now
		}
	case reuse:
		f.revoke(family.ReuseDetected, p, now)
	}
	return got
}

// begins binds a family to the key that comes with its first use. That is one of its number 0, or of a later token if
// the record is from before that was used. The families of confidential clients are not bound.
func (f *modelFamily) begins(key modelKeyProof, p *family.Policy) {
	if f.holder == 0 && p.DPoP != family.DPoPOff && !isConfidential(f.client) {
		f.holder = key.proven()
	}
}

// moved records that a token became the newest in exchange for its parent.
func (f *modelFamily) moved(parent, newest uint32, now time.Time) {
	f.parent, f.newest, f.made, f.newestUsed = parent, newest, now, false
}

// overdue reports whether the last recorded use is so long ago that the next use must be
// recorded.
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
	if !f.expires.IsZero() {
		f.purge = f.expires.Add(retention)
	} else {
		f.purge = time.Time{}
		if p.IdleLifetime > 0 {
			f.purge = now.Add(p.IdleLifetime.Duration() + retention)
		}
	}
}

// purgeAt returns the purge time in the form of the record: whole seconds, rounded up; 0 for
// never.
func (f *modelFamily) purgeAt() int64 {
	if f.purge.IsZero() {
		return 0
	}
	return seconds(f.purge)
}

// seconds returns a time in whole seconds, rounded up.
func seconds(t time.Time) int64 { return t.Add(time.Second - time.Nanosecond).Unix() }

// revoke ends the family, unless it has ended already.
func (f *modelFamily) revoke(cause family.Cause, p *family.Policy, now time.Time) {
	if f.gone || f.revoked != "" {
		return
	}
	f.revoked = cause
	late := p.IdleLifetime.Duration()
	if late == 0 {
		late = 60 * 24 * time.Hour
	}
	f.purge = now.Add(late + retention)
	if fixed := f.expires.Add(retention); !f.expires.IsZero() && fixed.Before(f.purge) {
		f.purge = fixed
	}
}

func (f *modelFamily) clone() *modelFamily {
	g := *f
	return &g
}

// modelCount holds what is known of the owner's record: how many families it counts, when one was
// last counted, and whether that has put the owner on the sweep's work list. After a login or a
// sweep that was cut short, and after a count whose answer was lost, more than one answer is
// possible.
type modelCount struct {
	low, high    int         // the count is between these
	since, until time.Time   // the last family was counted between these
	gone         bool        // the record may be purged
	must, may    bool        // the owner is on the work list; the owner may be
	plans        []modelPlan // what sweeps that were cut short may have planned to end
}

// modelPlan holds what a sweep planned to end, and when.
type modelPlan struct {
	at       time.Time
	families []*modelFamily
	used     []time.Time // the last use of each that the sweep saw
}

// left returns the families that the plan still ends: those that have not ended otherwise and
// were not used since.
func (p *modelPlan) left() (families []*modelFamily) {
	for i, f := range p.families {
		if !f.gone && f.revoked == "" && f.used.Equal(p.used[i]) {
			families = append(families, f)
		}
	}
	return families
}

// keyed returns what follows from a login with the idempotency key, which names the holder's key for the family,
// 0 for none. A status other than 201 is a refusal; with 201 the family is the one that the idempotency key
// stands for, or nil for a new one.
func (m *model) keyed(k modelKey, scope string, coded bool, holder int, now time.Time) (*modelFamily, int) {
	s := m.keys[k]
	switch {
	case (k.key == 0 || s == nil || !now.Before(s.until)) && !m.binds(k.client, coded, holder):
		return nil, http.StatusBadRequest
	case k.key == 0 || s == nil || !now.Before(s.until):
		return nil, http.StatusCreated
	case s.scope != scope, s.coded != coded, s.holder != holder:
		return nil, http.StatusUnprocessableEntity
	case s.family.gone || s.family.newest != s.family.first() || s.family.death(m.policies[k.client], now) != "":
		return nil, http.StatusConflict
	}
	return s.family, http.StatusCreated
}

// binds reports whether a login in the client may name the holder's key, or none, which is 0.
func (m *model) binds(client string, coded bool, holder int) bool {
	p := m.policies[client].DPoP
	if holder == 0 { // what a code needs is asked at its exchange
		return p != family.DPoPRequired || coded || isConfidential(client)
	}
	return p != family.DPoPOff && (coded || !isConfidential(client))
}

// first returns the number of what the family begins with.
func (f *modelFamily) first() uint32 {
	if f.coded || f.foreign != 0 {
		return 0
	}
	return 1
}

// foreignKept is how long another provider's token is remembered at least.
const foreignKept = 365 * 24 * time.Hour

// imports starts the family of another provider's token.
func (m *model) imports(id family.ID, owner modelOwner, number int, now time.Time) *modelFamily {
	f := m.started(&modelFamily{modelOwner: owner, scope: "read write", foreign: number}, id, now)
	until := now.Add(foreignKept)
	if f.purge.IsZero() || f.purge.After(until) {
		until = f.purge
	}
	m.foreign[number] = &modelForeign{f, until}
	return f
}

// forget forgets another provider's tokens that were imported so long ago.
func (m *model) forget(now time.Time) {
	maps.DeleteFunc(m.foreign, func(_ int, known *modelForeign) bool {
		return !known.until.IsZero() && seconds(known.until) <= now.Unix()
	})
}

// login starts a family, bound to the holder's key unless that is 0.
func (m *model) login(id family.ID, owner modelOwner, scope string, coded bool, holder int, now time.Time) *modelFamily {
	f := m.started(&modelFamily{modelOwner: owner, scope: scope, coded: coded}, id, now)
	if !isConfidential(owner.client) {
		f.holder = holder
	}
	if coded {
		f.codeHolder = holder
		f.until = now.Add(time.Minute)
		f.purge = f.until.Add(24 * time.Hour)
	}
	return f
}

// started adds a family.
func (m *model) started(f *modelFamily, id family.ID, now time.Time) *modelFamily {
	p := m.policies[f.client]
	f.id, f.ulid, f.issued, f.newest = id.String(), id.ULID().String(), now, f.first()
	if p.AbsoluteLifetime > 0 {
		f.expires = now.Add(p.AbsoluteLifetime.Duration())
	}
	f.usedAt(now, p)
	m.families = append(m.families, f)
	return f
}

// counted records that a family was counted for its owner: surely, or it may have been. It may have
// been counted up to most times, since the SDK repeats a count whose answer is lost.
func (m *model) counted(owner modelOwner, surely bool, most int, now time.Time) {
	c := m.owners[owner]
	if c == nil {
		c = &modelCount{}
		m.owners[owner] = c
	}
	limit := m.policies[owner.client].MaxActive
	if c.gone {
		c.recounted(len(m.active(owner, nil, now)))
	}
	c.high += most
	c.may = c.may || c.high > limit
	c.until = now
	if surely {
		c.low++
		c.must = c.must || c.low > limit
		c.since, c.gone = now, false
	}
}

// recounted records that the count may have been lost with its record, and made anew of the
// active families.
func (c *modelCount) recounted(active int) { c.low, c.high = min(c.low, active), max(c.high, active) }

// purged records that all owners' records whose time has come are purged. Each is kept at least
// as long as the last family that was counted.
func (m *model) purged(now time.Time) {
	for _, c := range m.owners {
		c.gone = c.gone || now.Sub(c.since) >= retention
	}
}

// active returns the owner's active families, oldest first, without those that are about to
// end.
func (m *model) active(owner modelOwner, ending []*modelFamily, now time.Time) (active []*modelFamily) {
	for _, f := range m.families {
		if f.modelOwner == owner && !f.gone && f.death(m.policies[owner.client], now) == "" && !slices.Contains(ending, f) {
			active = append(active, f)
		}
	}
	slices.SortFunc(active, func(f, g *modelFamily) int { return strings.Compare(f.ulid, g.ulid) })
	return active
}

// excess returns the active families that the owner has beyond the limit, chosen by their last
// use or by their age.
func (m *model) excess(owner modelOwner, ending []*modelFamily, now time.Time) []*modelFamily {
	p := m.policies[owner.client]
	active := m.active(owner, ending, now)
	if p.Evict == family.LeastRecentlyUsed {
		slices.SortStableFunc(active, func(f, g *modelFamily) int { return f.used.Compare(g.used) })
	}
	return active[:max(0, len(active)-p.MaxActive)]
}

// swept returns the sets of the owner's families of which a sweep at now may end one. A sweep
// first completes an existing plan, and then makes its own.
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

// underWay is how long a login may take. Until then a family that is counted and not found may
// be one that is about to begin, and a sweep counts it.
const underWay = 5 * time.Minute

// settled records what a sweep of the owner left. whole says that nothing cut the sweep short,
// and ended is how many families it ended.
func (m *model) settled(owner modelOwner, whole bool, ended int, now time.Time) {
	c := m.owners[owner]
	if !c.may {
		return
	}
	active, limit := len(m.active(owner, nil, now)), m.policies[owner.client].MaxActive
	if c.gone {
		c.recounted(active + ended)
	}
	// The count of an owner that was on the list, once what was ended is subtracted.
	low, high := active, active
	if now.Sub(c.since) < underWay {
		low = max(active, c.low-ended)
	}
	if now.Sub(c.until) < underWay {
		high = max(active, c.high-ended)
	}
	switch {
	case !whole: // any part of that may be done
		c.low, c.high = min(active, c.low-ended), max(active, c.high)
		c.must = (c.must || ended > 0) && low > limit
		return
	case c.must || ended > 0:
		c.low, c.high = low, high
		c.must, c.may = low > limit, high > limit
	case active > limit: // it was not on the list
		c.may = false
	default: // it cannot be seen whether the owner was on the list
		c.low, c.high = min(active, c.low), max(active, c.high)
		c.may = high > limit
	}
	c.plans = nil
}

// ending returns what a revocation of all the user's families except keep ends: the active ones,
// and those whose code was not exchanged in time.
func (m *model) ending(user string, keep *modelFamily, now time.Time) (ending []*modelFamily) {
	for _, f := range m.families {
		if f.user == user && f != keep && !f.gone && f.deathOnceBegun(m.policies[f.client], now) == "" {
			ending = append(ending, f)
		}
	}
	return ending
}

// others returns the user's active families except keep.
func (m *model) others(user string, keep *modelFamily, now time.Time) (living []*modelFamily) {
	for _, f := range m.families {
		if f.user == user && f != keep && !f.gone && f.death(m.policies[f.client], now) == "" {
			living = append(living, f)
		}
	}
	return living
}

// erase removes everything about a user.
func (m *model) erase(user string) {
	for _, f := range m.families {
		if f.user == user {
			f.gone, f.erased = true, true
		}
	}
	for owner, c := range m.owners {
		if owner.user == user { // without the record, an erasure does not find the entry on the work list
			m.owners[owner] = &modelCount{may: c.may && c.gone}
		}
	}
	maps.DeleteFunc(m.keys, func(k modelKey, _ *modelStart) bool { return k.user == user })
}
