package tokensource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"
)

var (
	// ErrLoginRequired means that there is no session. Either the store has no
	// token, or the provider has refused the refresh token; the error then wraps an
	// [oauth2.RetrieveError] with the provider's response, but without body and
	// request. It is final until some process calls [Source.Login].
	ErrLoginRequired = errors.New("login required")

	// ErrNotSaved means that a refresh returned a token which could not be saved.
	// The source has not handed it out, but keeps it, and the next call tries to
	// save it again, without another refresh.
	ErrNotSaved = errors.New("the new token could not be saved")
)

// patience is how long a refresh keeps trying.
const patience = time.Minute

// courtesy is how long callers wait for a refresh while the current token is still
// usable. It is long enough to recover from a lost response.
const courtesy = 5 * time.Second

// lookEvery is how often the record is read while the current token is fresh, and
// lookPatience is how long callers wait for that read.
const (
	lookEvery    = 10 * time.Second
	lookPatience = time.Second
)

// storeTimeout limits one request to the store.
const storeTimeout = 5 * time.Second

// Source is an [oauth2.TokenSource]. It is safe for concurrent use.
type Source struct {
	conf     *oauth2.Config // behind a pointer, like all secrets here, because fmt does not follow it
	store    Store
	client   *http.Client
	interval time.Duration
	extra    []string
	params   url.Values
	mistake  error // what is wrong with the options
	clock    clock

	makesKey   bool
	ownKey     *dpopKey // the program's own, or nil
	keyMistake error
	nonces     nonces

	clientKey *clientKey // by which the client authenticates, or nil

	flights singleflight.Group
	loading sync.Mutex // so that a later read returns a later record
	latest  atomic.Pointer[held]
	looks   singleflight.Group
	looked  atomic.Pointer[moment] // when the record was last read, or should have been

	began atomic.Pointer[moment] // when the refresh in progress began

	refreshing sync.Mutex // guards what follows
	claim      string     // the latest; it is over when the lock is free
	unsaved    *unsaved
	refused    *refused
}

// unsaved is a new token that is not yet known to be in the store.
type unsaved struct {
	presented string // the refresh token that it was given for
	data      []byte
}

// refused is a refresh token that the provider has refused.
type refused struct {
	refreshToken string
	refusal      *refusal
}

// New returns a source for the token in the store. From conf it takes the client id,
// the client secret, the token endpoint and the AuthStyle. It does not probe for the
// AuthStyle, which would use the token twice. If the style is not set, a client with
// a secret authenticates by header, which every server must allow (RFC 6749 §2.3.1),
// and one without a secret sends its id.
func New(conf *oauth2.Config, store Store, opts ...Option) *Source {
	s := &Source{
		conf: &oauth2.Config{
			ClientID: conf.ClientID, ClientSecret: conf.ClientSecret,
			Endpoint: oauth2.Endpoint{TokenURL: conf.Endpoint.TokenURL, AuthStyle: conf.Endpoint.AuthStyle},
		},
		store: store, client: http.DefaultClient, interval: DefaultReuseInterval, clock: systemClock(),
	}
	for _, opt := range opts {
		opt(s)
	}
	if s.conf.Endpoint.AuthStyle == oauth2.AuthStyleAutoDetect {
		s.conf.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
		if s.conf.ClientSecret == "" {
			s.conf.Endpoint.AuthStyle = oauth2.AuthStyleInParams
		}
	}
	if s.clientKey != nil { // a header would be a second way to authenticate
		s.conf.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	client := *s.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s.mistake = cmp.Or(s.keyMistake, checkParams(s.params), s.clientKey.check(s.conf.ClientSecret))
	s.client = &client
	return s
}

// tokenClient returns the client for a refresh with the key, or without one.
func (s *Source) tokenClient(key *dpopKey) *http.Client {
	client := s.proving(*s.client, key)
	if params := s.params.Encode(); params != "" || s.clientKey != nil {
		client.Transport = &adding{transport(client.Transport), params}
	}
	return client
}

// Token calls [Source.TokenContext] without a context. It takes up to a minute if
// everything fails.
func (s *Source) Token() (*oauth2.Token, error) { return s.TokenContext(context.Background()) }

// TokenContext returns a usable access token, which it refreshes before its end.
// While the current token is still usable, a refresh that fails is not an error, and
// one that takes longer than five seconds continues without the caller.
//
// After any error other than [ErrLoginRequired], try again later. When ctx ends,
// TokenContext returns, but the refresh continues, because its result must be saved.
func (s *Source) TokenContext(ctx context.Context) (*oauth2.Token, error) {
	h, err := s.get(ctx, "")
	if err != nil {
		return nil, err
	}
	return h.token(s.clock.now()), nil
}

// Client returns an [http.Client] that adds the access token to requests; see
// [Transport].
func (s *Source) Client() *http.Client { return &http.Client{Transport: &Transport{Source: s}} }

// get returns an access token other than rejected.
func (s *Source) get(ctx context.Context, rejected string) (*held, error) {
	if s.mistake != nil {
		return nil, fmt.Errorf("tokensource: %w", s.mistake)
	}
	if s.ready(rejected) != nil {
		s.look(ctx)
	}
	if h := s.ready(rejected); h != nil {
		return h, nil
	}
	// The refresh outlives the caller that starts it.
	flight := s.flights.DoChan(rejected, func() (any, error) { return s.refresh(context.WithoutCancel(ctx), rejected) })
	h := s.latest.Load()
	var enough <-chan time.Time
	if s.usable(h, rejected) {
		wait := courtesy
		if began := s.began.Load(); began != nil {
			wait -= s.clock.now().steady - began.steady
		}
		enough = s.clock.after(wait)
	}
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("tokensource: %w", context.Cause(ctx))
	case <-enough:
		return h, nil
	case result := <-flight:
		if result.Err != nil {
			return nil, fmt.Errorf("tokensource: %w", result.Err)
		}
		return result.Val.(*held), nil
	}
}

