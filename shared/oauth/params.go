package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"unicode/utf8"

	"github.com/rotor-auth/rotor/shared/internal/web"
)

// params are the parameters of a request to an OAuth endpoint, each with all its values. A
// parameter without a value counts as left out (RFC 6749 §3.2).
type params map[string][]string

// knownParams are the parameters that Rotor reads. Others are ignored, even repeated ones
// (RFC 6749 §3.2).
var knownParams = []string{
	"grant_type", "refresh_token", "scope", "client_id", "client_secret", "client_assertion", "client_assertion_type", "token", "token_type_hint",
	"code", "code_verifier", "redirect_uri", sidParam,
	"assertion", "subject_token", "subject_token_type", "requested_token_type", "actor_token", resourceParam,
}

// resourceParam is the only known parameter that may be repeated (RFC 8707 §2).
const resourceParam = "resource"

// readParams reads the parameters from the body, which is form-encoded (RFC 6749 §3.2) or
// one flat JSON object of strings. It ignores the query string.
func readParams(r *http.Request) (params, error) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" && mediaType != "application/json" {
		return nil, invalidRequest("Content-Type must be application/x-www-form-urlencoded or application/json.")
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	if mediaType == "application/json" {
		return readJSONParams(body)
	}
	return readFormParams(body)
}

// readForm reads the parameters from a form-encoded body, as a browser sends it for a form.
func readForm(r *http.Request) (params, error) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" {
		return nil, invalidRequest("Content-Type must be application/x-www-form-urlencoded.")
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	return readFormParams(body)
}

// readBody reads a body, which must be UTF-8.
func readBody(r *http.Request) ([]byte, error) {
	body, err := web.ReadBody(r)
	if err == nil && !utf8.Valid(body) {
		err = invalidRequest("The request body is not UTF-8.")
	}
	return body, err
}

// readFormParams reads parameters from a form-encoded body.
func readFormParams(body []byte) (params, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalidRequest("The request body is not form-encoded.")
	}
	return toParams(values)
}

// readQuery reads the parameters from the query string.
func readQuery(r *http.Request) (params, error) {
	if len(r.URL.RawQuery) > maxQuery {
		return nil, errLongQuery
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalidRequest("The query string is malformed.")
	}
	return toParams(values)
}

// toParams returns the parameters that are form-encoded in a body or a query string.
func toParams(values url.Values) (params, error) {
	p := params{}
	for name, vs := range values {
		if slices.ContainsFunc(append(vs, name), func(s string) bool { return !utf8.ValidString(s) }) {
			return nil, invalidRequest("A parameter is not UTF-8.")
		}
		if len(vs) > 1 && name != resourceParam && slices.Contains(knownParams, name) {
			return nil, errRepeated(name)
		}
		p.set(name, vs...)
	}
	return p, nil
}

// readJSONParams reads parameters from a JSON object. It decodes member by member, since
// encoding/json accepts repeated members and keeps the last. Several resources are given
// as an array.
func readJSONParams(body []byte) (params, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, invalidRequest("The request body is not a JSON object.")
	}
	p := params{}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, invalidRequest("The request body is not JSON.")
		}
		name := t.(string) // between the members of an object, the decoder returns strings
		known := slices.Contains(knownParams, name)
		if known && seen[name] {
			return nil, errRepeated(name)
		}
		seen[name] = true
		var value any
		if err := d.Decode(&value); err != nil {
			return nil, invalidRequest("The request body is not JSON.")
		}
		switch v := value.(type) {
		case string:
			p.set(name, v)
		case nil: // left out
		case []any:
			if name == resourceParam {
				resource, ok := toStrings(v)
				if !ok {
					return nil, invalidRequest("resource must be a JSON string or an array of strings.")
				}
				p.set(name, resource...)
			} else if known {
				return nil, invalidRequest(name + " must be a JSON string.")
			}
		default:
			if known {
				return nil, invalidRequest(name + " must be a JSON string.")
			}
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, invalidRequest("The request body is not JSON.")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, invalidRequest("The request body has more than one JSON value.")
	}
	return p, nil
}

// toStrings returns the elements of a JSON array. ok reports whether all are strings.
func toStrings(array []any) (values []string, ok bool) {
	for _, v := range array {
		s, ok := v.(string)
		if !ok {
			return nil, false
		}
		values = append(values, s)
	}
	return values, true
}

// set adds the values that are not empty to a parameter.
func (p params) set(name string, values ...string) {
	for _, v := range values {
		if v != "" {
			p[name] = append(p[name], v)
		}
	}
}

// get returns the value of a parameter that cannot be repeated, "" if it was left out.
func (p params) get(name string) string {
	if len(p[name]) == 0 {
		return ""
	}
	return p[name][0]
}

// required returns the value of a parameter, or an error if it was left out.
func (p params) required(name string) (string, error) {
	if v := p.get(name); v != "" {
		return v, nil
	}
	return "", invalidRequest(name + " is missing.")
}

// errRepeated returns the error for a parameter given more than once (RFC 6749 §3.2).
func errRepeated(name string) error { return invalidRequest(name + " is repeated.") }
