package command

import (
	"context"
	"errors"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/terminal"
)

// eventTypes are the types of events that are stored.
var eventTypes = []string{"ferrt", "srrt", "resource_cleanup", "late_use", "ahead", "sdu"}

const (
	followBack  = 10 * time.Minute // how far back --follow begins
	followEvery = 2 * time.Second
	// followOverlap is how much later an event may be stored than its time says: servers'
	// clocks differ.
	followOverlap = 2 * time.Minute
)

func (e *env) events() *cobra.Command {
	var filter manage.EventFilter
	var from, to string
	var follow bool
	cmd := &cobra.Command{
		Use:   "events",
		Short: "List stored events, or follow them",
		Long: `Lists stored events, newest first: of a user, a family, a type, or all. Without --from they are those
of the last 30 days.

  ferrt             reuse ended a family, or would have
  srrt              a family, or a user's families, were revoked
  resource_cleanup  families over the limit of a user were ended
  late_use          an old token of a session that is bound to a key got the newest
  ahead             a token was newer than the table: a backup was restored
  sdu               a user was erased

--follow writes the events since --from, or of the last ten minutes, oldest first, and then each new
one, once, until it is interrupted.

--from and --to are a time such as 2026-11-28T05:30:00Z, or how long ago: 90m, 24h, 7d.

Columns: time, type, user, client, family or families, cause, ip, by, agent, origin token. The last is
set if what a family began with was used again: code, imported or adopted. With --json each event is a line.`,
		Example: `  rotor events --user alice
  rotor events --type ferrt --from 7d
  rotor events --follow`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			now := time.Now()
			if filter.From, err = instant("from", from, now); err != nil {
				return err
			}
			if filter.To, err = instant("to", to, now); err != nil {
				return err
			}
			if follow && to != "" {
				return misused("--follow has no end: leave --to out")
			}
			if filter.Type != "" && !slices.Contains(eventTypes, filter.Type) {
				return misused("there is no stored event of type %q: see rotor events --help", filter.Type)
			}
			service, err := e.service(cmd.Context())
			if err != nil {
				return err
			}
			if follow {
				if from == "" {
					filter.From = now.Add(-followBack)
				}
				return e.follow(cmd.Context(), service, filter)
			}
			found, err := list(e, "events read", allEvents(cmd.Context(), service, filter), e.eventTable(), e.eventRow)
			if err == nil && found == 0 && e.io.IsTerminal() {
				e.io.Errorf("No such events are on record.\n")
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.UserID, "user", "", "only events about this user")
	flags.StringVar(&filter.Family, "family", "", "only events about this family")
	flags.StringVar(&filter.Type, "type", "", "only ferrt, srrt, resource_cleanup, late_use, ahead or sdu")
	flags.StringVar(&from, "from", "", "only events since then")
	flags.StringVar(&to, "to", "", "only events before then")
	flags.BoolVar(&follow, "follow", false, "go on with each new event, until interrupted")
	complete(cmd, "type", eventTypes...)
	return cmd
}

// ago matches how long ago something was.
var ago = regexp.MustCompile(`\A([0-9]{1,6})([smhd])\z`)

// instant returns the time that a flag names, zero if it has no value.
func instant(flag, value string, now time.Time) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	if m := ago.FindStringSubmatch(value); m != nil {
		n, err := strconv.Atoi(m[1])
		unit := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[2]]
		if err == nil {
			return now.Add(-time.Duration(n) * unit), nil
		}
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return time.Time{}, misused("--%s is %q, but must be a time such as 2026-11-28T05:30:00Z, or how long ago, such as 24h or 7d", flag, value)
	}
	return t, nil
}

