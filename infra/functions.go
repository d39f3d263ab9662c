package rotor

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/rotor-auth/rotor/shared/store/schema"
)

// function is a Lambda function, whose code is in a folder of functions/.
type function struct {
	name        string
	about       string
	memory      float64 // MB; the share of a CPU grows with it
	timeout     float64 // seconds
	writes      bool    // to the table or the secrets
	env         func(*Service) map[string]*string
	permissions func(*Service) []awsiam.PolicyStatement // besides writing its own log
}

// functions are all of Rotor's functions. Each is allowed exactly the requests that its code makes; see shared/store
// for those to DynamoDB. A transaction needs the actions of its parts and none of its own.
var functions = []function{
	{
		name: "token", writes: true, about: "POST /oauth/token", memory: 512, timeout: 10, env: apiEnv,
		permissions: func(p *Service) []awsiam.PolicyStatement {
			return []awsiam.PolicyStatement{
				p.items("UpdateItem PutItem", users), // UpdateItem: a rotation or a use; PutItem: the event of a revocation
				p.items("GetItem Query", clients),    // one client; many clients ahead of need
				readSecret(p.Keys), readSecret(p.SigningKeys),
			}
		},
	},
	{
		name: "revoke", writes: true, about: "POST /oauth/revoke", memory: 256, timeout: 10, env: apiEnv,
		permissions: func(p *Service) []awsiam.PolicyStatement {
			return []awsiam.PolicyStatement{
				p.items("GetItem UpdateItem PutItem", users),
				p.items("GetItem Query", clients),
				readSecret(p.Keys), p.readPublicKeys(),
			}
		},
	},
	{
		name: "introspect", about: "POST /oauth/introspect", memory: 256, timeout: 10, env: apiEnv,
		permissions: func(p *Service) []awsiam.PolicyStatement {
			return []awsiam.PolicyStatement{
				p.items("GetItem", users, clients),
				p.items("Query", clients),
				readSecret(p.Keys), p.readPublicKeys(),
			}
		},
	},
	{
		name: "discovery", about: "/.well-known, and 404 for what has no route", memory: 256, timeout: 10, env: apiEnv,
		permissions: func(p *Service) []awsiam.PolicyStatement {
			return []awsiam.PolicyStatement{p.readPublicKeys(), p.readKeysUntilApart()}
		},
	},
	{
		// Revoking many families may take 20 s. The gateway waits for 30.
		name: "manage", writes: true, about: "/v1, behind IAM authorization", memory: 256, timeout: 29, env: manageEnv,
		permissions: func(p *Service) []awsiam.PolicyStatement {
			return []awsiam.PolicyStatement{
				p.items("GetItem Query UpdateItem", users, clients),
				p.items("PutItem", users, overLimit, erasures), // families and events; owners over their limit; erasures
				p.items("DeleteItem", clients, users, overLimit),
				p.items("ConditionCheckItem", users), // that the family to keep is alive
				p.queryLog(),
				readSecret(p.Keys), readSecret(p.SigningKeys),
			}
		},
	},
	{
		name: "sweep", writes: true, about: "keeps each owner within its limit of active families", memory: 256, timeout: 300, env: tableEnv,
		permissions: func(p *Service) []awsiam.PolicyStatement {
			return []awsiam.PolicyStatement{
				p.items("Query", overLimit, users),
				p.items("GetItem", users, clients),
				p.items("UpdateItem PutItem", users),
				p.items("DeleteItem", overLimit),
				allow([]string{"sqs:SendMessage"}, p.deadLetters.QueueArn()), // which Lambda does in the function's name after the last attempt
			}
		},
	},
	{
		name: "keys", writes: true, about: "makes, rotates and revokes the keys; invoked by Secrets Manager, and in an emergency", memory: 512, timeout: 60, env: keysEnv,
		permissions: func(p *Service) []awsiam.PolicyStatement {
			actions := []string{
				"secretsmanager:DescribeSecret",
				"secretsmanager:GetSecretValue",
				"secretsmanager:PutSecretValue",
				"secretsmanager:UpdateSecretVersionStage",
			}
			return []awsiam.PolicyStatement{
				allow(append(actions, "secretsmanager:TagResource"), p.Keys.SecretArn()), allow(actions, p.SigningKeys.SecretArn()),
			}
		},
	},
}

// The partitions of the table (see shared/store).
const (
	users     = schema.UserPrefix + "*"
	clients   = schema.ClientsPK
	overLimit = schema.OverLimitPK
	erasures  = schema.ErasuresPK
)

// What the function keys tells of the signing keys (see shared/keyring, whose SDK has no place here).
const (
	labelPublic = "ROTOR_PUBLIC"
	tagApart    = "rotor-keys-apart"
)

func apiEnv(p *Service) map[string]*string {
	env := tableEnv(p)
	env["ROTOR_ISSUER"] = p.Issuer
	env["ROTOR_KEYS_SECRET"] = p.Keys.SecretArn()
	env["ROTOR_SIGNING_SECRET"] = p.SigningKeys.SecretArn()
	if origins := strings.Join(p.props.Origins, ","); origins != "" {
		env["ROTOR_ORIGINS"] = jsii.String(origins)
	}
	if p.edgeSecret != nil {
		env["ROTOR_EDGE_SECRET"] = p.edgeSecret.SecretArn()
	}
	return env
}

// manageEnv returns the environment of the function manage. It has the id of the API, because the function accepts the
// callers of no other. The API comes before the functions, and only its routes and integrations, which come after them,
// refer to them.
func manageEnv(p *Service) map[string]*string {
	env := apiEnv(p)
	env["ROTOR_API_ID"] = p.Api.ApiId()
	return env
}

func tableEnv(p *Service) map[string]*string {
	return map[string]*string{
		"ROTOR_STAGE":                 &p.props.Stage,
		"ROTOR_TABLE":                 p.Table.TableName(),
		"ROTOR_FAMILY_RETENTION_DAYS": decimal(p.props.FamilyRetentionDays),
		"ROTOR_EVENT_RETENTION_DAYS":  decimal(p.props.EventRetentionDays),
	}
}

func keysEnv(p *Service) map[string]*string {
	return map[string]*string{
		"ROTOR_STAGE":             &p.props.Stage,
		"ROTOR_KEYS_SECRET":       p.Keys.SecretArn(),
		"ROTOR_SIGNING_SECRET":    p.SigningKeys.SecretArn(),
		"ROTOR_SIGNING_ALGORITHM": jsii.String(p.props.SigningAlgorithm),
	}
}
