package manage

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Family is a token family: what one login on one device has started.
type Family struct {
	ID            string          `json:"family"`
	Status        string          `json:"status"`          // active, pending, expired, revoked, or unregistered if its client is gone
	Cause         string          `json:"cause,omitempty"` // why it has ended
	UserID        string          `json:"user_id"`
	ClientID      string          `json:"client_id"`
	Origin        string          `json:"origin,omitempty"` // what it was started from, its token number 0: code, assertion, imported or adopted, or "" for its login's own call
	Counter       uint32          `json:"counter"`          // of the newest token; 0 while the family is pending
	IssuedAt      time.Time       `json:"issued_at"`
	LastUsedAt    time.Time       `json:"last_used_at"`
	ExpiresAt     time.Time       `json:"expires_at,omitzero"`      // zero if it has no absolute end
	IdleExpiresAt time.Time       `json:"idle_expires_at,omitzero"` // zero if it may be idle forever
	RevokedAt     time.Time       `json:"revoked_at,omitzero"`
	PurgeAt       time.Time       `json:"purge_at,omitzero"`
	Evict         string          `json:"evict,omitempty"` // the rule by which the limit of active families ended it
	Scope         string          `json:"scope,omitempty"`
	Audience      Audience        `json:"audience,omitempty"`
	Claims        json.RawMessage `json:"claims,omitempty"`
	AuthTime      time.Time       `json:"auth_time,omitzero"`
	ACR           string          `json:"acr,omitempty"`
	AMR           []string        `json:"amr,omitempty"`
	Device        string          `json:"device,omitempty"`
	LastIP        string          `json:"last_ip,omitempty"`
	LastUserAgent string          `json:"last_user_agent,omitempty"`
	DPoPJKT       string          `json:"dpop_jkt,omitempty"`       // the thumbprint of the application's key that it is bound to (RFC 7638), or "" for none
	DeviceBoundAt time.Time       `json:"device_bound_at,omitzero"` // when it was bound to a key of its browser's device
	Timeline      []Moment        `json:"timeline,omitempty"`       // of [Client.Family] alone
}

// Moment is an entry of a family's timeline.
type Moment struct {
	At           time.Time `json:"at"`
	Event        string    `json:"event"`                   // issued, exchanged, rotated, skipped, used, reuse_observed, reuse_detected, late_use, revoked, expired or ahead
	Counter      uint32    `json:"counter"`                 // of the family's newest token at that time; 0 for none yet
	OriginToken  string    `json:"origin_token,omitempty"`  // set if the family's number 0 was presented: code, imported or adopted
	TokenCounter uint32    `json:"token_counter,omitempty"` // of the token that was presented
	Cause        string    `json:"cause,omitempty"`
	IP           string    `json:"ip,omitempty"`
	UserAgent    string    `json:"user_agent,omitempty"`
	ForwardedBy  string    `json:"forwarded_by,omitempty"` // the backend that told IP and UserAgent
	By           string    `json:"by,omitempty"`           // who called the management API
	EventID      string    `json:"event_id,omitempty"`
}

// Audience is whom access tokens are for. In JSON it is a string if there is one, else a list.
type Audience []string

