package server_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
	"github.com/rotor-auth/rotor/shared/sweep"
)

// history plays a script on two servers over one table and on the model, and
// compares them after each step.
type history struct {
	*world
	model  model
	secret string // of client "web"
	script []string
	read   int               // how much of the log
	held   []*heldUse        // requests that wait in the store, oldest first
	tokens map[string]string // every refresh token that was answered, and whose it is
	purged bool
}

var (
	historyUsers   = []string{"ann", "bob"}
	historyClients = []string{"app", "web"}
)

// historyPolicies returns the policies that clients change between.
func historyPolicies(now time.Time) []family.Policy {
	policies := make([]family.Policy, 8)
	for i := range policies {
		policies[i] = family.DefaultPolicy()
		policies[i].MaxActive = 3
	}
	policies[1].ReuseInterval, policies[1].InvalidGrantStatus = 0, http.StatusForbidden
	p := &policies[2]
	p.ReuseInterval, p.LostResponse, p.AbsoluteLifetime, p.IdleLifetime = 10, family.UntilUsed, 0, 0
	p = &policies[3]
	p.Rotation, p.IdleLifetime = false, 3600
	p = &policies[4]
	p.ReuseInterval, p.ReuseDetection, p.ObserveUntil = 5, family.Observe, now.Add(24*time.Hour).Truncate(time.Second)
	p = &policies[5]
	p.ReuseInterval, p.AbsoluteLifetime, p.IdleLifetime, p.MaxActive = 86_400, 7200, 1800, 2
	p = &policies[6]
	p.ReuseInterval, p.LostResponse, p.AbsoluteLifetime, p.MaxActive = 0, family.UntilUsed, 0, 4
	p = &policies[7]
	p.MaxActive, p.Evict = 2, family.Oldest
	return policies
}

func newHistory(t testing.TB) *history {
	h := &history{
		world: newWorld(t, servers(2)), tokens: map[string]string{},
		model: model{policies: map[string]*family.Policy{}, owners: map[modelOwner]*modelCount{}, keys: map[modelKey]*modelStart{}},
	}
	t.Cleanup(func() {
		for _, w := range h.held {
			w.release()
		}
	})
	h.secret = h.addSecret("web")
	for i := range historyClients {
		h.play(step{Op: "policy", Client: i})
	}
	return h
}

// fail ends the history, and shows its script. What it says to the test is the same
// for every such failure: a shorter script is one that fails alike.
func (h *history) fail(format string, args ...any) {
	log := strings.Split(strings.TrimSpace(h.log.String()), "\n")
	h.t.Logf(format, args...)
	h.t.Logf("the script:\n%s", strings.Join(h.script, "\n"))
	h.t.Logf("the end of the log:\n%s", strings.Join(log[max(0, len(log)-3):], "\n"))
	h.t.Fatal(format)
}

