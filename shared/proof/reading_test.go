package proof_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/shared/proof"
)

// reading is an independent reading of a proof, by the standard library alone.
type reading struct {
	header, claims, key members
	public              crypto.PublicKey
	thumbprint          string
}

var errReading = errors.New("no good proof")

// read reads a proof of a type. key verifies it if it brings none.
func read(presented, typ string, key crypto.PublicKey) (r reading, err error) {
	parts := strings.Split(presented, ".")
	if len(presented) > 4096 || len(parts) != 3 {
		return r, errReading
	}
	var raw [3][]byte
	for i, part := range parts {
		raw[i], err = base64.RawURLEncoding.DecodeString(part)
		if err != nil || encode(raw[i]) != part {
			return r, errReading
		}
	}
	if r.header, err = object(raw[0]); err != nil {
		return r, err
	}
	if r.claims, err = object(raw[1]); err != nil {
		return r, err
	}
	if !regexp.MustCompile(`^(?i:application/)?(?i:`+regexp.QuoteMeta(typ)+`)$`).MatchString(text(r.header, "typ")) || strings.ContainsAny(text(r.header, "typ"), "ſK") {
		return r, errReading
	}
	for _, name := range []string{"crit", "b64", "jku", "x5u", "x5c"} {
		if _, ok := r.header[name]; ok {
			return r, errReading
		}
	}
	r.public = key
	if brought, ok := r.header["jwk"]; ok {
		if r.key, ok = brought.(members); !ok {
			return r, errReading
		}
		for _, name := range []string{"k", "d", "p", "q", "dp", "dq", "qi", "oth", "priv", "x5c", "x5u"} {
			if _, ok := r.key[name]; ok {
				return r, errReading
			}
		}
		for _, name := range []string{"kty", "crv", "x", "y", "n", "e"} {
			if !isText(r.key, name) {
				return r, errReading
			}
		}
		if r.public, r.thumbprint, err = public(r.key); err != nil {
			return r, err
		}
	}
	if !verifies(r.public, text(r.header, "alg"), []byte(parts[0]+"."+parts[1]), raw[2]) {
		return r, errReading
	}
	return r, nil
}

// object reads a JSON object in which neither it nor its jwk has a member twice.
func object(data []byte) (members, error) {
	if !utf8.Valid(data) {
		return nil, errReading
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := value(d, true)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errReading
	}
	all, ok := v.(members)
	if !ok {
		return nil, errReading
	}
	return all, nil
}

// value reads a JSON value. If it is an object that is looked at, it has no member twice.
func value(d *json.Decoder, isRead bool) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		all := members{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			if _, ok := all[name.(string)]; ok && isRead {
				return nil, errReading
			}
			if all[name.(string)], err = value(d, isRead && name == "jwk"); err != nil {
				return nil, err
			}
		}
		_, err = d.Token()
		return all, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := value(d, false)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return token, nil
}

// text returns a member that is a string, "" if it is none.
func text(all members, name string) string {
	s, _ := all[name].(string)
	return s
}

// isText reports whether a member is a string, null or left out.
func isText(all members, name string) bool {
	_, ok := all[name].(string)
	return ok || all[name] == nil
}

// octets returns the bytes of a member of a JWK.
func octets(key members, name string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(text(key, name))
	if err != nil || encode(b) != text(key, name) {
		return nil, errReading
	}
	return b, nil
}

// public returns the public key of a JWK, and its thumbprint.
func public(key members) (crypto.PublicKey, string, error) {
	print := func(format string, names ...any) string {
		for i, name := range names {
			names[i] = key[name.(string)]
		}
		sum := sha256.Sum256(fmt.Appendf(nil, format, names...))
		return encode(sum[:])
	}
	switch key["kty"] {
	case "EC":
		for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
			x, errX := octets(key, "x")
			y, errY := octets(key, "y")
			if p := curve.Params(); key["crv"] == p.Name && errX == nil && errY == nil && len(x) == (p.BitSize+7)/8 && len(y) == len(x) {
				k, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
				return k, print(`{"crv":"%s","kty":"EC","x":"%s","y":"%s"}`, "crv", "x", "y"), err
			}
		}
	case "RSA":
		n, errN := octets(key, "n")
		e, errE := octets(key, "e")
		if errN != nil || errE != nil || len(n) == 0 || len(e) == 0 || n[0] == 0 || e[0] == 0 || len(e) > 8 {
			break
		}
		k := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
		if bits := k.N.BitLen(); bits >= 2048 && bits <= 4096 {
			return k, print(`{"e":"%s","kty":"RSA","n":"%s"}`, "e", "n"), nil
		}
	case "OKP":
		if x, err := octets(key, "x"); err == nil && key["crv"] == "Ed25519" && len(x) == 32 {
			return ed25519.PublicKey(x), print(`{"crv":"%s","kty":"OKP","x":"%s"}`, "crv", "x"), nil
		}
	}
	return nil, "", errReading
}

