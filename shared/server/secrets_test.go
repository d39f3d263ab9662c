package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// secretIDs returns the ids of the secrets of "web".
func (w *world) secretIDs() (ids []string) {
	w.t.Helper()
	list, _ := w.get("/v1/clients/web").json["secrets"].([]any)
	for _, s := range list {
		s, _ := s.(map[string]any)
		id, _ := s["secret_id"].(string)
		ids = append(ids, id)
	}
	return ids
}

// authenticates reports whether the secret is one of "web".
func (w *world) authenticates(secret string) bool {
	w.t.Helper()
	a := w.send(http.MethodPost, "/oauth/introspect", formType, "token=x", "Authorization", basic("web", secret))
	if a.status != http.StatusOK && a.status != http.StatusUnauthorized {
		w.t.Fatal(a)
	}
	return a.status == http.StatusOK
}

// TestSecretWhoseAnswerWasLostToTheSDK checks that the SDK's retry of a new secret recognizes
// its own write. It must not take the second place as well, because that copy would outlive
// the secret's deletion.
func TestSecretWhoseAnswerWasLostToTheSDK(t *testing.T) {
	for taken := range 2 { // how many of the two places another secret has
		for lost := 1; lost <= 2; lost++ { // how many answers to the write are lost
			w := newWorld(t)
			for range taken {
				w.addSecret("web")
			}
			write, broken := 0, 0
			w.store.Break(func(_ int, operation string) storetest.Fault {
				if operation != "UpdateItem" {
					return storetest.None
				}
				if write++; write > taken && write <= taken+lost { // the first write finds a place taken
					broken++
					return storetest.Lost
				}
				return storetest.None
			})
			a := w.send(http.MethodPost, "/v1/clients/web/secrets", "", "")
			w.store.Break(nil)
			if a.status != http.StatusCreated || broken != lost {
				t.Fatalf("%d answers lost: %v", broken, a)
			}
			secret := a.text("client_secret")
			if ids := w.secretIDs(); len(ids) != taken+1 || ids[taken] != a.text("secret_id") {
				t.Errorf("%d answers lost, %d secrets before: now there are %v", lost, taken, ids)
			}
			if !w.authenticates(secret) {
				t.Error("the secret is wrong")
			}
			if a := w.send(http.MethodDelete, "/v1/clients/web/secrets/"+a.text("secret_id"), "", ""); a.status != http.StatusNoContent {
				t.Fatal(a)
			}
			w.clock.Advance(time.Minute)
			if w.authenticates(secret) || len(w.secretIDs()) != taken {
				t.Error("a deleted secret works on")
			}
		}
	}
}

// TestSecretWhoseAnswerWasLost checks a caller that gets no answer, so that it has no secret,
// and repeats the call. The client then has two secrets, the first of which nobody knows. That
// one is listed and can be deleted, and the other still works.
func TestSecretWhoseAnswerWasLost(t *testing.T) {
	w := newWorld(t)
	lose := func(method, path string) {
		t.Helper()
		w.store.Break(func(_ int, operation string) storetest.Fault {
			if operation == "UpdateItem" {
				return storetest.Lost
			}
			return storetest.None
		})
		a := w.send(method, path, "", "")
		w.store.Break(nil)
		if a.status != http.StatusServiceUnavailable || a.text("client_secret") != "" {
			t.Fatalf("%s %s: %v", method, path, a)
		}
	}
	lose(http.MethodPost, "/v1/clients/web/secrets")
	orphans := w.secretIDs()
	a := w.send(http.MethodPost, "/v1/clients/web/secrets", "", "")
	ids := w.secretIDs()
	if len(orphans) != 1 || a.status != http.StatusCreated || len(ids) != 2 || ids[0] != orphans[0] || ids[1] != a.text("secret_id") {
		t.Fatalf("the secrets were %v, and are %v: %v", orphans, ids, a)
	}
	w.send(http.MethodPost, "/v1/clients/web/secrets", "", "").problem(t, http.StatusConflict)

	// The secret is deleted even if the answer to its deletion is lost,
	lose(http.MethodDelete, "/v1/clients/web/secrets/"+orphans[0])
	w.send(http.MethodDelete, "/v1/clients/web/secrets/"+orphans[0], "", "").problem(t, http.StatusNotFound)
	if got := w.secretIDs(); len(got) != 1 || got[0] != ids[1] || !w.authenticates(a.text("client_secret")) {
		t.Errorf("the secrets are %v", got)
	}
	// and if the SDK had to repeat the deletion.
	first := true
	w.store.Break(func(_ int, operation string) storetest.Fault {
		if operation != "UpdateItem" || !first {
			return storetest.None
		}
		first = false
		return storetest.Lost
	})
	b := w.send(http.MethodDelete, "/v1/clients/web/secrets/"+ids[1], "", "")
	w.store.Break(nil)
	if b.status != http.StatusNoContent || len(w.secretIDs()) != 0 || w.authenticates(a.text("client_secret")) {
		t.Errorf("%v: the secrets are %v", b, w.secretIDs())
	}
}

// TestSecretsReachOtherServers checks that another server accepts a deleted secret for as long
// as it keeps its copy of the client, at most a minute, and learns of a new one in that time.
func TestSecretsReachOtherServers(t *testing.T) {
	w := newWorld(t, servers(2))
	first := w.send(http.MethodPost, "/v1/clients/web/secrets", "", "")
	at := func(server int, a answer) int {
		t.Helper()
		return w.sendTo(server, http.MethodPost, "/oauth/introspect", formType, "token=x", "Authorization", basic("web", a.text("client_secret"))).status
	}
	if at(0, first) != http.StatusOK || at(1, first) != http.StatusOK {
		t.Fatal("the first secret is refused")
	}
	second := w.send(http.MethodPost, "/v1/clients/web/secrets", "", "")
	if a := w.send(http.MethodDelete, "/v1/clients/web/secrets/"+first.text("secret_id"), "", ""); a.status != http.StatusNoContent {
		t.Fatal(a)
	}
	if at(0, first) != http.StatusUnauthorized || at(0, second) != http.StatusOK {
		t.Error("the instance that made the change does not know it")
	}
	w.clock.Advance(time.Minute)
	if at(1, first) != http.StatusUnauthorized || at(1, second) != http.StatusOK {
		t.Error("a minute later another instance does not know the change")
	}
}
