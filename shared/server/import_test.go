package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
)

// foreignToken returns a refresh token of another provider, which looks like one of Auth0's.
func foreignToken(n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "the other provider's token %d", n))
	t := "v1.M" + base64.RawURLEncoding.EncodeToString(sum[:])
	trail.add("another provider's refresh token", t)
	return t
}

// hashOf returns the SHA-256 of a foreign token in hexadecimal.
func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// acceptImported registers "app" as a public client that accepts imported tokens, with more members.
func (w *world) acceptImported(accepts string, members ...string) {
	w.t.Helper()
	w.putClient("app", `{`+strings.Join(append(members, `"type":"public"`, `"accepts_imported":`+accepts), ",")+`}`)
}

// importRow returns a row of an import: a user's foreign token, with more members.
func importRow(user, token string, more ...any) map[string]any {
	row := map[string]any{"user_id": user, "token_sha256": hashOf(token)}
	for i := 0; i < len(more); i += 2 {
		row[more[i].(string)] = more[i+1]
	}
	return row
}

// importBody returns the body of POST /v1/imports for "app".
func importBody(rows ...map[string]any) string {
	b, err := json.Marshal(map[string]any{"client_id": "app", "tokens": rows})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// imported is what an import has come to for one token.
type imported struct{ Result, Family string }

// importTokens imports tokens into "app", and returns what has become of each.
func (w *world) importTokens(rows ...map[string]any) []imported {
	w.t.Helper()
	return w.importedBy(importBody(rows...))
}

// importedBy makes that import.
func (w *world) importedBy(body string) []imported {
	w.t.Helper()
	a := w.send(http.MethodPost, "/v1/imports", jsonType, body)
	var answer struct{ Tokens []imported }
	if err := json.Unmarshal([]byte(a.body), &answer); err != nil || a.status != http.StatusOK {
		w.t.Fatalf("import: %v", a)
	}
	return answer.Tokens
}

// importToken imports a user's foreign token into "app", with more members, and returns its family.
func (w *world) importToken(user, token string, more ...any) string {
	w.t.Helper()
	done := w.importTokens(importRow(user, token, more...))
	if len(done) != 1 || done[0].Result != "imported" || done[0].Family == "" {
		w.t.Fatalf("the import has come to %v", done)
	}
	return done[0].Family
}

// active returns how many active families the record of "u" in "app" counts.
func (w *world) active() int {
	w.t.Helper()
	o, err := w.table.Owner(w.t.Context(), store.OwnerID{UserKey: w.keys.Users.Key("u"), ClientID: "app"})
	if err != nil {
		w.t.Fatal(err)
	}
	return o.Active
}

// TestImport checks that an imported token starts its family with what the import says of it: at
// its first use, which takes one read more than any other. From then on the family is like others.
func TestImport(t *testing.T) {
	w := newWorld(t)
	w.acceptImported(`{"prefix":"v1.M","length":47}`, `"scope":"openid orders mail"`)
	token := foreignToken(1)
	now := w.clock.Now()
	id := w.importToken("u", token, "scope", "openid orders", "claims", map[string]any{"tenant": "acme"}, "auth_time", now.Add(-90*day).Format(time.RFC3339),
		"acr", "aal2", "amr", []string{"pwd", "otp"}, "audience", "https://api.example.com", "device", "Pixel 9", "expires_at", now.Add(10*day).Format(time.RFC3339Nano))
	f := w.family(id)
	if f.text("status") != "pending" || f.number("counter") != 0 || f.text("origin") != "imported" || f.text("device") != "Pixel 9" || w.active() != 1 {
		t.Errorf("the family is %v, and %d are active", f, w.active())
	}
	w.clock.Advance(time.Hour)
	w.refresh("none")
	w.store.Counted()
	a := w.refresh(token)
	if calls := strings.Join(w.store.Counted(), " "); calls != "GetItem UpdateItem" {
		t.Errorf("the first use takes %s", calls)
	}
	_, claims := decodeJWT(t, a.text("access_token"))
	for name, want := range map[string]any{
		"sub": "u", "scope": "openid orders", "tenant": "acme", "acr": "aal2", "aud": "https://api.example.com", "auth_time": now.Add(-90 * day).Unix(),
	} {
		if fmt.Sprint(claims[name]) != fmt.Sprint(want) {
			t.Errorf("%s is %v, not %v", name, claims[name], want)
		}
	}
	if left := a.number("authorization_expires_in"); left != (10*day - time.Hour).Seconds() {
		t.Errorf("the family has %v s", left)
	}
	if n := w.counter(id); n != 1 {
		t.Errorf("the counter is %d", n)
	}
	w.store.Counted()
	w.later(w.later(a.text("refresh_token")))
	if calls := strings.Join(w.store.Counted(), " "); calls != "GetItem UpdateItem GetItem UpdateItem" { // the client is read again after a minute
		t.Errorf("two more refreshes take %s", calls)
	}
	lines := w.logged("sertft")
	if lines[0]["originToken"] != "imported" || lines[0]["familyId"] != id || lines[1]["originToken"] != nil {
		t.Errorf("logged was %v", lines)
	}
	all, err := w.store.Contents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(token))
	for _, value := range all {
		if strings.Contains(value, token) || strings.Contains(value, hashOf(token)) || strings.Contains(value, string(sum[:])) ||
			strings.Contains(value, base64.RawURLEncoding.EncodeToString(sum[:])) {
			t.Errorf("the table has the token or its hash in %q", value)
		}
	}
}

