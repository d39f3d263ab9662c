package manage_test

import (
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/clients/manage"
)

// answering returns a client of a server that is none of Rotor's, and how often it was called.
func answering(t *testing.T, answer func(call int) string) (*manage.Client, *int) {
	t.Helper()
	calls := new(int)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		*calls++
		_, _ = io.WriteString(w, answer(*calls))
	}))
	t.Cleanup(srv.Close)
	c, err := manage.New(srv.URL, manage.Options{HTTPClient: srv.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return c, calls
}

// last returns the last error of a list.
func last[T any](items iter.Seq2[T, error]) (err error) {
	for _, err = range items {
	}
	return err
}

// TestAnswersThatAreNone checks that nothing is taken for done, and nothing for a fact, if the answer does not have it.
func TestAnswersThatAreNone(t *testing.T) {
	ctx := t.Context()
	calls := map[string]func(*manage.Client) error{
		"start":      func(c *manage.Client) error { _, err := c.StartFamily(ctx, &manage.Login{}); return err },
		"family":     func(c *manage.Client) error { _, err := c.Family(ctx, "f"); return err },
		"families":   func(c *manage.Client) error { return last(c.Families(ctx, manage.FamilyFilter{})) },
		"change":     func(c *manage.Client) error { _, err := c.ChangeFamily(ctx, "f", &manage.Change{}); return err },
		"change all": func(c *manage.Client) error { return last(c.ChangeFamilies(ctx, "u", "", &manage.Change{})) },
		"revoke":     func(c *manage.Client) error { _, err := c.RevokeFamily(ctx, "f"); return err },
		"revoke all": func(c *manage.Client) error { return last(c.RevokeFamilies(ctx, manage.Revocation{})) },
		"erase":      func(c *manage.Client) error { return last(c.EraseUser(ctx, manage.Erasure{})) },
		"explain":    func(c *manage.Client) error { _, err := c.Explain(ctx, &manage.Question{}); return err },
		"events":     func(c *manage.Client) error { return last(c.Events(ctx, manage.EventFilter{})) },
		"client":     func(c *manage.Client) error { _, err := c.Registration(ctx, "c"); return err },
		"clients":    func(c *manage.Client) error { return last(c.Registrations(ctx)) },
		"register":   func(c *manage.Client) error { _, err := c.Register(ctx, "c", &manage.Settings{}); return err },
		"deregister": func(c *manage.Client) error { return c.Deregister(ctx, "c") },
		"add":        func(c *manage.Client) error { _, _, err := c.AddSecret(ctx, "c"); return err },
		"remove":     func(c *manage.Client) error { return c.RemoveSecret(ctx, "c", "s") },
	}
	answers := map[string][]string{
		"start":      {`{"access_token":"a","refresh_token":"","family":"f"}`, `{"access_token":"a","refresh_token":"r"}`},
		"family":     {`{"status":"active"}`, `{"family":"f"}`},
		"families":   {`{"families":null}`, `{"families":[null]}`, `{"families":[{}]}`, `{"families":{}}`, `{"families":[],"next":1}`},
		"change all": {`{"changed":null}`, `{"changed":-1}`},
		"revoke":     {`{"revoked":null}`, `{"revoked":"1"}`},
		"revoke all": {`{"revoked":null}`, `{"revoked":-1}`, `{"next":"x"}`},
		"erase":      {`{"families":1}`, `{"events":1}`, `{"families":1,"events":-1}`},
		"explain":    {`{"verdict":""}`, `{"verdict":"fine"}`, `{"verdict":"valid","family":{}}`, `{"summary":"It is good."}`},
		"events":     {`{"events":[null]}`, `{"events":[{"type":"srrt"}]}`, `{"events":[{"eventId":"e"}]}`},
		"client":     {`{"client_id":"c"}`, `{"client_id":"c","type":"public","secrets":[null]}`},
		"clients":    {`{"clients":[null]}`, `{"clients":[{"type":"public"}]}`},
		"register":   {`{"type":"public"}`},
		"add":        {`{"secret_id":"s"}`, `{"client_secret":"s"}`, `{"secret_id":"s","client_secret":""}`},
	}
	for name, call := range calls {
		for _, answer := range append(answers[name], `{}`, `null`, `[]`, `"yes"`, ``, `<html>`) {
			c, calls := answering(t, func(int) string { return answer })
			err := call(c)
			if err == nil || !strings.Contains(err.Error(), c.Address()+" is not that of a Rotor service") || *calls != 1 {
				t.Errorf("%s, answered %s %d times: %v", name, answer, *calls, err)
			}
		}
	}
}

// TestEndlessPages checks that a list ends whose pages do not.
func TestEndlessPages(t *testing.T) {
	ctx := t.Context()
	for name, next := range map[string]func(call int) string{
		"itself":  func(int) string { return "x" },
		"a cycle": func(call int) string { return fmt.Sprint(call % 3) },
		"nothing": func(call int) string { return fmt.Sprint(call) },
	} {
		for what, test := range map[string]struct {
			list       func(*manage.Client) error
			full, none string
		}{
			"clients": {func(c *manage.Client) error { return last(c.Registrations(ctx)) }, `"clients":[{"client_id":"c","type":"public"}]`, `"clients":[]`},
			"revoke":  {func(c *manage.Client) error { return last(c.RevokeFamilies(ctx, manage.Revocation{})) }, `"revoked":1`, `"revoked":0`},
			"change":  {func(c *manage.Client) error { return last(c.ChangeFamilies(ctx, "u", "", &manage.Change{})) }, `"changed":1`, `"changed":0`},
			"erase":   {func(c *manage.Client) error { return last(c.EraseUser(ctx, manage.Erasure{})) }, `"families":1,"events":0`, `"families":0,"events":0`},
		} {
			members := test.full
			if name == "nothing" {
				members = test.none
			}
			c, calls := answering(t, func(call int) string {
				if call > 2000 { // so that the test ends
					return "{" + members + "}"
				}
				return fmt.Sprintf(`{%s,"next":%q}`, members, next(call))
			})
			if err := test.list(c); err == nil || !strings.Contains(err.Error(), "its pages do not end") {
				t.Errorf("%s, %s: after %d calls: %v", what, name, *calls, err)
			}
		}
	}
}
