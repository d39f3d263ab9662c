package signing_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/signing"
)

// FuzzVerify checks that only what was signed as an access token verifies, with the
// claims that were signed. The token is made of the three parts, the first two
// base64url-encoded, or is raw if that is given. In raw and in the signature, words
// are replaced by tokens: ES and RS by access tokens, EXPIRED by an expired one,
// OTHER by one under other keys, and ID by an id token. ESHEADER, ESPAYLOAD,
// ESSIGNATURE and so on are replaced by their parts.
func FuzzVerify(f *testing.F) {
	es, rs := newKey(f, signing.ES256, epoch().Add(-time.Hour)), newKey(f, signing.RS256, epoch().Add(-2*time.Hour))
	set := newSet(f, es, rs)
	past := access()
	past.IssuedAt, past.ExpiresAt = epoch().Add(-time.Hour), epoch()
	id, err := set.SignID(epoch(), signing.ID{Issuer: issuer, Subject: "user-1", ClientID: "demo-spa", IssuedAt: epoch(), ExpiresAt: epoch().Add(time.Hour)})
	if err != nil {
		f.Fatal(err)
	}
	issued := map[string]string{
		"ES": signAccess(f, set, epoch(), access()), "RS": signAccess(f, newSet(f, rs), epoch(), access()), "EXPIRED": signAccess(f, set, epoch(), past),
		"OTHER": signAccess(f, newSet(f, newKey(f, signing.ES256, epoch())), epoch(), access()), "ID": id,
	}
	header, payload := map[string]string{}, map[string]string{}
	var pairs, whole []string
	for word, tok := range issued {
		parts := strings.Split(tok, ".")
		pairs = append(pairs, word+"HEADER", parts[0], word+"PAYLOAD", parts[1], word+"SIGNATURE", parts[2])
		whole = append(whole, word, tok)
		header[word], payload[word] = decoded(f, parts[0]), decoded(f, parts[1])
	}
	fill := strings.NewReplacer(append(pairs, whole...)...)

	for word := range issued {
		f.Add("", "", "", word)
		f.Add("", "", "", word+"\n")
		f.Add("", "", "", word+"HEADER."+word+"PAYLOAD.")
		f.Add("", "", "", word+"HEADER.ESPAYLOAD."+word+"SIGNATURE")
		f.Add(word, word, word+"SIGNATURE", "")
		f.Add(`{"alg":"none","typ":"at+jwt"}`, word, "", "")
		f.Add(`{"alg":"HS256","typ":"at+jwt"}`, word, word+"SIGNATURE", "")
	}
	f.Add(`{"alg":"ES256","typ":"at+jwt","kid":"x","jwk":{"kty":"EC"},"jku":"https://evil.example"}`, "ES", "ESSIGNATURE", "")
	f.Add(`{"alg":"RS256","b64":false,"crit":["b64"]}`, "{}", "", "")
	f.Add("", "", "", "..")
	f.Add("", "", "", "ES.ES")
	f.Add("", "", "", `{"payload":"ESPAYLOAD","protected":"ESHEADER","signature":"ESSIGNATURE"}`)
	f.Fuzz(func(t *testing.T, head, body, signature, raw string) {
		for word := range issued { // only whole parts are replaced: these are JSON
			if head == word {
				head = header[word]
			}
			if body == word {
				body = payload[word]
			}
		}
		tok := fill.Replace(raw)
		if raw == "" {
			tok = base64.RawURLEncoding.EncodeToString([]byte(head)) + "." + base64.RawURLEncoding.EncodeToString([]byte(body)) + "." + fill.Replace(signature)
		}
		for _, verify := range []struct {
			name  string
			check func(string, string, time.Time) (signing.Access, error)
			words []string
		}{
			{"Verify", set.Verify, []string{"ES", "RS"}},
			{"VerifyExpired", set.VerifyExpired, []string{"ES", "RS", "EXPIRED"}},
		} {
			got, err := verify.check(tok, issuer, epoch())
			if err != nil {
				if !errors.Is(err, signing.ErrInvalid) || !cmp.Equal(got, signing.Access{}) {
					t.Errorf("%s(%q) = %+v, %v", verify.name, tok, got, err)
				}
				continue
			}
			for part := range strings.SplitSeq(tok, ".") {
				if b, err := base64.RawURLEncoding.DecodeString(part); err != nil || base64.RawURLEncoding.EncodeToString(b) != part {
					t.Errorf("%s(%q) takes another spelling", verify.name, tok)
				}
			}
			// An ES256 signature has a second valid form, but the signed claims are
			// the same.
			word := ""
			for _, w := range verify.words {
				if message(tok) == message(issued[w]) {
					word = w
				}
			}
			want := access()
			if word == "EXPIRED" {
				want = past
			}
			want.JTI = got.JTI
			if word == "" || got.JTI == "" || !cmp.Equal(got, want) {
				t.Errorf("%s(%q) = %+v", verify.name, tok, got)
			}
		}
	})
}

