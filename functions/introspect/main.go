// Command introspect is the Lambda function that serves POST /oauth/introspect.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/rotor-auth/rotor/functions/internal/gateway"
)

func main() {
	log := lambdacontext.NewLogger()
	cfg, err := gateway.LoadConfig(os.Getenv)
	if err != nil {
		log.Error("configuration refused", slog.Any("error", err))
		os.Exit(1)
	}
	api, err := gateway.NewAPI(context.Background(), cfg, log)
	if err != nil {
		log.Error("not started", slog.Any("error", err))
		os.Exit(1)
	}
	gateway.Start(api.Introspect(), log)
}
