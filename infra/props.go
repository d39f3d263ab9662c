package rotor

import (
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"

	"github.com/rotor-auth/rotor/shared/origin"
)

// ServiceProps configures a [Service]. The zero value of each field is its default. All but the code is optional. Text
// may be a token of CDK, such as the ARN of a resource in the same app.
//
// Each field is also a key of CDK's context, with a small first letter, unless its tag says otherwise.
type ServiceProps struct {
	Stage string // part of every name, so that an account can have several services; prod

	Domain         string // the API's domain name, instead of API Gateway's own
	CertificateArn string // the domain's certificate in ACM, in the region of the stack
	BasePath       string // the issuer's path under the domain, which can then serve other APIs as well
	HostedZoneId   string // the Route 53 zone to add the domain's record to

	// Edge puts CloudFront with the web ACL in front of the domain, and the API refuses what did not come through it.
	// Certificate and web ACL are in us-east-1; NewFirewall makes a web ACL.
	Edge                          bool
	EdgeCertificateArn, WebAclArn string
	FirewallRate                  int // requests of one address in five minutes, for NewFirewall; 10000

	Origins             []string // the web origins that may refresh and revoke besides the issuer's own
	SigningAlgorithm    string   // of new signing keys, RS256 or ES256; RS256
	FamilyRetentionDays int      // how long the record of a family outlives its end; 30
	EventRetentionDays  int      // how long events are stored; 90
	SweepMinutes        int      // between two sweeps; 5

	// Requests per second, sustained and at once: 1000 and 2000. Each route has its own limit. That of /oauth/token is
	// ThrottleRate, and the others' default is a share of it (see rateShares).
	ThrottleRate, ThrottleBurst                                      int
	IntrospectRate, RevokeRate, DiscoveryRate, ManageRate, OtherRate int

	TableName              string            // an existing table to use instead of a new one
	WarmWriteUnits         int               // writes per second that a new table must be ready for
	ProvisionedConcurrency int               // environments of the function token that are always running
	KmsKeyArn              string            // the key that encrypts the table and the secret, instead of AWS's own
	PermissionsBoundaryArn string            // a managed policy that bounds all roles
	Tags                   map[string]string // of all resources
	AlarmTopicArn          string            // an existing SNS topic for the alarms, which must let CloudWatch publish
	AlarmEmail             string            // who gets the alarms, once the subscription is confirmed
	LogRetentionDays       int               // 90
	Tracing                bool              // sends traces of the functions to X-Ray

	// What happens to the table and the keys, and to the logs, when they are deleted from the stack: RETAIN, or DESTROY
	// for previews. In the context, retain=false sets both to DESTROY.
	TableRemoval, LogRemoval awscdk.RemovalPolicy `context:"-"`

	// The functions' zips, for the Architecture arm64 (the default) or x86_64, come from a folder such as dist/arm64 of
	// `make build`, or from a bucket that has the files of a release under a prefix.
	Architecture           string
	ZipFolder              string `context:"-"`
	CodeBucket, CodePrefix string `context:"-"`
}

// rateShares are the default rates of the routes, in hundredths of ThrottleRate. Introspections may be as frequent as
// refreshes, one for each request to an API. The other requests are rarer.
var rateShares = map[string]int{"IntrospectRate": 100, "RevokeRate": 25, "DiscoveryRate": 25, "ManageRate": 20, "OtherRate": 2}

// newTableWrites is the warm throughput of a new table, which is the least there can be.
const newTableWrites = 4000

// logRetentions are the numbers of days that CloudWatch Logs accepts.
var logRetentions = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// Validate returns an error that joins everything that is wrong. Each part names the field and says what its value must
// be. [NewService] panics with this error.
func (p ServiceProps) Validate() error {
	c := checker{name: propName}
	c.settings(&p)
	c.code(&p)
	return c.err()
}

func propName(field string) string { return "ServiceProps." + field }

// checker collects what is wrong in props.
type checker struct {
	name  func(field string) string
	given map[string]string // by field, what was given for numbers in the context
	errs  []error
}

