// Package rotor is Rotor in AWS, as a construct for CDK. Command cdk is an app with this construct alone.
package rotor

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/rotor-auth/rotor/shared/store/schema"
	"github.com/rotor-auth/rotor/shared/version"
)

// keyRotationDays is how often the keys are rotated. MAC keys have an id of one byte and are never removed: 256 of them
// last for twenty years.
const keyRotationDays = 30

// Service is everything that Rotor is in AWS: an HTTP API, Lambda functions, a table, keys, and alarms.
type Service struct {
	constructs.Construct
	Api               awsapigatewayv2.HttpApi
	Issuer            *string // the URL of the API, which is the issuer of its tokens
	Table             awsdynamodb.ITableV2
	Keys, SigningKeys awssecretsmanager.Secret
	AlarmTopic        awssns.ITopic

	// For the roles of callers of /v1: who starts and ends families, who reads and explains, and who may do all.
	LoginPolicy, SupportPolicy, AdminPolicy awsiam.ManagedPolicy

	stack       awscdk.Stack
	props       ServiceProps
	apiStage    awsapigatewayv2.CfnStage
	encryption  awskms.IKey              // nil unless it is configured
	edgeSecret  awssecretsmanager.Secret // nil unless there is an edge
	deadLetters awssqs.Queue
	functions   map[string]awslambda.Function
	logs        map[string]awslogs.LogGroup
}

// NewService adds a [Service] to scope. Like CDK's own constructs, it panics if props are wrong: see
// [ServiceProps.Validate].
//
// Resources with state (table, keys, logs) are retained when the stack is deleted, unless the props say otherwise.
// CloudFormation generates their names: a fixed name would be taken when the stack is created again.
func NewService(scope constructs.Construct, id *string, props *ServiceProps) *Service {
	if err := props.Validate(); err != nil {
		panic(err)
	}
	p := &Service{
		Construct: constructs.NewConstruct(scope, id),
		stack:     awscdk.Stack_Of(scope),
		props:     *props,
		functions: map[string]awslambda.Function{},
		logs:      map[string]awslogs.LogGroup{},
	}
	new(checker).settings(&p.props) // to their defaults
	if arn := p.props.KmsKeyArn; arn != "" {
		p.encryption = awskms.Key_FromKeyArn(p.Construct, jsii.String("EncryptionKey"), &arn)
	}
	// The API comes before the functions, which get its address as the issuer. Its routes come after the functions, to
	// which they lead.
	p.newAPI()
	p.newTable()
	p.newKeys()
	p.newDeadLetters()
	for _, f := range functions {
		p.newFunction(f)
	}
	p.addRoutes()
	p.addPolicies()
	p.rotateKeys("Keys", p.Keys)
	p.rotateKeys("SigningKeys", p.SigningKeys)
	p.scheduleSweep()
	p.watch()
	p.addOutputs()
	if arn := p.props.PermissionsBoundaryArn; arn != "" {
		awsiam.PermissionsBoundary_Of(p.Construct).Apply(awsiam.ManagedPolicy_FromManagedPolicyArn(p.Construct, jsii.String("Boundary"), &arn))
	}
	for _, tag := range slices.Sorted(maps.Keys(p.props.Tags)) {
		awscdk.Tags_Of(p.Construct).Add(&tag, jsii.String(p.props.Tags[tag]), nil)
	}
	return p
}

// name returns the name of a part without state, which is created and deleted with the stack.
func (p *Service) name(part string) *string {
	return jsii.String("rotor-" + p.props.Stage + "-" + part)
}

func (p *Service) newTable() {
	if name := p.props.TableName; name != "" {
		p.Table = awsdynamodb.TableV2_FromTableName(p.Construct, jsii.String("Table"), &name)
		return
	}
	text := func(name string) *awsdynamodb.Attribute {
		return &awsdynamodb.Attribute{Name: jsii.String(name), Type: awsdynamodb.AttributeType_STRING}
	}
	var warm *awsdynamodb.WarmThroughput
	if p.props.WarmWriteUnits > 0 {
		warm = &awsdynamodb.WarmThroughput{WriteUnitsPerSecond: jsii.Number(p.props.WarmWriteUnits)}
	}
	table := awsdynamodb.NewTableV2(p.Construct, jsii.String("Table"), &awsdynamodb.TablePropsV2{
		PartitionKey: text(schema.PK),
		SortKey:      text(schema.SK),
		GlobalSecondaryIndexes: &[]*awsdynamodb.GlobalSecondaryIndexPropsV2{{
			IndexName:      jsii.String(schema.LogIndex),
			PartitionKey:   text(schema.LogPK),
			SortKey:        text(schema.LogSK),
			ProjectionType: awsdynamodb.ProjectionType_ALL,
		}},
		Billing:             awsdynamodb.Billing_OnDemand(nil),
		WarmThroughput:      warm,
		TimeToLiveAttribute: jsii.String(schema.TTL),
		PointInTimeRecoverySpecification: &awsdynamodb.PointInTimeRecoverySpecification{
			PointInTimeRecoveryEnabled: jsii.Bool(true),
		},
		DeletionProtection: jsii.Bool(p.props.TableRemoval == awscdk.RemovalPolicy_RETAIN),
		RemovalPolicy:      p.props.TableRemoval,
	})
	p.Table = table
	if p.encryption == nil {
		return
	}
	// The construct takes a key only in a stack whose region is known.
	resource := table.Node().DefaultChild().(awsdynamodb.CfnGlobalTable)
	resource.AddPropertyOverride(jsii.String("SSESpecification"), map[string]any{"SSEEnabled": true, "SSEType": "KMS"})
	resource.AddPropertyOverride(jsii.String("Replicas.0.SSESpecification.KMSMasterKeyId"), p.encryption.KeyArn())
}

