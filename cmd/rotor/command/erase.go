package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rotor-auth/rotor/clients/manage"
)

// erased is the result of "rotor erase" as JSON.
type erased struct {
	Families int  `json:"families"`
	Events   int  `json:"events"`
	DryRun   bool `json:"dry_run,omitempty"`
}

func (r erased) String() string {
	return plural(r.Families, "family", "families") + " and " + plural(r.Events, "stored event", "stored events")
}

func (e *env) erase() *cobra.Command {
	var who manage.Erasure
	var yes bool
	cmd := &cobra.Command{
		Use:   "erase {USER | --user-key KEY}",
		Short: "Erase all that is stored of a user",
		Long: `Erases all that is stored of a user: families and events. It cannot be undone. First it says how much
that is, and asks you to type the user's id. Where nobody can be asked, it needs --yes, or --dry-run,
which erases nothing. An erasure can be repeated.

After a backup was restored, --user-key replays an erasure: it is the userKey of its event (rotor
events --type sdu).

With --json the result is one document: {"families": 2, "events": 5}.`,
		Args: optional("USER"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) > 0) == (who.UserKey != "") {
				return misused("give a user, or --user-key")
			}
			id := who.UserKey
			if len(args) > 0 {
				who.UserID, id = args[0], args[0]
			}
			if err := e.mayAsk(cmd, yes, who.DryRun); err != nil {
				return err
			}
			service, err := e.service(cmd.Context())
			if err != nil {
				return err
			}
			return e.eraseUser(cmd.Context(), service, who, id, yes)
		},
	}
	cmd.Flags().StringVar(&who.UserKey, "user-key", "", "the user's key, of the event of an earlier erasure")
	cmd.Flags().BoolVar(&who.DryRun, "dry-run", false, "only say how much it would erase")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// eraseUser erases a user, after a dry run has counted and the id was typed.
func (e *env) eraseUser(ctx context.Context, service *manage.Client, who manage.Erasure, id string, yes bool) error {
	counting := who
	counting.DryRun = true
	found, err := e.eraseAll(ctx, service, counting, "records counted", 0)
	if err != nil {
		return err
	}
	if who.DryRun {
		found.DryRun = true
		return e.erasedCount(found, "would be erased")
	}
	if !yes {
		typed, err := e.io.Ask(ctx, fmt.Sprintf("This erases %s of user %s, for good.\nType the id to go on: ", found, quote(id)))
		if err != nil {
			return err
		}
		if typed != id {
			return errors.New("that is not the id: nothing was erased")
		}
	}
	done, err := e.eraseAll(ctx, service, who, "records erased", found.Families+found.Events)
	if err != nil {
		if done.Families+done.Events > 0 {
			e.io.Errorf("%s were erased before this; the same command does the rest:\n", done)
		}
		return err
	}
	return e.erasedCount(done, "erased")
}

// eraseAll makes one call after the other, and returns what they erased, or would.
func (e *env) eraseAll(ctx context.Context, service *manage.Client, who manage.Erasure, what string, total int) (all erased, err error) {
	progress := e.io.Progress(what, total)
	defer progress.Stop()
	for done, err := range service.EraseUser(ctx, who) {
		if err != nil {
			return all, err
		}
		all.Families += done.Families
		all.Events += done.Events
		progress.Add(done.Families + done.Events)
	}
	return all, nil
}

// erasedCount writes the result.
func (e *env) erasedCount(r erased, how string) error {
	if e.json {
		return e.io.WriteJSON(r)
	}
	e.io.Printf("%s %s\n", r, how)
	return nil
}
