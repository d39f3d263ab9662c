// Command infra is the CDK app, with one stack that holds everything that Rotor is in AWS. `make synth` writes its
// template. `make deploy` deploys it to the account and region of the AWS credentials in use.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
)

// dist is the folder into which `make build` puts the functions, relative to this one, where the CDK CLI runs the app.
const dist = "../dist/arm64"

func main() { os.Exit(run()) }

func run() int {
	defer jsii.Close()
	app := awscdk.NewApp(&awscdk.AppProps{AnalyticsReporting: jsii.Bool(false)})
	if _, err := build(app, dist); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	app.Synth(nil)
	return 0
}

// build adds the stack to app, configured by app's context, with the functions' zips from the folder dist. A finding of
// the AwsSolutions rules is an error of the app, at which the CLI stops.
func build(app awscdk.App, dist string) (awscdk.Stack, error) {
	values, _ := app.Node().GetAllContext(nil).(map[string]any)
	cfg, err := loadConfig(values)
	if err != nil {
		return nil, err
	}
	var missing []error
	for _, f := range functions {
		if _, err := os.Stat(zipOf(dist, f.name)); err != nil {
			missing = append(missing, fmt.Errorf("%w: run make build", err))
		}
	}
	if err := errors.Join(missing...); err != nil {
		return nil, err
	}
	stack := newStack(app, cfg, dist)
	awscdk.Aspects_Of(app).Add(cdknag.NewAwsSolutionsChecks(&cdknag.NagPackProps{Verbose: jsii.Bool(true)}), nil)
	return stack, nil
}

func zipOf(dist, function string) string { return dist + "/" + function + ".zip" }
