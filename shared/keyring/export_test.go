package keyring

// The times that rotation rests on.
const (
	MaxAge       = maxAge
	RetryAfter   = retryAfter
	MACLead      = macLead
	SigningLead  = signingLead
	RotationTime = rotationTime
)
