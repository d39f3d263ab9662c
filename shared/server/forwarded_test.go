package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	userIP    = "203.0.113.9"
	userAgent = "Mozilla/5.0 (X11; Linux x86_64)"
)

// backends is a world with a family of "bff", whose forwarded addresses are believed, and one
// of "web", whose are not.
type backends struct {
	*world
	secret map[string]string
}

func newBackends(t *testing.T) *backends {
	t.Helper()
	w := &backends{newWorld(t), map[string]string{}}
	w.putClient("bff", `{"type":"confidential","may_forward":true}`)
	for _, client := range []string{"bff", "web"} {
		w.secret[client] = w.addSecret(client)
	}
	return w
}

func (w *backends) start(client string) (refreshToken, familyID string) {
	w.t.Helper()
	a := w.issue(`{"user_id":"u","client_id":"` + client + `"}`)
	return a.text("refresh_token"), a.text("family")
}

// as makes a request as a client, with Basic authentication unless the client is public.
func (w *backends) as(client, path, token string, header ...string) answer {
	w.t.Helper()
	body := []string{"grant_type", "refresh_token", "refresh_token", token, "token", token}
	if secret := w.secret[client]; secret != "" {
		header = append(header, "Authorization", basic(client, secret))
	} else {
		body = append(body, "client_id", client)
	}
	return w.send(http.MethodPost, path, formType, form(body...), append(header, "User-Agent", "backend/1.0")...)
}

// agent returns how a user agent is stored.
func (w *world) agent(userAgent string) string {
	w.t.Helper()
	tok, id := w.login()
	w.send(http.MethodPost, "/oauth/token", formType, refreshForm(tok), "User-Agent", userAgent)
	kept := w.family(id).text("last_user_agent")
	if kept == "" || len(kept) == len(userAgent) {
		w.t.Fatalf("kept is %q", kept)
	}
	return kept
}

// line returns the newest audit line of a type.
func (w *backends) line(eventType string) map[string]any {
	w.t.Helper()
	lines := w.logged(eventType)
	if len(lines) == 0 {
		w.t.Fatalf("no line of %s", eventType)
	}
	return lines[len(lines)-1]
}

func told(ip, agent string) []string {
	return []string{"Rotor-Client-Ip", ip, "Rotor-Client-User-Agent", agent}
}

// TestForwardedUser checks that a client which may forward can name its user's address and
// user agent. The record and the log have the user's, and the log says which client named
// them.
func TestForwardedUser(t *testing.T) {
	w := newBackends(t)
	long := strings.Repeat("ä", 500)
	for _, tt := range []struct {
		name         string
		header       []string
		ip, agent    any // as logged, nil if unknown
		by           any
		last, lastUA string
	}{
		{"both", told(userIP, userAgent), userIP, userAgent, "127.0.0.1", userIP, userAgent},
		{"an IPv6 address", told("2001:DB8:0::9", userAgent), "2001:db8::9", userAgent, "127.0.0.1", "2001:db8::9", userAgent},
		{"an IPv4 address in IPv6", told("::ffff:203.0.113.9", userAgent), userIP, userAgent, "127.0.0.1", userIP, userAgent},
		{"the address alone", []string{"Rotor-Client-Ip", userIP}, userIP, nil, "127.0.0.1", userIP, ""},
		{"the agent alone", []string{"Rotor-Client-User-Agent", userAgent}, nil, userAgent, "127.0.0.1", "", userAgent},
		{"a long agent", told(userIP, long), userIP, w.agent(long), "127.0.0.1", userIP, w.agent(long)},
		{"nothing", nil, "127.0.0.1", "backend/1.0", nil, "127.0.0.1", "backend/1.0"},
		{"without values", told("", ""), "127.0.0.1", "backend/1.0", nil, "127.0.0.1", "backend/1.0"},
		{"what proxies add", []string{"X-Forwarded-For", "198.51.100.1", "Forwarded", "for=198.51.100.1"}, "127.0.0.1", "backend/1.0", nil, "127.0.0.1", "backend/1.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tok, id := w.start("bff")
			if a := w.as("bff", "/oauth/token", tok, tt.header...); a.status != http.StatusOK {
				t.Fatal(a)
			}
			check := func(line map[string]any) {
				t.Helper()
				if line["ip"] != tt.ip || line["userAgent"] != tt.agent || line["forwardedBy"] != tt.by || line["forwardIgnored"] != nil {
					t.Errorf("logged is %v", line)
				}
			}
			check(w.line("sertft"))
			if f := w.family(id); f.text("last_ip") != tt.last || f.text("last_user_agent") != tt.lastUA {
				t.Errorf("the record has %q, %q", f.text("last_ip"), f.text("last_user_agent"))
			}
			if a := w.as("bff", "/oauth/revoke", tok, tt.header...); a.status != http.StatusOK {
				t.Fatal(a)
			}
			check(w.line("srrt"))
			events, _ := w.send(http.MethodGet, "/v1/events?family="+id, "", "").json["events"].([]any)
			if len(events) != 1 {
				t.Fatalf("stored are %v", events)
			}
			check(events[0].(map[string]any))
			moments, _ := w.family(id).json["timeline"].([]any)
			if m := moments[len(moments)-1].(map[string]any); m["event"] != "revoked" || m["ip"] != tt.ip || m["user_agent"] != tt.agent || m["forwarded_by"] != tt.by {
				t.Errorf("the timeline ends with %v", m)
			}
			if a := w.as("bff", "/oauth/token", tok, tt.header...); a.status != http.StatusBadRequest {
				t.Fatal(a)
			}
			check(w.line("fertft"))
		})
	}
}

