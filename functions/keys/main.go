// Command keys is the Lambda function that Secrets Manager invokes to rotate the keys.
package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/rotor-auth/rotor/functions/internal/gateway"
)

func main() { gateway.Run(gateway.LoadKeysConfig, wire) }

func wire(ctx context.Context, c gateway.KeysConfig, log *slog.Logger) (any, error) {
	rotation, err := gateway.NewRotation(ctx, c, log)
	if err != nil {
		return nil, err
	}
	return gateway.RotateKeys(rotation, time.Now), nil
}
