package local

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func (p *program) now() time.Time {
	p.tb.Helper()
	got := p.must(http.StatusOK, http.MethodGet, "/local/clock", "")
	return parseTime(p.tb, got)
}

func parseTime(tb testing.TB, r reply) time.Time {
	tb.Helper()
	now, err := time.Parse(time.RFC3339, r.text("now"))
	if err != nil {
		tb.Fatal(err)
	}
	return now
}

// advance moves the clock and returns how many records were purged.
func (p *program) advance(by string) float64 {
	p.tb.Helper()
	got := p.must(http.StatusOK, http.MethodPost, "/local/clock", `{"advance":"`+by+`"}`)
	purged, ok := got.body["purged"].(float64)
	if !ok {
		p.tb.Fatalf("the answer does not say what was purged: %v", got.body)
	}
	return purged
}

func TestClockMoves(t *testing.T) {
	p := start(t, nil)
	began := time.Now().Truncate(time.Millisecond)
	if now := p.now(); now.Before(began) || now.After(time.Now()) {
		t.Errorf("it is %s, and %s for the program", began, now)
	}
	ahead := time.Duration(0)
	for by, d := range map[string]time.Duration{
		"26h": 26 * time.Hour, "1ms": time.Millisecond, "1h30m": 90 * time.Minute, "3d": 72 * time.Hour, "3650d": maxAdvance,
	} {
		ahead += d
		got := p.must(http.StatusOK, http.MethodPost, "/local/clock", `{"advance":"`+by+`"}`)
		now := parseTime(t, got)
		if now.Before(began.Add(ahead)) || now.After(time.Now().Add(ahead)) {
			t.Errorf("%s on: it is %s, want %s after %s", by, now, ahead, began)
		}
	}
	if now := p.now(); now.Before(began.Add(ahead)) {
		t.Errorf("it is %s again", now)
	}
}

// TestClockSeesFamiliesEnd checks that a moved clock applies to the whole service: tokens end
// and records are purged as they would be in time.
func TestClockSeesFamiliesEnd(t *testing.T) {
	p := start(t, nil)
	family, token := p.issue("demo-spa") // ends after 15 days idle or 30 in all, and is kept for 30 more
	if purged := p.advance("359h"); purged != 0 {
		t.Errorf("%v purged", purged)
	}
	got := p.refresh("demo-spa", token)
	if got.status != http.StatusOK {
		t.Fatalf("an hour before the idle end: %d %v", got.status, got.body)
	}
	p.advance("15d")
	if got := p.refresh("demo-spa", got.text("refresh_token")); got.status != http.StatusBadRequest || got.text("error") != "invalid_grant" {
		t.Errorf("past the idle end: %d %v", got.status, got.body)
	}
	if got := p.must(http.StatusOK, http.MethodGet, "/v1/families/"+family, ""); got.text("cause") != "expired_idle" {
		t.Errorf("the family is %v", got.body)
	}
	p.advance("30d") // it is one hour before the end of the 60th day
	p.must(http.StatusOK, http.MethodGet, "/v1/families/"+family, "")
	if purged := p.advance("2h"); purged != 2 {
		t.Errorf("%v purged, want the family and the count of its owner", purged)
	}
	p.must(http.StatusNotFound, http.MethodGet, "/v1/families/"+family, "")
	if got := p.refresh("demo-spa", got.text("refresh_token")); got.text("error") != "invalid_grant" {
		t.Errorf("after the purge: %d %v", got.status, got.body)
	}
	// The registry has no end, and the service continues.
	_, token = p.issue("demo-spa")
	if got := p.refresh("demo-spa", token); got.status != http.StatusOK {
		t.Errorf("a new family: %d %v", got.status, got.body)
	}
}

func TestClockRefusesBadBodies(t *testing.T) {
	p := start(t, nil)
	before := p.now()
	for _, c := range []struct{ body, field string }{
		{`{}`, "advance"},
		{`{"advance":null}`, "advance"},
		{`{"advance":3600}`, "advance"},
		{`{"advance":["1h"]}`, "advance"},
		{`{"advance":""}`, "advance"},
		{`{"advance":"soon"}`, "advance"},
		{`{"advance":"1"}`, "advance"},
		{`{"advance":"d"}`, "advance"},
		{`{"advance":"1.5d"}`, "advance"},
		{`{"advance":"-1d"}`, "advance"},
		{`{"advance":"0s"}`, "advance"},
		{`{"advance":"0d"}`, "advance"},
		{`{"advance":"-1h"}`, "advance"},
		{`{"advance":"87600h1ns"}`, "advance"},
		{`{"advance":"3651d"}`, "advance"},
		{`{"advance":"65536d"}`, "advance"},
		{`{"advance":"9999999999h"}`, "advance"},
		{`{"advance":"1h","Advance":"1h"}`, "Advance"},
		{`{"advance":"1h","to":"2030-01-01T00:00:00Z"}`, "to"},
		{`{"to":1}`, "to"},
		{`[]`, ""},
		{`null`, ""},
		{`"1h"`, ""},
		{`{"advance":"1h"} {}`, ""},
		{`{"advance":"1h"`, ""},
		{"{\"advance\":\"1h\",\"\xff\":1}", ""},
		{` `, ""},
	} {
		t.Run(c.body, func(t *testing.T) {
			got := p.do(http.MethodPost, "/local/clock", c.body)
			wantProblem(t, got, http.StatusBadRequest)
			var fields []string
			errs, _ := got.body["errors"].([]any)
			for _, e := range errs {
				if e, ok := e.(map[string]any); ok {
					field, _ := e["field"].(string)
					fields = append(fields, field)
				}
			}
			if c.field != "" && !strings.Contains(strings.Join(fields, " "), c.field) {
				t.Errorf("%s is not named: %v", c.field, got.body)
			}
		})
	}
	wantProblem(t, p.do(http.MethodPost, "/local/clock", `{"advance":"`+strings.Repeat(" ", 16<<10)+`1h"}`), http.StatusRequestEntityTooLarge)
	wantProblem(t, p.do(http.MethodPut, "/local/clock", `{}`), http.StatusMethodNotAllowed)
	if now := p.now(); now.Sub(before) > time.Hour/2 {
		t.Errorf("the clock was moved from %s to %s", before, now)
	}
}

func TestClockDoesNotOverflow(t *testing.T) {
	p := start(t, nil)
	for range 10 {
		p.advance("3650d")
	}
	wantProblem(t, p.do(http.MethodPost, "/local/clock", `{"advance":"1ns"}`), http.StatusBadRequest)
	if now := p.now(); now.Year() < time.Now().Year()+99 {
		t.Errorf("it is %s", now)
	}
	p.issue("demo-spa")
}
