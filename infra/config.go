package main

import (
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rotor-auth/rotor/shared/origin"
)

// config is the configuration of a deployment, from the CDK context: `-c key=value` on the command line, or "context"
// in cdk.json. Every key is optional.
type config struct {
	stage               string // stage: a part of every name, so that one account can have several deployments
	domain              string // domain: the API's domain name, instead of API Gateway's own
	basePath            string // basePath: the issuer's path under the domain, which can then serve other APIs as well
	certificateARN      string // certificateArn: the domain's certificate in ACM, in the stack's region
	hostedZoneID        string // hostedZoneId: the Route 53 zone to add the domain's record to; without it, add the record yourself
	origins             origin.Set
	logRetentionDays    int
	familyRetentionDays int
	eventRetentionDays  int
	sweepMinutes        int            // between two sweeps
	throttleRate        int            // requests per second that the API accepts, sustained
	throttleBurst       int            // requests that it accepts at once
	routeRates          map[string]int // revokeRate, introspectRate, …: requests per second that one route accepts
	warmWriteUnits      int            // writes per second that the table must be ready for; 0 is a new table's default
	provisioned         int            // provisionedConcurrency: environments of the function token that are always running
	alarmEmail          string
	signingAlgorithm    string
}

// contextKeys are the keys that loadConfig accepts.
var contextKeys = []string{
	"stage", "domain", "basePath", "certificateArn", "hostedZoneId", "origins", "logRetentionDays", "familyRetentionDays",
	"eventRetentionDays", "sweepMinutes", "throttleRate", "throttleBurst", "warmWriteUnits", "provisionedConcurrency",
	"alarmEmail", "signingAlgorithm",
	"revokeRate", "introspectRate", "discoveryRate", "manageRate", "otherRate",
}

// rateShares are the default rates of the routes, in hundredths of throttleRate. Introspections may be as frequent as
// refreshes, one for each request to an API. The other requests are rarer.
var rateShares = map[string]int{"introspectRate": 100, "revokeRate": 25, "discoveryRate": 25, "manageRate": 20, "otherRate": 2}

// newTableWrites is the warm throughput of a new table, which is the least there can be.
const newTableWrites = 4000

// logRetentions are the numbers of days that CloudWatch Logs accepts.
var logRetentions = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

