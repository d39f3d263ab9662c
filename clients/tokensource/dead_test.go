package tokensource_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/rotor-auth/rotor/clients/tokensource"
)

// loginRequired checks that the source requires a login, and returns the provider's
// response.
func loginRequired(t *testing.T, src *tokensource.Source) oauth2.RetrieveError {
	t.Helper()
	token, err := src.Token()
	trail.print(err)
	var answer *oauth2.RetrieveError
	if token != nil || !errors.Is(err, tokensource.ErrLoginRequired) || !errors.As(err, &answer) {
		t.Fatalf("the error is %v", err)
	}
	return *answer
}

// TestDead checks that a dead token is presented only once, by all processes
// together, until somebody logs in.
func TestDead(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	family := w.begun("app", store)
	w.call(http.MethodDelete, "/v1/families/"+family, "")
	w.arrived.Store(0)
	a, b := w.source("app", store, nil), w.source("app", store, nil)
	for range 5 {
		for _, src := range []*tokensource.Source{a, b, w.source("app", store, nil)} {
			answer := loginRequired(t, src)
			if answer.ErrorCode != "invalid_grant" || answer.ErrorDescription != "Unknown or invalid refresh token." ||
				answer.Response.StatusCode != http.StatusBadRequest || answer.Body != nil {
				t.Errorf("the answer in the error is %+v", answer)
			}
		}
		w.clock.Advance(time.Hour)
	}
	if w.arrived.Load() != 1 {
		t.Errorf("%d requests with a dead token", w.arrived.Load())
	}
	login, _ := w.login("app")
	if err := a.Login(t.Context(), login); err != nil {
		t.Fatal(err)
	}
	w.good(a)
	w.good(b)
	if w.arrived.Load() != 1 {
		t.Errorf("%d requests after the login", w.arrived.Load()-1)
	}
}

// TestLogoutElsewhere checks that a logout by the package for JavaScript, which shares the record, ends
// the session here, also if it comes in the middle of a refresh.
func TestLogoutElsewhere(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	w.begun("app", store)
	logout := func() {
		r, err := store.Load(t.Context())
		if err != nil {
			t.Error(err)
		}
		var members map[string]any
		if err := json.Unmarshal(r.Data, &members); err != nil {
			t.Error(err)
		}
		members["refusal"] = map[string]any{"by": "app at another address", "status": 0, "code": "logged_out"}
		data, _ := json.Marshal(members)
		if err := store.Save(t.Context(), tokensource.Record{Version: r.Version + 1, Data: data}); err != nil {
			t.Error(err)
		}
	}
	w.wire.breaks(func(int) fault {
		logout()
		return none
	})
	for _, src := range []*tokensource.Source{w.source("app", store, nil), w.source("app", store, nil)} {
		if answer := loginRequired(t, src); answer.ErrorCode != "logged_out" {
			t.Errorf("the answer in the error is %+v", answer)
		}
	}
	if w.wire.requests() != 1 {
		t.Errorf("%d requests, and all but the first after the logout", w.wire.requests())
	}
}

// TestDeadUnmarked checks that the process remembers a dead token if it cannot mark
// it in the store.
func TestDeadUnmarked(t *testing.T) {
	w := newWorld(t)
	store := &faultyStore{Store: tokensource.NewMemory()}
	family := w.begun("app", store)
	w.call(http.MethodDelete, "/v1/families/"+family, "")
	w.arrived.Store(0)
	src := w.source("app", store, nil)
	saves := 0
	store.saving = func(tokensource.Record) error {
		if saves++; saves > 1 {
			return errStore
		}
		return nil
	}
	for range 3 {
		loginRequired(t, src)
	}
	store.mend()
	loginRequired(t, src)
	loginRequired(t, w.source("app", store, nil)) // the token has been marked after all
	if w.arrived.Load() != 1 {
		t.Errorf("%d requests with a dead token", w.arrived.Load())
	}
}

// TestRefusedButNewer checks that a refusal does not count if the store has a newer
// token by then, even if that cannot be read at once.
func TestRefusedButNewer(t *testing.T) {
	for _, readable := range []bool{true, false} {
		w := newWorld(t)
		store := &faultyStore{Store: tokensource.NewMemory()}
		family := w.begun("app", store)
		w.call(http.MethodDelete, "/v1/families/"+family, "")
		newer, _ := w.login("app")
		w.wire.breaks(func(int) fault {
			if err := w.source("app", store.Store, nil).Login(t.Context(), newer); err != nil {
				t.Error(err)
			}
			if !readable {
				down := (&env{world: w}).storeDown()
				store.load = func(int) error { return down() }
			}
			return none
		})
		token := w.good(w.source("app", store, nil))
		if token.AccessToken != newer.AccessToken || w.wire.requests() != 1 {
			t.Errorf("readable %v: %d requests, the newer token: %v", readable, w.wire.requests(), token.AccessToken == newer.AccessToken)
		}
	}
}

