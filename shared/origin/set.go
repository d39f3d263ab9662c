package origin

import (
	"slices"
	"strings"
)

// What stands for many origins in a list. [ParseSet] knows Any alone: Loopback is of
// the program that runs on loopback.
const (
	Any      = "*"
	Loopback = "loopback"
)

// Set is the origins that may call. The zero Set is none.
type Set struct {
	any      bool
	loopback bool
	origins  []string // as [Parse] returns them
}

// ParseSet reads a list of origins, or [Any]. Of each that is none it calls wrong
// with what is written there and what it must be, and leaves it out. Empty values are
// passed over, and so are spaces around one.
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

// AndLoopback returns s and, besides, the http and https origins of this machine on
// any port.
func (s Set) AndLoopback() Set {
	s.loopback = true
	return s
}

// Any reports whether any origin is in s.
func (s Set) Any() bool { return s.any }

// Has reports whether the Origin header is of an origin in s. Browsers send small
// letters, but for hosts of some schemes of their own: letter case makes no difference.
func (s Set) Has(header string) bool {
	if s.any {
		return true
	}
	o, err := Parse(header)
	if err != nil || !strings.EqualFold(o, header) { // as browsers send it, and not only as people write it
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

// String returns the origins as a setting lists them.
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

// Equal reports whether both are the same, in the same order.
func (s Set) Equal(t Set) bool {
	return s.any == t.any && s.loopback == t.loopback && slices.Equal(s.origins, t.origins)
}
