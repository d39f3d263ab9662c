package family

// Cause is why a refresh token is dead.
type Cause string

// The causes of death. The first five are of a token, the rest of its family.
const (
	Malformed   Cause = "malformed"    // not a token of Rotor's format
	NeverIssued Cause = "never_issued" // its MAC is not ours: made up, or of another installation
	Purged      Cause = "purged"       // we issued it; its record is gone
	WrongClient Cause = "wrong_client" // presented by another client than the one it was issued to
	KeyRevoked  Cause = "key_revoked"  // made under a MAC key that has leaked: by us, or by whoever has the key

	ExpiredAbsolute Cause = "expired_absolute"
	ExpiredIdle     Cause = "expired_idle"
	ReuseDetected   Cause = "reuse_detected"
	LimitExceeded   Cause = "limit_exceeded"
	RevokedByClient Cause = "revoked_by_client"
	RevokedByAdmin  Cause = "revoked_by_admin"
	PasswordChanged Cause = "password_changed"
	ClientNotBefore Cause = "client_not_before"

	// CounterSpent is of the token with the largest number: it has no successor.
	CounterSpent Cause = "counter_spent"
)
