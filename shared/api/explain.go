package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/token"
)

// explanation is the answer of POST /v1/explain.
type explanation struct {
	Verdict        family.State    `json:"verdict"`
	Cause          family.Cause    `json:"cause,omitempty"`
	Summary        string          `json:"summary"`
	Advice         string          `json:"advice"`
	TokenCounter   uint32          `json:"token_counter,omitempty"`
	IssuedAt       time.Time       `json:"issued_at,omitzero"` // of the family, also where its record is gone
	Family         *familyJSON     `json:"family,omitempty"`
	Timeline       []moment        `json:"timeline,omitempty"`
	Recommendation *recommendation `json:"recommendation,omitempty"`
}

// recommendation is a reuse interval for a client, from what it saw.
type recommendation struct {
	family.Recommendation
	PresentInterval family.Seconds `json:"present_interval"`
	Days            int            `json:"days"` // looked back
}

// explain tells the story of a token and what to do about it: POST /v1/explain
// with a refresh_token or a family, and with client_id to ask as that client.
// Nothing is changed by asking.
func (a *API) explain(w http.ResponseWriter, r *http.Request) error {
	now := a.now()
	if err := noQuery(r); err != nil {
		return err
	}
	var presented, familyText, clientID string
	err := readJSON(r, map[string]any{"refresh_token": &presented, "family": &familyText, "client_id": &clientID})
	if err != nil {
		return err
	}
	var in input
	if (presented == "") == (familyText == "") {
		in.wrong("refresh_token", "", "given, or else family, but not both")
	}
	if clientID != "" {
		in.clientID(clientID)
	}
	if err := in.err(); err != nil {
		return err
	}
	var answer explanation
	if presented != "" {
		answer, err = a.explainToken(r.Context(), presented, clientID, now)
	} else {
		answer, err = a.explainFamilyID(r.Context(), familyText, clientID, now)
	}
	if err != nil {
		return err
	}
	noStore(w)
	writeJSON(w, http.StatusOK, "application/json", answer)
	return nil
}

func (a *API) explainToken(ctx context.Context, presented, clientID string, now time.Time) (explanation, error) {
	keys, err := a.Keys.Keys(ctx, now)
	if err != nil {
		return explanation{}, err
	}
	tok, err := parseToken(keys, presented)
	switch {
	case errors.Is(err, keyring.ErrUnavailable):
		return explanation{}, err
	case errors.Is(err, token.ErrForged):
		return explanation{
			Verdict: family.DeadToken, Cause: family.NeverIssued,
			Summary: "We never issued this: it has the form of a refresh token, but its seal is not ours.",
			Advice:  "It was made up, altered, or issued by another installation or with keys that are gone: check which environment the application talks to.",
		}, nil
	case err != nil:
		return explanation{
			Verdict: family.DeadToken, Cause: family.Malformed,
			Summary: "This is not a refresh token: those are " + strconv.Itoa(token.Length) + " characters long and begin with " + token.Prefix + "; this has " + strconv.Itoa(len(presented)) + " bytes.",
			Advice:  "Look for what cut or changed it on its way: a column that is too short, quotes, URL encoding, or another kind of token in its place.",
		}, nil
	}
	return a.explainCounter(ctx, tok.Family, tok.Counter, clientID, now)
}

// explainFamilyID explains the newest token of a family.
func (a *API) explainFamilyID(ctx context.Context, text, clientID string, now time.Time) (explanation, error) {
	id, err := family.ParseID(text)
	if err != nil {
		return explanation{
			Verdict: family.DeadToken, Cause: family.Malformed,
			Summary: "This is not a family id: those are 43 characters of base64url.",
			Advice:  "Copy the whole familyId from a log line, or family from the answer to POST /v1/families.",
		}, nil
	}
	answer, err := a.explainCounter(ctx, id, 0, clientID, now)
	if err == nil && answer.Cause == family.Purged {
		// An id has no seal: who knows it did not make it up cannot be told.
		answer.Summary = "There is no record of this family. If the id is ours, it was issued on " +
			id.IssuedAt().Format(time.DateTime) + " UTC, and its record is gone; a refresh token of it would prove that."
	}
	return answer, err
}

// explainCounter explains the family's token of that number, the newest if 0.
func (a *API) explainCounter(ctx context.Context, id family.ID, counter uint32, clientID string, now time.Time) (explanation, error) {
	f, err := a.Table.Family(ctx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return explanation{}, err
	}
	attempt := family.Attempt{Counter: counter, ClientID: clientID, Now: now}
	if f == nil {
		return explained(family.Explain(nil, nil, id.IssuedAt(), attempt), id, counter), nil
	}
	if counter == 0 {
		attempt.Counter = f.Counter
	}
	if clientID == "" {
		attempt.ClientID = f.ClientID
	}
	client, err := a.registered(ctx, f.ClientID, now)
	if err != nil {
		return explanation{}, err
	}
	answer := explained(family.Explain(f, policyOf(client), id.IssuedAt(), attempt), id, attempt.Counter)
	if client == nil && answer.Verdict != family.DeadToken {
		answer.Verdict = family.DeadToken
		answer.Summary = "The client " + f.ClientID + " is not registered any more: its tokens are refused with invalid_client."
		answer.Advice = "Register the client again if it was deleted by mistake: its families live on."
	}
	shown := show(f, client, now)
	answer.Family = &shown
	if answer.Timeline, err = a.timeline(ctx, f, shown, now); err != nil {
		return explanation{}, err
	}
	if client != nil && (answer.Cause == family.ReuseDetected || answer.Cause == family.Superseded) {
		if answer.Recommendation, err = a.recommend(ctx, client, now); err != nil {
			return explanation{}, err
		}
	}
	return answer, nil
}

func explained(e family.Explanation, id family.ID, counter uint32) explanation {
	return explanation{
		Verdict: e.Verdict, Cause: e.Cause, Summary: e.Summary, Advice: e.Advice,
		TokenCounter: counter, IssuedAt: id.IssuedAt(),
	}
}

const (
	recommendDays = 30
	// recommendEvents bounds what a recommendation reads: the newest.
	recommendEvents = 1000
)

// recommend is a reuse interval for the client from its reuse of the last 30
// days; nil where there was none.
func (a *API) recommend(ctx context.Context, client *store.Client, now time.Time) (*recommendation, error) {
	filter := eventFilter{eventType: audit.Reuse, span: store.Span{
		From: now.AddDate(0, 0, -recommendDays), To: now.Add(time.Millisecond),
	}}
	var lost []time.Duration
	all := 0
	var at position
	for read := 0; read < recommendEvents; {
		events, next, err := a.events(ctx, &filter, at)
		if err != nil {
			return nil, err
		}
		for i := range events {
			e := &events[i]
			if e.ClientID != client.ID {
				continue
			}
			all++
			if family.LostResponseLikely(e.TokenCounter, e.LatestCounter, e.Age) {
				lost = append(lost, e.Age)
			}
		}
		read += max(1, len(events))
		if at = next; at.event == (ulid.ULID{}) {
			break
		}
	}
	if all == 0 {
		return nil, nil
	}
	present := client.Policy.ReuseInterval
	return &recommendation{family.Recommend(present, lost, all), present, recommendDays}, nil
}
