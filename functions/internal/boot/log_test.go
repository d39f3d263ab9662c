package boot

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/version"
)

// TestLogLines checks the members that every line of a function has, by the names that queries
// and tools look for.
func TestLogLines(t *testing.T) {
	environment := map[string]string{"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_FUNCTION_NAME": "rotor-dev-token", "ROTOR_STAGE": "dev"}
	every := map[string]any{"service": "rotor", "version": version.Number, "stage": "dev", "function_name": "rotor-dev-token", "level": "WARN", "message": "m", "a": "b"}
	invoked := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "i1"})
	traced := context.WithValue(invoked, "x-amzn-trace-id", "Parent=53995c3f42cd8ad8;Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1") //nolint:staticcheck // aws-lambda-go's key
	for _, tt := range []struct {
		name string
		ctx  context.Context
		more map[string]any
	}{
		{"while it starts", t.Context(), nil},
		{"invoked", invoked, map[string]any{"function_request_id": "i1"}},
		{"traced", traced, map[string]any{"function_request_id": "i1", "xray_trace_id": "1-5759e988-bd862e3fe1be46a994272793"}},
		{"a trace that X-Ray does not keep", context.WithValue(invoked, "x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0"), map[string]any{"function_request_id": "i1"}}, //nolint:staticcheck // the same
		{"a trace of which it is not said", context.WithValue(invoked, "x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793"), map[string]any{"function_request_id": "i1"}},                                    //nolint:staticcheck // the same
		{"a trace without root", context.WithValue(invoked, "x-amzn-trace-id", "Sampled=1"), map[string]any{"function_request_id": "i1"}},                                                                              //nolint:staticcheck // the same
	} {
		var out bytes.Buffer
		newLog(&out, func(name string) string { return environment[name] }).With(slog.String("a", "b")).WarnContext(tt.ctx, "m")
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v in %s", tt.name, err, &out)
		}
		stamp, _ := line["timestamp"].(string)
		if at, err := time.Parse(time.RFC3339Nano, stamp); err != nil || at != at.Truncate(time.Millisecond) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%s: %s", tt.name, &out)
		}
		delete(line, "timestamp")
		want := map[string]any{}
		for _, members := range []map[string]any{every, tt.more} {
			for name, value := range members {
				want[name] = value
			}
		}
		if diff := cmp.Diff(want, line); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestLogOfAWrongStage checks that no line has a stage that the configuration refuses.
func TestLogOfAWrongStage(t *testing.T) {
	for _, stage := range []string{"Prod", "a-name-that-is-too-long"} {
		var out bytes.Buffer
		getenv := func(name string) string {
			return map[string]string{"ROTOR_STAGE": stage, "AWS_LAMBDA_FUNCTION_NAME": "rotor-dev-token"}[name]
		}
		newLog(&out, getenv).Error("configuration refused")
		if line := out.String(); strings.Contains(line, "stage=") || !strings.Contains(line, "function_name=rotor-dev-token") {
			t.Errorf("%s: %s", stage, line)
		}
	}
}

// TestLogSettings checks that the function's logging configuration, which Lambda passes in the
// environment, is followed.
func TestLogSettings(t *testing.T) {
	for _, tt := range []struct {
		level string
		lines int
	}{{"", 3}, {"TRACE", 4}, {"DEBUG", 4}, {"INFO", 3}, {"WARN", 2}, {"ERROR", 1}, {"FATAL", 1}, {"nonsense", 3}} {
		var out bytes.Buffer
		log := newLog(&out, func(name string) string { return map[string]string{"AWS_LAMBDA_LOG_LEVEL": tt.level}[name] })
		log.Debug("a")
		log.Info("b")
		log.Warn("c")
		log.Error("d")
		if got := strings.Count(out.String(), "\n"); got != tt.lines || strings.Contains(out.String(), "{") {
			t.Errorf("at %q: %d lines, want %d, as text:\n%s", tt.level, got, tt.lines, &out)
		}
		if strings.Contains(out.String(), "stage=") || strings.Contains(out.String(), "function_name=") {
			t.Errorf("members without a value: %s", &out)
		}
	}
}
