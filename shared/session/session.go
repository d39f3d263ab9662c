// Package session starts, refreshes, revokes and looks up token families: what the
// public endpoints and the management API have in common, without HTTP.
package session

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/store"
)

// Config is what an [Engine] is made of.
type Config struct {
	Issuer  string           // the issuer identifier, an https URL (RFC 8414 §2); http is for local runs
	Table   *store.Table     // where families, clients and events are
	Keys    keyring.Source   // what tokens are made and checked with
	Log     *slog.Logger     // audit events and failures
	Metrics bool             // adds to the audit lines what CloudWatch makes metrics of
	Now     func() time.Time // read once for each request
}

// Engine works on families. It is safe for concurrent use.
type Engine struct {
	Issuer  string
	Table   *store.Table
	Keys    keyring.Source
	Log     *slog.Logger
	Clients *store.Registry // the registry, as this process last read it
	Trail   audit.Trail

	clock func() time.Time
}

// New returns an Engine made of c.
func New(c Config) *Engine {
	return &Engine{
		Issuer: c.Issuer, Table: c.Table, Keys: c.Keys, Log: c.Log, clock: c.Now,
		Clients: store.NewRegistry(c.Table, c.Log), Trail: audit.Trail{Log: c.Log, Metrics: c.Metrics},
	}
}

// Now returns the time of a request, which everything it does is measured by.
func (en *Engine) Now() time.Time { return en.clock().UTC().Truncate(time.Millisecond) }

// Warm reads ahead what requests need, the keys and clients, both at once. Whatever
// fails is read again by the first request that needs it.
func (en *Engine) Warm(ctx context.Context) error {
	now := en.Now()
	var keys error
	var reading sync.WaitGroup
	reading.Go(func() { _, keys = en.Keys.Keys(ctx, now) })
	clients := en.Clients.Warm(ctx, now)
	reading.Wait()
	return errors.Join(keys, clients)
}

// WarmKeys is Warm for endpoints that need no clients.
func (en *Engine) WarmKeys(ctx context.Context) error {
	_, err := en.Keys.Keys(ctx, en.Now())
	return err
}