// allEvents yields events, newest first. The API lists those of one type, of a user or of a
// family; if none is given, the lists of all types are merged.
func allEvents(ctx context.Context, service *manage.Client, f manage.EventFilter) iter.Seq2[*manage.Event, error] {
	if f.Type != "" || f.UserID != "" || f.Family != "" {
		return service.Events(ctx, f)
	}
	return func(yield func(*manage.Event, error) bool) {
		type list struct {
			next func() (*manage.Event, error, bool)
			head *manage.Event
		}
		var lists []*list
		for _, kind := range eventTypes {
			f.Type = kind
			next, stop := iter.Pull2(service.Events(ctx, f))
			defer stop()
			lists = append(lists, &list{next: next})
		}
		// Each list without a head is asked for its next event; one without events leaves.
		for {
			var newest *list
			for _, l := range slices.Clone(lists) {
				if l.head == nil {
					event, err, ok := l.next()
					if err != nil {
						yield(nil, err)
						return
					}
					if !ok {
						lists = slices.DeleteFunc(lists, func(other *list) bool { return other == l })
						continue
					}
					l.head = event
				}
				if newest == nil || l.head.At.After(newest.head.At) {
					newest = l
				}
			}
			if newest == nil || !yield(newest.head, nil) {
				return
			}
			newest.head = nil
		}
	}
}

// follow writes events, oldest first, and then each new one, until ctx is done.
func (e *env) follow(ctx context.Context, service *manage.Client, f manage.EventFilter) error {
	table := e.eventTable()
	seen := map[string]time.Time{}
	away := false // the service does not answer
	next := time.NewTicker(followEvery)
	defer next.Stop()
	for began := false; ; {
		found, err := newEvents(ctx, service, f, seen)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			began, away = true, false
		case !began || !isPassing(err):
			return err
		case !away:
			e.complain(err)
			e.io.Errorf("It is asked again until it answers.\n")
			away = true
		}
		for _, event := range slices.Backward(found) {
			if err := add(e, event, table, e.eventRow); err != nil {
				return err
			}
			seen[event.ID] = event.At
			if from := event.At.Add(-followOverlap); from.After(f.From) {
				f.From = from
			}
		}
		table.Flush()
		for id, at := range seen {
			if at.Before(f.From) {
				delete(seen, id)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
	}
}

// newEvents returns the events that are not in seen, newest first.
func newEvents(ctx context.Context, service *manage.Client, f manage.EventFilter, seen map[string]time.Time) ([]*manage.Event, error) {
	var found []*manage.Event
	for event, err := range allEvents(ctx, service, f) {
		if err != nil {
			return nil, err
		}
		if _, known := seen[event.ID]; !known {
			found = append(found, event)
		}
	}
	return found, nil
}

// isPassing reports whether an error may pass by itself.
func isPassing(err error) bool {
	var unreachable *manage.UnreachableError
	var refused *manage.Error
	return errors.As(err, &unreachable) || (errors.As(err, &refused) && (refused.Status >= 500 || refused.Status == 429))
}

func (e *env) eventTable() *terminal.Table {
	return e.io.NewTable(terminal.Column{Title: "TIME (UTC)"}, terminal.Column{Title: "TYPE"},
		terminal.Column{Title: "USER"}, terminal.Column{Title: "CLIENT"}, terminal.Column{Title: "FAMILY"}, terminal.Column{Title: "CAUSE"},
		terminal.Column{Title: "IP"}, terminal.Column{Title: "BY", Cut: true}, terminal.Column{Title: "AGENT", Cut: true}, terminal.Column{Title: "ORIGIN TOKEN"})
}

// eventRow returns the columns of an event.
func (e *env) eventRow(event *manage.Event) []string {
	user, family := event.UserID, event.FamilyID
	if user == "" {
		user = event.UserKey
	}
	switch n := len(event.Families); {
	case family == "" && n == 1:
		family = event.Families[0]
	case family == "" && n > 1:
		family = plural(n, "family", "families")
	case event.ErasedFamilies != nil:
		family = plural(*event.ErasedFamilies, "family", "families")
	}
	return []string{e.time(event.At), event.Type, user, event.ClientID, family, event.Cause, event.IP, event.By, event.UserAgent, event.OriginToken}
}
