package manage

import (
	"github.com/rotor-auth/rotor/shared/assertion"
)

// clientKeys checks the keys of PUT /v1/clients/{client_id}, by which the client authenticates, and
// returns them.
func (a *API) clientKeys(in *input, body *newClient) assertion.Keys {
	keys := assertion.Keys{JWKSURI: body.jwksURI}
	if body.jwks != nil {
		set, err := assertion.ParseKeySet(body.jwks)
		if err != nil {
			in.wrong("jwks", "", "a JWK Set of public keys: "+err.Error())
			return assertion.Keys{}
		}
		keys.JWKS = set
	}
	if body.clientType == "public" && keys.Any() {
		field := "jwks"
		if keys.JWKS == nil {
			field = "jwks_uri"
		}
		in.wrong(field, "", "left out for a public client: it has nothing to authenticate with")
		return assertion.Keys{}
	}
	in.errs = append(in.errs, a.Assertions.CheckKeys(keys)...)
	return keys
}
