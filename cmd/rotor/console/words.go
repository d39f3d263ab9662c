package console

import (
	"fmt"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/console/timeline"
)

// words returns a name of the API, such as until_used, as words.
func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

// cause returns a cause as words, beside the status: that it expired stands there already.
func cause(of string) string { return words(strings.TrimPrefix(of, "expired_")) }

// originName returns what a family began with, or the name that the API has for it.
func originName(of string) string {
	switch of {
	case "code":
		return "an authorization code"
	case "assertion":
		return "an assertion of a trusted issuer"
	}
	return of
}

// stamp returns a time to the second, in UTC.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.DateTime)
}

// rfc returns a time as HTML has it.
func rfc(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// interval returns a reuse interval. Unlike a lifetime, 0 is none.
func interval(seconds int64) string {
	if seconds == 0 {
		return "none, strict"
	}
	return lasts(seconds)
}

// age returns a time in milliseconds as people say it.
func age(ms int64) string { return timeline.Span(time.Duration(ms) * time.Millisecond) }

func sessions(n int) string {
	if n == 1 {
		return "1 session"
	}
	return fmt.Sprintf("%d sessions", n)
}

// either reports whether there is a next page, or this is a later one.
func either(next string, later bool) bool { return next != "" || later }

// fault returns the field if something is wrong with it, and else "".
func fault(faults map[string]string, field string) string {
	if faults[field] == "" {
		return ""
	}
	return field
}

// isLowerBound reports whether the age of a token that came back is only known to be at least so
// long: of a token before the predecessor, the record does not say when it was superseded.
func isLowerBound(e *manage.Event) bool { return e.TokenCounter+1 < e.LatestCounter }
