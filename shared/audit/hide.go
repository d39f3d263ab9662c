package audit

import "strings"

// Hidden stands in the log for a text that has a token or a secret in it.
const Hidden = "[redacted]"

// Hide returns s, or [Hidden] where a refresh token, a client secret or a JWT is in
// it: pasted, by mistake, where an id belongs. It is no regular expression: to
// compile one is part of each cold start.
func Hide(s string) string {
	if hasOurs(s) || hasJWT(s) {
		return Hidden
	}
	return s
}

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

// hasOurs reports whether s has the beginning of our tokens and secrets in it, with
// more behind it than a name has.
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

// hasJWT reports whether s has two JSON objects in it, in base64url and with a dot
// between them: the header and the claims.
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
