package main

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/rotor-auth/rotor/shared/store/schema"
)

func allow(actions []string, resource *string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings(actions...),
		Resources: &[]*string{resource},
	})
}

// items allows DynamoDB requests, separated by spaces, on the items of the given partitions and no others.
func (p parts) items(requests string, partitions ...string) awsiam.PolicyStatement {
	var actions []string
	for _, r := range strings.Fields(requests) {
		actions = append(actions, "dynamodb:"+r)
	}
	s := allow(actions, p.table.TableArn())
	// ForAllValues is also true of a request without a partition key. Only a Scan is one, and no function may scan.
	s.AddCondition(jsii.String("ForAllValues:StringLike"), map[string]any{"dynamodb:LeadingKeys": jsii.Strings(partitions...)})
	return s
}

// queryLog allows queries of the events' index.
func (p parts) queryLog() awsiam.PolicyStatement {
	return allow([]string{"dynamodb:Query"}, awscdk.Fn_Join(jsii.String(""), &[]*string{p.table.TableArn(), jsii.String("/index/" + schema.LogIndex)}))
}

func (p parts) readKeys() awsiam.PolicyStatement {
	return allow([]string{"secretsmanager:GetSecretValue"}, p.keys.SecretArn())
}
