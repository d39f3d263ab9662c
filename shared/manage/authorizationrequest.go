package manage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/proof"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
)

// requestError is an error that the client is told by a redirect.
type requestError struct{ code, description string }

// bind checks the request and completes the body from it: scope, audience, challenge and nonce.
func (body *authorization) bind(request authorizationRequest, client *store.Client, issuer string) *requestError {
	for _, name := range slices.Sorted(maps.Keys(request)) {
		if len(request[name]) > 1 && name != "resource" && slices.Contains(knownRequest, name) {
			return &requestError{"invalid_request", name + " is repeated."} // RFC 6749 §3.1
		}
	}
	_, isChallenge := parseChallenge(request.get("code_challenge"))
	jkt := request.get("dpop_jkt")
	if client.Policy.DPoP == family.DPoPOff { // it is ignored, as every parameter that is not supported
		jkt = ""
	}
	_, notThumbprint := proof.ParseThumbprint(jkt)
	var in input
	in.text("nonce", request.get("nonce"), maxNonce)
	switch responseType, method, mode, age := request.get("response_type"), request.get("code_challenge_method"), request.get("response_mode"), request.get("max_age"); {
	case request.get("request") != "":
		return &requestError{"request_not_supported", "The request must be in parameters, not in a JWT."}
	case request.get("request_uri") != "":
		return &requestError{"request_uri_not_supported", "The request must be in parameters, not behind an address."}
	case responseType == "":
		return &requestError{"invalid_request", "response_type is missing."}
	case responseType != "code":
		return &requestError{"unsupported_response_type", "Only the response_type code is supported."}
	case mode != "" && mode != "query":
		return &requestError{"invalid_request", "Only the response_mode query is supported."}
	case request.get("code_challenge") == "":
		return &requestError{"invalid_request", "code_challenge is missing: PKCE is required (RFC 7636)."}
	case method != "S256":
		return &requestError{"invalid_request", "The code_challenge_method must be S256."}
	case !isChallenge:
		return &requestError{"invalid_request", "The code_challenge must be the SHA-256 of the code_verifier in base64url, which has 43 characters."}
	case len(in.errs) > 0:
		return &requestError{"invalid_request", fmt.Sprintf("The nonce must have at most %d bytes and no control characters.", maxNonce)}
	case jkt != "" && notThumbprint != nil:
		return &requestError{"invalid_request", "The dpop_jkt must be the SHA-256 thumbprint of a key in base64url, which has 43 characters."}
	case age != "" && strings.Trim(age, "0123456789") != "":
		return &requestError{"invalid_request", "max_age must be a number of seconds."}
	}
	body.deliver, body.codeChallenge, body.nonce, body.dpopJKT = "code", request.get("code_challenge"), request.get("nonce"), jkt
	if wrong := body.bindScope(request.get("scope"), client); wrong != nil {
		return wrong
	}
	return body.bindAudience(request["resource"], client, issuer)
}

// bindScope sets the scope to what was asked for, unless the login grants another. Scope that
// the client is not registered for is left out (OpenID Connect Core §3.1.2.1), as is
// offline_access for a client without it, since every family has a refresh token. A client
// without a scope gets none in this way: the request comes from a browser, so that only the
// registration and the login can say what is granted.
func (body *authorization) bindScope(scope string, client *store.Client) *requestError {
	asked, err := session.ParseScope(scope)
	switch {
	case err != nil:
		return &requestError{"invalid_scope", "The scope is malformed."}
	case body.scope != nil || len(asked) == 0:
		return nil
	}
	granted := slices.DeleteFunc(asked, func(s string) bool { return !slices.Contains(client.Scope, s) })
	if len(granted) == 0 {
		return &requestError{"invalid_scope", "The client is registered for none of the scope that it asks for."}
	}
	scope = strings.Join(granted, " ")
	body.scope = &scope
	return nil
}

// bindAudience sets the audience to the resources that were asked for (RFC 8707 §2.1), which
// must be of the audience that the login or the client's registration gives.
func (body *authorization) bindAudience(resource []string, client *store.Client, issuer string) *requestError {
	if len(resource) == 0 {
		return nil
	}
	allowed := []string(body.audience)
	if len(allowed) == 0 {
		allowed = client.Audience
	}
	if len(allowed) == 0 {
		allowed = []string{issuer}
	}
	for _, r := range resource {
		if !slices.Contains(allowed, r) {
			return &requestError{"invalid_target", "A requested resource is not among the audiences of this client."}
		}
	}
	body.audience = signing.Audience(resource)
	return nil
}

// knownRequest are the parameters of an authorization request that may not be repeated. Others
// are ignored (RFC 6749 §3.1).
var knownRequest = []string{
	"response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method",
	"response_mode", "nonce", "max_age", "request", "request_uri", "dpop_jkt",
}

// authorizationRequest holds the parameters of an authorization request, each with all its
// values. A parameter without a value counts as left out (RFC 6749 §3.1).
type authorizationRequest map[string][]string

// authorizationRequest reads the member request: an object with a string, or an array of
// strings, for each parameter, as every web framework has them. It decodes member by member,
// since encoding/json keeps the last of a repeated one.
func (in *input) authorizationRequest(raw json.RawMessage) authorizationRequest {
	const want = "an object with the parameters of the authorization request: strings, or arrays of strings"
	if len(raw) == 0 {
		in.wrong("request", "", "given: "+want)
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw)) // it is valid JSON
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		in.wrong("request", "", want)
		return nil
	}
	request := authorizationRequest{}
	for d.More() {
		var values signing.Audience // which is a string or an array of strings
		t, err := d.Token()
		if err == nil {
			err = d.Decode(&values)
		}
		if err != nil {
			in.wrong("request", "", want)
			return nil
		}
		name := t.(string) // between the members of an object, the decoder returns strings
		if values = slices.DeleteFunc(values, func(v string) bool { return v == "" }); len(values) > 0 {
			request[name] = append(request[name], values...)
		}
	}
	for _, name := range []string{"client_id", "redirect_uri", "state"} { // an answer depends on these
		if len(request[name]) > 1 {
			in.wrong("request."+name, "", "given once")
		}
	}
	return request
}

// get returns the value of a parameter, "" if it was left out.
func (q authorizationRequest) get(name string) string {
	if len(q[name]) == 0 {
		return ""
	}
	return q[name][0]
}

// redirect returns the redirect URI with the given values, the request's state, and the
// issuer (RFC 9207). The URI's own query is kept (RFC 6749 §3.1.2).
func (q authorizationRequest) redirect(uri, issuer string, values url.Values) string {
	values.Set("iss", issuer)
	if state := q.get("state"); state != "" {
		values.Set("state", state)
	}
	return web.WithQuery(uri, values.Encode())
}
