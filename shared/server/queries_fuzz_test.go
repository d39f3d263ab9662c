package server_test

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzQuery checks that a query string is either understood completely or refused. A list
// shows only what was asked for, and a revocation ends only that. FAMILY stands for a family
// of "u" in "app".
func FuzzQuery(f *testing.F) {
	owners := []struct{ user, client string }{{"u", "app"}, {"u", "web"}, {"v", "app"}}
	var (
		q        *quiet
		families []string // an active family of each owner, who also has a revoked one
	)
	begin := func(tb testing.TB) {
		q, families = newQuiet(tb), nil
		q.must(tb, http.MethodPut, "/v1/clients/app", `{"type":"public"}`)
		q.must(tb, http.MethodPut, "/v1/clients/web", `{"type":"confidential"}`)
		for _, owner := range owners {
			login := object("user_id", owner.user, "client_id", owner.client)
			q.must(tb, http.MethodDelete, "/v1/families/"+q.issue(tb, login).family, "")
			families = append(families, q.issue(tb, login).family)
		}
	}
	begin(f)
	lists := []struct {
		method, path string
		parameters   []string
	}{
		{http.MethodGet, "/v1/families", []string{"user_id", "client_id", "status"}},
		{http.MethodDelete, "/v1/families", []string{"user_id", "client_id", "except", "cause", "dry_run"}},
		{http.MethodGet, "/v1/events", []string{"type", "user_id", "family", "from", "to"}},
		{http.MethodGet, "/v1/clients", nil},
		{http.MethodGet, "/v1/clients/app", nil},
		{http.MethodDelete, "/v1/users", []string{"user_id", "user_key", "dry_run"}},
	}
	for i := range lists {
		for _, query := range []string{
			"", "user_id=u", "user_id=u&client_id=", "user_id=u&client_id=app", "user_id=u&user_id=v", "user_id=u&x=1", "user_id=", "user_id=%ff", "user_id=%zz", "user_id=u;client_id=app",
			"user_id=" + strings.Repeat("u", 129), "user_id=u%00", "&&", "next=x",
		} {
			f.Add(uint8(i), query)
		}
	}
	for _, query := range []string{"user_id=u&status=active", "user_id=v&status=revoked", "user_id=u&status=Active", "user_id=u&client_id=a+b", "status=active"} {
		f.Add(uint8(0), query)
	}
	for _, query := range []string{"user_id=v&cause=password_changed", "user_id=u&dry_run=true", "user_id=u&dry_run=T&client_id=web", "user_id=u&dry_run=no", "user_id=u&cause=x", "dry_run=1", "user_id=w"} {
		f.Add(uint8(1), query)
	}
	for _, query := range []string{
		"type=srrt", "type=sertft", "family=FAMILY", "family=FAMILY&user_id=u", "family=FAMILY&user_id=v", "family=x", "type=ferrt&family=FAMILY",
		"type=srrt&from=2030-01-02T00:00:00Z&to=2030-01-03T00:00:00Z", "user_id=u&from=2030-01-03T00:00:00Z&to=2030-01-02T00:00:00Z",
		"user_id=u&from=2030-01-02T00:00:00.0001Z&to=2030-01-02T00:00:00.0002Z", "type=srrt&from=2030-01-02T01:00:00.0001Z&to=2030-01-02T01:00:00.0002Z",
		"type=srrt&from=2029-01-01T00:00:00Z&to=2030-06-01T00:00:00Z", "type=srrt&to=1970-01-01T00:00:00Z", "user_id=u&to=9999-12-31T23:59:59.999999999Z",
		"user_id=u&from=0001-01-01T00:00:00Z", "type=srrt&from=2030-01-02T03:04:05-23:59", "from=x",
	} {
		f.Add(uint8(2), query)
	}
	for _, query := range []string{"user_id=u&except=FAMILY", "user_id=v&except=FAMILY", "user_id=u&except=x", "user_id=u&except=", "user_id=u&except=FAMILY&client_id=web&dry_run=1"} {
		f.Add(uint8(1), query)
	}
	for _, query := range []string{"user_id=w&dry_run=true", "user_id=u&user_key=AAAAAAAAAAAAAAAAAAAAAA", "user_key=AAAAAAAAAAAAAAAAAAAAAA", "user_key=AAAAAAAAAAAAAAAAAAAAAB", "user_id=u&except=FAMILY", "user_key=%0AAAAAAAAAAAAAAAAAAAAAAA"} {
		f.Add(uint8(5), query)
	}
	f.Fuzz(func(t *testing.T, list uint8, query string) {
		l := lists[int(list)%len(lists)]
		query = strings.ReplaceAll(query, "FAMILY", families[0])
		a := q.ask(t, l.method, l.path+"?"+query, "", "", "")
		asked, err := url.ParseQuery(query)
		understood := err == nil
		for name, values := range asked {
			if !slices.Contains(l.parameters, name) || len(values) > 1 || values[0] == "" || !utf8.ValidString(values[0]) {
				understood = false
			}
		}
		unfit := a.status == http.StatusUnprocessableEntity && understood && asked.Has("except")
		if a.status != http.StatusOK && a.status != http.StatusBadRequest && !unfit || a.status == http.StatusOK && !understood {
			t.Errorf("%s %s?%s is answered %.300v", l.method, l.path, query, a)
		}
		done := a.status == http.StatusOK
		dryRun, _ := strconv.ParseBool(asked.Get("dry_run"))
		for i, owner := range owners {
			if l.method != http.MethodDelete {
				break
			}
			ended := q.ended(t, families[i])
			matches := families[i] != asked.Get("except") && owner.user == asked.Get("user_id") && (owner.client == asked.Get("client_id") || asked.Get("client_id") == "")
			if ended != (done && matches && !dryRun) {
				t.Errorf("%s %s?%s: the family of %v ended: %t", l.method, l.path, query, owner, ended)
			}
			if ended {
				defer begin(t)
			}
		}
		if !done {
			return
		}
		shown, _ := a.json["families"].([]any)
		for _, m := range shown {
			m, _ := m.(map[string]any)
			if m["user_id"] != asked.Get("user_id") || asked.Has("client_id") && m["client_id"] != asked.Get("client_id") || asked.Has("status") && m["status"] != asked.Get("status") {
				t.Errorf("%q lists %v", query, m)
			}
		}
		shown, _ = a.json["events"].([]any)
		for _, m := range shown {
			m, _ := m.(map[string]any)
			if asked.Has("type") && m["type"] != asked.Get("type") || asked.Has("user_id") && m["userId"] != asked.Get("user_id") || !within(m["at"], asked.Get("from"), asked.Get("to")) {
				t.Errorf("%q lists %v", query, m)
			}
		}
	})
}

// within reports whether a time is in the span from one time up to another, each if given.
func within(at any, from, to string) bool {
	text, _ := at.(string)
	then, err := time.Parse(time.RFC3339, text)
	first, noFirst := time.Parse(time.RFC3339, from)
	end, noEnd := time.Parse(time.RFC3339, to)
	return err == nil && (noFirst != nil || !then.Before(first.Truncate(time.Millisecond))) && (noEnd != nil || then.Before(end))
}
