package storetest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Replay is a transport for benchmarks that would otherwise measure the store. While it has a
// store below, it passes requests on and keeps the last answer to each operation. Without
// one it gives those answers at once.
type Replay struct {
	Below   http.RoundTripper
	answers map[string]string
}

// RoundTrip implements [http.RoundTripper].
func (rt *Replay) RoundTrip(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if rt.Below != nil {
		resp, err := rt.Below.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return nil, err
		}
		if rt.answers == nil {
			rt.answers = map[string]string{}
		}
		if resp.StatusCode == http.StatusOK {
			rt.answers[operation] = string(b)
		}
		resp.Body = io.NopCloser(bytes.NewReader(b))
		return resp, nil
	}
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	body, ok := rt.answers[operation]
	if !ok {
		return nil, fmt.Errorf("no answer to %s", operation)
	}
	return &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body:   io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}
