// Package keyring says where Rotor's keys come from: a secret in AWS Secrets
// Manager, a file, or keys made up for a local run.
//
// All three hold one Document, which compiles to the Keys that requests use.
package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/token"
)

// ErrUnavailable means that there are no keys at present: the secret cannot be
// read, or no keys have been put into it yet. A later request may find them.
var ErrUnavailable = errors.New("keys are not available")

// Keys is all the keys that a request needs. They are compiled once and used by
// all requests.
type Keys struct {
	Codec   *token.Codec
	Signing *signing.Set
	// Overdue: these are a copy that should have been read again, and could not
	// be. A key that it does not know may be a new one.
	Overdue bool
	// Stale: they are overdue, and so old (more than 15 minutes) that a MAC key
	// which they do not have may be minting. With them no family may be started:
	// under an older key, the others would take its tokens for forged. Tokens that
	// they know can be refreshed.
	Stale bool
}

// Source gives the keys to use at now. It is safe for concurrent use. Its errors
// wrap ErrUnavailable.
type Source interface {
	Keys(ctx context.Context, now time.Time) (*Keys, error)
	// Newer gives the keys for a token whose key those from Keys do not have: they
	// are read again first if they may have changed. Where they could not be, they
	// are Overdue.
	Newer(ctx context.Context, now time.Time) (*Keys, error)
}

// fixed is a Source whose keys never change.
type fixed struct{ keys *Keys }

func (f fixed) Keys(context.Context, time.Time) (*Keys, error) { return f.keys, nil }

func (f fixed) Newer(context.Context, time.Time) (*Keys, error) { return f.keys, nil }

// Local is the keys of one document, for as long as the program runs.
func Local(d *Document) (Source, error) {
	keys, err := d.Compile()
	if err != nil {
		return nil, fmt.Errorf("keyring: local: %w", err)
	}
	return fixed{keys}, nil
}
