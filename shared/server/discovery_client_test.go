package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/rotor-auth/rotor/shared/signing"
)

// TestOAuth2Client checks that golang.org/x/oauth2, which most Go programs use to hold refresh
// tokens, works with the token endpoint.
func TestOAuth2Client(t *testing.T) {
	w := newWorld(t)
	w.putClient("strict", `{"type":"public","preset":"auth0"}`)
	secret := w.addSecret("web")
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, w.http)
	for _, client := range []struct {
		id, secret string
		dead       int
	}{{"app", "", 400}, {"web", secret, 400}, {"strict", "", 403}} {
		for name, style := range map[string]oauth2.AuthStyle{
			"in params": oauth2.AuthStyleInParams, "in header": oauth2.AuthStyleInHeader, "found out": oauth2.AuthStyleAutoDetect,
		} {
			t.Run(client.id+" "+name, func(t *testing.T) {
				config := &oauth2.Config{
					ClientID: client.id, ClientSecret: client.secret,
					Endpoint: oauth2.Endpoint{TokenURL: w.servers[0].URL + "/oauth/token", AuthStyle: style},
				}
				issued := w.issue(fmt.Sprintf(`{"user_id":"u","client_id":%q,"scope":"read"}`, client.id))
				expired := func(refreshToken string) *oauth2.Token {
					return &oauth2.Token{AccessToken: "old", RefreshToken: refreshToken, Expiry: time.Now().Add(-time.Hour)}
				}
				last := issued.text("refresh_token")
				for i := range 50 {
					w.clock.Advance(time.Minute)
					tok, err := config.TokenSource(ctx, expired(last)).Token()
					if err != nil {
						t.Fatalf("rotation %d: %v", i+1, err)
					}
					trail.add("refresh_token", tok.RefreshToken)
					trail.add("access_token", tok.AccessToken)
					if tok.RefreshToken == last || !tok.Valid() || tok.Type() != "Bearer" || tok.ExpiresIn != 3600 || tok.Extra("scope") != "read" {
						t.Fatalf("rotation %d: new %v, valid %v, type %s, expires in %d", i+1, tok.RefreshToken != last, tok.Valid(), tok.Type(), tok.ExpiresIn)
					}
					last = tok.RefreshToken
				}
				if n := w.counter(issued.text("family")); n != 51 {
					t.Errorf("the counter is %d", n)
				}
				w.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", client.id, "client_secret", client.secret, "token", last))
				_, err := config.TokenSource(ctx, expired(last)).Token()
				var failed *oauth2.RetrieveError
				if !errors.As(err, &failed) || failed.ErrorCode != "invalid_grant" || failed.Response.StatusCode != client.dead {
					t.Errorf("a dead token: %v", err)
				}
			})
		}
	}
}

// TestClientsOfAnIssuerWithAPath checks that the same clients work with an issuer that has a
// path.
func TestClientsOfAnIssuerWithAPath(t *testing.T) {
	w := newWorld(t, below("/auth/eu"))
	issuer := w.servers[0].URL + "/auth/eu"
	ctx := context.WithValue(oidc.ClientContext(t.Context(), w.http), oauth2.HTTPClient, w.http)
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		t.Fatal(err)
	}
	issued := w.issue(`{"user_id":"u","client_id":"app","scope":"openid"}`)
	config := &oauth2.Config{ClientID: "app", Endpoint: provider.Endpoint()}
	tok, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: issued.text("refresh_token")}).Token()
	if err != nil {
		t.Fatal(err)
	}
	trail.add("refresh_token", tok.RefreshToken)
	trail.add("access_token", tok.AccessToken)
	access, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: issuer, Now: w.clock.Now}).Verify(ctx, tok.AccessToken)
	if err != nil || access.Issuer != issuer {
		t.Errorf("the access token: %v", err)
	}
	idToken, _ := tok.Extra("id_token").(string)
	trail.add("id_token", idToken)
	if _, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: "app", Now: w.clock.Now}).Verify(ctx, idToken); err != nil {
		t.Errorf("the id token: %v", err)
	}
}

// TestOIDCVerifier checks that a resource server finds the keys through the discovery document
// and verifies access tokens with them.
func TestOIDCVerifier(t *testing.T) {
	for _, alg := range []signing.Algorithm{signing.RS256, signing.ES256} {
		t.Run(string(alg), func(t *testing.T) {
			w := newWorld(t, algorithm(alg))
			login := w.clock.Now().Add(-time.Minute).Truncate(time.Second)
			issued := w.issue(fmt.Sprintf(`{"user_id":"u","client_id":"app","scope":"openid read","auth_time":%q}`, login.Format(time.RFC3339)))
			w.clock.Advance(time.Hour)
			a := w.refresh(issued.text("refresh_token"))
			ctx := oidc.ClientContext(t.Context(), w.http)
			provider, err := oidc.NewProvider(ctx, w.servers[0].URL)
			if err != nil {
				t.Fatal(err)
			}
			if got := provider.Endpoint().TokenURL; got != w.servers[0].URL+"/oauth/token" {
				t.Errorf("the token endpoint is %s", got)
			}
			// The verifier accepts the algorithms that the document names.
			ids := provider.VerifierContext(ctx, &oidc.Config{ClientID: "app", Now: w.clock.Now})
			accesses := provider.VerifierContext(ctx, &oidc.Config{ClientID: w.servers[0].URL, Now: w.clock.Now})

			id, err := ids.Verify(ctx, a.text("id_token"))
			if err != nil {
				t.Fatalf("the id token: %v", err)
			}
			var claims struct {
				AuthTime int64 `json:"auth_time"`
			}
			if err := id.Claims(&claims); err != nil {
				t.Fatal(err)
			}
			now := w.clock.Now().Truncate(time.Second)
			if id.Subject != "u" || id.Issuer != w.servers[0].URL || !id.IssuedAt.Equal(now) || !id.Expiry.Equal(now.Add(time.Hour)) || claims.AuthTime != login.Unix() {
				t.Errorf("the id token says %+v, auth_time %d", id, claims.AuthTime)
			}
			access, err := accesses.Verify(ctx, a.text("access_token"))
			if err != nil {
				t.Fatalf("the access token: %v", err)
			}
			if header, _ := decodeJWT(t, a.text("access_token")); access.Subject != "u" || header["typ"] != "at+jwt" || header["alg"] != string(alg) {
				t.Errorf("the access token says %+v, its header %v", access, header)
			}
			if _, err := ids.Verify(ctx, a.text("access_token")); err == nil {
				t.Error("an access token was taken for an id token")
			}
			for name, tok := range map[string]string{"id token": a.text("id_token"), "access token": a.text("access_token")} {
				v := provider.VerifierContext(ctx, &oidc.Config{SkipClientIDCheck: true, Now: w.clock.Now})
				if _, err := v.Verify(ctx, forgeSignature(tok)); err == nil {
					t.Errorf("a forged %s passed", name)
				}
			}
			w.clock.Advance(time.Hour + time.Minute)
			var late *oidc.TokenExpiredError
			if _, err := accesses.Verify(ctx, a.text("access_token")); !errors.As(err, &late) {
				t.Errorf("an expired access token: %v", err)
			}
		})
	}
}
