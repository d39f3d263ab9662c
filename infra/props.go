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

	// ListenerArn is an HTTPS listener of an Application Load Balancer with a certificate for the domain. It gets rules that
	// lead the public paths of the domain to their functions, and the HTTP API keeps /v1, at its own address. The rules take
	// some of the hundred priorities from ListenerPriority (100) on.
	ListenerArn      string
	ListenerPriority int

	// Edge puts CloudFront with the web ACL in front of the domain, and the API refuses what did not come through it.
	// Certificate and web ACL are in us-east-1; NewFirewall makes a web ACL.
	Edge                          bool
	EdgeCertificateArn, WebAclArn string
	FirewallRate                  int // requests of one address in five minutes, for NewFirewall; 10000

	AuthorizationEndpoint string   // the URL of the login page, to which /authorize leads and which the metadata name; none
	Origins               []string // the web origins that may refresh and revoke besides the issuer's own
	SigningAlgorithm      string   // of new signing keys, RS256 or ES256; RS256
	FamilyRetentionDays   int      // how long the record of a family outlives its end; 30
	EventRetentionDays    int      // how long events are stored; 90
	SweepMinutes          int      // between two sweeps; 5

	// Requests per second, sustained and at once: 1000 and 2000. Each route has its own limit. That of /oauth/token is
	// ThrottleRate, and the others' default is a share of it. Introspections may be as frequent as refreshes, one for each
	// request to an API. The other requests are rarer.
	ThrottleRate, ThrottleBurst                                      int
	IntrospectRate, RevokeRate, DiscoveryRate, ManageRate, OtherRate int

	// Write units per second that a new table always has, and may be scaled to, and the percentage of them in use that the
	// scaling aims at: 70. Without them the table is on demand.
	MinWriteUnits, MaxWriteUnits, WriteUtilization int

	TableName              string            // an existing table to use instead of a new one
	WarmWriteUnits         int               // writes per second that a new table must be ready for
	TokenMemory            int               // of the function token, in MB, with which its share of a CPU grows; 512
	ProvisionedConcurrency int               // environments of the function token that are always running
	KmsKeyArn              string            // the key that encrypts the table and the secret, instead of AWS's own
	PermissionsBoundaryArn string            // a managed policy that bounds all roles
	Tags                   map[string]string // of all resources
	AlarmTopicArn          string            // an existing SNS topic for the alarms, which must let CloudWatch publish
	AlarmEmail             string            // who gets the alarms, once the subscription is confirmed
	LogRetentionDays       int               // 90
	AccessLog              string            // whether the gateway logs each request, on or off; on
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

// newTableWrites is the warm throughput of a new table, which is the least there can be.
const newTableWrites = 4000

// logRetentions are the numbers of days that CloudWatch Logs accepts.
var logRetentions = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// Validate returns an error that joins everything that is wrong. Each part names the field and says what its value must
// be. [NewService] panics with this error.
func (p ServiceProps) Validate() error {
	var c checker
	c.settings(&p)
	c.code(&p)
	return errors.Join(c.errs...)
}

// checker collects what is wrong in props.
type checker struct {
	given map[string]string // by field, what the context has for numbers; nil if there is no context
	errs  []error
}

// name returns the name of a field where its value comes from.
func (c *checker) name(field string) string {
	if c.given != nil {
		return "context " + contextKey(field)
	}
	return "ServiceProps." + field
}

// check reports a field unless its value is as wanted.
func (c *checker) check(ok bool, field string, value any, want string) {
	if given, isNumber := c.given[field]; isNumber {
		value = given
	}
	if !ok {
		c.errs = append(c.errs, fmt.Errorf("%s is %q: it must be %s", c.name(field), fmt.Sprint(value), want))
	}
}

// conflict reports a field that is set although it must not be: without another one, or beside it.
func (c *checker) conflict(found bool, field, how, other, why string) {
	if found {
		c.errs = append(c.errs, fmt.Errorf("%s is set %s %s: %s", c.name(field), how, c.name(other), why))
	}
}

