package command

import (
	"github.com/spf13/cobra"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/terminal"
)

func (e *env) secrets() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secrets",
		Short: "Add, list and remove secrets of confidential clients",
		Args:  cobra.ArbitraryArgs,
		RunE:  unknown,
	}
	cmd.AddCommand(e.addSecret(), e.listSecrets(), e.removeSecret())
	return cmd
}

func (e *env) addSecret() *cobra.Command {
	return &cobra.Command{
		Use:   "add CLIENT",
		Short: "Make a secret for a client, and write it once",
		Long: `Makes a secret for a confidential client, which may have two. The standard output gets the secret
alone, which is never shown again; its id, with which it is removed, goes to the standard error.

If no answer arrives, the secret may exist all the same: see rotor secrets list. With --json the
result is one document: {"secret_id": ..., "client_secret": ...}.`,
		Example: `  rotor secrets add backend | aws secretsmanager put-secret-value --secret-id backend --secret-string file:///dev/stdin`,
		Args:    exactly("CLIENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			service, err := e.service(cmd.Context())
			if err != nil {
				return err
			}
			id, secret, err := service.AddSecret(cmd.Context(), args[0])
			if err != nil {
				return ofClient(args[0], err)
			}
			if e.json {
				return e.io.WriteJSON(struct {
					ID     string `json:"secret_id"`
					Secret string `json:"client_secret"`
				}{id, secret})
			}
			e.io.Printf("%s\n", terminal.Inert(secret))
			e.io.Errorf("Its id is %s. It works within a minute.\n", terminal.Inert(id))
			return nil
		},
	}
}

func (e *env) listSecrets() *cobra.Command {
	return &cobra.Command{
		Use:   "list CLIENT",
		Short: "List the ids of a client's secrets",
		Long: `Lists the ids of a client's secrets, and when they were made. Nobody can read a secret again. With
--json each secret is a line.`,
		Args: exactly("CLIENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			service, err := e.service(cmd.Context())
			if err != nil {
				return err
			}
			c, err := service.Registration(cmd.Context(), args[0])
			if err != nil {
				return ofClient(args[0], err)
			}
			table := e.io.NewTable(terminal.Column{Title: "SECRET"}, terminal.Column{Title: "CREATED (UTC)"})
			defer table.Flush()
			for _, s := range c.Secrets {
				row := func(s manage.Secret) []string { return []string{s.ID, e.time(s.CreatedAt)} }
				if err := add(e, s, table, row); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (e *env) removeSecret() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove CLIENT SECRET_ID",
		Short: "Delete a secret of a client",
		Long: `Deletes a secret of a client, which may work for a minute more. Where nobody can be asked, it needs
--yes.`,
		Args: exactly("CLIENT", "SECRET_ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := e.mayAsk(cmd, yes, false); err != nil {
				return err
			}
			service, err := e.service(cmd.Context())
			if err != nil {
				return err
			}
			question := "This deletes the secret " + quote(args[1]) + " of client " + quote(args[0]) + ": what still uses it is refused. Delete it?"
			if err := e.confirm(cmd.Context(), yes, question); err != nil {
				return err
			}
			if err := service.RemoveSecret(cmd.Context(), args[0], args[1]); err != nil {
				return err
			}
			if e.json {
				return e.io.WriteJSON(map[string]string{"removed": args[1]})
			}
			e.io.Printf("removed %s\n", terminal.Inert(args[1]))
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
