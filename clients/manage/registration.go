package manage

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"
)

// Policy says how the families of a client live. Lifetimes and intervals are in seconds; 0 is no limit.
type Policy struct {
	Rotation            bool      `json:"rotation"`
	ReuseInterval       int64     `json:"reuse_interval"`
	LostResponse        string    `json:"lost_response"` // revoke or until_used
	AbsoluteLifetime    int64     `json:"absolute_lifetime"`
	IdleLifetime        int64     `json:"idle_lifetime"`
	AccessTokenLifetime int64     `json:"access_token_lifetime"`
	MaxActive           int       `json:"max_active"`
	Evict               string    `json:"evict"`           // least_recently_used or oldest
	ReuseDetection      string    `json:"reuse_detection"` // enforce or observe
	ObserveUntil        time.Time `json:"observe_until,omitzero"`
	InvalidGrantStatus  int       `json:"invalid_grant_status"` // 400 or 403
	DPoP                string    `json:"dpop"`                 // off, allowed or required
}

// Registration is a registered client.
type Registration struct {
	ClientID       string          `json:"client_id"`
	Type           string          `json:"type"` // public or confidential
	Preset         string          `json:"preset,omitempty"`
	Policy         Policy          `json:"policy"`
	Scope          string          `json:"scope,omitempty"`
	Audience       Audience        `json:"audience,omitempty"`
	MayIntrospect  bool            `json:"may_introspect"`
	MayForward     bool            `json:"may_forward"`
	TrustedIssuers []TrustedIssuer `json:"trusted_issuers,omitempty"`
	NotBefore      time.Time       `json:"not_before,omitzero"`
	Secrets        []Secret        `json:"secrets,omitempty"`
	CreatedAt      time.Time       `json:"created_at"`
	UpdatedAt      time.Time       `json:"updated_at"`
	Recommendation *Recommendation `json:"recommendation,omitempty"` // of [Client.Registration] alone
	Warnings       []FieldError    `json:"warnings,omitempty"`       // of [Client.Register] alone

	RedirectURIs           []string `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`

	// The public keys by which a confidential client authenticates (private_key_jwt), or where they are.
	JWKSURI string          `json:"jwks_uri,omitempty"`
	JWKS    json.RawMessage `json:"jwks,omitempty"` // in place of JWKSURI

	AcceptsImported *TokenShape `json:"accepts_imported,omitempty"` // the refresh tokens of another provider that it may refresh with; nil for none
	Adopt           *Provider   `json:"adopt,omitempty"`            // nil for none

	Transport      string `json:"transport,omitempty"`        // cookie, or "" for refresh tokens in bodies
	CookieSameSite string `json:"cookie_same_site,omitempty"` // strict or lax, "" without cookies
	DeviceBound    bool   `json:"device_bound,omitempty"`     // browsers are asked to bind sessions to a key of the device
}

// Secret is a client's secret, of which only the id is ever shown again.
type Secret struct {
	ID        string    `json:"secret_id"`
	CreatedAt time.Time `json:"created_at"`
}

// TrustedIssuer is an issuer whose assertions start families of a client. What is left out of
// [Settings] gets its default.
type TrustedIssuer struct {
	Issuer     string          `json:"issuer"`
	JWKSURI    string          `json:"jwks_uri,omitempty"`
	JWKS       json.RawMessage `json:"jwks,omitempty"` // public keys, in place of JWKSURI
	Audience   []string        `json:"audience"`
	Algorithms []string        `json:"algorithms,omitempty"`
	UserClaim  string          `json:"user_claim,omitempty"`
	MaxAge     int64           `json:"max_age,omitempty"`     // in seconds
	UserPrefix *string         `json:"user_prefix,omitempty"` // "" for none, nil for the default
}

// Provider is another provider, where a refresh token of it is exchanged once when the client presents it
// here. What is left out of [Settings] gets its default.
type Provider struct {
	TokenEndpoint string       `json:"token_endpoint"`
	ClientID      string       `json:"client_id"`             // the application's id there
	Auth          string       `json:"auth"`                  // none, client_secret_basic or client_secret_post
	SecretName    string       `json:"secret_name,omitempty"` // of a secret in Secrets Manager
	User          ProviderUser `json:"user"`
	Prefix        string       `json:"prefix,omitempty"` // how its refresh tokens begin
	Length        int          `json:"length,omitempty"` // how long each of them is, in bytes
	Repeatable    bool         `json:"repeatable"`
	PerSecond     int          `json:"per_second,omitempty"`
}