// verifies reports whether a key signed a text by an algorithm.
func verifies(key crypto.PublicKey, alg string, text, signature []byte) bool {
	if !slices.Contains(algorithms, alg) {
		return false
	}
	hash, digest := hashOf(alg), text
	if hash != 0 {
		h := hash.New()
		h.Write(text)
		digest = h.Sum(nil)
	}
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		curve := map[string]string{"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[alg]
		half := len(signature) / 2
		der, err := asn1.Marshal([]*big.Int{new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])})
		return curve == k.Curve.Params().Name && len(signature) == 2*((k.Curve.Params().BitSize+7)/8) && err == nil && ecdsa.VerifyASN1(k, digest, der)
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") && rsa.VerifyPKCS1v15(k, hash, digest, signature) == nil ||
			strings.HasPrefix(alg, "PS") && rsa.VerifyPSS(k, hash, digest, signature, &rsa.PSSOptions{SaltLength: hash.Size()}) == nil
	case ed25519.PublicKey:
		return strings.HasPrefix(alg, "Ed") && ed25519.Verify(k, text, signature)
	}
	return false
}

// agrees reports whether go-jose verifies the signature, too. It knows the header by rules of
// its own, so that this is asked only of one without other members.
func (r *reading) agrees(presented string) bool {
	for _, all := range []members{r.header, r.key} {
		for name := range all {
			if !slices.Contains([]string{"typ", "alg", "jwk", "kty", "crv", "x", "y", "n", "e"}, name) {
				return true
			}
		}
	}
	if r.header["alg"] == "Ed25519" { // whose name go-jose does not know
		return true
	}
	jws, err := jose.ParseSignedCompact(presented, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(text(r.header, "alg"))})
	if err != nil {
		return false
	}
	_, err = jws.Verify(jws.Signatures[0].Protected.JSONWebKey)
	return err == nil
}

// isGood reports whether the reading is of a proof for what is expected (RFC 9449 §4.3 no. 8
// to 12).
func (r *reading) isGood(want proof.Expected) bool {
	for _, name := range []string{"jti", "htm", "htu", "nonce", "ath"} {
		if !isText(r.claims, name) {
			return false
		}
	}
	number, ok := r.claims["iat"].(json.Number)
	if !ok {
		return false
	}
	iat, err := number.Float64()
	if err != nil || math.Abs(math.Trunc(iat)-float64(want.Now.Unix())) > 86400 {
		return false
	}
	if want.AccessToken != "" {
		if sum := sha256.Sum256([]byte(want.AccessToken)); text(r.claims, "ath") != encode(sum[:]) {
			return false
		}
	}
	jti := text(r.claims, "jti")
	return jti != "" && len(jti) <= 256 && text(r.claims, "htm") == want.Method && isURL(text(r.claims, "htu"), want.URL) && want.Nonce(text(r.claims, "nonce"))
}

// The parts of a URL by the regular expression of RFC 3986, appendix B, and what each of them
// may have.
var (
	uri       = regexp.MustCompile(`^(?s)([A-Za-z]+)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?$`)
	authority = regexp.MustCompile(`^(\[[A-Za-z0-9._~!$&'()*+,;=:-]*\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*)(?::([0-9]*))?$`)
	path      = regexp.MustCompile(`^(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*$`)
	escape    = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
)

// normal returns the normal form of a URL (RFC 3986 §6.2.2, §6.2.3), "" if it has none.
func normal(s string) string {
	whole := uri.FindStringSubmatch(s)
	if whole == nil {
		return ""
	}
	scheme := strings.ToLower(whole[1])
	place := authority.FindStringSubmatch(whole[2])
	standard := map[string]string{"http": "80", "https": "443"}[scheme]
	if place == nil || standard == "" || !path.MatchString(whole[3]) {
		return ""
	}
	unreserved := func(s string) string {
		c, err := url.PathUnescape(s)
		if err == nil && regexp.MustCompile(`^[A-Za-z0-9._~-]$`).MatchString(c) {
			return c
		}
		return strings.ToUpper(s)
	}
	host := strings.ToLower(escape.ReplaceAllStringFunc(place[1], unreserved))
	host = escape.ReplaceAllStringFunc(host, strings.ToUpper)
	if place[2] != "" && place[2] != standard {
		host += ":" + place[2]
	}
	return scheme + "://" + host + withoutDots(escape.ReplaceAllStringFunc(whole[3], unreserved))
}

// withoutDots returns a path after the algorithm of RFC 3986 §5.2.4, step by step, and "/" for
// the empty one.
func withoutDots(in string) string {
	out := ""
	for in != "" {
		switch {
		case strings.HasPrefix(in, "/./"):
			in = in[2:]
		case in == "/.":
			in = "/"
		case strings.HasPrefix(in, "/../"), in == "/..":
			in = "/" + strings.TrimPrefix(in[3:], "/")
			out = out[:max(0, strings.LastIndex(out, "/"))]
		default:
			end := len(in)
			if i := strings.Index(in[1:], "/"); i >= 0 {
				end = 1 + i
			}
			out, in = out+in[:end], in[end:]
		}
	}
	if out == "" {
		return "/"
	}
	return out
}

// isURL reports whether both are spellings of the same URL.
func isURL(htu, want string) bool { return normal(htu) != "" && normal(htu) == normal(want) }
