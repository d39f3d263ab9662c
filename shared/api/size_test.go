package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The longest allowed inputs make an item of at most 1 KB, in whatever state a living
// family gets: more would cost a refresh a second write unit.
func TestItemSize(t *testing.T) {
	w := newWorld(t)
	id := strings.Repeat("c", 64)
	w.putClient(id, fmt.Sprintf(`{"type":"public","policy":{"lost_response":"until_used","reuse_detection":"observe","observe_until":%q,"absolute_lifetime":315360000,"idle_lifetime":0}}`,
		w.clock.Now().Add(29*24*time.Hour).Format(time.RFC3339)))
	scope := strings.TrimSpace(strings.Repeat("a ", 1)) // distinct one-letter scopes weigh most, but there are only so many
	for c := '!'; len(scope) < 127; c++ {
		if c == '"' || c == '\\' || c == 'a' {
			continue
		}
		scope += " " + string(c)
	}
	scope += "zz"[:128-len(scope)]
	body := fmt.Sprintf(`{"user_id":%q,"client_id":%q,"scope":%q,"audience":%q,"claims":{"k":%q},"auth_time":%q,"acr":%q,"amr":["a","b","c","d","e","f","g","h","i","jj"],"device":%q}`,
		strings.Repeat("u", 128), id, scope, strings.Repeat("a", 64), strings.Repeat("v", 80-len(`{"k":""}`)),
		w.clock.Now().Add(-time.Hour).Format(time.RFC3339), strings.Repeat("r", 32), strings.Repeat("d", 32))
	first := w.issue(body).text("refresh_token")
	refresh := func(tok string) answer {
		a := w.send(http.MethodPost, "/oauth/token", formType, refreshForm(tok, "client_id", id),
			"User-Agent", strings.Repeat("m", 300))
		if a.status != http.StatusOK {
			t.Fatal(a)
		}
		return a
	}
	tok := first
	for range 2 {
		w.clock.Advance(time.Minute)
		tok = refresh(tok).text("refresh_token")
	}
	w.clock.Advance(time.Hour)
	before := tok
	refresh(before)
	w.clock.Advance(time.Hour)
	refresh(before) // skipped
	refresh(first)  // observed
	sizes, err := w.store.Sizes(t.Context(), "f#")
	if err != nil {
		t.Fatal(err)
	}
	if len(sizes) != 1 {
		t.Fatalf("%d items", len(sizes))
	}
	// What the test's family does not reach: an address of 39 characters, and the
	// largest number (6 bytes instead of 2) in counter, skipped and skipped_to.
	longest := sizes[0] + 39 - len("127.0.0.1") + 3*4
	if longest > 1024 {
		t.Errorf("the item has up to %d bytes", longest)
	}
	t.Logf("up to %d of 1024 bytes", longest)
	if f := w.logged("sertft"); f[len(f)-1]["userAgent"] != strings.Repeat("m", 48) {
		t.Errorf("the user agent was not cut: %v", f[len(f)-1]["userAgent"])
	}
}
