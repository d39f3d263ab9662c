// Command cdk is the CDK app, with one stack that holds everything that Rotor is in AWS. `make synth` writes its
// template. `make deploy` deploys it to the account and region of the AWS credentials in use. With the argument template
// or template-domain it writes the template of a release, whose code comes from a bucket; with firewall, that of the
// web ACL for the edge.
package main

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"

	rotor "github.com/rotor-auth/rotor/infra"
)

// dist is the folder into which `make build` puts the functions, relative to the one above, where the CDK CLI runs the
// app.
const dist = "../dist"

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	defer jsii.Close()
	app := awscdk.NewApp(&awscdk.AppProps{AnalyticsReporting: jsii.Bool(false)})
	if _, err := build(app, dist, args...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	app.Synth(nil)
	return 0
}

// build adds the stack to app, configured by app's context, with the functions' zips from the folders of dist. A finding
// of the AwsSolutions rules is an error of the app, at which the CLI stops.
func build(app awscdk.App, dist string, args ...string) (awscdk.Stack, error) {
	values, _ := app.Node().GetAllContext(nil).(map[string]any)
	props, err := rotor.PropsFromContext(values)
	if err != nil {
		return nil, err
	}
	name := "rotor-" + cmp.Or(props.Stage, "prod")
	var stack awscdk.Stack
	switch kind := strings.Join(args, " "); kind {
	case "":
		stack = awscdk.NewStack(app, &name, &awscdk.StackProps{Description: jsii.String(about)})
		props.ZipFolder = dist + "/arm64"
		if props.Architecture == "x86_64" {
			props.ZipFolder = dist + "/amd64"
		}
	case "template", "template-domain":
		stack = newTemplate(app, props, kind)
	case "firewall":
		stack = awscdk.NewStack(app, jsii.String(name+"-firewall"), &awscdk.StackProps{
			Env: &awscdk.Environment{Region: jsii.String("us-east-1")}, Synthesizer: awscdk.NewBootstraplessSynthesizer(nil),
		})
		rotor.NewFirewall(stack, jsii.String("Firewall"), props)
		return stack, nil
	default:
		return nil, fmt.Errorf("the argument is %q: it must be firewall, template or template-domain", kind)
	}
	if err := props.Validate(); err != nil {
		return nil, err
	}
	// CDK leaves this id out of the logical ids of the resources. So they are those of a stack without the construct,
	// which stacks from before there was one still have.
	rotor.NewService(stack, jsii.String("Default"), props)
	awscdk.Aspects_Of(app).Add(cdknag.NewAwsSolutionsChecks(&cdknag.NagPackProps{Verbose: jsii.Bool(true)}), nil)
	return stack, nil
}

const about = "Rotor: OAuth 2.0 refresh tokens that rotate"

// newTemplate returns the stack of a template that is deployed without CDK, and sets its parameters in props.
func newTemplate(app awscdk.App, props *rotor.ServiceProps, name string) awscdk.Stack {
	stack := awscdk.NewStack(app, jsii.String("rotor-"+name), &awscdk.StackProps{
		Description: jsii.String(about),
		Synthesizer: awscdk.NewBootstraplessSynthesizer(nil), // no parameters of CDK's, and no assets
	})
	parameter := func(id, about, pattern string, unset any) string {
		return *awscdk.NewCfnParameter(stack, &id, &awscdk.CfnParameterProps{Description: &about, AllowedPattern: &pattern, Default: unset}).ValueAsString()
	}
	props.CodeBucket = parameter("CodeBucket", "the bucket with the zips of the release, in this region", `^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`, nil)
	props.CodePrefix = parameter("CodePrefix", "what stands before their names, such as rotor/", `^([A-Za-z0-9/_.-]*/)?$`, "")
	props.Architecture = parameter("Architecture", "of the functions and their zips: arm64 or x86_64", `^(arm64|x86_64)$`, "arm64")
	props.Stage = parameter("ServiceStage", "part of every name, so that an account can have several services", `^[a-z][a-z0-9-]{0,19}$`, "prod")
	props.Origins = []string{parameter("Origins", "web origins that may refresh and revoke, separated by commas", `^\S*$`, "")}
	props.AuthorizationEndpoint = parameter("AuthorizationEndpoint", "the URL of the login page, to which /authorize leads", `^(https://[^\s#]+)?$`, "")
	if name == "template-domain" {
		props.Domain = parameter("DomainName", "the API's domain name", `^[a-z0-9.-]+$`, nil)
		props.CertificateArn = parameter("CertificateArn", "its certificate in ACM, in this region", `^arn:aws[a-z-]*:acm:.+$`, nil)
	}
	return stack
}
