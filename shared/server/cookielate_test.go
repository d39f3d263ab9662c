package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/assertion/assertiontest"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestCookieMovesIn checks that a page that has a token from another transport or provider gets a cookie for
// it, and no token.
func TestCookieMovesIn(t *testing.T) {
	b := newBrowser(t)
	issued := b.issue(`{"client_id":"app","user_id":"ada"}`)
	b.putClient("app", `{"type":"public","transport":"cookie","accepts_imported":{"prefix":"v1."}}`)
	b.importToken("bob", foreignToken(7))
	for _, tt := range []struct{ name, user, token string }{
		{"a token of ours", "ada", issued.text("refresh_token")},
		{"another provider's", "bob", foreignToken(7)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			form := []string{"grant_type", "refresh_token", "client_id", "app", "refresh_token", tt.token}
			a := b.post("/oauth/token", form...)
			sid := a.text("sid")
			held := b.token("app", sid)
			if a.status != http.StatusOK || held == "" || strings.Contains(a.body, "rotor_") || a.json["refresh_token"] != nil || a.claims(t)["sid"] != sid {
				t.Fatalf("got %v, and the cookies are %v", a, b.cookies)
			}
			if again := b.post("/oauth/token", form...); again.status != http.StatusOK || b.token("app", sid) != held {
				t.Errorf("again: %v", again)
			}
			b.clock.Advance(2 * time.Minute)
			if a := b.post("/oauth/token", "grant_type", "refresh_token", "client_id", "app", "sid", sid); a.status != http.StatusOK || b.token("app", sid) == held {
				t.Errorf("by the cookie: %v", a)
			}
			// The token that was left where scripts are is a copy by now.
			b.clock.Advance(2 * time.Minute)
			if a := b.post("/oauth/token", form...); !a.refused(http.StatusBadRequest) || a.header.Get("Set-Cookie") != "" {
				t.Errorf("the old token: %v %v", a, a.header)
			}
			if a := b.post("/oauth/token", "grant_type", "refresh_token", "client_id", "app", "sid", sid); !a.refused(http.StatusBadRequest) || b.token("app", sid) != "" {
				t.Errorf("afterwards: %v", a)
			}
			if b.started(tt.user)[0]["cause"] != "reuse_detected" {
				t.Errorf("the family is %v", b.started(tt.user)[0])
			}
		})
	}
}

// TestCookieByAssertion checks that a session that an assertion starts is in a cookie, by either grant.
func TestCookieByAssertion(t *testing.T) {
	b := newBrowser(t)
	w := &trust{world: b.world, issuer: assertiontest.New(t)}
	b.putClient("spa", `{"type":"public","transport":"cookie","scope":"openid read","trusted_issuers":[`+trusted(w.issuer)+`]}`)
	for _, tt := range []struct {
		name string
		form func(assertion string) []string
	}{
		{"bearer", func(assertion string) []string { return []string{"grant_type", bearerGrant, "assertion", assertion} }},
		{"exchange", func(assertion string) []string {
			return []string{"grant_type", exchangeGrant, "subject_token", assertion, "subject_token_type", idTokenType}
		}},
		{"exchange for a refresh token", func(assertion string) []string {
			return []string{"grant_type", exchangeGrant, "subject_token", assertion, "subject_token_type", jwtType, "requested_token_type", refreshType}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			clear(b.cookies)
			form := append(tt.form(w.assertion()), "client_id", "spa")
			a := b.post("/oauth/token", form...)
			sid := a.text("sid")
			if a.status != http.StatusOK || b.token("spa", sid) == "" || strings.Contains(a.body, "rotor_") {
				t.Fatalf("got %v, and the cookies are %v", a, b.cookies)
			}
			if exchange := tt.name != "bearer"; (a.text("issued_token_type") == accessType) != exchange {
				t.Errorf("issued_token_type is %q", a.text("issued_token_type"))
			}
			held := b.token("spa", sid)
			if a := b.post("/oauth/token", form...); a.status != http.StatusOK || a.text("sid") != sid || b.token("spa", sid) != held {
				t.Errorf("again: %v", a)
			}
			if a := b.renew(sid); a.status != http.StatusOK {
				t.Errorf("refresh: %v", a)
			}
			b.clock.Advance(2 * time.Minute)
			if a := b.post("/oauth/token", form...); a.status != http.StatusBadRequest || a.header.Get("Set-Cookie") != "" {
				t.Errorf("replayed: %v %v", a, a.header)
			}
			if a := b.renew(sid); a.status != http.StatusOK {
				t.Errorf("after the replay: %v", a)
			}
		})
	}
}

// late is a refresh that has been sent: its answer, and when the browser gets it.
type late struct {
	at time.Time
	a  answer
}

