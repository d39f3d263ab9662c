// Command keys is the Lambda function that rotates the keys, invoked by Secrets Manager, and revokes those that have
// leaked, invoked by whoever may.
package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/rotor-auth/rotor/functions/internal/boot"
)

func main() { boot.Run(boot.LoadKeysConfig, wire) }

func wire(ctx context.Context, c boot.KeysConfig, log *slog.Logger) (any, error) {
	rotation, err := boot.NewRotation(ctx, c, log)
	if err != nil {
		return nil, err
	}
	return boot.RotateKeys(rotation, c.Secret, time.Now), nil
}
