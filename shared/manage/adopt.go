package manage

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/rotor-auth/rotor/shared/foreign"
)

// adoptField is the member with the provider whose tokens a client adopts.
const adoptField = "adopt"

// newProvider is that member of PUT /v1/clients/{client_id}.
type newProvider struct {
	tokenEndpoint, clientID, auth, secretName, prefix string

	user       json.RawMessage
	length     *int // nil for any
	repeatable bool
	perSecond  *int // nil for the default
}

func (body *newProvider) fields() map[string]any {
	return map[string]any{
		"token_endpoint": &body.tokenEndpoint, "client_id": &body.clientID, "auth": &body.auth, "secret_name": &body.secretName,
		"user": &body.user, "prefix": &body.prefix, "length": &body.length, "repeatable": &body.repeatable, "per_second": &body.perSecond,
	}
}

// provider checks the provider and returns it, with defaults for what was left out. raw is empty
// if there is none.
func (a *API) provider(in *input, raw json.RawMessage) *foreign.Provider {
	if len(raw) == 0 {
		return nil
	}
	var body newProvider
	var from, claim string
	faults := len(in.errs)
	in.object(adoptField, raw, body.fields())
	if len(body.user) > 0 {
		in.object(adoptField+".user", body.user, map[string]any{"from": &from, "claim": &claim})
	}
	p := &foreign.Provider{
		TokenEndpoint: body.tokenEndpoint, ClientID: body.clientID, Auth: body.auth, SecretName: body.secretName,
		User:       foreign.User{From: from, Claim: claim},
		Shape:      *in.shape(adoptField, body.prefix, body.length),
		Repeatable: body.repeatable, PerSecond: foreign.DefaultPerSecond,
	}
	if p.User.Claim == "" {
		p.User.Claim = foreign.DefaultUserClaim
	}
	if body.perSecond != nil {
		p.PerSecond = *body.perSecond
	}
	if len(in.errs) == faults { // of what could not be read there is nothing more to say
		in.errs = append(in.errs, p.Check(adoptField, a.Providers.Loopback)...)
	}
	return p
}

// object decodes a member that is an object.
func (in *input) object(field string, raw json.RawMessage, fields map[string]any) {
	var more fieldErrors
	switch err := readObject(raw, field+".", fields); {
	case errors.As(err, &more):
		in.errs = append(in.errs, more...)
	case err != nil:
		in.wrong(field, "", "a JSON object")
	}
}

// mayBeSecret reports whether what stands in a member by mistake may be a secret or a key, so that
// no error shows it.
func mayBeSecret(field string) bool {
	return strings.HasPrefix(field, issuersField) || strings.HasPrefix(field, importsField) || strings.HasPrefix(field, adoptField)
}
