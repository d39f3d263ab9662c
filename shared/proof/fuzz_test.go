package proof_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/shared/proof"
)

// FuzzDPoP checks that a proof is accepted if and only if an independent reading of it by the
// standard library accepts it, with the same thumbprint, and that go-jose then verifies the
// signature. The target signs what it makes, as an
// attacker can with a key of their own.
func FuzzDPoP(f *testing.F) {
	for i, alg := range algorithms {
		key := keyFor(alg)
		f.Add(toJSON(f, goodHeader(alg, key)), toJSON(f, goodClaims()), byte(i), "")
	}
	key := keyFor("EdDSA")
	header, claims := toJSON(f, goodHeader("EdDSA", key)), toJSON(f, goodClaims())
	f.Add(strings.Replace(header, `"jwk":{`, `"jwk":{"d":null,`, 1), claims, byte(4), "")
	f.Add(header, strings.Replace(claims, "oauth", "%6fauth/./a/..", 1), byte(4), "")
	f.Add(header, claims[:len(claims)-1]+`,"ath":"fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"}`, byte(4), "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU")
	f.Add(header[:len(header)-1]+`,"crit":[]}`, claims, byte(4), "")
	f.Add(dpop(f, "EdDSA", key, nil, nil), "", byte(255), "")
	f.Add(dpop(f, "RS256", keyFor("RS256"), nil, members{"iat": 1.85e9, "nonce": absent}), "", byte(255), "")

	f.Fuzz(func(t *testing.T, header, claims string, alg byte, accessToken string) {
		presented := header
		if int(alg) < len(algorithms) {
			name := algorithms[alg]
			presented = sign(t, name, keyFor(name), header, claims)
		}
		want := expected()
		want.AccessToken = accessToken
		thumbprint, err := proof.CheckDPoP([]string{presented}, want)
		r, readErr := read(presented, "dpop+jwt", nil)
		good := readErr == nil && r.key != nil && r.isGood(want)
		var refused *proof.RefusedError
		switch {
		case err == nil && (!good || thumbprint.String() != r.thumbprint || !r.agrees(presented)):
			t.Errorf("it is accepted as %s; read independently it is %s, %v", thumbprint, r.thumbprint, readErr)
		case err != nil && !errors.As(err, &refused):
			t.Errorf("the error is %#v", err)
		case err != nil && good:
			t.Errorf("it is refused for %s", refused.Reason)
		}
	})
}

// FuzzURL checks that the htu of a proof is a URL if and only if an independent reading of RFC
// 3986 says so.
func FuzzURL(f *testing.F) {
	for _, s := range []string{
		"https://auth.example/oauth/token", "HTTPS://%61uth.EXAMPLE:443/a/%2E./oauth/token?a#b", "http://[::1]:80/t/.", "http://[::1]/t/",
		"https://a@auth.example/", "https://auth.example", "https://auth.example/a//../%2f%C3%a9;b", "https://auth.example\\a", "https://%2f.example:/%7E",
	} {
		f.Add(s, goodURL)
		f.Add(s, s)
		f.Add(s+"/x/..", strings.ToUpper(s))
	}
	key := keyFor("EdDSA")
	f.Fuzz(func(t *testing.T, htu, url string) {
		want := expected()
		want.URL = url
		htu = strings.ToValidUTF8(htu, "\ufffd")
		presented := dpop(t, "EdDSA", key, nil, members{"htu": htu})
		_, err := proof.CheckDPoP([]string{presented}, want)
		accepted := err == nil
		if good := len(presented) <= 4096 && isURL(htu, url); accepted != good && htu != url {
			t.Errorf("%q is %q: %t, want %t", htu, url, accepted, good)
		}
	})
}

