package command

import (
	"github.com/spf13/cobra"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/terminal"
)

func (e *env) families() *cobra.Command {
	var filter manage.FamilyFilter
	cmd := &cobra.Command{
		Use:   "families USER",
		Short: "List the families of a user, newest first",
		Long: `Lists the families of a user, newest first: one for each login on each device, also those that have
ended, for as long as their records are kept. A family is pending while its authorization code waits
to be exchanged, or while it waits for the other provider's token with which it moved in.

Columns: family, client, status, cause, issued, last used, device, last IP, origin. The origin is what
it began with: code, assertion, imported or adopted, or nothing for tokens that the login was given.
With --json each family is a line.`,
		Example: `  rotor families alice
  rotor families alice --client shop --status active
  rotor families --user=--odd-id`,
		Args: optional("USER"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if filter.UserID, err = either("user", filter.UserID, args); err != nil {
				return err
			}
			service, err := e.service(cmd.Context())
			if err != nil {
				return err
			}
			table := e.io.NewTable(terminal.Column{Title: "FAMILY"}, terminal.Column{Title: "CLIENT"}, terminal.Column{Title: "STATUS"},
				terminal.Column{Title: "CAUSE"}, terminal.Column{Title: "ISSUED (UTC)"}, terminal.Column{Title: "LAST USED (UTC)"},
				terminal.Column{Title: "DEVICE", Cut: true}, terminal.Column{Title: "LAST IP"}, terminal.Column{Title: "ORIGIN"})
			found, err := list(e, "families read", service.Families(cmd.Context(), filter), table, func(f *manage.Family) []string {
				return []string{f.ID, f.ClientID, f.Status, f.Cause, e.time(f.IssuedAt), e.time(f.LastUsedAt), f.Device, f.LastIP, f.Origin}
			})
			if err == nil && found == 0 && e.io.IsTerminal() {
				e.io.Errorf("No such families are on record.\n")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&filter.UserID, "user", "", "the user, instead of the argument")
	cmd.Flags().StringVar(&filter.ClientID, "client", "", "only the families in this client")
	cmd.Flags().StringVar(&filter.Status, "status", "", "only active, pending, expired, revoked or unregistered ones")
	complete(cmd, "status", "active", "pending", "expired", "revoked", "unregistered")
	return cmd
}
