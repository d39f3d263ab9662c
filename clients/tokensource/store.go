package tokensource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// A Store keeps the record of one token, for every process that shares it. It is
// a compare-and-swap: whoever saves on the version that it has loaded knows that
// nobody else saved in between. A Store is safe for concurrent use.
//
// The record holds the tokens in the clear. A store that wraps another can
// encrypt [Record.Data]; it must give back the bytes that it was given.
type Store interface {
	// Load returns the newest record, and the zero Record where there is none. It
	// must see every Save that has returned.
	Load(ctx context.Context) (Record, error)

	// Save stores r if the version of the stored record, 0 where there is none, is
	// r.Version-1, and is [ErrConflict] otherwise. After any other error the record
	// may or may not have been stored; a Source reads it back to know.
	Save(ctx context.Context, r Record) error
}

// ErrConflict is the error of a [Store.Save] that somebody else was faster than.
var ErrConflict = errors.New("another process has saved the token")

// Record is what a [Store] keeps: a secret. fmt and slog print its version alone,
// and encoding/json leaves the data out. fmt calls no methods on the unexported
// fields of a struct: what may be printed should hold a Record in an exported one.
type Record struct {
	Version uint64 // 0 for none, then one more with each save
	Data    []byte `json:"-"` // opaque: the tokens, and the state of their refresh
}

// String returns "[token record 7]", where 7 is the version.
func (r Record) String() string { return fmt.Sprintf("[token record %d]", r.Version) }

// GoString is String.
func (r Record) GoString() string { return r.String() }

// Format prints String, whatever the verb.
func (r Record) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue is String.
func (r Record) LogValue() slog.Value { return slog.StringValue(r.String()) }
