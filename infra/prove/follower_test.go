//go:build prove

package prove

import (
	"fmt"
	"net/http"
	"sync/atomic"
)

// follower is an app that holds one family and follows its rotation: it refreshes
// with the token that it holds, and again with the same one when there is no
// answer, however often. Nobody else has the family.
type follower struct {
	family string
	tokens []string // token n is at n-1; the last is the one that it holds

	refresh func(token string) (answer, error) // an error is no answer
	counter func(family string) (int, error)   // what the record says
	seen    *cuts
}

// cuts counts, over all followers, what came of requests without an answer.
type cuts struct {
	answered atomic.Int64 // refreshes
	cut      atomic.Int64 // attempts without an answer
	written  atomic.Int64 // refreshes whose rotation was written, but not answered
}

// next refreshes, until there is an answer. It is an error if that is not the
// successor of the token that was held.
func (f *follower) next() error {
	held := len(f.tokens)
	cut, written := 0, false
	for {
		a, err := f.refresh(f.tokens[held-1])
		if err == nil && a.status != http.StatusServiceUnavailable {
			if err := f.take(a); err != nil {
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
		if n != held && n != held+1 {
			return fmt.Errorf("family %s: token %d is held, and the counter is %d", f.family, held, n)
		}
		written = written || n == held+1
	}
	f.seen.answered.Add(1)
	if cut == 0 {
		return nil
	}
	if written {
		f.seen.written.Add(1)
	}
	// Should the request come again that was not answered, there is no other
	// successor.
	a, err := f.refresh(f.tokens[held-1])
	if err != nil || a.status == http.StatusServiceUnavailable {
		return nil // cut again
	}
	if a.text("refresh_token") != f.tokens[held] {
		return fmt.Errorf("family %s: token %d, presented once more, has another successor: %v", f.family, held, a)
	}
	return nil
}

// take holds the token of an answer, which must be the next one.
func (f *follower) take(a answer) error {
	if a.status != http.StatusOK {
		return fmt.Errorf("family %s: token %d is answered %v", f.family, len(f.tokens), a)
	}
	token := a.text("refresh_token")
	family, n, err := readToken(token)
	if err != nil {
		return err
	}
	if family != f.family || n != len(f.tokens)+1 {
		return fmt.Errorf("family %s: token %d is answered with token %d of family %s", f.family, len(f.tokens), n, family)
	}
	f.tokens = append(f.tokens, token)
	return nil
}
