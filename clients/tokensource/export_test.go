package tokensource

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// WithClock replaces the clocks. It also removes all randomness, and makes callers
// wait for refreshes however long they take.
func WithClock(wall func() time.Time, steady func() time.Duration, sleep func(context.Context, time.Duration) error) Option {
	return func(s *Source) {
		s.clock = clock{
			now:    func() moment { return moment{wall(), steady()} },
			sleep:  sleep,
			after:  func(time.Duration) <-chan time.Time { return nil },
			random: func() float64 { return 0.5 },
		}
	}
}

// WithCourtesy replaces the timer that ends a caller's wait for a refresh while it
// has a token.
func WithCourtesy(after func(time.Duration) <-chan time.Time) Option {
	return func(s *Source) { s.clock.after = after }
}

// Lock takes the lock of a token file, as another process would.
func Lock(ctx context.Context, path string) (unlock func() error, err error) {
	f := NewFile(path)
	folder, err := f.enter()
	if err != nil {
		return nil, err
	}
	file, err := f.lock(ctx, folder)
	if err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	return func() error { return errors.Join(file.Close(), folder.Close()) }, nil
}

// Belongs makes the named file or folder belong to another user, as seen by the
// store.
func Belongs(f *File, name string, uid int) {
	f.owner = func(info fs.FileInfo) (int, uint64, error) {
		real, links, err := owner(info)
		path, _ := f.resolve()
		if info.Name() == name || info.Name() == "." && filepath.Base(path) == name {
			real = uid
		}
		return real, links, err
	}
}

// Between calls do once, after a file was checked and before it is opened.
func Between(f *File, do func()) {
	var once sync.Once
	f.owner = func(info fs.FileInfo) (int, uint64, error) {
		uid, links, err := owner(info)
		if info.Mode().IsRegular() {
			once.Do(do)
		}
		return uid, links, err
	}
}

// OwnerOf returns the owner of the file at path.
func OwnerOf(path string) (int, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, err
	}
	uid, _, err := owner(info)
	return uid, err
}

// WithRandom makes every random number r.
func WithRandom(r float64) Option {
	return func(s *Source) { s.clock.random = func() float64 { return r } }
}

// WithSecret gives the client a secret.
func WithSecret(secret string) Option { return func(s *Source) { s.conf.ClientSecret = secret } }

// EarlyOf returns how long before its end a process refreshes a new access token.
func EarlyOf(lifetime time.Duration) time.Duration {
	c := systemClock()
	now := c.now()
	h := hold(state{AccessToken: "x", ExpiresIn: int64(lifetime / time.Second), ObtainedAt: now.wall}, 1, nil, now, c.random())
	for d := time.Duration(0); ; d += 10 * time.Millisecond {
		if !h.fresh(moment{now.wall, now.steady + d}) {
			return lifetime - d
		}
	}
}

// Rejected returns the access token after the given one was rejected.
func Rejected(s *Source, accessToken string) (string, error) {
	h, err := s.get(context.Background(), accessToken)
	if err != nil {
		return "", err
	}
	return h.AccessToken, nil
}
