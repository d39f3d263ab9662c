// Package timeline draws the life of a token family: an axis of time with a mark for each
// rotation, the reuse interval after it, the uses of its tokens, and its end. A picture of
// ten thousand rotations is as small as one of ten.
package timeline

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Kind is what happened at a [Moment].
type Kind int

// The kinds of moments.
const (
	Issued    Kind = iota // the family began, with token 1, or with its number 0
	Exchanged             // the family's number 0 was exchanged for token 1
	Rotated               // Token was exchanged for Newest
	Used                  // the newest token was used, and stays the newest
	Reused                // Token, which was superseded, was used inside the reuse interval
	Skipped               // Token was exchanged a second time, because its successor was never used
	Late                  // Token, which was superseded long before, got Newest, since the family is bound to a key
	Observed              // Token was reused outside the interval, and that was recorded only
	Ahead                 // Token was newer than the record, after a restore
	Refused               // Token was refused
	Ended                 // the family ended, by its Cause
)

// Moment is one entry of a family's life.
type Moment struct {
	At        time.Time
	Kind      Kind
	Origin    string // what the family began with, if this is about its number 0: "code", "assertion", "imported" or "adopted"
	Token     uint32 // that was presented; 0 if it is not known, or if it was the number 0
	Newest    uint32 // of the family, afterwards; 0 while its number 0 waits to be exchanged
	Cause     string // of Refused and Ended
	Age       time.Duration
	From      string // the address and user agent
	Elsewhere bool   // the use before came from another address or user agent
}

// End is a time at which a family ends, unless something happens before.
type End struct {
	At   time.Time
	Name string // such as idle end
}

// Story is the life of a family, as far as it is known.
type Story struct {
	Now       time.Time
	Interval  time.Duration // the reuse interval, or 0
	Moments   []Moment      // in order
	Ends      []End         // of a living family
	Presented *uint32       // the token that was asked about; nil for none
}

// Sort puts the moments in order.
func (s *Story) Sort() {
	if !slices.IsSortedFunc(s.Moments, compare) { // which is quicker to tell than to sort
		slices.SortStableFunc(s.Moments, compare)
	}
}

func compare(a, b Moment) int {
	return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Newest, b.Newest), cmp.Compare(rank(a.Kind), rank(b.Kind)))
}

