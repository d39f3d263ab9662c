package family

import (
	"fmt"
	"strconv"
	"time"
)

// Seconds is a duration in whole seconds, as in the JSON of a policy.
type Seconds int64

// Duration returns s as a time.Duration.
func (s Seconds) Duration() time.Duration { return time.Duration(s) * time.Second }

// Days returns n days in seconds.
func Days(n int64) Seconds { return Seconds(n * 24 * 60 * 60) }

// LostResponse is what happens if a token is presented again after the reuse interval and its
// successor was never used.
type LostResponse string

const (
	// Revoke treats it as reuse, which it may be.
	Revoke LostResponse = "revoke"
	// UntilUsed treats it as a lost response: the caller gets a new token and the unused
	// successor is skipped. Presenting a skipped token is reuse. So a theft is detected at the
	// victim's next refresh instead of at once.
	UntilUsed LostResponse = "until_used"
)

// ReuseDetection is what happens on reuse.
type ReuseDetection string

const (
	// Enforce revokes the family.
	Enforce ReuseDetection = "enforce"
	// Observe still gives the caller the newest token until Policy.ObserveUntil. It records,
	// once for each family, that the family would have been revoked.
	Observe ReuseDetection = "observe"
)

// DPoP says what a client's families are bound to when they begin (RFC 9449). A family that is bound needs
// its key whatever the policy becomes.
type DPoP string

const (
	// DPoPOff binds no family.
	DPoPOff DPoP = "off"
	// DPoPAllowed binds a family if it begins with a proof.
	DPoPAllowed DPoP = "allowed"
	// DPoPRequired lets no family begin without a proof.
	DPoPRequired DPoP = "required"
)

// Below reports whether d lets families begin without a key that must have one by other, or may.
func (d DPoP) Below(other DPoP) bool {
	return d != other && (other == DPoPRequired || d == DPoPOff)
}

// Policy holds how the families of a client live and end. A lifetime of zero means that there
// is no such end.
type Policy struct {
	Rotation            bool           `json:"rotation"`
	ReuseInterval       Seconds        `json:"reuse_interval"`
	LostResponse        LostResponse   `json:"lost_response"`
	AbsoluteLifetime    Seconds        `json:"absolute_lifetime"`
	IdleLifetime        Seconds        `json:"idle_lifetime"`
	AccessTokenLifetime Seconds        `json:"access_token_lifetime"`
	MaxActive           int            `json:"max_active"`
	Evict               Evict          `json:"evict"` // which families end beyond MaxActive
	ReuseDetection      ReuseDetection `json:"reuse_detection"`
	ObserveUntil        time.Time      `json:"observe_until,omitzero"`
	InvalidGrantStatus  int            `json:"invalid_grant_status"`
	DPoP                DPoP           `json:"dpop"`

	// NotBefore ends every family that was issued before it. The registry stores it
	// beside the policy, not in it.
	NotBefore time.Time `json:"-"`
}

// DefaultPolicy returns the policy of a client that sets none of its own.
func DefaultPolicy() Policy {
	return Policy{
		Rotation:            true,
		ReuseInterval:       60,
		LostResponse:        Revoke,
		AbsoluteLifetime:    Days(30),
		IdleLifetime:        Days(15),
		AccessTokenLifetime: 3600,
		MaxActive:           200,
		Evict:               LeastRecentlyUsed,
		ReuseDetection:      Enforce,
		InvalidGrantStatus:  400,
		DPoP:                DPoPOff,
	}
}

// PresetNames are the names that [Preset] accepts.
var PresetNames = []string{"default", "auth0", "atlassian", "supabase", "copies"}

