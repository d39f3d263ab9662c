// Package storetest opens tables for tests: in the embedded store, or, where
// ROTOR_TEST_DYNAMODB is the URL of one, in a real DynamoDB API. Between the SDK
// and the store sits a [Transport] that counts requests and makes them fail.
package storetest

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
)

// Endpoint is the URL of the DynamoDB API that tests run against, "" for the
// embedded store.
func Endpoint() string { return os.Getenv("ROTOR_TEST_DYNAMODB") }

// Open is a new, empty table, and the transport under it.
func Open(t testing.TB) (*store.Table, *Transport) {
	t.Helper()
	rt := &Transport{t: t, name: "rotor-" + rand.Text()}
	if endpoint := Endpoint(); endpoint == "" {
		rt.below = embedded.New()
	} else {
		pool := &http.Transport{MaxIdleConnsPerHost: 128, MaxConnsPerHost: 128}
		t.Cleanup(pool.CloseIdleConnections)
		rt.below, rt.endpoint = pool, endpoint
	}
	table := rt.Table()
	if err := table.Create(t.Context()); err != nil {
		t.Fatalf("create a table: %v", err)
	}
	rt.Counted()
	return table, rt
}

// Fault is what becomes of a request to the store.
type Fault int

const (
	None      Fault = iota
	Failed          // it fails and is not applied
	Throttled       // likewise, with DynamoDB's error for too many requests
	Timeout         // likewise, without an answer
	Lost            // it is applied, but the answer is lost
	Refused         // it is not applied: a write's condition is said to fail on the last item that an update returned
	Hang            // it is not applied, and nothing comes until the caller gives up
	Hold            // it waits, before it is applied, for who called [Transport.Hold]
	Conflict        // it is not applied: a transaction is said to hold its item, as happens on DynamoDB alone
)

// Transport is what the SDK sends its requests through.
type Transport struct {
	t        testing.TB
	name     string
	endpoint string
	below    http.RoundTripper

	mu    sync.Mutex
	calls []string
	last  json.RawMessage // item that an update returned
	weak  []string        // reads of the table that were not strongly consistent
	used  []use           // capacity
	fault func(call int, operation string) Fault
	hold  *held
	slow  map[string]time.Duration // by operation
}

// held is a request that waits.
type held struct{ waits, goes chan struct{} }

// Table is the table behind the transport, as one more server opens it.
func (rt *Transport) Table() *store.Table {
	return store.New(rt.Config(), rt.name, store.DefaultRetention)
}

// Config is the SDK configuration that uses the transport.
func (rt *Transport) Config() aws.Config {
	cfg := embedded.Config(rt)
	if rt.endpoint != "" {
		cfg.BaseEndpoint = aws.String(rt.endpoint)
	}
	return cfg
}

// Name is the name of the table.
func (rt *Transport) Name() string { return rt.name }

// Counted returns the operations requested since it was last called, the SDK's
// retries among them, in order.
func (rt *Transport) Counted() []string {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	calls := rt.calls
	rt.calls = nil
	return calls
}

// Break asks f about each request from now on, numbered from 1. nil mends.
func (rt *Transport) Break(f func(call int, operation string) Fault) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.fault, rt.calls = f, nil
}

// Once breaks the n-th request from now on, alone.
func (rt *Transport) Once(n int, fault Fault) {
	rt.Break(func(call int, _ string) Fault {
		if call == n {
			return fault
		}
		return None
	})
}

// Slow makes each request of that operation take so much longer from now on, in real
// time; 0 makes it as fast as before.
func (rt *Transport) Slow(operation string, longer time.Duration) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.slow == nil {
		rt.slow = map[string]time.Duration{}
	}
	rt.slow[operation] = longer
}

// Hold makes the next request of that operation wait: waits is closed once it does,
// and release lets it go. Others pass meanwhile.
func (rt *Transport) Hold(operation string) (waits <-chan struct{}, release func()) {
	h := &held{make(chan struct{}), make(chan struct{})}
	done := false
	rt.Break(func(_ int, op string) Fault {
		if op != operation || done {
			return None
		}
		done = true
		return Hold
	})
	rt.mu.Lock()
	rt.hold = h
	rt.mu.Unlock()
	return h.waits, func() { close(h.goes) }
}

