// Prose checks the comments of the module's Go files: that a function's comment begins with a verb, that words are plain,
// and that sentences are short. It does not check tests. It is run in the root of the repository:
//
//	go run ./lab/prose
//
// It prints what it finds, and fails if it finds anything. Folders whose comments are still to be read are listed in
// unread.go.
package main

import (
	"fmt"
	"os"
)

func main() {
	findings, err := run(".", unread)
	if err != nil {
		fmt.Fprintln(os.Stderr, "prose:", err)
		os.Exit(2)
	}
	for _, f := range findings {
		fmt.Println(f)
	}
	if len(findings) > 0 {
		os.Exit(1)
	}
}
