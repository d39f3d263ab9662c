package rotor

import (
	"cmp"
	_ "embed"
	"maps"
	"slices"
	"strings"

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
	{path: "/oauth/token", function: "token", rate: func(p *ServiceProps) int { return p.ThrottleRate }},
	{path: "/oauth/dbsc/{proxy+}", function: "token", rate: func(p *ServiceProps) int { return p.ThrottleRate }}, // 429 there ends sessions
	{path: "/oauth/revoke", function: "revoke", rate: func(p *ServiceProps) int { return p.RevokeRate }},
	{path: "/oauth/logout", function: "revoke", rate: func(p *ServiceProps) int { return p.RevokeRate }},
	{path: "/v2/logout", function: "revoke", rate: func(p *ServiceProps) int { return p.RevokeRate }}, // as Auth0's SDKs know it
	{path: "/oauth/introspect", function: "introspect", rate: func(p *ServiceProps) int { return p.IntrospectRate }},
	{path: "/healthz", function: "token", rate: func(p *ServiceProps) int { return p.OtherRate }},
	{path: "/.well-known/{proxy+}", function: "discovery", rate: func(p *ServiceProps) int { return p.DiscoveryRate }},
	// Supabase's paths; of those that Rotor does not serve, $default says so.
	{path: "/auth/v1/token", function: "token", rate: func(p *ServiceProps) int { return p.ThrottleRate }},
	{path: "/auth/v1/logout", function: "revoke", rate: func(p *ServiceProps) int { return p.RevokeRate }},
	{path: "/auth/v1/user", function: "introspect", rate: func(p *ServiceProps) int { return p.IntrospectRate }},
	{path: "/auth/v1/.well-known/{proxy+}", function: "discovery", rate: func(p *ServiceProps) int { return p.DiscoveryRate }},
	call("POST", "/v1/families", "login"),
	call("POST", "/v1/authorize", "login"),
	call("GET", "/v1/families", "support"),
	call("PATCH", "/v1/families", ""),
	call("DELETE", "/v1/families", "login"),
	call("GET", "/v1/families/{family}", "support"),
	call("PATCH", "/v1/families/{family}", ""),
	call("DELETE", "/v1/families/{family}", "login"),
	call("DELETE", "/v1/users", ""),
	call("POST", "/v1/imports", ""),
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
	rate     func(*ServiceProps) int // its requests per second
	policy   string
	iam      bool // SigV4, and execute-api:Invoke
}

// defaultRoute is the route of all paths that have no route of their own.
const defaultRoute = "$default"

func (r route) key() awsapigatewayv2.HttpRouteKey {
	if r.path == defaultRoute {
		return awsapigatewayv2.HttpRouteKey_DEFAULT()
	}
	return awsapigatewayv2.HttpRouteKey_With(&r.path, awsapigatewayv2.HttpMethod(cmp.Or(r.method, "ANY")))
}

// accessLog is the format of the access log, as JSON without spaces in its texts. It leaves out query, headers and body,
// where tokens and user ids may be. Only requests to /v1 have a caller.
//
//go:embed accesslog.json
var accessLog string

// newAPI adds the API to the stack, without its routes.
func (p *Service) newAPI() {
	p.routes = slices.DeleteFunc(slices.Clone(routes), func(r route) bool { return p.props.ListenerArn != "" && !r.iam })
	p.Api = awsapigatewayv2.NewHttpApi(p.Construct, jsii.String("Api"), &awsapigatewayv2.HttpApiProps{
		ApiName:            jsii.String("rotor-" + p.props.Stage),
		Description:        jsii.String("Rotor: OAuth 2.0 refresh tokens that rotate"),
		CreateDefaultStage: jsii.Bool(false),
		// Tokens have one issuer, so the API has one address. Behind a load balancer it has /v1 alone.
		DisableExecuteApiEndpoint: jsii.Bool(p.props.Domain != "" && p.props.ListenerArn == ""),
	})
	// The settings are keyed by route key, which is "$default" for the default route (CreateApi, CreateRoute). A key
	// without a route makes the deployment fail with "Unable to find Route by key". Templates of WebSocket APIs use
	// "$default"; we know of no report for an HTTP API. If it had no effect, DefaultRouteSettings would apply.
	//
	// Each route has its own limits, so that flooding one does not use up the requests of the token endpoint. Its burst is
	// in the same proportion as the stage's, and never less than the rate.
	limits := map[string]any{}
	for _, r := range p.routes {
		rate := r.rate(&p.props)
		burst := max(rate, int(int64(p.props.ThrottleBurst)*int64(rate)/int64(p.props.ThrottleRate)))
		limits[*r.key().Key()] = map[string]any{"ThrottlingRateLimit": rate, "ThrottlingBurstLimit": burst}
	}
	p.apiStage = awsapigatewayv2.NewCfnStage(p.Construct, jsii.String("Stage"), &awsapigatewayv2.CfnStageProps{
		ApiId:      p.Api.ApiId(),
		StageName:  jsii.String("$default"),
		AutoDeploy: jsii.Bool(true),
		DefaultRouteSettings: &awsapigatewayv2.CfnStage_RouteSettingsProperty{
			ThrottlingRateLimit:  jsii.Number(p.props.ThrottleRate),
			ThrottlingBurstLimit: jsii.Number(p.props.ThrottleBurst),
		},
		RouteSettings: limits,
	})
	if p.props.AccessLog == "on" {
		p.apiStage.SetAccessLogSettings(&awsapigatewayv2.CfnStage_AccessLogSettingsProperty{
			DestinationArn: p.newLogs("AccessLogs").LogGroupArn(),
			Format:         jsii.String(strings.Join(strings.Fields(accessLog), "")),
		})
	} else {
		suppress(p.apiStage, "AwsSolutions-APIG1", "Whoever deployed it has switched the access log off. The functions log each use of a token.")
	}
	p.Issuer = jsii.String("https://" + p.props.Domain)
	switch {
	case p.props.ListenerArn != "":
		p.manageURL = p.Api.ApiEndpoint()
	case p.props.Domain == "":
		p.Issuer = p.Api.ApiEndpoint()
	default:
		p.addDomain()
	}
	p.manageURL = cmp.Or(p.manageURL, p.Issuer)
}

