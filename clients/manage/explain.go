package manage

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"
)

// Question asks what happened to a token. One of the first four is given; a value that has
// the shape of another is taken for what it is. It prints, and is logged, without them.
type Question struct {
	RefreshToken string `json:"refresh_token,omitempty"`
	AccessToken  string `json:"access_token,omitempty"`
	Family       string `json:"family,omitempty"`
	SID          string `json:"sid,omitempty"`       // of an access token, with UserID
	UserID       string `json:"user_id,omitempty"`   // beside SID alone
	ClientID     string `json:"client_id,omitempty"` // asks as this client; "" for the family's
}

// String returns "[question about a token]".
func (q Question) String() string { return "[question about a token]" }

// GoString returns what String returns.
func (q Question) GoString() string { return q.String() }

// Format prints what String returns, whatever the verb.
func (q Question) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, q.String()) }

// LogValue returns what String returns.
func (q Question) LogValue() slog.Value { return slog.StringValue(q.String()) }

// Explanation is whether a token is accepted, and if not, why it died.
type Explanation struct {
	Verdict        string          `json:"verdict"`         // valid, valid_in_reuse_interval or dead
	Cause          string          `json:"cause,omitempty"` // of a dead one
	Summary        string          `json:"summary"`
	Advice         string          `json:"advice"`
	OriginToken    string          `json:"origin_token,omitempty"`  // set if it is about the family's number 0: code, assertion, imported or adopted
	TokenCounter   uint32          `json:"token_counter,omitempty"` // 0 if no refresh token was asked about
	IssuedAt       time.Time       `json:"issued_at,omitzero"`      // when the family began; zero if that is not known
	Family         *Family         `json:"family,omitempty"`        // nil if there is no record of it
	Timeline       []Moment        `json:"timeline,omitempty"`
	Recommendation *Recommendation `json:"recommendation,omitempty"` // nil if there is none
}

// Dead reports whether the token is refused.
func (e *Explanation) Dead() bool { return e.Verdict == "dead" }

// Recommendation is the reuse interval that would have kept 19 in 20 of the lost responses.
type Recommendation struct {
	ReuseInterval   int64 `json:"reuse_interval"`   // seconds
	WouldHaveKept   int   `json:"would_have_kept"`  // families
	Of              int   `json:"of"`               // families that reuse ended
	PresentInterval int64 `json:"present_interval"` // seconds
	Days            int   `json:"days"`             // how far back it looks
}

const explainPath = "/v1/explain"

// Explain returns what happened to a token. Asking changes nothing.
func (c *Client) Explain(ctx context.Context, q *Question) (*Explanation, error) {
	var e Explanation
	if err := c.call(ctx, request{method: http.MethodPost, path: explainPath, body: q}, &e); err != nil {
		return nil, err
	}
	return &e, nil
}
