package local

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/origin"
)

func load(env map[string]string) (*config, error) {
	return loadConfig(func(name string) string { return env[name] })
}

func TestConfigDefaults(t *testing.T) {
	got, err := load(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &config{addr: address{"127.0.0.1", "3000"}, origins: origin.Set{}.AndLoopback(), table: "rotor", region: "us-east-1"}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(config{}, address{})); diff != "" {
		t.Error(diff)
	}
}

func TestConfigIsRead(t *testing.T) {
	got, err := load(map[string]string{
		"ADDR": "[::1]:0", "BASE_PATH": "/auth/eu", "KEYS": "keys.json", "ALG": "ES256", "TABLE": "another.table",
		"ADOPT_SECRETS":             "secrets.json",
		"ORIGINS":                   "https://app.example.com, http://localhost:5173,",
		"AUTHORIZATION_ENDPOINT":    "http://localhost:5173/login",
		"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8000", "AWS_REGION": "eu-central-1",
		"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_SESSION_TOKEN": "session",
		"ANYTHING_ELSE": "?",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &config{
		addr: address{"::1", "0"}, base: "/auth/eu", keys: "keys.json", alg: "ES256", table: "another.table",
		origins:  origins("https://app.example.com", "http://localhost:5173"),
		login:    "http://localhost:5173/login",
		adopt:    "secrets.json",
		dynamodb: "http://127.0.0.1:8000", region: "eu-central-1",
		accessKeyID: "id", secretAccessKey: "key", sessionToken: "session",
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(config{}, address{})); diff != "" {
		t.Error(diff)
	}
}

// origins returns the set of valid origins.
func origins(list ...string) origin.Set {
	return origin.ParseSet(list, func(value, want string) { panic(value + " must be " + want) })
}

// TestConfigOrigins checks that pages of this machine may call unless other origins are
// listed, and that both can be allowed.
func TestConfigOrigins(t *testing.T) {
	for value, want := range map[string]origin.Set{
		"":                                    origin.Set{}.AndLoopback(),
		"loopback":                            origin.Set{}.AndLoopback(),
		" loopback , https://App.example:443": origins("https://app.example").AndLoopback(),
		"https://app.example":                 origins("https://app.example"),
		"capacitor://localhost":               origins("capacitor://localhost"),
		"*":                                   origins("*"),
		",":                                   {},
	} {
		got, err := load(map[string]string{"ORIGINS": value})
		if err != nil || !got.origins.Equal(want) {
			t.Errorf("%q: %v, %v, want %v", value, got, err, want)
		}
	}
}

// TestConfigMakesUpCredentials checks that DynamoDB Local, which requires credentials but
// accepts any, gets made-up ones.
func TestConfigMakesUpCredentials(t *testing.T) {
	got, err := load(map[string]string{"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8000", "AWS_SESSION_TOKEN": "stray"})
	if err != nil {
		t.Fatal(err)
	}
	if got.accessKeyID == "" || got.secretAccessKey == "" || got.sessionToken != "" {
		t.Errorf("got %+v", got)
	}
}

func TestConfigAddresses(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "127.0.0.1:65535", "127.8.9.1:3000", "[::1]:3000", "localhost:3000"} {
		c, err := load(map[string]string{"ADDR": addr})
		if err != nil {
			t.Errorf("%s: %v", addr, err)
		} else if c.addr.String() != addr {
			t.Errorf("%s became %s", addr, c.addr)
		}
	}
	for _, addr := range []string{
		"0.0.0.0:3000", "192.168.1.1:3000", "10.0.0.1:3000", "[::]:3000", "[2001:db8::1]:3000", "example.com:3000",
		"localhost.example.com:3000", ":3000", "3000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
		"127.0.0.1:http", "::1:3000", "[::1%lo]:3000", "127.1:3000", "0177.0.0.1:3000", "http://127.0.0.1:3000",
	} {
		if _, err := load(map[string]string{"ADDR": addr}); err == nil || !strings.HasPrefix(err.Error(), "ADDR ") {
			t.Errorf("%s: %v, want an error that names ADDR", addr, err)
		}
	}
}

func TestConfigNamesAllThatIsWrong(t *testing.T) {
	_, err := load(map[string]string{
		"ADDR": "0.0.0.0:3000", "BASE_PATH": "auth", "ALG": "HS256", "TABLE": "no spaces", "ORIGINS": "https://app.example.com,https://b.example/login",
		"AUTHORIZATION_ENDPOINT": "http://login.example.com/", "AWS_ENDPOINT_URL_DYNAMODB": "127.0.0.1:8000", "AWS_ACCESS_KEY_ID": "id",
	})
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	names := []string{"ADDR", "BASE_PATH", "ALG", "ORIGINS", "AUTHORIZATION_ENDPOINT", "TABLE", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ACCESS_KEY_ID"}
	if len(lines) != len(names) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(names), err)
	}
	for i, name := range names {
		if !strings.HasPrefix(lines[i], name+" ") {
			t.Errorf("line %d is %q, want %s", i, lines[i], name)
		}
	}
}

func TestConfigURLs(t *testing.T) {
	for name, values := range map[string][]string{
		"AWS_ENDPOINT_URL_DYNAMODB": {"localhost:8000", "ftp://localhost", "http://", "http://u:p@localhost", "http://localhost?x", "%"},
		"BASE_PATH": {
			"/", "auth", "/auth/", "//auth", "/a//b", "/a/../b", "/.", "/a%20b", "/a b", "/a?b", "/a#b", "/ü", "http://localhost/auth",
			"/oauth", "/oauth/token", "/v1", "/v1/families", "/.well-known", "/openapi.json", "/authorize", "/v2/logout", "/auth/v1", "/auth/v1/token", "/local", "/local/clock", "/debug", "/debug/pprof",
		},
		"AUTHORIZATION_ENDPOINT": {"login.example.com", "/login", "http://login.example.com", "https://login.example.com/#x", "https://u@login.example.com/", "javascript:x", "com.example.app:/login"},
		"ORIGINS": {
			"app.example.com", "https://app.example.com/path", "https://", "null", "%", "loopback:5173",
			"https://*.example.com", "ftp://app.example.com", "https://u@app.example.com", "https://a.example?x",
		},
	} {
		for _, value := range values {
			if _, err := load(map[string]string{name: value}); err == nil || !strings.HasPrefix(err.Error(), name+" ") {
				t.Errorf("%s=%s: %v, want an error that names it", name, value, err)
			}
		}
	}
	for _, path := range []string{"/auth", "/v2", "/oauth2", "/prod/a-b_c.d~e"} {
		if _, err := load(map[string]string{"BASE_PATH": path}); err != nil {
			t.Error(err)
		}
	}
	if _, err := load(map[string]string{"ORIGINS": "*", "AWS_ENDPOINT_URL_DYNAMODB": "https://dynamodb.eu-central-1.amazonaws.com/"}); err != nil {
		t.Error(err)
	}
}
