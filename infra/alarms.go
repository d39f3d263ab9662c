package rotor

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssnssubscriptions"
	"github.com/aws/jsii-runtime-go"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
)

// refusalThreshold is how many refusals for one cause in a period set off its alarm.
const refusalThreshold = 50

// addAlarm adds an alarm that goes off when its metric reaches the threshold in one period, unless options say otherwise.
func (p *Service) addAlarm(name string, threshold float64, metric awscloudwatch.IMetric, description string, options ...func(*awscloudwatch.AlarmProps)) {
	props := &awscloudwatch.AlarmProps{
		AlarmName:          p.name(name),
		AlarmDescription:   &description,
		Metric:             metric,
		Threshold:          &threshold,
		EvaluationPeriods:  jsii.Number(1),
		ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
		TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
	}
	for _, option := range options {
		option(props)
	}
	alarm := awscloudwatch.NewAlarm(p.Construct, jsii.String("Alarm "+name), props)
	action := awscloudwatchactions.NewSnsAction(p.AlarmTopic)
	alarm.AddAlarmAction(action)
	alarm.AddOkAction(action)
	p.alarms = append(p.alarms, alarm)
}

// inARow makes an alarm go off when its metric has reached the threshold in so many periods in a row.
func inARow(periods int) func(*awscloudwatch.AlarmProps) {
	return func(a *awscloudwatch.AlarmProps) { a.EvaluationPeriods = jsii.Number(periods) }
}

// below makes an alarm go off when its metric is below the threshold, as it is when there is no data.
func below(a *awscloudwatch.AlarmProps) {
	a.ComparisonOperator = awscloudwatch.ComparisonOperator_LESS_THAN_THRESHOLD
	a.TreatMissingData = awscloudwatch.TreatMissingData_BREACHING
}