// newKeys adds the secrets. CloudFormation puts a random word into each and no keys, because keys must never be in a
// template. The first rotations, right after the deployment, generate them. Until then the API answers 503.
//
// The secret Keys is that of earlier releases, which had all keys, and keeps its properties: CloudFormation must not
// generate another value.
func (p *Service) newKeys() {
	p.Keys = p.newSecret("Keys", "The keys of Rotor's refresh and access tokens. Without them every token is void.")
	p.SigningKeys = p.newSecret("SigningKeys", "The signing keys of Rotor's access tokens, and apart from them the public keys")
}

func (p *Service) newSecret(id, about string) awssecretsmanager.Secret {
	return awssecretsmanager.NewSecret(p.Construct, &id, &awssecretsmanager.SecretProps{
		Description: &about,
		GenerateSecretString: &awssecretsmanager.SecretStringGenerator{
			// The rotation takes a short text that is not JSON to mean that there are no keys yet.
			PasswordLength:     jsii.Number(32),
			ExcludePunctuation: jsii.Bool(true),
		},
		EncryptionKey: p.encryption,
		RemovalPolicy: p.props.TableRemoval,
	})
}

// rotateKeys makes Secrets Manager invoke the function keys for a secret, at once and then on schedule. CDK's construct
// for this would allow the function to generate random passwords on "*", which it does not need.
func (p *Service) rotateKeys(id string, secret awssecretsmanager.Secret) {
	keys := p.functions["keys"]
	permission := awslambda.NewCfnPermission(p.Construct, jsii.String(id+"Invocation"), &awslambda.CfnPermissionProps{
		Action:        jsii.String("lambda:InvokeFunction"),
		FunctionName:  keys.FunctionArn(),
		Principal:     jsii.String("secretsmanager.amazonaws.com"),
		SourceAccount: p.stack.Account(),
		SourceArn:     secret.SecretArn(),
	})
	schedule := awssecretsmanager.NewCfnRotationSchedule(p.Construct, jsii.String(id+"Rotation"), &awssecretsmanager.CfnRotationScheduleProps{
		SecretId:                  secret.SecretArn(),
		RotationLambdaArn:         keys.FunctionArn(),
		RotateImmediatelyOnUpdate: jsii.Bool(true),
		RotationRules: &awssecretsmanager.CfnRotationSchedule_RotationRulesProperty{
			AutomaticallyAfterDays: jsii.Number(keyRotationDays),
		},
	})
	schedule.AddResourceDependency(permission, nil)
}

// newDeadLetters adds the queue of sweeps that did not run or failed each time.
func (p *Service) newDeadLetters() {
	p.deadLetters = awssqs.NewQueue(p.Construct, jsii.String("DeadLetters"), &awssqs.QueueProps{
		Encryption:      awssqs.QueueEncryption_SQS_MANAGED,
		EnforceSSL:      jsii.Bool(true),
		RetentionPeriod: awscdk.Duration_Days(jsii.Number(14)),
	})
}

func (p *Service) newFunction(f function) {
	id := strings.ToUpper(f.name[:1]) + f.name[1:]
	logs := p.newLogs(id + "Logs")
	statements := append(append(f.permissions(p), p.useKey(f)...), allow([]string{"logs:CreateLogStream", "logs:PutLogEvents"}, logs.LogGroupArn()))
	env := f.env(p)
	if env["ROTOR_EDGE_SECRET"] != nil {
		statements = append(statements, readSecret(p.edgeSecret))
	}
	if p.props.Tracing { // traces have no ARN
		statements = append(statements, allow([]string{"xray:PutTelemetryRecords", "xray:PutTraceSegments"}, jsii.String("*")))
	}
	role := awsiam.NewRole(p.Construct, jsii.String(id+"Role"), &awsiam.RoleProps{
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
		Description: jsii.String("What Rotor's function " + f.name + " may do"),
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			f.name: awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &statements}),
		},
	})
	props := &awslambda.FunctionProps{
		FunctionName: p.name(f.name),
		Description:  jsii.String("Rotor: " + f.about),
		Runtime:      awslambda.Runtime_PROVIDED_AL2023(),
		Architecture: awslambda.Architecture_Custom(&p.props.Architecture, nil),
		Handler:      jsii.String("bootstrap"),
		Code:         p.code(f.name),
		MemorySize:   jsii.Number(f.memory),
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
	if f.name == "sweep" {
		props.DeadLetterQueue = p.deadLetters
		props.MaxEventAge = awscdk.Duration_Hours(jsii.Number(1))
	}
	made := awslambda.NewFunction(p.Construct, jsii.String(id+"Function"), props)
	// The construct also lists the role, to which the function refers anyway.
	made.Node().DefaultChild().(awslambda.CfnFunction).AddDeletionOverride(jsii.String("DependsOn"))
	p.functions[f.name] = made
	p.logs[f.name] = logs
}

