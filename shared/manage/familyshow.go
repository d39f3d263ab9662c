package manage

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
)

// familyJSON is a family as the management API shows it.
type familyJSON struct {
	Family        string            `json:"family"`
	Status        string            `json:"status"` // active, pending, expired, revoked, or unregistered if its client is gone
	Cause         family.Cause      `json:"cause,omitempty"`
	UserID        string            `json:"user_id"`
	ClientID      string            `json:"client_id"`
	Origin        family.OriginKind `json:"origin,omitempty"` // what the family was started from, its token number 0
	Counter       uint32            `json:"counter"`
	IssuedAt      time.Time         `json:"issued_at"`
	LastUsedAt    time.Time         `json:"last_used_at"`
	ExpiresAt     time.Time         `json:"expires_at,omitzero"`
	IdleExpiresAt time.Time         `json:"idle_expires_at,omitzero"`
	RevokedAt     time.Time         `json:"revoked_at,omitzero"`
	Evict         family.Evict      `json:"evict,omitempty"` // the rule by which the limit on active families ended it
	PurgeAt       time.Time         `json:"purge_at,omitzero"`
	Scope         string            `json:"scope,omitempty"`
	Audience      signing.Audience  `json:"audience,omitempty"` // a string if there is one, else a list
	Claims        json.RawMessage   `json:"claims,omitempty"`
	AuthTime      time.Time         `json:"auth_time,omitzero"`
	ACR           string            `json:"acr,omitempty"`
	AMR           []string          `json:"amr,omitempty"`
	Device        string            `json:"device,omitempty"`
	LastIP        string            `json:"last_ip,omitempty"`
	LastUserAgent string            `json:"last_user_agent,omitempty"`
	DPoPJKT       string            `json:"dpop_jkt,omitempty"`       // the thumbprint of the application's key that the family is bound to
	DeviceBoundAt time.Time         `json:"device_bound_at,omitzero"` // when the family was bound to a key of its browser's device
	Timeline      []moment          `json:"timeline,omitempty"`
}

// showFamily serves GET /v1/families/{family}, which shows one family with its timeline.
func (a *API) showFamily(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	id, err := familyID(r)
	if err != nil {
		return err
	}
	f, client, err := a.familyAndClient(r.Context(), id, now)
	if err != nil {
		return err
	}
	shown := newFamilyJSON(f, client, now)
	if shown.Timeline, err = a.timeline(r.Context(), f, shown); err != nil {
		return err
	}
	web.WriteJSON(w, http.StatusOK, shown)
	return nil
}

// familyID returns the family id in the path, for a call without query parameters.
func familyID(r *http.Request) (family.ID, error) {
	if err := noQuery(r); err != nil {
		return family.ID{}, err
	}
	id, err := family.ParseID(r.PathValue("family"))
	if err != nil {
		return id, fieldErrors{{Field: "family", Want: "a family id: 43 characters of base64url"}}
	}
	return id, nil
}

// familyAndClient reads the family with that id, and its client, which is nil if it is not
// registered any more. It notes whose family it is in the call's event.
func (a *API) familyAndClient(ctx context.Context, id family.ID, now time.Time) (*family.Family, *store.Client, error) {
	f, err := a.Table.Family(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	setUserAndClient(operationOf(ctx), f.UserID, f.ClientID)
	client, err := a.FindClient(ctx, f.ClientID, now)
	return f, client, err
}

// newFamilyJSON returns f as the management API shows it. client is nil if it is not
// registered any more.
func newFamilyJSON(f *family.Family, client *store.Client, now time.Time) familyJSON {
	s := familyJSON{
		Family: f.ID.String(), Status: "active",
		UserID: f.UserID, ClientID: f.ClientID, Origin: f.Origin.Kind, Counter: f.Counter,
		IssuedAt: f.IssuedAt(), LastUsedAt: f.LastUsedAt, ExpiresAt: f.ExpiresAt, RevokedAt: f.Revoked.At,
		Scope: strings.Join(f.Scope, " "), Audience: f.Audience, Claims: json.RawMessage(f.Claims),
		AuthTime: f.AuthTime, ACR: f.ACR, AMR: f.AMR,
		Device: f.Device, LastIP: f.LastIP, LastUserAgent: f.LastUserAgent, DPoPJKT: f.KeyThumbprint(), DeviceBoundAt: f.BoundAt, Evict: f.Revoked.Evict,
	}
	if f.PurgeAt.Year() < 9999 {
		s.PurgeAt = f.PurgeAt
	}
	policy := session.PolicyOf(client)
	s.IdleExpiresAt = f.IdleEnd(policy)
	s.Cause = f.Death(policy, now)
	switch {
	case s.Cause == family.ExpiredAbsolute || s.Cause == family.ExpiredIdle || s.Cause == family.CodeExpired:
		s.Status = "expired"
	case s.Cause != "":
		s.Status = "revoked"
	case client == nil:
		s.Status = "unregistered"
	case f.Pending():
		s.Status = "pending"
	}
	return s
}
