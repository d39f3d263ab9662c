package server_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/token"
)

// useAs refreshes with the token as that user agent.
func (w *world) useAs(agent, refreshToken string, more ...string) answer {
	w.t.Helper()
	return w.send(http.MethodPost, "/oauth/token", formType, refreshForm(refreshToken, more...), "User-Agent", agent)
}

// last returns the newest line of a type without the members that are random, and the id that
// it had.
func (w *world) last(eventType string) (line map[string]any, id string) {
	w.t.Helper()
	lines := w.logged(eventType)
	if len(lines) == 0 {
		w.t.Fatalf("no %s", eventType)
	}
	line = lines[len(lines)-1]
	id, _ = line["eventId"].(string)
	if request, _ := line["http_request_id"].(string); request == "" || id == "" || line["time"] == nil {
		w.t.Errorf("a line without its ids: %v", line)
	}
	for _, name := range []string{"eventId", "http_request_id", "time", "_aws", "msg"} {
		delete(line, name)
	}
	return line, id
}

// TestLinesOfUses checks every member of each line of the public endpoints. Support needs
// them, and needs them to be right, on the day on which users are logged out. Each line has
// its metrics, too.
func TestLinesOfUses(t *testing.T) {
	w := newWorld(t, metrics())
	w.putClient("lossy", `{"type":"public","policy":{"lost_response":"until_used"}}`)
	w.putClient("other", `{"type":"public"}`)
	base := func(typ, id, client string, more map[string]any) map[string]any {
		line := map[string]any{
			"level": "INFO", "type": typ, "userId": "u", "clientId": client, "client": client, "familyId": id, "ip": "127.0.0.1", "userAgent": "first/1",
		}
		maps.Copy(line, more)
		for name, v := range more {
			if v == nil {
				delete(line, name)
			}
		}
		return line
	}
	check := func(what, typ string, want map[string]any) (id string) {
		t.Helper()
		got, id := w.last(typ)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		return id
	}
	stored := map[string]map[string]any{} // by event id

	first, id := w.login()
	second := w.useAs("first/1", first).text("refresh_token")
	check("exchanged", "sertft", base("sertft", id, "app", map[string]any{"tokenCounter": 1.0, "latestCounter": 2.0, "Exchanged": 1.0}))
	w.clock.Advance(7 * time.Second)
	w.useAs("second/2", second)
	check("held", "sertft", base("sertft", id, "app", map[string]any{
		"tokenCounter": 2.0, "latestCounter": 2.0, "userAgent": "second/2", "held": true, "ageMs": 7000.0, "otherUserAgent": true, "Exchanged": 1.0,
	}))
	w.useAs("first/1", first)
	check("superseded", "sertft", base("sertft", id, "app", map[string]any{
		"tokenCounter": 1.0, "latestCounter": 2.0, "reused": true, "ageMs": 7000.0, "Exchanged": 1.0, "Reused": 1.0, "ReuseAge": 7000.0,
	}))
	w.clock.Advance(time.Minute)
	w.useAs("second/2", first)
	reuse := base("ferrt", id, "app", map[string]any{
		"level": "WARN", "cause": "reuse_detected", "tokenCounter": 1.0, "latestCounter": 2.0, "userAgent": "second/2", "ageMs": 67000.0, "otherUserAgent": true,
		"ReuseDetected": 1.0, "ReuseAge": 67000.0,
	})
	stored[check("reuse", "ferrt", reuse)] = reuse
	w.useAs("first/1", second)
	check("dead", "fertft", base("fertft", id, "app", map[string]any{
		"cause": "reuse_detected", "metric_cause": "reuse_detected", "tokenCounter": 2.0, "latestCounter": 2.0, "Refused": 1.0,
	}))

	w.useAs("first/1", "x")
	check("malformed", "fertft", base("fertft", "", "app", map[string]any{
		"cause": "malformed", "metric_cause": "malformed", "userId": nil, "familyId": nil, "Refused": 1.0,
	}))
	w.useAs("first/1", forge(second))
	check("forged", "fertft", base("fertft", "", "app", map[string]any{
		"cause": "never_issued", "metric_cause": "never_issued", "userId": nil, "familyId": nil, "Refused": 1.0,
	}))
	w.useAs("first/1", second, "client_id", "other")
	check("another client's", "fertft", base("fertft", id, "other", map[string]any{
		"cause": "wrong_client", "metric_cause": "wrong_client", "tokenCounter": 2.0, "latestCounter": 2.0, "Refused": 1.0,
	}))
	gone, _ := w.content(second)
	gone[20] ^= 1 // such a family has no record
	w.useAs("first/1", w.keys.Codec.Mint(token.Token{Family: gone, Counter: 3}, w.clock.Now()).Reveal())
	check("purged", "fertft", base("fertft", gone.String(), "app", map[string]any{
		"cause": "purged", "metric_cause": "purged", "userId": nil, "tokenCounter": 3.0, "Refused": 1.0,
	}))

	lost := w.issue(`{"user_id":"u","client_id":"lossy"}`)
	w.useAs("first/1", lost.text("refresh_token"), "client_id", "lossy")
	w.clock.Advance(time.Hour)
	w.useAs("first/1", lost.text("refresh_token"), "client_id", "lossy")
	check("a lost response", "sertft", base("sertft", lost.text("family"), "lossy", map[string]any{
		"tokenCounter": 1.0, "latestCounter": 3.0, "lostResponse": true, "ageMs": 3_600_000.0, "Exchanged": 1.0,
	}))

	_, id = w.login()
	w.useAs("first/1", w.mint(id, 7))
	ahead := base("ahead", id, "app", map[string]any{"level": "WARN", "tokenCounter": 7.0, "latestCounter": 1.0, "Ahead": 1.0})
	stored[check("ahead", "ahead", ahead)] = ahead

	for _, kind := range []string{"refresh_token", "access_token"} {
		issued := w.issue(`{"user_id":"u","client_id":"app"}`)
		w.send(http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", issued.text(kind)), "User-Agent", "first/1")
		more := map[string]any{"cause": "revoked_by_client", "latestCounter": 1.0, "Revoked": 1.0}
		if kind == "refresh_token" {
			more["tokenCounter"] = 1.0
		}
		revoked := base("srrt", issued.text("family"), "app", more)
		stored[check("revoked by "+kind, "srrt", revoked)] = revoked
	}

	// A stored event has the same members as its line.
	events := w.events("user_id=u")
	if len(events) != len(stored) {
		t.Errorf("%d events are stored, and not %d", len(events), len(stored))
	}
	for _, e := range events {
		id, _ := e["eventId"].(string)
		if at, _ := e["at"].(string); at == "" || e["http_request_id"] == nil {
			t.Errorf("stored is %v", e)
		}
		for _, name := range []string{"eventId", "http_request_id", "at"} {
			delete(e, name)
		}
		line := maps.Clone(stored[id])
		for name := range line {
			if name == "level" || name == "client" || slices.Contains([]string{"ReuseDetected", "ReuseAge", "Ahead", "Revoked"}, name) {
				delete(line, name)
			}
		}
		if diff := cmp.Diff(line, e); diff != "" {
			t.Errorf("an event of type %v (-line +stored):\n%s", e["type"], diff)
		}
	}
}

// TestUserAgentThatIsNoText checks that bytes of a user agent which are not UTF-8 appear as a
// question mark in the line and in the record.
func TestUserAgentThatIsNoText(t *testing.T) {
	w := newWorld(t)
	tok, id := w.login()
	if a := w.useAs("b\xfccher/1", tok); a.status != http.StatusOK {
		t.Fatal(a)
	}
	if line, _ := w.last(string(audit.Exchanged)); line["userAgent"] != "b?cher/1" || w.family(id).text("last_user_agent") != "b?cher/1" {
		t.Errorf("logged is %v, and the record has %q", line, w.family(id).text("last_user_agent"))
	}
}
