package tokensource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// A Store keeps the record of one token for all processes that share it. Saving is a
// compare-and-swap: a save succeeds only if no other process has saved since the
// caller loaded the record. A Store must be safe for concurrent use.
//
// The record holds the tokens in the clear. A store that wraps another can encrypt
// [Record.Data], as long as it returns the bytes that it was given.
type Store interface {
	// Load returns the newest record, or the zero Record if there is none. It must
	// see every Save that has returned.
	Load(ctx context.Context) (Record, error)

	// Save stores r if the version of the stored record, or 0 if there is none, is
	// r.Version-1. Otherwise it returns [ErrConflict]. After any other error the
	// record may or may not have been stored. A Source reads it back to find out.
	Save(ctx context.Context, r Record) error
}

// ErrConflict is returned by [Store.Save] if another process has saved first.
var ErrConflict = errors.New("another process has saved the token")

// Record is what a [Store] keeps, and is secret. fmt and slog print only its
// version, and encoding/json leaves the data out. A struct that may be printed
// should hold a Record in an exported field, because fmt calls no methods on
// unexported ones.
type Record struct {
	Version uint64 // 0 for no record; each save adds one
	Data    []byte `json:"-"` // opaque: the tokens, and the state of their refresh
}

// String returns "[token record 7]", where 7 is the version.
func (r Record) String() string { return fmt.Sprintf("[token record %d]", r.Version) }

// GoString returns String.
func (r Record) GoString() string { return r.String() }

// Format prints String, whatever the verb.
func (r Record) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue returns String.
func (r Record) LogValue() slog.Value { return slog.StringValue(r.String()) }
