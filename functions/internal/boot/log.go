package boot

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/rotor-auth/rotor/shared/version"
)

// newLog returns the logger of a function, which writes to w. Members that every line has are
// named as Powertools for AWS Lambda names them, so that queries and tools which know those
// names find them. The configuration is not checked yet: a stage that it will refuse is left out.
func newLog(w io.Writer, getenv func(string) string) *slog.Logger {
	options := &slog.HandlerOptions{Level: levelOf(getenv("AWS_LAMBDA_LOG_LEVEL")), ReplaceAttr: lambdacontext.ReplaceAttr}
	var lines slog.Handler = slog.NewTextHandler(w, options)
	if getenv("AWS_LAMBDA_LOG_FORMAT") == "JSON" {
		lines = slog.NewJSONHandler(w, options)
	}
	log := slog.New(invocationHandler{lines}).With(slog.String("service", "rotor"), slog.String("version", version.Number))
	if stage := getenv("ROTOR_STAGE"); stage != "" && isStage(stage) {
		log = log.With(slog.String("stage", stage))
	}
	if function := getenv("AWS_LAMBDA_FUNCTION_NAME"); function != "" {
		log = log.With(slog.String("function_name", function))
	}
	return log
}

// levelOf returns the least level to log, which is INFO unless the function's logging
// configuration names another.
func levelOf(name string) slog.Level {
	switch name {
	case "TRACE", "DEBUG":
		return slog.LevelDebug
	case "WARN":
		return slog.LevelWarn
	case "ERROR", "FATAL":
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}

// invocationHandler adds the ids of the invocation that a line belongs to.
type invocationHandler struct{ slog.Handler }

// Handle implements [slog.Handler]. CloudWatch has its own time of a line to the millisecond.
func (h invocationHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Time = r.Time.Truncate(time.Millisecond)
	if invocation, ok := lambdacontext.FromContext(ctx); ok {
		r.AddAttrs(slog.String("function_request_id", invocation.AwsRequestID))
	}
	if trace := traceOf(ctx); trace != "" {
		r.AddAttrs(slog.String("xray_trace_id", trace))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h invocationHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return invocationHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (h invocationHandler) WithGroup(name string) slog.Handler {
	return invocationHandler{h.Handler.WithGroup(name)}
}

// traceOf returns the id of the trace that the invocation belongs to, which is the Root of
// the header that Lambda passes: "Root=1-…;Parent=…;Sampled=1". It returns "" for one that is
// not sampled, of which X-Ray has nothing, and without tracing none is.
func traceOf(ctx context.Context) string {
	header, _ := ctx.Value("x-amzn-trace-id").(string) // the key of aws-lambda-go
	var root string
	sampled := false
	for part := range strings.SplitSeq(header, ";") {
		if id, ok := strings.CutPrefix(part, "Root="); ok {
			root = id
		}
		sampled = sampled || part == "Sampled=1"
	}
	if !sampled {
		return ""
	}
	return root
}
