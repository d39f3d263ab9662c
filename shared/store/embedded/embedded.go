// Package embedded is a DynamoDB API in memory, for local runs and for tests. It is minidyn's
// HTTP server, which the real AWS SDK calls over a transport within the process. In places it
// is more lenient than DynamoDB. Where the two differ, DynamoDB Local is right.
package embedded

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/truora/minidyn/server"
)

// New returns a transport to a new, empty DynamoDB.
func New() http.RoundTripper {
	return &transport{handler: server.NewServer(), partitions: partitions{written: map[partition]bool{}, pending: map[partition]int{}}}
}

type transport struct {
	handler    http.Handler
	partitions partitions
	removing   sync.RWMutex // is locked while attributes are removed
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w, r, err := t.query(r)
	if err != nil {
		return nil, err
	}
	r, partitions, transacted, err := written(r)
	if err != nil {
		return nil, err
	}
	if transacted > maxTransactItems {
		w = errorResponse(validation, "Value at 'transactItems' failed to satisfy constraint: Member must have length less than or equal to 100")
	}
	if w == nil {
		w = httptest.NewRecorder()
		t.partitions.begin(partitions)
		if r, err = t.serve(w, r); err != nil {
			return nil, err
		}
		t.partitions.end(partitions, w.Code == http.StatusOK)
		// In DynamoDB contains() of a missing attribute is false, and in minidyn an error.
		// Rotor's conditions are conjunctions, so they fail then. An item lacks such an
		// attribute only if there is no item at all.
		if strings.Contains(w.Body.String(), "contains is not supported for path=NULL") {
			w = errorResponse("com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "The conditional request failed")
		}
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// serve lets minidyn answer a request, and removes the attributes that it removes.
func (t *transport) serve(w *httptest.ResponseRecorder, r *http.Request) (*http.Request, error) {
	r, updates, err := removals(r)
	if err != nil {
		return r, err
	}
	if len(updates) == 0 {
		t.removing.RLock()
		defer t.removing.RUnlock()
		t.handler.ServeHTTP(w, r)
		return r, nil
	}
	t.removing.Lock()
	defer t.removing.Unlock()
	t.handler.ServeHTTP(w, r)
	for _, u := range updates {
		if w.Code != http.StatusOK {
			break
		}
		if err := t.remove(r.Context(), &u, w); err != nil {
			return r, err
		}
	}
	return r, nil
}

// query answers a query that need not or must not be passed on to minidyn. For any other
// request the answer is nil. It returns the request to go on with.
func (t *transport) query(r *http.Request) (*httptest.ResponseRecorder, *http.Request, error) {
	r, q, err := readQuery(r)
	if q == nil || err != nil {
		return nil, r, err
	}
	if message := q.invalid(); message != "" {
		return errorResponse(validation, message), r, nil
	}
	if pk, given := q.ExpressionAttributeValues[":pk"]; given && q.IndexName == "" {
		return t.partitions.answer(q.TableName, pk.S), r, nil
	}
	return nil, r, nil
}

// Config returns an SDK configuration that sends every request through rt. The credentials are
// made up, since nothing checks them.
func Config(rt http.RoundTripper) aws.Config {
	return aws.Config{
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		HTTPClient:   &http.Client{Transport: rt},
		BaseEndpoint: aws.String("http://dynamodb.invalid"),
	}
}
