package main

var logouts = chapter{"Logouts and the login page", []mutant{
	{
		rule: "a logout ends nothing", pkg: "oauth", test: "server.TestLogout",
		edits: []edit{{`if hint != nil && r.Method != http.MethodHead {`, `if hint == nil && r.Method != http.MethodHead {`}},
	},
	{
		rule: "HEAD ends a family", pkg: "oauth", test: "server.TestLogoutOfAnotherSite",
		edits: []edit{{`if hint != nil && r.Method != http.MethodHead {`, `if hint != nil {`}},
	},
	{
		rule: "a logout leaves the family of a client that was deleted", pkg: "oauth", test: "server.TestLogoutOfADeletedClient",
		edits: []edit{{`return &store.Client{ID: id}, nil`, `return &store.Client{}, nil`}},
	},
	{
		rule: "a logout leads anywhere", pkg: "oauth", test: "server.TestLogoutAddresses",
		edits: []edit{{`if address != "" && !session.IsRegistered(`, `if address == "" && !session.IsRegistered(`}},
	},
	{
		rule: "a logout leads to a redirect URI", pkg: "oauth", test: "server.TestLogoutAddresses",
		edits: []edit{{`session.IsRegistered(address, client.PostLogoutRedirectURIs)`, `session.IsRegistered(address, append(client.PostLogoutRedirectURIs, client.RedirectURIs...))`}},
	},
	{
		rule: "an address is checked after the family has ended", pkg: "oauth", test: "server.TestLogoutAddresses",
		edits: []edit{
			{`	if address != "" && !session.IsRegistered(address, client.PostLogoutRedirectURIs) {
		return notRegistered
	}
`, ``},
			{`	switch {
	case address == "":
		writeSignedOut`, `	if address != "" && !session.IsRegistered(address, client.PostLogoutRedirectURIs) {
		return notRegistered
	}
	switch {
	case address == "":
		writeSignedOut`},
		},
	},
	{
		rule: "an id token logs out at the address of another client", pkg: "oauth", test: "server.TestRefusedLogoutEndsNothing",
		edits: []edit{{`clientID != "" && clientID != hint.ClientID:`, `clientID != "" && clientID != hint.ClientID && address == "":`}, {`		clientID = hint.ClientID
`, `		clientID = cmp.Or(clientID, hint.ClientID)
`}, {`import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/keyring"
`, `import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/keyring"
`}},
	},
	{
		rule: "an access token logs out", pkg: "signing", test: "server.TestRefusedLogoutEndsNothing",
		edits: []edit{{`s.payload(tok, typID, now)`, `s.payload(tok, typAccess, now)`}},
	},
	{
		rule: "an id token of another issuer logs out", pkg: "signing", test: "signing.TestVerifyID",
		edits: []edit{{`case i.Issuer != issuer:`, `case i.Issuer != issuer && i.Issuer == "":`}},
	},
	{
		rule: "an id token of an unknown key logs out", pkg: "signing", test: "signing.TestVerifyID",
		edits: []edit{{`	case unknown != nil:
		return ID{}, unknown
`, ``}},
	},
	{
		rule: "an id token for two clients logs out", pkg: "signing", test: "signing.TestVerifyID",
		edits: []edit{{`if len(audience) == 1 {`, `if len(audience) > 0 {`}},
	},
	{
		rule: "the state is lost", pkg: "oauth", test: "server.TestLogout",
		edits: []edit{{`case p.get(stateParam) == "":`, `case p.get(stateParam) != address:`}},
	},
	{
		rule: "a state has any length", pkg: "oauth", test: "server.TestRefusedLogoutEndsNothing",
		edits: []edit{{`maxState = 2 << 10`, `maxState = 4 << 10`}},
	},
	{
		rule: "a logout takes the second of two id tokens", pkg: "oauth", test: "server.TestRefusedLogoutEndsNothing",
		edits: []edit{{`{hintParam, "client_id", addressParam, stateParam}`, `{"client_id", addressParam, stateParam}`}},
	},
	{
		rule: "the page says that somebody is signed out who is not", pkg: "oauth", test: "server.TestSignedOutPage",
		edits: []edit{{`writeSignedOut(w, hint != nil)`, `writeSignedOut(w, true)`}},
	},
	{
		rule: "the page after a logout tells its address", pkg: "oauth", test: "server.TestLogout",
		edits: []edit{{`	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", to)`, `	w.Header().Set("Location", to)`}},
	},
	{
		rule: "the metadata name no end_session_endpoint", pkg: "oauth", test: "server.TestMetadataIsTrue",
		edits: []edit{{`a.Issuer + "/oauth/logout",`, `"",`}},
	},
	{
		rule: "without a login page /authorize leads to nothing", pkg: "oauth", test: "server.TestLoginPageErrors",
		edits: []edit{{`if a.AuthorizationEndpoint == "" {`, `if a.AuthorizationEndpoint == " " {`}},
	},
	{
		rule: "a line break goes to the login page", pkg: "oauth", test: "server.TestLoginPageErrors",
		edits: []edit{{`return c <= ' ' || c > '~'`, `return c == ' ' && c > '~'`}},
	},
	{
		rule: "the query of the login page is lost", pkg: "web", test: "server.TestGoToTheLoginPage",
		edits: []edit{{`case !strings.Contains(uri, "?"):`, `case true:`}},
	},
	{
		rule: "the metadata name a login page that is not there", pkg: "oauth", test: "server.TestMetadataIsTrue",
		edits: []edit{{`if a.AuthorizationEndpoint != "" {`, `if a.AuthorizationEndpoint == "" {`}},
	},
	{
		rule: "a login page on plain HTTP is configured", pkg: "boot", test: "boot.TestLoadConfigRefuses",
		edits: []edit{{`if err := session.CheckRedirectURI(value, false); err != nil {`, `if err := session.CheckRedirectURI(value, false); err != nil && value[:5] != "http:" {`}},
	},
	{
		rule: "the local program keeps pages from the login page", pkg: "local", test: "local.TestPagesLeadToLoginAndLogout",
		edits: []edit{{`path == "/authorize" || path == "/v2/logout"`, `path == "/authorize/"`}},
	},
}}
