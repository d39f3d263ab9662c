package command

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/rotor-auth/rotor/cmd/rotor/console"
)

func (e *env) console() *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "console",
		Short: "Serve the console, for a browser on this machine",
		Long: `Serves the console of the service on loopback: pages that explain why a token died, and show and
change the families, clients and events. Its calls are signed with your credentials, which never reach
the browser. The address that it prints has a key that opens it once, in one browser: other users of
this machine cannot use it. "rotor run" serves the console of its own service by itself.`,
		Example: "  rotor console --url https://auth.example.com --profile support",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if e.json {
				return misused("console has no --json: it serves pages")
			}
			service, err := e.service(cmd.Context())
			if err != nil {
				return err
			}
			return console.Serve(cmd.Context(), address, service, time.Now, e.io.Out, e.io.Err)
		},
	}
	cmd.Flags().StringVar(&address, "addr", "127.0.0.1:0", "loopback address to listen on; port 0 is any that is free")
	return cmd
}
