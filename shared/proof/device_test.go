package proof_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"maps"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/shared/proof"
)

const challenge = "challenge-of-the-service"

// registration returns a JWT that registers a key as Chromium makes it, with changes.
func registration(t failer, alg string, key crypto.Signer, header, claims members) string {
	t.Helper()
	h := with(members{"typ": "dbsc+jwt", "alg": alg, "jwk": jwkOf(key)}, header)
	c := with(members{"jti": challenge, "authorization": "code"}, claims)
	return sign(t, alg, key, toJSON(t, h), toJSON(t, c))
}

// renewal returns the JWT of a renewal as Chromium makes it, with changes.
func renewal(t failer, alg string, key crypto.Signer, header, claims members) string {
	t.Helper()
	h, c := members{"jwk": absent}, members{"authorization": absent}
	maps.Copy(h, header)
	maps.Copy(c, claims)
	return registration(t, alg, key, h, c)
}

// register returns the key that a good JWT registers.
func register(t *testing.T, alg string, key crypto.Signer) proof.DeviceKey {
	t.Helper()
	k, got, authorization, err := proof.CheckRegistration([]string{registration(t, alg, key, nil, nil)})
	if err != nil || got != challenge || authorization != "code" {
		t.Fatalf("it is for %q with %q, %v", got, authorization, err)
	}
	return k
}

// TestDevice checks that a key which a browser registers renews its session, also after it was
// stored.
func TestDevice(t *testing.T) {
	for _, tt := range []struct {
		name, alg string
		key       crypto.Signer
		size      int
	}{
		{"ES256", "ES256", keyFor("ES256"), 34},
		{"ES256, whose y has another sign", "ES256", testEC(elliptic.P256(), 7), 34},
		{"RS256", "RS256", keyFor("RS256"), 5 + 256},
		{"RS256 of 4096 bits", "RS256", rsa4096(), 5 + 512},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key := register(t, tt.alg, tt.key)
			if got := key.Thumbprint().String(); got != thumbprintOf(tt.key) {
				t.Errorf("its thumbprint is %s, want %s", got, thumbprintOf(tt.key))
			}
			stored, err := key.MarshalBinary()
			if err != nil || len(stored) != tt.size {
				t.Fatalf("it is stored in %d bytes, %v", len(stored), err)
			}
			again, err := proof.ParseDeviceKey(stored)
			if err != nil || again.Thumbprint() != key.Thumbprint() {
				t.Fatalf("stored, it is %s, %v", again.Thumbprint(), err)
			}
			if b, err := again.MarshalBinary(); err != nil || !bytes.Equal(b, stored) {
				t.Errorf("stored again it is %x, %v; want %x", b, err, stored)
			}
			got, err := proof.CheckRenewal([]string{renewal(t, tt.alg, tt.key, nil, nil)}, again)
			if err != nil || got != challenge {
				t.Errorf("it renews for %q, %v", got, err)
			}
		})
	}
	even, _ := register(t, "ES256", testEC(elliptic.P256(), 7)).MarshalBinary()
	odd, _ := register(t, "ES256", keyFor("ES256")).MarshalBinary()
	if even[1] == odd[1] {
		t.Error("both points have the same sign, so that one was not tried")
	}
}

// TestRFC9449Key checks the compressed form of the key of RFC 9449 §4.1 by its thumbprint.
func TestRFC9449Key(t *testing.T) {
	x := decode(t, "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs")
	y := decode(t, "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA")
	key, err := proof.ParseDeviceKey(append([]byte{1, 2 | y[31]&1}, x...))
	if err != nil || key.Thumbprint().String() != "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" {
		t.Errorf("it is %s, %v", key.Thumbprint(), err)
	}
}

