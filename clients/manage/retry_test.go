package manage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
)

// fault is what happens to a request.
type fault string

const (
	none     fault = ""
	refused  fault = "the connection breaks before the request"
	lost     fault = "the answer is lost"
	busy     fault = "503"
	throttle fault = "429"
	broken   fault = "500"
)

// failing is a transport whose first requests fail.
type failing struct {
	next   http.RoundTripper
	faults []fault
	calls  int
}

var errBroken = errors.New("the connection broke")

func (f *failing) RoundTrip(r *http.Request) (*http.Response, error) {
	now := none
	if f.calls < len(f.faults) {
		now = f.faults[f.calls]
	}
	f.calls++
	answer := func(status int) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: http.Header{"Retry-After": {"3"}}, Request: r,
			Body: io.NopCloser(strings.NewReader(`{"message":"Too Many Requests"}`)),
		}, nil
	}
	switch now {
	case refused:
		return nil, errBroken
	case busy:
		return answer(http.StatusServiceUnavailable)
	case throttle:
		return answer(http.StatusTooManyRequests)
	case broken:
		return answer(http.StatusInternalServerError)
	case lost:
		res, err := f.next.RoundTrip(r)
		if err == nil {
			_ = res.Body.Close()
			err = errBroken
		}
		return nil, err
	}
	return f.next.RoundTrip(r)
}

// with returns a client whose first requests fail, the transport, and the pauses it makes.
func (w *world) with(faults ...fault) (*manage.Client, *failing, *[]time.Duration) {
	w.t.Helper()
	rt := &failing{next: http.DefaultTransport, faults: faults}
	c, err := manage.New(w.url, manage.Options{HTTPClient: &http.Client{Transport: rt}})
	if err != nil {
		w.t.Fatal(err)
	}
	pauses := &[]time.Duration{}
	c.WaitWith(func(_ context.Context, d time.Duration) error {
		*pauses = append(*pauses, d)
		return nil
	})
	return c, rt, pauses
}

// TestRetries checks which calls are repeated after which failures.
func TestRetries(t *testing.T) {
	w := newWorld(t)
	family := w.login("alice", "app").Family
	login := func(key string) func(c *manage.Client) error {
		return func(c *manage.Client) error {
			_, err := c.StartFamily(t.Context(), &manage.Login{UserID: "bob", ClientID: "app", IdempotencyKey: key})
			return err
		}
	}
	read := func(c *manage.Client) error { _, err := c.Family(t.Context(), family); return err }
	secret := func(c *manage.Client) error { _, _, err := c.AddSecret(t.Context(), "web"); return err }
	for i, test := range []struct {
		what   string
		call   func(*manage.Client) error
		faults []fault
		calls  int // that are made
		good   bool
	}{
		{"a read", read, []fault{refused, lost, busy}, 4, true},
		{"a read", read, []fault{throttle, throttle, throttle, throttle}, 4, false},
		{"a read", read, []fault{broken}, 1, false},
		{"a login with a key", login("key-1"), []fault{lost, busy}, 3, true},
		{"a login without a key", login(""), []fault{lost}, 1, false},
		{"a login without a key", login(""), []fault{busy}, 1, false},
		{"a login without a key", login(""), []fault{throttle}, 2, true},
		{"a secret", secret, []fault{refused}, 1, false},
		{"a secret", secret, []fault{throttle}, 2, true},
	} {
		t.Run(fmt.Sprint(i, " ", test.what, test.faults), func(t *testing.T) {
			c, rt, pauses := w.with(test.faults...)
			if err := test.call(c); (err == nil) != test.good || rt.calls != test.calls {
				t.Errorf("%d calls were made, not %d: %v", rt.calls, test.calls, err)
			}
			if len(*pauses) != rt.calls-1 {
				t.Errorf("the pauses are %v", *pauses)
			}
			for i, pause := range *pauses {
				asked := test.faults[i] == busy || test.faults[i] == throttle
				longest := time.Second << i
				if asked && pause != 3*time.Second || !asked && (pause < longest/2 || pause >= longest) {
					t.Errorf("pause %d, after %q, is %v", i, test.faults[i], pause)
				}
			}
		})
	}
	if got := all(t, w.Families(t.Context(), manage.FamilyFilter{UserID: "bob"})); len(got) != 3 {
		t.Errorf("the logins started %d families: one by the key, one whose answer was lost, one after the throttle", len(got))
	}
}

