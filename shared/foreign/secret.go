package foreign

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// secretFor is how long a secret is used without being read again.
const secretFor = time.Minute

// secrets reads secrets, and keeps each for a minute. There are as many as clients that adopt.
type secrets struct {
	read func(ctx context.Context, name string) (string, error)

	mu   sync.Mutex
	kept map[string]keptSecret
}

type keptSecret struct {
	value  string
	readAt time.Time
}

// get returns the secret of that name, as it was at most a minute before now.
func (s *secrets) get(ctx context.Context, name string, now time.Time) (string, error) {
	s.mu.Lock()
	kept, ok := s.kept[name]
	s.mu.Unlock()
	if ok && now.Sub(kept.readAt).Abs() < secretFor {
		return kept.value, nil
	}
	if s.read == nil {
		return "", errors.New("there are no secrets for other providers")
	}
	value, err := s.read(ctx, name)
	if err != nil {
		return "", fmt.Errorf("read the secret %s: %w", name, err)
	}
	if value == "" {
		return "", fmt.Errorf("read the secret %s: it is empty", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		s.kept = map[string]keptSecret{}
	}
	s.kept[name] = keptSecret{value, now}
	return value, nil
}
