// Package command is the command line of rotor: one file for each command. It serves
// people on a terminal and scripts in a pipe.
package command

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/terminal"
)

// The exit codes, which scripts rely on.
const (
	exitRefused     = 1 // the service refused, or something else went wrong
	exitUsage       = 2 // the command was not understood, and nothing was done
	exitDead        = 3 // explain: the token is dead
	exitUnreachable = 4 // the service did not answer
)

const about = `rotor runs Rotor on this machine, and manages a service: it explains why a token died,
ends families, follows events, registers clients, and erases users.

The service is the one at --url or ROTOR_URL: http://127.0.0.1:3000, which is where "rotor run"
serves, unless you say otherwise. Calls of an https address are signed with your AWS credentials
(--profile, --region, or the environment, as for the AWS CLI). Calls of a local run are not signed.

On a terminal, lists are tables. In a pipe, they are lines with tabs between the columns and no
header. --json writes what the API answers: one document, or for a list one on each line. Times are
UTC, as in the log. NO_COLOR turns colors off. Tokens and secrets are never arguments: they are asked
for, or read from the standard input.

Exit codes: 0 done, 1 refused or failed, 2 not understood, 3 the token is dead, 4 no answer.`

// env is what the commands share.
type env struct {
	io     *terminal.IO
	getenv func(string) string

	url, profile, region string
	json                 bool
}

// Main runs the command that the arguments name, and returns the exit code.
func Main(ctx context.Context, args []string, getenv func(string) string, io *terminal.IO) int {
	e := &env{io: io, getenv: getenv}
	root := e.root()
	root.SetArgs(moveIDs(args))
	if len(args) == 0 {
		root.SetOut(io.Err)
		_ = root.Help() // to Err
		return exitUsage
	}
	if err := checkArguments(args); err != nil {
		return e.report(root, err)
	}
	called, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		err = io.Failed()
	case ctx.Err() != nil && !errors.Is(err, errDead): // whatever failed then
		err = terminal.ErrInterrupted
	}
	return e.report(called, err)
}

// root returns the command with all others below it.
func (e *env) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "rotor",
		Short:         "Runs Rotor on this machine, and manages a service",
		Long:          about,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true, SilenceUsage: true,
		RunE:              unknown,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return checkFlags(cmd) },
	}
	root.SetOut(e.io.Out)
	root.SetErr(e.io.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err.Error()} })
	flags := root.PersistentFlags()
	flags.StringVar(&e.url, "url", "", "address of the service (ROTOR_URL)")
	flags.StringVar(&e.profile, "profile", "", "profile of the AWS credentials (AWS_PROFILE)")
	flags.StringVar(&e.region, "region", "", "AWS region of the service (AWS_REGION)")
	flags.BoolVar(&e.json, "json", false, "write JSON: one document, or for a list one on each line")
	root.AddCommand(e.run(), e.console(), e.explain(), e.families(), e.revoke(), e.events(), e.clients(), e.secrets(),
		e.keys(), e.importTokens(), e.erase(), e.version())
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" { // alone it is like any other group
			cmd.Args, cmd.RunE = cobra.ArbitraryArgs, unknown
		}
	}
	offerNoFiles(root)
	return root
}

// offerNoFiles makes the shell offer no names of files where an id is expected.
func offerNoFiles(cmd *cobra.Command) {
	if cmd.ValidArgsFunction == nil && !cmd.HasSubCommands() && cmd.Name() != "apply" && cmd.Name() != "import" {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, below := range cmd.Commands() {
		offerNoFiles(below)
	}
}

// usageError is returned if a command is not understood.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func misused(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// errDead is returned, and not shown, if the token that was asked about is dead.
var errDead = errors.New("the token is dead")

// report writes what went wrong to Err, and returns the exit code.
func (e *env) report(cmd *cobra.Command, err error) int {
	var misused usageError
	var unreachable *manage.UnreachableError
	var refused *manage.Error
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errDead):
		return exitDead
	case errors.As(err, &misused):
		e.complain(err)
		e.io.Errorf("%s --help says more.\n", cmd.CommandPath())
		return exitUsage
	case errors.As(err, &unreachable):
		e.complain(err)
		if e.url == "" && e.getenv("ROTOR_URL") == "" {
			e.io.Errorf("Is it running? rotor run starts it. --url or ROTOR_URL chooses another service.\n")
		}
		e.warnMayBeDone(unreachable.MayBeDone)
		return exitUnreachable
	case errors.As(err, &refused):
		e.complain(err)
		e.warnMayBeDone(refused.MayBeDone)
		if refused.Status == http.StatusBadGateway || refused.Status == http.StatusGatewayTimeout {
			return exitUnreachable // what stands before the service has answered
		}
		if refused.Status == http.StatusBadRequest {
			return exitUsage // an argument or flag is wrong; of a file, apply says so itself
		}
		return exitRefused
	}
	e.complain(err)
	return exitRefused
}

// warnMayBeDone writes that a change may have been made though no answer says so.
func (e *env) warnMayBeDone(mayBe bool) {
	if mayBe {
		e.io.Errorf("It may have been done all the same: look before you do it again.\n")
	}
}

// complain writes the lines of an error, made inert.
func (e *env) complain(err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		e.io.Errorf("%s %s\n", e.io.PaintErr(terminal.Red, "rotor:"), terminal.Inert(line))
	}
}

// unknown returns the error for a command that does not exist.
func unknown(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return misused("%s needs a command", cmd.CommandPath())
	}
	cmd.SuggestionsMinimumDistance = 2 // letters that differ, at most
	if beginsLikeToken(args[0]) {
		return errTokenArgument
	}
	near := cmd.SuggestionsFor(args[0])
	if len(near) > 0 {
		return misused("there is no command %q; did you mean %s?", args[0], strings.Join(near, " or "))
	}
	return misused("there is no command %q", args[0])
}
