package server_test

import (
	"net/http"
	"testing"
)

// TestSecretReplacedMeanwhile checks the deletion of a secret that another call deletes and
// replaces at the same time. The secret is gone, and its replacement remains.
func TestSecretReplacedMeanwhile(t *testing.T) {
	w := newWorld(t)
	w.addSecret("web")
	path := "/v1/clients/web/secrets/" + w.secretIDs()[0]
	var secret string
	server := w.meanwhile(1, "UpdateItem", func() {
		w.also(http.StatusNoContent, http.MethodDelete, path, "", "")
		secret = w.addSecret("web")
	})
	if a := w.sendTo(server, http.MethodDelete, path, "", ""); a.status != http.StatusNoContent {
		t.Error(a)
	}
	if ids := w.secretIDs(); len(ids) != 1 || !w.authenticates(secret) {
		t.Errorf("the secrets are %v", ids)
	}
}
