package keyring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

const (
	// maxAge is how old a copy of the secret may be before it is read again.
	maxAge = 5 * time.Minute
	// retryAfter is how long the old copy serves after a failed attempt, and how
	// old a copy must be to be read again for the sake of an unknown key.
	retryAfter = 30 * time.Second
	// setBack is how far the clock of one request may be behind another's. A
	// request that is further behind shows that the clock was set back.
	setBack = time.Minute
	// firstPatience and nextPatience bound one read: with an old copy at hand
	// no request should wait for long.
	firstPatience = 10 * time.Second
	nextPatience  = 2 * time.Second
)

// Secret is a Source that reads the current version of a secret in AWS Secrets
// Manager.
//
// It keeps a copy. A request that finds it older than five minutes reads the
// secret again, one at a time, while other requests go on with the copy. When
// that fails, the copy stays in use and the next attempt is 30 seconds later.
// A request that has the copy at hand waits for two seconds at most. Only while
// there is no copy at all do requests wait for the one that reads, and fail with
// it; then every request may try again.
//
// Besides age, a token that names a key which the copy does not have leads to a
// read: the key may have been made in an emergency, and be in use at once. As
// callers can send such tokens at will, they cause no more than one read in 30
// seconds.
//
// How old a copy is cannot be told once the clock was set back. It is then taken
// for as old as can be, until it is read again.
type Secret struct {
	client *secretsmanager.Client
	id     string
	log    *slog.Logger

	mu       sync.Mutex
	keys     *Keys     // nil until they have been read once
	readAt   time.Time // when keys were asked for; zero where the clock was set back since
	latest   time.Time // the latest time at which they were used since
	failedAt time.Time // the last attempt, if it failed; zero otherwise
	reading  *reading  // nil while nobody reads
}

// reading is one read of the secret, which several requests may wait for. Its
// result is set before done is closed.
type reading struct {
	done chan struct{}
	keys *Keys
	err  error
}

// SecretsManager is the keys in the secret of that name or ARN. It reads nothing
// before it is asked for keys. Failures that a copy makes up for go to log;
// others are returned.
func SecretsManager(client *secretsmanager.Client, id string, log *slog.Logger) *Secret {
	return &Secret{client: client, id: id, log: log}
}

// Keys returns the copy, read again first if it is due. Without a copy the error
// wraps ErrUnavailable: also where the secret has no value yet or not one that
// is a Document.
func (s *Secret) Keys(ctx context.Context, now time.Time) (*Keys, error) {
	return s.noOlder(ctx, now, maxAge)
}

// Newer returns the copy, read again first unless it is half a minute old at most.
// Where the read fails, or has failed in the last half minute, the copy is Overdue.
func (s *Secret) Newer(ctx context.Context, now time.Time) (*Keys, error) {
	return s.noOlder(ctx, now, retryAfter)
}

// noOlder returns keys that are no older than that, if they can be read.
func (s *Secret) noOlder(ctx context.Context, now time.Time, than time.Duration) (*Keys, error) {
	read, old := s.due(ctx, now, than)
	if read == nil {
		return old, nil
	}
	var err error
	select {
	case <-read.done:
		if read.err == nil {
			return read.keys, nil
		}
		err = read.err
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if old != nil {
		return old, nil
	}
	return nil, fmt.Errorf("keyring: read secret: %w: %w", ErrUnavailable, err)
}

// due returns the read to wait for, starting it if nobody has, or nil where the
// copy will do. The copy, if there is one, is returned in either case.
func (s *Secret) due(ctx context.Context, now time.Time, oldest time.Duration) (*reading, *Keys) {
	s.mu.Lock()
	defer s.mu.Unlock()
	patience := firstPatience
	var old *Keys
	if s.keys != nil {
		age := s.age(now)
		if age <= oldest {
			return nil, s.keys
		}
		old = s.overdue(age)
		failed := !s.failedAt.IsZero() && now.Sub(s.failedAt).Abs() < retryAfter
		// Who reads for the sake of age need not be two; who has met an unknown key
		// cannot go on without an answer.
		if failed || s.reading != nil && oldest == maxAge {
			return nil, old
		}
		patience = nextPatience
	}
	if s.reading == nil {
		s.reading = &reading{done: make(chan struct{})}
		// Others wait for this read too: it outlives the request.
		go s.read(context.WithoutCancel(ctx), s.reading, now, patience)
	}
	return s.reading, old
}

// age returns how old the copy is at now.
func (s *Secret) age(now time.Time) time.Duration {
	if now.Before(s.latest.Add(-setBack)) {
		s.readAt = time.Time{}
	}
	if now.After(s.latest) {
		s.latest = now
	}
	return now.Sub(s.readAt)
}

// overdue returns the copy, marked as one that was to be read again.
func (s *Secret) overdue(age time.Duration) *Keys {
	old := *s.keys
	old.Overdue = true
	old.Stale = age > macLead
	return &old
}

// read reads the secret and settles r.
func (s *Secret) read(ctx context.Context, r *reading, now time.Time, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r.keys, r.err = s.fetch(ctx)

	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(r.done)
	s.reading = nil
	if r.err == nil {
		s.keys, s.readAt, s.latest, s.failedAt = r.keys, now, now, time.Time{}
		return
	}
	if s.keys != nil {
		s.failedAt = now
		s.log.WarnContext(ctx, "keys not read again, the old copy stays in use", "error", r.err, "read_at", s.readAt)
	}
}

func (s *Secret) fetch(ctx context.Context) (*Keys, error) {
	out, err := s.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{
		SecretId:     aws.String(s.id),
		VersionStage: aws.String("AWSCURRENT"),
	})
	if err != nil {
		return nil, err
	}
	if out.SecretString == nil {
		return nil, errors.New("the secret has no text")
	}
	d, err := Parse([]byte(*out.SecretString))
	if err != nil {
		return nil, err
	}
	return d.Compile()
}
