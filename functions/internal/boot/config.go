package boot

import (
	"errors"

	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/origin"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
)

// TableConfig is the part of the configuration that concerns the table. It is all
// that the sweep needs.
type TableConfig struct {
	Stage string // ROTOR_STAGE: in every log line, and a dimension of the metrics; "" for none
	Table string // ROTOR_TABLE: the name of the DynamoDB table

	// Retention is ROTOR_FAMILY_RETENTION_DAYS and ROTOR_EVENT_RETENTION_DAYS, from
	// 1 to 3650; [store.DefaultRetention] unless set.
	Retention store.Retention
}

// Config is the configuration of a function that serves the API, as read from its
// environment.
type Config struct {
	TableConfig
	Issuer string // ROTOR_ISSUER: the URL of the API, which is the issuer of its tokens

	// Balancer is whether a load balancer invokes the function, and no longer the HTTP API:
	// ROTOR_EVENTS is load-balancer, and not http-api or left out.
	Balancer bool

	// KeysSecrets are ROTOR_KEYS_SECRET, the name or ARN of the secret with the token keys,
	// and ROTOR_SIGNING_SECRET, that of the signing keys, which are in the former too unless
	// it is set. Or else there is KeysFile.
	KeysSecrets keyring.Secrets
	KeysFile    string     // ROTOR_KEYS_FILE: a file with all keys, for runs without Secrets Manager
	EdgeSecret  string     // ROTOR_EDGE_SECRET: the name or ARN of the secret that CloudFront sends; "" if there is no edge
	Origins     origin.Set // ROTOR_ORIGINS: the web origins that may call besides the issuer's, separated by commas

	// AuthorizationEndpoint is ROTOR_AUTHORIZATION_ENDPOINT, the URL of the login page; ""
	// if there is none.
	AuthorizationEndpoint string
}

// LoadConfig reads the configuration. Its error joins everything that is wrong. Each
// part names the variable and says what its value must be.
func LoadConfig(getenv func(string) string) (Config, error) {
	e := environment{getenv: getenv}
	c := Config{
		TableConfig: e.table(),
		Issuer:      e.issuer("ROTOR_ISSUER"),
		Balancer:    e.balancer("ROTOR_EVENTS"),
		Origins:     e.origins("ROTOR_ORIGINS"),
	}
	c.AuthorizationEndpoint = e.loginPage("ROTOR_AUTHORIZATION_ENDPOINT", c.Issuer)
	c.EdgeSecret = e.edgeSecret("ROTOR_EDGE_SECRET")
	c.KeysSecrets, c.KeysFile = e.keys("ROTOR_KEYS_SECRET", "ROTOR_SIGNING_SECRET", "ROTOR_KEYS_FILE")
	return c, errors.Join(e.errs...)
}

// LoadTableConfig reads a [TableConfig], as [LoadConfig] does.
func LoadTableConfig(getenv func(string) string) (TableConfig, error) {
	e := environment{getenv: getenv}
	c := e.table()
	return c, errors.Join(e.errs...)
}

// KeysConfig is the configuration of the function that rotates the keys.
type KeysConfig struct {
	Stage     string            // as in [TableConfig]
	Secrets   keyring.Secrets   // ROTOR_KEYS_SECRET, ROTOR_SIGNING_SECRET: the secrets whose keys it rotates, as in [Config]
	Algorithm signing.Algorithm // ROTOR_SIGNING_ALGORITHM: of new signing keys, RS256 or ES256; RS256 unless set
}

// LoadKeysConfig reads a [KeysConfig], as [LoadConfig] does.
func LoadKeysConfig(getenv func(string) string) (KeysConfig, error) {
	e := environment{getenv: getenv}
	c := KeysConfig{
		Stage:     e.stage("ROTOR_STAGE"),
		Secrets:   keyring.Secrets{Token: e.secret("ROTOR_KEYS_SECRET"), Signing: e.otherSecret("ROTOR_SIGNING_SECRET", "ROTOR_KEYS_SECRET")},
		Algorithm: e.algorithm("ROTOR_SIGNING_ALGORITHM", signing.RS256),
	}
	return c, errors.Join(e.errs...)
}

// ManageConfig is the configuration of the function that serves the management API.
type ManageConfig struct {
	Config
	APIID string // ROTOR_API_ID: the id of the HTTP API at whose gateway IAM authorizes callers

	// LocalCaller is ROTOR_LOCAL_CALLER, the caller to assume on a developer's
	// machine, where there is no gateway to name one. It is refused unless the keys
	// are in a file.
	LocalCaller string
}

// LoadManageConfig reads a [ManageConfig], as [LoadConfig] does.
func LoadManageConfig(getenv func(string) string) (ManageConfig, error) {
	base, err := LoadConfig(getenv)
	e := environment{getenv: getenv}
	c := ManageConfig{Config: base, APIID: e.apiID("ROTOR_API_ID"), LocalCaller: getenv("ROTOR_LOCAL_CALLER")}
	if c.LocalCaller != "" && c.KeysFile == "" {
		e.wrong("ROTOR_LOCAL_CALLER", c.LocalCaller, "left out unless the keys are in a file, because it lets anybody call")
	}
	if c.Balancer {
		e.wrong("ROTOR_EVENTS", getenv("ROTOR_EVENTS"), "http-api or left out, because IAM authorizes callers at the HTTP API alone")
	}
	return c, errors.Join(append([]error{err}, e.errs...)...)
}