// HoldAt makes the request wait that at says true of: waits is closed once it does, and
// it goes when goes is. Requests are numbered from 1. Others pass meanwhile.
func (rt *Transport) HoldAt(at func(call int) bool, waits, goes chan struct{}) {
	rt.Break(func(call int, _ string) Fault {
		if at(call) {
			return Hold
		}
		return None
	})
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.hold = &held{waits, goes}
}

// Meanwhile is a table, opened once more, right before whose n-th request of that
// operation something happens. The test fails if there are not so many.
func (rt *Transport) Meanwhile(n int64, operation string, happens func()) *store.Table {
	cfg := rt.Config()
	m := &meanwhile{below: cfg.HTTPClient, operation: operation, n: n, happens: happens}
	cfg.HTTPClient = m
	rt.t.Cleanup(func() {
		if seen := m.seen.Load(); seen < n {
			rt.t.Errorf("%d requests %s: nothing happened meanwhile", seen, operation)
		}
	})
	return store.New(cfg, rt.name, store.DefaultRetention)
}

// meanwhile counts the requests of an operation.
type meanwhile struct {
	below     aws.HTTPClient
	operation string
	n         int64
	happens   func()
	seen      atomic.Int64
}

func (m *meanwhile) Do(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+m.operation) && m.seen.Add(1) == m.n {
		m.happens()
	}
	return m.below.Do(r)
}

var errNoAnswer = errors.New("the store did not answer")

// RoundTrip is http.RoundTripper.
func (rt *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	r, weak, err := weakRead(r, operation)
	if err != nil {
		return nil, err
	}
	rt.mu.Lock()
	rt.calls = append(rt.calls, operation)
	if weak {
		rt.weak = append(rt.weak, operation)
	}
	fault := None
	if rt.fault != nil {
		fault = rt.fault(len(rt.calls), operation)
	}
	hold := rt.hold
	longer := rt.slow[operation]
	rt.mu.Unlock()
	if longer > 0 {
		select {
		case <-r.Context().Done():
		case <-time.After(longer):
		}
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	switch fault {
	case Failed:
		return answer(r, http.StatusInternalServerError, `{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"injected"}`), nil
	case Throttled:
		return answer(r, http.StatusBadRequest, `{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"injected"}`), nil
	case Timeout:
		return nil, errNoAnswer
	case Refused:
		return answer(r, http.StatusBadRequest, `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"injected","Item":`+string(rt.lastItem())+`}`), nil
	case Conflict:
		if operation == "TransactWriteItems" {
			return answer(r, http.StatusBadRequest, `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","message":"injected","CancellationReasons":[{"Code":"TransactionConflict","Message":"injected"},{"Code":"None"}]}`), nil
		}
		return answer(r, http.StatusBadRequest, `{"__type":"com.amazonaws.dynamodb.v20120810#TransactionConflictException","message":"injected"}`), nil
	case Hang:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case Hold:
		close(hold.waits)
		<-hold.goes
	}
	resp, err := rt.send(r, operation)
	if err == nil && fault == Lost {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return nil, errNoAnswer
	}
	if err == nil && operation == "UpdateItem" {
		err = rt.remember(resp)
	}
	return resp, err
}

// WeakReads are the reads of the table, not of its index, that were not strongly
// consistent: on DynamoDB they may miss what was just written, which neither
// store here shows.
func (rt *Transport) WeakReads() []string {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return rt.weak
}

// weakRead says whether the request is such a read; it returns a copy of the
// request, whose body it has read.
func weakRead(r *http.Request, operation string) (*http.Request, bool, error) {
	if operation != "GetItem" && operation != "Query" {
		return r, false, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return r, false, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	var in struct {
		ConsistentRead bool
		IndexName      string
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return r, false, err
	}
	return r, !in.ConsistentRead && in.IndexName == "", nil
}

// remember keeps the item that an update returned.
func (rt *Transport) remember(resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	var out struct{ Attributes json.RawMessage }
	if resp.StatusCode == http.StatusOK && json.Unmarshal(body, &out) == nil && out.Attributes != nil {
		rt.mu.Lock()
		rt.last = out.Attributes
		rt.mu.Unlock()
	}
	return nil
}

func (rt *Transport) lastItem() json.RawMessage {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return rt.last
}

func answer(r *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body:   io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// Clock is a clock that tests move.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock starts at a whole millisecond.
func NewClock() *Clock { return &Clock{now: time.Date(2030, 1, 2, 3, 4, 5, 6e6, time.UTC)} }

// Now is the time that the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
