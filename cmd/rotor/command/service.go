package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/spf13/cobra"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/cmd/rotor/terminal"
	"github.com/rotor-auth/rotor/shared/version"
)

// localAddress is where "rotor run" serves unless it is told otherwise.
const localAddress = "http://127.0.0.1:3000"

// service returns the client of the service that the flags and the environment choose.
func (e *env) service(ctx context.Context) (*manage.Client, error) {
	address := cmp.Or(e.url, e.getenv("ROTOR_URL"), localAddress)
	o := manage.Options{UserAgent: "rotor/" + version.Number}
	if !strings.HasPrefix(address, "http://") {
		cfg, err := e.aws(ctx)
		if err != nil {
			return nil, err
		}
		o.AWS = &cfg
	}
	client, err := manage.New(address, o)
	if err != nil {
		return nil, usageError{err.Error()}
	}
	return client, nil
}

// aws returns the configuration of the SDK: the default credentials, or those of the profile.
func (e *env) aws(ctx context.Context) (aws.Config, error) {
	var options []func(*config.LoadOptions) error
	if e.profile != "" {
		options = append(options, config.WithSharedConfigProfile(e.profile))
	}
	if e.region != "" {
		options = append(options, config.WithRegion(e.region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("load the AWS credentials: %w", err)
	}
	return cfg, nil
}

// time returns a time as lists show it: in UTC, as in the service's own sentences and its
// log. On a terminal it is shorter.
func (e *env) time(t time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case e.io.IsTerminal():
		return t.UTC().Format("2006-01-02 15:04:05")
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// precise returns a time to the millisecond: of two uses of a token it matters which was first.
func (e *env) precise(t time.Time) string {
	if e.io.IsTerminal() {
		return t.UTC().Format("2006-01-02 15:04:05.000")
	}
	return e.time(t)
}

// plural returns the number and the noun, such as 1 family or 2 families.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// quote returns a text of others in quotes, made inert.
func quote(text string) string { return `"` + terminal.Inert(text) + `"` }

// ofClient returns the error with the client's id, if there is no such client.
func ofClient(id string, err error) error {
	var refused *manage.Error
	if errors.As(err, &refused) && refused.NotFound() {
		return fmt.Errorf("client %s: %w", quote(id), err)
	}
	return err
}

// mayAsk returns an error unless the command may do what it is about to ask for: by --yes,
// or because there is somebody to ask. Who wants JSON is not asked.
func (e *env) mayAsk(cmd *cobra.Command, yes, dryRun bool) error {
	if yes || dryRun || (e.io.CanAsk() && !e.json) {
		return nil
	}
	why := "there is no terminal to ask on"
	if e.json {
		why = "with --json nothing is asked"
	}
	if cmd.Flags().Lookup("dry-run") != nil {
		return misused("%s: say --yes, or --dry-run to see what it would do", why)
	}
	return misused("%s: say --yes", why)
}

// confirm asks, unless yes was said before. It returns errDeclined if the answer is no.
func (e *env) confirm(ctx context.Context, yes bool, question string) error {
	if yes {
		return nil
	}
	ok, err := e.io.Confirm(ctx, question)
	if err == nil && !ok {
		err = errDeclined
	}
	return err
}

// errDeclined is returned if the answer is no.
var errDeclined = errors.New("nothing was done")
