package console

import (
	"net/http"
	"strings"

	"github.com/rotor-auth/rotor/clients/manage"
)

// explained is what the page shows: the form, and the answer to it.
type explained struct {
	UserID, ClientID string // are shown in the form again; what was pasted is not
	Kind             string // of what was pasted
	End              string // its last characters
	Answer           *manage.Explanation
	Picture          *picture // nil if there is no record of the family
}

var explainPage = newPage[*explained]("explain")

// askExplain shows the form, or explains the family in the query. Its id is no secret, so that
// other pages may link here. Tokens are posted.
func (c *Console) askExplain(w http.ResponseWriter, r *http.Request) error {
	family := r.URL.Query().Get("family")
	if family == "" {
		write(c, w, r, http.StatusOK, explainPage, "Explain a token", &explained{})
		return nil
	}
	if kindOf(family) != aFamily {
		return &inputError{"This address may name a family, by its 43 characters. Paste anything else into the form."}
	}
	return c.answer(w, r, &manage.Question{Family: family}, &explained{Kind: aFamily})
}

// explain explains what was pasted.
func (c *Console) explain(w http.ResponseWriter, r *http.Request) error {
	pasted := strings.TrimSpace(r.PostForm.Get("pasted"))
	page := &explained{
		UserID: strings.TrimSpace(r.PostForm.Get("user_id")), ClientID: strings.TrimSpace(r.PostForm.Get("client_id")),
		Kind: kindOf(pasted), End: lastOf(pasted),
	}
	if pasted == "" {
		return &inputError{"Nothing was pasted. The form takes a refresh token (also one of another provider that moved in), an access token, an authorization code, a family id, or a sid with its user."}
	}
	if isSecret(page.UserID) || isSecret(page.ClientID) {
		return &inputError{"There is a token in the place of a user or a client. It belongs into the first field."}
	}
	// The service recognizes each value by its form. A user may stand beside a sid alone.
	q := &manage.Question{RefreshToken: pasted, ClientID: page.ClientID}
	if page.Kind == aSession && page.UserID != "" {
		q.RefreshToken, q.SID, q.UserID = "", pasted, page.UserID
	}
	return c.answer(w, r, q, page)
}

func (c *Console) answer(w http.ResponseWriter, r *http.Request, q *manage.Question, page *explained) error {
	var err error
	if page.Answer, err = c.API.Explain(r.Context(), q); err != nil {
		return err
	}
	if page.Kind == aRefreshToken && page.Answer.OriginToken == "code" {
		page.Kind = aCode // which looks like a refresh token
	}
	switch {
	case page.Answer.Cause == "never_imported":
		page.Kind = unknown
	case page.Kind != aRefreshToken && isOfForeign(q, page.Answer):
		page.Kind = aForeignToken // which may look like anything else
	}
	if f := page.Answer.Family; f != nil {
		var presented *uint32
		if page.Kind == aRefreshToken || page.Kind == aCode || page.Kind == aForeignToken { // the answer is about the newest token otherwise
			presented = &page.Answer.TokenCounter
		}
		if page.Picture, err = c.draw(r.Context(), f, page.Answer.Timeline, presented); err != nil {
			return err
		}
	}
	write(c, w, r, http.StatusOK, explainPage, "Explain a token", page)
	return nil
}

// isOfForeign reports whether the answer is about a refresh token of another provider that was
// pasted. A family that waits for such a token may be named otherwise.
func isOfForeign(q *manage.Question, x *manage.Explanation) bool {
	named := q.SID != "" || q.Family != "" || x.Family != nil && x.Family.ID == strings.Trim(q.RefreshToken, `"',; `)
	return isForeign(x.OriginToken) && !named
}

// The kinds of what people paste.
const (
	aRefreshToken = "refresh token"
	aForeignToken = "refresh token of another provider"
	aCode         = "authorization code"
	anAccessToken = "access token"
	aFamily       = "family id"
	aSession      = "session id (sid)"
	unknown       = "value of an unknown kind"
)

// kindOf returns what a pasted value seems to be. It decides about words alone: the service
// looks for itself.
func kindOf(pasted string) string {
	pasted = strings.Trim(pasted, `"',; `)
	switch {
	case strings.Contains(pasted, "rotor_"):
		return aRefreshToken
	case strings.Count(pasted, ".") == 2:
		return anAccessToken
	case len(pasted) == 43 && isWord(pasted):
		return aFamily
	case len(pasted) == 26 && isWord(pasted):
		return aSession
	}
	return unknown
}

func isWord(s string) bool {
	return strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

// lastOf returns the last characters of a value, which tell people which one it was.
func lastOf(pasted string) string {
	const most = 4
	last := []rune(strings.Trim(pasted, `"',; `))
	if len(last) < 4*most {
		return "" // they would be too much of it
	}
	return string(last[len(last)-most:])
}
