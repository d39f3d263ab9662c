package tokensource_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/rotor-auth/rotor/clients/tokensource"
	"github.com/rotor-auth/rotor/shared/proof"
)

// record is what the tests look at in the data of a record.
type record struct {
	Format       int               `json:"format"`
	RefreshToken string            `json:"refresh_token"`
	TokenType    string            `json:"token_type"`
	Key          map[string]string `json:"dpop_key"`
	Attempt      *struct {
		Count      int       `json:"count"`
		DoubtSince time.Time `json:"doubt_since"`
	} `json:"attempt"`
	Refusal *struct{ Code string } `json:"refusal"`
}

// read returns the record in the store. Its secrets are looked for in all that is printed.
func read(t testing.TB, store tokensource.Store) (r record) {
	t.Helper()
	stored, err := store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(stored.Data, &r); err != nil {
		t.Fatal(err)
	}
	trail.secrets(map[string]any{"client_secret": r.Key["d"]})
	return r
}

// damagedKey returns a record whose key was changed.
func damagedKey(t *testing.T, change func(map[string]string)) string {
	t.Helper()
	w, store := newWorld(t), tokensource.NewMemory()
	if _, err := w.source("app", store, nil, tokensource.WithDPoP()).DPoPThumbprint(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := read(t, store)
	change(r.Key)
	key, err := json.Marshal(r.Key)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"format":2,"refresh_token":"secret-r1","obtained_at":"2030-01-01T00:00:00Z","dpop_key":%s}`, key)
}

// bind starts a session that is bound to the source's key, without an access token.
func (w *world) bind(client string, src *tokensource.Source) (family string) {
	w.t.Helper()
	jkt, err := src.DPoPThumbprint(w.t.Context())
	if err != nil || len(jkt) != 43 {
		w.t.Fatalf("the thumbprint is %q, %v", jkt, err)
	}
	m := w.call(http.MethodPost, "/v1/families", fmt.Sprintf(`{"user_id":"u","client_id":%q,"dpop_jkt":%q}`, client, jkt))
	if err := src.Login(w.t.Context(), &oauth2.Token{RefreshToken: text(m, "refresh_token")}); err != nil {
		w.t.Fatal(err)
	}
	return text(m, "family")
}

// TestDPoP checks that a session is bound to a key that is made once and kept in the record. Its first request is sent again
// for a nonce, and its later ones are not. The token is worth nothing without the key.
func TestDPoP(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	src := w.source("bound", store, nil, tokensource.WithDPoP())
	family := w.bind("bound", src)
	key := read(t, store)
	if key.Format != 2 || key.Key["kty"] != "EC" || key.Key["crv"] != "P-256" || len(key.Key) != 5 || len(key.Key["d"]) != 43 {
		t.Errorf("the record has format %d and a key of %d members", key.Format, len(key.Key))
	}
	for n, requests := range []int{2, 1, 1} { // the first one has no nonce
		w.wire.breaks(nil)
		if token := w.good(src); token.TokenType != "DPoP" || w.wire.requests() != requests {
			t.Errorf("refresh %d: %d requests, a token of type %q", n+1, w.wire.requests(), token.TokenType)
		}
		r := read(t, store)
		if r.Format != 2 || r.Key["d"] != key.Key["d"] || r.TokenType != "DPoP" || r.Attempt != nil {
			t.Errorf("refresh %d left another record", n+1)
		}
		w.clock.Advance(4 * time.Minute) // the nonce is good for five
	}
	counter, _ := w.family(family)
	stolen := read(t, store).RefreshToken
	_, err := w.conf("bound").TokenSource(t.Context(), &oauth2.Token{RefreshToken: stolen}).Token()
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.ErrorCode != "invalid_dpop_proof" {
		t.Errorf("a thief without the key: %v", err)
	}
	thief := tokensource.NewMemory()
	other := w.source("bound", thief, nil, tokensource.WithDPoP())
	if err := other.Login(t.Context(), &oauth2.Token{RefreshToken: stolen}); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Token(); !errors.Is(err, tokensource.ErrLoginRequired) {
		t.Errorf("a thief with another key: %v", err)
	}
	if now, status := w.family(family); now != counter || status != "active" {
		t.Errorf("the thief left the family at %d, %s", now, status)
	}
	w.good(src)
	trail.print(src, other)
}

// TestDPoPLogin checks that the exchange of a code by the source's client binds the session.
func TestDPoPLogin(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	src := w.source("bound", store, nil, tokensource.WithDPoP(), tokensource.WithParams(url.Values{"resource": {w.server.URL}}))
	verifier := oauth2.GenerateVerifier()
	m := w.call(http.MethodPost, "/v1/families", `{"user_id":"u","client_id":"bound","deliver":"code","code_challenge":"`+oauth2.S256ChallengeFromVerifier(verifier)+`"}`)
	client, err := src.LoginClient(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.wire.breaks(nil)
	token, err := w.conf("bound").Exchange(context.WithValue(t.Context(), oauth2.HTTPClient, client), text(m, "code"), oauth2.VerifierOption(verifier))
	if err != nil || token.TokenType != "DPoP" || w.wire.requests() != 2 {
		t.Fatalf("the exchange: %d requests, %v", w.wire.requests(), err)
	}
	token.Expiry = time.Time{} // is by the machine's clock
	if err := src.Login(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if got := w.good(src); got.AccessToken != token.AccessToken {
		t.Error("the first access token was not used")
	}
	w.clock.Advance(time.Hour)
	w.good(w.source("bound", store, nil)) // another process, without the option
	if r := read(t, store); r.Format != 2 || r.Key == nil {
		t.Error("a program without the option has dropped the key")
	}
}

// TestDPoPNothingLost checks that a bound session survives what ends others: ten processes in a row, hours apart, all of
// whose answers are lost.
func TestDPoPNothingLost(t *testing.T) {
	for client, survives := range map[string]bool{"bound": true, "bound-strict": true, "app": false, "strict": false} {
		w := newWorld(t)
		store := tokensource.NewMemory()
		if survives {
			w.bind(client, w.source(client, store, nil, tokensource.WithDPoP()))
		} else {
			w.begun(client, store)
		}
		for range 10 {
			w.clock.Advance(2 * time.Hour)
			w.wire.breaks(func(int) fault { return lost })
			if _, err := w.source(client, store, nil).Token(); err == nil {
				t.Fatal("no answer was lost")
			}
		}
		w.wire.breaks(nil)
		w.clock.Advance(2 * time.Hour)
		_, err := w.source(client, store, nil).Token()
		if lives := err == nil; lives != survives {
			t.Errorf("%s: %v", client, err)
		}
	}
}

// TestDPoPBackup checks that a record which was restored from a backup, with a token long superseded, goes on.
func TestDPoPBackup(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	src := w.source("bound", store, nil, tokensource.WithDPoP())
	family := w.bind("bound", src)
	w.good(src)
	backup, err := store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		w.clock.Advance(time.Hour)
		w.good(src)
	}
	restored := tokensource.NewMemory()
	if err := restored.Save(t.Context(), tokensource.Record{Version: 1, Data: backup.Data}); err != nil {
		t.Fatal(err)
	}
	old := read(t, restored).RefreshToken
	w.good(w.source("bound", restored, nil))
	if r := read(t, restored); r.RefreshToken == old || r.RefreshToken != read(t, store).RefreshToken {
		t.Error("it did not get the newest token")
	}
	if _, status := w.family(family); status != "active" {
		t.Errorf("the family is %s", status)
	}
}

// TestDPoPOneKey checks that processes which begin at once agree on one key, also if one of them dies before the login, and that
// nothing is signed by a key that is not saved.
func TestDPoPOneKey(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(private(t), "token")
	var mu sync.Mutex
	var all sync.WaitGroup
	seen := map[string]bool{}
	for range 8 {
		all.Go(func() {
			src := tokensource.New(w.conf("bound"), tokensource.NewFile(path), tokensource.WithDPoP())
			jkt, err := src.DPoPThumbprint(t.Context())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[jkt] = true
		})
	}
	all.Wait()
	if len(seen) != 1 {
		t.Errorf("%d keys were made", len(seen))
	}
	store := tokensource.NewFile(path)
	family := w.bind("bound", w.source("bound", store, nil, tokensource.WithDPoP())) // all others have died
	w.good(w.source("bound", store, nil, tokensource.WithDPoP()))
	if shown := w.call(http.MethodGet, "/v1/families/"+family, ""); !seen[text(shown, "dpop_jkt")] {
		t.Errorf("the family is bound to %q", text(shown, "dpop_jkt"))
	}

	broken := &faultyStore{Store: tokensource.NewMemory(), save: func(int) error { return errStore }}
	src := w.source("bound", broken, nil, tokensource.WithDPoP())
	if jkt, err := src.DPoPThumbprint(t.Context()); err == nil || jkt != "" {
		t.Errorf("the thumbprint of a key that is not saved is %q", jkt)
	}
	if _, err := src.LoginClient(t.Context()); !errors.Is(err, errStore) {
		t.Errorf("LoginClient returned %v", err)
	}
	broken.mend()
	if jkt, err := src.DPoPThumbprint(t.Context()); err != nil || jkt == "" {
		t.Error(err)
	}
	none, err := w.source("app", tokensource.NewMemory(), nil).DPoPThumbprint(t.Context())
	if err != nil || none != "" {
		t.Errorf("without the option the thumbprint is %q, %v", none, err)
	}
}

// TestDPoPOfUnbound checks that a source makes its key with the claim, for a session that begins with a refresh.
func TestDPoPOfUnbound(t *testing.T) {
	w := newWorld(t)
	w.call(http.MethodPut, "/v1/clients/app", `{"type":"public","policy":{"access_token_lifetime":600,"dpop":"allowed"}}`)
	store := tokensource.NewMemory()
	family := w.begun("app", store)
	faulty := &faultyStore{Store: store, saving: func(tokensource.Record) error { return errStore }}
	w.wire.breaks(nil)
	src := w.source("app", faulty, nil, tokensource.WithDPoP())
	if _, err := src.Token(); !errors.Is(err, errStore) || w.wire.requests() != 0 {
		t.Errorf("a key that is not saved: %d requests, %v", w.wire.requests(), err)
	}
	faulty.mend()
	if token := w.good(src); token.TokenType != "DPoP" {
		t.Errorf("the access token is of type %q", token.TokenType)
	}
	if shown := w.call(http.MethodGet, "/v1/families/"+family, ""); text(shown, "dpop_jkt") != "" {
		t.Errorf("the family was bound later, to %q", text(shown, "dpop_jkt"))
	}
}

// TestDPoPKeys checks keys of the program's own, and that a lost one asks for a login once, and only the program that has lost it.
func TestDPoPKeys(t *testing.T) {
	small, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{ec, rsaKey, edwards} {
		w := newWorld(t)
		store := tokensource.NewMemory()
		src := w.source("bound", store, nil, tokensource.WithDPoPKey(key))
		w.bind("bound", src)
		w.good(src)
		if r := read(t, store); r.Key != nil || r.Format != 1 {
			t.Errorf("%T: the record has format %d and a key: %v", key, r.Format, r.Key != nil)
		}
		w.clock.Advance(time.Hour)
		lost := w.source("bound", store, nil, tokensource.WithDPoPKey(newKey(t)))
		w.wire.breaks(nil)
		for range 3 {
			if _, err := lost.Token(); !errors.Is(err, tokensource.ErrLoginRequired) {
				t.Errorf("%T: with another key: %v", key, err)
			}
		}
		if n := w.wire.requests(); n != 2 { // one of them for the nonce
			t.Errorf("%T: it was refused %d times", key, n)
		}
		w.good(w.source("bound", store, nil, tokensource.WithDPoPKey(key)))
	}
	for key, want := range map[crypto.Signer]string{nil: "there is no key", small: "not supported"} {
		src := newWorld(t).source("bound", tokensource.NewMemory(), nil, tokensource.WithDPoPKey(key))
		_, tokenErr := src.Token()
		_, clientErr := src.LoginClient(t.Context())
		for _, err := range []error{tokenErr, clientErr, src.Login(t.Context(), &oauth2.Token{RefreshToken: "r"})} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%T: %v", key, err)
			}
		}
	}
}

// newKey returns a new key.
func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestDPoPNonces checks a server that never likes a nonce: the token is neither dead nor in doubt.
func TestDPoPNonces(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		asked++
		rw.Header().Set("Content-Type", "application/json")
		rw.Header().Set("DPoP-Nonce", fmt.Sprint("nonce-", asked))
		rw.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(rw, `{"error":"use_dpop_nonce"}`)
	}))
	t.Cleanup(server.Close)
	w := newWorld(t)
	store := tokensource.NewMemory()
	src := tokensource.New(&oauth2.Config{ClientID: "app", Endpoint: oauth2.Endpoint{TokenURL: server.URL}}, store, tokensource.WithDPoP(),
		tokensource.WithClock(w.clock.Now, func() time.Duration { return w.clock.Now().Sub(w.start) }, w.sleep))
	if err := src.Login(t.Context(), &oauth2.Token{RefreshToken: "refresh-1"}); err != nil {
		t.Fatal(err)
	}
	_, err := src.Token()
	if err == nil || errors.Is(err, tokensource.ErrLoginRequired) || asked < 6 {
		t.Errorf("after %d requests: %v", asked, err)
	}
	if r := read(t, store); r.Refusal != nil || r.RefreshToken != "refresh-1" || !r.Attempt.DoubtSince.IsZero() || asked != 3*r.Attempt.Count {
		t.Errorf("%d requests left the record %+v", asked, r.Attempt)
	}
}

// TestDPoPTransport checks what a resource server gets: a proof for each request, with the hash of its token, and with the nonce that
// the server asks for.
func TestDPoPTransport(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	src := w.source("bound", store, nil, tokensource.WithDPoP())
	w.bind("bound", src)
	jkt, err := src.DPoPThumbprint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var bodies []string
	nonce, strict := "nonce-1", false
	var resource *httptest.Server
	resource = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		got, err := proof.CheckDPoP(r.Header.Values("DPoP"), proof.Expected{
			Method: r.Method, URL: resource.URL + r.URL.EscapedPath(), AccessToken: token, Now: w.clock.Now(),
			Nonce: func(s string) bool { return s == nonce },
		})
		var refused *proof.RefusedError
		rw.Header().Set("DPoP-Nonce", nonce)
		switch {
		case errors.As(err, &refused) && refused.NeedsNonce() && !strict:
			rw.Header().Set("WWW-Authenticate", `DPoP error="use_dpop_nonce", error_description="Send the nonce"`)
			rw.WriteHeader(http.StatusUnauthorized)
		case err != nil || scheme != "DPoP" || got.String() != jkt:
			t.Errorf("%s: scheme %q, key %s, %v", r.URL, scheme, got, err)
			rw.WriteHeader(http.StatusForbidden)
		default:
			_, _ = io.WriteString(rw, "hello")
		}
	}))
	t.Cleanup(resource.Close)
	w.good(src)
	w.wire.breaks(nil)
	send := func(method, path, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, resource.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := src.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if answer, err := io.ReadAll(resp.Body); err != nil || string(answer) != "hello" || resp.Request.Header.Get("DPoP") != "" {
			t.Errorf("%s %s: %s %q, %v", method, path, resp.Status, answer, err)
		}
	}
	send(http.MethodPost, "/orders?state=open&n=1#top", "one") // which is asked for a nonce
	strict = true
	send(http.MethodGet, "", "")
	send(http.MethodPut, "/a%2Fb", "two")
	strict, nonce = false, "nonce-2"
	send(http.MethodPost, "/", "three")
	if got := strings.Join(bodies, ","); got != "one,one,,two,three,three" {
		t.Errorf("the server got the bodies %s", got)
	}
	if n := w.wire.requests(); n != 0 {
		t.Errorf("a nonce was taken for a rejected token: %d refreshes", n)
	}
}
