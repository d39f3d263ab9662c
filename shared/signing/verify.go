package signing

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// ErrInvalid is wrapped by every error of Verify, VerifyExpired and VerifyID: the
// string is not, or is no longer, such a token of this issuer.
var ErrInvalid = errors.New("signing: not a valid token")

// ErrUnknownKey is an [ErrInvalid] for a token whose key the set does not
// have, and with which nothing else is wrong. The token may be signed by a key that
// is newer than the set.
var ErrUnknownKey = fmt.Errorf("%w: unknown key", ErrInvalid)

// Verify returns the claims of an access token that the issuer signed and that has
// not expired at now (RFC 9068 §4). It checks that the token's key is published,
// that its algorithm is the key's own, that its type is that of an access token, and
// that its issuer is the given one. All errors wrap [ErrInvalid].
//
// The caller must check the audience.
func (s *Set) Verify(tok, issuer string, now time.Time) (Access, error) {
	a, err := s.read(tok, issuer, now)
	if err != nil && !errors.Is(err, ErrUnknownKey) {
		return Access{}, err
	}
	if !a.ExpiresAt.After(now) { // RFC 7519 §4.1.4: not "on or after"
		return Access{}, refused("expired at %s", a.ExpiresAt.UTC().Format(time.RFC3339))
	}
	if err != nil {
		return Access{}, err
	}
	return a, nil
}

// VerifyExpired verifies a token as Verify does, but accepts an expired one, for
// revocation. It refuses a token whose key is no longer published.
func (s *Set) VerifyExpired(tok, issuer string, now time.Time) (Access, error) {
	a, err := s.read(tok, issuer, now)
	if err != nil {
		return Access{}, err
	}
	return a, nil
}

// read returns the claims of a token that a published key signed. With
// [ErrUnknownKey] it returns claims whose signature was not verified.
func (s *Set) read(tok, issuer string, now time.Time) (Access, error) {
	payload, unknown := s.payload(tok, typAccess, now)
	if unknown != nil && !errors.Is(unknown, ErrUnknownKey) {
		return Access{}, unknown
	}
	a, err := readAccess(payload)
	if err != nil {
		return Access{}, refused("claims: %w", err)
	}
	if a.Issuer != issuer {
		return Access{}, refused("it is from another issuer")
	}
	return a, unknown
}

// payload returns the payload of a token of the given type that a published key signed.
// With [ErrUnknownKey] it returns a payload whose signature was not verified.
func (s *Set) payload(tok, wanted string, now time.Time) ([]byte, error) {
	if !canonical(tok) {
		return nil, refused("not a compact JWS in base64url")
	}
	signed, err := jose.ParseSignedCompact(tok, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	if err != nil {
		return nil, refused("%w", err)
	}
	header := signed.Signatures[0].Protected
	typ, _ := header.ExtraHeaders[jose.HeaderType].(string)
	// RFC 9068 §4: either spelling; media types ignore case (RFC 7515 §4.1.9).
	if !strings.EqualFold(typ, wanted) && !strings.EqualFold(typ, "application/"+wanted) {
		return nil, refused("its type is not %s", wanted)
	}
	key, ok := s.publicationAt(now).keys[header.KeyID]
	switch {
	case header.KeyID == "":
		return nil, refused("it names no key")
	case !ok && s.ids[header.KeyID]:
		return nil, refused("its key is no longer published")
	case !ok:
		return signed.UnsafePayloadWithoutVerification(), ErrUnknownKey
	case header.Algorithm != key.Algorithm: // RFC 8725 §3.1
		return nil, refused("its algorithm is not that of its key")
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return nil, refused("%w", err)
	}
	return payload, nil
}

// refused returns an error that wraps [ErrInvalid] and gives the reason.
func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}

// canonical reports whether each part of a compact JWS is in the form that an
// encoder writes. Decoders also accept line breaks and stray bits, which would give
// one token several spellings.
func canonical(tok string) bool {
	if strings.ContainsAny(tok, "\r\n") {
		return false
	}
	for part := range strings.SplitSeq(tok, ".") {
		_, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil {
			return false
		}
	}
	return true
}

