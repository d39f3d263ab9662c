package rotor

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/assertions"
	"github.com/aws/jsii-runtime-go"
	"github.com/google/go-cmp/cmp"
)

// atEdge returns a context with every key, and the edge.
func atEdge() map[string]any {
	context := everything()
	maps.Copy(context, map[string]any{"edge": "true", "edgeCertificateArn": edgeCertificate, "webAclArn": webACL})
	return context
}

// Without this requests could go around the web ACL, or reach the API with another host or address than the caller's.
func TestEdge(t *testing.T) {
	s := synth(t, atEdge())
	distributions := s.resources("AWS::CloudFront::Distribution")
	if len(distributions) != 1 {
		t.Fatalf("%d distributions", len(distributions))
	}
	for id, d := range distributions {
		c := at(properties(d), "DistributionConfig")
		if at(c, "WebACLId") != webACL || plain(at(c, "Aliases")) != `["auth.example.com"]` || at(c, "ViewerCertificate", "AcmCertificateArn") != edgeCertificate {
			t.Errorf("%s: %v", id, c)
		}
		b := at(c, "DefaultCacheBehavior")
		// The managed policy CachingDisabled.
		if at(b, "ViewerProtocolPolicy") != "https-only" || at(b, "CachePolicyId") != "4135ea2d-6df8-44a3-9df3-4b5a84be39ad" || at(c, "CacheBehaviors") != nil {
			t.Errorf("it answers from a cache, or without TLS: %v", b)
		}
		methods := list(at(b, "AllowedMethods"))
		for _, method := range []any{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"} {
			if !slices.Contains(methods, method) {
				t.Errorf("it forwards no %s", method)
			}
		}
		policy := s.resources("AWS::CloudFront::OriginRequestPolicy")[at(b, "OriginRequestPolicyId", "Ref").(string)]
		forwarded := at(properties(policy), "OriginRequestPolicyConfig")
		if at(forwarded, "HeadersConfig", "HeaderBehavior") != "allViewerAndWhitelistCloudFront" || plain(at(forwarded, "HeadersConfig", "Headers")) != `["CloudFront-Viewer-Address"]` ||
			at(forwarded, "CookiesConfig", "CookieBehavior") != "all" || at(forwarded, "QueryStringsConfig", "QueryStringBehavior") != "all" {
			t.Errorf("it forwards %v", forwarded)
		}
		origins := list(at(c, "Origins"))
		if len(origins) != 1 {
			t.Fatalf("%d origins", len(origins))
		}
		o := origins[0]
		if plain(at(o, "DomainName")) != "Domain.RegionalDomainName" || at(o, "CustomOriginConfig", "OriginProtocolPolicy") != "https-only" {
			t.Errorf("the origin is %v", o)
		}
		if at(o, "OriginCustomHeaders", 0, "HeaderName") != "Rotor-Edge-Secret" ||
			plain(at(o, "OriginCustomHeaders", 0, "HeaderValue")) != "{{resolve:secretsmanager:EdgeSecret:SecretString:::}}" {
			t.Errorf("it sends %v", at(o, "OriginCustomHeaders"))
		}
	}
	// The secret is generated, and goes with the stack: it is no state.
	s.template.HasResource(jsii.String("AWS::SecretsManager::Secret"), object{"DeletionPolicy": "Delete", "Properties": object{
		"SecretString": assertions.Match_Absent(), "GenerateSecretString": object{"PasswordLength": 48, "ExcludePunctuation": true},
	}})
	// Every function behind the gateway asks for it, and may read it; no other does.
	roles := s.resources("AWS::IAM::Role")
	asking := map[string]bool{}
	for name, f := range s.functionsByName() {
		name = strings.TrimPrefix(name, "rotor-eu-1-")
		variable := plain(at(f, "Environment", "Variables", "ROTOR_EDGE_SECRET"))
		may := slices.Contains(statements(t, at(properties(roles[at(f, "Role", "Fn::GetAtt", 0).(string)]), "Policies", 0, "PolicyDocument")), "Allow secretsmanager:GetSecretValue on EdgeSecret")
		if asking[name] = variable == "EdgeSecret"; may != asking[name] {
			t.Errorf("%s has %s, and may read the secret: %v", name, variable, may)
		}
	}
	want := map[string]bool{"token": true, "revoke": true, "introspect": true, "discovery": true, "manage": true, "sweep": false, "keys": false}
	if diff := cmp.Diff(want, asking); diff != "" {
		t.Error(diff)
	}
	s.template.HasResourceProperties(jsii.String("AWS::Route53::RecordSet"), object{"AliasTarget": object{"HostedZoneId": "Z2FDTNDATAQYW2"}})
	if target := plain(at(s.object["Outputs"], "DomainTarget", "Value")); target != "Edge.DomainName" {
		t.Errorf("the domain must point to %s", target)
	}
	// Without the edge there is nothing of it.
	if text, _ := json.Marshal(synth(t, everything()).object); strings.Contains(string(text), "CloudFront") || strings.Contains(string(text), "EDGE") {
		t.Error("there is an edge in the template of a service without one")
	}
}

