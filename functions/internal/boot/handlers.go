package boot

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/rotor-auth/rotor/functions/internal/gateway"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/sweep"
)

// Sweep returns a Lambda handler for the events of a schedule. Each invocation is
// one sweep, and returns its result. If the sweep fails, so does the invocation, so
// that it counts as an error and Lambda invokes the function again. The sweep ends a
// little before the invocation does, and leaves the rest to the next one.
func Sweep(table *store.Table, stage string, log *slog.Logger, now func() time.Time) func(context.Context) (sweep.Result, error) {
	return func(ctx context.Context) (sweep.Result, error) {
		ctx, cancel := gateway.Early(ctx)
		defer cancel()
		return sweep.Run(ctx, table, stage, log, now())
	}
}

// RotateKeys returns a Lambda handler for the events that [keyring.Rotation.Handle]
// accepts. The invocation fails if Handle does.
func RotateKeys(rotation keyring.Rotation, now func() time.Time) func(context.Context, json.RawMessage) (*keyring.Inventory, error) {
	return func(ctx context.Context, event json.RawMessage) (*keyring.Inventory, error) {
		ctx, cancel := gateway.Early(ctx)
		defer cancel()
		return rotation.Handle(ctx, now(), event)
	}
}
