package manage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/foreign"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/token"
)

// explainForeign explains another provider's refresh token. Such a token has no form of its own, so
// that it is recognized by what is on record; ok is false for anything else.
func (a *API) explainForeign(ctx context.Context, keys *keyring.Keys, presented, clientID string, now time.Time) (answer explanation, ok bool, err error) {
	if !(&foreign.Shape{}).Fits(presented) {
		return answer, false, nil
	}
	found, err := a.FindForeign(ctx, keys, presented)
	switch {
	case err != nil:
		return answer, false, err
	case found.Claim != nil:
		return explainClaim(found.Claim, now), true, nil
	case found.Family == nil:
		return answer, false, nil
	}
	answer, err = a.explainCounter(ctx, *found.Family, &presentedToken{origin: family.Imported}, clientID, now)
	if err != nil || answer.Family == nil || answer.Verdict == family.DeadToken && answer.Cause != family.Superseded {
		return answer, true, err
	}
	client, err := a.FindClient(ctx, answer.Family.ClientID, now)
	if err != nil || client == nil || client.KnowsForeign(presented) {
		return answer, true, err
	}
	answer.Verdict, answer.Cause, answer.Recommendation = family.DeadToken, family.Malformed, nil
	answer.Summary = "This is another provider's refresh token, which began a family of client " + client.ID + ". But " + unfit(client, presented) +
		": it is refused as malformed, and not looked up."
	answer.Advice = "Set accepts_imported of the client to what its old tokens look like. The family is untouched, and the token works from then on if it would have worked before."
	return answer, true, nil
}

// unfit returns why a client does not accept a foreign token.
func unfit(client *store.Client, presented string) string {
	shape := client.AcceptsImported
	if shape == nil {
		return "the client has no accepts_imported"
	}
	asks := make([]string, 0, 2)
	if shape.Prefix != "" {
		asks = append(asks, fmt.Sprintf("the prefix %q", shape.Prefix))
	}
	if shape.Length != 0 {
		asks = append(asks, fmt.Sprintf("%d characters", shape.Length))
	}
	if len(asks) == 0 {
		asks = append(asks, fmt.Sprintf("up to %d visible ASCII characters", foreign.MaxToken))
	}
	return fmt.Sprintf("the client's accepts_imported asks for %s, and this has %d characters", strings.Join(asks, " and "), len(presented))
}

const (
	// strangersClients limits the clients that are asked whether they accept an unknown token.
	strangersClients = 1000
	// strangersNamed limits how many of them are named.
	strangersNamed = 3
)

// explainStranger explains a value that is no token of ours and is not on record as another
// provider's; ok is false if no client would look it up, or, with a client id, not that one.
func (a *API) explainStranger(ctx context.Context, presented, clientID string, now time.Time) (answer explanation, ok bool, err error) {
	if strings.HasPrefix(presented, token.Prefix) {
		return answer, false, nil // it was cut
	}
	clients, err := a.acceptingClients(ctx, clientID, now)
	if err != nil {
		return answer, false, err
	}
	if i := slices.IndexFunc(clients, func(c *store.Client) bool { return c.Adopt.Fits(presented) }); i >= 0 {
		return explainUnasked(clients[i]), true, nil
	}
	clients = slices.DeleteFunc(clients, func(c *store.Client) bool { return c.AcceptsImported == nil })
	if len(clients) == 0 {
		return answer, false, nil
	}
	answer = explanation{
		Verdict: family.DeadToken, Cause: family.NeverImported,
		Advice: "Check that the list had the SHA-256 of exactly this text, without a line break, quotes or a name before it; that the list was imported here, for this client; " +
			"and that the application talks to this environment and not to another one. The user must log in again, unless the token is imported now.",
	}
	fit := slices.DeleteFunc(slices.Clone(clients), func(c *store.Client) bool { return !c.AcceptsImported.Fits(presented) })
	if len(fit) == 0 && clientID != "" {
		answer.Cause = family.Malformed
		answer.Summary = "This is no token of ours, and none of another provider that is on record. And " + unfit(clients[0], presented) + ": it is refused as malformed, and not looked up."
		answer.Advice = "If the application sends its old tokens, set accepts_imported of the client to what they look like. " + answer.Advice
		return answer, true, nil
	}
	if len(fit) == 0 {
		return answer, false, nil
	}
	names := make([]string, 0, strangersNamed)
	for _, c := range fit[:min(len(fit), strangersNamed)] {
		names = append(names, c.ID)
	}
	if len(fit) > strangersNamed {
		names = append(names, fmt.Sprintf("%d more", len(fit)-strangersNamed))
	}
	answer.Summary = fmt.Sprintf("This is no token of ours. It has the shape of another provider's refresh tokens that are accepted for %s, but it was never imported.", strings.Join(names, ", "))
	return answer, true, nil
}

// acceptingClients returns the clients that accept or adopt refresh tokens of another provider;
// with an id, that one alone.
func (a *API) acceptingClients(ctx context.Context, clientID string, now time.Time) (accepting []*store.Client, err error) {
	if clientID != "" {
		client, err := a.FindClient(ctx, clientID, now)
		if err != nil || client == nil || client.AcceptsImported == nil && client.Adopt == nil {
			return nil, err
		}
		return []*store.Client{client}, nil
	}
	for after, read := "", 0; read < strangersClients; {
		page, next, err := a.Table.ListClients(ctx, after, clientsPerPage)
		if err != nil {
			return nil, err
		}
		for _, c := range page {
			if c.AcceptsImported != nil || c.Adopt != nil {
				accepting = append(accepting, c)
			}
		}
		if next == "" {
			break
		}
		after, read = next, read+len(page)
	}
	return accepting, nil
}
