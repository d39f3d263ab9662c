package foreign

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rotor-auth/rotor/shared/outbound"
)

const (
	// DefaultTimeout limits one exchange, from the look-up of the host's name to the last byte.
	DefaultTimeout = 5 * time.Second

	// afterwards is how much time must be left after an exchange, to write down what came of it. It is
	// enough for one attempt that hangs, and a second one.
	afterwards = 2 * time.Second

	maxAnswer = 64 * 1024 // in bytes; an answer has up to three tokens
	atATime   = 10        // exchanges in progress
)

// Failure is the error of an exchange that named no user.
type Failure struct {
	Kind FailureKind
	// Reason says more, for the log. It has nothing of what the provider sent.
	Reason string
	err    error
}

// FailureKind says what is known of the token after an exchange that failed.
type FailureKind int

// The kinds of failure.
const (
	Refused FailureKind = iota // the provider says that the token is not good
	Unspent                    // the provider did not exchange it: nothing was sent, or the provider could not, or would not now
	Unknown                    // it may have been exchanged, and the answer is lost
)

func (f *Failure) Error() string {
	s := "exchange a token at its provider: " + f.Reason
	if f.err != nil {
		s += ": " + f.err.Error()
	}
	return s
}

// Unwrap returns the error of the connection, if there is one. It has nothing of what the provider sent.
func (f *Failure) Unwrap() error { return f.err }

// Said is what the provider's answer says of a user.
type Said struct {
	UserID   string
	AuthTime time.Time // when the user logged in there; zero if the answer has no id token that says so
}

// Options are the options of an Exchanger.
type Options struct {
	// Loopback allows providers at loopback addresses, also by plain HTTP, for local runs and
	// tests.
	Loopback bool
	// Timeout limits one exchange; 0 stands for [DefaultTimeout].
	Timeout time.Duration
	// Secret reads a secret by its name. If it is nil, there are none.
	Secret func(ctx context.Context, name string) (string, error)
}

// Exchanger exchanges tokens at their providers. It is safe for concurrent use.
type Exchanger struct {
	Loopback bool
	client   *http.Client
	secrets  *secrets
	slots    chan struct{}
}

// NewExchanger returns an Exchanger.
func NewExchanger(o Options) *Exchanger {
	return &Exchanger{
		Loopback: o.Loopback, client: outbound.NewClient(o.Loopback, cmp.Or(o.Timeout, DefaultTimeout)),
		secrets: &secrets{read: o.Secret}, slots: make(chan struct{}, atATime),
	}
}

// ErrBusy is returned if there are too many exchanges in progress.
var ErrBusy = errors.New("too many exchanges at other providers are in progress")

// ErrLate is returned if the provider's answer, or what is to be written of it, could come too late.
var ErrLate = errors.New("there is not enough time left to ask another provider")

// Exchange is an exchange that can begin at once.
type Exchange struct {
	e      *Exchanger
	p      *Provider
	secret string
}

// Prepare reads what an exchange at the provider needs, and reserves one of the ten that can be in
// progress. [Exchange.Close] gives it back. There must be time for an exchange until the deadline of ctx.
func (e *Exchanger) Prepare(ctx context.Context, p *Provider, now time.Time) (*Exchange, error) {
	secret := ""
	if p.Auth != NoAuth {
		var err error
		if secret, err = e.secrets.get(ctx, p.SecretName, now); err != nil {
			return nil, err
		}
	}
	if end, ok := ctx.Deadline(); ok && time.Until(end) < e.client.Timeout+afterwards { //nolint:forbidigo // a context's deadline is real time
		return nil, ErrLate
	}
	select {
	case e.slots <- struct{}{}:
		return &Exchange{e, p, secret}, nil
	default:
		return nil, ErrBusy
	}
}

// Close ends the exchange.
func (x *Exchange) Close() { <-x.e.slots }

// Do presents the refresh token to the provider, once, and returns what it says of the token's
// user. The tokens of its answer are dropped. The error is a [*Failure].
func (x *Exchange) Do(ctx context.Context, presented string, now time.Time) (*Said, error) {
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent.Store(true) }})
	req, err := x.request(ctx, presented)
	if err != nil {
		return nil, &Failure{Kind: Unspent, Reason: "no_request"}
	}
	resp, err := x.e.client.Do(req)
	if err != nil {
		if !sent.Load() {
			return nil, &Failure{Kind: Unspent, Reason: "not_sent", err: err}
		}
		return nil, &Failure{Kind: Unknown, Reason: "no_answer", err: withoutText(err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if f := failureOf(resp.StatusCode, body); f != nil {
		return nil, f
	}
	switch {
	case err != nil:
		return nil, &Failure{Kind: Unknown, Reason: "answer_cut", err: withoutText(err)}
	case len(body) > maxAnswer:
		return nil, &Failure{Kind: Unknown, Reason: "answer_too_large"}
	}
	said, reason := x.p.read(body, now)
	if reason != "" {
		return nil, &Failure{Kind: Unknown, Reason: reason}
	}
	return said, nil
}

// withoutText returns what is told of the error of a connection that was made. Its own text may quote
// what the provider has sent.
func withoutText(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errTimeout
	}
	return errConnection
}

var (
	errTimeout    = errors.New("no whole answer came in time")
	errConnection = errors.New("the connection broke, or what came over it is no HTTP")
)

// request returns the request of RFC 6749 §6.
func (x *Exchange) request(ctx context.Context, presented string) (*http.Request, error) {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {presented}}
	switch x.p.Auth {
	case NoAuth:
		form.Set("client_id", x.p.ClientID)
	case PostAuth:
		form.Set("client_id", x.p.ClientID)
		form.Set("client_secret", x.secret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, x.p.TokenEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.GetBody = nil // so that it is never sent twice
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Rotor")
	if x.p.Auth == BasicAuth { // RFC 6749 §2.3.1 encodes both
		req.SetBasicAuth(url.QueryEscape(x.p.ClientID), url.QueryEscape(x.secret))
	}
	return req, nil
}

// failureOf returns what an answer says of the token if its status is no success.
func failureOf(status int, body []byte) *Failure {
	var answer struct {
		Error string `json:"error"`
	}
	switch {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusServiceUnavailable:
		return &Failure{Kind: Unspent, Reason: "provider_unavailable"}
	case status >= 500:
		return &Failure{Kind: Unknown, Reason: "provider_failed"}
	case status == http.StatusTooManyRequests:
		return &Failure{Kind: Unspent, Reason: "provider_throttles"}
	case status >= 400 && json.Unmarshal(body, &answer) == nil && answer.Error == "invalid_grant":
		return &Failure{Kind: Refused, Reason: "invalid_grant"}
	case status >= 400 && (answer.Error == "invalid_client" || answer.Error == "unauthorized_client"):
		return &Failure{Kind: Unspent, Reason: "client_refused"}
	case status >= 400: // the request is to blame, or the settings, but not the token
		return &Failure{Kind: Unspent, Reason: "request_refused"}
	default: // a redirect, which is not followed
		return &Failure{Kind: Unspent, Reason: "redirect"}
	}
}
