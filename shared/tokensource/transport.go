package tokensource

import (
	"io"
	"net/http"
)

// Transport is an [http.RoundTripper] whose requests carry the access token of its
// Source.
//
// When a resource server answers 401, the token is refreshed and the request sent
// once more, if its body can be: if it has none or has GetBody, as requests made
// from strings and byte slices do. Otherwise the 401 is returned, and the next
// request has the new token. A token that was itself obtained after a 401 is not
// refreshed again for that reason within five minutes. A request that follows a
// redirect to another host goes without the token.
type Transport struct {
	Source *Source
	Base   http.RoundTripper // nil for http.DefaultTransport
}

// RoundTrip is http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if elsewhere(req) {
		return t.base().RoundTrip(req)
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
	// What was read to its end can be used again for the next request.
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	_ = resp.Body.Close()
	return t.send(again, newer)
}

// send sends a request with the token; a round tripper must not change its request.
func (t *Transport) send(req *http.Request, h *held) (*http.Response, error) {
	req = req.Clone(req.Context())
	h.token(t.Source.clock.now()).SetAuthHeader(req)
	return t.base().RoundTrip(req)
}

func (t *Transport) base() http.RoundTripper { return transport(t.Base) }

// transport returns t, or the default where there is none.
func transport(t http.RoundTripper) http.RoundTripper {
	if t != nil {
		return t
	}
	return http.DefaultTransport
}

// elsewhere says whether redirects have led to another origin than the first.
func elsewhere(req *http.Request) bool {
	first := req
	for first.Response != nil && first.Response.Request != nil {
		first = first.Response.Request
	}
	return first.URL.Scheme != req.URL.Scheme || first.URL.Host != req.URL.Host
}
