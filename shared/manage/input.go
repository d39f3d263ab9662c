package manage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/signing"
)

// Limits of single inputs that a family's record keeps, in bytes; [store.MaxFamilySize]
// limits the whole record. Longer inputs are refused, except for descriptions, which are cut
// (see [session.Describe]).
const (
	maxUserID   = assertion.MaxUserID
	maxAudience = 512 // all values together
	maxClaims   = 2048
	maxACR      = session.MaxACR
	maxAMR      = session.MaxAMR
)

// readJSON decodes the body, one JSON object, into fields, which has a pointer for the name
// of each member. See [readObject].
func readJSON(r *http.Request, fields map[string]any) error {
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return unsupported("Content-Type must be application/json")
	}
	body, err := web.ReadBody(r)
	if err != nil {
		return err
	}
	if !utf8.Valid(body) {
		return badRequest("the request body is not UTF-8")
	}
	return readObject(body, "", fields)
}

// readObject decodes a JSON object more strictly than encoding/json, which ignores the case of
// names, keeps the last of a repeated member, and stops at the first error. Here names must
// match exactly, and the error lists everything that is wrong, with prefix before the names.
// A member that is null counts as left out.
func readObject(data []byte, prefix string, fields map[string]any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		if prefix != "" {
			return fieldErrors{{Field: strings.TrimSuffix(prefix, "."), Want: "a JSON object"}}
		}
		return badRequest("the request body must be a JSON object")
	}
	var in input
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return badRequest("the request body is not valid JSON")
		}
		name := t.(string) // between the members of an object, the decoder returns strings
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return badRequest("the request body is not valid JSON")
		}
		target, known := fields[name]
		switch {
		case !known:
			in.wrong(prefix+session.Cut(name, 64), "", "left out: there is no such member")
		case seen[name]:
			in.wrong(prefix+name, "", "given once")
		case string(raw) != "null":
			in.member(prefix+name, raw, target)
		}
		seen[name] = true
	}
	if _, err := d.Token(); err != nil {
		return badRequest("the request body is not valid JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequest("the request body has more than one JSON value")
	}
	return in.err()
}

const wantTime = "a time as in RFC 3339, from 1970 to 9999"

// hasStorableYear reports whether a time in UTC can be stored and shown again.
func hasStorableYear(t time.Time) bool { return t.Year() >= 1970 && t.Year() <= 9999 }

// toUTC converts t to UTC. It fails if the result cannot be stored and shown again.
func toUTC(t *time.Time) error {
	if *t = t.UTC(); !hasStorableYear(*t) {
		return errors.New("out of range")
	}
	return nil
}

// member decodes the value of one member into target.
func (in *input) member(field string, raw json.RawMessage, target any) {
	want := "a JSON object"
	switch target.(type) {
	case *string, **string, *family.Evict, *family.LostResponse, *family.ReuseDetection:
		want = "a JSON string"
	case *bool:
		want = "true or false"
	case *int, **int, *family.Seconds, **family.Seconds:
		want = "a whole number"
	case *newIssuers, *newImports:
		want = "a JSON array of objects"
	case *[]string, **[]string:
		want = "a JSON array of strings"
	case *signing.Audience:
		want = "a JSON string or an array of strings"
	case *time.Time, **time.Time:
		want = wantTime
	}
	err := json.Unmarshal(raw, target)
	if err == nil {
		switch t := target.(type) {
		case *time.Time:
			err = toUTC(t)
		case **time.Time:
			err = toUTC(*t)
		}
	}
	if err != nil {
		if n, ok := target.(**int); ok {
			*n = nil // Unmarshal has made it a 0, which would be wrong as well
		}
		shown := session.Cut(string(raw), 64)
		if mayBeSecret(field) {
			shown = ""
		}
		in.wrong(field, shown, want)
	}
}

// input collects everything that is wrong with a request.
type input struct{ errs fieldErrors }

// wrong adds an error, which reads "<field> is <value>, but must be <want>". An empty value is
// left out of it.
func (in *input) wrong(field, value, want string) {
	in.errs = append(in.errs, &family.FieldError{Field: field, Value: value, Want: want})
}

