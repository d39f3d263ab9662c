package page

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// Table is a table of results, to be shown as text or on a page. Cells may be
// **strong**, which the text form drops.
type Table struct {
	Title   string
	Columns []string
	Rows    [][]string
	Notes   []string // sentences below it
}

// Row adds a row.
func (t *Table) Row(cells ...string) { t.Rows = append(t.Rows, cells) }

// Note adds a sentence.
func (t *Table) Note(format string, args ...any) {
	t.Notes = append(t.Notes, fmt.Sprintf(format, args...))
}

// Text returns the table as text for a terminal.
func (t *Table) Text() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n\n", t.Title)
	if len(t.Rows) > 0 {
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		for _, row := range append([][]string{t.Columns}, t.Rows...) {
			_, _ = fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(strings.Join(row, "\t"), "**", "")) // into memory
		}
		_ = w.Flush() // into memory
	}
	for _, note := range t.Notes {
		fmt.Fprintf(&b, "\n  %s\n", Wrap(note, 116, "\n  "))
	}
	return b.String()
}

// Wrap inserts end between words, so that no line is longer than width unless a
// single word is.
func Wrap(text string, width int, end string) string {
	var b strings.Builder
	line := 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case line == 0:
		case line+1+n > width:
			b.WriteString(end)
			line = 0
		default:
			b.WriteString(" ")
			line++
		}
		b.WriteString(word)
		line += n
	}
	return b.String()
}

// Markdown returns the table for a page, without the title, which the page has as a
// heading.
func (t *Table) Markdown() string {
	var b strings.Builder
	if len(t.Rows) > 0 {
		line := func(cells []string) {
			for _, cell := range cells {
				b.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
			}
			b.WriteString("|\n")
		}
		line(t.Columns)
		b.WriteString(strings.Repeat("|---", len(t.Columns)) + "|\n")
		for _, row := range t.Rows {
			line(row)
		}
	}
	for _, note := range t.Notes {
		b.WriteString("\n" + note + "\n")
	}
	return b.String()
}

// Number returns n with the given decimals, rounded half away from zero as prices
// are, and with commas from 1,000 on.
func Number(n float64, decimals int) string {
	shift := math.Pow10(decimals)
	text := strconv.FormatFloat(math.Round(n*shift)/shift, 'f', decimals, 64)
	whole, fraction, found := strings.Cut(text, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if found {
		fraction = "." + fraction
	}
	return sign + whole + fraction
}

// Short returns n with as many decimals as it has, and at most two.
func Short(n float64) string {
	text := Number(n, 2)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}
