package rotor

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscertificatemanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfrontorigins"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awswafv2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
	"github.com/cdklabs/cdk-nag-go/cdknag/v2"
)

// The headers that CloudFront adds to requests. The functions know them too.
const (
	edgeHeader   = "Rotor-Edge-Secret"
	viewerHeader = "CloudFront-Viewer-Address"
)

// cloudFrontZone is the hosted zone of all distributions' names.
const cloudFrontZone = "Z2FDTNDATAQYW2"

// newEdge adds a distribution in front of the API's domain. It forwards everything, and the Host above all, which callers
// of /v1 have signed. The functions refuse what lacks the distribution's secret. That is generated in Secrets Manager,
// and the template has only a reference to it.
func (p *Service) newEdge(domain awsapigatewayv2.DomainName) awscloudfront.Distribution {
	p.edgeSecret = awssecretsmanager.NewSecret(p.Construct, jsii.String("EdgeSecret"), &awssecretsmanager.SecretProps{
		Description:          jsii.String("What CloudFront sends to Rotor with each request, and nobody else knows"),
		GenerateSecretString: &awssecretsmanager.SecretStringGenerator{PasswordLength: jsii.Number(48), ExcludePunctuation: jsii.Bool(true)},
		RemovalPolicy:        awscdk.RemovalPolicy_DESTROY,
	})
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
				CustomHeaders:      &map[string]*string{edgeHeader: p.edgeSecret.SecretValue().UnsafeUnwrap()},
			}),
			AllowedMethods:       awscloudfront.AllowedMethods_ALLOW_ALL(),
			ViewerProtocolPolicy: awscloudfront.ViewerProtocolPolicy_HTTPS_ONLY, // a redirect would come after the token was sent in the clear
			CachePolicy:          awscloudfront.CachePolicy_CACHING_DISABLED(),
			OriginRequestPolicy: awscloudfront.NewOriginRequestPolicy(p.Construct, jsii.String("EdgeRequests"), &awscloudfront.OriginRequestPolicyProps{
				OriginRequestPolicyName: p.name("edge"),
				HeaderBehavior:          awscloudfront.OriginRequestHeaderBehavior_All(jsii.String(viewerHeader)),
				QueryStringBehavior:     awscloudfront.OriginRequestQueryStringBehavior_All(),
				CookieBehavior:          awscloudfront.OriginRequestCookieBehavior_All(),
			}),
		},
	})
	suppress(distribution, "AwsSolutions-CFR1", "Users may be anywhere. Who wants to restrict countries attaches a web ACL that does.")
	suppress(distribution, "AwsSolutions-CFR3", "The access log of the API has each request that passed, and the web ACL's metrics those that did not.")
	return distribution
}

// NewFirewall adds a web ACL for [ServiceProps.WebAclArn] to a stack, which must be in us-east-1, where those of
// CloudFront are. It uses Stage and FirewallRate of the props, and an output has its ARN.
func NewFirewall(scope constructs.Construct, id *string, props *ServiceProps) awswafv2.CfnWebACL {
	p := *props
	c := checker{name: propName}
	if c.settings(&p); c.errs != nil {
		panic(c.err())
	}
	visible := func(name string) *awswafv2.CfnWebACL_VisibilityConfigProperty {
		return &awswafv2.CfnWebACL_VisibilityConfigProperty{
			MetricName: jsii.String("rotor-" + p.Stage + "-" + name), CloudWatchMetricsEnabled: jsii.Bool(true), SampledRequestsEnabled: jsii.Bool(false), // requests have tokens in them
		}
	}
	count := func(rule string) any {
		return &awswafv2.CfnWebACL_RuleActionOverrideProperty{Name: jsii.String(rule), ActionToUse: &awswafv2.CfnWebACL_RuleActionProperty{Count: &awswafv2.CfnWebACL_CountActionProperty{}}}
	}
	acl := awswafv2.NewCfnWebACL(scope, id, &awswafv2.CfnWebACLProps{
		Name:             jsii.String("rotor-" + p.Stage),
		Scope:            jsii.String("CLOUDFRONT"),
		DefaultAction:    &awswafv2.CfnWebACL_DefaultActionProperty{Allow: &awswafv2.CfnWebACL_AllowActionProperty{}},
		VisibilityConfig: visible("all"),
		Rules: []any{
			&awswafv2.CfnWebACL_RuleProperty{
				Name: jsii.String("rate"), Priority: jsii.Number(0), VisibilityConfig: visible("rate"),
				Statement: &awswafv2.CfnWebACL_StatementProperty{RateBasedStatement: &awswafv2.CfnWebACL_RateBasedStatementProperty{
					AggregateKeyType: jsii.String("IP"), Limit: jsii.Number(p.FirewallRate), EvaluationWindowSec: jsii.Number(300),
				}},
				Action: &awswafv2.CfnWebACL_RuleActionProperty{Block: &awswafv2.CfnWebACL_BlockActionProperty{
					CustomResponse: &awswafv2.CfnWebACL_CustomResponseProperty{ResponseCode: jsii.Number(429)},
				}},
			},
			&awswafv2.CfnWebACL_RuleProperty{
				Name: jsii.String("common"), Priority: jsii.Number(1), VisibilityConfig: visible("common"),
				Statement: &awswafv2.CfnWebACL_StatementProperty{ManagedRuleGroupStatement: &awswafv2.CfnWebACL_ManagedRuleGroupStatementProperty{
					VendorName: jsii.String("AWS"), Name: jsii.String("AWSManagedRulesCommonRuleSet"),
					// Bodies may have 16 KiB here, which the API enforces, and programs need no user agent.
					RuleActionOverrides: []any{count("SizeRestrictions_BODY"), count("NoUserAgent_HEADER")},
				}},
				OverrideAction: &awswafv2.CfnWebACL_OverrideActionProperty{None: map[string]any{}},
			},
		},
	})
	awscdk.NewCfnOutput(scope, jsii.String("WebAclArn"), &awscdk.CfnOutputProps{Description: jsii.String("the setting webAclArn of the service"), Value: acl.AttrArn()})
	return acl
}

// suppress turns a rule of cdk-nag off for a construct, for a reason.
func suppress(c constructs.IConstruct, rule, reason string) {
	cdknag.NagSuppressions_AddResourceSuppressions(c, &[]*cdknag.NagPackSuppression{{Id: &rule, Reason: &reason}}, nil)
}
