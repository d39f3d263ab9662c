package tokensource_test

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/rotor-auth/rotor/clients/tokensource"
)

// race takes tokens from all sources at once, with the given number of goroutines
// each, and returns what they got.
func race(t *testing.T, goroutines int, sources ...*tokensource.Source) map[string]int {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	tokens := map[string]int{}
	for _, src := range sources {
		for range goroutines {
			all.Go(func() {
				token, err := src.Token()
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				tokens[token.AccessToken]++
				mu.Unlock()
			})
		}
	}
	all.Wait()
	return tokens
}

// TestRace checks that an expired token is refreshed once, however it is shared.
func TestRace(t *testing.T) {
	for _, client := range []string{"app", "strict"} {
		for _, test := range []struct {
			name                string
			open                func(w *world) func() tokensource.Store
			sources, goroutines int
		}{
			{"fifty goroutines, memory", func(*world) func() tokensource.Store {
				m := tokensource.NewMemory()
				return func() tokensource.Store { return m }
			}, 1, 50},
			{"four sources, file", func(*world) func() tokensource.Store {
				path := filepath.Join(private(t), "token")
				return func() tokensource.Store { return tokensource.NewFile(path) }
			}, 4, 12},
			{"four sources, DynamoDB", func(w *world) func() tokensource.Store { return openDynamo(w.t, w.dynamo) }, 4, 12},
		} {
			t.Run(client+", "+test.name, func(t *testing.T) {
				w := newWorld(t)
				open := test.open(w)
				family := w.begun(client, open())
				w.wire.breaks(nil)
				var sources []*tokensource.Source
				for range test.sources {
					sources = append(sources, w.onRealTime(client, open()))
				}
				tokens := race(t, test.goroutines, sources...)
				for token, n := range tokens {
					if n != test.sources*test.goroutines || !w.active(token) {
						t.Errorf("%d callers got a token that is active: %v", n, w.active(token))
					}
				}
				if counter, status := w.family(family); counter != 2 || status != "active" || w.wire.requests() != 1 || len(tokens) != 1 {
					t.Errorf("%d requests, %d tokens, counter %d, %s", w.wire.requests(), len(tokens), counter, status)
				}
			})
		}
	}
}
