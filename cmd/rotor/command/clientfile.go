package command

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/shared/family"
)

const (
	maxClientFile = 1 << 20 // bytes
	maxClients    = 1000    // of one file
	maxFaults     = 50      // that are told
)

// clientEntry is a client in a file.
type clientEntry struct {
	id     string
	node   *yaml.Node
	policy family.Policy // the preset, and what the file says otherwise
	places map[string]*yaml.Node

	// What the file says, by the names of the API.
	Type          string          `json:"type"`
	Preset        string          `json:"preset"`
	Policy        json.RawMessage `json:"policy"`
	Scope         string          `json:"scope"`
	Audience      manage.Audience `json:"audience"`
	MayIntrospect bool            `json:"may_introspect"`
	MayForward    bool            `json:"may_forward"`
	NotBefore     time.Time       `json:"not_before"`

	RedirectURIs           []string               `json:"redirect_uris"`
	PostLogoutRedirectURIs []string               `json:"post_logout_redirect_uris"`
	TrustedIssuers         []manage.TrustedIssuer `json:"trusted_issuers"`
	JWKSURI                string                 `json:"jwks_uri"`
	JWKS                   json.RawMessage        `json:"jwks"`
	Adopt                  *manage.Provider       `json:"adopt"`
	AcceptsImported        acceptedShape          `json:"accepts_imported"`
	Transport              string                 `json:"transport"`
	CookieSameSite         string                 `json:"cookie_same_site"`
	DeviceBound            bool                   `json:"device_bound"`
}

// clientFile is a file of clients.
type clientFile struct {
	name    string
	entries []*clientEntry // in the order of the file
	errs    []error
}

// readClientFile reads a file of clients in YAML or JSON, or the standard input if the name
// is -. The error lists everything that is wrong in it, each with its place.
func readClientFile(name string, stdin io.Reader) (*clientFile, error) {
	text, err := readLimited(name, stdin)
	if err != nil {
		return nil, err
	}
	f := &clientFile{name: name}
	root := f.parse(text)
	if root == nil {
		return nil, f.err()
	}
	f.members(root, "the file", func(key, value *yaml.Node) {
		if key.Value != "clients" {
			f.wrong(key, "there is no member %q: the file must have clients alone", key.Value)
			return
		}
		f.members(value, "clients", func(key, value *yaml.Node) {
			f.entries = append(f.entries, f.entry(key.Value, value))
		})
	})
	switch {
	case len(f.entries) > maxClients:
		f.wrong(root, "there are %d clients in the file, but at most %d may be", len(f.entries), maxClients)
	case len(f.entries) == 0 && len(f.errs) == 0:
		f.wrong(root, "there are no clients in the file")
	case len(f.errs) > 0: // those values that are out of their range are told with the rest
		for _, c := range f.entries {
			for _, wrong := range c.policy.Check(time.Now()) {
				if wrong.Field != "policy.observe_until" { // is right if it is no change
					f.wrong(c.place(wrong.Field), "clients.%s.%v", c.id, wrong)
				}
			}
		}
	}
	return f, f.err()
}

func readLimited(name string, stdin io.Reader) ([]byte, error) {
	from := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, usageError{err.Error()}
		}
		defer func() { _ = file.Close() }() // it was only read
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, maxClientFile+1))
	if err != nil {
		return nil, usageError{err.Error()}
	}
	if len(text) > maxClientFile {
		return nil, misused("%s is longer than %d bytes", name, maxClientFile)
	}
	return text, nil
}

// wrong keeps an error with its place. Of many it keeps the first.
func (f *clientFile) wrong(at *yaml.Node, format string, args ...any) {
	if len(f.errs) == maxFaults {
		return
	}
	f.errs = append(f.errs, misused("%s:%d:%d: %s", f.name, at.Line, at.Column, fmt.Sprintf(format, args...)))
}

