package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	clientsFor  = 60 * time.Second
	clientsKept = 1000
	clientsWarm = 100
	readTimeout = 5 * time.Second
)

// Clients is the registry read through a cache: for 60 s, unknown ids too, and
// for at most 1,000 ids. A change to a client is seen everywhere within 60 s.
type Clients struct {
	table *Table
	reads singleflight.Group

	mu     sync.Mutex
	cached map[string]cachedClient
}

type cachedClient struct {
	client *Client // nil: unknown
	until  time.Time
}

// NewClients is the registry in t, with an empty cache.
func NewClients(t *Table) *Clients {
	return &Clients{table: t, cached: map[string]cachedClient{}}
}

// Warm reads the first 100 clients ahead, in one request. It leaves the connection
// to DynamoDB open that the next request needs.
func (c *Clients) Warm(ctx context.Context, now time.Time) error {
	clients, _, err := c.table.ListClients(ctx, "", clientsWarm)
	if err != nil {
		return err
	}
	for _, client := range clients {
		c.keep(client.ID, cachedClient{client: client, until: now.Add(clientsFor)}, now)
	}
	return nil
}

// Client is the client as it was at most 60 s before now; [ErrNotFound] where
// there was none. The caller may not change it.
func (c *Clients) Client(ctx context.Context, id string, now time.Time) (*Client, error) {
	c.mu.Lock()
	entry, ok := c.cached[id]
	c.mu.Unlock()
	// A clock that was set back must not keep an entry for longer.
	if ok && now.Before(entry.until) && entry.until.Sub(now) <= clientsFor {
		return entry.found()
	}
	// One reads for all who wait; its caller's going away must not fail the others.
	read := c.reads.DoChan(id, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		client, err := c.table.Client(ctx, id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		entry := cachedClient{client: client, until: now.Add(clientsFor)}
		c.keep(id, entry, now)
		return entry, nil
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("read a client: %w", ctx.Err())
	case r := <-read:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(cachedClient).found()
	}
}

func (e cachedClient) found() (*Client, error) {
	if e.client == nil {
		return nil, ErrNotFound
	}
	return e.client, nil
}

func (c *Clients) keep(id string, entry cachedClient, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.cached) >= clientsKept {
		for id, e := range c.cached {
			if !now.Before(e.until) {
				delete(c.cached, id)
			}
		}
	}
	for id := range c.cached {
		if len(c.cached) < clientsKept {
			break
		}
		delete(c.cached, id)
	}
	c.cached[id] = entry
}

// Forget drops what is cached of a client: it has been changed here.
func (c *Clients) Forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.cached, id)
}
