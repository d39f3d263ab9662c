package main

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

// period is what most alarms count over, in minutes.
const period = 5

// waves are the causes of refusal that, many at a time, are somebody's mistake and no user's doing: each has an alarm.
// Of a session that merely ended, by age or by a logout, there may be as many as there are users.
var waves = []struct {
	cause family.Cause
	about string
}{
	{family.ReuseDetected, "Families that reuse had ended are still presented: an application refreshes one token from several places."},
	{family.LimitExceeded, "Families that the limit had ended are still presented: an application starts a family where it should keep one."},
	{family.NeverIssued, "Tokens that were never issued here: somebody guesses, or the secret with the keys is another one."},
	{family.Purged, "Tokens whose record is gone: records were lost, or the retention is too short."},
	{family.WrongClient, "Tokens of another client: an application uses the wrong client id, or a stolen token."},
}

// waveOf is how many refusals of one cause in a period are a wave.
const waveOf = 50

// counted are lines that a function logs by themselves, without metrics of their own: each is counted by its message.
var counted = []struct{ metric, function, message string }{
	{"CallerRefused", "manage", "caller refused"},
	{"KeysRevoked", "keys", "keys revoked"},
}

// alarm is something that somebody should look at: the metric at or past the threshold.
type alarm struct {
	name      string
	about     string
	metric    awscloudwatch.IMetric
	threshold float64
	periods   float64 // in a row; 0 is 1
	below     bool    // below the threshold instead; and what is missing is 0
}

