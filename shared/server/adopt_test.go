package server_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/foreign"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// oldProvider is another provider. It rotates its refresh tokens: each can be exchanged once.
type oldProvider struct {
	*httptest.Server
	mu     sync.Mutex
	living map[string]string // users, by their refresh tokens
	asked  []url.Values      // what it was asked
	basic  string            // the last user and password
	script http.HandlerFunc  // answers in its place, nil for itself
	after  http.HandlerFunc  // answers in its place, after the token is spent
	claims map[string]any    // changes to the claims of its id tokens; nil leaves one out
}

const adoptSecret = "the secret at the old provider"

func newOldProvider(t testing.TB) *oldProvider {
	p := &oldProvider{living: map[string]string{}}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	trail.add("a secret", adoptSecret)
	return p
}

// token returns a new refresh token of the user.
func (p *oldProvider) token(user string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	tok := "old_" + rand.Text()
	p.living[tok] = user
	trail.add("a foreign token", tok)
	return tok
}

// does makes the provider answer by the handler, nil for itself. With after, it spends the token first.
func (p *oldProvider) does(script, after http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.script, p.after = script, after
}

// requests returns how often it was asked.
func (p *oldProvider) requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asked)
}

func (p *oldProvider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	p.mu.Lock()
	p.asked = append(p.asked, r.PostForm)
	id, secret, _ := r.BasicAuth()
	p.basic = id + ":" + secret
	script, after := p.script, p.after
	presented := r.PostForm.Get("refresh_token")
	user, ok := p.living[presented]
	if script == nil {
		delete(p.living, presented)
	}
	changes := p.claims
	p.mu.Unlock()
	switch {
	case script != nil:
		script(w, r)
	case after != nil:
		after(w, r)
	case !ok:
		says(http.StatusBadRequest, `{"error":"invalid_grant","error_description":"`+presented+`"}`)(w, r)
	default:
		claims := map[string]any{"iss": p.URL, "aud": "old-app", "sub": user, "exp": storetest.NewClock().Now().Add(100 * 24 * time.Hour).Unix()}
		maps.Copy(claims, changes)
		maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
		says(http.StatusOK, fmt.Sprintf(`{"access_token":%q,"refresh_token":%q,"id_token":%q,"token_type":"Bearer"}`, unsigned(claims), p.token(user), unsigned(claims)))(w, r)
	}
}

// unsigned returns a JWT with those claims, whose signature is wrong.
func unsigned(claims map[string]any) string {
	b, _ := json.Marshal(claims)
	e := base64.RawURLEncoding
	return e.EncodeToString([]byte(`{"alg":"RS256"}`)) + "." + e.EncodeToString(b) + "." + e.EncodeToString([]byte("signature"))
}

// says answers with a status and a body.
func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// moving is a world in which "app" adopts the tokens of another provider.
type moving struct {
	*world
	old   *oldProvider
	count int // servers that begin again when the client changes
}

// newMoving returns a moving. members are changes to the setting adopt, as JSON members.
func newMoving(t testing.TB, members string, opts ...option) *moving {
	t.Helper()
	m := &moving{world: newWorld(t, opts...), old: newOldProvider(t)}
	m.count = len(m.servers)
	m.adopts(members, "")
	return m
}

// adopts makes "app" adopt. members go into adopt, and more into the client.
func (m *moving) adopts(members, more string) {
	m.t.Helper()
	m.putClient("app", `{"type":"public","scope":"openid read write","adopt":`+m.adopting(members)+more+`}`)
	for i := range m.count {
		m.restart(i)
	}
}

// adopting returns the setting adopt, with changes.
func (m *moving) adopting(members string) string {
	m.t.Helper()
	settings := map[string]any{
		"token_endpoint": m.old.URL, "client_id": "old-app", "auth": "none",
		"user": map[string]any{"from": "id_token"}, "prefix": "old_", "per_second": 500,
	}
	if err := json.Unmarshal([]byte("{"+members+"}"), &settings); err != nil {
		m.t.Fatal(err)
	}
	b, err := json.Marshal(settings)
	if err != nil {
		m.t.Fatal(err)
	}
	return string(b)
}

// families returns the ids of the user's families.
func (m *moving) families(user string) []string {
	m.t.Helper()
	a := m.send(http.MethodGet, "/v1/families?user_id="+user, "", "")
	if a.status != http.StatusOK {
		m.t.Fatal(a)
	}
	var ids []string
	list, _ := a.json["families"].([]any)
	for _, f := range list {
		ids = append(ids, fmt.Sprint(f.(map[string]any)["family"]))
	}
	return ids
}

// one checks that the user has one family that lives, and returns it.
func (m *moving) one(user string) string {
	m.t.Helper()
	ids := m.families(user)
	if len(ids) != 1 || m.family(ids[0]).text("status") != "active" {
		m.t.Fatalf("%s has the families %v", user, ids)
	}
	return ids[0]
}

