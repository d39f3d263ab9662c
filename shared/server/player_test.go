package server_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
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

// history plays a script both on two servers over one table and on the model, and compares
// them after each step.
type history struct {
	*world
	model  model
	secret string // of client "web"
	script []string
	read   int               // how much of the log has been read
	began  int               // how long the log was before the step
	held   []*heldUse        // requests that are held back in the store, oldest first
	tokens map[string]string // each refresh token that was answered, and its family
	purged bool
	seen   map[stranger]time.Time // another provider's tokens that nobody had imported, and when that was found out
	keyed  map[string]string      // each family that has begun, and the thumbprint of the key that its record had then
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
		model: model{
			policies: map[string]*family.Policy{}, owners: map[modelOwner]*modelCount{}, keys: map[modelKey]*modelStart{},
			foreign: map[int]*modelForeign{},
		},
		seen: map[stranger]time.Time{}, keyed: map[string]string{},
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

// verbs matches what fmt replaces in the formats of fail.
var verbs = regexp.MustCompile(`%[a-z]`)

// fail ends the history and shows its script, what the servers logged during the last step, and
// what is wrong. The message that it ends with has no values: it is the same for every such
// failure, because rapid shortens a script only while the message stays the same.
func (h *history) fail(format string, args ...any) {
	log := strings.Split(strings.TrimSpace(h.log.String()[h.began:]), "\n")
	h.t.Logf("the script:\n%s", strings.Join(h.script, "\n"))
	h.t.Logf("the log of the last step:\n%s", strings.Join(log[max(0, len(log)-40):], "\n"))
	h.t.Logf(format, args...)
	h.t.Fatal(verbs.ReplaceAllString(format, "…"))
}

// play plays one step on both sides.
func (h *history) play(s step) {
	h.script = append(h.script, s.String())
	h.began = len(h.log.String())
	now := h.clock.Now()
	if slices.Contains([]string{"policy", "not_before", "login", "import"}, s.Op) {
		s.Client %= len(historyClients)
	}
	ofFamily := slices.Contains([]string{"refresh", "race", "hold", "logout", "end", "others", "change", "introspect", "explain"}, s.Op)
	if ofFamily && len(h.model.families) == 0 {
		return
	}
	switch s.Op {
	case "login":
		h.login(s)
	case "import":
		h.imports(s)
	case "stranger":
		h.stranger(s)
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
		p.DPoP = []family.DPoP{family.DPoPOff, family.DPoPAllowed, family.DPoPRequired}[s.DPoP%3]
		if historyClients[s.Client] == "app" && p.DPoP != family.DPoPRequired {
			p.Rotation = true // as that of a public client must be, unless its tokens are bound to keys
		}
		if old := h.model.policies[historyClients[s.Client]]; old != nil {
			p.NotBefore = old.NotBefore
		}
		h.register(historyClients[s.Client], &p, "")
	case "not_before":
		p := *h.model.policies[historyClients[s.Client]]
		p.NotBefore = now.Truncate(time.Second)
		if p.ReuseDetection == family.Observe && !now.Before(p.ObserveUntil) {
			return // the service refuses such a policy
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
			h.release() // no request takes that long, which a sweep relies on
		}
		h.sweepOwners(s)
	case "purge":
		h.purge()
		h.purged = true
		h.model.purged(now)
		for _, f := range h.model.families {
			f.gone = f.gone || !f.purge.IsZero() && f.purgeAt() <= now.Unix()
			h.same(f)
		}
		h.model.forget(now)
	case "introspect":
		u := h.use(s)
		a := h.sendTo(s.Server, http.MethodPost, "/oauth/introspect", formType, url.Values{
			"client_id": {"web"}, "client_secret": {h.secret}, "token": {h.minted(u)},
		}.Encode())
		got := u.f.fate(u.n, modelKeyProof{key: u.f.locks(u.n)}, "web", h.model.policies["web"], now)
		if active := !u.code() && got.kind.honoured(); a.status != http.StatusOK || a.json["active"] != active {
			h.fail("introspection says %v of a token that %v", a, got)
		}
	case "explain":
		h.explained(h.use(s))
	default:
		h.t.Fatalf("there is no step %q", s.Op)
	}
}

// end releases all requests that are held back, and compares every family with the model.
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

// register stores a client and lets all servers read it.
func (h *history) register(client string, p *family.Policy, notBefore string) {
	body := map[string]any{
		"type": map[string]string{"app": "public", "web": "confidential"}[client], "policy": p,
		"accepts_imported": map[string]string{"prefix": "v1."},
	}
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
	// A server that cannot read the registry uses the client as it last read it. Here the
	// servers read it, so that this is also the model's.
	more := []string{"client_id", client}
	if client == "web" {
		more = append(more, "client_secret", h.secret)
	}
	for i := range h.servers {
		proof := h.proof(modelKeyProof{key: 1}, i)
		if a := h.sendTo(i, http.MethodPost, "/oauth/token", formType, refreshForm("none", more...), proof...); !a.refused(p.InvalidGrantStatus) {
			h.t.Fatalf("a token that is none got %v", a)
		}
	}
	h.events()
}

// use holds one use of a token as it began.
type use struct {
	f      *modelFamily
	n      uint32
	client string
	asked  modelAsked
	target int // as in a step
	policy *family.Policy
	now    time.Time
	server int
	// unknown says that the token is another provider's, and that the server did not know it lately.
	unknown bool
}

// code reports whether the use is one of a code.
func (u use) code() bool { return u.n == 0 && u.f.coded }

func (h *history) use(s step) use {
	f := h.model.families[len(h.model.families)-1-s.Family%len(h.model.families)]
	first := f.first()
	if known := h.model.foreign[f.foreign]; f.foreign != 0 && (known == nil || known.family != f) {
		first = 1 // its foreign token has been forgotten
	}
	n := max(int(f.newest)-s.Back, int(first))
	client := historyClients[(slices.Index(historyClients, f.client)+s.Client)%len(historyClients)]
	asked := modelAsked{scope: []string{"", "read admin", "write"}[s.Scope%3], target: s.Target == 2}
	u := use{
		f: f, n: uint32(n), client: client, asked: asked, target: s.Target,
		policy: h.model.policies[client], now: h.clock.Now(), server: s.Server % len(h.servers),
	}
	if u.code() {
		u.asked.scope, u.asked.proof = "", modelProof(s.Proof%3)
	}
	u.asked.key = s.keyProof(f.locks(u.n))
	u.unknown = n == 0 && f.foreign != 0 && h.unknown(stranger{u.server, u.client, f.foreign})
	return u
}

// minted returns what the use presents: a refresh token, another provider's, or the family's code.
func (h *history) minted(u use) string {
	if u.n > 0 {
		return h.mint(u.f.id, u.n)
	}
	if u.f.foreign != 0 {
		return h.foreign(u.f.foreign)
	}
	id, err := family.ParseID(u.f.id)
	if err != nil {
		h.t.Fatal(err)
	}
	code := h.keys.Codec.MintCode(id, h.clock.Now()).Reveal()
	trail.add("a code", code)
	return code
}

// happens applies the use to the model and returns what follows.
func (u use) happens() fate {
	if got, ok := u.early(); ok {
		return got
	}
	return u.f.refresh(u.n, u.client, u.asked, u.policy, u.now)
}

// early returns what follows from the use if its server needs no record for that, and whether it needs none.
func (u use) early() (fate, bool) {
	got, ok := u.asked.key.demanded(u.client, u.policy)
	switch {
	case ok:
		return got, true
	case u.unknown:
		return fate{dead, family.NeverImported}, true
	}
	return u.f.early(u.client, u.asked.key, u.policy)
}

// form returns the body of the use's request.
func (h *history) form(u use) string {
	more := []string{"client_id", u.client}
	if u.client == "web" {
		more = append(more, "client_secret", h.secret)
	}
	if u.asked.scope != "" {
		more = append(more, "scope", u.asked.scope)
	}
	form := refreshForm(h.minted(u), more...)
	if u.code() {
		more = append(more, "redirect_uri", []string{"", "", "https://app.example.com/"}[u.asked.proof])
		if u.asked.proof == wrongVerifier {
			more = append(more, "code_verifier", strings.Repeat("w", 43))
		}
		form = exchangeForm(h.minted(u), more...)
	}
	for _, r := range []string{historyAudience[1], "https://c.example"}[:u.target] {
		form += "&resource=" + url.QueryEscape(r)
	}
	return form
}

// historyAudience is the audience of every family.
var historyAudience = []string{"https://a.example", "https://b.example"}

// audience returns the audience that the access token must have.
func (u use) audience() any {
	if u.target == 1 {
		return historyAudience[1]
	}
	return []any{historyAudience[0], historyAudience[1]}
}

func (h *history) present(u use) answer {
	return h.sendTo(u.server, http.MethodPost, "/oauth/token", formType, h.form(u), h.proof(u.asked.key, u.server)...)
}

// refresh presents a token while the store may fail. A client that gets no answer presents it
// again, and loses nothing if the policy has an interval.
func (h *history) refresh(s step) {
	u := h.use(s)
	before, stored := u.f.clone(), h.stored(u.f)
	want := u.happens()
	var got answer
	hit := h.faulty(s, func() { got = h.present(u) })
	h.keysCount(u, before, stored, got)
	if !hit {
		h.answered(u, want, got, u.events(want, before))
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
	again, before, stored := h.use(s), u.f.clone(), h.stored(u.f)
	again.n, again.asked, again.unknown = u.n, u.asked, u.unknown
	wantAgain := again.happens()
	lost := (u.policy.ReuseInterval > 0 || u.f.holder != 0) && !wantAgain.kind.honoured()
	if u.code() { // one that was exchanged is refused, and its family lives
		lost = wantAgain.kind != rotates && wantAgain != fate{refused, family.CodeUsed}
	}
	if want.kind.honoured() && lost {
		h.fail("a session was lost to our own fault: the token is %v", wantAgain)
	}
	got = h.present(again)
	h.keysCount(again, before, stored, got)
	h.answered(again, wantAgain, got, again.events(wantAgain, before))
}

// faulty runs do while the store fails as the step says, and reports whether the faults were
// more than the SDK's retries make up for.
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
		maps.DeleteFunc(h.seen, func(of stranger, _ time.Time) bool { return of.server == s.Server%len(h.servers) })
	}
	return hit
}

