package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/origin"
)

// Without this a deployment without any context, the first that anyone makes, could fail or change.
func TestDefaults(t *testing.T) {
	got, err := loadConfig(map[string]any{"@aws-cdk/core:newStyleStackSynthesis": true, "aws:cdk:enable-path-metadata": true, "cli-telemetry": false})
	if err != nil {
		t.Fatal(err)
	}
	want := config{
		stage: "prod", logRetentionDays: 90, familyRetentionDays: 30, eventRetentionDays: 90, sweepMinutes: 5,
		throttleRate: 1000, throttleBurst: 2000, signingAlgorithm: "RS256",
		routeRates: map[string]int{"introspectRate": 1000, "revokeRate": 250, "discoveryRate": 250, "manageRate": 200, "otherRate": 20},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(config{})); diff != "" {
		t.Error(diff)
	}
}

// Without this the text of the command line could be read differently from cdk.json's numbers and lists.
func TestContextAsTextAndAsJSON(t *testing.T) {
	want := config{
		stage: "eu-1", domain: "auth.example.com", basePath: "sso/eu", certificateARN: certificate, hostedZoneID: "Z0123456789ABC",
		origins: origins("https://app.example.com", "http://localhost:5173"), logRetentionDays: 365, familyRetentionDays: 60, eventRetentionDays: 400,
		sweepMinutes: 1, throttleRate: 50, throttleBurst: 50, warmWriteUnits: 15000, provisioned: 100, alarmEmail: "ops@example.com", signingAlgorithm: "ES256",
		routeRates: map[string]int{"introspectRate": 40, "revokeRate": 5, "discoveryRate": 4, "manageRate": 3, "otherRate": 1},
	}
	text := everything()
	fromJSON := everything()
	fromJSON["origins"] = []any{"https://app.example.com", "http://localhost:5173"}
	fromJSON["logRetentionDays"] = 365.0
	fromJSON["familyRetentionDays"] = 60.0
	fromJSON["eventRetentionDays"] = 400.0
	fromJSON["sweepMinutes"] = 1.0
	fromJSON["throttleRate"] = 50.0
	fromJSON["throttleBurst"] = 50.0
	fromJSON["revokeRate"], fromJSON["introspectRate"], fromJSON["discoveryRate"] = 5.0, 40.0, 4.0
	fromJSON["manageRate"], fromJSON["otherRate"] = 3.0, 1.0
	fromJSON["warmWriteUnits"] = 15000.0
	fromJSON["provisionedConcurrency"] = 100.0
	for _, values := range []map[string]any{text, fromJSON} {
		if len(values) != len(contextKeys) {
			t.Errorf("%d keys are given, there are %d", len(values), len(contextKeys))
		}
		got, err := loadConfig(values)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(config{})); diff != "" {
			t.Error(diff)
		}
	}
}

// origins returns the set of valid origins.
func origins(list ...string) origin.Set {
	return origin.ParseSet(list, func(value, want string) { panic(value + " must be " + want) })
}

const certificate = "arn:aws:acm:eu-central-1:123456789012:certificate/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"

// everything returns a context with every key, as from the command line.
func everything() map[string]any {
	return map[string]any{
		"stage": "eu-1", "domain": "auth.example.com", "basePath": "sso/eu", "certificateArn": certificate, "hostedZoneId": "Z0123456789ABC",
		"origins": "https://App.example.com:443/, http://localhost:5173", "logRetentionDays": "365", "familyRetentionDays": "60", "eventRetentionDays": "400",
		"sweepMinutes": "1", "throttleRate": "50", "throttleBurst": "50",
		"revokeRate": "5", "introspectRate": "40", "discoveryRate": "4", "manageRate": "3", "otherRate": "1",
		"warmWriteUnits": "15000", "provisionedConcurrency": "100", "alarmEmail": "ops@example.com", "signingAlgorithm": "ES256",
	}
}

