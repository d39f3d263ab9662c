package session

import (
	"context"
	"errors"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/token"
)

// Cookie is what a browser sent in the cookies of one session.
type Cookie struct {
	SessionID string   // the sid in their names, "" if there was no cookie and the request named none
	Tokens    []string // as they were presented; of several the newest counts
	Device    string   // the device cookie, "" for none

	// Skipped are the device-bound sessions that the browser says it could not renew before the request. Scripts
	// can say so, too.
	Skipped []string
}

var errNoCookie = errors.New("the browser sent no cookie of the session")

// wrongSessionError is returned for a cookie that holds the refresh token of another session.
type wrongSessionError struct{ token token.Token }

func (e *wrongSessionError) Error() string {
	return "the cookie holds the refresh token of another session"
}

// parseCookie returns the newest of the refresh tokens in a session's cookies, with the keys that it
// used last. What is no refresh token of the session is passed over if one of the cookies holds one.
func (e *Engine) parseCookie(ctx context.Context, keys *keyring.Keys, c *Cookie, now time.Time) (token.Token, *keyring.Keys, error) {
	var newest token.Token // its counter is 0, which no refresh token's is
	refusal := errNoCookie
	for _, presented := range c.Tokens {
		tok, used, err := e.parseToken(ctx, keys, presented, (*token.Codec).Parse, now)
		keys = used
		switch {
		case err != nil && !IsBadToken(err):
			return token.Token{}, keys, err
		case err != nil:
			refusal = err
		case c.SessionID != family.ID(tok.Family).ULID().String():
			refusal = &wrongSessionError{tok}
		case tok.Counter > newest.Counter:
			newest = tok
		}
	}
	if newest.Counter == 0 {
		return token.Token{}, keys, refusal
	}
	return newest, keys, nil
}
