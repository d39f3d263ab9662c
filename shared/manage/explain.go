package manage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/token"
)

// explanation is the answer to POST /v1/explain.
type explanation struct {
	Verdict        family.State      `json:"verdict"`
	Cause          family.Cause      `json:"cause,omitempty"`
	Summary        string            `json:"summary"`
	Advice         string            `json:"advice"`
	OriginToken    family.OriginKind `json:"origin_token,omitempty"` // set if it is about the family's number 0
	TokenCounter   uint32            `json:"token_counter,omitempty"`
	IssuedAt       time.Time         `json:"issued_at,omitzero"` // when the family was issued; known even if its record is gone
	Family         *familyJSON       `json:"family,omitempty"`
	Timeline       []moment          `json:"timeline,omitempty"`
	Recommendation *recommendation   `json:"recommendation,omitempty"`
}

// explain serves POST /v1/explain, which says what happened to a token and what to do about
// it. The body has a refresh_token, an access_token, a family, or the sid of an access token
// with its user_id. With a client_id, it explains what that client would be answered. A value
// under the wrong name is recognized by its form. Nothing is changed.
func (a *API) explain(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	if err := noQuery(r); err != nil {
		return err
	}
	var q question
	if err := readJSON(r, q.fields()); err != nil {
		return err
	}
	if err := q.check(); err != nil {
		return err
	}
	answer, err := a.explainQuestion(r.Context(), &q, now)
	if err != nil {
		return err
	}
	web.WriteJSON(w, http.StatusOK, answer)
	return nil
}

// question is the body of POST /v1/explain.
type question struct {
	refreshToken, accessToken, family, sid string // exactly one is given
	userID                                 string // given with sid alone
	clientID                               string
}

func (q *question) fields() map[string]any {
	return map[string]any{
		"refresh_token": &q.refreshToken, "access_token": &q.accessToken, "family": &q.family, "sid": &q.sid,
		"user_id": &q.userID, "client_id": &q.clientID,
	}
}

func (q *question) check() error {
	var in input
	asked := slices.DeleteFunc([]string{q.refreshToken, q.accessToken, q.family, q.sid}, func(s string) bool { return s == "" })
	switch {
	case len(asked) == 0 && q.userID != "":
		in.wrong("user_id", "", "given with a sid. GET /v1/families?user_id= lists the user's families, and GET /v1/events?user_id= what happened to them")
	case len(asked) != 1:
		in.wrong("refresh_token", "", "given, or else one of access_token, family or sid, but not two of them")
	case q.userID != "" && q.sid == "":
		in.wrong("user_id", "", "left out: a token and a family say whose they are")
	case q.userID != "":
		in.text("user_id", q.userID, maxUserID)
	}
	if q.clientID != "" {
		in.clientID(q.clientID)
	}
	return in.err()
}

// explainQuestion explains the value in the question, whose form says what it is.
func (a *API) explainQuestion(ctx context.Context, q *question, now time.Time) (explanation, error) {
	pasted := unwrap(cmp.Or(q.refreshToken, q.accessToken, q.family, q.sid)) // exactly one is given
	keys, err := a.Keys.Keys(ctx, now)
	if err != nil {
		return explanation{}, err
	}
	sid, notSID := ulid.ParseStrict(pasted)
	id, notFamily := family.ParseID(pasted)
	switch {
	case strings.Count(pasted, ".") == 2:
		return a.explainAccess(ctx, keys, pasted, q.clientID, now)
	case notSID == nil && q.userID != "":
		answer, err := a.explainNewest(ctx, family.JoinID(keys.Users.Key(q.userID), sid), q.clientID, now)
		if err == nil && answer.Cause == family.Purged {
			answer.Summary = "There is no record of a family with this sid and this user. If both are right, it was issued on " +
				sid.Timestamp().UTC().Format(time.DateTime) + " UTC, and its record is gone."
			answer.Advice = "Check the user_id: it is the sub of the access token with this sid."
		}
		return answer, err
	case notSID == nil:
		if answer, ok, err := a.explainForeign(ctx, keys, pasted, q.clientID, now); ok || err != nil {
			return answer, err
		}
		return explanation{
			Verdict: family.DeadToken, Cause: family.Malformed,
			Summary: "This has the form of a sid, the session id in access tokens, of a family that was issued on " + sid.Timestamp().UTC().Format(time.DateTime) + " UTC.",
			Advice:  "A sid names a family together with its user: send user_id beside it, which is the sub of the same access token.",
		}, nil
	case notFamily == nil:
		answer, err := a.explainFamily(ctx, id, q.clientID, now)
		if err != nil || answer.Cause != family.Purged {
			return answer, err
		}
		if foreign, ok, err := a.explainForeign(ctx, keys, pasted, q.clientID, now); ok || err != nil {
			return foreign, err
		}
		if q.family == "" {
			if stranger, ok, err := a.explainStranger(ctx, pasted, q.clientID, now); ok || err != nil {
				return stranger, err
			}
		}
		return answer, nil
	case q.family != "" && !strings.HasPrefix(pasted, token.Prefix):
		if answer, ok, err := a.explainForeign(ctx, keys, pasted, q.clientID, now); ok || err != nil {
			return answer, err
		}
		return explanation{
			Verdict: family.DeadToken, Cause: family.Malformed,
			Summary: "This is not a family id: those are 43 characters of base64url.",
			Advice:  "Copy the whole familyId from a log line, or family from the answer to POST /v1/families. GET /v1/families?user_id= lists a user's families.",
		}, nil
	}
	return a.explainToken(ctx, keys, pasted, q.clientID, now)
}

