// Command sweep is the Lambda function that EventBridge Scheduler invokes to keep each owner within its limit of active families.
package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/rotor-auth/rotor/functions/internal/boot"
)

func main() { boot.Run(boot.LoadTableConfig, wire) }

func wire(ctx context.Context, c boot.TableConfig, log *slog.Logger) (any, error) {
	table, err := boot.NewTable(ctx, c)
	if err != nil {
		return nil, err
	}
	return boot.Sweep(table, c.Stage, log, time.Now), nil
}
