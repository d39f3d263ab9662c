// Package family is Rotor's protocol. It says what a family of refresh tokens is,
// when it ends, and what a token that is presented means. It is pure: it does no I/O,
// reads no clock and knows no wire format.
//
// # The protocol
//
// All refresh tokens descended from one login are one family, and a family is
// one record. Its tokens are numbered from 1; the record's counter is the
// number of the newest. What the family was started from, such as an authorization
// code, is its token number 0; see [Origin]. A refresh is one conditional write: "if the counter is
// still the one I carry, the last rotation is a reuse interval ago, and the
// family is alive, move it on by one". The request that wins gets the successor. A
// request that loses gets the record, and [Decide] says what it means. It may be the
// newest token again, which is held and stays the newest. It may be a request that
// raced, or a lost response, within the reuse interval: that gets the newest token
// too. Or somebody else has a copy of the token, and the family ends (RFC 9700
// §4.14.2).
//
// A family rotates at most once per reuse interval. So at any moment at most two
// of its tokens are good: the newest and, for the interval after the rotation, its
// predecessor. A token that was superseded twice was outside the interval before
// the second time, so reuse is recognized without a list of used tokens. Requests
// that race, retries, loops and answers that arrive out of order all carry the same
// token.
//
// A family may be bound to a key, when it begins or by a key of the browser's device. Then
// nothing of it is used without a proof of that key. With the proof a superseded token is
// a lost response, at any age, and gets the newest one.
//
// # Threat model
//
// The record holds nothing that can be replayed: a token is its family and
// counter under a MAC, minted anew for each answer. A stolen token that is
// used after its owner's next rotation, and outside the reuse interval, ends
// the family for both. It does not matter how fast the thief refreshes, since a
// family rotates no more than once per interval. A thief who always refreshes within
// the interval, right after the victim, gets the same successor, and rotation alone
// cannot tell them apart from a second tab. Such uses are recorded with their age and with
// whether address and user agent differ, so that they can be watched.
//
// A stolen token of a bound family is worth nothing without the key, and who presents it
// ends nothing. If the key was copied as well, nothing tells the thief from the holder, but
// a use outside the interval is an event.
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

// ErrInvalidID is returned for a string that is not a family id.
var ErrInvalidID = errors.New("not a family id")

var encoding = base64.RawURLEncoding.Strict()

// NewID returns the id of a new family of the user that begins at now.
func NewID(userKey [16]byte, now time.Time) (ID, error) {
	u, err := ulid.New(ulid.Timestamp(now), rand.Reader)
	if err != nil {
		return ID{}, fmt.Errorf("make a family id: %w", err)
	}
	return JoinID(userKey, u), nil
}

// JoinID returns the id of the user's family with the given ULID.
func JoinID(userKey [16]byte, u ulid.ULID) ID {
	var id ID
	copy(id[:16], userKey[:])
	copy(id[16:], u[:])
	return id
}

// ParseID parses what [ID.String] returned, and nothing else.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != encoding.EncodedLen(len(id)) {
		return ID{}, ErrInvalidID
	}
	if n, err := encoding.Decode(id[:], []byte(s)); err != nil || n != len(id) {
		return ID{}, ErrInvalidID
	}
	if id.IssuedAt().Year() > 9999 { // JSON cannot express such a time
		return ID{}, ErrInvalidID
	}
	return id, nil
}

// String returns the public id, 43 characters of base64url. It addresses the record and
// is useless as a token.
func (id ID) String() string { return encoding.EncodeToString(id[:]) }

// MarshalText returns [ID.String].
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UserKey returns the key of the family's user.
func (id ID) UserKey() [16]byte { return [16]byte(id[:16]) }

// ULID returns the family's own part of the id, which access tokens carry as sid.
func (id ID) ULID() ulid.ULID { return ulid.ULID(id[16:]) }

// IssuedAt returns when the family began, to the millisecond.
func (id ID) IssuedAt() time.Time { return id.ULID().Timestamp().UTC() }

// Family is the record of one login of a user in an application. All times are whole
// milliseconds in UTC, and the zero time means "none".
type Family struct {
	ID       ID
	UserID   string
	ClientID string

	// Origin is what the family was started from, its token number 0.
	Origin Origin

	// JKT is the SHA-256 thumbprint (RFC 7638) of the key that the family is bound to, or nil. It is set
	// when the family begins, or when a browser's device key is registered for it, and never changes.
	// BoundAt is when a device key came into force, and zero for a key of the application's own (DPoP).
	JKT     []byte
	BoundAt time.Time
	// Counter is the number of the newest token, and 0 while the family is pending. RotatedAt is
	// when that token became the newest and superseded its predecessor; zero before the first
	// rotation.
	Counter   uint32
	RotatedAt time.Time
	// Held is the number of the last token whose use without a rotation is on record.
	// If it equals Counter, the newest token has been used.
	Held uint32
	// RotationID is the mark of the request that rotated last. A request recognizes its own
	// write by it if the answer was lost.
	RotationID []byte
	// Skipped are the tokens that were issued but never used, and were skipped when their
	// predecessor was presented again; see [UntilUsed].
	Skipped Range

	ExpiresAt  time.Time // absolute end
	LastUsedAt time.Time
	KeepUntil  time.Time // when the record may be deleted, if ExpiresAt fixes that
	PurgeAt    time.Time // when the record may be deleted

	Scope    []string
	Audience []string // of its access tokens; nil means the issuer
	Claims   string   // a JSON object, or ""
	AuthTime time.Time
	ACR      string
	AMR      []string

	Device        string
	LastIP        string
	LastUserAgent string

	// ObservedAt is when reuse was first observed, but not acted on. For a family that is bound to
	// a key it is when a [Proven] use was last stored as an event.
	ObservedAt time.Time
	Revoked    Revocation
}

