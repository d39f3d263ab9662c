package boot

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/functions/internal/gateway"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/origin"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
)

// environment reads variables and collects the errors in them.
type environment struct {
	getenv func(string) string
	errs   []error
}

func (e *environment) wrong(name, value, want string) {
	if value == "" {
		e.errs = append(e.errs, fmt.Errorf("%s is not set: it must be %s", name, want))
		return
	}
	e.errs = append(e.errs, fmt.Errorf("%s is %q: it must be %s", name, value, want))
}

func (e *environment) table() TableConfig {
	return TableConfig{
		Stage: e.stage("ROTOR_STAGE"),
		Table: e.tableName("ROTOR_TABLE"),
		Retention: store.Retention{
			Families: e.days("ROTOR_FAMILY_RETENTION_DAYS", store.DefaultRetention.Families),
			Events:   e.days("ROTOR_EVENT_RETENTION_DAYS", store.DefaultRetention.Events),
		},
	}
}

// isStage reports whether s can be the name of a stage, or none. It does not use a
// regular expression, which each cold start would compile.
func isStage(s string) bool {
	return len(s) <= 20 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// stage reads the name of the stage.
func (e *environment) stage(name string) string {
	value := e.getenv(name)
	if !isStage(value) {
		e.wrong(name, value, "at most 20 small letters, digits and dashes")
	}
	return value
}

func (e *environment) tableName(name string) string {
	value := e.getenv(name)
	if !store.IsTableName(value) {
		e.wrong(name, value, "the name of a DynamoDB table")
	}
	return value
}

func (e *environment) apiID(name string) string {
	value := e.getenv(name)
	if !gateway.IsAPIID(value) {
		e.wrong(name, value, "the id of the API in API Gateway, like a1b2c3d4e5")
	}
	return value
}

// isSecretID reports whether s can be the name or the ARN of a secret. It does not
// use a regular expression, which each cold start would compile.
func isSecretID(s string) bool {
	const characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_+=.@:-"
	return s != "" && len(s) <= 700 && strings.Trim(s, characters) == ""
}

// keys reads two variables, exactly one of which must be set, and with the first of them
// the name of another secret.
func (e *environment) keys(secretVar, signingVar, fileVar string) (secrets keyring.Secrets, file string) {
	secret, file := e.getenv(secretVar), e.getenv(fileVar)
	switch {
	case secret == "" && file == "":
		e.errs = append(e.errs, fmt.Errorf("%s is not set: it must be the name or ARN of the secret with the keys (or %s a file with them)", secretVar, fileVar))
	case secret != "" && file != "":
		e.errs = append(e.errs, fmt.Errorf("%s and %s are both set: it must be only one of them", secretVar, fileVar))
	case secret != "":
		secrets = keyring.Secrets{Token: e.secret(secretVar), Signing: e.otherSecret(signingVar, secretVar)}
	case e.getenv(signingVar) != "":
		e.errs = append(e.errs, fmt.Errorf("%s is set without %s: it must be left out, because %s has all keys", signingVar, secretVar, fileVar))
	}
	return secrets, file
}

// otherSecret reads the name or ARN of a secret, if it is set, which is another than the first.
func (e *environment) otherSecret(name, first string) string {
	secret := e.getenv(name)
	switch {
	case secret == "":
		return ""
	case secret == e.getenv(first):
		e.errs = append(e.errs, fmt.Errorf("%s and %s are the same: it must be another secret, or left out", name, first))
	}
	return e.secret(name)
}

// secret reads the name or ARN of a secret, which must be set.
func (e *environment) secret(name string) string {
	secret := e.getenv(name)
	switch {
	case secret == "":
		e.errs = append(e.errs, fmt.Errorf("%s is not set: it must be the name or ARN of the secret with the keys", name))
	case !isSecretID(secret):
		// The value is not shown: it might be the secret instead of its name.
		e.errs = append(e.errs, fmt.Errorf("%s must be the name or ARN of a secret in Secrets Manager, but its value cannot be one", name))
	}
	return secret
}

// balancer reports whether a load balancer invokes the function.
func (e *environment) balancer(name string) bool {
	value := e.getenv(name)
	if value != "" && value != "http-api" && value != "load-balancer" {
		e.wrong(name, value, "http-api or load-balancer")
	}
	return value == "load-balancer"
}

// edgeSecret reads the name or ARN of a secret, which need not be set.
func (e *environment) edgeSecret(name string) string {
	if e.getenv(name) == "" {
		return ""
	}
	return e.secret(name)
}

// issuer reads an issuer as of RFC 8414 §2. It must not end in a slash, because the
// endpoints' paths are appended to it. Its path, if any, must be one that a request
// can have unchanged: clean, and without percent-encoding.
func (e *environment) issuer(name string) string {
	value := e.getenv(name)
	u, err := url.Parse(value)
	switch {
	case err != nil, u.Hostname() == "", u.User != nil, u.Opaque != "",
		strings.ContainsAny(value, "?#"), strings.HasSuffix(value, "/"), u.String() != value,
		strings.Contains(u.EscapedPath(), "%"), u.Path != "" && path.Clean(u.Path) != u.Path,
		u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		e.wrong(name, value, "an https URL without user, query, fragment or trailing slash, and with a plain path if any (http for a loopback host)")
	}
	return value
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// origins reads a list of web origins, separated by commas.
func (e *environment) origins(name string) origin.Set {
	return origin.ParseSet(strings.Split(e.getenv(name), ","), func(value, want string) { e.wrong(name, value, want) })
}

// loginPage reads the URL of the login page, which need not be set. Browsers are led there, so that
// it must be what a client may register as its own address. It cannot be the address that leads there.
func (e *environment) loginPage(name, issuer string) string {
	value := e.getenv(name)
	if value == "" {
		return ""
	}
	if err := session.CheckRedirectURI(value, false); err != nil {
		e.wrong(name, value, err.Error())
	} else if page, _, _ := strings.Cut(value, "?"); page == issuer+"/authorize" {
		e.wrong(name, value, "the address of your login page: this one leads to it")
	}
	return value
}

func (e *environment) days(name string, unset time.Duration) time.Duration {
	value := e.getenv(name)
	if value == "" {
		return unset
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > 3650 {
		e.wrong(name, value, "a whole number of days from 1 to 3650")
		return unset
	}
	return time.Duration(n) * 24 * time.Hour
}

func (e *environment) algorithm(name string, unset signing.Algorithm) signing.Algorithm {
	value := e.getenv(name)
	if value == "" {
		return unset
	}
	alg, err := signing.ParseAlgorithm(value)
	if err != nil {
		e.wrong(name, value, "RS256 or ES256")
	}
	return alg
}
