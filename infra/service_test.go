package rotor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/manage"
)

func TestMain(m *testing.M) {
	code := m.Run()
	jsii.Close()
	os.Exit(code)
}

type object = map[string]any

// synthesized is a stack and its template.
type synthesized struct {
	stack    awscdk.Stack
	template assertions.Template
	out      string // the folder of the cloud assembly
	object          // the template
}

// synth synthesizes the stack of a context, as the app does, with placeholder zips.
func synth(t *testing.T, context map[string]any) synthesized {
	t.Helper()
	props, err := PropsFromContext(context)
	if err != nil {
		t.Fatal(err)
	}
	props.ZipFolder = zips(t)
	return synthProps(t, "Default", props)
}

// zips returns a folder with a file for each function.
func zips(t *testing.T) string {
	t.Helper()
	p := ServiceProps{ZipFolder: t.TempDir()}
	for _, f := range functions {
		if err := os.WriteFile(p.zip(f.name), []byte("the zip of "+f.name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p.ZipFolder
}

// synthProps synthesizes a stack with a service.
func synthProps(t *testing.T, id string, props *ServiceProps) synthesized {
	t.Helper()
	out := t.TempDir()
	app := awscdk.NewApp(&awscdk.AppProps{AnalyticsReporting: jsii.Bool(false), Outdir: &out})
	stack := awscdk.NewStack(app, jsii.String("rotor"), nil)
	NewService(stack, &id, props)
	awscdk.Aspects_Of(app).Add(cdknag.NewAwsSolutionsChecks(&cdknag.NagPackProps{Verbose: jsii.Bool(true)}), nil)
	template := assertions.Template_FromStack(stack, nil)
	return synthesized{stack: stack, template: template, out: out, object: *template.ToJSON()}
}

var standard struct {
	once sync.Once
	synthesized
}

// standardStack returns the stack without any context, which is synthesized once.
func standardStack(t *testing.T) synthesized {
	t.Helper()
	standard.once.Do(func() { standard.synthesized = synth(t, nil) })
	if standard.object == nil {
		t.Fatal("the stack was not synthesized")
	}
	return standard.synthesized
}

// resources returns the resources of a type, by their logical ids.
func (s synthesized) resources(kind string) map[string]object {
	found := map[string]object{}
	for id, r := range s.object["Resources"].(object) {
		if r := r.(object); r["Type"] == kind {
			found[id] = r
		}
	}
	return found
}

func properties(r object) object {
	p, _ := r["Properties"].(object)
	return p
}

// at returns the value at a path of keys and indexes.
func at(v any, path ...any) any {
	for _, step := range path {
		switch key := step.(type) {
		case string:
			m, _ := v.(object)
			v = m[key]
		case int:
			l, _ := v.([]any)
			if key >= len(l) {
				return nil
			}
			v = l[key]
		}
	}
	return v
}

var suffix = regexp.MustCompile(`[0-9A-F]{8}$`)

// plain writes a value with references as names: Table.Arn, Keys, ${AWS::Region}.
func plain(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case object:
		if ref, ok := v["Ref"].(string); ok {
			if strings.HasPrefix(ref, "AWS::") {
				return "${" + ref + "}"
			}
			return suffix.ReplaceAllString(ref, "")
		}
		if get, ok := v["Fn::GetAtt"].([]any); ok {
			return suffix.ReplaceAllString(get[0].(string), "") + "." + get[1].(string)
		}
		if join, ok := v["Fn::Join"].([]any); ok {
			var parts []string
			for _, part := range join[1].([]any) {
				parts = append(parts, plain(part))
			}
			return strings.Join(parts, join[0].(string))
		}
	}
	b, _ := json.Marshal(v)
	return string(b)
}

func list(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	if v == nil {
		return nil
	}
	return []any{v}
}

// statements returns a line for each action on each resource in a policy document.
func statements(t *testing.T, document any) []string {
	t.Helper()
	var lines []string
	for _, s := range list(at(document, "Statement")) {
		if at(s, "NotAction") != nil || at(s, "NotResource") != nil {
			t.Errorf("a statement that says what it is not about: %v", s)
		}
		for _, action := range list(at(s, "Action")) {
			for _, resource := range list(at(s, "Resource")) {
				line := fmt.Sprintf("%s %s on %s", at(s, "Effect"), action, plain(resource))
				if c := at(s, "Condition"); c != nil {
					line += " if " + plain(c)
				}
				lines = append(lines, line)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// functionsByName returns the functions' resources.
func (s synthesized) functionsByName() map[string]object {
	found := map[string]object{}
	for _, r := range s.resources("AWS::Lambda::Function") {
		name := strings.TrimPrefix(fmt.Sprint(properties(r)["FunctionName"]), "rotor-prod-")
		found[name] = properties(r)
	}
	return found
}

// Without this a function's role could allow more than its code needs, also to somebody who breaks into it, or less, so
// that it fails.
func TestEachFunctionMayOnlyDoWhatItDoes(t *testing.T) {
	s := standardStack(t)
	on := func(partitions ...string) string {
		b, _ := json.Marshal(partitions)
		return ` on Table.Arn if {"ForAllValues:StringLike":{"dynamodb:LeadingKeys":` + string(b) + `}}`
	}
	const (
		readKeys       = "Allow secretsmanager:GetSecretValue on Keys"
		readSigning    = "Allow secretsmanager:GetSecretValue on SigningKeys"
		readPublic     = readSigning + ` if {"ForAnyValue:StringEquals":{"secretsmanager:VersionStage":"` + keyring.LabelPublic + `"}}`
		readUntilApart = readKeys + ` if {"Null":{"secretsmanager:ResourceTag/` + keyring.TagApart + `":"true"}}`
	)
	want := map[string][]string{
		"token": {
			"Allow dynamodb:UpdateItem" + on("u#*"),
			"Allow dynamodb:PutItem" + on("u#*"),
			"Allow dynamodb:GetItem" + on("u#*"),
			"Allow dynamodb:Query" + on("u#*"),
			"Allow dynamodb:GetItem" + on("x#*"),
			"Allow dynamodb:UpdateItem" + on("x#*"),
			"Allow dynamodb:DeleteItem" + on("x#*"),
			"Allow dynamodb:PutItem" + on("over_limit"),
			"Allow dynamodb:GetItem" + on("clients"),
			"Allow dynamodb:Query" + on("clients"),
			readKeys, readSigning,
			"Allow secretsmanager:GetSecretValue on arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:rotor/adopt/*",
		},
		"revoke": {
			"Allow dynamodb:GetItem" + on("u#*"),
			"Allow dynamodb:GetItem" + on("x#*"),
			"Allow dynamodb:Query" + on("u#*"),
			"Allow dynamodb:ConditionCheckItem" + on("u#*"),
			"Allow dynamodb:UpdateItem" + on("u#*"),
			"Allow dynamodb:PutItem" + on("u#*"),
			"Allow dynamodb:GetItem" + on("clients"),
			"Allow dynamodb:Query" + on("clients"),
			readKeys, readPublic,
		},
		"introspect": {
			"Allow dynamodb:GetItem" + on("u#*", "clients", "x#*"),
			"Allow dynamodb:Query" + on("clients"),
			readKeys, readPublic,
		},
		"discovery": {readPublic, readUntilApart},
		"manage": {
			"Allow dynamodb:GetItem" + on("u#*", "clients"),
			"Allow dynamodb:Query" + on("u#*", "clients"),
			"Allow dynamodb:UpdateItem" + on("u#*", "clients"),
			"Allow dynamodb:PutItem" + on("u#*", "over_limit", "erasures"),
			"Allow dynamodb:DeleteItem" + on("clients", "u#*", "over_limit"),
			"Allow dynamodb:ConditionCheckItem" + on("u#*"),
			"Allow dynamodb:GetItem" + on("x#*"),
			"Allow dynamodb:UpdateItem" + on("x#*"),
			"Allow dynamodb:Query on Table.Arn/index/log",
			readKeys, readSigning,
		},
		"sweep": {
			"Allow dynamodb:Query" + on("over_limit", "u#*"),
			"Allow dynamodb:GetItem" + on("u#*", "clients"),
			"Allow dynamodb:UpdateItem" + on("u#*"),
			"Allow dynamodb:PutItem" + on("u#*"),
			"Allow dynamodb:DeleteItem" + on("over_limit"),
			"Allow sqs:SendMessage on DeadLetters.Arn",
		},
		"keys": {
			"Allow secretsmanager:DescribeSecret on Keys",
			"Allow secretsmanager:GetSecretValue on Keys",
			"Allow secretsmanager:PutSecretValue on Keys",
			"Allow secretsmanager:UpdateSecretVersionStage on Keys",
			"Allow secretsmanager:TagResource on Keys",
			"Allow secretsmanager:DescribeSecret on SigningKeys",
			"Allow secretsmanager:GetSecretValue on SigningKeys",
			"Allow secretsmanager:PutSecretValue on SigningKeys",
			"Allow secretsmanager:UpdateSecretVersionStage on SigningKeys",
		},
	}
	got := map[string][]string{}
	roles := s.resources("AWS::IAM::Role")
	used := map[string]bool{}
	for name, f := range s.functionsByName() {
		id := at(f, "Role", "Fn::GetAtt", 0).(string)
		used[id] = true
		role := properties(roles[id])
		if role["ManagedPolicyArns"] != nil {
			t.Errorf("the role of %s has managed policies", name)
		}
		for _, p := range list(role["Policies"]) {
			got[name] = append(got[name], statements(t, at(p, "PolicyDocument"))...)
		}
		slices.Sort(got[name])
		logs := strings.ToUpper(name[:1]) + name[1:] + "Logs.Arn"
		want[name] = append(want[name], "Allow logs:CreateLogStream on "+logs, "Allow logs:PutLogEvents on "+logs)
		slices.Sort(want[name])
		if who := at(role, "AssumeRolePolicyDocument", "Statement", 0, "Principal", "Service"); who != "lambda.amazonaws.com" {
			t.Errorf("the role of %s is for %v", name, who)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(got) != 7 || len(used) != 7 {
		t.Errorf("%d functions with %d roles, not 7", len(got), len(used))
	}
	// Policies could also be attached from outside the role.
	for _, kind := range []string{"AWS::IAM::Policy", "AWS::IAM::RolePolicy"} {
		s.template.ResourceCountIs(&kind, jsii.Number(0))
	}
	for id, policy := range s.resources("AWS::IAM::ManagedPolicy") {
		if p := properties(policy); p["Roles"] != nil || p["Users"] != nil || p["Groups"] != nil {
			t.Errorf("%s is attached: %v", id, p)
		}
	}
}

// Without this a statement on "*", or on every action of a service, could come with a construct.
func TestNoWildcards(t *testing.T) {
	for _, context := range []map[string]any{nil, atEdge(), atListener()} {
		s := synth(t, context)
		looked := 0
		var walk func(path string, v any)
		walk = func(path string, v any) {
			switch v := v.(type) {
			case object:
				if v["Effect"] == "Allow" {
					looked++
					for _, r := range list(v["Resource"]) {
						if r == "*" && fmt.Sprint(v["Action"]) != "[xray:PutTelemetryRecords xray:PutTraceSegments]" {
							t.Errorf("%s: on every resource", path)
						}
					}
					for _, a := range list(v["Action"]) {
						if strings.Contains(plain(a), "*") {
							t.Errorf("%s: %v", path, a)
						}
					}
					if p := v["Principal"]; p == "*" || at(p, "AWS") == "*" {
						t.Errorf("%s: for everyone", path)
					}
				}
				for k, e := range v {
					walk(path+"/"+k, e)
				}
			case []any:
				for i, e := range v {
					walk(fmt.Sprint(path, "/", i), e)
				}
			}
		}
		walk("", s.object)
		want := 55
		if context != nil { // with tracing
			want += len(functions)
		}
		if context["edge"] != nil { // whose secret five functions read
			want += 5
		}
		if looked != want {
			t.Errorf("looked at %d statements, not %d", looked, want)
		}
	}
}

// Without this records would not be purged, or lost with a stack, a mistake or a bad write.
func TestTable(t *testing.T) {
	s := standardStack(t)
	s.template.ResourceCountIs(jsii.String("AWS::DynamoDB::GlobalTable"), jsii.Number(1))
	for _, table := range s.resources("AWS::DynamoDB::GlobalTable") {
		want := object{
			"AttributeDefinitions": []any{
				object{"AttributeName": "pk", "AttributeType": "S"},
				object{"AttributeName": "sk", "AttributeType": "S"},
				object{"AttributeName": "log_pk", "AttributeType": "S"},
				object{"AttributeName": "log_sk", "AttributeType": "S"},
			},
			"BillingMode": "PAY_PER_REQUEST",
			"KeySchema":   []any{object{"AttributeName": "pk", "KeyType": "HASH"}, object{"AttributeName": "sk", "KeyType": "RANGE"}},
			"GlobalSecondaryIndexes": []any{object{
				"IndexName":  "log",
				"KeySchema":  []any{object{"AttributeName": "log_pk", "KeyType": "HASH"}, object{"AttributeName": "log_sk", "KeyType": "RANGE"}},
				"Projection": object{"ProjectionType": "ALL"},
			}},
			"Replicas": []any{object{
				"DeletionProtectionEnabled":        true,
				"GlobalSecondaryIndexes":           []any{object{"IndexName": "log"}},
				"PointInTimeRecoverySpecification": object{"PointInTimeRecoveryEnabled": true},
				"Region":                           object{"Ref": "AWS::Region"},
			}},
			"TimeToLiveSpecification": object{"AttributeName": "purge_at", "Enabled": true},
		}
		if diff := cmp.Diff(want, properties(table)); diff != "" {
			t.Error(diff)
		}
	}
}

// Without this provisioned capacity could have no room to grow or no floor, or the index, which refreshes do not write,
// could be paid for as if they did. Or the mode could not be switched, which needs a capacity to begin with.
func TestProvisionedCapacity(t *testing.T) {
	for _, c := range []struct {
		context     map[string]any
		write, rest string // at first, at least, at most, percent
	}{
		{map[string]any{"minWriteUnits": "500", "maxWriteUnits": "4000"}, "500 500 4000 70", "50 50 4000 70"},
		{map[string]any{"minWriteUnits": 20.0, "maxWriteUnits": 20.0, "writeUtilization": 90.0}, "20 20 20 90", "5 5 20 90"},
		{map[string]any{"minWriteUnits": "1", "maxWriteUnits": "3", "writeUtilization": "20"}, "1 1 3 20", "3 3 3 20"},
	} {
		tables := synth(t, c.context).resources("AWS::DynamoDB::GlobalTable")
		if len(tables) != 1 {
			t.Fatalf("%d tables", len(tables))
		}
		for _, table := range tables {
			scaling := func(of any, direction string) string {
				s := at(of, direction+"ProvisionedThroughputSettings", direction+"CapacityAutoScalingSettings")
				return fmt.Sprint(at(s, "SeedCapacity"), at(s, "MinCapacity"), at(s, "MaxCapacity"), at(s, "TargetTrackingScalingPolicyConfiguration", "TargetValue"))
			}
			p := properties(table)
			index, replica := at(p, "GlobalSecondaryIndexes", 0), at(p, "Replicas", 0)
			got := []string{scaling(p, "Write"), scaling(replica, "Read"), scaling(index, "Write"), scaling(at(replica, "GlobalSecondaryIndexes", 0), "Read")}
			if diff := cmp.Diff([]string{c.write, c.rest, c.rest, c.rest}, got); diff != "" || p["BillingMode"] != "PROVISIONED" {
				t.Errorf("%v: %v %s", c.context, p["BillingMode"], diff)
			}
		}
	}
}

// state are the resources that hold what an upgrade must not lose, by type, with the property that would be their name.
var state = map[string]string{
	"AWS::DynamoDB::GlobalTable": "TableName", "AWS::SecretsManager::Secret": "Name", "AWS::Logs::LogGroup": "LogGroupName",
}

// Without this resources with state could be deleted with the stack, or have a fixed name that the next stack could not
// use. Or a preview could leave them behind.
func TestStateStays(t *testing.T) {
	for _, c := range []struct {
		context map[string]any
		policy  string
	}{{nil, "Retain"}, {map[string]any{"retain": true}, "Retain"}, {map[string]any{"retain": "false"}, "Delete"}} {
		s := synth(t, c.context)
		looked := 0
		for kind, name := range state {
			for id, r := range s.resources(kind) {
				looked++
				if r["DeletionPolicy"] != c.policy || r["UpdateReplacePolicy"] != c.policy {
					t.Errorf("%v: %s is deleted with the stack: %v", c.context, id, r["DeletionPolicy"])
				}
				if properties(r)[name] != nil {
					t.Errorf("%s has a fixed name", id)
				}
			}
		}
		if looked != 11 {
			t.Errorf("looked at %d resources, not 11", looked)
		}
		for id, r := range s.object["Resources"].(object) {
			if kind := r.(object)["Type"].(string); r.(object)["DeletionPolicy"] == "Retain" && (c.policy != "Retain" || state[kind] == "") {
				t.Errorf("%v: %s stays behind", c.context, id)
			}
		}
		for _, table := range s.resources("AWS::DynamoDB::GlobalTable") {
			if protected := at(properties(table), "Replicas", 0, "DeletionProtectionEnabled"); protected != (c.policy == "Retain") {
				t.Errorf("%v: the table is protected: %v", c.context, protected)
			}
		}
	}
}

// Without this an upgrade could replace a table, a secret or the API: each token would be void, or the API have another
// address. The logical ids are those of version 0.1.0, except for the secret of the signing keys, which came after it.
func TestUpgradesKeepWhatHasState(t *testing.T) {
	released := map[string]string{
		"TableCD117FA1": "AWS::DynamoDB::GlobalTable", "Keys4E30B592": "AWS::SecretsManager::Secret", "SigningKeysA56F0358": "AWS::SecretsManager::Secret", "KeysRotation": "AWS::SecretsManager::RotationSchedule",
		"ApiF70053CD": "AWS::ApiGatewayV2::Api", "Stage": "AWS::ApiGatewayV2::Stage", "Domain66AC69E0": "AWS::ApiGatewayV2::DomainName",
		"Alarms04B5A0BF": "AWS::SNS::Topic", "DeadLettersBBF8BAAB": "AWS::SQS::Queue", "SweepSchedule": "AWS::Scheduler::Schedule",
		"AccessLogs8B620ECA": "AWS::Logs::LogGroup", "DiscoveryLogs3D5197B7": "AWS::Logs::LogGroup", "IntrospectLogsA78CB4C1": "AWS::Logs::LogGroup",
		"KeysLogs8C2809B6": "AWS::Logs::LogGroup", "ManageLogs555108BB": "AWS::Logs::LogGroup", "RevokeLogsF94E9431": "AWS::Logs::LogGroup",
		"SweepLogsD6C54147": "AWS::Logs::LogGroup", "TokenLogs1172C09B": "AWS::Logs::LogGroup", "TokenFunction0E51A6ED": "AWS::Lambda::Function",
	}
	context := everything()
	context["accessLog"] = "on" // off, its group leaves the stack, and is retained: see TestAccessLogOff
	resources := synth(t, context).object["Resources"].(object)
	for id, kind := range released {
		if got := at(resources, id, "Type"); got != kind {
			t.Errorf("%s is %v, not %s", id, got, kind)
		}
	}
	for id, r := range resources {
		if kind := r.(object)["Type"].(string); state[kind] != "" && released[id] == "" {
			t.Errorf("%s was not in the release", id)
		}
	}
}

// Without this the service of another app could be made with a resource that it was told not to make, or its functions
// lack access to what they were given.
func TestGivenResources(t *testing.T) {
	const (
		key      = "arn:aws:kms:eu-central-1:123456789012:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
		topic    = "arn:aws:sns:eu-central-1:123456789012:alarms"
		boundary = "arn:aws:iam::123456789012:policy/boundary"
	)
	s := synthProps(t, "Auth", &ServiceProps{
		ZipFolder: zips(t), Architecture: "x86_64", TableName: "sessions", KmsKeyArn: key, AlarmTopicArn: topic, AlarmEmail: "ops@example.com",
		PermissionsBoundaryArn: boundary, Tags: map[string]string{"team": "auth"}, LogRemoval: awscdk.RemovalPolicy_DESTROY,
	})
	for _, kind := range []string{"AWS::DynamoDB::GlobalTable", "AWS::SNS::Topic", "AWS::SNS::TopicPolicy", "AWS::KMS::Key"} {
		s.template.ResourceCountIs(&kind, jsii.Number(0))
	}
	s.template.HasResource(jsii.String("AWS::SecretsManager::Secret"), object{"DeletionPolicy": "Retain", "Properties": object{"KmsKeyId": key}})
	s.template.AllResources(jsii.String("AWS::Logs::LogGroup"), object{"DeletionPolicy": "Delete"})
	s.template.HasResourceProperties(jsii.String("AWS::SNS::Subscription"), object{"TopicArn": topic, "Endpoint": "ops@example.com"})
	s.template.AllResourcesProperties(jsii.String("AWS::CloudWatch::Alarm"), object{"AlarmActions": []any{topic}, "OKActions": []any{topic}})
	s.template.AllResourcesProperties(jsii.String("AWS::IAM::Role"), object{"PermissionsBoundary": boundary, "Tags": []any{object{"Key": "team", "Value": "auth"}}})
	s.template.AllResourcesProperties(jsii.String("AWS::Lambda::Function"), object{"Architectures": []any{"x86_64"}})
	const via = `{"StringEquals":{"kms:ViaService":[{"Fn::Join":["",["dynamodb.",{"Ref":"AWS::Region"},".amazonaws.com"]]},` +
		`{"Fn::Join":["",["secretsmanager.",{"Ref":"AWS::Region"},".amazonaws.com"]]}]}}`
	got := map[string]int{} // by function, the actions on the key
	for name, f := range s.functionsByName() {
		role := properties(s.resources("AWS::IAM::Role")[at(f, "Role", "Fn::GetAtt", 0).(string)])
		onTable := false
		for _, line := range statements(t, at(role, "Policies", 0, "PolicyDocument")) {
			if strings.Contains(line, " kms:") {
				got[name]++
				if !strings.HasSuffix(line, " on "+key+" if "+via) {
					t.Errorf("%s: %s", name, line)
				}
			}
			if strings.Contains(line, "dynamodb:") {
				onTable = true
				if !strings.Contains(line, ":table/sessions") {
					t.Errorf("%s: %s", name, line)
				}
			}
		}
		if table := at(f, "Environment", "Variables", "ROTOR_TABLE"); onTable && table != "sessions" {
			t.Errorf("%s uses the table %v", name, table)
		}
	}
	if diff := cmp.Diff(map[string]int{"token": 6, "revoke": 6, "introspect": 1, "discovery": 1, "manage": 6, "sweep": 6, "keys": 6}, got); diff != "" {
		t.Error(diff)
	}
	s = synthProps(t, "Auth", &ServiceProps{ZipFolder: zips(t), KmsKeyArn: key})
	s.template.HasResourceProperties(jsii.String("AWS::DynamoDB::GlobalTable"), object{
		"SSESpecification": object{"SSEEnabled": true, "SSEType": "KMS"}, "Replicas": []any{assertions.Match_ObjectLike(&object{"SSESpecification": object{"KMSMasterKeyId": key}})},
	})
}

// Without this /v1 could be open to anyone, or an endpoint could lead nowhere.
func TestRoutes(t *testing.T) {
	s := standardStack(t)
	want := map[string]string{
		"ANY /oauth/token":          "token NONE",
		"ANY /oauth/dbsc/{proxy+}":  "token NONE",
		"ANY /oauth/revoke":         "revoke NONE",
		"ANY /oauth/logout":         "revoke NONE",
		"ANY /v2/logout":            "revoke NONE",
		"ANY /oauth/introspect":     "introspect NONE",
		"ANY /healthz":              "token NONE",
		"ANY /.well-known/{proxy+}": "discovery NONE",
		"ANY /auth/v1/token":        "token NONE",
		"ANY /auth/v1/logout":       "revoke NONE",
		"ANY /auth/v1/user":         "introspect NONE",
		"$default":                  "discovery NONE",

		"ANY /auth/v1/.well-known/{proxy+}": "discovery NONE",
	}
	calls := (&manage.API{}).Routes()
	for _, call := range calls {
		want[call.Method+" "+call.Path] = "manage AWS_IAM"
	}
	got := map[string]string{}
	integrations := s.resources("AWS::ApiGatewayV2::Integration")
	all := s.resources("AWS::Lambda::Function")
	managed := 0
	for _, r := range s.resources("AWS::ApiGatewayV2::Route") {
		p := properties(r)
		integration := properties(integrations[at(p, "Target", "Fn::Join", 1, 1, "Ref").(string)])
		if integration["PayloadFormatVersion"] != "2.0" {
			t.Errorf("%s sends payload format %v", p["RouteKey"], integration["PayloadFormatVersion"])
		}
		f := properties(all[at(integration, "IntegrationUri", "Fn::GetAtt", 0).(string)])
		name := strings.TrimPrefix(f["FunctionName"].(string), "rotor-prod-")
		got[p["RouteKey"].(string)] = fmt.Sprint(name, " ", p["AuthorizationType"])
		if name == "manage" {
			managed++
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if managed != len(calls) || managed < 15 {
		t.Errorf("%d routes lead to manage, which has %d calls", managed, len(calls))
	}
	// Nothing else may invoke the functions behind the gateway.
	for id, r := range s.resources("AWS::Lambda::Permission") {
		if p := properties(r); p["SourceArn"] == nil {
			t.Errorf("%s lets %v invoke from anywhere", id, p["Principal"])
		}
	}
	s.template.ResourceCountIs(jsii.String("AWS::Lambda::Permission"), jsii.Number(16))
	s.template.ResourceCountIs(jsii.String("AWS::Lambda::Url"), jsii.Number(0))
}

// Without this one caller could use up the account's concurrency, and nobody could tell who called.
func TestStage(t *testing.T) {
	s := standardStack(t)
	s.template.ResourceCountIs(jsii.String("AWS::ApiGatewayV2::Stage"), jsii.Number(1))
	for _, r := range s.resources("AWS::ApiGatewayV2::Stage") {
		p := properties(r)
		if p["StageName"] != "$default" || p["AutoDeploy"] != true {
			t.Errorf("stage %v, deployed by itself: %v", p["StageName"], p["AutoDeploy"])
		}
		want := object{"ThrottlingBurstLimit": 2000.0, "ThrottlingRateLimit": 1000.0}
		if diff := cmp.Diff(want, p["DefaultRouteSettings"]); diff != "" {
			t.Error(diff)
		}
		got := limits(r)
		for _, call := range (&manage.API{}).Routes() {
			if key := call.Method + " " + call.Path; got[key] != "200, 400" {
				t.Errorf("%s has the limits %q", key, got[key])
			} else {
				delete(got, key)
			}
		}
		if diff := cmp.Diff(map[string]string{
			"ANY /oauth/token": "1000, 2000", "ANY /oauth/introspect": "1000, 2000", "ANY /oauth/revoke": "250, 500",
			"ANY /oauth/dbsc/{proxy+}": "1000, 2000", // a browser ends its session when a renewal is answered 429
			"ANY /oauth/logout":        "250, 500", "ANY /v2/logout": "250, 500",
			"ANY /.well-known/{proxy+}": "250, 500", "ANY /healthz": "20, 40", "$default": "20, 40",
			"ANY /auth/v1/token": "1000, 2000", "ANY /auth/v1/user": "1000, 2000", "ANY /auth/v1/logout": "250, 500",
			"ANY /auth/v1/.well-known/{proxy+}": "250, 500",
		}, got); diff != "" {
			t.Error(diff)
		}
		if to := plain(at(p, "AccessLogSettings", "DestinationArn")); to != "AccessLogs.Arn" {
			t.Errorf("access logs go to %s", to)
		}
		var line map[string]string
		if err := json.Unmarshal([]byte(at(p, "AccessLogSettings", "Format").(string)), &line); err != nil {
			t.Fatal(err)
		}
		for name, value := range line {
			if !strings.HasPrefix(value, "$context.") || strings.Contains(value, "query") || strings.Contains(value, "body") {
				t.Errorf("%s: %s", name, value)
			}
		}
		if len(line) < 10 {
			t.Errorf("a line has %d members", len(line))
		}
	}
}

// Without this an access log that is switched off would still be paid for, or its group be deleted with the lines in it, or
// something would ask for what is not there.
func TestAccessLogOff(t *testing.T) {
	on, off := standardStack(t), synth(t, map[string]any{"accessLog": "off"})
	for id, r := range on.resources("AWS::Logs::LogGroup") {
		if found := off.resources("AWS::Logs::LogGroup")[id] != nil; found == strings.HasPrefix(id, "AccessLogs") {
			t.Errorf("%s is there: %t", id, found)
		}
		if r["DeletionPolicy"] != "Retain" {
			t.Errorf("%s is deleted", id)
		}
	}
	stages := off.resources("AWS::ApiGatewayV2::Stage")
	for id, r := range stages {
		if p := properties(r); p["AccessLogSettings"] != nil || len(limits(r)) == 0 {
			t.Errorf("%s: %v", id, p)
		}
	}
	if len(stages) != 1 {
		t.Errorf("%d stages", len(stages))
	}
	// Metrics, alarms, queries and the dashboard are of the functions' logs and the gateway's own metrics.
	for _, kind := range []string{"AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::Logs::MetricFilter", "AWS::Logs::QueryDefinition"} {
		if diff := cmp.Diff(on.resources(kind), off.resources(kind)); diff != "" || len(on.resources(kind)) == 0 {
			t.Errorf("%d of %s: %s", len(on.resources(kind)), kind, diff)
		}
	}
	whole, _ := json.Marshal(off.object)
	if bytes.Contains(whole, []byte("AccessLogs")) {
		t.Error("something refers to the access log")
	}
}

// limits returns a stage's rates and bursts by route.
func limits(stage object) map[string]string {
	found := map[string]string{}
	settings, _ := properties(stage)["RouteSettings"].(object)
	for key, s := range settings {
		found[key] = fmt.Sprintf("%v, %v", at(s, "ThrottlingRateLimit"), at(s, "ThrottlingBurstLimit"))
	}
	return found
}

// Without this a flood of one route could use up the limit of the refreshes, or a new route could have no limit. Or the
// deployment could fail, since a stage cannot have settings for a route that does not exist yet.
func TestRoutesHaveLimitsOfTheirOwn(t *testing.T) {
	for name, c := range map[string]struct {
		context map[string]any
		want    map[string]string // of some routes
	}{
		"standard":   {nil, map[string]string{"ANY /oauth/token": "1000, 2000"}},
		"everything": {everything(), map[string]string{"ANY /oauth/token": "50, 50", "ANY /oauth/revoke": "5, 5", "ANY /oauth/introspect": "40, 40", "POST /v1/families": "3, 3", "$default": "1, 1"}},
		"a tenth":    {map[string]any{"throttleRate": "100", "throttleBurst": "300"}, map[string]string{"ANY /oauth/token": "100, 300", "ANY /oauth/revoke": "25, 75", "$default": "2, 6"}},
		"one":        {map[string]any{"throttleRate": "1", "throttleBurst": "1"}, map[string]string{"ANY /oauth/token": "1, 1", "ANY /oauth/revoke": "1, 1", "$default": "1, 1"}},
		"its own":    {map[string]any{"introspectRate": "5000"}, map[string]string{"ANY /oauth/token": "1000, 2000", "ANY /oauth/introspect": "5000, 10000", "ANY /oauth/revoke": "250, 500"}},
	} {
		s := synth(t, c.context)
		stages := s.resources("AWS::ApiGatewayV2::Stage")
		if len(stages) != 1 {
			t.Fatalf("%s: %d stages", name, len(stages))
		}
		for _, stage := range stages {
			got := limits(stage)
			for key, want := range c.want {
				if got[key] != want {
					t.Errorf("%s: %s has %s, not %s", name, key, got[key], want)
				}
			}
			routes := s.resources("AWS::ApiGatewayV2::Route")
			for id, r := range routes {
				if key := properties(r)["RouteKey"].(string); got[key] == "" {
					t.Errorf("%s: %s has no limit of its own", name, key)
				}
				if !slices.Contains(list(stage["DependsOn"]), any(id)) {
					t.Errorf("%s: the stage may be made before %s", name, id)
				}
			}
			if len(routes) != 13+len((&manage.API{}).Routes()) || len(got) != len(routes) {
				t.Errorf("%s: %d routes, and limits for %d", name, len(routes), len(got))
			}
		}
	}
}

// Without this logs would be kept forever, in a group that Lambda creates, as text from which CloudWatch makes no
// metrics.
func TestLogs(t *testing.T) {
	s := standardStack(t)
	groups := s.resources("AWS::Logs::LogGroup")
	for id, r := range groups {
		if days := properties(r)["RetentionInDays"]; days != 90.0 {
			t.Errorf("%s keeps %v days", id, days)
		}
	}
	seen := map[string]bool{}
	for name, f := range s.functionsByName() {
		group, _ := at(f, "LoggingConfig", "LogGroup", "Ref").(string)
		if groups[group] == nil {
			t.Errorf("%s writes to no log group of the stack", name)
		}
		seen[group] = true
		if format := at(f, "LoggingConfig", "LogFormat"); format != "JSON" {
			t.Errorf("%s writes %v", name, format)
		}
		if level := at(f, "LoggingConfig", "ApplicationLogLevel"); level != "INFO" {
			t.Errorf("%s leaves out events below %v", name, level)
		}
	}
	if len(seen) != 7 || len(groups) != 8 {
		t.Errorf("%d groups of functions and %d in all, not 7 and 8", len(seen), len(groups))
	}
}

// Without this a function might not run, refuse its configuration, or be cut off while it works.
func TestFunctions(t *testing.T) {
	s := standardStack(t)
	tableVars := []string{"ROTOR_EVENT_RETENTION_DAYS", "ROTOR_FAMILY_RETENTION_DAYS", "ROTOR_STAGE", "ROTOR_TABLE"}
	apiVars := []string{"ROTOR_EVENT_RETENTION_DAYS", "ROTOR_FAMILY_RETENTION_DAYS", "ROTOR_ISSUER", "ROTOR_KEYS_SECRET", "ROTOR_SIGNING_SECRET", "ROTOR_STAGE", "ROTOR_TABLE"}
	want := map[string][]string{
		"token": apiVars, "revoke": apiVars, "introspect": apiVars, "discovery": apiVars,
		"manage": append([]string{"ROTOR_API_ID"}, apiVars...),
		"sweep":  tableVars,
		"keys":   {"ROTOR_KEYS_SECRET", "ROTOR_SIGNING_ALGORITHM", "ROTOR_SIGNING_SECRET", "ROTOR_STAGE"},
	}
	values := map[string]string{
		"ROTOR_API_ID":               "Api",
		"ROTOR_EVENT_RETENTION_DAYS": "90", "ROTOR_FAMILY_RETENTION_DAYS": "30", "ROTOR_ISSUER": "Api.ApiEndpoint",
		"ROTOR_KEYS_SECRET": "Keys", "ROTOR_SIGNING_SECRET": "SigningKeys", "ROTOR_SIGNING_ALGORITHM": "RS256", "ROTOR_STAGE": "prod", "ROTOR_TABLE": "Table",
	}
	got := map[string][]string{}
	for name, f := range s.functionsByName() {
		vars, _ := at(f, "Environment", "Variables").(object)
		got[name] = slices.Sorted(maps.Keys(vars))
		for v, value := range vars {
			if plain(value) != values[v] {
				t.Errorf("%s: %s is %s", name, v, plain(value))
			}
		}
		if f["Runtime"] != "provided.al2023" || plain(f["Architectures"]) != `["arm64"]` || f["Handler"] != "bootstrap" {
			t.Errorf("%s: %v %v %v", name, f["Runtime"], f["Architectures"], f["Handler"])
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if seconds := s.functionsByName()["manage"]["Timeout"]; seconds != 29.0 {
		t.Errorf("manage has %v s: revoking many gives itself 20, the gateway waits for 30", seconds)
	}
}

// Without this a new function would be built and never deployed.
func TestEveryFolderOfFunctionsIsDeployed(t *testing.T) {
	mains, err := filepath.Glob("../functions/*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if len(mains) < 6 {
		t.Fatalf("%d folders of functions found", len(mains))
	}
	for _, main := range mains {
		name := filepath.Base(filepath.Dir(main))
		if !slices.ContainsFunc(functions, func(f function) bool { return f.name == name }) {
			t.Errorf("functions/%s is not in the stack", name)
		}
	}
}

// Without this there could be no keys after a deployment, the same keys forever, or keys in the template for all to
// read.
func TestKeys(t *testing.T) {
	s := standardStack(t)
	for _, kind := range []string{"AWS::SecretsManager::Secret", "AWS::SecretsManager::RotationSchedule"} {
		s.template.ResourceCountIs(&kind, jsii.Number(2))
	}
	s.template.AllResources(jsii.String("AWS::SecretsManager::Secret"), object{
		"Properties": object{
			"SecretString":         assertions.Match_Absent(),
			"GenerateSecretString": assertions.Match_ObjectEquals(&object{"PasswordLength": 32, "ExcludePunctuation": true}),
		},
	})
	permissions := map[string]string{}
	for id, r := range s.resources("AWS::Lambda::Permission") {
		p := properties(r)
		if p["Principal"] != "secretsmanager.amazonaws.com" {
			continue
		}
		permissions[plain(p["SourceArn"])] = id
		if plain(p["FunctionName"]) != "KeysFunction.Arn" || plain(p["SourceAccount"]) != "${AWS::AccountId}" {
			t.Errorf("Secrets Manager may invoke %v", p)
		}
	}
	var rotated []string
	for _, r := range s.resources("AWS::SecretsManager::RotationSchedule") {
		p := properties(r)
		secret := plain(p["SecretId"])
		rotated = append(rotated, secret)
		if plain(p["RotationLambdaARN"]) != "KeysFunction.Arn" {
			t.Errorf("rotates %s by %v", secret, p["RotationLambdaARN"])
		}
		if p["RotateImmediatelyOnUpdate"] != true || at(p, "RotationRules", "AutomaticallyAfterDays") != 30.0 {
			t.Errorf("at once: %v, then %v", p["RotateImmediatelyOnUpdate"], p["RotationRules"])
		}
		if permissions[secret] == "" || !slices.Contains(list(r["DependsOn"]), any(permissions[secret])) {
			t.Errorf("it depends on %v, and not on the permission to invoke", r["DependsOn"])
		}
	}
	slices.Sort(rotated)
	if diff := cmp.Diff([]string{"Keys", "SigningKeys"}, rotated); diff != "" {
		t.Errorf("rotated are (-want +got)\n%s", diff)
	}
	// A stack of an earlier release has all keys in this secret. With other properties CloudFormation could put a random
	// word in their place, and with another id it would make a new secret.
	for id, r := range s.resources("AWS::SecretsManager::Secret") {
		if p := properties(r); strings.HasPrefix(id, "Keys") && p["Description"] != "The keys of Rotor's refresh and access tokens. Without them every token is void." {
			t.Errorf("the secret of earlier releases has %v", p)
		}
	}
}

// Without this users could keep more families than their limit, and nobody would know that no sweep runs.
func TestSweepSchedule(t *testing.T) {
	s := standardStack(t)
	s.template.ResourceCountIs(jsii.String("AWS::Scheduler::Schedule"), jsii.Number(1))
	for _, r := range s.resources("AWS::Scheduler::Schedule") {
		p := properties(r)
		if p["ScheduleExpression"] != "rate(5 minutes)" || p["State"] == "DISABLED" {
			t.Errorf("%v, %v", p["ScheduleExpression"], p["State"])
		}
		if to := plain(at(p, "Target", "Arn")); to != "SweepFunction.Arn" {
			t.Errorf("it invokes %s", to)
		}
		if to := plain(at(p, "Target", "DeadLetterConfig", "Arn")); to != "DeadLetters.Arn" {
			t.Errorf("what is not delivered goes to %s", to)
		}
		role := properties(s.resources("AWS::IAM::Role")[at(p, "Target", "RoleArn", "Fn::GetAtt", 0).(string)])
		want := []string{"Allow lambda:InvokeFunction on SweepFunction.Arn", "Allow sqs:SendMessage on DeadLetters.Arn"}
		if diff := cmp.Diff(want, statements(t, at(role, "Policies", 0, "PolicyDocument"))); diff != "" {
			t.Error(diff)
		}
		if at(role, "Policies", 1) != nil {
			t.Error("it has more policies")
		}
	}
	// The schedule only delivers an event. Lambda reports whether the function succeeds.
	if to := plain(at(s.functionsByName()["sweep"], "DeadLetterConfig", "TargetArn")); to != "DeadLetters.Arn" {
		t.Errorf("a sweep that fails goes to %s", to)
	}
	s.template.HasResourceProperties(jsii.String("AWS::SQS::Queue"), object{"SqsManagedSseEnabled": true})
	s.template.ResourceCountIs(jsii.String("AWS::SQS::Queue"), jsii.Number(1))
	s.template.ResourceCountIs(jsii.String("AWS::SQS::QueuePolicy"), jsii.Number(1))
	for _, r := range s.resources("AWS::SQS::QueuePolicy") {
		want := []string{`Deny sqs:* on DeadLetters.Arn if {"Bool":{"aws:SecureTransport":"false"}}`}
		if diff := cmp.Diff(want, statements(t, properties(r)["PolicyDocument"])); diff != "" {
			t.Error(diff)
		}
	}
	one := synth(t, map[string]any{"sweepMinutes": 1.0})
	one.template.HasResourceProperties(jsii.String("AWS::Scheduler::Schedule"), object{"ScheduleExpression": "rate(1 minute)"})
}

// Without this a known risk could occur without anybody being told.
func TestAlarms(t *testing.T) {
	s := standardStack(t)
	// What each alarm watches, and its threshold.
	want := map[string]string{
		"5xx":                    "AWS/ApiGateway 5xx Sum 300s >= 5 x1",
		"latency":                "AWS/ApiGateway Latency p99 300s >= 2000 x3",
		"throttles":              "FILL(token, 0) + FILL(revoke, 0) + FILL(introspect, 0) + FILL(discovery, 0) + FILL(manage, 0) + FILL(sweep, 0) + FILL(keys, 0) >= 1 x1",
		"table-throttles":        "FILL(reads, 0) + FILL(writes, 0) >= 10 x1",
		"reuse-detected":         "Rotor ReuseDetected Sum 300s >= 1 x1",
		"reused-elsewhere":       "Rotor ReusedElsewhere Sum 900s >= 10 x1",
		"ahead":                  "Rotor Ahead Sum 300s >= 1 x1",
		"invalid-client":         "Rotor InvalidClient Sum 300s >= 50 x1",
		"origin-refused":         "Rotor OriginRefused Sum 300s >= 50 x1",
		"caller-refused":         "Rotor CallerRefused Sum 300s >= 1 x1",
		"secret-added":           "Rotor SecretAdded Sum 300s >= 1 x1",
		"may-introspect":         "Rotor MayIntrospectOn Sum 300s >= 1 x1",
		"observe":                "Rotor ObserveOn Sum 300s >= 1 x1",
		"refused":                "IF(FILL(refused, 0) >= 50, 100 * FILL(refused, 0) / (FILL(refused, 0) + FILL(exchanged, 0)), 0) >= 20 x3",
		"codes-refused":          "IF(FILL(refused, 0) >= 50, 100 * FILL(refused, 0) / (FILL(refused, 0) + FILL(exchanged, 0)), 0) >= 20 x3",
		"refused-reuse_detected": `SELECT SUM(Refused) FROM SCHEMA("Rotor", "stage", client, metric_cause) WHERE "stage" = 'prod' AND metric_cause = 'reuse_detected' >= 50 x1`,
		"refused-limit_exceeded": `SELECT SUM(Refused) FROM SCHEMA("Rotor", "stage", client, metric_cause) WHERE "stage" = 'prod' AND metric_cause = 'limit_exceeded' >= 50 x1`,
		"refused-never_issued":   `SELECT SUM(Refused) FROM SCHEMA("Rotor", "stage", client, metric_cause) WHERE "stage" = 'prod' AND metric_cause = 'never_issued' >= 50 x1`,
		"refused-purged":         `SELECT SUM(Refused) FROM SCHEMA("Rotor", "stage", client, metric_cause) WHERE "stage" = 'prod' AND metric_cause = 'purged' >= 50 x1`,
		"refused-wrong_client":   `SELECT SUM(Refused) FROM SCHEMA("Rotor", "stage", client, metric_cause) WHERE "stage" = 'prod' AND metric_cause = 'wrong_client' >= 50 x1`,
		"sweep-failing":          "AWS/Lambda Errors Sum 300s of SweepFunction >= 1 x2",
		"sweep-dead-letters":     "AWS/SQS ApproximateNumberOfMessagesVisible Maximum 300s >= 1 x1",
		"sweep-behind":           "AWS/Lambda Invocations Sum 900s of SweepFunction < 1 x1",
		"keys-failing":           "AWS/Lambda Errors Sum 300s of KeysFunction >= 1 x1",
		"keys-revoked":           "Rotor KeysRevoked Sum 300s >= 1 x1",
	}
	got := map[string]string{}
	for _, r := range s.resources("AWS::CloudWatch::Alarm") {
		p := properties(r)
		name := strings.TrimPrefix(p["AlarmName"].(string), "rotor-prod-")
		compares := map[any]string{"GreaterThanOrEqualToThreshold": ">=", "LessThanThreshold": "<"}[p["ComparisonOperator"]]
		var watches string
		if p["MetricName"] != nil {
			statistic := p["Statistic"]
			if statistic == nil {
				statistic = p["ExtendedStatistic"]
			}
			watches = fmt.Sprintf("%v %v %v %vs", p["Namespace"], p["MetricName"], statistic, p["Period"])
			if p["Namespace"] == "AWS/Lambda" {
				watches += " of " + plain(at(p, "Dimensions", 0, "Value"))
			}
			if p["Namespace"] == "Rotor" && cmp.Diff(any([]any{object{"Name": "stage", "Value": "prod"}}), p["Dimensions"]) != "" {
				t.Errorf("%s counts %v", name, p["Dimensions"])
			}
		}
		for _, m := range list(p["Metrics"]) {
			if e, ok := at(m, "Expression").(string); ok {
				watches = e
			}
		}
		got[name] = fmt.Sprintf("%s %s %v x%v", watches, compares, p["Threshold"], p["EvaluationPeriods"])
		if plain(p["AlarmActions"]) != `[{"Ref":"`+s.topic(t)+`"}]` {
			t.Errorf("%s tells nobody: %v", name, p["AlarmActions"])
		}
		// Missing data about sweeps sets off an alarm, and other missing data does not.
		missing := map[bool]string{true: "breaching", false: "notBreaching"}[name == "sweep-behind"]
		if p["TreatMissingData"] != missing {
			t.Errorf("%s: missing data is %v", name, p["TreatMissingData"])
		}
		if about, _ := p["AlarmDescription"].(string); len(about) < 40 {
			t.Errorf("%s does not say what it is about: %q", name, about)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(got) != 25 {
		t.Errorf("%d alarms, not 25", len(got))
	}
	var texts map[string]any
	if err := json.Unmarshal(alarms, &texts); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(texts))); diff != "" {
		t.Errorf("alarms.json has others than there are (-want +got):\n%s", diff)
	}
	// People look up the name of an alarm that woke them.
	operations, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(operations), "\n| alarm | look at |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	for name := range got {
		if strings.HasPrefix(name, "refused-") {
			name = "refused-<cause>"
		}
		if !strings.Contains(table, "`"+name+"`") {
			t.Errorf("docs/operations.md does not say what to do when %s rings", name)
		}
	}
	costs, err := os.ReadFile("../docs/cost.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(costs), fmt.Sprintf("%d alarms", len(got))) {
		t.Errorf("the costs in docs/cost.md are not of %d alarms", len(got))
	}
}

// Without this an alarm could watch a metric that nothing writes, and never go off.
func TestAlarmsWatchWhatIsWritten(t *testing.T) {
	written := map[string]bool{} // namespace, name, dimensions
	var out bytes.Buffer
	trail := audit.Trail{Log: slog.New(slog.NewJSONHandler(&out, nil)), Metrics: true, Stage: "prod"}
	id := family.ID{1}
	for _, e := range []audit.Event{
		{Type: audit.Exchanged, Reused: true, OtherIP: true, Family: id, ClientID: "c"},
		{Type: audit.Refused, Cause: family.Purged, ClientID: "c"},
		{Type: audit.CodeExchanged, Family: id, ClientID: "c", OriginToken: family.Code},
		{Type: audit.CodeRefused, Cause: family.CodeExpired, Family: id, ClientID: "c", OriginToken: family.Code},
		{Type: audit.Reuse, Family: id, ClientID: "c"},
		{Type: audit.Ahead, Family: id, ClientID: "c"},
		{Type: audit.Refused, Cause: audit.InvalidClient, ClientID: "made-up", Unregistered: true},
		{Type: audit.OriginRefused, Origin: "https://app.example.com"},
		{Type: audit.Operation, Changes: []audit.Change{audit.SecretAdded, audit.MayIntrospectOn, audit.ObserveOn}},
	} {
		e.At = time.Unix(1, 0)
		trail.Record(t.Context(), &e)
	}
	for line := range strings.Lines(out.String()) {
		var logged struct {
			AWS struct {
				CloudWatchMetrics []struct {
					Namespace  string
					Dimensions [][]string
					Metrics    []struct{ Name string }
				}
			} `json:"_aws"`
		}
		if err := json.Unmarshal([]byte(line), &logged); err != nil {
			t.Fatal(err)
		}
		for _, m := range logged.AWS.CloudWatchMetrics {
			for _, d := range m.Dimensions {
				for _, metric := range m.Metrics {
					written[fmt.Sprint(m.Namespace, " ", metric.Name, " ", d)] = true
				}
			}
		}
	}
	// The messages that filters count; TestMainsOnTheirRoles checks that the functions log them.
	for _, f := range standardStack(t).resources("AWS::Logs::MetricFilter") {
		for _, m := range list(properties(f)["MetricTransformations"]) {
			written[fmt.Sprint(at(m, "MetricNamespace"), " ", at(m, "MetricName"), " [stage]")] = true
			if at(m, "MetricValue") != "1" || cmp.Diff(any([]any{object{"Key": "stage", "Value": "$.stage"}}), at(m, "Dimensions")) != "" || at(m, "DefaultValue") != nil {
				t.Errorf("a line counts as %v", m)
			}
		}
	}
	query := regexp.MustCompile(`^SELECT SUM\((\w+)\) FROM SCHEMA\("(\w+)", "(stage)", (\w+), (\w+)\) WHERE "stage" = 'prod' AND (\w+) = '\w+'$`)
	looked := 0
	watches := func(metric string) {
		looked++
		if !written[metric] {
			t.Errorf("%s is not written: there are %v", metric, slices.Sorted(maps.Keys(written)))
		}
	}
	for _, r := range standardStack(t).resources("AWS::CloudWatch::Alarm") {
		p := properties(r)
		if p["Namespace"] == "Rotor" {
			watches(fmt.Sprint("Rotor ", p["MetricName"], " [stage]"))
		}
		for _, m := range list(p["Metrics"]) {
			if at(m, "MetricStat", "Metric", "Namespace") == "Rotor" {
				watches(fmt.Sprint("Rotor ", at(m, "MetricStat", "Metric", "MetricName"), " [stage]"))
			}
			e, _ := at(m, "Expression").(string)
			if q := query.FindStringSubmatch(e); q != nil {
				watches(fmt.Sprint(q[2], " ", q[1], " ", []string{q[3], q[4], q[5]}))
				if q[6] != q[5] {
					t.Errorf("asks for %s, which is not in %s", q[6], q[0])
				}
			}
		}
	}
	if looked != 19 {
		t.Errorf("looked at %d metrics, not 19", looked)
	}
}

// Without this the alarms of one stage could go off for what happens in another one of the account, or a second stage
// could not be deployed, since a name is taken.
func TestStagesDoNotSeeEachOther(t *testing.T) {
	own := map[string]map[string]bool{} // by stage
	for _, stage := range []string{"dev", "live"} {
		own[stage] = map[string]bool{}
		metrics, queries := 0, 0
		var walk func(v any)
		walk = func(v any) {
			switch v := v.(type) {
			case string:
				if strings.Contains(v, `SCHEMA("Rotor"`) {
					queries++
					if !strings.Contains(v, `"stage" = '`+stage+`'`) {
						t.Errorf("%s asks for other stages: %s", stage, v)
					}
				}
				if strings.HasPrefix(v, "rotor-") {
					own[stage][v] = true
				}
			case object:
				if v["Namespace"] == "Rotor" {
					metrics++
					if cmp.Diff(any([]any{object{"Name": "stage", "Value": stage}}), v["Dimensions"]) != "" {
						t.Errorf("%s watches %v", stage, v)
					}
				}
				for _, e := range v {
					walk(e)
				}
			case []any:
				for _, e := range v {
					walk(e)
				}
			}
		}
		s := synth(t, map[string]any{"stage": stage})
		walk(s.object)
		if metrics != 14 || queries != 5 {
			t.Errorf("%s: %d metrics and %d queries in alarms, not 14 and 5", stage, metrics, queries)
		}
		for _, d := range s.resources("AWS::CloudWatch::Dashboard") {
			var body string
			for _, part := range list(at(properties(d)["DashboardBody"], "Fn::Join", 1)) {
				body += plain(part)
			}
			metrics := regexp.MustCompile(`\["Rotor","\w+"(,"stage","`+stage+`")?`).FindAllStringSubmatch(body, -1)
			for _, m := range metrics {
				if m[1] == "" {
					t.Errorf("the dashboard of %s shows %s", stage, m[0])
				}
			}
			if len(metrics) < 10 || strings.Count(body, `WHERE \"stage\" = '`+stage+`'`) != 2 {
				t.Errorf("the dashboard of %s has %d metrics: %s", stage, len(metrics), body)
			}
		}
	}
	for name := range own["dev"] {
		if own["live"][name] {
			t.Errorf("both have the name %s", name)
		}
	}
	if len(own["dev"]) < 40 || len(own["live"]) != len(own["dev"]) {
		t.Errorf("%d names and %d", len(own["dev"]), len(own["live"]))
	}
}

func (s synthesized) topic(t *testing.T) string {
	t.Helper()
	topics := slices.Collect(maps.Keys(s.resources("AWS::SNS::Topic")))
	if len(topics) != 1 {
		t.Fatalf("topics: %v", topics)
	}
	return topics[0]
}

// Without this CloudWatch could not publish to the topic, because a policy replaces the default one that allows it.
func TestTopic(t *testing.T) {
	s := standardStack(t)
	s.template.ResourceCountIs(jsii.String("AWS::SNS::TopicPolicy"), jsii.Number(1))
	s.template.ResourceCountIs(jsii.String("AWS::SNS::Subscription"), jsii.Number(0))
	for _, r := range s.resources("AWS::SNS::TopicPolicy") {
		document := properties(r)["PolicyDocument"]
		want := []string{
			`Allow sns:Publish on Alarms if {"StringEquals":{"aws:SourceAccount":{"Ref":"AWS::AccountId"}}}`,
			`Deny sns:Publish on Alarms if {"Bool":{"aws:SecureTransport":"false"}}`,
		}
		if diff := cmp.Diff(want, statements(t, document)); diff != "" {
			t.Error(diff)
		}
		for _, statement := range list(at(document, "Statement")) {
			if at(statement, "Effect") == "Allow" && at(statement, "Principal", "Service") != "cloudwatch.amazonaws.com" {
				t.Errorf("%v may publish", at(statement, "Principal"))
			}
		}
	}
}

// Without this somebody who is asked "why was I logged out?" would first have to write the queries.
func TestSavedQueries(t *testing.T) {
	s := standardStack(t)
	var filters []string
	for id, r := range s.resources("AWS::Logs::QueryDefinition") {
		p := properties(r)
		if n := len(list(p["LogGroupNames"])); n != 7 {
			t.Errorf("%s looks at %d log groups", id, n)
		}
		for line := range strings.Lines(p["QueryString"].(string)) {
			if strings.HasPrefix(line, "filter ") {
				filters = append(filters, strings.TrimSpace(line))
			}
		}
	}
	slices.Sort(filters)
	want := []string{
		`filter cause = "invalid_client"`, `filter familyId = "FAMILY"`, `filter type = "fco"`, `filter type = "feacft"`, `filter type = "ferrt"`, `filter type = "resource_cleanup"`, `filter type = "sapi"`, `filter type = "sdu"`,
	}
	if diff := cmp.Diff(want, filters); diff != "" {
		t.Error(diff)
	}
	s.template.ResourceCountIs(jsii.String("AWS::CloudWatch::Dashboard"), jsii.Number(1))
}

// Without this a setting could be accepted and have no effect.
func TestSettings(t *testing.T) {
	s := synth(t, everything())
	has := func(kind string, properties object) {
		t.Helper()
		s.template.HasResourceProperties(&kind, properties)
	}
	has("AWS::ApiGatewayV2::Api", object{"Name": "rotor-eu-1", "DisableExecuteApiEndpoint": true})
	has("AWS::ApiGatewayV2::DomainName", object{"DomainName": "auth.example.com", "DomainNameConfigurations": []any{
		object{"CertificateArn": certificate, "EndpointType": "REGIONAL", "SecurityPolicy": "TLS_1_2"},
	}})
	has("AWS::ApiGatewayV2::ApiMapping", object{"Stage": assertions.Match_AnyValue()})
	has("AWS::Route53::RecordSet", object{"HostedZoneId": "Z0123456789ABC", "Name": "auth.example.com", "Type": "A"})
	has("AWS::Lambda::Function", object{"FunctionName": "rotor-eu-1-manage", "Environment": object{"Variables": object{"ROTOR_API_ID": object{"Ref": assertions.Match_AnyValue()}}}})
	has("AWS::ApiGatewayV2::Stage", object{"DefaultRouteSettings": object{"ThrottlingBurstLimit": 50, "ThrottlingRateLimit": 50}})
	has("AWS::Logs::LogGroup", object{"RetentionInDays": 365})
	has("AWS::Scheduler::Schedule", object{"Name": "rotor-eu-1-sweep", "ScheduleExpression": "rate(1 minute)"})
	has("AWS::SNS::Subscription", object{"Protocol": "email", "Endpoint": "ops@example.com"})
	has("AWS::Lambda::Function", object{"FunctionName": "rotor-eu-1-token", "Environment": object{"Variables": object{
		"ROTOR_ISSUER":                "https://auth.example.com/sso/eu",
		"ROTOR_ORIGINS":               "https://app.example.com,http://localhost:5173",
		"ROTOR_FAMILY_RETENTION_DAYS": "60",
		"ROTOR_EVENT_RETENTION_DAYS":  "400",
	}}})
	has("AWS::Lambda::Function", object{"FunctionName": "rotor-eu-1-discovery", "Environment": object{"Variables": object{
		"ROTOR_AUTHORIZATION_ENDPOINT": "https://login.example.com/start?tenant=a",
	}}})
	has("AWS::Lambda::Function", object{"FunctionName": "rotor-eu-1-keys", "Environment": object{"Variables": object{
		"ROTOR_SIGNING_ALGORITHM": "ES256",
	}}})
	has("AWS::DynamoDB::GlobalTable", object{"WarmThroughput": object{"WriteUnitsPerSecond": 15000}})
	has("AWS::Lambda::Function", object{"FunctionName": "rotor-eu-1-token", "MemorySize": 1024})
	has("AWS::Lambda::Function", object{"FunctionName": "rotor-eu-1-manage", "MemorySize": 256})
	if len(s.resources("AWS::Lambda::Function")) != 7 {
		t.Error("not 7 functions")
	}
}

// Without this a path of the issuer could lead nowhere, or its metadata be missing where clients look first.
func TestMappings(t *testing.T) {
	whole := everything()
	delete(whole, "basePath")
	for _, c := range []struct {
		context map[string]any
		issuer  string
		want    []string
	}{
		{nil, "Api.ApiEndpoint", nil},
		{whole, "https://auth.example.com", []string{""}},
		{everything(), "https://auth.example.com/sso/eu", []string{
			".well-known/oauth-authorization-server/sso/eu", ".well-known/openid-configuration/sso/eu", "sso/eu",
		}},
	} {
		s := synth(t, c.context)
		var keys []string
		for id, m := range s.resources("AWS::ApiGatewayV2::ApiMapping") {
			p := properties(m)
			key, _ := p["ApiMappingKey"].(string)
			keys = append(keys, key)
			if plain(p["ApiId"]) != "Api" || plain(p["Stage"]) != "Stage" || plain(p["DomainName"]) != "Domain" {
				t.Errorf("%s: %v", id, p)
			}
		}
		slices.Sort(keys)
		if diff := cmp.Diff(c.want, keys); diff != "" {
			t.Errorf("the mappings (-want +got):\n%s", diff)
		}
		if got := plain(at(s.object["Outputs"].(object)["Issuer"], "Value")); got != c.issuer {
			t.Errorf("the issuer is %s, not %s", got, c.issuer)
		}
	}
}

// Without this provisioned environments could be paid for while the gateway invokes others.
func TestProvisionedConcurrency(t *testing.T) {
	for _, c := range []struct {
		context map[string]any
		aliases int
	}{{nil, 0}, {everything(), 1}} {
		s := synth(t, c.context)
		aliases := s.resources("AWS::Lambda::Alias")
		s.template.ResourceCountIs(jsii.String("AWS::Lambda::Version"), jsii.Number(c.aliases))
		if len(aliases) != c.aliases {
			t.Fatalf("%d aliases, not %d", len(aliases), c.aliases)
		}
		for id, alias := range aliases {
			p := properties(alias)
			f := properties(s.resources("AWS::Lambda::Function")[at(p, "FunctionName", "Ref").(string)])
			if f["FunctionName"] != "rotor-eu-1-token" || at(p, "ProvisionedConcurrencyConfig", "ProvisionedConcurrentExecutions") != 100.0 {
				t.Errorf("%s: %v", id, p)
			}
			invoked, allowed := 0, 0
			for _, r := range s.resources("AWS::ApiGatewayV2::Integration") {
				if at(properties(r), "IntegrationUri", "Ref") == id {
					invoked++
				}
			}
			for _, r := range s.resources("AWS::Lambda::Permission") {
				if at(properties(r), "FunctionName", "Ref") == id {
					allowed++
				}
			}
			if invoked != 1 || allowed != 4 { // of /oauth/token, /oauth/dbsc, /auth/v1/token and /healthz
				t.Errorf("%d integrations invoke %s, and %d permissions allow it", invoked, id, allowed)
			}
		}
	}
}

// Without this a deployment would end with nothing to try.
func TestOutputs(t *testing.T) {
	for _, c := range []struct {
		context map[string]any
		url     string
		outputs int
	}{
		{nil, "Api.ApiEndpoint", 12},
		{everything(), "https://auth.example.com/sso/eu", 13},
	} {
		s := synth(t, c.context)
		outputs := s.object["Outputs"].(object)
		value := func(name string) string { return plain(at(outputs[name], "Value")) }
		if value("Url") != c.url || value("Issuer") != c.url || value("ManageUrl") != c.url || value("TableName") != "Table" {
			t.Errorf("url %s, issuer %s, table %s", value("Url"), value("Issuer"), value("TableName"))
		}
		want := `curl --aws-sigv4 "aws:amz:${AWS::Region}:execute-api" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"` +
			` -H "x-amz-security-token: $AWS_SESSION_TOKEN" -H 'content-type: application/json' -X PUT -d '{"type":"public"}' ` + c.url + `/v1/clients/demo-spa`
		if diff := cmp.Diff(want, value("FirstCommand")); diff != "" {
			t.Error(diff)
		}
		if len(outputs) != c.outputs {
			t.Errorf("%d outputs, not %d", len(outputs), c.outputs)
		}
	}
}

// Without this a diff before a deployment would show changes that nobody made.
func TestTwoSynthsAreEqual(t *testing.T) {
	a, b := synth(t, everything()), synth(t, everything())
	if diff := cmp.Diff(a.object, b.object); diff != "" {
		t.Error(diff)
	}
	if n := len(a.object["Resources"].(object)); n < 60 {
		t.Errorf("only %d resources", n)
	}
}

// Without this a finding of AWS's rules could go unnoticed, or be suppressed without a reason.
func TestNothingIsFoundWithoutAReason(t *testing.T) {
	reasons := map[string]bool{}
	for _, context := range []map[string]any{nil, everything(), atEdge(), atListener(), {"retain": false}} {
		s := synth(t, context)
		for id, r := range s.object["Resources"].(object) {
			for _, rule := range list(at(r, "Metadata", "cdk_nag", "rules_to_suppress")) {
				reason, _ := at(rule, "reason").(string)
				if len(reason) < 40 {
					t.Errorf("%s: %q is no reason", id, reason)
				}
				reasons[reason] = true
			}
		}
		// The report has a line for each rule on each resource.
		report, err := os.ReadFile(filepath.Join(s.out, "AwsSolutions-"+*s.stack.StackName()+"-NagReport.csv"))
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(report, []byte(`"Compliant"`)); n < 20 {
			t.Errorf("only %d checks were made", n)
		}
		for line := range strings.Lines(string(report)) {
			if strings.Contains(line, `"Non-Compliant"`) {
				t.Error(line)
			}
		}
		// CDK itself has no warnings either.
		annotations, anything := assertions.Annotations_FromStack(s.stack), assertions.Match_AnyValue()
		for _, found := range []int{
			len(*annotations.FindError(jsii.String("*"), anything)),
			len(*annotations.FindWarning(jsii.String("*"), anything)),
		} {
			if found != 0 {
				t.Errorf("%d errors or warnings; make synth shows them", found)
			}
		}
	}
	if len(reasons) == 0 || len(reasons) > 8 {
		t.Errorf("%d reasons, at most 8 are good: %v", len(reasons), slices.Collect(maps.Keys(reasons)))
	}
}

// Without this a missing zip would be reported by a library's panic.
func TestMissingZips(t *testing.T) {
	err := ServiceProps{ZipFolder: t.TempDir()}.Validate()
	if err == nil || strings.Count(err.Error(), "run make build") != len(functions) {
		t.Errorf("got %v", err)
	}
}

// Without this traces could be sent by default, and paid for, or with the setting by some functions alone.
func TestTracing(t *testing.T) {
	for _, on := range []bool{false, true} {
		s := synth(t, map[string]any{"tracing": on})
		traced, allowed := 0, 0
		for _, f := range s.resources("AWS::Lambda::Function") {
			if at(properties(f), "TracingConfig", "Mode") == "Active" {
				traced++
			}
		}
		for _, r := range s.resources("AWS::IAM::Role") {
			for _, policy := range list(properties(r)["Policies"]) {
				if strings.Contains(fmt.Sprint(at(policy, "PolicyDocument")), "xray:PutTraceSegments") {
					allowed++
				}
			}
		}
		if want := map[bool]int{true: len(functions)}[on]; traced != want || allowed != want {
			t.Errorf("tracing %t: %d functions are traced, and %d may be, not %d", on, traced, allowed, want)
		}
	}
}