// TestParseDeviceKey checks bytes that are not those of a key.
func TestParseDeviceKey(t *testing.T) {
	ec, _ := register(t, "ES256", keyFor("ES256")).MarshalBinary()
	rsa, _ := register(t, "RS256", keyFor("RS256")).MarshalBinary()
	change := func(b []byte, at int, to byte) []byte {
		b = bytes.Clone(b)
		b[at] = to
		return b
	}
	n := func(bits uint) []byte { return append([]byte{2, 0, 1, 0, 1}, decode(t, modulus(bits))...) }
	for _, good := range [][]byte{ec, rsa, n(2048), n(4096)} {
		if _, err := proof.ParseDeviceKey(good); err != nil {
			t.Errorf("%x: %v", good, err)
		}
	}
	for name, b := range map[string][]byte{
		"nothing":                      nil,
		"an algorithm alone":           {1},
		"another algorithm alone":      {2},
		"no modulus":                   {2, 0, 1, 0, 1},
		"an algorithm that is not":     change(ec, 0, 0),
		"one of the other's":           change(ec, 0, 2),
		"the other one's":              change(rsa, 0, 1),
		"a byte more":                  append(bytes.Clone(ec), 0),
		"a byte less":                  ec[:33],
		"an uncompressed point":        change(ec, 1, 4),
		"a point of no sign":           change(ec, 1, 0),
		"a point that is not there":    append([]byte{1, 2}, bytes.Repeat([]byte{0xff}, 32)...),
		"a point that is on the twist": append([]byte{1, 2}, notOnCurve(t)...),
		"a zero before the modulus":    append([]byte{2, 0, 1, 0, 1, 0}, rsa[5:]...),
		"an exponent of 1":             append([]byte{2, 0, 0, 0, 1}, rsa[5:]...),
		"an even exponent":             append([]byte{2, 0, 1, 0, 0}, rsa[5:]...),
		"a negative exponent":          append([]byte{2, 0xff, 0xff, 0xff, 0xff}, rsa[5:]...),
		"an even modulus":              change(rsa, len(rsa)-1, 2),
		"1024 bits":                    n(1024),
		"2047 bits":                    n(2047),
		"4097 bits":                    n(4097),
	} {
		if key, err := proof.ParseDeviceKey(b); err == nil || key != (proof.DeviceKey{}) {
			t.Errorf("%s: it is %s, %v", name, key.Thumbprint(), err)
		}
	}
}

// notOnCurve returns the x of no point on P-256.
func notOnCurve(t *testing.T) []byte {
	t.Helper()
	x := make([]byte, 32)
	for x[31] = 1; x[31] < 255; x[31]++ {
		if got, _ := elliptic.UnmarshalCompressed(elliptic.P256(), append([]byte{2}, x...)); got == nil {
			return x
		}
	}
	t.Fatal("each x is one of a point")
	return nil
}

// TestNoDeviceKey checks that the zero value is no key.
func TestNoDeviceKey(t *testing.T) {
	var none proof.DeviceKey
	if b, err := none.MarshalBinary(); err == nil {
		t.Errorf("it is stored as %x", b)
	}
	if got := none.Thumbprint(); got != (proof.Thumbprint{}) {
		t.Errorf("its thumbprint is %s", got)
	}
	for _, alg := range []string{"ES256", "RS256"} {
		_, err := proof.CheckRenewal([]string{renewal(t, alg, keyFor(alg), nil, nil)}, none)
		checkRefused(t, err, proof.WrongAlgorithm)
	}
}

