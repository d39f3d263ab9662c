package local

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"

	"github.com/rotor-auth/rotor/cmd/rotor/demo"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/problem"
)

// demoClient is a client for trying things out, as registered, with a note about its
// secret.
type demoClient struct {
	ID     string        `json:"client_id"`
	Type   string        `json:"type"`
	Policy family.Policy `json:"policy"`

	note   string
	secret string // that was made now
}

// demoClients registers the demo clients through the API. Clients that exist stay as
// they are, because in an external DynamoDB somebody may have changed them on
// purpose. Those of the demo's apps may have browsers sent back to the issuer's address.
func demoClients(ctx context.Context, handler http.Handler, issuer string) ([]demoClient, error) {
	var clients []demoClient
	app := func(kind, callback, afterLogout string) string {
		return fmt.Sprintf(`{"type":%q,"redirect_uris":[%q],"post_logout_redirect_uris":[%q]}`, kind, issuer+callback, issuer+afterLogout)
	}
	for _, want := range []struct{ id, body string }{
		{demo.ScriptClient, app("public", demo.ScriptPath, demo.ScriptPath)},
		{demo.ServerClient, app("confidential", demo.ServerCallback, demo.ServerPath)},
		{"demo-auth0", `{"type":"public","preset":"auth0"}`},
		{"demo-atlassian", `{"type":"public","preset":"atlassian"}`},
		{"demo-supabase", `{"type":"public","preset":"supabase"}`},
		{"demo-copies", `{"type":"public","preset":"copies"}`},
	} {
		c, err := demoClientOf(ctx, handler, want.id, want.body)
		if err != nil {
			return nil, fmt.Errorf("register %s: %w", want.id, err)
		}
		clients = append(clients, c)
	}
	return clients, nil
}

func demoClientOf(ctx context.Context, handler http.Handler, id, body string) (demoClient, error) {
	var c struct {
		demoClient
		Secrets []struct{} `json:"secrets"`
	}
	path := "/v1/clients/" + id
	status, err := call(ctx, handler, http.MethodGet, path, "", &c)
	if status == http.StatusNotFound {
		_, err = call(ctx, handler, http.MethodPut, path, body, &c)
	}
	if err != nil {
		return demoClient{}, err
	}
	if c.Type != "confidential" {
		return c.demoClient, nil
	}
	const hasOne = "has a secret from before, and got no other"
	if len(c.Secrets) > 0 {
		c.note = hasOne
		return c.demoClient, nil
	}
	var made struct {
		Secret string `json:"client_secret"`
	}
	status, err = call(ctx, handler, http.MethodPost, path+"/secrets", "", &made)
	switch {
	case status == http.StatusConflict: // another process starts at the same time
		c.note = hasOne
	case err != nil:
		return demoClient{}, err
	default:
		c.note, c.secret = "secret, shown this once: "+made.Secret, made.Secret
	}
	return c.demoClient, nil
}

// call makes a request to the handler in this process and unmarshals the response
// into v. A status other than 2xx is an error.
func call(ctx context.Context, handler http.Handler, method, path, body string, v any) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	w := &answer{header: http.Header{}}
	handler.ServeHTTP(w, r)
	if err := ctx.Err(); err != nil {
		return w.status, err
	}
	if w.status/100 != 2 {
		var p problem.Document
		err := json.Unmarshal(w.body.Bytes(), &p)
		return w.status, errors.Join(fmt.Errorf("%s %s: %d: %s", method, path, w.status, p.Detail), err)
	}
	return w.status, json.Unmarshal(w.body.Bytes(), v)
}

// answer is an [http.ResponseWriter] in memory.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) { a.status = cmp.Or(a.status, status) }

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// welcome returns the text that the program prints once it is ready. From the line
// that begins with "# 1." on, it is a bash script.
func welcome(c *config, issuer string, algorithms []string, clients []demoClient) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Rotor is ready at %s\n\n", issuer)
	fmt.Fprintf(&b, "  Open it in a browser: a playground, a login with two apps, and pages that explain why a token died.\n\n")
	if c.dynamodb == "" {
		fmt.Fprintln(&b, "  store  embedded DynamoDB, in memory: gone when this program stops")
	} else {
		fmt.Fprintf(&b, "  store  DynamoDB at %s, table %s\n", c.dynamodb, c.table)
	}
	if c.keys == "" {
		fmt.Fprintf(&b, "  keys   %s, made up for this run (KEYS=path keeps them)\n", strings.Join(algorithms, ", "))
	} else {
		fmt.Fprintf(&b, "  keys   %s, kept in %s\n", strings.Join(algorithms, ", "), c.keys)
	}
	fmt.Fprintf(&b, "  CORS   %s\n", strings.ReplaceAll(c.origins.String(), ",", ", "))
	fmt.Fprintln(&b)
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { _, _ = fmt.Fprintf(table, "  %s\n", strings.Join(cells, "\t")) } // into memory
	row("client", "type", "reuse interval", "ends after", "idle", "refused with")
	for _, client := range clients {
		p := client.Policy
		row(client.ID, client.Type, fmt.Sprintf("%d s", p.ReuseInterval), days(p.AbsoluteLifetime), days(p.IdleLifetime), fmt.Sprint(p.InvalidGrantStatus))
	}
	_ = table.Flush() // into memory
	fmt.Fprintln(&b)
	for _, client := range clients {
		if client.note != "" {
			fmt.Fprintf(&b, "  %s: %s\n\n", client.ID, client.note)
		}
	}
	fmt.Fprintf(&b, "Paste into another bash, step by step:\n\n")
	b.WriteString(strings.ReplaceAll(transcript, "{issuer}", issuer))
	return b.String()
}

// days returns a lifetime in days, or in seconds if it is not whole days.
func days(s family.Seconds) string {
	switch day := family.Days(1); {
	case s == 0:
		return "never"
	case s%day == 0:
		return fmt.Sprintf("%d d", s/day)
	default:
		return fmt.Sprintf("%d s", s)
	}
}

// transcript is the script to paste. It needs bash, curl and sed.
const transcript = `# 1. A login has succeeded: start a token family. T is its first refresh token.
R={issuer}
issue() { curl -sS $R/v1/families -H 'Content-Type: application/json' -d '{"user_id":"alice","client_id":"demo-spa"}'; }
token() { sed 's/.*"refresh_token":"\([^"]*\)".*/\1/'; }
T=$(issue | token); echo $T

# 2. The app refreshes. The answer holds an access token and the next refresh token, N.
refresh() { curl -sS $R/oauth/token -d grant_type=refresh_token -d client_id=demo-spa -d refresh_token=$1; }
A=$(refresh $T); echo "$A"; N=$(echo "$A" | token)

# 3. For a minute, the reuse interval, nothing rotates again: whoever comes with T or with N gets N.
refresh $T | token
refresh $N | token

# 4. An hour on, five tabs refresh N at the same moment: five answers, and one successor, L.
clock() { curl -sS $R/local/clock -H 'Content-Type: application/json' -d '{"advance":"'$1'"}'; }
clock 1h
L=$(for i in 1 2 3 4 5; do refresh $N & done | token | sort | uniq -c); echo "$L"; L=${L##* }

# 5. Two minutes on, past the reuse interval, somebody replays T. That is theft: L is dead as well. Ask why.
clock 2m
refresh $T
refresh $L
curl -sS $R/v1/explain -H 'Content-Type: application/json' -d '{"refresh_token":"'$L'"}'

# 6. Another login, and its logout.
T=$(issue | token)
curl -sS $R/oauth/revoke -d client_id=demo-spa -d token=$T
refresh $T
`
