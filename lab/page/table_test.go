package page

import "testing"

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		Number(0, 0): "0", Number(999, 0): "999", Number(1000, 0): "1,000", Number(1234567.891, 2): "1,234,567.89",
		Number(-1000.5, 1): "-1,000.5", Number(0.625, 2): "0.63", Short(1): "1", Short(0.5): "0.5", Short(1000): "1,000", Short(0.333): "0.33",
		Wrap("one two three", 7, "\n"): "one two\nthree", Wrap("à b", 3, "\n"): "à b", Wrap("longest", 3, "\n"): "longest", Wrap("", 3, "\n"): "",
	} {
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

func TestText(t *testing.T) {
	table := &Table{Title: "Title", Columns: []string{"what", "n"}}
	table.Row("**longer**", "1")
	table.Note("A note.")
	if got, want := table.Text(), "Title\n\n  what    n\n  longer  1\n\n  A note.\n"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
}