// unwrap returns a pasted value without what often comes along: white space, also line
// breaks inside it, quotes, and the rest of an Authorization header.
func unwrap(pasted string) string {
	words := strings.Fields(strings.Trim(strings.TrimSpace(pasted), `"',;`))
	for len(words) > 1 && (strings.EqualFold(words[0], "Authorization:") || strings.EqualFold(words[0], "Bearer")) {
		words = words[1:]
	}
	return strings.Trim(strings.Join(words, ""), `"',;`)
}

// explainToken explains a refresh token.
func (a *API) explainToken(ctx context.Context, keys *keyring.Keys, presented, clientID string, now time.Time) (explanation, error) {
	tok, err := a.ParseToken(ctx, keys, presented, now)
	if errors.Is(err, token.ErrMalformed) {
		if code, codeErr := a.ParseCode(ctx, keys, presented, now); !errors.Is(codeErr, token.ErrMalformed) {
			tok, err = code, codeErr
		}
	}
	var revoked *token.RevokedError
	switch {
	case errors.Is(err, keyring.ErrUnavailable):
		return explanation{}, err
	case errors.As(err, &revoked):
		return a.explainRevoked(ctx, revoked, clientID, now)
	case errors.Is(err, token.ErrForged):
		return explanation{
			Verdict: family.DeadToken, Cause: family.NeverIssued,
			Summary: "We never issued this: it has the form of a refresh token, but its seal is not ours.",
			Advice:  "It was made up, altered, or issued by another installation or with keys that are gone: check which environment the application talks to.",
		}, nil
	case err != nil:
		if answer, ok, err := a.explainForeign(ctx, keys, presented, clientID, now); ok || err != nil {
			return answer, err
		}
		if answer, ok, err := a.explainStranger(ctx, presented, clientID, now); ok || err != nil {
			return answer, err
		}
		return explanation{
			Verdict: family.DeadToken, Cause: family.Malformed,
			Summary: "This is not a refresh token: those are " + strconv.Itoa(token.Length) + " characters long and begin with " + token.Prefix + "; this has " + strconv.Itoa(len(presented)) + " bytes.",
			Advice: "Look for what cut or changed it on its way: a column that is too short, quotes, URL encoding, or another kind of token in its place. " +
				"An access token, a family id, or a sid with its user_id can be explained as well; GET /v1/families?user_id= lists a user's families.",
		}, nil
	}
	return a.explainCounter(ctx, tok.Family, &presentedToken{number: tok.Counter, origin: originOf(tok)}, clientID, now)
}

// originOf returns the kind of a token that Rotor made: a code has the number 0.
func originOf(tok token.Token) family.OriginKind {
	if tok.Counter == 0 {
		return family.Code
	}
	return ""
}

// explainRevoked explains a refresh token whose key has been revoked, with what is known of
// the family that it names.
func (a *API) explainRevoked(ctx context.Context, e *token.RevokedError, clientID string, now time.Time) (explanation, error) {
	tok := e.Token
	answer, err := a.explainCounter(ctx, tok.Family, &presentedToken{number: tok.Counter, origin: originOf(tok)}, clientID, now)
	if err != nil {
		return explanation{}, err
	}
	answer.Verdict, answer.Cause, answer.Recommendation = family.DeadToken, family.KeyRevoked, nil
	answer.Summary = "It was made with a key that was revoked on " + e.At.UTC().Format(time.DateTime) +
		" UTC: all refresh tokens of that key are void since then."
	answer.Advice = "The key was, or may have been, in other hands, so that a token of it proves nothing. The user must log in again. " +
		"The family is not revoked by this: if somebody else may hold its session, revoke it."
	return answer, nil
}

