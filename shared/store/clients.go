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
	clientsFor   = 60 * time.Second // how long a copy is fresh
	clientsStale = time.Hour        // how long it serves while the table cannot be read
	clientsKept  = 1000             // of each cache, of known ids and of unknown ones
	clientsWarm  = 100
	readTimeout  = 5 * time.Second
	// readPatience is how long a caller waits for the table where there is a copy.
	readPatience = 2 * time.Second
	// readPause is how long after a read that failed the next is made, where there
	// is a copy.
	readPause = 5 * time.Second
)

// Clients is the registry read through a cache. What is read stays for 60 s, so
// that a change to a client is seen everywhere within that. While the table cannot
// be read, a known client is served from its copy for up to an hour after that was
// read. Unknown ids have a cache of their own: whoever makes them up drives no
// client out. Each of both has 1,000 ids at most.
type Clients struct {
	table *Table
	log   *slog.Logger
	reads singleflight.Group

	mu      sync.Mutex
	known   map[string]clientCopy
	unknown map[string]time.Time // when it was read
	changes int                  // made here: what was read before one of them is not kept
}

type clientCopy struct {
	client   *Client
	readAt   time.Time
	failedAt time.Time // of the last read that failed since; zero for none
}

// NewClients returns the registry in t, with empty caches. Reads that a copy makes
// up for go to log.
func NewClients(t *Table, log *slog.Logger) *Clients {
	return &Clients{table: t, log: log, known: map[string]clientCopy{}, unknown: map[string]time.Time{}}
}

// Warm reads the first 100 clients ahead, in one request. It leaves the connection
// to DynamoDB open that the next request needs.
func (c *Clients) Warm(ctx context.Context, now time.Time) error {
	changes := c.changesMade()
	clients, _, err := c.table.ListClients(ctx, "", clientsWarm)
	if err != nil {
		return err
	}
	for _, client := range clients {
		c.keep(client.ID, client, now, changes)
	}
	return nil
}

// Client returns the client as it was at most 60 s before now, or up to an hour
// before where the table cannot be read; [ErrNotFound] where there was none. The
// caller may not change it.
func (c *Clients) Client(ctx context.Context, id string, now time.Time) (*Client, error) {
	kept, unknown := c.cached(id, now)
	switch {
	case unknown:
		return nil, ErrNotFound
	// A clock that was set back must not keep a copy for longer: ages are absolute.
	case kept.client != nil && (age(now, kept.readAt) < clientsFor || !kept.failedAt.IsZero() && age(now, kept.failedAt) < readPause):
		return kept.client, nil
	}
	wait := ctx
	if kept.client != nil {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(ctx, readPatience)
		defer cancel()
	}
	client, err := c.read(wait, id, now)
	if err == nil || errors.Is(err, ErrNotFound) || kept.client == nil {
		return client, err
	}
	c.reads.Forget(id) // one that hangs must not hold up the next
	if c.failed(id, now) {
		c.log.WarnContext(ctx, "client not read again, the old copy stays in use",
			slog.String("client_id", id), slog.Time("read_at", kept.readAt), slog.Any("error", err))
	}
	return kept.client, nil
}

// cached returns the copy of a client that may be served at now, if there is one,
// or else whether the id is known to be unknown.
func (c *Clients) cached(id string, now time.Time) (kept clientCopy, unknown bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept = c.known[id]
	if kept.client != nil && age(now, kept.readAt) >= clientsStale {
		delete(c.known, id)
		kept = clientCopy{}
	}
	readAt, ok := c.unknown[id]
	return kept, kept.client == nil && ok && age(now, readAt) < clientsFor
}

// read reads a client. One reads for all who wait; its caller's going away does not
// fail the others.
func (c *Clients) read(ctx context.Context, id string, now time.Time) (*Client, error) {
	reading := c.reads.DoChan(id, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		changes := c.changesMade()
		client, err := c.table.Client(ctx, id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		c.keep(id, client, now, changes)
		return client, err
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("read a client: %w", ctx.Err())
	case r := <-reading:
		client, _ := r.Val.(*Client)
		return client, r.Err
	}
}

// changesMade returns how many changes were made here so far.
func (c *Clients) changesMade() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changes
}

// keep caches what was read of an id at now, nil for an unknown one, unless a change
// was made here since there were so many: it may have been read before that.
func (c *Clients) keep(id string, client *Client, now time.Time, changes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changes != changes {
		return
	}
	delete(c.known, id)
	delete(c.unknown, id)
	if client == nil {
		makeRoom(c.unknown, func(readAt time.Time) time.Time { return readAt })
		c.unknown[id] = now
		return
	}
	makeRoom(c.known, func(kept clientCopy) time.Time { return kept.readAt })
	c.known[id] = clientCopy{client: client, readAt: now}
}

// makeRoom drops the oldest entry of a cache that is full.
func makeRoom[V any](cache map[string]V, readAt func(V) time.Time) {
	if len(cache) < clientsKept {
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

// failed notes that a read of a known client failed at now. It reports whether this
// is the first to say so since the last pause.
func (c *Clients) failed(id string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept, ok := c.known[id]
	if !ok || !kept.failedAt.IsZero() && age(now, kept.failedAt) < readPause {
		return false
	}
	kept.failedAt = now
	c.known[id] = kept
	return true
}

// Forget drops what is cached of a client, and whatever a read under way has of one: it
// has been changed here.
func (c *Clients) Forget(id string) {
	c.reads.Forget(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	delete(c.known, id)
	delete(c.unknown, id)
}

// age returns how far t lies from now, in either direction.
func age(now, t time.Time) time.Duration { return now.Sub(t).Abs() }
