package origin

import (
	"slices"
	"strings"
)

// The words that stand for many origins in a list. [ParseSet] accepts Any alone. Loopback is
// a word of the program that runs on loopback, and stands for [Set.AndLoopback].
const (
	Any      = "*"
	Loopback = "loopback"
)

// Set is a set of origins that may call. The zero Set is empty.
type Set struct {
	any      bool
	loopback bool
	origins  []string // as [Parse] returns them
}

// ParseSet parses a list of origins, or [Any]. For each value that is not an origin it
// calls wrong with the value and what it must be, and leaves it out. It ignores empty
// values and spaces around a value.
func ParseSet(values []string, wrong func(value, want string)) Set {
	var s Set
	for _, value := range values {
		value = strings.TrimSpace(value)
		switch value {
		case "":
			continue
		case Any:
			s.any = true
			continue
		}
		o, err := Parse(value)
		switch {
		case err != nil:
			wrong(value, err.Error())
		case !slices.Contains(s.origins, o):
			s.origins = append(s.origins, o)
		}
	}
	return s
}

// AndLoopback returns s with the http and https origins of this machine on any port.
func (s Set) AndLoopback() Set {
	s.loopback = true
	return s
}

// Any reports whether every origin is in s.
func (s Set) Any() bool { return s.any }

// Has reports whether the value of an Origin header is an origin in s. Letter case makes no
// difference: browsers send lower case, except in the hosts of some non-web schemes.
func (s Set) Has(header string) bool {
	if s.any {
		return true
	}
	o, err := Parse(header)
	if err != nil || !strings.EqualFold(o, header) { // it must be as browsers send it, not merely as people may write it
		return false
	}
	if slices.Contains(s.origins, o) {
		return true
	}
	if !s.loopback {
		return false
	}
	p, err := parse(o)
	return err == nil && p.isLoopback()
}

// Hosts returns the names of the hosts of the origins in s, sorted. It returns none for the words.
func (s Set) Hosts() []string {
	var hosts []string
	for _, o := range s.origins {
		if p, err := parse(o); err == nil {
			hosts = append(hosts, p.host)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// String returns the origins separated by commas, as in a setting.
func (s Set) String() string {
	var all []string
	if s.any {
		all = append(all, Any)
	}
	if s.loopback {
		all = append(all, Loopback)
	}
	return strings.Join(append(all, s.origins...), ",")
}

// Equal reports whether s and t have the same origins in the same order.
func (s Set) Equal(t Set) bool {
	return s.any == t.any && s.loopback == t.loopback && slices.Equal(s.origins, t.origins)
}
