package server_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/foreign"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestAdoptClaimLost checks that a token is not lost because the answer to its claim was: the provider
// was not asked, so that the claim is given up, and the next use adopts.
func TestAdoptClaimLost(t *testing.T) {
	parallel(t)
	for name, fault := range everyFault() {
		t.Run(name, func(t *testing.T) {
			m := newMoving(t, "")
			m.refresh("malformed") // from now on the client is known
			old := m.old.token("alice")
			updates := 0
			m.store.Break(func(_ int, operation string) storetest.Fault {
				if operation == "UpdateItem" {
					updates++
				}
				if operation == "UpdateItem" && updates > 2 { // two count it
					return fault
				}
				return storetest.None
			})
			a := m.refresh(old)
			m.store.Break(nil)
			if updates < 3 || !a.unavailable() || m.old.requests() != 0 {
				t.Fatalf("%d updates, %d requests, %v", updates, m.old.requests(), a)
			}
			m.clock.Advance(time.Minute)
			if a := m.refresh(old); a.status != http.StatusOK || m.old.requests() != 1 {
				t.Errorf("%d requests, and a minute later %v", m.old.requests(), a)
			}
		})
	}
}

// TestAdoptOthersRace checks that a client whose use waits for the claim of another client is not told what
// that one's provider says: its own was not asked.
func TestAdoptOthersRace(t *testing.T) {
	parallel(t)
	m := newMoving(t, "", servers(2))
	m.putClient("other", fmt.Sprintf(`{"type":"public","adopt":{"token_endpoint":%q,"client_id":"x","auth":"none","user":{"from":"id_token"}}}`, m.old.URL))
	for i := range m.servers {
		m.sendTo(i, http.MethodPost, "/oauth/token", formType, refreshForm("malformed")) // from now on the client is known
	}
	old := m.old.token("alice")
	asked, answers := make(chan struct{}), make(chan struct{})
	m.old.does(func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-answers
		says(400, `{"error":"invalid_grant"}`)(w, r)
	}, nil)
	var done sync.WaitGroup
	done.Go(func() {
		if a, err := m.try(0, http.MethodPost, "/oauth/token", formType, refreshForm(old, "client_id", "other")); err != nil || !a.refused(400) {
			t.Errorf("the other client got %v, %v", a, err)
		}
	})
	<-asked
	m.old.does(nil, nil)
	calls, waits, goes := 0, make(chan struct{}), make(chan struct{})
	m.store.HoldAt(func(int) bool { calls++; return calls == 2 }, waits, goes) // the first look of one who waits
	var mine answer
	var waiting sync.WaitGroup
	waiting.Go(func() { mine, _ = m.try(1, http.MethodPost, "/oauth/token", formType, refreshForm(old)) })
	<-waits
	close(answers)
	done.Wait()
	close(goes)
	waiting.Wait()
	m.store.Break(nil)
	if !mine.unavailable() {
		t.Errorf("who waited got %v", mine)
	}
	if a := m.sendTo(1, http.MethodPost, "/oauth/token", formType, refreshForm(old)); a.status != http.StatusOK {
		t.Errorf("the next use: %v", a)
	}
}

// TestAdoptClaimedMeanwhile checks that of two racers who both found nothing on record one asks the provider.
func TestAdoptClaimedMeanwhile(t *testing.T) {
	parallel(t)
	m := newMoving(t, "")
	old := m.old.token("alice")
	var first answer
	server := m.meanwhile(2, "UpdateItem", func() { first = m.refresh(old) }) // right before the claim, after the count
	second := m.sendTo(server, http.MethodPost, "/oauth/token", formType, refreshForm(old))
	if first.status != http.StatusOK || second.status != http.StatusOK || second.text("refresh_token") != first.text("refresh_token") {
		t.Errorf("the first got %v, the second %v", first, second)
	}
	if n := m.old.requests(); n != 1 {
		t.Errorf("the provider was asked %d times", n)
	}
	m.one("alice")
}

// TestAdoptRefusedThenImported checks that an import wins over a refusal ten seconds later, although the
// application did not stop trying.
func TestAdoptRefusedThenImported(t *testing.T) {
	m := newMoving(t, "")
	m.adopts("", `,"accepts_imported":true`)
	old := m.old.token("alice")
	m.old.does(says(400, `{"error":"invalid_grant"}`), nil)
	m.dead(old, family.AdoptionRefused)
	m.clock.Advance(6 * time.Second)
	m.dead(old, family.AdoptionRefused)
	if a := m.send(http.MethodPost, "/v1/imports", jsonType, importBody(importRow("alice", old))); a.status != http.StatusOK {
		t.Fatal(a)
	}
	m.clock.Advance(5 * time.Second)
	if a := m.refresh(old); a.status != http.StatusOK || m.old.requests() != 1 {
		t.Errorf("%d requests, %v", m.old.requests(), a)
	}
}

