package session

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/proof"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/token"
)

// Errors of sessions that are bound to a key of a browser's device.
var (
	// ErrNotRenewed is returned for a request that lacks a good device cookie, while a renewal may yet give the browser
	// one. Nothing has changed.
	ErrNotRenewed = errors.New("the browser has to renew the session's device cookie first")
	// ErrStaleChallenge is returned for a challenge that is too old, or was not made here.
	ErrStaleChallenge = errors.New("the challenge is too old, or not one of the service")
	// ErrNotASession is returned for a string that names no device-bound session of the service.
	ErrNotASession = errors.New("it is not the identifier of a session")
)

// DeviceSession is a session of a browser that is bound, or about to be bound, to a key of the browser's device. The
// browser keeps all of it, under a MAC, so that no record is read before its proofs are verified.
type DeviceSession struct {
	Family   family.ID
	ClientID string
	Key      proof.DeviceKey
}

// SealDevice returns the identifier of a session.
func (e *Engine) SealDevice(keys *keyring.Keys, s DeviceSession, now time.Time) (string, error) {
	key, err := s.Key.MarshalBinary()
	if err != nil {
		return "", fmt.Errorf("name a device-bound session: %w", err)
	}
	content := binary.BigEndian.AppendUint16(nil, uint16(len(key))) //nolint:gosec // no accepted key has more than 517 bytes
	content = append(append(content, key...), s.ClientID...)
	return keys.Codec.Seal(token.DeviceSession, s.Family, content, now), nil
}

// OpenDevice returns the session with that identifier. The error is [ErrNotASession] if there is none.
func (e *Engine) OpenDevice(ctx context.Context, keys *keyring.Keys, identifier string, now time.Time) (DeviceSession, error) {
	opened, _, err := e.open(ctx, keys, token.DeviceSession, identifier, now)
	if err != nil {
		return DeviceSession{}, orIfBad(err, ErrNotASession)
	}
	key, clientID, ok := cutKey(opened.content)
	if !ok {
		return DeviceSession{}, ErrNotASession
	}
	s := DeviceSession{Family: opened.family, ClientID: string(clientID)}
	if s.Key, err = proof.ParseDeviceKey(key); err != nil {
		return DeviceSession{}, ErrNotASession
	}
	return s, nil
}