// invoked returns what is invoked of a function: itself, or its alias, since only that or a version can have provisioned
// concurrency.
func (p *Service) invoked(function string) awslambda.IFunction {
	n := p.props.ProvisionedConcurrency
	if n == 0 || function != "token" {
		return p.functions[function]
	}
	return awslambda.NewAlias(p.Construct, jsii.String("TokenLive"), &awslambda.AliasProps{
		AliasName:                       jsii.String("live"),
		Version:                         p.functions[function].CurrentVersion(),
		ProvisionedConcurrentExecutions: jsii.Number(n),
	})
}

// addDomain adds the API's domain name, and the record of it if there is a zone for that.
func (p *Service) addDomain() {
	domain := awsapigatewayv2.NewDomainName(p.Construct, jsii.String("Domain"), &awsapigatewayv2.DomainNameProps{
		DomainName:     &p.props.Domain,
		Certificate:    awscertificatemanager.Certificate_FromCertificateArn(p.Construct, jsii.String("Certificate"), &p.props.CertificateArn),
		SecurityPolicy: awsapigatewayv2.SecurityPolicy_TLS_1_2,
	})
	mappings := map[string]*string{"DomainMapping": nil} // every path
	if path := p.props.BasePath; path != "" {
		p.Issuer = jsii.String(*p.Issuer + "/" + path)
		// RFC 8414 §3.1 inserts the well-known path of a metadata document before the issuer's.
		mappings = map[string]*string{
			"DomainMapping":         &path,
			"MetadataMapping":       jsii.String(".well-known/oauth-authorization-server/" + path),
			"OpenIDMetadataMapping": jsii.String(".well-known/openid-configuration/" + path),
		}
	}
	for _, id := range slices.Sorted(maps.Keys(mappings)) {
		awsapigatewayv2.NewCfnApiMapping(p.Construct, &id, &awsapigatewayv2.CfnApiMappingProps{
			ApiId:         p.Api.ApiId(),
			DomainName:    domain.Name(),
			Stage:         p.apiStage.Ref(),
			ApiMappingKey: mappings[id],
		})
	}
	target, zone := domain.RegionalDomainName(), domain.RegionalHostedZoneId()
	if p.props.Edge {
		target, zone = p.newEdge(domain).DistributionDomainName(), jsii.String("Z2FDTNDATAQYW2") // the zone of all distributions
	}
	output(p.Construct, "DomainTarget", "what the domain's CNAME or alias record must point to", target)
	if id := p.props.HostedZoneId; id != "" {
		awsroute53.NewCfnRecordSet(p.Construct, jsii.String("DomainRecord"), &awsroute53.CfnRecordSetProps{
			HostedZoneId: &id,
			Name:         &p.props.Domain,
			Type:         jsii.String("A"),
			AliasTarget:  &awsroute53.CfnRecordSet_AliasTargetProperty{DnsName: target, HostedZoneId: zone},
		})
	}
}

func (p *Service) addRoutes() {
	iam := awsapigatewayv2authorizers.NewHttpIamAuthorizer()
	integrations := map[string]awsapigatewayv2.HttpRouteIntegration{}
	for _, r := range p.routes {
		if integrations[r.function] == nil {
			integrations[r.function] = awsapigatewayv2integrations.NewHttpLambdaIntegration(&r.function, p.invoked(r.function),
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
