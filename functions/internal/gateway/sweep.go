package gateway

import (
	"context"
	"log/slog"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/limit"
	"github.com/rotor-auth/rotor/shared/store"
)

// Sweep is a Lambda handler of whatever a schedule sends: each invocation is one
// sweep, whose result it returns. What fails, be it one owner of many, fails the
// invocation, so that it counts as an error and Lambda invokes again. The sweep
// ends a little before the invocation does; what is left is the next one's.
func Sweep(table *store.Table, log *slog.Logger, now func() time.Time) func(context.Context) (limit.Result, error) {
	return func(ctx context.Context) (limit.Result, error) {
		ctx, cancel := early(ctx)
		defer cancel()
		sweeper := limit.Sweeper{
			Table:   table,
			Clients: store.NewClients(table, log), // of this sweep: what it ends cannot be undone, and a limit may just have been raised
			Trail:   audit.Trail{Log: log, Metrics: true},
		}
		result, err := sweeper.Sweep(ctx, now().UTC().Truncate(time.Millisecond))
		if err != nil {
			log.ErrorContext(ctx, "sweep failed", slog.Any("error", err), slog.Int("owners", result.Owners), slog.Int("removed", result.Removed))
		}
		return result, err
	}
}
