package command

import (
	"iter"

	"github.com/rotor-auth/rotor/cmd/rotor/terminal"
)

// list writes what a list of the service yields, as rows or as lines of JSON, and returns
// how many there were. Meanwhile it shows how many are read.
func list[T any](e *env, read string, items iter.Seq2[T, error], table *terminal.Table, row func(T) []string) (n int, err error) {
	progress := e.io.Progress(read, 0)
	defer table.Flush()
	defer progress.Stop()
	for item, err := range items {
		if err != nil {
			return n, err
		}
		if err := add(e, item, table, row); err != nil {
			return n, err
		}
		progress.Add(1)
		n++
	}
	return n, nil
}

// add writes one item, as a row or as a line of JSON.
func add[T any](e *env, item T, table *terminal.Table, row func(T) []string) error {
	if e.json {
		return e.io.WriteJSON(item)
	}
	table.Add(row(item)...)
	return nil
}