// TestAdopt checks that an unknown token of the old provider is exchanged there once, and starts a
// family whose number 0 it is.
func TestAdopt(t *testing.T) {
	m := newMoving(t, "")
	old := m.old.token("alice")
	a := m.refresh(old)
	if a.status != http.StatusOK || m.old.requests() != 1 {
		t.Fatalf("%d requests, %v", m.old.requests(), a)
	}
	if q := m.old.asked[0]; q.Get("grant_type") != "refresh_token" || q.Get("client_id") != "old-app" || len(q) != 3 {
		t.Errorf("the provider was asked %v", slices.Sorted(maps.Keys(q)))
	}
	id := m.one("alice")
	if f := m.family(id); f.number("counter") != 1 || f.text("origin") != "adopted" || f.text("scope") != "openid read write" {
		t.Errorf("the family is %v", f)
	}
	if _, claims := decodeJWT(t, a.text("id_token")); claims["sub"] != "alice" {
		t.Errorf("the id token has %v", claims)
	}
	lines := m.logged("sertft")
	if len(lines) != 1 || lines[0]["originToken"] != "adopted" || lines[0]["userId"] != "alice" {
		t.Errorf("logged %v", lines)
	}
	// From here on the token is as any that was superseded.
	next := a.text("refresh_token")
	if again := m.refresh(old); again.text("refresh_token") != next || m.old.requests() != 1 {
		t.Errorf("inside the interval: %v", again)
	}
	next = m.later(next)
	m.clock.Advance(2 * time.Minute)
	if a := m.refresh(old); !a.refused(http.StatusBadRequest) || len(m.logged("ferrt")) != 1 {
		t.Errorf("outside the interval: %v", a)
	}
	m.dead(next, family.ReuseDetected)
	m.dead(old, family.ReuseDetected)
	if m.old.requests() != 1 {
		t.Errorf("the provider was asked %d times", m.old.requests())
	}
}

// racers presents a token n times at once, to all servers in turn, until each has got tokens or an
// answer other than 503, and returns the last answers.
func (m *moving) racers(n int, old string) []answer {
	m.t.Helper()
	answers := make([]answer, n)
	var done sync.WaitGroup
	for i := range n {
		done.Go(func() {
			for {
				a, err := m.try(i%len(m.servers), http.MethodPost, "/oauth/token", formType, refreshForm(old))
				if err != nil {
					m.t.Error(err)
					return
				}
				if answers[i] = a; !a.unavailable() {
					return
				}
			}
		})
	}
	done.Wait()
	return answers
}

// TestAdoptRace checks that of 50 racers with one token, on five servers, one asks the provider, and
// all end with the same successor.
func TestAdoptRace(t *testing.T) {
	parallel(t)
	m := newMoving(t, "", servers(5))
	old := m.old.token("alice")
	answers := m.racers(50, old)
	for _, a := range answers {
		if a.status != http.StatusOK || a.text("refresh_token") != answers[0].text("refresh_token") {
			t.Fatalf("one got %v, and another %v", a, answers[0])
		}
	}
	if n := m.old.requests(); n != 1 {
		t.Errorf("the provider was asked %d times", n)
	}
	if f := m.family(m.one("alice")); f.number("counter") != 1 {
		t.Errorf("the family is %v", f)
	}
}

// cut takes the connection away without an answer.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// half sends a part of an answer, and then cuts the connection.
func half(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write([]byte(`{"access_token":"`))
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// hang answers nothing until the caller gives up.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// TestAdoptFailures checks what becomes of a token after each way in which the exchange at its
// provider can fail, if the provider can be asked again and if it cannot.
func TestAdoptFailures(t *testing.T) {
	const (
		refused = "refused" // invalid_grant now, for an hour
		unspent = "unspent" // 503 now, and the next try adopts
		lost    = "lost"    // invalid_grant for good; but 503 and then adopted, where a token can be exchanged again
	)
	huge := `{"id_token":"` + strings.Repeat("x", 64*1024) + `"}`
	for name, tt := range map[string]struct {
		does http.HandlerFunc
		is   string
	}{
		"invalid_grant":           {says(400, `{"error":"invalid_grant"}`), refused},
		"invalid_grant with 401":  {says(401, `{"error":"invalid_grant"}`), refused},
		"invalid_grant with 403":  {says(403, `{"error":"invalid_grant"}`), refused},
		"invalid_client":          {says(401, `{"error":"invalid_client"}`), unspent},
		"a request that is wrong": {says(400, `{"error":"invalid_request"}`), unspent},
		"not found":               {says(404, `<html>`), unspent},
		"a firewall":              {says(403, `<html>`), unspent},
		"too many requests":       {says(429, `{"error":"invalid_grant"}`), unspent},
		"unavailable":             {says(503, ``), unspent},
		"a redirect":              {http.RedirectHandler("/elsewhere", http.StatusTemporaryRedirect).ServeHTTP, unspent},
		"an internal error":       {says(500, `{"error":"invalid_grant"}`), lost},
		"a bad gateway":           {says(502, ``), lost},
		"a gateway's timeout":     {says(504, ``), lost},
		"no JSON":                 {says(200, `<html>`), lost},
		"nothing":                 {says(200, ``), lost},
		"no id token":             {says(200, `{"access_token":"x"}`), lost},
		"a bad id token":          {says(200, `{"id_token":"x.y.z"}`), lost},
		"too large":               {says(200, huge), lost},
		"a cut connection":        {cut, lost},
		"half an answer":          {half, lost},
		"no answer in time":       {hang, lost},
	} {
		for _, repeatable := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " repeatable ", repeatable), func(t *testing.T) {
				t.Parallel()
				var limit time.Duration // the default, which a busy machine keeps
				if name == "no answer in time" {
					limit = time.Second
				}
				m := newMoving(t, fmt.Sprintf(`"repeatable":%t`, repeatable), patience(limit))
				old := m.old.token("alice")
				m.old.does(tt.does, nil)
				a := m.refresh(old)
				switch is := tt.is; {
				case is == unspent, is == lost && repeatable:
					if !a.unavailable() || len(m.logged("fertft")) != 0 {
						t.Fatalf("got %v, logged %v", a, m.logged("fertft"))
					}
					m.old.does(nil, nil)
					if a := m.refresh(old); a.status != http.StatusOK || m.old.requests() != 2 {
						t.Fatalf("then %d requests, %v", m.old.requests(), a)
					}
					m.one("alice")
					return
				case !a.refused(http.StatusBadRequest):
					t.Fatalf("got %v", a)
				}
				cause := map[string]family.Cause{refused: family.AdoptionRefused, lost: family.AdoptionLost}[tt.is]
				if line := m.logged("fertft")[0]; line["cause"] != string(cause) || line["reason"] == nil || line["originToken"] != "adopted" {
					t.Errorf("logged %v", line)
				}
				// It is not asked again soon, by any server.
				m.old.does(nil, nil)
				m.dead(old, cause)
				m.restart(0)
				m.clock.Advance(59 * time.Minute)
				m.dead(old, cause)
				if n := m.old.requests(); n != 1 {
					t.Fatalf("the provider was asked %d times", n)
				}
				m.clock.Advance(2 * time.Minute)
				if tt.is == refused {
					if a := m.refresh(old); a.status != http.StatusOK || m.old.requests() != 2 {
						t.Fatalf("an hour later: %v", a)
					}
					m.one("alice")
					return
				}
				m.dead(old, cause)
				m.clock.Advance(300 * 24 * time.Hour)
				m.dead(old, cause)
				if n := len(m.families("alice")); n != 0 || m.old.requests() != 1 {
					t.Errorf("%d families, %d requests", n, m.old.requests())
				}
			})
		}
	}
}

