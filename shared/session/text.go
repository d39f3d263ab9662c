package session

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of inputs that a family's record keeps, in bytes; those of its whole are
// [store.MaxFamilySize]. What means something is refused past its limit, a text that only
// describes is cut.
const (
	MaxScope     = 1024
	MaxAudiences = 8   // values
	MaxText      = 256 // of a device and a user agent, which are cut
)

// Cut returns the longest prefix of s that has at most n bytes and ends with a whole
// character.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Describe returns a text that only describes as records keep it: its control
// characters replaced, and cut.
func Describe(s string) string {
	return Cut(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, s), MaxText)
}

// IsClientID reports whether id is 1 to 64 letters, digits, dots, underscores and
// hyphens. It is no regular expression: to compile one is part of each cold start.
func IsClientID(id string) bool {
	const characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	return id != "" && len(id) <= 64 && strings.Trim(id, characters) == ""
}

// ErrScope is returned for a text that is not a scope.
var ErrScope = errors.New("not a scope")

// ParseScope splits a scope into its tokens, repeated ones once (RFC 6749 §3.3).
// The empty scope is nil.
func ParseScope(s string) ([]string, error) {
	if s == "" {
		return nil, nil
	}
	if len(s) > MaxScope {
		return nil, ErrScope
	}
	var scope []string
	seen := map[string]bool{}
	for t := range strings.SplitSeq(s, " ") {
		if t == "" || strings.ContainsFunc(t, func(c rune) bool { return c < '!' || c > '~' || c == '"' || c == '\\' }) {
			return nil, ErrScope
		}
		if !seen[t] {
			scope = append(scope, t)
			seen[t] = true
		}
	}
	return scope, nil
}
