package store

import (
	"fmt"
	"strings"

	"github.com/rotor-auth/rotor/shared/family"
)

// joinAudience returns an audience as a record holds it: a single value as it is, and
// several with a line break before and after each, so that a condition can ask for one
// of them. No value contains a line break.
func joinAudience(audience []string) string {
	if len(audience) < 2 {
		return strings.Join(audience, "")
	}
	return "\n" + strings.Join(audience, "\n") + "\n"
}

// splitAudience returns the audience that joinAudience joined.
func splitAudience(s string) []string {
	if s = strings.Trim(s, "\n"); s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// audienceCondition returns the part of a condition that holds if the family's audience
// has every resource that a asks for, as [family.Family.IsFor] says. It adds the
// condition's values.
func audienceCondition(a *family.Attempt, values item) string {
	var b strings.Builder
	for i, r := range a.Resource {
		b.WriteString(" AND (")
		if r == a.Issuer { // which is the audience of a family that has none of its own
			b.WriteString("attribute_not_exists(audience) OR audience = :none OR ")
			values[":none"] = text("")
		}
		fmt.Fprintf(&b, "audience = :audience%d OR contains(audience, :among%d))", i, i)
		values[fmt.Sprintf(":audience%d", i)] = text(r)
		values[fmt.Sprintf(":among%d", i)] = text("\n" + r + "\n")
	}
	return b.String()
}
