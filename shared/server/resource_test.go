package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

const (
	orders  = "https://orders.example"
	billing = "https://billing.example/v1?tenant=a&b=c"
	urn     = "urn:example:stock"
	aLogin  = `{"user_id":"u","client_id":"app","scope":"read write","audience":["` + orders + `","` + billing + `","` + urn + `"]}`
)

// aud returns the audience of an answer's access token.
func (w *world) aud(a answer) any {
	w.t.Helper()
	if a.status != http.StatusOK && a.status != http.StatusCreated {
		w.t.Fatal(a)
	}
	_, claims := decodeJWT(w.t, a.text("access_token"))
	return claims["aud"]
}

// asking presents a token as "app" for resources, each as a parameter of its own.
func (w *world) asking(refreshToken string, resource ...string) answer {
	w.t.Helper()
	body := askingForm(refreshToken, resource...)
	if w.secret != "" {
		body += "&client_secret=" + w.secret
	}
	return w.send(http.MethodPost, "/oauth/token", formType, body)
}

func askingForm(refreshToken string, resource ...string) string {
	body := refreshForm(refreshToken)
	for _, r := range resource {
		body += "&resource=" + url.QueryEscape(r)
	}
	return body
}

// TestResource checks that a refresh can select part of its family's audience for this access
// token only (RFC 8707 §2.2).
func TestResource(t *testing.T) {
	w := newWorld(t)
	issued := w.issue(aLogin)
	tok, id := issued.text("refresh_token"), issued.text("family")
	all := []any{orders, billing, urn}
	if diff := cmp.Diff(all, w.aud(issued)); diff != "" {
		t.Errorf("aud of the login (-want +got):\n%s", diff)
	}
	counter := 1
	for _, tt := range []struct {
		name string
		ask  []string
		want any
	}{
		{"one", []string{billing}, billing},
		{"none, and there are all again", nil, all},
		{"an URN", []string{urn}, urn},
		{"two, in their own order", []string{urn, orders}, []any{urn, orders}},
		{"the same twice", []string{orders, orders}, orders},
		{"all of them", []string{orders, billing, urn}, all},
		{"an empty one among them", []string{"", orders}, orders},
		{"nothing but empty ones", []string{"", ""}, all},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := w.asking(tok, tt.ask...)
			if diff := cmp.Diff(tt.want, w.aud(a)); diff != "" {
				t.Errorf("aud (-want +got):\n%s", diff)
			}
			if counter++; w.counter(id) != counter || a.text("scope") != "read write" {
				t.Errorf("the counter is %d, and the answer %v", w.counter(id), a)
			}
			tok = a.text("refresh_token")
			w.clock.Advance(time.Minute)
		})
	}
	for name, body := range map[string]string{
		"a string": fmt.Sprintf(`"resource":%q`, urn), "an array of one": fmt.Sprintf(`"resource":[%q]`, urn), "with an empty one": fmt.Sprintf(`"resource":["",%q]`, urn),
	} {
		t.Run("as JSON, "+name, func(t *testing.T) {
			a := w.send(http.MethodPost, "/oauth/token", jsonType, `{"grant_type":"refresh_token","client_id":"app","refresh_token":"`+tok+`",`+body+`}`)
			if got := w.aud(a); got != urn {
				t.Errorf("aud is %v", got)
			}
			tok = a.text("refresh_token")
			w.clock.Advance(time.Minute)
		})
	}
	t.Run("as JSON, an array", func(t *testing.T) {
		a := w.send(http.MethodPost, "/oauth/token", jsonType, fmt.Sprintf(`{"grant_type":"refresh_token","client_id":"app","refresh_token":%q,"resource":[%q,%q]}`, tok, urn, orders))
		if diff := cmp.Diff([]any{urn, orders}, w.aud(a)); diff != "" {
			t.Errorf("aud (-want +got):\n%s", diff)
		}
		tok = a.text("refresh_token")
		w.clock.Advance(time.Minute)
	})
	if diff := cmp.Diff(all, w.family(id).json["audience"]); diff != "" {
		t.Errorf("the family (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(all, w.aud(w.refresh(tok))); diff != "" {
		t.Errorf("aud in the end (-want +got):\n%s", diff)
	}
}

