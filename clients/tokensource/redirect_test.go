package tokensource_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rotor-auth/rotor/clients/tokensource"
)

// web is a world of resource servers, to which every name and port leads, by https
// and http. It redirects as told, and records where each request arrived, and
// whether it had the token.
type web struct {
	transport *http.Transport
	status    int // status of an answer that is not a redirect

	mu   sync.Mutex
	next map[string]string // from one URL to the next
	seen []string
}

func newWeb(t *testing.T) *web {
	t.Helper()
	n := &web{status: http.StatusOK}
	handler := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		defer n.mu.Unlock()
		scheme, with := "http://", "without"
		if r.TLS != nil {
			scheme = "https://"
		}
		if r.Header.Get("Authorization") != "" {
			with = "with"
		}
		url := scheme + strings.ToLower(r.Host) + r.URL.Path
		n.seen = append(n.seen, url+" "+with)
		if to := n.next[url]; to != "" {
			http.Redirect(rw, r, to, http.StatusTemporaryRedirect)
			return
		}
		rw.WriteHeader(n.status)
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	n.transport = &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, plain.Listener.Addr().String())
		},
		DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
			return d.DialContext(ctx, network, secure.Listener.Addr().String())
		},
	}
	t.Cleanup(n.transport.CloseIdleConnections)
	return n
}

// forgetful is a round tripper whose responses do not say which request they answer.
type forgetful struct{ http.RoundTripper }

func (f forgetful) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := f.RoundTripper.RoundTrip(r)
	if resp != nil {
		resp.Request = nil
	}
	return resp, err
}

// TestRedirectOrigin checks that the token goes where the caller sent the request,
// and nowhere after a redirect to another scheme, host or port.
func TestRedirectOrigin(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	w.begun("app", store)
	src := w.source("app", store, nil)
	w.good(src)
	for _, test := range []struct {
		name string
		hops []string // the first is the caller's
		with int      // how many of them get the token
	}{
		{"the same origin", []string{"https://api.example/1", "https://api.example/2"}, 2},
		{"a path", []string{"https://api.example/1", "/2", "/3"}, 3},
		{"the port that it has anyway", []string{"https://api.example/1", "https://api.example:443/2", "https://api.example/3"}, 3},
		{"the port that it has anyway, of http", []string{"http://api.example:80/1", "http://api.example/2"}, 2},
		{"the same name", []string{"https://api.example/1", "https://API.Example/2"}, 2},
		{"https to http", []string{"https://api.example/1", "http://api.example/2"}, 1},
		{"https to http on the same port", []string{"https://api.example:8443/1", "http://api.example:8443/2"}, 1},
		{"http to https", []string{"http://api.example/1", "https://api.example/2"}, 1},
		{"another host", []string{"https://api.example/1", "https://other.example/2"}, 1},
		{"a part of its domain", []string{"https://api.example/1", "https://www.api.example/2"}, 1},
		{"the domain that it is a part of", []string{"https://www.api.example/1", "https://api.example/2"}, 1},
		{"another port", []string{"https://api.example/1", "https://api.example:8443/2"}, 1},
		{"the port of another scheme", []string{"http://api.example/1", "http://api.example:4430/2"}, 1},
		{"away and back", []string{"https://api.example/1", "https://other.example/2", "https://api.example/3"}, 1},
		{"away and on", []string{"https://api.example/1", "https://other.example/2", "https://other.example/3"}, 1},
		{"on and away", []string{"https://api.example/1", "/2", "http://api.example/3", "/4"}, 2},
	} {
		for _, wrap := range []string{"", "below", "above"} {
			t.Run(test.name+" "+wrap, func(t *testing.T) {
				n := newWeb(t)
				n.next = map[string]string{}
				var want []string
				var base string
				with := test.with
				if wrap == "above" {
					with = 1 // it cannot be known where the request came from
				}
				for i, hop := range test.hops {
					if strings.HasPrefix(hop, "/") {
						hop = base + hop
					}
					hop = strings.ToLower(hop)
					base = hop[:strings.LastIndex(hop, "/")]
					if i < len(test.hops)-1 {
						n.next[hop] = test.hops[i+1]
					}
					if i < with {
						want = append(want, hop+" with")
					} else {
						want = append(want, hop+" without")
					}
				}
				transport := &tokensource.Transport{Source: src, Base: n.transport}
				client := &http.Client{Transport: transport}
				switch wrap {
				case "below":
					transport.Base = forgetful{n.transport}
				case "above":
					client.Transport = forgetful{transport}
				}
				resp, err := client.Get(test.hops[0])
				if status, _ := body(t, resp, err); status != 200 {
					t.Errorf("status %d", status)
				}
				if !slices.Equal(n.seen, want) {
					t.Errorf("the requests were\n%s\nand not\n%s", strings.Join(n.seen, "\n"), strings.Join(want, "\n"))
				}
				if wrap != "above" && (resp.Request == nil || resp.Request.Header.Get("Authorization") != "") {
					t.Error("the response has no request, or one with the token")
				}
			})
		}
	}
}

// TestRedirectRejected checks that a 401 of a server that did not get the token does
// not count as a rejection.
func TestRedirectRejected(t *testing.T) {
	w := newWorld(t)
	store := tokensource.NewMemory()
	w.begun("app", store)
	src := w.source("app", store, nil)
	before := w.good(src)
	w.wire.breaks(nil)
	n := newWeb(t)
	n.next, n.status = map[string]string{"https://api.example/1": "https://other.example/2"}, http.StatusUnauthorized
	resp, err := (&http.Client{Transport: &tokensource.Transport{Source: src, Base: n.transport}}).Get("https://api.example/1")
	if status, _ := body(t, resp, err); status != 401 || len(n.seen) != 2 {
		t.Errorf("status %d after %d requests", status, len(n.seen))
	}
	if token := w.good(src); token.AccessToken != before.AccessToken || w.wire.requests() != 0 {
		t.Errorf("%d refreshes", w.wire.requests())
	}
}