// answered compares the answer, the record and the log of a use with the model, to which the
// use has been applied.
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

// answer compares an answer with the model.
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
		h.confirmed(got, u.f.confirmed(u.asked.key, u.policy))
		if _, claims := decodeJWT(h.t, got.text("access_token")); !reflect.DeepEqual(claims["aud"], u.audience()) {
			h.fail("the access token is for %v, not %v", claims["aud"], u.audience())
		} else if scope := cmp.Or(u.asked.scope, u.f.scope); claims["scope"] != scope || got.text("scope") != scope || claims["n"] != claimed(u.f.claim) {
			h.fail("the access token has %v and the answer %v, not %s and %d", claims, got.json["scope"], scope, u.f.claim)
		}
	case u.asked.key.key != 0 && got.status != http.StatusServiceUnavailable && got.header.Get("DPoP-Nonce") != h.keys.Codec.Nonce(u.now):
		h.fail("a proof got no nonce for the next one, but %v", got.header)
	case want.kind == noScope:
		if got.status != http.StatusBadRequest || got.text("error") != "invalid_scope" {
			h.fail("a scope that was not granted got %v", got)
		}
	case want.kind == noTarget:
		if got.status != http.StatusBadRequest || got.text("error") != "invalid_target" {
			h.fail("a resource that is none of the audience got %v", got)
		}
	case want.kind == unproven:
		if !got.unproven() {
			h.fail("token %d without a proof of its key got %v", u.n, got)
		}
	case want.kind == noNonce:
		if got.status != http.StatusBadRequest || got.text("error") != "use_dpop_nonce" {
			h.fail("token %d with a stale nonce got %v", u.n, got)
		}
	case want.kind == unclear:
		if !got.unavailable() {
			h.fail("token %d, which is %v, got %v", u.n, want, got)
		}
	case !u.refused(got):
		h.fail("token %d, which is %v, got %v", u.n, want, got)
	}
}

