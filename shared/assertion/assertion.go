// Package assertion verifies JWTs that other issuers signed about their users: the bearer
// assertions of RFC 7523 and the id tokens of OpenID Connect. A client lists the issuers
// that it trusts, and an assertion is good if one of them made it, for this service, and
// recently. The package also verifies those that clients sign about themselves, to
// authenticate.
//
// Nothing in an assertion chooses how it is verified, except its issuer among those of the
// list, and its key among the issuer's: keys and addresses of keys inside an assertion are
// refused (RFC 8725).
package assertion

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

const (
	// MaxSize limits an assertion, in bytes. Id tokens with a list of groups have a few
	// thousand.
	MaxSize = 8 * 1024
	// MaxUserID limits the id of a user with its prefix, in bytes.
	MaxUserID = 128
	// Skew is how far the clock of an issuer may be off, in either direction.
	Skew = 60 * time.Second
)

// Reason says why an assertion is refused. It is for the log: a caller learns only
// that the assertion is refused.
type Reason string

// The reasons.
const (
	Malformed       Reason = "malformed"         // it is not a signed JWT, or a claim has the wrong type
	TooLong         Reason = "too_long"          // it is longer than [MaxSize]
	ForbiddenHeader Reason = "forbidden_header"  // it brings a key, an address of one, or a critical extension
	WrongType       Reason = "wrong_type"        // it is a JWT of another kind, such as an access token
	WrongIssuer     Reason = "wrong_issuer"      // the client does not trust its issuer
	WrongAlgorithm  Reason = "wrong_algorithm"   // it is signed by an algorithm that the issuer is not allowed
	WrongAudience   Reason = "wrong_audience"    // it is for somebody else
	NoExpiry        Reason = "no_expiry"         // it has no exp
	NoIssueTime     Reason = "no_issue_time"     // it has no iat
	Expired         Reason = "expired"           // its exp has passed
	NotYetValid     Reason = "not_yet_valid"     // its nbf or iat lies in the future
	TooOld          Reason = "too_old"           // it was made longer ago than max_age
	UnknownKey      Reason = "unknown_key"       // the issuer has no such key
	WrongSignature  Reason = "wrong_signature"   // the key did not sign it
	NoUser          Reason = "no_user"           // the user claim is missing or is no string
	UserTooLong     Reason = "user_id_too_long"  // the user's id is longer than [MaxUserID]
	UserUnprintable Reason = "user_id_malformed" // the user's id has control characters

	// Of a client's assertion about itself alone.
	WrongSubject   Reason = "wrong_subject"    // its sub is not its iss
	ExpiresTooLate Reason = "expires_too_late" // its exp is further ahead than [MaxClientLifetime]
)

// RefusedError is the error of an assertion that is refused. It never holds a part of the
// assertion.
type RefusedError struct {
	Reason Reason
	Issuer string // the trusted issuer that the assertion names; "" if it names none
}

func (e *RefusedError) Error() string { return "the assertion is refused: " + string(e.Reason) }

// Assertion is what a verified assertion says.
type Assertion struct {
	Issuer string
	UserID string // with the issuer's prefix
	// Digest is the SHA-256 of the signing input, which names the assertion: an ECDSA
	// signature can be changed into another good one.
	Digest [sha256.Size]byte
	MadeAt time.Time // the iat
	// UsableUntil is a time from which the assertion is refused, whatever its issuer's
	// MaxAge may become.
	UsableUntil time.Time

	// What the issuer says of the authentication. A claim of another type counts as left
	// out. Sizes are not limited.
	AuthTime time.Time
	ACR      string
	AMR      []string
}

// Options are the options of a Verifier.
type Options struct {
	// Loopback allows keys at loopback addresses, also by plain HTTP, for local runs and
	// tests.
	Loopback bool
	// Timeout limits one fetch of keys; 0 stands for [DefaultTimeout].
	Timeout time.Duration
}

// Verifier verifies assertions. It caches the keys of issuers, and is safe for concurrent
// use.
type Verifier struct {
	loopback bool
	sets     *cache
}

// New returns a Verifier with an empty cache.
func New(o Options) *Verifier {
	return &Verifier{loopback: o.Loopback, sets: newCache(newFetcher(o.Loopback, cmp.Or(o.Timeout, DefaultTimeout)).fetch)}
}

// Verify verifies an assertion that a client presents, by the issuers that it trusts. The
// error is a [*RefusedError] if the assertion is to blame. It wraps [ErrUnavailable] if the
// issuer's keys cannot be had, which says nothing about the assertion.
func (v *Verifier) Verify(ctx context.Context, presented string, trusted []Issuer, now time.Time) (*Assertion, error) {
	p, err := parse(presented, &ofIssuers)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(trusted, func(i Issuer) bool { return i.Issuer == p.claims.issuer })
	if i < 0 {
		return nil, &RefusedError{Reason: WrongIssuer}
	}
	issuer := &trusted[i]
	refuse := func(reason Reason) (*Assertion, error) {
		return nil, &RefusedError{Reason: reason, Issuer: issuer.Issuer}
	}
	// Everything that needs no key comes first, so that an assertion which cannot be good
	// causes no fetch.
	if !slices.Contains(issuer.Algorithms, string(p.alg)) {
		return refuse(WrongAlgorithm)
	}
	if p.claims.areOthers() {
		return refuse(WrongType)
	}
	if !slices.ContainsFunc(p.claims.audience, func(a string) bool { return slices.Contains(issuer.Audience, a) }) {
		return refuse(WrongAudience)
	}
	if reason := p.claims.checkTimes(issuer.MaxAge.Duration(), now); reason != "" {
		return refuse(reason)
	}
	userID, reason := p.claims.user(issuer)
	if reason != "" {
		return refuse(reason)
	}
	switch found, err := v.signedBy(ctx, Keys{issuer.JWKSURI, issuer.JWKS}, p, now); {
	case err != nil:
		return nil, fmt.Errorf("verify an assertion: %w", err)
	case found != "":
		return refuse(found)
	}
	a := &Assertion{
		Issuer: issuer.Issuer, UserID: userID, Digest: p.digest(),
		MadeAt: p.claims.made.Time().UTC(), UsableUntil: p.claims.usableUntil(),
	}
	a.AuthTime, a.ACR, a.AMR = p.claims.authentication(now)
	return a, nil
}

