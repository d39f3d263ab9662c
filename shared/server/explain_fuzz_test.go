package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/shared/family"
)

// causes lists every cause that an explanation may name.
var causes = []family.Cause{
	family.Malformed, family.NeverIssued, family.Purged, family.WrongClient, family.ExpiredAbsolute, family.ExpiredIdle,
	family.ReuseDetected, family.LimitExceeded, family.RevokedByClient, family.RevokedByAdmin, family.PasswordChanged,
	family.ClientNotBefore, family.CounterSpent, family.Superseded,
}

// FuzzExplain checks that any question gets an explanation or a clear refusal, that a family
// is shown only if it was named, and that asking changes nothing. In the body TOKEN and FAMILY
// stand for a live family, ACCESS for its access token, SID for its sid, FIRST for a
// superseded token of it, and FORGED for a token with another tag. DEAD and DEADFAMILY stand
// for a revoked family.
func FuzzExplain(f *testing.F) {
	q := newQuiet(f)
	q.must(f, http.MethodPut, "/v1/clients/app", `{"type":"public"}`)
	live, deadFamily := q.issue(f, `{"user_id":"u","client_id":"app"}`), q.issue(f, `{"user_id":"u","client_id":"app"}`)
	q.must(f, http.MethodDelete, "/v1/families/"+deadFamily.family, "")
	newest, _ := q.must(f, http.MethodPost, "/oauth/token", object("grant_type", "refresh_token", "client_id", "app", "refresh_token", live.refresh))["refresh_token"].(string)
	q.secrets = append(q.secrets, newest)
	fill := strings.NewReplacer("TOKEN", newest, "FIRST", live.refresh, "DEADFAMILY", deadFamily.family, "DEAD", deadFamily.refresh, "FAMILY", live.family, "FORGED", forge(newest), "ACCESS", live.access, "SID", sidOf(f, live.family))
	before := q.serve(http.MethodGet, "/v1/families/"+live.family, "", "", "").Body.String()

	for _, body := range []string{
		`{"refresh_token":"TOKEN"}`, `{"refresh_token":"FIRST"}`, `{"refresh_token":"DEAD"}`, `{"refresh_token":"FORGED"}`, `{"refresh_token":"rotor_"}`,
		`{"family":"FAMILY"}`, `{"family":"DEADFAMILY"}`, `{"family":"x"}`, `{"family":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
		`{"refresh_token":"TOKEN","client_id":"app"}`, `{"refresh_token":"TOKEN","client_id":"web"}`, `{"family":"FAMILY","client_id":"web"}`,
		`{"refresh_token":"TOKEN","family":"FAMILY"}`, `{"refresh_token":null,"family":"FAMILY"}`, `{"refresh_token":["TOKEN"]}`,
		`{"access_token":"ACCESS"}`, `{"refresh_token":"ACCESS"}`, `{"sid":"SID"}`, `{"sid":"SID","user_id":"u"}`, `{"sid":"SID","user_id":"v"}`, `{"user_id":"u"}`,
		`{"refresh_token":"TOKEN\n"}`, `{"refresh_token":"\u0000"}`, `{"client_id":"a b"}`, `{}`, `[]`, `{"family":"FAMILY"`, ``,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		body = fill.Replace(body)
		a := q.ask(t, http.MethodPost, "/v1/explain", jsonType, "", body)
		if a.status != http.StatusOK {
			return
		}
		verdict, cause := family.State(a.text("verdict")), family.Cause(a.text("cause"))
		dead := verdict == family.DeadToken
		if !dead && verdict != family.Valid && verdict != family.ValidInReuseInterval || dead != slices.Contains(causes, cause) || !dead && cause != "" {
			t.Errorf("the verdict is %q for %q", verdict, cause)
		}
		if a.text("summary") == "" || a.text("advice") == "" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v", a)
		}
		for _, secret := range q.secrets {
			if strings.Contains(a.body, secret) {
				t.Errorf("a token is in the answer")
			}
		}
		if shown, _ := a.json["family"].(map[string]any); shown != nil {
			names := []string{newest, live.refresh, live.family, live.access, sidOf(t, live.family)}
			if shown["family"] == deadFamily.family {
				names = []string{deadFamily.refresh, deadFamily.family, deadFamily.access, sidOf(t, deadFamily.family)}
			}
			if !slices.ContainsFunc(names, func(name string) bool { return strings.Contains(body, name) }) {
				t.Errorf("a family that was not named: %v", a)
			}
		}
		if after := q.serve(http.MethodGet, "/v1/families/"+live.family, "", "", "").Body.String(); after != before {
			t.Errorf("by asking the family became %s", after)
		}
	})
}

// sidOf returns the sid of a family.
func sidOf(tb testing.TB, familyID string) string {
	tb.Helper()
	id, err := family.ParseID(familyID)
	if err != nil {
		tb.Fatal(err)
	}
	return id.ULID().String()
}
