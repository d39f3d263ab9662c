// Command keys is the Lambda function that rotates the keys, invoked by Secrets Manager, and revokes those that have
// leaked, invoked by whoever may.
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
	return gateway.RotateKeys(rotation, c.Secret, time.Now), nil
}