// TestResourceThatIsNotGranted checks that a resource outside the family's audience is refused
// before anything is written.
func TestResourceThatIsNotGranted(t *testing.T) {
	for _, interval := range []int{60, 0} {
		w := newWorld(t)
		w.putClient("app", fmt.Sprintf(`{"type":"public","policy":{"reuse_interval":%d,"lost_response":"until_used"}}`, interval))
		issued := w.issue(aLogin)
		tok, id := issued.text("refresh_token"), issued.text("family")
		before, err := w.table.Family(t.Context(), mustID(t, id))
		if err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(10 * time.Minute)
		for _, tt := range []struct {
			name string
			ask  []string
		}{
			{"another", []string{"https://stranger.example"}},
			{"one of ours and another", []string{orders, "https://stranger.example"}},
			{"another and one of ours", []string{"https://stranger.example", orders}},
			{"a part of one", []string{orders[:len(orders)-1]}},
			{"a longer one", []string{orders + "/"}},
			{"in other letters", []string{"https://ORDERS.example"}},
			{"the issuer, which is none of the audience", []string{w.servers[0].URL}},
			{"nine", []string{orders, "x:1", "x:2", "x:3", "x:4", "x:5", "x:6", "x:7", "x:8"}},
			{"two in one", []string{orders + "," + urn}},
			{"long", []string{"https://stranger.example/" + strings.Repeat("x", 8000)}},
			{"with a fragment", []string{orders + "#a"}},
			{"with an empty fragment", []string{orders + "#"}},
			{"relative", []string{"/orders"}},
			{"without a scheme", []string{"orders.example"}},
			{"two slashes alone", []string{"//orders.example"}},
			{"without a host", []string{"https://"}},
			{"a port alone", []string{"https://:443"}},
			{"without an authority", []string{"https:orders.example"}},
			{"with a space", []string{orders + " "}},
			{"two between line breaks", []string{"\n" + orders + "\n" + billing + "\n"}},
			{"two with a line break", []string{orders + "\n" + billing}},
			{"not ASCII", []string{"https://ördérs.example"}},
			{"with broken percent-encoding", []string{orders + "/%zz"}},
			{"with a quote", []string{orders + "/\"" + urn}},
		} {
			t.Run(fmt.Sprintf("%s at an interval of %d", tt.name, interval), func(t *testing.T) {
				for range 2 {
					w.asking(tok, tt.ask...).is(t, http.StatusBadRequest, "invalid_target")
				}
				after, err := w.table.Family(t.Context(), mustID(t, id))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("the record (-before +after):\n%s", diff)
				}
			})
		}
		if lines := append(w.logged("sertft"), w.logged("fertft")...); len(lines) != 0 {
			t.Errorf("logged %v", lines)
		}
		w.rotate(tok)
	}
}