func (c *checker) err() error { return errors.Join(c.errs...) }

func (c *checker) wrong(field string, value any, want string) {
	if given, ok := c.given[field]; ok {
		value = given
	}
	c.errs = append(c.errs, fmt.Errorf("%s is %q: it must be %s", c.name(field), fmt.Sprint(value), want))
}

// conflict reports a field that is set although it must not be: without another one, or beside it.
func (c *checker) conflict(found bool, field, how, other, why string) {
	if found {
		c.errs = append(c.errs, fmt.Errorf("%s is set %s %s: %s", c.name(field), how, c.name(other), why))
	}
}

// number sets a field to its default, or checks it.
func (c *checker) number(field string, value *int, unset, high int) {
	if *value == 0 {
		*value = unset
	} else if *value < 1 || *value > high {
		c.wrong(field, *value, fmt.Sprintf("a whole number from 1 to %d", high))
		*value = unset
	}
}

// texts are the fields with the form of their text.
var texts = []struct{ field, unset, form, want string }{
	{"Stage", "prod", `[a-z][a-z0-9-]{0,19}`, "at most 20 small letters, digits and dashes, a letter first"},
	{"Domain", "", `([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?`, "a domain name in small letters, like auth.example.com"},
	{"BasePath", "", `[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*`, "a path like auth or auth/eu, of letters, digits, dots, dashes and underscores"},
	{"CertificateArn", "", `arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+`, "the ARN of a certificate in ACM"},
	{"EdgeCertificateArn", "", `arn:aws[a-z-]*:acm:us-east-1:[0-9]{12}:certificate/[A-Za-z0-9-]+`, "the ARN of a certificate in ACM, in us-east-1"},
	{"WebAclArn", "", `arn:aws[a-z-]*:wafv2:us-east-1:[0-9]{12}:global/webacl/[A-Za-z0-9_/-]+`, "the ARN of a web ACL for CloudFront, in us-east-1"},
	{"HostedZoneId", "", `Z[A-Z0-9]{1,31}`, "the id of a hosted zone in Route 53, like Z0123456789ABC"},
	{"TableName", "", `[A-Za-z0-9_.-]{3,255}`, "the name of a DynamoDB table"},
	{"KmsKeyArn", "", `arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+`, "the ARN of a key in KMS, not of an alias"},
	{"AlarmTopicArn", "", `arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}`, "the ARN of a standard topic in SNS"},
	{"PermissionsBoundaryArn", "", `arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9+=,.@_/-]+`, "the ARN of a managed policy"},
	{"SigningAlgorithm", "RS256", `RS256|ES256`, "RS256 or ES256"},
	{"Architecture", "arm64", `arm64|x86_64`, "arm64 or x86_64"},
}