// KeyThumbprint returns the thumbprint of the application's own key that the family is bound to, as tokens have
// it: 43 characters of base64url. It is "" if there is none.
func (f *Family) KeyThumbprint() string {
	if !f.BoundAt.IsZero() { // the browser's key, of which the application knows nothing
		return ""
	}
	return EncodeThumbprint(f.JKT)
}

// EncodeThumbprint returns a thumbprint in base64url, "" for nil.
func EncodeThumbprint(jkt []byte) string { return encoding.EncodeToString(jkt) }

// Bound reports whether only who has a key can use the family's tokens.
func (f *Family) Bound() bool { return f.JKT != nil }

// Range holds the numbers From to To, both included. It is empty if To is 0.
type Range struct{ From, To uint32 }

// Revocation holds when and why a family was ended early.
type Revocation struct {
	At    time.Time // zero if it is not revoked
	Cause Cause
	// If reuse ended the family, TokenCounter is the number of the token that was reused, and
	// ReuseAge is how long before the reuse it had been superseded.
	TokenCounter uint32
	ReuseAge     time.Duration
	// Evict is the rule by which the limit ended the family, and Active is how many
	// active families the owner had then. Both are zero for any other cause, and in
	// records from before there were rules, when the oldest ended.
	Evict  Evict
	Active int
	// Event is the ULID of the event that records the revocation, or zero.
	Event ulid.ULID
}

// IssuedAt returns when the family began.
func (f *Family) IssuedAt() time.Time { return f.ID.IssuedAt() }

// IdleEnd returns when the family ends if it is not used again, or zero if it has no
// idle end. The idle lifetime is that of the client's present policy, not of the one
// at the login.
func (f *Family) IdleEnd(p *Policy) time.Time {
	if p.IdleLifetime == 0 {
		return time.Time{}
	}
	return f.LastUsedAt.Add(p.IdleLifetime.Duration())
}

// End returns the earlier of the absolute and the idle end, or zero if there is neither.
func (f *Family) End(p *Policy) time.Time {
	idle := f.IdleEnd(p)
	if f.ExpiresAt.IsZero() || !idle.IsZero() && idle.Before(f.ExpiresAt) {
		return idle
	}
	return f.ExpiresAt
}

// Death returns why the family is dead at now, or "" if it is alive. An end is exclusive: at
// the very millisecond of its end a family is dead.
func (f *Family) Death(p *Policy, now time.Time) Cause { return f.death(p, now, f.Pending()) }

// DeathOnceBegun returns what [Family.Death] returns of a family whose code was exchanged, also
// if the record does not know that. It is for who has a token of the family: then the table was
// restored from a backup that is older than the exchange. It is for revocations as well, so that
// no such token, and no server whose clock is behind, begins the family after it was to end.
func (f *Family) DeathOnceBegun(p *Policy, now time.Time) Cause { return f.death(p, now, false) }

func (f *Family) death(p *Policy, now time.Time, pending bool) Cause {
	if !f.Revoked.At.IsZero() {
		return f.Revoked.Cause
	}
	if f.IssuedAt().Before(p.NotBefore) {
		return ClientNotBefore
	}
	if pending && f.Origin.Kind == Code && !now.Before(f.Origin.Until) {
		return CodeExpired
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

// predecessor returns the number of the token that was exchanged for the newest one:
// the one before it, or before those that were skipped.
func (f *Family) predecessor() uint32 {
	if f.Skipped.To != 0 && f.Skipped.To == f.Counter-1 {
		return f.Skipped.From - 1
	}
	return f.Counter - 1
}

// sinceRotation returns how long before now the newest token was made. It is never
// negative, although the clocks of servers differ.
func (f *Family) sinceRotation(now time.Time) time.Duration {
	return max(now.Sub(f.RotatedAt), 0)
}

// holds reports whether the family rotated less than a reuse interval before now, so
// that its newest token stays the newest.
func (f *Family) holds(p *Policy, now time.Time) bool {
	return p.Rotation && f.sinceRotation(now) < p.ReuseInterval.Duration()
}

// maxUnrecorded is how far LastUsedAt may be behind the last use.
const maxUnrecorded = time.Minute

// MustRecord reports whether a use at now that rotated nothing, with the verdict v, must be
// recorded. One reason is that the last recorded use is too long ago for the idle lifetime.
// The other is that the record would not show that the newest token has been used, so that its
// predecessor would be taken for a lost response.
func (f *Family) MustRecord(v Verdict, p *Policy, now time.Time) bool {
	if v.Kind == Held && p.LostResponse == UntilUsed && f.Held != f.Counter {
		return true
	}
	behind := maxUnrecorded
	if p.IdleLifetime != 0 {
		behind = min(behind, p.IdleLifetime.Duration()/16)
	}
	return now.Sub(f.LastUsedAt) > behind
}

// lateStored is how often [Proven] uses of a family are stored as an event, at most. Each is in the log.
const lateStored = time.Hour

// MustStoreLate reports whether a [Proven] use at now must be stored as an event.
func (f *Family) MustStoreLate(now time.Time) bool { return !f.ObservedAt.After(LateStoredSince(now)) }

// LateStoredSince returns the time after which an event of a [Proven] use is recent enough at now that no other
// is stored.
func LateStoredSince(now time.Time) time.Time { return now.Add(-lateStored) }