// refused reports whether the answer is the one that every dead token or code gets.
func (u use) refused(got answer) bool {
	if !u.code() {
		return got.refused(u.policy.InvalidGrantStatus)
	}
	return got.status == u.policy.InvalidGrantStatus && got.text("error") == "invalid_grant"
}

// events returns the log lines that the use must leave, if that follows from it. before is the
// family before the use.
func (u use) events(got fate, before *modelFamily) []string {
	if !u.code() {
		return wantEvents(got, before, u.f)
	}
	switch got.kind {
	case rotates:
		return []string{"seacft"}
	case refused, unproven, dead:
		return []string{"feacft " + string(got.cause)}
	default:
		return wantEvents(got, before, u.f)
	}
}

// wantEvents returns the log lines that a use of a refresh token must leave. before and after are the family
// before and after the use.
func wantEvents(got fate, before, after *modelFamily) []string {
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
	case lateUse:
		if before.stored < after.stored {
			return []string{"late_use", "sertft late"}
		}
		return []string{"sertft late"}
	case observed:
		if !before.observed.IsZero() {
			return []string{"sertft reused"}
		}
		return []string{"ferrt observed", "sertft reused"}
	case reuse:
		return []string{"ferrt"}
	case refused, unproven, dead:
		return []string{"fertft " + string(got.cause)}
	default:
		return nil
	}
}

