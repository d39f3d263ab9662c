package boot_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/functions/internal/boot"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/origin"
	"github.com/rotor-auth/rotor/shared/store"
)

// environment returns a complete environment with changes, which are pairs of a name and a value.
func environment(changes ...string) func(string) string {
	env := map[string]string{
		"ROTOR_TABLE":       "rotor",
		"ROTOR_ISSUER":      "https://auth.example.com",
		"ROTOR_KEYS_SECRET": "rotor/keys",
		"ROTOR_API_ID":      "a1b2c3d4e5",

		"ROTOR_SIGNING_SECRET": "rotor/signing",
	}
	for i := 0; i < len(changes); i += 2 {
		env[changes[i]] = changes[i+1]
	}
	return func(name string) string { return env[name] }
}

// origins returns the set of valid origins.
func origins(list ...string) origin.Set {
	return origin.ParseSet(list, func(value, want string) { panic(value + " must be " + want) })
}

func TestLoadConfig(t *testing.T) {
	const day = 24 * time.Hour
	least := boot.Config{
		TableConfig: boot.TableConfig{Table: "rotor", Retention: store.DefaultRetention},
		Issuer:      "https://auth.example.com", KeysSecrets: keyring.Secrets{Token: "rotor/keys", Signing: "rotor/signing"},
	}
	tests := []struct {
		name    string
		changes []string
		want    func(*boot.Config)
	}{
		{"the least", nil, func(*boot.Config) {}},
		{
			"everything",
			[]string{
				"ROTOR_ISSUER", "https://example.com:8443/auth",
				"ROTOR_KEYS_SECRET", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rotor/keys-a1B2c3",
				"ROTOR_ORIGINS", "https://app.example.com, http://localhost:5173,capacitor://localhost",
				"ROTOR_FAMILY_RETENTION_DAYS", "1", "ROTOR_EVENT_RETENTION_DAYS", "3650", "ROTOR_STAGE", "eu-1", "ROTOR_EDGE_SECRET", "rotor/edge",
				"ROTOR_AUTHORIZATION_ENDPOINT", "https://login.example.com/start?tenant=a",
			},
			func(c *boot.Config) {
				c.AuthorizationEndpoint = "https://login.example.com/start?tenant=a"
				c.EdgeSecret = "rotor/edge"
				c.Stage = "eu-1"
				c.Issuer = "https://example.com:8443/auth"
				c.KeysSecrets.Token = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rotor/keys-a1B2c3"
				c.Origins = origins("https://app.example.com", "http://localhost:5173", "capacitor://localhost")
				c.Retention = store.Retention{Families: day, Events: 3650 * day}
			},
		},
		{
			"keys in a file",
			[]string{"ROTOR_KEYS_SECRET", "", "ROTOR_SIGNING_SECRET", "", "ROTOR_KEYS_FILE", "/var/task/keys.json"},
			func(c *boot.Config) { c.KeysSecrets, c.KeysFile = keyring.Secrets{}, "/var/task/keys.json" },
		},
		{"behind a load balancer", []string{"ROTOR_EVENTS", "load-balancer"}, func(c *boot.Config) { c.Balancer = true }},
		{"behind the HTTP API", []string{"ROTOR_EVENTS", "http-api"}, func(*boot.Config) {}},
		{"all keys in one secret", []string{"ROTOR_SIGNING_SECRET", ""}, func(c *boot.Config) { c.KeysSecrets.Signing = "" }},
		{"any origin", []string{"ROTOR_ORIGINS", "*"}, func(c *boot.Config) { c.Origins = origins("*") }},
		{"a list of nothing", []string{"ROTOR_ORIGINS", " , "}, func(*boot.Config) {}},
		{
			"origins as people write them",
			[]string{"ROTOR_ORIGINS", "https://App.example.com:443/"},
			func(c *boot.Config) { c.Origins = origins("https://app.example.com") },
		},
		{
			"a login page on loopback",
			[]string{"ROTOR_AUTHORIZATION_ENDPOINT", "http://localhost:9000/login"},
			func(c *boot.Config) { c.AuthorizationEndpoint = "http://localhost:9000/login" },
		},
		{
			"plain HTTP on a loopback name",
			[]string{"ROTOR_ISSUER", "http://localhost:3000"},
			func(c *boot.Config) { c.Issuer = "http://localhost:3000" },
		},
		{
			"plain HTTP on a loopback address",
			[]string{"ROTOR_ISSUER", "http://[::1]:3000"},
			func(c *boot.Config) { c.Issuer = "http://[::1]:3000" },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := least
			tt.want(&want)
			got, err := boot.LoadConfig(environment(tt.changes...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the configuration differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadConfigRefuses(t *testing.T) {
	tests := []struct{ name, variable, value string }{
		{"no table", "ROTOR_TABLE", ""},
		{"a table's ARN", "ROTOR_TABLE", "arn:aws:dynamodb:eu-central-1:123456789012:table/rotor"},
		{"a stage in capitals", "ROTOR_STAGE", "Prod"},
		{"a stage that is too long", "ROTOR_STAGE", "a-name-that-is-too-long"},
		{"events of nobody", "ROTOR_EVENTS", "alb"},
		{"events of both", "ROTOR_EVENTS", "http-api,load-balancer"},
		{"no name of a secret", "ROTOR_EDGE_SECRET", "two words"},
		{"no issuer", "ROTOR_ISSUER", ""},
		{"an issuer without scheme", "ROTOR_ISSUER", "auth.example.com"},
		{"an issuer without host", "ROTOR_ISSUER", "https://"},
		{"an issuer with a port alone", "ROTOR_ISSUER", "https://:443"},
		{"an issuer on plain HTTP", "ROTOR_ISSUER", "http://auth.example.com"},
		{"an issuer that looks local", "ROTOR_ISSUER", "http://localhost.example.com"},
		{"an issuer with a trailing slash", "ROTOR_ISSUER", "https://auth.example.com/"},
		{"an issuer with a query", "ROTOR_ISSUER", "https://auth.example.com/a?b=c"},
		{"an issuer with an empty query", "ROTOR_ISSUER", "https://auth.example.com?"},
		{"an issuer with a fragment", "ROTOR_ISSUER", "https://auth.example.com#"},
		{"an issuer with a user", "ROTOR_ISSUER", "https://me@auth.example.com"},
		{"an issuer with a space", "ROTOR_ISSUER", "https://auth.example.com/a b"},
		{"an issuer that is no URL", "ROTOR_ISSUER", "https://auth.example.com:port"},
		{"an issuer with a path that is not clean", "ROTOR_ISSUER", "https://auth.example.com/a//b"},
		{"an issuer with a dot in its path", "ROTOR_ISSUER", "https://auth.example.com/./a"},
		{"an issuer with dots at the end of its path", "ROTOR_ISSUER", "https://auth.example.com/a/.."},
		{"an issuer with an encoded path", "ROTOR_ISSUER", "https://auth.example.com/a%2Fb"},
		{"an issuer with an encoded space", "ROTOR_ISSUER", "https://auth.example.com/a%20b"},
		{"no keys", "ROTOR_KEYS_SECRET", ""},
		{"two sources of keys", "ROTOR_KEYS_FILE", "keys.json"},
		{"signing keys in the secret of the token keys", "ROTOR_SIGNING_SECRET", "rotor/keys"},
		{"signing keys themselves", "ROTOR_SIGNING_SECRET", `{"signing":"AAAA"}`},
		{"an origin with a path", "ROTOR_ORIGINS", "https://app.example.com/login"},
		{"an origin without scheme", "ROTOR_ORIGINS", "https://app.example.com,app.example.com"},
		{"an origin with a pattern", "ROTOR_ORIGINS", "https://*.example.com"},
		{"an origin with a user", "ROTOR_ORIGINS", "https://me@app.example.com"},
		{"the origin of a file", "ROTOR_ORIGINS", "null"},
		{"this machine's, of the local program alone", "ROTOR_ORIGINS", "loopback"},
		{"a login page on plain HTTP", "ROTOR_AUTHORIZATION_ENDPOINT", "http://login.example.com/"},
		{"a login page with a fragment", "ROTOR_AUTHORIZATION_ENDPOINT", "https://login.example.com/#/start"},
		{"a login page with a user", "ROTOR_AUTHORIZATION_ENDPOINT", "https://me@login.example.com/"},
		{"a login page without a host", "ROTOR_AUTHORIZATION_ENDPOINT", "/login"},
		{"a script for a login page", "ROTOR_AUTHORIZATION_ENDPOINT", "javascript:alert(1)"},
		{"an app for a login page", "ROTOR_AUTHORIZATION_ENDPOINT", "com.example.app:/login"},
		{"a login page that leads to itself", "ROTOR_AUTHORIZATION_ENDPOINT", "https://auth.example.com/authorize?x=1"},
		{"families kept for no time", "ROTOR_FAMILY_RETENTION_DAYS", "0"},
		{"families kept too long", "ROTOR_FAMILY_RETENTION_DAYS", "3651"},
		{"families kept for half a day", "ROTOR_FAMILY_RETENTION_DAYS", "0.5"},
		{"events kept for a negative time", "ROTOR_EVENT_RETENTION_DAYS", "-1"},
		{"events kept for a word", "ROTOR_EVENT_RETENTION_DAYS", "90d"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := boot.LoadConfig(environment(tt.variable, tt.value))
			if err == nil {
				t.Fatalf("%s=%q is taken", tt.variable, tt.value)
			}
			if lines := strings.Split(err.Error(), "\n"); len(lines) != 1 || !strings.Contains(lines[0], tt.variable) || !strings.Contains(lines[0], "must be") {
				t.Errorf("the error does not say, once, what %s must be: %v", tt.variable, err)
			}
		})
	}
}

// TestLoadConfigReportsAll checks that one attempt reports every mistake.
func TestLoadConfigReportsAll(t *testing.T) {
	_, err := boot.LoadConfig(environment(
		"ROTOR_TABLE", "", "ROTOR_ISSUER", "", "ROTOR_KEYS_SECRET", "", "ROTOR_ORIGINS", "one,two",
		"ROTOR_FAMILY_RETENTION_DAYS", "x", "ROTOR_EVENT_RETENTION_DAYS", "y",
	))
	if err == nil {
		t.Fatal("nothing is reported")
	}
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 7 {
		t.Errorf("%d mistakes are reported, not 7:\n%v", len(lines), err)
	}
}

// TestLoadConfigHidesSecret checks that a secret that is given instead of its name does not
// appear in the log.
func TestLoadConfigHidesSecret(t *testing.T) {
	_, err := boot.LoadConfig(environment("ROTOR_KEYS_SECRET", `{"user_key":"c2VjcmV0"}`))
	if err == nil || strings.Contains(err.Error(), "c2VjcmV0") {
		t.Errorf("LoadConfig: %v", err)
	}
}

// TestLoadTableConfig checks that mistakes are reported only in the sweep's own variables. It
// has no keys and no issuer.
func TestLoadTableConfig(t *testing.T) {
	got, err := boot.LoadTableConfig(environment(
		"ROTOR_ISSUER", "", "ROTOR_KEYS_SECRET", "", "ROTOR_ORIGINS", "one", "ROTOR_EVENT_RETENTION_DAYS", "7",
	))
	if err != nil {
		t.Fatal(err)
	}
	want := boot.TableConfig{Table: "rotor", Retention: store.DefaultRetention}
	want.Retention.Events = 7 * 24 * time.Hour
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the configuration differs (-want +got):\n%s", diff)
	}
	_, err = boot.LoadTableConfig(environment(
		"ROTOR_TABLE", "", "ROTOR_ISSUER", "", "ROTOR_FAMILY_RETENTION_DAYS", "x", "ROTOR_EVENT_RETENTION_DAYS", "0",
	))
	if err == nil {
		t.Fatal("nothing is reported")
	}
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 3 || strings.Contains(err.Error(), "ROTOR_ISSUER") {
		t.Errorf("the mistakes reported are not the table's three:\n%v", err)
	}
}

// TestLoadManageConfig checks that the function behind IAM must know its API. It accepts that
// there is no gateway only if it does not have the keys of a deployment.
func TestLoadManageConfig(t *testing.T) {
	base, err := boot.LoadConfig(environment())
	if err != nil {
		t.Fatal(err)
	}
	got, err := boot.LoadManageConfig(environment())
	if diff := cmp.Diff(boot.ManageConfig{Config: base, APIID: "a1b2c3d4e5"}, got, cmp.AllowUnexported(origin.Set{})); err != nil || diff != "" {
		t.Errorf("%v, the configuration differs (-want +got):\n%s", err, diff)
	}
	got, err = boot.LoadManageConfig(environment("ROTOR_KEYS_SECRET", "", "ROTOR_SIGNING_SECRET", "", "ROTOR_KEYS_FILE", "keys.json", "ROTOR_LOCAL_CALLER", "sam"))
	if err != nil || got.LocalCaller != "sam" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, tt := range []struct{ name, variable, value string }{
		{"no API", "ROTOR_API_ID", ""},
		{"an API's ARN", "ROTOR_API_ID", "arn:aws:apigateway:eu-central-1::/apis/a1b2c3d4e5"},
		{"any API", "ROTOR_API_ID", "*"},
		{"an API's URL", "ROTOR_API_ID", "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"},
		{"a local caller in a deployment", "ROTOR_LOCAL_CALLER", "sam"},
		{"a load balancer, which authorizes nobody", "ROTOR_EVENTS", "load-balancer"},
	} {
		_, err := boot.LoadManageConfig(environment(tt.variable, tt.value))
		if err == nil || strings.Count(err.Error(), "\n") != 0 || !strings.Contains(err.Error(), tt.variable) || !strings.Contains(err.Error(), "must be") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	_, err = boot.LoadManageConfig(environment("ROTOR_API_ID", "", "ROTOR_TABLE", "", "ROTOR_ISSUER", ""))
	if err == nil || len(strings.Split(err.Error(), "\n")) != 3 {
		t.Errorf("the mistakes reported are not three: %v", err)
	}
}