// TestAdoptNotSent checks that a token is good later if nothing was sent to its provider.
func TestAdoptNotSent(t *testing.T) {
	parallel(t)
	m := newMoving(t, "")
	old := m.old.token("alice")
	for name, endpoint := range map[string]string{
		"nobody listens": "http://127.0.0.1:1/",
		"no such name":   "https://old.invalid/token",
		"no TLS there":   "https" + strings.TrimPrefix(m.old.URL, "http"),
	} {
		m.adopts(fmt.Sprintf(`"token_endpoint":%q`, endpoint), "")
		if a := m.refresh(old); !a.unavailable() {
			t.Errorf("%s: got %v", name, a)
		}
	}
	m.adopts("", "")
	if a := m.refresh(old); a.status != http.StatusOK || m.old.requests() != 1 {
		t.Errorf("%d requests, %v", m.old.requests(), a)
	}
	m.one("alice")
}

// TestAdoptPrivateAddress checks that a deployed service does not connect to addresses that are
// not public, and nothing is lost by that.
func TestAdoptPrivateAddress(t *testing.T) {
	m := newMoving(t, "")
	old := m.old.token("alice")
	_, n := m.another(m.store.Table(), keysAsTheyAre{m.keys}, func(c *server.Config) { c.Providers = foreign.Options{} })
	if a := m.sendTo(n, http.MethodPost, "/oauth/token", formType, refreshForm(old)); !a.unavailable() || m.old.requests() != 0 {
		t.Errorf("%d requests, %v", m.old.requests(), a)
	}
	if a := m.refresh(old); a.status != http.StatusOK {
		t.Error(a)
	}
}

// TestAdoptUser checks where a user's id may come from, and what it may be. The provider has spent
// the token when its answer turns out to name nobody.
func TestAdoptUser(t *testing.T) {
	parallel(t)
	long := strings.Repeat("x", 129)
	for name, tt := range map[string]struct {
		members string
		claims  map[string]any
		user    string // "" if the token is lost
		reason  string
	}{
		"sub":                      {"", nil, "alice", ""},
		"another claim":            {`"user":{"from":"id_token","claim":"uid"}`, map[string]any{"uid": "u-1"}, "u-1", ""},
		"of the access token":      {`"user":{"from":"access_token"}`, map[string]any{"aud": "an API"}, "alice", ""},
		"audiences":                {"", map[string]any{"aud": []string{"x", "old-app"}}, "alice", ""},
		"for another":              {"", map[string]any{"aud": "other"}, "", "id_token_for_another"},
		"for nobody":               {"", map[string]any{"aud": nil}, "", "id_token_for_another"},
		"expired":                  {"", map[string]any{"exp": 1000}, "", "expired_id_token"},
		"an expired access token":  {`"user":{"from":"access_token"}`, map[string]any{"exp": 1000}, "", "expired_access_token"},
		"no user":                  {"", map[string]any{"sub": nil}, "", "no_user"},
		"an empty user":            {"", map[string]any{"sub": ""}, "", "no_user"},
		"a number":                 {"", map[string]any{"sub": 7}, "", "unreadable_id_token"},
		"a number in another":      {`"user":{"from":"id_token","claim":"uid"}`, map[string]any{"uid": 7}, "", "no_user"},
		"128 bytes":                {"", map[string]any{"sub": long[1:]}, long[1:], ""},
		"129 bytes":                {"", map[string]any{"sub": long}, "", "user_id_too_long"},
		"a control character":      {"", map[string]any{"sub": "a\x00b"}, "", "user_id_malformed"},
		"another control charater": {"", map[string]any{"sub": "a\u0085b"}, "", "user_id_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMoving(t, tt.members)
			m.old.claims = tt.claims
			a := m.refresh(m.old.token("alice"))
			if tt.user != "" {
				if a.status != http.StatusOK {
					t.Fatal(a)
				}
				m.one(url.QueryEscape(tt.user))
				return
			}
			if lines := m.logged("fertft"); !a.refused(http.StatusBadRequest) || len(lines) != 1 || lines[0]["cause"] != "adoption_lost" || lines[0]["reason"] != tt.reason {
				t.Errorf("got %v, logged %v", a, lines)
			}
		})
	}
}

