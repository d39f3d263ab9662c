package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
	"github.com/rotor-auth/rotor/shared/store/schema"
	"github.com/rotor-auth/rotor/shared/version"
)

// A typical family, and a typical request.
const (
	usualUser   = "auth0|0123456789abcdef01234567"
	usualFamily = `{"user_id":"` + usualUser + `","client_id":"app","scope":"openid profile read write","audience":"https://api.example.com"}`
	usualAgent  = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
	usualIP     = "203.0.113.24"
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
	table := store.New(embedded.Config(rt), name, store.DefaultRetention)
	if err := table.Create(ctx); err != nil {
		return 0, 0, err
	}
	now := time.Now()
	document, err := keyring.Generate(signing.ES256, now)
	if err != nil {
		return 0, 0, err
	}
	keys, err := keyring.Local(document)
	if err != nil {
		return 0, 0, err
	}
	var lines bytes.Buffer
	handler := server.New(server.Config{
		Issuer: "https://auth.example.com", Table: table, Keys: keys, Log: lambdaLogger(&lines), Metrics: true, Now: func() time.Time { return now },
	}).Handler()
	call := func(method, path, contentType, body string) (answer issued, err error) {
		r := httptest.NewRequestWithContext(session.WithRequestID(ctx, "L5fx6RabOe7RCjZ="), method, path, strings.NewReader(body))
		r.RemoteAddr = usualIP // without a port, as from the gateway
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("User-Agent", usualAgent)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code/100 != 2 {
			return issued{}, fmt.Errorf("%s %s is answered with %d", method, path, w.Code)
		}
		return answer, json.Unmarshal(w.Body.Bytes(), &answer)
	}
	if _, err := call(http.MethodPut, "/v1/clients/app", "application/json", `{"type":"public"}`); err != nil {
		return 0, 0, err
	}
	answer, err := call(http.MethodPost, "/v1/families", "application/json", usualFamily)
	if err != nil {
		return 0, 0, err
	}
	for range rotations {
		lines.Reset()
		now = now.Add(time.Hour) // after an access token's lifetime, which is beyond the reuse interval
		form := url.Values{"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {answer.RefreshToken}}
		if answer, err = call(http.MethodPost, "/oauth/token", "application/x-www-form-urlencoded", form.Encode()); err != nil {
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
	"ip":               usualIP,
	"userAgent":        usualAgent,
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
