package session

import (
	"sync"
	"time"
)

const (
	// outageAfter is how many exchanges in a row may be lost at a client's provider before no more are
	// begun. Each of them may cost a session.
	outageAfter = 3
	// outageFor is how long none is begun then. After that one is, and if it is lost as well, the next
	// waits as long.
	outageFor = 30 * time.Second
)

// outages remembers for which clients the exchanges at their providers are being lost: the provider is
// down in a way that leaves open whether a token is spent, or the client's settings cannot read its
// answers. It is safe for concurrent use.
type outages struct {
	mu   sync.Mutex
	seen map[string]outage
}

type outage struct {
	lost int // in a row
	last time.Time
}

// now reports whether no exchange must be begun for the client.
func (o *outages) now(clientID string, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := o.seen[clientID]
	return seen.lost >= outageAfter && now.Sub(seen.last).Abs() < outageFor
}

// lost records that an exchange begun at now was lost.
func (o *outages) lost(clientID string, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen == nil {
		o.seen = map[string]outage{}
	}
	o.seen[clientID] = outage{o.seen[clientID].lost + 1, now}
}

// over records that the provider gave an answer that says what has become of a token.
func (o *outages) over(clientID string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.seen, clientID)
}
