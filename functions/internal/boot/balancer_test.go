package boot

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/oauth"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/signing"
)

// TestBehindBalancer checks that a function serves the events that its variable says, and refuses the others. The function
// manage serves those of the gateway alone, whatever its configuration is.
func TestBehindBalancer(t *testing.T) {
	sdkEnvironment(t)
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1") // nothing is read
	keys := filepath.Join(t.TempDir(), "keys.json")
	if _, err := keyring.File(keys, signing.ES256, time.Now()); err != nil {
		t.Fatal(err)
	}
	const (
		gateways = `{"version":"2.0","rawPath":"PATH","headers":{"host":"auth.example.com"},"requestContext":{"apiId":"a1b2c3d4e5","http":{"method":"GET"}}}`
		balanced = `{"requestContext":{"elb":{"targetGroupArn":"arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/rotor-prod-disco/6d0ecf831eec9f09"}},` +
			`"httpMethod":"GET","path":"PATH","multiValueHeaders":{"host":["auth.example.com"]}}`
	)
	env := map[string]string{"ROTOR_TABLE": "rotor", "ROTOR_ISSUER": "https://auth.example.com", "ROTOR_KEYS_FILE": keys, "ROTOR_API_ID": "a1b2c3d4e5"}
	var logged bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&logged, nil))
	for variable, answered := range map[string]string{"": gateways, "http-api": gateways, "load-balancer": balanced} {
		env["ROTOR_EVENTS"] = variable
		c, err := LoadConfig(func(name string) string { return env[name] })
		if err != nil {
			t.Fatal(err)
		}
		made, err := wire((*oauth.API).Discovery, (*session.Engine).WarmKeys, keyring.ToPublish)(t.Context(), c, log)
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range []string{gateways, balanced} {
			out, err := made.(lambda.Handler).Invoke(t.Context(), []byte(strings.ReplaceAll(event, "PATH", "/.well-known/jwks.json")))
			if served := err == nil && strings.Contains(string(out), `"statusCode":200,`); served != (event == answered) || served == (err != nil) {
				t.Errorf("with %q, %s is answered %s, %v", variable, event, out, err)
			}
		}
	}
	c := ManageConfig{Config: Config{TableConfig: TableConfig{Table: "rotor"}, Issuer: "https://auth.example.com", KeysFile: keys, Balancer: true}, APIID: "a1b2c3d4e5"}
	made, err := wireManage(t.Context(), c, log)
	if err != nil {
		t.Fatal(err)
	}
	logged.Reset()
	out, err := made.(lambda.Handler).Invoke(t.Context(), []byte(strings.ReplaceAll(balanced, "PATH", "/v1/clients")))
	if err != nil || !strings.Contains(string(out), `"statusCode":403,`) || !strings.Contains(logged.String(), "caller refused") {
		t.Errorf("manage answers a load balancer %s, %v: %s", out, err, &logged)
	}
}
