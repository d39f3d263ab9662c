package audit_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
)

// at is the time of all events here. Its milliseconds show the unit of the metrics' timestamps.
var at = time.Date(2026, time.January, 15, 10, 0, 5, 678e6, time.UTC)

// written returns the log line of an event, parsed from JSON.
func written(t *testing.T, metrics bool, e audit.Event) map[string]any {
	t.Helper()
	var line bytes.Buffer
	trail := audit.Trail{Log: slog.New(slog.NewJSONHandler(&line, nil)), Metrics: metrics}
	e.At = at
	trail.Record(t.Context(), &e)
	if n := strings.Count(line.String(), "\n"); n != 1 {
		t.Fatalf("%d lines", n)
	}
	var m map[string]any
	if err := json.Unmarshal(line.Bytes(), &m); err != nil {
		t.Fatalf("%v: %s", err, &line)
	}
	return m
}

// embedded is the part of a line that CloudWatch reads.
type embedded struct {
	Timestamp         float64
	CloudWatchMetrics []struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []struct{ Name, Unit string }
	}
}

var fid = family.JoinID([16]byte{1}, ulid.MustParse("01M7XKCVXH2516ZBR6V5WTJBMY"))

// TestMetricsOfEachType checks what each type of event counts: exactly these names, values,
// units and dimensions. Otherwise a metric that is missing, or that is counted under made-up
// ids, would show only when somebody needs the alarm.
func TestMetricsOfEachType(t *testing.T) {
	const day = 24 * time.Hour
	all, byClient := []string{}, []string{"client"}
	byCause := []string{"client", "metric_cause"}
	type counts map[string]float64
	ofApp := map[string]string{"client": "app"}
	ofFamily := func(e audit.Event) audit.Event {
		e.ClientID, e.Family, e.UserID = "app", fid, "u"
		return e
	}
	tests := []struct {
		name       string
		event      audit.Event
		counts     counts
		units      map[string]string // units other than Count
		dimensions [][]string
		values     map[string]string // values of the dimensions
	}{
		{"exchanged", ofFamily(audit.Event{Type: audit.Exchanged}), counts{"Exchanged": 1}, nil, [][]string{all, byClient}, ofApp},
		{
			"exchanged, held", ofFamily(audit.Event{Type: audit.Exchanged, Held: true, Age: time.Second, OtherIP: true}),
			counts{"Exchanged": 1},
			nil,
			[][]string{all, byClient},
			ofApp,
		},
		{
			"exchanged, superseded", ofFamily(audit.Event{Type: audit.Exchanged, Reused: true, Age: 7 * time.Second}),
			counts{"Exchanged": 1, "Reused": 1, "ReuseAge": 7000},
			map[string]string{"ReuseAge": "Milliseconds"},
			[][]string{all, byClient},
			ofApp,
		},
		{
			"exchanged, superseded, elsewhere", ofFamily(audit.Event{Type: audit.Exchanged, Reused: true, OtherIP: true, OtherAgent: true}),
			counts{"Exchanged": 1, "Reused": 1, "ReuseAge": 0, "ReusedElsewhere": 1},
			map[string]string{"ReuseAge": "Milliseconds"},
			[][]string{all, byClient},
			ofApp,
		},
		{
			"exchanged, a lost response", ofFamily(audit.Event{Type: audit.Exchanged, LostResponse: true, Age: day}),
			counts{"Exchanged": 1},
			nil,
			[][]string{all, byClient},
			ofApp,
		},
		{
			"exchanged, late", ofFamily(audit.Event{Type: audit.Exchanged, Late: true, Age: day}),
			counts{"Exchanged": 1, "LateUse": 1, "ReuseAge": 86400000},
			map[string]string{"ReuseAge": "Milliseconds"},
			[][]string{all, byClient},
			ofApp,
		},
		{"a device, bound", ofFamily(audit.Event{Type: audit.DeviceBound}), nil, nil, nil, nil},
		{"a device, renewed", ofFamily(audit.Event{Type: audit.DeviceRenewed}), counts{"DeviceRenewed": 1}, nil, [][]string{all, byClient}, ofApp},
		{"a device, not renewed", ofFamily(audit.Event{Type: audit.DeviceNotRenewed}), counts{"DeviceNotRenewed": 1}, nil, [][]string{all, byClient}, ofApp},
		{"a late use", ofFamily(audit.Event{Type: audit.LateUse, Age: day}), nil, nil, nil, nil},
		{
			"refused", ofFamily(audit.Event{Type: audit.Refused, Cause: family.Purged}),
			counts{"Refused": 1},
			nil,
			[][]string{all, byClient, byCause},
			map[string]string{"client": "app", "metric_cause": "purged"},
		},
		{
			"a code, exchanged", ofFamily(audit.Event{Type: audit.CodeExchanged, OriginToken: family.Code}),
			counts{"CodeExchanged": 1},
			nil,
			[][]string{all, byClient},
			ofApp,
		},
		{
			"a code, refused", ofFamily(audit.Event{Type: audit.CodeRefused, OriginToken: family.Code, Cause: family.WrongVerifier}),
			counts{"CodeRefused": 1},
			nil,
			[][]string{all, byClient, byCause},
			map[string]string{"client": "app", "metric_cause": "wrong_verifier"},
		},
		{
			"an assertion, exchanged", ofFamily(audit.Event{Type: audit.AssertionExchanged, OriginToken: family.Assertion}),
			counts{"AssertionExchanged": 1},
			nil,
			[][]string{all, byClient},
			ofApp,
		},
		{
			"an assertion, refused",
			audit.Event{Type: audit.AssertionRefused, OriginToken: family.Assertion, Cause: audit.InvalidAssertion, Reason: "wrong_audience", Issuer: "https://login.example", ClientID: "app"},
			counts{"AssertionRefused": 1},
			nil,
			[][]string{all, byClient, byCause},
			map[string]string{"client": "app", "metric_cause": "invalid_assertion"},
		},
		{
			"refused, of no family",
			audit.Event{Type: audit.Refused, Cause: family.NeverIssued, ClientID: "app"},
			counts{"Refused": 1},
			nil,
			[][]string{all, byClient, byCause},
			map[string]string{"client": "app", "metric_cause": "never_issued"},
		},
		{
			"a client that is not believed",
			audit.Event{Type: audit.Refused, Cause: audit.InvalidClient, Reason: "wrong_secret", ClientID: "app"},
			counts{"InvalidClient": 1},
			nil,
			[][]string{all, byClient},
			ofApp,
		},
		{
			"a client that is made up",
			audit.Event{Type: audit.Refused, Cause: audit.InvalidClient, Reason: "unknown_client", ClientID: "made-up", Unregistered: true},
			counts{"InvalidClient": 1},
			nil,
			[][]string{all},
			nil,
		},
		{
			"a client without an id",
			audit.Event{Type: audit.Refused, Cause: audit.InvalidClient, Reason: "missing_client_id"},
			counts{"InvalidClient": 1},
			nil,
			[][]string{all},
			nil,
		},
		{
			"reuse", ofFamily(audit.Event{Type: audit.Reuse, Cause: family.ReuseDetected, Age: 90 * time.Second}),
			counts{"ReuseDetected": 1, "ReuseAge": 90_000},
			map[string]string{"ReuseAge": "Milliseconds"},
			[][]string{all, byClient},
			ofApp,
		},
		{
			"reuse, observed", ofFamily(audit.Event{Type: audit.Reuse, Observed: true, Age: 90 * time.Second}),
			counts{"ReuseObserved": 1, "ReuseAge": 90_000},
			map[string]string{"ReuseAge": "Milliseconds"},
			[][]string{all, byClient},
			ofApp,
		},
		{
			"reuse of a code", ofFamily(audit.Event{Type: audit.Reuse, Cause: family.ReuseDetected, OriginToken: family.Code, Age: 90 * time.Second}),
			counts{"ReuseDetected": 1},
			nil,
			[][]string{all, byClient},
			ofApp,
		},
		{
			"reuse of an imported token", ofFamily(audit.Event{Type: audit.Reuse, Cause: family.ReuseDetected, OriginToken: family.Imported, Age: 90 * time.Second}),
			counts{"ReuseDetected": 1, "ReuseAge": 90_000},
			map[string]string{"ReuseAge": "Milliseconds"},
			[][]string{all, byClient},
			ofApp,
		},
		{
			"an adopted token, exchanged", ofFamily(audit.Event{Type: audit.Exchanged, OriginToken: family.Adopted}),
			counts{"Exchanged": 1},
			nil,
			[][]string{all, byClient},
			ofApp,
		},
		{
			"a token that nobody imported",
			audit.Event{Type: audit.Refused, Cause: family.NeverImported, OriginToken: family.Imported, ClientID: "app"},
			counts{"Refused": 1},
			nil,
			[][]string{all, byClient, byCause},
			map[string]string{"client": "app", "metric_cause": "never_imported"},
		},
		{"a family revoked", ofFamily(audit.Event{Type: audit.Revoked, Cause: family.RevokedByAdmin}), counts{"Revoked": 1}, nil, [][]string{all, byClient}, ofApp},
		{
			// Any caller can name any client here, so the client must not be a dimension.
			"many families revoked",
			audit.Event{Type: audit.Revoked, UserID: "u", ClientID: "asked-for", Removed: 340, Families: make([]ulid.ULID, 340)},
			counts{"Revoked": 340},
			nil,
			[][]string{all},
			nil,
		},
		{
			"a cleanup",
			audit.Event{Type: audit.Cleanup, UserID: "u", ClientID: "app", Start: 12, Removed: 2, End: 10, Families: make([]ulid.ULID, 2)},
			counts{"Removed": 2},
			nil,
			[][]string{all, byClient},
			ofApp,
		},
		{"an erasure", audit.Event{Type: audit.Erased, User: [16]byte{1}, ErasedFamilies: 3, ErasedEvents: 2}, nil, nil, nil, nil},
		{"ahead", ofFamily(audit.Event{Type: audit.Ahead}), counts{"Ahead": 1}, nil, [][]string{all, byClient}, ofApp},
		{
			"an origin that may not call",
			audit.Event{Type: audit.OriginRefused, Origin: "https://evil.example", Reason: "not_configured"},
			counts{"OriginRefused": 1},
			nil,
			[][]string{all},
			nil,
		},
		{"an operation", ofFamily(audit.Event{Type: audit.Operation, Name: "issue_family", Status: 201}), nil, nil, nil, nil},
		{
			"a secret",
			audit.Event{Type: audit.Operation, Name: "add_secret", Status: 201, ClientID: "app", Changes: []audit.Change{audit.SecretAdded}},
			counts{"SecretAdded": 1},
			nil,
			[][]string{all},
			nil,
		},
		{
			"a key",
			audit.Event{Type: audit.Operation, Name: "put_client", Status: 200, ClientID: "app", Changes: []audit.Change{audit.KeyAdded}},
			counts{"SecretAdded": 1},
			nil,
			[][]string{all},
			nil,
		},
		{
			"it may introspect",
			audit.Event{Type: audit.Operation, Name: "put_client", ClientID: "app", Changes: []audit.Change{audit.MayIntrospectOn}},
			counts{"MayIntrospectOn": 1},
			nil,
			[][]string{all},
			nil,
		},
		{
			"reuse is only observed",
			audit.Event{Type: audit.Operation, Name: "put_client", ClientID: "app", Changes: []audit.Change{audit.ObserveOn}},
			counts{"ObserveOn": 1},
			nil,
			[][]string{all},
			nil,
		},
		{
			"a change that nobody is woken by",
			audit.Event{Type: audit.Operation, Name: "put_client", ClientID: "app", Changes: []audit.Change{audit.BecamePublic}},
			nil, nil, nil, nil,
		},
		{
			"a client weakened",
			audit.Event{Type: audit.Operation, Name: "put_client", Status: 200, ClientID: "app", Changes: []audit.Change{
				audit.BecamePublic, audit.MayIntrospectOn, audit.ObserveOn, audit.RotationOff, audit.NotBeforeSet, audit.NotBeforeLowered,
			}},
			counts{"MayIntrospectOn": 1, "ObserveOn": 1},
			nil,
			[][]string{all},
			nil,
		},
	}
	seen := map[audit.Type]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			seen[tt.event.Type] = true
			if line := written(t, false, tt.event); line["_aws"] != nil || line["client"] != nil || line["metric_cause"] != nil {
				t.Errorf("without metrics there are some: %v", line)
			}
			line := written(t, true, tt.event)
			if tt.counts == nil {
				if line["_aws"] != nil || line["client"] != nil {
					t.Errorf("it counts: %v", line)
				}
				return
			}
			b, err := json.Marshal(line["_aws"])
			if err != nil {
				t.Fatal(err)
			}
			var aws embedded
			d := json.NewDecoder(bytes.NewReader(b))
			d.DisallowUnknownFields()
			if err := d.Decode(&aws); err != nil || len(aws.CloudWatchMetrics) != 1 {
				t.Fatalf("%v: %s", err, b)
			}
			// In another unit, CloudWatch would take it for a time years ago and drop it silently.
			if aws.Timestamp != 1768471205678 {
				t.Errorf("the time is %.0f", aws.Timestamp)
			}
			set := aws.CloudWatchMetrics[0]
			if set.Namespace != "Rotor" {
				t.Errorf("the namespace is %q", set.Namespace)
			}
			got := counts{}
			for _, m := range set.Metrics {
				value, ok := line[m.Name].(float64)
				if !ok {
					t.Errorf("%s is %v", m.Name, line[m.Name])
				}
				got[m.Name] = value
				want := tt.units[m.Name]
				if want == "" {
					want = "Count"
				}
				if m.Unit != want {
					t.Errorf("%s is in %s, not %s", m.Name, m.Unit, want)
				}
			}
			if diff := cmp.Diff(tt.counts, got); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.dimensions, set.Dimensions); diff != "" {
				t.Errorf("dimensions (-want +got):\n%s", diff)
			}
			for _, name := range byCause {
				var want any
				if v, ok := tt.values[name]; ok {
					want = v
				}
				if line[name] != want {
					t.Errorf("%s is %v, not %v", name, line[name], want)
				}
			}
		})
	}
	for _, typ := range types {
		if !seen[typ] {
			t.Errorf("nothing is tested of %s", typ)
		}
	}
	if len(seen) != len(types) {
		t.Errorf("%d types of %d", len(seen), len(types))
	}
}

