package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rotor-auth/rotor/clients/manage"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/server"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestImportIsKilled kills an import in the middle, and runs it again. That does the rest, and a third
// run changes nothing: the table has a family for each row, once. In a long run these are 100,000, which
// needs DynamoDB Local: on the embedded store a transaction copies the whole table.
func TestImportIsKilled(t *testing.T) {
	rows := 500
	if storetest.Endpoint() != "" {
		rows = storetest.Size(100_000, rows)
	}
	table, rt := storetest.Open(t)
	document, err := keyring.Generate(signing.ES256, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := keyring.Local(document)
	if err != nil {
		t.Fatal(err)
	}
	handler := server.New(server.Config{Issuer: "https://auth.example.com", Table: table, Keys: keys, Log: slog.New(slog.DiscardHandler), Now: time.Now}).Handler()
	var calls atomic.Int64
	half, killed := make(chan struct{}), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r)
		if r.URL.Path == "/v1/imports" && calls.Add(1) == int64(rows/100+rows/200) { // the first of each row was a dry run
			close(half)
			<-killed
		}
	}))
	t.Cleanup(srv.Close)
	service, err := manage.New(srv.URL, manage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := service.Register(t.Context(), "shop", &manage.Settings{Type: "public", AcceptsImported: &manage.TokenShape{Prefix: "v1."}}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sessions.csv")
	writeSessions(t, file, rows)

	families := func() (n int) {
		t.Helper()
		sizes, err := rt.Sizes(t.Context(), "f#")
		if err != nil {
			t.Fatal(err)
		}
		return len(sizes)
	}
	cmd, _ := processFor(t, 20*time.Minute, []string{"import", file, "--client", "shop"}, "ROTOR_URL="+srv.URL)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-half
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	close(killed)
	before := families()
	if before == 0 || before == rows {
		t.Errorf("%d of %d rows were imported when it was killed", before, rows)
	}
	for run, want := range []func(imported, already int) bool{
		func(imported, already int) bool { return imported > 0 && already >= before && imported+already == rows },
		func(imported, already int) bool { return imported == 0 && already == rows },
	} {
		cmd, stderr := processFor(t, 20*time.Minute, []string{"import", file, "--client", "shop", "--json"}, "ROTOR_URL="+srv.URL)
		began := time.Now()
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err, stderr)
		}
		var got struct{ Rows, Imported, Already, Conflict, Expired, Refused int }
		if err := json.Unmarshal(out, &got); err != nil || got.Rows != rows || !want(got.Imported, got.Already) || got.Conflict+got.Expired+got.Refused > 0 {
			t.Errorf("run %d says %s", run+2, out)
		}
		t.Logf("run %d took %v: %s", run+2, time.Since(began).Round(time.Second/10), out)
	}
	tokens, err := rt.Sizes(t.Context(), "x")
	if err != nil || families() != rows || len(tokens) != rows {
		t.Errorf("the table has %d families of %d tokens: %v", families(), len(tokens), err)
	}
}

// writeSessions writes a file of sessions, a hundred of each user.
func writeSessions(t *testing.T, name string, rows int) {
	t.Helper()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(file)
	_, _ = w.WriteString("user_id,token,device\n")
	for n := range rows {
		_, _ = fmt.Fprintf(w, "user-%d,v1.%s-%07d,device %d\n", n/100, strings.Repeat("t", 40), n, n%100)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}
