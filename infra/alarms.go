package rotor

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssnssubscriptions"
	"github.com/aws/aws-cdk-go/awscdk/v2/interfaces/interfacesawscloudwatch"
	"github.com/aws/jsii-runtime-go"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
)

// period is the period of most alarms, in minutes.
const period = 5

// alarmingCauses are the causes of refusal that each have an alarm: many refusals for one of them in a period mean a
// mistake or an attack. Sessions that ended by age or by a logout are none of these, since there may be as many of them
// as users.
var alarmingCauses = []struct {
	cause       family.Cause
	description string
}{
	{family.ReuseDetected, "Tokens of families that were revoked for reuse are still presented. An application probably refreshes one token from several places."},
	{family.LimitExceeded, "Tokens of families that were ended by the limit are still presented. An application probably starts a new family when it should keep one."},
	{family.NeverIssued, "The tokens were never issued here. Somebody is guessing, or the secret holds other keys than before."},
	{family.Purged, "The records of the tokens are gone. They were lost, or the retention is too short."},
	{family.WrongClient, "The tokens belong to another client. An application uses the wrong client id, or the tokens were stolen."},
}

// refusalThreshold is how many refusals for one cause in a period set off its alarm.
const refusalThreshold = 50

// countedMessages are log messages without a metric of their own, which a metric filter counts.
var countedMessages = []struct{ metric, function, message string }{
	{"CallerRefused", "manage", "caller refused"},
	{"KeysRevoked", "keys", "keys revoked"},
}

// alarm is an alarm that goes off when its metric reaches the threshold.
type alarm struct {
	name        string
	description string
	metric      awscloudwatch.IMetric
	threshold   float64
	periods     float64 // in a row; 0 is 1
	below       bool    // it goes off below the threshold instead, and missing data counts as 0
}

// watch adds the alarms, their topic, the dashboard and the saved queries to the stack.
func (p *Service) watch() {
	for _, c := range countedMessages {
		awslogs.NewMetricFilter(p.Construct, jsii.String(c.metric), &awslogs.MetricFilterProps{
			LogGroup:        p.logs[c.function],
			FilterPattern:   awslogs.FilterPattern_StringValue(jsii.String("$.message"), jsii.String("="), jsii.String(c.message)),
			MetricNamespace: jsii.String(audit.Namespace),
			MetricName:      jsii.String(c.metric),
			Dimensions:      &map[string]*string{audit.DimensionStage: jsii.String("$." + audit.DimensionStage)},
		})
	}
	p.addTopic()
	action := awscloudwatchactions.NewSnsAction(p.AlarmTopic)
	var all []interfacesawscloudwatch.IAlarmRef
	for _, a := range p.alarms() {
		props := &awscloudwatch.AlarmProps{
			AlarmName:          p.name(a.name),
			AlarmDescription:   jsii.String(a.description),
			Metric:             a.metric,
			Threshold:          jsii.Number(a.threshold),
			EvaluationPeriods:  jsii.Number(max(1, a.periods)),
			ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
			TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
		}
		if a.below {
			props.ComparisonOperator = awscloudwatch.ComparisonOperator_LESS_THAN_THRESHOLD
			props.TreatMissingData = awscloudwatch.TreatMissingData_BREACHING
		}
		made := awscloudwatch.NewAlarm(p.Construct, jsii.String("Alarm "+a.name), props)
		made.AddAlarmAction(action)
		made.AddOkAction(action)
		all = append(all, made)
	}
	p.newDashboard(all)
	p.saveQueries()
	awscdk.NewCfnOutput(p.Construct, jsii.String("AlarmTopic"), &awscdk.CfnOutputProps{
		Description: jsii.String("the SNS topic of the alarms"),
		Value:       p.AlarmTopic.TopicArn(),
	})
}

