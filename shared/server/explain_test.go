package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/sweep"
)

// explain asks about a refresh_token or a family, with more members in pairs.
func (w *world) explain(members ...string) answer {
	w.t.Helper()
	m := map[string]string{}
	for i := 0; i+1 < len(members); i += 2 {
		m[members[i]] = members[i+1]
	}
	b, err := json.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	a := w.send(http.MethodPost, "/v1/explain", jsonType, string(b))
	if a.status != http.StatusOK || a.text("summary") == "" || a.text("advice") == "" {
		w.t.Fatalf("explain: %v", a)
	}
	return a
}

// says checks the verdict and the cause of an explanation, and that its texts contain all
// parts.
func (a answer) says(t testing.TB, verdict, cause string, parts ...string) {
	t.Helper()
	if a.text("verdict") != verdict || a.text("cause") != cause {
		t.Errorf("%s, %q, not %s, %q: %v", a.text("verdict"), a.text("cause"), verdict, cause, a)
	}
	for _, part := range parts {
		if !strings.Contains(a.text("summary")+" "+a.text("advice"), part) {
			t.Errorf("nothing of %q in: %s %s", part, a.text("summary"), a.text("advice"))
		}
	}
}

func (w *world) sweep() sweep.Result {
	w.t.Helper()
	table := w.store.Table()
	s := &sweep.Sweeper{Table: table, Clients: w.freshClients(table), Trail: audit.Trail{Log: w.logger()}}
	r, err := s.Sweep(w.t.Context(), w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func TestExplainValid(t *testing.T) {
	w := newWorld(t)
	first, id := w.login()
	w.explain("refresh_token", first).says(t, "valid", "", "token 1", "newest")
	w.clock.Advance(time.Hour)
	second := w.rotate(first)
	w.explain("refresh_token", second).says(t, "valid", "", "token 2")
	w.explain("family", id).says(t, "valid", "", "token 2")

	// Fifth story: a reuse inside the interval is harmless.
	w.clock.Advance(20 * time.Second)
	w.rotate(first)
	a := w.explain("refresh_token", first)
	a.says(t, "valid_in_reuse_interval", "", "token 1", "20 s ago", "1 min", "harmless")
	if f, ok := a.json["family"].(map[string]any); !ok || f["family"] != id || a.number("token_counter") != 1 || len(a.json["timeline"].([]any)) < 2 {
		t.Errorf("the answer is %v", a)
	}
	// After the interval, the explanation tells what presenting the token would do, and asking
	// changes nothing.
	w.clock.Advance(time.Minute)
	w.explain("refresh_token", first).says(t, "dead", "superseded", "1 min 20 s", "would revoke")
	w.rotate(second)
}

func TestExplainOneRead(t *testing.T) {
	w := newWorld(t)
	first, _ := w.login()
	w.explain("refresh_token", first)
	w.store.Counted()
	w.explain("refresh_token", first)
	if calls := w.store.Counted(); len(calls) != 2 || calls[0] != "GetItem" || calls[1] != "Query" {
		t.Errorf("the store was asked %v", calls) // the family and, for the timeline, its events
	}
}

// TestExplainCauses checks that each cause is explained after real requests reached it, both
// for a token and for its family.
func TestExplainCauses(t *testing.T) {
	both := func(w *world, tok, id, cause string, parts ...string) {
		w.t.Helper()
		w.explain("refresh_token", tok).says(w.t, "dead", cause, parts...)
		w.explain("family", id).says(w.t, "dead", cause, parts...)
	}
	t.Run("malformed", func(t *testing.T) {
		w := newWorld(t)
		first, id := w.login()
		w.dead(first[1:], family.Malformed)
		w.explain("refresh_token", first[1:]).says(t, "dead", "malformed", "83 bytes")
		w.explain("family", id[1:]).says(t, "dead", "malformed", "43 characters")
	})
	t.Run("never_issued", func(t *testing.T) {
		w := newWorld(t)
		first, _ := w.login()
		w.dead(forge(first), family.NeverIssued)
		w.explain("refresh_token", forge(first)).says(t, "dead", "never_issued", "never issued")
	})
	t.Run("purged", func(t *testing.T) {
		w := newWorld(t)
		issued := w.clock.Now()
		first, id := w.login()
		w.clock.Advance(59 * day)
		w.purge()
		both(w, first, id, "expired_idle") // throughout its retention
		w.clock.Advance(2 * day)
		w.purge()
		w.dead(first, family.Purged)
		w.explain("refresh_token", first).says(t, "dead", "purged", "We issued this on "+issued.Format(time.DateTime), "record is gone")
		w.explain("family", id).says(t, "dead", "purged", issued.Format(time.DateTime))
		w.explain("refresh_token", forge(first)).says(t, "dead", "never_issued")
	})
	t.Run("wrong_client", func(t *testing.T) {
		w := newWorld(t)
		first, id := w.login()
		w.putClient("other", `{"type":"public"}`)
		w.dead(first, family.WrongClient, "client_id", "other")
		w.explain("refresh_token", first, "client_id", "other").says(t, "dead", "wrong_client", "client app", "other presented")
		w.explain("family", id, "client_id", "other").says(t, "dead", "wrong_client")
		w.explain("refresh_token", first).says(t, "valid", "")
	})
	t.Run("expired_absolute", func(t *testing.T) {
		// Story (a): the family ends 90 days after its login, however often it was refreshed.
		w := newWorld(t)
		w.putClient("app", `{"type":"public","policy":{"absolute_lifetime":7776000}}`)
		login := w.clock.Now()
		tok, id := w.login()
		for range 9 {
			w.clock.Advance(10*day - time.Second)
			tok = w.rotate(tok)
		}
		w.clock.Advance(9 * time.Second)
		w.dead(tok, family.ExpiredAbsolute)
		both(w, tok, id, "expired_absolute", login.Format(time.DateTime), "90 d", login.Add(90*day).Format(time.DateTime), "does not extend", "absolute_lifetime")
	})
	t.Run("expired_idle", func(t *testing.T) {
		w := newWorld(t)
		first, id := w.login()
		w.clock.Advance(15 * day)
		w.dead(first, family.ExpiredIdle)
		both(w, first, id, "expired_idle", "15 d", "idle_lifetime")
	})
	t.Run("reuse_detected", func(t *testing.T) {
		// Story (b): the login's token is presented when the 9th is the newest.
		w := newWorld(t)
		first, id := w.login()
		tok := first
		for range 8 {
			w.clock.Advance(time.Hour)
			tok = w.rotate(tok)
		}
		w.refresh(first)
		w.dead(tok, family.ReuseDetected)
		both(w, tok, id, "reuse_detected", "token 1", "newest was 9", "outside the code that rotates")
		w.explain("refresh_token", first).says(t, "dead", "reuse_detected", "outside the code that rotates")
	})
	t.Run("reuse_detected a little after the interval", func(t *testing.T) {
		// Story (d): the explanation names the interval that would have kept the family.
		w := newWorld(t)
		first, _ := w.login()
		second := w.rotate(first)
		third := w.later(second)
		w.clock.Advance(75 * time.Second)
		w.explain("refresh_token", second).says(t, "dead", "superseded", "reuse_interval of 76")
		w.refresh(second)
		w.explain("refresh_token", third).says(t, "dead", "reuse_detected", "1 min 15 s", "lost", "reuse_interval of 76 seconds would have covered this (it is 60)")

		// The same reuse with that interval does keep it.
		w.putClient("app", `{"type":"public","policy":{"reuse_interval":76}}`)
		first, _ = w.login()
		second = w.rotate(first)
		w.clock.Advance(76 * time.Second)
		third = w.rotate(second)
		w.clock.Advance(75 * time.Second)
		if got := w.rotate(second); got != third {
			t.Error("did not get the newest token")
		}
	})
	t.Run("limit_exceeded", func(t *testing.T) {
		// Story (c): the user had more families than the client allows.
		w := newWorld(t)
		w.putClient("app", `{"type":"public","policy":{"max_active":2}}`)
		first, id := w.login()
		w.clock.Advance(time.Second)
		w.login()
		w.clock.Advance(time.Second)
		w.login()
		if r := w.sweep(); r.Removed != 1 {
			t.Fatalf("swept %+v", r)
		}
		w.dead(first, family.LimitExceeded)
		both(w, first, id, "limit_exceeded", "had 3 active families in client app", "max_active", "(2)", "one of the least recently used")
		if f, e := w.family(id), w.events("type=resource_cleanup"); f.text("evict") != "least_recently_used" || e[0]["evict"] != "least_recently_used" {
			t.Errorf("the family is %v, the event %v", f, e)
		}
		timeline := w.family(id).json["timeline"].([]any)
		last := timeline[len(timeline)-1].(map[string]any)
		events := w.events("type=resource_cleanup")
		if len(events) != 1 || last["event_id"] != events[0]["eventId"] || events[0]["families"].([]any)[0] != id {
			t.Errorf("the last moment is %v, the events %v", last, events)
		}
	})
	t.Run("limit_exceeded, the oldest", func(t *testing.T) {
		w := newWorld(t)
		w.putClient("app", `{"type":"public","policy":{"max_active":2,"evict":"oldest"}}`)
		first, id := w.login()
		w.clock.Advance(time.Second)
		w.login()
		w.clock.Advance(time.Second)
		w.login()
		w.clock.Advance(time.Minute)
		first = w.rotate(first) // in use until the sweep
		if r := w.sweep(); r.Removed != 1 {
			t.Fatalf("swept %+v", r)
		}
		w.dead(first, family.LimitExceeded)
		both(w, first, id, "limit_exceeded", "had 3 active families in client app", "(2)", "one of the oldest")
		if f, e := w.family(id), w.events("type=resource_cleanup"); f.text("evict") != "oldest" || e[0]["evict"] != "oldest" {
			t.Errorf("the family is %v, the event %v", f, e)
		}
	})
	t.Run("revoked_by_client", func(t *testing.T) {
		w := newWorld(t)
		first, id := w.login()
		w.send(http.MethodPost, "/oauth/revoke", formType, "client_id=app&token="+first)
		w.dead(first, family.RevokedByClient)
		both(w, first, id, "revoked_by_client", "application revoked it")
	})
	t.Run("revoked_by_admin", func(t *testing.T) {
		w := newWorld(t)
		first, id := w.login()
		w.send(http.MethodDelete, "/v1/families/"+id, "", "")
		w.dead(first, family.RevokedByAdmin)
		both(w, first, id, "revoked_by_admin", "management API")
	})
	t.Run("password_changed", func(t *testing.T) {
		w := newWorld(t)
		first, id := w.login()
		w.bulk("user_id", "u", "cause", "password_changed")
		w.dead(first, family.PasswordChanged)
		both(w, first, id, "password_changed", "password was changed")
	})
	t.Run("client_not_before", func(t *testing.T) {
		w := newWorld(t)
		first, id := w.login()
		w.clock.Advance(time.Second)
		w.putClient("app", `{"type":"public","not_before":"`+w.clock.Now().Format(time.RFC3339)+`"}`)
		w.dead(first, family.ClientNotBefore)
		both(w, first, id, "client_not_before", "not_before", "all users")
	})
	t.Run("held", func(t *testing.T) {
		w := newWorld(t)
		first, _ := w.login()
		second := w.rotate(first)
		w.clock.Advance(59 * time.Second)
		w.explain("refresh_token", second).says(t, "valid", "", "token 2", "made 59 s ago", "held", "interval of 1 min")
		w.clock.Advance(time.Second)
		w.explain("refresh_token", second).says(t, "valid", "", "last used 1 min ago")
	})
	t.Run("superseded twice inside one interval's length", func(t *testing.T) {
		w := newWorld(t)
		first, _ := w.login()
		second := w.rotate(first)
		w.later(second)
		w.explain("refresh_token", first).says(t, "dead", "superseded", "before the last rotation, which was 0 ms ago", "newest is 3")
		w.clock.Advance(5 * time.Second)
		if a := w.refresh(first); a.status != http.StatusBadRequest {
			t.Fatal(a)
		}
		w.explain("refresh_token", second).says(t, "dead", "reuse_detected",
			"token 1 was presented again, which had been superseded before the last rotation, 5 s earlier", "newest was 3")
	})
	t.Run("newer than the record", func(t *testing.T) {
		w := newWorld(t)
		_, id := w.login()
		w.explain("refresh_token", w.mint(id, 7)).says(t, "valid", "", "backup")
	})
	t.Run("lost response", func(t *testing.T) {
		w := newWorld(t)
		w.putClient("app", `{"type":"public","policy":{"lost_response":"until_used"}}`)
		first, _ := w.login()
		w.rotate(first)
		w.clock.Advance(time.Hour)
		w.explain("refresh_token", first).says(t, "valid", "", "never used", "lost response")
		w.rotate(first)
	})
	t.Run("client deleted", func(t *testing.T) {
		w := newWorld(t)
		first, _ := w.login()
		w.send(http.MethodDelete, "/v1/clients/app", "", "")
		w.explain("refresh_token", first).says(t, "dead", "", "not registered")
	})
}

func (w *world) purge() {
	w.t.Helper()
	if _, err := w.table.Purge(w.t.Context(), w.clock.Now()); err != nil {
		w.t.Fatal(err)
	}
}

func TestExplainRefuses(t *testing.T) {
	w := newWorld(t)
	first, id := w.login()
	for body, field := range map[string]string{
		`{}`: "refresh_token",
		`{"refresh_token":"` + first + `","family":"` + id + `"}`: "refresh_token",
		`{"refresh_token":7}`:                       "refresh_token",
		`{"token":"x","family":"x"}`:                "token",
		`{"family":"` + id + `","client_id":"a b"}`: "client_id",
	} {
		w.send(http.MethodPost, "/v1/explain", jsonType, body).names(t, field)
	}
	w.send(http.MethodPost, "/v1/explain?x=y", jsonType, `{"family":"`+id+`"}`).names(t, "x")
}

// TestRecommendation checks that the recommended interval would have kept nineteen of twenty
// lost responses among the reuses that a client saw.
func TestRecommendation(t *testing.T) {
	w := newWorld(t)
	if a := w.send(http.MethodGet, "/v1/clients/app", "", ""); a.json["recommendation"] != nil {
		t.Errorf("without reuse: %v", a)
	}
	reuse := func(after time.Duration) (newest string) {
		first, _ := w.login()
		newest = w.rotate(first)
		w.clock.Advance(after)
		if a := w.refresh(first); !a.refused(http.StatusBadRequest) {
			t.Fatalf("not reuse: %v", a)
		}
		return newest
	}
	for range 4 {
		reuse(80 * time.Second)
	}
	newest := reuse(5 * time.Hour) // is too late to be a lost response
	w.putClient("other", `{"type":"public"}`)
	for what, a := range map[string]answer{
		"client":  w.send(http.MethodGet, "/v1/clients/app", "", ""),
		"explain": w.explain("refresh_token", newest),
	} {
		r, _ := a.json["recommendation"].(map[string]any)
		if r["reuse_interval"] != 120.0 || r["present_interval"] != 60.0 || r["would_have_kept"] != 4.0 || r["of"] != 5.0 || r["days"] != 30.0 {
			t.Errorf("%s recommends %v", what, r)
		}
	}
	if a := w.send(http.MethodGet, "/v1/clients/other", "", ""); a.json["recommendation"] != nil {
		t.Errorf("another client's reuse counted: %v", a)
	}
	w.clock.Advance(31 * day)
	if a := w.send(http.MethodGet, "/v1/clients/app", "", ""); a.json["recommendation"] != nil {
		t.Errorf("after 31 days: %v", a)
	}
}

// TestExplainWhatIsPasted checks what support may have at hand: a valid or expired access
// token, its sid, or a token where a family is expected. Each gets the explanation of its
// family, or is told which call answers.
func TestExplainWhatIsPasted(t *testing.T) {
	w := newWorld(t)
	issued := w.issue(`{"user_id":"u","client_id":"app","scope":"read"}`)
	access, first, id := issued.text("access_token"), issued.text("refresh_token"), issued.text("family")
	familyID, err := family.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	sid := familyID.ULID().String()
	ofFamily := func(a answer) answer {
		t.Helper()
		if f, ok := a.json["family"].(map[string]any); !ok || f["family"] != id {
			t.Errorf("not of the family: %v", a)
		}
		return a
	}
	for _, member := range []string{"access_token", "refresh_token", "family", "sid"} {
		ofFamily(w.explain(member, access)).says(t, "valid", "", "access token", "expires on", "token 1")
		ofFamily(w.explain(member, " "+first+"\n")).says(t, "valid", "", "token 1")
		ofFamily(w.explain(member, id)).says(t, "valid", "", "token 1")
		w.explain(member, sid).says(t, "dead", "malformed", "form of a sid", "user_id")
	}
	ofFamily(w.explain("sid", sid, "user_id", "u")).says(t, "valid", "", "token 1")
	w.explain("sid", sid, "user_id", "somebody").says(t, "dead", "purged", "no record", "sub of the access token")
	ofFamily(w.explain("access_token", access, "client_id", "web")).says(t, "dead", "wrong_client")

	w.clock.Advance(time.Hour)
	ofFamily(w.explain("access_token", access)).says(t, "valid", "", "it expired on")
	w.send(http.MethodDelete, "/v1/families/"+id, "", "")
	ofFamily(w.explain("access_token", access)).says(t, "dead", "revoked_by_admin", "it expired on")

	header, rest, _ := strings.Cut(access, ".")
	w.explain("access_token", header+"."+strings.ToUpper(rest[:4])+rest[4:]).says(t, "dead", "never_issued", "JWT", "sid", "user_id")
	w.explain("access_token", "x").says(t, "dead", "malformed", "1 bytes")
}

// TestExplainPoints checks that a question which cannot be explained is refused with the name
// of the call that answers it.
func TestExplainPoints(t *testing.T) {
	w := newWorld(t)
	first, id := w.login()
	for body, part := range map[string]string{
		`{"user_id":"u"}`: "GET /v1/families?user_id=",
		`{"user_id":"u","refresh_token":"` + first + `"}`:          "say whose they are",
		`{"access_token":"a.b.c","family":"` + id + `"}`:           "not two of them",
		`{"sid":"01Q3G9AD6EZQWNTVCJPNXVG2EE","user_id":"\u0000"}`:  "control characters",
		`{"sid":"x","user_id":"` + strings.Repeat("u", 129) + `"}`: "at most 128 bytes",
	} {
		a := w.send(http.MethodPost, "/v1/explain", jsonType, body)
		if a.status != http.StatusBadRequest || !strings.Contains(a.body, part) {
			t.Errorf("%s got %v", body, a)
		}
	}
}

// TestNoRecommendationOfWhatIsSet checks that an interval is recommended only if it is longer
// than the present one.
func TestNoRecommendationOfWhatIsSet(t *testing.T) {
	w := newWorld(t)
	first, _ := w.login()
	second := w.rotate(first)
	third := w.later(second)
	w.later(third)
	w.refresh(first) // two holders: no interval would have kept the family
	if len(w.logged("ferrt")) != 1 {
		t.Fatal("no reuse")
	}
	if a := w.send(http.MethodGet, "/v1/clients/app", "", ""); a.status != http.StatusOK || a.json["recommendation"] != nil {
		t.Errorf("got %v", a)
	}
}

// TestSkippedTokensRecommendNothing checks that reuses of a skipped token recommend no
// interval. Such a token has two holders, so no interval would have kept its family.
func TestSkippedTokensRecommendNothing(t *testing.T) {
	w := newWorld(t)
	w.putClient("app", `{"type":"public","policy":{"lost_response":"until_used"}}`)
	recommended := func() any {
		return w.send(http.MethodGet, "/v1/clients/app", "", "").json["recommendation"]
	}
	for range 3 {
		first, _ := w.login()
		second := w.rotate(first)
		w.clock.Advance(10 * time.Minute)
		w.refresh(first)  // the response was lost, so its successor is skipped
		w.refresh(second) // somebody has the skipped token
	}
	if n := len(w.logged("ferrt")); n != 3 || recommended() != nil {
		t.Fatalf("of %d skipped tokens %v is recommended", n, recommended())
	}
	first, _ := w.login()
	w.refresh(w.rotate(first)) // its successor is in use
	w.clock.Advance(100 * time.Second)
	w.refresh(first)
	if got, _ := recommended().(map[string]any); got["would_have_kept"] != 1.0 || got["of"] != 4.0 {
		t.Errorf("recommended is %v", got)
	}
}

// TestExplainUnwrapsWhatIsPasted checks that quotes, line breaks and the name of a header
// around a pasted token are ignored.
func TestExplainUnwrapsWhatIsPasted(t *testing.T) {
	w := newWorld(t)
	issued := w.issue(`{"user_id":"u","client_id":"app"}`)
	id, access, refresh := issued.text("family"), issued.text("access_token"), issued.text("refresh_token")
	for _, pasted := range []string{
		`"` + refresh + `"`, "'" + refresh + "',", refresh[:40] + "\n  " + refresh[40:], "Bearer " + access, "authorization: bearer " + access,
		`"` + access + `"`, access[:100] + "\r\n" + access[100:], ` "` + id + `"; `, "Bearer " + refresh,
	} {
		body, err := json.Marshal(map[string]string{"refresh_token": pasted})
		if err != nil {
			t.Fatal(err)
		}
		a := w.send(http.MethodPost, "/v1/explain", jsonType, string(body))
		f, _ := a.json["family"].(map[string]any)
		if a.status != http.StatusOK || f["family"] != id {
			t.Errorf("%q: %v", pasted, a)
		}
	}
}
