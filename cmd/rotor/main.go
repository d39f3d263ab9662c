// Command rotor is Rotor's program for people.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/rotor-auth/rotor/cmd/rotor/local"
)

const usage = `Usage: rotor run

run   serves the whole API on loopback, for trying it out and for tests. The
      environment says how: ADDR, BASE_PATH, KEYS, ALG, ORIGINS, TABLE and
      AWS_ENDPOINT_URL_DYNAMODB. The README explains them.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := command(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// command runs the command that the arguments name, and returns the exit code.
func command(ctx context.Context, args []string) int {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	switch name := args[0]; {
	case name == "help" || name == "--help" || name == "-h":
		fmt.Print(usage)
		return 0
	case name != "run":
		fmt.Fprintf(os.Stderr, "rotor: there is no command %q\n\n%s", name, usage)
		return 2
	case len(args) > 1:
		fmt.Fprintf(os.Stderr, "rotor: run takes no arguments\n\n%s", usage)
		return 2
	}
	if err := local.Run(ctx, os.Getenv, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
