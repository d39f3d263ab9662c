package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
)

// door is a way in which a family begins.
type door struct {
	name string
	// make returns a world in which "app" has the type and the policy, and a form that starts a family of a
	// user.
	make func(t *testing.T, kind, policy string) (w *world, form string)
}

// doors are those at which the application brings its proof.
var doors = []door{
	{"code", func(t *testing.T, kind, policy string) (*world, string) {
		w := newWorld(t)
		w.open(kind, policy, `"scope":"openid read write","redirect_uris":["`+callback+`"]`)
		return w, exchangeForm(w.code())
	}},
	{"code of a login", func(t *testing.T, kind, policy string) (*world, string) {
		w := newWorld(t)
		w.open(kind, policy)
		a := w.issue(fmt.Sprintf(`{"user_id":"alice","client_id":"app","deliver":"code","code_challenge":%q}`, challengeOf(verifier)))
		return w, exchangeForm(a.text("code"), "redirect_uri", "")
	}},
	{"assertion", func(t *testing.T, kind, policy string) (*world, string) {
		w := newTrust(t, "")
		w.open(kind, policy, `"trusted_issuers":[`+trusted(w.issuer)+`]`)
		return w.world, assertionForm(w.assertion())
	}},
	{"token exchange", func(t *testing.T, kind, policy string) (*world, string) {
		w := newTrust(t, "")
		w.open(kind, policy, `"trusted_issuers":[`+trusted(w.issuer)+`]`)
		return w.world, form("grant_type", exchangeGrant, "client_id", "app", "subject_token", w.assertion(), "subject_token_type", jwtType)
	}},
	{"imported", func(t *testing.T, kind, policy string) (*world, string) {
		w := newWorld(t)
		w.open(kind, policy, `"accepts_imported":true`)
		w.importToken("alice", foreignToken(1))
		return w, refreshForm(foreignToken(1))
	}},
	{"adopted", func(t *testing.T, kind, policy string) (*world, string) {
		m := newMoving(t, "")
		m.adopts("", "")
		m.open(kind, policy, `"scope":"openid read write","adopt":`+m.adopting(""))
		return m.world, refreshForm(m.old.token("alice"))
	}},
}

// open registers "app" with a type, a policy as JSON, and more members. The first server knows it at once.
func (w *world) open(kind, policy string, members ...string) {
	w.t.Helper()
	w.putClient("app", `{`+strings.Join(append(members, fmt.Sprintf(`"type":%q`, kind), `"policy":`+policy), ",")+`}`)
	if kind == "confidential" && w.secret == "" {
		w.secret = w.addSecret("app")
	}
	w.restart(0)
}

// with returns a form with the credentials of "app", if it has any.
func (w *world) with(form string) string {
	if w.secret == "" {
		return form
	}
	return form + "&client_secret=" + url.QueryEscape(w.secret)
}

// begin sends a form without a proof.
func (w *world) begin(form string) answer {
	w.t.Helper()
	return w.send(http.MethodPost, "/oauth/token", formType, w.with(form))
}

// recordOf returns the record of the family of a refresh token.
func (w *world) recordOf(refreshToken string) *family.Family {
	w.t.Helper()
	id, _ := w.content(refreshToken)
	return w.record(id.String())
}

// cnf returns the thumbprint of the key that the access token of an answer is bound to, or "".
func (a answer) cnf(t testing.TB) string {
	t.Helper()
	_, said := decodeJWT(t, a.text("access_token"))
	cnf, _ := said["cnf"].(map[string]any)
	jkt := textOf(cnf["jkt"])
	if (jkt != "") != (a.text("token_type") == "DPoP") || jkt == "" && a.text("token_type") != "Bearer" {
		t.Errorf("an access token with the cnf %v is of the type %s", said["cnf"], a.text("token_type"))
	}
	return jkt
}