// settings sets all fields but the code to their defaults or checks them.
func (c *checker) settings(p *ServiceProps) {
	fields := reflect.ValueOf(p).Elem()
	for _, t := range texts {
		value := fields.FieldByName(t.field)
		if text := value.String(); text == "" {
			value.SetString(t.unset)
		} else if !isToken(text) && !regexp.MustCompile(`^(`+t.form+`)$`).MatchString(text) {
			c.wrong(t.field, text, t.want)
		}
	}
	c.number("LogRetentionDays", &p.LogRetentionDays, 90, 3653)
	c.number("FamilyRetentionDays", &p.FamilyRetentionDays, 30, 3650)
	c.number("EventRetentionDays", &p.EventRetentionDays, 90, 3650)
	c.number("SweepMinutes", &p.SweepMinutes, 5, 60)
	c.number("ThrottleRate", &p.ThrottleRate, 1000, 1000000)
	c.number("ThrottleBurst", &p.ThrottleBurst, 2000, 1000000)
	c.number("FirewallRate", &p.FirewallRate, 10000, 2000000000)
	c.number("WarmWriteUnits", &p.WarmWriteUnits, 0, 1000000)
	c.number("ProvisionedConcurrency", &p.ProvisionedConcurrency, 0, 100000)
	for _, field := range slices.Sorted(maps.Keys(rateShares)) {
		c.number(field, fields.FieldByName(field).Addr().Interface().(*int), max(1, p.ThrottleRate*rateShares[field]/100), 1000000)
	}
	if !slices.Contains(logRetentions, p.LogRetentionDays) {
		c.wrong("LogRetentionDays", p.LogRetentionDays, "one of CloudWatch's: "+strings.Trim(fmt.Sprint(logRetentions), "[]"))
	}
	if p.ThrottleBurst < p.ThrottleRate {
		c.wrong("ThrottleBurst", p.ThrottleBurst, fmt.Sprintf("no smaller than %s, which is %d", c.name("ThrottleRate"), p.ThrottleRate))
	}
	if n := p.WarmWriteUnits; n > 0 && n < newTableWrites {
		c.wrong("WarmWriteUnits", n, fmt.Sprintf("at least %d, which a new table takes anyway", newTableWrites))
	}
	if a, err := mail.ParseAddress(p.AlarmEmail); p.AlarmEmail != "" && !isToken(p.AlarmEmail) && (err != nil || a.Address != p.AlarmEmail) {
		c.wrong("AlarmEmail", p.AlarmEmail, "an e-mail address, without a name")
	}
	if !slices.ContainsFunc(p.Origins, isToken) {
		p.Origins = []string{origin.ParseSet(p.Origins, func(value, want string) { c.wrong("Origins", value, want) }).String()}
	}
	for _, field := range []struct {
		name  string
		value *awscdk.RemovalPolicy
	}{{"TableRemoval", &p.TableRemoval}, {"LogRemoval", &p.LogRemoval}} {
		if *field.value == "" {
			*field.value = awscdk.RemovalPolicy_RETAIN
		} else if *field.value != awscdk.RemovalPolicy_RETAIN && *field.value != awscdk.RemovalPolicy_DESTROY {
			c.wrong(field.name, *field.value, "RETAIN or DESTROY")
		}
	}
	c.conflict(p.Domain != "" && p.CertificateArn == "", "Domain", "without", "CertificateArn", "a domain needs a certificate")
	if p.Domain == "" {
		c.conflict(p.CertificateArn != "", "CertificateArn", "without", "Domain", "it is the domain's certificate")
		c.conflict(p.BasePath != "", "BasePath", "without", "Domain", "API Gateway's own address has no paths to give")
		c.conflict(p.HostedZoneId != "", "HostedZoneId", "without", "Domain", "it is where the domain's record goes")
	}
	if p.Edge {
		c.conflict(p.Domain == "", "Edge", "without", "Domain", "callers of /v1 sign the host, which must be the same at the edge and at the API")
		c.conflict(p.EdgeCertificateArn == "", "Edge", "without", "EdgeCertificateArn", "CloudFront needs a certificate in us-east-1")
		c.conflict(p.WebAclArn == "", "Edge", "without", "WebAclArn", "make deploy-firewall makes one")
	}
	c.conflict(p.WarmWriteUnits > 0 && p.TableName != "", "WarmWriteUnits", "beside", "TableName", "an existing table has units of its own")
}

func isToken(text string) bool { return *awscdk.Token_IsUnresolved(text) }

// code checks where the zips come from.
func (c *checker) code(p *ServiceProps) {
	switch {
	case p.ZipFolder != "" && p.CodeBucket != "":
		c.errs = append(c.errs, errors.New("ServiceProps.ZipFolder and ServiceProps.CodeBucket are both set: it must be only one of them"))
	case p.ZipFolder != "":
		for _, f := range functions {
			if _, err := os.Stat(p.zip(f.name)); err != nil {
				c.errs = append(c.errs, fmt.Errorf("%w: run make build", err))
			}
		}
	case p.CodeBucket == "":
		c.errs = append(c.errs, errors.New("ServiceProps.ZipFolder is not set: it must be a folder with the functions' zips (or ServiceProps.CodeBucket a bucket with them)"))
	}
}