// TestDeletedAlready checks that a deletion whose answer was lost has succeeded.
func TestDeletedAlready(t *testing.T) {
	w := newWorld(t)
	id, _, err := w.AddSecret(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	c, rt, _ := w.with(lost)
	if err := c.RemoveSecret(t.Context(), "web", id); err != nil || rt.calls != 2 {
		t.Errorf("after %d calls: %v", rt.calls, err)
	}
	c, rt, _ = w.with(lost)
	if err := c.Deregister(t.Context(), "web"); err != nil || rt.calls != 2 {
		t.Errorf("after %d calls: %v", rt.calls, err)
	}
}

// TestGoneWithoutAttempt checks that a 404 is an error where no attempt before it can have deleted anything.
func TestGoneWithoutAttempt(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		faults []fault
		good   bool
	}{
		{nil, false},
		{[]fault{throttle}, false},
		{[]fault{throttle, throttle}, false},
		{[]fault{busy}, true},
		{[]fault{busy, throttle}, true},
		{[]fault{refused}, true}, // nobody knows how far the request came
	} {
		c, _, _ := w.with(test.faults...)
		var gone *manage.Error
		err := c.Deregister(t.Context(), "no-such-client")
		if test.good != (err == nil) || (!test.good && (!errors.As(err, &gone) || !gone.NotFound())) {
			t.Errorf("after %q: %v", test.faults, err)
		}
	}
}