// events returns the log's new lines about uses.
func (h *history) events() (lines []string) {
	log := h.log.String()
	fresh := log[h.read:]
	h.read = len(log)
	for line := range strings.Lines(fresh) {
		var m struct {
			Msg, Type, Cause                           string
			Held, Reused, Observed, LostResponse, Late bool
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			h.t.Fatalf("a log line is not JSON: %v", err)
		}
		if m.Msg != "audit" || !slices.Contains([]string{"sertft", "fertft", "ferrt", "late_use", "ahead", "seacft", "feacft"}, m.Type) {
			continue
		}
		for name, set := range map[string]bool{"held": m.Held, "reused": m.Reused, "observed": m.Observed, "lostResponse": m.LostResponse, "late": m.Late} {
			if set {
				m.Type += " " + name
			}
		}
		if m.Type == "fertft" || m.Type == "feacft" {
			m.Type += " " + m.Cause
		}
		lines = append(lines, m.Type)
	}
	return lines
}

// is reports whether the family's record is as in the model.
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
		observed int64
		jkt      string
		purge    int64
		scope    string
		claims   string
	}
	h.boundAsBegun(got)
	record := state{got.Counter, got.Revoked.Cause, got.LastUsedAt, milliseconds(got.ObservedAt), family.EncodeThumbprint(got.JKT), purge, strings.Join(got.Scope, " "), got.Claims}
	model := state{f.newest, f.revoked, f.used, milliseconds(f.observed), h.jkt(f.locks(f.newest)), f.purgeAt(), f.scope, claims(f.claim)}
	if record != model {
		return fmt.Sprintf("the record is %v, the model %v", record, model)
	}
	return ""
}

// explained compares the explanation of a token with what its next use would do.
func (h *history) explained(u use) {
	u.unknown = false                         // the explanation is of what the table knows
	key := modelKeyProof{key: u.f.locks(u.n)} // only the client has the proofs, and the explanation supposes them
	got := u.f.fate(u.n, key, u.client, u.policy, h.clock.Now())
	if u.code() {
		got = u.f.fateOfCode(rightProof, key, u.client, u.policy, h.clock.Now())
	}
	verdict, cause := "dead", got.cause
	switch got.kind {
	case rotates, held, skips, ahead, lateUse:
		verdict = "valid"
	case newest, observed:
		verdict = "valid_in_reuse_interval"
	case reuse:
		if cause = family.Superseded; u.code() {
			cause = family.CodeUsed
		}
	}
	body, err := json.Marshal(map[string]string{"refresh_token": h.minted(u), "client_id": u.client})
	if err != nil {
		h.t.Fatal(err)
	}
	a := h.sendTo(u.server, http.MethodPost, "/v1/explain", jsonType, string(body))
	if a.text("verdict") != verdict || a.text("cause") != string(cause) || a.text("summary") == "" || a.text("advice") == "" {
		h.fail("token %d of %d, which %v, is explained as %s %s", u.n, u.f.newest, got, a.text("verdict"), a.text("cause"))
	}
}

