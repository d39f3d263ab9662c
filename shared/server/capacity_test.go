package server_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
)

// record is a family whose record is as long as requests from this machine can make it: the
// counter and the skipped range at their largest, a use without rotation on record, a reuse
// observed.
type record struct {
	client, userAgent string
	token             string // the newest token, no longer held
	family            string
	prover            *prover // has the key that the family is bound to; nil if it is not
}

// grown starts a family by a login and brings its record to its largest state.
func (w *world) grown(body, client, userAgent string) record {
	w.t.Helper()
	return w.grownBy(nil, body, client, userAgent)
}

// grownBy returns what grown returns, of a family that is bound to the key of the prover if there is one.
func (w *world) grownBy(p *prover, body, client, userAgent string) record {
	w.t.Helper()
	r := record{client: client, userAgent: userAgent, prover: p}
	w.putGrowing(client)
	if p != nil {
		body = strings.TrimSuffix(body, "}") + fmt.Sprintf(`,"dpop_jkt":%q}`, p.jkt())
	}
	issued := w.issue(body)
	first := issued.text("refresh_token")
	r.family = issued.text("family")
	superseded := w.rotateRecord(r, w.mint(r.family, 4_294_967_000))
	w.clock.Advance(time.Hour)
	w.rotateRecord(r, superseded)
	w.clock.Advance(time.Hour)
	r.token = w.rotateRecord(r, superseded) // the successor is skipped
	w.rotateRecord(r, r.token)              // held
	w.rotateRecord(r, first)                // observed
	w.clock.Advance(time.Minute)
	return r
}

// putGrowing registers a client whose families can reach each of these states.
func (w *world) putGrowing(client string) {
	w.t.Helper()
	w.putClient(client, fmt.Sprintf(`{"type":"public","policy":{"dpop":"allowed","lost_response":"until_used","reuse_detection":"observe","observe_until":%q,"absolute_lifetime":315360000,"idle_lifetime":0}}`,
		w.clock.Now().Add(29*24*time.Hour).Format(time.RFC3339)))
}

func (w *world) refreshRecord(r record) answer {
	w.t.Helper()
	header := []string{"User-Agent", r.userAgent}
	if r.prover != nil {
		header = append(header, "DPoP", r.prover.proof("nonce", w.keys.Codec.Nonce(w.clock.Now())))
	}
	return w.send(http.MethodPost, "/oauth/token", formType, refreshForm(r.token, "client_id", r.client), header...)
}

func (w *world) rotateRecord(r record, refreshToken string) string {
	w.t.Helper()
	r.token = refreshToken
	a := w.refreshRecord(r)
	if a.status != http.StatusOK {
		w.t.Fatal(a)
	}
	return a.text("refresh_token")
}

// usual returns a record of usual size.
func (w *world) usual() record {
	w.t.Helper()
	return w.grown(w.usualBody(), "usual-spa", usualAgent)
}

// usualBound returns a record of usual size that is bound to a key.
func (w *world) usualBound() record {
	w.t.Helper()
	return w.grownBy(w.prover(), w.usualBody(), "usual-spa", usualAgent)
}

func (w *world) usualBody() string {
	return fmt.Sprintf(`{"user_id":"5c7d8f00-1b2a-4c3d-9e8f-7a6b5c4d3e2f","client_id":"usual-spa","scope":"openid profile orders","audience":"https://api.example.com",`+
		`"claims":{"tenant":"acme-international","roles":["purchasing","approver"],"email":"firstname.lastname@example.com","v":1},"auth_time":%q,"amr":["pwd","otp"],`+
		`"device":"Samsung Galaxy S24 Ultra (SM-S928B)"}`, w.clock.Now().Add(-time.Hour).Format(time.RFC3339))
}

// usualCode returns the code of a usual record, with a nonce as SDKs make it.
func (w *world) usualCode() string {
	w.t.Helper()
	w.putClient("usual-spa", `{"type":"public"}`)
	body := strings.TrimSuffix(w.usualBody(), "}") + `,"deliver":"code","code_challenge":"` + challengeOf(verifier) + `","nonce":"` + challengeOf("nonce") + `"}`
	return w.issue(body).text("code")
}

// exchangeUsual exchanges the code of a usual record.
func (w *world) exchangeUsual(code string) answer {
	w.t.Helper()
	return w.send(http.MethodPost, "/oauth/token", formType, exchangeForm(code, "client_id", "usual-spa", "redirect_uri", ""), "User-Agent", usualAgent)
}

// usualImported imports another provider's token, which begins a usual record.
func (w *world) usualImported() (token string) {
	w.t.Helper()
	w.putClient("usual-spa", `{"type":"public","accepts_imported":true}`)
	var row map[string]any
	if err := json.Unmarshal([]byte(w.usualBody()), &row); err != nil {
		w.t.Fatal(err)
	}
	token = foreignToken(1)
	delete(row, "client_id")
	row["token_sha256"] = hashOf(token)
	body, err := json.Marshal(map[string]any{"client_id": "usual-spa", "tokens": []any{row}})
	if err != nil {
		w.t.Fatal(err)
	}
	if done := w.importedBy(string(body)); done[0].Result != "imported" {
		w.t.Fatal(done)
	}
	return token
}

const usualAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140"

// longest returns the longest record that a family can have.
func (w *world) longest() record {
	w.t.Helper()
	return w.grown(w.longestBody(), longClient, strings.Repeat("m", 300))
}

var longClient = strings.Repeat("c", 64)

// longestBody returns a login with every member at its longest.
func (w *world) longestBody() string {
	w.t.Helper()
	return w.fullBody(func(claims int) string {
		return fmt.Sprintf(`{"user_id":%q,"client_id":%q,"scope":%q,"audience":[%s],"claims":{"k":%q},"auth_time":%q,"acr":%q,"amr":[%q],"device":%q}`,
			strings.Repeat("u", 128), longClient, strings.Repeat("s", 1024), quoted(8, 64), strings.Repeat("v", claims-len(`{"k":""}`)),
			w.clock.Now().Add(-time.Hour).Format(time.RFC3339), strings.Repeat("r", 128), strings.Repeat("m", 128), strings.Repeat("d", 300))
	})
}

