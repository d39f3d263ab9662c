package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/lab/inside"
	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store/embedded"
	"github.com/rotor-auth/rotor/shared/store/schema"
	"github.com/rotor-auth/rotor/shared/version"
)

// rotations is how often the family is rotated. More rotations add no attribute, and
// only a digit to its counter now and then.
const rotations = 10

// sizes measures the size of a family and of a refresh's log lines.
func (b *bench) sizes(ctx context.Context) (err error) {
	if b.report.Sizes.Family, b.report.Sizes.LogLine, err = usual(ctx); err != nil {
		return err
	}
	line, err := json.Marshal(accessLogLine)
	if err != nil {
		return err
	}
	b.report.Sizes.AccessLogLine = len(line) + 1
	out, err := goTest(ctx, "-count=1", "-v", "-run", "^TestItemSize$", "./shared/server")
	if err != nil {
		return err
	}
	b.report.Sizes.LongestFamily, err = parseLongest(out)
	return err
}

// longestLine matches what TestItemSize logs.
var longestLine = regexp.MustCompile(`(?m)\bup to (\d+) of 4096 bytes$`)

func parseLongest(out []byte) (int, error) {
	match := longestLine.FindSubmatch(out)
	if match == nil {
		return 0, errors.New("TestItemSize does not say how long the longest family is")
	}
	return strconv.Atoi(string(match[1]))
}

// usual returns the size of a typical family's item, and of the line that Lambda's
// logger writes about its refresh.
func usual(ctx context.Context) (family, line int, err error) {
	rt := embedded.New()
	const name = "usual"
	now := time.Now()
	var lines bytes.Buffer
	r, err := inside.New(ctx, inside.Options{
		Database: embedded.Config(rt), Table: name, Algorithm: signing.ES256, Log: lambdaLogger(&lines), Metrics: true, Now: func() time.Time { return now },
	})
	if err != nil {
		return 0, 0, err
	}
	if err := r.Register(ctx, usualPolicy); err != nil {
		return 0, 0, err
	}
	first, err := r.Issue(ctx)
	if err != nil {
		return 0, 0, err
	}
	token := first.RefreshToken
	for range rotations {
		lines.Reset()
		now = now.Add(time.Hour) // after an access token's lifetime, which is beyond the reuse interval
		if _, token, err = r.Rotate(ctx, token); err != nil {
			return 0, 0, err
		}
	}
	if strings.Count(lines.String(), "\n") != 1 || !strings.Contains(lines.String(), `"type":"`+string(audit.Exchanged)+`"`) {
		return 0, 0, errors.New("a refresh does not log one line, of an exchange")
	}
	families, err := items(ctx, rt, "http://dynamodb.invalid", name, schema.FamilyPrefix)
	if err != nil || len(families) != 1 {
		return 0, 0, errors.Join(fmt.Errorf("there are %d families", len(families)), err)
	}
	return families[0], lines.Len(), nil
}

// lambdaLogger returns a logger that writes lines as the functions do in AWS
// (functions/internal/boot/log.go).
func lambdaLogger(w *bytes.Buffer) *slog.Logger {
	names := map[string]string{slog.TimeKey: "timestamp", slog.MessageKey: "message"}
	handler := slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if name := names[a.Key]; name != "" && len(groups) == 0 {
			a.Key = name
		}
		return a
	}})
	return slog.New(handler).With(
		slog.String("service", "rotor"), slog.String("version", version.Number), slog.String("stage", "prod"), slog.String("function_name", "rotor-prod-token"),
		slog.String("function_request_id", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"), slog.String("xray_trace_id", "1-6968baa5-0f1e2d3c4b5a69788796a5b4"))
}

// accessLogLine is a line of the gateway's access log, whose format is
// infra/accesslog.json.
var accessLogLine = map[string]string{
	"requestId":        "L5fx6RabOe7RCjZ=",
	"time":             "1768471205412",
	"ip":               inside.IP,
	"userAgent":        inside.Agent,
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

// goTest runs go test in the working directory.
func goTest(ctx context.Context, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, "go", append([]string{"test"}, args...)...).CombinedOutput() //nolint:gosec // the arguments are ours
	if err != nil {
		return nil, fmt.Errorf("go test %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return out, nil
}
