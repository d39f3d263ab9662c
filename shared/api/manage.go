package api

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

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/signing"
)

// manageEndpoints are /v1: who may call them is decided before a request gets
// here, by the gateway (SigV4) or by the local program (loopback).
func (a *API) manageEndpoints() []endpoint {
	return []endpoint{
		{path: "/v1/families", methods: map[string]handler{
			http.MethodPost: a.issue, http.MethodGet: a.listFamilies, http.MethodPatch: a.changeFamilies, http.MethodDelete: a.revokeFamilies,
		}, operations: map[string]string{
			http.MethodPost: "issue_family", http.MethodPatch: "change_families", http.MethodDelete: "revoke_families",
		}},
		{path: "/v1/families/{family}", methods: map[string]handler{
			http.MethodGet: a.family, http.MethodPatch: a.changeOne, http.MethodDelete: a.revokeOne,
		}, operations: map[string]string{
			http.MethodPatch: "change_family", http.MethodDelete: "revoke_family",
		}},
		{path: "/v1/users", methods: map[string]handler{http.MethodDelete: a.eraseUser}, operations: map[string]string{http.MethodDelete: "erase_user"}},
		{path: "/v1/explain", methods: map[string]handler{http.MethodPost: a.explain}, operations: map[string]string{http.MethodPost: changesNothing}},
		{path: "/v1/events", methods: map[string]handler{http.MethodGet: a.listEvents}},
		{path: "/v1/clients", methods: map[string]handler{http.MethodGet: a.listClients}},
		{path: "/v1/clients/{client_id}", methods: map[string]handler{
			http.MethodGet: a.client, http.MethodPut: a.putClient, http.MethodDelete: a.deleteClient,
		}, operations: map[string]string{
			http.MethodPut: "put_client", http.MethodDelete: "delete_client",
		}},
		{path: "/v1/clients/{client_id}/secrets", methods: map[string]handler{
			http.MethodPost: a.addSecret,
		}, operations: map[string]string{
			http.MethodPost: "add_secret",
		}},
		{path: "/v1/clients/{client_id}/secrets/{secret_id}", methods: map[string]handler{
			http.MethodDelete: a.removeSecret,
		}, operations: map[string]string{
			http.MethodDelete: "remove_secret",
		}},
	}
}

// Limits of the inputs that a family's record keeps, in bytes; those of its whole
// are [store.MaxFamilySize]. What means something is refused past its limit, a text
// that only describes is cut.
const (
	maxUserID    = 128
	maxScope     = 1024
	maxAudience  = 512 // of all values together
	maxAudiences = 8   // values
	maxClaims    = 2048
	maxACR       = 128
	maxAMR       = 128 // the values joined with spaces
	maxText      = 256 // of a device and a user agent, which are cut
)

// readJSON reads the body, one JSON object, into fields: pointers by the names
// of the members. See [readObject].
func readJSON(r *http.Request, fields map[string]any) error {
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return unsupported("Content-Type must be application/json")
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	if !utf8.Valid(body) {
		return badRequest("the request body is not UTF-8")
	}
	return readObject(body, "", fields)
}

// readObject reads a JSON object. encoding/json would take a member's name in
// other letter case, the last of a repeated one, and stop at the first error;
// here names are exact, and all that is wrong is named, under the given prefix.
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
		name := t.(string) // of an object's member, by the decoder's contract
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return badRequest("the request body is not valid JSON")
		}
		target, known := fields[name]
		switch {
		case !known:
			in.wrong(prefix+cut(name, 64), "", "left out: there is no such member")
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

// showable says whether t, in UTC, can be stored and shown again.
func showable(t time.Time) bool { return t.Year() >= 1970 && t.Year() <= 9999 }

// inUTC makes t one of UTC; the error says that it cannot be shown.
func inUTC(t *time.Time) error {
	if *t = t.UTC(); !showable(*t) {
		return errors.New("out of range")
	}
	return nil
}

// member reads the value of one member into what target points to.
func (in *input) member(field string, raw json.RawMessage, target any) {
	want := "a JSON object"
	switch target.(type) {
	case *string, **string, *family.Evict, *family.LostResponse, *family.ReuseDetection:
		want = "a JSON string"
	case *bool:
		want = "true or false"
	case *int, *family.Seconds, **family.Seconds:
		want = "a whole number"
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
			err = inUTC(t)
		case **time.Time:
			err = inUTC(*t)
		}
	}
	if err != nil {
		in.wrong(field, cut(string(raw), 64), want)
	}
}