// Merge returns the moments of two lists that are in order, in order.
func Merge(a, b []Moment) []Moment {
	all := make([]Moment, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if compare(a[0], b[0]) <= 0 {
			all, a = append(all, a[0]), a[1:]
		} else {
			all, b = append(all, b[0]), b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// rank orders moments of the same time.
func rank(k Kind) int {
	switch k {
	case Issued:
		return 0
	case Exchanged, Rotated, Skipped:
		return 1
	case Refused:
		return 4
	case Ended:
		return 3
	default:
		return 2
	}
}

// isToken reports whether a token was made at the moment.
func (m *Moment) isToken() bool {
	switch m.Kind {
	case Issued, Exchanged, Rotated, Skipped, Ahead:
		return true
	}
	return false
}

// asked reports whether the token made at the moment is the one that was asked about.
func (s *Story) asked(m *Moment) bool {
	return m.isToken() && s.Presented != nil && m.Newest == *s.Presented
}

// origins names what a family began with, as its token number 0.
var origins = map[string]string{
	"code": "the authorization code", "assertion": "the assertion", "imported": "the imported token", "adopted": "the adopted token",
}

// isForeign reports whether a family began with a refresh token of another provider.
func isForeign(origin string) bool { return origin == "imported" || origin == "adopted" }

// zero returns a short name of the family's number 0.
func (s *Story) zero() string {
	if slices.ContainsFunc(s.Moments, func(m Moment) bool { return m.Kind == Issued && isForeign(m.Origin) }) {
		return "the old token"
	}
	return "the code"
}

// token returns a name of the token that was presented.
func (m *Moment) token() string {
	switch {
	case origins[m.Origin] != "":
		return origins[m.Origin]
	case m.Token != 0:
		return fmt.Sprintf("token %d", m.Token)
	}
	return "a token"
}

// Words returns what happened as a sentence.
func (m *Moment) Words() string {
	token := m.token()
	switch m.Kind {
	case Issued:
		switch m.Origin {
		case "code":
			return "The login: the family begins with an authorization code, its number 0."
		case "assertion":
			return "The login: an assertion of a trusted issuer began the family, with token 1."
		case "imported":
			return "The import: the family begins with a refresh token of another provider, its number 0."
		case "adopted":
			return "The family begins with a refresh token of another provider, its number 0, which was exchanged there."
		}
		return "The login: the family begins with token 1."
	case Exchanged:
		if isForeign(m.Origin) {
			return fmt.Sprintf("%s was first used here: it was exchanged for token %d.", capital(token), m.Newest)
		}
		return fmt.Sprintf("%s was exchanged for token %d.", capital(token), m.Newest)
	case Rotated:
		if m.Token == 0 {
			return fmt.Sprintf("Token %d was issued.", m.Newest)
		}
		return fmt.Sprintf("%s was exchanged for token %d.", capital(token), m.Newest)
	case Used:
		if m.Token == 0 {
			return "The family was last used."
		}
		return fmt.Sprintf("%s was used again and is still the newest: the same token was sent.", capital(token))
	case Reused:
		return fmt.Sprintf("%s was used again, %s after it was superseded. That is inside the reuse interval: token %d was sent.", capital(token), Span(m.Age), m.Newest)
	case Skipped:
		return fmt.Sprintf("%s came back, and its successor had never been used: a lost response. Token %d was issued.", capital(token), m.Newest)
	case Late:
		return fmt.Sprintf("%s came back outside the reuse interval, with a proof of the family’s key: token %d was sent.", capital(token), m.Newest)
	case Observed:
		return fmt.Sprintf("%s came back outside the reuse interval. The policy only observes that.", capital(token))
	case Ahead:
		return fmt.Sprintf("%s was newer than the record: the table was restored from a backup.", capital(token))
	case Refused:
		return fmt.Sprintf("%s was refused: %s.", capital(token), causeWords(m.Cause))
	default:
		switch {
		case m.Cause != "reuse_detected":
		case m.Origin != "":
			return fmt.Sprintf("%s was presented again after its exchange. The family was revoked, with its newest token %d.", capital(token), m.Newest)
		case m.Token != 0:
			return fmt.Sprintf("%s came back outside the reuse interval. The family was revoked, with its newest token %d.", capital(token), m.Newest)
		}
		return "The family ended: " + causeWords(m.Cause) + "."
	}
}

// short returns what happened in a few words, for the picture.
func (m *Moment) short() string {
	switch m.Kind {
	case Issued:
		switch {
		case m.Origin == "code":
			return "login: a code"
		case isForeign(m.Origin):
			return m.Origin
		}
		return "login"
	case Exchanged:
		return "exchanged"
	case Observed:
		if isForeign(m.Origin) {
			return "the old token came back (observed)"
		}
		return fmt.Sprintf("token %d came back (observed)", m.Token)
	case Skipped:
		return "response was lost"
	case Ended:
		switch {
		case m.Cause != "reuse_detected":
		case m.Origin == "code":
			return "revoked: the code came back"
		case isForeign(m.Origin):
			return "revoked: the old token came back"
		case m.Token != 0:
			return fmt.Sprintf("revoked: token %d came back", m.Token)
		}
		return causeWords(m.Cause)
	}
	return ""
}

// causes says what the causes of an end mean.
var causes = map[string]string{
	"reuse_detected": "a superseded token came back", "expired_idle": "not used for the idle lifetime",
	"expired_absolute": "the absolute lifetime is over", "limit_exceeded": "too many families of this user",
	"no_proof": "it came without a proof of the family's key", "wrong_key": "it came with a proof of another key",
	"revoked_by_client": "logged out by the application", "revoked_by_admin": "revoked by an operator",
	"password_changed": "the password was changed", "client_not_before": "the client's not_before ended it",
	"key_revoked": "its key was revoked", "wrong_client": "another client presented it",
	"code_expired": "its code was not exchanged in time", "code_used": "it had been exchanged before",
	"assertion_used": "it had begun the family some time ago",
	"wrong_verifier": "it came with another code_verifier than its code_challenge asks for", "wrong_redirect_uri": "it came with another redirect_uri than it was issued for",
}

func causeWords(cause string) string {
	if words, ok := causes[cause]; ok {
		return words
	}
	if cause == "" {
		return "the cause is not known"
	}
	return cut(cause)
}

// maxText limits the characters of a text that came with a moment.
const maxText = 300

// cut returns a text that is no longer than [maxText].
func cut(text string) string {
	if r := []rune(text); len(r) > maxText {
		return string(r[:maxText]) + "…"
	}
	return text
}

func capital(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}
