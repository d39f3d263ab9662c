package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// The markers of the tables of each report on a page.
const (
	marker       = "bench"
	growthMarker = "growth"
)

// setPage sets the tables of the page from the reports in the folder, and draws its
// plot beside it. One of the reports may be missing: its tables stay.
func setPage(page, folder string) error {
	r, err := read[Report](filepath.Join(folder, benchFile))
	if err != nil {
		return err
	}
	g, err := read[Growth](filepath.Join(folder, growthFile))
	if err != nil {
		return err
	}
	if r == nil && g == nil {
		return fmt.Errorf("there is neither %s nor %s in %s: a run without -markdown makes them", benchFile, growthFile, folder)
	}
	if r != nil {
		if err := setTables(page, marker, r.table); err != nil {
			return err
		}
	}
	if g == nil {
		return nil
	}
	if err := setTables(page, growthMarker, g.table); err != nil {
		return err
	}
	plot, err := g.plot()
	if err != nil {
		return fmt.Errorf("plot how cost grows: %w", err)
	}
	return os.WriteFile(filepath.Join(filepath.Dir(page), plotFile), plot, 0o644) //nolint:gosec // a plot of the documentation
}

// setTables sets the tables of the page at path, and leaves the rest of it as it is.
func setTables(path, marker string, table func(name string) *table) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, err = fill(text, marker, table)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, text, 0o644) //nolint:gosec // a page of the documentation
}

// fill is text with its tables set: what stands between <!-- marker: name --> and
// <!-- end --> is the table of that name. It is an error if there is no such place,
// or no such table, which is nil.
func fill(text []byte, marker string, table func(name string) *table) ([]byte, error) {
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
		return []byte("<!-- " + marker + ": " + name + " -->\n\n" + t.markdown() + "\n<!-- end -->")
	})
	return text, errors.Join(errs...)
}
