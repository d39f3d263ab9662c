package manage

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
)

// newClient is the body of PUT /v1/clients/{client_id}.
type newClient struct {
	clientType    string          // public or confidential
	preset        string          // what the policy starts from
	policy        json.RawMessage // what differs from the preset
	scope         string
	audience      signing.Audience
	mayIntrospect bool
	mayForward    bool
	notBefore     time.Time
}

func (body *newClient) fields() map[string]any {
	return map[string]any{
		"type": &body.clientType, "preset": &body.preset, "policy": &body.policy, "scope": &body.scope,
		"audience": &body.audience, "may_introspect": &body.mayIntrospect, "may_forward": &body.mayForward, "not_before": &body.notBefore,
	}
}

func policyFields(p *family.Policy) map[string]any {
	return map[string]any{
		"rotation": &p.Rotation, "reuse_interval": &p.ReuseInterval, "lost_response": &p.LostResponse,
		"absolute_lifetime": &p.AbsoluteLifetime, "idle_lifetime": &p.IdleLifetime,
		"access_token_lifetime": &p.AccessTokenLifetime, "max_active": &p.MaxActive, "evict": &p.Evict,
		"reuse_detection": &p.ReuseDetection, "observe_until": &p.ObserveUntil,
		"invalid_grant_status": &p.InvalidGrantStatus,
	}
}

// clientJSON is a client as the management API shows it: its whole policy, and
// of its secrets their ids.
type clientJSON struct {
	ClientID      string           `json:"client_id"`
	Type          string           `json:"type"`
	Preset        string           `json:"preset,omitempty"`
	Policy        family.Policy    `json:"policy"`
	Scope         string           `json:"scope,omitempty"`
	Audience      signing.Audience `json:"audience,omitempty"` // a string, or a list where there are several
	MayIntrospect bool             `json:"may_introspect"`
	MayForward    bool             `json:"may_forward"`
	NotBefore     time.Time        `json:"not_before,omitzero"`
	Secrets       []secretJSON     `json:"secrets,omitempty"`
	CreatedAt     time.Time        `json:"created_at"`
	UpdatedAt     time.Time        `json:"updated_at"`

	// Recommendation is of GET of one client alone, where there was reuse.
	Recommendation *recommendation `json:"recommendation,omitempty"`
	// Warnings is of PUT alone.
	Warnings []warning `json:"warnings,omitempty"`
}

type secretJSON struct {
	ID        string    `json:"secret_id"`
	CreatedAt time.Time `json:"created_at"`
}

func showClient(c *store.Client) clientJSON {
	s := clientJSON{
		ClientID: c.ID, Type: "public", Preset: c.Preset, Policy: c.Policy,
		Scope: strings.Join(c.Scope, " "), Audience: c.Audience, MayIntrospect: c.MayIntrospect, MayForward: c.MayForward,
		NotBefore: c.Policy.NotBefore, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}
	if c.Confidential {
		s.Type = "confidential"
	}
	for _, secret := range c.Secrets {
		s.Secrets = append(s.Secrets, secretJSON{secret.ID, secret.CreatedAt})
	}
	return s
}

// clientID is the client that the path names, of a call without query parameters.
func clientID(r *http.Request) (string, error) {
	if err := noQuery(r); err != nil {
		return "", err
	}
	var in input
	id := r.PathValue("client_id")
	in.clientID(id)
	return id, in.err()
}

// putClient registers a client or replaces all of it but its secrets:
// PUT /v1/clients/{client_id}. Other instances see the change within 60 s.
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
	client, err := body.client(id, now)
	if err != nil {
		return err
	}
	before, after, err := a.Table.PutClient(r.Context(), client)
	a.Clients.Forget(id) // it may have been done, whatever the answer
	operationOf(r.Context()).Changes = changes(before, client)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if before == nil {
		status = http.StatusCreated
	}
	shown := showClient(after)
	shown.Warnings = warnings(before, after, now)
	web.WriteJSON(w, status, shown)
	return nil
}

// changes returns what somebody should know of when a client is put; before is nil
// where there was none.
func changes(before, put *store.Client) []audit.Change {
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
	add(audit.ObserveOn, is.ObserveUntil.After(was.ObserveUntil))
	add(audit.RotationOff, was.Rotation && !is.Rotation)
	add(audit.NotBeforeSet, is.NotBefore.After(was.NotBefore))
	add(audit.NotBeforeLowered, !is.NotBefore.IsZero() && is.NotBefore.Before(was.NotBefore))
	return all
}

