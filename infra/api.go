package rotor

import (
	"encoding/json"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2authorizers"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2integrations"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscertificatemanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsroute53"
	"github.com/aws/jsii-runtime-go"
)

// routes maps paths to functions. On public paths the gateway only forwards: the functions handle methods, preflights and
// unknown paths. Each call of /v1 has a route of its own, for policies to name.
var routes = []route{
	{path: "/oauth/token", function: "token"},
	{path: "/oauth/revoke", function: "revoke", rate: func(p *ServiceProps) int { return p.RevokeRate }},
	{path: "/oauth/introspect", function: "introspect", rate: func(p *ServiceProps) int { return p.IntrospectRate }},
	{path: "/healthz", function: "token", rate: func(p *ServiceProps) int { return p.OtherRate }},
	{path: "/.well-known/{proxy+}", function: "discovery", rate: func(p *ServiceProps) int { return p.DiscoveryRate }},
	call("POST", "/v1/families", "login"),
	call("GET", "/v1/families", "support"),
	call("PATCH", "/v1/families", ""),
	call("DELETE", "/v1/families", "login"),
	call("GET", "/v1/families/{family}", "support"),
	call("PATCH", "/v1/families/{family}", ""),
	call("DELETE", "/v1/families/{family}", "login"),
	call("DELETE", "/v1/users", ""),
	call("POST", "/v1/explain", "support"),
	call("GET", "/v1/events", "support"),
	call("GET", "/v1/clients", "support"),
	call("GET", "/v1/clients/{client_id}", "support"),
	call("PUT", "/v1/clients/{client_id}", ""),
	call("DELETE", "/v1/clients/{client_id}", ""),
	call("POST", "/v1/clients/{client_id}/secrets", ""),
	call("DELETE", "/v1/clients/{client_id}/secrets/{secret_id}", ""),
	{path: defaultRoute, function: "discovery", rate: func(p *ServiceProps) int { return p.OtherRate }},
}

// call returns the route of a call of /v1, which the policy of that name allows besides the admin's.
func call(method, path, policy string) route {
	return route{method: method, path: path, function: "manage", rate: func(p *ServiceProps) int { return p.ManageRate }, iam: true, policy: policy}
}

type route struct {
	method   string // "" is any
	path     string
	function string
	rate     func(*ServiceProps) int // its requests per second; nil is the stage's, ThrottleRate
	policy   string
	iam      bool // SigV4, and execute-api:Invoke
}

// defaultRoute is the route of all paths that have no route of their own.
const defaultRoute = "$default"

func (r route) key() awsapigatewayv2.HttpRouteKey {
	if r.path == defaultRoute {
		return awsapigatewayv2.HttpRouteKey_DEFAULT()
	}
	method := awsapigatewayv2.HttpMethod_ANY
	if r.method != "" {
		method = awsapigatewayv2.HttpMethod(r.method)
	}
	return awsapigatewayv2.HttpRouteKey_With(jsii.String(r.path), method)
}

// throttle returns the route's limits: its sustained rate and its burst. Each route has its own, so that flooding one
// does not use up the requests of the token endpoint.
func (r route) throttle(p *ServiceProps) map[string]any {
	rate := p.ThrottleRate
	if r.rate != nil {
		rate = r.rate(p)
	}
	// In the same proportion as the stage's, and never less than the rate.
	burst := max(rate, int(int64(p.ThrottleBurst)*int64(rate)/int64(p.ThrottleRate)))
	return map[string]any{"ThrottlingRateLimit": rate, "ThrottlingBurstLimit": burst}
}

// accessLog is the format of the access log. It leaves out query, headers and body, where tokens and user ids may be.
var accessLog = map[string]string{
	"requestId":        "$context.requestId",
	"time":             "$context.requestTimeEpoch",
	"ip":               "$context.identity.sourceIp",
	"userAgent":        "$context.identity.userAgent",
	"caller":           "$context.identity.userArn", // of /v1
	"method":           "$context.httpMethod",
	"route":            "$context.routeKey",
	"path":             "$context.path",
	"status":           "$context.status",
	"bytes":            "$context.responseLength",
	"latencyMs":        "$context.responseLatency",
	"functionMs":       "$context.integrationLatency",
	"integrationError": "$context.integrationErrorMessage",
	"gatewayError":     "$context.error.message",
}

