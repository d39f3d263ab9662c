package terminal

import (
	"strings"

	"github.com/mattn/go-runewidth"
)

// Table writes rows in columns. On a terminal they are aligned under a header, and a row is
// cut to the width of the terminal in the columns that may be cut. In a pipe each row is a
// line of its own at once, with tabs between the columns and no header.
type Table struct {
	io      *IO
	columns []Column
	rows    [][]string // on a terminal, until they are written
	widths  []int      // of what was written, which later rows keep to
	titled  bool       // the header is written
}

// Column is a column of a [Table].
type Column struct {
	Title string // is not written if no column has one
	Cut   bool   // may be cut where the terminal is too narrow
}

const (
	columnGap   = 2
	narrowest   = 8   // a column is not cut further
	longestCell = 200 // on a terminal
	rowsAtOnce  = 1000
)

// NewTable returns a table with these columns.
func (o *IO) NewTable(columns ...Column) *Table { return &Table{io: o, columns: columns} }

// Add adds a row. Its texts are made inert.
func (t *Table) Add(cells ...string) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = Inert(cell)
	}
	if !t.io.outTerm {
		t.io.Printf("%s\n", strings.Join(row, "\t"))
		return
	}
	if t.rows = append(t.rows, row); len(t.rows) == rowsAtOnce {
		t.Flush()
	}
}

// AddKnown adds a row of a name and a value, unless there is no value.
func (t *Table) AddKnown(name, value string) {
	if value != "" {
		t.Add(name, value)
	}
}

// Flush writes what is not written yet. Rows can be added after it.
func (t *Table) Flush() {
	if len(t.rows) == 0 {
		return
	}
	t.fit()
	header := make([]string, len(t.columns))
	for i, c := range t.columns {
		header[i] = c.Title
	}
	if title := line(header, t.widths); title != "" && !t.titled {
		t.io.Printf("%s\n", t.io.Paint(Bold, title))
		t.titled = true
	}
	for _, row := range t.rows {
		t.io.Printf("%s\n", line(row, t.widths))
	}
	t.rows = nil
}

// fit makes the columns as wide as the rows, and as the terminal at most.
func (t *Table) fit() {
	widths := make([]int, len(t.columns))
	total := columnGap * (len(widths) - 1)
	for i, c := range t.columns {
		widths[i] = runewidth.StringWidth(c.Title)
		if t.widths != nil {
			widths[i] = t.widths[i]
		}
		for _, row := range t.rows {
			widths[i] = max(widths[i], runewidth.StringWidth(row[i]))
		}
		if c.Cut {
			widths[i] = min(widths[i], longestCell)
		}
		total += widths[i]
	}
	for i := len(t.columns) - 1; i >= 0 && t.io.width > 0; i-- {
		if over := total - t.io.width; over > 0 && t.columns[i].Cut && widths[i] > narrowest {
			cut := min(over, widths[i]-narrowest)
			widths[i] -= cut
			total -= cut
		}
	}
	t.widths = widths
}

// line returns the cells, each as wide as its column but the last.
func line(cells []string, widths []int) string {
	var b strings.Builder
	for i, cell := range cells {
		if runewidth.StringWidth(cell) > widths[i] {
			cell = runewidth.Truncate(cell, widths[i], "…")
		}
		if i < len(cells)-1 {
			cell = runewidth.FillRight(cell, widths[i]+columnGap)
		}
		b.WriteString(cell)
	}
	return strings.TrimRight(b.String(), " ")
}
