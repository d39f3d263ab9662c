package assertion_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/assertion/assertiontest"
)

// remote is a verifier that trusts an issuer whose keys it must fetch.
type remote struct {
	t      *testing.T
	issuer *assertiontest.Issuer
	*assertion.Verifier
	trusted []assertion.Issuer
	now     time.Time
}

func newRemote(t *testing.T, o assertion.Options) *remote {
	i := assertiontest.New(t)
	return &remote{t: t, issuer: i, Verifier: assertion.New(o), now: now, trusted: []assertion.Issuer{{
		Issuer: i.URL, JWKSURI: i.JWKSURI(), Audience: []string{"us"}, Algorithms: []string{"ES256", "RS256"}, UserClaim: "sub", MaxAge: 300, UserPrefix: "i|",
	}}}
}

// present presents an assertion that is made now, signed by the issuer's last key.
func (r *remote) present(ctx context.Context) error {
	a := r.issuer.Sign(map[string]any{"iss": r.issuer.URL, "sub": "alice", "aud": "us", "iat": r.now.Unix(), "exp": r.now.Add(time.Hour).Unix()})
	_, err := r.Verify(ctx, a, r.trusted, r.now)
	return err
}

// good checks that an assertion is good, and that the keys have been asked for n times by then.
func (r *remote) good(n int) {
	r.t.Helper()
	if err := r.present(r.t.Context()); err != nil || r.issuer.Requests() != n {
		r.t.Errorf("%v, after %d fetches; want none after %d", err, r.issuer.Requests(), n)
	}
}

// unavailable checks that the keys cannot be had, and that they have been asked for n times by
// then.
func (r *remote) unavailable(n int) {
	r.t.Helper()
	err := r.present(r.t.Context())
	var refused *assertion.RefusedError
	if !errors.Is(err, assertion.ErrUnavailable) || errors.As(err, &refused) || r.issuer.Requests() != n {
		r.t.Errorf("%v, after %d fetches; want unavailable keys after %d", err, r.issuer.Requests(), n)
	}
}

// unknown checks that the assertion's key is refused, and that the keys have been asked for n
// times by then.
func (r *remote) unknown(n int) {
	r.t.Helper()
	err := r.present(r.t.Context())
	var refused *assertion.RefusedError
	if !errors.As(err, &refused) || refused.Reason != assertion.UnknownKey || r.issuer.Requests() != n {
		r.t.Errorf("%v, after %d fetches; want an unknown key after %d", err, r.issuer.Requests(), n)
	}
}

func (r *remote) later(d time.Duration) { r.now = r.now.Add(d) }

var loopback = assertion.Options{Loopback: true}

func fails(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }

// TestKeysAreCached checks that keys are fetched once in ten minutes, and again for a key that is
// new, but not more often than every 30 s.
func TestKeysAreCached(t *testing.T) {
	r := newRemote(t, loopback)
	r.good(1)
	r.later(10*time.Minute - time.Second)
	r.good(1)
	r.later(time.Second)
	r.good(2)
	r.issuer.Publish(assertiontest.NewKey(t, jose.ES256, "k2")) // the issuer rotates
	r.later(29 * time.Second)
	r.unknown(2)
	r.later(time.Second)
	r.good(3)
	r.issuer.Publish(assertiontest.NewKey(t, jose.ES256, "made up"))
	r.issuer.Answer(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(assertiontest.JWKS(t, assertiontest.NewKey(t, jose.ES256, "k2"))))
	})
	r.later(30 * time.Second)
	r.unknown(4) // the issuer does not know it either
	r.unknown(4)
	r.later(-time.Hour) // a clock that is set back keeps nothing for longer
	r.unknown(5)
}