// TestImportedRace lets fifty racers present an imported token at once. All get one successor.
func TestImportedRace(t *testing.T) {
	parallel(t)
	for _, policy := range []string{`{}`, `{"reuse_interval":600}`} {
		t.Run(policy, func(t *testing.T) {
			w := newWorld(t, servers(3))
			w.acceptImported("true", `"policy":`+policy)
			for _, server := range w.servers { // every server knows the client
				w.sendTo(slices.Index(w.servers, server), http.MethodPost, "/oauth/token", formType, refreshForm("none"))
			}
			id := w.importToken("u", foreignToken(1))
			for _, a := range w.race(50, foreignToken(1)) {
				if tok, n := w.content(a.text("refresh_token")); a.status != http.StatusOK || tok.String() != id || n != 1 {
					t.Fatalf("a racer got %v", a)
				}
			}
			if w.counter(id) != 1 || w.active() != 1 || len(w.logged("ferrt")) != 0 {
				t.Errorf("the family has %d tokens, of %d families", w.counter(id), w.active())
			}
		})
	}
}

// TestImportedTokenAgain checks that an imported token is as any that was superseded: inside the
// interval it gets the successor, and later it is reuse. That ends the family.
func TestImportedTokenAgain(t *testing.T) {
	w := newWorld(t)
	w.acceptImported("true")
	token := foreignToken(1)
	id := w.importToken("u", token)
	first := w.rotate(token)
	w.clock.Advance(59 * time.Second)
	if again := w.rotate(token); again != first {
		t.Error("inside the interval it gets another successor")
	}
	w.clock.Advance(2 * time.Minute)
	w.reused(token)
	w.dead(first, family.ReuseDetected)
	if f := w.family(id); f.text("cause") != "reuse_detected" || w.storedEvents("ferrt") != 1 {
		t.Errorf("the family is %v", f)
	}
	if lines := w.logged("ferrt"); len(lines) != 1 || lines[0]["originToken"] != "imported" || lines[0]["latestCounter"] != 1.0 {
		t.Errorf("logged was %v", lines)
	}
	// The second time it is superseded by more than one token.
	second := foreignToken(2)
	w.importToken("v", second)
	w.later(w.later(w.rotate(second)))
	w.reused(second)
}

// reused checks that the token is refused, and that its reuse has ended the family.
func (w *world) reused(token string) {
	w.t.Helper()
	before := len(w.logged("ferrt"))
	if a := w.refresh(token); !a.refused(http.StatusBadRequest) || len(w.logged("ferrt")) != before+1 {
		w.t.Errorf("a token used again got %v", a)
	}
	w.dead(token, family.ReuseDetected)
}

