// Package page formats results as tables, and inserts them into pages of the
// documentation, so that no number there is typed by hand.
package page

import (
	"errors"
	"fmt"
	"os"
	"regexp"
)

// Set replaces the tables of the page at path, as [Fill] does.
func Set(path, marker string, table func(name string) *Table) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, err = Fill(text, marker, table)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, text, 0o644) //nolint:gosec // a page of the documentation
}

// Keep is a table that leaves its place as it is.
var Keep = &Table{Title: "kept"}

// Fill returns text with its tables replaced: what is between <!-- marker: name -->
// and <!-- end --> becomes the table with that name, unless that is [Keep]. It fails if
// the text has no such place, or if table returns nil for a name.
func Fill(text []byte, marker string, table func(name string) *Table) ([]byte, error) {
	place := regexp.MustCompile(`(?s)<!-- ` + regexp.QuoteMeta(marker) + `: ([a-z]+) -->\n.*?<!-- end -->`)
	if !place.Match(text) {
		return nil, fmt.Errorf("there is no place for a table, such as <!-- %s: load --> and <!-- end -->, each in a line", marker)
	}
	var errs []error
	text = place.ReplaceAllFunc(text, func(b []byte) []byte {
		name := string(place.FindSubmatch(b)[1])
		t := table(name)
		if t == nil {
			errs = append(errs, fmt.Errorf("there is no table %q", name))
			return b
		}
		if t == Keep {
			return b
		}
		return []byte("<!-- " + marker + ": " + name + " -->\n\n" + t.Markdown() + "\n<!-- end -->")
	})
	return text, errors.Join(errs...)
}
