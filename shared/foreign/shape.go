// Package foreign knows the refresh tokens of other providers, with which sessions move in.
package foreign

import "strings"

// MaxToken is how long a foreign token is at most, in bytes. Cognito's are the longest that we
// know, with some 1,800.
const MaxToken = 4096

// Shape is what a client's foreign tokens look like. The zero Shape is that of any token.
type Shape struct {
	Prefix string `json:"prefix,omitempty"` // "" for any
	Length int    `json:"length,omitempty"` // in bytes; 0 for any
}

// Fits reports whether a token has the shape. A token is made of visible ASCII characters
// (RFC 6749 appendix A.17, without the space).
func (s *Shape) Fits(presented string) bool {
	if s == nil || presented == "" || len(presented) > MaxToken || s.Length != 0 && len(presented) != s.Length {
		return false
	}
	return strings.HasPrefix(presented, s.Prefix) && !strings.ContainsFunc(presented, isInvisible)
}

func isInvisible(r rune) bool { return r <= ' ' || r > '~' }
