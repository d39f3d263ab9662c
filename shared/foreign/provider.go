package foreign

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/outbound"
)

// Provider is another provider whose refresh tokens a client adopts: a token that is not on
// record is exchanged there, once, and its user's session goes on here.
type Provider struct {
	TokenEndpoint string `json:"token_endpoint"`
	ClientID      string `json:"client_id"`             // the app's id at the provider
	Auth          string `json:"auth"`                  // how the app authenticates there
	SecretName    string `json:"secret_name,omitempty"` // where its secret is, in Secrets Manager; "" without authentication
	User          User   `json:"user"`
	Shape                // what the provider's tokens look like
	// Repeatable says that a token of the provider can be exchanged again if an answer was lost:
	// it does not rotate them, or forgives a second use for some time.
	Repeatable bool `json:"repeatable"`
	PerSecond  int  `json:"per_second"` // how many tokens are exchanged in a second, at most
}

// User says how the provider's answer names the user.
type User struct {
	From  string `json:"from"`  // the token that has the claim
	Claim string `json:"claim"` // the claim that is the user's id
}

// How a client authenticates at a provider (OpenID Connect Core §9).
const (
	NoAuth    = "none"
	BasicAuth = "client_secret_basic"
	PostAuth  = "client_secret_post"
)

// Where a provider's answer names the user.
const (
	FromIDToken     = "id_token"
	FromAccessToken = "access_token"
)

// What a provider has if the settings do not say otherwise.
const (
	DefaultUserClaim = "sub"
	DefaultPerSecond = 10
)

// SecretPrefix begins the name of every secret that the settings may name, so that Rotor need not
// be allowed to read any other.
const SecretPrefix = "rotor/adopt/"

// Limits of the settings.
const (
	MaxPerSecond = 500 // half of what one partition of the table writes

	maxClientID   = 256
	maxSecretName = 128
	maxClaim      = 128
)

// Fits reports whether a token has the shape of the provider's.
func (p *Provider) Fits(presented string) bool { return p != nil && p.Shape.Fits(presented) }

// Check returns what is wrong with the provider, apart from its shape. With loopback, it may be on
// this machine.
func (p *Provider) Check(field string, loopback bool) []*family.FieldError {
	var errs []*family.FieldError
	wrong := func(name, value, want string) {
		errs = append(errs, &family.FieldError{Field: field + "." + name, Value: value, Want: want})
	}
	text := func(name, s string, limit int) {
		switch {
		case s == "":
			wrong(name, "", "given")
		case len(s) > limit:
			wrong(name, fmt.Sprintf("%d bytes long", len(s)), fmt.Sprintf("at most %d bytes", limit))
		case !IsPrintable(s):
			wrong(name, "", "free of control characters")
		}
	}
	if p.TokenEndpoint == "" {
		wrong("token_endpoint", "", "given")
	} else if want := outbound.CheckURL(p.TokenEndpoint, loopback); want != "" {
		shown := ""
		if strings.HasPrefix(p.TokenEndpoint, "http") && !strings.Contains(p.TokenEndpoint, "@") { // it may be, or have, a secret
			shown = strconv.Quote(cut(p.TokenEndpoint))
		}
		wrong("token_endpoint", shown, want)
	}
	text("client_id", p.ClientID, maxClientID)
	switch p.Auth {
	case NoAuth:
		if p.SecretName != "" {
			wrong("secret_name", "", `left out where auth is "none"`)
		}
	case BasicAuth, PostAuth:
		name, ok := strings.CutPrefix(p.SecretName, SecretPrefix)
		const characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_+=.@-"
		if !ok || name == "" || len(p.SecretName) > maxSecretName || strings.Trim(name, characters) != "" {
			// What is no name may be the secret itself, and is not shown.
			wrong("secret_name", "", fmt.Sprintf("the name of a secret in Secrets Manager that begins with %s, of at most %d letters, digits and /_+=.@-", SecretPrefix, maxSecretName))
		}
	default:
		wrong("auth", strconv.Quote(cut(p.Auth)), `"none", "client_secret_basic" or "client_secret_post"`)
	}
	if p.User.From != FromIDToken && p.User.From != FromAccessToken {
		wrong("user.from", strconv.Quote(cut(p.User.From)), `"id_token" or "access_token"`)
	}
	if slices.Contains([]string{"iss", "aud", "exp", "nbf", "iat", "jti"}, p.User.Claim) {
		wrong("user.claim", strconv.Quote(p.User.Claim), "a claim that names the user")
	} else {
		text("user.claim", p.User.Claim, maxClaim)
	}
	if p.PerSecond < 1 || p.PerSecond > MaxPerSecond {
		wrong("per_second", strconv.Itoa(p.PerSecond), fmt.Sprintf("from 1 to %d", MaxPerSecond))
	}
	return errs
}

// IsPrintable reports whether s has no control characters and nothing that was not a character
// of Unicode.
func IsPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return unicode.IsControl(c) || c == unicode.ReplacementChar })
}

// cut returns s as it is quoted in an error.
func cut(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "")
	}
	return s
}
