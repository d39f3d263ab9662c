package rotor

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
func (p *Service) items(requests string, partitions ...string) awsiam.PolicyStatement {
	var actions []string
	for _, r := range strings.Fields(requests) {
		actions = append(actions, "dynamodb:"+r)
	}
	s := allow(actions, p.Table.TableArn())
	// ForAllValues is also true of a request without a partition key. Only a Scan is one, and no function may scan.
	s.AddCondition(jsii.String("ForAllValues:StringLike"), map[string]any{"dynamodb:LeadingKeys": jsii.Strings(partitions...)})
	return s
}

// queryLog allows queries of the events' index.
func (p *Service) queryLog() awsiam.PolicyStatement {
	return allow([]string{"dynamodb:Query"}, awscdk.Fn_Join(jsii.String(""), &[]*string{p.Table.TableArn(), jsii.String("/index/" + schema.LogIndex)}))
}

// useKey allows a function to use the key that encrypts table and secret, if there is one, through these alone.
func (p *Service) useKey(f function) []awsiam.PolicyStatement {
	if p.encryption == nil {
		return nil
	}
	actions := []string{"kms:Decrypt"}
	if f.writes {
		actions = append(actions, "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo")
	}
	s := allow(actions, p.encryption.KeyArn())
	s.AddCondition(jsii.String("StringEquals"), map[string]any{"kms:ViaService": jsii.Strings(
		"dynamodb."+*p.stack.Region()+".amazonaws.com", "secretsmanager."+*p.stack.Region()+".amazonaws.com",
	)})
	return []awsiam.PolicyStatement{s}
}

func (p *Service) readKeys() awsiam.PolicyStatement {
	return allow([]string{"secretsmanager:GetSecretValue"}, p.Keys.SecretArn())
}
