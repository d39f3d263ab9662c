package manage

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/foreign"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
)

// newClient is the body of PUT /v1/clients/{client_id}.
type newClient struct {
	clientType    string          // public or confidential
	preset        string          // the policy to start from
	policy        json.RawMessage // the members that differ from the preset
	scope         string
	audience      signing.Audience
	mayIntrospect bool
	mayForward    bool
	issuers       newIssuers
	jwksURI       string
	jwks          json.RawMessage
	notBefore     time.Time

	transport       string          // body or cookie
	cookieSameSite  string          // strict or lax
	deviceBound     bool            // browsers are asked to bind their sessions to a key
	acceptsImported json.RawMessage // true, or the shape of the tokens
	adopt           json.RawMessage // the provider whose tokens it adopts

	redirectURIs           []string
	postLogoutRedirectURIs []string
}

func (body *newClient) fields() map[string]any {
	return map[string]any{
		"type": &body.clientType, "preset": &body.preset, "policy": &body.policy, "scope": &body.scope,
		"audience": &body.audience, "may_introspect": &body.mayIntrospect, "may_forward": &body.mayForward, "not_before": &body.notBefore,
		"redirect_uris": &body.redirectURIs, "post_logout_redirect_uris": &body.postLogoutRedirectURIs,
		"jwks_uri": &body.jwksURI, "jwks": &body.jwks,
		transportField: &body.transport, sameSiteField: &body.cookieSameSite, deviceBoundField: &body.deviceBound,
		issuersField: &body.issuers, acceptsField: &body.acceptsImported, adoptField: &body.adopt,
	}
}

func policyFields(p *family.Policy) map[string]any {
	return map[string]any{
		"rotation": &p.Rotation, "reuse_interval": &p.ReuseInterval, "lost_response": &p.LostResponse,
		"absolute_lifetime": &p.AbsoluteLifetime, "idle_lifetime": &p.IdleLifetime,
		"access_token_lifetime": &p.AccessTokenLifetime, "max_active": &p.MaxActive, "evict": &p.Evict,
		"reuse_detection": &p.ReuseDetection, "observe_until": &p.ObserveUntil,
		"invalid_grant_status": &p.InvalidGrantStatus, "dpop": &p.DPoP,
	}
}

// clientJSON is a client as the management API shows it, with its whole policy, but only the
// ids of its secrets.
type clientJSON struct {
	ClientID      string           `json:"client_id"`
	Type          string           `json:"type"`
	Preset        string           `json:"preset,omitempty"`
	Policy        family.Policy    `json:"policy"`
	Scope         string           `json:"scope,omitempty"`
	Audience      signing.Audience `json:"audience,omitempty"` // a string if there is one, else a list
	MayIntrospect bool             `json:"may_introspect"`
	MayForward    bool             `json:"may_forward"`
	NotBefore     time.Time        `json:"not_before,omitzero"`
	Secrets       []secretJSON     `json:"secrets,omitempty"`
	CreatedAt     time.Time        `json:"created_at"`
	UpdatedAt     time.Time        `json:"updated_at"`

	RedirectURIs           []string `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`

	TrustedIssuers []assertion.Issuer `json:"trusted_issuers,omitempty"`

	assertion.Keys

	AcceptsImported any               `json:"accepts_imported,omitempty"` // true, or a shape
	Adopt           *foreign.Provider `json:"adopt,omitempty"`

	Transport      string `json:"transport,omitempty"` // cookie, or left out
	CookieSameSite string `json:"cookie_same_site,omitempty"`
	DeviceBound    bool   `json:"device_bound,omitempty"`

	// Recommendation is set by GET of one client, if there was reuse.
	Recommendation *recommendation `json:"recommendation,omitempty"`
	// Warnings is set by PUT.
	Warnings []warning `json:"warnings,omitempty"`
}

type secretJSON struct {
	ID        string    `json:"secret_id"`
	CreatedAt time.Time `json:"created_at"`
}

