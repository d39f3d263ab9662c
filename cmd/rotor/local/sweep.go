package local

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/problem"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/sweep"
)

// sweepEvery is the interval at which the program sweeps, by the machine's clock.
const sweepEvery = time.Minute

// sweeper keeps owners within their limits, as the scheduled function does.
type sweeper struct {
	clock *clock
	table *store.Table
	log   *slog.Logger
}

// sweep sweeps once, and logs failures. It reads the clients again, so that a limit
// that was just changed applies.
func (s sweeper) sweep(ctx context.Context) (sweep.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	inner := sweep.Sweeper{Table: s.table, Clients: store.NewRegistry(s.table, s.log), Trail: audit.Trail{Log: s.log}}
	result, err := inner.Sweep(ctx, s.clock.now().UTC().Truncate(time.Millisecond))
	if err != nil && !errors.Is(ctx.Err(), context.Canceled) { // otherwise nobody waits for the result
		s.log.ErrorContext(ctx, "sweep failed", slog.Any("error", err), slog.Int("owners", result.Owners), slog.Int("removed", result.Removed))
	}
	return result, err
}

// run sweeps every [sweepEvery] until ctx is done.
func (s sweeper) run(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_, _ = s.sweep(ctx) // it has logged its error, and the next one may succeed
		}
	}
}

// serve sweeps on request.
func (s sweeper) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		problem.Write(w, http.StatusMethodNotAllowed, "the method is not allowed here; see the Allow header")
		return
	}
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	var members map[string]json.RawMessage
	if len(body) > 0 && (json.Unmarshal(body, &members) != nil || members == nil || len(members) > 0) {
		problem.Write(w, http.StatusBadRequest, "the request body must be empty, or {}")
		return
	}
	result, err := s.sweep(r.Context())
	if err != nil {
		problem.Write(w, http.StatusServiceUnavailable, "some owners could not be swept and stay on the list for the next sweep; see the log")
		return
	}
	writeJSON(w, result)
}