// raceOf lets several callers present the same token at once. In whatever order they arrive,
// each must get what the model says for one of them.
func (h *history) raceOf(s step) {
	u := h.use(s)
	if u.n == 0 && u.f.foreign != 0 {
		for i := range h.servers {
			if h.unknown(stranger{i, u.client, u.f.foreign}) { // then it matters which racer goes where
				return
			}
		}
	}
	before, stored := u.f.clone(), h.stored(u.f)
	type outcome struct{ status, refreshToken string }
	want, got, ferrt := map[outcome]int{}, map[outcome]int{}, 0
	for range s.Count {
		o := outcome{status: fmt.Sprint(u.policy.InvalidGrantStatus)}
		switch became := u.happens(); {
		case became.kind.honoured():
			o = outcome{"200", h.mint(u.f.id, u.f.newest)}
		case became.kind == unproven, became.kind == noNonce:
			o.status = "400"
		case became.kind == reuse:
			ferrt++
		}
		want[o]++
	}
	if !u.f.observed.IsZero() && before.observed.IsZero() && u.f.stored == 0 {
		ferrt++
	}
	form := h.form(u)
	type reply struct {
		answer answer
		err    error
	}
	replies := make(chan reply, s.Count)
	for i := range s.Count {
		server := (u.server + i) % len(h.servers)
		proof := h.proof(u.asked.key, server)
		go func() {
			a, err := h.try(server, http.MethodPost, "/oauth/token", formType, form, proof...)
			replies <- reply{a, err}
		}()
	}
	var each []string
	for range s.Count {
		r := <-replies
		if r.err != nil {
			h.t.Fatal(r.err)
		}
		h.keysCount(u, before, stored, r.answer)
		o := outcome{fmt.Sprint(r.answer.status), r.answer.text("refresh_token")}
		got[o]++
		each = append(each, cmp.Or(h.numbered(o.refreshToken), strings.TrimSpace(r.answer.String())))
	}
	for o, n := range want {
		if got[o] != n {
			h.fail("%d of %d racers with token %d got %s %s, not %d; they got %s",
				got[o], s.Count, u.n, o.status, h.numbered(o.refreshToken), n, strings.Join(each, ", "))
		}
	}
	h.same(u.f)
	late := u.f.stored - before.stored
	for _, line := range h.events() {
		switch {
		case strings.HasPrefix(line, "ferrt"):
			ferrt--
		case line == "late_use":
			late--
		}
	}
	if ferrt != 0 || late != 0 {
		h.fail("%d reuses and %d late uses are not in the log", ferrt, late)
	}
}

// numbered returns which token of which family a refresh token is, and "" for none.
func (h *history) numbered(refreshToken string) string {
	if refreshToken == "" {
		return ""
	}
	id, n := h.content(refreshToken)
	return fmt.Sprintf("token %d of %s", n, id)
}

// heldUse is a slow request: it has begun, and reaches the store later.
type heldUse struct {
	use
	release func()
	answer  chan answer
	failed  chan error
}