func newClientJSON(c *store.Client) clientJSON {
	s := clientJSON{
		ClientID: c.ID, Type: "public", Preset: c.Preset, Policy: c.Policy,
		Scope: strings.Join(c.Scope, " "), Audience: c.Audience, MayIntrospect: c.MayIntrospect, MayForward: c.MayForward,
		RedirectURIs: c.RedirectURIs, PostLogoutRedirectURIs: c.PostLogoutRedirectURIs,
		TrustedIssuers: c.TrustedIssuers, Keys: c.Keys, Adopt: c.Adopt, DeviceBound: c.DeviceBound, NotBefore: c.Policy.NotBefore, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}
	if c.Confidential {
		s.Type = "confidential"
	}
	s.Transport, s.CookieSameSite = showTransport(c)
	if c.AcceptsImported != nil {
		s.AcceptsImported = showShape(c.AcceptsImported)
	}
	for _, secret := range c.Secrets {
		s.Secrets = append(s.Secrets, secretJSON{secret.ID, secret.CreatedAt})
	}
	return s
}

// clientID returns the client id in the path, for a call without query parameters.
func clientID(r *http.Request) (string, error) {
	if err := noQuery(r); err != nil {
		return "", err
	}
	var in input
	id := r.PathValue("client_id")
	in.clientID(id)
	return id, in.err()
}

// putClient serves PUT /v1/clients/{client_id}, which registers a client or replaces all of it
// except its secrets. Other instances see the change within 60 s.
func (a *API) putClient(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	id, err := clientID(r)
	if err != nil {
		return err
	}
	var body newClient
	if err := readJSON(r, body.fields()); err != nil {
		return err
	}
	client, err := a.toClient(&body, id, now)
	if err != nil {
		return err
	}
	before, after, err := a.Table.PutClient(r.Context(), client)
	a.Clients.Forget(id) // also after an error, as the write may have been done
	operationOf(r.Context()).Changes = auditedChanges(before, client)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if before == nil {
		status = http.StatusCreated
	}
	shown := newClientJSON(after)
	shown.Warnings = warnings(before, after, now)
	web.WriteJSON(w, status, shown)
	return nil
}

// auditedChanges returns the changes of a PUT that the audit log names, because they weaken
// the client or end its families. before is nil if the client is new.
func auditedChanges(before, put *store.Client) []audit.Change {
	if before == nil {
		before = &store.Client{Confidential: put.Confidential, Policy: family.DefaultPolicy()}
	}
	var all []audit.Change
	add := func(c audit.Change, happened bool) {
		if happened {
			all = append(all, c)
		}
	}
	was, is := &before.Policy, &put.Policy
	add(audit.BecamePublic, before.Confidential && !put.Confidential)
	add(audit.MayIntrospectOn, put.MayIntrospect && !before.MayIntrospect)
	add(audit.MayForwardOn, put.MayForward && !before.MayForward)
	add(audit.RedirectURIAdded, hasMore(put.RedirectURIs, before.RedirectURIs) || hasMore(put.PostLogoutRedirectURIs, before.PostLogoutRedirectURIs))
	add(audit.TrustWidened, assertion.Widens(before.TrustedIssuers, put.TrustedIssuers))
	add(audit.KeyAdded, put.Keys.Widens(before.Keys))
	add(audit.AdoptionOn, put.Adopt != nil && (before.Adopt == nil || *put.Adopt != *before.Adopt))
	add(audit.CookieOff, before.Cookie && !put.Cookie)
	add(audit.DPoPLowered, put.Policy.DPoP.Below(before.Policy.DPoP))
	add(audit.DeviceBoundOff, before.DeviceBound && !put.DeviceBound)
	add(audit.ObserveOn, is.ObserveUntil.After(was.ObserveUntil))
	add(audit.RotationOff, was.Rotation && !is.Rotation)
	add(audit.NotBeforeSet, is.NotBefore.After(was.NotBefore))
	add(audit.NotBeforeLowered, !is.NotBefore.IsZero() && is.NotBefore.Before(was.NotBefore))
	return all
}

// hasMore reports whether one of the values is not among those of before.
func hasMore(values, before []string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return !slices.Contains(before, v) })
}

