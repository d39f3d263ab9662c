package oauth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/rs/cors"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// supabasePath begins the paths of Supabase Auth. Rotor serves those with which Supabase's SDKs
// keep a session alive and end it. The apikey is the id of a public client.
const supabasePath = "/auth/v1/"

func (a *API) supabaseTokenEndpoint() web.Endpoint {
	return a.supabaseEndpoint("token", http.MethodPost, a.supabaseToken)
}

func (a *API) supabaseLogoutEndpoint() web.Endpoint {
	return a.supabaseEndpoint("logout", http.MethodPost, a.supabaseLogout)
}

func (a *API) supabaseUserEndpoint() web.Endpoint {
	return a.supabaseEndpoint("user", http.MethodGet, a.supabaseUser)
}

// supabaseEndpoint returns an endpoint for pages of the same origins as the token endpoint.
func (a *API) supabaseEndpoint(name, method string, h web.Handler) web.Endpoint {
	return web.Endpoint{
		Path: supabasePath + name, Methods: map[string]web.Handler{method: h},
		Wrap: func(h http.Handler) http.Handler {
			return a.corsForOrigins(h, cors.Options{AllowedMethods: []string{method}, ExposedHeaders: supabaseHeaders})
		},
	}
}

// supabaseDocuments returns the endpoint of the keys, and one that answers every path that is
// not served. Pages of all origins can read both.
func (a *API) supabaseDocuments() []web.Endpoint {
	anywhere := func(h http.Handler) http.Handler {
		return cors.New(cors.Options{
			AllowedOrigins: []string{"*"}, AllowedHeaders: []string{"*"}, ExposedHeaders: supabaseHeaders, MaxAge: 600,
			AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		}).Handler(h)
	}
	notServed := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.Fail(w, r, web.ErrNoRoute) })
	keys := web.Endpoint{Path: supabasePath + ".well-known/jwks.json", Methods: map[string]web.Handler{http.MethodGet: a.jwks}, Wrap: anywhere}
	if strings.HasPrefix(web.PrefixOf(a.Issuer).Escaped+"/v1/", supabasePath) { // then any other of these paths may be one of /v1
		return []web.Endpoint{keys}
	}
	return []web.Endpoint{keys, {Path: supabasePath + "{path...}", Wrap: func(http.Handler) http.Handler { return anywhere(notServed) }}}
}

// supabaseClient returns the client whose id is the request's apikey, in the header or the query.
// It is a public one: an SDK in a browser has no secret.
func (a *API) supabaseClient(r *http.Request, query params, now time.Time) (*store.Client, error) {
	given := r.Header.Values("Apikey")
	if len(given) == 0 {
		given = query["apikey"]
	}
	c, err := credentials{}, invalidClient("missing_client_id", "The apikey is missing.")
	var client *store.Client
	if len(given) > 0 {
		c.id = strings.Join(given, ", ") // which is no id if there are several
		client, err = a.identify(r.Context(), &c, "", now)
	}
	if err == nil && client.Cookie {
		err = invalidClient("cookie_client", "This client keeps its refresh tokens in cookies, which this wire does not have.")
	}
	if err != nil {
		return nil, a.recordRefusal(r, c, client, err, now)
	}
	return client, nil
}

// supabaseSession is the answer to a refresh. expires_at and the user are what Supabase's SDKs
// keep of a session besides the tokens.
type supabaseSession struct {
	AccessToken  string       `json:"access_token"`
	TokenType    string       `json:"token_type"`
	ExpiresIn    int64        `json:"expires_in"`
	ExpiresAt    int64        `json:"expires_at"`
	RefreshToken string       `json:"refresh_token"`
	User         supabaseUser `json:"user"`
}

// supabaseToken serves POST /auth/v1/token?grant_type=refresh_token.
func (a *API) supabaseToken(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	query, err := readQuery(r)
	if err != nil {
		return err
	}
	client, err := a.supabaseClient(r, query, now)
	if err != nil {
		return err
	}
	if query.get("grant_type") != "refresh_token" {
		return errSupabaseGrant
	}
	presented, err := readSupabaseToken(r)
	if err != nil {
		return err
	}
	from, err := endUser(r, client)
	if err != nil {
		return err
	}
	tokens, err := a.Refresh(r.Context(), session.Use{Client: client, Token: presented, From: from, Now: now})
	if err != nil {
		return err
	}
	user, err := newSupabaseUser(tokens.Record, a.Issuer)
	if err != nil {
		return err
	}
	web.NoStore(w)
	web.WriteJSON(w, http.StatusOK, supabaseSession{
		AccessToken: tokens.AccessToken, TokenType: "bearer", ExpiresIn: tokens.ExpiresIn, ExpiresAt: now.Unix() + tokens.ExpiresIn,
		RefreshToken: tokens.RefreshToken, User: user,
	})
	return nil
}

// readSupabaseToken reads the refresh token from a body, which is JSON whatever its type is.
func readSupabaseToken(r *http.Request) (string, error) {
	body, err := readBody(r)
	if err != nil {
		return "", err
	}
	p, err := readJSONParams(body)
	if err != nil {
		var malformed *oauthError
		if errors.As(err, &malformed) {
			return "", &supabaseError{http.StatusBadRequest, "bad_json", "Could not read the request body. " + malformed.description}
		}
		return "", err
	}
	if p.get("refresh_token") == "" {
		return "", errSupabaseToken
	}
	return p.get("refresh_token"), nil
}

// supabaseUser serves GET /auth/v1/user.
func (a *API) supabaseUser(w http.ResponseWriter, r *http.Request) error {
	s, err := a.readSupabaseSession(w, r)
	if err != nil {
		return err
	}
	user, err := newSupabaseUser(s.family, a.Issuer)
	if err != nil {
		return err
	}
	web.NoStore(w)
	web.WriteJSON(w, http.StatusOK, user)
	return nil
}

// supabaseLogout serves POST /auth/v1/logout?scope=global|local|others: it ends all families of
// the user in this client, that of the access token, or all but that one.
func (a *API) supabaseLogout(w http.ResponseWriter, r *http.Request) error {
	s, err := a.readSupabaseSession(w, r)
	if err != nil {
		return err
	}
	var end func(context.Context, *family.Family, *store.Client, session.Caller, time.Time) error
	switch s.query.get("scope") {
	case "", "global":
		end = a.SignOutEverywhere
	case "local":
		end = a.SignOut
	case "others":
		end = a.SignOutElsewhere
	default:
		return &supabaseError{http.StatusBadRequest, "validation_failed", "Unsupported logout scope: it must be global, local or others."}
	}
	err = end(r.Context(), s.family, s.client, web.CallerOf(r), s.now)
	if errors.Is(err, session.ErrNotKept) || errors.Is(err, session.ErrKeptEnded) {
		return errSupabaseSession
	}
	if err != nil {
		return err
	}
	web.NoStore(w)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
