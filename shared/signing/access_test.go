package signing_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rotor-auth/rotor/shared/signing"
)

func TestSignAccessAgainstStandardLibrary(t *testing.T) {
	for _, alg := range []signing.Algorithm{signing.RS256, signing.ES256} {
		t.Run(string(alg), func(t *testing.T) {
			key := newKey(t, alg, epoch())
			set := newSet(t, key)
			a := access()
			a.Custom = map[string]any{"tenant": "t-7", "roles": []string{"admin"}}

			header, claims := byHand(t, signAccess(t, set, epoch(), a), key.JWK.Public().Key)

			wantHeader := map[string]any{"alg": string(alg), "kid": key.JWK.KeyID, "typ": "at+jwt"}
			if diff := cmp.Diff(wantHeader, header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			jti, _ := claims["jti"].(string)
			if raw, err := base64.RawURLEncoding.DecodeString(jti); err != nil || len(raw) != 16 {
				t.Errorf("jti %q is not 128 bits in base64url", jti)
			}
			delete(claims, "jti")
			want := map[string]any{
				"iss": issuer, "sub": "user-1", "aud": "https://api.example.com", "client_id": "demo-spa",
				"scope": "openid offline_access", "sid": "01JNWAAAAAAAAAAAAAAAAAAAAA",
				"iat": float64(epoch().Unix()), "exp": float64(epoch().Unix() + 3600), "auth_time": float64(epoch().Unix() - 60),
				"acr": "urn:mfa", "amr": []any{"pwd", "otp"},
				"tenant": "t-7", "roles": []any{"admin"},
			}
			if diff := cmp.Diff(want, claims); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}

			_, claims = byHand(t, signAccess(t, set, epoch(), a), key.JWK.Public().Key)
			if claims["jti"] == jti {
				t.Error("two tokens have one jti")
			}
		})
	}
}

func TestSignAccessRoundTrip(t *testing.T) {
	for _, alg := range []signing.Algorithm{signing.RS256, signing.ES256} {
		t.Run(string(alg), func(t *testing.T) {
			set := newSet(t, newKey(t, alg, epoch()))
			a := access()
			a.Custom = map[string]any{"tenant": "<t&7>", "big": json.Number("9007199254740993"), "deep": map[string]any{"a": nil}}
			got, err := set.Verify(signAccess(t, set, epoch(), a), issuer, epoch())
			if err != nil {
				t.Fatal(err)
			}
			if got.JTI == "" {
				t.Error("no jti")
			}
			if diff := cmp.Diff(a, got, cmpopts.IgnoreFields(signing.Access{}, "JTI")); diff != "" {
				t.Errorf("claims (-signed +verified):\n%s", diff)
			}
		})
	}
}

func TestSignAccessLeavesOutEmpty(t *testing.T) {
	key := newKey(t, signing.ES256, epoch())
	set := newSet(t, key)
	a := signing.Access{
		Issuer: issuer, Subject: "u", Audience: signing.Audience{"a"}, ClientID: "c",
		IssuedAt: epoch(), ExpiresAt: epoch().Add(time.Hour), AMR: []string{},
	}
	tok := signAccess(t, set, epoch(), a)
	_, claims := byHand(t, tok, key.JWK.Public().Key)
	for _, name := range []string{"scope", "sid", "auth_time", "acr", "amr"} {
		if value, ok := claims[name]; ok {
			t.Errorf("%s is there: %v", name, value)
		}
	}
	if len(claims) != 7 {
		t.Errorf("%d claims, want 7: %v", len(claims), claims)
	}
	got, err := set.Verify(tok, issuer, epoch())
	if err != nil {
		t.Fatal(err)
	}
	a.AMR = nil
	if diff := cmp.Diff(a, got, cmpopts.IgnoreFields(signing.Access{}, "JTI")); diff != "" {
		t.Errorf("claims (-signed +verified):\n%s", diff)
	}
}

