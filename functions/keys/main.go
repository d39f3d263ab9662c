// Command keys is the Lambda function that Secrets Manager invokes to rotate the keys.
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
	cfg, err := gateway.LoadKeysConfig(os.Getenv)
	if err != nil {
		log.Error("configuration refused", slog.Any("error", err))
		os.Exit(1)
	}
	rotation, err := gateway.NewRotation(context.Background(), cfg, log)
	if err != nil {
		log.Error("not started", slog.Any("error", err))
		os.Exit(1)
	}
	lambda.Start(gateway.RotateKeys(rotation, time.Now))
}
