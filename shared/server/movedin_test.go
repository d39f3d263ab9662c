package server_test

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// mover is an app whose users move in with another provider's tokens.
type mover struct {
	*world
	mu       sync.Mutex
	families []string // of each token, as its import said
	got      []string // the refresh token that each got in exchange
}

// TestMovedIn lets users move in while the store fails in every way and servers crash: importers
// that race and repeat, apps that present their tokens before the import, beside it, all at once,
// and again when they get no answer. Each token ends in exactly one family, and the table holds
// neither a token nor its hash.
func TestMovedIn(t *testing.T) {
	parallel(t)
	n := storetest.SizeWhereSlow(10_000, 200, 100)
	w := newWorld(t, servers(4))
	w.acceptImported(`{"prefix":"v1.M"}`)
	m := &mover{world: w, families: make([]string, n), got: make([]string, n)}
	const batch = 100
	for from := 0; from < n; from += batch {
		to := min(from+batch, n)
		m.breaks()
		m.all(m.imports(from, to), m.imports(from, to), m.uses(from, to, false))
		m.restart(rand.IntN(len(m.servers)))
		m.clock.Advance(10 * time.Second) // until then a server may remember that a token was unknown
		m.all(m.uses(from, to, true), m.uses(from, to, true), m.imports(from, to), func() error {
			m.restart(rand.IntN(len(m.servers)))
			return nil
		})
		m.store.Break(nil)
	}
	if reuses := len(m.logged("ferrt")); reuses > 0 {
		t.Errorf("%d tokens were taken for stolen", reuses)
	}
	m.oneFamilyEach()
	m.replayed()
	m.holdsNoToken()
}

// breaks makes one request to the store in forty fail from now on.
func (m *mover) breaks() {
	faults := []storetest.Fault{storetest.Failed, storetest.Throttled, storetest.Timeout, storetest.Lost, storetest.Lost}
	m.store.Break(func(int, string) storetest.Fault {
		if rand.IntN(40) > 0 {
			return storetest.None
		}
		return faults[rand.IntN(len(faults))]
	})
}

// all runs all of these at once.
func (m *mover) all(do ...func() error) {
	m.t.Helper()
	var group errgroup.Group
	for _, f := range do {
		group.Go(f)
	}
	if err := group.Wait(); err != nil {
		m.t.Fatal(err)
	}
}

// answered repeats a request, to any server, until it is answered.
func (m *mover) answered(method, path, contentType, body string) (answer, error) {
	for {
		a, err := m.try(rand.IntN(len(m.servers)), method, path, contentType, body)
		if err != nil || a.status != http.StatusServiceUnavailable {
			return a, err
		}
	}
}

// imports returns an import of the tokens, which must all have a family then, and the same as in
// any other import.
func (m *mover) imports(from, to int) func() error {
	var rows []map[string]any
	for i := from; i < to; i++ {
		rows = append(rows, importRow(fmt.Sprint("user-", i/3), foreignToken(i)))
	}
	body := importBody(rows...)
	return func() error {
		a, err := m.answered(http.MethodPost, "/v1/imports", jsonType, body)
		if err != nil {
			return err
		}
		var answer struct{ Tokens []imported }
		if err := json.Unmarshal([]byte(a.body), &answer); err != nil || a.status != http.StatusOK || len(answer.Tokens) != to-from {
			return fmt.Errorf("an import got %v", a)
		}
		for i, token := range answer.Tokens {
			if err := m.belongs(from+i, token); err != nil {
				return err
			}
		}
		return nil
	}
}

// belongs records what an import has come to for a token, and returns an error if another import
// said something else.
func (m *mover) belongs(n int, to imported) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.families[n] == "" {
		m.families[n] = to.Family
	}
	if to.Family == "" || to.Family != m.families[n] || to.Result != "imported" && to.Result != "already" {
		return fmt.Errorf("token %d is %v, and was of family %s", n, to, m.families[n])
	}
	return nil
}

// uses returns uses of all the tokens, each in two tabs at once. All that are answered with a token
// are answered with the same one. If the tokens are surely imported, none is refused.
func (m *mover) uses(from, to int, surely bool) func() error {
	return func() error {
		var group errgroup.Group
		group.SetLimit(8)
		for i := from; i < to; i++ {
			for range 2 {
				group.Go(func() error { return m.use(i, surely) })
			}
		}
		return group.Wait()
	}
}