// play is one step, on both sides.
func (h *history) play(s step) {
	h.script = append(h.script, s.String())
	now := h.clock.Now()
	if s.Op == "policy" || s.Op == "not_before" || s.Op == "login" {
		s.Client %= len(historyClients)
	}
	ofFamily := slices.Contains([]string{"refresh", "race", "hold", "logout", "end", "others", "change", "introspect", "explain"}, s.Op)
	if ofFamily && len(h.model.families) == 0 {
		return
	}
	switch s.Op {
	case "login":
		h.login(s)
	case "refresh":
		h.refresh(s)
	case "race":
		h.raceOf(s)
	case "hold":
		h.hold(s)
	case "release":
		h.release()
	case "advance":
		h.clock.Advance(time.Duration(s.MS) * time.Millisecond)
	case "policy":
		p := historyPolicies(now)[s.Policy%len(historyPolicies(now))]
		if historyClients[s.Client] == "app" {
			p.Rotation = true // it is public
		}
		if old := h.model.policies[historyClients[s.Client]]; old != nil {
			p.NotBefore = old.NotBefore
		}
		h.register(historyClients[s.Client], &p, "")
	case "not_before":
		p := *h.model.policies[historyClients[s.Client]]
		p.NotBefore = now.Truncate(time.Second)
		if p.ReuseDetection == family.Observe && !now.Before(p.ObserveUntil) {
			return // such a policy is refused
		}
		h.register(historyClients[s.Client], &p, p.NotBefore.Format(time.RFC3339))
	case "logout":
		h.logout(s)
	case "end":
		h.endFamily(s)
	case "change":
		h.change(s)
	case "changes":
		h.changeAll(s)
	case "password":
		h.password(s)
	case "others":
		h.others(s)
	case "erase":
		h.erase(s)
	case "sweep":
		for len(h.held) > 0 && now.Sub(h.held[0].now) > 5*time.Minute {
			h.release() // no request takes that long, and a sweep relies on it
		}
		h.sweepOwners(s)
	case "purge":
		h.purge()
		h.purged = true
		for _, f := range h.model.families {
			f.gone = f.gone || !f.purge.IsZero() && f.purgeAt() <= now.Unix()
			h.same(f)
		}
	case "introspect":
		u := h.use(s)
		a := h.sendTo(s.Server, http.MethodPost, "/oauth/introspect", formType, url.Values{
			"client_id": {"web"}, "client_secret": {h.secret}, "token": {h.mint(u.f.id, u.n)},
		}.Encode())
		if got := u.f.fate(u.n, "web", h.model.policies["web"], now); a.status != http.StatusOK || a.json["active"] != got.kind.honoured() {
			h.fail("introspection says %v of a token that %v", a, got)
		}
	case "explain":
		h.explained(h.use(s))
	default:
		h.t.Fatalf("there is no step %q", s.Op)
	}
}

// end lets all that waits go, and asks of every family whether it is as it must be.
func (h *history) end() {
	for len(h.held) > 0 {
		h.play(step{Op: "release"})
	}
	h.play(step{Op: "sweep"})
	for i := range h.model.families {
		h.explained(h.use(step{Family: i}))
	}
	h.trailComplete()
	for i := range h.model.families {
		h.play(step{Op: "refresh", Family: i})
	}
}

// register puts a client on record, and lets all servers know.
func (h *history) register(client string, p *family.Policy, notBefore string) {
	body := map[string]any{"type": map[string]string{"app": "public", "web": "confidential"}[client], "policy": p}
	if notBefore != "" {
		body["not_before"] = notBefore
	}
	b, err := json.Marshal(body)
	if err != nil {
		h.t.Fatal(err)
	}
	h.putClient(client, string(b))
	h.model.policies[client] = p
	h.clock.Advance(61 * time.Second)
	// While the registry cannot be read, a server goes on with what it has read last:
	// let that be what the model knows.
	more := []string{"client_id", client}
	if client == "web" {
		more = append(more, "client_secret", h.secret)
	}
	for i := range h.servers {
		if a := h.sendTo(i, http.MethodPost, "/oauth/token", formType, refreshForm("none", more...)); !a.refused(p.InvalidGrantStatus) {
			h.t.Fatalf("a token that is none got %v", a)
		}
	}
	h.events()
}

// use is one use of a token, as it was when it began.
type use struct {
	f      *modelFamily
	n      uint32
	client string
	asked  modelAsked
	target int // as in a step
	policy *family.Policy
	now    time.Time
	server int
}

func (h *history) use(s step) use {
	f := h.model.families[len(h.model.families)-1-s.Family%len(h.model.families)]
	n := max(int(f.newest)-s.Back, 1)
	client := historyClients[(slices.Index(historyClients, f.client)+s.Client)%len(historyClients)]
	asked := modelAsked{scope: []string{"", "read admin", "write"}[s.Scope%3], target: s.Target == 2}
	return use{f, uint32(n), client, asked, s.Target, h.model.policies[client], h.clock.Now(), s.Server % len(h.servers)}
}

// happens returns the use, in the model.
func (u use) happens() fate { return u.f.refresh(u.n, u.client, u.asked, u.policy, u.now) }

// form returns the body of the request.
func (h *history) form(u use) string {
	more := []string{"client_id", u.client}
	if u.client == "web" {
		more = append(more, "client_secret", h.secret)
	}
	if u.asked.scope != "" {
		more = append(more, "scope", u.asked.scope)
	}
	form := refreshForm(h.mint(u.f.id, u.n), more...)
	for _, r := range []string{historyAudience[1], "https://c.example"}[:u.target] {
		form += "&resource=" + url.QueryEscape(r)
	}
	return form
}

