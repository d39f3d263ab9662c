package command

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/terminal"
)

func (e *env) explain() *cobra.Command {
	var q manage.Question
	cmd := &cobra.Command{
		Use:   "explain [--family ID | --sid SID --user USER]",
		Short: "Say why a token died, or that it is good",
		Long: `Says whether a token is accepted, and if not, why it died and what to do about it. Asking changes
nothing.

The token is a refresh token, also one of another provider that moved in, an access token or an
authorization code. It is asked for, and what you paste is not shown;
or it is read from the standard input. It is never an argument. --family asks about the newest token
of a family instead, and --sid with --user about that of the family that an access token names.

The exit code is 3 if the token is dead.`,
		Example: `  rotor explain
  pbpaste | rotor explain
  rotor explain --family 5oSM_mhQKA0P9oHZCRhalgGiIKc-0K77w4fmNsZpjZc`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (q.SID == "") != (q.UserID == "") || (q.SID != "" && q.Family != "") {
				return misused("give --family, or --sid with --user, or neither and a token")
			}
			if q.Family != "" && !familyID.MatchString(q.Family) {
				return misused("--family is no id of a family, which has 43 letters, digits, - and _")
			}
			service, err := e.service(cmd.Context())
			if err != nil {
				return err
			}
			if q.Family == "" && q.SID == "" {
				q.RefreshToken, err = e.io.ReadSecret(cmd.Context(), "Token (it is not shown): ")
				if err != nil {
					return err
				}
				if q.RefreshToken == "" {
					return misused("there is no token on the standard input")
				}
			}
			if err := checkToken(&q); err != nil {
				return err
			}
			x, err := service.Explain(cmd.Context(), &q)
			if err != nil {
				return err
			}
			if e.json {
				err = e.io.WriteJSON(x)
			} else {
				e.showExplanation(x)
			}
			if err == nil && x.Dead() {
				err = errDead
			}
			return err
		},
	}
	cmd.Flags().StringVar(&q.Family, "family", "", "ask about this family's newest token")
	cmd.Flags().StringVar(&q.SID, "sid", "", "ask about the family that an access token has as its sid")
	cmd.Flags().StringVar(&q.UserID, "user", "", "user of --sid: the access token's sub")
	cmd.Flags().StringVar(&q.ClientID, "client", "", "ask as this client")
	return cmd
}

// maxQuestion limits the bytes of a question as JSON, which the service does too.
const maxQuestion = 16 << 10

// checkToken refuses what cannot be a token, such as a file that was piped by mistake.
func checkToken(q *manage.Question) error {
	binary := func(r rune) bool { return r == utf8.RuneError || (unicode.IsControl(r) && !unicode.IsSpace(r)) }
	if strings.ContainsFunc(q.RefreshToken, binary) {
		return misused("that is no token: it has characters that are no text")
	}
	if text, err := json.Marshal(q); err != nil || len(text) > maxQuestion { //nolint:gosec // is measured alone
		return misused("that is no token: it is too long")
	}
	return nil
}

// showExplanation writes verdict, summary and advice, then the family and its timeline. In a
// pipe each line begins with its name.
func (e *env) showExplanation(x *manage.Explanation) {
	fields := e.io.NewTable(terminal.Column{}, terminal.Column{})
	if e.io.IsTerminal() {
		color := terminal.Green
		if x.Dead() {
			color = terminal.Red
		}
		verdict := strings.ReplaceAll(x.Verdict, "_", " ")
		if x.Cause != "" {
			verdict += ": " + x.Cause
		}
		e.io.Printf("%s\n\n", e.io.Paint(color, terminal.Inert(verdict)))
		for _, text := range []string{x.Summary, x.Advice} {
			if text != "" {
				e.io.Printf("%s\n\n", e.io.Wrap(text))
			}
		}
	} else {
		fields.AddKnown("verdict", x.Verdict)
		fields.AddKnown("cause", x.Cause)
		fields.AddKnown("summary", x.Summary)
		fields.AddKnown("advice", x.Advice)
	}
	fields.AddKnown("token", presented(x.TokenCounter, x.OriginToken))
	fields.AddKnown("origin_token", x.OriginToken)
	if f := x.Family; f != nil {
		fields.AddKnown("family", f.ID)
		fields.AddKnown("user", f.UserID)
		fields.AddKnown("client", f.ClientID)
		fields.AddKnown("status", f.Status)
		fields.AddKnown("origin", f.Origin)
		fields.AddKnown("device", f.Device)
		fields.AddKnown("newest", number(f.Counter))
		fields.AddKnown("issued", e.time(f.IssuedAt))
		fields.AddKnown("last_used", e.time(f.LastUsedAt))
		fields.AddKnown("last_ip", f.LastIP)
		fields.AddKnown("last_agent", f.LastUserAgent)
		fields.AddKnown("dpop_jkt", f.DPoPJKT)
		fields.AddKnown("device_bound", e.time(f.DeviceBoundAt))
	} else {
		fields.AddKnown("issued", e.time(x.IssuedAt))
	}
	if r := x.Recommendation; r != nil {
		fields.AddKnown("recommended_reuse_interval", strconv.FormatInt(r.ReuseInterval, 10))
	}
	fields.Flush()
	e.showTimeline(x.Timeline)
}

// showTimeline writes a line for each moment of a family.
func (e *env) showTimeline(timeline []manage.Moment) {
	if len(timeline) == 0 {
		return
	}
	const fromTable = "moment" // begins a line in a pipe, where there is no header
	columns := []terminal.Column{
		{Title: "TIME (UTC)"},
		{Title: "EVENT"},
		{Title: "TOKEN"},
		{Title: "NEWEST"},
		{Title: "CAUSE"},
		{Title: "IP"},
		{Title: "BY", Cut: true},
		{Title: "AGENT", Cut: true},
	}
	if e.io.IsTerminal() {
		e.io.Printf("\n")
	} else {
		columns = append([]terminal.Column{{}}, columns...)
	}
	table := e.io.NewTable(columns...)
	for _, m := range timeline {
		row := []string{e.precise(m.At), m.Event, presented(m.TokenCounter, m.OriginToken), number(m.Counter), m.Cause, m.IP, m.By, m.UserAgent}
		if !e.io.IsTerminal() {
			row = append([]string{fromTable}, row...)
		}
		table.Add(row...)
	}
	table.Flush()
}

// number returns a counter. A family whose number 0 was not exchanged has 0.
func number(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// presented returns the number of the token that was presented, and nothing if there was none. What
// the family began with, such as its authorization code, is its number 0.
func presented(n uint32, origin string) string {
	if n == 0 && origin == "" {
		return ""
	}
	return number(n)
}
