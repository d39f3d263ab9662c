package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// block is a place of a page: what stands between its comments is a section's table.
var block = regexp.MustCompile(`(?s)<!-- bench: ([a-z]+) -->\n.*?<!-- end -->`)

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
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	text, err = setTables(text, r, g)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	if err := os.WriteFile(page, text, 0o644); err != nil { //nolint:gosec // a page of the documentation
		return err
	}
	if g == nil {
		return nil
	}
	plot, err := g.plot()
	if err != nil {
		return fmt.Errorf("plot how cost grows: %w", err)
	}
	return os.WriteFile(filepath.Join(filepath.Dir(page), plotFile), plot, 0o644) //nolint:gosec // the same
}

// setTables sets the tables of the reports that are there.
func setTables(page []byte, r *Report, g *Growth) ([]byte, error) {
	var errs []error
	if !block.Match(page) {
		errs = append(errs, errors.New("there is no place for a table, such as <!-- bench: load --> and <!-- end -->, each in a line"))
	}
	page = block.ReplaceAllFunc(page, func(b []byte) []byte {
		name := string(block.FindSubmatch(b)[1])
		var t *table
		switch section, grown := sections[name], growthSections[name]; {
		case section == nil && grown == nil:
			errs = append(errs, fmt.Errorf("there is no table %q", name))
			return b
		case section != nil && r != nil:
			t = section(r)
		case grown != nil && g != nil:
			t = grown(g)
		default:
			return b
		}
		return []byte("<!-- bench: " + name + " -->\n\n" + t.markdown() + "\n<!-- end -->")
	})
	return page, errors.Join(errs...)
}
