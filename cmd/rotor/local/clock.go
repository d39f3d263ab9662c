package local

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/rotor-auth/rotor/shared/problem"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/store"
)

const (
	// maxAdvance is how far one call may move the clock: 10 years, the longest
	// lifetime that a policy may have.
	maxAdvance = 10 * 365 * 24 * time.Hour
	// maxAhead is how far all calls together may move it. A time.Duration holds
	// about 292 years.
	maxAhead = 10 * maxAdvance
)

// clock is the service's clock: that of the machine, moved ahead. It only moves
// forward, and starts at the machine's time with each run. It is safe for concurrent
// use.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// advance moves the clock ahead, and reports whether it did: it does not move it
// further than [maxAhead].
func (c *clock) advance(d time.Duration) bool {
	for {
		ahead := c.ahead.Load()
		if ahead+int64(d) > int64(maxAhead) {
			return false
		}
		if c.ahead.CompareAndSwap(ahead, ahead+int64(d)) {
			return true
		}
	}
}

// withLocal returns a handler that serves /local, and passes other requests to next.
//
//	GET  /local/clock                      {"now":"2026-05-04T10:00:00Z"}
//	POST /local/clock {"advance":"26h"}    {"now":"2026-05-05T12:00:00Z","purged":0}
//	POST /local/sweep                      {"owners":1,"removed":2}
//
// Moving the clock purges the records whose purge_at has passed, as DynamoDB's TTL
// would. To clients that verify access tokens by their own clock, new tokens are
// from the future.
func withLocal(cfg *config, sweep sweeper, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := cfg.pathOf(r); {
		case path == "/local/clock":
			serveClock(w, r, sweep.clock, sweep.table, sweep.log)
		case path == "/local/sweep":
			sweep.serve(w, r)
		case path == "/local" || strings.HasPrefix(path, "/local/"):
			problem.Write(w, http.StatusNotFound, "there is nothing at this path")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

type clockAnswer struct {
	Now    time.Time `json:"now"`
	Purged *int      `json:"purged,omitempty"` // of POST
}

func serveClock(w http.ResponseWriter, r *http.Request, c *clock, table *store.Table, log *slog.Logger) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		writeJSON(w, clockAnswer{Now: shown(c.now())})
		return
	case http.MethodPost:
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		problem.Write(w, http.StatusMethodNotAllowed, "the method is not allowed here; see the Allow header")
		return
	}
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	d, detail, errs := parseAdvance(body)
	if detail != "" {
		problem.Write(w, http.StatusBadRequest, detail, errs...)
		return
	}
	if !c.advance(d) {
		const detail = "advance would move the clock more than 100 years ahead: start the program again"
		problem.Write(w, http.StatusBadRequest, detail, problem.Field{Field: "advance", Detail: detail})
		return
	}
	now := c.now()
	purged, err := table.Purge(r.Context(), now)
	if err != nil {
		log.ErrorContext(r.Context(), "purge failed", slog.Any("error", err))
		problem.Write(w, http.StatusServiceUnavailable, "the clock was moved, but records that have expired could not be purged; see the log")
		return
	}
	writeJSON(w, clockAnswer{Now: shown(now), Purged: &purged})
}

// readBody reads the body. If it cannot, it answers with an error and returns false.
func readBody(w http.ResponseWriter, r *http.Request) (body []byte, ok bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, server.MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		problem.Write(w, http.StatusRequestEntityTooLarge, "the request body is larger than 16 KiB")
	case err != nil:
		problem.Write(w, http.StatusBadRequest, "the request body could not be read")
	}
	return body, err == nil
}

func shown(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// parseAdvance reads a body such as {"advance":"26h"}. If the body is not valid,
// detail and errs say what is wrong.
func parseAdvance(body []byte) (d time.Duration, detail string, errs []problem.Field) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil || !utf8.Valid(body) {
		return 0, `the request body must be a JSON object such as {"advance":"26h"}`, nil
	}
	wrong := func(field, detail string) {
		errs = append(errs, problem.Field{Field: field, Detail: field + " " + detail})
	}
	var value string
	switch raw, ok := members["advance"]; {
	case !ok:
		wrong("advance", "must be given")
	case json.Unmarshal(raw, &value) != nil || string(raw) == "null":
		wrong("advance", "must be a JSON string")
	default:
		var err error
		if d, err = parseDuration(value); err != nil {
			wrong("advance", "must be a duration such as 90s, 26h or 15d")
		} else if d <= 0 || d > maxAdvance {
			wrong("advance", "must be more than 0 and at most 10 years, which is 3650d")
		}
	}
	for name := range members {
		if name != "advance" {
			wrong(strings.ToValidUTF8(name[:min(len(name), 64)], ""), "must be left out: there is no such member")
		}
	}
	slices.SortFunc(errs, func(a, b problem.Field) int { return strings.Compare(a.Field, b.Field) })
	var details []string
	for _, e := range errs {
		details = append(details, e.Detail)
	}
	return d, strings.Join(details, "; "), errs
}

// parseDuration parses a duration as [time.ParseDuration] does, and whole days such
// as 15d.
func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16) // 16 bits of days do not overflow
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(s)
}
