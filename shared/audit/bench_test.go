package audit_test

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
)

// BenchmarkRecord measures making the log line of a refresh, with and without
// metrics, but not writing it.
func BenchmarkRecord(b *testing.B) {
	for _, bb := range []struct {
		name    string
		metrics bool
	}{{"line", false}, {"line and metrics", true}} {
		b.Run(bb.name, func(b *testing.B) {
			var line bytes.Buffer
			trail := audit.Trail{Log: slog.New(slog.NewJSONHandler(&line, nil)), Metrics: bb.metrics}
			b.ReportAllocs()
			for b.Loop() {
				e := audit.New(audit.Exchanged, time.Now())
				e.UserID, e.ClientID, e.Family = "auth0|0123456789abcdef01234567", "app", family.ID{1}
				e.IP, e.UserAgent, e.RequestID = "203.0.113.24", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)", "L5fx6RabOe7RCjZ="
				e.TokenCounter, e.LatestCounter = 7, 8
				line.Reset()
				trail.Record(b.Context(), &e)
			}
		})
	}
}