// err returns what is wrong, nil if nothing is.
func (f *clientFile) err() error {
	if len(f.errs) == 0 {
		return nil
	}
	return usageError{errors.Join(f.errs...).Error()}
}

// members calls do for each member of a mapping.
func (f *clientFile) members(n *yaml.Node, name string, do func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		f.wrong(n, "%s must be a mapping of names to values", name)
		return
	}
	seen := map[string]bool{}
	for pair := range slices.Chunk(n.Content, 2) {
		key := pair[0]
		switch {
		case key.Kind != yaml.ScalarNode:
			f.wrong(key, "a name in %s must be a string", name)
		case key.Value == "":
			f.wrong(key, "a name in %s is empty", name)
		case seen[key.Value]:
			f.wrong(key, "%s stands twice in %s", key.Value, name)
		default:
			seen[key.Value] = true
			do(key, pair[1])
		}
	}
}

// entry reads a client.
func (f *clientFile) entry(id string, n *yaml.Node) *clientEntry {
	c := &clientEntry{id: id, node: n, places: map[string]*yaml.Node{}}
	path := "clients." + id
	var policy *yaml.Node
	f.members(n, path, func(key, value *yaml.Node) {
		c.places[key.Value] = key
		if key.Value == "policy" {
			policy = value
			return
		}
		f.set(c, path, key, value)
	})
	var err error
	if c.policy, err = family.Preset(c.Preset); err != nil {
		f.wrong(c.place("preset"), "%s.%v", path, err)
	}
	if policy != nil {
		f.members(policy, path+".policy", func(key, value *yaml.Node) {
			c.places["policy."+key.Value] = key
			f.set(&c.policy, path+".policy", key, value)
		})
	}
	if c.Type != "public" && c.Type != "confidential" {
		f.wrong(c.place("type"), "%s.type is %q, but must be public or confidential", path, c.Type)
	}
	return c
}

// set sets the member of a struct that has the key as its name in JSON.
func (f *clientFile) set(to any, path string, key, value *yaml.Node) {
	var v any
	if err := value.Decode(&v); err != nil {
		f.wrong(value, "%s.%s: %s", path, key.Value, strings.TrimPrefix(err.Error(), "yaml: "))
		return
	}
	if v == nil {
		f.wrong(key, "%s.%s has no value: leave it out for its default", path, key.Value)
		return
	}
	text, err := json.Marshal(map[string]any{key.Value: v})
	if err != nil {
		f.wrong(value, "%s.%s has a value that JSON does not know", path, key.Value)
		return
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(to)
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil && !hasMember(to, key.Value): // encoding/json takes names in other cases
		f.wrong(key, "there is no member %s.%s", path, key.Value)
	case err == nil:
	case errors.As(err, &wrongType):
		f.wrong(value, "%s.%s is %s, but must be %s", path, key.Value, kind(wrongType.Value), kind(wrongType.Type.String()))
	case strings.Contains(err.Error(), "unknown field"):
		f.wrong(key, "there is no member %s.%s", path, key.Value)
	default:
		f.wrong(value, "%s.%s: %v", path, key.Value, err)
	}
}

// hasMember reports whether a struct has a member of exactly this name in JSON.
func hasMember(v any, name string) bool {
	switch v := v.(type) {
	case *clientEntry:
		return slices.Contains([]string{"type", "preset", "scope", "audience", "may_introspect", "may_forward", "not_before", "redirect_uris", "post_logout_redirect_uris", "trusted_issuers", "jwks_uri", "jwks", "adopt", "accepts_imported", "transport", "cookie_same_site"}, name)
	case *family.Policy:
		text, err := json.Marshal(v)
		var members map[string]any
		return err == nil && json.Unmarshal(text, &members) == nil && (members[name] != nil || name == "observe_until")
	}
	return false
}

