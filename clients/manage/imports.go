package manage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// TokenShape is what the refresh tokens of another provider look like. The zero TokenShape is that
// of any token. In JSON that is true.
type TokenShape struct {
	Prefix string // how they begin; "" for any beginning
	Length int    // in bytes; 0 for any
}

type tokenShape struct {
	Prefix string `json:"prefix,omitempty"`
	Length int    `json:"length,omitempty"`
}

// UnmarshalJSON reads true or an object.
func (s *TokenShape) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("true")) {
		*s = TokenShape{}
		return nil
	}
	return json.Unmarshal(b, (*tokenShape)(s))
}

// MarshalJSON writes true or an object.
func (s TokenShape) MarshalJSON() ([]byte, error) {
	if s == (TokenShape{}) {
		return []byte("true"), nil
	}
	return json.Marshal(tokenShape(s))
}

// MaxImports is how many tokens one import can have.
const MaxImports = 100

// Import is a refresh token of another provider that moves in, and the family that it starts.
// Only UserID and TokenSHA256 are required.
type Import struct {
	UserID      string          `json:"user_id"`
	TokenSHA256 string          `json:"token_sha256"`    // of the token, in hexadecimal or base64url
	Scope       *string         `json:"scope,omitempty"` // nil for the client's
	Audience    Audience        `json:"audience,omitempty"`
	Claims      json.RawMessage `json:"claims,omitempty"` // a JSON object; they are added to the access tokens
	AuthTime    time.Time       `json:"auth_time,omitzero"`
	ACR         string          `json:"acr,omitempty"`
	AMR         []string        `json:"amr,omitempty"`
	Device      string          `json:"device,omitempty"`
	ExpiresAt   time.Time       `json:"expires_at,omitzero"` // the family's absolute end, if the policy sets no earlier one
}

// Imported is what an import has come to. Its result is imported, or one that has changed nothing:
// already (the token has a family of this user and client), conflict (it has one of another user
// or client) or expired.
type Imported struct {
	Result string `json:"result"`
	Family string `json:"family"` // of the token; "" if there is none
}

// Import starts a family in a client for each refresh token of another provider, up to
// [MaxImports]. It returns what has become of each, in their order. If one of them is wrong, the
// call is refused with an [Error] that says where, and nothing is written. With dryRun nothing is
// written either way. It can be repeated.
func (c *Client) Import(ctx context.Context, clientID string, tokens []Import, dryRun bool) ([]Imported, error) {
	body := struct {
		ClientID string   `json:"client_id"`
		Tokens   []Import `json:"tokens"`
		DryRun   bool     `json:"dry_run,omitempty"`
	}{clientID, tokens, dryRun}
	var answer struct {
		Tokens []Imported `json:"tokens"`
	}
	r := request{method: http.MethodPost, path: "/v1/imports", body: body, dryRun: dryRun, needs: []string{"tokens"}}
	if err := c.call(ctx, r, &answer); err != nil {
		return nil, err
	}
	if len(answer.Tokens) != len(tokens) {
		return nil, fmt.Errorf("import: the answer is about %d tokens, and not about %d", len(answer.Tokens), len(tokens))
	}
	return answer.Tokens, nil
}
