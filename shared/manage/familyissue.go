package manage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
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
	"github.com/rotor-auth/rotor/shared/proof"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
)

// newFamily is the body of POST /v1/families.
type newFamily struct {
	userID           string
	clientID         string
	scope            *string          // narrows the client's default scope
	audience         signing.Audience // goes into the access tokens
	claims           json.RawMessage  // are added to the access tokens
	authTime         time.Time
	acr              string
	amr              []string
	device           string          // is shown in lists of families
	absoluteLifetime *family.Seconds // shortens the policy's
	deliver          string          // "code" for an authorization code in place of the tokens
	codeChallenge    string          // what the code's verifier must hash to
	nonce            string          // goes into the first id token
	dpopJKT          string          // the thumbprint of the key that the family is bound to
}

func (body *newFamily) fields() map[string]any {
	return map[string]any{
		"user_id": &body.userID, "client_id": &body.clientID, "scope": &body.scope, "audience": &body.audience,
		"claims": &body.claims, "auth_time": &body.authTime, "acr": &body.acr, "amr": &body.amr,
		"device": &body.device, "absolute_lifetime": &body.absoluteLifetime,
		"deliver": &body.deliver, "code_challenge": &body.codeChallenge, "nonce": &body.nonce, "dpop_jkt": &body.dpopJKT,
	}
}

// issueFamily serves POST /v1/families, which starts a family and answers with its first
// tokens, or with an authorization code for them. The login calls it once, after it has
// authenticated the user. If it sends an Idempotency-Key, it may repeat the call.
func (a *API) issueFamily(w http.ResponseWriter, r *http.Request) error {
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
	setUserAndClient(operationOf(r.Context()), body.userID, body.clientID)
	if err != nil {
		return err
	}
	var in input
	in.required("user_id", body.userID, maxUserID)
	in.clientID(body.clientID)
	if err := in.err(); err != nil {
		return err
	}
	client, err := a.registered(r.Context(), "client_id", body.clientID, now)
	if err != nil {
		return err
	}
	if client.Cookie && body.deliver == "" {
		return &unprocessable{Field: "deliver", Value: "left out", Want: `"code": the client keeps its refresh tokens in cookies, and its page exchanges the code for one`}
	}
	var asked []byte
	if key != "" {
		if asked, err = canonical(body.fields(), (&newFamily{}).fields()); err != nil {
			return err
		}
	}
	f, err := a.start(r, &body, client, key, asked, func(f *family.Family) error {
		f.Origin, err = body.origin(now)
		return err
	}, now)
	if err != nil {
		return err
	}
	id := f.ID.String()
	w.Header().Set("Location", web.StrippedPrefix(r)+"/v1/families/"+id)
	if f.Origin.Kind == family.Code {
		answer, err := a.codeAnswer(r.Context(), f, now)
		if err != nil {
			return err
		}
		web.WriteJSON(w, http.StatusCreated, answer)
		return nil
	}
	answer, err := a.Tokens(r.Context(), f, client, now)
	if err != nil {
		return err
	}
	answer.Family = id
	web.WriteJSON(w, http.StatusCreated, answer)
	return nil
}

// codeAnswer is the answer to the start of a family whose tokens the client fetches with an
// authorization code.
type codeAnswer struct {
	Code      string `json:"code"`
	ExpiresIn int64  `json:"expires_in"` // of the code, in seconds
	Family    string `json:"family"`
}

func (a *API) codeAnswer(ctx context.Context, f *family.Family, now time.Time) (codeAnswer, error) {
	code, err := a.Code(ctx, f, now)
	return codeAnswer{Code: code, ExpiresIn: int64(f.Origin.Until.Sub(now) / time.Second), Family: f.ID.String()}, err
}

// registered returns the client with that id, or an error about the field that names it.
func (a *API) registered(ctx context.Context, field, id string, now time.Time) (*store.Client, error) {
	client, err := a.Clients.Client(ctx, id, now)
	if errors.Is(err, store.ErrNotFound) {
		return nil, notRegistered(field, id)
	}
	return client, err
}

// notRegistered returns the error about a field that names a client which is not registered.
func notRegistered(field, id string) error {
	return fieldErrors{{Field: field, Value: strconv.Quote(id), Want: "a registered client"}}
}

// start starts the family that the body asks for, or returns the one that the idempotency key
// has started with the same request. bind completes it, before it is checked whether its record
// is too large.
func (a *API) start(r *http.Request, body *newFamily, client *store.Client, key string, asked []byte, bind func(*family.Family) error, now time.Time) (*family.Family, error) {
	user, err := web.ForwardedCaller(r)
	if err != nil {
		return nil, err
	}
	id, f, err := a.Start(r.Context(), session.Start{
		UserID: body.userID, Client: client, IdempotencyKey: key, Asked: asked,
		Family: func() (*family.Family, error) {
			f, err := body.toFamily(client, body.deliver == "", now)
			if err != nil {
				return nil, err
			}
			if err := bind(f); err != nil {
				return nil, err
			}
			if f.Origin.Kind == family.Code {
				f.Counter = 0
			}
			// The connection is that of the login's backend, so that only forwarded values
			// are the user's.
			f.LastIP, f.LastUserAgent = user.IP, user.UserAgent
			return f, checkRecordSize(f)
		},
	}, now)
	operationOf(r.Context()).Family = id
	return f, idempotencyError(err)
}