// TestMetricsOfAStage checks that with a stage no metric is counted together with that of another stage. The logger writes the member, once.
func TestMetricsOfAStage(t *testing.T) {
	var line bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&line, nil)).With(slog.String("stage", "dev"))
	e := audit.Event{Type: audit.Refused, Cause: family.Purged, ClientID: "app", At: at}
	audit.Trail{Log: log, Metrics: true, Stage: "dev"}.Record(t.Context(), &e)
	const want = `"Dimensions":[["stage"],["stage","client"],["stage","client","metric_cause"]]`
	if got := line.String(); !strings.Contains(got, want) || strings.Count(got, `"stage":"dev"`) != 1 {
		t.Errorf("the line is %s", got)
	}
}

// types lists every type of event.
var types = []audit.Type{audit.Exchanged, audit.Refused, audit.CodeExchanged, audit.CodeRefused, audit.AssertionExchanged, audit.AssertionRefused, audit.Reuse, audit.Revoked, audit.Cleanup, audit.LateUse, audit.DeviceBound, audit.DeviceRenewed, audit.DeviceNotRenewed, audit.Ahead, audit.Erased, audit.Operation, audit.OriginRefused}

// TestMembersOfALine checks the names in a line, which saved queries use. Empty members are
// left out.
func TestMembersOfALine(t *testing.T) {
	first, second := ulid.MustParse("01M7XKCVXH2516ZBR6V5WTJBMY"), ulid.MustParse("01M7XKCVZ32QZZCC0D96DADTB4")
	e := audit.Event{
		ID: first, UserID: "u", ClientID: "app", Family: fid, IP: "203.0.113.24", UserAgent: "curl", RequestID: "r1", By: "arn:aws:iam::123456789012:user/ada",
		Cause: family.RevokedByAdmin, Reason: "why", Issuer: "https://i.example", Origin: "https://a.example", TokenCounter: 3, LatestCounter: 4, Held: true, Reused: true, Observed: true, Late: true, LostResponse: true, ByDevice: true,
		Age: 1500 * time.Millisecond, OtherIP: true, OtherAgent: true, Families: []ulid.ULID{first, second}, Start: 5, Removed: 2, End: 3,
		Name: "put_client", Status: 200, SecretID: "s1", Changes: []audit.Change{audit.ObserveOn}, DryRun: true,
		User: [16]byte{1}, Evict: family.Oldest, ErasedFamilies: 7, ErasedEvents: 8,
	}
	want := map[string]any{
		"level": "INFO", "msg": "audit",
		"type": "", "eventId": first.String(), "userId": "u", "clientId": "app", "familyId": fid.String(), "ip": "203.0.113.24", "userAgent": "curl",
		"http_request_id": "r1", "by": "arn:aws:iam::123456789012:user/ada", "cause": "revoked_by_admin", "reason": "why", "issuer": "https://i.example", "origin": "https://a.example", "tokenCounter": 3.0, "latestCounter": 4.0,
		"held": true, "reused": true, "observed": true, "late": true, "lostResponse": true, "byDevice": true, "ageMs": 1500.0, "otherIp": true, "otherUserAgent": true,
		"removedCount": 2.0, "families": []any{first.String(), second.String()},
		"operation": "put_client", "status": 200.0, "secretId": "s1", "changes": []any{"observe_on"}, "dryRun": true,
	}
	for _, typ := range types {
		e.Type, want["type"] = typ, string(typ)
		got := written(t, false, e)
		delete(got, "time")
		// Events that need attention are warnings.
		want["level"] = "INFO"
		if typ == audit.Reuse || typ == audit.LateUse || typ == audit.Ahead || typ == audit.OriginRefused {
			want["level"] = "WARN"
		}
		for _, name := range []string{"start", "endCount", "evict", "userKey", "erasedFamilies", "erasedEvents"} {
			delete(want, name)
		}
		switch typ {
		case audit.Cleanup:
			want["start"], want["endCount"], want["evict"] = 5.0, 3.0, "oldest"
		case audit.Erased:
			want["userKey"], want["erasedFamilies"], want["erasedEvents"] = "AQAAAAAAAAAAAAAAAAAAAA", 7.0, 8.0
		case audit.Operation:
			want["userKey"] = "AQAAAAAAAAAAAAAAAAAAAA"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", typ, diff)
		}
		empty := written(t, false, audit.Event{ID: first, Type: typ})
		for name := range empty {
			switch name {
			case "time", "level", "msg", "type", "eventId":
			case "erasedFamilies", "erasedEvents": // zero is shown, because it is information
				if typ != audit.Erased {
					t.Errorf("%s has %s", typ, name)
				}
			default:
				t.Errorf("%s has an empty %s: %v", typ, name, empty[name])
			}
		}
	}
	// A use with an age of zero shows that age.
	for _, e := range []audit.Event{{Type: audit.Exchanged, Reused: true}, {Type: audit.Exchanged, Held: true}} {
		if got := written(t, false, e); got["ageMs"] != 0.0 {
			t.Errorf("the age is %v", got["ageMs"])
		}
	}
}