// Without this one address could flood the API, or the rules refuse what the API takes.
func TestFirewall(t *testing.T) {
	app := awscdk.NewApp(&awscdk.AppProps{AnalyticsReporting: jsii.Bool(false), Outdir: jsii.String(t.TempDir())})
	stack := awscdk.NewStack(app, jsii.String("firewall"), &awscdk.StackProps{Env: &awscdk.Environment{Region: jsii.String("us-east-1")}})
	NewFirewall(stack, jsii.String("Firewall"), &ServiceProps{Stage: "eu-1", FirewallRate: 5000})
	template := assertions.Template_FromStack(stack, nil)
	s := synthesized{template: template, object: *template.ToJSON()}
	acls := s.resources("AWS::WAFv2::WebACL")
	if len(acls) != 1 {
		t.Fatalf("%d web ACLs", len(acls))
	}
	for _, acl := range acls {
		p := properties(acl)
		if p["Scope"] != "CLOUDFRONT" || at(p, "DefaultAction", "Allow") == nil || p["Name"] != "rotor-eu-1" {
			t.Errorf("it is %v", p)
		}
		rate, common := at(p, "Rules", 0), at(p, "Rules", 1)
		if at(rate, "Statement", "RateBasedStatement", "Limit") != 5000.0 || at(rate, "Statement", "RateBasedStatement", "AggregateKeyType") != "IP" ||
			at(rate, "Statement", "RateBasedStatement", "EvaluationWindowSec") != 300.0 || at(rate, "Action", "Block", "CustomResponse", "ResponseCode") != 503.0 { // 429 would end sessions that are bound to a device
			t.Errorf("the rate: %v", rate)
		}
		group := at(common, "Statement", "ManagedRuleGroupStatement")
		var counted []string
		for _, o := range list(at(group, "RuleActionOverrides")) {
			if at(o, "ActionToUse", "Count") == nil {
				t.Errorf("an override is %v", o)
			}
			counted = append(counted, at(o, "Name").(string))
		}
		want := []string{
			"SizeRestrictions_BODY", "SizeRestrictions_QUERYSTRING", "NoUserAgent_HEADER",
			// A redirect URI of a native app, or of a developer's machine, has a loopback address.
			"EC2MetaDataSSRF_BODY", "EC2MetaDataSSRF_QUERYARGUMENTS", "GenericRFI_BODY", "GenericRFI_QUERYARGUMENTS",
		}
		if diff := cmp.Diff(want, counted); diff != "" || at(group, "Name") != "AWSManagedRulesCommonRuleSet" || at(common, "OverrideAction", "None") == nil {
			t.Errorf("the common rules: %v", common)
		}
		for _, v := range []any{p, rate, common} {
			if at(v, "VisibilityConfig", "SampledRequestsEnabled") != false {
				t.Error("samples of requests are kept, which have tokens in them")
			}
		}
	}
	if plain(at(s.object["Outputs"], "WebAclArn", "Value")) != "Firewall.Arn" {
		t.Errorf("the outputs are %v", s.object["Outputs"])
	}
}