// TestDoorsBind checks that a family which begins with a proof is bound to its key at once, and that each of its
// tokens, and what it began with, needs the key from then on.
func TestDoorsBind(t *testing.T) {
	for _, policy := range []string{"allowed", "required"} {
		for _, d := range doors {
			t.Run(policy+", "+d.name, func(t *testing.T) {
				w, form := d.make(t, "public", fmt.Sprintf(`{"dpop":%q}`, policy))
				p, thief := w.prover(), w.prover()
				a := p.post(form)
				if a.status != http.StatusOK || a.cnf(t) != p.jkt() {
					t.Fatal(a)
				}
				f := w.recordOf(a.text("refresh_token"))
				if f.KeyThumbprint() != p.jkt() || f.Counter != 1 {
					t.Errorf("the record has the key %q and the counter %d", f.KeyThumbprint(), f.Counter)
				}
				if shown := w.family(f.ID.String()); shown.text("dpop_jkt") != p.jkt() {
					t.Errorf("it is shown as %v", shown)
				}
				for range 2 { // within the interval, and after it
					for _, form := range []string{form, refreshForm(a.text("refresh_token"))} {
						if a := w.begin(form); a.status != http.StatusBadRequest || a.json["access_token"] != nil {
							t.Errorf("without a proof: %v", a)
						}
						if a := thief.post(form); a.status != http.StatusBadRequest || a.json["access_token"] != nil {
							t.Errorf("with another key: %v", a)
						}
					}
					w.clock.Advance(2 * time.Minute)
					thief.nonce = p.nonce
				}
				next := p.refresh(a.text("refresh_token"))
				if next.status != http.StatusOK || next.cnf(t) != p.jkt() {
					t.Errorf("with the key: %v", next)
				}
				if f := w.recordOf(next.text("refresh_token")); f.KeyThumbprint() != p.jkt() || f.Counter != 2 || !f.Revoked.At.IsZero() {
					t.Errorf("the record is %+v", f)
				}
			})
		}
	}
}

// TestDoorsDoNotBindLater checks that a family which began without a key is never bound: not by its tokens, nor by
// what it began with, and whatever the policy becomes.
func TestDoorsDoNotBindLater(t *testing.T) {
	for _, policy := range []string{"off", "allowed"} {
		for _, d := range doors {
			t.Run(policy+", "+d.name, func(t *testing.T) {
				settings := func(dpop string) string {
					return fmt.Sprintf(`{"dpop":%q,"reuse_interval":3600}`, dpop)
				}
				w, form := d.make(t, "public", settings(policy))
				a := w.begin(form)
				if a.status != http.StatusOK || a.cnf(t) != "" {
					t.Fatal(a)
				}
				first := a.text("refresh_token")
				for _, becomes := range []string{"allowed", "required"} {
					w.repolicy(settings(becomes))
					thief := w.prover()
					for range 2 {
						w.clock.Advance(2 * time.Minute)        // after which each use is recorded
						thief.refresh("none")                   // has a nonce of now
						if !strings.HasPrefix(d.name, "code") { // a code that is used twice ends its family
							thief.post(form)
						}
						if a := thief.post(refreshForm(first)); a.status != http.StatusOK || a.cnf(t) != thief.jkt() {
							t.Errorf("a token with a proof: %v", a)
						}
						if f := w.recordOf(first); f.Bound() || !f.Revoked.At.IsZero() {
							t.Fatalf("the policy %s: the record has the key %q and the end %v", becomes, f.KeyThumbprint(), f.Revoked)
						}
						if a := w.refresh(first); a.status != http.StatusOK || a.cnf(t) != "" {
							t.Errorf("its owner got %v", a)
						}
					}
					// What it began with still gets what it got without a key, where that is its rule.
					if d.name != "imported" && d.name != "adopted" {
						continue
					}
					if a := w.begin(form); a.text("refresh_token") != first {
						t.Errorf("the policy %s: what it began with got %v", becomes, a)
					}
				}
				w.clock.Advance(time.Hour)
				second := w.refresh(first).text("refresh_token")
				w.clock.Advance(2 * time.Minute)
				w.prover().post(refreshForm(first))
				if f := w.recordOf(second); f.Bound() || f.Counter != 2 {
					t.Errorf("the record is %+v", f)
				}
			})
		}
	}
}

// repolicy changes the policy of "app", which is a JSON object, and nothing else.
func (w *world) repolicy(policy string) {
	w.t.Helper()
	client := w.get("/v1/clients/app")
	var now map[string]json.RawMessage
	if err := json.Unmarshal([]byte(client.body), &now); err != nil {
		w.t.Fatal(err)
	}
	for _, name := range []string{"client_id", "created_at", "updated_at", "secrets", "not_before", "warnings", "preset"} {
		delete(now, name)
	}
	now["policy"] = json.RawMessage(policy)
	w.putClient("app", mustJSON(now))
	w.restart(0)
}