// TestAdoptSecret checks both ways to authenticate at a provider, that the secret is read once in a
// minute, and that without it nothing is asked and nothing lost.
func TestAdoptSecret(t *testing.T) {
	var mu sync.Mutex
	secret, read := "", 0
	m := newMoving(t, "")
	_, n := m.another(m.store.Table(), keysAsTheyAre{m.keys}, func(c *server.Config) {
		c.Providers = foreign.Options{Loopback: true, Secret: func(_ context.Context, name string) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			read++
			if name != "rotor/adopt/old" {
				return "", errors.New("there is no such secret")
			}
			return secret, nil
		}}
	})
	present := func(old string) answer {
		m.clock.Advance(time.Minute) // the client is read again
		return m.sendTo(n, http.MethodPost, "/oauth/token", formType, refreshForm(old))
	}
	old := m.old.token("alice")
	m.adopts(`"auth":"client_secret_basic","secret_name":"rotor/adopt/other"`, "")
	if a := present(old); !a.unavailable() || m.old.requests() != 0 {
		t.Fatalf("without the secret: %d requests, %v", m.old.requests(), a)
	}
	m.adopts(`"auth":"client_secret_basic","secret_name":"rotor/adopt/old"`, "")
	if a := present(old); !a.unavailable() || m.old.requests() != 0 {
		t.Fatalf("with an empty secret: %d requests, %v", m.old.requests(), a)
	}
	if a := m.refresh(old); !a.unavailable() || m.old.requests() != 0 { // the first server has no secrets at all
		t.Fatalf("without secrets: %d requests, %v", m.old.requests(), a)
	}
	mu.Lock()
	secret, read = adoptSecret, 0
	mu.Unlock()
	for range 2 {
		if a := m.sendTo(n, http.MethodPost, "/oauth/token", formType, refreshForm(m.old.token("bob"))); a.status != http.StatusOK {
			t.Fatal(a)
		}
	}
	if m.old.basic != "old-app:the+secret+at+the+old+provider" || m.old.asked[0].Has("client_id") || read != 1 {
		t.Errorf("authenticated as %q with %d reads", m.old.basic, read)
	}
	m.adopts(`"auth":"client_secret_post","secret_name":"rotor/adopt/old"`, "")
	if a := present(old); a.status != http.StatusOK || read != 2 {
		t.Fatalf("%d reads, %v", read, a)
	}
	if q := m.old.asked[2]; q.Get("client_secret") != adoptSecret || q.Get("client_id") != "old-app" || m.old.basic != ":" {
		t.Errorf("asked with %v", slices.Sorted(maps.Keys(q)))
	}
}

// TestAdoptShape checks that a token of another shape costs no request to the table.
func TestAdoptShape(t *testing.T) {
	m := newMoving(t, `"length":30`)
	m.refresh("old_" + rand.Text()) // reads the client
	m.store.Counted()
	for _, wrong := range []string{"old_", "new_" + rand.Text(), "old_" + rand.Text() + "x", "old_" + rand.Text()[1:] + " ", "rotor_" + rand.Text()[:24]} {
		m.dead(wrong, family.Malformed)
	}
	if calls := m.store.Counted(); len(calls) != 0 || m.old.requests() != 1 {
		t.Errorf("%v, and %d requests to the provider", calls, m.old.requests())
	}
	// Tokens of our own are no business of the provider's, also if it has no prefix.
	m.adopts(`"prefix":""`, "")
	m.refresh("x")
	m.store.Counted()
	first, _ := m.login()
	requests := m.old.requests()
	m.dead(first[:len(first)-1], family.Malformed)
	m.dead(forge(first), family.NeverIssued)
	if n := m.old.requests(); n != requests {
		t.Errorf("the provider was asked %d times about our tokens", n-requests)
	}
}

// TestAdoptFlood checks that made-up tokens of the right shape reach the provider, and the table,
// no more often than the budget allows, on all servers together; and that one which was refused asks
// neither again within seconds.
func TestAdoptFlood(t *testing.T) {
	parallel(t)
	m := newMoving(t, `"per_second":3`, servers(4))
	items := func() int {
		sizes, err := m.store.Sizes(t.Context(), "x#")
		if err != nil {
			t.Fatal(err)
		}
		return len(sizes)
	}
	before := items()
	const seconds = 3
	for range seconds {
		var wait sync.WaitGroup
		for i := range 40 {
			wait.Go(func() {
				a, err := m.try(i%4, http.MethodPost, "/oauth/token", formType, refreshForm("old_"+rand.Text()))
				if err != nil || !a.unavailable() && !a.refused(http.StatusBadRequest) {
					t.Errorf("got %v, %v", a, err)
				}
			})
		}
		wait.Wait()
		m.clock.Advance(time.Second)
	}
	if n := m.old.requests(); n > 3*seconds || n < seconds {
		t.Errorf("the provider was asked %d times in %d seconds", n, seconds)
	}
	if n := items() - before; n > 3*seconds+1 { // and one that counts
		t.Errorf("the table has %d items more", n)
	}
	m.clock.Advance(time.Second)
	again := "old_" + rand.Text()
	m.dead(again, family.AdoptionRefused)
	m.store.Counted()
	asked := m.old.requests()
	for range 20 {
		m.dead(again, family.AdoptionRefused)
	}
	if calls := m.store.Counted(); len(calls) != 0 || m.old.requests() != asked {
		t.Errorf("a token that was refused costs %v", calls)
	}
}

// TestAdoptClocks checks that the budget is kept by servers whose clocks differ a little, and that
// one clock that is far ahead does not use up the budget of the others.
func TestAdoptClocks(t *testing.T) {
	m := newMoving(t, `"per_second":2`, servers(3), skewed(func(server int) time.Duration {
		return []time.Duration{0, 5 * time.Second, time.Hour}[server]
	}))
	present := func(server int) answer {
		return m.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(m.old.token("alice")))
	}
	for _, server := range []int{1, 0} {
		if a := present(server); a.status != http.StatusOK {
			t.Fatal(a)
		}
	}
	for _, server := range []int{0, 1} {
		if a := present(server); !a.unavailable() {
			t.Errorf("beyond the budget: %v", a)
		}
	}
	for range 2 { // its whole budget
		if a := present(2); a.status != http.StatusOK {
			t.Error(a)
		}
	}
	m.clock.Advance(time.Second)
	if a := present(0); a.status != http.StatusOK {
		t.Error(a)
	}
}

