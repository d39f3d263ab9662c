package inside

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store/embedded"
	"github.com/rotor-auth/rotor/shared/version"
)

// Stage is the stage of a typical deployment.
const Stage = "prod"

// LambdaLog returns a logger that writes lines as the function token does in AWS
// without tracing (functions/internal/boot/log.go), all at the same millisecond.
func LambdaLog(w io.Writer) *slog.Logger {
	names := map[string]string{slog.TimeKey: "timestamp", slog.MessageKey: "message"}
	at := time.Date(2026, 1, 15, 10, 0, 5, 412e6, time.UTC)
	handler := slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) > 0 {
			return a
		}
		if a.Key == slog.TimeKey {
			a.Value = slog.TimeValue(at)
		}
		if name := names[a.Key]; name != "" {
			a.Key = name
		}
		return a
	}})
	return slog.New(handler).With(
		slog.String("service", "rotor"), slog.String("version", version.Number), slog.String(audit.DimensionStage, Stage),
		slog.String("function_name", "rotor-"+Stage+"-token"), slog.String("function_request_id", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"))
}

// AuditLine returns the line that the function token writes about a typical refresh,
// the tenth of its family.
func AuditLine(ctx context.Context) ([]byte, error) {
	var lines bytes.Buffer
	now := time.Now()
	r, err := New(ctx, Options{
		Database: embedded.Config(embedded.New()), Table: "usual", Algorithm: signing.ES256,
		Log: LambdaLog(&lines), Metrics: true, Now: func() time.Time { return now },
	})
	if err != nil {
		return nil, err
	}
	if err := r.Register(ctx, `{}`); err != nil {
		return nil, err
	}
	first, err := r.Issue(ctx)
	if err != nil {
		return nil, err
	}
	token := first.RefreshToken
	for range 10 {
		lines.Reset()
		now = now.Add(time.Hour) // after an access token's lifetime, which is beyond the reuse interval
		if _, token, err = r.Rotate(ctx, token); err != nil {
			return nil, err
		}
	}
	if strings.Count(lines.String(), "\n") != 1 || !strings.Contains(lines.String(), `"type":"`+string(audit.Exchanged)+`"`) {
		return nil, errors.New("a refresh does not log one line, of an exchange")
	}
	return lines.Bytes(), nil
}

// AccessLine returns the line of the gateway's access log about a typical refresh.
func AccessLine() ([]byte, error) {
	line, err := json.Marshal(AccessLog())
	return append(line, '\n'), err
}

// AccessLog returns the members of a line of the gateway's access log, whose format
// is infra/accesslog.json.
func AccessLog() map[string]string {
	return map[string]string{
		"requestId":        "L5fx6RabOe7RCjZ=",
		"time":             "1768471205412",
		"ip":               IP,
		"userAgent":        Agent,
		"caller":           "-",
		"method":           http.MethodPost,
		"route":            "ANY /oauth/token",
		"path":             "/oauth/token",
		"status":           "200",
		"bytes":            "1024",
		"latencyMs":        "12",
		"functionMs":       "10",
		"integrationError": "-",
		"gatewayError":     "-",
	}
}
