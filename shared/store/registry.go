package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	freshFor    = 60 * time.Second // how long a copy is served without a read
	staleFor    = time.Hour        // how long it is served while the table cannot be read
	maxCached   = 1000             // entries of each cache, of known ids and of unknown ones
	warmClients = 100
	readTimeout = 5 * time.Second
	// maxReadWait is how long a caller waits for the table if there is a copy.
	maxReadWait = 2 * time.Second
	// failurePause is how long after a failed read the next one is made, if there is a
	// copy.
	failurePause = 5 * time.Second
)

// Registry reads clients through a cache. It keeps what it read for 60 s, so that a
// change to a client takes effect everywhere within that time. While the table cannot
// be read, it serves its copy of a known client for up to an hour. Unknown ids have a
// cache of their own, so that made-up ids evict no client. Each cache has at most
// 1,000 entries.
type Registry struct {
	table *Table
	log   *slog.Logger
	reads singleflight.Group

	mu      sync.Mutex
	known   map[string]clientCopy
	unknown map[string]time.Time // when each was read
	changes int                  // made by this process: what was read before one of them is not cached
}

type clientCopy struct {
	client   *Client
	readAt   time.Time
	failedAt time.Time // when the last read since then failed; zero if none did
}

// NewRegistry returns a Registry of the clients in t, with empty caches. Reads that
// failed and for which it had a copy go to log.
func NewRegistry(t *Table, log *slog.Logger) *Registry {
	return &Registry{table: t, log: log, known: map[string]clientCopy{}, unknown: map[string]time.Time{}}
}

// Warm reads the first 100 clients in one request, and caches them. It leaves open the
// connection to DynamoDB that the next request needs.
func (r *Registry) Warm(ctx context.Context, now time.Time) error {
	changes := r.changesMade()
	clients, _, err := r.table.ListClients(ctx, "", warmClients)
	if err != nil {
		return err
	}
	for _, client := range clients {
		r.keep(client.ID, client, now, changes)
	}
	return nil
}

// Client returns the client as it was at most 60 s before now, or at most an hour before
// if the table cannot be read. It returns [ErrNotFound] if there was none. The caller
// must not change the client.
func (r *Registry) Client(ctx context.Context, id string, now time.Time) (*Client, error) {
	kept, unknown := r.cached(id, now)
	switch {
	case unknown:
		return nil, ErrNotFound
	// An age is a distance in either direction. Otherwise a clock that is set back would keep
	// a copy for longer.
	case kept.client != nil && (age(now, kept.readAt) < freshFor || !kept.failedAt.IsZero() && age(now, kept.failedAt) < failurePause):
		return kept.client, nil
	}
	wait := ctx
	if kept.client != nil {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(ctx, maxReadWait)
		defer cancel()
	}
	client, err := r.read(wait, id, now)
	if err == nil || errors.Is(err, ErrNotFound) || kept.client == nil {
		return client, err
	}
	r.reads.Forget(id) // a read that hangs must not hold up the next one
	if r.failed(id, now) {
		r.log.WarnContext(ctx, "client not read again, the old copy stays in use",
			slog.String("client_id", id), slog.Time("read_at", kept.readAt), slog.Any("error", err))
	}
	return kept.client, nil
}

// cached returns the copy of a client that may be served at now, if there is one. If there is
// none, unknown reports whether the id was recently found to be unknown.
func (r *Registry) cached(id string, now time.Time) (kept clientCopy, unknown bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept = r.known[id]
	if kept.client != nil && age(now, kept.readAt) >= staleFor {
		delete(r.known, id)
		kept = clientCopy{}
	}
	readAt, ok := r.unknown[id]
	return kept, kept.client == nil && ok && age(now, readAt) < freshFor
}

// read reads a client from the table, once for all callers that wait for it. If one of them
// stops waiting, the others still get the result.
func (r *Registry) read(ctx context.Context, id string, now time.Time) (*Client, error) {
	reading := r.reads.DoChan(id, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		changes := r.changesMade()
		client, err := r.table.Client(ctx, id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		r.keep(id, client, now, changes)
		return client, err
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("read a client: %w", ctx.Err())
	case result := <-reading:
		client, _ := result.Val.(*Client)
		return client, result.Err
	}
}

// changesMade returns how many changes this process has made to clients.
func (r *Registry) changesMade() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changes
}

// keep caches what was read of an id at now; client is nil if the id is unknown. It caches
// nothing if changes is no longer the number of changes made, because the client may have been
// read before the last change.
func (r *Registry) keep(id string, client *Client, now time.Time, changes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changes != changes {
		return
	}
	delete(r.known, id)
	delete(r.unknown, id)
	if client == nil {
		makeRoom(r.unknown, func(readAt time.Time) time.Time { return readAt })
		r.unknown[id] = now
		return
	}
	makeRoom(r.known, func(kept clientCopy) time.Time { return kept.readAt })
	r.known[id] = clientCopy{client: client, readAt: now}
}

// makeRoom deletes the oldest entry of a cache that is full.
func makeRoom[V any](cache map[string]V, readAt func(V) time.Time) {
	if len(cache) < maxCached {
		return
	}
	oldest, found := "", false
	for id, v := range cache {
		if !found || readAt(v).Before(readAt(cache[oldest])) {
			oldest, found = id, true
		}
	}
	delete(cache, oldest)
}

// failed records that a read of a known client failed at now, and reports whether that is the
// first failure since the last pause.
func (r *Registry) failed(id string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, ok := r.known[id]
	if !ok || !kept.failedAt.IsZero() && age(now, kept.failedAt) < failurePause {
		return false
	}
	kept.failedAt = now
	r.known[id] = kept
	return true
}

// Forget removes a client that this process has changed from the caches. The result of a read
// in progress is not cached.
func (r *Registry) Forget(id string) {
	r.reads.Forget(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes++
	delete(r.known, id)
	delete(r.unknown, id)
}

// age returns how far t lies from now, in either direction.
func age(now, t time.Time) time.Duration { return now.Sub(t).Abs() }