// origin returns what the family is started from: nothing, or a code if the login wants one to
// deliver to its client. Such a code is for no redirect URI.
func (body *newFamily) origin(now time.Time) (family.Origin, error) {
	var in input
	if body.deliver == "" {
		if body.codeChallenge != "" {
			in.wrong("code_challenge", "", `left out unless deliver is "code"`)
		}
		if body.nonce != "" {
			in.wrong("nonce", "", `left out unless deliver is "code"`)
		}
		return family.Origin{}, in.err()
	}
	if body.deliver != "code" {
		in.wrong("deliver", strconv.Quote(session.Cut(body.deliver, 32)), `"code", or left out`)
	}
	challenge, ok := parseChallenge(body.codeChallenge)
	if !ok {
		in.wrong("code_challenge", "", wantChallenge)
	}
	in.text("nonce", body.nonce, maxNonce)
	return family.Origin{
		Kind: family.Code, Until: now.Add(family.CodeLifetime),
		Challenge: challenge, Redirect: session.HashRedirect(""), Nonce: body.nonce,
	}, in.err()
}

const (
	// maxNonce is in bytes. The record keeps it for the first id token.
	maxNonce      = 255
	wantChallenge = "the SHA-256 of the code verifier, 43 characters of base64url (RFC 7636 section 4.2, S256)"
)

// parseChallenge returns the bytes of a code challenge of the method S256.
func parseChallenge(s string) (challenge []byte, ok bool) {
	challenge, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return challenge, err == nil && len(challenge) == sha256.Size && len(s) == base64.RawURLEncoding.EncodedLen(sha256.Size)
}

// toFamily checks the body and returns the family that it asks for, without an id. begins says that the
// family begins now, and not with the use of a code or of another provider's token.
func (body *newFamily) toFamily(client *store.Client, begins bool, now time.Time) (*family.Family, error) {
	var in input
	f := session.NewFamily(client, body.userID, now)
	f.ACR, f.AMR, f.Device = body.acr, body.amr, session.Describe(body.device)
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
	f.JKT = in.thumbprint(body.dpopJKT, begins, client)
	if !body.authTime.IsZero() {
		f.AuthTime = in.authTime(body.authTime, now)
	}
	in.text("acr", body.acr, maxACR)
	in.amr(body.amr)
	if l := body.absoluteLifetime; l != nil {
		longest := client.Policy.AbsoluteLifetime
		if longest == 0 {
			longest = family.MaxLifetime
		}
		if *l < 1 || *l > longest {
			in.wrong("absolute_lifetime", strconv.FormatInt(int64(*l), 10), fmt.Sprintf("from 1 to %d", longest))
		}
		f.ExpiresAt = now.Add(l.Duration())
	}
	return f, in.err()
}

// checkRecordSize returns an error if the family's record can exceed [store.MaxFamilySize],
// with all that later uses of its tokens add to it. The error names claims or scope, whichever
// is larger, as these two can be longest.
func checkRecordSize(f *family.Family) error {
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

// thumbprint checks the key that the family is to be bound to (RFC 9449 §10), and returns its thumbprint.
func (in *input) thumbprint(jkt string, begins bool, client *store.Client) []byte {
	const field = "dpop_jkt"
	policy := client.Policy.DPoP
	if jkt == "" {
		if policy == family.DPoPRequired && begins && !client.Confidential {
			in.wrong(field, "", `given: the client's policy.dpop is "required". Or let its app exchange a code, with deliver "code"`)
		}
		return nil
	}
	t, err := proof.ParseThumbprint(jkt)
	switch {
	case err != nil:
		in.wrong(field, "", "the SHA-256 thumbprint of a key (RFC 7638), 43 characters of base64url")
		return nil
	case policy == family.DPoPOff:
		in.wrong(field, "", `left out unless the client's policy.dpop is "allowed" or "required"`)
	case client.Confidential && begins:
		in.wrong(field, "", `left out for a confidential client: its refresh tokens are bound to its credentials (RFC 9449 section 5). Only a code may have one`)
	}
	return t[:]
}

// authTime checks the time of the user's authentication and returns it in whole seconds.
func (in *input) authTime(t, now time.Time) time.Time {
	if t.After(now.Add(time.Minute)) || t.Unix() <= 0 {
		in.wrong("auth_time", t.Format(time.RFC3339), "a time in the past")
	}
	return t.Truncate(time.Second)
}

// amr checks the methods by which the user authenticated.
func (in *input) amr(values []string) {
	in.text("amr", strings.Join(values, " "), maxAMR)
	if slices.ContainsFunc(values, func(v string) bool { return v == "" || strings.Contains(v, " ") }) {
		in.wrong("amr", "", "values without spaces (RFC 8176)")
	}
}

// claims checks custom claims and returns them as compact JSON, "" if there are none.
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
