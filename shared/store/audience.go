package store

import (
	"fmt"
	"strings"

	"github.com/rotor-auth/rotor/shared/family"
)

// joinAudience returns an audience as an attribute has it: one value as it is,
// several each between line breaks, which no value has in it, so that a condition
// can ask for one of them.
func joinAudience(audience []string) string {
	if len(audience) < 2 {
		return strings.Join(audience, "")
	}
	return "\n" + strings.Join(audience, "\n") + "\n"
}

// splitAudience is the inverse of joinAudience.
func splitAudience(s string) []string {
	if s = strings.Trim(s, "\n"); s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// isFor returns the part of a condition that holds of a family whose audience has
// every resource that a asks for, and adds its values; see [family.Family.For].
func isFor(a *family.Attempt, values item) string {
	var b strings.Builder
	for i, r := range a.Resource {
		b.WriteString(" AND (")
		if r == a.Issuer { // no audience was given
			b.WriteString("attribute_not_exists(audience) OR audience = :none OR ")
			values[":none"] = text("")
		}
		fmt.Fprintf(&b, "audience = :audience%d OR contains(audience, :among%d))", i, i)
		values[fmt.Sprintf(":audience%d", i)] = text(r)
		values[fmt.Sprintf(":among%d", i)] = text("\n" + r + "\n")
	}
	return b.String()
}
