//go:build moving

package moving

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/shared/foreign"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/logtest"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
)

func asRetrieve(err error, to **oauth2.RetrieveError) bool { return errors.As(err, to) }

// service is a Rotor of several servers, whose client "shop" adopts the provider's tokens.
type service struct {
	t       *testing.T
	old     *provider
	servers []*httptest.Server
	api     *manage.Client
	log     *logtest.Buffer
	ahead   atomic.Int64 // how far the clock was moved
}

func startService(t *testing.T, old *provider) *service {
	t.Helper()
	s := &service{t: t, old: old, log: &logtest.Buffer{}}
	document, err := keyring.Generate(signing.ES256, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.Local(document)
	if err != nil {
		t.Fatal(err)
	}
	sdk := embedded.Config(embedded.New())
	table := store.New(sdk, "rotor", store.DefaultRetention)
	if err := table.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		srv := httptest.NewServer(server.New(server.Config{
			Issuer: "https://auth.example.com", Table: store.New(sdk, "rotor", store.DefaultRetention), Keys: keys,
			Log: slog.New(slog.NewJSONHandler(s.log, nil)),
			Now: func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) },
			Providers: foreign.Options{Loopback: true, Secret: func(_ context.Context, name string) (string, error) {
				if name != "rotor/adopt/shop" {
					return "", errors.New("there is no such secret")
				}
				return old.secret, nil
			}},
		}).Handler())
		t.Cleanup(srv.Close)
		s.servers = append(s.servers, srv)
	}
	if s.api, err = manage.New(s.servers[0].URL, manage.Options{}); err != nil {
		t.Fatal(err)
	}
	_, err = s.api.Register(t.Context(), "shop", &manage.Settings{Type: "public", Adopt: &manage.Provider{
		TokenEndpoint: old.issuer + "/token", ClientID: "shop-old", Auth: "client_secret_basic", SecretName: "rotor/adopt/shop",
		User: manage.ProviderUser{From: "id_token"}, Length: 43, PerSecond: 100,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// refresh presents a refresh token to a server, and returns the new one, or the status.
func (s *service) refresh(server int, token string) (next string, status int) {
	resp, err := http.PostForm(s.servers[server].URL+"/oauth/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"shop"}, "refresh_token": {token}})
	if err != nil {
		s.t.Error(err)
		return "", 0
	}
	defer resp.Body.Close()
	var answer struct {
		RefreshToken string `json:"refresh_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		s.t.Error(err)
	}
	return answer.RefreshToken, resp.StatusCode
}

// families returns how many living families a user has.
func (s *service) families(user string) (living int) {
	s.t.Helper()
	for f, err := range s.api.Families(s.t.Context(), manage.FamilyFilter{UserID: user}) {
		if err != nil {
			s.t.Fatal(err)
		}
		if f.Status == "active" && f.Origin == "adopted" {
			living++
		}
	}
	return living
}

// causes returns the causes of refusals in the log, in their order.
func (s *service) causes() (causes []string) {
	s.t.Helper()
	for line := range strings.Lines(s.log.String()) {
		var m struct{ Type, Cause string }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			s.t.Fatal(err)
		}
		if m.Type == "fertft" || m.Type == "ferrt" {
			causes = append(causes, m.Cause)
		}
	}
	return causes
}

// TestMoving moves sessions from node-oidc-provider, which rotates its refresh tokens and ends a grant
// one of whose tokens is used twice.
func TestMoving(t *testing.T) {
	old := startProvider(t)
	s := startService(t, old)

	// Thirty racers on three servers: the provider is asked once.
	first := old.login("alice")
	successors := make([]string, 30)
	var racing sync.WaitGroup
	for i := range successors {
		racing.Go(func() {
			for status := 0; status != http.StatusOK; {
				successors[i], status = s.refresh(i%3, first)
				if status != http.StatusOK && status != http.StatusServiceUnavailable {
					t.Errorf("a racer got %d", status)
					return
				}
			}
		})
	}
	racing.Wait()
	if got := old.asks("counts"); got != (counts{Success: 1}) || len(slices.Compact(successors)) != 1 || s.families("alice") != 1 {
		t.Fatalf("the provider counts %+v, the racers got %d successors, alice has %d families", got, len(slices.Compact(successors)), s.families("alice"))
	}

	// The session goes on here, without the provider.
	token := successors[0]
	for range 20 {
		s.ahead.Add(int64(time.Hour))
		next, status := s.refresh(0, token)
		if status != http.StatusOK || next == token {
			t.Fatalf("a refresh got %d", status)
		}
		token = next
	}
	if got := old.asks("counts"); got != (counts{Success: 1}) {
		t.Errorf("the provider counts %+v", got)
	}

	// A device that goes on at the provider with the old token is found out there, and only there: the
	// provider takes it for reuse and ends the grant. The session here goes on.
	if _, code := old.refresh(first); code != "invalid_grant" {
		t.Errorf("the provider answers %q", code)
	}
	if got := old.asks("counts"); got.Revoked == 0 {
		t.Errorf("the provider revoked nothing: %+v", got)
	}
	s.ahead.Add(int64(time.Hour))
	token, status := s.refresh(1, token)
	if status != http.StatusOK {
		t.Errorf("after that a refresh got %d", status)
	}

	// The old token presented here once more is reuse here.
	if _, status := s.refresh(2, first); status != http.StatusBadRequest {
		t.Errorf("the old token got %d", status)
	}
	if _, status := s.refresh(2, token); status != http.StatusBadRequest || s.families("alice") != 0 {
		t.Errorf("the newest token got %d, and alice has %d families", status, s.families("alice"))
	}
	if got := fmt.Sprint(s.causes()); got != "[reuse_detected reuse_detected]" {
		t.Errorf("the causes are %v", got)
	}
}

// TestMovingSpent checks that a token that was used at the provider is refused here, and not asked
// about again; and that its successor moves in, unless the provider has ended the grant by then.
func TestMovingSpent(t *testing.T) {
	old := startProvider(t)
	s := startService(t, old)
	spent := old.login("bob")
	next, code := old.refresh(spent)
	if code != "" {
		t.Fatal(code)
	}
	if _, status := s.refresh(0, next); status != http.StatusOK || s.families("bob") != 1 {
		t.Errorf("the successor got %d", status)
	}
	for server := range 3 {
		if _, status := s.refresh(server, spent); status != http.StatusBadRequest {
			t.Errorf("the spent token got %d", status)
		}
	}
	if got := old.asks("counts"); got.Success != 2 || got.Refused != 1 || got.Revoked == 0 {
		t.Errorf("the provider counts %+v", got)
	}
	if got := fmt.Sprint(s.causes()); got != "[adoption_refused adoption_refused adoption_refused]" {
		t.Errorf("the causes are %v", got)
	}

	// With the spent one first, the provider ends the grant, and the successor cannot move any more.
	spent = old.login("carol")
	if next, code = old.refresh(spent); code != "" {
		t.Fatal(code)
	}
	for _, token := range []string{spent, next} {
		if _, status := s.refresh(0, token); status != http.StatusBadRequest || s.families("carol") != 0 {
			t.Errorf("got %d", status)
		}
	}
}

// TestMovingDown checks that nothing is lost while the provider is down.
func TestMovingDown(t *testing.T) {
	old := startProvider(t)
	s := startService(t, old)
	token := old.login("dora")
	old.asks("stop")
	for server := range 3 {
		if _, status := s.refresh(server, token); status != http.StatusServiceUnavailable {
			t.Errorf("while it is down: %d", status)
		}
	}
	old.asks("start")
	if _, status := s.refresh(0, token); status != http.StatusOK || s.families("dora") != 1 || len(s.causes()) != 0 {
		t.Errorf("then %d, refused %v", status, s.causes())
	}
}
