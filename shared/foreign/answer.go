package foreign

import (
	"encoding/json"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/rotor-auth/rotor/shared/assertion"
)

// signatures are the algorithms that a provider's tokens may be signed by. The signature is not
// checked, so that the list only has to know them.
var signatures = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	jose.HS256, jose.HS384, jose.HS512,
}

// read returns what an answer says of the user, or the reason why it says nothing.
//
// The answer came from the provider's token endpoint itself, over TLS, so that the signatures of
// its tokens need not be checked (OpenID Connect Core §3.1.3.7, number 6).
func (p *Provider) read(body []byte, now time.Time) (said *Said, reason string) {
	var answer struct {
		IDToken     string `json:"id_token"`
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return nil, "answer_unreadable"
	}
	token := answer.IDToken
	if p.User.From == FromAccessToken {
		token = answer.AccessToken
	}
	if token == "" {
		return nil, "no_" + p.User.From
	}
	standard, all, ok := claimsOf(token)
	switch {
	case !ok:
		return nil, "unreadable_" + p.User.From
	case p.User.From == FromIDToken && !standard.Audience.Contains(p.ClientID):
		return nil, "id_token_for_another"
	case standard.Expiry != nil && now.After(standard.Expiry.Time().Add(assertion.Skew)):
		return nil, "expired_" + p.User.From
	}
	said = &Said{}
	said.UserID, ok = all[p.User.Claim].(string)
	switch {
	case !ok || said.UserID == "":
		return nil, "no_user"
	case len(said.UserID) > assertion.MaxUserID:
		return nil, "user_id_too_long"
	case !IsPrintable(said.UserID):
		return nil, "user_id_malformed"
	}
	if at, ok := all["auth_time"].(float64); ok && at > 0 && at <= float64(now.Unix()) {
		said.AuthTime = time.Unix(int64(at), 0).UTC()
	}
	return said, ""
}

// claimsOf returns the claims of a JWT, those of RFC 7519 also by their types.
func claimsOf(token string) (standard jwt.Claims, all map[string]any, ok bool) {
	parsed, err := jwt.ParseSigned(token, signatures)
	if err != nil {
		return standard, nil, false
	}
	return standard, all, parsed.UnsafeClaimsWithoutVerification(&standard, &all) == nil
}
