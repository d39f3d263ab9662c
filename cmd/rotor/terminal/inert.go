package terminal

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// Inert returns the text without what acts on a terminal or deceives its reader: control
// characters, which escape sequences begin with, what turns the direction of writing, and
// what is not visible. Each of them is written as Go writes it in a string, such as \x1b
// or \u202e. A text without them is returned as it is.
func Inert(text string) string {
	if isInert(text) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < utf8.RuneSelf:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

func isInert(text string) bool {
	return utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// WriteJSON writes v as one line of JSON, in which everything that [Inert] replaces is
// written as JSON escapes it.
func (o *IO) WriteJSON(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	var b strings.Builder
	for _, r := range string(text) {
		switch {
		case unicode.IsPrint(r): // all that stands outside strings, too
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		}
	}
	b.WriteByte('\n')
	o.Printf("%s", b.String())
	return o.failed
}

// longestLine is the width at which sentences are wrapped on a terminal that is wider.
const longestLine = 100

// Wrap returns the text, made inert, in lines that fit the terminal.
func (o *IO) Wrap(text string) string {
	width := longestLine
	if o.width > 0 {
		width = min(width, o.width)
	}
	var b strings.Builder
	at := 0
	for word := range strings.FieldsSeq(text) {
		word = Inert(word)
		size := runewidth.StringWidth(word)
		switch {
		case at == 0:
		case at+1+size > width:
			b.WriteByte('\n')
			at = 0
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += size
	}
	return b.String()
}