// TestDoorsOff checks that a proof is ignored where the policy is off, be it good or bad.
func TestDoorsOff(t *testing.T) {
	for _, d := range doors {
		for _, bad := range []bool{false, true} {
			t.Run(fmt.Sprint(d.name, bad), func(t *testing.T) {
				w, form := d.make(t, "public", `{}`)
				p := w.prover()
				var changes []any
				if bad {
					changes = []any{"htm", "GET"}
				}
				a := p.post(form, changes...)
				if a.status != http.StatusOK || a.cnf(t) != "" || w.recordOf(a.text("refresh_token")).Bound() {
					t.Fatal(a)
				}
				w.clock.Advance(2 * time.Minute)
				if a := p.post(refreshForm(a.text("refresh_token")), changes...); a.status != http.StatusOK || a.cnf(t) != "" {
					t.Errorf("a refresh got %v", a)
				}
			})
		}
	}
}

// TestDoorsOfConfidentialClients checks that no door binds the refresh tokens of a confidential client, and that its
// access tokens are bound to the key of their own request.
func TestDoorsOfConfidentialClients(t *testing.T) {
	for _, policy := range []string{"allowed", "required"} {
		for _, d := range doors {
			t.Run(policy+", "+d.name, func(t *testing.T) {
				w, form := d.make(t, "confidential", fmt.Sprintf(`{"dpop":%q}`, policy))
				if policy == "required" {
					image, err := w.store.Image(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if a := w.begin(form); !a.unproven() {
						t.Errorf("without a proof: %v", a)
					}
					if after, err := w.store.Image(t.Context()); err != nil || after != image {
						t.Errorf("the table was\n%s\nand is\n%s", image, after)
					}
				}
				p := w.prover()
				a := p.post(w.with(form))
				if a.status != http.StatusOK || a.cnf(t) != p.jkt() {
					t.Fatal(a)
				}
				if f := w.recordOf(a.text("refresh_token")); f.Bound() {
					t.Errorf("the record has the key %s", f.KeyThumbprint())
				}
				w.clock.Advance(2 * time.Minute)
				other := w.prover()
				if a := other.post(w.with(refreshForm(a.text("refresh_token")))); a.status != http.StatusOK || a.cnf(t) != other.jkt() {
					t.Errorf("with another key: %v", a)
				}
				want := http.StatusOK
				if policy == "required" {
					want = http.StatusBadRequest
				}
				if a := w.refresh(a.text("refresh_token")); a.status != want {
					t.Errorf("without a proof: %v", a)
				}
			})
		}
	}
}

// TestCodeOfAKey checks codes whose key is named before: only that key exchanges them. The family of a confidential
// client is not bound after that.
func TestCodeOfAKey(t *testing.T) {
	for _, kind := range []string{"public", "confidential"} {
		for _, login := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, " by a login ", login), func(t *testing.T) {
				w := newWorld(t)
				w.open(kind, `{"dpop":"allowed"}`, `"scope":"openid read write","redirect_uris":["`+callback+`"]`)
				p := w.prover()
				var form string
				if login {
					a := w.issue(fmt.Sprintf(`{"user_id":"alice","client_id":"app","deliver":"code","code_challenge":%q,"dpop_jkt":%q}`, challengeOf(verifier), p.jkt()))
					form = exchangeForm(a.text("code"), "redirect_uri", "")
				} else {
					form = exchangeForm(w.code("dpop_jkt", p.jkt()))
				}
				before, err := w.store.Image(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if a := w.begin(form); !a.unproven() {
					t.Errorf("without a proof: %v", a)
				}
				if a := w.prover().post(w.with(form)); !a.codeRefused() {
					t.Errorf("with another key: %v", a)
				}
				if cause, _ := w.refusal(); cause != "wrong_key" {
					t.Errorf("the cause is %v", cause)
				}
				if after, err := w.store.Image(t.Context()); err != nil || after != before {
					t.Errorf("the table was\n%s\nand is\n%s", before, after)
				}
				a := p.post(w.with(form))
				if a.status != http.StatusOK || a.cnf(t) != p.jkt() {
					t.Fatal(a)
				}
				if f := w.recordOf(a.text("refresh_token")); f.Bound() != (kind == "public") {
					t.Errorf("the record has the key %q", f.KeyThumbprint())
				}
				w.clock.Advance(2 * time.Minute)
				if a := w.refresh(a.text("refresh_token")); a.unproven() != (kind == "public") {
					t.Errorf("a refresh without a proof: %v", a)
				}
			})
		}
	}
}

