package manage

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/signing"
)

// issuersField is the member with the issuers that a client trusts.
const issuersField = "trusted_issuers"

// newIssuers is that member of PUT /v1/clients/{client_id}.
type newIssuers []json.RawMessage

// newIssuer is one of them.
type newIssuer struct {
	issuer, jwksURI string
	jwks            json.RawMessage
	audience        signing.Audience
	algorithms      []string
	userClaim       string
	maxAge          *family.Seconds
	userPrefix      *string // "" for none; nil for the default
}

func (body *newIssuer) fields() map[string]any {
	return map[string]any{
		"issuer": &body.issuer, "jwks_uri": &body.jwksURI, "jwks": &body.jwks, "audience": &body.audience,
		"algorithms": &body.algorithms, "user_claim": &body.userClaim, "max_age": &body.maxAge, "user_prefix": &body.userPrefix,
	}
}

// trustedIssuers checks the issuers and returns them, with defaults for what was left out.
func (a *API) trustedIssuers(in *input, bodies newIssuers) []assertion.Issuer {
	if len(bodies) > assertion.MaxIssuers {
		in.wrong(issuersField, fmt.Sprintf("%d issuers", len(bodies)), fmt.Sprintf("at most %d", assertion.MaxIssuers))
		return nil
	}
	var issuers []assertion.Issuer
	faults := len(in.errs)
	for n, raw := range bodies {
		at := fmt.Sprintf("%s[%d]", issuersField, n)
		var body newIssuer
		var more fieldErrors
		switch err := readObject(raw, at+".", body.fields()); {
		case errors.As(err, &more):
			in.errs = append(in.errs, more...)
		case err != nil:
			in.wrong(at, "", "a JSON object")
		}
		i := assertion.Issuer{
			Issuer: body.issuer, JWKSURI: body.jwksURI, Audience: unique(body.audience), Algorithms: unique(body.algorithms),
			UserClaim: body.userClaim, MaxAge: assertion.DefaultMaxAge, UserPrefix: assertion.DefaultPrefix(body.issuer),
		}
		if len(i.Algorithms) == 0 && body.algorithms == nil {
			i.Algorithms = []string{assertion.DefaultAlgorithm}
		}
		if i.UserClaim == "" {
			i.UserClaim = assertion.DefaultUserClaim
		}
		if body.maxAge != nil {
			i.MaxAge = *body.maxAge
		}
		if body.userPrefix != nil {
			i.UserPrefix = *body.userPrefix
		}
		if body.jwks != nil {
			set, err := assertion.ParseKeySet(body.jwks)
			if err != nil {
				in.wrong(at+".jwks", "", "a JWK Set of public keys: "+err.Error())
			}
			i.JWKS = set
		}
		if i.Issuer == a.Issuer {
			in.wrong(at+".issuer", strconv.Quote(session.Cut(i.Issuer, 80)), "another than this service: its own tokens are refreshed")
		}
		issuers = append(issuers, i)
	}
	if len(in.errs) == faults { // of what could not be read there is nothing more to say
		in.errs = append(in.errs, a.Assertions.Check(issuersField, issuers)...)
	}
	return issuers
}

// unique returns the values without repetitions.
func unique[S ~[]string](values S) []string {
	var all []string
	seen := map[string]bool{}
	for _, v := range values {
		if !seen[v] {
			all = append(all, v)
			seen[v] = true
		}
	}
	return all
}
