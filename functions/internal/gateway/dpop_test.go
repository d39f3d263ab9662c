package gateway_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// with returns an event with members in its JSON body.
func (e jsonEvent) with(t *testing.T, members map[string]any) event {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal([]byte(e.Body), &body); err != nil {
		t.Fatal(err)
	}
	for name, value := range members {
		body[name] = value
	}
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	e.Body = string(b)
	return event(e)
}

// jsonEvent is an event whose body is a JSON object.
type jsonEvent event

// TestProofBehindTheGateway checks the htu of DPoP proofs behind a custom domain, a stage and an API mapping: it is the
// endpoint as the metadata has it, whatever path and host the event has. The gateway joins several headers by
// commas, and so they are refused. It is the same behind a load balancer.
func TestProofBehindTheGateway(t *testing.T) {
	const balanced = "behind a load balancer"
	for _, path := range []string{"", "/auth", "/prod", balanced} {
		const host = "https://auth.example.com"
		w := newWorldAt(t, host+strings.TrimPrefix(path, balanced))
		if path == balanced {
			w.behindBalancer()
			path = ""
		}
		w.register()
		function, e := w.sample("manage-put-client")
		w.want(w.invoke(t.Context(), function, jsonEvent(e).with(t, map[string]any{"policy": map[string]any{"dpop": "required"}})), http.StatusOK)
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		jkt, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		function, e = w.sample("manage-issue-family")
		issued := w.want(w.invoke(t.Context(), function, jsonEvent(e).with(t, map[string]any{"dpop_jkt": base64.RawURLEncoding.EncodeToString(jkt)})), http.StatusCreated)
		w.values["REFRESH_TOKEN"] = issued.text("refresh_token")
		nonce := ""
		proof := func(htu string) string {
			t.Helper()
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
			if err != nil {
				t.Fatal(err)
			}
			claims, err := json.Marshal(map[string]any{"jti": rand.Text(), "htm": "POST", "htu": htu, "iat": w.now.Unix(), "nonce": nonce})
			if err != nil {
				t.Fatal(err)
			}
			signed, err := signer.Sign(claims)
			if err != nil {
				t.Fatal(err)
			}
			s, err := signed.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		refresh := func(prefix string, headers map[string]string) answer {
			t.Helper()
			function, e := w.sample("token-refresh")
			e.RawPath = prefix + e.RawPath
			for name, value := range headers {
				e.Headers[name] = value
			}
			a := w.invoke(t.Context(), function, e)
			if path == "" {
				w.documented(e, a)
			}
			return a
		}
		const id = "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
		good := host + path + "/oauth/token"
		a := w.want(refresh(path, map[string]string{"dpop": proof(good)}), http.StatusBadRequest)
		if nonce = a.Headers["Dpop-Nonce"]; a.text("error") != "use_dpop_nonce" || nonce == "" {
			t.Fatalf("%s: without a nonce: %v, %s", path, a.Headers, a.Body)
		}
		for name, headers := range map[string]map[string]string{
			"no proof":                 {},
			"the address of the API":   {"dpop": proof("https://" + id + path + "/oauth/token")},
			"the issuer":               {"dpop": proof(host + path)},
			"a slash at the end":       {"dpop": proof(good + "/")},
			"another mapping":          {"dpop": proof(host + "/other/oauth/token")},
			"the address of a proxy":   {"dpop": proof("https://app.example.com/api/oauth/token")},
			"two that were joined":     {"dpop": proof(good) + "," + proof(good)},
			"the host that was called": {"dpop": proof("https://attacker.example" + path + "/oauth/token"), "host": "attacker.example", "x-forwarded-host": "attacker.example"},
		} {
			if a := w.want(refresh(path, headers), http.StatusBadRequest); a.text("error") != "invalid_dpop_proof" {
				t.Errorf("%s: %s: %s", path, name, a.Body)
			}
		}
		for _, prefix := range []string{path, ""} {
			for _, htu := range []string{good, "HTTPS://AUTH.example.com:443" + path + "/oauth/token?x=1#y"} {
				if a := w.want(refresh(prefix, map[string]string{"DPoP": proof(htu), "host": id}), http.StatusOK); a.text("token_type") != "DPoP" || a.Headers["Dpop-Nonce"] != nonce {
					t.Errorf("%s: at %s: %s", path, prefix, a.Body)
				}
			}
		}
		if path != "" { // the path of the mapping is a part of the address
			if a := w.want(refresh("", map[string]string{"dpop": proof(host + "/oauth/token")}), http.StatusBadRequest); a.text("error") != "invalid_dpop_proof" {
				t.Errorf("%s: without it: %s", path, a.Body)
			}
		}
	}
}