// hold begins a request that waits at its write until it is released.
func (h *history) hold(s step) {
	u := h.use(s)
	if u.n == 0 && u.policy.DPoP == family.DPoPRequired && u.asked.key.proven() == 0 {
		return // it reads the record first
	}
	w := &heldUse{use: u, answer: make(chan answer, 1), failed: make(chan error, 1)}
	waits, release := h.store.Hold("UpdateItem")
	w.release = release
	form, proof := h.form(w.use), h.proof(w.asked.key, w.server)
	go func() {
		a, err := h.try(w.server, http.MethodPost, "/oauth/token", formType, form, proof...)
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
	case a := <-w.answer: // it did not need the store
		h.store.Break(nil)
		want, early := w.early()
		if !early {
			h.fail("a token that needs the store got %v without it", a)
		}
		h.answered(w.use, want, a, w.events(want, w.f))
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
	before, stored := w.f.clone(), h.stored(w.f)
	want := w.happens()
	w.release()
	select {
	case a := <-w.answer:
		h.keysCount(w.use, before, stored, a)
		h.answer(w.use, want, a)
	case err := <-w.failed:
		h.t.Fatal(err)
	}
	h.same(w.f)
	if seen := h.events(); !slices.Equal(seen, w.events(want, before)) {
		h.fail("the log has %q of a token that %v", seen, want)
	}
}

// login starts a family. If its answer is lost, the family may or may not exist; with a key
// the login asks again, and then there is exactly one.
func (h *history) login(s step) {
	now := h.clock.Now()
	owner := modelOwner{historyUsers[s.User%len(historyUsers)], historyClients[s.Client]}
	scope := "read write"
	if s.Scope == 2 {
		scope = "write read" // the same scope in another order counts as another request
	}
	body := fmt.Sprintf(`{"user_id":%q,"client_id":%q,"scope":%q,"audience":[%q,%q]}`,
		owner.user, owner.client, scope, historyAudience[0], historyAudience[1])
	holder := s.DPoP % (historyHolders + 1)
	if holder != 0 {
		body = strings.TrimSuffix(body, "}") + fmt.Sprintf(`,"dpop_jkt":%q}`, h.jkt(holder))
	}
	coded, delivered := s.Code == 1, "refresh_token"
	if coded {
		body, delivered = strings.TrimSuffix(body, "}")+`,"deliver":"code","code_challenge":"`+challengeOf(verifier)+`"}`, "code"
	}
	key := modelKey{owner, s.Key}
	var header []string
	if s.Key != 0 {
		header = []string{"Idempotency-Key", fmt.Sprint(s.Key)}
	}
	for {
		there, status := h.model.keyed(key, scope, coded, holder, now)
		starts := there == nil && status == http.StatusCreated
		var got answer
		hit := h.faulty(s, func() {
			got = h.sendTo(s.Server%len(h.servers), http.MethodPost, "/v1/families", jsonType, body, header...)
		})
		answered := !hit || s.Fault != "crash" && got.status != http.StatusServiceUnavailable
		if starts {
			h.model.counted(owner, !hit, s.counts(hit), now)
		}
		if fresh := h.newFamilies(owner, scope, coded, holder, now); len(fresh) > 0 {
			if there = fresh[0]; !starts || len(fresh) > 1 {
				h.fail("%d families were started by one login", len(fresh))
			}
			if s.Key != 0 {
				h.model.keys[key] = &modelStart{there, scope, coded, holder, now.Add(24 * time.Hour)}
			}
		}
		switch {
		case answered && got.status != status:
			h.fail("a login got %v, not %d", got, status)
		case answered && status == http.StatusCreated && (there == nil || got.text("family") != there.id || got.text(delivered) != h.minted(use{f: there, n: there.first()})):
			h.fail("a login was given %v, and there is %v", got.json["family"], there)
		case answered && status == http.StatusCreated && !coded:
			h.confirmed(got, there.holder)
		}
		if answered || s.Key == 0 {
			return
		}
		s.Fault = ""
	}
}

// counts returns how often a login may count its family. hit says that the faults were more than
// the SDK's three attempts make up for.
func (s step) counts(hit bool) int {
	switch {
	case s.Kind != "lost":
		return 1
	case s.Fault == "once":
		return 2
	case s.Fault == "from" && hit:
		return 3
	}
	return 1
}

// stranger is another provider's token that a client presented to a server, and nobody had imported.
type stranger struct {
	server int
	client string
	number int
}

// unknown reports whether that was within the last ten seconds. Then the server does not ask the
// table.
func (h *history) unknown(s stranger) bool {
	at, ok := h.seen[s]
	return ok && h.clock.Now().Sub(at) < 10*time.Second
}

// foreign returns another provider's token.
func (h *history) foreign(number int) string {
	token := fmt.Sprintf("v1.another provider's token %d of %s", number, h.store.Name())
	token = strings.ReplaceAll(token, " ", "-")
	trail.add("another provider's refresh token", token)
	return token
}

// historyForeign is how many tokens of another provider there are. They are numbered from 1.
const historyForeign = 3

// stranger presents another provider's token that was not imported.
func (h *history) stranger(s step) {
	who := stranger{s.Server % len(h.servers), "app", 1 + s.Token%historyForeign}
	if h.model.foreign[who.number] != nil {
		return
	}
	form := refreshForm(h.foreign(who.number), "client_id", who.client)
	a := h.sendTo(who.server, http.MethodPost, "/oauth/token", formType, form)
	if !a.refused(h.model.policies["app"].InvalidGrantStatus) {
		h.fail("a token that nobody imported got %v", a)
	}
	if seen := h.events(); !slices.Equal(seen, []string{"fertft never_imported"}) {
		h.fail("the log has %q of a token that nobody imported", seen)
	}
	if !h.unknown(who) {
		h.seen[who] = h.clock.Now()
	}
}

// imports imports some of another provider's tokens. If the answer is lost, each of them may have
// its family or not; the import is repeated, and then each has one.
func (h *history) imports(s step) {
	now := h.clock.Now()
	owner := modelOwner{historyUsers[s.User%len(historyUsers)], historyClients[s.Client]}
	var numbers []int
	var tokens []map[string]any
	for number := 1; number <= historyForeign; number++ {
		if s.Token>>(number-1)&1 == 1 {
			numbers = append(numbers, number)
			tokens = append(tokens, importRow(owner.user, h.foreign(number), "scope", "read write", "audience", historyAudience))
		}
	}
	if len(numbers) == 0 {
		return
	}
	body, err := json.Marshal(map[string]any{"client_id": owner.client, "tokens": tokens})
	if err != nil {
		h.t.Fatal(err)
	}
	before := maps.Clone(h.model.foreign)
	for {
		var got answer
		hit := h.faulty(s, func() {
			got = h.sendTo(s.Server%len(h.servers), http.MethodPost, "/v1/imports", jsonType, string(body))
		})
		for _, number := range numbers {
			if before[number] == nil {
				// The imports of one call run at once, and one may count the families of the others.
				h.model.counted(owner, !hit, s.counts(hit)+len(numbers)-1, now)
			}
		}
		if hit && (s.Fault == "crash" || got.status == http.StatusServiceUnavailable) {
			s.Fault = ""
			continue
		}
		var answered struct{ Tokens []imported }
		if err := json.Unmarshal([]byte(got.body), &answered); err != nil || got.status != http.StatusOK || len(answered.Tokens) != len(numbers) {
			h.fail("an import got %v", got)
		}
		for i, number := range numbers {
			h.importedAs(owner, number, before[number], answered.Tokens[i], now)
		}
		if fresh := h.newFamilies(owner, "", false, 0, now); len(fresh) > 0 {
			h.fail("an import started %d families more than it says", len(fresh))
		}
		return
	}
}

// importedAs compares what an import has come to for one token with the model. known is what was
// known of it before.
func (h *history) importedAs(owner modelOwner, number int, known *modelForeign, got imported, now time.Time) {
	want := []string{"imported", "already"} // already, if an answer was lost
	switch {
	case known != nil && known.family.modelOwner == owner:
		want = []string{"already"}
	case known != nil:
		want = []string{"conflict"}
	}
	if !slices.Contains(want, got.Result) {
		h.fail("the import of token %d has come to %v, not %v", number, got, want)
	}
	if known != nil {
		if got.Family != known.family.id {
			h.fail("token %d is said to be of family %s, not %s", number, got.Family, known.family.id)
		}
		h.same(known.family)
		return
	}
	id, err := family.ParseID(got.Family)
	if err != nil {
		h.t.Fatal(err)
	}
	h.same(h.model.imports(id, owner, number, now))
}

// newFamilies adds to the model those of the user's families that it does not have.
func (h *history) newFamilies(owner modelOwner, scope string, coded bool, holder int, now time.Time) (fresh []*modelFamily) {
	families, _, err := h.table.FamiliesBefore(h.t.Context(), h.keys.Users.Key(owner.user), ulid.ULID{}, 1000)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, f := range families {
		if !slices.ContainsFunc(h.model.families, func(known *modelFamily) bool { return known.id == f.ID.String() }) {
			fresh = append(fresh, h.model.login(f.ID, owner, scope, coded, holder, now))
			h.same(fresh[len(fresh)-1])
		}
	}
	return fresh
}

// claims returns the claims of a family to which a change has given the claim n, 0 for none.
func claims(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(`{"n":%d}`, n)
}

// claimed returns the claim as it is in an access token.
func claimed(n int) any {
	if n == 0 {
		return nil
	}
	return json.Number(strconv.Itoa(n))
}

// changes returns the body of a change, and a function that applies it to a family of the
// model.
func (s step) changes() (body string, change func(f *modelFamily)) {
	scope := []string{"", "read", "read write"}[s.Narrow%3]
	said := map[string]any{"claims": json.RawMessage(cmp.Or(claims(s.Claim), "{}"))}
	if scope != "" {
		said["scope"] = scope
	}
	b, err := json.Marshal(said)
	if err != nil {
		panic(err) // the claims are valid JSON
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

// changeAll changes all families of a user. If it is cut short, it may have changed some.
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

// logout revokes a family by its token.
func (h *history) logout(s step) {
	u := h.use(s)
	before := u.f.clone()
	status := http.StatusOK
	switch {
	case u.f.gone, u.unknown, u.code(): // a code is no token that can be revoked
	case u.f.client != u.client:
		status = http.StatusBadRequest
	case u.f.deathOnceBegun(u.policy, u.now) == "":
		u.f.revoke(family.RevokedByClient, u.policy, u.now)
	}
	form := url.Values{"client_id": {u.client}, "token": {h.minted(u)}}
	if u.client == "web" {
		form.Set("client_secret", h.secret)
	}
	h.does(s, u.f, before, status, http.MethodPost, "/oauth/revoke", formType, form.Encode())
}

// endFamily revokes a family by the management API.
func (h *history) endFamily(s step) {
	f := h.use(s).f
	before := f.clone()
	p := h.model.policies[f.client]
	status := http.StatusOK
	if f.gone {
		status = http.StatusNotFound
	} else if f.deathOnceBegun(p, h.clock.Now()) == "" {
		f.revoke(family.RevokedByAdmin, p, h.clock.Now())
	}
	h.does(s, f, before, status, http.MethodDelete, "/v1/families/"+f.id, "", "")
}

// does sends a request that ends or changes a family. Without an answer, the family may be as
// f or as before.
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

// password revokes all families of a user.
func (h *history) password(s step) {
	now, user := h.clock.Now(), historyUsers[s.User%len(historyUsers)]
	living := h.model.ending(user, nil, now)
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

// others revokes all families of a user except one, if that is active: all of them or none.
func (h *history) others(s step) {
	now, keep := h.clock.Now(), h.use(s).f
	alive := !keep.gone && keep.death(h.model.policies[keep.client], now) == ""
	var living []*modelFamily
	if alive {
		living = h.model.ending(keep.user, keep, now)
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

// erase erases a user. If it is cut short, part of the work is done, families first, and the
// call is repeated.
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

// sweepOwners runs the sweep. If it is cut short, part of the work is done, and the next sweep
// finishes it.
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
			for _, plan := range count.plans { // the plan under which it ended them
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
		h.model.settled(owner, whole, len(ended), now)
	}
}

// trailComplete checks that each end of a family is recorded exactly once, and that its late uses are, at most one
// an hour.
func (h *history) trailComplete() {
	if h.purged {
		return // events may be deleted before their families
	}
	named := map[string][]string{} // for each family, the types of the events that tell its end
	late := map[string][]time.Time{}
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
			if e.Type == audit.LateUse {
				late[e.Family.String()] = append(late[e.Family.String()], e.At)
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
		times := late[f.id]
		if len(times) != f.stored && !f.erased || len(times) != 0 && f.erased {
			h.fail("of the late uses of family %s, %d are stored, not %d", f.id, len(times), f.stored)
		}
		slices.SortFunc(times, time.Time.Compare)
		for i := range times[min(1, len(times)):] {
			if times[i+1].Sub(times[i]) < time.Hour {
				h.fail("late uses of family %s are stored at %v", f.id, times)
			}
		}
	}
}