// TestResponseHeader checks how a JWT may stand in its header field: as a string of RFC 9651,
// or without quotes, and with parameters, which are ignored.
func TestResponseHeader(t *testing.T) {
	key := keyFor("ES256")
	registered := register(t, "ES256", key)
	s := renewal(t, "ES256", key, nil, nil)
	for _, tt := range []struct {
		name    string
		headers []string
		want    proof.Reason
	}{
		{"a string", []string{`"` + s + `"`}, ""},
		{"a token", []string{s}, ""},
		{"a string with spaces around it", []string{` "` + s + `"  `}, ""},
		{"a string with parameters", []string{`"` + s + `";a;b="c;d"`}, ""},
		{"a string with a parameter and spaces", []string{`"` + s + `" ; a=1`}, ""},
		{"a token with a parameter", []string{s + `;a`}, ""},
		{"none", nil, proof.NoProof},
		{"two", []string{s, s}, proof.SeveralProofs},
		{"a list", []string{`"` + s + `", "` + s + `"`}, proof.SeveralProofs},
		{"empty", []string{``}, proof.Malformed},
		{"an empty string", []string{`""`}, proof.Malformed},
		{"a quote", []string{`"`}, proof.Malformed},
		{"a parameter alone", []string{`;a`}, proof.Malformed},
		{"no quote before it", []string{s + `"`}, proof.Malformed},
		{"no quote after it", []string{`"` + s}, proof.Malformed},
		{"quotes twice", []string{`""` + s + `""`}, proof.Malformed},
		{"quotes of another kind", []string{`'` + s + `'`}, proof.Malformed},
		{"bytes", []string{`:` + s + `:`}, proof.Malformed},
		{"a space in the string", []string{`" ` + s + `"`}, proof.Malformed},
		{"an escape in the string", []string{`"\` + s + `"`}, proof.Malformed},
		{"a tab", []string{"\t" + s}, proof.Malformed},
		{"long parameters", []string{`"` + s + `";` + strings.Repeat("a", 4096)}, proof.TooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := proof.CheckRenewal(tt.headers, registered)
			if tt.want != "" {
				checkRefused(t, err, tt.want, s)
				_, _, _, err = proof.CheckRegistration(tt.headers)
				checkRefused(t, err, tt.want, s)
				return
			}
			if err != nil || got != challenge {
				t.Errorf("it is for %q, %v", got, err)
			}
		})
	}
}

// TestRegistrationRefused checks why a registration is refused.
func TestRegistrationRefused(t *testing.T) {
	ec := keyFor("ES256")
	for _, tt := range []struct {
		name      string
		presented string
		want      proof.Reason
	}{
		{"no key", registration(t, "ES256", ec, members{"jwk": absent}, nil), proof.NoKey},
		{"a renewal", renewal(t, "ES256", ec, nil, nil), proof.NoKey},
		{"the key in the claims", registration(t, "ES256", ec, members{"jwk": absent}, members{"jwk": jwkOf(ec)}), proof.NoKey},
		{"a DPoP proof", dpop(t, "ES256", ec, nil, nil), proof.WrongType},
		{"no typ", registration(t, "ES256", ec, members{"typ": absent}, nil), proof.WrongType},
		{"typ that folds to it", registration(t, "ES256", ec, members{"typ": "db\u017fc+jwt"}, nil), proof.WrongType},
		{"typ, whole", registration(t, "ES256", ec, members{"typ": "application/dbsc+jwt"}, nil), ""},
		{"none", registration(t, "ES256", ec, members{"alg": "none", "jwk": absent}, nil), proof.WrongAlgorithm},
		{"ES384", registration(t, "ES384", keyFor("ES384"), nil, nil), proof.WrongAlgorithm},
		{"EdDSA", registration(t, "EdDSA", keyFor("EdDSA"), nil, nil), proof.WrongAlgorithm},
		{"PS256", registration(t, "PS256", keyFor("PS256"), nil, nil), proof.WrongAlgorithm},
		{"ES256 of a key for ES384", registration(t, "ES256", ec, members{"jwk": jwkOf(keyFor("ES384"))}, nil), proof.WrongAlgorithm},
		{"ES256 of an RSA key", registration(t, "ES256", ec, members{"jwk": jwkOf(keyFor("RS256"))}, nil), proof.WrongAlgorithm},
		{"ES256 of an Ed25519 key", registration(t, "ES256", ec, members{"jwk": jwkOf(keyFor("EdDSA"))}, nil), proof.WrongAlgorithm},
		{"crit", registration(t, "ES256", ec, members{"crit": []string{"a"}, "a": 1}, nil), proof.ForbiddenHeader},
		{"a private key", registration(t, "ES256", ec, members{"jwk": with(jwkOf(ec), members{"d": "AAAA"})}, nil), proof.PrivateKey},
		{"a weak key", registration(t, "RS256", keyFor("RS256"), members{"jwk": with(jwkOf(keyFor("RS256")), members{"n": modulus(1024)})}, nil), proof.WeakKey},
		{"another's key", registration(t, "ES256", ec, members{"jwk": jwkOf(testEC(elliptic.P256(), 5))}, nil), proof.WrongSignature},
		{"no challenge", registration(t, "ES256", ec, nil, members{"jti": absent}), proof.NoJTI},
		{"an empty challenge", registration(t, "ES256", ec, nil, members{"jti": ""}), proof.NoJTI},
		{"a challenge that is a number", registration(t, "ES256", ec, nil, members{"jti": 1}), proof.Malformed},
		{"an authorization that is a list", registration(t, "ES256", ec, nil, members{"authorization": []string{"code"}}), proof.Malformed},
		{"too long", registration(t, "ES256", ec, nil, members{"a": strings.Repeat("a", 4096)}), proof.TooLong},
		{"members that nobody knows", registration(t, "ES256", ec, members{"kid": "k"}, members{"aud": "https://a.example/", "iat": "x"}), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key, got, authorization, err := proof.CheckRegistration([]string{`"` + tt.presented + `"`})
			if tt.want == "" {
				if err != nil || got != challenge || authorization != "code" {
					t.Errorf("it is for %q with %q, %v", got, authorization, err)
				}
				return
			}
			checkRefused(t, err, tt.want, tt.presented)
			if key != (proof.DeviceKey{}) || got != "" || authorization != "" {
				t.Errorf("it says %s, %q, %q", key.Thumbprint(), got, authorization)
			}
		})
	}
	_, got, authorization, err := proof.CheckRegistration([]string{registration(t, "ES256", ec, nil, members{"authorization": absent})})
	if err != nil || got != challenge || authorization != "" {
		t.Errorf("without an authorization it is for %q with %q, %v", got, authorization, err)
	}
}