// ProviderUser says how the answers of a provider name the user.
type ProviderUser struct {
	From  string `json:"from"` // id_token or access_token
	Claim string `json:"claim,omitempty"`
}

// Settings are what a client is registered with. What is left out gets its default, except
// that NotBefore stays as it was.
type Settings struct {
	Type          string         `json:"type"`
	Preset        string         `json:"preset,omitempty"`
	Policy        map[string]any `json:"policy,omitempty"` // what differs from the preset, by the names of [Policy]
	Scope         string         `json:"scope,omitempty"`
	Audience      Audience       `json:"audience,omitempty"`
	MayIntrospect bool           `json:"may_introspect,omitempty"`
	MayForward    bool           `json:"may_forward,omitempty"`
	NotBefore     time.Time      `json:"not_before,omitzero"`

	RedirectURIs           []string `json:"redirect_uris,omitempty"`             // to which a code may be sent
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"` // to which a browser may be sent after a logout

	TrustedIssuers []TrustedIssuer `json:"trusted_issuers,omitempty"`

	// The public keys by which a confidential client authenticates (private_key_jwt), or where they are.
	JWKSURI string          `json:"jwks_uri,omitempty"`
	JWKS    json.RawMessage `json:"jwks,omitempty"` // in place of JWKSURI

	AcceptsImported *TokenShape `json:"accepts_imported,omitempty"` // the refresh tokens of another provider that it may refresh with; nil for none
	Adopt           *Provider   `json:"adopt,omitempty"`            // nil for none

	Transport      string `json:"transport,omitempty"`        // cookie keeps refresh tokens out of reach of scripts; body is the default
	CookieSameSite string `json:"cookie_same_site,omitempty"` // strict, the default, or lax; "" without cookies
	DeviceBound    bool   `json:"device_bound,omitempty"`     // browsers are asked to bind sessions to a key of the device; false without cookies
}

func clientPath(id string) string { return segment("/v1/clients", id) }

// Registration returns a registered client.
func (c *Client) Registration(ctx context.Context, clientID string) (*Registration, error) {
	var r Registration
	if err := c.call(ctx, get(clientPath(clientID)), &r); err != nil {
		return nil, err
	}
	return &r, nil
}

// Registrations yields all registered clients, by their ids.
func (c *Client) Registrations(ctx context.Context) iter.Seq2[*Registration, error] {
	return pages(func(next string) (*Page[*Registration], error) { return c.RegistrationPage(ctx, next) })
}

// RegistrationPage returns the page that next names, "" for the first one. It has up to 100 clients.
func (c *Client) RegistrationPage(ctx context.Context, next string) (*Page[*Registration], error) {
	return page[*Registration](ctx, c, get("/v1/clients", "next", next), "clients")
}

// Register registers a client, or replaces all of it but its secrets.
func (c *Client) Register(ctx context.Context, clientID string, s *Settings) (*Registration, error) {
	var r Registration
	if err := c.call(ctx, request{method: http.MethodPut, path: clientPath(clientID), body: s}, &r); err != nil {
		return nil, err
	}
	return &r, nil
}

// Deregister deletes a client. Its families are refused from then on.
func (c *Client) Deregister(ctx context.Context, clientID string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: clientPath(clientID), gone: true}, nil)
}

// AddSecret makes a secret for a confidential client, which may have two. It is shown this
// once. If no answer arrives, the secret may exist all the same.
func (c *Client) AddSecret(ctx context.Context, clientID string) (id, secret string, err error) {
	var answer struct {
		ID     string `json:"secret_id"`
		Secret string `json:"client_secret"`
	}
	err = c.call(ctx, request{method: http.MethodPost, path: clientPath(clientID) + "/secrets", once: true, needs: []string{"secret_id", "client_secret"}}, &answer)
	if err != nil {
		return "", "", err
	}
	return answer.ID, answer.Secret, nil
}

// RemoveSecret deletes a secret of a client.
func (c *Client) RemoveSecret(ctx context.Context, clientID, secretID string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: segment(clientPath(clientID)+"/secrets", secretID), gone: true}, nil)
}