// input gathers all that is wrong with a request.
type input struct{ errs fieldErrors }

func (in *input) wrong(field, value, want string) {
	in.errs = append(in.errs, &family.FieldError{Field: field, Value: value, Want: want})
}

// text checks a string of at most limit bytes, without control characters.
func (in *input) text(field, s string, limit int) {
	switch {
	case len(s) > limit:
		in.wrong(field, fmt.Sprintf("%d bytes long", len(s)), fmt.Sprintf("at most %d bytes", limit))
	case strings.ContainsFunc(s, unicode.IsControl):
		in.wrong(field, "", "free of control characters")
	}
}

// audience checks an audience and returns each value once.
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
	case len(audience) > maxAudiences:
		in.wrong(field, fmt.Sprintf("%d values", len(audience)), fmt.Sprintf("at most %d", maxAudiences))
	case size > maxAudience:
		in.wrong(field, fmt.Sprintf("%d bytes long", size), fmt.Sprintf("at most %d bytes", maxAudience))
	}
	return audience
}

// description returns a text that only describes as records keep it: its control
// characters replaced, and cut.
func description(s string) string {
	return cut(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, s), maxText)
}

// required checks a text that may not be empty.
func (in *input) required(field, s string, limit int) {
	if s == "" {
		in.wrong(field, "", "given")
		return
	}
	in.text(field, s, limit)
}

func (in *input) clientID(id string) {
	if !isClientID(id) {
		in.wrong("client_id", strconv.Quote(cut(id, 80)), "1 to 64 of A-Z a-z 0-9 . _ -")
	}
}

func (in *input) scope(field, s string) []string {
	scope, err := parseScope(s)
	switch {
	case len(s) > maxScope:
		in.wrong(field, fmt.Sprintf("%d bytes long", len(s)), fmt.Sprintf("at most %d bytes", maxScope))
	case err != nil:
		in.wrong(field, "", "scope tokens separated by single spaces (RFC 6749 section 3.3)")
	}
	return scope
}

func (in *input) err() error {
	if len(in.errs) == 0 {
		return nil
	}
	return in.errs
}

// query is the query parameters; one that the call does not know, or a repeated
// one, is an error.
func query(r *http.Request, names ...string) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the query string is malformed")
	}
	var in input
	for name, vs := range values {
		switch {
		case !slices.Contains(names, name):
			in.wrong(cut(strings.ToValidUTF8(name, "?"), 64), "", "left out: there is no such query parameter")
		case len(vs) > 1:
			in.wrong(name, "", "given once")
		case vs[0] == "": // a filter lost on its way must not widen what is asked for
			in.wrong(name, "", "given a value, or left out")
		case !utf8.ValidString(vs[0]):
			in.wrong(name, "", "UTF-8")
		}
	}
	return values, in.err()
}

// dryRun reads the query's dry_run.
func (in *input) dryRun(q url.Values) bool {
	v := q.Get("dry_run")
	if v == "" {
		return false
	}
	dryRun, err := strconv.ParseBool(v)
	if err != nil {
		in.wrong("dry_run", strconv.Quote(cut(v, 32)), "true or false")
	}
	return dryRun
}

// user checks the query's user_id.
func (in *input) user(q url.Values) string {
	userID := q.Get("user_id")
	in.required("user_id", userID, maxUserID)
	return userID
}

// noQuery refuses query parameters of a call that has none.
func noQuery(r *http.Request) error {
	_, err := query(r)
	return err
}
