package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/rotor-auth/rotor/lab/inside"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// What is counted of each call, besides the requests of each operation.
const (
	writeUnits  = "write units"
	readUnits   = "read units"
	indexUnits  = "write units of the index"
	sent        = "bytes sent to the store"
	received    = "bytes received from the store"
	answered    = "bytes of the answer"
	logged      = "bytes logged"
	record      = "bytes of the record"
	allocations = "allocations"
)

const (
	tableName     = "counts"
	defaultPolicy = "{}"
)

// world is a Rotor over a store that counts, with a clock that stands still.
type world struct {
	*inside.Rotor
	store *countingStore
	now   time.Time
	log   bytes.Buffer
}

func newWorld(ctx context.Context) (*world, error) {
	w := &world{store: &countingStore{below: embedded.New()}, now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)}
	w.store.db = dynamodb.NewFromConfig(embedded.Config(w.store.below))
	var err error
	w.Rotor, err = inside.New(ctx, inside.Options{
		Database: embedded.Config(w.store), Table: tableName, Algorithm: signing.ES256, Log: logger(&w.log), Now: func() time.Time { return w.now },
	})
	if err != nil {
		return nil, err
	}
	return w, w.Register(ctx, defaultPolicy)
}

// logger returns a logger whose lines have no time, which has another length each time.
func logger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Attr{}
		}
		return a
	}}))
}

// call is a call whose counts are compared. It gets a token that was refreshed once, and
// the one before.
type call struct {
	name   string
	later  time.Duration // how long after that refresh
	status int
	do     func(ctx context.Context, w *world, family, newest, before string) ([]byte, int)
}

func refresh(ctx context.Context, w *world, token string) ([]byte, int) {
	answer := w.Refresh(ctx, token)
	return answer.Body.Bytes(), answer.Code
}

var calls = []call{
	{"refresh", time.Hour, http.StatusOK, func(ctx context.Context, w *world, _, newest, _ string) ([]byte, int) { return refresh(ctx, w, newest) }},
	{"refresh inside the interval", time.Second, http.StatusOK, func(ctx context.Context, w *world, _, newest, _ string) ([]byte, int) { return refresh(ctx, w, newest) }},
	{"refresh with the token before, inside the interval", time.Second, http.StatusOK, func(ctx context.Context, w *world, _, _, before string) ([]byte, int) { return refresh(ctx, w, before) }},
	{"reuse", time.Hour, http.StatusBadRequest, func(ctx context.Context, w *world, _, _, before string) ([]byte, int) { return refresh(ctx, w, before) }},
	{"token that is no token", time.Hour, http.StatusBadRequest, func(ctx context.Context, w *world, _, _, _ string) ([]byte, int) { return refresh(ctx, w, "none") }},
	{"issue", time.Hour, http.StatusCreated, func(ctx context.Context, w *world, _, _, _ string) ([]byte, int) {
		answer := w.Call(ctx, http.MethodPost, "/v1/families", "application/json", inside.Family)
		return answer.Body.Bytes(), answer.Code
	}},
	{"revoke a family", time.Hour, http.StatusOK, func(ctx context.Context, w *world, family, _, _ string) ([]byte, int) {
		answer := w.Call(ctx, http.MethodDelete, "/v1/families/"+family, "application/json", "")
		return answer.Body.Bytes(), answer.Code
	}},
}

// count returns the counts of all calls.
func count(ctx context.Context) (counts, error) {
	all := counts{}
	for _, c := range calls {
		counted, err := c.count(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		all[c.name] = counted
	}
	for _, alg := range []signing.Algorithm{signing.ES256, signing.RS256} {
		n, err := allocated(ctx, alg)
		if err != nil {
			return nil, fmt.Errorf("allocations with %s: %w", alg, err)
		}
		all["refresh with "+string(alg)] = map[string]float64{allocations: n}
	}
	return all, nil
}

func (c *call) count(ctx context.Context) (map[string]float64, error) {
	w, err := newWorld(ctx)
	if err != nil {
		return nil, err
	}
	first, err := w.Issue(ctx)
	if err != nil {
		return nil, err
	}
	before := first.RefreshToken
	_, newest, err := w.Rotate(ctx, before)
	if err != nil {
		return nil, err
	}
	w.now = w.now.Add(c.later)
	if err := w.warm(ctx); err != nil {
		return nil, err
	}
	w.store.counted = map[string]float64{}
	answer, status := c.do(ctx, w, first.Family, newest, before)
	if status != c.status {
		return nil, fmt.Errorf("it is answered with %d, not %d", status, c.status)
	}
	if w.store.err != nil {
		return nil, w.store.err
	}
	counted := w.store.counted
	w.store.counted = nil
	counted[answered], counted[logged] = float64(len(answer)), float64(w.log.Len())
	item, err := w.store.family(ctx)
	counted[record] = float64(store.ItemSize(item))
	return counted, err
}

// warm makes Rotor read the client, which it then caches for a minute.
func (w *world) warm(ctx context.Context) error {
	if _, status := refresh(ctx, w, "none"); status != http.StatusBadRequest {
		return fmt.Errorf("a token that is none is answered with %d", status)
	}
	w.log.Reset()
	return nil
}

// allocated returns the allocations of a refresh, without those of the store: it answers
// each refresh as it answered the first.
func allocated(ctx context.Context, alg signing.Algorithm) (float64, error) {
	rt := &storetest.Replay{Below: embedded.New()}
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	r, err := inside.New(ctx, inside.Options{
		Database: embedded.Config(rt), Table: tableName, Algorithm: alg, Log: logger(io.Discard), Now: func() time.Time { return now },
	})
	if err != nil {
		return 0, err
	}
	if err := r.Register(ctx, defaultPolicy); err != nil {
		return 0, err
	}
	first, err := r.Issue(ctx)
	if err != nil {
		return 0, err
	}
	if _, _, err := r.Rotate(ctx, first.RefreshToken); err != nil {
		return 0, err
	}
	rt.Below = nil
	failed := 0
	n := testing.AllocsPerRun(200, func() {
		if r.Refresh(ctx, first.RefreshToken).Code != http.StatusOK {
			failed++
		}
	})
	if failed > 0 {
		return 0, errors.New("refreshes failed")
	}
	return n, nil
}
