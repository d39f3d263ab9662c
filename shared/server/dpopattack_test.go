package server_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// b64 is the base64url of JOSE objects.
var b64 = base64.RawURLEncoding

// jwk returns the public key as a JWK.
func (p *prover) jwk() map[string]any {
	p.w.t.Helper()
	b, err := json.Marshal(jose.JSONWebKey{Key: p.key.Public()})
	if err != nil {
		p.w.t.Fatal(err)
	}
	var jwk map[string]any
	if err := json.Unmarshal(b, &jwk); err != nil {
		p.w.t.Fatal(err)
	}
	return jwk
}

// claims returns the claims of a good proof, with changes; nil leaves one out.
func (p *prover) claims(changes ...any) map[string]any {
	return changed(map[string]any{
		"jti": rand.Text(), "htm": "POST", "htu": p.issuer + "/oauth/token", "iat": p.w.clock.Now().Unix(), "nonce": p.nonce,
	}, changes...)
}

// header returns the header of a good proof, with changes; nil leaves one out.
func (p *prover) header(changes ...any) map[string]any {
	return changed(map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": p.jwk()}, changes...)
}

func changed(members map[string]any, changes ...any) map[string]any {
	for i := 0; i < len(changes); i += 2 {
		if members[changes[i].(string)] = changes[i+1]; changes[i+1] == nil {
			delete(members, changes[i].(string))
		}
	}
	return members
}

// sign returns an ES256 signature by the key.
func (p *prover) sign(input []byte) []byte {
	p.w.t.Helper()
	sum := sha256.Sum256(input)
	r, s, err := ecdsa.Sign(rand.Reader, p.key, sum[:])
	if err != nil {
		p.w.t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signature
}

// forged returns a JWS of any header and claims, as no library makes it.
func (p *prover) forged(header, claims any, sign func(input []byte) []byte) string {
	p.w.t.Helper()
	part := func(v any) string {
		if text, ok := v.(string); ok {
			return b64.EncodeToString([]byte(text))
		}
		b, err := json.Marshal(v)
		if err != nil {
			p.w.t.Fatal(err)
		}
		return b64.EncodeToString(b)
	}
	input := part(header) + "." + part(claims)
	return input + "." + b64.EncodeToString(sign([]byte(input)))
}

// weak is an RSA key of 512 bits, which Go's library neither makes nor signs with.
type weak struct{ n, d *big.Int }

func newWeak(t testing.TB) weak {
	t.Helper()
	e, one := big.NewInt(65537), big.NewInt(1)
	for {
		p, errP := rand.Prime(rand.Reader, 256)
		q, errQ := rand.Prime(rand.Reader, 256)
		if errP != nil || errQ != nil {
			t.Fatal(errP, errQ)
		}
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(e, phi)
		if n := new(big.Int).Mul(p, q); d != nil && n.BitLen() == 512 {
			return weak{n, d}
		}
	}
}

func (k weak) jwk() map[string]any {
	return map[string]any{"kty": "RSA", "n": b64.EncodeToString(k.n.Bytes()), "e": "AQAB"}
}

// sign returns an RS256 signature (RFC 8017 §8.2.1, §9.2).
func (k weak) sign(input []byte) []byte {
	sum := sha256.Sum256(input)
	info := append([]byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}, sum[:]...)
	block := append([]byte{0, 1}, slices.Repeat([]byte{0xff}, 64-3-len(info))...)
	block = append(append(block, 0), info...)
	return new(big.Int).Exp(new(big.Int).SetBytes(block), k.d, k.n).FillBytes(make([]byte, 64))
}

// attack is a request with DPoP headers that must be refused.
type attack struct {
	name    string
	headers []string // the values of the header fields
	reason  string   // in the log; "" for a proof without a good nonce, which is not logged
	errors  string   // the OAuth error
}

// attacks returns what somebody may send who has the prover's tokens, and may have seen proofs, but has not
// its key.
func (p *prover) attacks() []attack {
	w := p.w
	now := w.clock.Now()
	url := w.servers[0].URL
	other := w.prover()
	public := p.jwk()
	private := p.jwk()
	b, err := p.key.Bytes()
	if err != nil {
		w.t.Fatal(err)
	}
	private["d"] = b64.EncodeToString(b)
	trail.add("a private key", b64.EncodeToString(b))
	secret := []byte(rand.Text())
	mac := func(key []byte) func([]byte) []byte {
		return func(input []byte) []byte {
			h := hmac.New(sha256.New, key)
			h.Write(input)
			return h.Sum(nil)
		}
	}
	point, err := p.key.PublicKey.Bytes()
	if err != nil {
		w.t.Fatal(err)
	}
	small := newWeak(w.t)
	good := p.proof()
	parts := strings.Split(good, ".")
	offCurve := p.jwk()
	offCurve["y"] = offCurve["x"]
	_, scheme, _ := strings.Cut(url, ":")

	var all []attack
	add := func(name, reason string, headers ...string) {
		all = append(all, attack{name, headers, reason, "invalid_dpop_proof"})
	}
	nonce := func(name string, headers ...string) {
		all = append(all, attack{name, headers, "", "use_dpop_nonce"})
	}
	claims := func(name, reason string, changes ...any) { add(name, reason, p.proof(changes...)) }
	header := func(name, reason string, changes ...any) {
		add(name, reason, p.forged(p.header(changes...), p.claims(), p.sign))
	}

	claims("another method", "wrong_method", "htm", "GET")
	claims("the method in small letters", "wrong_method", "htm", "post")
	claims("no method", "wrong_method", "htm", nil)
	claims("another path", "wrong_url", "htu", url+"/oauth/revoke")
	claims("a longer path", "wrong_url", "htu", url+"/oauth/token/")
	claims("another host", "wrong_url", "htu", "http://attacker.example/oauth/token")
	claims("the host as a user", "wrong_url", "htu", strings.Replace(url, "://", "://attacker@", 1)+"/oauth/token")
	claims("another port", "wrong_url", "htu", url+"0/oauth/token")
	claims("another scheme", "wrong_url", "htu", "https:"+scheme+"/oauth/token")
	claims("the issuer alone", "wrong_url", "htu", url)
	claims("the path alone", "wrong_url", "htu", "/oauth/token")
	claims("no URL", "wrong_url", "htu", nil)
	claims("a list of URLs", "malformed", "htu", []string{url + "/oauth/token"})
	claims("old", "wrong_time", "iat", now.Add(-25*time.Hour).Unix())
	claims("of the future", "wrong_time", "iat", now.Add(25*time.Hour).Unix())
	claims("no time", "no_time", "iat", nil)
	claims("a time in words", "malformed", "iat", now.Format(time.RFC3339))
	claims("no jti", "no_jti", "jti", nil)
	claims("a long jti", "too_long", "jti", strings.Repeat("j", 257))

	nonce("no nonce", p.proof("nonce", nil))
	nonce("an empty nonce", p.proof("nonce", ""))
	nonce("a nonce of ten minutes ago", p.proof("nonce", w.keys.Codec.Nonce(now.Add(-10*time.Minute))))
	nonce("a nonce of the future", p.proof("nonce", w.keys.Codec.Nonce(now.Add(10*time.Minute))))
	nonce("a made-up nonce", p.proof("nonce", strings.Repeat("n", len(p.nonce))))
	nonce("a nonce with another end", p.proof("nonce", p.nonce[:len(p.nonce)-2]+"AA"))
	nonce("a proof for another server, replayed", p.proof("htu", "https://api.example.com/", "nonce", nil))
	nonce("an old proof, replayed", p.proof("iat", now.Add(-11*time.Minute).Unix(), "nonce", w.keys.Codec.Nonce(now.Add(-11*time.Minute))))

	add("two headers", "several_proofs", good, p.proof())
	add("the same in two headers", "several_proofs", good, good)
	add("two in one header", "several_proofs", good+", "+p.proof())
	add("a good one and a bad one", "several_proofs", good, "x")
	add("an empty header", "malformed", "")
	add("no JWT", "malformed", "proof")
	add("an encrypted JWT", "malformed", good+".x.y")
	add("without a signature", "malformed", parts[0]+"."+parts[1])
	add("too long", "too_long", p.forged(p.header("x", strings.Repeat("x", 4096)), p.claims(), p.sign))
	add("a member twice", "malformed", p.forged(`{"typ":"dpop+jwt","alg":"none","alg":"ES256","jwk":`+mustJSON(public)+`}`, p.claims(), p.sign))

	header("wrong typ", "wrong_type", "typ", "JWT")
	header("no typ", "wrong_type", "typ", nil)
	header("the typ of access tokens", "wrong_type", "typ", "at+jwt")
	add("alg none, without a signature", "wrong_algorithm", p.forged(p.header("alg", "none"), p.claims(), func([]byte) []byte { return nil }))
	add("alg none, signed", "wrong_algorithm", p.forged(p.header("alg", "none"), p.claims(), p.sign))
	add("alg in capitals", "wrong_algorithm", p.forged(p.header("alg", "NONE"), p.claims(), p.sign))
	add("HS256 under the public key", "wrong_algorithm", p.forged(p.header("alg", "HS256"), p.claims(), mac(point)))
	add("HS256 under a shared key", "wrong_algorithm", p.forged(p.header("alg", "HS256", "jwk", map[string]any{"kty": "oct", "k": b64.EncodeToString(secret)}), p.claims(), mac(secret)))
	add("a symmetric key", "symmetric_key", p.forged(p.header("jwk", map[string]any{"kty": "oct", "k": b64.EncodeToString(secret)}), p.claims(), mac(secret)))
	header("a private key", "private_key", "jwk", private)
	add("RSA of 512 bits", "weak_key", p.forged(p.header("alg", "RS256", "jwk", small.jwk()), p.claims(), small.sign))
	header("no key", "no_key", "jwk", nil)
	header("the name of a key", "no_key", "jwk", nil, "kid", p.jkt())
	header("a key that is a string", "malformed_key", "jwk", "key")
	header("a point that is not on the curve", "malformed_key", "jwk", offCurve)
	header("an algorithm of another key", "wrong_algorithm", "alg", "RS256")
	header("a critical extension", "forbidden_header", "crit", []string{"exp"}, "exp", 1)
	header("an unencoded payload", "forbidden_header", "crit", []string{"b64"}, "b64", false)
	header("the address of a key", "forbidden_header", "jku", "https://attacker.example/jwks.json")
	header("a certificate", "forbidden_header", "x5c", []string{"MIIB"})

	add("a signature by another key", "wrong_signature", p.forged(p.header(), p.claims(), other.sign))
	add("a signature of zeros", "wrong_signature", p.forged(p.header(), p.claims(), func([]byte) []byte { return make([]byte, 64) }))
	add("claims that were changed", "wrong_signature", parts[0]+"."+strings.Split(p.proof(), ".")[1]+"."+parts[2])
	return all
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// TestProofAttacks presents tokens of each kind with each bad proof. The caller is refused with the error of
// RFC 9449, nothing is written, and one line says why. Afterwards the right holder gets tokens.
func TestProofAttacks(t *testing.T) {
	type scene struct {
		*prover
		form  string     // of the request
		asked func() int // how often another provider was asked
	}
	bound := func(policy string) func(t *testing.T) scene {
		return func(t *testing.T) scene {
			w := newBoundWorld(t, "allowed")
			p := w.prover()
			form := refreshForm(p.bound().text("refresh_token"))
			w.putClient("app", strings.TrimSuffix(authorizing, "}")+fmt.Sprintf(`,"policy":{"dpop":%q}}`, policy))
			w.clock.Advance(2 * time.Minute)
			return scene{prover: p, form: form}
		}
	}
	for _, tt := range []struct {
		name string
		make func(t *testing.T) scene
		line string // the type of the line of a refusal
		// What is requested of the store: for a bad proof, for none, for that of another key ("-" where any key
		// is good).
		bad, none, other string
	}{
		{"bound, off", bound("off"), "fertft", "UpdateItem", "UpdateItem", "UpdateItem"},
		{"bound, allowed", bound("allowed"), "fertft", "", "UpdateItem", "UpdateItem"},
		{"bound, required", bound("required"), "fertft", "", "UpdateItem", "UpdateItem"},
		{"a code", func(t *testing.T) scene {
			p := newBoundWorld(t, "required").prover()
			return scene{prover: p, form: exchangeForm(p.w.code())}
		}, "feacft", "", "GetItem", "-"},
		{"a code of a key", func(t *testing.T) scene {
			p := newBoundWorld(t, "allowed").prover()
			return scene{prover: p, form: exchangeForm(p.w.code("dpop_jkt", p.jkt()))}
		}, "feacft", "", "UpdateItem", "UpdateItem"},
		{"an assertion", func(t *testing.T) scene {
			w := newTrust(t, `,"policy":{"dpop":"required"}`)
			return scene{prover: w.prover(), form: assertionForm(w.assertion())}
		}, "fecte", "", "", "-"},
		{"an assertion that was used", func(t *testing.T) scene {
			w := newTrust(t, `,"policy":{"dpop":"allowed"}`)
			p := w.prover()
			form := assertionForm(w.assertion())
			if a := p.post(form); a.status != http.StatusOK {
				t.Fatal(a)
			}
			return scene{prover: p, form: form}
		}, "fecte", "", "GetItem GetItem", "GetItem GetItem"},
		{"an imported token", func(t *testing.T) scene {
			w := newWorld(t)
			w.acceptImported("true", `"policy":{"dpop":"required"}`)
			w.importToken("u", foreignToken(1))
			return scene{prover: w.prover(), form: refreshForm(foreignToken(1))}
		}, "fertft", "", "GetItem GetItem", "-"},
		{"an imported token that was used", func(t *testing.T) scene {
			w := newWorld(t)
			w.acceptImported("true", `"policy":{"dpop":"required"}`)
			w.importToken("u", foreignToken(1))
			p := w.prover()
			if a := p.refresh(foreignToken(1)); a.status != http.StatusOK {
				t.Fatal(a)
			}
			w.clock.Advance(2 * time.Minute)
			return scene{prover: p, form: refreshForm(foreignToken(1))}
		}, "fertft", "", "GetItem GetItem", "GetItem UpdateItem"},
		{"an adopted token", func(t *testing.T) scene {
			m := newMoving(t, "")
			m.adopts("", `,"policy":{"dpop":"required"}`)
			return scene{prover: m.prover(), form: refreshForm(m.old.token("alice")), asked: m.old.requests}
		}, "fertft", "", "GetItem", "-"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := tt.make(t)
			w := s.w
			w.send(http.MethodPost, "/oauth/token", formType, refreshForm("none")) // from now on the client is known
			image := func() string {
				t.Helper()
				w.store.Break(nil)
				s, err := w.store.Image(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				w.store.Counted()
				return s
			}
			before := image()
			refused := func(a attack, cause, requests string) {
				t.Helper()
				lines := len(w.lines("audit"))
				log := len(w.log.String())
				var header []string
				for _, value := range a.headers {
					header = append(header, "DPoP", value)
				}
				got := w.send(http.MethodPost, "/oauth/token", formType, s.form, header...)
				calls := strings.Join(w.store.Counted(), " ")
				if got.status != http.StatusBadRequest || got.text("error") != a.errors || got.json["access_token"] != nil {
					t.Errorf("%s: got %v, not %s", a.name, got, a.errors)
				}
				if calls != requests {
					t.Errorf("%s: requests %q, not %q", a.name, calls, requests)
				}
				if wants := w.keys.Codec.Nonce(w.clock.Now()); len(a.headers) > 0 && got.header.Get("DPoP-Nonce") != wants {
					t.Errorf("%s: the next nonce is %q", a.name, got.header.Get("DPoP-Nonce"))
				}
				said := w.lines("audit")[lines:]
				switch {
				case a.reason == "" && cause == "":
					if len(said) != 0 {
						t.Errorf("%s: logged %v", a.name, said)
					}
				case len(said) != 1 || said[0]["type"] != tt.line || said[0]["cause"] != cause || textOf(said[0]["reason"]) != a.reason || said[0]["clientId"] != "app":
					t.Errorf("%s: logged %v, not %s with %s, %s", a.name, said, tt.line, cause, a.reason)
				}
				w.tells(w.log.String()[log:], got, a.headers)
				if after := image(); after != before {
					t.Errorf("%s: the table was\n%s, and is\n%s", a.name, before, after)
				}
				if s.asked != nil && s.asked() != 0 {
					t.Fatalf("%s: the other provider was asked", a.name)
				}
			}
			for _, a := range s.attacks() {
				cause := "no_proof"
				if a.reason == "" {
					cause = ""
				}
				refused(a, cause, tt.bad)
			}
			refused(attack{"none", nil, "no_proof", "invalid_dpop_proof"}, "no_proof", tt.none)
			if tt.other != "-" {
				refused(attack{"another key", []string{w.prover().proof()}, "", "invalid_grant"}, "wrong_key", tt.other)
			}
			a := s.post(s.form)
			if a.status != http.StatusOK || a.text("token_type") != "DPoP" {
				t.Fatalf("the right holder got %v", a)
			}
			w.clock.Advance(2 * time.Minute)
			if a := s.refresh(a.text("refresh_token")); a.status != http.StatusOK {
				t.Errorf("and then %v", a)
			}
			if a := w.refresh(a.text("refresh_token")); !a.unproven() {
				t.Errorf("without a proof %v", a)
			}
		})
	}
}

// tells checks that neither a log nor an answer has a part of a proof.
func (w *world) tells(log string, a answer, proofs []string) {
	w.t.Helper()
	for _, proof := range proofs {
		for part := range strings.SplitSeq(proof, ".") {
			decoded, _ := b64.DecodeString(part)
			var members map[string]any
			_ = json.Unmarshal(decoded, &members) // which leaves it nil for a signature
			secrets := []string{part}
			jwk, _ := members["jwk"].(map[string]any)
			for _, name := range []string{"x", "y", "n", "k", "d"} {
				secrets = append(secrets, textOf(jwk[name]))
			}
			secrets = append(secrets, textOf(members["jti"]), textOf(members["nonce"]))
			for _, secret := range secrets {
				if len(secret) < 16 {
					continue
				}
				if strings.Contains(log, secret) {
					w.t.Errorf("the log has %q of a proof: %s", secret, log)
				}
				if strings.Contains(a.body, secret) {
					w.t.Errorf("the answer has %q of a proof: %s", secret, a.body)
				}
			}
		}
	}
}

// TestReplayedProof checks that a proof which is replayed while its nonce is good gets its bearer nothing of
// use: the tokens are bound to the key.
func TestReplayedProof(t *testing.T) {
	w := newBoundWorld(t, "required")
	p := w.prover()
	token := p.bound().text("refresh_token")
	w.clock.Advance(2 * time.Minute)
	proof := p.proof()
	replay := func() answer {
		return w.send(http.MethodPost, "/oauth/token", formType, refreshForm(token), "DPoP", proof)
	}
	first := replay()
	if first.status != http.StatusOK {
		t.Fatal(first)
	}
	w.clock.Advance(2 * time.Minute)
	stolen := replay()
	_, said := decodeJWT(t, stolen.text("access_token"))
	if cnf, _ := said["cnf"].(map[string]any); stolen.status != http.StatusOK || stolen.text("token_type") != "DPoP" || cnf["jkt"] != p.jkt() {
		t.Errorf("replayed: %v", stolen)
	}
	for _, a := range []answer{w.refresh(stolen.text("refresh_token")), w.prover().refresh(stolen.text("refresh_token"))} {
		if !a.unproven() && !a.refused(http.StatusBadRequest) {
			t.Errorf("its bearer got %v", a)
		}
	}
	w.clock.Advance(10 * time.Minute)
	if a := replay(); a.text("error") != "use_dpop_nonce" {
		t.Errorf("replayed later: %v", a)
	}
	if a := p.refresh(first.text("refresh_token")); a.status != http.StatusOK {
		t.Errorf("its owner got %v", a)
	}
}

// TestProofsOfEachKey checks that a family is bound by, and needs, a proof of each kind of key.
func TestProofsOfEachKey(t *testing.T) {
	for _, alg := range []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.ES512, jose.EdDSA, jose.RS256, jose.PS384} {
		t.Run(string(alg), func(t *testing.T) {
			w := newBoundWorld(t, "required")
			key := newSigner(t, alg)
			post := func(form string) answer {
				t.Helper()
				return w.send(http.MethodPost, "/oauth/token", formType, form, "DPoP", signed(t, alg, key, w.prover().claims()))
			}
			a := post(exchangeForm(w.code()))
			sum, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
			if err != nil {
				t.Fatal(err)
			}
			_, said := decodeJWT(t, a.text("access_token"))
			if cnf, _ := said["cnf"].(map[string]any); a.status != http.StatusOK || cnf["jkt"] != b64.EncodeToString(sum) {
				t.Fatalf("got %v", a)
			}
			w.clock.Advance(2 * time.Minute)
			if other := w.prover().refresh(a.text("refresh_token")); !other.refused(http.StatusBadRequest) {
				t.Errorf("with another key: %v", other)
			}
			if a := post(refreshForm(a.text("refresh_token"))); a.status != http.StatusOK {
				t.Errorf("with the key: %v", a)
			}
		})
	}
}

// signed returns a proof by a key.
func signed(t testing.TB, alg jose.SignatureAlgorithm, key crypto.Signer, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign([]byte(mustJSON(claims)))
	if err != nil {
		t.Fatal(err)
	}
	proof, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

// newSigner returns a private key for an algorithm.
func newSigner(t testing.TB, alg jose.SignatureAlgorithm) crypto.Signer {
	t.Helper()
	switch alg {
	case jose.ES384:
		return newEC(t, elliptic.P384())
	case jose.ES512:
		return newEC(t, elliptic.P521())
	case jose.ES256:
		return newEC(t, elliptic.P256())
	case jose.EdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newEC(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
