package keyring

import "time"

// Inventory lists the keys of a document by id, with the use of each, and without
// the keys themselves.
type Inventory struct {
	MAC     []MACEntry     `json:"mac"`
	Signing []SigningEntry `json:"signing"`
}

// Use is what a key is used for at a given time.
type Use string

// The uses of a key.
const (
	InUse    Use = "in_use"   // it makes tokens, and verifies them
	Waiting  Use = "waiting"  // it will make tokens from its From on
	Replaced Use = "replaced" // it still verifies the tokens that it made
	Revoked  Use = "revoked"  // the tokens that it made are void
)

// MACEntry is a MAC key in an [Inventory].
type MACEntry struct {
	ID      byte      `json:"id"`
	Use     Use       `json:"use"`
	From    time.Time `json:"from"`
	Revoked time.Time `json:"revoked,omitzero"`
}

// SigningEntry is a signing key in an [Inventory].
type SigningEntry struct {
	ID        string    `json:"kid"`
	Algorithm string    `json:"alg"`
	Use       Use       `json:"use"`
	From      time.Time `json:"from"`
	Until     time.Time `json:"published_until,omitzero"`
	Revoked   time.Time `json:"revoked,omitzero"`
}

// Inventory returns the inventory of d at now, in the order of the document.
func (d *Document) Inventory(now time.Time) *Inventory {
	v := &Inventory{MAC: make([]MACEntry, 0, len(d.MAC)), Signing: make([]SigningEntry, 0, len(d.Signing))}
	minting, signer := d.minting(now), d.signer(now)
	for _, k := range d.MAC {
		v.MAC = append(v.MAC, MACEntry{
			ID: k.ID, Use: use(k.ID == minting, k.From.After(now), k.Revoked), From: k.From, Revoked: k.Revoked,
		})
	}
	for _, k := range d.Signing {
		v.Signing = append(v.Signing, SigningEntry{
			ID: k.JWK.KeyID, Algorithm: k.JWK.Algorithm, Use: use(k.JWK.KeyID == signer, k.Private() && k.From.After(now), k.Revoked),
			From: k.From, Until: k.Until, Revoked: k.Revoked,
		})
	}
	return v
}

func use(inUse, waiting bool, revoked time.Time) Use {
	switch {
	case !revoked.IsZero():
		return Revoked
	case inUse:
		return InUse
	case waiting:
		return Waiting
	default:
		return Replaced
	}
}