// TestAdoptFaults breaks each storage call of an adoption, in each way, once and for good. Nobody
// gets a second family. If the provider has spent the token, and no family could be written, it is
// lost 30 s later, on every server; or it is asked again, where that is allowed.
func TestAdoptFaults(t *testing.T) {
	for name, fault := range everyFault() {
		for _, once := range []bool{true, false} {
			for _, repeatable := range []bool{false, true} {
				if repeatable && !once && fault != storetest.Failed {
					continue // the table says the same after each of them
				}
				t.Run(fmt.Sprint(name, " once ", once, " repeatable ", repeatable), func(t *testing.T) {
					t.Parallel()
					for call := 1; ; call++ {
						m := newMoving(t, fmt.Sprintf(`"repeatable":%t`, repeatable), servers(2))
						old := m.old.token("alice")
						m.store.Counted()
						m.breakCall(call, fault, once)
						a := m.refresh(old)
						reached := len(m.store.Counted()) >= call
						m.store.Break(nil)
						if !reached {
							if call < 7 {
								t.Errorf("only %d calls", call)
							}
							break
						}
						if a.status != http.StatusOK && (!a.unavailable() || once) {
							t.Fatalf("call %d: %v", call, a)
						}
						if len(m.logged("fertft")) != 0 {
							t.Fatalf("call %d: refused: %v", call, m.logged("fertft"))
						}
						m.clock.Advance(29 * time.Second)
						if repeatable {
							m.old.living[old] = "alice" // as a provider that does not rotate
						}
						asked := m.old.requests()
						b := m.sendTo(1, http.MethodPost, "/oauth/token", formType, refreshForm(old))
						families := len(m.families("alice"))
						switch {
						case b.status == http.StatusOK && families == 1:
						case !b.unavailable() || families != 0 || a.status == http.StatusOK:
							t.Fatalf("call %d: %v, and then %v", call, a, b)
						default: // the claim is there, and nobody to settle it
							m.clock.Advance(time.Second)
							b = m.sendTo(1, http.MethodPost, "/oauth/token", formType, refreshForm(old))
							if ok := b.status == http.StatusOK; ok != repeatable || !ok && (!b.refused(400) || m.logged("fertft")[0]["cause"] != "adoption_lost") {
								t.Fatalf("call %d: %v, and in the end %v", call, a, b)
							}
						}
						if n := m.old.requests(); n > 1 && !repeatable || n > asked+1 {
							t.Errorf("call %d: the provider was asked %d times", call, n)
						}
						if n := len(m.families("alice")); n > 1 || n == 1 && m.family(m.one("alice")).number("counter") != 1 {
							t.Errorf("call %d: %d families", call, n)
						}
					}
				})
			}
		}
	}
}

// TestAdoptCrash checks that a server which dies between the provider's answer and its own write
// leaves a claim: for 30 s the answer is 503, and then the token is lost. What the dead server writes
// late is not written.
func TestAdoptCrash(t *testing.T) {
	parallel(t)
	m := newMoving(t, "", servers(2))
	old := m.old.token("alice")
	waits, release := m.store.Hold("TransactWriteItems")
	var late answer
	var done sync.WaitGroup
	done.Go(func() {
		late, _ = m.try(0, http.MethodPost, "/oauth/token", formType, refreshForm(old))
	})
	<-waits
	other := func() answer { return m.sendTo(1, http.MethodPost, "/oauth/token", formType, refreshForm(old)) }
	if a := other(); !a.unavailable() {
		t.Errorf("while the first one writes: %v", a)
	}
	m.clock.Advance(30 * time.Second)
	if a := other(); !a.refused(http.StatusBadRequest) {
		t.Errorf("30 s later: %v", a)
	}
	release()
	done.Wait()
	if !late.refused(http.StatusBadRequest) || len(m.families("alice")) != 0 || m.old.requests() != 1 {
		t.Errorf("the late one got %v, %d families, %d requests", late, len(m.families("alice")), m.old.requests())
	}
	for _, line := range m.logged("fertft") {
		if line["cause"] != "adoption_lost" || line["reason"] != "nobody_settled_it" {
			t.Errorf("logged %v", line)
		}
	}
}

// TestAdoptTakenOver checks that where a token can be exchanged again, a claim that is 30 s old is
// taken over, and that there is one family although the first server lives after all.
func TestAdoptTakenOver(t *testing.T) {
	parallel(t)
	m := newMoving(t, `"repeatable":true`, servers(2))
	old := m.old.token("alice")
	waits, release := m.store.Hold("TransactWriteItems")
	var late answer
	var done sync.WaitGroup
	done.Go(func() {
		late, _ = m.try(0, http.MethodPost, "/oauth/token", formType, refreshForm(old))
	})
	<-waits
	m.clock.Advance(30 * time.Second)
	m.old.mu.Lock()
	m.old.living[old] = "alice" // it does not rotate
	m.old.mu.Unlock()
	a := m.sendTo(1, http.MethodPost, "/oauth/token", formType, refreshForm(old))
	release()
	done.Wait()
	if a.status != http.StatusOK || late.text("refresh_token") != a.text("refresh_token") {
		t.Errorf("got %v, and the late one %v", a, late)
	}
	m.one("alice")
}

