package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/token"
)

// Parse reads a document strictly. It refuses a member that is unknown, repeated,
// missing or spelled in another case, a key of the wrong length, and a document with
// neither token keys nor signing keys. Its errors name the member that is wrong and
// never show its value.
func Parse(data []byte) (*Document, error) {
	d, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("keyring: parse: %w", err)
	}
	return d, nil
}

// The decoders' errors quote their input, so the functions below never wrap them.

func parse(data []byte) (*Document, error) {
	top, err := object("document", data, nil, []string{"user_key", "mac", "signing"})
	if err != nil {
		return nil, err
	}
	_, hasUser := top["user_key"]
	_, hasMAC := top["mac"]
	_, hasSigning := top["signing"]
	d := new(Document)
	switch {
	case hasUser && !hasMAC:
		return nil, errors.New("document: mac is missing")
	case hasMAC && !hasUser:
		return nil, errors.New("document: user_key is missing")
	case hasMAC:
		err = d.parseToken(top)
	case !hasSigning:
		err = errors.New("document: user_key, mac and signing are missing")
	}
	if err == nil && hasSigning {
		err = d.parseSigning(top)
	}
	return d, err
}

// parseToken reads the token keys into d.
func (d *Document) parseToken(top map[string]json.RawMessage) (err error) {
	d.UserKey, err = secret("user_key", top["user_key"])
	if err != nil {
		return err
	}
	macs, err := array("mac", top["mac"])
	if err != nil {
		return err
	}
	for i, raw := range macs {
		key, err := parseMAC("mac["+strconv.Itoa(i)+"]", raw)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(d.MAC, func(k token.Key) bool { return k.ID == key.ID }) {
			return fmt.Errorf("mac[%d].id: occurs twice", i)
		}
		d.MAC = append(d.MAC, key)
	}
	return nil
}

// parseSigning reads the signing keys into d.
func (d *Document) parseSigning(top map[string]json.RawMessage) error {
	signings, err := array("signing", top["signing"])
	if err != nil {
		return err
	}
	for i, raw := range signings {
		key, err := parseSigning("signing["+strconv.Itoa(i)+"]", raw)
		if err != nil {
			return err
		}
		d.Signing = append(d.Signing, key)
	}
	return nil
}

func parseMAC(at string, raw json.RawMessage) (token.Key, error) {
	members, err := object(at, raw, []string{"id", "key", "from"}, []string{"revoked"})
	if err != nil {
		return token.Key{}, err
	}
	id, err := strconv.ParseUint(string(members["id"]), 10, 8)
	if err != nil {
		return token.Key{}, fmt.Errorf("%s.id: is not a number from 0 to 255", at)
	}
	key, err := secret(at+".key", members["key"])
	if err != nil {
		return token.Key{}, err
	}
	from, err := instant(at+".from", members["from"])
	if err != nil {
		return token.Key{}, err
	}
	revoked, err := optionalInstant(at, "revoked", members)
	if err != nil {
		return token.Key{}, err
	}
	return token.Key{ID: byte(id), Secret: key, From: from, Revoked: revoked}, nil
}

func parseSigning(at string, raw json.RawMessage) (signing.Key, error) {
	members, err := object(at, raw, []string{"key", "from"}, []string{"until", "revoked"})
	if err != nil {
		return signing.Key{}, err
	}
	var jwk jose.JSONWebKey
	if jwk.UnmarshalJSON(members["key"]) != nil {
		return signing.Key{}, fmt.Errorf("%s.key: is not a JWK", at)
	}
	from, err := instant(at+".from", members["from"])
	if err != nil {
		return signing.Key{}, err
	}
	until, err := optionalInstant(at, "until", members)
	if err != nil {
		return signing.Key{}, err
	}
	revoked, err := optionalInstant(at, "revoked", members)
	if err != nil {
		return signing.Key{}, err
	}
	return signing.Key{JWK: jwk, From: from, Until: until, Revoked: revoked}, nil
}

// object splits a JSON object into its members. It requires each of required, allows
// each of optional, and accepts neither a repeated name nor another spelling, both
// of which encoding/json would accept.
func object(at string, data []byte, required, optional []string) (map[string]json.RawMessage, error) {
	notObject := fmt.Errorf("%s: is not one JSON object", at)
	decoder := json.NewDecoder(bytes.NewReader(data))
	open, err := decoder.Token()
	if err != nil || open != json.Delim('{') {
		return nil, notObject
	}
	members := make(map[string]json.RawMessage)
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, notObject
		}
		name, ok := key.(string)
		if !ok {
			return nil, notObject
		}
		if !slices.Contains(required, name) && !slices.Contains(optional, name) {
			return nil, fmt.Errorf("%s: unknown member%s", at, quoted(name))
		}
		if _, again := members[name]; again {
			return nil, fmt.Errorf("%s: %s occurs twice", at, name)
		}
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return nil, fmt.Errorf("%s: %s is not JSON", at, name)
		}
		members[name] = value
	}
	_, err = decoder.Token() // the closing brace
	if err != nil {
		return nil, notObject
	}
	_, err = decoder.Token()
	if !errors.Is(err, io.EOF) {
		return nil, notObject
	}
	for _, name := range required {
		if _, ok := members[name]; !ok {
			return nil, fmt.Errorf("%s: %s is missing", at, name)
		}
	}
	return members, nil
}

// quoted returns the name of a member for an error, unless it is so long that it
// might be a misplaced key.
func quoted(name string) string {
	const longestName = 16
	if len(name) > longestName {
		return " with a long name"
	}
	return " " + strconv.Quote(name)
}

// array splits an array, which must have an element.
func array(at string, data []byte) ([]json.RawMessage, error) {
	var elements []json.RawMessage
	if json.Unmarshal(data, &elements) != nil {
		return nil, fmt.Errorf("%s: is not an array", at)
	}
	if len(elements) == 0 {
		return nil, fmt.Errorf("%s: has no key", at)
	}
	return elements, nil
}

func text(at string, data []byte) (string, error) {
	var s *string
	if json.Unmarshal(data, &s) != nil || s == nil {
		return "", fmt.Errorf("%s: is not a string", at)
	}
	return *s, nil
}

func secret(at string, data []byte) ([]byte, error) {
	s, err := text(at, data)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || strings.ContainsAny(s, "\r\n") {
		return nil, fmt.Errorf("%s: is not base64", at)
	}
	if len(key) < minSecret || len(key) > maxSecret {
		return nil, fmt.Errorf("%s: has %d bytes, want %d to %d", at, len(key), minSecret, maxSecret)
	}
	return key, nil
}

// optionalInstant reads a time, and returns the zero time if there is no such member.
func optionalInstant(at, name string, members map[string]json.RawMessage) (time.Time, error) {
	raw, ok := members[name]
	if !ok {
		return time.Time{}, nil
	}
	return instant(at+"."+name, raw)
}

func instant(at string, data []byte) (time.Time, error) {
	s, err := text(at, data)
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, s)
	t = t.UTC() // which may be in another year, one that RFC 3339 cannot write
	if err != nil || t.IsZero() || t.Year() < 0 || t.Year() > 9999 {
		return time.Time{}, fmt.Errorf("%s: is not a time in the format of RFC 3339", at)
	}
	return t, nil
}
