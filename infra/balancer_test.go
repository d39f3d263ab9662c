package rotor

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/keyring/keyringtest"
	"github.com/rotor-auth/rotor/shared/manage"
)

// atListener returns a context with the listener of a load balancer, and all that may be beside it.
func atListener() map[string]any {
	context := everything()
	maps.DeleteFunc(context, func(key string, _ any) bool {
		return key == "certificateArn" || key == "hostedZoneId" || key == "basePath"
	})
	maps.Copy(context, map[string]any{"listenerArn": listener, "listenerPriority": "200"})
	return context
}

// Without this a public path could lead nowhere or to another function, somebody else's target group could invoke one, or two
// rules could have one priority, which fails after minutes.
func TestBalancer(t *testing.T) {
	s := synth(t, atListener())
	functions := s.resources("AWS::Lambda::Function")
	aliases := s.resources("AWS::Lambda::Alias")
	groups := s.resources("AWS::ElasticLoadBalancingV2::TargetGroup")
	names := map[string]string{} // of the functions, by the ids of their target groups
	for id, g := range groups {
		p := properties(g)
		targets := list(p["Targets"])
		if len(targets) != 1 || p["TargetType"] != "lambda" || p["HealthCheckEnabled"] != false || p["VpcId"] != nil ||
			plain(p["TargetGroupAttributes"]) != `[{"Key":"lambda.multi_value_headers.enabled","Value":"true"}]` {
			t.Errorf("%s: %v", id, p)
			continue
		}
		target, _ := at(targets[0], "Id", "Fn::GetAtt", 0).(string)
		if alias := aliases[fmt.Sprint(at(targets[0], "Id", "Ref"))]; alias != nil {
			target = at(properties(alias), "FunctionName", "Ref").(string)
		}
		names[id] = strings.TrimPrefix(properties(functions[target])["FunctionName"].(string), "rotor-eu-1-")
		name := p["Name"].(string)
		if len(name) > 32-len("a-stage-of-20-letter")+len("eu-1") || !strings.HasPrefix("rotor-eu-1-"+names[id], name) && name != "rotor-eu-1-live" {
			t.Errorf("%s has the name %s", names[id], name)
		}
		// Exactly this target group may invoke it, and may so before it is registered.
		allowed := 0
		for permission, r := range s.resources("AWS::Lambda::Permission") {
			if a := properties(r); a["Principal"] == "elasticloadbalancing.amazonaws.com" && cmp.Equal(a["FunctionName"], at(targets[0], "Id")) {
				allowed++
				if arn := plain(a["SourceArn"]); arn != "arn:${AWS::Partition}:elasticloadbalancing:${AWS::Region}:${AWS::AccountId}:targetgroup/"+name+"/*" ||
					plain(a["SourceAccount"]) != "${AWS::AccountId}" || a["Action"] != "lambda:InvokeFunction" || !slices.Contains(list(g["DependsOn"]), any(permission)) {
					t.Errorf("%s may be invoked: %v", names[id], a)
				}
			}
		}
		if allowed != 1 {
			t.Errorf("%d permissions for %s", allowed, names[id])
		}
	}
	type rule struct{ Function, Host, Paths string }
	got := map[float64]rule{}
	for id, r := range s.resources("AWS::ElasticLoadBalancingV2::ListenerRule") {
		p := properties(r)
		conditions := list(p["Conditions"])
		made := rule{Function: names[at(p, "Actions", 0, "TargetGroupArn", "Ref").(string)], Host: plain(at(conditions[0], "Values"))}
		if len(conditions) == 2 && at(conditions[1], "Field") == "path-pattern" {
			made.Paths = plain(at(conditions[1], "Values"))
		}
		if p["ListenerArn"] != listener || at(conditions[0], "Field") != "host-header" || len(list(p["Actions"])) != 1 || at(p, "Actions", 0, "Type") != "forward" || len(conditions) > 2 || len(list(at(conditions, 1, "Values"))) > 3 {
			t.Errorf("%s: %v", id, p)
		}
		got[p["Priority"].(float64)] = made
	}
	const host = `["auth.example.com"]`
	want := map[float64]rule{
		200: {"token", host, `["/oauth/token","/oauth/dbsc/*","/healthz"]`},
		201: {"token", host, `["/auth/v1/token"]`},
		210: {"revoke", host, `["/oauth/revoke","/oauth/logout","/v2/logout"]`},
		211: {"revoke", host, `["/auth/v1/logout"]`},
		220: {"introspect", host, `["/oauth/introspect","/auth/v1/user"]`},
		299: {"discovery", host, ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// Every public route is a rule's, or the last one's.
	ruled := fmt.Sprint(got)
	for _, r := range routes {
		if path := strings.ReplaceAll(r.path, "{proxy+}", "*"); !r.iam && r.function != "discovery" && strings.Count(ruled, `"`+path+`"`) != 1 {
			t.Errorf("%s is in no rule, or in several", path)
		}
	}
	if len(names) != 4 {
		t.Errorf("%d target groups: %v", len(names), names)
	}
}

// Without this a deployment that switches provisioned concurrency on or off would wait for hours, and then fail: CloudFormation
// cannot give a target group without health checks another target.
func TestTargetsAreReplaced(t *testing.T) {
	groups := func(provisioned int) map[string]string { // their names, by id
		s := synthProps(t, "Auth", &ServiceProps{ZipFolder: zips(t), Domain: "auth.example.com", ListenerArn: listener, ProvisionedConcurrency: provisioned})
		names := map[string]string{}
		for id, g := range s.resources("AWS::ElasticLoadBalancingV2::TargetGroup") {
			names[id] = properties(g)["Name"].(string)
		}
		return names
	}
	before, after := groups(0), groups(5)
	for id, name := range before {
		if changes := name == "rotor-prod-token"; changes != (after[id] == "") || !changes && after[id] != name {
			t.Errorf("%s is %s, and then %s", id, name, after[id])
		}
	}
	if live := slices.Sorted(maps.Values(after)); !slices.Contains(live, "rotor-prod-live") || len(live) != 4 || len(before) != 4 {
		t.Errorf("the target groups are %v, and then %v", before, after)
	}
}

// Without this the public endpoints would have a second address, with other limits and without the load balancer's web ACL, or
// /v1 none at all.
func TestGatewayBesideBalancer(t *testing.T) {
	s := synth(t, atListener())
	keys := map[string]bool{}
	for id, r := range s.resources("AWS::ApiGatewayV2::Route") {
		p := properties(r)
		if keys[p["RouteKey"].(string)] = true; p["AuthorizationType"] != "AWS_IAM" || !strings.Contains(p["RouteKey"].(string), " /v1/") {
			t.Errorf("%s is %v, for %v", id, p["RouteKey"], p["AuthorizationType"])
		}
	}
	if len(keys) != len((&manage.API{}).Routes()) || len(s.resources("AWS::ApiGatewayV2::Integration")) != 1 {
		t.Errorf("%d routes: %v", len(keys), keys)
	}
	for _, stage := range s.resources("AWS::ApiGatewayV2::Stage") {
		if got := limits(stage); !cmp.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(keys))) || got["POST /v1/families"] != "3, 3" {
			t.Errorf("the limits are %v", got)
		}
	}
	for _, kind := range []string{"AWS::ApiGatewayV2::DomainName", "AWS::ApiGatewayV2::ApiMapping", "AWS::Route53::RecordSet"} {
		s.template.ResourceCountIs(&kind, jsii.Number(0))
	}
	s.template.HasResourceProperties(jsii.String("AWS::ApiGatewayV2::Api"), object{"DisableExecuteApiEndpoint": false})
	// One for /v1, four of target groups, two of rotations: of the gateway, the function manage alone.
	for id, r := range s.resources("AWS::Lambda::Permission") {
		if p := properties(r); p["Principal"] == "apigateway.amazonaws.com" && !strings.HasPrefix(plain(p["FunctionName"]), "ManageFunction") || p["SourceArn"] == nil {
			t.Errorf("%s: %v", id, p)
		}
	}
	s.template.ResourceCountIs(jsii.String("AWS::Lambda::Permission"), jsii.Number(7))
	outputs := s.object["Outputs"].(object)
	value := func(name string) string { return plain(at(outputs[name], "Value")) }
	if value("Url") != "https://auth.example.com" || value("Issuer") != "https://auth.example.com" || value("ManageUrl") != "Api.ApiEndpoint" ||
		!strings.HasSuffix(value("FirstCommand"), " Api.ApiEndpoint/v1/clients/demo-spa") || !strings.HasSuffix(value("ManageArn"), ":Api/$default/*/v1/*") || outputs["DomainTarget"] != nil {
		t.Errorf("the outputs are %v", outputs)
	}
	// Each function knows whose events it takes.
	for name, f := range s.functionsByName() {
		name = strings.TrimPrefix(name, "rotor-eu-1-")
		want := map[string]any{"token": "load-balancer", "revoke": "load-balancer", "introspect": "load-balancer", "discovery": "load-balancer"}[name]
		if got := at(f, "Environment", "Variables", "ROTOR_EVENTS"); got != want {
			t.Errorf("%s takes the events of %v", name, got)
		}
	}
	for _, context := range []map[string]any{nil, everything()} {
		if text, _ := json.Marshal(synth(t, context).object); strings.Contains(string(text), "ElasticLoadBalancing") || strings.Contains(string(text), "ROTOR_EVENTS") || strings.Contains(string(text), "ApplicationELB") {
			t.Error("there is a load balancer in the template of a service without one")
		}
	}
}

