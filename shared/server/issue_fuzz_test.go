package server_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// FuzzIssue checks that a login is refused with the reason, or that the family and its access
// token have what the login asked for, within the limits of a record.
func FuzzIssue(f *testing.F) {
	q := newQuiet(f)
	q.must(f, http.MethodPut, "/v1/clients/app", `{"type":"public"}`)
	q.must(f, http.MethodPut, "/v1/clients/narrow", `{"type":"public","scope":"openid read","audience":"https://narrow.example","policy":{"absolute_lifetime":0}}`)
	for _, body := range []string{
		`{"user_id":"u","client_id":"app"}`,
		`{"user_id":"u","client_id":"narrow"}`,
		`{"user_id":"u","client_id":"narrow","scope":"read","absolute_lifetime":315360000}`,
		`{"user_id":"u","client_id":"narrow","scope":"admin"}`,
		`{"user_id":"u","client_id":"app","scope":"read","audience":"a","claims":{"a":[1e9,null,"\u0000"]},"auth_time":"2029-01-01T00:00:00Z","acr":"1","amr":["pwd","otp"],"device":"d","absolute_lifetime":60}`,
		`{"user_id":"\ud800","client_id":"app","claims":{"":{}},"amr":[],"scope":""}`,
		`{"user_id":"u","client_id":"narrow","audience":["https://a.example","b","b"],"device":"a\n\u00e9"}`,
		`{"user_id":"u","client_id":"app","audience":[]}`,
		`{"user_id":"u","client_id":"app","audience":["a",""]}`,
		`{"user_id":"u","client_id":"app","audience":[["a"],1]}`,
		`{"user_id":"u","client_id":"app","audience":["1","2","3","4","5","6","7","8","9"]}`,
		`{"user_id":"u","client_id":"app","claims":{"a":1e400}}`,
		`{"user_id":"u","client_id":"app","claims":{"a":12345678901234567890,"b":1.0}}`,
		`{"user_id":"u","client_id":"app","claims":{"sub":"v"}}`,
		`{"user_id":"u","client_id":"app","claims":{"a":1,"a":2}}`,
		`{"user_id":"u","client_id":"app","claims":{"<&>":"\u2028 <"}}`,
		`{"user_id":"u","client_id":"app","auth_time":"9999-12-31T23:59:59-23:59","absolute_lifetime":-1}`,
		`{"user_id":"u","client_id":"app","auth_time":"1970-01-01T00:00:00.999Z"}`,
		`{"user_id":"u","client_id":"app","acr":"1","amr":[""]}`,
		`{"user_id":"u","client_id":"nobody"}`,
		`{"user_id":"","client_id":"a b"}`,
		`{"User_id":"u","client_id":"app","client_id":"app"}`,
		`{"user_id":"` + strings.Repeat("u", 129) + `","client_id":"app","scope":"` + strings.Repeat("s", 1025) + `","device":"\u0007"}`,
		`{`, ``, `null`, "\xef\xbb\xbf{}", `{"a":` + strings.Repeat("[", 9000),
	} {
		f.Add(body)
	}
	for member, limit := range map[string]int{"scope": 1024, "audience": 512, "acr": 128, "device": 256} {
		for _, n := range []int{limit, limit + 1} {
			f.Add(fmt.Sprintf(`{"user_id":"u","client_id":"app",%q:%q}`, member, strings.Repeat("x", n)))
		}
	}
	f.Add(`{"user_id":"u","client_id":"app","amr":["0123456789","` + strings.Repeat("x", 117) + `"]}`)
	f.Add(`{"user_id":"u","client_id":"app","amr":["0123456789","` + strings.Repeat("x", 118) + `"]}`)
	f.Add(`{"user_id":"u","client_id":"app","claims":{"a":"` + strings.Repeat("x", 2041) + `"}}`)
	f.Add(`{"user_id":"u","client_id":"app","scope":"` + strings.Repeat("x", 1024) + `","audience":"` + strings.Repeat("x", 512) + `","claims":{"a":"` + strings.Repeat("x", 2040) + `"}}`)
	f.Fuzz(func(t *testing.T, body string) {
		a := q.ask(t, http.MethodPost, "/v1/families", jsonType, "", body)
		if a.status != http.StatusCreated {
			if a.status != http.StatusBadRequest && a.status != http.StatusRequestEntityTooLarge {
				t.Errorf("%v", a)
			}
			return
		}
		var said struct {
			UserID   string          `json:"user_id"`
			ClientID string          `json:"client_id"`
			Scope    *string         `json:"scope"`
			Audience json.RawMessage `json:"audience"`
			Claims   json.RawMessage `json:"claims"`
			AuthTime time.Time       `json:"auth_time"`
			ACR      string          `json:"acr"`
			AMR      []string        `json:"amr"`
			Device   string          `json:"device"`
			Lifetime *int64          `json:"absolute_lifetime"`
		}
		err := numbers(body, &said)
		if err != nil {
			t.Fatal(err)
		}
		policy := map[string]struct {
			scope, audience string
			lifetime        int64
		}{"app": {"", "", 30 * 86400}, "narrow": {"openid read", "https://narrow.example", math.MaxInt64}}[said.ClientID]
		scope, audience := policy.scope, audienceOf(said.Audience)
		if audience == nil && policy.audience != "" {
			audience = []string{policy.audience}
		}
		if said.Scope != nil {
			scope = once(*said.Scope)
		}
		if said.Lifetime != nil && (*said.Lifetime < 1 || *said.Lifetime > min(policy.lifetime, 315360000)) {
			t.Errorf("a lifetime of %d was taken", *said.Lifetime)
		}
		for _, in := range []struct {
			text  string
			limit int
		}{{said.UserID, 128}, {scope, 1024}, {strings.Join(audience, ""), 512}, {said.ACR, 128}, {strings.Join(said.AMR, " "), 128}} {
			if len(in.text) > in.limit || strings.ContainsFunc(in.text, unicode.IsControl) {
				t.Errorf("%q was taken, of at most %d bytes", in.text, in.limit)
			}
		}
		if len(audience) > 8 || slices.Contains(audience, "") {
			t.Errorf("the audience %q was taken", audience)
		}
		id := a.text("family")
		if a.header.Get("Location") != "/v1/families/"+id || a.text("scope") != scope || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v: %v", a, a.header)
		}

		shown := q.ask(t, http.MethodGet, "/v1/families/"+id, "", "", "")
		var amr []string
		list, _ := shown.json["amr"].([]any)
		for _, v := range list {
			v, _ := v.(string)
			amr = append(amr, v)
		}
		if shown.text("user_id") != said.UserID || shown.text("client_id") != said.ClientID || shown.text("status") != "active" || shown.text("scope") != scope ||
			shown.text("acr") != said.ACR || !slices.Equal(amr, said.AMR) || shown.text("device") != described(said.Device) || !slices.Equal(audienceOf(member(t, shown, "audience")), audience) {
			t.Errorf("%s is shown as %v", body, shown)
		}
		var claims, shownClaims map[string]any
		var record struct{ Claims json.RawMessage }
		var compact bytes.Buffer
		if len(said.Claims) > 0 {
			err = errors.Join(numbers(string(said.Claims), &claims), json.Compact(&compact, said.Claims))
		}
		if len(claims) > 0 {
			err = errors.Join(err, numbers(shown.body, &record), numbers(string(record.Claims), &shownClaims))
		}
		if err != nil || compact.Len() > 2048 || len(claims) > 0 && !reflect.DeepEqual(shownClaims, claims) {
			t.Errorf("the claims %s are shown as %s (%v)", &compact, record.Claims, err)
		}

		if audience == nil {
			audience = []string{"https://rotor.example"}
		}
		access, err := q.keys.Signing.Verify(a.text("access_token"), "https://rotor.example", q.clock.Now())
		if err != nil || access.Subject != said.UserID || access.ClientID != said.ClientID || access.Scope != scope || !slices.Equal(access.Audience, audience) ||
			access.ACR != said.ACR || !slices.Equal(access.AMR, said.AMR) || access.AuthTime.Unix() != said.AuthTime.Unix() && !said.AuthTime.IsZero() {
			t.Errorf("%s: the access token says %+v, %v", body, access, err)
		}
		if len(claims) > 0 && !reflect.DeepEqual(access.Custom, claims) {
			t.Errorf("the claims %v become %v", claims, access.Custom)
		}
		owner := q.keys.Users.Key(said.UserID)
		if tok, err := q.keys.Codec.Parse(a.text("refresh_token")); err != nil || tok.Counter != 1 || !bytes.HasPrefix(tok.Family[:], owner[:]) {
			t.Errorf("the refresh token is %+v, %v", tok, err)
		}
		if idToken := a.text("id_token") != ""; idToken != slices.Contains(strings.Fields(scope), "openid") {
			t.Errorf("with the scope %q there is an id token: %t", scope, idToken)
		}
	})
}

