// Package rotor is Rotor in AWS, as a construct for CDK. Command cdk is an app with this construct alone.
package rotor

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/aws-cdk-go/awscdk/v2/interfaces/interfacesawscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/rotor-auth/rotor/shared/store/schema"
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
	manageURL   *string                  // of /v1
	routes      []route                  // of the HTTP API; a load balancer has the others
	encryption  awskms.IKey              // nil unless it is configured
	edgeSecret  awssecretsmanager.Secret // nil unless there is an edge
	deadLetters awssqs.Queue
	functions   map[string]awslambda.Function
	alarms      []interfacesawscloudwatch.IAlarmRef

	targetGroups map[string]awselasticloadbalancingv2.CfnTargetGroup // by function, of the load balancer
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

		targetGroups: map[string]awselasticloadbalancingv2.CfnTargetGroup{},
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
	permissions := p.permissions()
	for _, f := range functions {
		p.newFunction(f, permissions[f.name])
	}
	p.addRoutes()
	p.addBalancer()
	p.addPolicies()
	p.rotateKeys("Keys", p.Keys)
	p.rotateKeys("SigningKeys", p.SigningKeys)
	p.scheduleSweep()
	p.addTopic()
	p.addAlarms()
	p.newDashboard()
	p.saveQueries()
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
	billing, rest := awsdynamodb.Billing_OnDemand(nil), awsdynamodb.Capacity(nil)
	if least, most := p.props.MinWriteUnits, p.props.MaxWriteUnits; least > 0 {
		scaled := func(least int) awsdynamodb.Capacity {
			return awsdynamodb.Capacity_Autoscaled(&awsdynamodb.AutoscaledCapacityOptions{
				MinCapacity: jsii.Number(least), MaxCapacity: jsii.Number(most), SeedCapacity: jsii.Number(least), // when it was on demand
				TargetUtilizationPercent: jsii.Number(p.props.WriteUtilization),
			})
		}
		rest = scaled(min(most, max(5, least/10))) // reads, and the index, which only events write: far fewer than refreshes
		billing = awsdynamodb.Billing_Provisioned(&awsdynamodb.ThroughputProps{ReadCapacity: rest, WriteCapacity: scaled(least)})
	}
	table := awsdynamodb.NewTableV2(p.Construct, jsii.String("Table"), &awsdynamodb.TablePropsV2{
		PartitionKey: text(schema.PK),
		SortKey:      text(schema.SK),
		GlobalSecondaryIndexes: &[]*awsdynamodb.GlobalSecondaryIndexPropsV2{{
			IndexName:      jsii.String(schema.LogIndex),
			PartitionKey:   text(schema.LogPK),
			SortKey:        text(schema.LogSK),
			ProjectionType: awsdynamodb.ProjectionType_ALL,
			ReadCapacity:   rest,
			WriteCapacity:  rest,
		}},
		Billing:             billing,
		WarmThroughput:      warm,
		TimeToLiveAttribute: jsii.String(schema.TTL),
		DeletionProtection:  jsii.Bool(p.props.TableRemoval == awscdk.RemovalPolicy_RETAIN),
		RemovalPolicy:       p.props.TableRemoval,

		PointInTimeRecoverySpecification: &awsdynamodb.PointInTimeRecoverySpecification{PointInTimeRecoveryEnabled: jsii.Bool(true)},
	})
	p.Table = table
	if p.encryption != nil { // which the construct takes only in a stack whose region is known
		resource := table.Node().DefaultChild().(awsdynamodb.CfnGlobalTable)
		resource.AddPropertyOverride(jsii.String("SSESpecification"), map[string]any{"SSEEnabled": true, "SSEType": "KMS"})
		resource.AddPropertyOverride(jsii.String("Replicas.0.SSESpecification.KMSMasterKeyId"), p.encryption.KeyArn())
	}
}

// newSecret adds a secret, whose value CloudFormation generates.
func (p *Service) newSecret(id, about string, length int, key awskms.IKey, removal awscdk.RemovalPolicy) awssecretsmanager.Secret {
	return awssecretsmanager.NewSecret(p.Construct, &id, &awssecretsmanager.SecretProps{
		Description:          &about,
		GenerateSecretString: &awssecretsmanager.SecretStringGenerator{PasswordLength: jsii.Number(length), ExcludePunctuation: jsii.Bool(true)},
		EncryptionKey:        key,
		RemovalPolicy:        removal,
	})
}