func (p *Service) alarms() []alarm {
	sweep, keys := p.functions["sweep"], p.functions["keys"]
	alarms := []alarm{
		{
			name: "5xx", description: "The API answers 5xx: storage or signing keys are unavailable, or a function fails. See the errors in the functions' logs.",
			metric: p.apiMetric("5xx", "Sum"), threshold: 5,
		},
		{
			name: "latency", description: "For 15 minutes, one request in a hundred has taken more than 2 s.",
			metric: p.apiMetric("Latency", "p99"), threshold: 2000, periods: 3,
		},
		{
			name: "throttles", description: "Lambda refuses to run functions because the account's concurrency in this region is used up.",
			metric: p.throttles(), threshold: 1,
		},
		{
			name: "table-throttles", description: "DynamoDB throttles requests to the table: one partition gets more than its share, or traffic rises faster than on-demand capacity. Clients get 503 and retry.",
			metric: awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
				Expression: jsii.String("FILL(reads, 0) + FILL(writes, 0)"),
				UsingMetrics: &map[string]awscloudwatch.IMetric{
					"reads": p.tableMetric("ReadThrottleEvents"), "writes": p.tableMetric("WriteThrottleEvents"),
				},
				Label: jsii.String("throttles of the table"), Period: minutes(period),
			}), threshold: 10,
		},
		{
			name: "reuse-detected", description: "Reuse of a superseded token was detected and its family revoked. The token was stolen, an application loses its newest token, or several programs share one token. The saved query \"reuse detected\" shows the evidence.",
			metric: p.count(audit.MetricReuse, period), threshold: 1,
		},
		{
			name: "reused-elsewhere", description: "Superseded tokens were accepted within the reuse interval, but from another address than the one that rotated. A few come from mobile networks or from programs that share one token; many suggest theft. For a client with the preset copies that runs on several machines, this is normal.",
			metric: p.count(audit.MetricElsewhere, 15), threshold: 10,
		},
		{
			name: "ahead", description: "A token is newer than its record. The table was restored from a backup, or something other than Rotor wrote to it.",
			metric: p.count(audit.MetricAhead, period), threshold: 1,
		},
		{
			name: "invalid-client", description: fmt.Sprintf("In %[2]d minutes, %[1]d or more clients failed to authenticate. Somebody is guessing secrets, or an application has the wrong one. The saved query \"clients not believed\" shows which, and why.", refusalThreshold, period),
			metric: p.count(audit.MetricInvalid, period), threshold: refusalThreshold,
		},
		{
			name: "origin-refused", description: fmt.Sprintf("In %[2]d minutes, %[1]d or more requests of web pages were refused for their origin. Either an application's origin is missing from the setting origins, so that its users cannot refresh, or the page is somebody else's. The saved query \"web origins refused\" shows which.", refusalThreshold, period),
			metric: p.count(audit.MetricOrigin, period), threshold: refusalThreshold,
		},
		{
			name: "caller-refused", description: "The management API was called without its gateway's IAM authorization: without an identity, or by another API. The call was refused. A route has lost its authorizer, or there is another way to the function. The log of the function manage names the API.",
			metric: p.count("CallerRefused", period), threshold: 1,
		},
		{
			name: "secret-added", description: "A client has a new secret, with which it can be impersonated. Check that this was intended: the saved query \"who called the management API\" shows the caller.",
			metric: p.count(audit.MetricSecret, period), threshold: 1,
		},
		{
			name: "may-introspect", description: "A client may now introspect the access tokens of others. Check that this was intended: the saved query \"who called the management API\" shows the caller.",
			metric: p.count(audit.MetricIntrospect, period), threshold: 1,
		},
		{
			name: "observe", description: "Reuse by a client is now only observed, or for longer than before, so that stolen tokens keep working. Check that this was intended: the saved query \"who called the management API\" shows the caller.",
			metric: p.count(audit.MetricObserve, period), threshold: 1,
		},
		{
			name: "refused", description: "For 15 minutes, a fifth or more of all refreshes have been refused. The dashboard shows the causes.",
			metric: awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
				// A percentage of a few requests means nothing.
				Expression: jsii.String(fmt.Sprintf("IF(FILL(refused, 0) >= %d, 100 * FILL(refused, 0) / (FILL(refused, 0) + FILL(exchanged, 0)), 0)", refusalThreshold)),
				UsingMetrics: &map[string]awscloudwatch.IMetric{
					"refused":   p.count(audit.MetricRefused, period),
					"exchanged": p.count(audit.MetricExchanged, period),
				},
				Label:  jsii.String("refused, %"),
				Period: minutes(period),
			}), threshold: 20, periods: 3,
		},
		{
			name: "sweep-failing", description: "The sweep that enforces the limit of families fails, or did not finish its list in time. The next sweep continues with the list.",
			metric: lambdaSum(sweep.MetricErrors, period), threshold: 1, periods: 2,
		},
		{
			name: "sweep-dead-letters", description: "A sweep was given up. The dead-letter queue has its message, with the reason. Purge the queue once the cause is fixed.",
			metric: p.deadLetters.MetricApproximateNumberOfMessagesVisible(&awscloudwatch.MetricOptions{
				Period: minutes(period), Statistic: jsii.String("Maximum"),
			}), threshold: 1,
		},
		{
			name: "sweep-behind", description: "There has been no sweep for three times the scheduled interval. Users may have more families than their limit.",
			metric: lambdaSum(sweep.MetricInvocations, 3*p.props.SweepMinutes), threshold: 1, below: true,
		},
		{
			name: "keys-failing", description: "The rotation of keys fails. The old keys stay in use. If there are none yet, the API answers 503.",
			metric: lambdaSum(keys.MetricErrors, period), threshold: 1,
		},
		{
			name: "keys-revoked", description: "Keys were revoked in an emergency, and the tokens under them are void. Check that this was intended: the log of the function keys names the keys, and docs/operations.md says what users notice.",
			metric: p.count("KeysRevoked", period), threshold: 1,
		},
	}
	for _, c := range alarmingCauses {
		alarms = append(alarms, alarm{
			name:        "refused-" + string(c.cause),
			description: fmt.Sprintf("In %[2]d minutes, %[1]d or more refreshes were refused for one cause. %[3]s", refusalThreshold, period, c.description),
			metric: awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
				Expression: jsii.String(p.refusals() + fmt.Sprintf(` AND metric_cause = '%s'`, c.cause)),
				Label:      jsii.String(string(c.cause)),
				Period:     minutes(period),
			}), threshold: refusalThreshold,
		})
	}
	return alarms
}

