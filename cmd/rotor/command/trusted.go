package command

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/shared/assertion"
)

// issuersText returns the trusted issuers of a client as one line, with the defaults for what
// was left out, so that those of a file and of the service are the same text.
func issuersText(issuers []manage.TrustedIssuer) string {
	var all []string
	for i := range issuers {
		all = append(all, issuerText(&issuers[i]))
	}
	return strings.Join(all, "; ")
}

func issuerText(i *manage.TrustedIssuer) string {
	keys := "jwks_uri " + i.JWKSURI
	if len(i.JWKS) > 0 {
		keys = "jwks " + keysText(i.JWKS)
	}
	algorithms := unique(i.Algorithms)
	if len(algorithms) == 0 {
		algorithms = []string{assertion.DefaultAlgorithm}
	}
	return fmt.Sprintf("%s (%s, audience %s, algorithms %s, user_claim %s, max_age %d, user_prefix %q)",
		i.Issuer, keys, strings.Join(unique(i.Audience), " "), strings.Join(algorithms, " "), cmp.Or(i.UserClaim, assertion.DefaultUserClaim),
		cmp.Or(i.MaxAge, int64(assertion.DefaultMaxAge)), prefixOf(i))
}

// prefixOf returns what stands before the ids of the issuer's users.
func prefixOf(i *manage.TrustedIssuer) string {
	if i.UserPrefix != nil {
		return *i.UserPrefix
	}
	return assertion.DefaultPrefix(i.Issuer)
}

// keysText returns a short name of keys: how many there are, and the beginning of their hash; "" for none.
// Keys that the service will refuse have none, as they may be private.
func keysText(jwks json.RawMessage) string {
	if len(jwks) == 0 {
		return ""
	}
	set, err := assertion.ParseKeySet(jwks)
	if err != nil {
		return "(refused)"
	}
	text, err := set.MarshalJSON()
	if err != nil {
		return "(refused)"
	}
	return fmt.Sprintf("of %s, SHA-256 %.8x", plural(len(set.Keys()), "key", "keys"), sha256.Sum256(text))
}

// trustsMore reports whether after has an issuer that before has not, or trusts one in another
// way.
func trustsMore(before, after []manage.TrustedIssuer) bool {
	return slices.ContainsFunc(after, func(a manage.TrustedIssuer) bool {
		return !slices.ContainsFunc(before, func(b manage.TrustedIssuer) bool { return issuerText(&a) == issuerText(&b) })
	})
}

// addsKeys reports whether after authenticates by keys that before has not.
func addsKeys(before, after *manage.Registration) bool {
	keys := func(c *manage.Registration) assertion.Keys {
		set, err := assertion.ParseKeySet(c.JWKS)
		if err != nil { // there are none, or the service will refuse them
			set = nil
		}
		return assertion.Keys{JWKSURI: c.JWKSURI, JWKS: set}
	}
	return keys(after).Widens(keys(before))
}
