package tokensource

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/oauth2"
)

// state is the data of a [Record], as JSON. Its times are by the wall clock of the
// process that wrote them, which may be wrong. A wrong time only makes a process
// refresh early or wait for a bounded time; see [held].
type state struct {
	Format int      `json:"format"`
	Logins []string `json:"logins"` // hashes of the refresh tokens of logins, the newest first

	RefreshToken string         `json:"refresh_token"`
	AccessToken  string         `json:"access_token,omitempty"`
	TokenType    string         `json:"token_type,omitempty"`
	ExpiresIn    int64          `json:"expires_in,omitempty"` // in seconds from ObtainedAt; 0 if it has no known end
	ObtainedAt   time.Time      `json:"obtained_at"`
	Extra        map[string]any `json:"extra,omitempty"`
	// AfterRejection is set if the access token was obtained because a resource
	// server rejected its predecessor.
	AfterRejection bool `json:"after_rejection,omitempty"`

	Attempt *attempt `json:"attempt,omitempty"` // the last one since the refresh token was obtained
	Refusal *refusal `json:"refusal,omitempty"` // the refresh token is dead

	// Key is what the session is bound to, and is made once for the record. It stays, whatever
	// else is saved.
	Key *recordKey `json:"dpop_key,omitempty"`
}

// attempt is the use of the refresh token that is in progress, or the last one, which
// failed.
type attempt struct {
	Claim string        `json:"claim,omitempty"` // who makes it; "" when it is over
	At    time.Time     `json:"at"`
	Pause time.Duration `json:"pause"` // how long nobody else uses the token
	Count int           `json:"count"`
	// DoubtSince is when the token was first used without a response that says what
	// became of it, so that the provider may have replaced it.
	DoubtSince time.Time `json:"doubt_since,omitzero"`
}

// refusal is the provider's response to a dead token.
type refusal struct {
	By          string `json:"by"` // the client, the token endpoint, and the parameters
	Status      int    `json:"status"`
	Code        string `json:"code"`
	Description string `json:"description,omitempty"`
	URI         string `json:"uri,omitempty"`
}

// isLogout reports whether the refusal is none of the provider's: the package for JavaScript, which
// may share the record, notes a logout so until the provider has heard of it.
func (r *refusal) isLogout() bool { return r != nil && r.Code == "logged_out" }

// The formats. A program that does not know keys would lose one with its next save, so a record
// with a key has a format that such a program refuses.
const (
	format     = 1
	formatKeys = 2
)

// encode returns the data of a new record.
func (st state) encode() ([]byte, error) {
	st.Format = format
	if st.Key != nil {
		st.Format = formatKeys
	}
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
	if err := json.Unmarshal(r.Data, &st); errors.Is(err, errRecordKey) {
		return state{}, fmt.Errorf("record %d: %w", r.Version, errRecordKey)
	} else if err != nil {
		return st, fmt.Errorf("record %d is no token record", r.Version) // the cause may quote the data
	}
	if st.Format != format && st.Format != formatKeys {
		return st, fmt.Errorf("record %d has format %d, but this program supports only the formats %d and %d", r.Version, st.Format, format, formatKeys)
	}
	return st, nil
}

// fingerprint returns a hash that tells refresh tokens, or parameters, apart without
// disclosing them.
func fingerprint(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// held is a record as this process sees it.
//
// Processes share no clock, so the age of an access token that another process has
// saved is the difference of two wall clocks, and at least 0. From then on it is
// counted here, by the clock that moves further. If this process's clock is ahead,
// the token looks older, which costs a refresh. If it is behind, the token looks
// new, at most for its whole lifetime again, and the 401 of a resource server causes
// a refresh.
type held struct {
	state
	version uint64
	found   moment        // when this process first saw this version
	first   moment        // when it first saw the access token
	age     time.Duration // the access token's age at first
	jitter  float64
}

// hold returns st as this process sees it now. earlier is what it saw before, or
// nil.
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

// How long before its end an access token is refreshed, so that the refresh may
// still fail, and how long before its end it is no longer used, so that it is still
// valid at the resource server. An eighth of the lifetime if that is less.
const (
	early   = 30 * time.Second // plus up to as much again, at random, so that processes do not all begin at once
	tooLate = 10 * time.Second
)

// remaining returns how long the access token lives from now. ends is false if it
// has no expires_in; it then counts as valid until it is rejected.
func (h *held) remaining(now moment) (d, lifetime time.Duration, ends bool) {
	lifetime = time.Duration(h.ExpiresIn) * time.Second
	return lifetime - h.age - now.since(h.first), lifetime, h.ExpiresIn > 0
}

// fresh reports whether the access token can be used and is not due to be refreshed.
func (h *held) fresh(now moment) bool {
	d, lifetime, ends := h.remaining(now)
	margin := float64(min(early, lifetime/8)) * (1 + h.jitter)
	return h.AccessToken != "" && (!ends || d > time.Duration(margin))
}

// good reports whether the access token can be used.
func (h *held) good(now moment) bool {
	d, lifetime, ends := h.remaining(now)
	return h.AccessToken != "" && (!ends || d > min(tooLate, lifetime/8))
}

// token returns the access token for a caller. It leaves the refresh token out,
// because a second copy of that would end the session.
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
