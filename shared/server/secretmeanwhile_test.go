package server_test

import (
	"net/http"
	"testing"
)

// A secret that was deleted and replaced by another call is gone, and the one that came
// into its place stays.
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
