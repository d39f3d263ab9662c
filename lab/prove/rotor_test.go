//go:build prove

package prove

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/lab/process"
)

// ground is a table and keys of a test's own, and the local program. The program can serve
// them several times at once, each a process of its own.
type ground struct {
	t       *testing.T
	program string
	table   string
	keys    string
	dynamo  string
}

func newGround(t *testing.T) *ground {
	t.Helper()
	dynamo := os.Getenv("ROTOR_TEST_DYNAMODB")
	if dynamo == "" {
		t.Fatal("ROTOR_TEST_DYNAMODB must be the URL of a DynamoDB: run this under lab/dynamodb-local/run.sh with")
	}
	dir := t.TempDir()
	program, err := process.Build(dir, "./cmd/rotor")
	if err != nil {
		t.Fatal(err)
	}
	return &ground{t, program, "prove-" + rand.Text(), filepath.Join(dir, "keys.json"), dynamo}
}

// start starts one more server. ES256 leaves more of the processor to the races.
func (g *ground) start() *process.Rotor {
	g.t.Helper()
	r, err := process.StartRotor(g.t.Context(), g.program, "TABLE="+g.table, "KEYS="+g.keys, "ALG=ES256", "AWS_ENDPOINT_URL_DYNAMODB="+g.dynamo)
	if err != nil {
		g.t.Fatal(err)
	}
	return r
}

// newHTTP returns a client for many simultaneous requests. Its timeout is longer than the
// server's, so that a slow answer does not count as none.
func newHTTP(t *testing.T) *http.Client {
	pool := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(pool.CloseIdleConnections)
	return &http.Client{Transport: pool, Timeout: 45 * time.Second}
}

// answer is an answer of Rotor, with its body if that is a JSON object.
type answer struct {
	status int
	body   map[string]any
}

func (a answer) text(name string) string {
	s, _ := a.body[name].(string)
	return s
}

func (a answer) number(name string) int {
	n, _ := a.body[name].(float64)
	return int(n)
}

// String returns the answer without tokens.
func (a answer) String() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s %s", a.status, a.text("error"), a.text("detail")))
}

// refused reports whether a refresh token was not accepted.
func (a answer) refused() bool {
	return a.status == http.StatusBadRequest && a.text("error") == "invalid_grant"
}

// send makes a request and returns the answer. The body is sent as JSON, or as a form if it is
// url.Values; nil is no body. An error is one of transport, which leaves open what the request
// has done.
func send(ctx context.Context, client *http.Client, method, address string, body any) (answer, error) {
	var content, contentType string
	switch body := body.(type) {
	case nil:
	case url.Values:
		content, contentType = body.Encode(), "application/x-www-form-urlencoded"
	default:
		text, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		content, contentType = string(text), "application/json"
	}
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(content))
	if err != nil {
		return answer{}, err
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	resp, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode}
	_ = json.Unmarshal(text, &a.body) // anything else than a JSON object has no members
	return a, nil
}

// must sends a request that has to succeed, and returns the answer.
func must(t *testing.T, client *http.Client, method, address string, body any) answer {
	t.Helper()
	a, err := send(t.Context(), client, method, address, body)
	if err != nil || a.status/100 != 2 {
		t.Fatalf("%s: %v %v", method, a, err)
	}
	return a
}

// refreshForm returns the body of a refresh by a public client.
func refreshForm(client, token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {token}}
}

// readToken returns the family's id and the number in a refresh token, read by the layout in
// docs/design.md.
func readToken(token string) (family string, number int, err error) {
	encoded, ok := strings.CutPrefix(token, "rotor_")
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if !ok || err != nil || len(raw) != 58 {
		return "", 0, errors.New("the refresh token has another layout than docs/design.md gives")
	}
	return base64.RawURLEncoding.EncodeToString(raw[2:34]), int(binary.BigEndian.Uint32(raw[34:38])), nil
}