// TestForwardedReuse checks that behind a backend, a user who moves and a thief who uses the
// same backend are told apart from a second tab, as without a backend.
func TestForwardedReuse(t *testing.T) {
	w := newBackends(t)
	for _, tt := range []struct {
		name        string
		header      []string
		elsewhere   any
		otherAgents any
	}{
		{"a second tab", told(userIP, userAgent), nil, nil},
		{"another user", told("198.51.100.7", "curl/8"), true, true},
		{"another network", told("198.51.100.7", userAgent), true, nil},
		{"an agent that is not told", told(userIP, ""), nil, nil},
		{"an address that is not told", told("", userAgent), nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tok, id := w.start("bff")
			w.as("bff", "/oauth/token", tok, told(userIP, userAgent)...)
			if a := w.as("bff", "/oauth/token", tok, tt.header...); a.status != http.StatusOK {
				t.Fatal(a)
			}
			if line := w.line("sertft"); line["reused"] != true || line["otherIp"] != tt.elsewhere || line["otherUserAgent"] != tt.otherAgents {
				t.Errorf("inside the interval logged is %v", line)
			}
			w.clock.Advance(2 * time.Minute)
			w.as("bff", "/oauth/token", tok, tt.header...).is(t, http.StatusBadRequest, "invalid_grant")
			ip := any(tt.header[1])
			if ip == "" {
				ip = nil
			}
			line := w.line("ferrt")
			if line["otherIp"] != tt.elsewhere || line["otherUserAgent"] != tt.otherAgents || line["ip"] != ip || line["forwardedBy"] != "127.0.0.1" {
				t.Errorf("outside logged is %v", line)
			}
			events, _ := w.send(http.MethodGet, "/v1/events?type=ferrt&family="+id, "", "").json["events"].([]any)
			if len(events) != 1 || events[0].(map[string]any)["forwardedBy"] != "127.0.0.1" || events[0].(map[string]any)["ip"] != ip {
				t.Errorf("stored are %v", events)
			}
		})
	}
}