// TestPolicyBetweenCodeAndExchange checks that the policy at the exchange decides whether a family is bound, and that
// one which is bound already stays so.
func TestPolicyBetweenCodeAndExchange(t *testing.T) {
	for _, tt := range []struct {
		before, after string
		named         bool   // the request names the key
		without, with string // what the exchange gets without a proof, and with one: refused, Bearer, DPoP
		bound         bool
	}{
		{"off", "allowed", false, "Bearer", "DPoP", true},
		{"off", "allowed", true, "Bearer", "DPoP", true}, // dpop_jkt is a parameter that was not supported then
		{"off", "required", false, "refused", "DPoP", true},
		{"off", "required", true, "refused", "DPoP", true},
		{"allowed", "off", false, "Bearer", "Bearer", false},
		{"allowed", "off", true, "refused", "DPoP", true},
		{"allowed", "required", false, "refused", "DPoP", true},
		{"allowed", "required", true, "refused", "DPoP", true},
		{"required", "off", false, "Bearer", "Bearer", false},
		{"required", "off", true, "refused", "DPoP", true},
		{"required", "allowed", false, "Bearer", "DPoP", true},
		{"required", "allowed", true, "refused", "DPoP", true},
	} {
		t.Run(fmt.Sprint(tt.before, " to ", tt.after, " named ", tt.named), func(t *testing.T) {
			for _, proven := range []bool{false, true} {
				w := newBoundWorld(t, tt.before)
				p := w.prover()
				var named []string
				if tt.named {
					named = []string{"dpop_jkt", p.jkt()}
				}
				form := exchangeForm(w.code(named...))
				w.repolicy(fmt.Sprintf(`{"dpop":%q}`, tt.after))
				a, want := answer{}, tt.without
				if proven {
					a, want = p.post(form), tt.with
				} else {
					a = w.begin(form)
				}
				if want == "refused" {
					if !a.unproven() {
						t.Errorf("without a proof: %v", a)
					}
					a = p.post(form)
					want = "DPoP"
				}
				if a.status != http.StatusOK || a.text("token_type") != want {
					t.Fatalf("with a proof %t: %v", proven, a)
				}
				if f := w.recordOf(a.text("refresh_token")); f.Bound() != (want == "DPoP" && tt.bound) {
					t.Errorf("with a proof %t: the record has the key %q", proven, f.KeyThumbprint())
				}
			}
		})
	}
}

// TestClientThatChangesItsType checks families across a change of their client from public to confidential, and back:
// one that is bound stays bound, and one that is not stays so.
func TestClientThatChangesItsType(t *testing.T) {
	const members = `"scope":"openid read write","redirect_uris":["` + callback + `"]`
	w := newWorld(t)
	w.open("public", `{"dpop":"allowed"}`, members)
	p, other := w.prover(), w.prover()
	bound := p.bound().text("refresh_token")
	code := exchangeForm(w.code("dpop_jkt", p.jkt()))
	w.open("confidential", `{"dpop":"allowed"}`, members)
	w.clock.Advance(30 * time.Second)

	if a := other.post(w.with(code)); !a.codeRefused() {
		t.Errorf("a code with another key: %v", a)
	}
	a := p.post(w.with(code))
	if a.status != http.StatusOK || w.recordOf(a.text("refresh_token")).Bound() {
		t.Fatalf("a code got %v", a)
	}
	unbound := a.text("refresh_token")
	code = exchangeForm(w.code("dpop_jkt", p.jkt()))
	w.clock.Advance(30 * time.Second)
	if a := w.refresh(bound); !a.unproven() {
		t.Errorf("a bound family of a client that is confidential now, without a proof: %v", a)
	}
	if a := other.post(w.with(refreshForm(bound))); !a.refused(http.StatusBadRequest) {
		t.Errorf("with another key: %v", a)
	}
	a = p.post(w.with(refreshForm(bound)))
	if a.status != http.StatusOK || !w.recordOf(bound).Bound() {
		t.Errorf("with its key: %v", a)
	}
	bound = a.text("refresh_token")

	w.open("public", `{"dpop":"allowed"}`, members)
	w.secret = ""
	w.clock.Advance(29 * time.Second)
	a = p.post(code)
	if a.status != http.StatusOK || !w.recordOf(a.text("refresh_token")).Bound() {
		t.Errorf("the code of a client that is public now got %v", a)
	}
	w.clock.Advance(2 * time.Minute)
	if a := w.refresh(bound); !a.unproven() {
		t.Errorf("without a proof: %v", a)
	}
	if a := p.refresh(bound); a.status != http.StatusOK {
		t.Errorf("with its key: %v", a)
	}
	if a := other.refresh(unbound); a.status != http.StatusOK || w.recordOf(unbound).Bound() {
		t.Errorf("a family that was not bound: %v", a)
	}
	if a := w.refresh(unbound); a.status != http.StatusOK {
		t.Errorf("and without a proof: %v", a)
	}
}