// addTopic adds the topic of the alarms, unless there is one already, and a subscription to it.
func (p *Service) addTopic() {
	if arn := p.props.AlarmTopicArn; arn != "" {
		p.AlarmTopic = awssns.Topic_FromTopicArn(p.Construct, jsii.String("Alarms"), &arn)
	} else {
		p.AlarmTopic = p.newTopic()
	}
	if p.props.AlarmEmail != "" {
		p.AlarmTopic.AddSubscription(awssnssubscriptions.NewEmailSubscription(jsii.String(p.props.AlarmEmail), nil))
	}
}

// newTopic returns a new topic. A policy replaces a topic's default one, which lets everything in the account publish,
// so this policy allows CloudWatch again.
func (p *Service) newTopic() awssns.ITopic {
	topic := awssns.NewTopic(p.Construct, jsii.String("Alarms"), &awssns.TopicProps{
		DisplayName: p.name("alarms"),
		EnforceSSL:  jsii.Bool(true),
	})
	topic.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("Alarms"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sns:Publish"),
		Resources:  &[]*string{topic.TopicArn()},
		Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": p.stack.Account()}},
	}))
	return topic
}

func (p *Service) newDashboard(alarms []interfacesawscloudwatch.IAlarmRef) {
	graph := func(title string, metrics ...awscloudwatch.IMetric) awscloudwatch.IWidget {
		return awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{
			Title: jsii.String(title), Left: &metrics, Width: jsii.Number(8), Height: jsii.Number(6),
		})
	}
	each := func(f func(name string) awscloudwatch.IMetric, names ...string) []awscloudwatch.IMetric {
		var metrics []awscloudwatch.IMetric
		for _, n := range names {
			metrics = append(metrics, f(n))
		}
		return metrics
	}
	named := func(name string) awscloudwatch.IMetric { return p.count(name, period) }
	invocations := func(name string) awscloudwatch.IMetric { return lambdaSum(p.functions[name].MetricInvocations, period) }
	awscloudwatch.NewDashboard(p.Construct, jsii.String("Dashboard"), &awscloudwatch.DashboardProps{
		DashboardName: jsii.String("rotor-" + p.props.Stage),
		Widgets: &[]*[]awscloudwatch.IWidget{
			{awscloudwatch.NewAlarmStatusWidget(&awscloudwatch.AlarmStatusWidgetProps{
				Title: jsii.String("Alarms"), Alarms: &alarms, Width: jsii.Number(24),
			})},
			{
				graph("Refreshes", each(named, audit.MetricExchanged, audit.MetricReused, audit.MetricRefused)...),
				graph("Refused, by cause", awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
					Expression: jsii.String(p.refusals() + ` GROUP BY metric_cause`),
					Label:      jsii.String(""),
					Period:     minutes(period),
				})),
				graph("Reuse", each(named, audit.MetricReuse, audit.MetricObserved, audit.MetricElsewhere, audit.MetricAhead)...),
			},
			{
				graph("Families ended", each(named, audit.MetricRevoked, audit.MetricRemoved)...),
				graph("Age of superseded tokens, ms", p.rotorMetric(audit.MetricReuseAge, "p50", period), p.rotorMetric(audit.MetricReuseAge, "p99", period)),
				graph("Invocations", each(invocations, "token", "revoke", "introspect", "discovery", "manage", "sweep", "keys")...),
			},
			{
				graph("Clients not believed", each(named, audit.MetricInvalid)...),
				graph("Secrets added, introspection and observation switched on", each(named, audit.MetricSecret, audit.MetricIntrospect, audit.MetricObserve)...),
				graph("Browsers refused for their origin", each(named, audit.MetricOrigin)...),
			},
			{
				graph("Answers", p.apiMetric("Count", "Sum"), p.apiMetric("4xx", "Sum"), p.apiMetric("5xx", "Sum")),
				graph("Latency, ms", p.apiMetric("Latency", "p50"), p.apiMetric("Latency", "p99")),
				graph("Table", each(p.tableMetric, "ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents", "WriteThrottleEvents")...),
			},
		},
	})
}