// TestRenewalRefused checks why a renewal is refused, above all one by another key.
func TestRenewalRefused(t *testing.T) {
	ec, stranger, rsa := keyFor("ES256"), testEC(elliptic.P256(), 5), keyFor("RS256")
	for _, tt := range []struct {
		name       string
		registered proof.DeviceKey
		presented  string
		want       proof.Reason
	}{
		{"another key", register(t, "ES256", ec), renewal(t, "ES256", stranger, nil, nil), proof.WrongSignature},
		{"another key, which it brings", register(t, "ES256", ec), registration(t, "ES256", stranger, nil, nil), proof.ForbiddenHeader},
		{"its own key, which it brings", register(t, "ES256", ec), registration(t, "ES256", ec, nil, nil), proof.ForbiddenHeader},
		{"a key of another kind", register(t, "ES256", ec), renewal(t, "RS256", rsa, nil, nil), proof.WrongAlgorithm},
		{"a key of the first kind", register(t, "RS256", rsa), renewal(t, "ES256", ec, nil, nil), proof.WrongAlgorithm},
		{"PS256", register(t, "RS256", rsa), renewal(t, "PS256", rsa, nil, nil), proof.WrongAlgorithm},
		{"none", register(t, "ES256", ec), renewal(t, "ES256", ec, members{"alg": "none"}, nil), proof.WrongAlgorithm},
		{"crit", register(t, "ES256", ec), renewal(t, "ES256", ec, members{"crit": []string{"a"}, "a": 1}, nil), proof.ForbiddenHeader},
		{"another type", register(t, "ES256", ec), renewal(t, "ES256", ec, members{"typ": "dpop+jwt"}, nil), proof.WrongType},
		{"no challenge", register(t, "ES256", ec), renewal(t, "ES256", ec, nil, members{"jti": absent}), proof.NoJTI},
		{"claims that are a list", register(t, "ES256", ec), sign(t, "ES256", ec, `{"typ":"dbsc+jwt","alg":"ES256"}`, `[]`), proof.Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := proof.CheckRenewal([]string{`"` + tt.presented + `"`}, tt.registered)
			checkRefused(t, err, tt.want, tt.presented)
			if got != "" {
				t.Errorf("it is for %q", got)
			}
		})
	}
}
