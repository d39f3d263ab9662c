package openapitest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/shared/openapi"
)

// refreshed returns an exchange that the document has.
func refreshed() *Exchange {
	const token = "rotor_AQFAPU6ez4epLy5tPhZz_9fAAaIi7SG8OW--SLgmjVGWgQAAAAH3YA2g7KTgQFRX74vM89dtjPKTFQ"
	return &Exchange{
		Method: http.MethodPost, Path: "/oauth/token",
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		Body:   []byte("grant_type=refresh_token&client_id=app&refresh_token=" + token),
		Status: http.StatusOK,
		AnswerHeader: http.Header{
			"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "Pragma": {"no-cache"}, "X-Content-Type-Options": {"nosniff"},
		},
		AnswerBody: []byte(`{"access_token":"a.b.c","token_type":"Bearer","expires_in":3600,"refresh_token":"` + token + `"}`),
	}
}

// TestCheck checks that whatever differs from the document is found, in a refresh and in a call of /v1.
func TestCheck(t *testing.T) {
	replace := func(old, with string) func(*Exchange) {
		return func(e *Exchange) {
			body := strings.Replace(string(e.AnswerBody), old, with, 1)
			if body == string(e.AnswerBody) {
				t.Fatalf("the answer has no %s", old)
			}
			e.AnswerBody = []byte(body)
		}
	}
	send := func(body string) func(*Exchange) { return func(e *Exchange) { e.Body = []byte(body) } }
	for _, tt := range []struct {
		name   string
		change func(*Exchange)
		says   string // "" if there is nothing to find
	}{
		{"as it is", func(*Exchange) {}, ""},
		{"a parameter that is ignored", func(e *Exchange) { e.Body = append(e.Body, "&x=1&x=2"...) }, ""},
		{"a query that is ignored", func(e *Exchange) { e.Query = "x=1" }, ""},
		{"resource once", func(e *Exchange) { e.Body = append(e.Body, "&resource=https://api.example.com"...) }, ""},
		{"resource twice", func(e *Exchange) { e.Body = append(e.Body, "&resource=https://api.example.com&resource=urn:x"...) }, ""},
		{"a resource that is none", func(e *Exchange) { e.Body = append(e.Body, "&resource=x"...) }, "/resource/0"},
		{"a status", func(e *Exchange) { e.Status = http.StatusCreated }, "has no answer 201"},
		{"a member more", replace("{", `{"x":1,`), "/x"},
		{"a member less", replace(`"expires_in":3600,`, ""), "expires_in"},
		{"another type", replace("3600", `"3600"`), "/expires_in"},
		{"a value out of range", replace("3600", "0"), "/expires_in"},
		{"no JSON", replace("{", ""), "the answer's body"},
		{"a header more", func(e *Exchange) { e.AnswerHeader.Set("X-Powered-By", "x") }, "the header X-Powered-By is not in the document"},
		{"a header less", func(e *Exchange) { e.AnswerHeader.Del("Pragma") }, "the header Pragma is missing"},
		{"another header", func(e *Exchange) { e.AnswerHeader.Set("Cache-Control", "private") }, "the header Cache-Control"},
		{"a content type", func(e *Exchange) { e.AnswerHeader.Set("Content-Type", "text/plain") }, `of type "text/plain"`},
		{"an accepted body of another type", func(e *Exchange) { e.Header.Set("Content-Type", "text/plain") }, "of type text/plain"},
		{"an accepted body without a type", func(e *Exchange) { e.Header.Del("Content-Type") }, "the content type"},
		{"an accepted grant", send(strings.Replace(string(refreshed().Body), "grant_type=refresh_token", "grant_type=password", 1)), "/grant_type"},
		{"an accepted request without a code", send("grant_type=authorization_code"), "code"},
		{"an accepted client twice", func(e *Exchange) { e.Body = append(e.Body, "&client_id=app"...) }, "/client_id"},
		{"another method", func(e *Exchange) { e.Method = http.MethodPut }, "is no operation, and is answered 200"},
		{"another path", func(e *Exchange) { e.Path = "/oauth/nothing" }, "is no operation, and is answered 200"},
		{"a body of HEAD", func(e *Exchange) { e.Method, e.Path = http.MethodHead, "/healthz" }, "HEAD has a body"},
	} {
		e := refreshed()
		tt.change(e)
		found(t, tt.name, e, tt.says)
	}
	for _, tt := range []struct {
		name, method, path, query, body string
		says                            string
	}{
		{"as it is", "GET", "/v1/families", "user_id=u&status=active", "", ""},
		{"a parameter more", "GET", "/v1/families", "user_id=u&x=1", "", "the query parameter x"},
		{"a parameter less", "GET", "/v1/families", "status=active", "", "user_id is missing"},
		{"a parameter out of range", "GET", "/v1/families", "user_id=u&status=dead", "", "status of an accepted request"},
		{"a member of the path", "GET", "/v1/families/x", "", "", "family of an accepted request"},
		{"a boolean", "DELETE", "/v1/families", "user_id=u&dry_run=true", "", ""},
		{"no boolean", "DELETE", "/v1/families", "user_id=u&dry_run=yes", "", "dry_run of an accepted request"},
		{"a member more", "PATCH", "/v1/families", "user_id=u", `{"acr":"a","x":1}`, "'x' not allowed"},
		{"nothing", "PATCH", "/v1/families", "user_id=u", `{}`, "minProperties"},
		{"a time that is none", "PATCH", "/v1/families", "user_id=u", `{"auth_time":"yesterday"}`, "/auth_time"},
	} {
		e := refreshed()
		e.Method, e.Path, e.Query, e.Body = tt.method, tt.path, tt.query, []byte(tt.body)
		e.Header.Set("Content-Type", "application/json")
		switch tt.path + tt.method {
		case "/v1/familiesGET":
			e.AnswerBody = []byte(`{"families":[]}`)
		case "/v1/familiesDELETE":
			e.AnswerBody = []byte(`{"revoked":0}`)
		case "/v1/familiesPATCH":
			e.AnswerBody = []byte(`{"changed":0}`)
		default:
			e.AnswerBody = []byte(`{"family":"` + strings.Repeat("a", 43) + `","status":"active","user_id":"u","client_id":"app","counter":1,` +
				`"issued_at":"2026-11-28T16:11:35Z","last_used_at":"2026-11-28T16:11:35Z","timeline":[{"at":"2026-11-28T16:11:35Z","event":"issued","counter":1}]}`)
		}
		found(t, tt.name, e, tt.says)
	}
}

