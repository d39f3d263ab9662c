package command

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// tokenLike matches refresh tokens and client secrets, which are 84 and 56 characters, and JWTs. It matches no file of a
// sensible name, and no family's id.
var tokenLike = regexp.MustCompile(`rotor_[A-Za-z0-9_-]{40,}|eyJ[A-Za-z0-9_-]{8,}\.`)

// beginsLikeToken reports whether an argument where none is expected may be a part of a token.
func beginsLikeToken(arg string) bool {
	return strings.HasPrefix(arg, "rotor_") || strings.HasPrefix(arg, "eyJ")
}

// errTokenArgument does not show the token.
var errTokenArgument = usageError{"a token or secret cannot be an argument: other users of this machine see arguments, " +
	"and the shell's history keeps them. Leave it out and paste it when you are asked, or pass it on the standard input"}

// checkArguments refuses tokens among the arguments, wherever they stand.
func checkArguments(args []string) error {
	if slices.ContainsFunc(args, tokenLike.MatchString) {
		return errTokenArgument
	}
	return nil
}

// checkFlags refuses flags with an empty value: a filter that a script lost must not widen
// what a command does.
func checkFlags(cmd *cobra.Command) error {
	var err error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if err == nil && f.Value.Type() == "string" && f.Value.String() == "" {
			err = misused("--%s has no value: leave it out if it is not meant", f.Name)
		}
	})
	return err
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if slices.ContainsFunc(args, beginsLikeToken) {
		return errTokenArgument
	}
	if len(args) > 0 {
		return misused("%s takes no arguments", cmd.Name())
	}
	return nil
}

// optional allows one argument.
func optional(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return misused("%s takes one argument, %s", cmd.Name(), name)
		}
		return notEmpty(name, args)
	}
}

// exactly asks for these arguments.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return misused("%s takes %s: %s", cmd.Name(), plural(len(names), "argument", "arguments"), strings.Join(names, " "))
		}
		for i, name := range names {
			if err := notEmpty(name, args[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}
}

func notEmpty(name string, args []string) error {
	if len(args) > 0 && args[0] == "" {
		return misused("%s is empty", name)
	}
	return nil
}

// either returns what is given by the flag or the argument, which must be one of both.
func either(flag, value string, args []string) (string, error) {
	switch {
	case (len(args) > 0) == (value != ""):
		return "", misused("give the %s once: as the argument or by --%s", flag, flag)
	case value != "":
		return value, nil
	}
	return args[0], nil
}

// familyID matches the id of a family.
var familyID = regexp.MustCompile(`\A[A-Za-z0-9_-]{43}\z`)

// switches are the flags without a value.
var switches = []string{"--yes", "--dry-run", "--json", "--follow", "--skip-bad", "--help"}

// moveIDs moves the ids of families that begin with - behind the flags, for which they would
// be taken: one id in 64 does. A value of a flag stays where it is.
func moveIDs(args []string) []string {
	if slices.Contains(args, "--") {
		return args
	}
	var kept, ids []string
	for i, arg := range args {
		value := i > 0 && strings.HasPrefix(args[i-1], "--") && !strings.Contains(args[i-1], "=") && !slices.Contains(switches, args[i-1])
		if !value && strings.HasPrefix(arg, "-") && familyID.MatchString(arg) {
			ids = append(ids, arg)
		} else {
			kept = append(kept, arg)
		}
	}
	if len(ids) == 0 {
		return args
	}
	return append(append(kept, "--"), ids...)
}

// complete offers these values of a flag to the shell.
func complete(cmd *cobra.Command, flag string, values ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag does not exist
	}
}

// capital returns the text with a capital letter at its beginning.
func capital(text string) string {
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[n:]
}
