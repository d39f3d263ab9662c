package signing

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Access is the claims of an access token (RFC 9068 §2.2). Issuer, Subject,
// Audience, ClientID, IssuedAt and ExpiresAt are required; the others are left
// out of the token where they are empty. Times are kept to the second.
type Access struct {
	Issuer   string
	Subject  string
	Audience string
	ClientID string
	Scope    string
	// SessionID is the "sid": which token family the token belongs to.
	SessionID string
	IssuedAt  time.Time
	ExpiresAt time.Time
	AuthTime  time.Time
	ACR       string
	AMR       []string
	// JTI identifies the token. Verify fills it in; SignAccess makes a fresh
	// one of 128 random bits, whatever is given.
	JTI string
	// Custom is further claims. Those that Reserved names are dropped: they
	// neither replace one of the above nor stand in for one left out.
	Custom map[string]any
}

// SignAccess signs an access token with the key that signs at now. It fails
// where a required claim is missing, where a custom claim is not JSON, and with
// ErrNoKey.
func (s *Set) SignAccess(now time.Time, a Access) (string, error) {
	key, err := s.signerAt(now)
	if err != nil {
		return "", fmt.Errorf("signing: sign access token: %w", err)
	}
	err = required(
		claim{"iss", a.Issuer != ""}, claim{"sub", a.Subject != ""}, claim{"aud", a.Audience != ""},
		claim{"client_id", a.ClientID != ""}, claim{"iat", !a.IssuedAt.IsZero()}, claim{"exp", !a.ExpiresAt.IsZero()},
	)
	if err != nil {
		return "", fmt.Errorf("signing: sign access token: %w", err)
	}
	claims := make(map[string]any, 12+len(a.Custom))
	for name, value := range a.Custom {
		if !Reserved(name) {
			claims[name] = value
		}
	}
	claims["iss"] = a.Issuer
	claims["sub"] = a.Subject
	claims["aud"] = a.Audience
	claims["client_id"] = a.ClientID
	claims["iat"] = a.IssuedAt.Unix()
	claims["exp"] = a.ExpiresAt.Unix()
	claims["jti"] = newJTI()
	setString(claims, "scope", a.Scope)
	setString(claims, "sid", a.SessionID)
	setAuthentication(claims, a.AuthTime, a.ACR, a.AMR)
	signed, err := sign(key.access, claims)
	if err != nil {
		return "", fmt.Errorf("signing: sign access token: %w", err)
	}
	return signed, nil
}

// Reserved reports whether a custom claim may not have this name: it is one that
// RFC 7519 §4.1 defines, or that Rotor sets itself. Letter case does not
// matter, since careless readers of a token ignore it.
func Reserved(name string) bool {
	for _, reserved := range [...]string{
		"iss", "sub", "aud", "exp", "nbf", "iat", "jti", // RFC 7519 §4.1
		"client_id", "scope", "sid", "auth_time", "acr", "amr", // RFC 9068 §2.2
	} {
		if strings.EqualFold(name, reserved) {
			return true
		}
	}
	return false
}

// claim is a required claim and whether it is there.
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

func setString(claims map[string]any, name, value string) {
	if value != "" {
		claims[name] = value
	}
}

// setAuthentication sets what is known of the user's authentication
// (RFC 9068 §2.2.1).
func setAuthentication(claims map[string]any, at time.Time, acr string, amr []string) {
	if !at.IsZero() {
		claims["auth_time"] = at.Unix()
	}
	setString(claims, "acr", acr)
	if len(amr) > 0 {
		claims["amr"] = amr
	}
}

func newJTI() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never returns an error
	return base64.RawURLEncoding.EncodeToString(id[:])
}

func sign(with jose.Signer, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("claims: %w", err)
	}
	signed, err := with.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
