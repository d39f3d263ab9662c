package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
)

// block is a place of a page: what stands between its comments is a section's table.
var block = regexp.MustCompile(`(?s)<!-- bench: ([a-z]+) -->\n.*?<!-- end -->`)

// setPage sets the tables of the page from the report at path.
func setPage(page, path string) error {
	r, err := readReport(path)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	text, err = setTables(text, r)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, text, 0o644) //nolint:gosec // a page of the documentation
}

func setTables(page []byte, r *Report) ([]byte, error) {
	var errs []error
	if !block.Match(page) {
		errs = append(errs, errors.New("there is no place for a table, such as <!-- bench: load --> and <!-- end -->, each in a line"))
	}
	page = block.ReplaceAllFunc(page, func(b []byte) []byte {
		name := string(block.FindSubmatch(b)[1])
		section := sections[name]
		if section == nil {
			errs = append(errs, fmt.Errorf("there is no table %q", name))
			return b
		}
		return []byte("<!-- bench: " + name + " -->\n\n" + section(r).markdown() + "\n<!-- end -->")
	})
	return page, errors.Join(errs...)
}
