package oauth

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// The headers of Device Bound Session Credentials (W3C). Browsers send them; no page can send the second.
const (
	deviceProofHeader   = "Secure-Session-Response"
	deviceSessionHeader = "Sec-Secure-Session-Id"
	skippedHeader       = "Secure-Session-Skipped"

	registrationHeader = "Secure-Session-Registration"
	challengeHeader    = "Secure-Session-Challenge"

	// devicePrefix begins the names of all headers of the browser that pages may not send, in small letters.
	devicePrefix = "secure-session-"
)

// The paths of the endpoints, below the issuer's.
const (
	registrationPath = "/oauth/dbsc/registration"
	renewalPath      = "/oauth/dbsc/renewal"
)

// Defaults of [Config].
const (
	deviceCookieLife    = 10 * time.Minute
	deviceChallengeLife = 15 * time.Minute
)

// deviceCookieDelay is for how long an answer with a device cookie, and a request with it, may be under way. The
// browser counts its age from when it comes.
const deviceCookieDelay = time.Minute

// A device cookie's name begins and ends with these; the client's id, a dot and the sid are in between. Browsers accept
// no __Host-Http- name for the cookie of a device-bound session.
const (
	deviceCookiePrefix = "__Host-rotor."
	deviceCookieSuffix = ".bound"
)

func deviceCookieName(clientID, sid string) string {
	return deviceCookiePrefix + clientID + "." + sid + deviceCookieSuffix
}

// cutDeviceName returns the sid in the name of a device cookie of the client.
func cutDeviceName(name, clientID string) (sid string, ok bool) {
	sid, ok = strings.CutPrefix(name, deviceCookiePrefix+clientID+".")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(sid, deviceCookieSuffix)
}

// setDevice sets the device cookie of a session for so long; a negative age deletes it.
func (j *cookieJar) setDevice(w http.ResponseWriter, sid, value string, age time.Duration) {
	j.setNamed(w, deviceCookieName(j.client.ID, sid), value, age)
}

// skippedSession finds the identifiers of sessions in a Secure-Session-Skipped header.
var skippedSession = regexp.MustCompile(`session_identifier="([^"]*)"`)

// maxSkipped limits how many sessions are read of that header.
const maxSkipped = 64

// skippedSessions returns the identifiers of the sessions that the browser says it could not renew before the request.
func skippedSessions(r *http.Request) []string {
	var identifiers []string
	for _, m := range skippedSession.FindAllStringSubmatch(strings.Join(r.Header.Values(skippedHeader), ","), maxSkipped) {
		identifiers = append(identifiers, m[1])
	}
	return identifiers
}

// preflightsDevice reports whether a page asks in a preflight to send headers that are the browser's.
func preflightsDevice(r *http.Request) bool {
	asked := strings.ToLower(strings.Join(r.Header.Values("Access-Control-Request-Headers"), ","))
	return r.Method == http.MethodOptions && strings.Contains(asked, devicePrefix)
}

// offerRegistration asks the browser, by a header of the answer, to make a key and to register it for the session, if it
// still may. Browsers that do not know the header ignore it.
func (a *API) offerRegistration(w http.ResponseWriter, r *http.Request, q *tokenRequest, t *session.Tokens) error {
	if q.jar == nil || !q.client.DeviceBound || !t.Record.MayRegister(q.now) {
		return nil
	}
	keys, err := a.Keys.Keys(r.Context(), q.now)
	if err != nil {
		return err
	}
	challenge := a.DeviceChallenge(keys, t.Record.ID, q.client.ID, a.DeviceChallengeLife, q.now)
	w.Header().Set(registrationHeader, fmt.Sprintf(`(ES256 RS256);path="%s%s";challenge="%s"`, web.PrefixOf(a.Issuer).Escaped, registrationPath, challenge))
	return nil
}

// deviceConfig is the answer to a registration and to a renewal (Device Bound Session Credentials, "JSON Session
// Instruction Format").
type deviceConfig struct {
	SessionID         string             `json:"session_identifier"`
	RefreshURL        string             `json:"refresh_url"`
	Scope             deviceScope        `json:"scope"`
	Credentials       []deviceCredential `json:"credentials"`
	RefreshInitiators []string           `json:"allowed_refresh_initiators,omitempty"`
}

type deviceScope struct {
	IncludeSite   bool              `json:"include_site"`
	Specification []deviceScopeRule `json:"scope_specification"`
}

type deviceScopeRule struct {
	Type string `json:"type"`
	Path string `json:"path"`
}

type deviceCredential struct {
	Type       string `json:"type"`
	Name       string `json:"name"`
	Attributes string `json:"attributes"`
}

// configOf returns how the browser shall keep a session: before each request to the token endpoint and to revocation it
// renews the device cookie, unless it has one. Of several rules the last that matches counts. Besides pages of the
// service, those of the configured origins may cause a renewal.
func (a *API) configOf(client *store.Client, s session.DeviceSession, identifier string) deviceConfig {
	prefix := web.PrefixOf(a.Issuer).Escaped
	sameSite := "Strict"
	if client.CookieLax {
		sameSite = "Lax"
	}
	return deviceConfig{
		SessionID: identifier, RefreshURL: prefix + renewalPath,
		Scope: deviceScope{Specification: []deviceScopeRule{
			{"exclude", "/"}, {"include", prefix + "/oauth/token"}, {"include", prefix + "/oauth/revoke"},
		}},
		Credentials: []deviceCredential{{
			Type: "cookie", Name: deviceCookieName(client.ID, s.Family.ULID().String()),
			Attributes: "Path=/; Secure; HttpOnly; SameSite=" + sameSite,
		}},
		RefreshInitiators: a.Origins.Hosts(),
	}
}

// challenge sets the header that gives a browser the challenge for its next proof.
func (a *API) challenge(w http.ResponseWriter, keys *keyring.Keys, s session.DeviceSession, identifier string, now time.Time) {
	challenge := a.DeviceChallenge(keys, s.Family, s.ClientID, a.DeviceChallengeLife, now)
	w.Header().Set(challengeHeader, fmt.Sprintf(`"%s";id="%s"`, challenge, identifier))
}

// bareString returns a header's value, with or without the quotes of a string of RFC 9651, "" if it is not given once.
func bareString(values []string) string {
	if len(values) != 1 {
		return ""
	}
	s := strings.TrimSpace(values[0])
	if inner, ok := strings.CutPrefix(s, `"`); ok {
		s, _ = strings.CutSuffix(inner, `"`)
	}
	return s
}
