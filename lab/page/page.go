// Package page makes tables of what programs have found, and sets them on pages of
// the documentation, so that no number there is typed by hand.
package page

import (
	"errors"
	"fmt"
	"os"
	"regexp"
)

// Set sets the tables of the page at path, and leaves the rest of it as it is. See
// [Fill].
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

// Fill is text with its tables set: what stands between <!-- marker: name --> and
// <!-- end --> is the table of that name. It is an error if there is no such place,
// or no such table, which is nil.
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
		return []byte("<!-- " + marker + ": " + name + " -->\n\n" + t.Markdown() + "\n<!-- end -->")
	})
	return text, errors.Join(errs...)
}
