package keyring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

const (
	// maxAge is the age at which a copy of the secret is read again.
	maxAge = 5 * time.Minute
	// retryAfter is how long the old copy is used after a failed read, and the age
	// from which an unknown key causes a read.
	retryAfter = 30 * time.Second
	// setBack is how far the time of one request may be behind that of an earlier
	// one. A request that is further behind shows that the clock was set back.
	setBack = time.Minute
	// firstPatience and nextPatience are the time limits of a read, without a copy
	// and with one. A request that has a copy should not wait for long.
	firstPatience = 10 * time.Second
	nextPatience  = 2 * time.Second
)

// Secret is a [Source] that reads the keys that a program needs from the [Secrets] in
// AWS Secrets Manager.
//
// It keeps a copy. A request that finds the copy older than five minutes reads the
// secrets again, while other requests use the copy. If that read fails, the copy
// stays in use, and the next attempt is made 30 seconds later. A request waits for
// at most two seconds if there is a copy. If there is none, requests wait for the
// one read and fail if it does; after that, the next request tries again.
//
// A token that names a key which the copy lacks also causes a read: the key may have
// been made in an emergency and put into use at once. Because callers can send such
// tokens at will, they cause at most one read in 30 seconds.
//
// After the clock was set back, the age of the copy is unknown. The copy then counts
// as infinitely old until it is read again.
type Secret struct {
	client  *secretsmanager.Client
	secrets Secrets
	need    Need
	log     *slog.Logger

	mu       sync.Mutex
	keys     *Keys     // nil until they have been read once
	readAt   time.Time // when the read of keys began; zero if the clock was set back since
	latest   time.Time // the latest time of a request since then
	failedAt time.Time // when the last read began, if it failed; zero otherwise
	reading  *reading  // the read in progress, or nil
}

// reading is one read of the secret. Several requests may wait for it. Its result is
// set before done is closed.
type reading struct {
	done chan struct{}
	keys *Keys
	err  error
}

// SecretsManager returns a [Source] of those keys in the secrets that are needed. It reads
// nothing before the first request for keys. It logs failures if there is a copy to use
// instead, and returns them otherwise.
func SecretsManager(client *secretsmanager.Client, secrets Secrets, need Need, log *slog.Logger) *Secret {
	return &Secret{client: client, secrets: secrets, need: need, log: log}
}

// Keys returns the copy, after reading it again if that is due. If there is no copy,
// the error wraps ErrUnavailable, also if the secret has no value yet or one that is
// not a [Document].
func (s *Secret) Keys(ctx context.Context, now time.Time) (*Keys, error) {
	return s.noOlder(ctx, now, maxAge)
}

// Newer returns the copy, after reading it again if it is more than 30 seconds old.
// If the read fails, or one has failed within the last 30 seconds, the copy is
// Overdue.
func (s *Secret) Newer(ctx context.Context, now time.Time) (*Keys, error) {
	return s.noOlder(ctx, now, retryAfter)
}

// noOlder returns keys that are no older than the given age, if they can be read.
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

// due returns the read to wait for, which it starts if none is in progress, or nil if
// the copy is recent enough. It returns the copy in either case, if there is one.
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
		// A request that only finds the copy old leaves the read to the one under
		// way. A request with an unknown key needs the answer, and waits for it.
		if failed || s.reading != nil && oldest == maxAge {
			return nil, old
		}
		patience = nextPatience
	}
	if s.reading == nil {
		s.reading = &reading{done: make(chan struct{})}
		// Other requests wait for this read too, so it outlives this one.
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

// overdue returns the copy, marked as one that should have been read again.
func (s *Secret) overdue(age time.Duration) *Keys {
	old := *s.keys
	old.Overdue = true
	old.Stale = age > macLead
	return &old
}

// read reads the secret and sets the result of r.
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

// fetch reads the secrets, both at once. They may change in between: the next read has
// what this one lacks.
func (s *Secret) fetch(ctx context.Context) (*Keys, error) {
	var d, sign *Document
	var signErr error
	var other sync.WaitGroup
	if s.secrets.apart() {
		other.Go(func() { sign, signErr = s.fetchSigning(ctx) })
	}
	var err error
	if s.need != ToPublish || !s.secrets.apart() {
		d, err = s.fetchToken(ctx)
	}
	other.Wait()
	if err := errors.Join(err, signErr); err != nil {
		return nil, err
	}
	if s.secrets.apart() && sign == nil && d == nil {
		// The public keys are not apart yet, and only then can they be read elsewhere.
		d, err = s.fetchToken(ctx)
		if err != nil {
			return nil, fmt.Errorf("there are no public keys yet: %w", err)
		}
	}
	if d == nil {
		d = new(Document)
	}
	if sign != nil {
		d.Signing = sign.Signing
	}
	return s.need.compile(d)
}

// fetchToken reads the secret of the token keys, which may have the signing keys too.
func (s *Secret) fetchToken(ctx context.Context) (*Document, error) {
	text, err := getText(ctx, s.client, s.secrets.Token, labelCurrent)
	if err != nil {
		return nil, err
	}
	return s.secrets.parse(s.secrets.Token, text)
}

// fetchSigning reads the private or the public keys in the secret of the signing keys. It
// returns nil if there are none yet.
func (s *Secret) fetchSigning(ctx context.Context) (*Document, error) {
	label := LabelPublic
	if s.need == ToIssue {
		label = labelCurrent
	}
	text, err := getText(ctx, s.client, s.secrets.Signing, label)
	if missing := new(types.ResourceNotFoundException); label == LabelPublic && errors.As(err, &missing) {
		return nil, nil //nolint:nilnil // not published yet, and nothing wrong with that
	}
	if err != nil {
		return nil, err
	}
	if placeholder(text) {
		return nil, nil //nolint:nilnil // as above
	}
	return s.secrets.parse(s.secrets.Signing, text)
}
