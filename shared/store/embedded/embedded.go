// Package embedded is a DynamoDB API in memory, for local runs and for tests:
// minidyn's HTTP server, spoken to by the real AWS SDK over a transport that
// never leaves the process. It is kinder than DynamoDB in places; where the two
// differ, DynamoDB Local is right.
package embedded

import (
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/truora/minidyn/server"
)

// New is a transport to a new, empty DynamoDB.
func New() http.RoundTripper { return &transport{server.NewServer()} }

type transport struct{ handler http.Handler }

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	r, message, err := misasked(r)
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	if message != "" {
		w = refusal("com.amazon.coral.validate#ValidationException", message)
	} else {
		t.handler.ServeHTTP(w, r)
		// DynamoDB's contains() of an attribute that is not there is false; minidyn's is
		// an error. Rotor's conditions are conjunctions: false makes them fail, and the
		// item that lacks the attribute is none at all.
		if strings.Contains(w.Body.String(), "contains is not supported for path=NULL") {
			w = refusal("com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "The conditional request failed")
		}
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// Config is an SDK configuration whose every request goes through rt. The
// credentials are made up: there is nobody to check them.
func Config(rt http.RoundTripper) aws.Config {
	return aws.Config{
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		HTTPClient:   &http.Client{Transport: rt},
		BaseEndpoint: aws.String("http://dynamodb.invalid"),
	}
}