// saveQueries adds CloudWatch Logs Insights queries over the logs of all functions.
func (p *Service) saveQueries() {
	var logs []any
	for _, f := range functions {
		logs = append(logs, p.logs[f.name].LogGroupName())
	}
	for _, q := range []struct{ id, name, query string }{
		{"QueryReuse", "reuse detected (ferrt)", `filter type = "ferrt"
| fields @timestamp, userId, clientId, familyId, tokenCounter, latestCounter, ageMs, observed, otherIp, otherUserAgent, ip, userAgent, http_request_id
| sort @timestamp desc
| limit 200`},
		{"QueryCleanup", "families over the limit (resource_cleanup)", `filter type = "resource_cleanup"
| fields @timestamp, userId, clientId, evict, start, removedCount, endCount, @message
| sort @timestamp desc
| limit 200`},
		{"QueryManagement", "who called the management API (sapi)", `filter type = "sapi"
| fields @timestamp, by, operation, status, clientId, userId, familyId, secretId, changes.0, changes.1, changes.2, dryRun, ip, http_request_id
| sort @timestamp desc
| limit 1000`},
		{"QueryClients", "clients not believed (invalid_client)", `filter cause = "invalid_client"
| stats count(*) as times, min(@timestamp) as first, max(@timestamp) as last by clientId, reason, operation, ip
| sort times desc
| limit 200`},
		{"QueryOrigins", "web origins refused (fco)", `filter type = "fco"
| stats count(*) as times, min(@timestamp) as first, max(@timestamp) as last by origin, reason
| sort times desc
| limit 200`},
		{"QueryErasures", "users erased (sdu)", `# To be replayed after a backup was restored: DELETE /v1/users?user_key= with each userKey.
filter type = "sdu"
| fields @timestamp, userKey, erasedFamilies, erasedEvents, http_request_id
| sort @timestamp asc
| limit 10000`},
		{"QueryFamily", "the story of one family", `# Put the family's id in the place of FAMILY.
filter familyId = "FAMILY"
| fields @timestamp, type, cause, tokenCounter, latestCounter, held, reused, ageMs, lostResponse, observed, otherIp, otherUserAgent, ip, userAgent, clientId, userId, http_request_id
| sort @timestamp asc
| limit 1000`},
	} {
		awslogs.NewCfnQueryDefinition(p.Construct, jsii.String(q.id), &awslogs.CfnQueryDefinitionProps{
			Name:          jsii.String("rotor-" + p.props.Stage + "/" + q.name),
			QueryString:   jsii.String(q.query),
			LogGroupNames: &logs,
		})
	}
}

