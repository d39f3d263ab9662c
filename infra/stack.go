package main

import (
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/rotor-auth/rotor/shared/store/schema"
)

// keyRotationDays is how often the keys are rotated. MAC keys have an id of one byte and are never removed: 256 of them
// last for twenty years.
const keyRotationDays = 30

// parts holds those parts of the stack that others refer to.
type parts struct {
	awscdk.Stack
	cfg         config
	api         awsapigatewayv2.HttpApi
	stage       awsapigatewayv2.CfnStage
	issuer      *string
	table       awsdynamodb.TableV2
	keys        awssecretsmanager.Secret
	deadLetters awssqs.Queue
	functions   map[string]awslambda.Function
	logs        map[string]awslogs.LogGroup
}

// newStack returns the stack with everything that Rotor is in AWS. Resources with state (table, keys, logs) are
// retained when the stack is deleted. CloudFormation therefore generates their names: a fixed name would be taken when
// the stack is created again.
func newStack(app awscdk.App, cfg config, dist string) awscdk.Stack {
	p := parts{
		Stack: awscdk.NewStack(app, jsii.String("rotor-"+cfg.stage), &awscdk.StackProps{
			Description: jsii.String("Rotor: OAuth 2.0 refresh tokens that rotate"),
		}),
		cfg:       cfg,
		functions: map[string]awslambda.Function{},
		logs:      map[string]awslogs.LogGroup{},
	}
	// The API comes before the functions, which get its address as the issuer. Its routes come after the functions, to
	// which they lead.
	p.newAPI()
	p.newTable()
	p.newKeys()
	p.newDeadLetters()
	for _, f := range functions {
		p.newFunction(f, dist)
	}
	p.addRoutes()
	p.rotateKeys()
	p.scheduleSweep()
	p.watch()
	p.addOutputs()
	return p.Stack
}

// name returns the name of a part without state, which is created and deleted with the stack.
func (p parts) name(part string) *string { return jsii.String("rotor-" + p.cfg.stage + "-" + part) }

func (p *parts) newTable() {
	text := func(name string) *awsdynamodb.Attribute {
		return &awsdynamodb.Attribute{Name: jsii.String(name), Type: awsdynamodb.AttributeType_STRING}
	}
	var warm *awsdynamodb.WarmThroughput
	if p.cfg.warmWriteUnits > 0 {
		warm = &awsdynamodb.WarmThroughput{WriteUnitsPerSecond: jsii.Number(p.cfg.warmWriteUnits)}
	}
	p.table = awsdynamodb.NewTableV2(p.Stack, jsii.String("Table"), &awsdynamodb.TablePropsV2{
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
		DeletionProtection: jsii.Bool(true),
		RemovalPolicy:      awscdk.RemovalPolicy_RETAIN,
	})
}

// newKeys adds the secret. CloudFormation puts a random word into it and no keys, because keys must never be in a
// template. The first rotation, right after the deployment, generates them. Until then the API answers 503.
func (p *parts) newKeys() {
	p.keys = awssecretsmanager.NewSecret(p.Stack, jsii.String("Keys"), &awssecretsmanager.SecretProps{
		Description: jsii.String("The keys of Rotor's refresh and access tokens. Without them every token is void."),
		GenerateSecretString: &awssecretsmanager.SecretStringGenerator{
			// The rotation takes a short text that is not JSON to mean that there are no keys yet.
			PasswordLength:     jsii.Number(32),
			ExcludePunctuation: jsii.Bool(true),
		},
		RemovalPolicy: awscdk.RemovalPolicy_RETAIN,
	})
}

// rotateKeys makes Secrets Manager invoke the function keys, at once and then on schedule. CDK's construct for this
// would allow the function to generate random passwords on "*", which it does not need.
func (p *parts) rotateKeys() {
	keys := p.functions["keys"]
	permission := awslambda.NewCfnPermission(p.Stack, jsii.String("KeysInvocation"), &awslambda.CfnPermissionProps{
		Action:        jsii.String("lambda:InvokeFunction"),
		FunctionName:  keys.FunctionArn(),
		Principal:     jsii.String("secretsmanager.amazonaws.com"),
		SourceAccount: p.Account(),
		SourceArn:     p.keys.SecretArn(),
	})
	schedule := awssecretsmanager.NewCfnRotationSchedule(p.Stack, jsii.String("KeysRotation"), &awssecretsmanager.CfnRotationScheduleProps{
		SecretId:                  p.keys.SecretArn(),
		RotationLambdaArn:         keys.FunctionArn(),
		RotateImmediatelyOnUpdate: jsii.Bool(true),
		RotationRules: &awssecretsmanager.CfnRotationSchedule_RotationRulesProperty{
			AutomaticallyAfterDays: jsii.Number(keyRotationDays),
		},
	})
	schedule.AddResourceDependency(permission, nil)
}

