package local

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/rotor-auth/rotor/shared/origin"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
)

// config is the configuration, as read from the environment. All of it is optional.
type config struct {
	addr    address           // ADDR: where to listen; by default 127.0.0.1:3000
	base    string            // BASE_PATH: the path of the issuer, as behind an API mapping; by default none
	keys    string            // KEYS: the file in which the keys are kept; by default none
	alg     signing.Algorithm // ALG: RS256 or ES256; by default that of the file, or RS256 for new keys
	origins origin.Set        // ORIGINS: web origins that may refresh and revoke; by default loopback, on any port
	login   string            // AUTHORIZATION_ENDPOINT: the URL of a login page, to which /authorize leads; by default the demo's
	adopt   string            // ADOPT_SECRETS: a file with the secrets for other providers; by default none
	table   string            // TABLE: the table's name in DynamoDB; by default rotor

	// AWS_ENDPOINT_URL_DYNAMODB: a DynamoDB to use instead of the embedded one, with
	// AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
	// Without credentials, arbitrary ones are sent, which DynamoDB Local accepts.
	dynamodb, region                           string
	accessKeyID, secretAccessKey, sessionToken string
}

// address is a host and a port, where port 0 means any free one.
type address struct{ host, port string }

func (a address) String() string { return net.JoinHostPort(a.host, a.port) }

// loadConfig reads the configuration. Its error lists everything that is wrong, one
// problem per line.
func loadConfig(getenv func(string) string) (*config, error) {
	c := &config{
		keys:            getenv("KEYS"),
		login:           getenv("AUTHORIZATION_ENDPOINT"),
		adopt:           getenv("ADOPT_SECRETS"),
		table:           cmp.Or(getenv("TABLE"), "rotor"),
		dynamodb:        getenv("AWS_ENDPOINT_URL_DYNAMODB"),
		region:          cmp.Or(getenv("AWS_REGION"), "us-east-1"),
		accessKeyID:     getenv("AWS_ACCESS_KEY_ID"),
		secretAccessKey: getenv("AWS_SECRET_ACCESS_KEY"),
		sessionToken:    getenv("AWS_SESSION_TOKEN"),
	}
	var errs []error
	wrong := func(name, value, want string) {
		errs = append(errs, fmt.Errorf("%s is %q, but must be %s", name, value, want))
	}
	addr := cmp.Or(getenv("ADDR"), "127.0.0.1:3000")
	var want string
	if c.addr, want = parseAddress(addr); want != "" {
		wrong("ADDR", addr, want)
	}
	if c.base = getenv("BASE_PATH"); c.base != "" && !isBasePath(c.base) {
		wrong("BASE_PATH", c.base, "a path such as /auth that does not begin with "+strings.Join(ownPaths, ", "))
	}
	if alg := getenv("ALG"); alg != "" {
		var err error
		if c.alg, err = signing.ParseAlgorithm(alg); err != nil {
			wrong("ALG", alg, "RS256 or ES256")
		}
	}
	origins := strings.Split(cmp.Or(getenv("ORIGINS"), origin.Loopback), ",")
	listed := slices.DeleteFunc(slices.Clone(origins), func(s string) bool { return strings.TrimSpace(s) == origin.Loopback })
	c.origins = origin.ParseSet(listed, func(value, want string) { wrong("ORIGINS", value, want) })
	if len(listed) < len(origins) {
		c.origins = c.origins.AndLoopback()
	}
	if c.login != "" {
		if err := session.CheckRedirectURI(c.login, false); err != nil {
			wrong("AUTHORIZATION_ENDPOINT", c.login, err.Error())
		}
	}
	if !store.IsTableName(c.table) {
		wrong("TABLE", c.table, "3 to 255 of A-Z a-z 0-9 _ . -")
	}
	if c.dynamodb != "" {
		if !isEndpoint(c.dynamodb) {
			wrong("AWS_ENDPOINT_URL_DYNAMODB", c.dynamodb, "a URL such as http://127.0.0.1:8000")
		}
		if (c.accessKeyID == "") != (c.secretAccessKey == "") {
			errs = append(errs, errors.New("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must both be set, or neither"))
		}
		if c.accessKeyID == "" {
			c.accessKeyID, c.secretAccessKey, c.sessionToken = "local", "local", ""
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return c, nil
}

// ownPaths are the paths that are served without a base path.
var ownPaths = []string{"/oauth", "/.well-known", "/openapi.json", "/authorize", "/v1", "/v2/logout", "/auth/v1", "/local", "/debug", "/console", "/demo"}

// isBasePath reports whether s is a path of plain segments that begins with none of
// ownPaths, so that it is always clear whether a request has the base path.
func isBasePath(s string) bool {
	const characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-/"
	own := slices.ContainsFunc(ownPaths, func(p string) bool { return s == p || strings.HasPrefix(s, p+"/") })
	return s[0] == '/' && s != "/" && path.Clean(s) == s && strings.Trim(s, characters) == "" && !own
}

// pathOf returns the request's path without the base path.
func (c *config) pathOf(r *http.Request) string {
	if rest, ok := strings.CutPrefix(r.URL.Path, c.base); ok && strings.HasPrefix(rest, "/") {
		return rest
	}
	return r.URL.Path
}

// parseAddress parses host:port. If that is no address to listen on, want says what
// it must be.
func parseAddress(s string) (a address, want string) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return address{}, "host:port, such as 127.0.0.1:3000 or [::1]:3000"
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return address{}, "host:port with a port from 0 (any that is free) to 65535"
	}
	ip, err := netip.ParseAddr(host)
	if host != "localhost" && (err != nil || !ip.IsLoopback() || ip.Zone() != "") {
		return address{}, "on loopback (127.0.0.1, [::1] or localhost): whoever reaches this program may manage every token"
	}
	return address{host: host, port: port}, ""
}

func isEndpoint(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" &&
		u.User == nil && u.RawQuery == "" && u.Fragment == ""
}
