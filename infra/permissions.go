package rotor

import (
	"regexp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/jsii-runtime-go"

	"github.com/rotor-auth/rotor/shared/store/schema"
)

// What the function keys tells of the signing keys (see shared/keyring, whose SDK has no place here).
const (
	labelPublic = "ROTOR_PUBLIC"
	tagApart    = "rotor-keys-apart"
)

// The partitions of all users, and of all tokens of other providers (see shared/store for the others).
const users, foreign = schema.UserPrefix + "*", schema.ForeignPrefix + "*"

// permissions returns what each function may do, besides what newFunction allows to all. It is exactly the requests that
// their code makes; see shared/store for those to DynamoDB. A transaction needs the actions of its parts and none of its
// own.
func (p *Service) permissions() map[string][]awsiam.PolicyStatement {
	clients, overLimit := schema.ClientsPK, schema.OverLimitPK
	rotate := "secretsmanager:DescribeSecret secretsmanager:GetSecretValue secretsmanager:PutSecretValue secretsmanager:UpdateSecretVersionStage"
	adoption := "arn:" + *p.stack.Partition() + ":secretsmanager:" + *p.stack.Region() + ":" + *p.stack.Account() + ":secret:rotor/adopt/*"
	return map[string][]awsiam.PolicyStatement{
		"token": {
			p.items("UpdateItem PutItem", users),              // UpdateItem: a rotation or a use; PutItem: the event of a revocation
			p.items("GetItem Query", users),                   // for a family by an assertion: the assertion, and how many families the user has
			p.items("GetItem UpdateItem DeleteItem", foreign), // UpdateItem: a claim, and a family by it; DeleteItem: a claim that is released
			p.items("PutItem", overLimit),                     // an owner whose family by an assertion is one too many
			p.items("GetItem Query", clients),                 // one client; many clients ahead of need
			readSecret(p.Keys), readSecret(p.SigningKeys), allow("secretsmanager:GetSecretValue", jsii.String(adoption)),
		},
		"revoke": {
			p.items("GetItem Query UpdateItem PutItem ConditionCheckItem", users), // Query: a user's families; ConditionCheckItem: that the one to keep is alive
			p.items("GetItem Query", clients),
			p.items("GetItem", foreign),
			readSecret(p.Keys), p.readPublicKeys(),
		},
		"introspect": {
			p.items("GetItem", users, clients, foreign),
			p.items("Query", clients),
			readSecret(p.Keys), p.readPublicKeys(),
		},
		"discovery": {
			p.readPublicKeys(),
			// The token keys' secret may be the only one with signing keys, as an earlier release left it, until the first
			// rotation of the signing keys adds the tag.
			when("Null", "secretsmanager:ResourceTag/"+tagApart, "true", readSecret(p.Keys)),
		},
		"manage": {
			p.items("GetItem Query UpdateItem", users, clients),
			p.items("PutItem", users, overLimit, schema.ErasuresPK), // families and events; owners over their limit; erasures
			p.items("DeleteItem", clients, users, overLimit),
			p.items("ConditionCheckItem", users),                                                // that the family to keep is alive
			p.items("GetItem UpdateItem", foreign),                                              // imports
			allow("dynamodb:Query", jsii.String(*p.Table.TableArn()+"/index/"+schema.LogIndex)), // events of all users
			readSecret(p.Keys), readSecret(p.SigningKeys),
		},
		"sweep": {
			p.items("Query", overLimit, users),
			p.items("GetItem", users, clients),
			p.items("UpdateItem PutItem", users),
			p.items("DeleteItem", overLimit),
			allow("sqs:SendMessage", p.deadLetters.QueueArn()), // which Lambda does in the function's name after the last attempt
		},
		"keys": {
			allow(rotate+" secretsmanager:TagResource", p.Keys.SecretArn()),
			allow(rotate, p.SigningKeys.SecretArn()),
		},
	}
}