// TestCookieLate sends up to four refreshes, each with the cookies that the browser has then, while their answers
// take up to a minute and overtake each other. An answer that old must do no harm: the session is alive
// afterwards, also for a page that comes back an hour later.
func TestCookieLate(t *testing.T) {
	parallel(t)
	delays := []time.Duration{0, 20 * time.Second, 40 * time.Second, time.Minute - time.Millisecond}
	gaps := []time.Duration{time.Second, 20 * time.Second, 0, 15 * time.Second, 40 * time.Second, 59 * time.Second, time.Minute}
	gaps = gaps[:storetest.Size(len(gaps), 2)]
	orders := map[string]bool{}
	for _, gap := range gaps {
		b := newBrowser(t)
		// In short the first answer is always the one that is late by a minute.
		for n := storetest.Size(0, 3); n < len(delays)*len(delays)*len(delays)*len(delays); n += storetest.Size(1, len(delays)) {
			clear(b.cookies)
			sid := b.login("spa", "ada")
			b.clock.Advance(time.Duration(n%3) * time.Minute)
			var under []late
			var order []int
			arrive := func(until time.Time) {
				slices.SortStableFunc(under, func(a, b late) int { return a.at.Compare(b.at) })
				for len(under) > 0 && !under[0].at.After(until) {
					b.clock.Advance(max(0, under[0].at.Sub(b.clock.Now())))
					b.keep(under[0].a)
					order = append(order, int(under[0].a.number("sent")))
					under = under[1:]
				}
				b.clock.Advance(max(0, until.Sub(b.clock.Now())))
			}
			for i, rest := 0, n; i < 4; i, rest = i+1, rest/len(delays) {
				a := b.send(http.MethodPost, "/oauth/token", formType, form(refreshWith(b, sid)...), b.headers()...)
				if a.status != http.StatusOK {
					t.Fatalf("gap %v, case %d: refresh %d got %v", gap, n, i, a)
				}
				a.json["sent"] = float64(i)
				under = append(under, late{b.clock.Now().Add(delays[rest%len(delays)]), a})
				arrive(b.clock.Now().Add(gap))
			}
			arrive(b.clock.Now().Add(time.Minute))
			orders[fmt.Sprint(order)] = true
			b.clock.Advance(time.Duration(n%2) * time.Hour)
			if a := b.renew(sid); a.status != http.StatusOK {
				t.Fatalf("gap %v, case %d, arrivals %v: the next refresh got %v", gap, n, order, a)
			}
		}
	}
	if len(orders) < storetest.Size(24, 12) {
		t.Errorf("the answers arrived in %d orders", len(orders))
	}
}

// TestCookieRace lets fifty widgets of a page refresh at once with one cookie. They get one successor, and
// whichever answer comes last leaves it in the browser.
func TestCookieRace(t *testing.T) {
	const widgets = 50
	b := newBrowser(t, servers(4), oneIssuer())
	sid := b.login("spa", "ada")
	b.clock.Advance(2 * time.Minute)
	for i := range b.servers { // so that every server has cached the client
		b.sendTo(i, http.MethodPost, "/oauth/token", formType, form("grant_type", "refresh_token", "client_id", "spa", "refresh_token", "none"), b.headers()...)
	}
	b.store.Counted()
	header, answers, errs := b.headers(), make([]answer, widgets), make([]error, widgets)
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range widgets {
		ready.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			ready.Done()
			<-start
			answers[i], errs[i] = b.try(i%len(b.servers), http.MethodPost, "/oauth/token", formType, form(refreshWith(b, sid)...), header...)
		}()
	}
	ready.Wait()
	close(start)
	done.Wait()
	successors := map[string]int{}
	for i, a := range answers {
		if errs[i] != nil || a.status != http.StatusOK {
			t.Fatalf("a widget got %v %v", a, errs[i])
		}
		clear(b.cookies)
		b.keep(a)
		successors[b.token("spa", sid)]++
	}
	if len(successors) != 1 || successors[""] > 0 {
		t.Errorf("%d successors", len(successors))
	}
	if calls := b.store.Counted(); len(calls) != widgets || slices.ContainsFunc(calls, func(c string) bool { return c != "UpdateItem" }) {
		t.Errorf("the store was asked %d times", len(calls))
	}
	if _, n := b.content(b.token("spa", sid)); n != 2 {
		t.Errorf("the successor is token %d", n)
	}
	if a := b.renew(sid); a.status != http.StatusOK {
		t.Errorf("afterwards: %v", a)
	}
}

// TestCookieUsers lets two users of one browser log in, refresh and log out in turns, with answers that
// arrive late, and checks that neither ever becomes the other.
func TestCookieUsers(t *testing.T) {
	b := newBrowser(t)
	users := map[string]string{}
	for _, user := range []string{"ada", "bob"} {
		users[b.login("spa", user)] = user
	}
	var before []answer
	for step := range 20 {
		var sent []answer
		for sid, user := range users {
			a := b.send(http.MethodPost, "/oauth/token", formType, form(refreshWith(b, sid)...), b.headers()...)
			if a.status != http.StatusOK || a.text("sid") != sid || a.claims(t)["sub"] != user {
				t.Fatalf("step %d: %s got %v", step, user, a)
			}
			sent = append(sent, a)
		}
		b.clock.Advance(40 * time.Second)
		for _, a := range slices.Backward(before) {
			b.keep(a)
		}
		before = sent
	}
	for _, a := range before {
		b.keep(a)
	}
	for sid, user := range users {
		if a := b.renew(sid); a.status != http.StatusOK || a.claims(t)["sub"] != user {
			t.Errorf("%s got %v", user, a)
		}
	}
	if lines := fmt.Sprint(b.logged("ferrt"), b.logged("fertft")); lines != "[] []" {
		t.Errorf("the log has %s", lines)
	}
}
