//go:build prove

package prove

import (
	"fmt"
	"net/http"
	"sync/atomic"
)

// follower is an app that holds one family and follows its rotation. It refreshes with the
// token that it holds, and repeats that with the same token until there is an answer. Nobody
// else uses the family.
type follower struct {
	family string
	tokens []string // token n is at n-1; the follower holds the last
	era    int64    // era in which the last was made; 0 for the first token

	refresh func(token string) (answer, error) // an error means that there was no answer
	counter func(family string) (int, error)   // returns the counter of the record
	seen    *cuts
}

// cuts counts what followed from requests without an answer, over all followers.
type cuts struct {
	answered  atomic.Int64 // refreshes that were answered
	held      atomic.Int64 // those that got the presented token again
	cut       atomic.Int64 // attempts without an answer
	uncertain atomic.Int64 // uses of another provider's token without an answer
	written   atomic.Int64 // refreshes whose rotation was written but not answered
}

// outcome is what a refresh with the newest token must do.
type outcome int

const (
	either  outcome = iota
	rotates         // gets the next token, as the last rotation is a reuse interval ago
	holds           // gets the same token
)

// next refreshes until there is an answer, and returns an error if it is not the wanted one.
func (f *follower) next(want outcome) error {
	newest := len(f.tokens)
	presented := f.tokens[newest-1]
	cut, written := 0, false
	for {
		a, err := f.refresh(presented)
		if err == nil && a.status != http.StatusServiceUnavailable {
			if err := f.take(a, want); err != nil {
				return fmt.Errorf("after %d attempts without an answer (%t that one was written): %w", cut, written, err)
			}
			break
		}
		cut++
		f.seen.cut.Add(1)
		n, err := f.counter(f.family)
		if err != nil {
			return err
		}
		if n != newest && (n != newest+1 || want == holds) {
			return fmt.Errorf("family %s: token %d is held, and the counter is %d", f.family, newest, n)
		}
		written = written || n == newest+1
	}
	f.seen.answered.Add(1)
	if len(f.tokens) == newest {
		f.seen.held.Add(1)
	}
	if cut == 0 {
		return nil
	}
	if written {
		f.seen.written.Add(1)
	}
	// If the unanswered request arrives later, it must not make another successor.
	a, err := f.refresh(presented)
	if err != nil || a.status == http.StatusServiceUnavailable {
		return nil // there was no answer again
	}
	if a.text("refresh_token") != f.tokens[len(f.tokens)-1] {
		return fmt.Errorf("family %s: token %d, presented once more, has another successor: %v", f.family, newest, a)
	}
	return nil
}

// take stores the token of an answer, which must be the next token or the one that is held.
func (f *follower) take(a answer, want outcome) error {
	held := len(f.tokens)
	if a.status != http.StatusOK {
		return fmt.Errorf("family %s: token %d is answered %v", f.family, held, a)
	}
	token := a.text("refresh_token")
	family, n, err := readToken(token)
	if err != nil {
		return err
	}
	if token == f.tokens[held-1] && want != rotates {
		return nil
	}
	if family != f.family || n != held+1 || want == holds {
		return fmt.Errorf("family %s: token %d is answered with token %d of family %s", f.family, held, n, family)
	}
	f.tokens = append(f.tokens, token)
	return nil
}