// FuzzDevice checks that a registration is accepted if and only if an independent reading
// accepts it, and that then a renewal by the same key is, too, after the key was stored.
func FuzzDevice(f *testing.F) {
	for i, alg := range []string{"ES256", "RS256"} {
		key := keyFor(alg)
		f.Add(toJSON(f, members{"typ": "dbsc+jwt", "alg": alg, "jwk": jwkOf(key)}), `{"jti":"a","authorization":"b"}`, byte(i))
		f.Add(toJSON(f, members{"typ": "dbsc+jwt", "alg": alg}), `{"jti":"a"}`, byte(i))
		f.Add(`"`+registration(f, alg, key, nil, nil)+`";a=b`, "", byte(255))
	}
	f.Fuzz(func(t *testing.T, header, claims string, alg byte) {
		field, name := header, ""
		var key crypto.Signer
		if alg < 2 {
			name = []string{"ES256", "RS256"}[alg]
			key = keyFor(name)
			field = sign(t, name, key, header, claims)
		}
		registered, challenge, authorization, err := proof.CheckRegistration([]string{field})
		presented, _, _ := strings.Cut(field, ";")
		presented = strings.Trim(presented, " ")
		if len(presented) > 1 && presented[0] == '"' && presented[len(presented)-1] == '"' {
			presented = presented[1 : len(presented)-1]
		}
		r, readErr := read(presented, "dbsc+jwt", nil)
		good := readErr == nil && r.key != nil && (r.header["alg"] == "ES256" || r.header["alg"] == "RS256") && len(field) <= 4096 && !strings.Contains(field, ",")
		good = good && isText(r.claims, "jti") && isText(r.claims, "authorization") && text(r.claims, "jti") != ""
		if err != nil {
			if good {
				t.Errorf("it is refused: %v", err)
			}
			return
		}
		if !good || challenge != text(r.claims, "jti") || authorization != text(r.claims, "authorization") || registered.Thumbprint().String() != r.thumbprint {
			t.Fatalf("it is %s for %q with %q; read independently it is %+v, %v", registered.Thumbprint(), challenge, authorization, r, readErr)
		}
		if b, err := registered.MarshalBinary(); err != nil {
			t.Error(err)
		} else if registered, err = proof.ParseDeviceKey(b); err != nil || registered.Thumbprint().String() != r.thumbprint {
			t.Errorf("stored, it is %s, %v", registered.Thumbprint(), err)
		}
		if key == nil || r.thumbprint != thumbprintOf(key) {
			return
		}
		got, err := proof.CheckRenewal([]string{renewal(t, name, key, nil, members{"jti": challenge})}, registered)
		if long := len(challenge) > 2000; err != nil && !long || err == nil && got != challenge {
			t.Errorf("it renews for %q, %v", got, err)
		}
	})
}

// FuzzDeviceKey checks that bytes which are those of a key are the same when the key is stored
// again, and that the key is one that is accepted.
func FuzzDeviceKey(f *testing.F) {
	for _, k := range []crypto.Signer{keyFor("ES256"), testEC(elliptic.P256(), 7)} {
		point, err := k.Public().(*ecdsa.PublicKey).Bytes()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append([]byte{1, 2 | point[64]&1}, point[1:33]...))
	}
	f.Add(append([]byte{2, 0, 1, 0, 1}, keyFor("RS256").Public().(*rsa.PublicKey).N.Bytes()...))
	f.Add([]byte{2, 0, 0, 0, 3, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := proof.ParseDeviceKey(b)
		if err != nil {
			return
		}
		if again, err := key.MarshalBinary(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x is stored as %x, %v", b, again, err)
		}
		if b[0] == 1 {
			x, y := elliptic.UnmarshalCompressed(elliptic.P256(), b[1:])
			jwk := members{"crv": "P-256", "kty": "EC", "x": encode(x.FillBytes(make([]byte, 32))), "y": encode(y.FillBytes(make([]byte, 32)))}
			if _, thumbprint, err := public(jwk); err != nil || thumbprint != key.Thumbprint().String() {
				t.Errorf("it is %s, %v", thumbprint, err)
			}
			return
		}
		jwk := members{"kty": "RSA", "n": encode(b[5:]), "e": encode(new(big.Int).SetBytes(b[1:5]).Bytes())}
		if _, thumbprint, err := public(jwk); err != nil || thumbprint != key.Thumbprint().String() {
			t.Errorf("it is %s, %v", thumbprint, err)
		}
	})
}
