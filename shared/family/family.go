// Package family is Rotor's protocol: what a family of refresh tokens is, when
// it ends, and what becomes of a token that is presented. It is pure: no I/O,
// no clock, no wire format.
//
// # The protocol
//
// All refresh tokens descended from one login are one family, and a family is
// one record. Its tokens are numbered from 1; the record's counter is the
// number of the newest. A refresh is one conditional write: "if the counter is
// still the one I carry, the last rotation is a reuse interval ago, and the
// family is alive, move it on by one". Whoever wins gets the successor. Whoever
// loses gets the record back and [Decide] says what it means: the newest token
// again, which is held and stays the newest; a racer or a lost response inside
// the reuse interval, which gets the newest token too; or a copy of the token in
// other hands, which ends the family (RFC 9700 §4.14.2).
//
// A family rotates at most once per reuse interval. So at any moment at most two
// of its tokens are good: the newest, and for the interval after the rotation its
// predecessor. A token that was superseded twice was outside the interval before
// the second time: it needs no memory to tell that it is reuse. Racers, retries,
// loops and answers that arrive out of order all carry the same token.
//
// # Threat model
//
// The record holds nothing that can be replayed: a token is its family and
// counter under a MAC, minted anew for each answer. A stolen token that is
// used after its owner's next rotation, and outside the reuse interval, ends
// the family for both, however fast the thief refreshes: no pace rotates more
// often than once per interval. A thief who always refreshes inside the interval,
// right after the victim, is given the same successor and cannot be told from
// a second tab by rotation alone: such uses are marked, with their age and
// whether address and user agent differ, so that they can be watched.
package family

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"
)

// ID names a family: the key of its user (16 bytes, an HMAC of the user id)
// and its ULID (16 bytes, which sorts by the time of issue).
type ID [32]byte

// ErrInvalidID is returned for a string that is no family id.
var ErrInvalidID = errors.New("not a family id")

var encoding = base64.RawURLEncoding.Strict()

// NewID names a new family of the user that begins at now.
func NewID(userKey [16]byte, now time.Time) (ID, error) {
	u, err := ulid.New(ulid.Timestamp(now), rand.Reader)
	if err != nil {
		return ID{}, fmt.Errorf("make a family id: %w", err)
	}
	return JoinID(userKey, u), nil
}

// JoinID is the id of the user's family with the given ULID.
func JoinID(userKey [16]byte, u ulid.ULID) ID {
	var id ID
	copy(id[:16], userKey[:])
	copy(id[16:], u[:])
	return id
}

// ParseID reads what [ID.String] wrote and nothing else.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != encoding.EncodedLen(len(id)) {
		return ID{}, ErrInvalidID
	}
	if n, err := encoding.Decode(id[:], []byte(s)); err != nil || n != len(id) {
		return ID{}, ErrInvalidID
	}
	if id.IssuedAt().Year() > 9999 { // JSON has no such time, and no family of ours began then
		return ID{}, ErrInvalidID
	}
	return id, nil
}

// String is the public id, 43 characters of base64url: enough to address the
// record, useless as a token.
func (id ID) String() string { return encoding.EncodeToString(id[:]) }

// MarshalText is [ID.String].
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UserKey is the key of the family's user.
func (id ID) UserKey() [16]byte { return [16]byte(id[:16]) }

// ULID is the family's own part of the id; access tokens carry it as sid.
func (id ID) ULID() ulid.ULID { return ulid.ULID(id[16:]) }

// IssuedAt is when the family began, to the millisecond.
func (id ID) IssuedAt() time.Time { return id.ULID().Timestamp().UTC() }

// Family is the record of one login of one user in one application. All times
// are whole milliseconds, UTC; the zero time means "none".
type Family struct {
	ID       ID
	UserID   string
	ClientID string

	// Counter is the number of the newest token. RotatedAt is when it became the
	// newest, and its predecessor was superseded; zero before the first rotation.
	Counter   uint32
	RotatedAt time.Time
	// Held is the number of the last token of which a use without a rotation is on
	// record. Where it equals Counter, the newest token has been used.
	Held uint32
	// RotationID is the mark that the last rotation's writer left: it tells its
	// own write, whose answer was lost, from another's.
	RotationID []byte
	// Skipped are the tokens that were issued, never used, and passed over
	// because their predecessor came back (see [UntilUsed]).
	Skipped Range

	ExpiresAt  time.Time // absolute end
	LastUsedAt time.Time
	KeepUntil  time.Time // end of the record, where ExpiresAt fixes it
	PurgeAt    time.Time // end of the record

	Scope    []string
	Audience []string // whom its access tokens are for; nil is the issuer
	Claims   string   // a JSON object, or ""
	AuthTime time.Time
	ACR      string
	AMR      []string

	Device        string
	LastIP        string
	LastUserAgent string

	ObservedAt time.Time // first reuse seen while reuse was only observed
	Revoked    Revocation
}

