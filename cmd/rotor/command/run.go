package command

import (
	"github.com/spf13/cobra"

	"github.com/rotor-auth/rotor/cmd/rotor/local"
)

func (e *env) run() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Serve the whole API on loopback, for trying it out and for tests",
		Long: `Serves the whole API on loopback, for trying it out and for tests. It needs neither AWS nor Docker.

The environment says how: ADDR, BASE_PATH, KEYS, ALG, ORIGINS, AUTHORIZATION_ENDPOINT, ADOPT_SECRETS, TABLE and AWS_ENDPOINT_URL_DYNAMODB.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if e.json {
				return misused("run has no --json: its log is JSON already")
			}
			return local.Run(cmd.Context(), e.getenv, e.io.Out, e.io.Err)
		},
	}
}
