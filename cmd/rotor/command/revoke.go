package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/terminal"
)

// revocation is what "rotor revoke" is asked for.
type revocation struct {
	manage.Revocation
	family string
	yes    bool
}

// revoked is its result as JSON.
type revoked struct {
	Families int  `json:"revoked"`
	DryRun   bool `json:"dry_run,omitempty"`
}

func (e *env) revoke() *cobra.Command {
	var r revocation
	cmd := &cobra.Command{
		Use:   "revoke {FAMILY | --user USER}",
		Short: "End a family, or the families of a user",
		Long: `Ends a family, or all families of a user, so that no token of them works. First it says what would
end, and asks. Where nobody can be asked, it needs --yes, or --dry-run, which ends nothing.

With --json the result is one document: {"revoked": 3}.`,
		Example: `  rotor revoke 5oSM_mhQKA0P9oHZCRhalgGiIKc-0K77w4fmNsZpjZc
  rotor revoke --user alice --cause password_changed
  rotor revoke --user alice --except 5oSM_mhQKA0P9oHZCRhalgGiIKc-0K77w4fmNsZpjZc --yes`,
		Args: optional("FAMILY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && r.family != "" {
				return misused("the family is given twice")
			}
			if len(args) > 0 {
				r.family = args[0]
			}
			switch {
			case (r.family == "") == (r.UserID == ""):
				return misused("give a family, or --user")
			case r.family != "" && (r.ClientID != "" || r.Except != "" || r.Cause != ""):
				return misused("--client, --except and --cause go with --user")
			}
			if err := e.mayAsk(cmd, r.yes, r.DryRun); err != nil {
				return err
			}
			service, err := e.service(cmd.Context())
			if err != nil {
				return err
			}
			if r.family != "" {
				return e.revokeFamily(cmd.Context(), service, &r)
			}
			return e.revokeUser(cmd.Context(), service, &r)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&r.family, "family", "", "the family, instead of the argument")
	flags.StringVar(&r.UserID, "user", "", "end the families of this user")
	flags.StringVar(&r.ClientID, "client", "", "of --user: only those in this client")
	flags.StringVar(&r.Except, "except", "", "of --user: all but this family, which must live")
	flags.StringVar(&r.Cause, "cause", "", "of --user: revoked_by_admin (the default) or password_changed")
	flags.BoolVar(&r.DryRun, "dry-run", false, "only say what would end")
	flags.BoolVar(&r.yes, "yes", false, "do not ask")
	complete(cmd, "cause", "revoked_by_admin", "password_changed")
	return cmd
}

// revokeFamily ends one family.
func (e *env) revokeFamily(ctx context.Context, service *manage.Client, r *revocation) error {
	f, err := service.Family(ctx, r.family)
	if err != nil {
		return err
	}
	living := 0
	switch f.Status {
	case "active", "pending", "unregistered":
		living = 1
	}
	what := fmt.Sprintf("the family of user %s in client %s", quote(f.UserID), quote(f.ClientID))
	if f.Device != "" {
		what += ", on " + quote(f.Device)
	}
	switch {
	case f.Status != "pending":
	case f.Origin == "code":
		what += ", whose authorization code was not exchanged yet"
	default:
		what += ", whose old token was not presented yet"
	}
	if living == 0 {
		e.io.Errorf("%s has ended already: %s\n", capital(what), terminal.Inert(f.Cause))
		return e.revokedCount(0, r.DryRun)
	}
	if r.DryRun {
		e.io.Errorf("This would end %s.\n", what)
		return e.revokedCount(1, true)
	}
	if err := e.confirm(ctx, r.yes, "This ends "+what+". End it?"); err != nil {
		return err
	}
	alive, err := service.RevokeFamily(ctx, r.family)
	if err != nil {
		return err
	}
	if !alive {
		living = 0
	}
	return e.revokedCount(living, false)
}

// revokeUser ends the families of a user, after a dry run has counted them.
func (e *env) revokeUser(ctx context.Context, service *manage.Client, r *revocation) error {
	counting := r.Revocation
	counting.DryRun = true
	living, err := e.revokeAll(ctx, service, counting, "families counted", 0)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%s of user %s", plural(living, "living family", "living families"), quote(r.UserID))
	if r.ClientID != "" {
		what += " in client " + quote(r.ClientID)
	}
	if r.Except != "" {
		what += ", all but " + terminal.Inert(r.Except)
	}
	switch {
	case r.DryRun:
		e.io.Errorf("This would end %s.\n", what)
		return e.revokedCount(living, true)
	case r.yes: // also if there are none: one may be issued meanwhile
	case living == 0:
		e.io.Errorf("There is nothing to end: %s.\n", what)
		return e.revokedCount(0, false)
	default:
		if err := e.confirm(ctx, false, "This ends "+what+". End them?"); err != nil {
			return err
		}
	}
	ended, err := e.revokeAll(ctx, service, r.Revocation, "families ended", living)
	if err != nil {
		if ended > 0 {
			e.io.Errorf("%s ended before this:\n", plural(ended, "family has", "families have"))
		}
		return err
	}
	return e.revokedCount(ended, false)
}

// revokeAll makes one call after the other, and returns how many families they ended, or would.
func (e *env) revokeAll(ctx context.Context, service *manage.Client, r manage.Revocation, what string, total int) (n int, err error) {
	progress := e.io.Progress(what, total)
	defer progress.Stop()
	for done, err := range service.RevokeFamilies(ctx, r) {
		if err != nil {
			return n, err
		}
		n += done.Families
		progress.Add(done.Families)
	}
	return n, nil
}

// revokedCount writes the result.
func (e *env) revokedCount(n int, dryRun bool) error {
	if e.json {
		return e.io.WriteJSON(revoked{n, dryRun})
	}
	if !dryRun {
		e.io.Printf("%s\n", plural(n, "family ended", "families ended"))
	} else {
		e.io.Printf("%s\n", plural(n, "family would end", "families would end"))
	}
	return nil
}