// cutKey returns the encoded key at the beginning of b, and what follows it.
func cutKey(b []byte) (key, rest []byte, ok bool) {
	const head = 2
	if len(b) < head {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[head:]; len(b) < n {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// orIfBad returns instead in place of an error that says that a string is not one of ours.
func orIfBad(err, instead error) error {
	if IsBadToken(err) {
		return instead
	}
	return err
}

// DeviceChallenge returns what a browser is to sign at now for a session of the client: the same string for a while, so
// that the browser need not sign anew. It is good until the end of the next such while.
func (e *Engine) DeviceChallenge(keys *keyring.Keys, id family.ID, clientID string, while time.Duration, now time.Time) string {
	content := binary.BigEndian.AppendUint64(nil, uint64(now.UnixMilli()/while.Milliseconds())) //nolint:gosec // no clock is before 1970
	return keys.Codec.Seal(token.DeviceChallenge, id, append(content, clientID...), now)
}

// OpenChallenge returns the family and the client of a challenge that is good at now. The one of the next while is as
// well, since clocks of servers differ. The error is [ErrStaleChallenge] for any other.
func (e *Engine) OpenChallenge(ctx context.Context, keys *keyring.Keys, challenge string, while time.Duration, now time.Time) (id family.ID, clientID string, err error) {
	opened, _, err := e.open(ctx, keys, token.DeviceChallenge, challenge, now)
	if err != nil {
		return id, "", orIfBad(err, ErrStaleChallenge)
	}
	const head = 8
	if len(opened.content) < head {
		return id, "", ErrStaleChallenge
	}
	ahead := int64(binary.BigEndian.Uint64(opened.content)) - now.UnixMilli()/while.Milliseconds() //nolint:gosec // as made by DeviceChallenge
	if ahead < -1 || ahead > 1 {
		return id, "", ErrStaleChallenge
	}
	return opened.family, string(opened.content[head:]), nil
}

// DeviceCookie returns the device cookie of a session, which is good until then. It names the key that the session is
// bound to, and so proves for that long that its bearer had it.
func (e *Engine) DeviceCookie(keys *keyring.Keys, s DeviceSession, until, now time.Time) string {
	key := s.Key.Thumbprint()
	content := binary.BigEndian.AppendUint64(nil, uint64(until.UnixMilli()))
	return keys.Codec.Seal(token.DeviceCookie, s.Family, append(content, key[:]...), now)
}

// deviceCookie is the content of a device cookie.
type deviceCookie struct {
	family family.ID
	jkt    []byte
	until  time.Time
}

// errBadDeviceCookie is returned for a device cookie that is not one of the session.
var errBadDeviceCookie = errors.New("the device cookie is not one of the session")

// openDeviceCookie returns what is in the device cookie of a session, however old, and the keys that it used last. The
// error is errNoCookie if there is none, and errBadDeviceCookie if it is not one of the session.
func (e *Engine) openDeviceCookie(ctx context.Context, keys *keyring.Keys, c *Cookie, now time.Time) (deviceCookie, *keyring.Keys, error) {
	if c.Device == "" {
		return deviceCookie{}, keys, errNoCookie
	}
	opened, keys, err := e.open(ctx, keys, token.DeviceCookie, c.Device, now)
	if err != nil {
		return deviceCookie{}, keys, orIfBad(err, errBadDeviceCookie)
	}
	const head = 8
	if len(opened.content) < head || c.SessionID != opened.family.ULID().String() {
		return deviceCookie{}, keys, errBadDeviceCookie
	}
	until := time.UnixMilli(int64(binary.BigEndian.Uint64(opened.content))) //nolint:gosec // as made by DeviceCookie
	return deviceCookie{opened.family, opened.content[head:], until}, keys, nil
}

// HoldsSession reports whether a browser's cookies are of the session of that family: they hold one of its refresh
// tokens, or a device cookie, however old.
func (e *Engine) HoldsSession(ctx context.Context, keys *keyring.Keys, c *Cookie, id family.ID, now time.Time) (bool, error) {
	held, err := e.familyInCookie(ctx, keys, c, now)
	return err == nil && held.family == id, orIfBad(err, nil)
}

// inCookie is what the cookies of a session say whose it is.
type inCookie struct {
	family  family.ID
	counter uint32 // of the newest refresh token in them, 0 if there is a device cookie
}

// familyInCookie returns the family of a session's cookies. The errors of cookies that hold none are those of a token
// that is not ours.
func (e *Engine) familyInCookie(ctx context.Context, keys *keyring.Keys, c *Cookie, now time.Time) (inCookie, error) {
	d, keys, err := e.openDeviceCookie(ctx, keys, c, now)
	switch {
	case err == nil:
		return inCookie{family: d.family}, nil
	case !errors.Is(err, errNoCookie) && !errors.Is(err, errBadDeviceCookie):
		return inCookie{}, err
	}
	tok, _, err := e.parseCookie(ctx, keys, c, now)
	var wrong *wrongSessionError
	if errors.As(err, &wrong) || errors.Is(err, errNoCookie) {
		err = token.ErrMalformed
	}
	return inCookie{tok.Family, tok.Counter}, err
}

// refreshByDevice makes an access token for a session with a device cookie. used is false if the request has no good
// one; then unrenewed is set to a reason if the browser can be expected to get one.
func (e *Engine) refreshByDevice(ctx context.Context, keys *keyring.Keys, u Use) (answer *Tokens, used bool, unrenewed string, err error) {
	d, keys, err := e.openDeviceCookie(ctx, keys, u.Cookie, u.Now)
	switch {
	case errors.Is(err, errNoCookie):
		skipped, err := e.wasSkipped(ctx, keys, u)
		if err != nil || !skipped {
			return nil, false, "", err
		}
		return nil, false, "skipped", nil
	case errors.Is(err, errBadDeviceCookie):
		return nil, false, "bad_cookie", nil
	case err != nil:
		return nil, false, "", err
	case !u.Now.Before(d.until):
		return nil, false, "old_cookie", nil
	}
	f, err := e.useDevice(ctx, u, d.family, d.jkt)
	if err != nil {
		return nil, true, "", err
	}
	e.recordDevice(ctx, u, f, audit.Exchanged)
	answer, err = e.tokens(keys, f, u.Client, grant{scope: u.Scope, resource: u.Resource, jkt: u.accessKey(f)}, u.Now)
	if err != nil {
		return nil, true, "", err
	}
	answer.RefreshToken, answer.ByDevice = "", true
	return answer, true, "", nil
}

// wasSkipped reports whether the browser says that it could not renew the session that the request is about.
func (e *Engine) wasSkipped(ctx context.Context, keys *keyring.Keys, u Use) (bool, error) {
	for _, identifier := range u.Cookie.Skipped {
		s, err := e.OpenDevice(ctx, keys, identifier, u.Now)
		switch {
		case errors.Is(err, ErrNotASession):
		case err != nil:
			return false, err
		case s.ClientID == u.Client.ID && (u.Cookie.SessionID == "" || u.Cookie.SessionID == s.Family.ULID().String()):
			return true, nil
		}
	}
	return false, nil
}

// useDevice records a use of a family by the browser that has the key with that thumbprint, and returns the family as it
// is then. The errors are those of a refresh.
func (e *Engine) useDevice(ctx context.Context, u Use, id family.ID, jkt []byte) (*family.Family, error) {
	p := &u.Client.Policy
	tok := token.Token{Family: id}
	if id.IssuedAt().Before(p.NotBefore) {
		return nil, e.refuse(ctx, u, tok, nil, family.ClientNotBefore)
	}
	if len(u.Client.Bound(u.Scope)) < len(u.Scope) {
		return nil, ErrScopeWithdrawn
	}
	use := store.Refresh{
		Family: id, Policy: p, LastIP: u.From.IP, LastUserAgent: u.From.UserAgent,
		Attempt: family.Attempt{ClientID: u.Client.ID, Scope: u.Scope, Resource: u.Resource, Issuer: e.Issuer, JKT: jkt, Now: u.Now},
	}
	f, done, err := e.Table.UseDevice(ctx, use)
	if err != nil || done {
		return f, err
	}
	switch v := family.DecideDevice(f, p, use.Attempt); v.Kind {
	case family.Dead, family.Unproven:
		return nil, e.refuse(ctx, u, tok, f, v.Cause)
	case family.ScopeNotGranted:
		return nil, ErrScopeNotGranted
	case family.TargetNotGranted:
		return nil, ErrTarget
	default:
		return nil, fmt.Errorf("use the device key of family %s: its record explains no refusal", id)
	}
}

// RenewDevice records that a browser has proven to have the key of its session, and returns the session's family. The
// first time binds the family to the key. The error is a [DeadTokenError] if the session has ended, or is bound to
// another key. It makes one write and no read.
func (e *Engine) RenewDevice(ctx context.Context, client *store.Client, s DeviceSession, from Caller, now time.Time) (*family.Family, error) {
	key := s.Key.Thumbprint()
	u := Use{Client: client, From: from, Now: now}
	f, err := e.useDevice(ctx, u, s.Family, key[:])
	if err != nil {
		return nil, err
	}
	if f.BoundAt.Equal(now) {
		e.recordDevice(ctx, u, f, audit.DeviceBound)
	}
	e.recordDevice(ctx, u, f, audit.DeviceRenewed)
	return f, nil
}

// recordDevice logs a use of a device's key.
func (e *Engine) recordDevice(ctx context.Context, u Use, f *family.Family, t audit.Type) {
	event := e.useEvent(t, u, token.Token{Family: f.ID}, f)
	event.ByDevice = t == audit.Exchanged
	e.Trail.Record(ctx, &event)
}

// RefuseDevice logs that a proof of a device's key was refused. client and id are those that the request named under a
// MAC, if it did.
func (e *Engine) RefuseDevice(ctx context.Context, client *store.Client, id family.ID, reason, endpoint string, from Caller, now time.Time) {
	event := e.useEvent(audit.Refused, Use{Client: client, From: from, Now: now}, token.Token{Family: id}, nil)
	event.Cause, event.Reason, event.Name = family.NoProof, reason, endpoint
	e.Trail.Record(ctx, &event)
}

// refuseWithoutDevice refuses a use without a device cookie of a family that is bound to a device's key. The browser may
// have sent it before the binding, or may not have been able to renew the cookie. A renewal does not help a code or an
// assertion that was used before.
func (e *Engine) refuseWithoutDevice(ctx context.Context, u Use, tok token.Token, f *family.Family) error {
	refreshes := u.Origin != family.Code && u.Origin != family.Assertion
	if u.unrenewed == "" && refreshes && f.JustBound(u.Now) {
		u.unrenewed = "just_bound"
	}
	if u.unrenewed != "" {
		return e.notRenewed(ctx, u, tok, f)
	}
	return e.refuse(ctx, u, tok, f, family.NoProof)
}

// notRenewed logs that a request came without a good device cookie, and why the browser can be expected to get one. It
// returns [ErrNotRenewed].
func (e *Engine) notRenewed(ctx context.Context, u Use, tok token.Token, f *family.Family) error {
	event := e.useEvent(audit.DeviceNotRenewed, u, tok, f)
	event.Reason = u.unrenewed
	e.Trail.Record(ctx, &event)
	return ErrNotRenewed
}
