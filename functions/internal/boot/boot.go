// Package boot starts the Lambda functions: it reads their environment, tunes the Go
// runtime, and creates their AWS clients.
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
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/manage"
	"github.com/rotor-auth/rotor/shared/oauth"
	"github.com/rotor-auth/rotor/shared/session"
)

// Main runs a function that serves one group of the public endpoints, with the keys that
// these need. It warms the engine before it asks for the first event, because Lambda may
// start a function ahead of need and gives it more CPU while it starts.
func Main(endpoints func(*oauth.API) http.Handler, warm func(*session.Engine, context.Context) error, need keyring.Need) {
	Run(LoadConfig, wire(endpoints, warm, need))
}

func wire(endpoints func(*oauth.API) http.Handler, warm func(*session.Engine, context.Context) error, need keyring.Need) func(context.Context, Config, *slog.Logger) (any, error) {
	return func(ctx context.Context, c Config, log *slog.Logger) (any, error) {
		a, err := NewAPI(ctx, c, need, log)
		if err != nil {
			return nil, err
		}
		readAhead(ctx, a.Engine, warm, log)
		return newHandler(ctx, endpoints(a), c, log)
	}
}

// Manage runs the function that serves the management API. It does what [Main] does,
// and refuses callers that IAM has not authorized.
func Manage() { Run(LoadManageConfig, wireManage) }

func wireManage(ctx context.Context, c ManageConfig, log *slog.Logger) (any, error) {
	engine, err := NewEngine(ctx, c.Config, keyring.ToIssue, log)
	if err != nil {
		return nil, err
	}
	readAhead(ctx, engine, (*session.Engine).Warm, log)
	callers := gateway.Callers{APIID: c.APIID, Local: c.LocalCaller}
	return newHandler(ctx, gateway.Authorized(manage.New(engine, manage.Config{}).Handler(), callers, log), c.Config, log)
}

func newHandler(ctx context.Context, h http.Handler, c Config, log *slog.Logger) (any, error) {
	h, err := throughEdge(ctx, h, c, log)
	if err != nil {
		return nil, err
	}
	if c.Balancer {
		return gateway.NewBalancerHandler(h, log), nil
	}
	return gateway.NewHandler(h, log), nil
}

// readAhead warms the engine as far as the time allows.
func readAhead(ctx context.Context, engine *session.Engine, warm func(*session.Engine, context.Context) error, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, warmTimeout)
	defer cancel()
	if err := warm(engine, ctx); err != nil {
		log.WarnContext(ctx, "warming failed, the first request will read again", slog.Any("error", err))
	}
}

// warmTimeout limits the warming, whose reads the first request can also do. If AWS
// does not respond, it leaves that request enough time to say so.
const warmTimeout = time.Second

// Run loads the configuration, wires the handler, which it passes to lambda.Start,
// and starts it. It does not return. If the function cannot start, it logs
// everything that is wrong and exits.
func Run[C any](load func(getenv func(string) string) (C, error), wire func(context.Context, C, *slog.Logger) (any, error)) {
	tune(lambdacontext.MemoryLimitInMB)
	log := newLog(os.Stdout, os.Getenv)
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
	log.Info("started")
	lambda.Start(handler)
}
