// Package audit writes the audit trail: one JSON log line for each event in the life
// of a token, with the type codes that Auth0's dashboards read. Tokens, secrets and
// MACs are never part of an event.
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

	CodeExchanged Type = "seacft" // an authorization code was exchanged for the first tokens
	CodeRefused   Type = "feacft" // an authorization code was refused, with the cause

	AssertionExchanged Type = "secte" // an assertion of a trusted issuer was exchanged for the first tokens
	AssertionRefused   Type = "fecte" // an assertion was refused, with the cause

	DeviceBound      Type = "device_bound"       // a family was bound to a key of its browser's device
	DeviceRenewed    Type = "device_renewed"     // a browser proved to have that key, and got a new device cookie
	DeviceNotRenewed Type = "device_not_renewed" // a request came without a good device cookie, which the browser has yet to renew

	Reuse     Type = "ferrt" // reuse was detected and the family revoked (or would have been)
	Revoked   Type = "srrt"  // a family was revoked on request
	Cleanup   Type = "resource_cleanup"
	LateUse   Type = "late_use" // a superseded token was accepted long after its time, since its bearer has the family's key
	Ahead     Type = "ahead"    // a token was newer than its record: the table was restored from a backup
	Erased    Type = "sdu"      // all records of a user were erased on request
	Operation Type = "sapi"     // a call of the management API that changes something, or was refused

	OriginRefused Type = "fco" // a request from a web origin that may not call was refused
)

// InvalidClient is the cause of a [Refused] event in which the client failed to
// authenticate, so that its token was not looked at.
const InvalidClient family.Cause = "invalid_client"

// InvalidAssertion is the cause of an [AssertionRefused] event in which the assertion is not
// one of a trusted issuer, or not a good one. The reason says more.
const InvalidAssertion family.Cause = "invalid_assertion"

// Change is a change by an [Operation] that is relevant to security.
type Change string

// The changes.
const (
	BecamePublic     Change = "became_public" // a confidential client
	MayIntrospectOn  Change = "may_introspect_on"
	MayForwardOn     Change = "may_forward_on" // Rotor now believes what the client says of its users' addresses
	TrustWidened     Change = "trust_widened"  // an issuer's assertions start families that could not be started before
	AdoptionOn       Change = "adoption_on"    // whom the token endpoint of another provider names is logged in, or it is another endpoint
	CookieOff        Change = "cookie_off"     // its refresh tokens are within reach of scripts
	DPoPLowered      Change = "dpop_lowered"   // families may begin without a key that had to have one, or that could
	DeviceBoundOff   Change = "device_bound_off"
	ObserveOn        Change = "observe_on" // reuse is recorded but not acted upon, or for longer than before
	RotationOff      Change = "rotation_off"
	NotBeforeSet     Change = "not_before_set"
	NotBeforeLowered Change = "not_before_lowered" // families that it had ended are alive again
	SecretAdded      Change = "secret_added"
	KeyAdded         Change = "key_added"          // the client authenticates by one more key, or by those at another address
	RedirectURIAdded Change = "redirect_uri_added" // a browser may be sent to one more address, with a code or after a logout
)

// Event is an entry of the audit trail. Which members are set depends on the type.
// Empty ones are left out of the log line.
type Event struct {
	ID        ulid.ULID
	Type      Type
	At        time.Time
	UserID    string
	ClientID  string
	User      [16]byte  // the user's key, if the event has no family
	Family    family.ID // or zero
	IP        string
	UserAgent string
	RequestID string
	By        string // who called the management API: the ARN of an IAM principal

	// ForwardedBy is the address that the request came from, if IP and UserAgent are
	// those that the client forwarded of its user.
	ForwardedBy    string
	ForwardIgnored bool // the client forwarded an address without being allowed to

	Cause         family.Cause
	Reason        string            // why it was refused, if the caller is told less
	Issuer        string            // the trusted issuer that a refused assertion names
	Origin        string            // the web origin that was refused
	Unregistered  bool              // no client is registered under ClientID
	OriginToken   family.OriginKind // set if the token presented is the family's number 0
	TokenCounter  uint32            // of the token presented
	LatestCounter uint32            // of the family's newest token
	Held          bool              // the newest token was used again within the reuse interval after its rotation, and stays the newest
	Reused        bool              // a superseded token was accepted within the reuse interval
	Observed      bool              // reuse was recorded, but not acted upon
	Late          bool              // a superseded token was accepted outside the reuse interval, since its bearer has the family's key
	ByDevice      bool              // a device cookie took the place of the token
	LostResponse  bool              // the successor was never used, so the token was accepted in its stead
	Age           time.Duration     // since the token was superseded, for reuse; since it was made, for a held one
	OtherIP       bool              // the last use on record came from another address
	OtherAgent    bool              // the last use on record came from another user agent

	// Set for a cleanup and for a revocation of several families: the ids of the
	// families (of the user). For a cleanup, also its rule, and how many were active
	// before and after.
	Families []ulid.ULID
	Evict    family.Evict
	Start    int
	Removed  int
	End      int

	// Set for an erasure: how many records were erased. The event has the user's
	// key, and nothing else that tells who the user was.
	ErasedFamilies int
	ErasedEvents   int

	// Set for an operation.
	Name     string   // such as put_client
	Status   int      // of the response; from 500 on, the operation may have been done nevertheless
	SecretID string   // the client secret that the operation concerned
	Changes  []Change // none if it was refused
	DryRun   bool     // the operation only counted, and changed nothing
}

// UserKey returns the key of the user whom the event concerns.
func (e *Event) UserKey() [16]byte {
	if e.Family != (family.ID{}) {
		return e.Family.UserKey()
	}
	return e.User
}

// EncodeUserKey returns the key of a user as it appears in events: 22 characters of
// base64url.
func EncodeUserKey(key [16]byte) string { return base64.RawURLEncoding.EncodeToString(key[:]) }

// DecodeUserKey reverses [EncodeUserKey]. ok is false if s is not in its form.
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

// Trail is the log that events are written to.
type Trail struct {
	Log *slog.Logger
	// Metrics adds to each line the members from which CloudWatch makes metrics.
	Metrics bool
	// Stage is the dimension of all metrics that keeps two services of one account
	// apart, or "" for none. Log must write it, as stage, into every line.
	Stage string
}

// Record logs e as one line.
func (t Trail) Record(ctx context.Context, e *Event) {
	level := slog.LevelInfo
	if e.Type == Reuse || e.Type == LateUse || e.Type == Ahead || e.Type == OriginRefused {
		level = slog.LevelWarn
	}
	attrs := e.attrs()
	if t.Metrics {
		attrs = append(attrs, e.metrics(t.Stage)...)
	}
	t.Log.LogAttrs(ctx, level, "audit", attrs...)
}

// attrs returns e's members under the names that log lines, stored events and saved
// queries share.
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
	text("issuer", Hide(e.Issuer))
	text("origin", e.Origin)
	text("originToken", string(e.OriginToken))
	number("tokenCounter", e.TokenCounter)
	number("latestCounter", e.LatestCounter)
	flag("held", e.Held)
	flag("reused", e.Reused)
	flag("observed", e.Observed)
	flag("late", e.Late)
	flag("lostResponse", e.LostResponse)
	flag("byDevice", e.ByDevice)
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
	text("http_request_id", e.RequestID) // the functions add the invocation's as function_request_id
	return attrs
}
