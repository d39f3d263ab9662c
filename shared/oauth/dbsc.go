package oauth

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/proof"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

// The endpoints of Device Bound Session Credentials (W3C), which browsers call by themselves. A browser ends a session for
// good when a renewal is answered by any 4xx but 403, so only a session that has ended gets one.

var (
	errNotRegistered = &oauthError{status: http.StatusForbidden, code: "invalid_request", description: "No key is registered: the request must be a browser's own, soon after the login, with the session's cookie and a proof of the key."}
	errUnsigned      = &oauthError{status: http.StatusForbidden, code: "invalid_request", description: "The renewal needs a proof of the session's key, over the challenge that is in the header Secure-Session-Challenge of this answer."}
	errSessionEnded  = &oauthError{status: http.StatusUnauthorized, code: "invalid_grant", description: "The session has ended, or is bound to another key."}
)

// registerDevice serves POST /oauth/dbsc/registration: a browser registers a key that it has made for a session. It changes
// nothing in the store. The first renewal does, by which the browser shows that it has got this answer.
func (a *API) registerDevice(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	keys, err := a.Keys.Keys(r.Context(), now)
	if err != nil {
		return err
	}
	client, s, refusal, err := a.registering(r, keys, now)
	if err != nil {
		return err
	}
	if refusal != "" {
		a.RefuseDevice(r.Context(), client, s.Family, refusal, "dbsc/registration", web.CallerOf(r), now)
		return errNotRegistered
	}
	identifier, err := a.SealDevice(keys, s, now)
	if err != nil {
		return err
	}
	a.challenge(w, keys, s, identifier, now)
	web.NoStore(w)
	web.WriteJSON(w, http.StatusOK, a.configOf(client, s, identifier))
	return nil
}

// registering returns the client and the session of a registration, or why it is refused. They are zero as far as they
// are unknown then.
func (a *API) registering(r *http.Request, keys *keyring.Keys, now time.Time) (client *store.Client, s session.DeviceSession, refusal string, err error) {
	client = &store.Client{}
	// No script can set Sec-Fetch-Site; and a browser that registers sends the origin of this service, whatever the page.
	if !isSameOrigin(r) || !a.isOwnOrigin(sentOrigin(r)) {
		return client, s, "not_same_origin", nil
	}
	key, challenge, _, err := proof.CheckRegistration(r.Header.Values(deviceProofHeader))
	var refused *proof.RefusedError
	if errors.As(err, &refused) {
		return client, s, string(refused.Reason), nil
	}
	s.Key = key
	s.Family, s.ClientID, err = a.OpenChallenge(r.Context(), keys, challenge, a.DeviceChallengeLife, now)
	switch {
	case errors.Is(err, session.ErrStaleChallenge):
		return client, s, "stale_challenge", nil
	case err != nil:
		return client, s, "", err
	case !s.Family.RegistrationOpen(now):
		return client, s, "too_late", nil
	}
	registered, err := a.Clients.Client(r.Context(), s.ClientID, now)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return client, s, "unknown_client", nil
	case err != nil:
		return client, s, "", err
	case !registered.DeviceBound:
		return registered, s, "not_device_bound", nil
	}
	jar := readJar(r, registered)
	jar.sid = s.Family.ULID().String()
	cookie, err := jar.content()
	if err != nil {
		return registered, s, "repeated_cookie", nil
	}
	holds, err := a.HoldsSession(r.Context(), keys, cookie, s.Family, now)
	if err == nil && !holds {
		refusal = string(family.NoCookie)
	}
	return registered, s, refusal, err
}

// renewDevice serves POST /oauth/dbsc/renewal: a browser proves that it has the key of a session, and gets a new device
// cookie. The proof is verified before anything is read.
func (a *API) renewDevice(w http.ResponseWriter, r *http.Request) error {
	const endpoint = "dbsc/renewal"
	now := a.Now()
	keys, err := a.Keys.Keys(r.Context(), now)
	if err != nil {
		return err
	}
	identifier := bareString(r.Header.Values(deviceSessionHeader))
	s, err := a.OpenDevice(r.Context(), keys, identifier, now)
	if errors.Is(err, session.ErrNotASession) {
		a.RefuseDevice(r.Context(), &store.Client{}, family.ID{}, "not_a_session", endpoint, web.CallerOf(r), now)
		return sessionEnded(w)
	}
	if err != nil {
		return err
	}
	client, err := a.Clients.Client(r.Context(), s.ClientID, now)
	if errors.Is(err, store.ErrNotFound) {
		client = &store.Client{ID: s.ClientID}
		a.RefuseDevice(r.Context(), client, s.Family, "unknown_client", endpoint, web.CallerOf(r), now)
		return sessionEnded(w)
	}
	if err != nil {
		return err
	}
	err = a.checkRenewal(r.Context(), r.Header.Values(deviceProofHeader), keys, s, now)
	var refused *proof.RefusedError
	switch {
	case errors.Is(err, session.ErrStaleChallenge):
		a.challenge(w, keys, s, identifier, now)
		return errUnsigned
	case errors.As(err, &refused):
		a.RefuseDevice(r.Context(), client, s.Family, string(refused.Reason), endpoint, web.CallerOf(r), now)
		return sessionEnded(w)
	case err != nil:
		return err
	}
	sid := s.Family.ULID().String()
	jar := readJar(r, client)
	_, err = a.RenewDevice(r.Context(), client, s, web.CallerOf(r), now)
	var dead *session.DeadTokenError
	switch {
	case errors.As(err, &dead):
		// With another key the cookies are those of another session of this family.
		if dead.Cause != family.WrongKey {
			jar.clearEnded(w, sid)
		}
		return sessionEnded(w)
	case err != nil:
		return err
	}
	until := now.Add(a.DeviceCookieLife + deviceCookieDelay)
	jar.setDevice(w, sid, a.DeviceCookie(keys, s, until, now), a.DeviceCookieLife)
	a.challenge(w, keys, s, identifier, now)
	web.NoStore(w)
	web.WriteJSON(w, http.StatusOK, a.configOf(client, s, identifier))
	return nil
}

// checkRenewal checks the proof of a renewal. The error is [session.ErrStaleChallenge] if there is none, or if the browser
// shall sign another challenge, and a [*proof.RefusedError] for any other that is not good.
func (a *API) checkRenewal(ctx context.Context, proofs []string, keys *keyring.Keys, s session.DeviceSession, now time.Time) error {
	if len(proofs) == 0 {
		return session.ErrStaleChallenge
	}
	challenge, err := proof.CheckRenewal(proofs, s.Key)
	if err != nil {
		return err
	}
	id, clientID, err := a.OpenChallenge(ctx, keys, challenge, a.DeviceChallengeLife, now)
	if err == nil && (id != s.Family || clientID != s.ClientID) {
		err = session.ErrStaleChallenge
	}
	return err
}

// sessionEnded returns the error for a session that has ended, on which a browser forgets it.
func sessionEnded(w http.ResponseWriter) error {
	w.Header().Set("WWW-Authenticate", "Secure-Session") // and no scheme for which browsers ask for a password
	return errSessionEnded
}
