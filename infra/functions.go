package rotor

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"github.com/rotor-auth/rotor/shared/version"
)

// function is a Lambda function, whose code is in a folder of functions/.
type function struct {
	name    string
	memory  int     // MB; the share of a CPU grows with it; that of token is a setting
	timeout float64 // seconds
	writes  bool    // to the table or the secrets
	env     string  // the names of its variables
	about   string
}

// functions are all of Rotor's functions. What each may do is in permissions.go. Revoking many families may take manage
// 20 s, and the gateway waits for 30.
var functions = []function{
	{name: "token", timeout: 10, writes: true, env: publicEnv, about: "POST /oauth/token and /oauth/dbsc, and Supabase's"},
	{name: "revoke", memory: 256, timeout: 10, writes: true, env: publicEnv, about: "POST /oauth/revoke, and logouts"},
	{name: "introspect", memory: 256, timeout: 10, env: publicEnv, about: "POST /oauth/introspect, and Supabase's user"},
	{name: "discovery", memory: 256, timeout: 10, env: discoveryEnv, about: "/.well-known and /authorize, and 404 for what has no route"},
	{name: "manage", memory: 256, timeout: 29, writes: true, env: manageEnv, about: "/v1, behind IAM authorization"},
	{name: "sweep", memory: 256, timeout: 300, writes: true, env: tableEnv, about: "keeps each owner within its limit of active families"},
	{name: "keys", memory: 512, timeout: 60, writes: true, env: keysEnv, about: "makes, rotates and revokes the keys; invoked by Secrets Manager, and in an emergency"},
}

// The variables of the functions. The function manage has the id of the API, because it accepts the callers of no other.
// The API comes before the functions, and only its routes and integrations, which come after them, refer to them.
const (
	tableEnv     = "ROTOR_STAGE ROTOR_TABLE ROTOR_FAMILY_RETENTION_DAYS ROTOR_EVENT_RETENTION_DAYS"
	apiEnv       = tableEnv + " ROTOR_ISSUER ROTOR_KEYS_SECRET ROTOR_SIGNING_SECRET ROTOR_ORIGINS ROTOR_EDGE_SECRET"
	publicEnv    = apiEnv + " ROTOR_EVENTS"
	manageEnv    = apiEnv + " ROTOR_API_ID"
	discoveryEnv = publicEnv + " ROTOR_AUTHORIZATION_ENDPOINT"
	keysEnv      = "ROTOR_STAGE ROTOR_KEYS_SECRET ROTOR_SIGNING_SECRET ROTOR_SIGNING_ALGORITHM"
)

// env returns the variables of the given names, without those that have no value.
func (p *Service) env(names string) map[string]*string {
	values := map[string]*string{
		"ROTOR_STAGE":                  &p.props.Stage,
		"ROTOR_TABLE":                  p.Table.TableName(),
		"ROTOR_FAMILY_RETENTION_DAYS":  jsii.Sprintf("%d", p.props.FamilyRetentionDays),
		"ROTOR_EVENT_RETENTION_DAYS":   jsii.Sprintf("%d", p.props.EventRetentionDays),
		"ROTOR_ISSUER":                 p.Issuer,
		"ROTOR_KEYS_SECRET":            p.Keys.SecretArn(),
		"ROTOR_SIGNING_SECRET":         p.SigningKeys.SecretArn(),
		"ROTOR_SIGNING_ALGORITHM":      &p.props.SigningAlgorithm,
		"ROTOR_AUTHORIZATION_ENDPOINT": &p.props.AuthorizationEndpoint,
		"ROTOR_ORIGINS":                jsii.String(strings.Join(p.props.Origins, ",")),
		"ROTOR_API_ID":                 p.Api.ApiId(),
	}
	if p.props.ListenerArn != "" {
		values["ROTOR_EVENTS"] = jsii.String("load-balancer")
	}
	if p.edgeSecret != nil {
		values["ROTOR_EDGE_SECRET"] = p.edgeSecret.SecretArn()
	}
	maps.DeleteFunc(values, func(name string, value *string) bool {
		return !slices.Contains(strings.Fields(names), name) || *value == ""
	})
	return values
}

// newFunction adds a function with its log, and a role that may do what statements allow, besides what all functions do.
func (p *Service) newFunction(f function, statements []awsiam.PolicyStatement) {
	id := capitalized(f.name)
	logs := p.newLogs(id + "Logs")
	env := p.env(f.env)
	if p.encryption != nil {
		statements = append(statements, p.useKey(f.writes))
	}
	statements = append(statements, allow("logs:CreateLogStream logs:PutLogEvents", logs.LogGroupArn()))
	if env["ROTOR_EDGE_SECRET"] != nil {
		statements = append(statements, readSecret(p.edgeSecret))
	}
	if p.props.Tracing { // traces have no ARN
		statements = append(statements, allow("xray:PutTelemetryRecords xray:PutTraceSegments", jsii.String("*")))
	}
	role := p.newRole(id+"Role", "What Rotor's function "+f.name+" may do", awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil), f.name, statements)
	props := &awslambda.FunctionProps{
		FunctionName: p.name(f.name),
		Description:  jsii.String("Rotor: " + f.about),
		Runtime:      awslambda.Runtime_PROVIDED_AL2023(),
		Architecture: awslambda.Architecture_Custom(&p.props.Architecture, nil),
		Handler:      jsii.String("bootstrap"),
		Code:         p.code(f.name),
		MemorySize:   jsii.Number(cmp.Or(f.memory, p.props.TokenMemory)),
		Timeout:      awscdk.Duration_Seconds(jsii.Number(f.timeout)),
		Environment:  &env,
		// The role is complete, so no construct may add to it.
		Role:     role.WithoutPolicyUpdates(nil),
		LogGroup: logs,
		// The logger writes JSON only with this setting, and CloudWatch makes metrics only of JSON.
		LoggingFormat:         awslambda.LoggingFormat_JSON,
		ApplicationLogLevelV2: awslambda.ApplicationLogLevel_INFO,
		SystemLogLevelV2:      awslambda.SystemLogLevel_WARN, // no lines about invocations that succeeded
	}
	if p.props.Tracing {
		props.Tracing = awslambda.Tracing_ACTIVE
		suppress(role, "AwsSolutions-IAM5", "X-Ray has no resource to name in a permission to send traces.")
	}
	if f.name == "token" {
		suppress(role, "AwsSolutions-IAM5", "The wildcard stands for the names of secrets that operators make for clients which adopt sessions.")
	}
	if f.name == "sweep" {
		props.DeadLetterQueue = p.deadLetters
		props.MaxEventAge = awscdk.Duration_Hours(jsii.Number(1))
	}
	made := awslambda.NewFunction(p.Construct, jsii.String(id+"Function"), props)
	// The construct also lists the role, to which the function refers anyway.
	made.Node().DefaultChild().(awslambda.CfnFunction).AddDeletionOverride(jsii.String("DependsOn"))
	p.functions[f.name] = made
}

// code returns the code of a function: a zip of the folder, or in the bucket the file of a release.
func (p *Service) code(function string) awslambda.Code {
	if p.props.CodeBucket == "" {
		return awslambda.Code_FromAsset(jsii.String(p.props.zip(function)), nil)
	}
	bucket := awss3.Bucket_FromBucketName(p.Construct, jsii.String("Code of "+function), jsii.String(p.props.CodeBucket))
	return awslambda.Code_FromBucketV2(bucket, jsii.String(p.props.CodePrefix+"rotor-"+version.Number+"-"+function+"-"+p.props.Architecture+".zip"), nil)
}
