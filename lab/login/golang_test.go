//go:build logins

package login

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// golang runs an app with golang.org/x/oauth2, and with go-oidc, which has discovery and id tokens.
// Of state and nonce the app takes care itself.
func golang(t *testing.T, w *world, name string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(oidc.ClientContext(t.Context(), w.rotor.Client()), patience)
	defer cancel()
	a := &app{world: w, ctx: ctx}
	var err error
	if a.provider, err = oidc.NewProvider(ctx, w.rotor.URL); err != nil {
		t.Fatal(err)
	}
	a.config = oauth2.Config{ClientID: clientID, Endpoint: a.provider.Endpoint(), RedirectURL: w.callback, Scopes: []string{oidc.ScopeOpenID, "profile"}}
	o, err := map[string]func() (outcome, error){"circle": a.circle, "twice": a.twice}[name]()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

type app struct {
	*world
	ctx      context.Context //nolint:containedctx // of one case
	provider *oidc.Provider
	config   oauth2.Config
}

// begin sends the user to the login, and returns the code with which the browser comes back.
func (a *app) begin(nonce, verifier string) (string, error) {
	state := rand.Text()
	request := a.config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("login_hint", "alice"))
	callback, err := a.browse(request, a.callback)
	if err != nil {
		return "", err
	}
	if callback.Get("state") != state || callback.Get("iss") != a.rotor.URL {
		return "", errors.New("the state or the issuer is another")
	}
	return callback.Get("code"), nil
}

// browse goes where a browser is led from an address, and returns the parameters with which it
// arrives in the app.
func (a *app) browse(address, home string) (url.Values, error) {
	browser := *a.rotor.Client()
	browser.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), home) || len(via) > 5 {
			return http.ErrUseLastResponse
		}
		return nil
	}
	r, err := http.NewRequestWithContext(a.ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := browser.Do(r)
	if err != nil {
		return nil, err
	}
	_ = response.Body.Close()
	to, err := response.Location()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", response.Status, err)
	}
	return to.Query(), nil
}

// refresh takes the token of a source to which the access token of t is no longer good enough.
func (a *app) refresh(t *oauth2.Token) (*oauth2.Token, error) {
	expired := *t
	expired.Expiry = time.Now().Add(-time.Second)
	return a.config.TokenSource(a.ctx, &expired).Token()
}

// verify verifies the id token that came with t.
func (a *app) verify(t *oauth2.Token) (*oidc.IDToken, string, error) {
	raw, _ := t.Extra("id_token").(string)
	verified, err := a.provider.VerifierContext(a.ctx, &oidc.Config{ClientID: clientID}).Verify(a.ctx, raw)
	return verified, raw, err
}

func (a *app) circle() (outcome, error) {
	var o outcome
	nonce, verifier := rand.Text(), oauth2.GenerateVerifier()
	code, err := a.begin(nonce, verifier)
	if err != nil {
		return o, err
	}
	token, err := a.config.Exchange(a.ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return o, err
	}
	id, hint, err := a.verify(token)
	if err != nil {
		return o, err
	}
	if id.Nonce != nonce {
		return o, errors.New("the nonce is another")
	}
	o.User, o.Seen = id.Subject, []string{token.RefreshToken}
	for range refreshes {
		a.later()
		if token, err = a.refresh(token); err != nil {
			return o, err
		}
		if _, hint, err = a.verify(token); err != nil {
			return o, err
		}
		o.Seen = append(o.Seen, token.RefreshToken)
	}
	if token, err = a.refresh(token); err != nil {
		return o, err
	}
	o.Held = token.RefreshToken
	var metadata struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if err := a.provider.Claims(&metadata); err != nil {
		return o, err
	}
	end, err := a.browse(metadata.EndSession+"?"+url.Values{
		"id_token_hint": {hint}, "post_logout_redirect_uri": {a.left}, "state": {"bye"},
	}.Encode(), a.left)
	if err != nil {
		return o, err
	}
	o.Back = end.Get("state") == "bye"
	_, err = a.refresh(token)
	o.Error, err = refusal(err)
	return o, err
}

func (a *app) twice() (outcome, error) {
	var o outcome
	// Otherwise it tries both ways to name the client.
	a.config.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	verifier := oauth2.GenerateVerifier()
	code, err := a.begin(rand.Text(), verifier)
	if err != nil {
		return o, err
	}
	type result struct {
		token *oauth2.Token
		err   error
	}
	results := make(chan result, 2)
	for range 2 {
		go func() {
			token, err := a.config.Exchange(a.ctx, code, oauth2.VerifierOption(verifier))
			results <- result{token, err}
		}()
	}
	won, lost := <-results, <-results
	if won.err != nil {
		won, lost = lost, won
	}
	if won.err != nil || lost.err == nil {
		return o, fmt.Errorf("of two, not one won: %w", errors.Join(won.err, lost.err))
	}
	if o.Error, err = refusal(lost.err); err != nil {
		return o, err
	}
	a.later()
	next, err := a.refresh(won.token)
	if err != nil {
		return o, err
	}
	o.Seen = []string{won.token.RefreshToken, next.RefreshToken}
	return o, nil
}

// refusal returns the code of an error of the token endpoint, and any other error as it is.
func refusal(err error) (string, error) {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		return refused.ErrorCode, nil
	}
	return "", fmt.Errorf("it was not refused: %w", err)
}
