package server_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store/storetest"
	"github.com/rotor-auth/rotor/shared/token"
)

// vault is a Secrets Manager from which servers read their keys, and the function that rotates
// them.
type vault struct {
	t        testing.TB
	m        *keyringtest.SecretsManager
	rotation keyring.Rotation
	begun    int
	outages  []atomic.Bool // says for each server whether its requests fail
}

// secrets are those in a vault.
var secrets = keyring.Secrets{Token: keyringtest.ID, Signing: keyringtest.SigningID}

func newVault(t testing.TB, servers int) *vault {
	t.Helper()
	m := keyringtest.New(t, "{}")
	return &vault{t: t, m: m, outages: make([]atomic.Bool, servers), rotation: keyring.Rotation{
		Client: m.Client(1), Secrets: secrets, Algorithm: signing.ES256, LongestAccessToken: family.MaxAccessTokenLifetime.Duration(), Log: slog.New(slog.DiscardHandler),
	}}
}

// source returns the source of a server's keys.
func (v *vault) source(server int) keyring.Source {
	client := v.m.ClientOver(outage{http.DefaultTransport, &v.outages[server]}, 1)
	return keyring.SecretsManager(client, secrets, keyring.ToIssue, slog.New(slog.DiscardHandler))
}

// outage is a transport whose requests fail while it lasts.
type outage struct {
	http.RoundTripper
	lasts *atomic.Bool
}

func (o outage) RoundTrip(r *http.Request) (*http.Response, error) {
	if o.lasts.Load() {
		return nil, errors.New("connection refused")
	}
	return o.RoundTripper.RoundTrip(r)
}

// rotate performs all steps of a rotation of each secret.
func (v *vault) rotate(ctx context.Context, now time.Time) error {
	for id, secret := range map[string]*keyringtest.Secret{keyringtest.ID: v.m.Secret, keyringtest.SigningID: v.m.Signing} {
		v.begun++
		version := fmt.Sprintf("rotation-%032d", v.begun)
		secret.Begin(version)
		for _, step := range []string{"createSecret", "setSecret", "testSecret", "finishSecret"} {
			if err := v.rotation.Step(ctx, now, keyring.RotationEvent{Step: step, SecretID: id, Version: version}); err != nil {
				return err
			}
		}
	}
	trail.keys(v.t, v.document())
	return nil
}

// newVaultWorld returns a world of n servers with first keys.
func newVaultWorld(t *testing.T, n int, more ...option) (*world, *vault) {
	t.Helper()
	v := newVault(t, n)
	first := true
	w := newWorld(t, append(more, servers(n), keysFrom(func(server int, now time.Time) keyring.Source {
		if first {
			first = false
			if err := v.rotate(t.Context(), now); err != nil {
				t.Fatal(err)
			}
		}
		return v.source(server)
	}))...)
	return w, v
}

// document returns the keys in the vault, of both secrets.
func (v *vault) document() *keyring.Document {
	v.t.Helper()
	d, err := keyring.Parse([]byte(v.m.Text("AWSCURRENT")))
	if err != nil {
		v.t.Fatal(err)
	}
	signs, err := keyring.Parse([]byte(v.m.Signing.Text("AWSCURRENT")))
	if err != nil {
		v.t.Fatal(err)
	}
	d.Signing = signs.Signing
	return d
}

// macID returns the id of the key under which a refresh token was made.
func macID(refreshToken string) byte {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(refreshToken, token.Prefix))
	if err != nil || len(raw) < 2 {
		return 0
	}
	return raw[1]
}

// resourceServer verifies access tokens with a copy of the key set, which it keeps for a
// limited time.
type resourceServer struct {
	fetch func() (string, error)
	keep  time.Duration

	mu       sync.Mutex
	fetched  time.Time
	keys     jose.JSONWebKeySet
	fetches  int
	longest  time.Duration // the longest time for which a copy was kept
	verified map[string]int
}