// TestRefusedThenLogin checks a login while the dead token is marked.
func TestRefusedThenLogin(t *testing.T) {
	w := newWorld(t)
	store := &faultyStore{Store: tokensource.NewMemory()}
	family := w.begun("app", store)
	w.call(http.MethodDelete, "/v1/families/"+family, "")
	newer, _ := w.login("app")
	saves := 0
	store.saving = func(tokensource.Record) error {
		if saves++; saves == 2 {
			return w.source("app", store.Store, nil).Login(t.Context(), newer)
		}
		return nil
	}
	if token := w.good(w.source("app", store, nil)); token.AccessToken != newer.AccessToken {
		t.Error("got another token")
	}
}

// TestLoginDuringRefresh checks that the result of a refresh of the old session is
// dropped.
func TestLoginDuringRefresh(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	w.begun("app", store)
	newer, family := w.login("app")
	newer.AccessToken = ""
	w.wire.breaks(func(n int) fault {
		if n == 1 {
			if err := w.source("app", store, nil).Login(t.Context(), newer); err != nil {
				t.Error(err)
			}
		}
		return none
	})
	w.good(w.source("app", store, nil))
	if counter, _ := w.family(family); counter != 2 || w.wire.requests() != 2 {
		t.Errorf("%d requests, the new session's counter is %d", w.wire.requests(), counter)
	}
}

// TestWrongClient checks that a token which another client was refused is not dead
// for the right one.
func TestWrongClient(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	w.begun("app", store)
	wrong, right := w.source("strict", store, nil), w.source("app", store, nil)
	w.wire.breaks(nil)
	loginRequired(t, wrong)
	loginRequired(t, wrong)
	w.good(right)
	if w.wire.requests() != 2 {
		t.Errorf("%d requests", w.wire.requests())
	}
}

// TestEmptyStore checks a store in which nobody has logged in.
func TestEmptyStore(t *testing.T) {
	w := newWorld(t)
	w.wire.breaks(nil)
	_, err := w.source("app", tokensource.NewMemory(), nil).Token()
	if !errors.Is(err, tokensource.ErrLoginRequired) || w.wire.requests() != 0 {
		t.Errorf("%v, %d requests", err, w.wire.requests())
	}
}

// TestLogin checks that the token of a login is saved once. A program that passes
// the same one each time it starts does not undo later refreshes.
func TestLogin(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	login, family := w.login("app")
	src := w.source("app", store, nil)
	if err := src.Login(t.Context(), &oauth2.Token{AccessToken: "x"}); err == nil {
		t.Error("a login without a refresh token")
	}
	for range 3 {
		if err := w.source("app", store, nil).Login(t.Context(), login); err != nil {
			t.Fatal(err)
		}
		w.good(w.source("app", store, nil))
		w.clock.Advance(time.Hour)
	}
	if counter, status := w.family(family); counter != 3 || status != "active" {
		t.Errorf("counter %d, %s", counter, status)
	}
	// Another login replaces the session, fresh or not.
	w.good(src)
	other, _ := w.login("app")
	if err := w.source("app", store, nil).Login(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if token := w.good(w.source("app", store, nil)); token.AccessToken != other.AccessToken {
		t.Error("the store has another token than that of the login")
	}
	again, latest := w.login("app")
	if err := src.Login(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if token := w.good(src); token.AccessToken != again.AccessToken {
		t.Error("the source has another token than that of its login")
	}
	// A program that does not know of it passes its old token.
	for _, old := range []*oauth2.Token{login, other} {
		if err := w.source("app", store, nil).Login(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(time.Hour)
		w.good(w.source("app", store, nil))
	}
	if counter, status := w.family(latest); counter != 3 || status != "active" {
		t.Errorf("the newest session: counter %d, %s", counter, status)
	}
	if token := w.good(src); token.RefreshToken != "" {
		t.Error("the refresh token is handed out")
	}
}

// TestLoginExpiry checks that the access token of a login is used until its end.
func TestLoginExpiry(t *testing.T) {
	for _, test := range []struct {
		name     string
		expiry   time.Duration
		requests int
	}{{"in ten minutes", 10 * time.Minute, 0}, {"over", -time.Second, 1}, {"now", 0, 1}} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			login, _ := w.login("app")
			login.Expiry = w.clock.Now().Add(test.expiry)
			src := w.source("app", tokensource.NewMemory(), nil)
			if err := src.Login(t.Context(), login); err != nil {
				t.Fatal(err)
			}
			w.wire.breaks(nil)
			if token := w.good(src); w.wire.requests() != test.requests || test.requests == 0 && !token.Expiry.Equal(login.Expiry) {
				t.Errorf("%d requests, expiry %v", w.wire.requests(), token.Expiry)
			}
		})
	}
}