// newDeadLetters adds the queue of sweeps that did not run or failed each time.
func (p *parts) newDeadLetters() {
	p.deadLetters = awssqs.NewQueue(p.Stack, jsii.String("DeadLetters"), &awssqs.QueueProps{
		Encryption:      awssqs.QueueEncryption_SQS_MANAGED,
		EnforceSSL:      jsii.Bool(true),
		RetentionPeriod: awscdk.Duration_Days(jsii.Number(14)),
	})
}

func (p *parts) newFunction(f function, dist string) {
	id := strings.ToUpper(f.name[:1]) + f.name[1:]
	logs := p.newLogs(id + "Logs")
	statements := append(f.permissions(*p), allow([]string{"logs:CreateLogStream", "logs:PutLogEvents"}, logs.LogGroupArn()))
	role := awsiam.NewRole(p.Stack, jsii.String(id+"Role"), &awsiam.RoleProps{
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
		Description: jsii.String("What Rotor's function " + f.name + " may do"),
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			f.name: awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &statements}),
		},
	})
	env := f.env(*p)
	props := &awslambda.FunctionProps{
		FunctionName: p.name(f.name),
		Description:  jsii.String("Rotor: " + f.about),
		Runtime:      awslambda.Runtime_PROVIDED_AL2023(),
		Architecture: awslambda.Architecture_ARM_64(),
		Handler:      jsii.String("bootstrap"),
		Code:         awslambda.Code_FromAsset(jsii.String(zipOf(dist, f.name)), nil),
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
	if f.name == "sweep" {
		props.DeadLetterQueue = p.deadLetters
		props.MaxEventAge = awscdk.Duration_Hours(jsii.Number(1))
	}
	made := awslambda.NewFunction(p.Stack, jsii.String(id+"Function"), props)
	// The construct also lists the role, to which the function refers anyway.
	made.Node().DefaultChild().(awslambda.CfnFunction).AddDeletionOverride(jsii.String("DependsOn"))
	p.functions[f.name] = made
	p.logs[f.name] = logs
}

func (p *parts) newLogs(id string) awslogs.LogGroup {
	logs := awslogs.NewLogGroup(p.Stack, jsii.String(id), &awslogs.LogGroupProps{RemovalPolicy: awscdk.RemovalPolicy_RETAIN})
	// Set as a number, because the construct has only constants.
	logs.Node().DefaultChild().(awslogs.CfnLogGroup).SetRetentionInDays(jsii.Number(p.cfg.logRetentionDays))
	return logs
}

func (p *parts) scheduleSweep() {
	sweep := p.functions["sweep"]
	statements := []awsiam.PolicyStatement{
		allow([]string{"lambda:InvokeFunction"}, sweep.FunctionArn()),
		allow([]string{"sqs:SendMessage"}, p.deadLetters.QueueArn()),
	}
	role := awsiam.NewRole(p.Stack, jsii.String("SweepScheduleRole"), &awsiam.RoleProps{
		Description: jsii.String("What the schedule of Rotor's sweep may do"),
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("scheduler.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": p.Account()}},
		}),
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			"schedule": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &statements}),
		},
	})
	unit := " minutes"
	if p.cfg.sweepMinutes == 1 {
		unit = " minute"
	}
	awsscheduler.NewCfnSchedule(p.Stack, jsii.String("SweepSchedule"), &awsscheduler.CfnScheduleProps{
		Name:               p.name("sweep"),
		Description:        jsii.String("Rotor: invokes the sweep"),
		ScheduleExpression: jsii.String("rate(" + strconv.Itoa(p.cfg.sweepMinutes) + unit + ")"),
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

func (p parts) addOutputs() {
	output := func(id, about string, value *string) {
		awscdk.NewCfnOutput(p.Stack, jsii.String(id), &awscdk.CfnOutputProps{Description: jsii.String(about), Value: value})
	}
	output("Url", "where clients reach the API", p.issuer)
	output("Issuer", "iss of the tokens; its discovery document is below /.well-known", p.issuer)
	output("TableName", "the table", p.table.TableName())
	output("KeysSecret", "the secret with the keys", p.keys.SecretArn())
	output("ManageArn", "the resource on which a caller of /v1 needs execute-api:Invoke",
		p.api.ArnForExecuteApi(jsii.String("*"), jsii.String("/v1/*"), jsii.String("$default")))
	output("FirstCommand", "registers a client; put credentials into the environment first: eval \"$(aws configure export-credentials --format env)\"",
		awscdk.Fn_Join(jsii.String(""), jsii.Strings(
			`curl --aws-sigv4 "aws:amz:`, *p.Region(), `:execute-api" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"`,
			` -H "x-amz-security-token: $AWS_SESSION_TOKEN" -H 'content-type: application/json'`,
			` -X PUT -d '{"type":"public"}' `, *p.issuer, `/v1/clients/demo-spa`,
		)))
}

func decimal(n int) *string { return jsii.String(strconv.Itoa(n)) }