func (m *mover) use(n int, surely bool) error {
	a, err := m.answered(http.MethodPost, "/oauth/token", formType, refreshForm(foreignToken(n)))
	switch {
	case err != nil:
		return err
	case a.refused(http.StatusBadRequest) && !surely:
		return nil
	case a.status != http.StatusOK:
		return fmt.Errorf("token %d got %v", n, a)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.got[n] == "" {
		m.got[n] = a.text("refresh_token")
	}
	if a.text("refresh_token") != m.got[n] {
		return fmt.Errorf("token %d got two successors", n)
	}
	return nil
}

// oneFamilyEach checks that there is a family for each token and no other, that its first token is
// the one that was given for it, and that every session goes on.
func (m *mover) oneFamilyEach() {
	m.t.Helper()
	for prefix, what := range map[string]string{"f#": "families", "x": "foreign tokens"} {
		if sizes, err := m.store.Sizes(m.t.Context(), prefix); err != nil || len(sizes) != len(m.families) {
			m.t.Errorf("for %d tokens there are %d %s: %v", len(m.families), len(sizes), what, err)
		}
	}
	if distinct := slices.Compact(slices.Sorted(slices.Values(m.families))); len(distinct) != len(m.families) {
		m.t.Errorf("%d tokens have %d families", len(m.families), len(distinct))
	}
	m.clock.Advance(time.Minute)
	var goOn errgroup.Group
	goOn.SetLimit(8)
	for i, first := range m.got {
		if id, number := m.content(first); id.String() != m.families[i] || number != 1 {
			m.t.Fatalf("token %d of family %s got token %d of %s", i, m.families[i], number, id)
		}
		goOn.Go(func() error {
			a, err := m.answered(http.MethodPost, "/oauth/token", formType, refreshForm(first))
			if err == nil && a.status != http.StatusOK {
				err = fmt.Errorf("the session of token %d got %v", i, a)
			}
			return err
		})
	}
	m.all(goOn.Wait)
}

// replayed lets somebody present a token long after its first use, which ends its family, and
// others whose families were ended before. None of them is accepted, and no import revives it.
func (m *mover) replayed() {
	m.t.Helper()
	ends := []struct {
		n     int
		end   func(n int)
		cause family.Cause
	}{
		{0, func(n int) {
			if a := m.refresh(foreignToken(n)); !a.refused(http.StatusBadRequest) || len(m.logged("ferrt")) != 1 {
				m.t.Errorf("a token that comes back got %v, and %d events", a, len(m.logged("ferrt")))
			}
		}, family.ReuseDetected},
		{3, func(n int) { m.send(http.MethodDelete, "/v1/families/"+m.families[n], "", "") }, family.RevokedByAdmin},
		{6, func(n int) {
			m.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", foreignToken(n)))
		}, family.RevokedByClient},
		{9, func(n int) { m.send(http.MethodDelete, fmt.Sprint("/v1/users?user_id=user-", n/3), "", "") }, family.Purged},
	}
	for _, e := range ends {
		e.end(e.n)
		m.dead(foreignToken(e.n), e.cause)
		m.all(m.imports(e.n, e.n+1))
		m.dead(foreignToken(e.n), e.cause)
		m.dead(m.got[e.n], e.cause)
		if a := m.explain("refresh_token", foreignToken(e.n)); a.text("verdict") != "dead" || a.text("cause") != string(e.cause) {
			m.t.Errorf("a token that ended of %s is explained as %v", e.cause, a)
		}
	}
}

// holdsNoToken checks that no item of the table has any twelve bytes from the beginning of a foreign
// token or of its SHA-256, in whichever encoding. The log has none either.
func (m *mover) holdsNoToken() {
	m.t.Helper()
	const part = 12
	secret := map[string]string{}
	for n := range m.families {
		token := foreignToken(n)
		sum := sha256.Sum256([]byte(token))
		hexa := hex.EncodeToString(sum[:])
		for what, form := range map[string]string{
			"the hash": string(sum[:]), "the hash in hexadecimal": hexa, "the hash in HEXADECIMAL": strings.ToUpper(hexa),
			"the hash in base64": base64.StdEncoding.EncodeToString(sum[:]), "the hash in base64url": base64.URLEncoding.EncodeToString(sum[:]),
			"the hash in base32": base32.StdEncoding.EncodeToString(sum[:]), "the token": token[4:], "the token in base64": base64.StdEncoding.EncodeToString([]byte(token)),
		} {
			secret[form[:part]] = what
		}
	}
	find := func(in string) string {
		for i := range len(in) - part + 1 {
			if what := secret[in[i:i+part]]; what != "" {
				return what
			}
		}
		return ""
	}
	contents, err := m.store.Contents(m.t.Context())
	if err != nil || len(contents) < 4*len(m.families) {
		m.t.Fatalf("the table has %d values: %v", len(contents), err)
	}
	for _, value := range append(contents, m.log.String()) {
		if what := find(value); what != "" {
			m.t.Fatalf("%s is in %.100q", what, value)
		}
	}
	if find("…"+foreignToken(0)) == "" || find("…"+hashOf(foreignToken(1))) == "" {
		m.t.Error("neither a token nor a hash would be found")
	}
}