// Without this a wrong value would be found by CloudFormation minutes later, by a function at its start, or by nobody.
func TestWrongContext(t *testing.T) {
	for _, c := range []struct {
		key   string
		value any
		want  string
	}{
		{"stage", "Prod", `context stage is "Prod": it must be at most 20 small letters`},
		{"stage", "a-name-that-is-too-long", "context stage is"},
		{"stage", 3.0, `context stage is "3": it must be text`},
		{"domain", "https://auth.example.com", "it must be a domain name in small letters"},
		{"domain", "auth.example.com", "domain and certificateArn go together"},
		{"basePath", "auth", "basePath is set without domain"},
		{"basePath", "/auth", "it must be a path like auth"},
		{"basePath", "auth/", "it must be a path like auth"},
		{"basePath", "a//b", "it must be a path like auth"},
		{"basePath", "a/../b", "it must be a path like auth"},
		{"basePath", "a b", "it must be a path like auth"},
		{"certificateArn", certificate, "domain and certificateArn go together"},
		{"certificateArn", "0f1e2d3c", "it must be the ARN of a certificate in ACM"},
		{"hostedZoneId", "example.com", "it must be the id of a hosted zone"},
		{"hostedZoneId", "Z0123456789ABC", "hostedZoneId is set without domain"},
		{"origins", "https://app.example.com/login", "it must be without a path, a query or a fragment: https://app.example.com"},
		{"origins", "app.example.com", "it must be a web origin as browsers send it, such as https://app.example.com"},
		{"origins", "https://*.example.com", "there are no patterns"},
		{"origins", []any{"https://app.example.com", "null"}, `context origins is "null": it must be the origin of somebody`},
		{"origins", []any{"https://a.example,https://b.example"}, "it must be a web origin"},
		{"origins", "loopback", "it must be a web origin"},
		{"origins", true, "it must be web origins"},
		{"logRetentionDays", "100", "it must be one of CloudWatch's: 1 3 5 7"},
		{"logRetentionDays", "0", "it must be a whole number from 1 to 3653"},
		{"familyRetentionDays", "3651", "it must be a whole number from 1 to 3650"},
		{"familyRetentionDays", "many", "it must be a whole number"},
		{"eventRetentionDays", 1.5, "it must be a whole number"},
		{"sweepMinutes", "61", "it must be a whole number from 1 to 60"},
		{"throttleRate", "-1", "it must be a whole number from 1 to 1000000"},
		{"revokeRate", "0", "it must be a whole number from 1 to 1000000"},
		{"otherRate", "few", "it must be a whole number from 1 to 1000000"},
		{"throttleBurst", "10", "no smaller than throttleRate, which is 1000"},
		{"warmWriteUnits", "3999", `context warmWriteUnits is "3999": it must be at least 4000`},
		{"warmWriteUnits", "0", "it must be a whole number from 1 to 1000000"},
		{"provisionedConcurrency", "some", "it must be a whole number from 1 to 100000"},
		{"alarmEmail", "ops", "it must be an e-mail address"},
		{"alarmEmail", "Ops <ops@example.com>", "it must be an e-mail address, without a name"},
		{"signingAlgorithm", "HS256", "it must be RS256 or ES256"},
		{"domian", "auth.example.com", "context domian is not known: there are stage, domain, "},
	} {
		_, err := loadConfig(map[string]any{c.key: c.value})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%v: got %v, want %q", c.key, c.value, err, c.want)
		}
	}
}

// Without this mistakes would be reported one at a time, a minute each.
func TestAllThatIsWrongIsToldAtOnce(t *testing.T) {
	wrong := map[string]any{}
	for _, key := range contextKeys {
		wrong[key] = "!"
	}
	_, err := loadConfig(wrong)
	if err == nil {
		t.Fatal("no error")
	}
	for _, key := range contextKeys {
		if !strings.Contains(err.Error(), "context "+key+" is ") {
			t.Errorf("%s is not in the error:\n%v", key, err)
		}
	}
}
