package tokensource

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// Memory is a [Store] in memory, for tests and for programs that log in each time
// they start.
type Memory struct {
	mu     sync.Mutex
	record *Record // fmt follows no pointer in a field
}

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{record: &Record{}} }

// Load implements [Store].
func (m *Memory) Load(context.Context) (Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Record{m.record.Version, bytes.Clone(m.record.Data)}, nil
}

// Save implements [Store].
func (m *Memory) Save(_ context.Context, r Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.record.Version+1 != r.Version {
		return ErrConflict
	}
	m.record = &Record{r.Version, bytes.Clone(r.Data)}
	return nil
}

// String returns "[token in memory]".
func (m *Memory) String() string { return "[token in memory]" }

// GoString returns String.
func (m *Memory) GoString() string { return m.String() }

// Format prints String, whatever the verb.
func (m *Memory) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, m.String()) }

// LogValue returns String.
func (m *Memory) LogValue() slog.Value { return slog.StringValue(m.String()) }
