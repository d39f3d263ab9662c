package command

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/terminal"
)

// clientChange is what a file changes of one client.
type clientChange struct {
	ClientID string              `json:"client_id"`
	Change   string              `json:"change"` // created, changed or none
	Fields   []fieldChange       `json:"fields,omitempty"`
	Warnings []manage.FieldError `json:"warnings,omitempty"` // what it makes unsafe; once it is applied, the service's

	entry *clientEntry
	told  map[string]bool // the fields that were warned of
}

// fieldChange is what a file changes of one setting.
type fieldChange struct {
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
}

func (e *env) applyClients() *cobra.Command {
	var yes, dryRun bool
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Register the clients of a file, or change them to what it says",
		Long: `Registers the clients of a file, in YAML or JSON, or changes them to what it says. First it says what
changes, setting by setting, warns of what becomes unsafe, such as a confidential client that becomes
public and loses its secrets, and asks. Where nobody can be asked, a change needs --yes, or --dry-run,
which changes nothing. FILE may be -, the standard input.

A setting that the file leaves out has its default; not_before alone stays as it is. Clients that are
not in the file stay, and so do secrets. Members that are unknown or wrong are refused with their
place, and nothing is done. The same file a second time changes nothing.

With --json the result is one document.`,
		Example: `  rotor clients apply clients.yaml

  clients:
    shop:
      type: public
      scope: openid orders
    backend:
      type: confidential
      preset: auth0
      policy: {reuse_interval: 30}
      audience: [https://api.example.com]`,
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			// Nobody needs to be asked if nothing changes.
			refusal := e.mayAsk(cmd, yes, dryRun)
			if args[0] == "-" && !yes && !dryRun {
				refusal = misused("the standard input is the file, and cannot be asked: say --yes or --dry-run")
			}
			file, err := readClientFile(args[0], e.io.Input())
			if err != nil {
				return err
			}
			service, err := e.service(cmd.Context())
			if err != nil {
				return err
			}
			return e.apply(cmd.Context(), service, file, yes, dryRun, refusal)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would change")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// apply brings the clients to what the file says. If it would have to ask, it returns
// refusal, unless that is nil.
func (e *env) apply(ctx context.Context, service *manage.Client, file *clientFile, yes, dryRun bool, refusal error) error {
	all, err := e.compare(ctx, service, file)
	if err != nil {
		return err
	}
	due := 0
	for _, c := range all {
		if c.Change != "none" {
			due++
		}
	}
	if !e.json {
		e.showChanges(all)
	}
	switch {
	case dryRun:
		return e.applied(all, "would change", due, true)
	case due == 0 || yes:
	case refusal != nil:
		return refusal
	default:
		if err := e.confirm(ctx, false, "Apply this to "+plural(due, "client", "clients")+"?"); err != nil {
			return err
		}
	}
	done := 0
	progress := e.io.Progress("clients applied", due)
	for i := range all {
		c := &all[i]
		if c.Change == "none" {
			continue
		}
		r, err := service.Register(ctx, c.ClientID, c.entry.settings())
		if err != nil {
			progress.Stop()
			if done > 0 {
				e.io.Errorf("%s before this.\n", plural(done, "client was applied", "clients were applied"))
			}
			return file.refused(c.entry, err)
		}
		c.Warnings = r.Warnings
		done++
		progress.Add(1)
	}
	progress.Stop()
	return e.applied(all, "changed", done, false)
}

// refused gives a refusal of the service its place in the file.
func (f *clientFile) refused(c *clientEntry, err error) error {
	var refusal *manage.Error
	if !errors.As(err, &refusal) || len(refusal.Fields) == 0 {
		return err
	}
	f.errs = nil
	for _, field := range refusal.Fields {
		f.wrong(c.place(field.Field), "clients.%s: %s", c.id, field.Detail)
	}
	return errors.New(errors.Join(f.errs...).Error()) // as the service has understood the command
}

// compare returns what the file changes. Values that are out of their range are an error,
// before anything is changed.
func (e *env) compare(ctx context.Context, service *manage.Client, file *clientFile) ([]clientChange, error) {
	all := make([]clientChange, 0, len(file.entries))
	progress := e.io.Progress("clients compared", len(file.entries))
	defer progress.Stop()
	for _, entry := range file.entries {
		now, err := service.Registration(ctx, entry.id)
		var refused *manage.Error
		switch {
		case errors.As(err, &refused) && refused.NotFound():
			now = nil
		case err != nil:
			return nil, err
		}
		progress.Add(1)
		after := entry.registration(now)
		c := clientChange{
			ClientID: entry.id, Change: "none", Fields: differences(now, after), Warnings: cautions(now, after, time.Now()),
			entry: entry, told: map[string]bool{},
		}
		switch {
		case now == nil:
			c.Change = "created"
		case len(c.Fields) > 0:
			c.Change = "changed"
		}
		if c.Change != "none" {
			for _, wrong := range entry.policy.Check(time.Now()) {
				file.wrong(entry.place(wrong.Field), "clients.%s.%v", entry.id, wrong)
			}
		}
		all = append(all, c)
	}
	return all, file.err()
}

// differences returns the settings in which two registrations differ; before may be nil.
func differences(before, after *manage.Registration) []fieldChange {
	is := stateOf(after)
	was := make([]field, len(is))
	if before != nil {
		was = stateOf(before)
	}
	var all []fieldChange
	for i := range is {
		if was[i].value != is[i].value {
			all = append(all, fieldChange{is[i].name, was[i].value, is[i].value})
		}
	}
	return all
}

// showChanges writes what changes, setting by setting, and what becomes unsafe.
func (e *env) showChanges(all []clientChange) {
	for i := range all {
		c := &all[i]
		id := terminal.Inert(c.ClientID)
		switch c.Change {
		case "none":
			e.io.Printf("  %s: no change\n", id)
		case "created":
			e.io.Printf("%s\n", e.io.Paint(terminal.Green, "+ "+id+": new"))
			for _, f := range c.Fields {
				e.io.Printf("%s\n", e.io.Paint(terminal.Green, "+   "+f.Field+": "+terminal.Inert(f.To)))
			}
		default:
			e.io.Printf("%s\n", e.io.Paint(terminal.Yellow, "~ "+id))
			for _, f := range c.Fields {
				e.io.Printf("%s\n", e.io.Paint(terminal.Yellow, "~   "+f.Field+": "+orNone(f.From)+" -> "+orNone(f.To)))
			}
		}
		e.warn(c)
	}
}

func orNone(value string) string {
	if value == "" {
		return "(none)"
	}
	return terminal.Inert(value)
}

// applied writes the result.
func (e *env) applied(all []clientChange, how string, n int, dryRun bool) error {
	if e.json {
		return e.io.WriteJSON(struct {
			Clients []clientChange `json:"clients"`
			DryRun  bool           `json:"dry_run,omitempty"`
		}{all, dryRun})
	}
	for i := range all {
		e.warn(&all[i])
	}
	if n == 0 {
		e.io.Printf("no change\n")
		return nil
	}
	e.io.Printf("%s %s\n", plural(n, "client", "clients"), how)
	return nil
}
