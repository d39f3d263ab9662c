package keyring

// These are the times that rotation relies on.
const (
	MaxAge       = maxAge
	RetryAfter   = retryAfter
	MACLead      = macLead
	SigningLead  = signingLead
	RotationTime = rotationTime
)
