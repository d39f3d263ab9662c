// Package tokensource is an [oauth2.TokenSource] for programs that hold refresh
// tokens which rotate: of Rotor, or of any other provider. A session survives
// whatever a program does to it by being one of many, or by dying:
//
//   - One refresh at a time, in a process and among all processes that share a
//     [Store]. Whoever refreshes first claims the record in the store; the others
//     wait, and take the winner's token. A claim lapses when its holder dies.
//   - The new token is saved, and read back, before it is used.
//   - A refresh whose answer was lost, or that a server failed at, is tried again
//     with the same token, inside the provider's reuse interval.
//   - A token is given up only when the provider has refused it and no newer one is
//     in the store. That is remembered there, so that it is refused once.
//   - A login by another process is noticed within ten seconds, also while the token
//     at hand is fresh. So is its word that the token is dead.
//   - A wrong wall clock costs at most one refresh more for each token.
//
// Log in once, by whatever way the provider has, and hand the result to
// [Source.Login]. From then on the source is the only holder of the refresh token:
// what [Source.Token] returns does not have it.
//
// # Providers
//
// Give the provider's reuse interval by [WithReuseInterval]: how long it honours a
// token that it has replaced. Other names are leeway, grace or overlap period. It
// sets the pace: a quarter of it, at least 1 s and at most 10 s, is what a request
// may take, the longest pause between two, and the distance that the last try of an
// interval keeps from its end. A claim lapses after one and a half of that. With a
// strict provider, whose interval is 0, the pace is 20 s. A Retry-After is kept up to
// the pace. While nothing comes back, a minute sees 17 requests at most with the
// default interval, from all processes together.
//
// A refresh token is in doubt when it was used and no answer says what became of
// it: the answer was lost or cut, was a 5xx, or the process died. The provider may
// have replaced it. Once the interval is over, and with a strict provider at once,
// it is used again only when no access token is left that can be used. The use is
// then either accepted, or it is reuse in the eyes of the provider, which ends the
// session; but without it the user would have to log in again for certain. So
// nothing is lost that was not lost before. A request that never left (the
// connection failed) and a 429 leave no doubt.
//
// An answer may have the refresh token that was presented, or none: a provider need
// not rotate it each time. Rotor rotates it at most once per reuse interval. The
// token is kept then.
//
// # Reads of the store
//
// A source reads the record before and after each refresh, and while the access token
// at hand is fresh at most once in ten seconds, when it is asked for a token. Callers
// wait for that read a second at most; if it fails, the token at hand goes on being
// used. A token that a resource server rejects, or a refresh that the provider
// refuses, has the record read at once.
//
// # Limits
//
// Without expires_in an access token is used until a resource server rejects it,
// which only a [Transport] notices. So is, at most for its lifetime once more, one
// that was saved by a process whose clock was ahead of the reader's.
//
// If all processes die between the answer of the provider and its saving, and none
// comes back within the interval, the session is lost, as it is if the store loses
// what it has saved. A process that was stopped at the very moment between its
// claim and the request, and goes on after the interval, presents an old token: it
// looks at both of its clocks before it sends, but nothing can close that gap.
package tokensource

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"
)

var (
	// ErrLoginRequired says that there is no session: the provider has refused the
	// refresh token, and then an [oauth2.RetrieveError] with its answer, but without
	// body and request, is in the chain; or the store holds none. It is final until
	// the next [Source.Login], by whichever process.
	ErrLoginRequired = errors.New("login required")

	// ErrNotSaved says that a refresh brought a token which could not be saved. It
	// was not handed out. The source keeps it, and the next call tries again to save
	// it, without another refresh.
	ErrNotSaved = errors.New("the new token could not be saved")
)

// DefaultReuseInterval is Rotor's own default.
const DefaultReuseInterval = time.Minute

// patience is how long a refresh goes on trying.
const patience = time.Minute

// courtesy is how long callers wait for it while they could still use what they
// have. It is enough for a lost response to be made good.
const courtesy = 5 * time.Second

// lookEvery is how often the record is read while the token at hand is fresh, and
// lookPatience is how long callers wait for that.
const (
	lookEvery    = 10 * time.Second
	lookPatience = time.Second
)

// storeTimeout is how long one request to the store may take.
const storeTimeout = 5 * time.Second

// Source is an [oauth2.TokenSource]. It is safe for concurrent use.
type Source struct {
	conf     *oauth2.Config // as whatever here is secret, behind a pointer, which fmt does not follow
	store    Store
	client   *http.Client
	interval time.Duration
	extra    []string
	params   url.Values
	mistake  error // in the options
	clock    clock

	flights singleflight.Group
	loading sync.Mutex // so that a later look is a look at a later record
	latest  atomic.Pointer[held]
	looks   singleflight.Group
	looked  atomic.Pointer[moment] // when the record was last read, or should have been

	began atomic.Pointer[moment] // the refresh under way

	refreshing sync.Mutex // guards what follows
	claim      string     // the latest, over when the lock is free
	unsaved    *unsaved
	refused    *refused
}

// unsaved is a token that is not yet known to be in the store.
type unsaved struct {
	presented string // the refresh token that it was given for
	data      []byte
}

// refused is a refresh token that the provider has refused.
type refused struct {
	refreshToken string
	refusal      *refusal
}

// Option is a setting of [New].
type Option func(*Source)

// WithReuseInterval tells how long the provider honours a token that it has
// replaced; 0 is not at all. The default is [DefaultReuseInterval]. Too long a time
// costs sessions, too short a time only comfort.
func WithReuseInterval(d time.Duration) Option { return func(s *Source) { s.interval = max(0, d) } }

