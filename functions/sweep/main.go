// Command sweep is the Lambda function that EventBridge Scheduler invokes to keep each owner within its limit of active families.
package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/rotor-auth/rotor/functions/internal/gateway"
)

func main() { gateway.Run(gateway.LoadTableConfig, wire) }

func wire(ctx context.Context, c gateway.TableConfig, log *slog.Logger) (any, error) {
	table, err := gateway.NewTable(ctx, c)
	if err != nil {
		return nil, err
	}
	return gateway.Sweep(table, log, time.Now), nil
}
