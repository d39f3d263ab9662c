package tokensource_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rotor-auth/rotor/clients/tokensource"
)

// TestRedaction prints everything that holds a token, in every way a program is likely to. The
// output is searched at the end of the run.
func TestRedaction(t *testing.T) {
	w := newWorld(t)
	memory, file := tokensource.NewMemory(), tokensource.NewFile(filepath.Join(private(t), "token"))
	dynamo := openDynamo(t, w.dynamo)()
	for _, store := range []tokensource.Store{memory, file, dynamo} {
		w.begun("app", store)
		src := w.source("app", store, nil, tokensource.WithSecret("a-client-secret"))
		w.good(w.source("app", store, nil))
		w.good(src)
		trail.secrets(map[string]any{"client_secret": "a-client-secret"})
		r, err := store.Load(t.Context())
		if err != nil || len(r.Data) < 100 {
			t.Fatalf("%v, %v", r, err)
		}
		// fmt reads unexported fields directly, which must not race with goroutines of the source.
		login, _ := w.login("app")
		quiet := w.source("app", tokensource.NewMemory(), nil, tokensource.WithSecret("a-client-secret"))
		if err := quiet.Login(t.Context(), login); err != nil {
			t.Fatal(err)
		}
		held := struct {
			Record tokensource.Record
			Source *tokensource.Source
			Store  tokensource.Store
			src    *tokensource.Source
			memory tokensource.Store
		}{r, src, store, quiet, memory}
		trail.print(src, store, r, &r, held, &held, []tokensource.Record{r}, map[string]any{"r": r, "src": src},
			src.Client(), src.Client().Transport, fmt.Errorf("%v %v", r, src))
		for value, want := range map[any]string{src: "[token source]", memory: "[token in memory]", &r: fmt.Sprintf("[token record %d]", r.Version)} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				if got := fmt.Sprintf(verb, value); got != want {
					t.Errorf("%s prints %q", verb, got)
				}
			}
			if got := value.(fmt.GoStringer).GoString() + value.(slog.LogValuer).LogValue().String(); got != want+want {
				t.Errorf("GoString and LogValue are %q", got)
			}
		}
	}
}

// TestDamage checks that a damaged record, or one of a newer program, is an error that does not quote it, and is not
// overwritten.
func TestDamage(t *testing.T) {
	for _, test := range []struct{ data, want string }{
		{`{"refresh_token":"secret-r1",`, "is no token record"},
		{`{"refresh_token":7}`, "is no token record"},
		{`{"format":3,"refresh_token":"secret-r1"}`, "has format 3"},
		{`{"format":2,"refresh_token":"secret-r1","dpop_key":"secret-k1"}`, "DPoP key"},
		{`{"format":2,"refresh_token":"secret-r1","dpop_key":{"kty":"EC","crv":"P-384","x":"secret-x","y":"secret-y","d":"secret-d"}}`, "DPoP key"},
		{`{"format":2,"refresh_token":"secret-r1","dpop_key":{"kty":"EC","crv":"P-256","x":"secret-x","y":"secret-y","d":"secret-d"}}`, "DPoP key"},
		{damagedKey(t, func(k map[string]string) { k["d"] = "secret-d" }), "DPoP key"},
		{damagedKey(t, func(k map[string]string) { k["x"], k["y"] = k["y"], k["x"] }), "DPoP key"},
		{damagedKey(t, func(k map[string]string) { k["d"] = k["x"] }), "DPoP key"},
		{damagedKey(t, func(k map[string]string) { delete(k, "y") }), "DPoP key"},
	} {
		w := newWorld(t)
		store := tokensource.NewMemory()
		if err := store.Save(t.Context(), tokensource.Record{Version: 1, Data: []byte(test.data)}); err != nil {
			t.Fatal(err)
		}
		src := w.source("app", store, nil, tokensource.WithSecret("a-client-secret"))
		_, err := src.Token()
		login, _ := w.login("app")
		loginErr := src.Login(t.Context(), login)
		for _, err := range []error{err, loginErr} {
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret-") {
				t.Errorf("%s: %v", test.want, err)
			}
		}
		if r, err := store.Load(t.Context()); err != nil || string(r.Data) != test.data {
			t.Errorf("%s: the record was saved over", test.want)
		}
	}
}