func TestNew(t *testing.T) {
	a := audit.New(audit.Reuse, at)
	b := audit.New(audit.Reuse, at)
	if a.ID == b.ID || !a.ID.Timestamp().Equal(at) || a.Type != audit.Reuse || !a.At.Equal(at) {
		t.Errorf("the events are %+v and %+v", a, b)
	}
	defer func() {
		if recover() == nil {
			t.Error("an event has an ID although its time fits no ULID")
		}
	}()
	audit.New(audit.Reuse, time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC))
}

func TestUserKey(t *testing.T) {
	for _, tt := range []struct {
		event audit.Event
		want  [16]byte
	}{
		{audit.Event{Family: fid}, [16]byte{1}},
		{audit.Event{Family: fid, User: [16]byte{2}}, [16]byte{1}},
		{audit.Event{User: [16]byte{2}}, [16]byte{2}},
	} {
		if got := tt.event.UserKey(); got != tt.want {
			t.Errorf("the key is %v, not %v", got, tt.want)
		}
	}
}

// TestHide checks that the line hides a secret that a person pasted instead of an id, or that
// a program sent as its name.
func TestHide(t *testing.T) {
	const (
		refresh = "rotor_AQHZ_epdikWdemMAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAATqeal3Xw"
		secret  = "rotor_secret_n_N1W6UcAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		jwt     = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.AAAA"
	)
	for _, s := range []string{
		refresh, secret, jwt, "x" + refresh, "Bearer " + jwt, refresh[:26], "rotor_ " + secret, "rotor_rotor_" + secret[6:], "eyJ " + jwt, "eyJeyJ.eyJ",
		"auth0|" + refresh, `{"t":"` + jwt + `"}`,
	} {
		if got := audit.Hide(s); got != audit.Hidden {
			t.Errorf("%s is shown as %s", s, got)
		}
		line := written(t, true, audit.Event{Type: audit.Exchanged, UserID: s, ClientID: s, UserAgent: s, By: s})
		for name, value := range line {
			if value == s {
				t.Errorf("%s is shown as %s", s, name)
			}
		}
	}
	for _, s := range []string{
		"", "u", "rotor_admin", "rotor_0123456789012345678", "rotor_0123456789 0123456789", "auth0|0123456789abcdef01234567", "eyJhbGciOiJSUzI1NiJ9", "eyJ.ey",
		"a.eyJhbGci", "é", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)", "arn:aws:sts::123456789012:assumed-role/login/pod-7", fid.String(),
	} {
		if got := audit.Hide(s); got != s {
			t.Errorf("%s is shown as %s", s, got)
		}
	}
}

