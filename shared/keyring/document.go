package keyring

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/token"
)

// A secret for HMAC-SHA-256 is at least as long as the hash (RFC 2104 §3), and no
// longer than its block, beyond which HMAC would hash the secret first.
const (
	minSecret = 32
	maxSecret = 64
)

// Document holds keys in the form in which they are stored: the token keys (user_key and
// mac), the signing keys, or both. Encode writes and [Parse] reads this:
//
//	{
//	  "user_key": "<base64>",
//	  "mac": [{"id": 1, "key": "<base64>", "from": "<RFC 3339>", "revoked": "<RFC 3339>"}],
//	  "signing": [{"key": {<JWK>}, "from": "<RFC 3339>", "until": "<RFC 3339>", "revoked": "<RFC 3339>"}]
//	}
//
// A key that is published without end has no "until", and one that is not revoked
// has no "revoked".
//
// A Document that is printed, logged or marshaled to JSON shows how many keys it
// has, and none of the keys.
type Document struct {
	// UserKey is the key that turns user ids into user keys. It is never replaced:
	// with another one, no user's families would be found.
	UserKey []byte
	// MAC holds the keys of refresh tokens. The newest key whose From has passed
	// mints. Each key that is not revoked verifies the families that began before
	// its successor took over.
	MAC []token.Key
	// Signing holds the keys of access and id tokens.
	Signing []signing.Key
}

// Generate returns a document of new keys that are in use from now on: a user key,
// one MAC key and one signing key.
func Generate(alg signing.Algorithm, now time.Time) (*Document, error) {
	d, err := generateSigning(alg, now)
	if err != nil {
		return nil, fmt.Errorf("keyring: generate: %w", err)
	}
	tokens := generateToken(now)
	d.UserKey, d.MAC = tokens.UserKey, tokens.MAC
	return d, nil
}

// generateToken returns the token keys of Generate.
func generateToken(now time.Time) *Document {
	return &Document{UserKey: newSecret(), MAC: []token.Key{{ID: 1, Secret: newSecret(), From: now}}}
}

// generateSigning returns the signing key of Generate.
func generateSigning(alg signing.Algorithm, now time.Time) (*Document, error) {
	key, err := signing.GenerateKey(alg, now)
	if err != nil {
		return nil, err
	}
	return &Document{Signing: []signing.Key{key}}, nil
}

func newSecret() []byte {
	secret := make([]byte, minSecret)
	_, _ = rand.Read(secret) // never returns an error
	return secret
}

// Compile makes the keys ready for use. It refuses whatever [token.NewUserKeys],
// [token.NewCodec] and [signing.NewSet] refuse, such as a document without a MAC key or
// without a key that can sign. All errors are reported at once.
func (d *Document) Compile() (*Keys, error) {
	users, usersErr := token.NewUserKeys(d.UserKey)
	codec, codecErr := token.NewCodec(d.MAC)
	set, setErr := signing.NewSet(d.Signing)
	if err := errors.Join(usersErr, codecErr, setErr); err != nil {
		return nil, fmt.Errorf("keyring: compile: %w", err)
	}
	return &Keys{Users: users, Codec: codec, Signing: set}, nil
}

// compile makes ready the kinds of keys that the document has, and leaves the other nil. A
// document with neither is an error.
func (d *Document) compile() (*Keys, error) {
	keys := new(Keys)
	if d.UserKey == nil && len(d.MAC) == 0 {
		set, err := signing.NewSet(d.Signing)
		keys.Signing = set
		return keys, err
	}
	if len(d.Signing) > 0 {
		return d.Compile()
	}
	users, usersErr := token.NewUserKeys(d.UserKey)
	codec, codecErr := token.NewCodec(d.MAC)
	keys.Users, keys.Codec = users, codec
	return keys, errors.Join(usersErr, codecErr)
}

// Encode returns the document with all its secrets, for [Parse] to read. The result
// must be stored as a secret.
func (d *Document) Encode() ([]byte, error) {
	type mac struct {
		ID      byte      `json:"id"`
		Key     string    `json:"key"`
		From    time.Time `json:"from"`
		Revoked time.Time `json:"revoked,omitzero"`
	}
	type sig struct {
		Key     jose.JSONWebKey `json:"key"`
		From    time.Time       `json:"from"`
		Until   time.Time       `json:"until,omitzero"`
		Revoked time.Time       `json:"revoked,omitzero"`
	}
	encoded := struct {
		UserKey string `json:"user_key,omitempty"`
		MAC     []mac  `json:"mac,omitempty"`
		Signing []sig  `json:"signing,omitempty"`
	}{UserKey: base64.StdEncoding.EncodeToString(d.UserKey)}
	for _, k := range d.MAC {
		encoded.MAC = append(encoded.MAC, mac{k.ID, base64.StdEncoding.EncodeToString(k.Secret), k.From.UTC(), k.Revoked.UTC()})
	}
	for _, k := range d.Signing {
		encoded.Signing = append(encoded.Signing, sig{k.JWK, k.From.UTC(), k.Until.UTC(), k.Revoked.UTC()})
	}
	data, err := json.Marshal(encoded)
	if err != nil {
		return nil, fmt.Errorf("keyring: encode: %w", err)
	}
	return data, nil
}

// String returns how many keys there are, and none of the keys.
func (d Document) String() string {
	return fmt.Sprintf("keys document: %d MAC, %d signing", len(d.MAC), len(d.Signing))
}

// Format prints String for every verb.
func (d Document) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, d.String())
}

// LogValue logs String.
func (d Document) LogValue() slog.Value {
	return slog.StringValue(d.String())
}

// MarshalJSON returns String as a JSON string, so that a document does not leak when
// a value that contains it is marshaled. To write a document, use Encode.
func (d Document) MarshalJSON() ([]byte, error) {
	return json.Marshal(d.String())
}
