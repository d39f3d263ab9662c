// Package boot starts the Lambda functions: it reads their environment, tunes the
// runtime, and makes what they work with of AWS clients.
package boot

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/rotor-auth/rotor/functions/internal/gateway"
	"github.com/rotor-auth/rotor/shared/api"
	"github.com/rotor-auth/rotor/shared/version"
)

// Main is the main of a function that serves one group of the API's endpoints. It
// warms the API before it asks for the first event: Lambda may start a function
// ahead of need, and one that starts has more of a processor than it has later.
func Main(endpoints func(*api.API) http.Handler, warm func(*api.API, context.Context) error) {
	Run(LoadConfig, wire(endpoints, warm))
}

func wire(endpoints func(*api.API) http.Handler, warm func(*api.API, context.Context) error) func(context.Context, Config, *slog.Logger) (any, error) {
	return func(ctx context.Context, c Config, log *slog.Logger) (any, error) {
		a, err := warmed(ctx, c, log, warm)
		if err != nil {
			return nil, err
		}
		return gateway.NewHandler(endpoints(a), log), nil
	}
}

// Manage is the main of the function that serves the management API. It is as
// [Main], but lets nobody call whom IAM has not authorized.
func Manage() { Run(LoadManageConfig, wireManage) }

func wireManage(ctx context.Context, c ManageConfig, log *slog.Logger) (any, error) {
	a, err := warmed(ctx, c.Config, log, (*api.API).Warm)
	if err != nil {
		return nil, err
	}
	callers := gateway.Callers{APIID: c.APIID, Local: c.LocalCaller}
	return gateway.NewHandler(gateway.Authorized(a.Manage(), callers, log), log), nil
}

// warmed returns the API that c asks for, warmed as far as there is time.
func warmed(ctx context.Context, c Config, log *slog.Logger, warm func(*api.API, context.Context) error) (*api.API, error) {
	a, err := NewAPI(ctx, c, log)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, warmTimeout)
	defer cancel()
	if err := warm(a, ctx); err != nil {
		log.WarnContext(ctx, "not warmed, the first request will read again", slog.Any("error", err))
	}
	return a, nil
}

// warmTimeout is how long a start may wait for what the first request can read too.
// Where nothing answers, that request still has time to say so.
const warmTimeout = time.Second

// Run is the main of a function: it loads the configuration, wires the handler,
// which is what lambda.Start takes, and starts. It does not return. A function
// that cannot start logs all that is wrong and exits.
func Run[C any](load func(getenv func(string) string) (C, error), wire func(context.Context, C, *slog.Logger) (any, error)) {
	tune(lambdacontext.MemoryLimitInMB)
	log := lambdacontext.NewLogger()
	cfg, err := load(os.Getenv)
	if err != nil {
		log.Error("configuration refused", slog.Any("error", err))
		os.Exit(1)
	}
	handler, err := wire(context.Background(), cfg, log)
	if err != nil {
		log.Error("not started", slog.Any("error", err))
		os.Exit(1)
	}
	log.Info("started", slog.String("version", version.Number))
	lambda.Start(handler)
}