// allow allows actions, separated by spaces, on resources.
func allow(actions string, resources ...*string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings(strings.Fields(actions)...),
		Resources: &resources,
	})
}

// when returns the statement with a condition.
func when(operator, key string, value any, s awsiam.PolicyStatement) awsiam.PolicyStatement {
	s.AddCondition(&operator, map[string]any{key: value})
	return s
}

// items allows DynamoDB requests, separated by spaces, on the items of the given partitions and no others.
func (p *Service) items(requests string, partitions ...string) awsiam.PolicyStatement {
	actions := "dynamodb:" + strings.ReplaceAll(requests, " ", " dynamodb:")
	// ForAllValues is also true of a request without a partition key. Only a Scan is one, and no function may scan.
	return when("ForAllValues:StringLike", "dynamodb:LeadingKeys", partitions, allow(actions, p.Table.TableArn()))
}

func readSecret(secret awssecretsmanager.Secret) awsiam.PolicyStatement {
	return allow("secretsmanager:GetSecretValue", secret.SecretArn())
}

// readPublicKeys allows a function to read the version of the signing keys' secret that has their public halves alone.
func (p *Service) readPublicKeys() awsiam.PolicyStatement {
	return when("ForAnyValue:StringEquals", "secretsmanager:VersionStage", labelPublic, readSecret(p.SigningKeys))
}

// useKey allows a function to use the key that encrypts table and secret, through these alone.
func (p *Service) useKey(writes bool) awsiam.PolicyStatement {
	actions := "kms:Decrypt"
	if writes {
		actions += " kms:DescribeKey kms:Encrypt kms:GenerateDataKey kms:ReEncryptFrom kms:ReEncryptTo"
	}
	through := []string{"dynamodb." + *p.stack.Region() + ".amazonaws.com", "secretsmanager." + *p.stack.Region() + ".amazonaws.com"}
	return when("StringEquals", "kms:ViaService", through, allow(actions, p.encryption.KeyArn()))
}

// newRole returns a new role that may do what the statements allow.
func (p *Service) newRole(id, about string, whose awsiam.IPrincipal, policy string, statements []awsiam.PolicyStatement) awsiam.Role {
	return awsiam.NewRole(p.Construct, &id, &awsiam.RoleProps{
		Description: &about,
		AssumedBy:   whose,
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			policy: awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &statements}),
		},
	})
}

// callArn returns the ARN of calls of the API.
func (p *Service) callArn(method, path string) *string {
	return p.Api.ArnForExecuteApi(&method, &path, jsii.String(defaultRoute))
}

// addPolicies adds the managed policies for callers of /v1. For CDK's grants and in IAM's eyes, a path's variable is
// whatever stands there.
func (p *Service) addPolicies() {
	resources := map[string][]*string{"admin": {p.callArn("*", "/v1/*")}}
	for _, r := range routes {
		if r.policy != "" {
			resources[r.policy] = append(resources[r.policy], p.callArn(r.method, regexp.MustCompile(`\{\w+\}`).ReplaceAllString(r.path, "*")))
		}
	}
	add := func(name, may string) awsiam.ManagedPolicy {
		id := capitalized(name) + "Policy"
		made := awsiam.NewManagedPolicy(p.Construct, &id, &awsiam.ManagedPolicyProps{
			Description: jsii.String("Callers of Rotor's management API who may " + may),
			Statements:  &[]awsiam.PolicyStatement{allow("execute-api:Invoke", resources[name]...)},
		})
		suppress(made, "AwsSolutions-IAM5", "The wildcards stand for ids of families and clients in paths of this one API.")
		output(p.Construct, id+"Arn", "the policy of callers of /v1 who may "+may, made.ManagedPolicyArn())
		return made
	}
	p.LoginPolicy = add("login", "start and end families")
	p.SupportPolicy = add("support", "read families, clients and events, and explain tokens")
	p.AdminPolicy = add("admin", "do all that the management API does")
}