// TestAdoptHangsUp checks that an adoption goes on if its caller hangs up while the provider is
// being asked: the token is spent there by then.
func TestAdoptHangsUp(t *testing.T) {
	parallel(t)
	m := newMoving(t, "")
	old := m.old.token("alice")
	asked, goes := make(chan struct{}), make(chan struct{})
	m.old.does(nil, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-goes
		says(http.StatusOK, fmt.Sprintf(`{"id_token":%q}`, unsigned(map[string]any{"aud": "old-app", "sub": "alice"})))(w, r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		handled(m.api(func(c *server.Config) { c.Providers.Loopback = true }).Handler(), post(ctx, "/oauth/token", refreshForm(old)))
	})
	<-asked
	cancel()
	close(goes)
	done.Wait()
	if a := m.refresh(old); a.status != http.StatusOK || m.old.requests() != 1 {
		t.Errorf("%d requests, %v", m.old.requests(), a)
	}
	m.one("alice")
}

// TestAdoptBusy checks that a process has at most ten exchanges in progress, and that what it does not
// begin is not lost.
func TestAdoptBusy(t *testing.T) {
	parallel(t)
	m := newMoving(t, "")
	goes := make(chan struct{})
	asked := make(chan struct{}, 20)
	m.old.does(nil, func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-goes
		says(http.StatusOK, fmt.Sprintf(`{"id_token":%q}`, unsigned(map[string]any{"aud": "old-app", "sub": "alice"})))(w, r)
	})
	var done sync.WaitGroup
	for range 10 {
		old := m.old.token("alice")
		done.Go(func() {
			if a, err := m.try(0, http.MethodPost, "/oauth/token", formType, refreshForm(old)); err != nil || a.status != http.StatusOK {
				t.Errorf("got %v, %v", a, err)
			}
		})
	}
	for range 10 {
		<-asked
	}
	old := m.old.token("alice")
	if a := m.refresh(old); !a.unavailable() || m.old.requests() != 10 {
		t.Errorf("the eleventh: %d requests, %v", m.old.requests(), a)
	}
	close(goes)
	done.Wait()
	if a := m.refresh(old); a.status != http.StatusOK {
		t.Errorf("then %v", a)
	}
}

// TestAdoptDead checks that a token whose family has ended starts none again: revoked, by the client
// or by support, erased with its user, or ended by the client's not_before.
func TestAdoptDead(t *testing.T) {
	parallel(t)
	for name, tt := range map[string]struct {
		end   func(m *moving, id, old string)
		cause family.Cause
	}{
		"revoked by the client": {func(m *moving, _, old string) {
			m.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", old))
		}, family.RevokedByClient},
		"revoked by support": {func(m *moving, id, _ string) { m.send(http.MethodDelete, "/v1/families/"+id, "", "") }, family.RevokedByAdmin},
		"erased":             {func(m *moving, _, _ string) { m.send(http.MethodDelete, "/v1/users?user_id=alice", "", "") }, family.Purged},
		"not_before": {func(m *moving, _, _ string) {
			m.clock.Advance(time.Second)
			m.adopts("", `,"not_before":"`+m.clock.Now().Format(time.RFC3339)+`"`)
		}, family.ClientNotBefore},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMoving(t, "")
			old := m.old.token("alice")
			if a := m.refresh(old); a.status != http.StatusOK {
				t.Fatal(a)
			}
			tt.end(m, m.one("alice"), old)
			for range 3 {
				m.dead(old, tt.cause)
				m.clock.Advance(20 * time.Second)
			}
			if m.old.requests() != 1 {
				t.Errorf("the provider was asked %d times", m.old.requests())
			}
		})
	}
}

// TestAdoptNotBefore checks that a login at the old provider from before the client's not_before is
// not adopted, where the provider says when it was.
func TestAdoptNotBefore(t *testing.T) {
	m := newMoving(t, "")
	at := m.clock.Now().Add(-time.Hour).Truncate(time.Second)
	m.adopts("", `,"not_before":"`+at.Format(time.RFC3339)+`"`)
	m.old.claims = map[string]any{"auth_time": at.Add(-time.Second).Unix()}
	old := m.old.token("alice")
	m.dead(old, family.ClientNotBefore)
	m.dead(old, family.ClientNotBefore)
	if n := m.old.requests(); n != 1 || len(m.families("alice")) != 0 {
		t.Errorf("%d requests, %v", n, m.families("alice"))
	}
	m.old.claims = map[string]any{"auth_time": at.Unix()}
	a := m.refresh(m.old.token("alice"))
	if _, claims := decodeJWT(t, a.text("id_token")); fmt.Sprint(claims["auth_time"]) != fmt.Sprint(at.Unix()) {
		t.Errorf("the id token has %v", claims)
	}
	m.one("alice")
}

// TestAdoptAsksNothing checks that a revocation and an introspection adopt nothing, and do not
// hinder the adoption that follows.
func TestAdoptAsksNothing(t *testing.T) {
	m := newMoving(t, "")
	old := m.old.token("alice")
	if a := m.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", old)); a.status != http.StatusOK || m.old.requests() != 0 {
		t.Errorf("%d requests, %v", m.old.requests(), a)
	}
	if a := m.refresh(old); a.status != http.StatusOK {
		t.Error(a)
	}
}

// TestAdoptOtherClient checks that a refusal is for the client that asked: the token may have been
// presented by the wrong one.
func TestAdoptOtherClient(t *testing.T) {
	m := newMoving(t, "")
	m.putClient("other", fmt.Sprintf(`{"type":"public","adopt":{"token_endpoint":%q,"client_id":"x","auth":"none","user":{"from":"id_token"}}}`, m.old.URL))
	old := m.old.token("alice")
	m.old.does(says(400, `{"error":"invalid_grant"}`), nil)
	if a := m.refresh(old, "client_id", "other"); !a.refused(400) {
		t.Fatal(a)
	}
	m.old.does(nil, nil)
	if a := m.refresh(old); a.status != http.StatusOK {
		t.Fatal(a)
	}
	m.clock.Advance(10 * time.Second)
	m.dead(old, family.WrongClient, "client_id", "other")
	m.one("alice")
}