// explainAccess explains the newest refresh token of an access token's family.
func (a *API) explainAccess(ctx context.Context, keys *keyring.Keys, presented, clientID string, now time.Time) (explanation, error) {
	access, err := a.VerifyAccess(ctx, keys, presented, now, (*signing.Set).VerifyExpired)
	if errors.Is(err, keyring.ErrUnavailable) {
		return explanation{}, err
	}
	if err != nil {
		if answer, ok, err := a.explainAssertion(ctx, keys, presented, clientID, now); ok || err != nil {
			return answer, err
		}
		if answer, ok, err := a.explainForeign(ctx, keys, presented, clientID, now); ok || err != nil {
			return answer, err
		}
		if clientID != "" { // who asks as a client means a refresh token
			if answer, ok, err := a.explainStranger(ctx, presented, clientID, now); ok || err != nil {
				return answer, err
			}
		}
		return explanation{
			Verdict: family.DeadToken, Cause: family.NeverIssued,
			Summary: "This has the form of a JWT, but it is not an access token of " + a.Issuer + " under a key that is published now.",
			Advice: "It is an id token, of another issuer, altered, so old that its key is no longer published, or under a key that was revoked. " +
				"If it is an old access token of ours, read its claims and send sid with user_id, which is its sub. " +
				"If it is an assertion of an issuer that a client trusts, send client_id.",
		}, nil
	}
	sid, err := ulid.ParseStrict(access.SessionID)
	if err != nil {
		return explanation{}, fmt.Errorf("read the sid of an access token: %w", err) // never, as we signed it
	}
	answer, err := a.explainNewest(ctx, family.JoinID(keys.Users.Key(access.Subject), sid), clientID, now)
	if err != nil {
		return explanation{}, err
	}
	expiry := "it expires on "
	if !now.Before(access.ExpiresAt) {
		expiry = "it expired on "
	}
	answer.Summary = "This is an access token; " + expiry + access.ExpiresAt.Format(time.DateTime) + " UTC. Of its family's newest refresh token: " + answer.Summary
	return answer, nil
}

// explainFamily explains the newest refresh token of a family.
func (a *API) explainFamily(ctx context.Context, id family.ID, clientID string, now time.Time) (explanation, error) {
	answer, err := a.explainNewest(ctx, id, clientID, now)
	if err == nil && answer.Cause == family.Purged {
		// A family id has no MAC, so that it cannot be told from one that was made up.
		answer.Summary = "There is no record of this family. If the id is ours, it was issued on " +
			id.IssuedAt().Format(time.DateTime) + " UTC, and its record is gone; a refresh token of it would prove that."
	}
	return answer, err
}

// explainNewest explains the family's newest refresh token, or its number 0 if it has none yet.
func (a *API) explainNewest(ctx context.Context, id family.ID, clientID string, now time.Time) (explanation, error) {
	return a.explainCounter(ctx, id, nil, clientID, now)
}

// presentedToken is the token of a family that is asked about.
type presentedToken struct {
	number uint32
	origin family.OriginKind // set if the number is 0
}

// explainCounter explains the token tok of a family, the newest if it is nil.
func (a *API) explainCounter(ctx context.Context, id family.ID, tok *presentedToken, clientID string, now time.Time) (explanation, error) {
	f, client, err := a.familyAndClient(ctx, id, now)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return explanation{}, err
	}
	attempt := family.Attempt{ClientID: clientID, Now: now}
	if tok != nil {
		attempt.Counter, attempt.Origin = tok.number, tok.origin
	}
	if f == nil {
		answer := newExplanation(family.Explain(nil, nil, id.IssuedAt(), attempt), id, attempt.Counter)
		answer.OriginToken = attempt.Origin
		return answer, nil
	}
	if tok == nil {
		attempt.Counter = f.Counter
	}
	// Only the client has the proof that must come with a code. The explanation supposes it.
	attempt.Challenge, attempt.Redirect = f.Origin.Challenge, f.Origin.Redirect
	if clientID == "" {
		attempt.ClientID = f.ClientID
	}
	attempt.JKT = f.JKT // it is about the holder of the token, and not about the caller
	answer := newExplanation(family.Explain(f, session.PolicyOf(client), id.IssuedAt(), attempt), id, attempt.Counter)
	if attempt.Counter == 0 {
		answer.OriginToken = f.Origin.Kind
	}
	if client == nil && answer.Verdict != family.DeadToken {
		answer.Verdict = family.DeadToken
		answer.Summary = "The client " + f.ClientID + " is not registered any more: its tokens are refused with invalid_client."
		answer.Advice = "Register the client again if it was deleted by mistake: its families live on."
	}
	shown := newFamilyJSON(f, client, now)
	answer.Family = &shown
	if answer.Timeline, err = a.timeline(ctx, f, shown); err != nil {
		return explanation{}, err
	}
	if client != nil && (answer.Cause == family.ReuseDetected || answer.Cause == family.Superseded) {
		if answer.Recommendation, err = a.recommend(ctx, client, now); err != nil {
			return explanation{}, err
		}
	}
	return answer, nil
}

// newExplanation returns the explanation of the family's refresh token with that counter.
func newExplanation(e family.Explanation, id family.ID, counter uint32) explanation {
	return explanation{
		Verdict: e.Verdict, Cause: e.Cause, Summary: e.Summary, Advice: e.Advice,
		TokenCounter: counter, IssuedAt: id.IssuedAt(),
	}
}
