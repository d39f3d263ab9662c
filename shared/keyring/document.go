package keyring

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/token"
)

// Secrets for HMAC-SHA-256 are as long as its output at least (RFC 2104 §3), and
// no longer than its block, past which they would be hashed first.
const (
	minSecret = 32
	maxSecret = 64
)

// Document is the keys as they are kept. Encode writes and Parse reads this:
//
//	{
//	  "user_key": "<base64>",
//	  "mac": [{"id": 1, "key": "<base64>", "from": "<RFC 3339>", "revoked": "<RFC 3339>"}],
//	  "signing": [{"key": {<JWK>}, "from": "<RFC 3339>", "until": "<RFC 3339>", "revoked": "<RFC 3339>"}]
//	}
//
// where "until" is left out of a key that has no end, and "revoked" of one that is
// not revoked.
//
// Printed, logged or marshaled to JSON a Document says how many keys it has, and
// shows none of them.
type Document struct {
	// UserKey is the key under which user ids become user keys. It is never
	// replaced: with another, no user's families would be found.
	UserKey []byte
	// MAC is the keys of refresh tokens. The newest whose From has come mints;
	// each verifies families from before its successor, unless it is revoked.
	MAC []token.Key
	// Signing is the keys of access and id tokens.
	Signing []signing.Key
}

// Generate makes up new keys that are in use from now on: a user key, one MAC
// key and one signing key.
func Generate(alg signing.Algorithm, now time.Time) (*Document, error) {
	key, err := signing.GenerateKey(alg, now)
	if err != nil {
		return nil, fmt.Errorf("keyring: generate: %w", err)
	}
	return &Document{
		UserKey: newSecret(),
		MAC:     []token.Key{{ID: 1, Secret: newSecret(), From: now}},
		Signing: []signing.Key{key},
	}, nil
}

func newSecret() []byte {
	secret := make([]byte, minSecret)
	_, _ = rand.Read(secret) // never returns an error
	return secret
}

// Compile makes the keys ready for use. It refuses what token.NewCodec and
// signing.NewSet refuse: among it a document without a MAC key, and one without
// a signing key that can sign.
func (d *Document) Compile() (*Keys, error) {
	codec, err := token.NewCodec(d.UserKey, d.MAC)
	if err != nil {
		return nil, fmt.Errorf("keyring: compile: %w", err)
	}
	set, err := signing.NewSet(d.Signing)
	if err != nil {
		return nil, fmt.Errorf("keyring: compile: %w", err)
	}
	return &Keys{Codec: codec, Signing: set}, nil
}

// Encode returns the document with all its secrets, to be kept where secrets
// are. Parse reads it.
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
		UserKey string `json:"user_key"`
		MAC     []mac  `json:"mac"`
		Signing []sig  `json:"signing"`
	}{
		UserKey: base64.StdEncoding.EncodeToString(d.UserKey),
		MAC:     make([]mac, 0, len(d.MAC)),
		Signing: make([]sig, 0, len(d.Signing)),
	}
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

// String says how many keys there are.
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

// MarshalJSON gives String as a JSON string, so that a document inside something
// else that is marshaled does not leak. Encode is what writes a document.
func (d Document) MarshalJSON() ([]byte, error) {
	return json.Marshal(d.String())
}
