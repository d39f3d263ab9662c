package assertion

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// MaxClientLifetime is how far ahead the exp of a client's assertion may lie. Until then the
// assertion can be presented again: no record of used ones is kept.
const MaxClientLifetime = 10 * time.Minute

// algEd25519 is the name that RFC 9864 gives to EdDSA with Ed25519.
const algEd25519 jose.SignatureAlgorithm = "Ed25519"

// ofClients are the assertions by which clients authenticate (RFC 7523 §2.2). The type is the
// one of draft-ietf-oauth-rfc7523bis.
var ofClients = kind{append(slices.Clip(algorithms), algEd25519), append(slices.Clip(ofIssuers.types), "client-authentication+jwt", "application/client-authentication+jwt")}

// ClientAlgorithms returns the algorithms by which clients may sign.
func ClientAlgorithms() []string {
	var names []string
	for _, a := range ofClients.algorithms {
		names = append(names, string(a))
	}
	return names
}

// ClientAssertion is what a client says of itself. Until [Verifier.VerifyClient] has accepted
// it, anybody may have said that.
type ClientAssertion struct {
	ClientID string // its iss and its sub
	parsed   *parsed
}

// ReadClient reads an assertion by which a client authenticates. The error is a [*RefusedError].
func ReadClient(presented string) (*ClientAssertion, error) {
	p, err := parse(presented, &ofClients)
	if err != nil {
		return nil, err
	}
	if subject, ok := p.claims.text("sub"); !ok || subject != p.claims.issuer {
		return nil, &RefusedError{Reason: WrongSubject}
	}
	return &ClientAssertion{ClientID: p.claims.issuer, parsed: p}, nil
}

// VerifyClient verifies the assertion of a client that has these keys, at an endpoint that goes
// by the names of audience. The errors are those of [Verifier.Verify].
//
// Each aud must be one of these names. An assertion that is also for another server could be
// presented here by that one.
func (v *Verifier) VerifyClient(ctx context.Context, a *ClientAssertion, by Keys, audience []string, now time.Time) error {
	p := a.parsed
	isOther := func(aud string) bool { return !slices.Contains(audience, aud) }
	if len(p.claims.audience) == 0 || slices.ContainsFunc(p.claims.audience, isOther) {
		return &RefusedError{Reason: WrongAudience}
	}
	if reason := p.claims.checkClientTimes(now); reason != "" {
		return &RefusedError{Reason: reason}
	}
	switch found, err := v.signedBy(ctx, by, p, now); {
	case err != nil:
		return fmt.Errorf("verify a client's assertion: %w", err)
	case found != "":
		return &RefusedError{Reason: found}
	}
	return nil
}

// checkClientTimes returns why a client's assertion is not good at now, "" if it is. An iat may
// be left out (RFC 7523 §3).
func (c *claims) checkClientTimes(now time.Time) Reason {
	switch {
	case c.expiry == nil:
		return NoExpiry
	case !now.Before(c.expiry.Time().Add(Skew)):
		return Expired
	case c.expiry.Time().After(now.Add(MaxClientLifetime + Skew)):
		return ExpiresTooLate
	case c.before != nil && c.before.Time().After(now.Add(Skew)), c.made != nil && c.made.Time().After(now.Add(Skew)):
		return NotYetValid
	}
	return ""
}