// kind returns what a type of JSON or Go is called in a file.
func kind(name string) string {
	switch {
	case strings.Contains(name, "bool"):
		return "true or false"
	case name == "array" || strings.HasPrefix(name, "[]"):
		return "a list"
	case name == "object":
		return "a mapping"
	case strings.HasPrefix(name, "number") || strings.Contains(name, "int") || strings.HasSuffix(name, "Seconds"):
		return "a number"
	}
	return "a string"
}

// place returns where a member stands, or the client if it was left out.
func (c *clientEntry) place(member string) *yaml.Node {
	member, _, _ = strings.Cut(member, "[") // of a list the file tells no more than where it stands
	if at, ok := c.places[member]; ok {
		return at
	}
	if name, _, _ := strings.Cut(member, "."); name != "policy" && c.places[name] != nil { // nor of another object
		return c.places[name]
	}
	return c.node
}

// settings returns what the client is to be registered with.
func (c *clientEntry) settings() *manage.Settings {
	s := &manage.Settings{
		Type: c.Type, Preset: c.Preset, Scope: c.Scope, Audience: c.Audience,
		MayIntrospect: c.MayIntrospect, MayForward: c.MayForward, NotBefore: c.NotBefore, Policy: map[string]any{},
		RedirectURIs: c.RedirectURIs, PostLogoutRedirectURIs: c.PostLogoutRedirectURIs,
		Transport: c.Transport, CookieSameSite: c.CookieSameSite, DeviceBound: c.DeviceBound,
		TrustedIssuers: c.TrustedIssuers, AcceptsImported: c.AcceptsImported.TokenShape, Adopt: c.Adopt,
		JWKSURI: c.JWKSURI, JWKS: c.JWKS,
	}
	members, _ := json.Marshal(c.policy) // of numbers and strings
	var all map[string]any
	_ = json.Unmarshal(members, &all)
	for name, value := range all {
		if _, given := c.places["policy."+name]; given {
			s.Policy[name] = value
		}
	}
	return s
}

// registration returns the client as the service will have it, beside what it is now.
func (c *clientEntry) registration(now *manage.Registration) *manage.Registration {
	p := &c.policy
	r := &manage.Registration{
		ClientID: c.id, Type: c.Type, Preset: c.Preset, Scope: strings.Join(unique(strings.Fields(c.Scope)), " "),
		Audience: unique(c.Audience), MayIntrospect: c.MayIntrospect, MayForward: c.MayForward, NotBefore: c.NotBefore, DeviceBound: c.DeviceBound,
		RedirectURIs: unique(c.RedirectURIs), PostLogoutRedirectURIs: unique(c.PostLogoutRedirectURIs),
		TrustedIssuers: c.TrustedIssuers, AcceptsImported: c.AcceptsImported.TokenShape, Adopt: c.Adopt,
		JWKSURI: c.JWKSURI, JWKS: c.JWKS,
		Policy: manage.Policy{
			Rotation: p.Rotation, ReuseInterval: int64(p.ReuseInterval), LostResponse: string(p.LostResponse),
			AbsoluteLifetime: int64(p.AbsoluteLifetime), IdleLifetime: int64(p.IdleLifetime),
			AccessTokenLifetime: int64(p.AccessTokenLifetime), MaxActive: p.MaxActive, Evict: string(p.Evict),
			ReuseDetection: string(p.ReuseDetection), ObserveUntil: p.ObserveUntil, InvalidGrantStatus: p.InvalidGrantStatus, DPoP: string(p.DPoP),
		},
	}
	if c.Transport == "cookie" { // otherwise the service shows neither
		r.Transport, r.CookieSameSite = c.Transport, cmp.Or(c.CookieSameSite, "strict")
	}
	if c.NotBefore.IsZero() && now != nil {
		r.NotBefore = now.NotBefore
	}
	return r
}

// unique returns the values without those that stand before.
func unique[S ~[]string](values S) S {
	var all S
	for _, v := range values {
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}

// moment returns a time as the API writes it, to the millisecond, nothing for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)
}
