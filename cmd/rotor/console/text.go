package console

import (
	"bytes"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rotor-auth/rotor/cmd/rotor/console/timeline"
)

// inert returns a page in which characters that nobody sees, or that turn the direction of
// the text around them, are shown by their numbers, such as ⟨U+202E⟩. Devices, user agents and
// ids may have them, and the templates have none. It is made of the whole page, so that no
// text is forgotten. A hidden field would be changed as well: forms send ids in their action.
func inert(page []byte) []byte {
	if utf8.Valid(page) && !bytes.ContainsFunc(page, isHidden) {
		return page
	}
	var b bytes.Buffer
	for len(page) > 0 {
		r, size := utf8.DecodeRune(page)
		if isHidden(r) || (r == utf8.RuneError && size == 1) {
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		} else {
			b.Write(page[:size])
		}
		page = page[size:]
	}
	return b.Bytes()
}

// isHidden reports whether a character is a control or a format character. Two of the latter
// are parts of emoji and of words, and change nothing around them.
func isHidden(r rune) bool {
	const nonJoiner, joiner = '\u200c', '\u200d'
	switch r {
	case '\n', '\t', nonJoiner, joiner:
		return false
	case '\u2028', '\u2029': // the separators of lines and paragraphs
		return true
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co)
}

// instant returns a time to the second, and to the millisecond if it has any.
func instant(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	layout := time.DateTime
	if t.Nanosecond() != 0 {
		layout += ".000"
	}
	return t.UTC().Format(layout) + " UTC"
}

// clock returns a time to the millisecond, without its zone.
func clock(t time.Time) string { return t.UTC().Format(time.DateTime + ".000") }

// lasts returns a number of seconds as people say it. 0 is no limit.
func lasts(seconds int64) string {
	if seconds == 0 {
		return "no limit"
	}
	return timeline.Span(time.Duration(seconds) * time.Second)
}