// number sets a field to its default, or checks it.
func (c *checker) number(field string, value *int, unset, low, high int) {
	ok := *value >= low && *value <= high
	c.check(ok || *value == 0, field, *value, fmt.Sprintf("a whole number from %d to %d", low, high))
	if !ok {
		*value = unset
	}
}

// texts are the fields with the form of their text.
var texts = []struct{ field, unset, form, want string }{
	{"Stage", "prod", `[a-z][a-z0-9-]{0,19}`, "at most 20 small letters, digits and dashes, a letter first"},
	{"Domain", "", `([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?`, "a domain name in small letters, like auth.example.com"},
	{"BasePath", "", `[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*`, "a path like auth or auth/eu, of letters, digits, dots, dashes and underscores"},
	{"CertificateArn", "", `arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+`, "the ARN of a certificate in ACM"},
	{"ListenerArn", "", `arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:listener/app/[A-Za-z0-9-]{1,32}/[0-9a-z]{16}/[0-9a-z]{16}`, "the ARN of a listener of an Application Load Balancer"},
	{"EdgeCertificateArn", "", `arn:aws[a-z-]*:acm:us-east-1:[0-9]{12}:certificate/[A-Za-z0-9-]+`, "the ARN of a certificate in ACM, in us-east-1"},
	{"WebAclArn", "", `arn:aws[a-z-]*:wafv2:us-east-1:[0-9]{12}:global/webacl/[A-Za-z0-9_/-]+`, "the ARN of a web ACL for CloudFront, in us-east-1"},
	{"AuthorizationEndpoint", "", `https://[a-z0-9][A-Za-z0-9._~:/?@!$&'()+,;=%-]*`, "the https URL of a login page, without a fragment"},
	{"HostedZoneId", "", `Z[A-Z0-9]{1,31}`, "the id of a hosted zone in Route 53, like Z0123456789ABC"},
	{"TableName", "", `[A-Za-z0-9_.-]{3,255}`, "the name of a DynamoDB table"},
	{"KmsKeyArn", "", `arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+`, "the ARN of a key in KMS, not of an alias"},
	{"AlarmTopicArn", "", `arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}`, "the ARN of a standard topic in SNS"},
	{"PermissionsBoundaryArn", "", `arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[A-Za-z0-9+=,.@_/-]+`, "the ARN of a managed policy"},
	{"AccessLog", "on", `on|off`, "on or off"},
	{"SigningAlgorithm", "RS256", `RS256|ES256`, "RS256 or ES256"},
	{"Architecture", "arm64", `arm64|x86_64`, "arm64 or x86_64"},
	{"TableRemoval", "RETAIN", `RETAIN|DESTROY`, "RETAIN or DESTROY"},
	{"LogRemoval", "RETAIN", `RETAIN|DESTROY`, "RETAIN or DESTROY"},
}

