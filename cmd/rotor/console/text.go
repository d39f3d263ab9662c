package console

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// inert returns a page in which characters that nobody sees, or that turn the direction of
// the text around them, are shown by their numbers, such as ⟨U+202E⟩. Devices, user agents and
// ids may have them, and the templates have none. It is made of the whole page, so that no
// text is forgotten. A hidden field would be changed as well: forms send ids in their action.
func inert(page []byte) []byte {
	if !bytes.ContainsFunc(page, isHidden) {
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

// lasts returns a number of seconds as people say it. 0 is no limit.
func lasts(seconds int64) string {
	if seconds == 0 {
		return "no limit"
	}
	return span(time.Duration(seconds) * time.Second)
}

// span returns a duration as people say it, in at most two units.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + span(-d)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second && d%time.Second != 0:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	var parts []string
	for _, u := range []struct {
		name string
		d    time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}} {
		if n := d / u.d; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
			d -= n * u.d
		} else if len(parts) > 0 {
			break // 3 d 5 s is 3 d
		}
	}
	return strings.Join(parts[:min(len(parts), 2)], " ")
}

// or returns the text, or another one if it is empty.
func or(other, text string) string {
	if text == "" {
		return other
	}
	return text
}
