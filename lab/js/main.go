// Js serves on loopback what the tests of clients/js need beside a service:
//
//   - DynamoDB, in memory, with the table sessions of tokensource/dynamostore;
//   - the service behind a verifier of AWS signatures;
//   - a holder in Go, which answers GET /token/ID with the access token of the session in that item.
//
// It prints their addresses, one a line, and ends when its input does.
//
//	go run ./lab/js http://127.0.0.1:3000
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"golang.org/x/oauth2"

	"github.com/rotor-auth/rotor/clients/tokensource"
	"github.com/rotor-auth/rotor/clients/tokensource/dynamostore"
	"github.com/rotor-auth/rotor/lab/sigv4"
	"github.com/rotor-auth/rotor/shared/store/embedded"
)

const table = "sessions"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: js ISSUER")
		os.Exit(2)
	}
	if err := serve(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "js:", err)
		os.Exit(1)
	}
}

// serve serves until the input ends.
func serve(ctx context.Context, issuer string) error {
	service, err := url.Parse(issuer)
	if err != nil {
		return err
	}
	rt := embedded.New()
	db := dynamodb.NewFromConfig(embedded.Config(rt))
	_, err = db.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: aws.String(table), BillingMode: types.BillingModePayPerRequest,
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
	})
	if err != nil {
		return fmt.Errorf("create the table: %w", err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(service) }}
	dynamo := &httputil.ReverseProxy{Transport: rt, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: "dynamodb.invalid"})
	}}
	holder := http.NewServeMux()
	holder.HandleFunc("GET /token/{id}", func(w http.ResponseWriter, r *http.Request) {
		conf := &oauth2.Config{ClientID: "app", Endpoint: oauth2.Endpoint{TokenURL: issuer + "/oauth/token"}}
		t, err := tokensource.New(conf, dynamostore.New(db, table, r.PathValue("id"))).TokenContext(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, t.AccessToken) //nolint:gosec // a test reads it, and no page
	})
	for _, handler := range []http.Handler{dynamo, sigv4.Verify(proxy), holder} {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
		go func() { _ = server.Serve(listener) }() // until the program ends
		fmt.Printf("http://%s\n", listener.Addr())
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
