package rotor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	lb "github.com/aws/aws-cdk-go/awscdk/v2/awselasticloadbalancingv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"
)

// The priorities of the rules begin at that of the setting. Each function has ten, because CloudFormation cannot move a rule
// to a priority that another still has. The last rule is for all other paths.
const rulesOfFunction, lastRule = 10, 99

// addBalancer leads the public paths of the domain from the listener of a load balancer, if there is one, to their functions.
func (p *Service) addBalancer() {
	paths := map[string][]string{}
	for _, r := range routes {
		if !r.iam && p.props.ListenerArn != "" {
			paths[r.function] = append(paths[r.function], strings.ReplaceAll(r.path, "{proxy+}", "*"))
		}
	}
	for i, f := range functions {
		if paths[f.name] == nil {
			continue
		}
		handler, id, short := p.invoked(f.name), capitalized(f.name), f.name[:min(5, len(f.name))]
		if handler != p.functions[f.name] {
			// With another target a target group is another one: CloudFormation waits in vain for the health of a new target
			// if there are no health checks.
			id, short = id+"Live", "live"
		}
		name := p.name(short) // of at most 32 characters
		// A function is registered only if it may be invoked. So the permission comes first, and has no ARN of the target group
		// yet, whose last part is random.
		permission := awslambda.NewCfnPermission(p.Construct, jsii.String(id+"Balanced"), &awslambda.CfnPermissionProps{
			Action:        jsii.String("lambda:InvokeFunction"),
			FunctionName:  handler.FunctionArn(),
			Principal:     jsii.String("elasticloadbalancing.amazonaws.com"),
			SourceAccount: p.stack.Account(),
			SourceArn: p.stack.FormatArn(&awscdk.ArnComponents{
				Service: jsii.String("elasticloadbalancing"), Resource: jsii.String("targetgroup"), ResourceName: jsii.String(*name + "/*"),
			}),
		})
		group := lb.NewCfnTargetGroup(p.Construct, jsii.String(id+"Targets"), &lb.CfnTargetGroupProps{
			Name:                  name,
			TargetType:            jsii.String("lambda"),
			Targets:               &[]any{&lb.CfnTargetGroup_TargetDescriptionProperty{Id: handler.FunctionArn()}},
			HealthCheckEnabled:    jsii.Bool(false), // each would be an invocation
			TargetGroupAttributes: &[]any{&lb.CfnTargetGroup_TargetGroupAttributeProperty{Key: jsii.String("lambda.multi_value_headers.enabled"), Value: jsii.String("true")}},
		})
		group.AddResourceDependency(permission, nil)
		p.targetGroups[f.name] = group
		n, rules := i*rulesOfFunction, slices.Collect(slices.Chunk(paths[f.name], 3)) // as many as a condition may have
		if slices.Contains(paths[f.name], defaultRoute) {
			n, rules = lastRule, [][]string{nil}
		}
		for j, some := range rules {
			conditions := []any{&lb.CfnListenerRule_RuleConditionProperty{Field: jsii.String("host-header"), Values: jsii.Strings(p.props.Domain)}}
			if some != nil {
				conditions = append(conditions, &lb.CfnListenerRule_RuleConditionProperty{Field: jsii.String("path-pattern"), Values: jsii.Strings(some...)})
			}
			lb.NewCfnListenerRule(p.Construct, jsii.Sprintf("Rule%d", n+j), &lb.CfnListenerRuleProps{
				ListenerArn: &p.props.ListenerArn,
				Priority:    jsii.Number(p.props.ListenerPriority + n + j),
				Conditions:  &conditions,
				Actions:     &[]any{&lb.CfnListenerRule_ActionProperty{Type: jsii.String("forward"), TargetGroupArn: group.Ref()}},
			})
		}
	}
}

// balanced are the metrics of target groups that count what one of the HTTP API does. A failed invocation is no target's answer.
var balanced = map[string][]string{
	"Count": {"RequestCount"}, "4xx": {"HTTPCode_Target_4XX_Count"}, "5xx": {"HTTPCode_Target_5XX_Count", "LambdaUserError", "LambdaInternalError"}, "Latency": {"TargetResponseTime"},
}

// apiMetric returns a metric of the HTTP API, together with those of the target groups if there is a load balancer: their sum,
// or the longest of their times. An alarm may have ten metrics, so that of Lambda's own failures it has those of token alone.
func (p *Service) apiMetric(name, statistic string) awscloudwatch.IMetric {
	ofAPI := p.Api.Metric(&name, options(statistic, period))
	if p.props.ListenerArn == "" {
		return ofAPI
	}
	unique := "_" + name + "_" + statistic // in a graph with others
	metrics, terms := map[string]awscloudwatch.IMetric{"api" + unique: ofAPI}, []string{"FILL(api" + unique + ", 0)"}
	arn := awscdk.Fn_Split(jsii.String("/"), &p.props.ListenerArn, nil) // …:listener/app/name/id/id
	balancer := awscdk.Fn_Join(jsii.String("/"), &[]*string{awscdk.Fn_Select(jsii.Number(1), arn), awscdk.Fn_Select(jsii.Number(2), arn), awscdk.Fn_Select(jsii.Number(3), arn)})
	for _, f := range functions {
		for i, metric := range balanced[name] {
			if p.targetGroups[f.name] == nil || metric == "LambdaInternalError" && f.name != "token" {
				continue
			}
			id := fmt.Sprint(f.name, i, unique)
			metrics[id] = awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
				Namespace: jsii.String("AWS/ApplicationELB"), MetricName: &metric, Statistic: &statistic, Period: minutes(period),
				DimensionsMap: &map[string]*string{"LoadBalancer": balancer, "TargetGroup": p.targetGroups[f.name].AttrTargetGroupFullName()},
			})
			terms = append(terms, "FILL("+id+", 0)")
		}
	}
	if name == "Latency" { // a target group's is in seconds
		return math(name, "MAX(["+strings.Join(terms, ", 1000 * ")+"])", metrics)
	}
	return math(name, strings.Join(terms, " + "), metrics)
}
