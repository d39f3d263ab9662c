package session

import (
	"context"
	"errors"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/proof"
	"github.com/rotor-auth/rotor/shared/token"
)

// Proof is what came of a request's DPoP header (RFC 9449 §4.3).
type Proof struct {
	Key     []byte              // the thumbprint of the key that the caller has proven to have, or nil
	Refused *proof.RefusedError // why there is none
}

// refusal returns why there is no key. The zero Proof is that of a request without the header.
func (p Proof) refusal() *proof.RefusedError {
	if p.Refused == nil {
		return &proof.RefusedError{Reason: proof.NoProof}
	}
	return p.Refused
}

// ErrProof is returned, as a [ProofError], for a request without a good proof where one is needed. Nothing has
// changed.
var ErrProof = errors.New("the request has no good DPoP proof")

// ProofError is an [ErrProof] with the reason, of which the caller is told everything.
type ProofError struct{ Refusal *proof.RefusedError }

func (e *ProofError) Error() string { return ErrProof.Error() + ": " + string(e.Refusal.Reason) }

// Unwrap returns [ErrProof].
func (e *ProofError) Unwrap() error { return ErrProof }

// checkProof refuses a request with a bad proof. A client that binds nothing may send anything: there the
// proof counts only if the family turns out to be bound.
//
// A confidential client that must prove a key does so in every request.
func (e *Engine) checkProof(ctx context.Context, u Use) error {
	switch p := u.Client.Policy.DPoP; {
	case u.Proof.Key != nil, p == family.DPoPOff:
		return nil
	case u.Proof.refusal().Reason != proof.NoProof, p == family.DPoPRequired && u.Client.Confidential:
		return e.refuseProof(ctx, u)
	}
	return nil
}

// binds reports whether a family that begins with this use becomes bound to its key. Those of confidential
// clients do not, since their refresh tokens are bound to their credentials (RFC 9449 §5).
func (u *Use) binds() bool {
	return u.Proof.Key != nil && u.Client.Policy.DPoP != family.DPoPOff && !u.Client.Confidential
}

// mustBind reports whether no family may begin without a key.
func (u *Use) mustBind() bool { return u.Client.Policy.DPoP == family.DPoPRequired }

// accessKey returns the thumbprint that an access token of f is bound to after a successful use, or nil.
func (u *Use) accessKey(f *family.Family) []byte {
	if u.Client.Policy.DPoP == family.DPoPOff && f.KeyThumbprint() == "" {
		return nil
	}
	return u.Proof.Key
}

// refuseProof logs that a request has no good proof, and returns a [ProofError]. That its nonce is not ours is the
// beginning of each conversation, and not logged.
func (e *Engine) refuseProof(ctx context.Context, u Use) error {
	return e.refuseUnproven(ctx, u, token.Token{}, nil, family.NoProof)
}

// refuseUnproven logs that a use of a family lacks a proof of its key, and returns a [ProofError], or a
// [DeadTokenError] for a good proof of another key: a holder that has lost the key needs a new family.
func (e *Engine) refuseUnproven(ctx context.Context, u Use, tok token.Token, f *family.Family, cause family.Cause) error {
	if f != nil && f.OfDevice() {
		return e.refuseWithoutDevice(ctx, u, tok, f)
	}
	if cause == family.WrongKey {
		return e.refuse(ctx, u, tok, f, cause)
	}
	refused := &ProofError{u.Proof.refusal()}
	if refused.Refusal.NeedsNonce() {
		return refused
	}
	event := e.useEvent(u.refused(), u, tok, f)
	event.Cause, event.Reason = cause, string(refused.Refusal.Reason)
	e.Trail.Record(ctx, &event)
	return refused
}
