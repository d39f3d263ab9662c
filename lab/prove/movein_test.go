//go:build prove

package prove

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// moved is how many sessions move in while the program is killed.
var moved = flag.Int("moved", 1000, "sessions of another provider that move in while the local program is killed")

const (
	movers      = 8                // apps that move in at a time
	perImport   = 100              // tokens of one call
	movingTakes = 25 * time.Second // at least
	movingSpa   = "moving-spa"
	imported    = "imported"
	foreignFmt  = "old-%07d-of-another-provider"
)

// moving is a session of another provider: its refresh token there, and its family here.
type moving struct{ token, family string }

// importAll imports the sessions, and returns them.
func (l *load) importAll() []moving {
	l.t.Helper()
	must(l.t, l.http, http.MethodPut, *l.url.Load()+"/v1/clients/"+movingSpa, map[string]any{"type": "public", "accepts_imported": true})
	all := make([]moving, *moved)
	for from := 0; from < len(all); from += perImport {
		batch := all[from:min(from+perImport, len(all))]
		var rows []map[string]string
		for n := range batch {
			batch[n].token = fmt.Sprintf(foreignFmt, from+n)
			hash := sha256.Sum256([]byte(batch[n].token))
			rows = append(rows, map[string]string{"user_id": fmt.Sprintf("mover-%d", (from+n)/10), "token_sha256": hex.EncodeToString(hash[:])})
		}
		a := must(l.t, l.http, http.MethodPost, *l.url.Load()+"/v1/imports", map[string]any{"client_id": movingSpa, "tokens": rows})
		results, ok := a.body["tokens"].([]any)
		if !ok || len(results) != len(batch) {
			l.t.Fatalf("an import is answered %v", a)
		}
		for n, r := range results {
			result, _ := r.(map[string]any)
			if result["result"] != imported {
				l.t.Fatalf("the import of a token is answered %v", result)
			}
			batch[n].family, _ = result["family"].(string)
		}
	}
	return all
}

// moveIn lets apps use their tokens of another provider here, each for the first time, as long as the
// programs are killed. It returns those that have tokens of ours then.
func (l *load) moveIn(all []moving) []*follower {
	var mu sync.Mutex
	var in []*follower
	next := make(chan moving)
	var apps sync.WaitGroup
	for range movers {
		apps.Go(func() {
			for m := range next {
				f, err := l.firstUse(m)
				if err != nil {
					l.check(err)
					continue
				}
				mu.Lock()
				in = append(in, f)
				mu.Unlock()
			}
		})
	}
	pace := time.NewTicker(max(movingTakes/time.Duration(len(all)), 1)) // so that many of the kills meet some
	defer pace.Stop()
	for _, m := range all {
		<-pace.C
		next <- m
	}
	close(next)
	apps.Wait()
	return in
}

// firstUse presents the token of another provider until there is an answer, and once more. Both answers
// must have token 1 of its family.
func (l *load) firstUse(m moving) (*follower, error) {
	l.clock.RLock()
	defer l.clock.RUnlock()
	refresh := l.refreshAs(movingSpa)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	first := ""
	for first == "" {
		a, err := refresh(m.token)
		if err != nil || a.status == http.StatusServiceUnavailable {
			l.seen.uncertain.Add(1)
			select {
			case <-again.C:
				continue
			case <-l.ctx.Done():
				return nil, l.ctx.Err()
			}
		}
		first = a.text("refresh_token")
		family, n, err := readToken(first)
		if err != nil || family != m.family || n != 1 {
			return nil, fmt.Errorf("family %s: another provider's token is answered %v, token %d of family %s", m.family, a, n, family)
		}
	}
	if a, err := refresh(m.token); err == nil && a.status != http.StatusServiceUnavailable && a.text("refresh_token") != first {
		return nil, fmt.Errorf("family %s: another provider's token, presented once more, has another successor: %v", m.family, a)
	}
	return &follower{
		family: m.family, tokens: []string{first}, era: l.era.Load(),
		refresh: refresh, counter: l.counter, seen: &l.seen,
	}, l.ctx.Err()
}