// toClient checks the body and returns the client that it describes.
func (a *API) toClient(body *newClient, id string, now time.Time) (*store.Client, error) {
	var in input
	c := &store.Client{
		ID: id, Confidential: body.clientType == "confidential", Preset: body.preset,
		MayIntrospect: body.mayIntrospect, MayForward: body.mayForward, UpdatedAt: now,
	}
	if body.clientType != "public" && body.clientType != "confidential" {
		in.wrong("type", strconv.Quote(session.Cut(body.clientType, 32)), `"public" or "confidential"`)
	}
	policy, err := family.Preset(body.preset)
	var field *family.FieldError
	if errors.As(err, &field) {
		in.wrong(field.Field, strconv.Quote(session.Cut(field.Value, 32)), field.Want)
		policy = family.DefaultPolicy()
	}
	if len(body.policy) > 0 {
		var more fieldErrors
		switch err := readObject(body.policy, "policy.", policyFields(&policy)); {
		case errors.As(err, &more):
			in.errs = append(in.errs, more...)
		case err != nil:
			return nil, err
		}
	}
	in.errs = append(in.errs, policy.Check(now)...)
	if body.clientType == "public" && !policy.Rotation && policy.DPoP != family.DPoPRequired {
		in.wrong("policy.rotation", "false", "true for a public client, unless policy.dpop is \"required\": nothing else tells whether its refresh token was copied (RFC 9700 section 2.2.2)")
	}
	c.Policy = policy
	c.Scope = in.scope("scope", body.scope)
	c.Audience = in.audience("audience", body.audience)
	c.RedirectURIs = in.redirectURIs("redirect_uris", body.redirectURIs, !c.Confidential)
	c.PostLogoutRedirectURIs = in.redirectURIs("post_logout_redirect_uris", body.postLogoutRedirectURIs, !c.Confidential)
	c.TrustedIssuers = a.trustedIssuers(&in, body.issuers)
	c.Keys = a.clientKeys(&in, body)
	c.AcceptsImported = in.acceptsImported(body.acceptsImported)
	c.Adopt = a.provider(&in, body.adopt)
	in.transport(body, c)
	if body.mayIntrospect && !c.Confidential {
		in.wrong("may_introspect", "true", "false for a public client: only confidential clients introspect")
	}
	if body.mayForward && !c.Confidential {
		in.wrong("may_forward", "true", "false for a public client: anybody can claim to be that client, and report any address")
	}
	if body.notBefore.After(now) {
		in.wrong("not_before", body.notBefore.Format(time.RFC3339), "no later than now, "+now.Format(time.RFC3339))
	}
	c.Policy.NotBefore = body.notBefore.UTC().Truncate(time.Millisecond)
	return c, in.err()
}

// showClient serves GET /v1/clients/{client_id}, which shows one client. If the reuse of the
// last 30 days calls for it, the answer recommends a reuse interval.
func (a *API) showClient(w http.ResponseWriter, r *http.Request) error {
	id, err := clientID(r)
	if err != nil {
		return err
	}
	c, err := a.Table.Client(r.Context(), id)
	if err != nil {
		return err
	}
	shown := newClientJSON(c)
	if shown.Recommendation, err = a.recommend(r.Context(), c, a.Now()); err != nil {
		return err
	}
	web.WriteJSON(w, http.StatusOK, shown)
	return nil
}

// deleteClient serves DELETE /v1/clients/{client_id}, which removes a client. From then on its
// tokens are refused with invalid_client.
func (a *API) deleteClient(w http.ResponseWriter, r *http.Request) error {
	id, err := clientID(r)
	if err != nil {
		return err
	}
	err = a.Table.DeleteClient(r.Context(), id)
	a.Clients.Forget(id)
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// clientsPerPage limits the clients on one page of GET /v1/clients.
const clientsPerPage = 100

// listClients serves GET /v1/clients?next=, which lists all clients by id.
func (a *API) listClients(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	q, err := readQuery(r, "next")
	if err != nil {
		return err
	}
	keys, err := a.Keys.Keys(r.Context(), now)
	if err != nil {
		return err
	}
	pages := cursors{keys, "clients"}
	after, err := pages.open(q.Get("next"))
	if err != nil {
		return err
	}
	clients, next, err := a.Table.ListClients(r.Context(), after, clientsPerPage)
	if err != nil {
		return err
	}
	page := struct {
		Clients []clientJSON `json:"clients"`
		Next    string       `json:"next,omitempty"`
	}{Clients: []clientJSON{}, Next: pages.seal(next)}
	for _, c := range clients {
		page.Clients = append(page.Clients, newClientJSON(c))
	}
	web.WriteJSON(w, http.StatusOK, page)
	return nil
}
