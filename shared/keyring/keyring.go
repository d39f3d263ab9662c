// Package keyring loads, rotates and revokes Rotor's keys. They are kept in a secret
// in AWS Secrets Manager or in a file, or generated for a local run.
//
// Each of these holds a [Document], which compiles to the [Keys] that requests use.
package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/token"
)

// ErrUnavailable means that the keys cannot be loaded at present: the secret cannot
// be read, or has no keys yet. A later request may succeed.
var ErrUnavailable = errors.New("keys are not available")

// Keys holds all the keys that a request needs. They are compiled once and shared by
// all requests.
type Keys struct {
	Users   *token.UserKeys
	Codec   *token.Codec
	Signing *signing.Set
	// Overdue is set on a copy that should have been read again but could not be. A
	// key that it does not know may be a new one.
	Overdue bool
	// Stale is set on an overdue copy that is more than 15 minutes old, so that a
	// MAC key which it lacks may be minting by now. No family may be started with
	// it: functions that have the newer key would take tokens under the older one
	// for forged. Tokens under keys that it has can be refreshed.
	Stale bool
}

// Source is where requests get the keys from. It is safe for concurrent use. Its
// errors wrap [ErrUnavailable].
type Source interface {
	Keys(ctx context.Context, now time.Time) (*Keys, error)
	// Newer returns the keys for a token whose key is not among those that Keys
	// returned. If they may have changed it reads them again first; if that fails,
	// the keys that it returns are Overdue.
	Newer(ctx context.Context, now time.Time) (*Keys, error)
}

// fixed is a [Source] whose keys never change.
type fixed struct{ keys *Keys }

func (f fixed) Keys(context.Context, time.Time) (*Keys, error) { return f.keys, nil }

func (f fixed) Newer(context.Context, time.Time) (*Keys, error) { return f.keys, nil }

// Local returns a [Source] of the keys in d, which do not change while the program
// runs.
func Local(d *Document) (Source, error) {
	keys, err := d.Compile()
	if err != nil {
		return nil, fmt.Errorf("keyring: local: %w", err)
	}
	return fixed{keys}, nil
}
