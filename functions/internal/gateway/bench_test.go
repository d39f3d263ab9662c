package gateway_test

import (
	"encoding/json"
	"net/http"
	"testing"
)

// BenchmarkInvoke measures an invocation that makes no request to the store, a
// preflight: reading the event, and the way to the handler and back.
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
