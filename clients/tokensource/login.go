package tokensource

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/oauth2"
)

// Login saves the token of a login, in place of whatever the store holds. If it has
// saved the same token before, it does nothing, even if that token has been replaced
// or has died since. So a program that gets its first token from its configuration
// can call Login each time it starts. The last eight tokens are remembered.
//
// Other sources on the same store, in this process or in others, continue with the
// new session: at the latest when they are asked for a token ten seconds later.
func (s *Source) Login(ctx context.Context, t *oauth2.Token) error {
	if s.mistake != nil {
		return fmt.Errorf("tokensource: login: %w", s.mistake)
	}
	if t == nil || t.RefreshToken == "" {
		return errors.New("tokensource: login: the token response has no refresh token")
	}
	now := s.clock.now()
	mark := fingerprint(t.RefreshToken)
	st := state{
		RefreshToken: t.RefreshToken, AccessToken: t.AccessToken, TokenType: t.TokenType,
		ObtainedAt: now.wall, ExpiresIn: t.ExpiresIn, Extra: s.keepExtra(t),
	}
	if !t.Expiry.IsZero() {
		st.ExpiresIn = int64(t.Expiry.Sub(now.wall) / time.Second)
		if st.ExpiresIn <= 0 {
			st.AccessToken, st.ExpiresIn = "", 0
		}
	}
	for n := range 8 {
		r, h, err := s.load(ctx)
		if err != nil {
			return fmt.Errorf("tokensource: login: %w", err)
		}
		if slices.Contains(h.Logins, mark) || h.RefreshToken == t.RefreshToken {
			return nil
		}
		st.Key = h.Key
		st.Logins = append([]string{mark}, h.Logins[:min(len(h.Logins), 7)]...)
		data, err := st.encode()
		if err != nil {
			return fmt.Errorf("tokensource: login: %w", err)
		}
		err = s.saveData(ctx, r.Version+1, data)
		r, _, lookErr := s.load(ctx)
		if lookErr == nil && bytes.Equal(r.Data, data) {
			return nil
		}
		if err = cmp.Or(lookErr, err); err != nil && !errors.Is(err, ErrConflict) {
			return fmt.Errorf("tokensource: login: %w: %w", ErrNotSaved, err)
		}
		if err := s.clock.sleep(ctx, poll(n)); err != nil {
			return fmt.Errorf("tokensource: login: %w", err)
		}
	}
	return fmt.Errorf("tokensource: login: %w: %w", ErrNotSaved, ErrConflict)
}
