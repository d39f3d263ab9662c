package manage

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/internal/web"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/store"
)

const (
	// importsField is the member with the tokens to import.
	importsField = "tokens"
	// maxImports limits the tokens of one call.
	maxImports = 100
	// maxImportBody limits the body of one call, in bytes.
	maxImportBody = 512 << 10
	// maxImportErrors limits how many errors one answer lists.
	maxImportErrors = 100
	// importConcurrency is the number of tokens imported at the same time.
	importConcurrency = 16
)

// newImports is the member with the tokens to import.
type newImports []json.RawMessage

// newImport is one of them: a family, and the hash of the foreign token that starts it.
type newImport struct {
	newFamily
	hash      string
	expiresAt time.Time
}

func (body *newImport) fields() map[string]any {
	return map[string]any{
		"user_id": &body.userID, "token_sha256": &body.hash, "scope": &body.scope, "audience": &body.audience,
		"claims": &body.claims, "auth_time": &body.authTime, "acr": &body.acr, "amr": &body.amr, "device": &body.device,
		"expires_at": &body.expiresAt,
	}
}

// importedJSON is the answer about one token.
type importedJSON struct {
	Result session.ImportResult `json:"result"`
	Family *family.ID           `json:"family,omitempty"`
}

// importTokens serves POST /v1/imports, which starts a family for each refresh token of another
// provider, given by its hash. It checks all of them before it writes anything. Repeating a call
// is harmless.
func (a *API) importTokens(w http.ResponseWriter, r *http.Request) error {
	now := a.Now()
	if err := noQuery(r); err != nil {
		return err
	}
	var body struct {
		clientID string
		tokens   newImports
		dryRun   bool
	}
	err := readJSON(r, map[string]any{"client_id": &body.clientID, importsField: &body.tokens, "dry_run": &body.dryRun})
	operation := operationOf(r.Context())
	setUserAndClient(operation, "", body.clientID)
	operation.DryRun = body.dryRun
	if err != nil {
		return err
	}
	var in input
	in.clientID(body.clientID)
	if n := len(body.tokens); n < 1 || n > maxImports {
		in.wrong(importsField, fmt.Sprintf("%d tokens", n), fmt.Sprintf("from 1 to %d", maxImports))
	}
	if err := in.err(); err != nil {
		return err
	}
	client, err := a.importingClient(r.Context(), body.clientID)
	if err != nil {
		return err
	}
	imports, err := toImports(body.tokens, client, now)
	if err != nil {
		return err
	}
	answer := struct {
		Tokens []importedJSON `json:"tokens"`
		DryRun bool           `json:"dry_run,omitempty"`
	}{make([]importedJSON, len(imports)), body.dryRun}
	group, ctx := errgroup.WithContext(r.Context())
	group.SetLimit(importConcurrency)
	for n, i := range imports {
		i.DryRun = body.dryRun
		group.Go(func() error {
			result, id, err := a.Import(ctx, i, now)
			answer.Tokens[n].Result = result
			if id != (family.ID{}) {
				answer.Tokens[n].Family = &id
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	web.WriteJSON(w, http.StatusOK, answer)
	return nil
}

// importingClient reads a client, past the cache, since an import often follows the registration.
// It returns an error if the client accepts no imported tokens, as nobody could use them.
func (a *API) importingClient(ctx context.Context, id string) (*store.Client, error) {
	client, err := a.Table.Client(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, notRegistered("client_id", id)
	}
	if err != nil {
		return nil, err
	}
	if client.AcceptsImported == nil {
		return nil, &unprocessable{Field: "client_id", Value: id, Want: "a client with " + acceptsField + ": until then it refuses the tokens of another provider"}
	}
	return client, nil
}

// toImports checks the tokens and returns what they ask for, or everything that is wrong.
func toImports(bodies newImports, client *store.Client, now time.Time) ([]session.Import, error) {
	var in input
	seen := map[[sha256.Size]byte]int{}
	imports := make([]session.Import, len(bodies))
	for n, raw := range bodies {
		at := fmt.Sprintf("%s[%d]", importsField, n)
		i, err := toImport(raw, at, client, now)
		var more fieldErrors
		if err != nil && !errors.As(err, &more) {
			return nil, err
		}
		in.errs = append(in.errs, more...)
		if first, again := seen[i.Hash]; again && err == nil {
			in.wrong(at+".token_sha256", "", fmt.Sprintf("another than that of %s[%d]", importsField, first))
		}
		if err == nil {
			seen[i.Hash] = n
		}
		imports[n] = i
	}
	if len(in.errs) > maxImportErrors {
		in.errs = in.errs[:maxImportErrors]
	}
	return imports, in.err()
}

// toImport checks a token, which is at that place of the request.
func toImport(raw json.RawMessage, at string, client *store.Client, now time.Time) (session.Import, error) {
	var body newImport
	if err := readObject(raw, at+".", body.fields()); err != nil {
		return session.Import{}, err
	}
	var in input
	in.required("user_id", body.userID, maxUserID)
	hash, ok := parseHash(body.hash)
	if !ok { // what was given is not shown: it may be the token itself
		in.wrong("token_sha256", "", "the SHA-256 of the token, 64 hexadecimal digits or 43 characters of base64url")
	}
	f, err := body.toFamily(client, false, now)
	var more fieldErrors
	if err != nil && !errors.As(err, &more) {
		return session.Import{}, err
	}
	in.errs = append(in.errs, more...)
	if end := body.expiresAt.Truncate(time.Millisecond); !end.IsZero() && (f.ExpiresAt.IsZero() || end.Before(f.ExpiresAt)) {
		f.ExpiresAt = end
	}
	if len(in.errs) == 0 {
		if err := checkRecordSize(f); errors.As(err, &more) {
			in.errs = append(in.errs, more...)
		} else if err != nil {
			return session.Import{}, err
		}
	}
	for _, e := range in.errs {
		e.Field = at + "." + e.Field
	}
	return session.Import{Hash: hash, Family: f, Policy: &client.Policy}, in.err()
}

// parseHash returns the SHA-256 that s has in hexadecimal or in base64url.
func parseHash(s string) (hash [sha256.Size]byte, ok bool) {
	b, err := hex.DecodeString(s)
	if err != nil {
		b, err = base64.RawURLEncoding.Strict().DecodeString(s)
	}
	if err != nil || len(b) != len(hash) || strings.ContainsAny(s, "\r\n") { // base64 skips line breaks
		return hash, false
	}
	return [sha256.Size]byte(b), true
}
