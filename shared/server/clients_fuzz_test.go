package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
)

// ranges are the bounds of a policy's numbers in docs/configuration.md.
var ranges = map[string][2]int64{
	"reuse_interval": {0, 2592000}, "absolute_lifetime": {0, 315360000}, "idle_lifetime": {0, 315360000},
	"access_token_lifetime": {1, 86400}, "max_active": {1, 1000},
}

// clientDocument is the body of PUT /v1/clients/{client_id}.
type clientDocument struct {
	Type          string          `json:"type"`
	Preset        string          `json:"preset,omitempty"`
	Policy        json.RawMessage `json:"policy,omitempty"`
	Scope         string          `json:"scope,omitempty"`
	Audience      json.RawMessage `json:"audience,omitempty"`
	MayIntrospect bool            `json:"may_introspect"`
	MayForward    bool            `json:"may_forward"`
	NotBefore     time.Time       `json:"not_before,omitzero"`

	RedirectURIs           []string        `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string        `json:"post_logout_redirect_uris,omitempty"`
	TrustedIssuers         json.RawMessage `json:"trusted_issuers,omitempty"`
	JWKSURI                string          `json:"jwks_uri,omitempty"`
	JWKS                   json.RawMessage `json:"jwks,omitempty"`
}

// FuzzClient checks that an accepted client reads back as it was put, on top of its preset and
// inside the limits, and can be put again as it reads. A refusal must name the field, and for
// a number the value and the range.
func FuzzClient(f *testing.F) {
	q := newQuiet(f)
	for _, body := range []string{
		`{"type":"public"}`,
		`{"type":"public","preset":"atlassian"}`,
		`{"type":"public","preset":"supabase","policy":{"rotation":false}}`,
		`{"type":"confidential","preset":"supabase","policy":{"rotation":false}}`,
		`{"type":"confidential","preset":"auth0","policy":{"reuse_interval":5,"max_active":1},"scope":"a b a","audience":"x","may_introspect":true,"may_forward":true,"not_before":"2029-01-01T00:00:00.123456Z"}`,
		`{"type":"public","policy":{"reuse_detection":"observe","observe_until":"2030-01-03T00:00:00+01:00"}}`,
		`{"type":"public","policy":{"reuse_detection":"observe","observe_until":"2030-02-01T03:04:05.006Z"}}`,
		`{"type":"public","policy":{"reuse_detection":"enforce","observe_until":"2030-01-03T00:00:00Z"}}`,
		`{"type":"public","policy":{"lost_response":"until_used","invalid_grant_status":403,"access_token_lifetime":86400}}`,
		`{"type":"public","policy":{"reuse_interval":2592001,"absolute_lifetime":315360001,"idle_lifetime":-1,"access_token_lifetime":0,"max_active":1001,"invalid_grant_status":401,"lost_response":"x","reuse_detection":""}}`,
		`{"type":"public","policy":{"reuse_interval":9223372036854775807,"max_active":-9223372036854775808}}`,
		`{"type":"public","policy":{"reuse_interval":60.0,"max_active":1e2}}`,
		`{"type":"public","policy":{"reuse_interval":null,"rotation":1,"max_active":"1"}}`,
		`{"type":"public","policy":{"reuse_interval":1,"reuse_interval":2,"Max_active":3,"":4}}`,
		`{"type":"public","not_before":"1970-01-01T00:00:00.0009Z"}`,
		`{"type":"public","not_before":"1969-12-31T23:59:59Z"}`,
		`{"type":"public","not_before":"0000-01-01T00:00:00+23:59"}`,
		`{"type":"public","not_before":"2031-01-01T00:00:00Z","may_introspect":true,"may_forward":true}`,
		`{"type":"public","policy":[],"Type":1}`,
		`{"type":"public","audience":["b","a","b"]}`,
		`{"type":"public","audience":[""]}`,
		`{"type":"public","redirect_uris":["https://b.example/","https://a.example/?x=%20","https://b.example/","http://[::1]:8/"],"post_logout_redirect_uris":["com.example.app:/cb"]}`,
		`{"type":"confidential","redirect_uris":["com.example.app:/cb"],"post_logout_redirect_uris":["http://a.example/","javascript:1",""]}`,
		`{"type":"public","policy":null,"preset":"okta","scope":"a  b","audience":"\u0000"}`,
		`{"type":"confidential","jwks_uri":"https://i.example/keys"}`,
		`{"type":"confidential","jwks":{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}}`,
		`{"type":"public","trusted_issuers":[{"issuer":"i","jwks_uri":"https://i.example/keys","audience":"a"}]}`,
		`{"type":"public","trusted_issuers":[{"issuer":"i","jwks":{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]},"audience":["a","b","a"],"algorithms":["EdDSA","EdDSA"],"user_claim":"uid","max_age":1,"user_prefix":""}]}`,
		`{"type":"public","trusted_issuers":[{"issuer":"i","jwks":{"keys":[{"kty":"oct","k":"AA"}]},"audience":[]},null,1,{"issuer":"i","issuer":"j"}]}`,
		`{"type":"public","trusted_issuers":[]}`, `{"type":"public","trusted_issuers":{}}`,
		`{`, ``, `[]`, `{"type":"public"}{}`, `{"type":"public","policy":{"max_active":1}`,
	} {
		f.Add(body)
	}
	for name, bounds := range ranges {
		for _, n := range []int64{bounds[0] - 1, bounds[0], bounds[1], bounds[1] + 1} {
			f.Add(fmt.Sprintf(`{"type":"public","policy":{%q:%d}}`, name, n))
		}
	}
	f.Add(`{"type":"public","policy":{"max_active":5000,"max_active":1}}`)
	f.Fuzz(func(t *testing.T, body string) {
		const path = "/v1/clients/fuzz"
		a := q.ask(t, http.MethodPut, path, jsonType, "", body)
		if a.status != http.StatusCreated && a.status != http.StatusOK {
			if a.status != http.StatusBadRequest && a.status != http.StatusRequestEntityTooLarge {
				t.Errorf("%v", a)
			}
			refusedNumbers(t, body, a.fields(t))
			return
		}
		defer q.serve(http.MethodDelete, path, "", "", "") // or its not_before would stay
		var put, shown clientDocument
		if err := json.Unmarshal([]byte(body), &put); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(a.body), &shown); err != nil {
			t.Fatal(err)
		}
		for _, name := range warned(t, a) { // only a PUT warns
			if len(name) == 0 {
				t.Errorf("a warning of nothing: %v", a)
			}
		}
		read := maps.Clone(a.json)
		delete(read, "warnings")
		if got := q.ask(t, http.MethodGet, path, "", "", ""); !reflect.DeepEqual(got.json, read) {
			t.Errorf("put %v, and got %v", a, got)
		}

		want, err := family.Preset(put.Preset)
		if err != nil {
			t.Fatal(err)
		}
		if len(put.Policy) > 0 {
			if err := json.Unmarshal(put.Policy, &want); err != nil {
				t.Fatal(err)
			}
		}
		var is family.Policy
		if err := json.Unmarshal(shown.Policy, &is); err != nil {
			t.Fatal(err)
		}
		if !want.ObserveUntil.Equal(is.ObserveUntil) {
			t.Errorf("observe_until %v is shown as %v", want.ObserveUntil, is.ObserveUntil)
		}
		want.ObserveUntil = is.ObserveUntil
		if want != is {
			t.Errorf("%s makes the policy %+v, not %+v", body, is, want)
		}
		inRange(t, shown.Policy)
		if shown.Type == "public" && !is.Rotation {
			t.Errorf("a public client does not rotate: %v", a)
		}
		if put.NotBefore.UnixMilli() == 0 {
			put.NotBefore = time.Time{} // no family is older, so it has no effect and is not shown
		}
		if shown.Type != put.Type || shown.Preset != put.Preset || shown.Scope != once(put.Scope) || !slices.Equal(audienceOf(shown.Audience), audienceOf(put.Audience)) ||
			shown.MayIntrospect != put.MayIntrospect || shown.MayForward != put.MayForward || !shown.NotBefore.Equal(put.NotBefore.Truncate(time.Millisecond)) {
			t.Errorf("%s reads back as %s", body, a.body)
		}
		for _, uris := range [][2][]string{{put.RedirectURIs, shown.RedirectURIs}, {put.PostLogoutRedirectURIs, shown.PostLogoutRedirectURIs}} {
			if registered := strings.Fields(once(strings.Join(uris[0], " "))); !slices.Equal(registered, uris[1]) {
				t.Errorf("%q reads back as %q", uris[0], uris[1])
			}
		}

		again, err := json.Marshal(shown)
		if err != nil {
			t.Fatal(err)
		}
		if b := q.ask(t, http.MethodPut, path, jsonType, "", string(again)); b.status != http.StatusOK || !reflect.DeepEqual(b.json, a.json) {
			t.Errorf("what reads as %v, put again, is %v", a, b)
		}
	})
}

// inRange checks that the numbers of an accepted policy are inside the limits.
func inRange(t *testing.T, policy json.RawMessage) {
	t.Helper()
	var members map[string]any
	if err := numbers(string(policy), &members); err != nil {
		t.Fatal(err)
	}
	for name, bounds := range ranges {
		number, _ := members[name].(json.Number)
		if n, err := number.Int64(); err != nil || n < bounds[0] || n > bounds[1] {
			t.Errorf("%s is %v", name, members[name])
		}
	}
	if status := fmt.Sprint(members["invalid_grant_status"]); status != "400" && status != "403" {
		t.Errorf("invalid_grant_status is %s", status)
	}
}

// refusedNumbers checks that errors are reported for exactly those numbers of a policy that
// are outside the limits.
func refusedNumbers(t *testing.T, body string, errors map[string][]string) {
	t.Helper()
	var document struct {
		Policy map[string]any `json:"policy"`
	}
	if numbers(body, &document) != nil {
		return
	}
	for name, bounds := range ranges {
		details := errors["policy."+name]
		number, isNumber := document.Policy[name].(json.Number)
		n, err := number.Int64()
		if len(details) == 0 || !isNumber || err != nil || slices.ContainsFunc(details, givenTwice) {
			continue
		}
		if want := fmt.Sprintf("policy.%s is %d, but must be from %d to %d", name, n, bounds[0], bounds[1]); !slices.Equal(details, []string{want}) || n >= bounds[0] && n <= bounds[1] {
			t.Errorf("%s of %d is refused: %s", name, n, details)
		}
	}
}

func givenTwice(detail string) bool { return strings.HasSuffix(detail, "given once") }
