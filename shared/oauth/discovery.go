package oauth

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/openapi"
	"github.com/rotor-auth/rotor/shared/proof"
)

// maxAge is how long gateways and browsers may cache the documents. It is short against
// the time for which a key is published before it signs.
const maxAge = 300 // seconds

// jwks serves the JWK Set (RFC 7517 §5) with the public keys of access and id tokens, also
// of keys that do not sign yet or no longer.
func (a *API) jwks(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	keys, err := a.Keys.Keys(r.Context(), now)
	if err != nil {
		return err
	}
	writeDocument(w, "application/jwk-set+json", append(slices.Clip(keys.Signing.JWKS(now)), '\n'))
	return nil
}

// documentPath is where the OpenAPI document is.
const documentPath = "/openapi.json"

// document serves the OpenAPI document of both APIs.
func (a *API) document(w http.ResponseWriter, _ *http.Request) error {
	writeDocument(w, "application/json", openapi.For(a.Issuer))
	return nil
}

// writeDocument answers with a document that caches may keep.
func writeDocument(w http.ResponseWriter, contentType string, body []byte) {
	setCacheable(w)
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(body) // fails only if the client is gone
}

// setCacheable lets caches keep the answer for maxAge.
func setCacheable(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", maxAge))
}

// serverMetadata is the document of RFC 8414 §2, with the members that OpenID Connect
// Discovery §3 requires in addition.
type serverMetadata struct {
	Issuer                           string   `json:"issuer"`
	TokenEndpoint                    string   `json:"token_endpoint"`
	JWKSURI                          string   `json:"jwks_uri"`
	ResponseTypesSupported           []string `json:"response_types_supported"`
	GrantTypesSupported              []string `json:"grant_types_supported"`
	TokenEndpointAuthMethods         []string `json:"token_endpoint_auth_methods_supported"`
	ServiceDocumentation             string   `json:"service_documentation"`
	RevocationEndpoint               string   `json:"revocation_endpoint"`
	RevocationEndpointAuthMethods    []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionEndpoint            string   `json:"introspection_endpoint"`
	IntrospectionEndpointAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	SubjectTypesSupported            []string `json:"subject_types_supported"`
	IDTokenSigningAlgValuesSupported []string `json:"id_token_signing_alg_values_supported"`
	ClaimsSupported                  []string `json:"claims_supported"`
	RefreshTokenExpirationTypes      []string `json:"refresh_token_expiration_types_supported"` // of draft-ietf-oauth-refresh-token-expiration; see [session.Expirations]
	EndSessionEndpoint               string   `json:"end_session_endpoint"`                     // of OpenID Connect RP-Initiated Logout §2.1
	CodeChallengeMethodsSupported    []string `json:"code_challenge_methods_supported"`
	DPoPSigningAlgValuesSupported    []string `json:"dpop_signing_alg_values_supported"` // RFC 9449 §5.1
	RequestParameterSupported        bool     `json:"request_parameter_supported"`
	RequestURIParameterSupported     bool     `json:"request_uri_parameter_supported"`

	// The algorithms of private_key_jwt, the same at each endpoint.
	TokenEndpointAuthAlgorithms         []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	RevocationEndpointAuthAlgorithms    []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	IntrospectionEndpointAuthAlgorithms []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`

	// Those of an authorization endpoint are left out if there is none.
	AuthorizationEndpoint  string   `json:"authorization_endpoint,omitempty"`
	ResponseModesSupported []string `json:"response_modes_supported,omitempty"`
	ResponseNamesIssuer    bool     `json:"authorization_response_iss_parameter_supported,omitempty"` // RFC 9207 §3
}

// metadata serves the documents of RFC 8414 and of OpenID Connect, which are the same. The
// response type is "none" if there is no authorization endpoint.
func (a *API) metadata(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	keys, err := a.Keys.Keys(r.Context(), now)
	if err != nil {
		return err
	}
	confidential := []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	anyone := append([]string{"none"}, confidential...)
	document := serverMetadata{
		Issuer:                           a.Issuer,
		TokenEndpoint:                    a.Issuer + tokenPath,
		JWKSURI:                          a.Issuer + "/.well-known/jwks.json",
		ResponseTypesSupported:           []string{"none"},
		GrantTypesSupported:              a.grantTypes(),
		TokenEndpointAuthMethods:         anyone,
		ServiceDocumentation:             a.Issuer + documentPath,
		RevocationEndpoint:               a.Issuer + "/oauth/revoke",
		RevocationEndpointAuthMethods:    anyone,
		IntrospectionEndpoint:            a.Issuer + "/oauth/introspect",
		IntrospectionEndpointAuthMethods: confidential,
		SubjectTypesSupported:            []string{"public"},
		IDTokenSigningAlgValuesSupported: keys.Signing.Algorithms(now),
		ClaimsSupported:                  []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid"},
		RefreshTokenExpirationTypes:      []string{"authorization", "token_timeout"},
		EndSessionEndpoint:               a.Issuer + "/oauth/logout",
		CodeChallengeMethodsSupported:    []string{"S256"},
		DPoPSigningAlgValuesSupported:    proof.Algorithms(),
	}
	algorithms := assertion.ClientAlgorithms()
	document.TokenEndpointAuthAlgorithms, document.RevocationEndpointAuthAlgorithms, document.IntrospectionEndpointAuthAlgorithms = algorithms, algorithms, algorithms
	if a.AuthorizationEndpoint != "" {
		document.AuthorizationEndpoint, document.ResponseNamesIssuer = a.AuthorizationEndpoint, true
		document.ResponseTypesSupported, document.ResponseModesSupported = []string{"code"}, []string{"query"}
	}
	setCacheable(w)
	web.WriteJSON(w, http.StatusOK, document)
	return nil
}