func (p *Service) addAlarms() {
	sweep, keys := p.functions["sweep"], p.functions["keys"]
	tableThrottles := math("throttles of the table", "FILL(reads, 0) + FILL(writes, 0)", map[string]awscloudwatch.IMetric{
		"reads": p.tableMetric("ReadThrottleEvents"), "writes": p.tableMetric("WriteThrottleEvents"),
	})
	// A percentage of a few requests means nothing.
	refused := func(refused, exchanged string) awscloudwatch.IMetric {
		return math("refused, %", fmt.Sprintf("IF(FILL(refused, 0) >= %d, 100 * FILL(refused, 0) / (FILL(refused, 0) + FILL(exchanged, 0)), 0)", refusalThreshold), map[string]awscloudwatch.IMetric{"refused": p.count(refused), "exchanged": p.count(exchanged)})
	}

	p.addAlarm("5xx", 5, p.apiMetric("5xx", "Sum"),
		"The API answers 5xx: storage or signing keys are unavailable, or a function fails. See the errors in the functions' logs.")
	p.addAlarm("latency", 2000, p.apiMetric("Latency", "p99"),
		"For 15 minutes, one request in a hundred has taken more than 2 s.", inARow(3))
	p.addAlarm("throttles", 1, p.throttles(),
		"Lambda refuses to run functions because the account's concurrency in this region is used up.")
	p.addAlarm("table-throttles", 10, tableThrottles,
		"DynamoDB throttles requests to the table: one partition gets more than its share, or traffic rises faster than on-demand capacity. Clients get 503 and retry.")
	p.addAlarm("reuse-detected", 1, p.count(audit.MetricReuse),
		"Reuse of a superseded token was detected and its family revoked. The token was stolen, an application loses its newest token, or several programs share one token. The saved query \"reuse detected\" shows the evidence.")
	p.addAlarm("reused-elsewhere", 10, p.rotorMetric(audit.MetricElsewhere, sum(15)),
		"Superseded tokens were accepted within the reuse interval, but from another address than the one that rotated. A few come from mobile networks or from programs that share one token; many suggest theft. For a client with the preset copies that runs on several machines, this is normal.")
	p.addAlarm("ahead", 1, p.count(audit.MetricAhead),
		"A token is newer than its record. The table was restored from a backup, or something other than Rotor wrote to it.")
	p.addAlarm("invalid-client", refusalThreshold, p.count(audit.MetricInvalid),
		fmt.Sprintf("In %[2]d minutes, %[1]d or more clients failed to authenticate. Somebody is guessing secrets, or an application has the wrong one. The saved query \"clients not believed\" shows which, and why.", refusalThreshold, period))
	p.addAlarm("origin-refused", refusalThreshold, p.count(audit.MetricOrigin),
		fmt.Sprintf("In %[2]d minutes, %[1]d or more requests of web pages were refused for their origin. Either an application's origin is missing from the setting origins, so that its users cannot refresh, or the page is somebody else's. The saved query \"web origins refused\" shows which.", refusalThreshold, period))
	p.addAlarm("caller-refused", 1, p.countMessages("CallerRefused", "manage", "caller refused"),
		"The management API was called without its gateway's IAM authorization: without an identity, or by another API. The call was refused. A route has lost its authorizer, or there is another way to the function. The log of the function manage names the API.")
	p.addAlarm("secret-added", 1, p.count(audit.MetricSecret),
		"A client has a new secret or key, with which it can be impersonated. Check that this was intended: the saved query \"who called the management API\" shows the caller.")
	p.addAlarm("may-introspect", 1, p.count(audit.MetricIntrospect),
		"A client may now introspect the access tokens of others. Check that this was intended: the saved query \"who called the management API\" shows the caller.")
	p.addAlarm("observe", 1, p.count(audit.MetricObserve),
		"Reuse by a client is now only observed, or for longer than before, so that stolen tokens keep working. Check that this was intended: the saved query \"who called the management API\" shows the caller.")
	p.addAlarm("refused", 20, refused(audit.MetricRefused, audit.MetricExchanged),
		"For 15 minutes, a fifth or more of all refreshes have been refused. The dashboard shows the causes.", inARow(3))
	p.addAlarm("codes-refused", 20, refused(audit.MetricNoCode, audit.MetricCode),
		"For 15 minutes, a fifth or more of all authorization codes have been refused, so that their users are not logged in. The saved query \"authorization codes refused\" shows the causes and clients.", inARow(3))
	p.addAlarm("sweep-failing", 1, sweep.MetricErrors(sum(period)),
		"The sweep that enforces the limit of families fails, or did not finish its list in time. The next sweep continues with the list.", inARow(2))
	p.addAlarm("sweep-dead-letters", 1, p.deadLetters.MetricApproximateNumberOfMessagesVisible(options("Maximum", period)),
		"A sweep was given up. The dead-letter queue has its message, with the reason. Purge the queue once the cause is fixed.")
	p.addAlarm("sweep-behind", 1, sweep.MetricInvocations(sum(3*p.props.SweepMinutes)),
		"There has been no sweep for three times the scheduled interval. Users may have more families than their limit.", below)
	p.addAlarm("keys-failing", 1, keys.MetricErrors(sum(period)),
		"The rotation of keys fails. The old keys stay in use. If there are none yet, the API answers 503.")
	p.addAlarm("keys-revoked", 1, p.countMessages("KeysRevoked", "keys", "keys revoked"),
		"Keys were revoked in an emergency, and the tokens under them are void. Check that this was intended: the log of the function keys names the keys, and docs/operations.md says what users notice.")
	// Many refusals for one of these causes mean a mistake or an attack. Sessions that ended by age or by a logout have no
	// alarm, since there may be as many of them as users.
	for _, c := range []struct{ cause, description string }{
		{string(family.ReuseDetected), "Tokens of families that were revoked for reuse are still presented. An application probably refreshes one token from several places."},
		{string(family.LimitExceeded), "Tokens of families that were ended by the limit are still presented. An application probably starts a new family when it should keep one."},
		{string(family.NeverIssued), "The tokens were never issued here. Somebody is guessing, or the secret holds other keys than before."},
		{string(family.Purged), "The records of the tokens are gone. They were lost, or the retention is too short."},
		{string(family.WrongClient), "The tokens belong to another client. An application uses the wrong client id, or the tokens were stolen."},
	} {
		p.addAlarm("refused-"+c.cause, refusalThreshold, p.refusals(audit.MetricRefused, c.cause, fmt.Sprintf("AND metric_cause = '%s'", c.cause)),
			fmt.Sprintf("In %[2]d minutes, %[1]d or more refreshes were refused for one cause. %[3]s", refusalThreshold, period, c.description))
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