// refusals returns a query of the stage's refusals, which exist for each client and cause.
func (p *Service) refusals() string {
	return fmt.Sprintf(`SELECT SUM(%s) FROM SCHEMA("%s", "stage", client, metric_cause) WHERE "stage" = '%s'`, audit.MetricRefused, audit.Namespace, p.props.Stage)
}

func minutes(n int) awscdk.Duration { return awscdk.Duration_Minutes(jsii.Number(n)) }

// rotorMetric returns one of the stage's own metrics, over all clients.
func (p *Service) rotorMetric(name, statistic string, over int) awscloudwatch.IMetric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String(audit.Namespace), MetricName: jsii.String(name), Statistic: jsii.String(statistic), Period: minutes(over),
		DimensionsMap: &map[string]*string{audit.DimensionStage: &p.props.Stage},
	})
}

func (p *Service) count(name string, over int) awscloudwatch.IMetric {
	return p.rotorMetric(name, "Sum", over)
}

// apiMetric returns a metric of the HTTP API.
func (p *Service) apiMetric(name, statistic string) awscloudwatch.IMetric {
	return p.Api.Metric(jsii.String(name), &awscloudwatch.MetricOptions{Statistic: jsii.String(statistic), Period: minutes(period)})
}

// tableMetric returns a metric of the table, as a sum.
func (p *Service) tableMetric(name string) awscloudwatch.IMetric {
	return p.Table.Metric(jsii.String(name), &awscloudwatch.MetricOptions{Period: minutes(period), Statistic: jsii.String("Sum")})
}

// lambdaSum returns a metric of a function, as a sum.
func lambdaSum(metric func(*awscloudwatch.MetricOptions) awscloudwatch.Metric, over int) awscloudwatch.IMetric {
	return metric(&awscloudwatch.MetricOptions{Statistic: jsii.String("Sum"), Period: minutes(over)})
}

// throttles returns the sum of all functions' throttles.
func (p *Service) throttles() awscloudwatch.IMetric {
	using := map[string]awscloudwatch.IMetric{}
	sum := ""
	for _, f := range functions {
		using[f.name] = lambdaSum(p.functions[f.name].MetricThrottles, period)
		if sum != "" {
			sum += " + "
		}
		sum += "FILL(" + f.name + ", 0)"
	}
	return awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
		Expression: jsii.String(sum), UsingMetrics: &using, Label: jsii.String("throttles"), Period: minutes(period),
	})
}
