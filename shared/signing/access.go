package signing

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"
)

// Access holds the claims of an access token (RFC 9068 §2.2). Issuer, Subject,
// Audience, ClientID, IssuedAt and ExpiresAt are required. The others are left out
// of the token if they are empty. Times have a precision of one second.
type Access struct {
	Issuer   string
	Subject  string
	Audience Audience
	ClientID string
	Scope    string
	// SessionID is the "sid", which names the token family that the token belongs
	// to.
	SessionID string
	IssuedAt  time.Time
	ExpiresAt time.Time
	AuthTime  time.Time
	ACR       string
	AMR       []string
	// JKT is the thumbprint of the key that the token is bound to (RFC 9449 §6.1), or "".
	JKT string
	// JTI identifies the token. Verify sets it. SignAccess ignores it and makes a
	// new one of 128 random bits.
	JTI string
	// Custom holds further claims. Those that are [Reserved] are dropped, so that
	// they can neither replace a claim above nor supply a missing one.
	Custom map[string]any
}

// SignAccess signs an access token with the key that signs at now. It fails if a
// required claim is missing or a custom claim cannot be written as JSON, and with
// [ErrNoKey].
func (s *Set) SignAccess(now time.Time, a Access) (string, error) {
	key, err := s.signerAt(now)
	if err != nil {
		return "", fmt.Errorf("signing: sign access token: %w", err)
	}
	err = required(
		claim{"iss", a.Issuer != ""}, claim{"sub", a.Subject != ""}, claim{"aud", a.Audience.present()},
		claim{"client_id", a.ClientID != ""}, claim{"iat", !a.IssuedAt.IsZero()}, claim{"exp", !a.ExpiresAt.IsZero()},
	)
	if err != nil {
		return "", fmt.Errorf("signing: sign access token: %w", err)
	}
	custom := maps.Clone(a.Custom)
	maps.DeleteFunc(custom, func(name string, _ any) bool { return Reserved(name) })
	signed, err := key.sign(key.access, claims{
		Issuer: a.Issuer, Subject: a.Subject, Audience: a.Audience.claim(), ClientID: a.ClientID,
		IssuedAt: a.IssuedAt.Unix(), ExpiresAt: a.ExpiresAt.Unix(), JTI: newJTI(),
		Scope: a.Scope, SessionID: a.SessionID, AuthTime: unixTime(a.AuthTime), ACR: a.ACR, AMR: a.AMR,
		Confirmation: Confirm(a.JKT),
	}, custom)
	if err != nil {
		return "", fmt.Errorf("signing: sign access token: %w", err)
	}
	return signed, nil
}

// Reserved reports whether no custom claim may have this name, because RFC 7519 §4.1
// defines it or Rotor sets it. It ignores letter case, because careless readers of a
// token do so too.
func Reserved(name string) bool {
	for _, reserved := range [...]string{
		"iss", "sub", "aud", "exp", "nbf", "iat", "jti", // RFC 7519 §4.1
		"client_id", "scope", "sid", "auth_time", "acr", "amr", // RFC 9068 §2.2
		"cnf", // RFC 7800 §3.1
	} {
		if strings.EqualFold(name, reserved) {
			return true
		}
	}
	return false
}

// claim is the name of a required claim, and whether the token has it.
type claim struct {
	name    string
	present bool
}

func required(claims ...claim) error {
	for _, c := range claims {
		if !c.present {
			return fmt.Errorf("required claim %q is missing", c.name)
		}
	}
	return nil
}

// claims holds the claims of the tokens that this package signs. Empty ones are left
// out.
type claims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  any      `json:"aud"`
	ClientID  string   `json:"client_id,omitempty"`
	IssuedAt  int64    `json:"iat"`
	ExpiresAt int64    `json:"exp"`
	JTI       string   `json:"jti,omitempty"`
	Scope     string   `json:"scope,omitempty"`
	SessionID string   `json:"sid,omitempty"`
	AuthTime  *int64   `json:"auth_time,omitempty"` // of the user's authentication, like acr and amr (RFC 9068 §2.2.1)
	ACR       string   `json:"acr,omitempty"`
	AMR       []string `json:"amr,omitempty"`
	Nonce     string   `json:"nonce,omitempty"` // of an authorization request; in id tokens alone

	Confirmation *Confirmation `json:"cnf,omitempty"` // in access tokens alone
}

// Confirmation says which key the bearer of a token must have (RFC 7800 §3.1).
type Confirmation struct {
	JKT string `json:"jkt"` // the thumbprint of a DPoP key (RFC 9449 §6.1)
}

// Confirm returns the Confirmation of a thumbprint, nil for "".
func Confirm(jkt string) *Confirmation {
	if jkt == "" {
		return nil
	}
	return &Confirmation{jkt}
}

// Type returns how the token is presented: as Bearer (RFC 6750), or with a proof (RFC 9449 §7.1).
func (a *Access) Type() string {
	if a.JKT == "" {
		return "Bearer"
	}
	return "DPoP"
}

// unixTime returns a NumericDate (RFC 7519 §2), or nil for the zero time.
func unixTime(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	seconds := t.Unix()
	return &seconds
}

func newJTI() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never returns an error
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// encode returns v as JSON in which the characters <, > and & are not escaped. The
// JSON is never part of a web page, and six bytes for each of them would make tokens
// longer.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
