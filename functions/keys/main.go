// Command keys is the Lambda function that rotates the keys when Secrets Manager invokes it, and lists or revokes keys
// when an operator does.
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
	return boot.RotateKeys(rotation, time.Now), nil
}
