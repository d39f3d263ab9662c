// Package storetest opens tables for tests, in the embedded store or, if
// ROTOR_TEST_DYNAMODB is its URL, in a real DynamoDB API. Between the SDK and the store is
// a [Transport] that counts requests and makes them fail.
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

// Endpoint returns the URL of the DynamoDB API that tests run against, or "" for the
// embedded store.
func Endpoint() string { return os.Getenv("ROTOR_TEST_DYNAMODB") }

// Open returns a new, empty table and the transport under it.
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

// Fault is what happens to a request to the store.
type Fault int

const (
	None      Fault = iota
	Failed          // it fails and is not applied
	Throttled       // it fails with DynamoDB's error for too many requests, and is not applied
	Timeout         // it gets no answer and is not applied
	Lost            // it is applied, and its answer is lost
	Refused         // it is not applied; the answer is that its condition failed, with the last item that an update returned
	Hang            // it is not applied, and gets no answer until the caller cancels it
	Hold            // before it is applied it waits for the caller of [Transport.Hold]
	Conflict        // it is not applied; the answer is that a transaction holds its item, which only DynamoDB itself does
)

// Transport is the transport through which the SDK sends its requests.
type Transport struct {
	t        testing.TB
	name     string
	endpoint string
	below    http.RoundTripper

	mu    sync.Mutex
	calls []string
	last  json.RawMessage // the last item that an update returned
	weak  []string        // reads of the table that were not strongly consistent
	used  []use           // the capacity consumed
	fault func(call int, operation string) Fault
	hold  *held
	slow  map[string]time.Duration // by how much each operation is delayed
}

// held holds the channels of a request that waits.
type held struct{ waits, goes chan struct{} }

// Table returns the table behind the transport, opened again as by another server.
func (rt *Transport) Table() *store.Table {
	return store.New(rt.Config(), rt.name, store.DefaultRetention)
}

// Config returns an SDK configuration that uses the transport.
func (rt *Transport) Config() aws.Config {
	cfg := embedded.Config(rt)
	if rt.endpoint != "" {
		cfg.BaseEndpoint = aws.String(rt.endpoint)
	}
	return cfg
}

// Name returns the name of the table.
func (rt *Transport) Name() string { return rt.name }

// Counted returns the operations requested since it was last called, in order and with the
// SDK's retries.
func (rt *Transport) Counted() []string {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	calls := rt.calls
	rt.calls = nil
	return calls
}

// Break makes f decide the fault of each request from now on. f gets the number of the
// request, from 1, and its operation. If f is nil, there are no more faults.
func (rt *Transport) Break(f func(call int, operation string) Fault) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.fault, rt.calls = f, nil
}

// Once gives the n-th request from now on a fault, and no other.
func (rt *Transport) Once(n int, fault Fault) {
	rt.Break(func(call int, _ string) Fault {
		if call == n {
			return fault
		}
		return None
	})
}

// Slow makes each request of the operation take longer from now on, in real time. 0 makes it
// as fast as before.
func (rt *Transport) Slow(operation string, longer time.Duration) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.slow == nil {
		rt.slow = map[string]time.Duration{}
	}
	rt.slow[operation] = longer
}

// Hold makes the next request of the operation wait. It closes waits once the request waits,
// and release lets the request go on. Other requests are not delayed.
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

// HoldAt makes the request wait for whose number, from 1, at returns true. It closes waits
// once the request waits, and the request goes on when goes is closed. Other requests are not
// delayed.
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

// Meanwhile returns the table, opened again, so that happens is called right before its n-th
// request of the operation. The test fails if it makes fewer.
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

// meanwhile counts the requests of an operation, and calls happens before the n-th.
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

// RoundTrip implements [http.RoundTripper].
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

// WeakReads returns the reads of the table, not of its index, that were not strongly
// consistent. On DynamoDB they may miss what was just written, which no store here shows.
func (rt *Transport) WeakReads() []string {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return rt.weak
}

// weakRead reports whether the request is a read of the table that is not strongly consistent.
// It reads the request's body, and returns the request to go on with.
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

// remember stores the item that an update returned.
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

// NewClock returns a clock that shows a whole millisecond.
func NewClock() *Clock { return &Clock{now: time.Date(2030, 1, 2, 3, 4, 5, 6e6, time.UTC)} }

// Now returns the time that the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock by d, which may be negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
