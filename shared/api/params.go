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
	"unicode/utf8"
)

// params are the parameters of a request to an OAuth endpoint. A parameter
// without a value counts as left out (RFC 6749 §3.2).
type params map[string]string

// knownParams may be named in an error description.
var knownParams = []string{
	"grant_type", "refresh_token", "scope", "client_id", "client_secret", "token", "token_type_hint",
}

// readParams reads the parameters from the body, form-encoded (RFC 6749 §3.2) or
// one flat JSON object of strings; never from the query string.
func readParams(r *http.Request) (params, error) {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" && mediaType != "application/json" {
		return nil, invalidRequest("Content-Type must be application/x-www-form-urlencoded or application/json.")
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(body) {
		return nil, invalidRequest("The request body is not UTF-8.")
	}
	if mediaType == "application/json" {
		return readJSONParams(body)
	}
	return readFormParams(body)
}

func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, err
	case r.Context().Err() != nil:
		return nil, fmt.Errorf("read a request body: %w", r.Context().Err())
	case err != nil:
		return nil, invalidRequest("The request body could not be read.")
	}
	return body, nil
}

func readFormParams(body []byte) (params, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalidRequest("The request body is not form-encoded.")
	}
	p := params{}
	for name, vs := range values {
		if len(vs) > 1 {
			return nil, repeated(name)
		}
		if !utf8.ValidString(name) || !utf8.ValidString(vs[0]) {
			return nil, invalidRequest("A parameter is not UTF-8.")
		}
		p.set(name, vs[0])
	}
	return p, nil
}

// readJSONParams reads member by member: encoding/json would take the last of a
// repeated one.
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
		name := t.(string) // of an object's member, by the decoder's contract
		if seen[name] {
			return nil, repeated(name)
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
		default:
			if slices.Contains(knownParams, name) {
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

func (p params) set(name, value string) {
	if value != "" {
		p[name] = value
	}
}

func (p params) required(name string) (string, error) {
	if v := p[name]; v != "" {
		return v, nil
	}
	return "", invalidRequest(name + " is missing.")
}

// repeated is RFC 6749 §3.2: parameters must not be included more than once.
func repeated(name string) error {
	if !slices.Contains(knownParams, name) {
		name = "A parameter"
	}
	return invalidRequest(name + " is repeated.")
}