// verify checks the signature with a copy of the key set that is not newer than now.
func (r *resourceServer) verify(now time.Time, access string) error {
	signed, err := jose.ParseSignedCompact(access, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fetches == 0 || now.Sub(r.fetched) >= r.keep {
		body, err := r.fetch()
		if err != nil {
			return err
		}
		r.keys = jose.JSONWebKeySet{}
		if err := json.Unmarshal([]byte(body), &r.keys); err != nil {
			return err
		}
		r.fetched = now
		r.fetches++
	}
	r.longest = max(r.longest, now.Sub(r.fetched))
	kid := signed.Signatures[0].Protected.KeyID
	keys := r.keys.Key(kid)
	if len(keys) != 1 {
		return fmt.Errorf("the key set of %s has no key %q", r.fetched, kid)
	}
	if _, err := signed.Verify(keys[0]); err != nil {
		return err
	}
	if r.verified == nil {
		r.verified = map[string]int{}
	}
	r.verified[kid]++
	return nil
}

// expiry returns the "exp" of an access token.
func expiry(access string) time.Time {
	var claims struct {
		Exp int64 `json:"exp"`
	}
	parts := strings.Split(access, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		return time.Time{}
	}
	return time.Unix(claims.Exp, 0)
}

// TestRotationUnderLoad makes thousands of refreshes at two servers while the clock advances four
// days and the keys rotate twice. Each time one server cannot reach Secrets Manager for a
// while. No valid token may be refused, and every access token must verify.
func TestRotationUnderLoad(t *testing.T) {
	parallel(t)
	const clients = 20
	refreshes := int64(storetest.SizeWhereSlow(10_000, 2_500, 1_000))
	w, v := newVaultWorld(t, 2)
	w.putClient("app", `{"type":"public","policy":{"access_token_lifetime":86400,"reuse_interval":0}}`)

	// send is w.try, but does not record secrets, which would be slow for so many.
	send := func(server int, method, path, body string) (answer, error) {
		req, err := http.NewRequestWithContext(t.Context(), method, w.servers[server].URL+path, strings.NewReader(body))
		if err != nil {
			return answer{}, err
		}
		req.Header.Set("Content-Type", formType)
		resp, err := w.http.Do(req)
		if err != nil {
			return answer{}, err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			return answer{}, err
		}
		a := answer{status: resp.StatusCode, body: string(b)}
		if err := json.Unmarshal(b, &a.json); err != nil || a.status != http.StatusOK {
			return a, fmt.Errorf("%s at server %d: %v", path, server, a)
		}
		return a, nil
	}
	jwks := func(server int) func() (string, error) {
		return func() (string, error) {
			a, err := send(server, http.MethodGet, "/.well-known/jwks.json", "")
			return a.body, err
		}
	}
	fresh := []*resourceServer{{fetch: jwks(0)}, {fetch: jwks(1)}}
	caching := []*resourceServer{{fetch: jwks(0), keep: 23 * time.Hour}, {fetch: jwks(1), keep: 23 * time.Hour}}

	// Each refresh moves the clock: slowly around a rotation, until all servers know the new
	// keys, and then quickly, past the change of the signing key and the end of the old one.
	// During a rotation the clock stands still and refreshes go on. They do not count, so that
	// the clock comes as far on a slow machine.
	slow := refreshes / 10
	step := func(n int64) time.Duration {
		if n%(refreshes/2) < slow {
			return 25 * time.Minute / time.Duration(slow)
		}
		return 50 * time.Hour / time.Duration(refreshes/2-slow)
	}
	var moving sync.Mutex
	var moves int64
	move := func() (n int64) {
		if !moving.TryLock() {
			return 0
		}
		defer moving.Unlock()
		moves++
		w.clock.Advance(step(moves))
		return moves
	}
	rotateAt := map[int64]bool{50: true, refreshes/2 + 50: true}
	var rotatedAt atomic.Pointer[time.Time]

	type held struct {
		access  string
		expires time.Time
	}
	var (
		count   atomic.Int64
		over    atomic.Bool
		mu      sync.Mutex
		kept    []held
		closest = 24 * time.Hour // shortest time between a verification and the token's end
		macs    = map[byte]int{}
		failed  = make(chan error, clients)
		done    sync.WaitGroup
	)
	refresh := func(client int, refreshToken *string, n int64) error {
		server := int(n+int64(client)) % 2
		a, err := send(server, http.MethodPost, "/oauth/token", refreshForm(*refreshToken))
		if err != nil {
			return fmt.Errorf("refresh %d at %s, of a token under key %d: %w", n, w.clock.Now(), macID(*refreshToken), err)
		}
		*refreshToken = a.text("refresh_token")
		now, access := w.clock.Now(), a.text("access_token")
		for _, r := range caching {
			if err := r.verify(now, access); err != nil {
				return fmt.Errorf("refresh %d at %s: by a cached key set: %w", n, now, err)
			}
		}
		if n%4 == 0 {
			if err := fresh[1-server].verify(now, access); err != nil {
				return fmt.Errorf("refresh %d at %s: by the other server's key set: %w", n, now, err)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		macs[macID(*refreshToken)]++
		if n%(refreshes/200) == 0 {
			kept = append(kept, held{access, expiry(access)})
		}
		return nil
	}
	// old verifies tokens that were issued a while ago and have not expired, with the keys
	// that are published now.
	old := func(server int) error {
		body, err := jwks(server)()
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		now := w.clock.Now() // read after the answer, so what is valid now was valid then
		kept = slices.DeleteFunc(kept, func(h held) bool { return !now.Before(h.expires) })
		r := resourceServer{fetch: func() (string, error) { return body, nil }, keep: time.Hour}
		for _, h := range kept {
			if err := r.verify(now, h.access); err != nil {
				return fmt.Errorf("at %s, a token that expires at %s: %w", now, h.expires, err)
			}
			closest = min(closest, h.expires.Sub(now))
		}
		return nil
	}
	work := func(client int, refreshToken string) error {
		for !over.Load() {
			n := count.Add(1)
			if err := refresh(client, &refreshToken, n); err != nil {
				return err
			}
			if n%(refreshes/400) == 0 {
				if err := old(client % 2); err != nil {
					return err
				}
			}
			moved := move()
			if moved >= refreshes {
				over.Store(true)
			}
			if rotateAt[moved] {
				moving.Lock()
				v.outages[1].Store(true)
				now := w.clock.Now()
				err := v.rotate(t.Context(), now)
				rotatedAt.Store(&now)
				moving.Unlock()
				if err != nil {
					return err
				}
			}
			if at := rotatedAt.Load(); at != nil && w.clock.Now().Sub(*at) > 6*time.Minute {
				v.outages[1].Store(false)
			}
		}
		return nil
	}
	start := w.clock.Now()
	var first [clients]string
	for client := range first { // before any clock moves
		first[client] = w.issue(fmt.Sprintf(`{"user_id":"u%d","client_id":"app"}`, client)).text("refresh_token")
	}
	for client := range clients {
		done.Go(func() {
			if err := work(client, first[client]); err != nil {
				failed <- err
				over.Store(true)
			}
		})
	}
	done.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	took := w.clock.Now().Sub(start)
	t.Logf("%v; MAC keys minted %v; signing keys signed %v; closest to an end %v", took, macs, caching[0].verified, closest)
	if len(macs) != 3 || len(caching[0].verified) != 3 || took < 100*time.Hour {
		t.Errorf("not all keys were used")
	}
	if closest > time.Hour {
		t.Errorf("no token was verified within the last %v of its life", closest)
	}
	for _, r := range caching {
		if r.longest < 22*time.Hour || r.fetches > 6 {
			t.Errorf("key sets were kept for %v, and fetched %d times", r.longest, r.fetches)
		}
	}
}

// TestRotationMissed checks a server that cannot read the secret until after a new MAC key has
// begun to mint. It answers 503 for tokens of the new key only, harms no family, and accepts
// them without a restart as soon as it can read the secret.
func TestRotationMissed(t *testing.T) {
	w, v := newVaultWorld(t, 2)
	refreshAt := func(server int, refreshToken string) answer {
		return w.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(refreshToken))
	}
	mustRotateAt := func(server int, refreshToken string) string {
		t.Helper()
		a := refreshAt(server, refreshToken)
		if a.status != http.StatusOK {
			t.Fatalf("server %d: %v", server, a)
		}
		return a.text("refresh_token")
	}
	tok, id := w.login()
	tok = mustRotateAt(1, tok)
	v.outages[1].Store(true)
	if err := v.rotate(t.Context(), w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(14 * time.Minute)
	tok = mustRotateAt(0, tok)
	tok = mustRotateAt(1, tok)
	w.clock.Advance(time.Minute)
	tok = mustRotateAt(0, tok) // made under the new key
	if got := macID(tok); got != 2 {
		t.Fatalf("minted under key %d", got)
	}
	if a := refreshAt(1, tok); !a.unavailable() {
		t.Fatalf("the server does not know the key, and cannot know whose fault that is: %v", a)
	}
	if f := w.family(id); f.text("status") != "active" {
		t.Fatalf("the family is %v", f)
	}
	v.outages[1].Store(false)
	w.clock.Advance(30 * time.Second)
	tok = mustRotateAt(1, tok)
	mustRotateAt(0, tok)
}

// TestRotationKeepsOldTokens checks that a refresh token made under a replaced key works until
// its family ends, and that an access token can outlive its signing key's use.
func TestRotationKeepsOldTokens(t *testing.T) {
	w, v := newVaultWorld(t, 2)
	w.putClient("app", `{"type":"public","policy":{"absolute_lifetime":31536000,"idle_lifetime":7776000}}`)
	first, _ := w.login()
	other, _ := w.login()
	for range 6 {
		w.clock.Advance(14 * 24 * time.Hour)
		if err := v.rotate(t.Context(), w.clock.Now()); err != nil {
			t.Fatal(err)
		}
	}
	w.clock.Advance(6*24*time.Hour - time.Second) // 90 days without one
	if got := macID(first); got != 1 {
		t.Fatalf("minted under key %d", got)
	}
	if got := macID(w.rotate(first)); got != 7 {
		t.Errorf("the successor is minted under key %d", got)
	}
	w.clock.Advance(time.Second)
	w.dead(other, family.ExpiredIdle)
}

// TestRotationMakesFirstKeys checks that without keys the answer is 503, until the first
// rotation makes them.
func TestRotationMakesFirstKeys(t *testing.T) {
	v := newVault(t, 2)
	w := newWorld(t, servers(2), keysFrom(func(server int, now time.Time) keyring.Source {
		if server == 1 {
			return v.source(server)
		}
		document, err := keyring.Generate(signing.ES256, now)
		if err != nil {
			t.Fatal(err)
		}
		source, err := keyring.Local(document)
		if err != nil {
			t.Fatal(err)
		}
		return source
	}))
	a := w.sendTo(1, http.MethodPost, "/oauth/token", formType, refreshForm("rotor_x"))
	if !a.unavailable() {
		t.Errorf("without keys: %v", a)
	}
	if a := w.sendTo(1, http.MethodGet, "/.well-known/jwks.json", "", ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("without keys: %v", a)
	}
	if err := v.rotate(t.Context(), w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	a = w.sendTo(1, http.MethodPost, "/v1/families", jsonType, `{"user_id":"u","client_id":"app"}`)
	if a.status != http.StatusCreated {
		t.Errorf("with keys: %v", a)
	}
}
