// Package embedded is a DynamoDB API in memory, for local runs and for tests:
// minidyn's HTTP server, spoken to by the real AWS SDK over a transport that
// never leaves the process. It is kinder than DynamoDB in places; where the two
// differ, DynamoDB Local is right.
package embedded

import (
	"net/http"
	"net/http/httptest"

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
	w := httptest.NewRecorder()
	t.handler.ServeHTTP(w, r)
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
