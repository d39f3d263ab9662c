package problem_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/problem"
)

func TestWrite(t *testing.T) {
	for _, tt := range []struct {
		status int
		detail string
		errs   []problem.Field
		want   string
	}{
		{
			http.StatusNotFound, "there is no such record", nil,
			`{"type":"about:blank","title":"Not Found","status":404,"detail":"there is no such record"}`,
		},
		{
			http.StatusBadRequest, "user_id must be given",
			[]problem.Field{{Field: "user_id", Detail: "user_id must be given"}},
			`{"type":"about:blank","title":"Bad Request","status":400,"detail":"user_id must be given","errors":[{"field":"user_id","detail":"user_id must be given"}]}`,
		},
	} {
		w := httptest.NewRecorder()
		problem.Write(w, tt.status, tt.detail, tt.errs...)
		if w.Code != tt.status {
			t.Errorf("the status is %d, not %d", w.Code, tt.status)
		}
		if diff := cmp.Diff(tt.want+"\n", w.Body.String()); diff != "" {
			t.Errorf("the body (-want +got):\n%s", diff)
		}
		want := http.Header{
			"Cache-Control": {"no-store"}, "Content-Type": {"application/problem+json"},
			"Pragma": {"no-cache"}, "X-Content-Type-Options": {"nosniff"},
		}
		if diff := cmp.Diff(want, w.Header()); diff != "" {
			t.Errorf("the header (-want +got):\n%s", diff)
		}
	}
}
