package signing

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// publication holds the keys that are public until its end, when the Until of the
// next key passes and the next publication takes over. Publications are made once
// per [Set], because the key set is read often and changes rarely.
type publication struct {
	end        time.Time // zero: no end
	jwks       []byte
	algorithms []string
	keys       map[string]jose.JSONWebKey
}

// publish returns the publications of keys, which must be sorted, in order of time.
func publish(keys []Key) ([]publication, error) {
	var ends []time.Time
	for _, k := range keys {
		if !k.Until.IsZero() {
			ends = append(ends, k.Until)
		}
	}
	slices.SortFunc(ends, time.Time.Compare)
	ends = slices.CompactFunc(ends, time.Time.Equal)

	publications := make([]publication, 0, len(ends)+1)
	for i := range len(ends) + 1 {
		var p publication
		if i < len(ends) {
			p.end = ends[i]
		}
		p.keys = make(map[string]jose.JSONWebKey, len(keys))
		set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
		for _, k := range keys {
			// Keys that end before the publication does are left out.
			if !k.Until.IsZero() && (p.end.IsZero() || k.Until.Before(p.end)) {
				continue
			}
			public := k.JWK.Public()
			set.Keys = append(set.Keys, public)
			p.keys[public.KeyID] = public
			p.algorithms = append(p.algorithms, public.Algorithm)
		}
		slices.Sort(p.algorithms)
		p.algorithms = slices.Compact(p.algorithms)
		jwks, err := json.Marshal(set)
		if err != nil {
			return nil, err
		}
		p.jwks = jwks
		publications = append(publications, p)
	}
	return publications, nil
}

// publicationAt returns the publication that is in force at now.
func (s *Set) publicationAt(now time.Time) *publication {
	last := len(s.publications) - 1
	for i := range s.publications[:last] {
		if now.Before(s.publications[i].end) {
			return &s.publications[i]
		}
	}
	return &s.publications[last]
}

// JWKS returns the public JWK Set (RFC 7517 §5) at now: the public halves of all
// keys whose Until has not passed. It includes keys that do not sign yet, because
// verifiers cache the set for hours. Keys are sorted by From, so equal keys give
// equal bytes.
func (s *Set) JWKS(now time.Time) []byte {
	return bytes.Clone(s.publicationAt(now).jwks)
}

// Algorithms returns the algorithms of the keys that are public at now, sorted and
// without duplicates.
func (s *Set) Algorithms(now time.Time) []string {
	return slices.Clone(s.publicationAt(now).algorithms)
}
