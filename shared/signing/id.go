package signing

import (
	"fmt"
	"time"
)

// ID holds the claims of an id token (OpenID Connect Core §2). Issuer, Subject,
// ClientID (the "aud"), IssuedAt and ExpiresAt are required. The others are left out
// of the token if they are empty. Times have a precision of one second.
type ID struct {
	Issuer    string
	Subject   string
	ClientID  string
	IssuedAt  time.Time
	ExpiresAt time.Time
	AuthTime  time.Time
	ACR       string
	AMR       []string
	SessionID string
	Nonce     string
}

// SignID signs an id token with the key that signs at now. It fails if a required
// claim is missing, and with [ErrNoKey].
func (s *Set) SignID(now time.Time, i ID) (string, error) {
	key, err := s.signerAt(now)
	if err != nil {
		return "", fmt.Errorf("signing: sign id token: %w", err)
	}
	err = required(
		claim{"iss", i.Issuer != ""}, claim{"sub", i.Subject != ""}, claim{"aud", i.ClientID != ""},
		claim{"iat", !i.IssuedAt.IsZero()}, claim{"exp", !i.ExpiresAt.IsZero()},
	)
	if err != nil {
		return "", fmt.Errorf("signing: sign id token: %w", err)
	}
	signed, err := sign(key.id, claims{
		Issuer: i.Issuer, Subject: i.Subject, Audience: Audience{i.ClientID}, IssuedAt: i.IssuedAt.Unix(), ExpiresAt: i.ExpiresAt.Unix(),
		SessionID: i.SessionID, AuthTime: unixTime(i.AuthTime), ACR: i.ACR, AMR: i.AMR, Nonce: i.Nonce,
	}, nil)
	if err != nil {
		return "", fmt.Errorf("signing: sign id token: %w", err)
	}
	return signed, nil
}
