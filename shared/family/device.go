package family

import (
	"bytes"
	"time"
)

// A browser can bind a session to a key of its device (Device Bound Session Credentials of the W3C). It registers the key
// soon after the login, and its first proof of that key binds the family. From then on the refresh tokens of the family
// are refused: proofs of the key take their place.
const (
	// registrationOpen is how long after its beginning a device key may be registered for a family. Who steals a
	// refresh token later cannot bind the family to another key.
	registrationOpen = 10 * time.Minute
	// underWay is for how long after the binding a refresh token may have been sent before it.
	underWay = 2 * time.Minute
)

// RegistrationOpen reports whether a device key may be registered at now for the family with that id.
func (id ID) RegistrationOpen(now time.Time) bool {
	return now.Before(id.IssuedAt().Add(registrationOpen))
}

// MayRegister reports whether the family's browser may register a key at now. Another provider's token, which begins a
// family as well, may have been on the device for long.
func (f *Family) MayRegister(now time.Time) bool {
	return !f.Bound() && !f.Origin.Kind.Foreign() && f.ID.RegistrationOpen(now)
}

// MayBindUntil returns until when a family that a device key binds may have been used before. A browser that has
// registered a key proves it before its next request, so that a later use without the key shows that the key is somebody
// else's, or was given up. A record that was restored from before the binding was not used later either.
func (id ID) MayBindUntil() time.Time { return id.IssuedAt().Add(registrationOpen + underWay) }

// OfDevice reports whether the family is bound to a key of a browser's device.
func (f *Family) OfDevice() bool { return f.Bound() && !f.BoundAt.IsZero() }

// JustBound reports whether a refresh token that arrives at now may have been sent before the family was bound to a key
// of a browser's device.
func (f *Family) JustBound(now time.Time) bool { return f.OfDevice() && now.Sub(f.BoundAt) < underWay }

// DecideDevice returns what a use of the family by a browser means that has the device key with the thumbprint a.JKT,
// given the family's record f, which is nil if there is none. It concerns no token, and binds a family that is not bound,
// unless that was used without a key too late.
func DecideDevice(f *Family, p *Policy, a Attempt) Verdict {
	switch {
	case f == nil:
		return Verdict{Kind: Dead, Cause: Purged}
	case f.ClientID != a.ClientID:
		return Verdict{Kind: Dead, Cause: WrongClient}
	}
	if cause := f.DeathOnceBegun(p, a.Now); cause != "" {
		return Verdict{Kind: Dead, Cause: cause}
	}
	switch {
	case f.Bound() && !bytes.Equal(f.JKT, a.JKT), !f.Bound() && f.LastUsedAt.After(f.ID.MayBindUntil()):
		return Verdict{Kind: Unproven, Cause: WrongKey}
	case !f.Granted(a.Scope):
		return Verdict{Kind: ScopeNotGranted}
	case !f.IsFor(a.Resource, a.Issuer):
		return Verdict{Kind: TargetNotGranted}
	}
	return Verdict{Kind: Current}
}
