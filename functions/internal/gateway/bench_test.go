package gateway_test

import (
	"encoding/json"
	"net/http"
	"testing"
)

// BenchmarkInvoke is an invocation that asks the store for nothing: a preflight.
// What it takes is the reading of the event, and the way to the handler and back.
func BenchmarkInvoke(b *testing.B) {
	d := deploy(b)
	event := sampleText(b, "token-preflight")
	token := d.functions["token"]
	b.ReportAllocs()
	for b.Loop() {
		out, err := token.Invoke(b.Context(), event)
		if err != nil {
			b.Fatal(err)
		}
		var answer struct{ StatusCode int }
		if err := json.Unmarshal(out, &answer); err != nil || answer.StatusCode != http.StatusNoContent {
			b.Fatalf("answered %s", out)
		}
	}
}
