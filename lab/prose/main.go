// Prose checks the comments of the module's Go files, tests included: that a function's comment begins with a verb, that
// words are plain, and that sentences are short. It is run in the root of the repository:
//
//	go run ./lab/prose
//
// It prints what it finds, and fails if it finds anything.
package main

import (
	"fmt"
	"os"
)

func main() {
	findings, err := run(".")
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