// historyAudience is whom the access tokens of every family are for.
var historyAudience = []string{"https://a.example", "https://b.example"}

// audience returns whom the access token must be for.
func (u use) audience() any {
	if u.target == 1 {
		return historyAudience[1]
	}
	return []any{historyAudience[0], historyAudience[1]}
}

func (h *history) present(u use) answer {
	return h.sendTo(u.server, http.MethodPost, "/oauth/token", formType, h.form(u))
}

// refresh presents a token, while the store may fail. Whoever gets no answer
// presents it again, and has lost nothing if the policy has an interval.
func (h *history) refresh(s step) {
	u := h.use(s)
	before := u.f.clone()
	want := u.happens()
	var got answer
	if !h.faulty(s, func() { got = h.present(u) }) {
		h.answered(u, want, got, wantEvents(want, before))
		return
	}
	answered := s.Fault != "crash" && !got.unavailable()
	if answered {
		h.answer(u, want, got)
	}
	if !h.is(u.f) {
		if *u.f = *before; answered && want.kind != reuse {
			h.fail("it was answered %v, and not done", got)
		}
		h.same(u.f)
	}
	h.events()
	if answered {
		return
	}
	again, before := h.use(s), u.f.clone()
	again.n = u.n
	wantAgain := again.happens()
	if want.kind.honoured() && u.policy.ReuseInterval > 0 && !wantAgain.kind.honoured() {
		h.fail("a session was lost to our own fault: the token is %v", wantAgain)
	}
	h.answered(again, wantAgain, h.present(again), wantEvents(wantAgain, before))
}

// faulty does something while the store fails as the step says. hit says whether
// that was more than the SDK makes up for.
func (h *history) faulty(s step, do func()) (hit bool) {
	kind, ok := map[string]storetest.Fault{
		"": storetest.None, "failed": storetest.Failed, "throttled": storetest.Throttled, "timeout": storetest.Timeout, "lost": storetest.Lost,
	}[s.Kind]
	if !ok {
		h.t.Fatalf("there is no kind %q of fault", s.Kind)
	}
	h.store.Break(func(call int, _ string) storetest.Fault {
		switch {
		case s.Fault == "" || call < s.Call || s.Fault == "once" && call > s.Call:
			return storetest.None
		case s.Fault == "once":
			return kind
		}
		hit = true
		if s.Fault == "crash" && call > s.Call {
			return storetest.Timeout
		}
		return kind
	})
	do()
	h.store.Break(nil)
	if s.Fault == "crash" {
		h.restart(s.Server % len(h.servers))
	}
	return hit
}

// answered compares all that there is to see of a use with the model, which has
// it behind it.
func (h *history) answered(u use, want fate, got answer, events []string) {
	h.answer(u, want, got)
	h.same(u.f)
	if seen := h.events(); !slices.Equal(seen, events) {
		h.fail("the log has %q of a token that %v, not %q", seen, want, events)
	}
	if !want.kind.honoured() {
		h.explained(u)
	}
}

// answer compares an answer with what the model says.
func (h *history) answer(u use, want fate, got answer) {
	switch {
	case want.kind.honoured():
		successor := got.text("refresh_token")
		if got.status != http.StatusOK || successor != h.mint(u.f.id, u.f.newest) {
			h.fail("token %d of %d, which %v, got %v", u.n, u.f.newest, want, got.status)
		}
		whose := fmt.Sprint(u.f.id, " ", u.f.newest)
		if known, ok := h.tokens[successor]; ok && known != whose {
			h.fail("one token is %s and %s", known, whose)
		}
		h.tokens[successor] = whose
		if _, claims := decodeJWT(h.t, got.text("access_token")); !reflect.DeepEqual(claims["aud"], u.audience()) {
			h.fail("the access token is for %v, not %v", claims["aud"], u.audience())
		} else if scope := cmp.Or(u.asked.scope, u.f.scope); claims["scope"] != scope || got.text("scope") != scope || claims["n"] != claimed(u.f.claim) {
			h.fail("the access token has %v and the answer %v, not %s and %d", claims, got.json["scope"], scope, u.f.claim)
		}
	case want.kind == noScope:
		if got.status != http.StatusBadRequest || got.text("error") != "invalid_scope" {
			h.fail("a scope that was not granted got %v", got)
		}
	case want.kind == noTarget:
		if got.status != http.StatusBadRequest || got.text("error") != "invalid_target" {
			h.fail("a resource that is none of the audience got %v", got)
		}
	case want.kind == unclear:
		if !got.unavailable() {
			h.fail("token %d, which is %v, got %v", u.n, want, got)
		}
	case !got.refused(u.policy.InvalidGrantStatus):
		h.fail("token %d, which is %v, got %v", u.n, want, got)
	}
}

