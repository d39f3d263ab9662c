package family_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/family"
)

func TestID(t *testing.T) {
	at := now.Add(123 * time.Millisecond)
	id, err := family.NewID([16]byte{9, 8, 7}, at)
	if err != nil {
		t.Fatal(err)
	}
	if !id.IssuedAt().Equal(at) || id.UserKey() != [16]byte{9, 8, 7} {
		t.Errorf("issued at %v for %v", id.IssuedAt(), id.UserKey())
	}
	s := id.String()
	got, err := family.ParseID(s)
	if err != nil || got != id || len(s) != 43 {
		t.Errorf("ParseID(%q) = %v, %v", s, got, err)
	}
	last := s[len(s)-1:]
	for _, bad := range []string{"", s[1:], s + "A", s[:42] + "\n", s[:42] + "=", "+" + s[1:], s[:42] + string(last[0]+1)} {
		if _, err := family.ParseID(bad); !errors.Is(err, family.ErrInvalidID) {
			t.Errorf("ParseID(%q) = %v", bad, err)
		}
	}
}

func TestPolicyCheck(t *testing.T) {
	tests := []struct {
		field  string
		change func(*family.Policy)
	}{
		{"", func(*family.Policy) {}},
		{"", func(p *family.Policy) { p.ReuseInterval, p.AbsoluteLifetime, p.IdleLifetime = 0, 0, 0 }},
		{"", func(p *family.Policy) { p.ReuseInterval, p.AbsoluteLifetime = 2_592_000, family.MaxLifetime }},
		{"", func(p *family.Policy) {
			p.ReuseDetection, p.ObserveUntil = family.Observe, now.Add(family.MaxObserve)
		}},
		{"reuse_interval", func(p *family.Policy) { p.ReuseInterval = -1 }},
		{"reuse_interval", func(p *family.Policy) { p.ReuseInterval = 2_592_001 }},
		{"lost_response", func(p *family.Policy) { p.LostResponse = "forgive" }},
		{"absolute_lifetime", func(p *family.Policy) { p.AbsoluteLifetime = -1 }},
		{"idle_lifetime", func(p *family.Policy) { p.IdleLifetime = family.MaxLifetime + 1 }},
		{"access_token_lifetime", func(p *family.Policy) { p.AccessTokenLifetime = 0 }},
		{"access_token_lifetime", func(p *family.Policy) { p.AccessTokenLifetime = 86_401 }},
		{"max_active", func(p *family.Policy) { p.MaxActive = 0 }},
		{"max_active", func(p *family.Policy) { p.MaxActive = 1001 }},
		{"", func(p *family.Policy) { p.Evict = family.Oldest }},
		{"evict", func(p *family.Policy) { p.Evict = "newest" }},
		{"evict", func(p *family.Policy) { p.Evict = "" }},
		{"invalid_grant_status", func(p *family.Policy) { p.InvalidGrantStatus = 401 }},
		{"reuse_detection", func(p *family.Policy) { p.ReuseDetection = "off" }},
		{"observe_until", func(p *family.Policy) { p.ObserveUntil = now.Add(time.Hour) }},
		{"observe_until", func(p *family.Policy) { p.ReuseDetection = family.Observe }},
		{"observe_until", func(p *family.Policy) { p.ReuseDetection, p.ObserveUntil = family.Observe, now }},
		{"observe_until", func(p *family.Policy) {
			p.ReuseDetection, p.ObserveUntil = family.Observe, now.Add(family.MaxObserve+time.Second)
		}},
	}
	for _, tt := range tests {
		p := family.DefaultPolicy()
		tt.change(&p)
		errs := p.Check(now)
		switch {
		case tt.field == "" && len(errs) > 0:
			t.Errorf("refused %+v: %v", p, errs)
		case tt.field != "" && (len(errs) != 1 || errs[0].Field != "policy."+tt.field || errs[0].Want == ""):
			t.Errorf("%s: %v", tt.field, errs)
		}
	}
}

func TestPresets(t *testing.T) {
	for _, name := range family.PresetNames {
		p, err := family.Preset(name)
		if err != nil || len(p.Check(now)) > 0 {
			t.Errorf("preset %s: %v, %v", name, err, p.Check(now))
		}
	}
	for name, evict := range map[string]family.Evict{"default": family.LeastRecentlyUsed, "auth0": family.Oldest, "supabase": family.LeastRecentlyUsed} {
		if p, err := family.Preset(name); err != nil || p.Evict != evict {
			t.Errorf("preset %s evicts %q: %v", name, p.Evict, err)
		}
	}
	want := family.DefaultPolicy()
	want.ReuseInterval, want.InvalidGrantStatus = 600, 403
	want.AbsoluteLifetime, want.IdleLifetime = family.Days(365), family.Days(90)
	if got, _ := family.Preset("atlassian"); cmp.Diff(want, got) != "" {
		t.Error(cmp.Diff(want, got))
	}
	if got, _ := family.Preset("copies"); got.ReuseInterval != 2*got.AccessTokenLifetime || got.ReuseInterval != 7200 {
		t.Errorf("the preset copies is %+v", got)
	}
	_, err := family.Preset("okta")
	if err == nil || !strings.Contains(err.Error(), "auth0, atlassian, supabase, copies") {
		t.Errorf("an unknown preset: %v", err)
	}
}