func TestSignAccessRequires(t *testing.T) {
	set := newSet(t, newKey(t, signing.ES256, epoch()))
	for name, remove := range map[string]func(*signing.Access){
		"iss":       func(a *signing.Access) { a.Issuer = "" },
		"sub":       func(a *signing.Access) { a.Subject = "" },
		"aud":       func(a *signing.Access) { a.Audience = nil },
		"an aud":    func(a *signing.Access) { a.Audience = signing.Audience{"a", ""} },
		"client_id": func(a *signing.Access) { a.ClientID = "" },
		"iat":       func(a *signing.Access) { a.IssuedAt = time.Time{} },
		"exp":       func(a *signing.Access) { a.ExpiresAt = time.Time{} },
		"not JSON":  func(a *signing.Access) { a.Custom = map[string]any{"x": math.Inf(1)} },
	} {
		a := access()
		remove(&a)
		if tok, err := set.SignAccess(epoch(), a); err == nil {
			t.Errorf("%s: signed %s", name, tok)
		}
	}
}

// TestAudiences checks that one audience is a string and several are an array (RFC 7519
// §4.1.3).
func TestAudiences(t *testing.T) {
	key := newKey(t, signing.ES256, epoch())
	set := newSet(t, key)
	for _, tt := range []struct {
		audience signing.Audience
		want     any
	}{
		{signing.Audience{"a"}, "a"},
		{signing.Audience{"https://a.example/?b&c=<d>"}, "https://a.example/?b&c=<d>"},
		{signing.Audience{"b", "a"}, []any{"b", "a"}},
		{signing.Audience{"1", "2", "3", "4", "5", "6", "7", "8"}, []any{"1", "2", "3", "4", "5", "6", "7", "8"}},
	} {
		a := access()
		a.Audience = tt.audience
		tok := signAccess(t, set, epoch(), a)
		_, claims := byHand(t, tok, key.JWK.Public().Key)
		if diff := cmp.Diff(tt.want, claims["aud"]); diff != "" {
			t.Errorf("aud (-want +got):\n%s", diff)
		}
		got, err := set.Verify(tok, issuer, epoch())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.audience, got.Audience); diff != "" {
			t.Errorf("the audience (-signed +verified):\n%s", diff)
		}
	}
	for text, want := range map[string]signing.Audience{
		`"a"`: {"a"}, `["a"]`: {"a"}, `["a","b"]`: {"a", "b"}, `""`: nil, `[]`: {}, `null`: nil, `[""]`: {""},
	} {
		got := signing.Audience{"before"}
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{`1`, `{}`, `[1]`, `["a",["b"]]`, `true`} {
		var got signing.Audience
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s is read as %q", text, got)
		}
	}
}