// watch makes alarms, their topic, the dashboard and the saved queries.
func (p parts) watch() {
	for _, c := range counted {
		awslogs.NewMetricFilter(p.Stack, jsii.String(c.metric), &awslogs.MetricFilterProps{
			LogGroup:        p.logs[c.function],
			FilterPattern:   awslogs.FilterPattern_StringValue(jsii.String("$.message"), jsii.String("="), jsii.String(c.message)),
			MetricNamespace: jsii.String(audit.Namespace),
			MetricName:      jsii.String(c.metric),
		})
	}
	topic := p.newTopic()
	action := awscloudwatchactions.NewSnsAction(topic)
	var all []interfacesawscloudwatch.IAlarmRef
	for _, a := range p.alarms() {
		props := &awscloudwatch.AlarmProps{
			AlarmName:          p.name(a.name),
			AlarmDescription:   jsii.String(a.about),
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
		made := awscloudwatch.NewAlarm(p.Stack, jsii.String("Alarm "+a.name), props)
		made.AddAlarmAction(action)
		made.AddOkAction(action)
		all = append(all, made)
	}
	p.newDashboard(all)
	p.saveQueries()
	awscdk.NewCfnOutput(p.Stack, jsii.String("AlarmTopic"), &awscdk.CfnOutputProps{
		Description: jsii.String("the SNS topic of the alarms"),
		Value:       topic.TopicArn(),
	})
}

func (p parts) alarms() []alarm {
	sweep, keys := p.functions["sweep"], p.functions["keys"]
	alarms := []alarm{
		{
			name: "5xx", about: "The API answers 5xx: storage or keys are not to be had, or a function fails. Its log has the errors.",
			metric: p.gateway("5xx", "Sum"), threshold: 5,
		},
		{
			name: "latency", about: "One request in a hundred takes more than 2 s, for a quarter of an hour.",
			metric: p.gateway("Latency", "p99"), threshold: 2000, periods: 3,
		},
		{
			name: "throttles", about: "Lambda refuses to run functions: the account's or the region's concurrency is used up.",
			metric: p.throttles(), threshold: 1,
		},
		{
			name: "table-throttles", about: "DynamoDB refuses requests on the table for a while: one partition gets more than its share, or traffic rises faster than on-demand capacity. Clients are told to come again.",
			metric: awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
				Expression: jsii.String("FILL(reads, 0) + FILL(writes, 0)"),
				UsingMetrics: &map[string]awscloudwatch.IMetric{
					"reads": p.onTable("ReadThrottleEvents"), "writes": p.onTable("WriteThrottleEvents"),
				},
				Label: jsii.String("throttles of the table"), Period: minutes(period),
			}), threshold: 10,
		},
		{
			name: "reuse-detected", about: "Reuse of a superseded token was detected, and its family revoked: theft, an application that loses its newest token, or several programs with a copy each. The saved query has the evidence.",
			metric: count(audit.MetricReuse, period), threshold: 1,
		},
		{
			name: "reused-elsewhere", about: "Superseded tokens were honoured inside the reuse interval, but for another address than the one that rotated: some is mobile networks or programs with a copy each, much is a thief. Of a client with the preset copies, on several machines, it is how it works.",
			metric: count(audit.MetricElsewhere, 15), threshold: 10,
		},
		{
			name: "ahead", about: "A token is newer than its record: the table was restored from a backup, or written to by something else.",
			metric: count(audit.MetricAhead, period), threshold: 1,
		},
		{
			name: "invalid-client", about: fmt.Sprintf("%d or more clients in %d minutes were not believed: somebody guesses secrets, or an application has the wrong one. The saved query shows which, and why.", waveOf, period),
			metric: count(audit.MetricInvalid, period), threshold: waveOf,
		},
		{
			name: "origin-refused", about: fmt.Sprintf("%d or more requests of web pages in %d minutes were refused for their origin: an application whose origin is not in the setting origins, so that its users cannot refresh, or somebody else's page. The saved query shows which.", waveOf, period),
			metric: count(audit.MetricOrigin, period), threshold: waveOf,
		},
		{
			name: "caller-refused", about: "The management API was called past its gateway's IAM authorizer: without an identity, or by another API. Nothing was done. A route has lost its authorizer, or there is another way to the function: the log of manage says by which API.",
			metric: count("CallerRefused", period), threshold: 1,
		},
		{
			name: "secret-added", about: "A client has a new secret, with which it can be impersonated. Somebody should have meant it: the saved query of the management API shows who.",
			metric: count(audit.MetricSecret, period), threshold: 1,
		},
		{
			name: "may-introspect", about: "A client may now introspect the access tokens of others. Somebody should have meant it: the saved query of the management API shows who.",
			metric: count(audit.MetricIntrospect, period), threshold: 1,
		},
		{
			name: "observe", about: "A client's reuse is now only observed, or for longer than before: stolen tokens go on working. Somebody should have meant it: the saved query of the management API shows who.",
			metric: count(audit.MetricObserve, period), threshold: 1,
		},
		{
			name: "refused", about: "A fifth of all refreshes or more is refused, for a quarter of an hour; the dashboard shows the causes.",
			metric: awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
				// Few requests make no percentage.
				Expression: jsii.String(fmt.Sprintf("IF(FILL(refused, 0) >= %d, 100 * FILL(refused, 0) / (FILL(refused, 0) + FILL(exchanged, 0)), 0)", waveOf)),
				UsingMetrics: &map[string]awscloudwatch.IMetric{
					"refused":   count(audit.MetricRefused, period),
					"exchanged": count(audit.MetricExchanged, period),
				},
				Label:  jsii.String("refused, %"),
				Period: minutes(period),
			}), threshold: 20, periods: 3,
		},
		{
			name: "sweep-failing", about: "The sweep that keeps users to their limit of families fails, or did not get through its list in time. The list stays for the next one.",
			metric: lambdaSum(sweep.MetricErrors, period), threshold: 1, periods: 2,
		},
		{
			name: "sweep-dead-letters", about: "A sweep was given up. Its message is in the dead-letter queue, with the reason; purge the queue once that is mended.",
			metric: p.deadLetters.MetricApproximateNumberOfMessagesVisible(&awscloudwatch.MetricOptions{
				Period: minutes(period), Statistic: jsii.String("Maximum"),
			}), threshold: 1,
		},
		{
			name: "sweep-behind", about: "No sweep for three times as long as the schedule says: users may have more families than their limit.",
			metric: lambdaSum(sweep.MetricInvocations, 3*p.cfg.sweepMinutes), threshold: 1, below: true,
		},
		{
			name: "keys-failing", about: "The rotation of keys fails. The old keys stay in use; with none yet, the API answers 503.",
			metric: lambdaSum(keys.MetricErrors, period), threshold: 1,
		},
		{
			name: "keys-revoked", about: "Keys were revoked in an emergency, and tokens under them are void. Somebody should have meant it: the log of keys says which keys, docs/operations.md what users notice.",
			metric: count("KeysRevoked", period), threshold: 1,
		},
	}
	for _, w := range waves {
		alarms = append(alarms, alarm{
			name:  "refused-" + string(w.cause),
			about: fmt.Sprintf("%d or more refreshes refused in %d minutes, of one cause. %s", waveOf, period, w.about),
			// The metric is there for each client and cause; this is the sum over the clients.
			metric: awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
				Expression: jsii.String(fmt.Sprintf(`SELECT SUM(%s) FROM SCHEMA("%s", client, metric_cause) WHERE metric_cause = '%s'`,
					audit.MetricRefused, audit.Namespace, w.cause)),
				Label:  jsii.String(string(w.cause)),
				Period: minutes(period),
			}), threshold: waveOf,
		})
	}
	return alarms
}