// wantEvents returns the log lines of a use of a family that was as before.
func wantEvents(got fate, before *modelFamily) []string {
	switch got.kind {
	case rotates:
		return []string{"sertft"}
	case held:
		return []string{"sertft held"}
	case newest:
		return []string{"sertft reused"}
	case skips:
		return []string{"sertft lostResponse"}
	case ahead:
		return []string{"ahead"}
	case observed:
		if before.observed {
			return []string{"sertft reused"}
		}
		return []string{"ferrt observed", "sertft reused"}
	case reuse:
		return []string{"ferrt"}
	case refused, dead:
		return []string{"fertft " + string(got.cause)}
	default:
		return nil
	}
}

// events are the log's new lines about uses.
func (h *history) events() (lines []string) {
	log := h.log.String()
	fresh := log[h.read:]
	h.read = len(log)
	for line := range strings.Lines(fresh) {
		var m struct {
			Msg, Type, Cause                     string
			Held, Reused, Observed, LostResponse bool
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			h.t.Fatalf("a log line is not JSON: %v", err)
		}
		if m.Msg != "audit" || !slices.Contains([]string{"sertft", "fertft", "ferrt", "ahead"}, m.Type) {
			continue
		}
		for name, set := range map[string]bool{"held": m.Held, "reused": m.Reused, "observed": m.Observed, "lostResponse": m.LostResponse} {
			if set {
				m.Type += " " + name
			}
		}
		if m.Type == "fertft" {
			m.Type += " " + m.Cause
		}
		lines = append(lines, m.Type)
	}
	return lines
}

// is says whether the family's record is as the model has it.
func (h *history) is(f *modelFamily) bool { return h.difference(f) == "" }

func (h *history) same(f *modelFamily) {
	if d := h.difference(f); d != "" {
		h.fail("family %s of %s, %s", f.id, f.client, d)
	}
}

