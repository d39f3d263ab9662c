// Command rotor is Rotor's command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/rotor-auth/rotor/cmd/rotor/command"
	"github.com/rotor-auth/rotor/cmd/rotor/terminal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // so that a second signal ends the program at once
	code := command.Main(ctx, os.Args[1:], os.Getenv, terminal.System(os.Getenv))
	stop()
	os.Exit(code)
}
