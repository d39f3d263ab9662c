package console

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
)

// policyForm is the form that edits a client's policy. It holds what was typed, and what the
// service says about it.
type policyForm struct {
	Fields    []*policyField
	UpdatedAt string   // of the client when the form was shown
	Faults    []string // what is wrong, and not with one of the fields
}

// policyField is a field of the form, under its name in the API.
type policyField struct {
	Name, Label, Hint string
	Kind              string // number, choice or time
	Options           []string
	Value             string
	Fault             string // what is wrong with the value
}

// newPolicyForm returns the form with the policy that the client has.
func newPolicyForm(c *manage.Registration) *policyForm {
	p := &c.Policy
	seconds := func(name, label, hint string, value int64) *policyField {
		return &policyField{Name: name, Label: label, Hint: hint, Kind: "number", Value: strconv.FormatInt(value, 10)}
	}
	choice := func(name, label, hint, value string, options ...string) *policyField {
		return &policyField{Name: name, Label: label, Hint: hint, Kind: "choice", Value: value, Options: options}
	}
	var until string
	if !p.ObserveUntil.IsZero() {
		until = p.ObserveUntil.Format(time.RFC3339)
	}
	return &policyForm{UpdatedAt: c.UpdatedAt.Format(time.RFC3339Nano), Fields: []*policyField{
		seconds("reuse_interval", "Reuse interval", "seconds for which the newest token is held, and its predecessor honoured; 0 is strict", p.ReuseInterval),
		choice("lost_response", "Lost response", "what an old token means outside the interval, if its successor was never used", p.LostResponse, "revoke", "until_used"),
		choice("reuse_detection", "Reuse detection", "observe records what enforcing would revoke", p.ReuseDetection, "enforce", "observe"),
		{Name: "observe_until", Label: "Observe until", Hint: "with observe, at most 30 days ahead: 2026-05-04T10:00:00Z", Kind: "time", Value: until},
		choice("rotation", "Rotation", "without it the refresh token stays the same", strconv.FormatBool(p.Rotation), "true", "false"),
		seconds("absolute_lifetime", "Absolute lifetime", "seconds from the login to the end, whatever happens; 0 is no end", p.AbsoluteLifetime),
		seconds("idle_lifetime", "Idle lifetime", "seconds from the last use to the end; 0 is no end", p.IdleLifetime),
		seconds("access_token_lifetime", "Access token lifetime", "seconds", p.AccessTokenLifetime),
		seconds("max_active", "Active families", "how many a user may have", int64(p.MaxActive)),
		choice("evict", "Evict", "which families end past that", p.Evict, "least_recently_used", "oldest"),
		choice("invalid_grant_status", "Status of a refusal", "the HTTP status of a refused refresh token", strconv.Itoa(p.InvalidGrantStatus), "400", "403"),
		choice("dpop", "DPoP", "whether sessions that begin from now on are bound to a key of the application (RFC 9449)", p.DPoP, "off", "allowed", "required"),
	}}
}

// fill puts in what was typed.
func (f *policyForm) fill(typed url.Values) {
	for _, field := range f.Fields {
		if typed.Has(field.Name) {
			field.Value = strings.TrimSpace(typed.Get(field.Name))
		}
	}
}

// policy returns the policy in the form as the API takes it. What is no number is sent as it was
// typed, so that the service says what is wrong with it.
func (f *policyForm) policy() map[string]any {
	p := map[string]any{}
	for _, field := range f.Fields {
		isLiteral := field.Kind == "number" || field.Name == "rotation" || field.Name == "invalid_grant_status"
		switch {
		case field.Kind == "time" && field.Value == "":
		case isLiteral && json.Valid([]byte(field.Value)):
			p[field.Name] = json.RawMessage(field.Value)
		default:
			p[field.Name] = field.Value
		}
	}
	return p
}

// settings returns the client with the policy in the form. All else stays.
func (f *policyForm) settings(c *manage.Registration) *manage.Settings {
	return &manage.Settings{
		Type: c.Type, Preset: c.Preset, Policy: f.policy(), Scope: c.Scope, Audience: c.Audience,
		MayIntrospect: c.MayIntrospect, MayForward: c.MayForward,
		RedirectURIs: c.RedirectURIs, PostLogoutRedirectURIs: c.PostLogoutRedirectURIs,
		TrustedIssuers: c.TrustedIssuers,
		JWKSURI:        c.JWKSURI, JWKS: c.JWKS,

		AcceptsImported: c.AcceptsImported, Adopt: c.Adopt,
		Transport: c.Transport, CookieSameSite: c.CookieSameSite, DeviceBound: c.DeviceBound,
	}
}

// Faulty reports whether the service refused the form.
func (f *policyForm) Faulty() bool {
	return len(f.Faults) > 0 || slices.ContainsFunc(f.Fields, func(field *policyField) bool { return field.Fault != "" })
}

// mark puts what the service says about a field beside it, and all else above the form.
func (f *policyForm) mark(refused *manage.Error) {
	f.Faults = nil
	for _, fault := range refused.Fields {
		name, _ := strings.CutPrefix(fault.Field, "policy.")
		i := slices.IndexFunc(f.Fields, func(field *policyField) bool { return field.Name == name })
		if i < 0 {
			f.Faults = append(f.Faults, fault.Detail)
			continue
		}
		f.Fields[i].Fault = strings.TrimPrefix(fault.Detail, "policy.")
	}
	if len(refused.Fields) == 0 {
		f.Faults = append(f.Faults, refused.Detail)
	}
}
