package manage

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
)

// authorization is the body of POST /v1/authorize: what the login says of the user, and the
// parameters of the authorization request that brought the user to it.
type authorization struct {
	newFamily
	request json.RawMessage
	refusal string // an error code of RFC 6749 §4.1.2.1, where the login did not let the user in
}

func (body *authorization) fields() map[string]any {
	fields := body.newFamily.fields()
	for _, name := range []string{"client_id", "deliver", "code_challenge", "nonce", "dpop_jkt"} { // the request has these
		delete(fields, name)
	}
	fields["request"], fields["error"] = &body.request, &body.refusal
	return fields
}

// authorized is the answer to POST /v1/authorize.
type authorized struct {
	RedirectTo string `json:"redirect_to"`
	Family     string `json:"family,omitempty"`
	ExpiresIn  int64  `json:"expires_in,omitempty"` // of the code, in seconds
	Error      string `json:"error,omitempty"`      // what RedirectTo tells the client instead of a code
}

// authorize serves POST /v1/authorize. The team's login is the authorization endpoint (RFC 6749
// §3.1): it calls this after it has authenticated the user, or has turned the user away, and
// sends the browser to the address in the answer. That has a code for a new family, or an error.
//
// A request without a registered client and redirect URI is the login's to show to its user: it
// is never answered with an address (§4.1.2.1).
func (a *API) authorize(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	if err := noQuery(r); err != nil {
		return err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	var body authorization
	if err := readJSON(r, body.fields()); err != nil {
		return err
	}
	operation := operationOf(r.Context())
	setUserAndClient(operation, body.userID, "")
	request, err := body.check()
	if err != nil {
		return err
	}
	setUserAndClient(operation, body.userID, body.clientID)
	client, err := a.registered(r.Context(), "request.client_id", body.clientID, now)
	if err != nil {
		return err
	}
	redirectURI := request.get("redirect_uri")
	if !session.IsRegistered(redirectURI, client.RedirectURIs) {
		return fieldErrors{{
			Field: "request.redirect_uri", Value: strconv.Quote(session.Cut(redirectURI, 80)),
			Want: "one of the client's redirect_uris, to the letter: show the user an error, and do not redirect",
		}}
	}
	refused := func(code, description string) error {
		operation.Reason = code
		web.WriteJSON(w, http.StatusOK, authorized{
			RedirectTo: request.redirect(redirectURI, a.Issuer, url.Values{"error": {code}, "error_description": {description}}), Error: code,
		})
		return nil
	}
	if body.refusal != "" {
		return refused(body.refusal, refusals[body.refusal])
	}
	var asked []byte
	if key != "" {
		if asked, err = canonical(body.fields(), (&authorization{}).fields()); err != nil {
			return err
		}
	}
	if wrong := body.bind(request, client, a.Issuer); wrong != nil {
		return refused(wrong.code, wrong.description)
	}
	if request.get("max_age") != "" && body.authTime.IsZero() {
		return fieldErrors{{Field: "auth_time", Want: "given: the request has a max_age, so that its id token must say when the user authenticated"}}
	}
	f, err := a.start(r, &body.newFamily, client, key, asked, func(f *family.Family) error {
		f.Origin, err = body.origin(now)
		f.Origin.Redirect = session.HashRedirect(redirectURI)
		return err
	}, now)
	if err != nil {
		return err
	}
	answer, err := a.codeAnswer(r.Context(), f, now)
	if err != nil {
		return err
	}
	web.WriteJSON(w, http.StatusOK, authorized{
		RedirectTo: request.redirect(redirectURI, a.Issuer, url.Values{"code": {answer.Code}}), Family: answer.Family, ExpiresIn: answer.ExpiresIn,
	})
	return nil
}

// refusals has what a login may tell the client if it did not let the user in, by the error
// codes of RFC 6749 §4.1.2.1 and OpenID Connect Core §3.1.2.6.
var refusals = map[string]string{
	"access_denied":              "The user or the login denied the request.",
	"login_required":             "The user must log in.",
	"consent_required":           "The user must consent.",
	"interaction_required":       "The user must do something.",
	"account_selection_required": "The user must choose an account.",
	"invalid_request":            "The login could not make sense of the request.",
	"server_error":               "The login failed.",
	"temporarily_unavailable":    "The login is temporarily unavailable.",
}

// check checks the login's part of the body, and that the request names a client. It returns
// the request.
func (body *authorization) check() (authorizationRequest, error) {
	var in input
	switch {
	case body.userID == "" && body.refusal == "":
		in.wrong("user_id", "", "given, or else an error if the user was not let in")
	case body.userID != "" && body.refusal != "":
		in.wrong("error", "", "left out if there is a user_id")
	case body.userID != "":
		in.text("user_id", body.userID, maxUserID)
	default:
		if _, ok := refusals[body.refusal]; !ok {
			in.wrong("error", strconv.Quote(session.Cut(body.refusal, 32)), "one of "+strings.Join(slices.Sorted(maps.Keys(refusals)), ", "))
		}
	}
	request := in.authorizationRequest(body.request)
	if id := request.get("client_id"); request != nil && !session.IsClientID(id) {
		in.wrong("request.client_id", strconv.Quote(session.Cut(id, 80)), "1 to 64 of A-Z a-z 0-9 . _ -")
	}
	if n := len(request.get("state")); n > maxState {
		in.wrong("request.state", fmt.Sprintf("%d bytes long", n), fmt.Sprintf("at most %d bytes", maxState))
	}
	body.clientID = request.get("client_id")
	return request, in.err()
}

// maxState is in bytes. The state goes into the address of the answer.
const maxState = 4096
