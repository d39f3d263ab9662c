package tokensource

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/oauth2"
)

// state is what the data of a [Record] says, as JSON. Its times are by the wall
// clock of the process that wrote them, which may be wrong: they only ever make a
// process refresh too early or wait a bounded time; see held.
type state struct {
	Format int      `json:"format"`
	Logins []string `json:"logins"` // hashes of the refresh tokens that sessions began with, the newest first

	RefreshToken string         `json:"refresh_token"`
	AccessToken  string         `json:"access_token,omitempty"`
	TokenType    string         `json:"token_type,omitempty"`
	ExpiresIn    int64          `json:"expires_in,omitempty"` // in seconds from ObtainedAt; 0 for no known end
	ObtainedAt   time.Time      `json:"obtained_at"`
	Extra        map[string]any `json:"extra,omitempty"`
	// AfterRejection says that the access token was obtained because its predecessor
	// was rejected by a resource server.
	AfterRejection bool `json:"after_rejection,omitempty"`

	Attempt *attempt `json:"attempt,omitempty"` // since the refresh token was obtained
	Refusal *refusal `json:"refusal,omitempty"` // the refresh token is dead
}

// attempt is the use of the refresh token under way, or the last, which failed.
type attempt struct {
	Claim string        `json:"claim,omitempty"` // whose it is; "" when it is over
	At    time.Time     `json:"at"`
	Pause time.Duration `json:"pause"` // nobody else uses the token for so long
	Count int           `json:"count"`
	// DoubtSince is when the token was first used without an answer that says what
	// became of it: the provider may have replaced it then.
	DoubtSince time.Time `json:"doubt_since,omitzero"`
}

// refusal is the provider's answer to a dead token.
type refusal struct {
	By          string `json:"by"` // the client, the token endpoint, and the parameters
	Status      int    `json:"status"`
	Code        string `json:"code"`
	Description string `json:"description,omitempty"`
	URI         string `json:"uri,omitempty"`
}

const format = 1

// encode is the data of a new record.
func (st state) encode() ([]byte, error) {
	st.Format = format
	b, err := json.Marshal(st) //nolint:gosec // tokens are what it is there for
	if err != nil {
		return nil, fmt.Errorf("encode the token record: %w", err)
	}
	return b, nil
}

func decode(r Record) (state, error) {
	var st state
	if r.Version == 0 {
		return st, nil
	}
	if err := json.Unmarshal(r.Data, &st); err != nil {
		return st, fmt.Errorf("record %d is no token record", r.Version) // the cause may quote the data
	}
	if st.Format != format {
		return st, fmt.Errorf("record %d has format %d, and this program knows format %d", r.Version, st.Format, format)
	}
	return st, nil
}

// fingerprint tells refresh tokens, or parameters, apart without holding them.
func fingerprint(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// held is a record as this process sees it.
//
// There is no clock that two processes share, so the age of an access token that
// another one saved is read off two wall clocks, never less than 0; from then on
// it is counted here, by the clock that moves further. A clock that is ahead makes
// the token look older, and costs a refresh; one that is behind makes it look as
// good as new, at most for its whole lifetime, and the 401 of a resource server
// costs a refresh.
type held struct {
	state
	version uint64
	found   moment        // when this process first saw this version
	first   moment        // when it first saw the access token
	age     time.Duration // of the access token then
	jitter  float64
}

// hold is st as seen now, after earlier, which may be nil.
func hold(st state, version uint64, earlier *held, now moment, jitter float64) *held {
	h := &held{state: st, version: version, found: now, first: now, jitter: jitter}
	h.age = max(0, now.wall.Sub(st.ObtainedAt))
	if earlier == nil {
		return h
	}
	if earlier.version == version {
		h.found = earlier.found
	}
	if earlier.AccessToken == st.AccessToken && earlier.ObtainedAt.Equal(st.ObtainedAt) {
		h.first, h.age, h.jitter = earlier.first, earlier.age, earlier.jitter
	}
	return h
}

// Before its end an access token is refreshed early, as long as the refresh may
// still fail, and not used at all when it would be late at the resource server.
// Where an eighth of the lifetime is less, it is that.
const (
	early   = 30 * time.Second // and up to as much again, at random: sharers do not all begin at once
	tooLate = 10 * time.Second
)

// remaining is how long the access token lives from now. Without an expires_in
// nobody knows, and it is taken to live until it is rejected.
func (h *held) remaining(now moment) (d, lifetime time.Duration, ends bool) {
	lifetime = time.Duration(h.ExpiresIn) * time.Second
	return lifetime - h.age - now.since(h.first), lifetime, h.ExpiresIn > 0
}

// fresh is: good, and not yet to be refreshed.
func (h *held) fresh(now moment) bool {
	d, lifetime, ends := h.remaining(now)
	margin := float64(min(early, lifetime/8)) * (1 + h.jitter)
	return h.AccessToken != "" && (!ends || d > time.Duration(margin))
}

// good is: may be used.
func (h *held) good(now moment) bool {
	d, lifetime, ends := h.remaining(now)
	return h.AccessToken != "" && (!ends || d > min(tooLate, lifetime/8))
}

// token is the access token for a caller. The refresh token is not for them: a
// copy of it elsewhere is how sessions end.
func (h *held) token(now moment) *oauth2.Token {
	t := &oauth2.Token{AccessToken: h.AccessToken, TokenType: h.TokenType}
	if d, _, ends := h.remaining(now); ends {
		t.Expiry = now.wall.Add(d)
		t.ExpiresIn = int64(d / time.Second)
	}
	if h.Extra != nil {
		return t.WithExtra(h.Extra)
	}
	return t
}