// TestIdempotencyKeyOfABoundFamily checks that a login which tries again gets the same bound family, and that another
// key is another request.
func TestIdempotencyKeyOfABoundFamily(t *testing.T) {
	w := newBoundWorld(t, "allowed")
	p, other := w.prover(), w.prover()
	body := func(jkt string) string {
		return fmt.Sprintf(`{"user_id":"u","client_id":"app","dpop_jkt":%q}`, jkt)
	}
	first := w.issueAs("k", body(p.jkt()))
	again := w.issueAs("k", body(p.jkt()))
	again.same(t, first)
	if again.cnf(t) != p.jkt() {
		t.Errorf("tried again: %v", again)
	}
	for _, body := range []string{body(other.jkt()), `{"user_id":"u","client_id":"app"}`} {
		if a := w.issueAs("k", body); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s got %v", body, a)
		}
	}
	if f := w.recordOf(first.text("refresh_token")); f.KeyThumbprint() != p.jkt() || w.onRecord() != 1 {
		t.Errorf("the record has the key %q, and there are %d", f.KeyThumbprint(), w.onRecord())
	}
	// A login that asked before the policy was switched off still gets what it asked for.
	w.repolicy(`{"dpop":"off"}`)
	w.issueAs("k", body(p.jkt())).same(t, first)
}

// TestThumbprintsThatAreRefused checks what a login may not ask for.
func TestThumbprintsThatAreRefused(t *testing.T) {
	w := newBoundWorld(t, "allowed")
	jkt := w.prover().jkt()
	login := func(client, more string) answer {
		return w.send(http.MethodPost, "/v1/families", jsonType, `{"user_id":"alice","client_id":"`+client+`"`+more+`}`)
	}
	for _, wrong := range []string{jkt[:42], jkt + "A", jkt[:42] + "=", strings.Repeat("+", 43), jkt[:42] + "\\n", jkt[:42] + "B"} {
		if wrong == jkt {
			continue
		}
		if wrong[:42] == jkt[:42] && wrong[42:] == "B" && strings.Contains("AEIMQUYcgkosw048", "B") {
			continue
		}
		login("app", `,"dpop_jkt":"`+wrong+`"`).names(t, "dpop_jkt", "43 characters")
		a := w.authorize(authorizationRequest("dpop_jkt", strings.ReplaceAll(wrong, "\\n", "\n")))
		if to, err := url.Parse(a.text("redirect_to")); err != nil || to.Query().Get("error") != "invalid_request" || !strings.Contains(to.Query().Get("error_description"), "dpop_jkt") {
			t.Errorf("authorize with %q got %v", wrong, a)
		}
	}
	if a := w.authorize(map[string]any{
		"response_type": "code", "client_id": "app", "redirect_uri": callback, "code_challenge": challengeOf(verifier), "code_challenge_method": "S256",
		"dpop_jkt": []string{jkt, w.prover().jkt()},
	}); !strings.Contains(a.text("redirect_to"), "error=invalid_request") {
		t.Errorf("two keys: %v", a)
	}
	w.putClient("web", `{"type":"confidential","policy":{"dpop":"allowed"}}`)
	login("web", `,"dpop_jkt":"`+jkt+`"`).names(t, "dpop_jkt", "confidential")
	w.putClient("off", `{"type":"public"}`)
	login("off", `,"dpop_jkt":"`+jkt+`"`).names(t, "dpop_jkt", "policy.dpop")
	login("off", fmt.Sprintf(`,"dpop_jkt":%q,"deliver":"code","code_challenge":%q`, jkt, challengeOf(verifier))).names(t, "dpop_jkt", "policy.dpop")
	w.putClient("must", `{"type":"public","policy":{"dpop":"required"}}`)
	login("must", "").names(t, "dpop_jkt", "required")
	if a := login("must", fmt.Sprintf(`,"deliver":"code","code_challenge":%q`, challengeOf(verifier))); a.status != http.StatusCreated {
		t.Errorf("a code whose exchange brings the key: %v", a)
	}
	w.putClient("web", `{"type":"confidential","policy":{"dpop":"required"}}`)
	if a := login("web", ""); a.status != http.StatusCreated || a.cnf(t) != "" {
		t.Errorf("a confidential client: %v", a)
	}
	if n := len(w.families("user_id=alice")); n != 2 {
		t.Errorf("%d families began", n)
	}
}
