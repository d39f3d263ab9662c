// Pack zips a Lambda function's program, so that the same program always gives the same bytes: one executable entry
// named bootstrap, with a fixed time.
//
//	go run ./lab/pack dist/arm64/token.zip path/to/bootstrap
package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"time"
)

// epoch is the earliest time that a zip can hold.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pack ZIP PROGRAM")
		os.Exit(2)
	}
	if err := pack(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

// pack writes a zip of the program at src to dst, once all of it is ready.
func pack(dst, src string) error {
	program, err := os.ReadFile(src)
	if err != nil {
		return err
	}
	if len(program) == 0 {
		return fmt.Errorf("%s is empty", src)
	}

	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	// Lambda runs the entry of this name, and only if it may be executed.
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, Modified: epoch}
	header.SetMode(0o755)
	entry, err := w.CreateHeader(header)
	if err != nil {
		return fmt.Errorf("zip %s: %w", src, err)
	}
	if _, err := entry.Write(program); err != nil {
		return fmt.Errorf("zip %s: %w", src, err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("zip %s: %w", src, err)
	}
	return os.WriteFile(dst, archive.Bytes(), 0o644) //nolint:gosec // not secret; deployed by whoever has the checkout
}
