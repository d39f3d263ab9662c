package manage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
)

// newFamily is the body of POST /v1/families.
type newFamily struct {
	userID           string
	clientID         string
	scope            *string          // what the client's default scope is narrowed to
	audience         signing.Audience // of the access tokens
	claims           json.RawMessage  // added to the access tokens
	authTime         time.Time
	acr              string
	amr              []string
	device           string          // shown where families are listed
	absoluteLifetime *family.Seconds // shorter than the policy's
}

func (body *newFamily) fields() map[string]any {
	return map[string]any{
		"user_id": &body.userID, "client_id": &body.clientID, "scope": &body.scope, "audience": &body.audience,
		"claims": &body.claims, "auth_time": &body.authTime, "acr": &body.acr, "amr": &body.amr,
		"device": &body.device, "absolute_lifetime": &body.absoluteLifetime,
	}
}

// issue starts a family: POST /v1/families. The login calls it once, after it
// has authenticated the user. With an Idempotency-Key it may call again.
func (a *API) issue(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	if err := noQuery(r); err != nil {
		return err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	var body newFamily
	err = readJSON(r, body.fields())
	operation := operationOf(r.Context())
	about(operation, body.userID, body.clientID)
	if err != nil {
		return err
	}
	var in input
	in.required("user_id", body.userID, maxUserID)
	in.clientID(body.clientID)
	if err := in.err(); err != nil {
		return err
	}
	user, err := web.ForwardedCaller(r)
	if err != nil {
		return err
	}
	client, err := a.Clients.Client(r.Context(), body.clientID, now)
	if errors.Is(err, store.ErrNotFound) {
		return fieldErrors{{Field: "client_id", Value: strconv.Quote(body.clientID), Want: "a registered client"}}
	}
	if err != nil {
		return err
	}
	var asked []byte
	if key != "" {
		if asked, err = body.asked(); err != nil {
			return err
		}
	}
	id, f, err := a.Start(r.Context(), session.Start{
		UserID: body.userID, Client: client, IdempotencyKey: key, Asked: asked,
		Family: func() (*family.Family, error) {
			f, err := body.family(client, now)
			if err != nil {
				return nil, err
			}
			// The login is a backend that IAM has authorized, and never the user itself.
			f.LastIP, f.LastUserAgent = user.IP, user.UserAgent
			return f, nil
		},
	}, now)
	operation.Family = id
	if err != nil {
		return keyRefused(err)
	}
	answer, err := a.Tokens(r.Context(), f, client, now)
	if err != nil {
		return err
	}
	answer.Family = f.ID.String()
	web.NoStore(w)
	w.Header().Set("Location", web.StrippedPrefix(r)+"/v1/families/"+answer.Family)
	web.WriteJSON(w, http.StatusCreated, answer)
	return nil
}

// family is the family that the body asks for, checked.
func (body *newFamily) family(client *store.Client, now time.Time) (*family.Family, error) {
	var in input
	f := &family.Family{
		UserID: body.userID, ClientID: client.ID, Counter: 1, LastUsedAt: now,
		Scope: client.Scope, Audience: client.Audience,
		ACR: body.acr, AMR: body.amr, Device: session.Describe(body.device),
	}
	if body.scope != nil {
		f.Scope = in.scope("scope", *body.scope)
		for _, s := range f.Scope {
			if client.Scope != nil && !slices.Contains(client.Scope, s) {
				in.wrong("scope", strconv.Quote(*body.scope), "within the client's: "+strings.Join(client.Scope, " "))
				break
			}
		}
	}
	if audience := in.audience("audience", body.audience); audience != nil {
		f.Audience = audience
	}
	f.Claims = in.claims(body.claims)
	if !body.authTime.IsZero() {
		f.AuthTime = in.authTime(body.authTime, now)
	}
	in.text("acr", body.acr, maxACR)
	in.amr(body.amr)
	lifetime := client.Policy.AbsoluteLifetime
	if l := body.absoluteLifetime; l != nil {
		longest := lifetime
		if longest == 0 {
			longest = family.MaxLifetime
		}
		if *l < 1 || *l > longest {
			in.wrong("absolute_lifetime", strconv.FormatInt(int64(*l), 10), fmt.Sprintf("from 1 to %d", longest))
		}
		lifetime = *l
	}
	if lifetime != 0 {
		f.ExpiresAt = now.Add(lifetime.Duration())
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	return f, fits(f)
}

// fits returns an error unless the family's record stays within [store.MaxFamilySize],
// whatever uses of its tokens add to it. The error names the larger of the two members
// that can take most of a record.
func fits(f *family.Family) error {
	size, err := store.GrownSize(f, session.MaxText)
	if err != nil {
		return err
	}
	excess := size - store.MaxFamilySize
	if excess <= 0 {
		return nil
	}
	field, bytes := "claims", len(f.Claims)
	if n := len(strings.Join(f.Scope, " ")); n > bytes {
		field, bytes = "scope", n
	}
	return fieldErrors{{
		Field: field, Value: fmt.Sprintf("%d bytes long", bytes),
		Want: fmt.Sprintf("at most %d bytes beside this family's other members: its record may grow to %d bytes", bytes-excess, store.MaxFamilySize),
	}}
}

// authTime checks when the user authenticated, and returns it as records have it.
func (in *input) authTime(t, now time.Time) time.Time {
	if t.After(now.Add(time.Minute)) || t.Unix() <= 0 {
		in.wrong("auth_time", t.Format(time.RFC3339), "a time in the past")
	}
	return t.Truncate(time.Second)
}

// amr checks by what methods the user authenticated.
func (in *input) amr(values []string) {
	in.text("amr", strings.Join(values, " "), maxAMR)
	if slices.ContainsFunc(values, func(v string) bool { return v == "" || strings.Contains(v, " ") }) {
		in.wrong("amr", "", "values without spaces (RFC 8176)")
	}
}

// claims checks custom claims and returns them as compact JSON, "" for none.
func (in *input) claims(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		in.wrong("claims", "", "a JSON object")
		return ""
	}
	for name := range claims {
		if signing.Reserved(name) {
			in.wrong("claims."+name, "", "left out: Rotor sets this claim itself")
		}
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		in.wrong("claims", "", "a JSON object")
		return ""
	}
	if n := compact.Len(); n > maxClaims {
		in.wrong("claims", fmt.Sprintf("%d bytes long", n), fmt.Sprintf("at most %d bytes as compact JSON", maxClaims))
	}
	if len(claims) == 0 {
		return ""
	}
	return compact.String()
}

// familyJSON is a family as the management API shows it.
type familyJSON struct {
	Family        string           `json:"family"`
	Status        string           `json:"status"` // active, expired, revoked; unregistered: its client is gone
	Cause         family.Cause     `json:"cause,omitempty"`
	UserID        string           `json:"user_id"`
	ClientID      string           `json:"client_id"`
	Counter       uint32           `json:"counter"`
	IssuedAt      time.Time        `json:"issued_at"`
	LastUsedAt    time.Time        `json:"last_used_at"`
	ExpiresAt     time.Time        `json:"expires_at,omitzero"`
	IdleExpiresAt time.Time        `json:"idle_expires_at,omitzero"`
	RevokedAt     time.Time        `json:"revoked_at,omitzero"`
	Evict         family.Evict     `json:"evict,omitempty"` // by which rule the limit ended it
	PurgeAt       time.Time        `json:"purge_at,omitzero"`
	Scope         string           `json:"scope,omitempty"`
	Audience      signing.Audience `json:"audience,omitempty"` // a string, or a list where there are several
	Claims        json.RawMessage  `json:"claims,omitempty"`
	AuthTime      time.Time        `json:"auth_time,omitzero"`
	ACR           string           `json:"acr,omitempty"`
	AMR           []string         `json:"amr,omitempty"`
	Device        string           `json:"device,omitempty"`
	LastIP        string           `json:"last_ip,omitempty"`
	LastUserAgent string           `json:"last_user_agent,omitempty"`
	Timeline      []moment         `json:"timeline,omitempty"`
}

// family shows one family: GET /v1/families/{family}.
func (a *API) family(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	id, err := familyID(r)
	if err != nil {
		return err
	}
	f, err := a.Table.Family(r.Context(), id)
	if err != nil {
		return err
	}
	client, err := a.registered(r.Context(), f.ClientID, now)
	if err != nil {
		return err
	}
	shown := show(f, client, now)
	if shown.Timeline, err = a.timeline(r.Context(), f, shown); err != nil {
		return err
	}
	web.NoStore(w)
	web.WriteJSON(w, http.StatusOK, shown)
	return nil
}

// familyID is the family that the path names, of a call without query parameters.
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

// show is f as the management API shows it; client is nil where it is no longer
// registered.
func show(f *family.Family, client *store.Client, now time.Time) familyJSON {
	s := familyJSON{
		Family: f.ID.String(), Status: "active",
		UserID: f.UserID, ClientID: f.ClientID, Counter: f.Counter,
		IssuedAt: f.IssuedAt(), LastUsedAt: f.LastUsedAt, ExpiresAt: f.ExpiresAt, RevokedAt: f.Revoked.At,
		Scope: strings.Join(f.Scope, " "), Audience: f.Audience, Claims: json.RawMessage(f.Claims),
		AuthTime: f.AuthTime, ACR: f.ACR, AMR: f.AMR,
		Device: f.Device, LastIP: f.LastIP, LastUserAgent: f.LastUserAgent, Evict: f.Revoked.Evict,
	}
	if f.PurgeAt.Year() < 9999 {
		s.PurgeAt = f.PurgeAt
	}
	policy := policyOf(client)
	s.IdleExpiresAt = f.IdleEnd(policy)
	s.Cause = f.Death(policy, now)
	switch {
	case s.Cause == family.ExpiredAbsolute || s.Cause == family.ExpiredIdle:
		s.Status = "expired"
	case s.Cause != "":
		s.Status = "revoked"
	case client == nil:
		s.Status = "unregistered"
	}
	return s
}
