package signing

import (
	"fmt"
	"time"
)

// ID is the claims of an id token (OpenID Connect Core §2). Issuer, Subject,
// ClientID (the "aud"), IssuedAt and ExpiresAt are required; the others are left
// out of the token where they are empty. Times are kept to the second.
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
}

// SignID signs an id token with the key that signs at now. It fails where a
// required claim is missing, and with ErrNoKey.
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
		SessionID: i.SessionID, AuthTime: unixTime(i.AuthTime), ACR: i.ACR, AMR: i.AMR,
	}, nil)
	if err != nil {
		return "", fmt.Errorf("signing: sign id token: %w", err)
	}
	return signed, nil
}