// FuzzClaims checks that whatever our own key has signed is either refused, or has
// everything that an access token requires and can be signed again.
func FuzzClaims(f *testing.F) {
	key := newKey(f, signing.ES256, epoch().Add(-time.Hour))
	set := newSet(f, key)
	claims := func(more string) string {
		return `{"iss":"` + issuer + `","sub":"u","aud":"a","client_id":"c","exp":` + more + `}`
	}
	for _, payload := range []string{
		claims(`1900000000`), claims(`1900000000,"iat":1800000000,"custom":[1.0,{"a":null}]`), claims(`1.9e9`), claims(`"1900000000"`), claims(`-1`), claims(`253402300800`),
		claims(`1900000000,"amr":["a",1]`), claims(`1900000000,"amr":[]`), claims(`1900000000,"aud":["a"]`), claims(`1900000000,"iat":1,"SUB":"v"`), claims(`1900000000,"iat":1,"auth_time":0`),
		claims(`1900000000,"sub":""`), claims(`1900000000,"iat":1,"x":1,"x":"\ud800"`), `{}`, `[]`, `null`, ``, "\xff", claims(`1900000000`) + `{}`, `{"a":` + strings.Repeat("[", 200),
	} {
		f.Add(payload, "at+jwt")
	}
	f.Add(claims(`1900000000`), "application/AT+JWT")
	f.Add(claims(`1900000000`), "JWT")
	f.Add(claims(`1900000000`), "")
	f.Fuzz(func(t *testing.T, payload, typ string) {
		got, err := set.Verify(forge(t, key, typ, payload), issuer, epoch())
		if err != nil {
			if !errors.Is(err, signing.ErrInvalid) || !cmp.Equal(got, signing.Access{}) {
				t.Errorf("%q: %+v, %v", payload, got, err)
			}
			return
		}
		if !strings.EqualFold(typ, "at+jwt") && !strings.EqualFold(typ, "application/at+jwt") {
			t.Errorf("the type %q is taken for an access token's", typ)
		}
		if got.Issuer != issuer || got.Subject == "" || len(got.Audience) == 0 || got.ClientID == "" || !got.ExpiresAt.After(epoch()) {
			t.Errorf("%q is taken for %+v", payload, got)
		}
		if _, err := json.Marshal([]time.Time{got.IssuedAt, got.ExpiresAt, got.AuthTime}); err != nil {
			t.Errorf("%q: %v", payload, err)
		}
		if got.IssuedAt.IsZero() {
			return // we never make such claims
		}
		again, err := set.Verify(signAccess(t, set, epoch(), got), issuer, epoch())
		if err != nil {
			t.Fatal(err)
		}
		again.JTI = got.JTI
		maps.DeleteFunc(got.Custom, func(name string, _ any) bool { return signing.Reserved(name) })
		if len(got.Custom) == 0 {
			got.Custom = nil
		}
		if len(got.AMR) == 0 {
			got.AMR = nil
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Errorf("signed again (-before +after):\n%s", diff)
		}
	})
}

// message returns the part of a token that its signature covers.
func message(tok string) string {
	return tok[:max(0, strings.LastIndexByte(tok, '.'))]
}

func decoded(tb testing.TB, part string) string {
	tb.Helper()
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil || !json.Valid(b) {
		tb.Fatalf("%s: %v", part, err)
	}
	return string(b)
}
