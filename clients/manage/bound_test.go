//go:build callers

package manage_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// apiMain says of each request what the example makes of it.
const apiMain = `import { readFileSync } from 'node:fs';
import { verify } from './api.mjs';
for (const { url, method, headers } of JSON.parse(readFileSync(0))) {
  console.log(await verify(new Request(url, { method, headers })).then((claims) => claims.sub, () => 'refused'));
}
`

// TestBoundTokensOfTheDocumentation runs the API of docs/bound.md, which takes an access token that is bound to a key with a proof
// for this very request, and nothing else.
func TestBoundTokensOfTheDocumentation(t *testing.T) {
	srv := httptest.NewUnstartedServer(nil)
	issuer := "http://" + srv.Listener.Addr().String()
	_, opened := storetest.Open(t)
	document, err := keyring.Generate(signing.RS256, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.Local(document)
	if err != nil {
		t.Fatal(err)
	}
	srv.Config.Handler = server.New(server.Config{Issuer: issuer, Table: opened.Table(), Keys: keys, Log: slog.New(slog.DiscardHandler), Now: time.Now}).Handler()
	srv.Start()
	t.Cleanup(srv.Close)
	c, err := manage.New(srv.URL, manage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Register(t.Context(), "app", &manage.Settings{Type: "public", Policy: map[string]any{"dpop": "allowed"}}); err != nil {
		t.Fatal(err)
	}
	key, other := newKey(t), newKey(t)
	start := func(jkt string) string {
		t.Helper()
		tokens, err := c.StartFamily(t.Context(), &manage.Login{UserID: "alice", ClientID: "app", DPoPJKT: jkt})
		if err != nil {
			t.Fatal(err)
		}
		return tokens.AccessToken
	}
	const url = "https://api.example.com/orders"
	bound, unbound := start(thumbprint(t, key)), start("")
	type request struct {
		URL     string            `json:"url"`
		Method  string            `json:"method"`
		Headers map[string]string `json:"headers"`
		want    string
	}
	with := func(want, method, authorization, proof string) request {
		headers := map[string]string{"Authorization": authorization}
		if proof != "" {
			headers["DPoP"] = proof
		}
		return request{url + "?state=open", method, headers, want}
	}
	requests := []request{
		with("alice", "GET", "DPoP "+bound, proofOf(t, key, "GET", url, bound)),
		with("refused", "GET", "DPoP "+bound, ""),
		with("refused", "GET", "Bearer "+bound, ""),
		with("refused", "GET", "Bearer "+bound, proofOf(t, key, "GET", url, bound)),
		with("refused", "GET", "DPoP "+bound, proofOf(t, other, "GET", url, bound)),
		with("refused", "POST", "DPoP "+bound, proofOf(t, key, "GET", url, bound)),
		with("refused", "GET", "DPoP "+bound, proofOf(t, key, "GET", "https://api.example.com/", bound)),
		with("refused", "GET", "DPoP "+bound, proofOf(t, key, "GET", url, unbound)),
		with("refused", "GET", "DPoP "+unbound, proofOf(t, key, "GET", url, unbound)),
		with("refused", "GET", "Bearer "+unbound, ""),
		with("alice", "POST", "DPoP "+bound, proofOf(t, key, "POST", url, bound)),
	}
	dir, err := os.MkdirTemp(callers, "run-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for name, text := range map[string]string{
		"api.mjs":  strings.ReplaceAll(exampleOf(t, "bound.md", "js", "api.mjs"), "http://127.0.0.1:3000", issuer),
		"main.mjs": apiMain,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	input, err := json.Marshal(requests)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "main.mjs")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(string(input))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, &stderr)
	}
	answers := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(answers) != len(requests) {
		t.Fatalf("%d requests had %d answers:\n%s", len(requests), len(answers), out)
	}
	for i, r := range requests {
		if answers[i] != r.want {
			t.Errorf("request %d, %s: %s, want %s", i+1, r.Method, answers[i], r.want)
		}
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// thumbprint returns the thumbprint of a key (RFC 7638).
func thumbprint(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	sum, err := (&jose.JSONWebKey{Key: key.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// proofOf returns a proof for a request with an access token (RFC 9449 §4.2).
func proofOf(t *testing.T, key *ecdsa.PrivateKey, method, url, accessToken string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(accessToken))
	payload, err := json.Marshal(map[string]any{
		"jti": rand.Text(), "htm": method, "htu": url, "iat": time.Now().Unix(), "ath": base64.RawURLEncoding.EncodeToString(sum[:]),
	})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return proof
}
