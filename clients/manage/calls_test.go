package manage_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/clients/manage"
)

// all returns what a list yields.
func all[T any](t testing.TB, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var items []T
	for item, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, item)
	}
	return items
}

func TestLogin(t *testing.T) {
	w := newWorld(t)
	login := &manage.Login{
		UserID: "alice", ClientID: "app", Scope: "openid orders", Audience: manage.Audience{"https://a.example", "https://b.example"},
		Claims: json.RawMessage(`{"tenant":"acme"}`), AuthTime: w.clock.Now().Add(-time.Minute), ACR: "aal1", AMR: []string{"pwd"},
		Device: "Firefox", AbsoluteLifetime: 3600, IdempotencyKey: "sign-in-1", IP: "192.0.2.1", UserAgent: "Mozilla/5.0",
	}
	tokens, err := w.StartFamily(t.Context(), login)
	if err != nil {
		t.Fatal(err)
	}
	w.complete(tokens)
	again, err := w.StartFamily(t.Context(), login)
	if err != nil || again.Family != tokens.Family || tokens.Family == "" {
		t.Errorf("the same key started %v, %v, and not %v", again, err, tokens)
	}
	f, err := w.Family(t.Context(), tokens.Family)
	if err != nil {
		t.Fatal(err)
	}
	w.complete(f)
	if f.UserID != "alice" || f.Status != "active" || f.Scope != "openid orders" || len(f.Audience) != 2 ||
		!f.ExpiresAt.Equal(f.IssuedAt.Add(time.Hour)) || f.Device != "Firefox" || len(f.Timeline) != 1 {
		t.Errorf("the family is %+v", f)
	}
	scope, device := "openid", ""
	changed, err := w.ChangeFamily(t.Context(), tokens.Family, &manage.Change{
		Scope: &scope, Device: &device, Claims: json.RawMessage(`{}`), AMR: &[]string{"pwd", "otp"},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.complete(changed)
	if changed.Scope != "openid" || changed.Device != "" || changed.Claims != nil || !slices.Equal(changed.AMR, []string{"pwd", "otp"}) || changed.ACR != "aal1" {
		t.Errorf("the changed family is %+v", changed)
	}
	w.login("alice", "web")
	acr := "aal2"
	done := all(t, w.ChangeFamilies(t.Context(), "alice", "app", &manage.Change{ACR: &acr}))
	if len(done) != 1 || done[0].Families != 1 {
		t.Errorf("the change in one client changed %+v", done)
	}
}

func TestListsOverSeveralPages(t *testing.T) {
	w := newWorld(t)
	const n = 205
	var begun []string
	for range n {
		begun = append(begun, w.login("alice", "app").Family)
	}
	w.login("bob", "app")
	w.login("alice", "web")
	slices.Reverse(begun)
	var listed []string
	for _, f := range all(t, w.Families(t.Context(), manage.FamilyFilter{UserID: "alice", ClientID: "app", Status: "active"})) {
		listed = append(listed, f.ID)
	}
	slices.Sort(begun) // those of one millisecond are in no order
	slices.Sort(listed)
	if diff := cmp.Diff(begun, listed); diff != "" {
		t.Errorf("the list differs (-want +got):\n%s", diff)
	}
	first, err := w.FamilyPage(t.Context(), manage.FamilyFilter{UserID: "alice"}, "")
	if err != nil || len(first.Items) != 100 || first.Next == "" {
		t.Fatalf("the first page has %d families, %v", len(first.Items), err)
	}
	w.complete(map[string]any{"families": first.Items, "next": first.Next})
	if got := all(t, w.Families(t.Context(), manage.FamilyFilter{UserID: "nobody"})); got != nil {
		t.Errorf("nobody has %d families", len(got))
	}

	for _, id := range listed[:120] {
		if alive, err := w.RevokeFamily(t.Context(), id); err != nil || !alive {
			t.Fatalf("revoke: %t, %v", alive, err)
		}
		w.clock.Advance(time.Millisecond)
	}
	for _, filter := range []manage.EventFilter{
		{UserID: "alice"}, {Type: "srrt"}, {UserID: "alice", Type: "srrt", From: w.clock.Now().Add(-time.Hour), To: w.clock.Now()},
	} {
		events := all(t, w.Events(t.Context(), filter))
		var ids []string
		for _, e := range events {
			ids = append(ids, e.ID)
		}
		if slices.Sort(ids); len(slices.Compact(ids)) != 120 {
			t.Errorf("%+v has %d events", filter, len(ids))
		}
	}
	page, err := w.EventPage(t.Context(), manage.EventFilter{Family: listed[0]}, "")
	if err != nil || len(page.Items) != 1 {
		t.Fatalf("the family has the events %v, %v", page, err)
	}
	w.complete(map[string]any{"events": page.Items})
	if e := page.Items[0]; e.FamilyID != listed[0] || e.UserID != "alice" || e.Cause != "revoked_by_admin" {
		t.Errorf("the event is %+v", e)
	}

	for i := range 120 {
		if _, err := w.Register(t.Context(), fmt.Sprintf("client-%03d", i), &manage.Settings{Type: "public"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := all(t, w.Registrations(t.Context())); len(got) != 122 || got[1].ClientID != "client-000" || got[121].ClientID != "web" {
		t.Errorf("the list has %d clients", len(got))
	}
	registered, err := w.RegistrationPage(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	w.complete(map[string]any{"clients": registered.Items, "next": registered.Next})
	taken := 0
	for _, err := range w.Registrations(t.Context()) { // which stops where its reader does
		if taken++; err != nil || taken == 3 {
			break
		}
	}
	if taken != 3 {
		t.Errorf("%d clients were taken", taken)
	}
}

// TestRevokeAndEraseInParts ends and erases more families than one call does.
func TestRevokeAndEraseInParts(t *testing.T) {
	w := newWorld(t)
	const n = 1005
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() {
			for range n / 5 {
				w.login("alice", "app")
			}
		})
	}
	group.Wait()
	stays := w.login("alice", "app")
	sum := func(done []manage.Revoked) (families int) {
		for _, d := range done {
			families += d.Families
		}
		return families
	}
	r := manage.Revocation{UserID: "alice", ClientID: "app", Except: stays.Family, Cause: "password_changed", DryRun: true}
	if done := all(t, w.RevokeFamilies(t.Context(), r)); sum(done) != n {
		t.Errorf("a dry run counts %+v", done)
	}
	if status := w.refresh(stays.RefreshToken); status != http.StatusOK {
		t.Errorf("after a dry run a refresh is answered %d", status)
	}
	r.DryRun = false
	if done := all(t, w.RevokeFamilies(t.Context(), r)); sum(done) != n || len(done) < 2 {
		t.Errorf("revoked %+v", done)
	}
	if f, err := w.Family(t.Context(), stays.Family); err != nil || f.Status != "active" {
		t.Errorf("the family that stays is %+v, %v", f, err)
	}
	if alive, err := w.RevokeFamily(t.Context(), stays.Family); err != nil || !alive {
		t.Errorf("revoke: %t, %v", alive, err)
	}
	if alive, err := w.RevokeFamily(t.Context(), stays.Family); err != nil || alive {
		t.Errorf("revoke again: %t, %v", alive, err)
	}

	counted := all(t, w.EraseUser(t.Context(), manage.Erasure{UserID: "alice", DryRun: true}))
	families := 0
	done := all(t, w.EraseUser(t.Context(), manage.Erasure{UserID: "alice"}))
	for _, d := range done {
		families += d.Families
	}
	if counted[0].Families != n+1 || families != n+1 || len(done) < 2 {
		t.Errorf("erased %+v, after %+v was counted", done, counted)
	}
	events := all(t, w.Events(t.Context(), manage.EventFilter{Type: "sdu"}))
	if len(events) == 0 || events[0].UserKey == "" || events[0].ErasedFamilies == nil {
		t.Fatalf("the events of the erasure are %+v", events)
	}
	if again := all(t, w.EraseUser(t.Context(), manage.Erasure{UserKey: events[0].UserKey})); len(again) != 1 || again[0].Families != 0 {
		t.Errorf("erased by key: %+v", again)
	}
}

func TestExplain(t *testing.T) {
	w := newWorld(t)
	tokens := w.login("alice", "app")
	x, err := w.Explain(t.Context(), &manage.Question{RefreshToken: tokens.RefreshToken})
	if err != nil || x.Dead() || x.Verdict != "valid" || x.TokenCounter != 1 {
		t.Errorf("a new token is %+v, %v", x, err)
	}
	w.complete(x)
	w.refresh(tokens.RefreshToken)
	w.clock.Advance(2 * time.Minute)
	w.refresh(tokens.RefreshToken)
	for name, q := range map[string]*manage.Question{
		"refresh token": {RefreshToken: tokens.RefreshToken, ClientID: "app"},
		"access token":  {AccessToken: tokens.AccessToken},
		"family":        {Family: tokens.Family},
	} {
		x, err := w.Explain(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		w.complete(x)
		if !x.Dead() || x.Cause != "reuse_detected" || x.Family.ID != tokens.Family || len(x.Timeline) != 3 || x.Recommendation == nil {
			t.Errorf("the %s is %+v", name, x)
		}
	}
}

func TestRegistration(t *testing.T) {
	w := newWorld(t)
	s := &manage.Settings{
		Type: "confidential", Preset: "auth0", Policy: map[string]any{"reuse_interval": 30}, Scope: "openid", Audience: manage.Audience{"https://a.example"},
		MayIntrospect: true, MayForward: true, NotBefore: w.clock.Now(),
		RedirectURIs: []string{"https://a.example/cb"}, PostLogoutRedirectURIs: []string{"https://a.example/"},
		Adopt: &manage.Provider{
			TokenEndpoint: "https://old.example/token", ClientID: "shop-old", Auth: "client_secret_basic", SecretName: "rotor/adopt/old",
			User: manage.ProviderUser{From: "access_token", Claim: "uid"}, Prefix: "v1.", Length: 60, PerSecond: 2,
		},
		TrustedIssuers: []manage.TrustedIssuer{
			{Issuer: "https://one.example", JWKSURI: "https://one.example/keys", Audience: []string{"us"}},
			{
				Issuer: "https://two.example", JWKS: json.RawMessage(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`),
				Audience: []string{"us", "them"}, Algorithms: []string{"EdDSA"}, UserClaim: "uid", MaxAge: 60, UserPrefix: new("two:"),
			},
		},
	}
	r, err := w.Register(t.Context(), "backend", s)
	if err != nil {
		t.Fatal(err)
	}
	w.complete(r)
	if len(r.Warnings) != 2 || r.Policy.ReuseInterval != 30 || r.Policy.Evict != "oldest" || !r.NotBefore.Equal(s.NotBefore) ||
		len(r.TrustedIssuers) != 2 || *r.TrustedIssuers[0].UserPrefix != "https://one.example|" || r.TrustedIssuers[1].MaxAge != 60 {
		t.Errorf("registered %+v", r)
	}
	if diff := cmp.Diff(s.Adopt, r.Adopt); diff != "" {
		t.Errorf("it adopts otherwise: %s", diff)
	}
	id, secret, err := w.AddSecret(t.Context(), "backend")
	if err != nil || !strings.HasPrefix(secret, "rotor_secret_") {
		t.Fatalf("a secret %q, %v", id, err)
	}
	r, err = w.Registration(t.Context(), "backend")
	if err != nil || len(r.Secrets) != 1 || r.Secrets[0].ID != id {
		t.Errorf("shown %+v, %v", r, err)
	}
	w.complete(r)
	if err := w.RemoveSecret(t.Context(), "backend", id); err != nil {
		t.Error(err)
	}
	var refused *manage.Error
	if err := w.RemoveSecret(t.Context(), "backend", id); !errors.As(err, &refused) || !refused.NotFound() {
		t.Errorf("a secret that is gone is removed: %v", err)
	}
	if err := w.Deregister(t.Context(), "backend"); err != nil {
		t.Error(err)
	}
	if _, err := w.Registration(t.Context(), "backend"); !errors.As(err, &refused) || !refused.NotFound() {
		t.Errorf("a client that is gone: %v", err)
	}
}

// TestIDsOfOtherPaths checks that an id never makes a call of another path.
func TestIDsOfOtherPaths(t *testing.T) {
	w := newWorld(t)
	stays := w.login("alice", "app")
	for _, id := range []string{".", "..", "../clients/app", "a/../../v1/clients/app", "%2e%2e", "?user_id=alice", "#", "a b", "é"} {
		var refused *manage.Error
		if _, err := w.RevokeFamily(t.Context(), id); !errors.As(err, &refused) || refused.Status/100 != 4 {
			t.Errorf("revoke %q: %v", id, err)
		}
		if err := w.Deregister(t.Context(), id); !errors.As(err, &refused) || refused.Status/100 != 4 {
			t.Errorf("delete %q: %v", id, err)
		}
		if err := w.RemoveSecret(t.Context(), "web", id); !errors.As(err, &refused) || refused.Status/100 != 4 {
			t.Errorf("remove %q: %v", id, err)
		}
	}
	for name, err := range map[string]error{
		"family": func() error { _, err := w.RevokeFamily(t.Context(), ""); return err }(),
		"client": w.Deregister(t.Context(), ""),
		"secret": w.RemoveSecret(t.Context(), "web", ""),
	} {
		if err == nil || !strings.Contains(err.Error(), "the id is empty") {
			t.Errorf("no %s: %v", name, err)
		}
	}
	if got := all(t, w.Registrations(t.Context())); len(got) != 2 {
		t.Errorf("%d clients are left", len(got))
	}
	if status := w.refresh(stays.RefreshToken); status != http.StatusOK {
		t.Errorf("a refresh is answered %d", status)
	}
}

func TestErrors(t *testing.T) {
	w := newWorld(t)
	_, err := w.Register(t.Context(), "shop", &manage.Settings{Type: "public", Policy: map[string]any{"reuse_interval": -1, "max_active": 0}})
	var refused *manage.Error
	if !errors.As(err, &refused) {
		t.Fatal(err)
	}
	want := &manage.Error{
		Method: "PUT", Path: "/v1/clients/shop", Status: 400, Title: "Bad Request",
		Detail: "policy.reuse_interval is -1, but must be from 0 to 2592000; policy.max_active is 0, but must be from 1 to 1000",
		Fields: []manage.FieldError{
			{Field: "policy.reuse_interval", Detail: "policy.reuse_interval is -1, but must be from 0 to 2592000"},
			{Field: "policy.max_active", Detail: "policy.max_active is 0, but must be from 1 to 1000"},
		},
	}
	if diff := cmp.Diff(want, refused); diff != "" {
		t.Errorf("the error differs (-want +got):\n%s", diff)
	}
	for _, err := range w.RevokeFamilies(t.Context(), manage.Revocation{UserID: "alice", Except: "none"}) {
		if !errors.As(err, &refused) || refused.Status != 422 || refused.Fields[0].Field != "except" {
			t.Errorf("except: %v", err)
		}
	}
	for _, bad := range []string{
		"", "auth.example.com", "ftp://auth.example.com", "http://auth.example.com", "https://", "https://auth.example.com?x=1",
		"https://auth.example.com/#x", "http://192.0.2.1", "https://auth.example.com?", "://",
	} {
		if _, err := manage.New(bad, manage.Options{}); err == nil || !strings.Contains(err.Error(), "address") {
			t.Errorf("%q is an address: %v", bad, err)
		}
	}
	if _, err := manage.New("https://me:pass-word@auth.example.com", manage.Options{}); err == nil || strings.Contains(err.Error(), "pass-word") {
		t.Errorf("a password in the address: %v", err)
	}
	for _, good := range []string{"http://localhost:3000", "http://[::1]:3000/", "http://127.1.2.3", "https://auth.example.com/base/"} {
		c, err := manage.New(good, manage.Options{})
		if err != nil || c.Address() != strings.TrimRight(good, "/") {
			t.Errorf("%q is no address: %v", good, err)
		}
	}
	if _, err := w.StartFamily(t.Context(), &manage.Login{UserID: "a", ClientID: "app", UserAgent: "x\r\ny: z"}); err == nil || !strings.Contains(err.Error(), "control characters") {
		t.Errorf("a header with a line break: %v", err)
	}
}