// newKeys adds the secrets of the keys. Keys must never be in a template, so what is generated is a short text that is
// not JSON, which the rotation takes to mean that there are no keys yet. The first rotations, right after the deployment,
// generate them. Until then the API answers 503.
//
// The secret Keys is that of earlier releases, which had all keys, and keeps its properties: CloudFormation must not
// generate another value.
func (p *Service) newKeys() {
	p.Keys = p.newSecret("Keys", "The keys of Rotor's refresh and access tokens. Without them every token is void.", 32, p.encryption, p.props.TableRemoval)
	p.SigningKeys = p.newSecret("SigningKeys", "The signing keys of Rotor's access tokens, and apart from them the public keys", 32, p.encryption, p.props.TableRemoval)
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
		RotationRules:             &awssecretsmanager.CfnRotationSchedule_RotationRulesProperty{AutomaticallyAfterDays: jsii.Number(keyRotationDays)},
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

func (p *Service) newLogs(id string) awslogs.LogGroup {
	logs := awslogs.NewLogGroup(p.Construct, jsii.String(id), &awslogs.LogGroupProps{RemovalPolicy: p.props.LogRemoval})
	// Set as a number, because the construct has only constants.
	logs.Node().DefaultChild().(awslogs.CfnLogGroup).SetRetentionInDays(jsii.Number(p.props.LogRetentionDays))
	return logs
}

func (p *Service) scheduleSweep() {
	sweep := p.functions["sweep"]
	scheduler := awsiam.NewServicePrincipal(jsii.String("scheduler.amazonaws.com"), &awsiam.ServicePrincipalOpts{
		Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": p.stack.Account()}},
	})
	role := p.newRole("SweepScheduleRole", "What the schedule of Rotor's sweep may do", scheduler, "schedule", []awsiam.PolicyStatement{
		allow("lambda:InvokeFunction", sweep.FunctionArn()), allow("sqs:SendMessage", p.deadLetters.QueueArn()),
	})
	awsscheduler.NewCfnSchedule(p.Construct, jsii.String("SweepSchedule"), &awsscheduler.CfnScheduleProps{
		Name:               p.name("sweep"),
		Description:        jsii.String("Rotor: invokes the sweep"),
		ScheduleExpression: awsscheduler.ScheduleExpression_Rate(minutes(p.props.SweepMinutes)).ExpressionString(),
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
	output(p.Construct, "Url", "where clients reach the API", p.Issuer)
	output(p.Construct, "Issuer", "iss of the tokens; its discovery document is below /.well-known", p.Issuer)
	output(p.Construct, "ManageUrl", "where callers of /v1 reach it", p.manageURL)
	output(p.Construct, "TableName", "the table", p.Table.TableName())
	output(p.Construct, "KeysSecret", "the secret with the user key and the MAC keys", p.Keys.SecretArn())
	output(p.Construct, "SigningKeysSecret", "the secret with the signing keys", p.SigningKeys.SecretArn())
	output(p.Construct, "ManageArn", "the resource on which a caller of /v1 needs execute-api:Invoke", p.callArn("*", "/v1/*"))
	output(p.Construct, "FirstCommand", "registers a client; put credentials into the environment first: eval \"$(aws configure export-credentials --format env)\"",
		jsii.String(`curl --aws-sigv4 "aws:amz:`+*p.stack.Region()+`:execute-api" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"`+
			` -H "x-amz-security-token: $AWS_SESSION_TOKEN" -H 'content-type: application/json'`+
			` -X PUT -d '{"type":"public"}' `+*p.manageURL+`/v1/clients/demo-spa`))
}

// output adds an output of the stack to scope.
func output(scope constructs.Construct, id, about string, value *string) {
	awscdk.NewCfnOutput(scope, &id, &awscdk.CfnOutputProps{Description: &about, Value: value})
}

func minutes(n int) awscdk.Duration { return awscdk.Duration_Minutes(jsii.Number(n)) }

// capitalized returns name with a capital first letter, as logical ids and the fields of props have.
func capitalized(name string) string { return strings.ToUpper(name[:1]) + name[1:] }