// Preset returns the named policy. Most presets behave like another provider's default, for
// clients that move from there; "copies" is for several programs that hold a copy of one token
// each. "" and "default" name the [DefaultPolicy].
func Preset(name string) (Policy, error) {
	p := DefaultPolicy()
	switch name {
	case "", "default":
	case "auth0":
		p.ReuseInterval = 0
		p.AbsoluteLifetime = Days(30)
		p.IdleLifetime = Days(15)
		p.Evict = Oldest
		p.InvalidGrantStatus = 403
	case "atlassian":
		p.ReuseInterval = 600
		p.AbsoluteLifetime = Days(365)
		p.IdleLifetime = Days(90)
		p.InvalidGrantStatus = 403
	case "supabase":
		p.ReuseInterval = 10
		p.LostResponse = UntilUsed
		p.AbsoluteLifetime = 0
		p.IdleLifetime = 0
	case "copies":
		p.ReuseInterval = p.copiesInterval()
	default:
		return Policy{}, &FieldError{Field: "preset", Value: name, Want: "one of default, auth0, atlassian, supabase, copies"}
	}
	return p, nil
}

// These are the bounds of a policy's values.
const (
	MaxReuseInterval       Seconds = 2_592_000           // 30 days
	MaxLifetime            Seconds = 10 * 365 * 86_400   // 10 years
	MaxAccessTokenLifetime Seconds = 86_400              // a day: a retired signing key stays published that long
	MaxMaxActive                   = 1_000               // as many as one sweep can name in one record
	MaxObserve                     = 30 * 24 * time.Hour // observe_until may be this far in the future
)

// FieldError is the error of one input. It names the field, its value and what it may be.
type FieldError struct{ Field, Value, Want string }

func (e *FieldError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("%s must be %s", e.Field, e.Want)
	}
	return fmt.Sprintf("%s is %s, but must be %s", e.Field, e.Value, e.Want)
}

// Check returns a [FieldError] for each value that is out of its range.
func (p *Policy) Check(now time.Time) []*FieldError {
	var errs []*FieldError
	bad := func(field, value, want string) {
		errs = append(errs, &FieldError{Field: "policy." + field, Value: value, Want: want})
	}
	between := func(field string, v, low, high int64) {
		if v < low || v > high {
			bad(field, strconv.FormatInt(v, 10), fmt.Sprintf("from %d to %d", low, high))
		}
	}
	between("reuse_interval", int64(p.ReuseInterval), 0, int64(MaxReuseInterval))
	between("absolute_lifetime", int64(p.AbsoluteLifetime), 0, int64(MaxLifetime))
	between("idle_lifetime", int64(p.IdleLifetime), 0, int64(MaxLifetime))
	between("access_token_lifetime", int64(p.AccessTokenLifetime), 1, int64(MaxAccessTokenLifetime))
	between("max_active", int64(p.MaxActive), 1, MaxMaxActive)
	if p.Evict != LeastRecentlyUsed && p.Evict != Oldest {
		bad("evict", strconv.Quote(string(p.Evict)), `"least_recently_used" or "oldest"`)
	}
	if p.LostResponse != Revoke && p.LostResponse != UntilUsed {
		bad("lost_response", strconv.Quote(string(p.LostResponse)), `"revoke" or "until_used"`)
	}
	if p.InvalidGrantStatus != 400 && p.InvalidGrantStatus != 403 {
		bad("invalid_grant_status", strconv.Itoa(p.InvalidGrantStatus), "400 or 403")
	}
	if p.DPoP != DPoPOff && p.DPoP != DPoPAllowed && p.DPoP != DPoPRequired {
		bad("dpop", strconv.Quote(string(p.DPoP)), `"off", "allowed" or "required"`)
	}
	switch p.ReuseDetection {
	case Enforce:
		if !p.ObserveUntil.IsZero() {
			bad("observe_until", p.ObserveUntil.Format(time.RFC3339), `left out unless reuse_detection is "observe"`)
		}
	case Observe:
		if latest := now.Add(MaxObserve); !p.ObserveUntil.After(now) || p.ObserveUntil.After(latest) {
			value := ""
			if !p.ObserveUntil.IsZero() {
				value = p.ObserveUntil.Format(time.RFC3339)
			}
			bad("observe_until", value, fmt.Sprintf("after %s and no later than %s", now.Format(time.RFC3339), latest.Format(time.RFC3339)))
		}
	default:
		bad("reuse_detection", strconv.Quote(string(p.ReuseDetection)), `"enforce" or "observe"`)
	}
	return errs
}

// Observing reports whether reuse is only observed at now.
func (p *Policy) Observing(now time.Time) bool {
	return p.ReuseDetection == Observe && now.Before(p.ObserveUntil)
}
