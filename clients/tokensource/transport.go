package tokensource

import (
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Transport is an [http.RoundTripper] that adds the access token of its Source to
// requests.
//
// When a resource server answers 401, the token is refreshed and the request sent
// again, if it has no body or has GetBody, as requests with strings and byte slices
// do. Otherwise the 401 is returned, and the next request has the new token. A token
// that was itself obtained after a 401 is not refreshed for that reason again within
// five minutes.
//
// A request that follows a redirect to another scheme, host or port is sent without
// the token, and so are all that follow it, wherever they lead. The Request of a
// response is the caller's, and does not have the token.
type Transport struct {
	Source *Source
	Base   http.RoundTripper // nil for http.DefaultTransport
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if elsewhere(req) {
		return t.pass(req, req)
	}
	h, err := t.Source.get(req.Context(), "")
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	resp, err := t.send(req, h)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	newer, err := t.Source.get(req.Context(), h.AccessToken)
	if err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	if newer.AccessToken == h.AccessToken {
		return resp, nil
	}
	again := req
	if req.Body != nil && req.Body != http.NoBody {
		if req.GetBody == nil {
			return resp, nil
		}
		again = req.Clone(req.Context())
		if again.Body, err = req.GetBody(); err != nil {
			_ = resp.Body.Close()
			return nil, err
		}
	}
	// A connection whose response was read to the end can be reused.
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	_ = resp.Body.Close()
	return t.send(again, newer)
}

// send sends a request with the token.
func (t *Transport) send(req *http.Request, h *held) (*http.Response, error) {
	with := req.Clone(req.Context()) // a round tripper must not change its request
	h.token(t.Source.clock.now()).SetAuthHeader(with)
	return t.pass(with, req)
}

// pass sends a request. It makes the response refer to the caller's request, which
// elsewhere needs.
func (t *Transport) pass(req, callers *http.Request) (*http.Response, error) {
	resp, err := t.base().RoundTrip(req)
	if resp != nil {
		resp.Request = callers
	}
	return resp, err
}

func (t *Transport) base() http.RoundTripper { return transport(t.Base) }

// transport returns t, or the default transport if t is nil.
func transport(t http.RoundTripper) http.RoundTripper {
	if t != nil {
		return t
	}
	return http.DefaultTransport
}

// elsewhere reports whether a redirect has led to another origin than the first. It
// stays true if the other origin leads back, because that origin has chosen the URL.
// [http.Client] notes in each request the response that it follows. If that response
// does not tell which request it answers, elsewhere reports true.
func elsewhere(req *http.Request) bool {
	for hop := req; hop.Response != nil; hop = hop.Response.Request {
		before := hop.Response.Request
		if before == nil || origin(before.URL) != origin(hop.URL) {
			return true
		}
	}
	return false
}

// origin returns the scheme, host and port of a URL in normal form.
func origin(u *url.URL) [3]string {
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return [3]string{scheme, strings.ToLower(u.Hostname()), port}
}
