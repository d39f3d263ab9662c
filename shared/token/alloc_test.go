//go:build !race

package token_test

import "testing"

// TestAllocations checks that a token is made and parsed without needless allocations. Under
// the race detector sync.Pool drops items at random, so the file has a build tag.
func TestAllocations(t *testing.T) {
	c, users := newCodec(t), newUserKeys(t)
	tok := sample(t)
	s := c.Mint(tok, start).Reveal()
	forged := s[:len(s)-1] + "A"
	if forged == s {
		forged = s[:len(s)-1] + "Q"
	}
	for _, test := range []struct {
		name string
		most float64
		run  func()
	}{
		{"Mint", 1, func() { _ = c.Mint(tok, start) }},
		{"Parse", 0, func() { _, _ = c.Parse(s) }},
		{"Parse, forged", 0, func() { _, _ = c.Parse(forged) }},
		{"UserKey", 0, func() { _ = users.Key("auth0|5f7c8ec7c33c6c004bbafe82") }},
	} {
		if got := testing.AllocsPerRun(1000, test.run); got > test.most {
			t.Errorf("%s allocates %v times, want at most %v", test.name, got, test.most)
		}
	}
}
