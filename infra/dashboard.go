package rotor

import (
	"embed"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"github.com/rotor-auth/rotor/shared/audit"
)

// newDashboard adds the dashboard: the state of all alarms, and the graphs, three in a row.
func (p *Service) newDashboard() {
	graph := func(title string, metrics ...awscloudwatch.IMetric) awscloudwatch.IWidget {
		return awscloudwatch.NewGraphWidget(&awscloudwatch.GraphWidgetProps{
			Title: &title, Left: &metrics, Width: jsii.Number(8), Height: jsii.Number(6),
		})
	}
	var invocations []awscloudwatch.IMetric
	for _, f := range functions {
		invocations = append(invocations, p.functions[f.name].MetricInvocations(sum(period)))
	}
	awscloudwatch.NewDashboard(p.Construct, jsii.String("Dashboard"), &awscloudwatch.DashboardProps{
		DashboardName: jsii.String("rotor-" + p.props.Stage),
		Widgets: &[]*[]awscloudwatch.IWidget{{
			awscloudwatch.NewAlarmStatusWidget(&awscloudwatch.AlarmStatusWidgetProps{Title: jsii.String("Alarms"), Alarms: &p.alarms, Width: jsii.Number(24)}),
			graph("Refreshes", p.count(audit.MetricExchanged), p.count(audit.MetricReused), p.count(audit.MetricRefused)),
			graph("Refused, by cause", p.refusals(audit.MetricRefused, "", "GROUP BY metric_cause")),
			graph("Authorization codes", p.count(audit.MetricCode), p.count(audit.MetricNoCode), p.refusals(audit.MetricNoCode, "", "GROUP BY metric_cause")),
			graph("Reuse", p.count(audit.MetricReuse), p.count(audit.MetricObserved), p.count(audit.MetricElsewhere), p.count(audit.MetricLate), p.count(audit.MetricAhead)),
			graph("Families ended", p.count(audit.MetricRevoked), p.count(audit.MetricRemoved)),
			graph("Age of superseded tokens, ms", p.rotorMetric(audit.MetricReuseAge, options("p50", period)), p.rotorMetric(audit.MetricReuseAge, options("p99", period))),
			graph("Invocations", invocations...),
			graph("Clients not believed", p.count(audit.MetricInvalid)),
			graph("Secrets added, introspection and observation switched on", p.count(audit.MetricSecret), p.count(audit.MetricIntrospect), p.count(audit.MetricObserve)),
			graph("Browsers refused for their origin", p.count(audit.MetricOrigin)),
			graph("Answers", p.apiMetric("Count", "Sum"), p.apiMetric("4xx", "Sum"), p.apiMetric("5xx", "Sum")),
			graph("Latency, ms", p.apiMetric("Latency", "p50"), p.apiMetric("Latency", "p99")),
			graph("Table", p.tableMetric("ConsumedReadCapacityUnits"), p.tableMetric("ConsumedWriteCapacityUnits"), p.tableMetric("ReadThrottleEvents"), p.tableMetric("WriteThrottleEvents")),
		}},
	})
}

// queries are the queries of CloudWatch Logs Insights that are saved, and may be pasted there as well. The first line of
// each is its name. The name of its file is part of its logical id.
//
//go:embed queries/*.txt
var queries embed.FS

// saveQueries adds the saved queries, over the logs of all functions.
func (p *Service) saveQueries() {
	var logs []any
	for _, f := range functions {
		logs = append(logs, p.functions[f.name].LogGroup().LogGroupName())
	}
	files, _ := queries.ReadDir("queries")
	for _, file := range files {
		text, _ := queries.ReadFile("queries/" + file.Name())
		name, query, _ := strings.Cut(strings.TrimPrefix(string(text), "# "), "\n")
		id := "Query" + capitalized(strings.TrimSuffix(file.Name(), ".txt"))
		awslogs.NewCfnQueryDefinition(p.Construct, &id, &awslogs.CfnQueryDefinitionProps{
			Name:          jsii.String("rotor-" + p.props.Stage + "/" + name),
			QueryString:   jsii.String(strings.TrimSpace(query)),
			LogGroupNames: &logs,
		})
	}
}