func mustID(t testing.TB, s string) family.ID {
	t.Helper()
	id, err := family.ParseID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestResourceBesideTheRest checks that a resource is refused only after every reason for
// which the token is dead, for each token that would be answered, and with no more requests
// than a granted resource takes.
func TestResourceBesideTheRest(t *testing.T) {
	const stranger = "https://stranger.example"
	t.Run("held, and the predecessor", func(t *testing.T) {
		w := newWorld(t)
		w.putClient("app", `{"type":"public","policy":{"lost_response":"until_used"}}`)
		first := w.issue(aLogin).text("refresh_token")
		second := w.rotate(first)
		for _, tok := range []string{first, second} {
			w.store.Counted()
			w.asking(tok, stranger).is(t, http.StatusBadRequest, "invalid_target")
			if calls := w.store.Counted(); len(calls) != 1 {
				t.Errorf("requests %v", calls)
			}
		}
		if a := w.asking(first, urn); w.aud(a) != urn || a.text("refresh_token") != second {
			t.Errorf("the predecessor got %v", a)
		}
		// A held use that was refused does not count: the predecessor is still a lost response
		// later.
		w.clock.Advance(time.Hour)
		w.asking(first, stranger).is(t, http.StatusBadRequest, "invalid_target")
		if a := w.asking(first, billing); w.aud(a) != billing {
			t.Errorf("a lost response got %v", a)
		}
	})
	t.Run("reuse", func(t *testing.T) {
		w := newWorld(t)
		first := w.issue(aLogin).text("refresh_token")
		second := w.rotate(first)
		w.clock.Advance(time.Hour)
		if a := w.asking(first, stranger); !a.refused(http.StatusBadRequest) {
			t.Errorf("reuse got %v", a)
		}
		w.dead(second, family.ReuseDetected)
	})
	t.Run("dead", func(t *testing.T) {
		w := newWorld(t)
		a := w.issue(aLogin)
		w.send(http.MethodDelete, "/v1/families/"+a.text("family"), "", "")
		if a := w.asking(a.text("refresh_token"), stranger); !a.refused(http.StatusBadRequest) {
			t.Errorf("a revoked token got %v", a)
		}
	})
	t.Run("without rotation", func(t *testing.T) {
		w := newWorld(t)
		w.confidential(`{"rotation":false}`)
		tok := w.issue(aLogin).text("refresh_token")
		w.asking(tok, stranger).is(t, http.StatusBadRequest, "invalid_target")
		if a := w.asking(tok, orders); w.aud(a) != orders || a.text("refresh_token") != tok {
			t.Errorf("got %v", a)
		}
	})
	t.Run("ahead", func(t *testing.T) {
		w := newWorld(t)
		id := w.issue(aLogin).text("family")
		w.asking(w.mint(id, 7), stranger).is(t, http.StatusBadRequest, "invalid_target")
		if w.counter(id) != 1 {
			t.Errorf("the counter is %d", w.counter(id))
		}
		if a := w.asking(w.mint(id, 7), orders); w.aud(a) != orders {
			t.Errorf("got %v", a)
		}
	})
	t.Run("with a scope", func(t *testing.T) {
		w := newWorld(t)
		tok := w.issue(aLogin).text("refresh_token")
		for _, tt := range []struct{ scope, resource, code string }{
			{"admin", stranger, "invalid_scope"}, {"admin", orders, "invalid_scope"}, {"read", stranger, "invalid_target"},
		} {
			w.send(http.MethodPost, "/oauth/token", formType, askingForm(tok, tt.resource)+"&scope="+tt.scope).is(t, http.StatusBadRequest, tt.code)
		}
		a := w.send(http.MethodPost, "/oauth/token", formType, askingForm(tok, orders)+"&scope=read")
		if w.aud(a) != orders || a.text("scope") != "read" {
			t.Errorf("got %v", a)
		}
	})
	t.Run("with as many scopes as there may be", func(t *testing.T) { // a condition has at most 4 KB
		w := newWorld(t)
		resource := []string{w.servers[0].URL}
		for i := range 7 {
			resource = append(resource, fmt.Sprintf("https://%d.example", i))
		}
		var scope []string
		for i := range 64 {
			scope = append(scope, fmt.Sprintf("scope:%03d", i))
		}
		tok := w.issue(fmt.Sprintf(`{"user_id":"u","client_id":"app","scope":%q,"audience":["%s"]}`, strings.Join(scope, " "), strings.Join(resource, `","`))).text("refresh_token")
		a := w.send(http.MethodPost, "/oauth/token", formType, askingForm(tok, resource...)+"&scope="+strings.Join(scope, "+"))
		if got, ok := w.aud(a).([]any); !ok || len(got) != 8 || len(strings.Fields(a.text("scope"))) != 64 {
			t.Errorf("got %v", a)
		}
	})
	t.Run("by another client", func(t *testing.T) {
		w := newWorld(t)
		w.putClient("other", `{"type":"public"}`)
		tok := w.issue(aLogin).text("refresh_token")
		w.dead(tok, family.WrongClient, "client_id", "other", "resource", stranger)
	})
	t.Run("while the store fails", func(t *testing.T) {
		for _, kind := range []storetest.Fault{storetest.Failed, storetest.Lost} {
			w := newWorld(t)
			issued := w.issue(aLogin)
			w.store.Break(func(call int, _ string) storetest.Fault {
				if call == 1 {
					return kind
				}
				return storetest.None
			})
			a := w.asking(issued.text("refresh_token"), orders)
			w.store.Break(nil)
			if w.aud(a) != orders || w.counter(issued.text("family")) != 2 {
				t.Errorf("%v: %v", kind, a)
			}
		}
	})
}

// TestResourceThatIsTheIssuer checks that tokens of a family without an audience are for the
// issuer and nothing else.
func TestResourceThatIsTheIssuer(t *testing.T) {
	w := newWorld(t)
	issuer := w.servers[0].URL
	tok, _ := w.login()
	w.asking(tok, issuer+"/").is(t, http.StatusBadRequest, "invalid_target")
	w.asking(tok, orders).is(t, http.StatusBadRequest, "invalid_target")
	w.asking(tok, issuer, orders).is(t, http.StatusBadRequest, "invalid_target")
	a := w.asking(tok, issuer)
	if got := w.aud(a); got != issuer {
		t.Errorf("aud is %v", got)
	}
	if got := w.aud(w.asking(tok, issuer)); got != issuer { // the predecessor
		t.Errorf("aud is %v", got)
	}
	for _, audience := range []string{`"` + issuer + `"`, `["` + orders + `","` + issuer + `"]`} {
		tok := w.issue(`{"user_id":"u","client_id":"app","audience":` + audience + `}`).text("refresh_token")
		if got := w.aud(w.asking(tok, issuer)); got != issuer {
			t.Errorf("of %s aud is %v", audience, got)
		}
	}
}

// TestAudienceThatIsNoResource checks that an audience may be any text. Those that are not an
// absolute URI without a fragment appear in tokens, but cannot be asked for (RFC 8707 §2).
func TestAudienceThatIsNoResource(t *testing.T) {
	w := newWorld(t)
	for _, audience := range []string{
		"api", "/orders", "//orders.example", "orders.example", "https://orders.example#a", "https://orders.example#", "https://orders.example/a b", "https://",
		"https://:443", "https:orders.example", "https://örders.example", "https://orders.example/%zz", `https://orders.example/\`, "https://orders.example/<a>", "1a:b", ":",
	} {
		issued := w.issue(object("user_id", "u", "client_id", "app", "audience", audience))
		if got := w.aud(issued); got != audience {
			t.Errorf("aud is %v, not %q", got, audience)
		}
		w.asking(issued.text("refresh_token"), audience).is(t, http.StatusBadRequest, "invalid_target")
		if got := w.aud(w.refresh(issued.text("refresh_token"))); got != audience {
			t.Errorf("aud is %v, not %q", got, audience)
		}
	}
	for _, audience := range []string{"https://orders.example:8443/a%20b?c=d&e", "HTTPS://Orders.example", "urn:example:a:b", "a:b", "custom+scheme-1.0://host/path", "https://[::1]:1", "mailto:a@b.example"} {
		tok := w.issue(object("user_id", "u", "client_id", "app", "audience", audience)).text("refresh_token")
		if got := w.aud(w.asking(tok, audience)); got != audience {
			t.Errorf("aud is %v, not %q", got, audience)
		}
	}
}

// TestAudience checks that a login which names no audience gets the client's. One value is
// shown as a text and several as a list, in answers as in tokens.
func TestAudience(t *testing.T) {
	for _, tt := range []struct {
		name, client, login string
		want                any // nil for the issuer, which is not shown
	}{
		{"none", ``, ``, nil},
		{"an empty text", `,"audience":""`, `,"audience":""`, nil},
		{"an empty list", `,"audience":[]`, `,"audience":[]`, nil},
		{"one of the client's", `,"audience":"a"`, ``, "a"},
		{"a list of one", `,"audience":["a"]`, ``, "a"},
		{"several of the client's", `,"audience":["b","a","b"]`, ``, []any{"b", "a"}},
		{"several, and the login has none", `,"audience":["b","a"]`, `,"audience":[]`, []any{"b", "a"}},
		{"one of its own", `,"audience":["b","a"]`, `,"audience":"c d"`, "c d"},
		{"several of its own", `,"audience":"a"`, `,"audience":["<&>","\u00fc",` + quoted(6, 3) + `]`, []any{"<&>", "ü", "000", "111", "222", "333", "444", "555"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.putClient("app", `{"type":"public"`+tt.client+`}`)
			again := w.send(http.MethodGet, "/v1/clients/app", "", "")
			if tt.login == "" {
				if diff := cmp.Diff(tt.want, again.json["audience"]); diff != "" {
					t.Errorf("the client (-want +got):\n%s", diff)
				}
			}
			want := tt.want
			if want == nil {
				want = w.servers[0].URL
			}
			issued := w.issue(`{"user_id":"u","client_id":"app"` + tt.login + `}`)
			for _, a := range []answer{issued, w.refresh(issued.text("refresh_token"))} {
				if diff := cmp.Diff(want, w.aud(a)); diff != "" {
					t.Errorf("aud (-want +got):\n%s", diff)
				}
			}
			if diff := cmp.Diff(tt.want, w.family(issued.text("family")).json["audience"]); diff != "" {
				t.Errorf("the family (-want +got):\n%s", diff)
			}
			secret := w.addSecret("web")
			w.putClient("web", `{"type":"confidential","may_introspect":true}`)
			a := w.send(http.MethodPost, "/oauth/introspect", formType, form("token", issued.text("access_token")), "Authorization", basic("web", secret))
			if diff := cmp.Diff(want, a.json["aud"]); diff != "" || a.json["active"] != true {
				t.Errorf("introspection says %v (-want +got):\n%s", a, diff)
			}
		})
	}
}

// TestResourcesRace checks that racers which ask for different resources still get one
// successor.
func TestResourcesRace(t *testing.T) {
	w := newWorld(t, servers(2))
	issued := w.issue(aLogin)
	first := issued.text("refresh_token")
	type got struct {
		answer
		want string
		err  error
	}
	answers := make(chan got)
	asked := []string{orders, billing, urn}
	for i := range 30 {
		go func() {
			want := asked[i%len(asked)]
			a, err := w.try(i%2, http.MethodPost, "/oauth/token", formType, askingForm(first, want))
			answers <- got{a, want, err}
		}()
	}
	var successor string
	for range 30 {
		a := <-answers
		if a.err != nil {
			t.Fatal(a.err)
		}
		if successor == "" {
			successor = a.text("refresh_token")
		}
		if w.aud(a.answer) != a.want || a.text("refresh_token") != successor {
			t.Errorf("for %s: %v", a.want, a)
		}
	}
	if n := w.counter(issued.text("family")); n != 2 {
		t.Errorf("the counter is %d", n)
	}
}
