// Package audit is the trail that Rotor leaves: what happened to which token,
// as one JSON log line each, in the type codes that Auth0's dashboards read.
// Neither tokens nor secrets nor MACs are ever part of an event.
package audit

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/family"
)

// Type is the code of an event.
type Type string

// The types of events.
const (
	Exchanged Type = "sertft" // a refresh token was exchanged for its successor
	Refused   Type = "fertft" // a refresh token was refused, with the cause
	Reuse     Type = "ferrt"  // reuse was detected and the family revoked (or would have been)
	Revoked   Type = "srrt"   // a family was revoked on request
	Cleanup   Type = "resource_cleanup"
	Ahead     Type = "ahead" // a token newer than the table: a restored backup
	Erased    Type = "sdu"   // all that is kept of a user was erased on request
	Operation Type = "sapi"  // a call of the management API that changes something, or was refused

	OriginRefused Type = "fco" // a request from a web origin that may not call, before anything was read
)

// InvalidClient is the cause of a [Refused] event in which not the token was
// refused, but the client: who it says it is was not proven.
const InvalidClient family.Cause = "invalid_client"

// Change is what an [Operation] changed that somebody should know of.
type Change string

// The changes.
const (
	BecamePublic     Change = "became_public" // a client that was confidential
	MayIntrospectOn  Change = "may_introspect_on"
	MayForwardOn     Change = "may_forward_on" // the client is believed about the addresses of its users
	ObserveOn        Change = "observe_on"     // reuse is no longer acted upon, or for longer than it was
	RotationOff      Change = "rotation_off"
	NotBeforeSet     Change = "not_before_set"
	NotBeforeLowered Change = "not_before_lowered" // families that were ended by it live again
	SecretAdded      Change = "secret_added"
)

// Event is one thing that happened. Which members are set depends on the type;
// empty ones are left out of the log line.
type Event struct {
	ID        ulid.ULID
	Type      Type
	At        time.Time
	UserID    string
	ClientID  string
	User      [16]byte  // the user's key, of an event without a family
	Family    family.ID // or zero
	IP        string
	UserAgent string
	RequestID string
	By        string // who called the management API: the ARN of an IAM principal

	// ForwardedBy is the address that the request came from, where IP and UserAgent
	// are not seen but told: by the client, of its user.
	ForwardedBy    string
	ForwardIgnored bool // the client told of a user, and may not

	Cause         family.Cause
	Reason        string        // why it was refused, where the caller is told less
	Origin        string        // that was refused
	Unregistered  bool          // no client is known to have the id in ClientID
	TokenCounter  uint32        // of the token presented
	LatestCounter uint32        // of the family's newest token
	Held          bool          // the newest token was used inside the interval after its rotation, and stays the newest
	Reused        bool          // a superseded token was honoured inside the reuse interval
	Observed      bool          // reuse that was recorded, but not acted upon
	LostResponse  bool          // the successor had never been used, and was skipped
	Age           time.Duration // since the token was superseded, of any reuse; since it was made, of a held one
	OtherIP       bool          // the last use on record came from another address than this one
	OtherAgent    bool          // likewise for the user agent

	// Of a cleanup and of a revocation of many: which families (of the user), and
	// of a cleanup by which rule, and how many were active before and after.
	Families []ulid.ULID
	Evict    family.Evict
	Start    int
	Removed  int
	End      int

	// Of an erasure: how many there were. It bears the user's key, and nothing else
	// that tells who the user was.
	ErasedFamilies int
	ErasedEvents   int

	// Of an operation.
	Name     string   // of the operation, such as put_client
	Status   int      // of the answer: from 500 on, it may have been done all the same
	SecretID string   // of the client's secret that it was about
	Changes  []Change // none where it was refused
	DryRun   bool     // it was to count, and change nothing
}

// UserKey is the key of the user whom the event is of.
func (e *Event) UserKey() [16]byte {
	if e.Family != (family.ID{}) {
		return e.Family.UserKey()
	}
	return e.User
}

