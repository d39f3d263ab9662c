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
	case "imported":
		return "an imported refresh token"
	case "adopted":
		return "an adopted refresh token"
	}
	return of
}

// isForeign reports whether a family began with a refresh token of another provider.
func isForeign(origin string) bool { return origin == "imported" || origin == "adopted" }

// waitsForForeign reports whether a family waits for another provider's token. Unlike one that
// waits for its code, it has the ends of every family.
func waitsForForeign(f *manage.Family) bool { return f.Status == "pending" && isForeign(f.Origin) }

// began returns the name of the time at which a family began.
func began(origin string) string {
	switch origin {
	case "imported":
		return "Imported"
	case "adopted":
		return "Adopted"
	}
	return "Issued"
}

// waitsFor returns what a pending family waits for.
func waitsFor(f *manage.Family) string {
	if isForeign(f.Origin) {
		return "its old token was not presented yet"
	}
	return "its code was not exchanged yet"
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
