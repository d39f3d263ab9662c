package rotor

import (
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"
)

// complete returns a context's props with their defaults.
func complete(t *testing.T, context map[string]any) ServiceProps {
	t.Helper()
	p, err := PropsFromContext(context)
	if err != nil {
		t.Fatal(err)
	}
	new(checker).settings(p)
	return *p
}

// Without this a deployment without any context, the first that anyone makes, could fail or change.
func TestDefaults(t *testing.T) {
	got := complete(t, map[string]any{"@aws-cdk/core:newStyleStackSynthesis": true, "aws:cdk:enable-path-metadata": true, "cli-telemetry": false, "domain": ""})
	want := ServiceProps{
		Stage: "prod", Origins: []string{""}, LogRetentionDays: 90, FamilyRetentionDays: 30, EventRetentionDays: 90, SweepMinutes: 5, ListenerPriority: 100,
		ThrottleRate: 1000, ThrottleBurst: 2000, IntrospectRate: 1000, RevokeRate: 250, DiscoveryRate: 250, ManageRate: 200, OtherRate: 20,
		FirewallRate: 10000, TokenMemory: 512, WriteUtilization: 70, AccessLog: "on", SigningAlgorithm: "RS256", Architecture: "arm64", TableRemoval: awscdk.RemovalPolicy_RETAIN, LogRemoval: awscdk.RemovalPolicy_RETAIN,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Without this the text of the command line could be read differently from cdk.json's numbers and lists.
func TestContextAsTextAndAsJSON(t *testing.T) {
	want := ServiceProps{
		Stage: "eu-1", Domain: "auth.example.com", BasePath: "sso/eu", CertificateArn: certificate, HostedZoneId: "Z0123456789ABC",
		Origins: []string{"https://app.example.com,http://localhost:5173"}, LogRetentionDays: 365, FamilyRetentionDays: 60, EventRetentionDays: 400,
		SweepMinutes: 1, ListenerPriority: 200, ThrottleRate: 50, ThrottleBurst: 50, WarmWriteUnits: 15000, ProvisionedConcurrency: 100, AlarmEmail: "ops@example.com",
		SigningAlgorithm: "ES256", IntrospectRate: 40, RevokeRate: 5, DiscoveryRate: 4, ManageRate: 3, OtherRate: 1,
		KmsKeyArn: kmsKey, AlarmTopicArn: alarmTopic, PermissionsBoundaryArn: boundary, Tags: map[string]string{"team": "auth", "cost": "42"},
		Edge: true, EdgeCertificateArn: edgeCertificate, WebAclArn: webACL, FirewallRate: 5000, Tracing: true,
		AccessLog: "off", TokenMemory: 1024, MinWriteUnits: 100, MaxWriteUnits: 4000, WriteUtilization: 80,
		AuthorizationEndpoint: "https://login.example.com/start?tenant=a",
		Architecture:          "x86_64", TableRemoval: awscdk.RemovalPolicy_DESTROY, LogRemoval: awscdk.RemovalPolicy_DESTROY,
	}
	text := everything()
	for key, value := range map[string]any{
		"kmsKeyArn": kmsKey, "alarmTopicArn": alarmTopic, "permissionsBoundaryArn": boundary, "tags": "team=auth, cost=42", "architecture": "x86_64", "retain": "false",
		"edge": "true", "edgeCertificateArn": edgeCertificate, "webAclArn": webACL, "firewallRate": "5000", "listenerPriority": "200",
	} {
		text[key] = value
	}
	fromJSON := maps.Clone(text)
	for key, value := range text {
		if n, err := strconv.Atoi(value.(string)); err == nil {
			fromJSON[key] = float64(n)
		}
	}
	fromJSON["origins"] = []any{"https://app.example.com", "http://localhost:5173"}
	fromJSON["tags"], fromJSON["retain"], fromJSON["edge"] = map[string]any{"team": "auth", "cost": 42.0}, false, true
	fromJSON["tracing"] = true
	keys := contextKeys()
	for _, values := range []map[string]any{text, fromJSON} {
		if len(values) != len(keys)-2 { // an existing table excludes what is only for a new one, and a load balancer what is for the gateway's domain
			t.Errorf("%d keys are given, there are %d", len(values), len(keys))
		}
		if diff := cmp.Diff(want, complete(t, values)); diff != "" {
			t.Error(diff)
		}
	}
	if p := complete(t, map[string]any{"listenerArn": listener, "domain": "auth.example.com"}); p.ListenerArn != listener || p.ListenerPriority != 100 {
		t.Errorf("the listener is %q, from %d on", p.ListenerArn, p.ListenerPriority)
	}
	if name := complete(t, map[string]any{"tableName": "sessions"}).TableName; name != "sessions" {
		t.Errorf("the table is %q", name)
	}
}

const (
	kmsKey          = "arn:aws:kms:eu-central-1:123456789012:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
	alarmTopic      = "arn:aws:sns:eu-central-1:123456789012:alarms"
	edgeCertificate = "arn:aws:acm:us-east-1:123456789012:certificate/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
	webACL          = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/rotor-eu-1/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

	listener = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/public/50dc6c495c0c9188/f2f7dc8efc522ab2"

	boundary = "arn:aws:iam::123456789012:policy/boundary"
)

const certificate = "arn:aws:acm:eu-central-1:123456789012:certificate/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

// everything returns a context with every key, as from the command line.
func everything() map[string]any {
	return map[string]any{
		"stage": "eu-1", "domain": "auth.example.com", "basePath": "sso/eu", "certificateArn": certificate, "hostedZoneId": "Z0123456789ABC",
		"origins": "https://App.example.com:443/, http://localhost:5173", "logRetentionDays": "365", "familyRetentionDays": "60", "eventRetentionDays": "400",
		"sweepMinutes": "1", "throttleRate": "50", "throttleBurst": "50",
		"revokeRate": "5", "introspectRate": "40", "discoveryRate": "4", "manageRate": "3", "otherRate": "1",
		"warmWriteUnits": "15000", "provisionedConcurrency": "100", "alarmEmail": "ops@example.com", "signingAlgorithm": "ES256",
		"accessLog": "off", "tokenMemory": "1024", "minWriteUnits": "100", "maxWriteUnits": "4000", "writeUtilization": "80",
		"tracing": "true", "authorizationEndpoint": "https://login.example.com/start?tenant=a",
	}
}

// Without this a wrong value would be found by CloudFormation minutes later, by a function at its start, or by nobody.
func TestWrongContext(t *testing.T) {
	for _, c := range []struct {
		key   string
		value any
		want  string
	}{
		{"stage", "Prod", `context stage is "Prod": it must be at most 20 small letters`},
		{"stage", "a-name-that-is-too-long", "context stage is"},
		{"stage", 3.0, `context stage is "3": it must be text`},
		{"domain", "https://auth.example.com", "it must be a domain name in small letters"},
		{"domain", "auth.example.com", "context domain is set without context certificateArn: a domain needs a certificate"},
		{"basePath", "auth", "basePath is set without context domain"},
		{"basePath", "/auth", "it must be a path like auth"},
		{"basePath", "auth/", "it must be a path like auth"},
		{"basePath", "a//b", "it must be a path like auth"},
		{"basePath", "a/../b", "it must be a path like auth"},
		{"basePath", "a b", "it must be a path like auth"},
		{"certificateArn", certificate, "context certificateArn is set without context domain: it is the domain's certificate"},
		{"certificateArn", "0f1e2d3c", "it must be the ARN of a certificate in ACM"},
		{"hostedZoneId", "example.com", "it must be the id of a hosted zone"},
		{"hostedZoneId", "Z0123456789ABC", "hostedZoneId is set without context domain"},
		{"origins", "https://app.example.com/login", "it must be without a path, a query or a fragment: https://app.example.com"},
		{"origins", "app.example.com", "it must be a web origin as browsers send it, such as https://app.example.com"},
		{"origins", "https://*.example.com", "there are no patterns"},
		{"origins", []any{"https://app.example.com", "null"}, `context origins is "null": it must be the origin of somebody`},
		{"origins", []any{"https://a.example,https://b.example"}, "it must be a web origin"},
		{"origins", "loopback", "it must be a web origin"},
		{"origins", true, "it must be web origins"},
		{"authorizationEndpoint", "login.example.com", "it must be the https URL of a login page"},
		{"authorizationEndpoint", "http://login.example.com/", "it must be the https URL of a login page"},
		{"authorizationEndpoint", "https://login.example.com/#x", "without a fragment"},
		{"authorizationEndpoint", "https://login.example.com/a b", "it must be the https URL of a login page"},
		{"authorizationEndpoint", "javascript:alert(1)", "it must be the https URL of a login page"},
		{"logRetentionDays", "100", "it must be one of CloudWatch's: 1 3 5 7"},
		{"logRetentionDays", "0", "it must be a whole number from 1 to 3653"},
		{"familyRetentionDays", "3651", "it must be a whole number from 1 to 3650"},
		{"familyRetentionDays", "many", "it must be a whole number"},
		{"eventRetentionDays", 1.5, "it must be a whole number"},
		{"sweepMinutes", "61", "it must be a whole number from 1 to 60"},
		{"throttleRate", "-1", "it must be a whole number from 1 to 1000000"},
		{"revokeRate", "0", "it must be a whole number from 1 to 1000000"},
		{"otherRate", "few", "it must be a whole number from 1 to 1000000"},
		{"throttleBurst", "10", "no smaller than context throttleRate, which is 1000"},
		{"warmWriteUnits", "3999", `context warmWriteUnits is "3999": it must be a whole number from 4000 to 1000000`},
		{"warmWriteUnits", "0", "it must be a whole number from 4000 to 1000000"},
		{"accessLog", "sampled", `context accessLog is "sampled": it must be on or off`},
		{"accessLog", false, "it must be text"},
		{"tokenMemory", "127", `context tokenMemory is "127": it must be a whole number from 128 to 10240`},
		{"tokenMemory", "10241", "it must be a whole number from 128 to 10240"},
		{"minWriteUnits", "100", `context maxWriteUnits is "0": it must be no smaller than context minWriteUnits, which is 100`},
		{"minWriteUnits", "0", "it must be a whole number from 1 to 1000000"},
		{"maxWriteUnits", "100", "context maxWriteUnits is set without context minWriteUnits: the table is on demand"},
		{"writeUtilization", "19", "it must be a whole number from 20 to 90"},
		{"writeUtilization", "91", "it must be a whole number from 20 to 90"},
		{"provisionedConcurrency", "some", "it must be a whole number from 1 to 100000"},
		{"alarmEmail", "ops", "it must be an e-mail address"},
		{"alarmEmail", "Ops <ops@example.com>", "it must be an e-mail address, without a name"},
		{"signingAlgorithm", "HS256", "it must be RS256 or ES256"},
		{"kmsKeyArn", "alias/rotor", "it must be the ARN of a key in KMS"},
		{"alarmTopicArn", "alarms", "it must be the ARN of a standard topic in SNS"},
		{"alarmTopicArn", alarmTopic + ".fifo", "it must be the ARN of a standard topic in SNS"},
		{"permissionsBoundaryArn", "boundary", "it must be the ARN of a managed policy"},
		{"tableName", "my table", "it must be the name of a DynamoDB table"},
		{"edge", "yes", `context edge is "yes": it must be true or false`},
		{"edge", true, "context edge is set without context domain: callers of /v1 sign the host"},
		{"edge", true, "context edge is set without context edgeCertificateArn"},
		{"edge", true, "context edge is set without context webAclArn: make deploy-firewall makes one"},
		{"edgeCertificateArn", certificate, "it must be the ARN of a certificate in ACM, in us-east-1"},
		{"webAclArn", strings.Replace(webACL, "us-east-1", "eu-central-1", 1), "it must be the ARN of a web ACL for CloudFront, in us-east-1"},
		{"webAclArn", strings.Replace(webACL, "global", "regional", 1), "it must be the ARN of a web ACL for CloudFront, in us-east-1"},
		{"listenerArn", listener, "context listenerArn is set without context domain: the listener's rules are for that name"},
		{"listenerArn", strings.Replace(listener, "listener/app", "loadbalancer/app", 1), "it must be the ARN of a listener of an Application Load Balancer"},
		{"listenerArn", strings.Replace(listener, "/app/", "/net/", 1), "it must be the ARN of a listener of an Application Load Balancer"},
		{"listenerArn", listener + "/0f1e2d3c4b5a6978", "it must be the ARN of a listener of an Application Load Balancer"},
		{"listenerPriority", "49902", "it must be a whole number from 1 to 49901"},
		{"listenerPriority", "0", "it must be a whole number"},
		{"tags", "auth", "it must be pairs like team=auth"},
		{"architecture", "amd64", "it must be arm64 or x86_64"},
		{"retain", "maybe", `context retain is "maybe": it must be true or false`},
		{"domian", "auth.example.com", "context domian is not known: there are stage, domain, "},
	} {
		_, err := PropsFromContext(map[string]any{c.key: c.value})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%v: got %v, want %q", c.key, c.value, err, c.want)
		}
	}
}

// Without this mistakes would be reported one at a time, a minute each.
func TestAllThatIsWrongIsToldAtOnce(t *testing.T) {
	wrong := map[string]any{}
	keys := contextKeys()
	for _, key := range keys {
		wrong[key] = "!"
	}
	_, err := PropsFromContext(wrong)
	if err == nil {
		t.Fatal("no error")
	}
	for _, key := range keys {
		if !strings.Contains(err.Error(), "context "+key+" is \"!\": it must be ") {
			t.Errorf("%s is not in the error:\n%v", key, err)
		}
	}
}

// Without this the props of another app could be refused by CloudFormation, one by one, or be ignored.
func TestWrongProps(t *testing.T) {
	for _, c := range []struct {
		props ServiceProps
		want  string
	}{
		{ServiceProps{Stage: "Prod", SweepMinutes: 61}, `ServiceProps.Stage is "Prod": it must be at most 20 small letters`},
		{ServiceProps{Stage: "Prod", SweepMinutes: 61}, `ServiceProps.SweepMinutes is "61": it must be a whole number from 1 to 60`},
		{ServiceProps{OtherRate: -1}, `ServiceProps.OtherRate is "-1": it must be a whole number from 1 to 1000000`},
		{ServiceProps{ListenerArn: listener, Domain: strings.Repeat("a.", 63) + "com"}, "it must be at most 128 characters that end in letters"},
		{ServiceProps{ListenerArn: listener, Domain: "auth.xn--p1ai"}, "it must be at most 128 characters that end in letters"},
		{ServiceProps{ListenerArn: listener, CertificateArn: certificate}, "ServiceProps.CertificateArn is set beside ServiceProps.ListenerArn: the listener has the domain's certificate"},
		{ServiceProps{ListenerArn: listener, HostedZoneId: "Z1"}, "ServiceProps.HostedZoneId is set beside ServiceProps.ListenerArn: point the name at the load balancer yourself"},
		{ServiceProps{ListenerArn: listener, BasePath: "sso"}, "ServiceProps.BasePath is set beside ServiceProps.ListenerArn"},
		{ServiceProps{ListenerArn: listener, Edge: true}, "ServiceProps.Edge is set beside ServiceProps.ListenerArn"},
		{ServiceProps{Domain: "auth.example.com"}, "ServiceProps.Domain is set without ServiceProps.CertificateArn"},
		{ServiceProps{Origins: []string{"https://a.example/login"}}, `ServiceProps.Origins is "https://a.example/login": it must be without a path`},
		{ServiceProps{TableName: "sessions", WarmWriteUnits: 5000}, "ServiceProps.WarmWriteUnits is set beside ServiceProps.TableName"},
		{ServiceProps{TableName: "sessions", MinWriteUnits: 5, MaxWriteUnits: 10}, "ServiceProps.MinWriteUnits is set beside ServiceProps.TableName"},
		{ServiceProps{MinWriteUnits: 11, MaxWriteUnits: 10}, `ServiceProps.MaxWriteUnits is "10": it must be no smaller than ServiceProps.MinWriteUnits, which is 11`},
		{ServiceProps{TableRemoval: "SNAPSHOT"}, `ServiceProps.TableRemoval is "SNAPSHOT": it must be RETAIN or DESTROY`},
		{ServiceProps{LogRemoval: "SNAPSHOT"}, `ServiceProps.LogRemoval is "SNAPSHOT": it must be RETAIN or DESTROY`},
		{ServiceProps{}, "ServiceProps.ZipFolder is not set: it must be a folder with the functions' zips"},
		{ServiceProps{ZipFolder: "dist", CodeBucket: "zips"}, "ServiceProps.ZipFolder and ServiceProps.CodeBucket are both set"},
	} {
		if err := c.props.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c.props, err, c.want)
		}
	}
	defer func() {
		if err, ok := recover().(error); !ok || !strings.Contains(err.Error(), "ServiceProps.Stage is") {
			t.Errorf("it panics with %v", err)
		}
	}()
	NewService(awscdk.NewStack(nil, nil, nil), jsii.String("Auth"), &ServiceProps{Stage: "Prod"})
}

// Without this what exists only when a stack is deployed, such as the ARN of a certificate in the same app, would be
// refused.
func TestTokensAsProps(t *testing.T) {
	token := *awscdk.Token_AsString(map[string]any{"Ref": "Other"}, nil)
	err := ServiceProps{
		CodeBucket: token, CodePrefix: token, Stage: token, Domain: token, CertificateArn: token, Origins: []string{token},
		KmsKeyArn: token, AlarmTopicArn: token, AlarmEmail: token, PermissionsBoundaryArn: token,
	}.Validate()
	if err != nil {
		t.Error(err)
	}
	if err := (ServiceProps{CodeBucket: token, Domain: token, ListenerArn: token}).Validate(); err != nil {
		t.Error(err)
	}
}