// found checks what is found in an exchange.
func found(t *testing.T, name string, e *Exchange, says string) {
	t.Helper()
	err := Load().Check(e)
	if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
		t.Errorf("%s: found is %v, not %q", name, err, says)
	}
}

// TestUnseen checks that each part of the document counts as seen once an exchange had it, and not before.
func TestUnseen(t *testing.T) {
	d, err := compile(openapi.For("https://auth.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	parts := []string{
		"POST /oauth/token: the answer 200",
		"/paths/~1oauth~1token/post/responses/200: the header Pragma",
		"/components/schemas/Tokens/properties/expires_in, in an answer", "/components/schemas/Tokens/properties/scope, left out of an answer",
		"/components/schemas/RefreshForm/properties/client_id, in an accepted request",
	}
	later := []string{
		"POST /oauth/token: the answer 400", "/components/schemas/Tokens/properties/scope, in an answer",
		"POST /oauth/token: the parameter Rotor-Client-Ip", "/components/schemas/RefreshForm/properties/scope, in an accepted request",
		"/components/schemas/Status: the value expired", "outside operations, public: the answer 404",
		"/components/schemas/NewPolicy/properties/evict, in an accepted request",
	}
	for _, part := range slices.Concat(parts, later) {
		if !slices.Contains(d.Unseen(), part) {
			t.Errorf("%s is no part of the document, or was seen", part)
		}
	}
	if err := d.Check(refreshed()); err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		if slices.Contains(d.Unseen(), part) || !slices.Contains(d.Seen(), part) {
			t.Errorf("%s was not seen", part)
		}
	}
	for _, part := range later {
		if !slices.Contains(d.Unseen(), part) {
			t.Errorf("%s was seen", part)
		}
	}
}