// TestIssuerThatIsDown checks that the keys at hand serve for an hour, that a key which may be new
// is not refused, and that an issuer which fails is asked once in five seconds.
func TestIssuerThatIsDown(t *testing.T) {
	r := newRemote(t, loopback)
	r.good(1)
	r.issuer.Answer(fails)
	r.later(10 * time.Minute)
	r.good(2)
	r.later(5*time.Second - time.Millisecond)
	r.good(2)
	r.later(time.Millisecond)
	r.good(3)
	r.later(49*time.Minute + 54*time.Second)
	r.good(4)
	r.later(time.Second)
	r.unavailable(4)
	r.later(5 * time.Second)
	r.unavailable(5)
	r.issuer.Answer(nil)
	r.unavailable(5) // it is not asked again so soon
	r.later(5 * time.Second)
	r.good(6)
	r.issuer.Answer(fails)
	r.issuer.Publish(assertiontest.NewKey(t, jose.ES256, "k2"))
	r.later(time.Minute)
	r.unavailable(7) // the key may be new
	r.issuer.Answer(nil)
	r.later(5 * time.Second)
	r.good(8)
}

// TestAnswersThatAreNoKeys checks that an answer which is no usable JWK Set is as good as none.
func TestAnswersThatAreNoKeys(t *testing.T) {
	elsewhere := assertiontest.New(t)
	huge := `{"keys":[` + strings.Repeat(" ", 256*1024) + strings.TrimPrefix(assertiontest.JWKS(t, assertiontest.NewKey(t, jose.ES256, "k1")), `{"keys":[`)
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) }
	}
	for name, answer := range map[string]http.HandlerFunc{
		"an error":         fails,
		"not found":        http.NotFound,
		"a page":           text("<html>"),
		"nothing":          text(""),
		"an empty set":     text(`{"keys":[]}`),
		"a list":           text(`[]`),
		"a secret":         text(`{"keys":[{"kty":"oct","kid":"k1","k":"c2VjcmV0"}]}`),
		"more than it may": text(huge),
		"no end": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(strings.Repeat(" ", 1024))); err != nil {
					return
				}
			}
		},
		"half an answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"keys":[`))
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.JWKSURI(), http.StatusFound)
		},
		"a redirect to itself": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
		},
		"many keys": func(w http.ResponseWriter, _ *http.Request) {
			key := strings.TrimSuffix(strings.TrimPrefix(assertiontest.JWKS(t, assertiontest.NewKey(t, jose.ES256, "k1")), `{"keys":[`), `]}`)
			_, _ = w.Write([]byte(`{"keys":[` + strings.Repeat(key+",", 64) + key + `]}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRemote(t, loopback)
			r.issuer.Answer(answer)
			r.unavailable(1)
			r.issuer.Answer(nil)
			r.later(5 * time.Second)
			r.good(2)
			r.issuer.Answer(answer)
			r.later(10 * time.Minute)
			r.good(3)
		})
	}
	if n := elsewhere.Requests(); n != 0 {
		t.Errorf("the redirect was followed %d times", n)
	}
}

// TestKeysOfOtherKinds checks that keys which are not for signatures, or of an unknown kind, do not
// spoil the others of a set.
func TestKeysOfOtherKinds(t *testing.T) {
	r := newRemote(t, loopback)
	key := assertiontest.NewKey(t, jose.ES256, "k1")
	r.issuer.Publish(key)
	r.issuer.Answer(func(w http.ResponseWriter, _ *http.Request) {
		set := strings.TrimPrefix(assertiontest.JWKS(t, key), `{"keys":[`)
		_, _ = w.Write([]byte(`{"keys":[{"kty":"XYZ"},{"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"},7,` + set))
	})
	r.good(1)
}

// TestSlowIssuer checks that an issuer which does not answer in time is as good as none, and that
// nobody waits for it longer.
func TestSlowIssuer(t *testing.T) {
	r := newRemote(t, assertion.Options{Loopback: true, Timeout: 50 * time.Millisecond})
	ended := make(chan struct{})
	r.issuer.Answer(func(_ http.ResponseWriter, q *http.Request) {
		<-q.Context().Done() // until the fetch is given up
		close(ended)
	})
	r.unavailable(1)
	<-ended
	r.issuer.Answer(nil)
	r.later(5 * time.Second)
	r.good(2)
}

// TestOneFetchForManyRacers checks that a hundred assertions at once cause one fetch, and that a
// caller who gives up takes it from none of the others.
func TestOneFetchForManyRacers(t *testing.T) {
	r := newRemote(t, loopback)
	key := assertiontest.NewKey(t, jose.ES256, "k2")
	r.issuer.Publish(key)
	arrived, release := make(chan struct{}), make(chan struct{})
	r.issuer.Answer(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived) // a second request would panic
		<-release
		_, _ = w.Write([]byte(assertiontest.JWKS(t, key)))
	})
	first, cancel := context.WithCancel(t.Context())
	var gaveUp, good, bad atomic.Int32
	var all sync.WaitGroup
	all.Go(func() {
		if errors.Is(r.present(first), context.Canceled) {
			gaveUp.Add(1)
		}
	})
	<-arrived
	cancel()
	all.Wait()
	for range 100 {
		all.Go(func() {
			if r.present(t.Context()) == nil {
				good.Add(1)
			} else {
				bad.Add(1)
			}
		})
	}
	close(release)
	all.Wait()
	if gaveUp.Load() != 1 || good.Load() != 100 || bad.Load() != 0 || r.issuer.Requests() != 1 {
		t.Errorf("%d gave up, %d were good, %d were not, after %d fetches", gaveUp.Load(), good.Load(), bad.Load(), r.issuer.Requests())
	}
}

// TestNoFetchForWhatCannotBeGood checks that an assertion which is refused in any case causes no
// fetch.
func TestNoFetchForWhatCannotBeGood(t *testing.T) {
	r := newRemote(t, loopback)
	for name, value := range map[string]any{"iss": "x", "aud": "them", "exp": 1, "iat": 1, "sub": ""} {
		claims := map[string]any{"iss": r.issuer.URL, "sub": "alice", "aud": "us", "iat": r.now.Unix(), "exp": r.now.Add(time.Hour).Unix()}
		claims[name] = value
		var refused *assertion.RefusedError
		if _, err := r.Verify(t.Context(), r.issuer.Sign(claims), r.trusted, r.now); !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := r.issuer.Requests(); n != 0 {
		t.Errorf("there were %d fetches", n)
	}
	r.good(1)
}

// TestPrivateAddressesAreNotConnectedTo checks that a deployed service connects to no address
// that is not public: neither to one that is written, nor to one that a name resolves to, since
// names are checked where they are used.
func TestPrivateAddressesAreNotConnectedTo(t *testing.T) {
	var connections atomic.Int32
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ConnState = func(net.Conn, http.ConnState) { connections.Add(1) }
	srv.StartTLS()
	t.Cleanup(srv.Close)
	port := srv.URL[strings.LastIndex(srv.URL, ":"):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.255.255.1", "169.254.169.254", "[64:ff9b::7f00:1]"} {
		r := newRemote(t, assertion.Options{})
		r.trusted[0].JWKSURI = "https://" + host + port + "/keys"
		err := r.present(t.Context())
		if !errors.Is(err, assertion.ErrUnavailable) || !strings.Contains(err.Error(), "prohibited IP address") {
			t.Errorf("%s: %v", host, err)
		}
	}
	if n := connections.Load(); n > 0 {
		t.Errorf("the server was connected to: %d changes of connections", n)
	}
}

// TestManyIssuers checks that the cache forgets the set that was fetched first when it is full, and
// no other.
func TestManyIssuers(t *testing.T) {
	r := newRemote(t, loopback)
	uri := r.issuer.JWKSURI()
	for n := range 100 {
		r.trusted[0].JWKSURI = uri + "?" + strings.Repeat("n", n)
		r.good(n + 1)
		r.later(time.Millisecond)
	}
	r.trusted[0].JWKSURI = uri + "?more"
	r.good(101)
	r.trusted[0].JWKSURI = uri + "?n"
	r.good(101)
	r.trusted[0].JWKSURI = uri + "?"
	r.good(102)
}