// TestSupabaseUnadopted checks that a token which its provider refuses is refused on Supabase's wire, too.
func TestSupabaseUnadopted(t *testing.T) {
	m := newMoving(t, "")
	old := m.old.token("alice")
	m.old.does(says(400, `{"error":"invalid_grant"}`), nil)
	for range 2 {
		m.supabaseRefresh(old).saysSupabase(t, http.StatusBadRequest, "refresh_token_not_found", "Not Found")
	}
}

// TestAdoptFailuresInTheLog checks that the log has nothing of what a provider sends, if that is no HTTP.
func TestAdoptFailuresInTheLog(t *testing.T) {
	m := newMoving(t, `"repeatable":true`)
	old := m.old.token("alice")
	m.old.does(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = fmt.Fprintf(conn, "refresh_token=%s\r\n\r\n", old)
		_ = conn.Close()
	}, nil)
	if a := m.refresh(old); !a.unavailable() {
		t.Errorf("got %v", a)
	}
	if logged := m.log.String(); strings.Contains(logged, old) || !strings.Contains(logged, "no_answer") {
		t.Error("the log has what the provider sent, or no reason")
	}
}

// TestAdoptLate checks that a provider is not asked if the request would be over before it must have
// answered, and that the token is adopted at its next use.
func TestAdoptLate(t *testing.T) {
	parallel(t)
	m := newMoving(t, "")
	old := m.old.token("alice")
	ctx, cancel := context.WithTimeout(t.Context(), foreign.DefaultTimeout+time.Second)
	defer cancel()
	late := handled(m.api(func(c *server.Config) { c.Providers.Loopback = true }).Handler(), post(ctx, "/oauth/token", refreshForm(old)))
	if late.status != http.StatusServiceUnavailable || m.old.requests() != 0 {
		t.Errorf("%d requests, %d", m.old.requests(), late.status)
	}
	m.clock.Advance(time.Minute)
	if a := m.refresh(old); a.status != http.StatusOK {
		t.Error(a)
	}
}

// TestAdoptRevokedMeanwhile checks that a logout with a token that is being adopted is not answered as if it
// had ended the session: 503 for as long as the provider is asked, and then it ends what was adopted.
func TestAdoptRevokedMeanwhile(t *testing.T) {
	parallel(t)
	m := newMoving(t, "", servers(2))
	old := m.old.token("alice")
	asked, answers := make(chan struct{}), make(chan struct{})
	m.old.does(nil, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-answers
		says(200, fmt.Sprintf(`{"id_token":%q}`, unsigned(map[string]any{"aud": "old-app", "sub": "alice"})))(w, r)
	})
	var done sync.WaitGroup
	done.Go(func() {
		if a, err := m.try(0, http.MethodPost, "/oauth/token", formType, refreshForm(old)); err != nil || a.status != http.StatusOK {
			t.Errorf("got %v, %v", a, err)
		}
	})
	<-asked
	logout := func() answer {
		return m.sendTo(1, http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", old))
	}
	if a := logout(); !a.unavailable() {
		t.Errorf("meanwhile: %v", a)
	}
	close(answers)
	done.Wait()
	if a := logout(); a.status != http.StatusOK {
		t.Errorf("afterwards: %v", a)
	}
	m.dead(old, family.RevokedByClient)
}

// TestAdoptRevokedAfterACrash checks that the logout is answered 200 once nobody can adopt the token any more.
func TestAdoptRevokedAfterACrash(t *testing.T) {
	m := newMoving(t, "", servers(2))
	old := m.old.token("alice")
	m.store.Break(func(_ int, operation string) storetest.Fault {
		if operation == "TransactWriteItems" {
			return storetest.Failed
		}
		return storetest.None
	})
	m.refresh(old)
	m.store.Break(nil)
	logout := func() answer {
		return m.sendTo(1, http.MethodPost, "/oauth/revoke", formType, form("client_id", "app", "token", old))
	}
	if a := logout(); !a.unavailable() {
		t.Errorf("at once: %v", a)
	}
	m.clock.Advance(30 * time.Second)
	if a := logout(); a.status != http.StatusOK {
		t.Errorf("30 s later: %v", a)
	}
	m.dead(old, family.AdoptionLost)
}
