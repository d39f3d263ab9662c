package manage

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"

	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/store"
)

// addSecret serves POST /v1/clients/{client_id}/secrets, which makes a secret for a
// confidential client. The answer is the only place that shows it. A client may have two
// secrets, so that one can be replaced while both are valid.
func (a *API) addSecret(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	id, err := clientID(r)
	if err != nil {
		return err
	}
	c, err := a.Table.Client(r.Context(), id)
	if err != nil {
		return err
	}
	if !c.Confidential {
		return conflict("the client is public: it cannot keep a secret")
	}
	secretID, err := ulid.New(ulid.Timestamp(now), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a secret id: %w", err)
	}
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails, by its contract
	secret := "rotor_secret_" + base64.RawURLEncoding.EncodeToString(random[:])
	operation := operationOf(r.Context())
	operation.SecretID, operation.Changes = secretID.String(), []audit.Change{audit.SecretAdded}
	err = a.Table.AddSecret(r.Context(), id, store.Secret{ID: secretID.String(), Hash: sha256.Sum256([]byte(secret)), CreatedAt: now})
	a.Clients.Forget(id)
	if errors.Is(err, store.ErrTooManySecrets) {
		operation.SecretID = "" // there is none
		return conflict(fmt.Sprintf("the client has %d secrets already: delete one first", store.MaxSecrets))
	}
	if err != nil {
		return err
	}
	web.WriteJSON(w, http.StatusCreated, map[string]string{"client_secret": secret, "secret_id": secretID.String()})
	return nil
}

// removeSecret serves DELETE /v1/clients/{client_id}/secrets/{secret_id}, which removes a
// secret. Other instances accept it for up to 60 s more.
func (a *API) removeSecret(w http.ResponseWriter, r *http.Request) error {
	id, err := clientID(r)
	if err != nil {
		return err
	}
	secretID, err := ulid.ParseStrict(r.PathValue("secret_id"))
	if err != nil {
		return fieldErrors{{Field: "secret_id", Want: "the id of a secret"}}
	}
	err = a.Table.RemoveSecret(r.Context(), id, secretID.String())
	a.Clients.Forget(id)
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
