package rotor

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"github.com/rotor-auth/rotor/shared/audit"
)

// period is the period of most metrics, in minutes.
const period = 5

// options returns the options of a metric: its statistic, and its period in minutes.
func options(statistic string, over int) *awscloudwatch.MetricOptions {
	return &awscloudwatch.MetricOptions{Statistic: &statistic, Period: minutes(over)}
}

// sum returns the options of a metric that is summed over a period.
func sum(over int) *awscloudwatch.MetricOptions { return options("Sum", over) }

// rotorMetric returns one of the stage's own metrics, over all clients.
func (p *Service) rotorMetric(name string, o *awscloudwatch.MetricOptions) awscloudwatch.IMetric {
	return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
		Namespace: jsii.String(audit.Namespace), MetricName: &name, Statistic: o.Statistic, Period: o.Period,
		DimensionsMap: &map[string]*string{audit.DimensionStage: &p.props.Stage},
	})
}

// count returns the sum of one of the stage's own metrics.
func (p *Service) count(name string) awscloudwatch.IMetric { return p.rotorMetric(name, sum(period)) }

// countMessages returns the number of a function's log messages that have no metric of their own. A filter counts them.
func (p *Service) countMessages(name, function, message string) awscloudwatch.IMetric {
	awslogs.NewMetricFilter(p.Construct, &name, &awslogs.MetricFilterProps{
		LogGroup:        p.functions[function].LogGroup(),
		FilterPattern:   awslogs.FilterPattern_StringValue(jsii.String("$.message"), jsii.String("="), &message),
		MetricNamespace: jsii.String(audit.Namespace),
		MetricName:      &name,
		Dimensions:      &map[string]*string{audit.DimensionStage: jsii.String("$." + audit.DimensionStage)},
	})
	return p.count(name)
}

// tableMetric returns the sum of a metric of the table.
func (p *Service) tableMetric(name string) awscloudwatch.IMetric {
	return p.Table.Metric(&name, sum(period))
}

// math returns a metric that is computed from others, each of which the expression refers to by its name.
func math(label, expression string, metrics map[string]awscloudwatch.IMetric) awscloudwatch.IMetric {
	return awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
		Label: &label, Expression: &expression, UsingMetrics: &metrics, Period: minutes(period),
	})
}

// throttles returns the sum of all functions' throttles.
func (p *Service) throttles() awscloudwatch.IMetric {
	metrics := map[string]awscloudwatch.IMetric{}
	var terms []string
	for _, f := range functions {
		metrics[f.name] = p.functions[f.name].MetricThrottles(sum(period))
		terms = append(terms, "FILL("+f.name+", 0)")
	}
	return math("throttles", strings.Join(terms, " + "), metrics)
}

// refusals returns the refusals, of refresh tokens or of codes, that a query's rest selects or groups. They exist for each client and cause.
func (p *Service) refusals(metric, label, rest string) awscloudwatch.IMetric {
	query := fmt.Sprintf(`SELECT SUM(%s) FROM SCHEMA("%s", "stage", client, metric_cause) WHERE "stage" = '%s' `, metric, audit.Namespace, p.props.Stage)
	return math(label, query+rest, nil)
}
