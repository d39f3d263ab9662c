package session

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of single inputs that a family's record keeps, in bytes; [store.MaxFamilySize]
// limits the whole record. A longer scope or audience is refused. A longer description,
// which grants nothing, is cut.
const (
	MaxScope     = 1024
	MaxAudiences = 8   // values, not bytes
	MaxText      = 256 // of a device name and of a user agent, which are cut
	MaxACR       = 128
	MaxAMR       = 128 // all values, joined with spaces
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

// Describe returns a description (a device name, a user agent) as records keep it: with
// spaces for control characters, and cut to [MaxText] bytes.
func Describe(s string) string {
	return Cut(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, s), MaxText)
}

// IsClientID reports whether id is 1 to 64 letters, digits, dots, underscores and
// hyphens. A regular expression would have to be compiled at each cold start.
func IsClientID(id string) bool {
	const characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	return id != "" && len(id) <= 64 && strings.Trim(id, characters) == ""
}

// ErrScope is returned by [ParseScope] for a text that is not a scope.
var ErrScope = errors.New("not a scope")

// ParseScope splits a scope into its tokens, each of them once (RFC 6749 §3.3). It
// returns nil for the empty scope.
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
