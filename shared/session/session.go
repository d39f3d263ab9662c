// Package session starts, refreshes, revokes and looks up token families. It is the part
// that the public endpoints and the management API share, and knows no HTTP.
package session

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/foreign"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/store"
)

// Config holds what [New] needs to make an [Engine].
type Config struct {
	Issuer  string           // the issuer identifier, an https URL (RFC 8414 §2); http is for local runs
	Table   *store.Table     // holds families, clients and events
	Keys    keyring.Source   // makes and checks tokens
	Log     *slog.Logger     // receives audit events and failures
	Metrics bool             // adds CloudWatch's embedded metrics to the audit lines
	Stage   string           // see [audit.Trail]
	Now     func() time.Time // read once for each request

	Assertions assertion.Options // how assertions of trusted issuers are verified
	Providers  foreign.Options   // how tokens are exchanged at other providers

	CallBudget time.Duration // for how long a call that works on many records begins new work, 0 for 20 s
}

// Engine carries out what both APIs do to families. It is safe for concurrent use.
type Engine struct {
	Issuer  string
	Table   *store.Table
	Keys    keyring.Source
	Log     *slog.Logger
	Clients *store.Registry // a cache of the registered clients
	Trail   audit.Trail

	Assertions *assertion.Verifier // of trusted issuers
	Providers  *foreign.Exchanger  // of tokens that are adopted

	strangers *strangers
	spent     spentSeconds
	outages   outages
	clock     func() time.Time

	callBudget time.Duration
}

// New returns an Engine for the given configuration.
func New(c Config) *Engine {
	return &Engine{
		Issuer: c.Issuer, Table: c.Table, Keys: c.Keys, Log: c.Log, clock: c.Now,
		Clients: store.NewRegistry(c.Table, c.Log), Trail: audit.Trail{Log: c.Log, Metrics: c.Metrics, Stage: c.Stage},
		Assertions: assertion.New(c.Assertions), Providers: foreign.NewExchanger(c.Providers), strangers: newStrangers(),
		callBudget: cmp.Or(c.CallBudget, callBudget),
	}
}

// Now returns the current time in UTC, in milliseconds. Each request calls it once.
func (e *Engine) Now() time.Time { return e.clock().UTC().Truncate(time.Millisecond) }

// Warm reads keys and clients, concurrently, before the first request needs them. What
// could not be read then is read again by the first request that needs it.
func (e *Engine) Warm(ctx context.Context) error {
	now := e.Now()
	var keys error
	var reading sync.WaitGroup
	reading.Go(func() { _, keys = e.Keys.Keys(ctx, now) })
	clients := e.Clients.Warm(ctx, now)
	reading.Wait()
	return errors.Join(keys, clients)
}

// WarmKeys reads the keys alone, for endpoints that need no clients.
func (e *Engine) WarmKeys(ctx context.Context) error {
	_, err := e.Keys.Keys(ctx, e.Now())
	return err
}
