package signing

import (
	"errors"
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
	signed, err := key.sign(key.id, claims{
		Issuer: i.Issuer, Subject: i.Subject, Audience: i.ClientID, IssuedAt: i.IssuedAt.Unix(), ExpiresAt: i.ExpiresAt.Unix(),
		SessionID: i.SessionID, AuthTime: unixTime(i.AuthTime), ACR: i.ACR, AMR: i.AMR, Nonce: i.Nonce,
	}, nil)
	if err != nil {
		return "", fmt.Errorf("signing: sign id token: %w", err)
	}
	return signed, nil
}

// VerifyID returns the claims of an id token that the issuer signed, expired or not, for a
// logout (OpenID Connect RP-Initiated Logout §2). It checks what [Set.Verify] does, except
// for the expiry. So an access token is refused here, and an id token there. All errors
// wrap [ErrInvalid].
func (s *Set) VerifyID(tok, issuer string, now time.Time) (ID, error) {
	payload, unknown := s.payload(tok, typID, now)
	if unknown != nil && !errors.Is(unknown, ErrUnknownKey) {
		return ID{}, unknown
	}
	i, err := readID(payload)
	switch {
	case err != nil:
		return ID{}, refused("claims: %w", err)
	case i.Issuer != issuer:
		return ID{}, refused("it is from another issuer")
	case unknown != nil:
		return ID{}, unknown
	}
	return i, nil
}

// readID reads the claims of an id token as readAccess reads those of an access token.
func readID(payload []byte) (ID, error) {
	r, err := newReader(payload)
	if err != nil {
		return ID{}, err
	}
	audience := r.audience("aud")
	i := ID{
		Issuer: r.string("iss"), Subject: r.string("sub"), SessionID: r.string("sid"),
		IssuedAt: r.time("iat"), ExpiresAt: r.time("exp"), AuthTime: r.time("auth_time"),
		ACR: r.string("acr"), AMR: r.strings("amr"), Nonce: r.string("nonce"),
	}
	if r.err != nil {
		return ID{}, r.err
	}
	if len(audience) == 1 { // Rotor's id tokens are for one client
		i.ClientID = audience[0]
	}
	return i, required(
		claim{"iss", i.Issuer != ""}, claim{"sub", i.Subject != ""}, claim{"aud", i.ClientID != ""}, claim{"exp", !i.ExpiresAt.IsZero()},
	)
}
