package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
)

// The parameters of a logout (OpenID Connect RP-Initiated Logout §2). logout_hint and
// ui_locales are ignored, since there is nobody to ask.
const (
	hintParam  = "id_token_hint"
	afterParam = "post_logout_redirect_uri"
	stateParam = "state"

	// returnParam is what Auth0 calls the address after a logout, at /v2/logout.
	returnParam = "returnTo"
)

// maxState is the largest size of the state that is passed on, in bytes.
const maxState = 2 << 10

var (
	errHint        = invalidRequest("id_token_hint is not an id token of this service.")
	errOtherHint   = invalidRequest("client_id is not the client of id_token_hint.")
	errNobody      = invalidRequest("client_id or id_token_hint is missing: it says whose address post_logout_redirect_uri is.")
	errNotThere    = invalidRequest("post_logout_redirect_uri is not registered for this client.")
	errLongState   = invalidRequest("state is longer than 2 KiB.")
	errNotReturnTo = invalidRequest("returnTo is not registered for this client.")
)

// logout serves GET and POST /oauth/logout, the end_session_endpoint: it ends the family of
// an id token and leads the browser to an address of its client.
func (a *API) logout(w http.ResponseWriter, r *http.Request) error {
	return a.endSession(w, r, afterParam, errNotThere)
}

// auth0Logout serves GET /v2/logout, which Auth0's SDKs call instead. They send no id token
// unless the app adds one.
func (a *API) auth0Logout(w http.ResponseWriter, r *http.Request) error {
	return a.endSession(w, r, returnParam, errNotReturnTo)
}

// endSession serves a logout that has its address in the given parameter. It checks
// everything before it ends anything, and leads nowhere but to a registered address.
//
// Any page can lead a browser here. A family ends only if the request has its id token,
// which other pages do not know.
func (a *API) endSession(w http.ResponseWriter, r *http.Request, addressParam string, notRegistered error) error {
	now := a.Now()
	p, err := readLogout(r, addressParam)
	if err != nil {
		return err
	}
	clientID, address := p.get("client_id"), p.get(addressParam)
	hint, keys, err := a.readHint(r.Context(), p.get(hintParam), now)
	switch {
	case err != nil:
		return err
	case hint != nil && clientID != "" && clientID != hint.ClientID:
		return errOtherHint
	case hint != nil:
		clientID = hint.ClientID
	case clientID == "" && address != "":
		return errNobody
	}
	client, err := a.addressee(r.Context(), clientID, now)
	if err != nil {
		return err
	}
	if address != "" && !session.IsRegistered(address, client.PostLogoutRedirectURIs) {
		return notRegistered
	}
	if hint != nil && r.Method != http.MethodHead {
		if err := a.RevokeByID(r.Context(), keys, client, *hint, web.CallerOf(r), now); err != nil {
			return err
		}
		if client.Cookie {
			(&cookieJar{client: client}).clearEnded(w, hint.SessionID)
		}
	}
	switch {
	case address == "":
		writeSignedOut(w, hint != nil)
	case p.get(stateParam) == "":
		redirect(w, http.StatusSeeOther, address)
	default:
		redirect(w, http.StatusSeeOther, web.WithQuery(address, url.Values{stateParam: {p.get(stateParam)}}.Encode()))
	}
	return nil
}

// readLogout reads the parameters of a logout, from the query string or from a form.
func readLogout(r *http.Request, addressParam string) (params, error) {
	var p params
	var err error
	if r.Method == http.MethodPost {
		p, err = readForm(r)
	} else {
		p, err = readQuery(r)
	}
	if err != nil {
		return nil, err
	}
	for _, name := range []string{hintParam, "client_id", addressParam, stateParam} {
		if len(p[name]) > 1 {
			return nil, errRepeated(name)
		}
	}
	if len(p.get(stateParam)) > maxState {
		return nil, errLongState
	}
	return p, nil
}

// readHint verifies an id token, expired or not. It returns it with the keys that it read,
// and nothing if there is none.
func (a *API) readHint(ctx context.Context, presented string, now time.Time) (*signing.ID, *keyring.Keys, error) {
	if presented == "" {
		return nil, nil, nil
	}
	keys, err := a.Keys.Keys(ctx, now)
	if err != nil {
		return nil, nil, err
	}
	hint, err := a.VerifyID(ctx, keys, presented, now)
	if errors.Is(err, signing.ErrInvalid) {
		return nil, nil, errHint
	}
	return &hint, keys, err
}

// addressee returns the client of that id. One that is not registered has no addresses. Its
// families can be ended all the same, since they would live again with it.
func (a *API) addressee(ctx context.Context, id string, now time.Time) (*store.Client, error) {
	if !session.IsClientID(id) {
		return &store.Client{}, nil
	}
	client, err := a.Clients.Client(ctx, id, now)
	if errors.Is(err, store.ErrNotFound) {
		return &store.Client{ID: id}, nil
	}
	return client, err
}

// signedOut and nobodyNamed are the pages for a logout without an address. No policy of a
// page is stricter than theirs.
const (
	signedOut   = "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Signed out</title><p>You are signed out.</p></html>\n"
	nobodyNamed = "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Sign out</title><p>The app named no session, so none was ended here.</p></html>\n"
	pagePolicy  = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
)

// writeSignedOut writes the page for a logout without an address. named reports whether
// the request named a session.
func writeSignedOut(w http.ResponseWriter, named bool) {
	page := nobodyNamed
	if named {
		page = signedOut
	}
	web.NoStore(w)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(page)) // fails only if the client is gone
}
