package api_test

import (
	"testing"
)

// problem checks that the answer is a problem document (RFC 9457).
func (a answer) problem(t testing.TB, status int) {
	t.Helper()
	if a.status != status || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %v as %s, not %d", a, a.header.Get("Content-Type"), status)
		return
	}
	if a.number("status") != float64(status) || a.text("type") == "" || a.text("title") == "" || a.text("detail") == "" {
		t.Errorf("the problem document is %s", a.body)
	}
}
