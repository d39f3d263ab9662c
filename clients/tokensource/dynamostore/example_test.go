package dynamostore_test

import (
	"context"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"golang.org/x/oauth2"

	"github.com/rotor-auth/rotor/clients/tokensource"
	"github.com/rotor-auth/rotor/clients/tokensource/dynamostore"
)

// All instances of a Lambda function share the token of each user.
func Example() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	conf := &oauth2.Config{ClientID: "backend", Endpoint: oauth2.Endpoint{TokenURL: "https://auth.example.com/oauth/token"}}
	source := tokensource.New(conf, dynamostore.New(dynamodb.NewFromConfig(cfg), "tokens", "user-42"))

	resp, err := source.Client().Get("https://api.example.com/orders")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	fmt.Println(resp.Status)
}
