package family

import (
	"cmp"
	"slices"
)

// Evict is the rule that chooses which families end if a user has more active ones in
// an application than [Policy.MaxActive].
type Evict string

const (
	// LeastRecentlyUsed ends those whose last use is longest ago. A device that is in
	// use stays, however old its login is.
	LeastRecentlyUsed Evict = "least_recently_used"
	// Oldest ends those that began first, whether they are in use or not. The newest
	// logins stay.
	Oldest Evict = "oldest"
)

// Excess returns those of an owner's active families that are beyond the limit, in the order
// in which they end. It compares the last recorded uses, which may be up to a minute behind;
// see [Family.MustRecord].
func (p *Policy) Excess(active []*Family) []*Family {
	n := len(active) - p.MaxActive
	if n <= 0 {
		return nil
	}
	sorted := slices.SortedFunc(slices.Values(active), func(f, g *Family) int {
		age := f.ID.ULID().Compare(g.ID.ULID())
		if p.Evict == Oldest {
			return age
		}
		return cmp.Or(f.LastUsedAt.Compare(g.LastUsedAt), age)
	})
	return sorted[:n]
}