// fullBody returns a body whose claims fill what the record has left.
func (w *world) fullBody(body func(claims int) string) string {
	w.t.Helper()
	w.putGrowing(longClient)
	a := w.send(http.MethodPost, "/v1/families", jsonType, body(2048))
	a.names(w.t, "claims", "2048 bytes long", "4096")
	m := regexp.MustCompile(`must be at most (\d+) bytes`).FindStringSubmatch(a.text("detail"))
	if m == nil {
		w.t.Fatal(a)
	}
	most, err := strconv.Atoi(m[1])
	if err != nil {
		w.t.Fatal(err)
	}
	w.send(http.MethodPost, "/v1/families", jsonType, body(most+1)).names(w.t, "claims", fmt.Sprint(most))
	return body(most)
}

// TestCapacity checks what every kind of request consumes in DynamoDB's units. The embedded
// store reports none; there only the requests to the store are checked.
func TestCapacity(t *testing.T) {
	const (
		update   = "UpdateItem"
		put      = "PutItem"
		get      = "GetItem"
		query    = "Query"
		transact = "TransactWriteItems"
		remove   = "DeleteItem"
	)
	// superseded leaves the family's first token superseded for longer than the reuse
	// interval.
	superseded := func(w *world) (first, newest, id string) {
		first, id = w.login()
		newest = w.rotate(first)
		w.clock.Advance(2 * time.Minute)
		return first, newest, id
	}
	reused := func(w *world) (newest, id string) {
		first, newest, id := superseded(w)
		if a := w.refresh(first); !a.refused(http.StatusBadRequest) {
			w.t.Fatal(a)
		}
		return newest, id
	}
	bound := func(w *world) (p *prover, token string) {
		w.open("public", `{"dpop":"allowed"}`)
		p = w.prover()
		return p, w.issue(fmt.Sprintf(`{"user_id":"u","client_id":"app","dpop_jkt":%q}`, p.jkt())).text("refresh_token")
	}
	lateUse := func(w *world) (p *prover, token string) {
		p, token = bound(w)
		p.post(refreshForm(token))
		w.clock.Advance(2 * time.Minute)
		return p, token
	}
	policy := func(w *world, policy string) { w.putClient("app", `{"type":"public","policy":`+policy+`}`) }
	present := func(refreshToken string, more ...string) func(*world) answer {
		return func(w *world) answer { return w.refresh(refreshToken, more...) }
	}
	explain := func(member, value string) func(*world) answer {
		return func(w *world) answer { return w.explain(member, value) }
	}
	request := func(method, path, contentType, body string) func(*world) answer {
		return func(w *world) answer { return w.send(method, path, contentType, body) }
	}
	movingIn := func(w *world, policy string) (token string) {
		w.acceptImported(`{"prefix":"v1."}`, `"policy":`+cmp.Or(policy, "{}"))
		w.importToken("u", foreignToken(1))
		return foreignToken(1)
	}
	repeat := func(n int, operation string) string { return strings.TrimSpace(strings.Repeat(operation+" ", n)) }

	for _, tt := range []struct {
		what    string
		prepare func(w *world) func(*world) answer // returns the measured request; its client is cached by then

		status   int
		requests string  // operations, in order
		write    float64 // units of the table
		read     float64
		index    float64 // units of the index, written and read; for an event put in a transaction DynamoDB Local reports 2 where DynamoDB takes 1
	}{
		// POST /oauth/token
		{"refresh", func(w *world) func(*world) answer {
			first, _ := w.login()
			return present(first)
		}, 200, update, 1, 0, 0},
		{"refresh, narrowed", func(w *world) func(*world) answer {
			first, _ := w.login()
			return present(first, "scope", "read")
		}, 200, update, 1, 0, 0},
		{"refresh by a cookie", func(w *world) func(*world) answer {
			b := w.cookies()
			sid := b.login("spa", "ada")
			w.clock.Advance(time.Minute)
			b.post("/oauth/revoke", "client_id", "spa", "sid", "01ARZ3NDEKTSV4RRFFQ69G5FAV") // so that the client is cached again
			return func(*world) answer { return b.renew(sid) }
		}, 200, update, 1, 0, 0},
		{"refresh by a cookie, held", func(w *world) func(*world) answer {
			b := w.cookies()
			sid := b.login("spa", "ada")
			return func(*world) answer { return b.renew(sid) }
		}, 200, update, 1, 0, 0},
		{"refresh without the cookie", func(w *world) func(*world) answer {
			b := w.cookies()
			return func(*world) answer { return b.renew("") }
		}, 400, "", 0, 0, 0},
		{"refresh without rotation", func(w *world) func(*world) answer {
			w.confidential(`{"rotation":false}`)
			first, _ := w.login()
			return present(first)
		}, 200, update, 1, 0, 0},
		// A record of usual size takes one unit in any state. A longer one takes one for each
		// KB.
		{"refresh of a usual record", func(w *world) func(*world) answer {
			r := w.usual()
			return func(w *world) answer { return w.refreshRecord(r) }
		}, 200, update, 1, 0, 0},
		{"refresh of a bound family", func(w *world) func(*world) answer {
			p, token := bound(w)
			return func(*world) answer { return p.post(refreshForm(token)) }
		}, 200, update, 1, 0, 0},
		{"refresh of a bound family, held", func(w *world) func(*world) answer {
			p, token := bound(w)
			p.post(refreshForm(token))
			return func(*world) answer { return p.post(refreshForm(token)) }
		}, 200, update, 1, 0, 0},
		{"refresh of a bound family, of a usual record", func(w *world) func(*world) answer {
			r := w.usualBound()
			return func(w *world) answer { return w.refreshRecord(r) }
		}, 200, update, 1, 0, 0},
		{"late use", func(w *world) func(*world) answer {
			p, token := lateUse(w)
			return func(*world) answer { return p.post(refreshForm(token)) }
		}, 200, update + " " + transact, 5, 0, 2},
		{"late use, a moment after another", func(w *world) func(*world) answer {
			p, token := lateUse(w)
			p.post(refreshForm(token))
			return func(*world) answer { return p.post(refreshForm(token)) }
		}, 200, update, 1, 0, 0},
		{"late use, minutes after another", func(w *world) func(*world) answer {
			p, token := lateUse(w)
			p.post(refreshForm(token))
			w.clock.Advance(2 * time.Minute)
			return func(*world) answer { return p.post(refreshForm(token)) }
		}, 200, update + " " + update, 2, 0, 0},
		{"refresh of a bound family without a proof", func(w *world) func(*world) answer {
			_, token := bound(w)
			return present(token)
		}, 400, update, 1, 0, 0},
		{"refresh of a bound family with a bad proof", func(w *world) func(*world) answer {
			p, token := bound(w)
			return func(*world) answer { return p.post(refreshForm(token), "htm", "GET") }
		}, 400, "", 0, 0, 0},
		{"refresh of a bound family without a nonce", func(w *world) func(*world) answer {
			p, token := bound(w)
			return func(*world) answer { return p.post(refreshForm(token), "nonce", nil) }
		}, 400, "", 0, 0, 0},
		{"refresh of a bound family with another key", func(w *world) func(*world) answer {
			_, token := bound(w)
			return func(w *world) answer { return w.prover().post(refreshForm(token)) }
		}, 400, update, 1, 0, 0},
		{"code with a proof", func(w *world) func(*world) answer {
			w.open("public", `{"dpop":"required"}`, `"redirect_uris":["`+callback+`"]`)
			p, code := w.prover(), w.code("scope", "")
			return func(*world) answer { return p.post(exchangeForm(code)) }
		}, 200, update, 1, 0, 0},
		{"code without the proof that is required", func(w *world) func(*world) answer {
			w.open("public", `{"dpop":"required"}`, `"redirect_uris":["`+callback+`"]`)
			code := w.code("scope", "")
			return func(w *world) answer { return w.exchange(code) }
		}, 400, get, 0, 1, 0},
		{"refresh of the largest record", func(w *world) func(*world) answer {
			r := w.longest()
			return func(w *world) answer { return w.refreshRecord(r) }
		}, 200, update, 4, 0, 0},
		{"refresh of the largest record, for its scope and all resources", func(w *world) func(*world) answer {
			r := w.longest()
			return func(w *world) answer {
				form := refreshForm(r.token, "client_id", r.client, "scope", strings.Repeat("s", 1024))
				return w.send(http.MethodPost, "/oauth/token", formType, form, "User-Agent", r.userAgent)
			}
		}, 200, update, 4, 0, 0},
		{"refresh, held", func(w *world) func(*world) answer {
			first, _ := w.login()
			return present(w.rotate(first))
		}, 200, update, 1, 0, 0},
		{"refresh, held, of a usual record", func(w *world) func(*world) answer {
			r := w.usual()
			r.token = w.rotateRecord(r, r.token)
			w.rotateRecord(r, r.token)
			return func(w *world) answer { return w.refreshRecord(r) }
		}, 200, update, 1, 0, 0},
		{"refresh, held, of the largest record", func(w *world) func(*world) answer {
			r := w.longest()
			r.token = w.rotateRecord(r, r.token)
			w.rotateRecord(r, r.token)
			return func(w *world) answer { return w.refreshRecord(r) }
		}, 200, update, 4, 0, 0},
		{"refresh, held, the first use where lost responses are forgiven", func(w *world) func(*world) answer {
			policy(w, `{"lost_response":"until_used"}`)
			first, _ := w.login()
			return present(w.rotate(first))
		}, 200, update + " " + update, 2, 0, 0},
		{"refresh, held, the second use where lost responses are forgiven", func(w *world) func(*world) answer {
			policy(w, `{"lost_response":"until_used"}`)
			first, _ := w.login()
			second := w.rotate(first)
			w.rotate(second)
			return present(second)
		}, 200, update, 1, 0, 0},
		{"refresh, held, the last use long ago", func(w *world) func(*world) answer {
			policy(w, `{"reuse_interval":3600}`)
			first, _ := w.login()
			second := w.rotate(first)
			w.clock.Advance(2 * time.Minute)
			return present(second)
		}, 200, update + " " + update, 2, 0, 0},
		{"reuse inside the interval", func(w *world) func(*world) answer {
			first, _ := w.login()
			w.rotate(first)
			return present(first)
		}, 200, update, 1, 0, 0},
		{"reuse inside the interval, of a usual record", func(w *world) func(*world) answer {
			r := w.usual()
			w.rotateRecord(r, r.token)
			return func(w *world) answer { return w.refreshRecord(r) }
		}, 200, update, 1, 0, 0},
		{"reuse inside the interval, of the largest record", func(w *world) func(*world) answer {
			r := w.longest()
			w.rotateRecord(r, r.token)
			return func(w *world) answer { return w.refreshRecord(r) }
		}, 200, update, 4, 0, 0},
		{"lost response, forgiven", func(w *world) func(*world) answer {
			policy(w, `{"lost_response":"until_used"}`)
			first, _, _ := superseded(w)
			return present(first)
		}, 200, update + " " + update, 2, 0, 0},
		{"real reuse", func(w *world) func(*world) answer {
			first, _, _ := superseded(w)
			return present(first)
		}, 400, update + " " + transact, 5, 0, 2},
		{"reuse, observed", func(w *world) func(*world) answer {
			policy(w, fmt.Sprintf(`{"reuse_detection":"observe","observe_until":%q}`, w.clock.Now().Add(time.Hour).Format(time.RFC3339)))
			first, _, _ := superseded(w)
			return present(first)
		}, 200, update + " " + transact, 5, 0, 2},
		{"reuse, observed again", func(w *world) func(*world) answer {
			policy(w, fmt.Sprintf(`{"reuse_detection":"observe","observe_until":%q}`, w.clock.Now().Add(time.Hour).Format(time.RFC3339)))
			first, _, _ := superseded(w)
			w.refresh(first)
			return present(first)
		}, 200, update, 1, 0, 0},
		{"token newer than its record", func(w *world) func(*world) answer {
			_, id := w.login()
			return present(w.mint(id, 7))
		}, 200, update + " " + transact, 5, 0, 2},
		{"dead token", func(w *world) func(*world) answer {
			newest, _ := reused(w)
			return present(newest)
		}, 400, update, 1, 0, 0},
		{"dead token, replayed", func(w *world) func(*world) answer {
			first, _, _ := superseded(w)
			w.refresh(first)
			return present(first)
		}, 400, update, 1, 0, 0},
		{"expired token", func(w *world) func(*world) answer {
			first, _ := w.login()
			w.clock.Advance(16 * 24 * time.Hour)
			return present(first)
		}, 400, update, 1, 0, 0},
		{"token whose record is purged", func(w *world) func(*world) answer {
			first, _ := w.login()
			w.clock.Advance(61 * 24 * time.Hour)
			w.purge()
			return present(first)
		}, 400, update, 1, 0, 0},
		{"another client's token", func(w *world) func(*world) answer {
			first := w.issue(`{"user_id":"u","client_id":"web"}`).text("refresh_token")
			return present(first)
		}, 400, update, 1, 0, 0},
		{"scope that was not granted", func(w *world) func(*world) answer {
			first, _ := w.login()
			return present(first, "scope", "admin")
		}, 400, update, 1, 0, 0},
		{"malformed token", func(*world) func(*world) answer { return present("rotor_none") }, 400, "", 0, 0, 0},
		{"forged token", func(w *world) func(*world) answer {
			first, _ := w.login()
			return present(forge(first))
		}, 400, "", 0, 0, 0},
		{"token of the largest counter", func(w *world) func(*world) answer {
			_, id := w.login()
			return present(w.mint(id, 1<<32-1))
		}, 400, "", 0, 0, 0},
		{"token from before the client's not_before", func(w *world) func(*world) answer {
			first, _ := w.login()
			w.clock.Advance(time.Second)
			w.putClient("app", fmt.Sprintf(`{"type":"public","not_before":%q}`, w.clock.Now().Format(time.RFC3339Nano)))
			return present(first)
		}, 400, "", 0, 0, 0},
		{"refresh, the client not cached", func(w *world) func(*world) answer {
			first, _ := w.login()
			return func(w *world) answer {
				w.clock.Advance(61 * time.Second)
				return w.refresh(first)
			}
		}, 200, get + " " + update, 1, 1, 0},

		// A session that is bound to the browser's device
		{"refresh by a device cookie", func(w *world) func(*world) answer {
			c := w.deviceBound()
			sid := c.bound("u")
			return func(*world) answer { return c.renew(sid) }
		}, 200, update, 1, 0, 0},
		{"refresh by an old device cookie", func(w *world) func(*world) answer {
			c := w.deviceBound()
			sid := c.bound("u")
			c.without, c.sessions, c.expires = true, nil, map[string]time.Time{}
			w.clock.Advance(11 * time.Minute)
			c.browser.post("/oauth/revoke", "client_id", "spa", "token", "x") // so that the client is cached
			return func(*world) answer { return c.renew(sid) }
		}, 503, "", 0, 0, 0},
		{"register a device's key", func(w *world) func(*world) answer {
			c := w.deviceBound()
			c.without = true
			sid := c.login("u")
			proof := deviceProof(w.t, deviceKey(w.t), challengeOffered(c.renew(sid)), true)
			return func(*world) answer {
				a, _ := c.ask("/oauth/dbsc/registration", "Secure-Session-Response", proof)
				return a
			}
		}, 200, "", 0, 0, 0},
		{"the renewal that binds", func(w *world) func(*world) answer {
			c := w.deviceBound()
			c.login("u")
			return c.renewal()
		}, 200, update, 1, 0, 0},
		{"a renewal", func(w *world) func(*world) answer {
			c := w.deviceBound()
			c.bound("u")
			return c.renewal()
		}, 200, update, 1, 0, 0},
		{"a renewal of a session that has ended", func(w *world) func(*world) answer {
			c := w.deviceBound()
			c.bound("u")
			w.send(http.MethodDelete, "/v1/families?user_id=u", "", "")
			return c.renewal()
		}, 401, update, 1, 0, 0},
		{"a renewal without a proof", func(w *world) func(*world) answer {
			c := w.deviceBound()
			c.bound("u")
			s := c.only()
			return func(*world) answer {
				a, _ := c.ask(s.renewal, "Sec-Secure-Session-Id", s.identifier)
				return a
			}
		}, 403, "", 0, 0, 0},

		// POST /oauth/revoke and POST /oauth/introspect
		{"revoke", func(w *world) func(*world) answer {
			first, _ := w.login()
			return request(http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", first))
		}, 200, get + " " + transact, 4, 1, 2},
		// A dead record is up to 0.1 KB longer, because it holds the cause.
		{"revoke a usual record", func(w *world) func(*world) answer {
			r := w.usual()
			return func(w *world) answer {
				return w.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", r.client, "token", r.token), "User-Agent", r.userAgent)
			}
		}, 200, get + " " + transact, 4, 1, 2},
		{"revoke the largest record", func(w *world) func(*world) answer {
			r := w.longest()
			return func(w *world) answer {
				return w.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", r.client, "token", r.token), "User-Agent", r.userAgent)
			}
		}, 200, get + " " + transact, 12, 1, 2},
		{"dead token of a usual record", func(w *world) func(*world) answer {
			r := w.usual()
			w.send(http.MethodDelete, "/v1/families/"+r.family, "", "")
			return func(w *world) answer { return w.refreshRecord(r) }
		}, 400, update, 1, 0, 0},
		{"dead token of the largest record", func(w *world) func(*world) answer {
			r := w.longest()
			w.send(http.MethodDelete, "/v1/families/"+r.family, "", "")
			return func(w *world) answer { return w.refreshRecord(r) }
		}, 400, update, 5, 0, 0},
		{"revoke by access token", func(w *world) func(*world) answer {
			access := w.issue(`{"user_id":"u","client_id":"app"}`).text("access_token")
			return request(http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", access))
		}, 200, get + " " + transact, 4, 1, 2},
		{"revoke what is dead", func(w *world) func(*world) answer {
			newest, _ := reused(w)
			return request(http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", newest))
		}, 200, get, 0, 1, 0},
		{"revoke what is no token", func(*world) func(*world) answer {
			return request(http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", "none"))
		}, 200, "", 0, 0, 0},
		{"introspect a refresh token", func(w *world) func(*world) answer {
			secret := w.addSecret("web")
			first := w.issue(`{"user_id":"u","client_id":"web"}`).text("refresh_token")
			return request(http.MethodPost, "/oauth/introspect", formType, form("client_id", "web", "client_secret", secret, "token", first))
		}, 200, get, 0, 1, 0},
		{"introspect an access token", func(w *world) func(*world) answer {
			secret := w.addSecret("web")
			access := w.issue(`{"user_id":"u","client_id":"web"}`).text("access_token")
			return request(http.MethodPost, "/oauth/introspect", formType, form("client_id", "web", "client_secret", secret, "token", access))
		}, 200, get, 0, 1, 0},
		{"introspect what is no token", func(w *world) func(*world) answer {
			secret := w.addSecret("web")
			return request(http.MethodPost, "/oauth/introspect", formType, form("client_id", "web", "client_secret", secret, "token", "none"))
		}, 200, "", 0, 0, 0},

		// The authorization code
		{"authorize", func(w *world) func(*world) answer {
			w.putClient("app", authorizing)
			w.code()
			return func(w *world) answer { return w.authorize(authorizationRequest()) }
		}, 200, update + " " + put, 2, 0, 0},
		{"exchange of a code", func(w *world) func(*world) answer {
			w.putClient("app", authorizing)
			code := w.code()
			return func(w *world) answer { return w.exchange(code) }
		}, 200, update, 1, 0, 0},
		{"exchange of a usual record's code", func(w *world) func(*world) answer {
			code := w.usualCode()
			return func(w *world) answer { return w.exchangeUsual(code) }
		}, 200, update, 1, 0, 0},
		{"refresh of a usual record that began with a code", func(w *world) func(*world) answer {
			token := w.exchangeUsual(w.usualCode()).text("refresh_token")
			w.clock.Advance(time.Minute)
			return func(w *world) answer {
				return w.refreshRecord(record{token: token, client: "usual-spa", userAgent: usualAgent})
			}
		}, 200, update, 1, 0, 0},
		{"an assertion", func(w *world) func(*world) answer {
			a := w.trusting()
			a.assert(a.assertion()) // whose keys are cached from then on
			assertion := a.assertion()
			return func(*world) answer { return a.assert(assertion) }
		}, 200, get + " " + update + " " + transact, 3, 1, 0}, // as with a key: DynamoDB takes 5
		{"an assertion that comes again", func(w *world) func(*world) answer {
			a := w.trusting()
			assertion := a.assertion()
			a.assert(assertion)
			return func(*world) answer { return a.assert(assertion) }
		}, 200, get + " " + get, 0, 2, 0},
		{"an assertion that is not good", func(w *world) func(*world) answer {
			a := w.trusting()
			return func(*world) answer { return a.assert("none") }
		}, 400, "", 0, 0, 0},
		{"a code that comes again", func(w *world) func(*world) answer {
			w.putClient("app", authorizing)
			code := w.code()
			w.exchange(code)
			return func(w *world) answer { return w.exchange(code) }
		}, 400, update, 1, 0, 0},
		{"a code that comes again later", func(w *world) func(*world) answer {
			w.putClient("app", authorizing)
			code := w.code()
			w.exchange(code)
			w.clock.Advance(time.Minute)
			return func(w *world) answer { return w.exchange(code) }
		}, 400, update + " " + transact, 5, 0, 2},
		{"a code with another verifier", func(w *world) func(*world) answer {
			w.putClient("app", authorizing)
			code := w.code()
			return func(w *world) answer { return w.exchange(code, "code_verifier", strings.Repeat("x", 43)) }
		}, 400, update, 1, 0, 0},
		{"a forged code", func(w *world) func(*world) answer {
			w.putClient("app", authorizing)
			code := w.code()
			return func(w *world) answer { return w.exchange(forge(code)) }
		}, 400, "", 0, 0, 0},
		// Another provider's tokens: a read more, once.
		{"first use of an imported token", func(w *world) func(*world) answer {
			return present(movingIn(w, ""))
		}, 200, get + " " + update, 1, 1, 0},
		{"first use of an imported token of a usual record", func(w *world) func(*world) answer {
			token := w.usualImported()
			return func(w *world) answer {
				return w.refreshRecord(record{token: token, client: "usual-spa", userAgent: usualAgent})
			}
		}, 200, get + " " + update, 1, 1, 0},
		{"first use of an imported token, without rotation", func(w *world) func(*world) answer {
			w.putClient("app", `{"type":"confidential","policy":{"rotation":false},"accepts_imported":true}`)
			w.secret = w.addSecret("app")
			w.importToken("u", foreignToken(1))
			return present(foreignToken(1))
		}, 200, get + " " + update, 1, 1, 0},
		{"refresh of a family that an imported token began", func(w *world) func(*world) answer {
			second := w.rotate(movingIn(w, ""))
			w.clock.Advance(time.Minute)
			return present(second)
		}, 200, update, 1, 0, 0},
		{"refresh of a usual record that an imported token began", func(w *world) func(*world) answer {
			r := record{token: w.usualImported(), client: "usual-spa", userAgent: usualAgent}
			r.token = w.rotateRecord(r, r.token)
			w.clock.Advance(time.Minute)
			return func(w *world) answer { return w.refreshRecord(r) }
		}, 200, update, 1, 0, 0},
		{"refresh, where the client accepts imported tokens", func(w *world) func(*world) answer {
			w.acceptImported(`true`)
			first, _ := w.login()
			return present(first)
		}, 200, update, 1, 0, 0},
		{"an imported token again, inside the interval", func(w *world) func(*world) answer {
			token := movingIn(w, "")
			w.rotate(token)
			return present(token)
		}, 200, get + " " + update, 1, 1, 0},
		{"an imported token whose first answer was lost", func(w *world) func(*world) answer {
			token := movingIn(w, `{"lost_response":"until_used"}`)
			w.rotate(token)
			w.clock.Advance(time.Minute)
			return present(token)
		}, 200, get + " " + update + " " + update, 2, 1, 0},
		{"an imported token again, later", func(w *world) func(*world) answer {
			token := movingIn(w, "")
			w.rotate(token)
			w.clock.Advance(time.Minute)
			return present(token)
		}, 400, get + " " + update + " " + transact, 5, 1, 2},
		{"a token that nobody imported", func(w *world) func(*world) answer {
			movingIn(w, "")
			return present(foreignToken(2))
		}, 400, get, 0, 1, 0},
		{"a token that nobody imported, again", func(w *world) func(*world) answer {
			movingIn(w, "")
			w.refresh(foreignToken(2))
			return present(foreignToken(2))
		}, 400, "", 0, 0, 0},
		{"a token of another shape", func(w *world) func(*world) answer {
			movingIn(w, "")
			return present("v2." + foreignToken(1))
		}, 400, "", 0, 0, 0},
		{"revoke by an imported token", func(w *world) func(*world) answer {
			return request(http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", movingIn(w, "")))
		}, 200, get + " " + get + " " + transact, 4, 2, 2},
		// POST /v1/imports reads the client, so that a registration that has just been changed counts.
		{"import", func(w *world) func(*world) answer {
			movingIn(w, "") // the owner has a record from now on
			return request(http.MethodPost, "/v1/imports", jsonType, importBody(importRow("u", foreignToken(2))))
		}, 200, get + " " + get + " " + update + " " + transact, 3, 2, 0}, // as with a key: DynamoDB takes 5
		{"import again", func(w *world) func(*world) answer {
			token := movingIn(w, "")
			return request(http.MethodPost, "/v1/imports", jsonType, importBody(importRow("u", token)))
		}, 200, get + " " + get, 0, 2, 0},
		{"dry run of an import", func(w *world) func(*world) answer {
			w.acceptImported("true")
			return request(http.MethodPost, "/v1/imports", jsonType, strings.Replace(importBody(importRow("u", foreignToken(1))), "{", `{"dry_run":true,`, 1))
		}, 200, get + " " + get, 0, 2, 0},
		// POST /v1/families
		{"issue, the user's first", func(*world) func(*world) answer {
			return request(http.MethodPost, "/v1/families", jsonType, `{"user_id":"u","client_id":"app"}`)
		}, 201, update + " " + query + " " + put + " " + put, 3, 0, 0},
		{"issue, the user's first in the client", func(w *world) func(*world) answer {
			w.issue(`{"user_id":"u","client_id":"web"}`)
			return request(http.MethodPost, "/v1/families", jsonType, `{"user_id":"u","client_id":"app"}`)
		}, 201, update + " " + query + " " + put + " " + put, 3, 1, 0},
		{"issue", func(w *world) func(*world) answer {
			w.login()
			return request(http.MethodPost, "/v1/families", jsonType, `{"user_id":"u","client_id":"app"}`)
		}, 201, update + " " + put, 2, 0, 0},
		{"issue under a key", func(w *world) func(*world) answer {
			w.login()
			return func(w *world) answer { return w.issueAs("key", `{"user_id":"u","client_id":"app"}`) }
		}, 201, get + " " + update + " " + transact, 3, 1, 0}, // DynamoDB Local reports 2 units for the transaction, where DynamoDB takes 4
		{"issue under a key again", func(w *world) func(*world) answer {
			w.issueAs("key", `{"user_id":"u","client_id":"app"}`)
			return func(w *world) answer { return w.issueAs("key", `{"user_id":"u","client_id":"app"}`) }
		}, 201, get + " " + get, 0, 2, 0},
		{"issue a usual record", func(w *world) func(*world) answer {
			w.putClient("usual-spa", `{"type":"public"}`)
			w.issue(w.usualBody())
			return request(http.MethodPost, "/v1/families", jsonType, w.usualBody())
		}, 201, update + " " + put, 2, 0, 0},
		{"issue the largest record", func(w *world) func(*world) answer {
			w.issue(w.longestBody())
			return request(http.MethodPost, "/v1/families", jsonType, w.longestBody())
		}, 201, update + " " + put, 5, 0, 0},
		{"issue for a shorter time than the one before", func(w *world) func(*world) answer {
			w.login()
			return request(http.MethodPost, "/v1/families", jsonType, `{"user_id":"u","client_id":"app","absolute_lifetime":60}`)
		}, 201, update + " " + update + " " + put, 3, 0, 0},
		{"issue past the limit", func(w *world) func(*world) answer {
			policy(w, `{"max_active":1}`)
			w.login()
			return request(http.MethodPost, "/v1/families", jsonType, `{"user_id":"u","client_id":"app"}`)
		}, 201, update + " " + put + " " + put, 3, 0, 0},

		// PUT /v1/clients reads first, so that the trail can say what has changed.
		{"put a client", func(*world) func(*world) answer {
			return request(http.MethodPut, "/v1/clients/app", jsonType, `{"type":"public"}`)
		}, 200, get + " " + update, 1, 1, 0},

		// /v1/families takes one read, and for the timeline also the stored events of the
		// user.
		{"show a family", func(w *world) func(*world) answer {
			_, id := reused(w)
			return request(http.MethodGet, "/v1/families/"+id, "", "")
		}, 200, get + " " + query, 0, 2, 0},
		{"list ten families", func(w *world) func(*world) answer { // of about 200 bytes each
			for range 10 {
				w.login()
			}
			return request(http.MethodGet, "/v1/families?user_id=u", "", "")
		}, 200, query, 0, 1, 0},
		{"change a family", func(w *world) func(*world) answer {
			_, id := w.login()
			return request(http.MethodPatch, "/v1/families/"+id, jsonType, `{"scope":"read","acr":"aal2"}`)
		}, 200, get + " " + update, 1, 1, 0},
		{"change ten families", func(w *world) func(*world) answer {
			for range 10 {
				w.login()
			}
			return request(http.MethodPatch, "/v1/families?user_id=u", jsonType, `{"acr":"aal2"}`)
		}, 200, query + " " + repeat(10, update), 10, 1, 0},
		{"revoke one family", func(w *world) func(*world) answer {
			_, id := w.login()
			return request(http.MethodDelete, "/v1/families/"+id, "", "")
		}, 200, get + " " + transact, 4, 1, 2},
		{"revoke ten families", func(w *world) func(*world) answer {
			for range 10 {
				w.login()
			}
			return request(http.MethodDelete, "/v1/families?user_id=u", "", "")
		}, 200, query + " " + transact + " " + repeat(9, update), 13, 1, 2},
		{"revoke all but one of ten families", func(w *world) func(*world) answer {
			for range 9 {
				w.login()
			}
			_, id := w.login()
			return request(http.MethodDelete, "/v1/families?user_id=u&except="+id, "", "")
		}, 200, get + " " + query + " " + transact, 4, 2, 2}, // DynamoDB takes 22: two for each family

		// DELETE /v1/users
		{"erase a user of ten families and ten events", func(w *world) func(*world) answer {
			for range 10 {
				_, id := w.login()
				w.send(http.MethodDelete, "/v1/families/"+id, "", "")
			}
			return request(http.MethodDelete, "/v1/users?user_id=u", "", "")
		}, 200, repeat(2, query) + " " + put + " " + repeat(10, remove) + " " + query + " " + repeat(12, remove) + " " + query, 23, 3, 11},
		{"erase a user of whom there is nothing", func(*world) func(*world) answer {
			return request(http.MethodDelete, "/v1/users?user_id=u", "", "")
		}, 200, repeat(2, query) + " " + put + " " + repeat(2, query), 1, 0, 1},

		// POST /v1/explain
		{"explain a valid token", func(w *world) func(*world) answer {
			first, _ := w.login()
			return explain("refresh_token", first)
		}, 200, get + " " + query, 0, 1, 0}, // DynamoDB Local reports 0 for a query that finds nothing
		{"explain its family", func(w *world) func(*world) answer {
			_, id := w.login()
			return explain("family", id)
		}, 200, get + " " + query, 0, 1, 0},
		{"explain the largest record", func(w *world) func(*world) answer {
			return explain("refresh_token", w.longest().token)
		}, 200, get + " " + query, 0, 2, 0},
		{"explain a revoked token", func(w *world) func(*world) answer {
			first, id := w.login()
			w.send(http.MethodDelete, "/v1/families/"+id, "", "")
			return explain("refresh_token", first)
		}, 200, get + " " + query, 0, 2, 0},
		{"explain a reuse", func(w *world) func(*world) answer { // reads 31 days of the index, for the recommendation
			newest, _ := reused(w)
			return explain("refresh_token", newest)
		}, 200, get + " " + query + " " + repeat(31, query), 0, 2, .5},
		{"explain the reuse of a family", func(w *world) func(*world) answer {
			_, id := reused(w)
			return explain("family", id)
		}, 200, get + " " + query + " " + repeat(31, query), 0, 2, .5},
		{"explain a purged token", func(w *world) func(*world) answer {
			first, _ := w.login()
			w.clock.Advance(61 * 24 * time.Hour)
			w.purge()
			return explain("refresh_token", first)
		}, 200, get, 0, 1, 0},
		{"explain a forged token", func(w *world) func(*world) answer {
			first, _ := w.login()
			return explain("refresh_token", forge(first))
		}, 200, "", 0, 0, 0},
	} {
		t.Run(tt.what, func(t *testing.T) {
			w := newWorld(t)
			measured := tt.prepare(w)
			for _, client := range []string{"app", "web", "usual-spa", longClient} {
				w.refresh("none", "client_id", client)
			}
			w.store.Counted()
			w.store.Consumed()
			a := measured(w)
			if a.status != tt.status {
				t.Errorf("answered %v", a)
			}
			if calls := strings.Join(w.store.Counted(), " "); calls != tt.requests {
				t.Errorf("requests %s, not %s", calls, tt.requests)
			}
			w.consumed(tt.write, tt.read, tt.index)
		})
	}
}

// consumed checks what the table and the index have consumed since the last call, if the store
// reports it.
func (w *world) consumed(write, read, index float64) {
	w.t.Helper()
	c := w.store.Consumed()
	log := c.Indexes["log"]
	got := [3]float64{c.Write - log.Write, c.Read - log.Read, log.Write + log.Read}
	want := [3]float64{write, read, index}
	if !w.store.ReportsCapacity() {
		want = [3]float64{}
	}
	if got != want {
		w.t.Errorf("consumed %v write units, %v read units and %v of the index, not %v, %v and %v", got[0], got[1], got[2], want[0], want[1], want[2])
	}
}

// TestCapacityOfARace checks that a thousand requests which present one token at once consume
// one write unit each and nothing else.
func TestCapacityOfARace(t *testing.T) {
	w := newWorld(t, servers(2))
	first, _ := w.login()
	for i := range w.servers { // every server knows the client
		w.sendTo(i, http.MethodPost, "/oauth/token", formType, refreshForm("none"))
	}
	w.store.Counted()
	w.store.Consumed()
	for _, a := range w.race(racers(), first) {
		if a.status != http.StatusOK {
			t.Fatalf("a racer got %v", a)
		}
	}
	if calls := w.store.Counted(); len(calls) != racers() || slices.ContainsFunc(calls, func(c string) bool { return c != "UpdateItem" }) {
		t.Errorf("%d requests", len(calls))
	}
	w.consumed(float64(racers()), 0, 0)
}

// TestCapacityOfTheLongestAddress checks that the longest IP address still leaves the largest
// record within four units and a usual one within one. No request from this machine can have
// such an address, so the test writes it to the store.
func TestCapacityOfTheLongestAddress(t *testing.T) {
	const address = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
	for _, tt := range []struct {
		name     string
		record   func(*world) record
		units    float64 // of a refresh
		from, to int     // the record's bytes
	}{
		// A key takes the other bytes.
		{"usual", (*world).usual, 1, 700, 1024 - keySize},
		{"the largest", (*world).longest, 4, 4096 - 6, 4096}, // leaves room for times of the year 9999
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			r := tt.record(w)
			familyID, counter := w.content(r.token)
			client, err := w.table.Client(t.Context(), r.client)
			if err != nil {
				t.Fatal(err)
			}
			w.store.Counted()
			w.store.Consumed()
			for i := range uint32(2) { // with the address before the write and after it
				w.clock.Advance(time.Minute)
				_, done, err := w.table.Refresh(t.Context(), store.Refresh{
					Family: familyID, Policy: &client.Policy,
					Attempt: family.Attempt{Counter: counter + i, ClientID: client.ID, WriteID: make([]byte, 8), Now: w.clock.Now()},
					LastIP:  address, LastUserAgent: r.userAgent[:min(256, len(r.userAgent))],
				})
				if err != nil || !done {
					t.Fatal(done, err)
				}
			}
			if calls := w.store.Counted(); !slices.Equal(calls, []string{"UpdateItem", "UpdateItem"}) {
				t.Errorf("requests %v", calls)
			}
			w.consumed(2*tt.units, 0, 0)
			if f := w.family(r.family); int(f.number("counter")) != int(counter)+2 || f.text("last_ip") != address {
				t.Errorf("the family is %v", f)
			}
			sizes, err := w.store.Sizes(t.Context(), "f#")
			if err != nil || len(sizes) != 1 || sizes[0] < tt.from || sizes[0] > tt.to {
				t.Errorf("the item has %v bytes, not %d to %d: %v", sizes, tt.from, tt.to, err)
			}
			t.Logf("up to %v bytes", sizes)
		})
	}
}

// TestCapacityOfASweep checks what a sweep consumes for an owner: one write unit for each
// family that it ends, and besides those what one plan, its event and the settling take. It
// reads the active families, and a bounded part of the ended ones.
func TestCapacityOfASweep(t *testing.T) {
	for _, tt := range []struct {
		families, excess   int
		write, read, index float64
	}{
		// Written: the plan, the families' ends, 2 each for the plan's removal and the event,
		// and 2 to settle. There DynamoDB takes 4, as DynamoDB Local does not count the
		// removal from the work list. Read: the work list, the client, and the owner with its
		// families, twice because of the plan.
		{2, 0, 2, 4, 0},
		{3, 1, 8, 6, 2},
		{12, 10, 17, 6, 2},
		{120, 100, 123, 19, 6}, // a plan of 5 KB, an event of 3 KB, families of 25 KB and then 32 KB
	} {
		t.Run(fmt.Sprintf("%d of %d families", tt.excess, tt.families), func(t *testing.T) {
			w := newWorld(t)
			w.putClient("app", `{"type":"public","policy":{"max_active":1}}`)
			for range tt.families {
				w.login()
			}
			w.putClient("app", fmt.Sprintf(`{"type":"public","policy":{"max_active":%d}}`, tt.families-tt.excess))
			w.store.Counted()
			w.store.Consumed()
			if r := w.sweep(); r.Owners != 1 || r.Removed != tt.excess {
				t.Fatalf("swept %+v", r)
			}
			want := []string{"Query", "GetItem", "GetItem", "Query"}
			if tt.excess > 0 {
				want = slices.Concat(want, slices.Repeat([]string{"UpdateItem"}, 1+tt.excess), []string{"TransactWriteItems", "GetItem", "Query"})
			}
			want = append(want, "TransactWriteItems")
			if calls := w.store.Counted(); !slices.Equal(calls, want) {
				t.Errorf("requests %v, not %v", calls, want)
			}
			w.consumed(tt.write, tt.read, tt.index)
		})
	}
}

// TestCapacityOfASweepAmongTheDead checks what ended families cost the sweep of an active one.
// Each sweep reads up to about 1,000 ended records again. If there are more, the sweep
// remembers the active device and does not read them.
func TestCapacityOfASweepAmongTheDead(t *testing.T) {
	parallel(t)
	for _, tt := range []struct {
		dead               int
		reads              int // GetItem requests each time that the owner is read
		write, read, index float64
	}{
		{0, 1, 8, 6, 2},
		{900, 1, 8, 132, 2}, // 260 KB, twice
		{2000, 3, 8, 10, 2}, // DynamoDB takes 10, for what is remembered
	} {
		t.Run(fmt.Sprint(tt.dead), func(t *testing.T) {
			w := newWorld(t)
			w.putClient("app", `{"type":"public","policy":{"max_active":1}}`)
			device, _ := w.login()
			w.clock.Advance(time.Second)
			w.issueMany(tt.dead)
			for range 2 { // the second sweep reads what is older than five minutes
				w.clock.Advance(10 * time.Minute)
				device = w.rotate(device)
				w.login()
				w.clock.Advance(time.Minute)
				device = w.rotate(device)
				w.sweep()
			}
			w.clock.Advance(10 * time.Minute)
			w.rotate(device)
			w.login()
			w.store.Counted()
			w.store.Consumed()
			if r := w.sweep(); r.Owners != 1 || r.Removed != 1 {
				t.Fatalf("swept %+v", r)
			}
			owner := slices.Repeat([]string{"GetItem"}, tt.reads)
			want := slices.Concat([]string{"Query", "GetItem"}, owner, []string{"Query", "UpdateItem", "UpdateItem", "TransactWriteItems"}, owner, []string{"Query", "TransactWriteItems"})
			if calls := w.store.Counted(); !slices.Equal(calls, want) {
				t.Errorf("requests %v, not %v", calls, want)
			}
			w.consumed(tt.write, tt.read, tt.index)
		})
	}
}