// UnmarshalJSON reads a string or a list.
func (a *Audience) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = Audience{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// MarshalJSON writes a string or a list.
func (a Audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

// Login is what a family begins with. Only UserID and ClientID are required.
type Login struct {
	UserID           string          `json:"user_id"`
	ClientID         string          `json:"client_id"`
	Scope            string          `json:"scope,omitempty"` // "" for the client's
	Audience         Audience        `json:"audience,omitempty"`
	Claims           json.RawMessage `json:"claims,omitempty"` // a JSON object; they are added to the access tokens
	AuthTime         time.Time       `json:"auth_time,omitzero"`
	ACR              string          `json:"acr,omitempty"`
	AMR              []string        `json:"amr,omitempty"`
	Device           string          `json:"device,omitempty"`
	AbsoluteLifetime int64           `json:"absolute_lifetime,omitempty"` // seconds; 0 for the policy's
	DPoPJKT          string          `json:"dpop_jkt,omitempty"`          // the thumbprint of the key that the family is bound to (RFC 7638); "" for none

	// IdempotencyKey is made up once for each sign-in. With it, the call can be repeated and
	// starts one family; without it, a call that got no answer is not repeated.
	IdempotencyKey string `json:"-"`
	// IP and UserAgent are the user's, where the login knows them.
	IP        string `json:"-"`
	UserAgent string `json:"-"`
}

// Tokens are the first tokens of a family. They print, and are logged, as
// the family's id alone.
type Tokens struct {
	AccessToken            string `json:"access_token"`
	TokenType              string `json:"token_type"`
	ExpiresIn              int64  `json:"expires_in"` // seconds
	RefreshToken           string `json:"refresh_token"`
	RefreshTokenExpiresIn  *int64 `json:"refresh_token_expires_in"` // seconds; nil if it has no end
	RefreshTokenTimeout    *int64 `json:"refresh_token_timeout"`    // seconds that it may be unused; nil forever
	AuthorizationExpiresIn *int64 `json:"authorization_expires_in"` // seconds until the absolute end; nil if there is none
	Scope                  string `json:"scope"`
	IDToken                string `json:"id_token"`
	Family                 string `json:"family"`
}

// String returns the family's id alone.
func (t Tokens) String() string { return "[tokens of family " + t.Family + "]" }

// GoString returns what String returns.
func (t Tokens) GoString() string { return t.String() }

// Format prints what String returns, whatever the verb.
func (t Tokens) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// LogValue returns what String returns.
func (t Tokens) LogValue() slog.Value { return slog.StringValue(t.String()) }

// StartFamily starts a family after a login, and returns its first tokens.
func (c *Client) StartFamily(ctx context.Context, l *Login) (*Tokens, error) {
	header, err := loginHeader(l.IdempotencyKey, l.IP, l.UserAgent)
	if err != nil {
		return nil, fmt.Errorf("start a family: %w", err)
	}
	var t Tokens
	err = c.call(ctx, request{
		method: http.MethodPost, path: "/v1/families", header: header, body: l, once: l.IdempotencyKey == "",
		needs: []string{"access_token", "refresh_token", "family"},
	}, &t)
	if err != nil {
		return nil, err
	}
	return &t, nil
}

// loginHeader returns the header of a call by a login.
func loginHeader(idempotencyKey, ip, userAgent string) (http.Header, error) {
	header := http.Header{}
	for name, value := range map[string]string{
		"Idempotency-Key": idempotencyKey, "Rotor-Client-Ip": ip, "Rotor-Client-User-Agent": userAgent,
	} {
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, fmt.Errorf("the header %s cannot have control characters", name)
		}
		if value != "" {
			header.Set(name, value)
		}
	}
	return header, nil
}

func familyPath(id string) string { return segment("/v1/families", id) }

// Family returns a family with its timeline.
func (c *Client) Family(ctx context.Context, id string) (*Family, error) {
	var f Family
	if err := c.call(ctx, get(familyPath(id)), &f); err != nil {
		return nil, err
	}
	return &f, nil
}

// FamilyFilter says which of a user's families are meant.
type FamilyFilter struct {
	UserID   string // is required
	ClientID string // "" for those in all clients
	Status   string // active, pending, expired, revoked, unregistered, or "" for all
}

// Families yields the families of a user, newest first.
func (c *Client) Families(ctx context.Context, f FamilyFilter) iter.Seq2[*Family, error] {
	return pages(func(next string) (*Page[*Family], error) { return c.FamilyPage(ctx, f, next) })
}

// FamilyPage returns the page that next names, "" for the first one. It has up to 100 families.
func (c *Client) FamilyPage(ctx context.Context, f FamilyFilter, next string) (*Page[*Family], error) {
	return page[*Family](ctx, c, get("/v1/families", "user_id", f.UserID, "client_id", f.ClientID, "status", f.Status, "next", next), "families")
}

// Change says what is changed in living families. What is nil stays, and what is empty is taken away.
type Change struct {
	Scope    *string         `json:"scope,omitempty"`  // can be narrowed only
	Claims   json.RawMessage `json:"claims,omitempty"` // replace all claims
	AuthTime *time.Time      `json:"auth_time,omitempty"`
	ACR      *string         `json:"acr,omitempty"`
	AMR      *[]string       `json:"amr,omitempty"`
	Device   *string         `json:"device,omitempty"`
}

// ChangeFamily changes what the tokens of a living family say from its next refresh on.
func (c *Client) ChangeFamily(ctx context.Context, id string, change *Change) (*Family, error) {
	var f Family
	if err := c.call(ctx, request{method: http.MethodPatch, path: familyPath(id), body: change}, &f); err != nil {
		return nil, err
	}
	return &f, nil
}

// Changed is how many families a part of a change has changed.
type Changed struct {
	Families int    `json:"changed"`
	Next     string `json:"next,omitempty"`
}

// ChangeFamilies changes all living families of a user, or those in one client, and yields
// what each call has done, of up to 1,000 families.
func (c *Client) ChangeFamilies(ctx context.Context, userID, clientID string, change *Change) iter.Seq2[Changed, error] {
	r := request{method: http.MethodPatch, path: "/v1/families", query: parameters("user_id", userID, "client_id", clientID), body: change, needs: []string{"changed"}}
	return batches(ctx, c, r, func(d *Changed) (int, string) { return d.Families, d.Next })
}