// text checks that a string has at most limit bytes and no control characters.
func (in *input) text(field, s string, limit int) {
	switch {
	case len(s) > limit:
		in.wrong(field, fmt.Sprintf("%d bytes long", len(s)), fmt.Sprintf("at most %d bytes", limit))
	case strings.ContainsFunc(s, unicode.IsControl):
		in.wrong(field, "", "free of control characters")
	}
}

// audience checks an audience and returns it without duplicates.
func (in *input) audience(field string, values signing.Audience) []string {
	var audience []string
	size := 0
	for _, v := range values {
		switch {
		case v == "":
			in.wrong(field, "", "without empty values")
			return nil
		case strings.ContainsFunc(v, unicode.IsControl):
			in.wrong(field, "", "free of control characters")
			return nil
		case !slices.Contains(audience, v):
			audience = append(audience, v)
			size += len(v)
		}
	}
	switch {
	case len(audience) > session.MaxAudiences:
		in.wrong(field, fmt.Sprintf("%d values", len(audience)), fmt.Sprintf("at most %d", session.MaxAudiences))
	case size > maxAudience:
		in.wrong(field, fmt.Sprintf("%d bytes long", size), fmt.Sprintf("at most %d bytes", maxAudience))
	}
	return audience
}

// redirectURIs checks the addresses that a client registers, and returns them without
// duplicates.
func (in *input) redirectURIs(field string, uris []string, public bool) []string {
	if len(uris) > session.MaxRedirects {
		in.wrong(field, fmt.Sprintf("%d values", len(uris)), fmt.Sprintf("at most %d", session.MaxRedirects))
		return nil
	}
	var all []string
	for _, uri := range uris {
		if err := session.CheckRedirectURI(uri, public); err != nil {
			in.wrong(field, strconv.Quote(session.Cut(uri, 80)), err.Error())
		} else if !slices.Contains(all, uri) {
			all = append(all, uri)
		}
	}
	return all
}

// required checks a string like text, and that it is not empty.
func (in *input) required(field, s string, limit int) {
	if s == "" {
		in.wrong(field, "", "given")
		return
	}
	in.text(field, s, limit)
}

// clientID checks a client id.
func (in *input) clientID(id string) {
	if !session.IsClientID(id) {
		in.wrong("client_id", strconv.Quote(session.Cut(id, 80)), "1 to 64 of A-Z a-z 0-9 . _ -")
	}
}

// scope checks a scope and returns its tokens.
func (in *input) scope(field, s string) []string {
	scope, err := session.ParseScope(s)
	switch {
	case len(s) > session.MaxScope:
		in.wrong(field, fmt.Sprintf("%d bytes long", len(s)), fmt.Sprintf("at most %d bytes", session.MaxScope))
	case err != nil:
		in.wrong(field, "", "scope tokens separated by single spaces (RFC 6749 section 3.3)")
	}
	return scope
}

// err returns the errors collected so far, nil if there are none.
func (in *input) err() error {
	if len(in.errs) == 0 {
		return nil
	}
	return in.errs
}

// readQuery returns the query parameters. A parameter that is not among names is an error, and
// so is one that is repeated or empty.
func readQuery(r *http.Request, names ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the query string is malformed")
	}
	var in input
	for name, vs := range values {
		switch {
		case !slices.Contains(names, name):
			in.wrong(session.Cut(strings.ToValidUTF8(name, "?"), 64), "", "left out: there is no such query parameter")
		case len(vs) > 1:
			in.wrong(name, "", "given once")
		case vs[0] == "": // a filter whose value was lost must not select more than intended
			in.wrong(name, "", "given a value, or left out")
		case !utf8.ValidString(vs[0]):
			in.wrong(name, "", "UTF-8")
		}
	}
	return values, in.err()
}

// dryRun reports whether the query asks for a dry run.
func (in *input) dryRun(q url.Values) bool {
	v := q.Get("dry_run")
	if v == "" {
		return false
	}
	dryRun, err := strconv.ParseBool(v)
	if err != nil {
		in.wrong("dry_run", strconv.Quote(session.Cut(v, 32)), "true or false")
	}
	return dryRun
}

// user checks and returns the query's user_id.
func (in *input) user(q url.Values) string {
	userID := q.Get("user_id")
	in.required("user_id", userID, maxUserID)
	return userID
}

// noQuery returns an error if there are query parameters, for calls that have none.
func noQuery(r *http.Request) error {
	_, err := readQuery(r)
	return err
}
