package oauth

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// tokenRequest is a request to the token endpoint whose client has been authenticated.
type tokenRequest struct {
	client *store.Client
	params params
	jar    *cookieJar // nil for a client that has its refresh tokens in bodies
	from   session.Caller
	proof  session.Proof
	now    time.Time
}

// grant is a grant type of the token endpoint, in a file of its own.
type grant struct {
	name string // the grant_type (RFC 6749 §4)
	// exchange returns the answer to a request, which is written as JSON.
	exchange func(r *http.Request, q *tokenRequest) (*session.Tokens, error)
}

// grants returns the grant types, in the order in which the metadata lists them.
func (a *API) grants() []grant {
	return []grant{
		{"refresh_token", a.refreshGrant},
		{"authorization_code", a.codeGrant},
		{"urn:ietf:params:oauth:grant-type:jwt-bearer", a.assertionGrant},
		{"urn:ietf:params:oauth:grant-type:token-exchange", a.exchangeGrant},
	}
}

// grantTypes returns the names of all grant types.
func (a *API) grantTypes() []string {
	var names []string
	for _, g := range a.grants() {
		names = append(names, g.name)
	}
	return names
}

// token serves POST /oauth/token (RFC 6749 §3.2).
func (a *API) token(w http.ResponseWriter, r *http.Request) error {
	q := &tokenRequest{now: a.Now()}
	var err error
	if q.params, err = readParams(r); err != nil {
		return err
	}
	grantType, err := q.params.required("grant_type")
	if err != nil {
		return err
	}
	grants := a.grants()
	i := slices.IndexFunc(grants, func(g grant) bool { return g.name == grantType })
	if i < 0 {
		return &oauthError{
			status: http.StatusBadRequest, code: "unsupported_grant_type",
			description: "The grant_type must be one of " + strings.Join(a.grantTypes(), ", ") + ".",
		}
	}
	if q.client, err = a.authenticate(r.Context(), r, q.params, q.now); err != nil {
		return err
	}
	if q.jar, err = a.cookies(r, q.client); err != nil {
		return err
	}
	if q.from, err = endUser(r, q.client); err != nil {
		return err
	}
	if q.proof, err = a.readProof(w, r, "", q.now); err != nil {
		return err
	}
	answer, err := grants[i].exchange(r, q)
	if err != nil {
		q.jar.clearRefused(w, err)
		return err
	}
	if q.jar != nil {
		if err := a.offerRegistration(w, r, q, answer); err != nil {
			return err
		}
		q.jar.keep(w, answer, q.now)
	}
	web.NoStore(w)
	web.WriteJSON(w, http.StatusOK, answer)
	return nil
}
