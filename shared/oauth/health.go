package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/version"
)

// checkedFor is how long an instance answers with the result of its last check. A caller that asks
// more often costs nothing.
const checkedFor = 5 * time.Second

// checkup holds the result of the last check of the keys and the table.
type checkup struct {
	mu  sync.Mutex
	at  time.Time
	err error
}

// healthJSON is the answer to GET /healthz.
type healthJSON struct {
	Status  string `json:"status"`
	Version string `json:"version"`
}

// health serves GET /healthz, which reports whether this instance can read the keys and the
// table. The answer does not say which of them it cannot read; the log does.
func (a *API) health(w http.ResponseWriter, r *http.Request) error {
	if err := a.checkup.result(r.Context(), a.Now(), a.check); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", int(checkedFor.Seconds())))
	web.WriteJSON(w, http.StatusOK, healthJSON{Status: "ok", Version: version.Number})
	return nil
}

// result returns the result of a check that is less than [checkedFor] old. It makes one if
// there is none, while other requests wait for it.
func (c *checkup) result(ctx context.Context, now time.Time, check func(context.Context, time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if age := now.Sub(c.at); age >= 0 && age < checkedFor {
		return c.err
	}
	err := check(ctx, now)
	if ctx.Err() == nil { // a caller who has hung up says nothing about the service
		c.at, c.err = now, err
	}
	return err
}

// check reads the keys and the table. It fails if no family could be started.
func (a *API) check(ctx context.Context, now time.Time) error {
	keys, err := a.Keys.Keys(ctx, now)
	if err != nil {
		return err
	}
	if keys.Stale {
		return fmt.Errorf("check the keys: %w: the copy is too old to start a family", keyring.ErrUnavailable)
	}
	if _, err := a.Table.Client(ctx, "healthz"); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}