// newTopic makes the topic of the alarms. A topic with a policy has lost the one that lets everything in the account
// publish, CloudWatch included: this one says so again.
func (p parts) newTopic() awssns.Topic {
	topic := awssns.NewTopic(p.Stack, jsii.String("Alarms"), &awssns.TopicProps{
		DisplayName: p.name("alarms"),
		EnforceSSL:  jsii.Bool(true),
	})
	topic.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("Alarms"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sns:Publish"),
		Resources:  &[]*string{topic.TopicArn()},
		Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": p.Account()}},
	}))
	if p.cfg.alarmEmail != "" {
		topic.AddSubscription(awssnssubscriptions.NewEmailSubscription(jsii.String(p.cfg.alarmEmail), nil))
	}
	return topic
}

func (p parts) newDashboard(alarms []interfacesawscloudwatch.IAlarmRef) {
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
	named := func(name string) awscloudwatch.IMetric { return count(name, period) }
	invocations := func(name string) awscloudwatch.IMetric { return lambdaSum(p.functions[name].MetricInvocations, period) }
	awscloudwatch.NewDashboard(p.Stack, jsii.String("Dashboard"), &awscloudwatch.DashboardProps{
		DashboardName: jsii.String("rotor-" + p.cfg.stage),
		Widgets: &[]*[]awscloudwatch.IWidget{
			{awscloudwatch.NewAlarmStatusWidget(&awscloudwatch.AlarmStatusWidgetProps{
				Title: jsii.String("Alarms"), Alarms: &alarms, Width: jsii.Number(24),
			})},
			{
				graph("Refreshes", each(named, audit.MetricExchanged, audit.MetricReused, audit.MetricRefused)...),
				graph("Refused, by cause", awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
					Expression: jsii.String(fmt.Sprintf(`SELECT SUM(%s) FROM SCHEMA("%s", client, metric_cause) GROUP BY metric_cause`, audit.MetricRefused, audit.Namespace)),
					Label:      jsii.String(""),
					Period:     minutes(period),
				})),
				graph("Reuse", each(named, audit.MetricReuse, audit.MetricObserved, audit.MetricElsewhere, audit.MetricAhead)...),
			},
			{
				graph("Families ended", each(named, audit.MetricRevoked, audit.MetricRemoved)...),
				graph("Age of superseded tokens, ms", rotor(audit.MetricReuseAge, "p50", period), rotor(audit.MetricReuseAge, "p99", period)),
				graph("Invocations", each(invocations, "token", "revoke", "introspect", "discovery", "manage", "sweep", "keys")...),
			},
			{
				graph("Clients not believed", each(named, audit.MetricInvalid)...),
				graph("Secrets added, introspection and observation switched on", each(named, audit.MetricSecret, audit.MetricIntrospect, audit.MetricObserve)...),
				graph("Browsers refused for their origin", each(named, audit.MetricOrigin)...),
			},
			{
				graph("Answers", p.gateway("Count", "Sum"), p.gateway("4xx", "Sum"), p.gateway("5xx", "Sum")),
				graph("Latency, ms", p.gateway("Latency", "p50"), p.gateway("Latency", "p99")),
				graph("Table", each(p.onTable, "ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits", "ReadThrottleEvents", "WriteThrottleEvents")...),
			},
		},
	})
}

// saveQueries saves queries of CloudWatch Logs Insights over the logs of all functions.
func (p parts) saveQueries() {
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
		awslogs.NewCfnQueryDefinition(p.Stack, jsii.String(q.id), &awslogs.CfnQueryDefinitionProps{
			Name:          jsii.String("rotor-" + p.cfg.stage + "/" + q.name),
			QueryString:   jsii.String(q.query),
			LogGroupNames: &logs,
		})
	}
}

func minutes(n int) awscdk.Duration { return awscdk.Duration_Minutes(jsii.Number(n)) }

// rotor is one of Rotor's own metrics, over all clients.
func rotor(name, statistic string, over int) awscloudwatch.IMetric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String(audit.Namespace), MetricName: jsii.String(name), Statistic: jsii.String(statistic), Period: minutes(over),
	})
}

func count(name string, over int) awscloudwatch.IMetric { return rotor(name, "Sum", over) }

// gateway is a metric of the API.
func (p parts) gateway(name, statistic string) awscloudwatch.IMetric {
	return p.api.Metric(jsii.String(name), &awscloudwatch.MetricOptions{Statistic: jsii.String(statistic), Period: minutes(period)})
}

// onTable is a metric of the table, as a sum.
func (p parts) onTable(name string) awscloudwatch.IMetric {
	return p.table.Metric(jsii.String(name), &awscloudwatch.MetricOptions{Period: minutes(period), Statistic: jsii.String("Sum")})
}

// lambdaSum is a metric of a function, as a sum.
func lambdaSum(metric func(*awscloudwatch.MetricOptions) awscloudwatch.Metric, over int) awscloudwatch.IMetric {
	return metric(&awscloudwatch.MetricOptions{Statistic: jsii.String("Sum"), Period: minutes(over)})
}

// throttles are the throttles of all functions together.
func (p parts) throttles() awscloudwatch.IMetric {
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
