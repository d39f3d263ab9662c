package console

import (
	"crypto/rand"
	"sync"
	"time"
)

const (
	maxNotes = 64              // that wait to be shown
	noteLife = 2 * time.Minute // for which one waits
)

// note is what a page says once about the form before it. It may hold a client's secret, so it
// is kept here, and the address of the page has the note's key alone.
type note struct {
	Text     string
	Warnings []string
	Secret   string
}

// notes are the notes that were not shown yet. It is safe for concurrent use.
type notes struct {
	mu      sync.Mutex
	waiting []waitingNote // oldest first
}

type waitingNote struct {
	key   string
	until time.Time
	note  note
}

// put keeps a note until it is shown, and returns its key.
func (n *notes) put(what note, now time.Time) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.expire(now)
	if len(n.waiting) == maxNotes {
		n.waiting = n.waiting[1:]
	}
	w := waitingNote{rand.Text(), now.Add(noteLife), what}
	n.waiting = append(n.waiting, w)
	return w.key
}

// take returns the note with the key, the first time that it is asked for, or else nil.
func (n *notes) take(key string, now time.Time) *note {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.expire(now)
	for i, w := range n.waiting {
		if w.key == key {
			n.waiting = append(n.waiting[:i:i], n.waiting[i+1:]...)
			return &w.note
		}
	}
	return nil
}

// expire forgets the notes that nobody came for. Each waits as long as the others.
func (n *notes) expire(now time.Time) {
	for len(n.waiting) > 0 && !now.Before(n.waiting[0].until) {
		n.waiting = n.waiting[1:]
	}
}
