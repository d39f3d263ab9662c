package server_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// prover is somebody who has a key, and makes DPoP proofs with it (RFC 9449 §4).
type prover struct {
	w      *world
	key    *ecdsa.PrivateKey
	issuer string // of the service
	nonce  string // the last one that the service gave
}

func (w *world) prover() *prover {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	return &prover{w: w, key: key, issuer: w.servers[0].URL, nonce: w.keys.Codec.Nonce(w.clock.Now())}
}

// jkt returns the thumbprint of the key.
func (p *prover) jkt() string {
	p.w.t.Helper()
	jwk := jose.JSONWebKey{Key: p.key.Public()}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		p.w.t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// proof returns a proof for the token endpoint, with claims that replace its own; nil leaves one out.
func (p *prover) proof(claims ...any) string {
	p.w.t.Helper()
	proof := signed(p.w.t, jose.ES256, p.key, p.claims(claims...))
	trail.add("a proof", proof)
	return proof
}

// post sends a form to the token endpoint with a proof, whose nonce is the service's last one.
func (p *prover) post(form string, claims ...any) answer {
	p.w.t.Helper()
	a := p.w.send(http.MethodPost, "/oauth/token", formType, form, "DPoP", p.proof(claims...))
	if nonce := a.header.Get("DPoP-Nonce"); nonce != "" {
		p.nonce = nonce
	}
	return a
}

// refresh refreshes with a proof. If the nonce is old, it tries again with the one of the answer.
func (p *prover) refresh(refreshToken string, more ...string) answer {
	p.w.t.Helper()
	a := p.post(refreshForm(refreshToken, more...))
	if a.text("error") == "use_dpop_nonce" {
		a = p.post(refreshForm(refreshToken, more...))
	}
	return a
}

// newBoundWorld returns a world in which the public client "app" has the given policy for DPoP.
func newBoundWorld(t testing.TB, dpop string, opts ...option) *world {
	t.Helper()
	w := newCodeWorld(t, opts...)
	w.putClient("app", strings.TrimSuffix(authorizing, "}")+fmt.Sprintf(`,"policy":{"dpop":%q}}`, dpop))
	return w
}

// bound returns the first tokens of a family that is bound to the prover's key.
func (p *prover) bound() answer {
	p.w.t.Helper()
	a := p.post(exchangeForm(p.w.code()))
	if a.status != http.StatusOK || a.text("token_type") != "DPoP" {
		p.w.t.Fatalf("the exchange got %v", a)
	}
	return a
}

// unproven reports whether the answer asks for a proof.
func (a answer) unproven() bool {
	return a.status == http.StatusBadRequest && a.text("error") == "invalid_dpop_proof"
}

// TestBoundSession checks a family that is bound to a key by its code: its access tokens are bound, each refresh
// needs a proof, and who lacks it ends nothing.
func TestBoundSession(t *testing.T) {
	w := newBoundWorld(t, "allowed")
	p := w.prover()
	first := p.bound()
	_, said := decodeJWT(t, first.text("access_token"))
	if got, _ := said["cnf"].(map[string]any); got["jkt"] != p.jkt() || len(got) != 1 {
		t.Errorf("cnf is %v, want the thumbprint %s", said["cnf"], p.jkt())
	}
	w.clock.Advance(2 * time.Minute)
	thief := w.prover()
	w.get("/v1/clients/app") // which is read once a minute
	w.refresh("rotor_")
	w.store.Counted()
	for range 3 {
		if a := w.refresh(first.text("refresh_token")); !a.unproven() {
			t.Errorf("without a proof: %v", a)
		}
		if a := thief.refresh(first.text("refresh_token")); !a.refused(http.StatusBadRequest) {
			t.Errorf("with a proof of another key: %v", a)
		}
	}
	if got := w.store.Counted(); len(got) != 6 || slices.ContainsFunc(got, func(s string) bool { return s != "UpdateItem" }) {
		t.Errorf("six refusals made the requests %v", got)
	}
	a := p.refresh(first.text("refresh_token"))
	if a.status != http.StatusOK || a.text("token_type") != "DPoP" {
		t.Errorf("with the key: %v", a)
	}
	w.clock.Advance(2 * time.Minute)
	if a := w.refresh(first.text("refresh_token")); !a.unproven() {
		t.Errorf("a superseded token without a proof: %v", a)
	}
	if a := p.refresh(a.text("refresh_token")); a.status != http.StatusOK {
		t.Errorf("the session is over: %v", a)
	}
}

// TestBoundSessionCannotBeLost checks that any token of a bound family gets the newest with a proof, at any age.
func TestBoundSessionCannotBeLost(t *testing.T) {
	for _, interval := range []int{0, 60} {
		w := newBoundWorld(t, "required")
		w.putClient("app", strings.TrimSuffix(authorizing, "}")+fmt.Sprintf(`,"policy":{"dpop":"required","reuse_interval":%d}}`, interval))
		p := w.prover()
		held := []string{p.bound().text("refresh_token")}
		for range 10 { // whose answers are lost
			w.clock.Advance(2 * time.Minute)
			a := p.refresh(held[len(held)-1])
			if a.status != http.StatusOK {
				t.Fatalf("interval %d: %v", interval, a)
			}
			held = append(held, a.text("refresh_token"))
		}
		newest := held[len(held)-1]
		for i, old := range held[:len(held)-1] {
			w.clock.Advance(25 * time.Hour)
			a := p.refresh(old)
			if a.status != http.StatusOK || a.text("refresh_token") != newest {
				t.Errorf("interval %d: token %d got %v", interval, i+1, a)
			}
			if line, _ := w.last("late_use"); line["tokenCounter"] != float64(i+1) {
				t.Errorf("the event is %v", line)
			}
		}
	}
}

// TestCodeAgainWithTheKey checks that the second use of a code, however late, does not end a bound family: it is refused.
func TestCodeAgainWithTheKey(t *testing.T) {
	w := newBoundWorld(t, "allowed")
	p, code := w.prover(), w.code()
	token := p.post(exchangeForm(code)).text("refresh_token")
	for _, later := range []time.Duration{9 * time.Second, time.Second, 25 * time.Hour} {
		w.clock.Advance(later)
		p.nonce = w.keys.Codec.Nonce(w.clock.Now())
		for _, form := range []string{exchangeForm(code), exchangeForm(code, "code_verifier", strings.Repeat("w", 43))} {
			if a := p.post(form); !a.codeRefused() {
				t.Errorf("the code came again: %v", a)
			}
			if a := w.prover().post(form); !a.codeRefused() {
				t.Errorf("the code came again with another key: %v", a)
			}
			if a := w.send(http.MethodPost, "/oauth/token", formType, form); !a.unproven() {
				t.Errorf("the code came again without a key: %v", a)
			}
		}
		a := p.refresh(token)
		if a.status != http.StatusOK {
			t.Fatalf("the session is over: %v", a)
		}
		token = a.text("refresh_token")
	}
	if line, _ := w.last("feacft"); line["cause"] != "no_proof" || w.storedEvents("ferrt") != 0 {
		t.Errorf("the log has %v", line)
	}
}

// TestNeverBoundLater checks that a family which began without a key is not bound by who comes first with one.
func TestNeverBoundLater(t *testing.T) {
	w := newBoundWorld(t, "allowed")
	token := w.exchange(w.code()).text("refresh_token")
	p := w.prover()
	for range 2 {
		w.clock.Advance(2 * time.Minute)
		a := p.refresh(token)
		if a.status != http.StatusOK || a.text("token_type") != "DPoP" {
			t.Fatalf("with a proof: %v", a)
		}
		w.clock.Advance(2 * time.Minute)
		if a = w.refresh(a.text("refresh_token")); a.status != http.StatusOK || a.text("token_type") != "Bearer" {
			t.Fatalf("without a proof: %v", a)
		}
		token = a.text("refresh_token")
	}
}

// TestOnlyTheFirstUseBinds checks that another provider's token, whose first use came without a proof, does not bind
// its family when it is presented with one later: neither inside the interval, nor once its answer counts as lost.
func TestOnlyTheFirstUseBinds(t *testing.T) {
	w := newWorld(t)
	w.acceptImported("true", `"policy":{"dpop":"allowed","reuse_interval":600,"lost_response":"until_used"}`)
	id := w.importToken("u", foreignToken(1))
	first := w.refresh(foreignToken(1))
	if first.status != http.StatusOK || first.text("token_type") != "Bearer" {
		t.Fatalf("without a proof: %v", first)
	}
	used := w.family(id).text("last_used_at")
	w.clock.Advance(5 * time.Minute) // inside the interval, and so long that the use is recorded
	again := w.prover().refresh(foreignToken(1))
	if again.status != http.StatusOK || again.text("refresh_token") != first.text("refresh_token") {
		t.Fatalf("again, with a proof: %v", again)
	}
	if w.family(id).text("last_used_at") == used {
		t.Error("the second use was not recorded")
	}
	w.clock.Advance(10 * time.Minute)
	lost := w.prover().refresh(foreignToken(1))
	if lost.status != http.StatusOK || lost.text("refresh_token") == first.text("refresh_token") {
		t.Fatalf("after the interval, with a proof: %v", lost)
	}
	w.clock.Advance(10 * time.Minute)
	if a := w.refresh(lost.text("refresh_token")); a.status != http.StatusOK || a.text("token_type") != "Bearer" {
		t.Errorf("without a proof, later: %v", a)
	}
}

// TestSlowUseOfASupersededToken checks that a slow request, which finds its token superseded long before, does not take the last use
// of its family back.
func TestSlowUseOfASupersededToken(t *testing.T) {
	w := newBoundWorld(t, "allowed")
	p := w.prover()
	first := p.bound().text("refresh_token")
	id := w.familyOf(first)
	w.clock.Advance(2 * time.Minute)
	second := p.refresh(first).text("refresh_token")
	waits, release := w.store.Hold("UpdateItem")
	slow, failed := make(chan answer, 1), make(chan error, 1)
	form, proof := refreshForm(first), p.proof()
	go func() {
		a, err := w.try(0, http.MethodPost, "/oauth/token", formType, form, "DPoP", proof)
		slow <- a
		failed <- err
	}()
	<-waits
	w.store.Break(nil)
	w.clock.Advance(2 * time.Minute)
	third := p.refresh(second).text("refresh_token")
	used := w.family(id).text("last_used_at")
	release()
	if a, err := <-slow, <-failed; err != nil || a.status != http.StatusOK || a.text("refresh_token") != third {
		t.Fatalf("the slow request got %v, %v", a, err)
	}
	if line, _ := w.last("late_use"); line["tokenCounter"] != 1.0 {
		t.Errorf("the event is %v", line)
	}
	if got := w.family(id).text("last_used_at"); got != used {
		t.Errorf("last used at %s, was %s before", got, used)
	}
}

// TestBoundWhateverThePolicy checks that a family stays bound when its client's policy is switched off.
func TestBoundWhateverThePolicy(t *testing.T) {
	w := newBoundWorld(t, "required")
	p := w.prover()
	token := p.bound().text("refresh_token")
	w.putClient("app", authorizing)
	w.clock.Advance(2 * time.Minute)
	if a := w.refresh(token); !a.unproven() {
		t.Errorf("without a proof: %v", a)
	}
	if a := w.prover().refresh(token); !a.refused(http.StatusBadRequest) {
		t.Errorf("with another key: %v", a)
	}
	p.nonce = ""
	if a := p.refresh(token); a.status != http.StatusOK || a.text("token_type") != "DPoP" {
		t.Errorf("with the key: %v", a)
	}
	if a := p.post(exchangeForm(w.code())); a.status != http.StatusOK || a.text("token_type") != "Bearer" {
		t.Errorf("a new family is bound: %v", a)
	}
}

// TestBoundFromTheStart checks the keys that a login and an authorization request name.
func TestBoundFromTheStart(t *testing.T) {
	w := newBoundWorld(t, "required")
	p := w.prover()
	a := w.issue(fmt.Sprintf(`{"user_id":"alice","client_id":"app","dpop_jkt":%q}`, p.jkt()))
	if a.status != http.StatusCreated || a.text("token_type") != "DPoP" {
		t.Fatal(a)
	}
	if shown := w.get("/v1/families/" + a.text("family")); shown.text("dpop_jkt") != p.jkt() {
		t.Errorf("the family is shown as %v", shown)
	}
	if a := w.refresh(a.text("refresh_token")); !a.unproven() {
		t.Errorf("without a proof: %v", a)
	}
	if a := p.refresh(a.text("refresh_token")); a.status != http.StatusOK {
		t.Error(a)
	}
	if a := w.send(http.MethodPost, "/v1/families", jsonType, `{"user_id":"alice","client_id":"app"}`); a.status != http.StatusBadRequest {
		t.Errorf("a family begins without a key: %v", a)
	}
	code := w.code("dpop_jkt", p.jkt())
	if a := w.prover().post(exchangeForm(code)); !a.codeRefused() {
		t.Errorf("a code with another key: %v", a)
	}
	if a := w.exchange(code); !a.unproven() {
		t.Errorf("a code without a key: %v", a)
	}
	if a := p.post(exchangeForm(code)); a.status != http.StatusOK {
		t.Error(a)
	}
	code = w.code()
	if a := w.exchange(code); !a.unproven() {
		t.Errorf("a code without a key: %v", a)
	}
	if a := p.post(exchangeForm(code)); a.status != http.StatusOK {
		t.Errorf("the code was spent without a proof: %v", a)
	}
}

// TestConfidentialClientsAreNotBound checks that the refresh tokens of a confidential client are not bound, and that
// its access tokens are, each to the key of its own request.
func TestConfidentialClientsAreNotBound(t *testing.T) {
	w := newWorld(t)
	w.confidential(`{"dpop":"allowed"}`)
	token, _ := w.login()
	for _, p := range []*prover{w.prover(), w.prover()} {
		w.clock.Advance(2 * time.Minute)
		a := p.refresh(token, "client_secret", w.secret)
		_, said := decodeJWT(t, a.text("access_token"))
		if cnf, _ := said["cnf"].(map[string]any); a.text("token_type") != "DPoP" || cnf["jkt"] != p.jkt() {
			t.Fatalf("with a proof: %v", a)
		}
		w.clock.Advance(2 * time.Minute)
		if a = w.refresh(a.text("refresh_token")); a.status != http.StatusOK || a.text("token_type") != "Bearer" {
			t.Fatalf("without a proof: %v", a)
		}
		token = a.text("refresh_token")
	}
	w.confidential(`{"dpop":"required"}`)
	if a := w.refresh(token); !a.unproven() {
		t.Errorf("without a proof: %v", a)
	}
	if a := w.prover().refresh(token, "client_secret", w.secret); a.status != http.StatusOK {
		t.Error(a)
	}
}

// TestNonce checks that a proof needs a nonce of the service, and that each answer to a proof has one.
func TestNonce(t *testing.T) {
	w := newBoundWorld(t, "allowed", origins("https://app.example.com"))
	p := w.prover()
	token := p.bound().text("refresh_token")
	wantNonce := func(a answer, what string) {
		t.Helper()
		if a.status != http.StatusBadRequest || a.text("error") != "use_dpop_nonce" || a.header.Get("DPoP-Nonce") != w.keys.Codec.Nonce(w.clock.Now()) {
			t.Errorf("%s: %v", what, a)
		}
	}
	w.store.Counted()
	wantNonce(p.post(refreshForm(token), "nonce", nil), "without a nonce")
	wantNonce(p.post(refreshForm(token), "nonce", "made-up"), "with a nonce of somebody else")
	proof := p.proof()
	w.clock.Advance(10 * time.Minute)
	wantNonce(w.send(http.MethodPost, "/oauth/token", formType, refreshForm(token), "DPoP", proof), "with an old proof")
	if got := w.store.Counted(); slices.Contains(got, "UpdateItem") {
		t.Errorf("the requests to the store are %v", got)
	}
	a := w.send(http.MethodPost, "/oauth/token", formType, refreshForm(token), "DPoP", p.proof(), "Origin", "https://app.example.com")
	wantNonce(a, "with the nonce of ten minutes ago")
	if exposed := a.header.Get("Access-Control-Expose-Headers"); !strings.Contains(exposed, "Dpop-Nonce") && !strings.Contains(exposed, "DPoP-Nonce") {
		t.Errorf("pages can read %q alone", exposed)
	}
	p.nonce = a.header.Get("DPoP-Nonce")
	if a := p.post(refreshForm(token)); a.status != http.StatusOK || a.header.Get("DPoP-Nonce") != p.nonce {
		t.Errorf("with a good nonce: %v", a)
	}
}

// TestWrongKeyStatus checks that a refusal for another key has the status of the client's policy, and a nonce.
func TestWrongKeyStatus(t *testing.T) {
	w := newBoundWorld(t, "required")
	w.putClient("app", strings.TrimSuffix(authorizing, "}")+`,"policy":{"dpop":"required","invalid_grant_status":403}}`)
	p := w.prover()
	token := p.bound().text("refresh_token")
	if a := w.prover().post(refreshForm(token)); !a.refused(http.StatusForbidden) || a.header.Get("DPoP-Nonce") != w.keys.Codec.Nonce(w.clock.Now()) {
		t.Errorf("with another key: %v, nonce %q", a, a.header.Get("DPoP-Nonce"))
	}
	if a := p.refresh(token); a.status != http.StatusOK {
		t.Errorf("with the key: %v", a)
	}
}
