// Command example is a CDK app of another module that has Rotor in a stack of its own, under its own key and with its
// own topic for the alarms. Its argument is the folder with the functions' zips.
package main

import (
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"

	rotor "github.com/rotor-auth/rotor/infra"
)

func main() {
	defer jsii.Close()
	app := awscdk.NewApp(nil)
	stack := awscdk.NewStack(app, jsii.String("login"), nil)

	key := awskms.NewKey(stack, jsii.String("Key"), &awskms.KeyProps{EnableKeyRotation: jsii.Bool(true)})
	alarms := awssns.NewTopic(stack, jsii.String("OnCall"), nil)
	alarms.GrantPublish(awsiam.NewServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil))

	auth := rotor.NewService(stack, jsii.String("Auth"), &rotor.ServiceProps{
		Stage:         "dev",
		Origins:       []string{"https://app.example.com"},
		KmsKeyArn:     *key.KeyArn(),
		AlarmTopicArn: *alarms.TopicArn(),
		Tags:          map[string]string{"team": "login"},
		TableRemoval:  awscdk.RemovalPolicy_DESTROY,
		LogRemoval:    awscdk.RemovalPolicy_DESTROY,
		ZipFolder:     os.Args[1],
	})
	awscdk.NewCfnOutput(stack, jsii.String("LoginIssuer"), &awscdk.CfnOutputProps{Value: auth.Issuer})

	app.Synth(nil)
}
