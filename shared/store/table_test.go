package store_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
)

// countedConn counts the writes to a connection.
type countedConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countedConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// tidy counts the answers that were read to their end and closed. Only then can the next
// request use the connection again (see [http.Response]).
type tidy struct {
	http.RoundTripper
	answers *atomic.Int64
}

func (rt tidy) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := rt.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = &tidyBody{ReadCloser: resp.Body, answers: rt.answers}
	}
	return resp, err
}

type tidyBody struct {
	io.ReadCloser
	ended   bool
	answers *atomic.Int64
}

func (b *tidyBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.ended = b.ended || errors.Is(err, io.EOF)
	return n, err
}

func (b *tidyBody) Close() error {
	if b.ended {
		b.ended = false // so that a second call does not count
		b.answers.Add(1)
	}
	return b.ReadCloser.Close()
}

// TestRequestIsOneWrite checks that a request's header and body are sent in one write, and
// that its answer leaves the connection free for the next request.
func TestRequestIsOneWrite(t *testing.T) {
	below := embedded.New()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp, err := below.RoundTrip(r)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		if _, err := io.Copy(w, resp.Body); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	var writes, answers atomic.Int64
	pool := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return countedConn{conn, &writes}, err
	}}
	defer pool.CloseIdleConnections()
	cfg := embedded.Config(tidy{pool, &answers})
	cfg.BaseEndpoint = aws.String(server.URL)
	table := store.New(cfg, "rotor", store.DefaultRetention)
	if err := table.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := table.Client(t.Context(), "app"); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
	}
	if n := writes.Load(); n != 11 {
		t.Errorf("11 requests were %d writes", n)
	}
	if n := answers.Load(); n != 11 {
		t.Errorf("of 11 answers %d were read to the end and closed", n)
	}
}

func TestIsTableName(t *testing.T) {
	for name, want := range map[string]bool{
		"abc": true, "rotor_Prod-1.2": true, strings.Repeat("a", 255): true,
		"": false, "ab": false, strings.Repeat("a", 256): false, "a bc": false, "table/rotor": false, "tëst": false, "abc\n": false, "abc\x00": false,
	} {
		if store.IsTableName(name) != want {
			t.Errorf("%q: %t", name, !want)
		}
	}
}