// code returns the code of a function: a zip of the folder, or in the bucket the file of a release.
func (p *Service) code(function string) awslambda.Code {
	if p.props.CodeBucket == "" {
		return awslambda.Code_FromAsset(jsii.String(p.props.zip(function)), nil)
	}
	bucket := awss3.Bucket_FromBucketName(p.Construct, jsii.String("Code of "+function), jsii.String(p.props.CodeBucket))
	return awslambda.Code_FromBucketV2(bucket, jsii.String(p.props.CodePrefix+"rotor-"+version.Number+"-"+function+"-"+p.props.Architecture+".zip"), nil)
}

func (p *Service) newLogs(id string) awslogs.LogGroup {
	logs := awslogs.NewLogGroup(p.Construct, jsii.String(id), &awslogs.LogGroupProps{RemovalPolicy: p.props.LogRemoval})
	// Set as a number, because the construct has only constants.
	logs.Node().DefaultChild().(awslogs.CfnLogGroup).SetRetentionInDays(jsii.Number(p.props.LogRetentionDays))
	return logs
}

func (p *Service) scheduleSweep() {
	sweep := p.functions["sweep"]
	statements := []awsiam.PolicyStatement{
		allow([]string{"lambda:InvokeFunction"}, sweep.FunctionArn()),
		allow([]string{"sqs:SendMessage"}, p.deadLetters.QueueArn()),
	}
	role := awsiam.NewRole(p.Construct, jsii.String("SweepScheduleRole"), &awsiam.RoleProps{
		Description: jsii.String("What the schedule of Rotor's sweep may do"),
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("scheduler.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": p.stack.Account()}},
		}),
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			"schedule": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &statements}),
		},
	})
	unit := " minutes"
	if p.props.SweepMinutes == 1 {
		unit = " minute"
	}
	awsscheduler.NewCfnSchedule(p.Construct, jsii.String("SweepSchedule"), &awsscheduler.CfnScheduleProps{
		Name:               p.name("sweep"),
		Description:        jsii.String("Rotor: invokes the sweep"),
		ScheduleExpression: jsii.String("rate(" + strconv.Itoa(p.props.SweepMinutes) + unit + ")"),
		FlexibleTimeWindow: &awsscheduler.CfnSchedule_FlexibleTimeWindowProperty{Mode: jsii.String("OFF")},
		Target: &awsscheduler.CfnSchedule_TargetProperty{
			Arn:              sweep.FunctionArn(),
			RoleArn:          role.RoleArn(),
			Input:            jsii.String("{}"),
			DeadLetterConfig: &awsscheduler.CfnSchedule_DeadLetterConfigProperty{Arn: p.deadLetters.QueueArn()},
			RetryPolicy: &awsscheduler.CfnSchedule_RetryPolicyProperty{
				MaximumEventAgeInSeconds: jsii.Number(3600),
				MaximumRetryAttempts:     jsii.Number(5),
			},
		},
	})
}

func (p *Service) addOutputs() {
	output := func(id, about string, value *string) {
		awscdk.NewCfnOutput(p.Construct, jsii.String(id), &awscdk.CfnOutputProps{Description: jsii.String(about), Value: value})
	}
	output("Url", "where clients reach the API", p.Issuer)
	output("Issuer", "iss of the tokens; its discovery document is below /.well-known", p.Issuer)
	output("TableName", "the table", p.Table.TableName())
	output("KeysSecret", "the secret with the user key and the MAC keys", p.Keys.SecretArn())
	output("SigningKeysSecret", "the secret with the signing keys", p.SigningKeys.SecretArn())
	output("ManageArn", "the resource on which a caller of /v1 needs execute-api:Invoke",
		p.Api.ArnForExecuteApi(jsii.String("*"), jsii.String("/v1/*"), jsii.String("$default")))
	output("FirstCommand", "registers a client; put credentials into the environment first: eval \"$(aws configure export-credentials --format env)\"",
		awscdk.Fn_Join(jsii.String(""), jsii.Strings(
			`curl --aws-sigv4 "aws:amz:`, *p.stack.Region(), `:execute-api" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"`,
			` -H "x-amz-security-token: $AWS_SESSION_TOKEN" -H 'content-type: application/json'`,
			` -X PUT -d '{"type":"public"}' `, *p.Issuer, `/v1/clients/demo-spa`,
		)))
}

func decimal(n int) *string { return jsii.String(strconv.Itoa(n)) }
