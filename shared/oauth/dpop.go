package oauth

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/proof"
	"github.com/rotor-auth/rotor/shared/session"
)

const (
	// proofHeader has the proof that the sender has a key (RFC 9449 §4.1).
	proofHeader = "DPoP"
	// nonceHeader has the nonce for the next proof (RFC 9449 §8).
	nonceHeader = "DPoP-Nonce"
)

// readProof checks the proof that came with a request, "" for the access token unless one is presented. To
// a request that has one it also answers with the nonce for the next.
func (a *API) readProof(w http.ResponseWriter, r *http.Request, accessToken string, now time.Time) (session.Proof, error) {
	presented := r.Header.Values(proofHeader)
	if len(presented) == 0 {
		return session.Proof{}, nil
	}
	keys, err := a.Keys.Keys(r.Context(), now)
	if err != nil {
		return session.Proof{}, err
	}
	w.Header().Set(nonceHeader, keys.Codec.Nonce(now))
	key, err := proof.CheckDPoP(presented, proof.Expected{
		Method: r.Method, URL: a.Issuer + r.URL.Path, AccessToken: accessToken, Now: now,
		Nonce: func(s string) bool { return keys.Codec.IsNonce(s, now) },
	})
	var refused *proof.RefusedError
	if errors.As(err, &refused) {
		return session.Proof{Refused: refused}, nil
	}
	return session.Proof{Key: key[:]}, err
}

// requireKey refuses a request with an access token that is bound to a key, if it lacks a proof of that key for
// this very token (RFC 9449 §7.1).
func (a *API) requireKey(w http.ResponseWriter, r *http.Request, accessToken, jkt string, now time.Time) error {
	if jkt == "" {
		return nil
	}
	given, err := a.readProof(w, r, accessToken, now)
	if err != nil {
		return err
	}
	if family.EncodeThumbprint(given.Key) != jkt {
		return &session.ProofError{Refusal: cmp.Or(given.Refused, &proof.RefusedError{Reason: proof.NoProof})}
	}
	return nil
}

// proofErrors has the descriptions for reasons that a developer can do something about.
var proofErrors = map[proof.Reason]string{
	proof.NoProof:     "This needs a DPoP proof of the key (RFC 9449), and the request has no DPoP header.",
	proof.WrongMethod: "The htm of the DPoP proof is not the method of this request.",
	proof.WrongURL:    "The htu of the DPoP proof is not the address of this endpoint, as the metadata has it.",
	proof.WrongTime:   "The iat of the DPoP proof is more than a day off. Set the clock.",
}

// proofRefused returns the error for a request without a good proof (RFC 9449 §5, §8).
func proofRefused(e *session.ProofError) *oauthError {
	if e.Refusal.NeedsNonce() {
		return &oauthError{
			status: http.StatusBadRequest, code: "use_dpop_nonce",
			description: "The DPoP proof needs the nonce that is in the header DPoP-Nonce of this answer.",
		}
	}
	return &oauthError{
		status: http.StatusBadRequest, code: "invalid_dpop_proof",
		description: cmp.Or(proofErrors[e.Refusal.Reason], "The DPoP proof is refused: "+string(e.Refusal.Reason)+"."),
	}
}
