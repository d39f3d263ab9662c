package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestRegistryIsBounded checks that each cache of the registry has 1,000 ids at most, and
// drops the one that was read longest ago.
func TestRegistryIsBounded(t *testing.T) {
	table, rt := storetest.Open(t)
	now := storetest.NewClock().Now()
	const most = 1000
	id := func(kind string, i int) string { return fmt.Sprint(kind, "-", i) }
	for i := range most + 1 {
		if _, _, err := table.PutClient(t.Context(), &store.Client{ID: id("known", i), Policy: family.DefaultPolicy(), UpdatedAt: now}); err != nil {
			t.Fatal(err)
		}
	}
	for kind, want := range map[string]error{"known": nil, "unknown": store.ErrNotFound} {
		clients := store.NewRegistry(table, slog.New(slog.DiscardHandler))
		ask := func(i int, at time.Time) (reads int) {
			t.Helper()
			rt.Counted()
			if _, err := clients.Client(t.Context(), id(kind, i), at); !errors.Is(err, want) {
				t.Fatal(err)
			}
			return len(rt.Counted())
		}
		for i := range most {
			ask(i, now.Add(time.Duration(i)*time.Millisecond))
		}
		at := now.Add(most * time.Millisecond)
		if ask(0, at) != 0 || ask(most-1, at) != 0 {
			t.Errorf("%s: of %d one was dropped", kind, most)
		}
		ask(most, at)
		if ask(1, at) != 0 || ask(most, at) != 0 {
			t.Errorf("%s: it was not the oldest that was dropped", kind)
		}
		if ask(0, at) != 1 {
			t.Errorf("%s: none of %d was dropped", kind, most+1)
		}
	}
}

// TestRegistryReadsForAll checks that simultaneous callers for one client share one read,
// which continues if the caller that began it gives up.
func TestRegistryReadsForAll(t *testing.T) {
	table, rt := storetest.Open(t)
	now := storetest.NewClock().Now()
	if _, _, err := table.PutClient(t.Context(), &store.Client{ID: "app", Policy: family.DefaultPolicy(), UpdatedAt: now}); err != nil {
		t.Fatal(err)
	}
	clients := store.NewRegistry(table, slog.New(slog.DiscardHandler))
	waits, release := rt.Hold("GetItem")
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := clients.Client(ctx, "app", now)
		left <- err
	}()
	<-waits
	var others sync.WaitGroup
	const n = 10
	for range n {
		others.Go(func() {
			if c, err := clients.Client(t.Context(), "app", now); err != nil || c.ID != "app" {
				t.Errorf("got %+v: %v", c, err)
			}
		})
	}
	for began := time.Now(); reading() < 1+n; runtime.Gosched() {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("of %d only %d wait for the read", 1+n, reading())
		}
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the one who left got %v", err)
	}
	release()
	others.Wait()
	if calls := rt.Counted(); !slices.Equal(calls, []string{"GetItem"}) {
		t.Errorf("the store was asked %v", calls)
	}
}

// reading returns how many callers wait for a client.
func reading() int {
	stacks := make([]byte, 1<<20)
	waiting := 0
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if header, calls, _ := strings.Cut(stack, "\n"); strings.Contains(header, "[select") && strings.HasPrefix(calls, "github.com/rotor-auth/rotor/shared/store.(*Registry).read(") {
			waiting++
		}
	}
	return waiting
}

// TestRegistryOfAClockSetBack checks a clock that is set back. Ids that were unknown or could
// not be read are read again, and no copy is served longer than one that was read just now.
func TestRegistryOfAClockSetBack(t *testing.T) {
	for _, back := range []time.Duration{-2 * time.Hour, -time.Hour} {
		table, rt := storetest.Open(t)
		now := storetest.NewClock().Now()
		clients := store.NewRegistry(table, slog.New(slog.DiscardHandler))
		if _, err := clients.Client(t.Context(), "app", now); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		if _, _, err := table.PutClient(t.Context(), &store.Client{ID: "app", Policy: family.DefaultPolicy(), UpdatedAt: now}); err != nil {
			t.Fatal(err)
		}
		if _, err := clients.Client(t.Context(), "app", now.Add(back)); err != nil {
			t.Errorf("%v: unknown before, now %v", back, err)
		}

		if _, err := clients.Client(t.Context(), "app", now.Add(2*time.Minute)); err != nil {
			t.Fatal(err)
		}
		rt.Break(func(int, string) storetest.Fault { return storetest.Timeout })
		if _, err := clients.Client(t.Context(), "app", now.Add(2*time.Minute+back)); err == nil {
			t.Errorf("%v: a copy of an hour later serves", back)
		}
		rt.Break(nil)

		// A read fails, and the clock is set back to before the pause. The next caller still
		// reads.
		if _, err := clients.Client(t.Context(), "app", now); err != nil {
			t.Fatal(err)
		}
		rt.Break(func(int, string) storetest.Fault { return storetest.Timeout })
		if _, err := clients.Client(t.Context(), "app", now.Add(30*time.Minute)); err != nil {
			t.Fatal(err)
		}
		rt.Break(nil)
		rt.Counted()
		if _, err := clients.Client(t.Context(), "app", now.Add(2*time.Minute)); err != nil {
			t.Fatal(err)
		}
		if calls := rt.Counted(); len(calls) != 1 {
			t.Errorf("%v: after a read that failed later than now the store was asked %v", back, calls)
		}
	}
}