// TestStrip checks which paths count as below the path of an issuer.
func TestStrip(t *testing.T) {
	for _, tt := range [][3]string{
		{"", "/oauth/token", "/oauth/token"},
		{"/auth", "/auth/oauth/token", "/oauth/token"},
		{"/auth", "/oauth/token", "/oauth/token"},
		{"/auth", "/authoauth/token", "/authoauth/token"},
		{"/oauth", "/oauth/token", "/oauth/token"},
		{"/oauth", "/oauth/oauth/token", "/oauth/token"},
		{"/auth", "/.well-known/openid-configuration/auth", "/.well-known/openid-configuration"},
		{"/auth", "/.well-known/jwks.json/auth", "/.well-known/jwks.json/auth"},
	} {
		if got := Load().Strip(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%s below %s is %s, not %s", tt[1], tt[0], got, tt[2])
		}
	}
}

// TestExamples checks that each example of a body is valid, and that there is one for each body in JSON or as a form, and
// for each answer in JSON, except for the document itself.
func TestExamples(t *testing.T) {
	c := newCompiler(t)
	examples := 0
	check := func(what, at string) {
		found := 0
		for mediaType, place := range c.members(at + "/content") {
			places := []string{place + "/example"}
			for _, p := range c.members(place + "/examples") {
				places = append(places, p+"/value")
			}
			for _, p := range places {
				if value, _ := c.resolve(p); value != nil {
					found++
					if err := c.schema(place + "/schema").Validate(value); err != nil {
						t.Errorf("an example of %s, %s: %v", what, mediaType, err)
					}
				}
			}
			if found == 0 && what != "GET /openapi.json 200" {
				t.Errorf("%s has no example of %s", what, mediaType)
			}
		}
		examples += found
	}
	for _, o := range Load().operations {
		at := "/paths/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(o.path) + "/" + strings.ToLower(o.method)
		_, body := c.resolve(at + "/requestBody")
		check(o.String(), body)
		for status, place := range c.members(at + "/responses") {
			_, place = c.resolve(place)
			check(o.String()+" "+status, place)
		}
	}
	if c.err != nil || examples < 100 {
		t.Errorf("%d examples, %v", examples, c.err)
	}
}

// newCompiler returns a compiler of the document.
func newCompiler(t *testing.T) *compiler {
	t.Helper()
	c, err := read(openapi.For("https://auth.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestAnswersAreClosed checks that no schema of an answer allows members that it does not name, except where it says so.
func TestAnswersAreClosed(t *testing.T) {
	c := newCompiler(t)
	objects := 0
	var look func(at string, closed bool)
	look = func(at string, closed bool) {
		value, at := c.resolve(at)
		s, ok := value.(map[string]any)
		if !ok {
			return
		}
		closed = closed || s["unevaluatedProperties"] == false || s["additionalProperties"] == false
		if s["type"] == "object" || s["properties"] != nil && s["allOf"] == nil {
			objects++
			if !closed && s["additionalProperties"] != true {
				t.Errorf("%s allows any member", at)
			}
		}
		for _, part := range c.elements(at + "/allOf") {
			look(part, closed)
		}
		for _, list := range []string{"/oneOf", "/anyOf"} {
			for _, part := range c.elements(at + list) {
				look(part, false)
			}
		}
		for _, part := range c.members(at + "/properties") {
			look(part, false)
		}
		if c.has(at + "/items") {
			look(at+"/items", false)
		}
	}
	for _, o := range Load().operations {
		for _, a := range o.answers {
			for _, place := range c.members(a.at + "/content") {
				look(place+"/schema", false)
			}
		}
	}
	if objects < 50 {
		t.Errorf("%d objects were looked at", objects)
	}
	var open struct {
		Components struct {
			Schemas map[string]struct {
				AdditionalProperties any `json:"additionalProperties"`
			}
		}
	}
	if err := json.Unmarshal(openapi.For("https://auth.example.com"), &open); err != nil {
		t.Fatal(err)
	}
	for name, s := range open.Components.Schemas {
		if s.AdditionalProperties == true && name != "Claims" {
			t.Errorf("%s allows any member", name)
		}
	}
}
