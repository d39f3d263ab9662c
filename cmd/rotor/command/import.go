package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/shared/foreign"
)

// maxParallel limits the calls that an import makes at a time. With as many the service imports
// thousands of tokens a second.
const maxParallel = 16

// importTotals is the result of "rotor import", as JSON too.
type importTotals struct {
	Rows     int  `json:"rows"`
	Imported int  `json:"imported"`
	Already  int  `json:"already"`
	Conflict int  `json:"conflict"`
	Expired  int  `json:"expired"`
	Refused  int  `json:"refused"`
	DryRun   bool `json:"dry_run,omitempty"`
}

func (t importTotals) String() string {
	imported := "imported"
	if t.DryRun {
		imported = "would be imported"
	}
	return fmt.Sprintf("%s: %d %s, %d already there, %s, %d expired, %d refused",
		plural(t.Rows, "row", "rows"), t.Imported, imported, t.Already, plural(t.Conflict, "conflict", "conflicts"), t.Expired, t.Refused)
}

func (e *env) importTokens() *cobra.Command {
	i := &importer{e: e}
	cmd := &cobra.Command{
		Use:   "import FILE --client CLIENT",
		Short: "Import refresh tokens of another provider",
		Long: `Imports refresh tokens of another provider, so that their sessions go on in the client, which needs
accepts_imported. FILE is CSV with a header, or JSON lines, and may be -, the standard input. Its
columns, or members:

  user_id             whose session it is
  token               the refresh token, which is hashed here and never sent; or
  token_sha256        its SHA-256, in hexadecimal or base64url
  scope, audience, claims, auth_time, acr, amr, device, expires_at
                      may be left out; expires_at is when the session ends

In CSV, audience and amr have spaces between their values, claims is JSON, and a time is RFC 3339 or
seconds since 1970.

First the whole file is checked, here and by a dry run of the service. If a line is wrong, or its
token belongs to another user or client, nothing is imported; --skip-bad imports the others. The same
command a second time changes nothing, so after an interruption it does the rest.

With --json the result is one document: {"rows": 3, "imported": 2, "already": 1, …}.`,
		Example: `  rotor import sessions.csv --client shop --dry-run
  rotor import sessions.csv --client shop`,
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case i.client == "":
				return misused("--client is missing: say which client the tokens are for")
			case i.parallel < 1 || i.parallel > maxParallel:
				return misused("--parallel is %d, but must be from 1 to %d", i.parallel, maxParallel)
			}
			var err error
			if i.file, err = openImport(args[0], e.io.Input()); err != nil {
				return err
			}
			if i.service, err = e.service(cmd.Context()); err != nil {
				return err
			}
			return i.run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&i.client, "client", "", "the client that the tokens are for")
	flags.BoolVar(&i.dryRun, "dry-run", false, "only say what would be imported, and what is wrong")
	flags.BoolVar(&i.skipBad, "skip-bad", false, "leave out the lines that are wrong, and import the others")
	flags.IntVar(&i.parallel, "parallel", 4, "calls at a time")
	return cmd
}

// run imports the file, or makes a dry run.
func (i *importer) run(ctx context.Context) error {
	client, err := i.service.Registration(ctx, i.client)
	if err != nil {
		return ofClient(i.client, err)
	}
	if client.AcceptsImported == nil {
		return fmt.Errorf("client %s accepts no imported tokens: register it with accepts_imported first", quote(i.client))
	}
	i.file.shape = foreign.Shape{Prefix: client.AcceptsImported.Prefix, Length: client.AcceptsImported.Length}
	if err := i.scan(ctx); err != nil {
		return err
	}
	if i.dryRun || !i.skipBad && len(i.faults) == 0 {
		if err := i.send(ctx, true); err != nil {
			if !i.dryRun {
				i.e.io.Errorf("Nothing was imported: the file was still being checked.\n")
			}
			return repeatable(err)
		}
	}
	if i.dryRun {
		err := i.finish()
		if err == nil && !i.skipBad {
			err = i.faulty()
		}
		return err
	}
	if len(i.faults) > 0 && !i.skipBad {
		i.e.io.Errorf("Nothing was imported: --skip-bad leaves out the lines that are wrong.\n")
		return i.faulty()
	}
	if err := i.send(ctx, false); err != nil {
		i.e.io.Errorf("%s before this. The same command does the rest.\n", plural(i.Imported, "token was imported", "tokens were imported"))
		return repeatable(err)
	}
	if err := i.finish(); err != nil || len(i.faults) == 0 || i.skipBad {
		return err
	}
	return errors.New(i.faulty().Error()) // something was done
}

// finish writes the result, and what was left out if that is not an error.
func (i *importer) finish() error {
	if i.skipBad {
		for _, f := range i.told() {
			i.e.io.Errorf("left out: %s\n", f)
		}
	}
	i.DryRun = i.dryRun
	if i.e.json {
		return i.e.io.WriteJSON(i.importTotals)
	}
	i.e.io.Printf("%s\n", i.importTotals)
	return nil
}

// repeatable returns an error of the service without the advice to look before the command is
// repeated, which does no harm here.
func repeatable(err error) error {
	var refused *manage.Error
	var unreachable *manage.UnreachableError
	if errors.As(err, &refused) {
		refused.MayBeDone = false
	}
	if errors.As(err, &unreachable) {
		unreachable.MayBeDone = false
	}
	return err
}