// TestImportedWithoutRotation checks that an imported token is superseded even where a refresh
// token stays the same.
func TestImportedWithoutRotation(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"confidential","policy":{"rotation":false},"accepts_imported":true}`)
	w.secret = w.addSecret("app")
	token := foreignToken(1)
	w.importToken("u", token)
	first := w.rotate(token)
	for range 2 {
		if w.later(first) != first {
			t.Error("it rotated")
		}
	}
}

// TestImportTwice checks that a second import changes nothing, whatever has become of the family
// since, and that nobody gets the token of another user or client.
func TestImportTwice(t *testing.T) {
	w := newWorld(t)
	w.acceptImported("true")
	w.putClient("other", `{"type":"public","accepts_imported":true}`)
	token := foreignToken(1)
	id := w.importToken("u", token, "device", "first")
	inOther := strings.Replace(importBody(importRow("u", token)), `"app"`, `"other"`, 1)
	dry := strings.TrimSuffix(importBody(importRow("u", token, "device", "dry")), "}") + `,"dry_run":true}`
	again := func(what string) {
		t.Helper()
		before, active, items := w.family(id), w.active(), w.kept()
		for _, tt := range []struct{ body, want string }{
			{importBody(importRow("u", token, "device", "second")), "already"},
			{dry, "already"},
			{importBody(importRow("v", token)), "conflict"},
			{inOther, "conflict"},
		} {
			w.store.Counted()
			if got := w.importedBy(tt.body); got[0] != (imported{tt.want, id}) {
				t.Errorf("%s: it is %v, not %s", what, got, tt.want)
			}
			if calls := w.store.Counted(); !slices.Equal(calls, []string{"GetItem", "GetItem"}) {
				t.Errorf("%s: %s takes %v", what, tt.want, calls)
			}
		}
		if after := w.family(id); after.body != before.body || w.active() != active || cmp.Diff(items, w.kept()) != "" {
			t.Errorf("%s: the family was %v, and is %v", what, before, after)
		}
	}
	again("pending")
	first := w.rotate(token)
	again("used")
	w.later(first)
	again("rotated")
	w.clock.Advance(time.Hour)
	w.reused(token)
	again("ended")
	w.dead(token, family.ReuseDetected)
}

// TestImportOfTheDead checks that a user who was erased, or whose families were revoked, does not
// come back with a token that was imported before, nor by another import.
func TestImportOfTheDead(t *testing.T) {
	for name, tt := range map[string]struct {
		end   func(w *world, id string)
		cause family.Cause
	}{
		"revoked":    {func(w *world, id string) { w.send(http.MethodDelete, "/v1/families/"+id, "", "") }, family.RevokedByAdmin},
		"signed out": {func(w *world, _ string) { w.send(http.MethodDelete, "/v1/families?user_id=u", "", "") }, family.RevokedByAdmin},
		"erased":     {func(w *world, _ string) { w.erase("user_id=u") }, family.Purged},
		"idle":       {func(w *world, _ string) { w.clock.Advance(16 * day) }, family.ExpiredIdle},
		"too old":    {func(w *world, _ string) { w.clock.Advance(12 * day) }, family.ExpiredAbsolute},
		"not before": {func(w *world, _ string) {
			w.clock.Advance(time.Second)
			w.acceptImported("true", `"not_before":"`+w.clock.Now().Format(time.RFC3339Nano)+`"`)
		}, family.ClientNotBefore},
		"purged": {func(w *world, _ string) { w.clock.Advance(100 * day); w.purge() }, family.Purged},
	} {
		for _, used := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " used ", used), func(t *testing.T) {
				parallel(t)
				w := newWorld(t)
				w.acceptImported("true")
				token := foreignToken(1)
				row := importRow("u", token)
				if name == "too old" {
					row["expires_at"] = w.clock.Now().Add(10 * day).Format(time.RFC3339)
				}
				id := w.importTokens(row)[0].Family
				tokens := []string{token}
				if used {
					tokens = append(tokens, w.rotate(token))
				}
				tt.end(w, id)
				for range 2 {
					for _, dead := range tokens {
						w.dead(dead, tt.cause)
					}
					if got := w.importTokens(row); got[0] != (imported{"already", id}) {
						t.Errorf("imported again, it is %v", got)
					}
				}
			})
		}
	}
}

// TestImportAfterTheEnd checks that a token whose time was over before its import starts no family,
// and that a family lives no longer than the policy says.
func TestImportAfterTheEnd(t *testing.T) {
	w := newWorld(t)
	w.acceptImported("true")
	at := func(d time.Duration) string { return w.clock.Now().Add(d).Format(time.RFC3339Nano) }
	got := w.importTokens(importRow("u", foreignToken(1), "expires_at", at(0)), importRow("u", foreignToken(2), "expires_at", at(time.Millisecond)),
		importRow("u", foreignToken(3), "expires_at", at(400*day)), importRow("u", foreignToken(4)))
	if got[0] != (imported{Result: "expired"}) || got[1].Result != "imported" || w.active() != 3 {
		t.Errorf("they are %v", got)
	}
	w.dead(foreignToken(1), family.NeverImported)
	for _, i := range got[2:] {
		if end := w.family(i.Family).text("expires_at"); end != w.clock.Now().Add(30*day).Format(time.RFC3339Nano) {
			t.Errorf("one ends at %s", end)
		}
	}
}

// TestImportRefused checks that one wrong row refuses the whole import, with everything that is
// wrong and where. Nothing is written.
func TestImportRefused(t *testing.T) {
	w := newWorld(t)
	w.acceptImported("true", `"scope":"openid orders"`)
	good := importRow("u", foreignToken(1))
	with := func(name string, value any) string {
		return importBody(good, importRow("u", foreignToken(2), name, value))
	}
	sum := sha256.Sum256([]byte(foreignToken(2)))
	for _, tt := range []struct {
		body, field string
		says        []string
	}{
		{with("user_id", ""), "tokens[1].user_id", []string{"given"}},
		{with("user_id", strings.Repeat("u", 129)), "tokens[1].user_id", []string{"128"}},
		{with("user_id", 7), "tokens[1].user_id", []string{"string"}},
		{with("token_sha256", nil), "tokens[1].token_sha256", []string{"SHA-256"}},
		{with("token_sha256", hashOf("x")[1:]), "tokens[1].token_sha256", []string{"64 hexadecimal", "43"}},
		{with("token_sha256", base64.StdEncoding.EncodeToString(sum[:])), "tokens[1].token_sha256", nil},
		{with("token_sha256", base64.RawURLEncoding.EncodeToString(sum[:])[:42]+"9"), "tokens[1].token_sha256", nil}, // stray bits
		{with("token_sha256", base64.RawURLEncoding.EncodeToString(sum[:])[:20]+"\n"+base64.RawURLEncoding.EncodeToString(sum[:])[20:]), "tokens[1].token_sha256", nil},
		{with("token", foreignToken(2)), "tokens[1].token", []string{"no such member"}},
		{with("scope", "admin"), "tokens[1].scope", []string{"openid orders"}},
		{with("claims", map[string]any{"sub": "v"}), "tokens[1].claims.sub", nil},
		{with("claims", map[string]any{"c": strings.Repeat("c", 2100)}), "tokens[1].claims", []string{"2048"}},
		{with("auth_time", w.clock.Now().Add(time.Hour).Format(time.RFC3339)), "tokens[1].auth_time", nil},
		{with("expires_at", "tomorrow"), "tokens[1].expires_at", []string{"RFC 3339"}},
		{with("acr", strings.Repeat("a", 129)), "tokens[1].acr", nil},
		{with("amr", []string{""}), "tokens[1].amr", nil},
		{with("audience", strings.Repeat("a", 513)), "tokens[1].audience", nil},
		{with("absolute_lifetime", 60), "tokens[1].absolute_lifetime", []string{"no such member"}},
		{with("deliver", "code"), "tokens[1].deliver", []string{"no such member"}},
		{importBody(good, good), "tokens[1].token_sha256", []string{"tokens[0]"}},
		{`{"client_id":"app","tokens":["` + foreignToken(2) + `"]}`, "tokens[0]", []string{"a JSON object"}},
		{`{"client_id":"app","tokens":"` + foreignToken(2) + `"}`, "tokens", []string{"array"}},
		{`{"client_id":"app","tokens":[]}`, "tokens", []string{"0 tokens", "1 to 100"}},
		{`{"client_id":"app"}`, "tokens", []string{"0 tokens"}},
		{importBody(slices.Repeat([]map[string]any{good}, 101)...), "tokens", []string{"101 tokens"}},
		{`{"client_id":"nobody","tokens":[{}]}`, "client_id", []string{"registered"}},
		{`{"tokens":[{}]}`, "client_id", nil},
		{strings.Replace(importBody(good), "{", `{"dry_run":1,`, 1), "dry_run", []string{"true or false"}},
	} {
		a := w.send(http.MethodPost, "/v1/imports", jsonType, tt.body)
		a.names(t, tt.field, tt.says...)
		if strings.Contains(a.body, foreignToken(2)) {
			t.Errorf("the answer has the token: %v", a)
		}
	}
	a := w.send(http.MethodPost, "/v1/imports", jsonType, importBody(importRow("", foreignToken(1), "scope", "admin"), importRow("u", foreignToken(2)), importRow("u", foreignToken(2), "acr", 1)))
	for _, field := range []string{"tokens[0].user_id", "tokens[0].scope", "tokens[2].acr"} {
		a.names(t, field)
	}
	var rows []map[string]any
	for range 60 {
		rows = append(rows, map[string]any{})
	}
	if list := w.send(http.MethodPost, "/v1/imports", jsonType, importBody(rows...)).json["errors"].([]any); len(list) != 100 {
		t.Errorf("%d errors are listed", len(list))
	}
	w.putClient("other", `{"type":"public"}`)
	a = w.send(http.MethodPost, "/v1/imports", jsonType, strings.Replace(importBody(good), `"app"`, `"other"`, 1))
	if a.problem(t, http.StatusUnprocessableEntity); !strings.Contains(a.text("detail"), "accepts_imported") {
		t.Errorf("a client that accepts none: %v", a)
	}
	if calls := w.store.Counted(); slices.ContainsFunc(calls[1:], func(c string) bool { return c == "TransactWriteItems" || c == "PutItem" }) {
		t.Errorf("something was written: %v", calls)
	}
	w.nothingKept()
	w.dead(foreignToken(1), family.NeverImported)
}

// TestLargestImport checks that a hundred rows of the largest size are imported in one call, and
// that a hash can be given in each form.
func TestLargestImport(t *testing.T) {
	w := newWorld(t)
	w.acceptImported("true")
	var rows []map[string]any
	for n := range 100 {
		row := importRow(fmt.Sprintf("%0128d", n), foreignToken(n), "claims", map[string]any{"c": strings.Repeat("c", 2000)}, "scope", strings.Repeat("s", 1024),
			"acr", nil, "amr", nil, "audience", nil, "auth_time", nil, "device", nil, "expires_at", nil)
		sum := sha256.Sum256([]byte(foreignToken(n)))
		switch n % 3 {
		case 1:
			row["token_sha256"] = base64.RawURLEncoding.EncodeToString(sum[:])
		case 2:
			row["token_sha256"] = strings.ToUpper(hex.EncodeToString(sum[:]))
		}
		rows = append(rows, row)
	}
	got := w.importTokens(rows...)
	for n, i := range got {
		if f := w.family(i.Family); i.Result != "imported" || f.text("user_id") != rows[n]["user_id"] {
			t.Errorf("row %d is %v", n, i)
		}
	}
	for n := range 3 {
		w.rotate(foreignToken(n))
	}
	if a := w.send(http.MethodPost, "/v1/imports", jsonType, strings.Repeat(" ", 512<<10)+"{}"); a.status != http.StatusRequestEntityTooLarge || !strings.Contains(a.text("detail"), "512 KiB") {
		t.Errorf("a larger body got %v", a)
	}
}

// TestImportDryRun checks that a dry run tells what an import would come to, and writes nothing.
func TestImportDryRun(t *testing.T) {
	w := newWorld(t)
	w.acceptImported("true")
	id := w.importToken("u", foreignToken(1))
	ended := w.clock.Now().Format(time.RFC3339Nano)
	body := importBody(importRow("u", foreignToken(1)), importRow("v", foreignToken(1000)), importRow("v", foreignToken(2)), importRow("w", foreignToken(3), "expires_at", ended))
	body = strings.Replace(body, hashOf(foreignToken(1000)), hashOf(foreignToken(4)), 1)
	w.store.Counted()
	before := len(w.logged("sapi"))
	a := w.send(http.MethodPost, "/v1/imports", jsonType, strings.TrimSuffix(body, "}")+`,"dry_run":true}`)
	want := `{"tokens":[{"result":"already","family":"` + id + `"},{"result":"imported"},{"result":"imported"},{"result":"expired"}],"dry_run":true}` + "\n"
	if a.body != want {
		t.Errorf("it is answered %v", a)
	}
	if calls := w.store.Counted(); !slices.Equal(calls, slices.Repeat([]string{"GetItem"}, 5)) {
		t.Errorf("it takes %v", calls)
	}
	if line := w.operation(before); line["dryRun"] != true {
		t.Errorf("on record is %v", line)
	}
	w.dead(foreignToken(2), family.NeverImported)
	a = w.send(http.MethodPost, "/v1/imports", jsonType, strings.TrimSuffix(body, "}")+`,"dry_run":null}`)
	if a.status != http.StatusOK || strings.Contains(a.body, "dry_run") {
		t.Errorf("without it: %v", a)
	}
}

// TestStrangersCostLittle checks what tokens cost that were never imported. One of another shape
// costs no request. One of the right shape costs one read, and then none for ten seconds.
func TestStrangersCostLittle(t *testing.T) {
	w := newWorld(t)
	w.acceptImported(`{"prefix":"v1.M","length":47}`)
	w.refresh("none")
	w.store.Counted()
	present := func(token string, cause family.Cause, requests int) {
		t.Helper()
		w.dead(token, cause)
		if calls := w.store.Counted(); len(calls) != requests {
			t.Errorf("%s takes %v", token, calls)
		}
	}
	stranger := foreignToken(9)
	for _, wrong := range []string{stranger[1:], stranger + "x", "v2" + stranger[2:], "v1.M" + strings.Repeat("é", 22) + "a", stranger[:46] + " ", "x"} {
		present(wrong, family.Malformed, 0)
	}
	present(stranger, family.NeverImported, 1)
	for range 5 {
		w.clock.Advance(2*time.Second - time.Millisecond)
		present(stranger, family.NeverImported, 0)
	}
	w.clock.Advance(5 * time.Millisecond)
	present(stranger, family.NeverImported, 1)
	for n := range 20 {
		present(foreignToken(100+n), family.NeverImported, 1)
	}
}

// TestImportOfAStranger checks that a token which an instance has just found unknown works there
// ten seconds after its import, and elsewhere at once.
func TestImportOfAStranger(t *testing.T) {
	w := newWorld(t, servers(2))
	w.acceptImported("true")
	token := foreignToken(1)
	w.dead(token, family.NeverImported)
	w.importToken("u", token)
	if a := w.sendTo(1, http.MethodPost, "/oauth/token", formType, refreshForm(token)); a.status != http.StatusOK {
		t.Errorf("elsewhere it got %v", a)
	}
	w.clock.Advance(10 * time.Second)
	w.rotate(token)
}

// TestAcceptsImported checks which shapes a client can be registered with, and what it shows.
func TestAcceptsImported(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct{ accepts, shown string }{
		{`true`, `"accepts_imported":true`},
		{`{}`, `"accepts_imported":true`},
		{`{"prefix":"","length":null}`, `"accepts_imported":true`},
		{`{"prefix":"v1."}`, `"accepts_imported":{"prefix":"v1."}`},
		{`{"length":4096}`, `"accepts_imported":{"length":4096}`},
		{`{"prefix":"` + strings.Repeat("~", 64) + `","length":64}`, `"accepts_imported":{"prefix":"` + strings.Repeat("~", 64) + `","length":64}`},
		{`false`, ``},
		{`null`, ``},
	} {
		for _, a := range []answer{w.put("app", `{"type":"public","accepts_imported":`+tt.accepts+`}`), w.get("/v1/clients/app"), w.get("/v1/clients")} {
			if a.status != http.StatusOK || !strings.Contains(a.body, tt.shown) || tt.shown == "" && strings.Contains(a.body, "accepts_imported") {
				t.Errorf("%s: %v", tt.accepts, a)
			}
		}
	}
	for _, tt := range []struct{ accepts, field, says string }{
		{`1`, "accepts_imported", "true, false, or an object"},
		{`"true"`, "accepts_imported", "true, false, or an object"},
		{`[]`, "accepts_imported", "true, false, or an object"},
		{`{"suffix":"x"}`, "accepts_imported.suffix", "no such member"},
		{`{"prefix":1}`, "accepts_imported.prefix", "string"},
		{`{"length":"x"}`, "accepts_imported.length", "whole number"},
		{`{"length":0}`, "accepts_imported.length", "1 to 4096"},
		{`{"length":4097}`, "accepts_imported.length", "1 to 4096"},
		{`{"prefix":"v1.","length":2}`, "accepts_imported.length", "3 to 4096"},
		{`{"prefix":"` + strings.Repeat("~", 65) + `"}`, "accepts_imported.prefix", "64"},
		{`{"prefix":"a b"}`, "accepts_imported.prefix", "visible ASCII"},
		{`{"prefix":"é"}`, "accepts_imported.prefix", "visible ASCII"},
		{`{"prefix":"rotor_A"}`, "accepts_imported.prefix", "rotor_"},
	} {
		a := w.put("app", `{"type":"public","accepts_imported":`+tt.accepts+`}`)
		if a.names(t, tt.field, tt.says); strings.Count(a.body, `"field"`) != 1 {
			t.Errorf("%s: it is wrong once: %v", tt.accepts, a)
		}
	}
}

// TestImportFaults breaks each storage call of an import. It is answered 200 or 503, and can be
// repeated until each token has one family.
func TestImportFaults(t *testing.T) {
	for name, fault := range everyFault() {
		for _, once := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " once ", once), func(t *testing.T) {
				t.Parallel()
				for call := 1; ; call++ {
					w := newWorld(t)
					w.acceptImported("true")
					w.store.Counted()
					w.breakCall(call, fault, once)
					rows := []map[string]any{importRow("u", foreignToken(1)), importRow("u", foreignToken(2)), importRow("v", foreignToken(3))}
					a := w.send(http.MethodPost, "/v1/imports", jsonType, importBody(rows...))
					reached := len(w.store.Counted()) >= call
					w.store.Break(nil)
					if !reached {
						if call < 9 {
							t.Errorf("%d calls were broken", call-1)
						}
						break
					}
					if a.status != http.StatusOK && !a.unavailableProblem() || once && a.status != http.StatusOK {
						t.Fatalf("call %d: %v %v", call, a, w.lines("unavailable"))
					}
					for n, i := range w.importTokens(rows...) {
						f, err := w.table.Family(t.Context(), w.record(i.Family).ID)
						if err != nil || f.Counter != 0 || a.status == http.StatusOK && i.Result != "already" {
							t.Errorf("call %d: row %d is %v", call, n, i)
						}
					}
					if families := len(w.kept().Families); families != 2 || w.active() < 2 {
						t.Errorf("call %d: u has %d families, counted as %d", call, families, w.active())
					}
					w.later(w.rotate(foreignToken(1)))
				}
			})
		}
	}
}

// TestImportedFaults breaks each storage call of the first use of an imported token. The caller
// gets tokens or a 503, and then tokens.
func TestImportedFaults(t *testing.T) {
	for name, fault := range everyFault() {
		for _, once := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " once ", once), func(t *testing.T) {
				t.Parallel()
				for call := 1; ; call++ {
					w := newWorld(t)
					w.acceptImported("true")
					token := foreignToken(1)
					id := w.importToken("u", token)
					w.restart(0)
					w.store.Counted()
					w.breakCall(call, fault, once)
					a := w.refresh(token)
					reached := len(w.store.Counted()) >= call
					w.store.Break(nil)
					if !reached {
						if call < 4 { // the client, the token and the family
							t.Errorf("%d calls were broken", call-1)
						}
						break
					}
					if a.status != http.StatusOK && !a.unavailable() || once && a.status != http.StatusOK {
						t.Fatalf("call %d: %v", call, a)
					}
					next := w.rotate(token)
					if a.status == http.StatusOK && a.text("refresh_token") != next || w.counter(id) != 1 {
						t.Errorf("call %d: it got another token, and the family has %d", call, w.counter(id))
					}
					w.later(next)
					if n := len(w.logged("fertft")) + len(w.logged("ferrt")); n != 0 {
						t.Errorf("call %d: %d refusals", call, n)
					}
				}
			})
		}
	}
}
