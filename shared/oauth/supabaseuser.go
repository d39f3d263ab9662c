package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
)

// supabaseUser is a user as Supabase Auth describes one. Rotor keeps no users: what it has to say
// is the family's user, audience and claims.
type supabaseUser struct {
	ID           string          `json:"id"`
	Audience     string          `json:"aud"`
	Role         string          `json:"role"`
	Email        string          `json:"email"`
	Phone        string          `json:"phone"`
	AppMetadata  json.RawMessage `json:"app_metadata"`
	UserMetadata json.RawMessage `json:"user_metadata"`
	Identities   []struct{}      `json:"identities"`
	CreatedAt    string          `json:"created_at"`
	UpdatedAt    string          `json:"updated_at"`
	LastSignInAt string          `json:"last_sign_in_at"`
	IsAnonymous  bool            `json:"is_anonymous"`
}

// newSupabaseUser returns the user of a family. A claim of another type than Supabase's is left out.
func newSupabaseUser(f *family.Family, issuer string) (supabaseUser, error) {
	claims := map[string]json.RawMessage{}
	if f.Claims != "" {
		if err := json.Unmarshal([]byte(f.Claims), &claims); err != nil {
			return supabaseUser{}, fmt.Errorf("read the claims of a family: %w", err)
		}
	}
	text := func(name, otherwise string) string {
		var s string
		if raw := claims[name]; len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
			return otherwise
		}
		return s
	}
	object := func(name string) json.RawMessage {
		if raw := bytes.TrimSpace(claims[name]); len(raw) > 0 && raw[0] == '{' {
			return raw
		}
		return json.RawMessage(`{}`)
	}
	login := f.IssuedAt()
	if !f.AuthTime.IsZero() {
		login = f.AuthTime
	}
	user := supabaseUser{
		ID: f.UserID, Audience: issuer, Role: text("role", ""), Email: text("email", ""), Phone: text("phone", ""),
		AppMetadata: object("app_metadata"), UserMetadata: object("user_metadata"), Identities: []struct{}{},
		LastSignInAt: login.UTC().Format(time.RFC3339), IsAnonymous: string(claims["is_anonymous"]) == "true",
	}
	if len(f.Audience) > 0 {
		user.Audience = f.Audience[0]
	}
	user.CreatedAt = text("created_at", user.LastSignInAt)
	user.UpdatedAt = text("updated_at", user.CreatedAt)
	return user, nil
}

// supabaseRequest is a request with an access token whose family lives.
type supabaseRequest struct {
	query  params
	client *store.Client
	family *family.Family
	now    time.Time
}

// readSupabaseSession reads a request that has the session's access token in its header. Its
// family is read from the table, strongly consistent, and must live.
func (a *API) readSupabaseSession(w http.ResponseWriter, r *http.Request) (*supabaseRequest, error) {
	s := &supabaseRequest{now: a.Now()}
	var err error
	if s.query, err = readQuery(r); err != nil {
		return nil, err
	}
	if s.client, err = a.supabaseClient(r, s.query, s.now); err != nil {
		return nil, err
	}
	scheme, presented, _ := strings.Cut(strings.Join(r.Header.Values("Authorization"), ", "), " ")
	bound := strings.EqualFold(scheme, "DPoP")
	if !bound && !strings.EqualFold(scheme, "Bearer") || presented == "" {
		return nil, errSupabaseBearer
	}
	keys, err := a.Keys.Keys(r.Context(), s.now)
	if err != nil {
		return nil, err
	}
	access, err := a.VerifyAccess(r.Context(), keys, presented, s.now, (*signing.Set).Verify)
	if errors.Is(err, keyring.ErrUnavailable) {
		return nil, err
	}
	if err != nil || access.ClientID != s.client.ID || bound != (access.JKT != "") { // RFC 9449 §7.1, §7.2
		return nil, errSupabaseJWT
	}
	if err := a.requireKey(w, r, presented, access.JKT, s.now); err != nil {
		return nil, err
	}
	s.family, err = a.LivingFamily(r.Context(), keys, access, s.client, s.now)
	if errors.Is(err, store.ErrNotFound) {
		return nil, errSupabaseSession
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}
