package family

// Cause is the reason why a refresh token is dead.
type Cause string

// The first five causes are about a refresh token.
const (
	Malformed   Cause = "malformed"    // not a token of Rotor's format
	NeverIssued Cause = "never_issued" // its MAC is wrong: it was made up, or issued by another installation
	Purged      Cause = "purged"       // its MAC is right, but its record is gone
	WrongClient Cause = "wrong_client" // a client presented it that it was not issued to
	KeyRevoked  Cause = "key_revoked"  // made under a MAC key that has leaked, so perhaps not by Rotor

	// These are about a family's token number 0, its [Origin].
	CodeExpired   Cause = "code_expired"       // the authorization code was not exchanged in time
	CodeUsed      Cause = "code_used"          // it was exchanged before
	AssertionUsed Cause = "assertion_used"     // the assertion started its family some time ago
	WrongVerifier Cause = "wrong_verifier"     // it came with another code_verifier than its challenge asks for
	WrongRedirect Cause = "wrong_redirect_uri" // it came with another redirect_uri than it was issued for

	// NeverImported is about another provider's refresh token that started no family.
	NeverImported Cause = "never_imported"

	// These are about another provider's refresh token that Rotor was to adopt.
	AdoptionRefused Cause = "adoption_refused" // its provider says that it is not good
	AdoptionLost    Cause = "adoption_lost"    // its provider may have spent it, and nobody knows

	// These are about the key that a family is bound to. The family lives.
	NoProof  Cause = "no_proof"  // the refresh token came without a proof that its bearer has the key
	WrongKey Cause = "wrong_key" // it came with a proof of another key

	// These are about the cookie that a refresh token was to be in.
	NoCookie     Cause = "no_cookie"     // the browser sent none for the session
	WrongSession Cause = "wrong_session" // it had the refresh token of another session

	ExpiredAbsolute Cause = "expired_absolute"
	ExpiredIdle     Cause = "expired_idle"
	ReuseDetected   Cause = "reuse_detected"
	LimitExceeded   Cause = "limit_exceeded"
	RevokedByClient Cause = "revoked_by_client"
	RevokedByAdmin  Cause = "revoked_by_admin"
	PasswordChanged Cause = "password_changed"
	ClientNotBefore Cause = "client_not_before"

	// CounterSpent is about the token with the largest number, which has no successor.
	CounterSpent Cause = "counter_spent"
)