// client is the client that the body asks for, checked.
func (body *newClient) client(id string, now time.Time) (*store.Client, error) {
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
	if body.clientType == "public" && !policy.Rotation {
		in.wrong("policy.rotation", "false", "true for a public client: nothing else tells whether its refresh token was copied (RFC 9700 section 2.2.2)")
	}
	c.Policy = policy
	c.Scope = in.scope("scope", body.scope)
	c.Audience = in.audience("audience", body.audience)
	if body.mayIntrospect && !c.Confidential {
		in.wrong("may_introspect", "true", "false for a public client: only confidential ones introspect")
	}
	if body.mayForward && !c.Confidential {
		in.wrong("may_forward", "true", "false for a public client: anybody can say that it is that client, and tell any address")
	}
	if body.notBefore.After(now) {
		in.wrong("not_before", body.notBefore.Format(time.RFC3339), "no later than now, "+now.Format(time.RFC3339))
	}
	c.Policy.NotBefore = body.notBefore.UTC().Truncate(time.Millisecond)
	return c, in.err()
}

// client shows one client: GET /v1/clients/{client_id}. From the reuse of its last
// 30 days it recommends a reuse interval.
func (a *API) client(w http.ResponseWriter, r *http.Request) error {
	id, err := clientID(r)
	if err != nil {
		return err
	}
	c, err := a.Table.Client(r.Context(), id)
	if err != nil {
		return err
	}
	shown := showClient(c)
	if shown.Recommendation, err = a.recommend(r.Context(), c, a.Now()); err != nil {
		return err
	}
	web.WriteJSON(w, http.StatusOK, shown)
	return nil
}

// deleteClient removes a client: DELETE /v1/clients/{client_id}. Its families
// are refused with invalid_client from then on.
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

// clientsPerPage is how many clients a page of GET /v1/clients has.
const clientsPerPage = 100

// listClients lists the registry by client id: GET /v1/clients?next=.
func (a *API) listClients(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	q, err := query(r, "next")
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
		page.Clients = append(page.Clients, showClient(c))
	}
	web.WriteJSON(w, http.StatusOK, page)
	return nil
}

// addSecret makes a secret for a confidential client and shows it this once:
// POST /v1/clients/{client_id}/secrets. Two may be live, while one is replaced.
func (a *API) addSecret(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	id, err := clientID(r)
	if err != nil {
		return err
	}
	c, err := a.Table.Client(r.Context(), id)
	if err != nil {
		return err
	}
	if !c.Confidential {
		return conflict("the client is public: it cannot keep a secret")
	}
	secretID, err := ulid.New(ulid.Timestamp(now), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a secret id: %w", err)
	}
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails, by its contract
	secret := "rotor_secret_" + base64.RawURLEncoding.EncodeToString(random[:])
	operation := operationOf(r.Context())
	operation.SecretID, operation.Changes = secretID.String(), []audit.Change{audit.SecretAdded}
	err = a.Table.AddSecret(r.Context(), id, store.Secret{ID: secretID.String(), Hash: sha256.Sum256([]byte(secret)), CreatedAt: now})
	a.Clients.Forget(id)
	if errors.Is(err, store.ErrTooManySecrets) {
		return conflict(fmt.Sprintf("the client has %d secrets already: delete one first", store.MaxSecrets))
	}
	if err != nil {
		return err
	}
	web.NoStore(w)
	web.WriteJSON(w, http.StatusCreated, map[string]string{"client_secret": secret, "secret_id": secretID.String()})
	return nil
}

// removeSecret ends a secret:
// DELETE /v1/clients/{client_id}/secrets/{secret_id}. Other instances honour it
// for up to 60 s more.
func (a *API) removeSecret(w http.ResponseWriter, r *http.Request) error {
	id, err := clientID(r)
	if err != nil {
		return err
	}
	secretID, err := ulid.ParseStrict(r.PathValue("secret_id"))
	if err != nil {
		return fieldErrors{{Field: "secret_id", Want: "the id of a secret"}}
	}
	err = a.Table.RemoveSecret(r.Context(), id, secretID.String())
	a.Clients.Forget(id)
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