// TestMayBeDone checks that an error reports whether what was asked for may have been done.
func TestMayBeDone(t *testing.T) {
	w := newWorld(t)
	id := w.login("alice", "app").Family
	always := func(f fault) []fault { return []fault{f, f, f, f} }
	revoke := func(c *manage.Client) error { _, err := c.RevokeFamily(t.Context(), id); return err }
	read := func(c *manage.Client) error { _, err := c.Family(t.Context(), id); return err }
	explain := func(c *manage.Client) error {
		_, err := c.Explain(t.Context(), &manage.Question{Family: id})
		return err
	}
	revokeAll := func(dryRun bool) func(c *manage.Client) error {
		return func(c *manage.Client) error {
			for _, err := range c.RevokeFamilies(t.Context(), manage.Revocation{UserID: "alice", DryRun: dryRun}) {
				return err
			}
			return nil
		}
	}
	for name, test := range map[string]struct {
		call   func(*manage.Client) error
		faults []fault
		want   bool
	}{
		"a lost answer":          {revoke, always(lost), true},
		"503":                    {revoke, always(busy), true},
		"500":                    {revoke, always(broken), true},
		"429":                    {revoke, always(throttle), false},
		"503, then 429":          {revoke, []fault{busy, throttle, throttle, throttle}, true},
		"a read":                 {read, always(lost), false},
		"a read, 503":            {read, always(busy), false},
		"a question":             {explain, always(busy), false},
		"a dry run":              {revokeAll(true), always(lost), false},
		"all families of a user": {revokeAll(false), always(lost), true},
	} {
		c, _, _ := w.with(test.faults...)
		err := test.call(c)
		var failed *manage.Error
		var unreachable *manage.UnreachableError
		switch {
		case errors.As(err, &failed):
			if failed.MayBeDone != test.want {
				t.Errorf("%s: it may be done: %t", name, failed.MayBeDone)
			}
		case errors.As(err, &unreachable):
			if unreachable.MayBeDone != test.want {
				t.Errorf("%s: it may be done: %t", name, unreachable.MayBeDone)
			}
		default:
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUnreachable checks that what lasts is not tried again, and that the error does not name the user.
func TestUnreachable(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	_ = l.Close()
	untrusted, _ := signedWorld(t)
	for name, address := range map[string]string{"nobody listens": nobody, "the certificate is not trusted": untrusted.URL} {
		c, err := manage.New(address, manage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c.WaitWith(func(context.Context, time.Duration) error { t.Errorf("%s, and it is tried again", name); return nil })
		_, err = c.FamilyPage(t.Context(), manage.FamilyFilter{UserID: "user-id-of-alice"}, "")
		var unreachable *manage.UnreachableError
		if !errors.As(err, &unreachable) || unreachable.Address != address || strings.Contains(err.Error(), "user-id-of-alice") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTimeouts checks that a call ends with its context, and that the client's own timeout is a failure like others.
func TestTimeouts(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer srv.Close()
	defer close(release)
	c, err := manage.New(srv.URL, manage.Options{HTTPClient: &http.Client{Timeout: 10 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	pauses := 0
	c.WaitWith(func(context.Context, time.Duration) error { pauses++; return nil })
	var unreachable *manage.UnreachableError
	if _, err := c.Registration(t.Context(), "app"); !errors.As(err, &unreachable) || pauses != 3 {
		t.Errorf("after %d pauses: %v", pauses, err)
	}
	c, err = manage.New(srv.URL, manage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.WaitWith(func(context.Context, time.Duration) error {
		t.Error("a call that was canceled is made again")
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.Registration(ctx, "app"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("canceled: %v", err)
	}
	// The pause ends with the context, too: this client waits by itself, for 20 s.
	pausing, stop := context.WithCancel(t.Context())
	defer stop()
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer busy.Close()
	rt := &answered{done: stop}
	c, err = manage.New(busy.URL, manage.Options{HTTPClient: &http.Client{Transport: rt}})
	if err != nil {
		t.Fatal(err)
	}
	var refused *manage.Error
	if _, err := c.Registration(pausing, "app"); !errors.As(err, &refused) || refused.RetryAfter != 20*time.Second || rt.calls != 1 {
		t.Errorf("busy for an hour, after %d calls: %v", rt.calls, err)
	}
}

// answered is a transport that calls done when the body of an answer is closed.
type answered struct {
	done  func()
	calls int
}

func (a *answered) RoundTrip(r *http.Request) (*http.Response, error) {
	a.calls++
	res, err := http.DefaultTransport.RoundTrip(r)
	if err == nil {
		res.Body = closing{res.Body, a.done}
	}
	return res, err
}

type closing struct {
	io.ReadCloser
	done func()
}

func (c closing) Close() error {
	c.done()
	return c.ReadCloser.Close()
}

// TestStrangeServers checks what is made of answers that are not Rotor's.
func TestStrangeServers(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"HTML":         {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, "not that of a Rotor service"},
		"a longer one": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 9<<20)) }, "longer than"},
		"no problem":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }, "i'm a teapot (status 418)"},
		"the gateway's": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"message":"Forbidden"}`)
		}, "access denied: the caller may not execute-api:Invoke on …/GET/v1/clients (status 403: Forbidden)"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, "status 307"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/v1/clients" {
					t.Errorf("a call of %s", r.URL.Path)
					w.WriteHeader(http.StatusNotFound)
					return
				}
				test.answer(w, r)
			}))
			defer srv.Close()
			c, err := manage.New(srv.URL, manage.Options{HTTPClient: &http.Client{}})
			if err != nil {
				t.Fatal(err)
			}
			var last error
			for _, err := range c.Registrations(t.Context()) {
				last = err
			}
			if last == nil || !strings.Contains(last.Error(), test.want) {
				t.Errorf("got %v, want %s", last, test.want)
			}
		})
	}
}