// settings sets all fields but the code to their defaults or checks them.
func (c *checker) settings(p *ServiceProps) {
	for _, t := range texts {
		value := reflect.ValueOf(p).Elem().FieldByName(t.field)
		if text := value.String(); text == "" {
			value.SetString(t.unset)
		} else {
			c.check(isToken(text) || regexp.MustCompile(`^(`+t.form+`)$`).MatchString(text), t.field, text, t.want)
		}
	}
	c.number("LogRetentionDays", &p.LogRetentionDays, 90, 1, 3653)
	c.number("FamilyRetentionDays", &p.FamilyRetentionDays, 30, 1, 3650)
	c.number("EventRetentionDays", &p.EventRetentionDays, 90, 1, 3650)
	c.number("SweepMinutes", &p.SweepMinutes, 5, 1, 60)
	c.number("ThrottleRate", &p.ThrottleRate, 1000, 1, 1000000)
	c.number("ThrottleBurst", &p.ThrottleBurst, 2000, 1, 1000000)
	c.number("ListenerPriority", &p.ListenerPriority, 100, 1, 50000-lastRule)
	c.number("FirewallRate", &p.FirewallRate, 10000, 1, 2000000000)
	c.number("WarmWriteUnits", &p.WarmWriteUnits, 0, newTableWrites, 1000000)
	c.number("MinWriteUnits", &p.MinWriteUnits, 0, 1, 1000000)
	c.number("MaxWriteUnits", &p.MaxWriteUnits, 0, 1, 1000000)
	c.number("WriteUtilization", &p.WriteUtilization, 70, 20, 90)
	c.number("TokenMemory", &p.TokenMemory, 512, 128, 10240)
	c.number("ProvisionedConcurrency", &p.ProvisionedConcurrency, 0, 1, 100000)
	share := func(percent int) int { return max(1, p.ThrottleRate*percent/100) }
	c.number("IntrospectRate", &p.IntrospectRate, share(100), 1, 1000000)
	c.number("RevokeRate", &p.RevokeRate, share(25), 1, 1000000)
	c.number("DiscoveryRate", &p.DiscoveryRate, share(25), 1, 1000000)
	c.number("ManageRate", &p.ManageRate, share(20), 1, 1000000)
	c.number("OtherRate", &p.OtherRate, share(2), 1, 1000000)
	c.check(slices.Contains(logRetentions, p.LogRetentionDays), "LogRetentionDays", p.LogRetentionDays, "one of CloudWatch's: "+strings.Trim(fmt.Sprint(logRetentions), "[]"))
	c.check(p.ThrottleBurst >= p.ThrottleRate, "ThrottleBurst", p.ThrottleBurst, fmt.Sprintf("no smaller than %s, which is %d", c.name("ThrottleRate"), p.ThrottleRate))
	c.check(p.MaxWriteUnits >= p.MinWriteUnits, "MaxWriteUnits", p.MaxWriteUnits, fmt.Sprintf("no smaller than %s, which is %d", c.name("MinWriteUnits"), p.MinWriteUnits))
	address, err := mail.ParseAddress(p.AlarmEmail)
	c.check(p.AlarmEmail == "" || isToken(p.AlarmEmail) || err == nil && address.Address == p.AlarmEmail, "AlarmEmail", p.AlarmEmail, "an e-mail address, without a name")
	if !slices.ContainsFunc(p.Origins, isToken) {
		p.Origins = []string{origin.ParseSet(p.Origins, func(value, want string) { c.check(false, "Origins", value, want) }).String()}
	}
	c.conflict(p.Domain != "" && p.CertificateArn == "" && p.ListenerArn == "", "Domain", "without", "CertificateArn", "a domain needs a certificate")
	if p.Domain == "" {
		c.conflict(p.CertificateArn != "", "CertificateArn", "without", "Domain", "it is the domain's certificate")
		c.conflict(p.BasePath != "", "BasePath", "without", "Domain", "API Gateway's own address has no paths to give")
		c.conflict(p.HostedZoneId != "", "HostedZoneId", "without", "Domain", "it is where the domain's record goes")
	}
	if p.ListenerArn != "" {
		c.conflict(p.Domain == "", "ListenerArn", "without", "Domain", "the listener's rules are for that name")
		ok := len(p.Domain) <= 128 && strings.Trim(p.Domain[strings.LastIndexByte(p.Domain, '.')+1:], "abcdefghijklmnopqrstuvwxyz") == ""
		c.check(ok || isToken(p.Domain), "Domain", p.Domain, "at most 128 characters that end in letters, as the listener's rules take no other name")
		c.conflict(p.CertificateArn != "", "CertificateArn", "beside", "ListenerArn", "the listener has the domain's certificate")
		c.conflict(p.HostedZoneId != "", "HostedZoneId", "beside", "ListenerArn", "point the name at the load balancer yourself")
		c.conflict(p.BasePath != "", "BasePath", "beside", "ListenerArn", "the listener's rules are for the whole name")
		c.conflict(p.Edge, "Edge", "beside", "ListenerArn", "it stands in front of the HTTP API")
	}
	if p.Edge {
		c.conflict(p.Domain == "", "Edge", "without", "Domain", "callers of /v1 sign the host, which must be the same at the edge and at the API")
		c.conflict(p.EdgeCertificateArn == "", "Edge", "without", "EdgeCertificateArn", "CloudFront needs a certificate in us-east-1")
		c.conflict(p.WebAclArn == "", "Edge", "without", "WebAclArn", "make deploy-firewall makes one")
	}
	c.conflict(p.MaxWriteUnits > 0 && p.MinWriteUnits == 0, "MaxWriteUnits", "without", "MinWriteUnits", "the table is on demand")
	c.conflict(p.MinWriteUnits > 0 && p.TableName != "", "MinWriteUnits", "beside", "TableName", "an existing table has units of its own")
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

// contextKeys returns the keys that [PropsFromContext] accepts.
func contextKeys() (keys []string) {
	for _, f := range reflect.VisibleFields(reflect.TypeFor[ServiceProps]()) {
		if f.Tag.Get("context") == "" {
			keys = append(keys, contextKey(f.Name))
		}
	}
	return append(keys, "retain")
}

func contextKey(field string) string { return strings.ToLower(field[:1]) + field[1:] }

// PropsFromContext reads the context of a CDK app: `-c key=value` on the command line, or "context" in cdk.json. On the
// command line every value is text. In cdk.json it may be a number, a list or an object. The error joins everything
// that is wrong, keys that are not known among it. The code is left to the caller.
func PropsFromContext(values map[string]any) (*ServiceProps, error) {
	var p ServiceProps
	c := checker{given: map[string]string{}}
	keys := contextKeys()
	for _, key := range slices.Sorted(maps.Keys(values)) {
		value := values[key]
		if text, ok := value.(string); ok {
			value = strings.TrimSpace(text)
		}
		switch {
		case value == "" || value == nil || strings.ContainsAny(key, ":/@") || key == "cli-telemetry": // CDK's own
		case !slices.Contains(keys, key):
			c.errs = append(c.errs, fmt.Errorf("context %s is not known: there are %s", key, strings.Join(keys, ", ")))
		case key == "retain":
			var retain bool
			if c.set("Retain", &retain, value); !retain {
				p.TableRemoval, p.LogRemoval = awscdk.RemovalPolicy_DESTROY, awscdk.RemovalPolicy_DESTROY
			}
		default:
			field := capitalized(key)
			c.set(field, reflect.ValueOf(&p).Elem().FieldByName(field).Addr().Interface(), value)
		}
	}
	complete := p
	c.settings(&complete)
	return &p, errors.Join(c.errs...)
}

// set sets a field to a value of the context.
func (c *checker) set(field string, to, value any) {
	text, isText := value.(string)
	given := fmt.Sprint(value)
	var err error
	switch to := to.(type) {
	case *string:
		*to = text
		c.check(isText, field, value, "text")
	case *int:
		if *to, err = strconv.Atoi(given); err != nil || *to < 1 {
			*to, c.given[field] = -1, given // is refused, with what was given
		}
	case *bool:
		*to, err = strconv.ParseBool(given)
		c.check(err == nil, field, value, "true or false")
	case *[]string:
		list, isList := value.([]any)
		for _, v := range list {
			*to = append(*to, fmt.Sprint(v))
		}
		if isText {
			*to = strings.Split(text, ",")
		}
		c.check(isText || isList, field, value, "web origins as browsers send them, such as https://app.example.com, separated by commas, or *")
	case *map[string]string:
		object, ok := value.(map[string]any)
		if isText {
			object, ok = map[string]any{}, true
			for pair := range strings.SplitSeq(text, ",") {
				k, v, isPair := strings.Cut(pair, "=")
				k = strings.TrimSpace(k)
				object[k] = strings.TrimSpace(v)
				ok = ok && isPair && k != ""
			}
		}
		c.check(ok, field, value, "pairs like team=auth,cost-center=42")
		*to = map[string]string{}
		for k, v := range object {
			(*to)[k] = fmt.Sprint(v)
		}
	}
}