// TestAdoptSettings checks that the setting is shown as it was set, with the defaults, and that what is
// wrong with it is named, without what may be a secret.
func TestAdoptSettings(t *testing.T) {
	w := newWorld(t)
	put := func(adopt string) answer {
		return w.send(http.MethodPut, "/v1/clients/app", jsonType, `{"type":"public","adopt":`+adopt+`}`)
	}
	const all = `{"token_endpoint":"https://old.example/token","client_id":"old-app","auth":"client_secret_basic","secret_name":"rotor/adopt/old","user":{"from":"access_token","claim":"uid"},"prefix":"v1.","length":40,"repeatable":true,"per_second":7}`
	a := put(all)
	if b, err := json.Marshal(a.json["adopt"]); err != nil || !sameJSON(t, string(b), all) {
		t.Errorf("shown as %s", b)
	}
	if warned := fmt.Sprint(a.json["warnings"]); !strings.Contains(warned, "adopt.repeatable") {
		t.Errorf("warned of %s", warned)
	}
	least := `{"token_endpoint":"https://old.example/token","client_id":"old-app","auth":"none","user":{"from":"id_token"}}`
	a = put(least)
	if adopt := fmt.Sprint(a.json["adopt"]); adopt != "map[auth:none client_id:old-app per_second:10 repeatable:false token_endpoint:https://old.example/token user:map[claim:sub from:id_token]]" {
		t.Errorf("shown as %s", adopt)
	}
	if a = put(`{"token_endpoint":"https://old.example/token","client_id":"a","auth":"none","user":{"from":"id_token","claim":"email"}}`); !strings.Contains(a.body, "adopt.user.claim") {
		t.Errorf("no warning: %v", a)
	}
	if a = put("null"); a.status != http.StatusOK || a.json["adopt"] != nil {
		t.Errorf("taken away: %v", a)
	}
	for _, tt := range []struct{ change, want string }{
		{`7`, "adopt must be a JSON object"},
		{`{}`, "adopt.token_endpoint must be given; adopt.client_id must be given"},
		{`"token_endpoint":"http://old.example/"`, `adopt.token_endpoint is \"http://old.example/\", but must be an https URL`},
		{`"token_endpoint":"https://10.0.0.1/"`, "in the public internet"},
		{`"token_endpoint":"https://u:hunter-22-hunter@old.example/"`, "adopt.token_endpoint"},
		{`"token_endpoint":"` + "https://old.example/" + strings.Repeat("x", 500) + `"`, "at most 512 bytes"},
		{`"client_id":"` + strings.Repeat("x", 257) + `"`, "adopt.client_id is 257 bytes long, but must be at most 256 bytes"},
		{`"client_id":"a\u0000"`, "adopt.client_id must be free of control characters"},
		{`"auth":"private_key_jwt"`, `adopt.auth is \"private_key_jwt\", but must be \"none\", \"client_secret_basic\" or \"client_secret_post\"`},
		{`"secret_name":"rotor/adopt/old"`, `adopt.secret_name must be left out where auth is \"none\"`},
		{`"auth":"client_secret_post"`, "adopt.secret_name must be the name of a secret in Secrets Manager that begins with rotor/adopt/"},
		{`"auth":"client_secret_post","secret_name":"hunter-22-hunter"`, "adopt.secret_name must be the name"},
		{`"auth":"client_secret_post","secret_name":"rotor/adopt/*"`, "adopt.secret_name must be the name"},
		{`"auth":"client_secret_post","secret_name":{"x":"hunter-22-hunter"}`, "adopt.secret_name must be a JSON string"},
		{`"client_secret":"hunter-22-hunter"`, "adopt.client_secret must be left out: there is no such member"},
		{`"user":{"from":"userinfo"}`, `adopt.user.from is \"userinfo\", but must be \"id_token\" or \"access_token\"`},
		{`"user":{"from":"id_token","claim":"aud"}`, "adopt.user.claim"},
		{`"user":"sub"`, "adopt.user must be a JSON object"},
		{`"prefix":"rotor_x"`, `adopt.prefix is \"rotor_x\", but must be another than rotor_`},
		{`"prefix":"a b"`, "adopt.prefix must be visible ASCII characters, without spaces"},
		{`"length":0`, "adopt.length is 0, but must be from 1 to 4096"},
		{`"length":4097`, "adopt.length is 4097"},
		{`"prefix":"v1.","length":2`, "adopt.length is 2, but must be from 3 to 4096"},
		{`"per_second":0`, "adopt.per_second is 0, but must be from 1 to 500"},
		{`"per_second":501`, "adopt.per_second is 501"},
		{`"repeatable":"yes"`, "adopt.repeatable must be true or false"},
	} {
		body := tt.change
		if strings.HasPrefix(body, `"`) {
			name, _, _ := strings.Cut(body[1:], `"`)
			var settings map[string]json.RawMessage
			if err := json.Unmarshal([]byte(least), &settings); err != nil {
				t.Fatal(err)
			}
			delete(settings, name)
			for _, other := range []string{"auth", "user"} { // the change may have it too
				if strings.Contains(tt.change, `"`+other+`":`) {
					delete(settings, other)
				}
			}
			rest, err := json.Marshal(settings)
			if err != nil {
				t.Fatal(err)
			}
			body = "{" + tt.change + "," + string(rest[1:])
		}
		a := put(body)
		if a.status != http.StatusBadRequest || !strings.Contains(a.body, tt.want) || strings.Contains(a.body, "hunter-22") {
			t.Errorf("%s: got %v", tt.change, a)
		}
	}
}

