// Package manage calls the management API of Rotor, /v1: it starts, shows, changes and
// revokes families, explains tokens, lists events, registers clients, and erases users.
//
//	cfg, err := config.LoadDefaultConfig(ctx) // of the AWS SDK: the default credentials
//	…
//	rotor, err := manage.New("https://auth.example.com", manage.Options{AWS: &cfg})
//	…
//	tokens, err := rotor.StartFamily(ctx, &manage.Login{UserID: "alice", ClientID: "web"})
//
// A call that is refused returns an [Error], and one that got no answer an
// [UnreachableError]. If the service is busy or did not answer, a call that can be repeated
// is made up to four times.
package manage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Options configure a [Client]. The zero value is for a local run, which asks for no
// signature.
type Options struct {
	AWS        *aws.Config  // signs the calls of an https address with its credentials, for its region; nil for no signature
	HTTPClient *http.Client // makes the calls, but follows no redirects; nil for one with a timeout of 35 s
	UserAgent  string       // is sent with each call; "" for rotor-manage
}

// Client calls one service. It is safe for concurrent use.
type Client struct {
	base   *url.URL
	http   *http.Client
	aws    *aws.Config
	signer *v4.Signer
	agent  string
	wait   func(context.Context, time.Duration) error
}

const (
	// callTimeout is a little longer than API Gateway waits for the service.
	callTimeout = 35 * time.Second
	// maxAnswer limits the bytes of an answer that are read. The longest answer is a page of
	// 100 families of 4 KiB.
	maxAnswer = 8 << 20
)

// New returns a Client for the service at the address, which is its issuer, such as
// https://auth.example.com or, for a local run, http://127.0.0.1:3000. Calls can only be
// signed if there are credentials and a region. Without TLS they are not signed, and only
// the own machine is called.
func New(address string, o Options) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(address, "/"))
	switch {
	case strings.Contains(address, "@"): // is not shown, as a password may stand before it
		return nil, errors.New("the address of the service must not have a user or a password in it")
	case err != nil || base.Hostname() == "" || base.RawQuery != "" || base.ForceQuery || base.Fragment != "" ||
		(base.Scheme != "https" && base.Scheme != "http"):
		return nil, fmt.Errorf("the address %q must be that of the service, such as https://auth.example.com", address)
	case base.Scheme == "http" && !isLoopback(base.Hostname()):
		return nil, fmt.Errorf("the address %q must begin with https: only a local run is called without TLS", address)
	case base.Scheme == "http":
		o.AWS = nil
	}
	if o.AWS != nil && o.AWS.Region == "" {
		return nil, errors.New("no AWS region is known: set AWS_REGION or choose a profile that has one")
	}
	if o.AWS != nil && o.AWS.Credentials == nil {
		return nil, errors.New("no AWS credentials are known")
	}
	client := http.Client{Timeout: callTimeout}
	if o.HTTPClient != nil {
		client = *o.HTTPClient
	}
	// The service redirects no call. A redirect would take a token to somebody else.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		base: base, http: &client, aws: o.AWS, signer: v4.NewSigner(),
		agent: cmp.Or(o.UserAgent, "rotor-manage"), wait: wait,
	}, nil
}

// Address returns the address of the service.
func (c *Client) Address() string { return c.base.String() }

// request is a call.
type request struct {
	method string
	path   string // below the service's address, escaped
	query  url.Values
	header http.Header
	body   any      // is sent as JSON, unless it is nil
	once   bool     // a second call would do more than the first
	dryRun bool     // nothing is changed, although the query does not say so
	gone   bool     // a second call is answered 404 if the first has done its work
	needs  []string // members that the answer must have
}

// isWrite reports whether the call changes something.
func (r *request) isWrite() bool {
	return r.method != http.MethodGet && r.path != explainPath && !r.dryRun && !r.query.Has("dry_run")
}

// call makes a call, and decodes the answer into answer unless that is nil. It returns an
// [Error] if the service refused it.
func (c *Client) call(ctx context.Context, r request, answer any) error {
	if strings.HasSuffix(r.path, "/") {
		return fmt.Errorf("%s %s: the id is empty", r.method, r.path)
	}
	body := []byte{}
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return fmt.Errorf("%s %s: %w", r.method, r.path, err)
		}
	}
	arrived := false // an attempt that failed may have reached the service
	for attempt := 1; ; attempt++ {
		err := c.try(ctx, &r, body, answer)
		var refused *Error
		isRefused := errors.As(err, &refused)
		if arrived && r.gone && isRefused && refused.NotFound() {
			return nil
		}
		arrived = arrived || mayHaveArrived(err)
		var unreachable *UnreachableError
		if isRefused {
			refused.MayBeDone = arrived && r.isWrite()
		} else if errors.As(err, &unreachable) {
			unreachable.MayBeDone = arrived && r.isWrite()
		}
		pause, again := retry(err, attempt, r.once)
		if !again || ctx.Err() != nil || c.wait(ctx, pause) != nil {
			return err
		}
	}
}

// try makes a call once.
func (c *Client) try(ctx context.Context, r *request, body []byte, answer any) error {
	target := c.base.JoinPath(r.path)
	target.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, target.String(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.agent)
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if err := c.sign(ctx, req, body); err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return &UnreachableError{Address: c.Address(), Err: withoutURL(err)}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return &UnreachableError{Address: c.Address(), Err: err}
	}
	if res.StatusCode/100 != 2 {
		return c.newError(r, res, text)
	}
	if len(text) > maxAnswer {
		return fmt.Errorf("%s %s: the answer of %s is longer than %d bytes", r.method, r.path, c.Address(), maxAnswer)
	}
	if err := r.decode(res.StatusCode, text, answer); err != nil {
		return fmt.Errorf("%s %s: the answer of %s is not that of a Rotor service: %w", r.method, r.path, c.Address(), err)
	}
	return nil
}

// withoutURL returns the cause of an error of net/http without the URL, which names a user.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
