package main

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"
)

func allow(actions []string, resource *string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings(actions...),
		Resources: &[]*string{resource},
	})
}

// items allows requests of DynamoDB, separated by spaces, on items of these partitions and no others.
func (p parts) items(requests string, partitions ...string) awsiam.PolicyStatement {
	var actions []string
	for _, r := range strings.Fields(requests) {
		actions = append(actions, "dynamodb:"+r)
	}
	s := allow(actions, p.table.TableArn())
	// ForAllValues holds where a request has no partition key: only of a Scan is that so, and nobody may do one.
	s.AddCondition(jsii.String("ForAllValues:StringLike"), map[string]any{"dynamodb:LeadingKeys": jsii.Strings(partitions...)})
	return s
}

// queryLog allows queries of the index of events.
func (p parts) queryLog() awsiam.PolicyStatement {
	return allow([]string{"dynamodb:Query"}, awscdk.Fn_Join(jsii.String(""), &[]*string{p.table.TableArn(), jsii.String("/index/" + logIndex)}))
}

func (p parts) readKeys() awsiam.PolicyStatement {
	return allow([]string{"secretsmanager:GetSecretValue"}, p.keys.SecretArn())
}