// readAccess reads the claims of a token that our key signed. If a claim has the
// wrong type, other code used the key, and readAccess refuses the token rather than
// guess.
func readAccess(payload []byte) (Access, error) {
	r, err := newReader(payload)
	if err != nil {
		return Access{}, err
	}
	a := Access{
		Issuer:    r.string("iss"),
		Subject:   r.string("sub"),
		Audience:  r.audience("aud"),
		ClientID:  r.string("client_id"),
		Scope:     r.string("scope"),
		SessionID: r.string("sid"),
		IssuedAt:  r.time("iat"),
		ExpiresAt: r.time("exp"),
		AuthTime:  r.time("auth_time"),
		ACR:       r.string("acr"),
		AMR:       r.strings("amr"),
		JTI:       r.string("jti"),
		JKT:       r.confirmation("cnf"),
	}
	if r.err != nil {
		return Access{}, r.err
	}
	err = required(
		claim{"iss", a.Issuer != ""}, claim{"sub", a.Subject != ""}, claim{"aud", a.Audience.present()},
		claim{"client_id", a.ClientID != ""}, claim{"exp", !a.ExpiresAt.IsZero()},
	)
	if err != nil {
		return Access{}, err
	}
	if len(r.claims) > 0 {
		a.Custom = r.claims
	}
	return a, nil
}

// reader takes claims out of a map, so that only the custom ones remain. It keeps
// the first error.
type reader struct {
	claims map[string]any
	err    error
}

// newReader returns a reader of the claims in a payload.
func newReader(payload []byte) (*reader, error) {
	claims := make(map[string]any)
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber() // custom numbers keep their digits
	if err := decoder.Decode(&claims); err != nil {
		return nil, errors.New("not a JSON object")
	}
	return &reader{claims: claims}, nil
}

func (r *reader) take(name string) (any, bool) {
	value, ok := r.claims[name]
	delete(r.claims, name)
	return value, ok
}

func (r *reader) wrong(name string) {
	if r.err == nil {
		r.err = fmt.Errorf("%q has the wrong shape", name)
	}
}

func (r *reader) string(name string) string {
	value, ok := r.take(name)
	if !ok {
		return ""
	}
	s, ok := value.(string)
	if !ok {
		r.wrong(name)
	}
	return s
}

// confirmation reads the thumbprint in a Confirmation.
func (r *reader) confirmation(name string) string {
	value, ok := r.take(name)
	if !ok {
		return ""
	}
	members, _ := value.(map[string]any)
	jkt, _ := members["jkt"].(string)
	if jkt == "" || len(members) != 1 {
		r.wrong(name)
	}
	return jkt
}

// endOfTime is the last second of the year 9999, the last one that RFC 3339 can
// write.
const endOfTime = 253402300799

// time reads a NumericDate (RFC 7519 §2), which is whole seconds in our tokens.
func (r *reader) time(name string) time.Time {
	value, ok := r.take(name)
	if !ok {
		return time.Time{}
	}
	number, ok := value.(json.Number)
	if !ok {
		r.wrong(name)
		return time.Time{}
	}
	seconds, err := number.Int64()
	if err != nil || seconds < 0 || seconds > endOfTime {
		r.wrong(name)
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// audience reads a string or an array of strings (RFC 7519 §4.1.3).
func (r *reader) audience(name string) Audience {
	if _, ok := r.claims[name].(string); ok {
		return Audience{r.string(name)}
	}
	return r.strings(name)
}

func (r *reader) strings(name string) []string {
	value, ok := r.take(name)
	if !ok {
		return nil
	}
	list, ok := value.([]any)
	if !ok {
		r.wrong(name)
		return nil
	}
	all := make([]string, 0, len(list))
	for _, item := range list {
		s, ok := item.(string)
		if !ok {
			r.wrong(name)
			return nil
		}
		all = append(all, s)
	}
	return all
}
