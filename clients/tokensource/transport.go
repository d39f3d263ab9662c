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
// A token that is bound to a key is sent with a proof of it for the request (RFC 9449 §7). A server that asks for
// another nonce gets the request again, if that can be sent again.
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
	next, err := again(req, resp)
	if err != nil {
		return nil, err
	}
	if next == nil {
		return resp, nil
	}
	return t.send(next, newer)
}

// again returns the request that resp answers for another try, with its body from the beginning, and reads and
// closes resp. If that is not possible it returns nil, and leaves resp as it is. After an error resp is closed.
func again(req *http.Request, resp *http.Response) (*http.Request, error) {
	next := req
	if req.Body != nil && req.Body != http.NoBody {
		if req.GetBody == nil {
			return nil, nil
		}
		next = req.Clone(req.Context())
		var err error
		if next.Body, err = req.GetBody(); err != nil {
			_ = resp.Body.Close()
			return nil, err
		}
	}
	// A connection whose response was read to the end can be reused.
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	_ = resp.Body.Close()
	return next, nil
}

// send sends a request with the token, and with a proof if the token is bound to a key.
func (t *Transport) send(req *http.Request, h *held) (*http.Response, error) {
	key := t.Source.keyOf(&h.state)
	if key == nil || !strings.EqualFold(h.TokenType, "DPoP") {
		with := req.Clone(req.Context()) // a round tripper must not change its request
		h.token(t.Source.clock.now()).SetAuthHeader(with)
		return t.pass(with, req)
	}
	for n := 0; ; n++ {
		with := req.Clone(req.Context())
		h.token(t.Source.clock.now()).SetAuthHeader(with)
		if err := t.Source.prove(with, key, h.AccessToken); err != nil {
			if req.Body != nil {
				_ = req.Body.Close()
			}
			return nil, err
		}
		resp, err := t.pass(with, req)
		if err != nil || !t.Source.nonces.note(with.URL, resp) || !wantsNonce(resp) || n == maxNonces {
			return resp, err
		}
		next, err := again(req, resp)
		if err != nil {
			return nil, err
		}
		if next == nil {
			return resp, nil
		}
		req = next
	}
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
