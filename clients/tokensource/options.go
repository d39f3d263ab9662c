package tokensource

import (
	"net/http"
	"time"

	"golang.org/x/oauth2"
)

// DefaultReuseInterval is the default of [WithReuseInterval], and of Rotor.
const DefaultReuseInterval = time.Minute

// Option is a setting of [New].
type Option func(*Source)

// WithReuseInterval sets how long the provider accepts a token that it has replaced;
// 0 means not at all. The default is [DefaultReuseInterval]. Too long an interval
// loses sessions. Too short an interval only means fewer retries.
func WithReuseInterval(d time.Duration) Option { return func(s *Source) { s.interval = max(0, d) } }

// WithHTTPClient sets the client for the token endpoint. It never follows redirects,
// which would take the token elsewhere. It must not retry by itself, because only
// the source knows when that is safe.
func WithHTTPClient(c *http.Client) Option { return func(s *Source) { s.client = c } }

// WithExtra keeps further members of the token response, such as id_token and scope,
// for [oauth2.Token.Extra].
func WithExtra(names ...string) Option { return func(s *Source) { s.extra = names } }

// keepExtra returns the members of a token response that [WithExtra] names.
func (s *Source) keepExtra(t *oauth2.Token) map[string]any {
	var extra map[string]any
	for _, name := range s.extra {
		if v := t.Extra(name); v != nil {
			if extra == nil {
				extra = map[string]any{}
			}
			extra[name] = v
		}
	}
	return extra
}
