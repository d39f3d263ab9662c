// Command sweep is the Lambda function that EventBridge Scheduler invokes to keep each owner to its newest families.
package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/rotor-auth/rotor/functions/internal/gateway"
)

func main() {
	log := lambdacontext.NewLogger()
	cfg, err := gateway.LoadTableConfig(os.Getenv)
	if err != nil {
		log.Error("configuration refused", slog.Any("error", err))
		os.Exit(1)
	}
	table, err := gateway.NewTable(context.Background(), cfg)
	if err != nil {
		log.Error("not started", slog.Any("error", err))
		os.Exit(1)
	}
	lambda.Start(gateway.Sweep(table, log, time.Now))
}
