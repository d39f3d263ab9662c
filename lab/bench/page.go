package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/rotor-auth/rotor/lab/page"
)

// The markers of each report's tables on a page.
const (
	marker       = "bench"
	growthMarker = "growth"
)

// setPage replaces the tables of the page by those of the reports in the folder, and
// draws the plot beside the page. If one of the reports is missing, its tables stay. A
// run of some parts sets theirs, if it is newer than that of all.
func setPage(file, folder string) error {
	r, err := read[Report](filepath.Join(folder, benchFile))
	if err != nil {
		return err
	}
	g, err := read[Growth](filepath.Join(folder, growthFile))
	if err != nil {
		return err
	}
	part, err := read[Report](filepath.Join(folder, partFile))
	if err != nil {
		return err
	}
	if r != nil && part != nil && !part.Machine.Began.After(r.Machine.Began) {
		part = nil // it was measured before all was
	}
	if r == nil && part == nil && g == nil {
		return fmt.Errorf("there is neither %s nor %s in %s: a run without -markdown makes them", benchFile, growthFile, folder)
	}
	if r != nil {
		if err := page.Set(file, marker, r.table); err != nil {
			return err
		}
	}
	if part != nil {
		if err := page.Set(file, marker, part.table); err != nil {
			return err
		}
	}
	if g == nil {
		return nil
	}
	if err := page.Set(file, growthMarker, g.table); err != nil {
		return err
	}
	plot, err := g.plot()
	if err != nil {
		return fmt.Errorf("plot how cost grows: %w", err)
	}
	return os.WriteFile(filepath.Join(filepath.Dir(file), plotFile), plot, 0o644) //nolint:gosec // a plot of the documentation
}