// WithHTTPClient gives the client for the token endpoint. Redirects are not
// followed, whatever it says: they would carry the token elsewhere. It must not try
// again by itself: only the source knows when that is safe.
func WithHTTPClient(c *http.Client) Option { return func(s *Source) { s.client = c } }

// WithExtra names further members of the token response to keep, such as id_token
// and scope, for [oauth2.Token.Extra].
func WithExtra(names ...string) Option { return func(s *Source) { s.extra = names } }

// New is a source for the token in the store. Of conf it uses the client id, the
// client secret, the token endpoint and the AuthStyle. It does not probe for the
// latter, which would use the token twice: where it is left open, a client with a
// secret authenticates by header, as every server must allow (RFC 6749 §2.3.1),
// and one without sends its id.
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
	client := *s.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s.mistake = checkParams(s.params)
	if params := s.params.Encode(); params != "" {
		client.Transport = &adding{transport(client.Transport), params}
	}
	s.client = &client
	return s
}

// Token is [Source.TokenContext] without a context: it takes up to a minute when
// everything fails.
func (s *Source) Token() (*oauth2.Token, error) { return s.TokenContext(context.Background()) }

// TokenContext returns an access token that can be used, refreshed before its end.
// As long as the one at hand can be used, a refresh that fails is no error, and one
// that takes longer than five seconds goes on without the caller.
//
// Apart from [ErrLoginRequired], an error means: try again later. When ctx ends the
// caller leaves, and the refresh goes on: its answer must be saved.
func (s *Source) TokenContext(ctx context.Context) (*oauth2.Token, error) {
	h, err := s.get(ctx, "")
	if err != nil {
		return nil, err
	}
	return h.token(s.clock.now()), nil
}

// Login saves the token of a login, over whatever the store holds. With a token
// that it has saved before it does nothing, also when that has been replaced or has
// died since, by another login too: a program that gets its first token by
// configuration can call Login each time it starts. The last eight are remembered.
//
// Sources that are running on the same store, in this process or in others, go on with
// the new session: at the latest with the first token that they are asked for ten
// seconds later.
func (s *Source) Login(ctx context.Context, t *oauth2.Token) error {
	if s.mistake != nil {
		return fmt.Errorf("tokensource: login: %w", s.mistake)
	}
	if t == nil || t.RefreshToken == "" {
		return errors.New("tokensource: login: the token response has no refresh token")
	}
	now := s.clock.now()
	mark := fingerprint(t.RefreshToken)
	st := state{
		RefreshToken: t.RefreshToken, AccessToken: t.AccessToken, TokenType: t.TokenType,
		ObtainedAt: now.wall, ExpiresIn: t.ExpiresIn, Extra: s.keepExtra(t),
	}
	if !t.Expiry.IsZero() {
		st.ExpiresIn = int64(t.Expiry.Sub(now.wall) / time.Second)
		if st.ExpiresIn <= 0 {
			st.AccessToken, st.ExpiresIn = "", 0
		}
	}
	for n := range 8 {
		r, h, err := s.load(ctx)
		if err != nil {
			return fmt.Errorf("tokensource: login: %w", err)
		}
		if slices.Contains(h.Logins, mark) || h.RefreshToken == t.RefreshToken {
			return nil
		}
		st.Logins = append([]string{mark}, h.Logins[:min(len(h.Logins), 7)]...)
		data, err := st.encode()
		if err != nil {
			return fmt.Errorf("tokensource: login: %w", err)
		}
		err = s.saveData(ctx, r.Version+1, data)
		r, _, lookErr := s.load(ctx)
		if lookErr == nil && bytes.Equal(r.Data, data) {
			return nil
		}
		if err = cmp.Or(lookErr, err); err != nil && !errors.Is(err, ErrConflict) {
			return fmt.Errorf("tokensource: login: %w: %w", ErrNotSaved, err)
		}
		if err := s.clock.sleep(ctx, poll(n)); err != nil {
			return fmt.Errorf("tokensource: login: %w", err)
		}
	}
	return fmt.Errorf("tokensource: login: %w: %w", ErrNotSaved, ErrConflict)
}

// Client is an [http.Client] whose requests carry the access token; see [Transport].
func (s *Source) Client() *http.Client { return &http.Client{Transport: &Transport{Source: s}} }

// get is an access token other than rejected, if there is another one to be had.
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
	// The refresh outlives the caller who happens to be the first.
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

// ready returns the token at hand if it is other than rejected and not yet to be
// refreshed, and nil otherwise.
func (s *Source) ready(rejected string) *held {
	h := s.latest.Load()
	if h == nil || h.Refusal != nil || h.AccessToken == rejected || !h.fresh(s.clock.now()) {
		return nil
	}
	return h
}

// look reads the record again where that was last done a while ago, so that a login by
// another process is noticed while the token at hand is fresh. A store that fails or
// hangs does not take that token away.
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

// usable says whether h is there and may still be given to a caller.
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

// save writes a state as the record of that version.
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

// keepExtra are the members of a token response to keep.
func (s *Source) keepExtra(t *oauth2.Token) map[string]any {
	var extra map[string]any
	for _, name := range s.extra {
		if v := t.Extra(name); v != nil {
			if extra == nil {
				extra = map[string]any{}
			}
			extra[name] = v
		}
	}
	return extra
}

// String returns "[token source]".
func (s *Source) String() string { return "[token source]" }

// GoString is String.
func (s *Source) GoString() string { return s.String() }

// Format prints String, whatever the verb.
func (s *Source) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue is String.
func (s *Source) LogValue() slog.Value { return slog.StringValue(s.String()) }