func (h *history) difference(f *modelFamily) string {
	id, err := family.ParseID(f.id)
	if err != nil {
		h.t.Fatal(err)
	}
	got, err := h.table.Family(h.t.Context(), id)
	if errors.Is(err, store.ErrNotFound) || f.gone {
		if f.gone && err != nil {
			return ""
		}
		return fmt.Sprintf("gone is %v, the record %v", f.gone, got)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	purge := got.PurgeAt.Unix()
	if got.PurgeAt.Year() >= 9999 {
		purge = 0
	}
	type state struct {
		newest   uint32
		cause    family.Cause
		used     time.Time
		observed bool
		purge    int64
		scope    string
		claims   string
	}
	record := state{got.Counter, got.Revoked.Cause, got.LastUsedAt, !got.ObservedAt.IsZero(), purge, strings.Join(got.Scope, " "), got.Claims}
	model := state{f.newest, f.revoked, f.used, f.observed, f.purgeAt(), f.scope, claims(f.claim)}
	if record != model {
		return fmt.Sprintf("the record is %v, the model %v", record, model)
	}
	return ""
}

// explained compares what explain says of a token with what its next use would
// come to.
func (h *history) explained(u use) {
	got := u.f.fate(u.n, u.client, u.policy, h.clock.Now())
	verdict, cause := "dead", got.cause
	switch got.kind {
	case rotates, held, skips, ahead:
		verdict = "valid"
	case newest, observed:
		verdict = "valid_in_reuse_interval"
	case reuse:
		cause = family.Superseded
	}
	body, err := json.Marshal(map[string]string{"refresh_token": h.mint(u.f.id, u.n), "client_id": u.client})
	if err != nil {
		h.t.Fatal(err)
	}
	a := h.sendTo(u.server, http.MethodPost, "/v1/explain", jsonType, string(body))
	if a.text("verdict") != verdict || a.text("cause") != string(cause) || a.text("summary") == "" || a.text("advice") == "" {
		h.fail("token %d of %d, which %v, is explained as %s %s", u.n, u.f.newest, got, a.text("verdict"), a.text("cause"))
	}
}

// raceOf has the same token presented by some at once. In whatever order they
// come, each gets what the model says of one of them.
func (h *history) raceOf(s step) {
	u := h.use(s)
	before := u.f.clone()
	type outcome struct{ status, refreshToken string }
	want, got, ferrt := map[outcome]int{}, map[outcome]int{}, 0
	for range s.Count {
		o := outcome{status: fmt.Sprint(u.policy.InvalidGrantStatus)}
		switch became := u.happens(); {
		case became.kind.honoured():
			o = outcome{"200", h.mint(u.f.id, u.f.newest)}
		case became.kind == reuse:
			ferrt++
		}
		want[o]++
	}
	if u.f.observed && !before.observed {
		ferrt++
	}
	form := h.form(u)
	type reply struct {
		answer answer
		err    error
	}
	replies := make(chan reply)
	for i := range s.Count {
		go func() {
			a, err := h.try((u.server+i)%len(h.servers), http.MethodPost, "/oauth/token", formType, form)
			replies <- reply{a, err}
		}()
	}
	for range s.Count {
		r := <-replies
		if r.err != nil {
			h.t.Fatal(r.err)
		}
		got[outcome{fmt.Sprint(r.answer.status), r.answer.text("refresh_token")}]++
	}
	for o, n := range want {
		if got[o] != n {
			h.fail("%d of %d racers with token %d got %s, not %d", got[o], s.Count, u.n, o.status, n)
		}
	}
	h.same(u.f)
	for _, line := range h.events() {
		if strings.HasPrefix(line, "ferrt") {
			ferrt--
		}
	}
	if ferrt != 0 {
		h.fail("%d reuses are not in the log", ferrt)
	}
}

// heldUse is a request that is slow: it began, and reaches the store later.
type heldUse struct {
	use
	release func()
	answer  chan answer
	failed  chan error
}

// hold begins a request that waits at its write until a release.
func (h *history) hold(s step) {
	w := &heldUse{use: h.use(s), answer: make(chan answer, 1), failed: make(chan error, 1)}
	waits, release := h.store.Hold("UpdateItem")
	w.release = release
	form := h.form(w.use)
	go func() {
		a, err := h.try(w.server, http.MethodPost, "/oauth/token", formType, form)
		if err != nil {
			w.failed <- err
			return
		}
		w.answer <- a
	}()
	select {
	case <-waits:
		h.store.Break(nil)
		h.held = append(h.held, w)
	case a := <-w.answer: // it had no need of the store
		h.store.Break(nil)
		h.answered(w.use, w.happens(), a, []string{"fertft " + string(family.ClientNotBefore)})
	case err := <-w.failed:
		h.t.Fatal(err)
	}
}

// release lets the request go that has waited longest.
func (h *history) release() {
	if len(h.held) == 0 {
		return
	}
	w := h.held[0]
	h.held = h.held[1:]
	before := w.f.clone()
	want := w.happens()
	w.release()
	select {
	case a := <-w.answer:
		h.answer(w.use, want, a)
	case err := <-w.failed:
		h.t.Fatal(err)
	}
	h.same(w.f)
	if seen := h.events(); !slices.Equal(seen, wantEvents(want, before)) {
		h.fail("the log has %q of a token that %v", seen, want)
	}
}

// login starts a family. One whose answer got lost is there or not; with a key the
// login asks again, and there is one.
func (h *history) login(s step) {
	now := h.clock.Now()
	owner := modelOwner{historyUsers[s.User%len(historyUsers)], historyClients[s.Client]}
	scope := "read write"
	if s.Scope == 2 {
		scope = "write read" // asks for the same in other words, which a key does not allow
	}
	body := fmt.Sprintf(`{"user_id":%q,"client_id":%q,"scope":%q,"audience":[%q,%q]}`,
		owner.user, owner.client, scope, historyAudience[0], historyAudience[1])
	key := modelKey{owner, s.Key}
	var header []string
	if s.Key != 0 {
		header = []string{"Idempotency-Key", fmt.Sprint(s.Key)}
	}
	for {
		there, status := h.model.keyed(key, scope, now)
		starts := there == nil && status == http.StatusCreated
		var got answer
		hit := h.faulty(s, func() {
			got = h.sendTo(s.Server%len(h.servers), http.MethodPost, "/v1/families", jsonType, body, header...)
		})
		answered := !hit || s.Fault != "crash" && got.status != http.StatusServiceUnavailable
		if starts {
			h.model.counted(owner, !hit)
		}
		if fresh := h.newFamilies(owner, scope, now); len(fresh) > 0 {
			if there = fresh[0]; !starts || len(fresh) > 1 {
				h.fail("%d families were started by one login", len(fresh))
			}
			if s.Key != 0 {
				h.model.keys[key] = &modelStart{there, scope, now.Add(24 * time.Hour)}
			}
		}
		switch {
		case answered && got.status != status:
			h.fail("a login got %v, not %d", got, status)
		case answered && status == http.StatusCreated && (there == nil || got.text("family") != there.id || got.text("refresh_token") != h.mint(there.id, 1)):
			h.fail("a login was given %v, and there is %v", got.json["family"], there)
		}
		if answered || s.Key == 0 {
			return
		}
		s.Fault = ""
	}
}

// newFamilies takes the user's families that the model does not have into it.
func (h *history) newFamilies(owner modelOwner, scope string, now time.Time) (fresh []*modelFamily) {
	families, _, err := h.table.FamiliesBefore(h.t.Context(), h.keys.Users.Key(owner.user), ulid.ULID{}, 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range families {
		if !slices.ContainsFunc(h.model.families, func(known *modelFamily) bool { return known.id == f.ID.String() }) {
			fresh = append(fresh, h.model.login(f.ID, owner, scope, now))
			h.same(fresh[len(fresh)-1])
		}
	}
	return fresh
}

// claims returns those of a family that a change has given the claim, 0 for none.
func claims(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(`{"n":%d}`, n)
}

// claimed returns the claim as an access token has it.
func claimed(n int) any {
	if n == 0 {
		return nil
	}
	return json.Number(strconv.Itoa(n))
}

// changes are the body of a change, and what it makes of a family.
func (s step) changes() (body string, change func(f *modelFamily)) {
	scope := []string{"", "read", "read write"}[s.Narrow%3]
	said := map[string]any{"claims": json.RawMessage(cmp.Or(claims(s.Claim), "{}"))}
	if scope != "" {
		said["scope"] = scope
	}
	b, err := json.Marshal(said)
	if err != nil {
		panic(err) // it is JSON
	}
	return string(b), func(f *modelFamily) {
		if f.claim = s.Claim; scope != "" {
			f.scope = scope
		}
	}
}

// change changes one family.
func (h *history) change(s step) {
	f := h.use(s).f
	before, status := f.clone(), http.StatusOK
	body, change := s.changes()
	switch {
	case f.gone:
		status = http.StatusNotFound
	case f.death(h.model.policies[f.client], h.clock.Now()) != "":
		status = http.StatusConflict
	case s.Narrow == 2 && !f.grants("read write"):
		status = http.StatusBadRequest
	default:
		change(f)
	}
	h.does(s, f, before, status, http.MethodPatch, "/v1/families/"+f.id, jsonType, body)
}

// changeAll changes all that a user has. Cut short, it has changed some.
func (h *history) changeAll(s step) {
	now, user := h.clock.Now(), historyUsers[s.User%len(historyUsers)]
	living := h.model.others(user, nil, now)
	body, change := s.changes()
	var got answer
	hit := h.faulty(s, func() {
		got = h.sendTo(s.Server%len(h.servers), http.MethodPatch, "/v1/families?user_id="+user, jsonType, body)
	})
	answered := !hit || s.Fault != "crash" && got.status != http.StatusServiceUnavailable
	if answered && (got.status != http.StatusOK || int(got.number("changed")) != len(living)) {
		h.fail("of %d living families %v were changed", len(living), got)
	}
	for _, f := range living {
		before := f.clone()
		if change(f); !answered && !h.is(f) {
			*f = *before
		}
		h.same(f)
	}
}

// logout revokes by token.
func (h *history) logout(s step) {
	u := h.use(s)
	before := u.f.clone()
	status := http.StatusOK
	switch {
	case u.f.gone:
	case u.f.client != u.client:
		status = http.StatusBadRequest
	case u.f.death(u.policy, u.now) == "":
		u.f.revoke(family.RevokedByClient, u.policy, u.now)
	}
	form := url.Values{"client_id": {u.client}, "token": {h.mint(u.f.id, u.n)}}
	if u.client == "web" {
		form.Set("client_secret", h.secret)
	}
	h.does(s, u.f, before, status, http.MethodPost, "/oauth/revoke", formType, form.Encode())
}

// endFamily revokes by the management API.
func (h *history) endFamily(s step) {
	f := h.use(s).f
	before := f.clone()
	p := h.model.policies[f.client]
	status := http.StatusOK
	if f.gone {
		status = http.StatusNotFound
	} else if f.death(p, h.clock.Now()) == "" {
		f.revoke(family.RevokedByAdmin, p, h.clock.Now())
	}
	h.does(s, f, before, status, http.MethodDelete, "/v1/families/"+f.id, "", "")
}

// does sends a request that ends or changes the family, which was as before; without an
// answer it may have.
func (h *history) does(s step, f, before *modelFamily, status int, method, path, contentType, body string) {
	var got answer
	hit := h.faulty(s, func() { got = h.sendTo(s.Server%len(h.servers), method, path, contentType, body) })
	switch answered := !hit || s.Fault != "crash" && got.status != http.StatusServiceUnavailable; {
	case answered && got.status != status:
		h.fail("%s %s got %v, not %d", method, path, got, status)
	case !answered && !h.is(f):
		*f = *before
	}
	h.same(f)
}

// password ends all that a user has.
func (h *history) password(s step) {
	now, user := h.clock.Now(), historyUsers[s.User%len(historyUsers)]
	living := h.model.others(user, nil, now)
	var got answer
	hit := h.faulty(s, func() {
		got = h.sendTo(s.Server%len(h.servers), http.MethodDelete, "/v1/families?cause=password_changed&user_id="+user, "", "")
	})
	answered := !hit || s.Fault != "crash" && got.status != http.StatusServiceUnavailable
	if answered && (got.status != http.StatusOK || int(got.number("revoked")) != len(living)) {
		h.fail("of %d living families %v were ended", len(living), got)
	}
	for _, f := range living {
		before := f.clone()
		f.revoke(family.PasswordChanged, h.model.policies[f.client], now)
		if !answered && !h.is(f) {
			*f = *before
		}
		h.same(f)
	}
}

// others ends all that a user has but one family, if that lives: all of them or none.
func (h *history) others(s step) {
	now, keep := h.clock.Now(), h.use(s).f
	alive := !keep.gone && keep.death(h.model.policies[keep.client], now) == ""
	var living []*modelFamily
	if alive {
		living = h.model.others(keep.user, keep, now)
	}
	var got answer
	hit := h.faulty(s, func() {
		got = h.sendTo(s.Server%len(h.servers), http.MethodDelete, "/v1/families?user_id="+keep.user+"&except="+keep.id, "", "")
	})
	answered := !hit || s.Fault != "crash" && got.status != http.StatusServiceUnavailable
	switch {
	case answered && !alive && got.status != http.StatusUnprocessableEntity:
		h.fail("all but a dead family was answered %v", got)
	case answered && alive && (got.status != http.StatusOK || int(got.number("revoked")) != len(living)):
		h.fail("of %d other families %v were ended", len(living), got)
	}
	ended := 0
	for _, f := range living {
		before := f.clone()
		f.revoke(family.RevokedByAdmin, h.model.policies[f.client], now)
		if !answered && !h.is(f) {
			*f = *before
		} else {
			ended++
		}
		h.same(f)
	}
	h.same(keep)
	if ended != 0 && ended != len(living) {
		h.fail("of %d other families %d were ended", len(living), ended)
	}
}

// erase takes away all that is kept of a user. Cut short, it has done part of that,
// families first, and is called again.
func (h *history) erase(s step) {
	user := historyUsers[s.User%len(historyUsers)]
	stored := func() *store.UserItems {
		items, err := h.table.UserItems(h.t.Context(), h.keys.Users.Key(user), "", 10_000)
		if err != nil {
			h.t.Fatal(err)
		}
		return items
	}
	before := stored()
	var got answer
	hit := h.faulty(s, func() {
		got = h.sendTo(s.Server%len(h.servers), http.MethodDelete, "/v1/users?user_id="+user, "", "")
	})
	if answered := !hit || s.Fault != "crash" && got.status != http.StatusServiceUnavailable; !answered {
		if left := stored(); len(left.Families) > 0 && len(left.Events) < len(before.Events) {
			h.fail("%d families are left, and %d of %d events", len(left.Families), len(left.Events), len(before.Events))
		}
		got = h.send(http.MethodDelete, "/v1/users?user_id="+user, "", "")
	} else if int(got.number("families")) != len(before.Families) || int(got.number("events")) != len(before.Events) {
		h.fail("of %d families and %d events were erased %v", len(before.Families), len(before.Events), got)
	}
	if left := stored(); got.status != http.StatusOK || got.text("next") != "" || !left.Empty() {
		h.fail("an erasure got %v, and left %v", got, left.InOrder())
	}
	h.model.erase(user)
}

// sweepOwners runs the sweep. Cut short, it has done part of its work, which the
// next one finishes.
func (h *history) sweepOwners(s step) {
	now := h.clock.Now()
	table := h.store.Table()
	sweeper := sweep.Sweeper{Table: table, Clients: store.NewRegistry(table, h.logger()), Trail: audit.Trail{Log: h.logger()}}
	var err error
	hit := h.faulty(s, func() { _, err = sweeper.Sweep(h.t.Context(), now) })
	if !hit && err != nil {
		h.fail("a sweep failed: %v", err)
	}
	whole := err == nil
	for owner, count := range h.model.owners {
		allowed := h.model.swept(owner, now)
		var ended []*modelFamily
		for _, f := range h.model.families {
			if f.modelOwner != owner || h.is(f) {
				continue
			}
			before := f.clone()
			for _, plan := range count.plans { // under which of them it ended
				*f = *before.clone()
				if f.revoke(family.LimitExceeded, h.model.policies[owner.client], plan.at); h.is(f) {
					break
				}
			}
			h.same(f)
			ended = append(ended, f)
		}
		ok := false
		for _, set := range allowed {
			missing := slices.DeleteFunc(slices.Clone(set), func(f *modelFamily) bool { return slices.Contains(ended, f) })
			extra := slices.DeleteFunc(slices.Clone(ended), func(f *modelFamily) bool { return slices.Contains(set, f) })
			ok = ok || len(extra) == 0 && (len(missing) == 0 || !whole)
		}
		if !ok {
			h.fail("a sweep ended %d families of %v, which is not what is over the limit", len(ended), owner)
		}
		h.model.settled(owner, whole, len(ended) > 0, now)
	}
}

// trailComplete checks that what ended a family is on record, once.
func (h *history) trailComplete() {
	if h.purged {
		return // events are forgotten before families are
	}
	named := map[string][]string{} // by family, the types of the events that say how it ended
	for _, user := range historyUsers {
		key := h.keys.Users.Key(user)
		events, _, err := h.table.UserEvents(h.t.Context(), key, store.Span{From: time.Unix(0, 0), To: h.clock.Now().Add(time.Second)}, ulid.ULID{}, 10_000)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, e := range events {
			if e.Family != (family.ID{}) && e.Type == audit.Reuse && !e.Observed {
				named[e.Family.String()] = append(named[e.Family.String()], "ferrt")
			}
			for _, u := range e.Families {
				if e.Type == audit.Cleanup {
					id := family.JoinID(key, u).String()
					named[id] = append(named[id], "resource_cleanup")
				}
			}
		}
	}
	for _, f := range h.model.families {
		want := map[family.Cause][]string{family.ReuseDetected: {"ferrt"}, family.LimitExceeded: {"resource_cleanup"}}[f.revoked]
		if f.erased {
			want = nil
		}
		if !slices.Equal(named[f.id], want) {
			h.fail("family %s ended of %q, and the trail has %q", f.id, f.revoked, named[f.id])
		}
	}
}