// ready returns the current token if it is not rejected and not due to be refreshed,
// and nil otherwise.
func (s *Source) ready(rejected string) *held {
	h := s.latest.Load()
	if h == nil || h.Refusal != nil || h.AccessToken == rejected || !h.fresh(s.clock.now()) {
		return nil
	}
	return h
}

// look reads the record again if that was last done a while ago, so that a login by
// another process is noticed while the current token is fresh. If the store fails or
// hangs, the current token stays in use.
func (s *Source) look(ctx context.Context) {
	if looked := s.looked.Load(); looked == nil || s.clock.now().since(*looked) < lookEvery {
		return
	}
	flight := s.looks.DoChan("", func() (any, error) {
		_, _, err := s.load(context.WithoutCancel(ctx))
		return nil, err
	})
	select {
	case <-ctx.Done():
	case <-flight:
	case <-s.clock.after(lookPatience):
		now := s.clock.now()
		s.looked.Store(&now) // the next callers do not wait for it
	}
}

// usable reports whether h exists and may still be given to a caller.
func (s *Source) usable(h *held, rejected string) bool {
	return h != nil && h.Refusal == nil && h.AccessToken != rejected && h.good(s.clock.now())
}

// load reads the record.
func (s *Source) load(ctx context.Context) (Record, *held, error) {
	s.loading.Lock()
	defer s.loading.Unlock()
	began := s.clock.now()
	defer s.looked.Store(&began)
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	r, err := s.store.Load(ctx)
	if err != nil {
		return r, nil, err
	}
	st, err := decode(r)
	if err != nil {
		return r, nil, err
	}
	h := hold(st, r.Version, s.latest.Load(), s.clock.now(), s.clock.random())
	s.latest.Store(h)
	return r, h, nil
}

// save writes a state as the record with the given version.
func (s *Source) save(ctx context.Context, version uint64, st state) error {
	data, err := st.encode()
	if err != nil {
		return err
	}
	return s.saveData(ctx, version, data)
}

func (s *Source) saveData(ctx context.Context, version uint64, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return s.store.Save(ctx, Record{version, data})
}

// String returns "[token source]".
func (s *Source) String() string { return "[token source]" }

// GoString returns String.
func (s *Source) GoString() string { return s.String() }

// Format prints String, whatever the verb.
func (s *Source) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue returns String.
func (s *Source) LogValue() slog.Value { return slog.StringValue(s.String()) }
