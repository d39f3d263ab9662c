package audit

import "strings"

// Hidden replaces, in the log, a text that contains a token or a secret.
const Hidden = "[redacted]"

// Hide returns s, or [Hidden] if s contains a refresh token, a client secret or a
// JWT, which someone may have pasted where an id belongs. It does not use a regular
// expression, which each cold start would compile.
func Hide(s string) string {
	if hasOurs(s) || hasJWT(s) {
		return Hidden
	}
	return s
}

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

// hasOurs reports whether s contains the prefix of Rotor's tokens and secrets,
// followed by more characters than a name has.
func hasOurs(s string) bool {
	const prefix, most = "rotor_", 19
	for found := true; found; {
		_, s, found = strings.Cut(s, prefix)
		if len(s)-len(strings.TrimLeft(s, base64url)) > most {
			return true
		}
	}
	return false
}

// hasJWT reports whether s contains two JSON objects in base64url with a dot between
// them, as the header and the claims of a JWT are.
func hasJWT(s string) bool {
	const object = "eyJ"
	for found := true; found; {
		_, s, found = strings.Cut(s, object)
		if strings.HasPrefix(strings.TrimLeft(s, base64url), "."+object) {
			return true
		}
	}
	return false
}
