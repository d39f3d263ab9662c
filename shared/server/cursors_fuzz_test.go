package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
)

// FuzzCursor checks that a list accepts each cursor that it gave, however much later, and
// continues where it left off. It refuses every other: a cursor with a bit flipped, one of
// another list, one sent with other parameters. NEXT0 to NEXT6 stand for the cursors of the
// lists.
func FuzzCursor(f *testing.F) {
	q := newQuiet(f)
	q.populate(f)
	lists := []struct{ method, path string }{
		{http.MethodGet, "/v1/families?user_id=u"},
		{http.MethodGet, "/v1/families?user_id=u&status=active"},
		{http.MethodGet, "/v1/events?type=srrt"},
		{http.MethodGet, "/v1/events?user_id=u"},
		{http.MethodGet, "/v1/events?type=srrt&from=2029-12-01T00:00:00Z&to=2030-02-01T00:00:00Z"},
		{http.MethodGet, "/v1/clients?"},
		{http.MethodDelete, "/v1/families?user_id=u&dry_run=true"},
	}
	var given, firstPages, words []string
	for i, list := range lists {
		first := q.must(f, list.method, list.path, "")
		next, _ := first["next"].(string)
		if next == "" || slices.Contains(given, next) {
			f.Fatalf("%s gives the cursor %q", list.path, next)
		}
		given, firstPages = append(given, next), append(firstPages, fmt.Sprint(first))
		words = append(words, fmt.Sprintf("NEXT%d", i), next)
	}
	fill := strings.NewReplacer(words...)

	for i := range lists {
		f.Add(uint8(i), fmt.Sprintf("NEXT%d", i), uint16(0), uint8(0))
		f.Add(uint8(i), fmt.Sprintf("NEXT%d", i), uint16(0), uint8(10))
		f.Add(uint8(i), fmt.Sprintf("NEXT%d", i), uint16(9*i+1), uint8(0))
		f.Add(uint8(i), fmt.Sprintf("NEXT%d", (i+1)%len(lists)), uint16(0), uint8(0))
	}
	for _, cursor := range []string{"", "x", "NEXT0=", "NEXT0\n", " NEXT0", "NEXT0NEXT0", "AAAAAAAAAAAA", "AAAAAAAAAAA", "\xff", "NEXT0&next=NEXT0", strings.Repeat("A", 9000)} {
		f.Add(uint8(0), cursor, uint16(0), uint8(1))
	}
	f.Fuzz(func(t *testing.T, list uint8, cursor string, bit uint16, days uint8) {
		l := int(list) % len(lists)
		b := []byte(fill.Replace(cursor))
		if bit > 0 && len(b) > 0 { // 0 leaves the cursor unchanged
			n := int(bit-1) % (8 * len(b))
			b[n/8] ^= 1 << (n % 8)
		}
		elapsed := time.Duration(days) * 24 * time.Hour
		q.clock.Advance(elapsed)
		defer q.clock.Advance(-elapsed)
		a := q.ask(t, lists[l].method, lists[l].path+"&next="+url.QueryEscape(string(b)), "", "", "")
		if string(b) != given[l] {
			if a.status != http.StatusBadRequest || a.fields(t)["next"] == nil {
				t.Errorf("%q is answered %.300v", b, a)
			}
			return
		}
		if a.status != http.StatusOK || a.text("next") == given[l] {
			t.Fatalf("the list's own cursor is answered %.300v", a)
		}
		for _, members := range a.json {
			members, _ := members.([]any)
			for _, m := range members {
				if strings.Contains(firstPages[l], fmt.Sprint(m)) {
					t.Errorf("the second page repeats %v", m)
				}
			}
		}
	})
}

// populate gives every list of the management API more than a page of clients, families of "u"
// and events.
func (q *quiet) populate(tb testing.TB) {
	tb.Helper()
	for i := range 101 {
		q.must(tb, http.MethodPut, fmt.Sprintf("/v1/clients/app%d", i), `{"type":"public"}`)
	}
	now, key, policy := q.clock.Now(), q.keys.Users.Key("u"), family.DefaultPolicy()
	err := q.store.Fill(tb.Context(), func(table *store.Table) error {
		for i := range 1001 {
			at := now.Add(time.Duration(i-1001) * time.Minute)
			id, err := family.NewID(key, at)
			if err != nil {
				return err
			}
			f := family.Family{ID: id, UserID: "u", ClientID: "app0", Counter: 1, LastUsedAt: at, ExpiresAt: at.Add(policy.AbsoluteLifetime.Duration())}
			if err := table.Issue(tb.Context(), &f, &policy); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	for i := range 101 {
		at := now.Add(time.Duration(-i) * 6 * time.Hour)
		e := audit.New(audit.Revoked, at)
		e.User, e.UserID, e.Cause, e.Families, e.Removed = key, "u", family.PasswordChanged, []ulid.ULID{e.ID}, 1
		if err := q.table.PutEvent(tb.Context(), &e); err != nil {
			tb.Fatal(err)
		}
	}
}
