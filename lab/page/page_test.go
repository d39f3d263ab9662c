package page_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/lab/page"
)

func sizes() *page.Table {
	t := &page.Table{Title: "Sizes", Columns: []string{"what", "bytes"}}
	t.Row("a|b", "**$1**")
	t.Note("Of %d.", 2)
	return t
}

func table(name string) *page.Table {
	if name == "sizes" {
		return sizes()
	}
	return nil
}

func TestSet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	const before = "# Page\n\n<!-- test: sizes -->\nold\n<!-- end -->\n\nBetween.\n\n<!-- other: sizes -->\n<!-- end -->\nAfter.\n"
	const after = "# Page\n\n<!-- test: sizes -->\n\n| what | bytes |\n|---|---|\n| a\\|b | **$1** |\n\nOf 2.\n\n<!-- end -->\n\nBetween.\n\n<!-- other: sizes -->\n<!-- end -->\nAfter.\n"
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := page.Set(path, "test", table); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(after, string(got)); diff != "" {
			t.Fatal(diff)
		}
	}
	if err := page.Set(path, "nothing", table); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a page without a place: %v", err)
	}
}

func TestFillRefuses(t *testing.T) {
	for _, text := range []string{"# Page\n", "<!-- test: nothing -->\n<!-- end -->\n"} {
		if _, err := page.Fill([]byte(text), "test", table); err == nil {
			t.Errorf("%q is a page with tables", text)
		}
	}
}