// sameJSON reports whether two texts are the same JSON.
func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y any
	if err := errors.Join(json.Unmarshal([]byte(a), &x), json.Unmarshal([]byte(b), &y)); err != nil {
		t.Error(err)
	}
	return fmt.Sprint(x) == fmt.Sprint(y)
}

// TestAdoptExplain checks what is explained of a token before, during and after its adoption.
func TestAdoptExplain(t *testing.T) {
	parallel(t)
	m := newMoving(t, "", servers(2))
	explain := func(old string) answer {
		return m.send(http.MethodPost, "/v1/explain", jsonType, `{"refresh_token":"`+old+`"}`)
	}
	check := func(what, old, verdict, cause, says string) {
		t.Helper()
		a := explain(old)
		if a.status != http.StatusOK || a.text("verdict") != verdict || a.text("cause") != cause || a.text("origin_token") != "adopted" || !strings.Contains(a.text("summary"), says) {
			t.Errorf("%s: %v", what, a)
		}
	}
	old := m.old.token("alice")
	check("before", old, "valid", "", "client app adopts")
	waits, release := m.store.Hold("TransactWriteItems")
	var done sync.WaitGroup
	done.Go(func() { _, _ = m.try(1, http.MethodPost, "/oauth/token", formType, refreshForm(old)) })
	<-waits
	check("while the provider is asked", old, "valid", "", "There is no answer yet.")
	m.clock.Advance(30 * time.Second)
	check("when nobody has written what came of it", old, "dead", "adoption_lost", "did not write down")
	m.clock.Advance(-30 * time.Second)
	release()
	done.Wait()
	check("adopted", old, "valid_in_reuse_interval", "", "which Rotor exchanged there on")

	refused := "old_" + rand.Text()
	m.dead(refused, family.AdoptionRefused)
	check("refused", refused, "dead", "adoption_refused", "said that it is not good")
	for name, does := range map[string]http.HandlerFunc{"there was no answer": cut, "the provider failed": says(500, ""), "does not name the user": says(200, "{}"), "was cut off": half} {
		lost := m.old.token("bob")
		m.old.does(does, nil)
		m.dead(lost, family.AdoptionLost)
		check("lost", lost, "dead", "adoption_lost", name)
		if advice := explain(lost).text("advice"); strings.Contains(advice, "adopt.user") != (name == "does not name the user") {
			t.Errorf("%s: %s", name, advice)
		}
		m.clock.Advance(30 * time.Second) // after some that are lost in a row, none is asked about for so long
	}
	m.old.does(nil, nil)
	m.adopts("", `,"not_before":"`+m.clock.Now().Format(time.RFC3339)+`"`)
	m.old.claims = map[string]any{"auth_time": m.clock.Now().Add(-time.Hour).Unix()}
	before := m.old.token("carol")
	m.dead(before, family.ClientNotBefore)
	check("before not_before", before, "dead", "client_not_before", "logged in there before")
}

// TestAdoptImported checks that an import knows better than an adoption: one that is in progress gives
// way to it, and a token that was lost moves in after all.
func TestAdoptImported(t *testing.T) {
	parallel(t)
	m := newMoving(t, "", servers(2))
	m.adopts("", `,"accepts_imported":true`)
	imports := func(old string) {
		t.Helper()
		body := fmt.Sprintf(`{"client_id":"app","tokens":[{"user_id":"imported","token_sha256":"%x"}]}`, sha256.Sum256([]byte(old)))
		if a := m.sendTo(1, http.MethodPost, "/v1/imports", jsonType, body); a.status != http.StatusOK || !strings.Contains(a.body, `"imported"`) {
			t.Fatalf("the import: %v", a)
		}
	}
	old := m.old.token("alice")
	server := m.meanwhile(1, "TransactWriteItems", func() { imports(old) })
	late := m.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(old))
	if late.status != http.StatusOK || len(m.families("alice")) != 0 {
		t.Errorf("the adoption got %v, and alice has %v", late, m.families("alice"))
	}
	m.one("imported")

	lost := m.old.token("bob")
	m.old.does(cut, nil)
	m.dead(lost, family.AdoptionLost)
	imports(lost)
	m.clock.Advance(10 * time.Second)
	if a := m.refresh(lost); a.status != http.StatusOK || len(m.families("bob")) != 0 || len(m.families("imported")) != 2 {
		t.Errorf("after the import: %v", a)
	}
}

// TestAdoptCosts checks what an adoption requests of the store, once, and that the refreshes after it
// are as all others.
func TestAdoptCosts(t *testing.T) {
	m := newMoving(t, "")
	m.login() // the user has families already
	for _, tt := range []struct{ what, token, calls string }{
		{"the first of a second", m.old.token("u"), "GetItem UpdateItem UpdateItem UpdateItem UpdateItem TransactWriteItems UpdateItem"},
		{"the next one", m.old.token("u"), "GetItem UpdateItem UpdateItem UpdateItem TransactWriteItems UpdateItem"},
		{"one that is refused", "old_" + rand.Text(), "GetItem UpdateItem UpdateItem UpdateItem"},
	} {
		m.refresh("x") // reads the client
		m.store.Counted()
		a := m.refresh(tt.token)
		if calls := strings.Join(m.store.Counted(), " "); calls != tt.calls {
			t.Errorf("%s requests %s", tt.what, calls)
		}
		if a.status != http.StatusOK {
			continue
		}
		m.clock.Advance(time.Minute)
		m.refresh("x")
		m.store.Counted()
		m.rotate(a.text("refresh_token"))
		if calls := m.store.Counted(); len(calls) != 1 || calls[0] != "UpdateItem" {
			t.Errorf("a refresh after %s requests %v", tt.what, calls)
		}
		m.clock.Advance(-time.Minute)
	}
}
