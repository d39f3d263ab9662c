package audit

import (
	"log/slog"
	"slices"

	"github.com/rotor-auth/rotor/shared/family"
)

// Namespace is the CloudWatch namespace of the metrics.
const Namespace = "Rotor"

// The metrics. All are counts except ReuseAge, which is how many milliseconds ago a
// token was superseded when it came back, within the reuse interval or after it.
// Each metric exists for all clients together and for each client, and Refused for
// each client and cause as well. Those of the management API exist only for all
// clients together. All have the dimension stage, if there is one.
const (
	MetricExchanged  = "Exchanged"
	MetricRefused    = "Refused" // tokens
	MetricCode       = "CodeExchanged"
	MetricNoCode     = "CodeRefused"
	MetricAssertion  = "AssertionExchanged"
	MetricNoAssert   = "AssertionRefused"
	MetricInvalid    = "InvalidClient"   // clients that failed to authenticate
	MetricReused     = "Reused"          // inside the interval
	MetricElsewhere  = "ReusedElsewhere" // inside the interval, from another address
	MetricReuse      = "ReuseDetected"
	MetricObserved   = "ReuseObserved"
	MetricReuseAge   = "ReuseAge"
	MetricLate       = "LateUse" // superseded tokens of bound families, outside the interval
	MetricDevice     = "DeviceRenewed"
	MetricNoDevice   = "DeviceNotRenewed" // requests whose device cookie was to be renewed first
	MetricRevoked    = "Revoked"          // families, on request
	MetricRemoved    = "Removed"          // families, by the limit
	MetricAhead      = "Ahead"
	MetricOrigin     = "OriginRefused" // requests from web origins that may not call, preflights among them
	MetricSecret     = "SecretAdded"
	MetricIntrospect = "MayIntrospectOn"
	MetricObserve    = "ObserveOn"
	DimensionStage   = "stage"
	dimensionClient  = "client"
	dimensionCause   = "metric_cause" // the line has a cause already, which may be empty
	unitCount        = "Count"
	unitMilliseconds = "Milliseconds"
)

type metric struct {
	Name string `json:"Name"`
	Unit string `json:"Unit"`
}

// directive is the metadata object of CloudWatch's embedded metric format.
type directive struct {
	Timestamp         int64          `json:"Timestamp"`
	CloudWatchMetrics []metricsOfSet `json:"CloudWatchMetrics"`
}

type metricsOfSet struct {
	Namespace  string     `json:"Namespace"`
	Dimensions [][]string `json:"Dimensions"`
	Metrics    []metric   `json:"Metrics"`
}

// metrics returns the members that make CloudWatch count e: values, dimensions, and
// the directive that names them. Only ids of registered clients become dimensions,
// because each dimension costs money and anyone can make up ids.
func (e *Event) metrics(stage string) []slog.Attr {
	var attrs []slog.Attr
	var metrics []metric
	add := func(name string, value int64, unit string) {
		attrs = append(attrs, slog.Int64(name, value))
		metrics = append(metrics, metric{name, unit})
	}
	count := func(name string) { add(name, 1, unitCount) }
	switch e.Type {
	case Exchanged:
		count(MetricExchanged)
		if e.Reused {
			count(MetricReused)
			add(MetricReuseAge, e.Age.Milliseconds(), unitMilliseconds)
			if e.OtherIP {
				count(MetricElsewhere)
			}
		}
		if e.Late {
			count(MetricLate)
			add(MetricReuseAge, e.Age.Milliseconds(), unitMilliseconds)
		}
	case Refused:
		if e.Cause == InvalidClient {
			count(MetricInvalid)
		} else {
			count(MetricRefused)
		}
	case CodeExchanged:
		count(MetricCode)
	case CodeRefused:
		count(MetricNoCode)
	case AssertionExchanged:
		count(MetricAssertion)
	case AssertionRefused:
		count(MetricNoAssert)
	case DeviceRenewed:
		count(MetricDevice)
	case DeviceNotRenewed:
		count(MetricNoDevice)
	case Reuse:
		if e.Observed {
			count(MetricObserved)
		} else {
			count(MetricReuse)
		}
		if e.OriginToken != family.Code { // people choose a reuse interval by these ages, and it does not bind a code
			add(MetricReuseAge, e.Age.Milliseconds(), unitMilliseconds)
		}
	case Revoked:
		if e.Family != (family.ID{}) {
			count(MetricRevoked)
		} else {
			add(MetricRevoked, int64(e.Removed), unitCount)
		}
	case Cleanup:
		add(MetricRemoved, int64(e.Removed), unitCount)
	case Ahead:
		count(MetricAhead)
	case OriginRefused: // no origin is a dimension, because anyone can make up any number of them
		count(MetricOrigin)
	case Operation:
		for _, c := range e.Changes {
			switch c { // the other changes have no metric
			case SecretAdded, KeyAdded: // either is one more way to authenticate as the client
				count(MetricSecret)
			case MayIntrospectOn:
				count(MetricIntrospect)
			case ObserveOn:
				count(MetricObserve)
			}
		}
	}
	if len(metrics) == 0 {
		return nil
	}
	all := []string{}
	if stage != "" {
		all = append(all, DimensionStage)
	}
	dimensions := [][]string{all}
	if e.ofRegistered() {
		attrs = append(attrs, slog.String(dimensionClient, Hide(e.ClientID)))
		dimensions = append(dimensions, append(slices.Clip(all), dimensionClient))
		if (e.Type == Refused || e.Type == CodeRefused || e.Type == AssertionRefused) && e.Cause != InvalidClient {
			attrs = append(attrs, slog.String(dimensionCause, string(e.Cause)))
			dimensions = append(dimensions, append(slices.Clip(all), dimensionClient, dimensionCause))
		}
	}
	return append(attrs, slog.Any("_aws", directive{
		Timestamp:         e.At.UnixMilli(),
		CloudWatchMetrics: []metricsOfSet{{Namespace, dimensions, metrics}},
	}))
}

// ofRegistered reports whether the client in e is certainly registered. The client
// of a revocation of several families, or of an operation, is whatever the request
// named.
func (e *Event) ofRegistered() bool {
	switch e.Type {
	case Exchanged, Refused, CodeExchanged, CodeRefused, AssertionExchanged, AssertionRefused, DeviceRenewed, DeviceNotRenewed, Cleanup:
		return e.ClientID != "" && !e.Unregistered
	case Reuse, Revoked, Ahead:
		return e.ClientID != "" && e.Family != (family.ID{})
	default:
		return false
	}
}
