package openapitest

import (
	"bytes"
	"io"
	"net/http"
	"path"
	"strings"
)

// Transport checks each exchange that it carries.
type Transport struct {
	Base   http.RoundTripper
	Prefix string      // the path of the issuer, "" if it has none
	Report func(error) // is told what the document does not say
}

// RoundTrip carries a request.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	known := true // whether the body of the request is known
	if r.Body != nil && r.Body != http.NoBody {
		if known = r.GetBody != nil; known {
			again, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			if body, err = io.ReadAll(again); err != nil {
				return nil, err
			}
		}
	}
	response, err := t.Base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answered, err := io.ReadAll(response.Body)
	if closeErr := response.Body.Close(); err == nil {
		err = closeErr
	}
	response.Body = io.NopCloser(bytes.NewReader(answered))
	if err != nil || !known {
		return response, err
	}
	d := Load()
	if err := d.Check(&Exchange{
		Method: r.Method, Path: d.Strip(t.Prefix, r.URL.EscapedPath()), Query: r.URL.RawQuery, Header: r.Header, Body: body,
		Status: response.StatusCode, AnswerHeader: response.Header, AnswerBody: answered,
	}); err != nil {
		t.Report(err)
	}
	return response, nil
}

// Strip returns a request's path without the path of the issuer. A path that is an operation only as it is stays as it is.
// The metadata is also where RFC 8414 inserts the well-known path before that of the issuer.
func (d *Document) Strip(prefix, escaped string) string {
	if prefix == "" {
		return escaped
	}
	if without, ok := strings.CutSuffix(escaped, prefix); ok && path.Dir(without) == "/.well-known" && path.Base(without) != "jwks.json" {
		return without
	}
	without, ok := strings.CutPrefix(escaped, prefix)
	if !ok || !strings.HasPrefix(without, "/") || !d.hasPath(without) && d.hasPath(escaped) {
		return escaped
	}
	return without
}

// hasPath reports whether there is an operation at a path.
func (d *Document) hasPath(escaped string) bool {
	for _, o := range d.operations {
		if _, ok := o.values(escaped); ok {
			return true
		}
	}
	return false
}
