package rotor

import (
	_ "embed"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscertificatemanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfrontorigins"
	"github.com/aws/aws-cdk-go/awscdk/v2/awswafv2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
)

// newEdge adds a distribution in front of the API's domain. It forwards everything, and the Host above all, which callers
// of /v1 have signed. The functions refuse what lacks the distribution's secret, and know the headers that it adds. The
// secret is generated in Secrets Manager, and the template has only a reference to it.
func (p *Service) newEdge(domain awsapigatewayv2.DomainName) awscloudfront.Distribution {
	p.edgeSecret = p.newSecret("EdgeSecret", "What CloudFront sends to Rotor with each request, and nobody else knows", 48, nil, awscdk.RemovalPolicy_DESTROY)
	suppress(p.edgeSecret, "AwsSolutions-SMG4", "It is sent to nobody but this API, and a rotation would refuse requests until all of CloudFront had the new one.")
	distribution := awscloudfront.NewDistribution(p.Construct, jsii.String("Edge"), &awscloudfront.DistributionProps{
		Comment:                p.name("edge"),
		DomainNames:            &[]*string{&p.props.Domain},
		Certificate:            awscertificatemanager.Certificate_FromCertificateArn(p.Construct, jsii.String("EdgeCertificate"), &p.props.EdgeCertificateArn),
		WebAclId:               &p.props.WebAclArn,
		MinimumProtocolVersion: awscloudfront.SecurityPolicyProtocol_TLS_V1_2_2021,
		HttpVersion:            awscloudfront.HttpVersion_HTTP2_AND_3,
		DefaultBehavior: &awscloudfront.BehaviorOptions{
			Origin: awscloudfrontorigins.NewHttpOrigin(domain.RegionalDomainName(), &awscloudfrontorigins.HttpOriginProps{
				ProtocolPolicy:     awscloudfront.OriginProtocolPolicy_HTTPS_ONLY,
				OriginSslProtocols: &[]awscloudfront.OriginSslPolicy{awscloudfront.OriginSslPolicy_TLS_V1_2},
				CustomHeaders:      &map[string]*string{"Rotor-Edge-Secret": p.edgeSecret.SecretValue().UnsafeUnwrap()},
			}),
			AllowedMethods:       awscloudfront.AllowedMethods_ALLOW_ALL(),
			ViewerProtocolPolicy: awscloudfront.ViewerProtocolPolicy_HTTPS_ONLY, // a redirect would come after the token was sent in the clear
			CachePolicy:          awscloudfront.CachePolicy_CACHING_DISABLED(),
			OriginRequestPolicy: awscloudfront.NewOriginRequestPolicy(p.Construct, jsii.String("EdgeRequests"), &awscloudfront.OriginRequestPolicyProps{
				OriginRequestPolicyName: p.name("edge"),
				HeaderBehavior:          awscloudfront.OriginRequestHeaderBehavior_All(jsii.String("CloudFront-Viewer-Address")),
				QueryStringBehavior:     awscloudfront.OriginRequestQueryStringBehavior_All(),
				CookieBehavior:          awscloudfront.OriginRequestCookieBehavior_All(),
			}),
		},
	})
	suppress(distribution, "AwsSolutions-CFR1", "Users may be anywhere. Who wants to restrict countries attaches a web ACL that does.")
	suppress(distribution, "AwsSolutions-CFR3", "The API logs each request that passed, unless its log is switched off, and the web ACL's metrics count those that did not.")
	return distribution
}

// firewall has the properties of the web ACL under CDK's names for them. Its rules limit the rate of each address, and are
// AWS's common ones except for some. Bodies may have 16 KiB here and query strings 8 KiB, which the API enforces, and programs
// need no user agent. The redirect URI of a native app has a loopback address, which looks like an attack on a server that
// fetches what a request names. No samples of requests are kept, because requests have tokens in them.
//
//go:embed firewall.json
var firewall string

// NewFirewall adds a web ACL for [ServiceProps.WebAclArn] to a stack, which must be in us-east-1, where those of
// CloudFront are. It uses Stage and FirewallRate of the props, and an output has its ARN.
func NewFirewall(scope constructs.Construct, id *string, props *ServiceProps) awswafv2.CfnWebACL {
	p, c := *props, checker{}
	if c.settings(&p); c.errs != nil {
		panic(errors.Join(c.errs...))
	}
	variables := strings.NewReplacer("${Stage}", p.Stage, `"${FirewallRate}"`, strconv.Itoa(p.FirewallRate))
	var properties awswafv2.CfnWebACLProps
	if err := json.Unmarshal([]byte(variables.Replace(firewall)), &properties); err != nil {
		panic(err)
	}
	acl := awswafv2.NewCfnWebACL(scope, id, &properties)
	output(scope, "WebAclArn", "the setting webAclArn of the service", acl.AttrArn())
	return acl
}

// suppress turns a rule of cdk-nag off for a construct, for a reason.
func suppress(c constructs.IConstruct, rule, reason string) {
	cdknag.NagSuppressions_AddResourceSuppressions(c, &[]*cdknag.NagPackSuppression{{Id: &rule, Reason: &reason}}, nil)
}
