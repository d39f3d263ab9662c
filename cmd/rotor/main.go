// Command rotor is Rotor's command line.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/rotor-auth/rotor/cmd/rotor/local"
	"github.com/rotor-auth/rotor/shared/version"
)

const usage = `Usage: rotor COMMAND

rotor run       serves the whole API on loopback, for trying it out and for tests.
                The environment says how: ADDR, BASE_PATH, KEYS, ALG, ORIGINS,
                TABLE and AWS_ENDPOINT_URL_DYNAMODB.
rotor version   says which version this is.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second signal ends the program at once
	code := command(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// command runs the command named by the arguments, and returns the exit code.
func command(ctx context.Context, args []string) int {
	var name string
	if len(args) > 0 {
		name = args[0]
	}
	if len(args) > 1 {
		fmt.Fprintf(os.Stderr, "rotor: %s takes no arguments\n\n%s", name, usage)
		return 2
	}
	switch name {
	case "run":
		if err := local.Run(ctx, os.Getenv, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	case "version":
		fmt.Printf("rotor %s (%s, %s/%s)\n", version.Number, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	case "help", "--help", "-h":
		fmt.Print(usage)
	case "":
		fmt.Fprint(os.Stderr, usage)
		return 2
	default:
		fmt.Fprintf(os.Stderr, "rotor: there is no command %q\n\n%s", name, usage)
		return 2
	}
	return 0
}
