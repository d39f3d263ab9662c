package keyring

// The times that rotation relies on.
const (
	MaxAge       = maxAge
	RetryAfter   = retryAfter
	MACLead      = macLead
	SigningLead  = signingLead
	RotationTime = rotationTime
)
