package assertion

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/shared/family"
)

// Limits of a client's trusted issuers. Sizes are in bytes.
const (
	MaxIssuers   = 8 // of a client
	MaxAudiences = 8 // of an issuer

	maxIssuer = 256
	maxClaim  = 128
	maxPrefix = 100

	// MaxMaxAge is the greatest MaxAge.
	MaxMaxAge family.Seconds = 24 * 3600
)

// What an issuer has if the settings do not say otherwise.
const (
	DefaultAlgorithm                = string(jose.RS256)
	DefaultUserClaim                = "sub"
	DefaultMaxAge    family.Seconds = 300
)

// Issuer is an issuer that a client trusts.
type Issuer struct {
	Issuer     string         `json:"issuer"`             // the iss of its assertions
	JWKSURI    string         `json:"jwks_uri,omitempty"` // where its keys are; "" if they are in JWKS
	JWKS       *KeySet        `json:"jwks,omitempty"`
	Audience   []string       `json:"audience"`    // an aud of its assertions is one of these
	Algorithms []string       `json:"algorithms"`  // that it may sign with
	UserClaim  string         `json:"user_claim"`  // the claim with the user's id
	MaxAge     family.Seconds `json:"max_age"`     // how long ago an assertion may have been made
	UserPrefix string         `json:"user_prefix"` // stands before the user's id, so that no two issuers share a user
}

// DefaultPrefix returns the prefix of the issuer's users, if the settings name no other.
func DefaultPrefix(issuer string) string { return issuer + "|" }

// algorithms are those that an issuer may be allowed. All are asymmetric: a MAC can be
// made by anyone who can verify it.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.EdDSA,
}

// changingClaims name a user only for a time.
var changingClaims = []string{"email", "preferred_username", "upn", "unique_name", "nickname", "name", "phone_number"}

// Reassignable reports whether the user claim is one whose values can pass from one user to
// another.
func (i *Issuer) Reassignable() bool { return slices.Contains(changingClaims, i.UserClaim) }

// Check returns what is wrong with the issuers of one client.
func (v *Verifier) Check(field string, issuers []Issuer) []*family.FieldError {
	c := checker{loopback: v.loopback}
	if len(issuers) > MaxIssuers {
		c.wrong(field, fmt.Sprintf("%d issuers", len(issuers)), fmt.Sprintf("at most %d", MaxIssuers))
		return c.errs
	}
	for n := range issuers {
		c.at = fmt.Sprintf("%s[%d].", field, n)
		c.issuer(&issuers[n])
		c.apart(issuers, n)
	}
	return c.errs
}

// checker collects what is wrong with issuers.
type checker struct {
	loopback bool
	at       string // the field, with a dot
	errs     []*family.FieldError
}

func (c *checker) wrong(field, value, want string) {
	c.errs = append(c.errs, &family.FieldError{Field: field, Value: value, Want: want})
}

// text checks a string that must not be empty.
func (c *checker) text(name, s string, limit int) {
	switch {
	case s == "":
		c.wrong(c.at+name, "", "given")
	case len(s) > limit:
		c.wrong(c.at+name, fmt.Sprintf("%d bytes long", len(s)), fmt.Sprintf("at most %d bytes", limit))
	case !isPrintable(s):
		c.wrong(c.at+name, "", "free of control characters")
	}
}

func (c *checker) issuer(i *Issuer) {
	c.text("issuer", i.Issuer, maxIssuer)
	if c.keys(Keys{i.JWKSURI, i.JWKS}); i.JWKSURI == "" && i.JWKS == nil {
		c.wrong(c.at+"jwks_uri", "", "given, or the keys themselves as jwks")
	}
	if len(i.Audience) == 0 || len(i.Audience) > MaxAudiences {
		c.wrong(c.at+"audience", fmt.Sprintf("%d values", len(i.Audience)), fmt.Sprintf("1 to %d: whom the issuer's assertions are for", MaxAudiences))
	}
	for _, a := range i.Audience {
		c.text("audience", a, maxIssuer)
	}
	for _, a := range i.Algorithms {
		if !slices.Contains(algorithms, jose.SignatureAlgorithm(a)) {
			c.wrong(c.at+"algorithms", strconv.Quote(shorten(a)), "of "+allAlgorithms())
		}
	}
	if len(i.Algorithms) == 0 {
		c.wrong(c.at+"algorithms", "", "of "+allAlgorithms()+", at least one")
	}
	switch i.UserClaim {
	case "iss", "aud", "exp", "nbf", "iat", "jti":
		c.wrong(c.at+"user_claim", strconv.Quote(i.UserClaim), "a claim that names the user")
	default:
		c.text("user_claim", i.UserClaim, maxClaim)
	}
	if i.MaxAge < 1 || i.MaxAge > MaxMaxAge {
		c.wrong(c.at+"max_age", strconv.FormatInt(int64(i.MaxAge), 10), fmt.Sprintf("from 1 to %d", MaxMaxAge))
	}
	if i.UserPrefix != "" {
		c.text("user_prefix", i.UserPrefix, maxPrefix)
	}
}

// apart checks that the issuer and its users cannot be taken for those of another.
func (c *checker) apart(issuers []Issuer, n int) {
	i := &issuers[n]
	if i.UserPrefix == "" && len(issuers) > 1 {
		c.wrong(c.at+"user_prefix", "", "given: only the users of a client's one issuer can be without")
		return
	}
	for m := range issuers[:n] {
		other := &issuers[m]
		switch {
		case other.Issuer == i.Issuer:
			c.wrong(c.at+"issuer", "", "another than those before it")
			return
		case strings.HasPrefix(other.UserPrefix, i.UserPrefix) || strings.HasPrefix(i.UserPrefix, other.UserPrefix):
			c.wrong(c.at+"user_prefix", strconv.Quote(shorten(i.UserPrefix)), "neither the beginning of another issuer's nor begin with it: users could be taken for each other")
			return
		}
	}
}

func allAlgorithms() string {
	var names []string
	for _, a := range algorithms {
		names = append(names, string(a))
	}
	return strings.Join(names, ", ")
}

// shorten returns s as it is quoted in an error.
func shorten(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "")
	}
	return s
}

// Widens reports whether after trusts something that before does not: an issuer, a key, a
// use, or another way to name users.
func Widens(before, after []Issuer) bool {
	within := func(a, b []string) bool {
		return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
	}
	return slices.ContainsFunc(after, func(a Issuer) bool {
		return !slices.ContainsFunc(before, func(b Issuer) bool {
			return a.Issuer == b.Issuer && (Keys{a.JWKSURI, a.JWKS}).within(Keys{b.JWKSURI, b.JWKS}) &&
				within(a.Audience, b.Audience) && within(a.Algorithms, b.Algorithms) &&
				a.UserClaim == b.UserClaim && a.UserPrefix == b.UserPrefix && a.MaxAge <= b.MaxAge
		})
	})
}
