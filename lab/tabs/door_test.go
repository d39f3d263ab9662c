//go:build tabs

package tabs

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// reply is one request to the token endpoint, and what became of its answer.
type reply struct {
	tab     string
	grant   string
	at      time.Time // when the request came
	sent    time.Time // when the page had the answer, as far as a server can tell
	fault   string    // what the test did to it, "" for nothing
	status  int
	access  string // the access token
	sid     string
	user    string
	gone    bool // the page had given up, or was gone
	used    bool // a page has used the access token
	needed  bool // a page has used it after the one before had run out
	ordinal int
	cookies []*http.Cookie // that the answer sets or deletes
}

// door stands between pages and a service. It notes each request to the token endpoint, and may do things to
// the answer.
type door struct {
	service http.Handler
	// harm is called with each refresh before it is passed on, and returns what is done to the answer. It may be nil.
	harm func(*reply) harm

	mu      sync.Mutex
	replies []*reply
	issued  map[string]*reply // by access token
}

// harm is what is done to an answer, after the service has done its work.
type harm struct {
	name   string
	before func()        // is called before the service is asked
	after  func()        // is called before the answer is sent
	sent   func()        // is called once the answer was sent
	delay  time.Duration // of the answer
	late   time.Duration // of the answer's body, after its header
	cut    bool          // the connection is cut instead of an answer
	middle bool          // the connection is cut in the middle of the answer
}

func newDoor(service http.Handler) *door { return &door{service: service, issued: map[string]*reply{}} }

// ServeHTTP implements [http.Handler].
func (d *door) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/oauth/token" || r.Method != http.MethodPost {
		d.service.ServeHTTP(rw, r)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return // the page was gone before it had asked
	}
	form, _ := url.ParseQuery(string(body))
	p := &reply{tab: r.URL.Query().Get("tab"), grant: form.Get("grant_type"), at: time.Now()}
	d.mu.Lock()
	d.replies = append(d.replies, p)
	p.ordinal = len(d.replies)
	d.mu.Unlock()
	var h harm
	if d.harm != nil && p.grant == "refresh_token" {
		h = d.harm(p)
	}
	if h.before != nil {
		h.before()
	}
	// The service does its work also if the page does not wait for it.
	asked := r.Clone(context.WithoutCancel(r.Context()))
	asked.URL.RawQuery, asked.RequestURI = "", r.URL.Path
	asked.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	d.service.ServeHTTP(answer, asked)
	d.note(p, h.name, answer)
	if h.after != nil {
		h.after()
	}
	gone := !wait(r.Context(), h.delay)
	if !gone && !h.cut {
		text := answer.Body.Bytes()
		for name, values := range answer.Header() {
			rw.Header()[name] = values
		}
		rw.WriteHeader(answer.Code)
		if h.middle || h.late > 0 {
			_, _ = rw.Write(text[:len(text)/2])
			_ = http.NewResponseController(rw).Flush()
			text = text[len(text)/2:]
			gone = !wait(r.Context(), h.late)
		}
		if !h.middle {
			_, err := rw.Write(text)
			gone = gone || err != nil || http.NewResponseController(rw).Flush() != nil
		}
	}
	d.mu.Lock()
	p.sent, p.gone = time.Now(), gone || r.Context().Err() != nil
	d.mu.Unlock()
	if h.sent != nil {
		h.sent()
	}
	if h.cut || h.middle {
		panic(http.ErrAbortHandler)
	}
}

// wait waits, and reports whether the page waits too.
func wait(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// note notes the service's answer.
func (d *door) note(p *reply, fault string, answer *httptest.ResponseRecorder) {
	var members struct {
		Access string `json:"access_token"`
		SID    string `json:"sid"`
	}
	_ = json.Unmarshal(answer.Body.Bytes(), &members)
	d.mu.Lock()
	defer d.mu.Unlock()
	p.fault, p.status, p.access, p.sid, p.cookies = fault, answer.Code, members.Access, members.SID, answer.Result().Cookies()
	p.user = subject(p.access)
	if p.access != "" {
		d.issued[p.access] = p
	}
}

// of returns the answer that had the access token of an Authorization header, nil if there is none.
func (d *door) of(r *http.Request) *reply {
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.issued[token]
}

// subject returns the user of an access token.
func subject(access string) string {
	var claims struct{ Sub string }
	if parts := strings.Split(access, "."); len(parts) == 3 {
		text, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(text, &claims)
	}
	return claims.Sub
}

// serveAPI answers a call with the user whom its access token is of.
func (d *door) serveAPI(rw http.ResponseWriter, r *http.Request) {
	p := d.of(r)
	if p == nil {
		http.Error(rw, "an unknown access token", http.StatusUnauthorized)
		return
	}
	_, _ = io.WriteString(rw, p.user)
}

// until waits for an answer of a kind, and returns it.
func (d *door) until(t testing.TB, kind func(reply) bool) reply {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); wait(t.Context(), 10*time.Millisecond) {
		all := d.all()
		if i := slices.IndexFunc(all, kind); i >= 0 {
			return all[i]
		}
	}
	t.Fatal("there is no such answer")
	return reply{}
}

// all returns what was asked until now.
func (d *door) all() []reply {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]reply, len(d.replies))
	for i, p := range d.replies {
		all[i] = *p
	}
	return all
}
