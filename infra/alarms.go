package rotor

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssnssubscriptions"
	"github.com/aws/jsii-runtime-go"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
)

// alarms has the properties of each alarm under CDK's names for them: its threshold, and what it says to who is woken.
//
//go:embed alarms.json
var alarms []byte

// refusalThreshold is how many refusals in a period are enough for a percentage of them to mean something.
const refusalThreshold = 50

// addAlarm adds an alarm that goes off when its metric reaches the threshold in one period, unless its properties say
// otherwise.
func (p *Service) addAlarm(name string, metric awscloudwatch.IMetric) {
	var all map[string]awscloudwatch.AlarmProps
	if err := json.Unmarshal(alarms, &all); err != nil {
		panic(err)
	}
	props := all[name]
	props.AlarmName, props.Metric = p.name(name), metric
	props.EvaluationPeriods = cmp.Or(props.EvaluationPeriods, jsii.Number(1))
	props.ComparisonOperator = cmp.Or(props.ComparisonOperator, awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD)
	props.TreatMissingData = cmp.Or(props.TreatMissingData, awscloudwatch.TreatMissingData_NOT_BREACHING)
	alarm := awscloudwatch.NewAlarm(p.Construct, jsii.String("Alarm "+name), &props)
	action := awscloudwatchactions.NewSnsAction(p.AlarmTopic)
	alarm.AddAlarmAction(action)
	alarm.AddOkAction(action)
	p.alarms = append(p.alarms, alarm)
}

func (p *Service) addAlarms() {
	sweep, keys := p.functions["sweep"], p.functions["keys"]
	// A percentage of a few requests means nothing.
	refused := func(refused, exchanged string) awscloudwatch.IMetric {
		return math("refused, %", fmt.Sprintf("IF(FILL(refused, 0) >= %d, 100 * FILL(refused, 0) / (FILL(refused, 0) + FILL(exchanged, 0)), 0)", refusalThreshold), map[string]awscloudwatch.IMetric{"refused": p.count(refused), "exchanged": p.count(exchanged)})
	}

	p.addAlarm("5xx", p.apiMetric("5xx", "Sum"))
	p.addAlarm("latency", p.apiMetric("Latency", "p99"))
	p.addAlarm("throttles", p.throttles())
	p.addAlarm("table-throttles", math("throttles of the table", "FILL(reads, 0) + FILL(writes, 0)", map[string]awscloudwatch.IMetric{
		"reads": p.tableMetric("ReadThrottleEvents"), "writes": p.tableMetric("WriteThrottleEvents"),
	}))
	p.addAlarm("reuse-detected", p.count(audit.MetricReuse))
	p.addAlarm("reused-elsewhere", p.rotorMetric(audit.MetricElsewhere, sum(15)))
	p.addAlarm("ahead", p.count(audit.MetricAhead))
	p.addAlarm("invalid-client", p.count(audit.MetricInvalid))
	p.addAlarm("origin-refused", p.count(audit.MetricOrigin))
	p.addAlarm("caller-refused", p.countMessages("CallerRefused", "manage", "caller refused"))
	p.addAlarm("secret-added", p.count(audit.MetricSecret))
	p.addAlarm("may-introspect", p.count(audit.MetricIntrospect))
	p.addAlarm("observe", p.count(audit.MetricObserve))
	p.addAlarm("refused", refused(audit.MetricRefused, audit.MetricExchanged))
	p.addAlarm("codes-refused", refused(audit.MetricNoCode, audit.MetricCode))
	p.addAlarm("sweep-failing", sweep.MetricErrors(sum(period)))
	p.addAlarm("sweep-dead-letters", p.deadLetters.MetricApproximateNumberOfMessagesVisible(options("Maximum", period)))
	p.addAlarm("sweep-behind", sweep.MetricInvocations(sum(3*p.props.SweepMinutes)))
	p.addAlarm("keys-failing", keys.MetricErrors(sum(period)))
	p.addAlarm("keys-revoked", p.countMessages("KeysRevoked", "keys", "keys revoked"))
	// Many refusals for one of these causes mean a mistake or an attack. Sessions that ended by age or by a logout have no
	// alarm, since there may be as many of them as users.
	for _, cause := range []family.Cause{family.ReuseDetected, family.LimitExceeded, family.NeverIssued, family.Purged, family.WrongClient} {
		p.addAlarm("refused-"+string(cause), p.refusals(audit.MetricRefused, string(cause), fmt.Sprintf("AND metric_cause = '%s'", cause)))
	}
}

// addTopic adds the topic of the alarms, unless there is one already, and a subscription to it.
func (p *Service) addTopic() {
	if arn := p.props.AlarmTopicArn; arn != "" {
		p.AlarmTopic = awssns.Topic_FromTopicArn(p.Construct, jsii.String("Alarms"), &arn)
	} else {
		p.AlarmTopic = awssns.NewTopic(p.Construct, jsii.String("Alarms"), &awssns.TopicProps{DisplayName: p.name("alarms"), EnforceSSL: jsii.Bool(true)})
		// A policy replaces a topic's default one, which lets everything in the account publish, so this allows CloudWatch again.
		publish := when("StringEquals", "aws:SourceAccount", p.stack.Account(), allow("sns:Publish", p.AlarmTopic.TopicArn()))
		publish.SetSid(jsii.String("Alarms"))
		publish.AddServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil)
		p.AlarmTopic.AddToResourcePolicy(publish)
	}
	if p.props.AlarmEmail != "" {
		p.AlarmTopic.AddSubscription(awssnssubscriptions.NewEmailSubscription(&p.props.AlarmEmail, nil))
	}
	output(p.Construct, "AlarmTopic", "the SNS topic of the alarms", p.AlarmTopic.TopicArn())
}
