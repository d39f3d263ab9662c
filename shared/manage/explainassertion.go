package manage

import (
	"context"
	"errors"
	"time"

	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/store"
)

// explainAssertion explains an assertion of an issuer that the client trusts; ok is false for
// anything else. It verifies nothing: an assertion that started a family was verified then, and
// of another one the log has what was wrong.
func (a *API) explainAssertion(ctx context.Context, keys *keyring.Keys, presented, clientID string, now time.Time) (answer explanation, ok bool, err error) {
	if clientID == "" {
		return answer, false, nil
	}
	client, err := a.FindClient(ctx, clientID, now)
	if err != nil || client == nil {
		return answer, false, err
	}
	said, ok := assertion.Name(presented, client.TrustedIssuers)
	if !ok {
		return answer, false, nil
	}
	id, err := a.StartedBy(ctx, keys, said, clientID, now)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return explanation{
			Verdict: family.DeadToken, Cause: family.NeverIssued,
			Summary: "This is an assertion of " + said.Issuer + ", which the client trusts. It has started no family, or that was so long ago that the assertion has expired since.",
			Advice:  "If it was refused, the log line fecte of that time has the reason. Make a new assertion for each login. GET /v1/families?user_id= lists the families of its user, whose id is " + said.UserID + ".",
		}, true, nil
	case err != nil:
		return answer, false, err
	}
	answer, err = a.explainCounter(ctx, id, &presentedToken{origin: family.Assertion}, clientID, now)
	return answer, true, err
}