// Name returns whom an assertion names and its digest, if it names one of the issuers. Nothing
// is verified, so it is only for finding out what became of an assertion.
func Name(presented string, trusted []Issuer) (a *Assertion, ok bool) {
	p, err := parse(presented, &ofIssuers)
	if err != nil {
		return nil, false
	}
	i := slices.IndexFunc(trusted, func(i Issuer) bool { return i.Issuer == p.claims.issuer })
	if i < 0 {
		return nil, false
	}
	userID, reason := p.claims.user(&trusted[i])
	return &Assertion{Issuer: trusted[i].Issuer, UserID: userID, Digest: p.digest()}, reason == ""
}

// signedBy returns why none of the keys signed the assertion, "" if one did.
func (v *Verifier) signedBy(ctx context.Context, by Keys, p *parsed, now time.Time) (Reason, error) {
	fits := func(set []jose.JSONWebKey) []jose.JSONWebKey { return fitting(set, p.kid, p.alg) }
	keys := fits(by.JWKS.Keys())
	if by.JWKSURI != "" {
		var err error
		if keys, err = v.sets.keys(ctx, by.JWKSURI, fits, now); err != nil {
			return "", err
		}
	}
	for _, k := range keys {
		if p.isSignedBy(k.Key) {
			return "", nil
		}
	}
	if len(keys) == 0 {
		return UnknownKey, nil
	}
	return WrongSignature, nil
}

// parsed is an assertion whose signature has not been verified.
type parsed struct {
	jws          *jose.JSONWebSignature
	alg          jose.SignatureAlgorithm
	kid          string
	signingInput string
	signature    []byte
	claims       claims
}

// isSignedBy reports whether the key signed the assertion. The payload that is verified is the
// one that was read.
func (p *parsed) isSignedBy(key any) bool {
	if k, ok := key.(ed25519.PublicKey); ok && p.alg == algEd25519 { // which go-jose does not know by this name
		return ed25519.Verify(k, []byte(p.signingInput), p.signature)
	}
	_, err := p.jws.Verify(key)
	return err == nil
}

// digest returns the Digest of the assertion.
func (p *parsed) digest() [sha256.Size]byte { return sha256.Sum256([]byte(p.signingInput)) }

// kind is a kind of assertion, with what its header may say.
type kind struct {
	algorithms []jose.SignatureAlgorithm
	types      []string // in small letters; "" for none
}

// ofIssuers are the assertions of issuers about their users.
var ofIssuers = kind{algorithms, []string{"", "jwt", "application/jwt"}}

// forbidden are the header parameters that would let an assertion choose how it is
// verified.
var forbidden = []string{"jwk", "jku", "x5u", "x5c", "crit", "b64"}

// parse parses an assertion of that kind.
func parse(presented string, k *kind) (*parsed, error) {
	refused := func(reason Reason) (*parsed, error) { return nil, &RefusedError{Reason: reason} }
	if len(presented) > MaxSize {
		return refused(TooLong)
	}
	parts := strings.Split(presented, ".")
	if len(parts) != 3 {
		return refused(Malformed)
	}
	var raw [3][]byte
	for i, part := range parts {
		// Decoders also accept line breaks and stray bits, which would give one assertion
		// several spellings, and so several names.
		decoded, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil || strings.ContainsAny(part, "\r\n") || !utf8.Valid(decoded) && i < 2 {
			return refused(Malformed)
		}
		raw[i] = decoded
	}
	var header map[string]json.RawMessage
	if json.Unmarshal(raw[0], &header) != nil {
		return refused(Malformed)
	}
	for _, name := range forbidden {
		if _, ok := header[name]; ok {
			return refused(ForbiddenHeader)
		}
	}
	var fields struct {
		Alg jose.SignatureAlgorithm `json:"alg"`
		Kid string                  `json:"kid"`
		Typ string                  `json:"typ"`
	}
	if json.Unmarshal(raw[0], &fields) != nil {
		return refused(Malformed)
	}
	if !slices.Contains(k.algorithms, fields.Alg) {
		return refused(WrongAlgorithm)
	}
	if !slices.Contains(k.types, strings.ToLower(fields.Typ)) {
		return refused(WrongType)
	}
	jws, err := jose.ParseSignedCompact(presented, k.algorithms)
	if err != nil {
		return refused(Malformed)
	}
	p := &parsed{jws: jws, alg: fields.Alg, kid: fields.Kid, signingInput: parts[0] + "." + parts[1], signature: raw[2]}
	if p.claims, err = readClaims(raw[1]); err != nil {
		return refused(Malformed)
	}
	return p, nil
}

// isPrintable reports whether s has no control characters and nothing that was not a
// character of Unicode.
func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return unicode.IsControl(c) || c == utf8.RuneError })
}
