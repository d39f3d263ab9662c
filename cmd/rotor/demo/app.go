package demo

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// signedIn is what the server app's page shows.
type signedIn struct {
	Usable  bool // the app knows its secret
	Said    string
	User    string
	Session string // the id of the login, by which the console finds it
	Number  int
	Tokens  []shortToken
}

// shortToken is a token as the page shows it.
type shortToken struct {
	Name   string
	Short  string // its last characters
	Claims []claim
}

// claim is a member of a JWT.
type claim struct{ Name, Value string }

var serverPage = newPage[*signedIn]("app")

// server shows the page of the server app.
func (d *Demo) server(w http.ResponseWriter, r *http.Request) error {
	body := &signedIn{Usable: d.Secret != ""}
	if s := d.sessions.of(r); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		body.Said, body.Number = s.said, s.number
		if s.token != nil {
			access := claimsOf(s.token.AccessToken)
			body.User, body.Session = fmt.Sprint(access["sub"]), fmt.Sprint(access["sid"])
			body.Tokens = []shortToken{
				{"Access token", short(s.token.AccessToken), listed(access)},
				{"ID token", short(s.idToken), listed(claimsOf(s.idToken))},
				{"Refresh token", short(s.token.RefreshToken), nil},
			}
		}
	}
	write(d, w, http.StatusOK, serverPage, "Demo: an app on a server", "", body)
	return nil
}

// startLogin sends the browser to the authorization endpoint, with what binds the answer to this
// browser: a state, a nonce and a code challenge.
func (d *Demo) startLogin(w http.ResponseWriter, r *http.Request) error {
	if d.Secret == "" {
		return d.toServer(w, r)
	}
	s := d.sessions.of(r)
	if s == nil {
		s = d.sessions.begin(w, r, d.base+ServerPath)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = &attempt{state: rand.Text(), nonce: rand.Text(), verifier: oauth2.GenerateVerifier()}
	to := d.oauth.AuthCodeURL(s.pending.state, oauth2.S256ChallengeOption(s.pending.verifier), oauth2.SetAuthURLParam("nonce", s.pending.nonce))
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// callback takes the answer to an authorization request (RFC 6749 §4.1.2). Each request has one
// answer: an address that is opened again changes nothing.
func (d *Demo) callback(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	s := d.sessions.of(r)
	if s == nil {
		return errNotAsked
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	begun := s.pending
	if begun == nil || subtle.ConstantTimeCompare([]byte(begun.state), []byte(q.Get("state"))) != 1 {
		return errNotAsked
	}
	s.pending = nil
	switch code := q.Get("error"); {
	case q.Get("iss") != d.Issuer: // RFC 9207 §2.4
		return &refusal{http.StatusBadRequest, "Somebody else’s answer", "The answer is not from the service that was asked."}
	case code != "":
		s.said = "The login let nobody in: " + printable(code) + ". " + printable(q.Get("error_description"))
		return d.toServer(w, r)
	}
	token, err := d.oauth.Exchange(d.calling(r.Context()), q.Get("code"), oauth2.VerifierOption(begun.verifier))
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.ErrorCode == "invalid_grant" {
		s.said = "The service refused the code. A code is good for a minute, and once. Log in again."
		return d.toServer(w, r)
	}
	if err != nil {
		return err
	}
	idToken, _ := token.Extra("id_token").(string)
	// It came from the token endpoint itself, so its signature need not be checked (OpenID
	// Connect Core §3.1.3.7).
	if id := claimsOf(idToken); id["iss"] != d.Issuer || id["aud"] != ServerClient || id["nonce"] != begun.nonce {
		return &refusal{http.StatusBadGateway, "Somebody else’s id token", "The id token is not the answer to this app’s request."}
	}
	// A session has a new id after a login, so that nobody knows it from before.
	fresh := d.sessions.begin(w, r, d.base+ServerPath)
	fresh.token, fresh.idToken, fresh.number = token, idToken, 1
	fresh.said = "Logged in. The code was exchanged for the first tokens of a family."
	return d.toServer(w, r)
}

var errNotAsked = &refusal{
	http.StatusBadRequest, "Nobody asked for this",
	"The address has the answer to a login that this browser has not begun, or whose answer it has had already. The app has sent nothing to the service, and nothing has changed.",
}

// refresh refreshes the tokens of the session.
func (d *Demo) refresh(w http.ResponseWriter, r *http.Request) error {
	s := d.sessions.of(r)
	if s == nil {
		return d.toServer(w, r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token == nil {
		return d.toServer(w, r)
	}
	before := s.token.RefreshToken
	token, err := d.oauth.TokenSource(d.calling(r.Context()), &oauth2.Token{RefreshToken: before}).Token()
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.ErrorCode == "invalid_grant":
		s.token, s.idToken = nil, ""
		s.said = "The service refused the refresh token: the family has ended. Log in again."
	case err != nil:
		return err // the token may be good, and is kept
	case token.RefreshToken == before:
		s.token = token
		s.said = "A new access token, and the same refresh token again: nothing rotates inside the reuse interval."
	default:
		s.token, s.number = token, s.number+1
		s.said = "A new access token, and a new refresh token. The one before it is superseded."
	}
	return d.toServer(w, r)
}

// logout ends the family and the session. The refresh token is revoked from server to server,
// so that the address of the end_session_endpoint needs no token in it.
func (d *Demo) logout(w http.ResponseWriter, r *http.Request) error {
	s := d.sessions.of(r)
	if s == nil {
		return d.toServer(w, r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != nil {
		if err := d.revoke(r.Context(), s.token.RefreshToken); err != nil {
			return err
		}
	}
	s.token, s.idToken, s.pending = nil, "", nil
	s.said = "Logged out. The family has ended, on every device that had its tokens."
	to := d.Issuer + "/oauth/logout?" + url.Values{"client_id": {ServerClient}, "post_logout_redirect_uri": {d.Issuer + ServerPath}}.Encode()
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// revoke revokes a refresh token (RFC 7009).
func (d *Demo) revoke(ctx context.Context, token string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.Issuer+"/oauth/revoke", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(ServerClient), url.QueryEscape(d.Secret))
	res, err := d.Server.RoundTrip(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("revoke the token: the service answers %d", res.StatusCode)
	}
	return nil
}

// calling returns a context in which the OAuth library calls the service as the server app does.
func (d *Demo) calling(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: d.Server})
}

// short returns the last characters of a token, which tell two apart and are worth nothing.
func short(token string) string { return "…" + token[max(0, len(token)-6):] }

// claimsOf returns the claims of a JWT, whose signature it does not check.
func claimsOf(token string) map[string]any {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var claims map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(payload)))
	decoder.UseNumber()
	if err := decoder.Decode(&claims); err != nil {
		return nil
	}
	return claims
}

// listed returns claims in the order of their names.
func listed(claims map[string]any) []claim {
	var list []claim
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		value := printable(fmt.Sprint(claims[name]))
		if seconds, ok := claims[name].(json.Number); ok && slices.Contains([]string{"iat", "exp", "auth_time"}, name) {
			if at, err := seconds.Int64(); err == nil {
				value += time.Unix(at, 0).UTC().Format(" (15:04:05 UTC)")
			}
		}
		list = append(list, claim{name, value})
	}
	return list
}