// Range is the numbers From to To, both included; empty where To is 0.
type Range struct{ From, To uint32 }

// Revocation is how a family was ended before its time.
type Revocation struct {
	At    time.Time // zero: not revoked
	Cause Cause
	// TokenCounter is the number of the token whose reuse ended the family, or 0;
	// ReuseAge is how long before that the token had been superseded, where known.
	TokenCounter uint32
	ReuseAge     time.Duration
	// Evict is the rule by which the limit ended the family, and Active is how many
	// the owner had then; both zero of any other cause, and of records of before there
	// were rules: then the oldest ended.
	Evict  Evict
	Active int
	// Event is the ULID of the event that records the revocation, or zero.
	Event ulid.ULID
}

// IssuedAt is when the family began.
func (f *Family) IssuedAt() time.Time { return f.ID.IssuedAt() }

// IdleEnd is when the family ends if it is not used again, or zero: the idle
// lifetime is the client's present policy, not the one at issue.
func (f *Family) IdleEnd(p *Policy) time.Time {
	if p.IdleLifetime == 0 {
		return time.Time{}
	}
	return f.LastUsedAt.Add(p.IdleLifetime.Duration())
}

// End is the earlier of the absolute and the idle end, or zero.
func (f *Family) End(p *Policy) time.Time {
	idle := f.IdleEnd(p)
	if f.ExpiresAt.IsZero() || !idle.IsZero() && idle.Before(f.ExpiresAt) {
		return idle
	}
	return f.ExpiresAt
}

// Death is the cause for which the family is dead at now, or "" while it lives.
// An end is exclusive: at the very millisecond of its end a family is dead.
func (f *Family) Death(p *Policy, now time.Time) Cause {
	if !f.Revoked.At.IsZero() {
		return f.Revoked.Cause
	}
	if f.IssuedAt().Before(p.NotBefore) {
		return ClientNotBefore
	}
	end := f.End(p)
	switch {
	case end.IsZero() || now.Before(end):
		return ""
	case end.Equal(f.ExpiresAt):
		return ExpiredAbsolute
	default:
		return ExpiredIdle
	}
}

// predecessor returns the number of the token that got the newest one: the one
// before it, or before those that were skipped to get there.
func (f *Family) predecessor() uint32 {
	if f.Skipped.To != 0 && f.Skipped.To == f.Counter-1 {
		return f.Skipped.From - 1
	}
	return f.Counter - 1
}

// sinceRotation returns how long before now the newest token was made, never
// negative: clocks differ.
func (f *Family) sinceRotation(now time.Time) time.Duration {
	return max(now.Sub(f.RotatedAt), 0)
}

// holds reports whether the family has rotated less than a reuse interval before
// now, so that its newest token stays the newest.
func (f *Family) holds(p *Policy, now time.Time) bool {
	return p.Rotation && f.sinceRotation(now) < p.ReuseInterval.Duration()
}

// longestUnrecorded bounds how far LastUsedAt stays behind the last use.
const longestUnrecorded = time.Minute

// MustRecord reports whether a use at now that rotated nothing, and that has the
// verdict v, must be written down: where the last use on record is too long ago
// for the idle lifetime, or where a predecessor that comes back would be taken for
// a lost response although the newest token has been used.
func (f *Family) MustRecord(v Verdict, p *Policy, now time.Time) bool {
	if v.Kind == Held && p.LostResponse == UntilUsed && f.Held != f.Counter {
		return true
	}
	behind := longestUnrecorded
	if p.IdleLifetime != 0 {
		behind = min(behind, p.IdleLifetime.Duration()/16)
	}
	return now.Sub(f.LastUsedAt) > behind
}
