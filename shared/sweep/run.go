package sweep

import (
	"context"
	"log/slog"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/store"
)

// Run sweeps once, as the function of that stage does, with metrics and a log line if it fails. It returns
// an error if it failed for any owner, so that the sweep is tried again.
func Run(ctx context.Context, table *store.Table, stage string, log *slog.Logger, now time.Time) (Result, error) {
	sweeper := Sweeper{
		Table:   table,
		Clients: store.NewRegistry(table, log), // made anew: an end cannot be undone, and a limit may just have been raised
		Trail:   audit.Trail{Log: log, Metrics: true, Stage: stage},
	}
	result, err := sweeper.Sweep(ctx, now.UTC().Truncate(time.Millisecond))
	if err != nil {
		log.ErrorContext(ctx, "sweep failed", slog.Any("error", err), slog.Int("owners", result.Owners), slog.Int("removed", result.Removed))
	}
	return result, err
}