// EncodeUserKey returns the key of a user as events show it: 22 characters of
// base64url.
func EncodeUserKey(key [16]byte) string { return base64.RawURLEncoding.EncodeToString(key[:]) }

// DecodeUserKey is the inverse of [EncodeUserKey]; ok is false for anything else.
func DecodeUserKey(s string) (key [16]byte, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(key) || base64.RawURLEncoding.EncodeToString(b) != s {
		return key, false
	}
	return [16]byte(b), true
}

// New returns an event of type t at now, with a new ID. It panics for a time that
// no ULID can hold, which is one after the year 10889.
func New(t Type, now time.Time) Event {
	return Event{ID: ulid.MustNew(ulid.Timestamp(now), rand.Reader), Type: t, At: now}
}

// Trail is where events are written.
type Trail struct {
	Log *slog.Logger
	// Metrics adds to each line what CloudWatch makes metrics of.
	Metrics bool
}

// Record writes e as one line.
func (t Trail) Record(ctx context.Context, e *Event) {
	level := slog.LevelInfo
	if e.Type == Reuse || e.Type == Ahead || e.Type == OriginRefused {
		level = slog.LevelWarn
	}
	attrs := e.attrs()
	if t.Metrics {
		attrs = append(attrs, e.metrics()...)
	}
	t.Log.LogAttrs(ctx, level, "audit", attrs...)
}

// attrs are e's members under the names that the log lines, the stored events
// and the saved queries share.
func (e *Event) attrs() []slog.Attr {
	attrs := make([]slog.Attr, 0, 20)
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	number := func(key string, value uint32) {
		if value != 0 {
			attrs = append(attrs, slog.Uint64(key, uint64(value)))
		}
	}
	flag := func(key string, value bool) {
		if value {
			attrs = append(attrs, slog.Bool(key, true))
		}
	}
	text("type", string(e.Type))
	text("eventId", e.ID.String())
	text("userId", Hide(e.UserID))
	text("clientId", Hide(e.ClientID))
	if e.Family != (family.ID{}) {
		text("familyId", e.Family.String())
	}
	text("operation", e.Name)
	if e.Status != 0 {
		attrs = append(attrs, slog.Int("status", e.Status))
	}
	text("secretId", e.SecretID)
	if len(e.Changes) > 0 {
		attrs = append(attrs, slog.Any("changes", e.Changes))
	}
	flag("dryRun", e.DryRun)
	text("by", Hide(e.By))
	text("cause", string(e.Cause))
	text("reason", e.Reason)
	text("origin", e.Origin)
	number("tokenCounter", e.TokenCounter)
	number("latestCounter", e.LatestCounter)
	flag("held", e.Held)
	flag("reused", e.Reused)
	flag("observed", e.Observed)
	flag("lostResponse", e.LostResponse)
	if e.Age > 0 || e.Reused || e.Held {
		attrs = append(attrs, slog.Int64("ageMs", e.Age.Milliseconds()))
	}
	flag("otherIp", e.OtherIP)
	flag("otherUserAgent", e.OtherAgent)
	if (e.Type == Erased || e.Type == Operation) && e.User != [16]byte{} {
		attrs = append(attrs, slog.String("userKey", EncodeUserKey(e.User)))
	}
	if e.Type == Erased {
		attrs = append(attrs, slog.Int("erasedFamilies", e.ErasedFamilies), slog.Int("erasedEvents", e.ErasedEvents))
	}
	if e.Families != nil {
		if e.Type == Cleanup {
			text("evict", string(e.Evict))
			attrs = append(attrs, slog.Int("start", e.Start), slog.Int("endCount", e.End))
		}
		attrs = append(attrs, slog.Int("removedCount", e.Removed), slog.Any("families", e.Families))
	}
	text("ip", e.IP)
	text("userAgent", Hide(e.UserAgent))
	text("forwardedBy", e.ForwardedBy)
	flag("forwardIgnored", e.ForwardIgnored)
	text("http_request_id", e.RequestID) // the runtime adds the invocation's as requestId
	return attrs
}