// TestForwardedByOthers checks that nobody else can forward: no confidential client without
// the permission, no public client, no caller who is not the client. The log says that
// something was forwarded.
func TestForwardedByOthers(t *testing.T) {
	w := newBackends(t)
	for _, client := range []string{"web", "app"} {
		for name, header := range map[string][]string{
			"well-formed": told("198.51.100.7", "x"), "malformed": told("not an address", "x"), "the agent alone": {"Rotor-Client-User-Agent", "x"},
		} {
			t.Run(client+" "+name, func(t *testing.T) {
				tok, id := w.start(client)
				check := func(line map[string]any) {
					t.Helper()
					if line["ip"] != "127.0.0.1" || line["userAgent"] != "backend/1.0" || line["forwardedBy"] != nil || line["forwardIgnored"] != true {
						t.Errorf("logged is %v", line)
					}
				}
				if a := w.as(client, "/oauth/token", tok, header...); a.status != http.StatusOK {
					t.Fatal(a)
				}
				check(w.line("sertft"))
				if f := w.family(id); f.text("last_ip") != "127.0.0.1" || f.text("last_user_agent") != "backend/1.0" {
					t.Errorf("the record is %v", f)
				}
				if a := w.as(client, "/oauth/revoke", tok, header...); a.status != http.StatusOK {
					t.Fatal(a)
				}
				check(w.line("srrt"))
			})
		}
	}
	t.Run("with a wrong secret", func(t *testing.T) {
		tok, id := w.start("bff")
		a := w.send(http.MethodPost, "/oauth/token", formType, form("grant_type", "refresh_token", "refresh_token", tok),
			append(told("not an address", "x"), "Authorization", basic("bff", "wrong"))...)
		a.is(t, http.StatusUnauthorized, "invalid_client")
		if w.counter(id) != 1 || strings.Contains(w.log.String(), "not an address") {
			t.Error("it was believed")
		}
	})
	t.Run("once it may no longer", func(t *testing.T) {
		w.putClient("bff", `{"type":"confidential"}`)
		tok, _ := w.start("bff")
		w.as("bff", "/oauth/token", tok, told(userIP, userAgent)...)
		if line := w.line("sertft"); line["ip"] != "127.0.0.1" || line["forwardIgnored"] != true {
			t.Errorf("logged is %v", line)
		}
	})
}

// TestForwardedMalformed checks that a malformed address is refused before anything is
// written. The token still works.
func TestForwardedMalformed(t *testing.T) {
	w := newBackends(t)
	tok, id := w.start("bff")
	for name, header := range map[string][]string{
		"no address":       {"Rotor-Client-Ip", "unknown"},
		"a name":           {"Rotor-Client-Ip", "localhost"},
		"with a port":      {"Rotor-Client-Ip", "203.0.113.9:4711"},
		"in brackets":      {"Rotor-Client-Ip", "[2001:db8::1]"},
		"with a zone":      {"Rotor-Client-Ip", "fe80::1%eth0"},
		"a network":        {"Rotor-Client-Ip", "203.0.113.0/24"},
		"a list":           {"Rotor-Client-Ip", "203.0.113.9, 198.51.100.7"},
		"two headers":      {"Rotor-Client-Ip", "203.0.113.9", "Rotor-Client-Ip", "198.51.100.7"},
		"the same twice":   {"Rotor-Client-Ip", "203.0.113.9", "Rotor-Client-Ip", "203.0.113.9"},
		"of three numbers": {"Rotor-Client-Ip", "203.0.113"},
		"octal":            {"Rotor-Client-Ip", "0203.0.113.9"},
		"what is a token":  {"Rotor-Client-Ip", tok},
		"long":             {"Rotor-Client-Ip", strings.Repeat("1", 4000)},
		"with an agent":    told("x", userAgent),
		"two agents":       {"Rotor-Client-User-Agent", "A", "Rotor-Client-User-Agent", "B"},
	} {
		for _, path := range []string{"/oauth/token", "/oauth/revoke"} {
			w.store.Counted()
			a := w.as("bff", path, tok, header...)
			a.is(t, http.StatusBadRequest, "invalid_request")
			if !strings.Contains(a.text("error_description"), "Rotor-Client-") {
				t.Errorf("%s: the error does not name it: %v", name, a)
			}
			if calls := w.store.Counted(); len(calls) > 0 {
				t.Errorf("%s: the store was asked: %v", name, calls)
			}
		}
	}
	if f := w.family(id); f.text("status") != "active" || f.number("counter") != 1 {
		t.Errorf("the family is %v", f)
	}
	if a := w.as("bff", "/oauth/token", tok); a.status != http.StatusOK {
		t.Errorf("its token got %v", a)
	}
}