// numbers decodes JSON like json.Unmarshal, but keeps the digits of numbers.
func numbers(text string, v any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	return d.Decode(v)
}

// member returns a member of an answer as it is written.
func member(t *testing.T, a answer, name string) json.RawMessage {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(a.body), &members); err != nil {
		t.Fatal(err)
	}
	return members[name]
}

// audienceOf returns the distinct values of a JSON audience, which is a text or a list of
// texts; nil for none.
func audienceOf(raw json.RawMessage) []string {
	var one string
	var list, audience []string
	if json.Unmarshal(raw, &one) == nil && one != "" {
		return []string{one}
	}
	_ = json.Unmarshal(raw, &list) // anything else is refused
	for _, v := range list {
		if !slices.Contains(audience, v) {
			audience = append(audience, v)
		}
	}
	return audience
}

// described returns a descriptive text in the form in which records have it.
func described(text string) string {
	var b strings.Builder
	for _, c := range text {
		if unicode.IsControl(c) {
			c = ' '
		}
		if b.Len()+utf8.RuneLen(c) > 256 {
			break
		}
		b.WriteRune(c)
	}
	return b.String()
}

// once returns the scope without repetitions.
func once(scope string) string {
	var tokens []string
	for _, t := range strings.Fields(scope) {
		if !slices.Contains(tokens, t) {
			tokens = append(tokens, t)
		}
	}
	return strings.Join(tokens, " ")
}