var (
	stageName      = regexp.MustCompile(`^[a-z][a-z0-9-]{0,19}$`)
	domainName     = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)
	basePath       = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$`)
	certificateARN = regexp.MustCompile(`^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+$`)
	hostedZoneID   = regexp.MustCompile(`^Z[A-Z0-9]{1,31}$`)
)

// loadConfig reads the context. Its error joins everything that is wrong. Each part names the key and says what its
// value must be.
func loadConfig(values map[string]any) (config, error) {
	c := contextReader{values: values}
	c.unknown()
	cfg := config{
		stage:               c.matching("stage", "prod", stageName, "at most 20 small letters, digits and dashes, a letter first"),
		domain:              c.matching("domain", "", domainName, "a domain name in small letters, like auth.example.com"),
		basePath:            c.matching("basePath", "", basePath, "a path like auth or auth/eu, of letters, digits, dots, dashes and underscores"),
		certificateARN:      c.matching("certificateArn", "", certificateARN, "the ARN of a certificate in ACM"),
		hostedZoneID:        c.matching("hostedZoneId", "", hostedZoneID, "the id of a hosted zone in Route 53, like Z0123456789ABC"),
		origins:             c.origins("origins"),
		logRetentionDays:    c.number("logRetentionDays", 90, 3653),
		familyRetentionDays: c.number("familyRetentionDays", 30, 3650),
		eventRetentionDays:  c.number("eventRetentionDays", 90, 3650),
		sweepMinutes:        c.number("sweepMinutes", 5, 60),
		throttleRate:        c.number("throttleRate", 1000, 1000000),
		throttleBurst:       c.number("throttleBurst", 2000, 1000000),
		warmWriteUnits:      c.number("warmWriteUnits", 0, 1000000),
		provisioned:         c.number("provisionedConcurrency", 0, 100000),
		alarmEmail:          c.email("alarmEmail"),
		signingAlgorithm:    c.text("signingAlgorithm", "RS256"),
	}
	cfg.routeRates = map[string]int{}
	for _, key := range slices.Sorted(maps.Keys(rateShares)) {
		cfg.routeRates[key] = c.number(key, max(1, cfg.throttleRate*rateShares[key]/100), 1000000)
	}
	if !slices.Contains(logRetentions, cfg.logRetentionDays) {
		c.wrong("logRetentionDays", cfg.logRetentionDays, "one of CloudWatch's: "+strings.Trim(fmt.Sprint(logRetentions), "[]"))
	}
	if (cfg.domain == "") != (cfg.certificateARN == "") {
		c.errs = append(c.errs, errors.New("domain and certificateArn go together: set both or neither"))
	}
	if cfg.basePath != "" && cfg.domain == "" {
		c.errs = append(c.errs, errors.New("basePath is set without domain: API Gateway's own address has no paths to give"))
	}
	if cfg.hostedZoneID != "" && cfg.domain == "" {
		c.errs = append(c.errs, errors.New("hostedZoneId is set without domain: it is where the domain's record goes"))
	}
	if cfg.throttleBurst < cfg.throttleRate {
		c.wrong("throttleBurst", cfg.throttleBurst, fmt.Sprintf("no smaller than throttleRate, which is %d", cfg.throttleRate))
	}
	if n := cfg.warmWriteUnits; n > 0 && n < newTableWrites {
		c.wrong("warmWriteUnits", n, fmt.Sprintf("at least %d, which a new table takes anyway", newTableWrites))
	}
	if cfg.signingAlgorithm != "RS256" && cfg.signingAlgorithm != "ES256" {
		c.wrong("signingAlgorithm", cfg.signingAlgorithm, "RS256 or ES256")
	}
	return cfg, errors.Join(c.errs...)
}

// contextReader reads the context and collects the errors in it. On the command line every value is text. In cdk.json
// it may be a number or a list.
type contextReader struct {
	values map[string]any
	errs   []error
}

func (c *contextReader) wrong(key string, value any, want string) {
	c.errs = append(c.errs, fmt.Errorf("context %s is %q: it must be %s", key, fmt.Sprint(value), want))
}

// unknown reports keys that nothing reads, because a misspelled key must not be ignored. CDK's own keys contain a
// colon, a slash or an @, or are named here.
func (c *contextReader) unknown() {
	for _, key := range slices.Sorted(maps.Keys(c.values)) {
		if strings.ContainsAny(key, ":/@") || key == "cli-telemetry" || slices.Contains(contextKeys, key) {
			continue
		}
		c.errs = append(c.errs, fmt.Errorf("context %s is not known: there are %s", key, strings.Join(contextKeys, ", ")))
	}
}

func (c *contextReader) text(key, unset string) string {
	switch v := c.values[key].(type) {
	case nil:
		return unset
	case string:
		if v = strings.TrimSpace(v); v != "" {
			return v
		}
		return unset
	default:
		c.wrong(key, v, "text")
		return unset
	}
}

func (c *contextReader) matching(key, unset string, pattern *regexp.Regexp, want string) string {
	value := c.text(key, unset)
	if value != "" && !pattern.MatchString(value) {
		c.wrong(key, value, want)
	}
	return value
}

func (c *contextReader) number(key string, unset, high int) int {
	value, ok := c.values[key]
	if !ok || value == "" {
		return unset
	}
	n, err := strconv.Atoi(strings.TrimSpace(fmt.Sprint(value)))
	if err != nil || n < 1 || n > high {
		c.wrong(key, value, fmt.Sprintf("a whole number from 1 to %d", high))
		return unset
	}
	return n
}

func (c *contextReader) email(key string) string {
	value := c.text(key, "")
	if value == "" {
		return ""
	}
	if a, err := mail.ParseAddress(value); err != nil || a.Address != value {
		c.wrong(key, value, "an e-mail address, without a name")
	}
	return value
}

// origins reads web origins from a list, or from a text that separates them by commas.
func (c *contextReader) origins(key string) origin.Set {
	wrong := func(value, want string) { c.wrong(key, value, want) }
	switch v := c.values[key].(type) {
	case nil:
		return origin.Set{}
	case string:
		return origin.ParseSet(strings.Split(v, ","), wrong)
	case []any:
		given := make([]string, len(v))
		for i, o := range v {
			given[i] = fmt.Sprint(o)
		}
		return origin.ParseSet(given, wrong)
	default:
		c.wrong(key, v, "web origins as browsers send them, such as https://app.example.com, separated by commas, or *")
		return origin.Set{}
	}
}
