package signing

import (
	"encoding/json"
	"slices"
)

// Audience lists the recipients of a token. In JSON, one is a string and several are
// an array of strings (RFC 7519 §4.1.3).
type Audience []string

// MarshalJSON writes one audience as a string, several as an array.
func (a Audience) MarshalJSON() ([]byte, error) { return encode(a.claim()) }

// claim returns what stands for the audience in JSON. In a token it is written as it is, which takes
// encoding/json a fraction of the time of calling a method.
func (a Audience) claim() any {
	if len(a) == 1 {
		return a[0]
	}
	return []string(a)
}

// UnmarshalJSON reads a string or an array of strings. An empty string means no
// audience.
func (a *Audience) UnmarshalJSON(data []byte) error {
	if len(data) == 0 || data[0] != '"' {
		return json.Unmarshal(data, (*[]string)(a))
	}
	var one string
	err := json.Unmarshal(data, &one)
	if *a = nil; one != "" {
		*a = Audience{one}
	}
	return err
}

// present reports whether there is at least one audience and none is empty.
func (a Audience) present() bool { return len(a) > 0 && !slices.Contains(a, "") }