// TestForwardedLogin checks that the login, which is a backend that IAM allows to start
// families, can name the address where a family began.
func TestForwardedLogin(t *testing.T) {
	w := newWorld(t)
	body, long := `{"user_id":"u","client_id":"app"}`, strings.Repeat("ä", 500)
	a := w.send(http.MethodPost, "/v1/families", jsonType, body, told("2001:DB8::9", long)...)
	if a.status != http.StatusCreated {
		t.Fatal(a)
	}
	if f := w.family(a.text("family")); f.text("last_ip") != "2001:db8::9" || f.text("last_user_agent") != w.agent(long) {
		t.Errorf("the record has %q, %q", f.text("last_ip"), f.text("last_user_agent"))
	}
	// The operation's own line has the address of its caller.
	if lines := w.logged("sapi"); lines[len(lines)-2]["operation"] != "issue_family" || lines[len(lines)-2]["ip"] != "127.0.0.1" || lines[len(lines)-2]["forwardedBy"] != nil {
		t.Errorf("on record is %v", lines)
	}
	if f := w.family(w.send(http.MethodPost, "/v1/families", jsonType, body, "User-Agent", "login/1.0").text("family")); f.text("last_ip") != "" || f.text("last_user_agent") != "" {
		t.Errorf("the login itself is taken for the user: %v", f)
	}
	w.store.Counted()
	for _, ip := range []string{"x", "203.0.113.9, 198.51.100.7", "203.0.113.9:1"} {
		a := w.send(http.MethodPost, "/v1/families", jsonType, body, "Rotor-Client-Ip", ip)
		a.problem(t, http.StatusBadRequest)
		if errs := a.fields(t); len(errs["Rotor-Client-Ip"]) != 1 {
			t.Errorf("the fields are %v", errs)
		}
	}
	if calls := w.store.Counted(); len(calls) > 0 {
		t.Errorf("the store was asked: %v", calls)
	}
}

// TestPagesDoNotForward checks that a page cannot forward an address or be allowed to: a
// public client may not forward, and a page cannot be a confidential one.
func TestPagesDoNotForward(t *testing.T) {
	const from = "https://app.example"
	w := newWorld(t, origins(from))
	for _, path := range []string{"/oauth/token", "/oauth/revoke"} {
		for _, asked := range []string{"rotor-client-ip", "content-type,rotor-client-ip", "Rotor-Client-User-Agent", "content-type, rotor-client-user-agent"} {
			a := w.send(http.MethodOptions, path, "", "", "Origin", from, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", asked)
			a.isForeign(t)
		}
	}
	if a := w.send(http.MethodPut, "/v1/clients/page", jsonType, `{"type":"public","may_forward":true}`); a.status != http.StatusBadRequest || len(a.fields(t)["may_forward"]) != 1 {
		t.Errorf("a public client may forward: %v", a)
	}
	w.putClient("bff", `{"type":"confidential","may_forward":true}`)
	if a := w.send(http.MethodGet, "/v1/clients/bff", "", ""); a.json["may_forward"] != true {
		t.Errorf("shown is %v", a)
	}
	w.putClient("bff", `{"type":"public"}`)
	if a := w.send(http.MethodGet, "/v1/clients/bff", "", ""); a.json["may_forward"] != false {
		t.Errorf("shown is %v", a)
	}
	// A client that became public can no longer forward.
	issued := w.issue(`{"user_id":"u","client_id":"bff"}`)
	w.send(http.MethodPost, "/oauth/token", formType, refreshForm(issued.text("refresh_token"), "client_id", "bff"), told(userIP, userAgent)...)
	if f := w.family(issued.text("family")); f.text("last_ip") != "127.0.0.1" {
		t.Errorf("a public client is believed: %v", f)
	}
}
