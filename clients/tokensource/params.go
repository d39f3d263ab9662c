package tokensource

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxParams is the maximum length of all parameters of [WithParams] together,
// encoded.
const maxParams = 4 << 10

// ownParams are the parameters that [WithParams] refuses: those of a refresh itself,
// and those by which a client authenticates.
var ownParams = []string{
	"grant_type", "refresh_token", "client_id", "client_secret", "client_assertion", "client_assertion_type",
}

// WithParams adds parameters to the form of each refresh, such as resource (RFC
// 8707, which may be repeated), audience, or a narrower scope. The parameters of
// several WithParams are all sent.
//
// All sources that share a store should have the same parameters, because they share
// the access token. A change takes effect with the next refresh. If the provider
// refuses the parameters (invalid_scope, invalid_target), it has not refused the
// token.
//
// It refuses grant_type and refresh_token, which a refresh sets itself. It refuses
// client_assertion, and client_id and client_secret, which [New] takes from its
// Config. It also refuses more than 4 KB. New returns no error; instead each Token
// and Login does, before it sends or saves anything. The values must not be secret,
// because an error may quote them.
func WithParams(params url.Values) Option {
	params = clone(params)
	return func(s *Source) {
		if s.params == nil {
			s.params = url.Values{}
		}
		for name, values := range params {
			s.params[name] = append(s.params[name], values...)
		}
	}
}

func clone(params url.Values) url.Values {
	c := make(url.Values, len(params))
	for name, values := range params {
		c[name] = slices.Clone(values)
	}
	return c
}

// checkParams returns an error if a parameter must not be added.
func checkParams(params url.Values) error {
	for _, name := range ownParams {
		if params.Has(name) {
			return fmt.Errorf("WithParams: the parameter %s is not allowed", name)
		}
	}
	if params.Has("") {
		return errors.New("WithParams: a parameter has no name")
	}
	if n := len(params.Encode()); n > maxParams {
		return fmt.Errorf("WithParams: the parameters have %d bytes, but at most %d are allowed", n, maxParams)
	}
	return nil
}

// adding is a round tripper that adds parameters to a form, since
// golang.org/x/oauth2 accepts none for a refresh.
type adding struct {
	base   http.RoundTripper
	params string // encoded; more are in a context that has an assertion
}

// RoundTrip implements [http.RoundTripper].
func (a *adding) RoundTrip(req *http.Request) (*http.Response, error) {
	form, err := io.ReadAll(req.Body)
	if err = errors.Join(err, req.Body.Close()); err != nil {
		return nil, err
	}
	body := string(form)
	assertion, _ := req.Context().Value(assertionOf{}).(string)
	for _, more := range []string{a.params, assertion} {
		if more != "" {
			body += "&" + more
		}
	}
	longer := req.Clone(req.Context()) // a round tripper must not change its request
	longer.ContentLength = int64(len(body))
	longer.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	longer.Body, err = longer.GetBody()
	if err != nil {
		return nil, err
	}
	return a.base.RoundTrip(longer)
}
