package rotor

import (
	"regexp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
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

// addPolicies adds the managed policies for callers of /v1. For CDK's grants and in IAM's eyes, a path's variable is
// whatever stands there.
func (p *Service) addPolicies() {
	resources := map[string][]*string{"admin": {p.Api.ArnForExecuteApi(jsii.String("*"), jsii.String("/v1/*"), jsii.String(defaultRoute))}}
	for _, r := range routes {
		if r.policy != "" {
			path := regexp.MustCompile(`\{\w+\}`).ReplaceAllString(r.path, "*")
			resources[r.policy] = append(resources[r.policy], p.Api.ArnForExecuteApi(&r.method, &path, jsii.String(defaultRoute)))
		}
	}
	for _, policy := range []struct {
		name, may string
		made      *awsiam.ManagedPolicy
	}{
		{"login", "start and end families", &p.LoginPolicy},
		{"support", "read families, clients and events, and explain tokens", &p.SupportPolicy},
		{"admin", "do all that the management API does", &p.AdminPolicy},
	} {
		id, on := strings.ToUpper(policy.name[:1])+policy.name[1:]+"Policy", resources[policy.name]
		made := awsiam.NewManagedPolicy(p.Construct, &id, &awsiam.ManagedPolicyProps{
			Description: jsii.String("Callers of Rotor's management API who may " + policy.may),
			Statements: &[]awsiam.PolicyStatement{awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
				Actions: jsii.Strings("execute-api:Invoke"), Resources: &on,
			})},
		})
		suppress(made, "AwsSolutions-IAM5", "The wildcards stand for ids of families and clients in paths of this one API.")
		*policy.made = made
		awscdk.NewCfnOutput(p.Construct, jsii.String(id+"Arn"), &awscdk.CfnOutputProps{
			Description: jsii.String("the policy of callers of /v1 who may " + policy.may), Value: made.ManagedPolicyArn(),
		})
	}
}

func readSecret(secret awssecretsmanager.Secret) awsiam.PolicyStatement {
	return allow([]string{"secretsmanager:GetSecretValue"}, secret.SecretArn())
}

// readPublicKeys allows a function to read the version of the signing keys' secret that has their public halves alone.
func (p *Service) readPublicKeys() awsiam.PolicyStatement {
	s := readSecret(p.SigningKeys)
	s.AddCondition(jsii.String("ForAnyValue:StringEquals"), map[string]any{"secretsmanager:VersionStage": labelPublic})
	return s
}

// readKeysUntilApart allows a function to read the secret of the token keys while it may be the only one with signing
// keys, as an earlier release left it. The first rotation of the signing keys adds the tag.
func (p *Service) readKeysUntilApart() awsiam.PolicyStatement {
	s := readSecret(p.Keys)
	s.AddCondition(jsii.String("Null"), map[string]any{"secretsmanager:ResourceTag/" + tagApart: "true"})
	return s
}