// TestClaimsAreNotEscaped checks that no character is escaped without need, so that tokens are
// short.
func TestClaimsAreNotEscaped(t *testing.T) {
	set := newSet(t, newKey(t, signing.ES256, epoch()))
	length := func(text string) int {
		a := access()
		a.Subject, a.Scope, a.Audience, a.Custom = text, text, signing.Audience{text}, map[string]any{"t": json.RawMessage(`"` + text + `"`)}
		tok := signAccess(t, set, epoch(), a)
		if got, err := set.Verify(tok, issuer, epoch()); err != nil || got.Subject != text || got.Custom["t"] != text {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		return len(tok)
	}
	if plain, marked := length(strings.Repeat("x", 99)), length(strings.Repeat("<&>", 33)); marked != plain {
		t.Errorf("a token of 99 such characters has %d bytes, and one of letters %d", marked, plain)
	}
}

// TestCustomClaimsCannotOverride checks that custom claims neither replace ours nor fill in
// one that we left out.
func TestCustomClaimsCannotOverride(t *testing.T) {
	key := newKey(t, signing.ES256, epoch())
	set := newSet(t, key)
	names := []string{
		"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "sid", "auth_time", "acr", "amr",
		"ISS", "Scope", "\u017fub", // a long s, which Unicode folds to "s"
	}
	bare := access()
	bare.Scope, bare.SessionID, bare.ACR, bare.AMR, bare.AuthTime = "", "", "", nil, time.Time{}
	for _, a := range []signing.Access{access(), bare} {
		_, want := byHand(t, signAccess(t, set, epoch(), a), key.JWK.Public().Key)
		a.Custom = make(map[string]any)
		for _, name := range names {
			a.Custom[name] = "evil"
			if !signing.Reserved(name) {
				t.Errorf("%q is not reserved", name)
			}
		}
		_, got := byHand(t, signAccess(t, set, epoch(), a), key.JWK.Public().Key)
		ignoreJTI := cmpopts.IgnoreMapEntries(func(name string, value any) bool { return name == "jti" && value != "evil" })
		if diff := cmp.Diff(want, got, ignoreJTI); diff != "" {
			t.Errorf("claims without and with custom ones (-without +with):\n%s", diff)
		}
		if len(a.Custom) != len(names) {
			t.Error("the caller's map was changed")
		}
	}
	if signing.Reserved("tenant") || signing.Reserved("roles") || signing.Reserved("") {
		t.Error("a free name is reserved")
	}
}

func TestSignID(t *testing.T) {
	for _, alg := range []signing.Algorithm{signing.RS256, signing.ES256} {
		key := newKey(t, alg, epoch())
		set := newSet(t, key)
		id := signing.ID{
			Issuer: issuer, Subject: "user-1", ClientID: "demo-spa", IssuedAt: epoch(), ExpiresAt: epoch().Add(time.Hour),
			AuthTime: epoch().Add(-time.Minute), ACR: "urn:mfa", AMR: []string{"pwd"}, SessionID: "s",
		}
		tok, err := set.SignID(epoch(), id)
		if err != nil {
			t.Fatal(err)
		}
		header, claims := byHand(t, tok, key.JWK.Public().Key)
		wantHeader := map[string]any{"alg": string(alg), "kid": key.JWK.KeyID, "typ": "JWT"}
		if diff := cmp.Diff(wantHeader, header); diff != "" {
			t.Errorf("header (-want +got):\n%s", diff)
		}
		want := map[string]any{
			"iss": issuer, "sub": "user-1", "aud": "demo-spa", "sid": "s",
			"iat": float64(epoch().Unix()), "exp": float64(epoch().Unix() + 3600), "auth_time": float64(epoch().Unix() - 60),
			"acr": "urn:mfa", "amr": []any{"pwd"},
		}
		if diff := cmp.Diff(want, claims); diff != "" {
			t.Errorf("claims (-want +got):\n%s", diff)
		}
		id.ClientID = ""
		if _, err := set.SignID(epoch(), id); err == nil {
			t.Error("signed an id token without an audience")
		}
	}
}

func TestSignIDRequires(t *testing.T) {
	set := newSet(t, newKey(t, signing.ES256, epoch()))
	for name, remove := range map[string]func(*signing.ID){
		"nothing": func(*signing.ID) {},
		"iss":     func(i *signing.ID) { i.Issuer = "" },
		"sub":     func(i *signing.ID) { i.Subject = "" },
		"aud":     func(i *signing.ID) { i.ClientID = "" },
		"iat":     func(i *signing.ID) { i.IssuedAt = time.Time{} },
		"exp":     func(i *signing.ID) { i.ExpiresAt = time.Time{} },
	} {
		id := signing.ID{Issuer: issuer, Subject: "u", ClientID: "c", IssuedAt: epoch(), ExpiresAt: epoch().Add(time.Hour)}
		remove(&id)
		if tok, err := set.SignID(epoch(), id); (err == nil) != (name == "nothing") {
			t.Errorf("%s: signed %s, %v", name, tok, err)
		}
	}
}

// TestSignPastEveryEnd checks that a token which nobody could verify is not signed.
func TestSignPastEveryEnd(t *testing.T) {
	key := newKey(t, signing.ES256, epoch())
	key.Until = epoch().Add(time.Hour)
	set := newSet(t, key)
	signAccess(t, set, key.Until.Add(-time.Nanosecond), access())
	if _, err := set.SignAccess(key.Until, access()); !errors.Is(err, signing.ErrNoKey) {
		t.Errorf("access token: %v, want ErrNoKey", err)
	}
	if _, err := set.SignID(key.Until, signing.ID{}); !errors.Is(err, signing.ErrNoKey) {
		t.Errorf("id token: %v, want ErrNoKey", err)
	}
}
