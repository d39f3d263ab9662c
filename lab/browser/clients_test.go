//go:build browser

package browser

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/rotor-auth/rotor/clients/manage"
)

// TestPolicy edits a client's policy: a value is refused, and another one is saved.
func TestPolicy(t *testing.T) {
	t.Parallel()
	s := start(t)
	settings := &manage.Settings{
		Type: "confidential", Preset: "auth0", Scope: "openid orders", Audience: manage.Audience{"https://api.example.com", "urn:b"},
		MayIntrospect: true, MayForward: true,
	}
	before, err := s.api.Register(t.Context(), "backend", settings)
	if err != nil {
		t.Fatal(err)
	}
	p := newTab(t, s.url)
	p.open("/console/clients")
	p.look("clients")
	p.accessible()
	p.follow("a[href$='/console/clients/backend']")
	p.look("client-new")
	p.accessible()
	p.follow("a[href$='/policy']")
	p.look("policy")
	p.accessible()

	p.fill("#reuse_interval", "-1")
	p.fill("#max_active", "many")
	p.do(choose("#lost_response", "until_used"))
	if status := p.follow("form.policy button"); status != http.StatusBadRequest {
		t.Errorf("a bad policy is answered with %d", status)
	}
	p.look("policy-refused")
	p.sees("#reuse_interval-fault", "reuse_interval is -1, but must be from 0 to 2592000")
	p.sees("#max_active-fault", "must be a whole number")
	for field, want := range map[string]string{"reuse_interval": "-1", "max_active": "many", "lost_response": "until_used"} {
		if got := read(p, chromedp.Value(chromedp.CSS("#"+field))); got != want {
			t.Errorf("%s has %q, and not %q as typed", field, got, want)
		}
	}
	if p.count("[aria-invalid='true']") != 2 || p.count("#reuse_interval[aria-invalid='true'][aria-describedby~='reuse_interval-fault']") != 1 {
		t.Error("the fields are not marked")
	}
	p.accessible()
	if now := s.registration("backend"); now.UpdatedAt != before.UpdatedAt {
		t.Error("a policy that was refused is in force")
	}

	p.fill("#reuse_interval", "20000")
	p.fill("#max_active", "7")
	p.follow("form.policy button")
	p.look("client-saved")
	p.sees(".told", "saved")
	p.sees(".warnings", "forgiven at any age")
	p.sees(".warnings", "once in 20000 s")
	p.accessible()
	now := s.registration("backend")
	want := before.Policy
	want.ReuseInterval, want.MaxActive, want.LostResponse = 20000, 7, "until_used"
	if now.Policy != want {
		t.Errorf("the policy is %+v, want %+v", now.Policy, want)
	}
	if now.Type != before.Type || now.Preset != before.Preset || now.Scope != before.Scope || strings.Join(now.Audience, " ") != strings.Join(before.Audience, " ") ||
		!now.MayIntrospect || !now.MayForward {
		t.Errorf("what is not in the form has changed: %+v", now)
	}

	// Somebody else changes it while the form is open.
	p.follow("a[href$='/policy']")
	settings.Policy = map[string]any{"reuse_interval": 5}
	if _, err := s.api.Register(t.Context(), "backend", settings); err != nil {
		t.Fatal(err)
	}
	if status := p.follow("form.policy button"); status != http.StatusConflict {
		t.Errorf("a form that is out of date is answered with %d", status)
	}
	p.sees("[role='alert']", "after this form was shown")
	if now := s.registration("backend"); now.Policy.ReuseInterval != 5 {
		t.Errorf("the other change was undone: %+v", now.Policy)
	}
}

// TestAges checks the histogram of a client's reuse, and that its recommendation can be taken.
func TestAges(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, late := range []string{"90s", "100s", "4m", "2h"} {
		first := s.login(&manage.Login{UserID: "alice", ClientID: "demo-spa"}).RefreshToken
		s.refresh(first)
		s.wait(late)
		if s.refresh(first) != "" {
			t.Fatalf("a token that is %s old is good", late)
		}
	}
	p := newTab(t, s.url)
	p.open("/console/clients/demo-spa")
	p.look("client")
	p.accessible()
	var rows []string
	for _, text := range p.texts(".histogram tbody tr") {
		if text = strings.Join(strings.Fields(text), " "); !strings.HasSuffix(text, " 0") {
			rows = append(rows, text)
		}
	}
	got, want := strings.Join(rows, "\n"), `today’s interval: 1 min
1 min to 2 min 2
2 min to 5 min 1
the recommended interval: 5 min
2 h to 6 h 1`
	if got != want {
		t.Errorf("the histogram has\n%s\nand not\n%s", got, want)
	}
	p.sees(".recommendation", "5 min instead of 1 min would have kept 3 of the 4 families")
	p.follow(".recommendation a")
	if got := read(p, chromedp.Value(chromedp.CSS("#reuse_interval"))); got != "300" {
		t.Errorf("%s is proposed", got)
	}
	if got := s.registration("demo-spa").Policy.ReuseInterval; got != 60 {
		t.Errorf("a proposal has set the interval to %d", got)
	}
	p.follow("form.policy button")
	if got := s.registration("demo-spa").Policy.ReuseInterval; got != 300 {
		t.Errorf("the interval is %d", got)
	}
}

// TestClientSecrets makes and removes secrets. One is shown once.
func TestClientSecrets(t *testing.T) {
	t.Parallel()
	s := start(t)
	if _, err := s.api.Register(t.Context(), "backend", &manage.Settings{Type: "confidential"}); err != nil {
		t.Fatal(err)
	}
	p := newTab(t, s.url)
	p.open("/console/clients/backend")
	const adds = "form[action$='/secrets'] button"
	p.follow(adds)
	secret := p.text(".secret")
	if !strings.HasPrefix(secret, "rotor_secret_") {
		t.Fatal("the secret is not shown")
	}
	p.look("client-secret")
	p.accessible()
	first := s.registration("backend").Secrets[0].ID
	p.leaks(secret)
	p.open(strings.TrimPrefix(p.address(), s.url))
	if p.count(".secret") != 0 || strings.Contains(p.body(), secret) {
		t.Error("the secret is shown again")
	}
	p.follow(adds)
	if p.count(adds) != 0 || len(s.registration("backend").Secrets) != 2 {
		t.Error("there is no second secret, or a third is offered")
	}
	p.do(chromedp.Click(chromedp.CSS("details:has(form[action*='" + first + "']) summary")))
	p.follow("form[action*='" + first + "'] button")
	p.sees(".told", "removed")
	if left := s.registration("backend").Secrets; len(left) != 1 || left[0].ID == first {
		t.Errorf("the wrong secret was removed: %v", left)
	}
	p.open("/console/clients/demo-spa")
	if p.count(adds) != 0 {
		t.Error("a public client is offered a secret")
	}
}
