package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"time"
)

// serveSecrets serves Secrets Manager at a listener until ctx is done: the emulator's, corrected in one answer. A
// rotation begins with a version that has a label and no value yet. Secrets Manager answers a request for its value with
// ResourceNotFoundException, and the emulator with 200 and no text.
func serveSecrets(ctx context.Context, l net.Listener, e *emulator) {
	target := &url.URL{Scheme: "https", Host: e.address}
	proxy := &httputil.ReverseProxy{
		// The host stays the caller's, which the signature covers.
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host },
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: e.roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}},
		// A function that ends breaks off its requests, which is no news.
		ErrorLog: log.New(io.Discard, "", 0),
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" || r.StatusCode != http.StatusOK {
				return nil
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			var value struct{ SecretString, SecretBinary *string }
			if err := json.Unmarshal(body, &value); err != nil {
				return err
			}
			if value.SecretString == nil && value.SecretBinary == nil {
				r.StatusCode = http.StatusBadRequest
				body = []byte(`{"__type":"ResourceNotFoundException","Message":"Secrets Manager can't find the specified secret value."}`)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			r.ContentLength = int64(len(body))
			r.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return nil
		},
	}
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		_ = server.Close()
	}
}
