package tokensource_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/clients/tokensource"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestRandom checks three processes whose clocks are wrong by up to an hour, and
// which are restarted now and then. They share a session through up to three
// failures each of the wire, of loading and of saving for each job, in any order. No
// job fails, none moves the counter by more than one, and none sends more than one
// request besides those that were made to fail.
func TestRandom(t *testing.T) {
	for seed := range uint64(storetest.Size(40, 10)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			w := newWorld(t)
			w.call(http.MethodPut, "/v1/clients/jobs", `{"type":"public","policy":{"access_token_lifetime":60}}`)
			store := &faultyStore{Store: tokensource.NewMemory()}
			family := w.begun("jobs", store)
			w.wire.breaks(nil)
			var processes [3]*tokensource.Source
			refreshes, before := 0, 1
			for job := range 40 {
				i := random.IntN(len(processes))
				if processes[i] == nil || random.IntN(4) == 0 {
					var skew atomic.Int64
					skew.Store(int64(time.Duration(random.IntN(7200)-3600) * time.Second))
					processes[i] = w.source("jobs", store, &skew)
				}
				wire, load, save := random.IntN(4), random.IntN(4), random.IntN(4)
				kinds := []fault{lost, cut, failed, failedAfter, busy, unreachable}
				allowed := wire + 1
				w.wire.breaks(func(int) fault {
					if wire == 0 {
						return none
					}
					wire--
					return kinds[random.IntN(len(kinds))]
				})
				countdown := func(n *int) func(int) error {
					return func(int) error {
						if *n == 0 || random.IntN(2) == 0 {
							return nil
						}
						*n--
						return errStore
					}
				}
				store.load, store.save = countdown(&load), countdown(&save)
				_, err := processes[i].TokenContext(t.Context())
				store.mend()
				if err != nil {
					t.Fatalf("job %d: %v", job, err)
				}
				counter, status := w.family(family)
				if status != "active" || counter > before+1 || w.wire.requests() > allowed {
					t.Fatalf("job %d: %d requests, counter %d after %d, %s", job, w.wire.requests(), counter, before, status)
				}
				refreshes, before = refreshes+counter-before, counter
				w.clock.Advance(time.Duration(random.IntN(90)) * time.Second)
			}
			if refreshes < 10 {
				t.Errorf("only %d refreshes took place", refreshes)
			}
		})
	}
}
