package assertion

import (
	"strconv"
	"strings"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/outbound"
)

// Keys are public keys, or where they are. The names are those of RFC 7591 §2. The zero value has
// none.
type Keys struct {
	JWKSURI string  `json:"jwks_uri,omitempty"`
	JWKS    *KeySet `json:"jwks,omitempty"` // nil beside JWKSURI
}

// Any reports whether there are keys.
func (k Keys) Any() bool { return k.JWKSURI != "" || k.JWKS != nil }

// Widens reports whether keys that before does not have are among those of after.
func (k Keys) Widens(before Keys) bool { return k.Any() && !k.within(before) }

// within reports whether all keys are among those of other.
func (k Keys) within(other Keys) bool { return k.JWKSURI == other.JWKSURI && k.JWKS.within(other.JWKS) }

// CheckKeys returns what is wrong with the keys of a client.
func (v *Verifier) CheckKeys(k Keys) []*family.FieldError {
	c := checker{loopback: v.loopback}
	c.keys(k)
	return c.errs
}

// keys checks keys, if there are any.
func (c *checker) keys(k Keys) {
	switch {
	case k.JWKSURI != "" && k.JWKS != nil:
		c.wrong(c.at+"jwks", "", "left out beside jwks_uri")
	case k.JWKSURI != "":
		if want := outbound.CheckURL(k.JWKSURI, c.loopback); want != "" {
			shown := ""
			if strings.HasPrefix(k.JWKSURI, "http") { // what is no address may be a key
				shown = strconv.Quote(shorten(k.JWKSURI))
			}
			c.wrong(c.at+"jwks_uri", shown, want)
		}
	}
}