// Without this the alarms would be of the few requests that still come to the gateway.
func TestBalancerIsWatched(t *testing.T) {
	s := synth(t, atListener())
	want := map[string]string{
		"rotor-eu-1-5xx": "FILL(api_5xx_Sum, 0) + FILL(token0_5xx_Sum, 0) + FILL(token1_5xx_Sum, 0) + FILL(token2_5xx_Sum, 0) + FILL(revoke0_5xx_Sum, 0) + FILL(revoke1_5xx_Sum, 0) + FILL(introspect0_5xx_Sum, 0) + FILL(introspect1_5xx_Sum, 0) + FILL(discovery0_5xx_Sum, 0) + FILL(discovery1_5xx_Sum, 0) >= 5",
		// A target group's times are in seconds.
		"rotor-eu-1-latency": "MAX([FILL(api_Latency_p99, 0), 1000 * FILL(token0_Latency_p99, 0), 1000 * FILL(revoke0_Latency_p99, 0), 1000 * FILL(introspect0_Latency_p99, 0), 1000 * FILL(discovery0_Latency_p99, 0)]) >= 2000",
	}
	got := map[string]string{}
	for _, r := range s.resources("AWS::CloudWatch::Alarm") {
		p := properties(r)
		name := p["AlarmName"].(string)
		if want[name] == "" {
			continue
		}
		read := map[string]int{}
		for _, m := range list(p["Metrics"]) {
			if e, ok := at(m, "Expression").(string); ok {
				got[name] = fmt.Sprint(e, " >= ", p["Threshold"])
				continue
			}
			metric, statistic := at(m, "MetricStat", "Metric"), at(m, "MetricStat", "Stat")
			read[fmt.Sprint(at(metric, "Namespace"), " ", at(metric, "MetricName"), " ", statistic, " ", at(m, "MetricStat", "Period"))]++
			if at(metric, "Namespace") == "AWS/ApiGateway" {
				continue
			}
			function, _, _ := strings.Cut(at(m, "Id").(string), "_")
			function = strings.TrimRight(function, "012")
			if d := plain(at(metric, "Dimensions")); d != `[{"Name":"LoadBalancer","Value":"app/public/50dc6c495c0c9188"},{"Name":"TargetGroup","Value":{"Fn::GetAtt":["`+s.targetsOf(t, function)+`","TargetGroupFullName"]}}]` {
				t.Errorf("%s has of %s the dimensions %s", name, function, d)
			}
		}
		wantRead := map[string]int{"AWS/ApiGateway Latency p99 300": 1, "AWS/ApplicationELB TargetResponseTime p99 300": 4}
		if strings.HasSuffix(name, "5xx") {
			wantRead = map[string]int{
				"AWS/ApiGateway 5xx Sum 300": 1, "AWS/ApplicationELB HTTPCode_Target_5XX_Count Sum 300": 4,
				"AWS/ApplicationELB LambdaUserError Sum 300": 4, "AWS/ApplicationELB LambdaInternalError Sum 300": 1,
			}
		}
		if diff := cmp.Diff(wantRead, read); diff != "" || len(list(p["Metrics"])) > 11 { // ten, and what is made of them
			t.Errorf("%s: %s", name, diff)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, d := range s.resources("AWS::CloudWatch::Dashboard") {
		if body := plain(properties(d)["DashboardBody"]); !strings.Contains(body, `"RequestCount"`) || !strings.Contains(body, `"HTTPCode_Target_4XX_Count"`) || strings.Count(body, `"TargetResponseTime"`) != 8 {
			t.Errorf("the dashboard is %s", body)
		}
	}
}

// targetsOf returns the logical id of the target group of a function.
func (s synthesized) targetsOf(t *testing.T, function string) string {
	t.Helper()
	for id := range s.resources("AWS::ElasticLoadBalancingV2::TargetGroup") {
		if strings.HasPrefix(id, capitalized(function)+"Targets") || strings.HasPrefix(id, capitalized(function)+"LiveTargets") {
			return id
		}
	}
	t.Fatalf("%s has no target group", function)
	return ""
}

// Without this the listener of a load balancer in the same app could not be given, or its metrics have no dimension.
func TestListenerOfTheSameApp(t *testing.T) {
	token := awscdk.Token_AsString(map[string]any{"Ref": "AWS::StackName"}, nil)
	s := synthProps(t, "Auth", &ServiceProps{ZipFolder: zips(t), Domain: "auth.example.com", ListenerArn: *token})
	found := 0
	for _, r := range s.resources("AWS::CloudWatch::Alarm") {
		for _, m := range list(properties(r)["Metrics"]) {
			if d := at(m, "MetricStat", "Metric", "Dimensions", 0); at(d, "Name") == "LoadBalancer" {
				found++
				if want := `{"Fn::Select":[1,{"Fn::Split":["/",{"Ref":"AWS::StackName"}]}]}/{"Fn::Select":[2,{"Fn::Split":["/",{"Ref":"AWS::StackName"}]}]}/{"Fn::Select":[3,{"Fn::Split":["/",{"Ref":"AWS::StackName"}]}]}`; plain(at(d, "Value")) != want {
					t.Errorf("the dimension is %s", plain(at(d, "Value")))
				}
			}
		}
	}
	if found != 13 {
		t.Errorf("%d metrics of the load balancer in alarms", found)
	}
}

// Without this the functions of the template could refuse the load balancer's events, or read what their roles forbid.
func TestMainsBehindBalancer(t *testing.T) {
	s := synth(t, map[string]any{"domain": "auth.example.com", "listenerArn": listener, "origins": "https://app.example.com"})
	a := deploy(t, s, "a word, and no keys yet")
	const version = "00000000-0000-4000-8000-000000000001"
	a.rotate(a.secrets.Secret, keyringtest.ID, version)
	a.rotate(a.secrets.Signing, keyringtest.SigningID, version)
	a.call(201, "manage", "PUT", "/v1/clients/app", `{"type":"public"}`)
	issued := a.call(201, "manage", "POST", "/v1/families", `{"user_id":"ada","client_id":"app"}`)
	balanced := func(status int, function, method, path, body string) map[string]any {
		t.Helper()
		path, query, _ := strings.Cut(path, "?")
		parameters := object{}
		for pair := range strings.SplitSeq(query, "&") {
			if name, value, ok := strings.Cut(pair, "="); ok {
				parameters[name] = []string{value}
			}
		}
		out := a.invoke(function, object{
			"requestContext": object{"elb": object{"targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/rotor-prod-token/6d0ecf831eec9f09"}},
			"httpMethod":     method, "path": path, "multiValueQueryStringParameters": parameters, "body": base64.StdEncoding.EncodeToString([]byte(body)), "isBase64Encoded": true,
			"multiValueHeaders": object{"host": []string{"auth.example.com"}, "content-type": []string{"application/x-www-form-urlencoded"}, "x-forwarded-for": []string{"198.51.100.7, 203.0.113.24"}},
		})
		var answer struct {
			StatusCode int
			Body       string
			json       map[string]any
		}
		if err := json.Unmarshal(out, &answer); err != nil || answer.StatusCode != status {
			t.Fatalf("%s: %s is not %d\n%s", function, out, status, a.functions[function].Output())
		}
		_ = json.Unmarshal([]byte(answer.Body), &answer.json)
		return answer.json
	}
	refreshed := balanced(200, "token", "POST", "/oauth/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"app"}, "refresh_token": {issued.text("refresh_token")}}.Encode())
	if refreshed["access_token"] == nil {
		t.Errorf("the refresh has %v", refreshed)
	}
	if g := a.call(200, "manage", "GET", "/v1/families/"+issued.text("family"), ""); g.text("last_ip") != "203.0.113.24" {
		t.Errorf("the family is %s", g.Body)
	}
	if metadata := balanced(200, "discovery", "GET", "/.well-known/oauth-authorization-server", ""); metadata["issuer"] != "https://auth.example.com" {
		t.Errorf("the metadata are %v", metadata)
	}
	balanced(404, "discovery", "GET", "/v1/clients", "")
	balanced(401, "introspect", "POST", "/oauth/introspect", "token=x")
	balanced(200, "revoke", "POST", "/oauth/revoke", url.Values{"client_id": {"app"}, "token": {fmt.Sprint(refreshed["refresh_token"])}}.Encode())
	if len(a.denied) > 0 {
		t.Errorf("what roles do not allow was asked for: %q", a.denied)
	}
}
