package command

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/shared/foreign"
)

// providerText returns the provider whose tokens a client adopts as one line, with the defaults for what was left
// out, so that that of a file and of the service are the same text. It is empty if there is none.
func providerText(p *manage.Provider) string {
	if p == nil {
		return ""
	}
	parts := []string{"client_id " + p.ClientID, "auth " + p.Auth}
	if p.SecretName != "" {
		parts = append(parts, "secret_name "+p.SecretName)
	}
	parts = append(parts, fmt.Sprintf("user %s of the %s", cmp.Or(p.User.Claim, foreign.DefaultUserClaim), p.User.From))
	if p.Prefix != "" {
		parts = append(parts, "prefix "+p.Prefix)
	}
	if p.Length != 0 {
		parts = append(parts, fmt.Sprintf("length %d", p.Length))
	}
	parts = append(parts, fmt.Sprintf("repeatable %t, per_second %d", p.Repeatable, cmp.Or(p.PerSecond, foreign.DefaultPerSecond)))
	return p.TokenEndpoint + " (" + strings.Join(parts, ", ") + ")"
}