// constants returns the values of the constants in a source file that have a type, or whose names have a prefix.
func constants(t *testing.T, file, typeName, prefix string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		of, _ := spec.Type.(*ast.Ident)
		literal, ok := spec.Values[0].(*ast.BasicLit)
		if ok && (of != nil && of.Name == typeName || prefix != "" && strings.HasPrefix(spec.Names[0].Name, prefix)) {
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, value)
		}
		return true
	})
	if len(values) < 3 {
		t.Fatalf("only %q are found in %s", values, file)
	}
	return values
}

// TestNothingIsForgotten checks that the tests here cover every type, and that docs/support.md
// lists every type, change and metric, because people search their logs for them.
func TestNothingIsForgotten(t *testing.T) {
	var known []string
	for _, typ := range types {
		known = append(known, string(typ))
	}
	inSource := constants(t, "event.go", "Type", "")
	slices.Sort(known)
	slices.Sort(inSource)
	if diff := cmp.Diff(inSource, known); diff != "" {
		t.Errorf("types in the source (-) and in the tests (+):\n%s", diff)
	}
	page, err := os.ReadFile("../../docs/support.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range inSource {
		if !strings.Contains(string(page), "\n| `"+name+"` | ") {
			t.Errorf("docs/support.md has no row of events of type %s", name)
		}
	}
	for _, name := range slices.Concat(constants(t, "event.go", "Change", ""), constants(t, "metrics.go", "", "Metric")) {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/support.md does not say what %s is", name)
		}
	}
}