func (p *ServiceProps) zip(function string) string { return p.ZipFolder + "/" + function + ".zip" }

// contextKeys returns the keys that [PropsFromContext] accepts, with their fields.
func contextKeys() (keys []string, fields map[string]string) {
	fields = map[string]string{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[ServiceProps]()) {
		if f.Tag.Get("context") == "" {
			key := contextKey(f.Name)
			keys, fields[key] = append(keys, key), f.Name
		}
	}
	return append(keys, "retain"), fields
}

func contextKey(field string) string { return strings.ToLower(field[:1]) + field[1:] }

// PropsFromContext reads the context of a CDK app: `-c key=value` on the command line, or "context" in cdk.json. On the
// command line every value is text. In cdk.json it may be a number, a list or an object. The error joins everything
// that is wrong, keys that are not known among it. The code is left to the caller.
func PropsFromContext(values map[string]any) (*ServiceProps, error) {
	var p ServiceProps
	c := checker{name: func(field string) string { return "context " + contextKey(field) }, given: map[string]string{}}
	keys, fields := contextKeys()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		value := values[key]
		if text, ok := value.(string); ok {
			value = strings.TrimSpace(text)
		}
		switch field, known := fields[key]; {
		case value == "" || value == nil || strings.ContainsAny(key, ":/@") || key == "cli-telemetry": // CDK's own
		case known:
			c.set(field, reflect.ValueOf(&p).Elem().FieldByName(field), value)
		case key == "retain":
			retain, err := strconv.ParseBool(fmt.Sprint(value))
			if err != nil {
				c.wrong("Retain", value, "true or false")
			} else if !retain {
				p.TableRemoval, p.LogRemoval = awscdk.RemovalPolicy_DESTROY, awscdk.RemovalPolicy_DESTROY
			}
		default:
			c.errs = append(c.errs, fmt.Errorf("context %s is not known: there are %s", key, strings.Join(keys, ", ")))
		}
	}
	complete := p
	c.settings(&complete)
	return &p, c.err()
}

// set sets a field to a value of the context.
func (c *checker) set(field string, to reflect.Value, value any) {
	text, isText := value.(string)
	switch to.Kind() {
	case reflect.Int:
		n, err := strconv.Atoi(fmt.Sprint(value))
		if err != nil || n < 1 {
			n = -1 // is refused, with what was given
		}
		c.given[field] = fmt.Sprint(value)
		to.SetInt(int64(n))
	case reflect.String:
		if !isText {
			c.wrong(field, value, "text")
		}
		to.SetString(text)
	case reflect.Bool:
		yes, err := strconv.ParseBool(fmt.Sprint(value))
		if err != nil {
			c.wrong(field, value, "true or false")
		}
		to.SetBool(yes)
	case reflect.Map:
		c.pairs(field, to, value)
	default: // a list
		given := strings.Split(text, ",")
		if list, ok := value.([]any); ok {
			given = nil
			for _, v := range list {
				given = append(given, fmt.Sprint(v))
			}
		} else if !isText {
			c.wrong(field, value, "web origins as browsers send them, such as https://app.example.com, separated by commas, or *")
		}
		to.Set(reflect.ValueOf(given))
	}
}

// pairs sets a map to an object, or to text that has its pairs separated by commas.
func (c *checker) pairs(field string, to reflect.Value, value any) {
	pairs := map[string]string{}
	if object, ok := value.(map[string]any); ok {
		for k, v := range object {
			pairs[k] = fmt.Sprint(v)
		}
	} else {
		for pair := range strings.SplitSeq(fmt.Sprint(value), ",") {
			k, v, ok := strings.Cut(pair, "=")
			if k = strings.TrimSpace(k); !ok || k == "" {
				c.wrong(field, value, "pairs like team=auth,cost-center=42")
				return
			}
			pairs[k] = strings.TrimSpace(v)
		}
	}
	to.Set(reflect.ValueOf(pairs))
}