// newAPI adds the API to the stack, without its routes.
func (p *Service) newAPI() {
	own := p.props.Domain != ""
	p.Api = awsapigatewayv2.NewHttpApi(p.Construct, jsii.String("Api"), &awsapigatewayv2.HttpApiProps{
		ApiName:            jsii.String("rotor-" + p.props.Stage),
		Description:        jsii.String("Rotor: OAuth 2.0 refresh tokens that rotate"),
		CreateDefaultStage: jsii.Bool(false),
		// Tokens have one issuer, so the API has one address.
		DisableExecuteApiEndpoint: jsii.Bool(own),
	})
	format, _ := json.Marshal(accessLog) // sorted by key
	logs := p.newLogs("AccessLogs")
	// The settings are keyed by route key, which is "$default" for the default route (CreateApi, CreateRoute). A key
	// without a route makes the deployment fail with "Unable to find Route by key". Templates of WebSocket APIs use
	// "$default"; we know of no report for an HTTP API. If it had no effect, DefaultRouteSettings would apply.
	limits := map[string]any{}
	for _, r := range routes {
		limits[*r.key().Key()] = r.throttle(&p.props)
	}
	p.apiStage = awsapigatewayv2.NewCfnStage(p.Construct, jsii.String("Stage"), &awsapigatewayv2.CfnStageProps{
		ApiId:      p.Api.ApiId(),
		StageName:  jsii.String("$default"),
		AutoDeploy: jsii.Bool(true),
		AccessLogSettings: &awsapigatewayv2.CfnStage_AccessLogSettingsProperty{
			DestinationArn: logs.LogGroupArn(),
			Format:         jsii.String(string(format)),
		},
		DefaultRouteSettings: &awsapigatewayv2.CfnStage_RouteSettingsProperty{
			ThrottlingRateLimit:  jsii.Number(p.props.ThrottleRate),
			ThrottlingBurstLimit: jsii.Number(p.props.ThrottleBurst),
		},
		RouteSettings: limits,
	})
	if !own {
		p.Issuer = p.Api.ApiEndpoint()
		return
	}
	p.Issuer = jsii.String("https://" + p.props.Domain)
	if p.props.BasePath != "" {
		p.Issuer = jsii.String("https://" + p.props.Domain + "/" + p.props.BasePath)
	}
	domain := awsapigatewayv2.NewDomainName(p.Construct, jsii.String("Domain"), &awsapigatewayv2.DomainNameProps{
		DomainName:     jsii.String(p.props.Domain),
		Certificate:    awscertificatemanager.Certificate_FromCertificateArn(p.Construct, jsii.String("Certificate"), jsii.String(p.props.CertificateArn)),
		SecurityPolicy: awsapigatewayv2.SecurityPolicy_TLS_1_2,
	})
	for _, m := range p.mappings() {
		awsapigatewayv2.NewCfnApiMapping(p.Construct, jsii.String(m.id), &awsapigatewayv2.CfnApiMappingProps{
			ApiId:         p.Api.ApiId(),
			DomainName:    domain.Name(),
			Stage:         p.apiStage.Ref(),
			ApiMappingKey: m.key,
		})
	}
	target, zone := domain.RegionalDomainName(), domain.RegionalHostedZoneId()
	if p.props.Edge {
		target, zone = p.newEdge(domain).DistributionDomainName(), jsii.String(cloudFrontZone)
	}
	awscdk.NewCfnOutput(p.Construct, jsii.String("DomainTarget"), &awscdk.CfnOutputProps{
		Description: jsii.String("what the domain's CNAME or alias record must point to"),
		Value:       target,
	})
	if p.props.HostedZoneId == "" {
		return
	}
	awsroute53.NewCfnRecordSet(p.Construct, jsii.String("DomainRecord"), &awsroute53.CfnRecordSetProps{
		HostedZoneId: jsii.String(p.props.HostedZoneId),
		Name:         jsii.String(p.props.Domain),
		Type:         jsii.String("A"),
		AliasTarget: &awsroute53.CfnRecordSet_AliasTargetProperty{
			DnsName:      target,
			HostedZoneId: zone,
		},
	})
}

// mapping maps a path of the domain to the API, or every path if it has no key.
type mapping struct {
	id  string
	key *string
}

// mappings returns one mapping for all paths. If the issuer has a path, it returns one for that path and one for each
// metadata document, because RFC 8414 §3.1 inserts the well-known path before the issuer's.
func (p *Service) mappings() []mapping {
	path := p.props.BasePath
	if path == "" {
		return []mapping{{id: "DomainMapping"}}
	}
	return []mapping{
		{"DomainMapping", &path},
		{"MetadataMapping", jsii.String(".well-known/oauth-authorization-server/" + path)},
		{"OpenIDMetadataMapping", jsii.String(".well-known/openid-configuration/" + path)},
	}
}

// handler returns what the gateway invokes: the function, or the alias of its current version if the function has
// provisioned concurrency, which only a version or an alias can have.
func (p *Service) handler(name string) awslambda.IFunction {
	f := p.functions[name]
	if name != "token" || p.props.ProvisionedConcurrency == 0 {
		return f
	}
	return awslambda.NewAlias(p.Construct, jsii.String("TokenLive"), &awslambda.AliasProps{
		AliasName:                       jsii.String("live"),
		Version:                         f.CurrentVersion(),
		ProvisionedConcurrentExecutions: jsii.Number(p.props.ProvisionedConcurrency),
	})
}

func (p *Service) addRoutes() {
	iam := awsapigatewayv2authorizers.NewHttpIamAuthorizer()
	integrations := map[string]awsapigatewayv2.HttpRouteIntegration{}
	for _, r := range routes {
		if integrations[r.function] == nil {
			integrations[r.function] = awsapigatewayv2integrations.NewHttpLambdaIntegration(jsii.String(r.function), p.handler(r.function),
				&awsapigatewayv2integrations.HttpLambdaIntegrationProps{
					PayloadFormatVersion: awsapigatewayv2.PayloadFormatVersion_VERSION_2_0(),
					// One for each call would make the function's policy larger than it may be.
					ScopePermissionToRoute: jsii.Bool(!r.iam),
				})
		}
		props := &awsapigatewayv2.HttpRouteProps{HttpApi: p.Api, RouteKey: r.key(), Integration: integrations[r.function]}
		if r.iam {
			props.Authorizer = iam
		}
		route := awsapigatewayv2.NewHttpRoute(p.Construct, jsii.String("Route "+r.method+r.path), props)
		// The stage has settings for the route, so the route must be created first.
		p.apiStage.AddResourceDependency(route.Node().DefaultChild().(awsapigatewayv2.CfnRoute), nil)
		if !r.iam {
			suppress(route, "AwsSolutions-APIG4", "Public by specification: the OAuth endpoints authenticate the client or the token themselves "+
				"(RFC 6749, 7009, 7662), discovery documents are for everyone (RFC 8414), and the rest is answered 404.")
		}
	}
}
