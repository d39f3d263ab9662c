package openapi_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/rotor-auth/rotor/shared/openapi"
	"github.com/rotor-auth/rotor/shared/version"
)

// TestDocumentIsOpenAPI checks docs/openapi.yaml by the rules of OpenAPI 3.1, its examples too.
func TestDocumentIsOpenAPI(t *testing.T) {
	text, err := os.ReadFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if !doc.IsOpenAPI31OrLater() {
		t.Errorf("it is of OpenAPI %s", doc.OpenAPI)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestDocumentOfAnIssuer checks that a service's document names it, in JSON of the same content otherwise.
func TestDocumentOfAnIssuer(t *testing.T) {
	type document struct {
		OpenAPI string
		Info    struct{ Version string }
		Servers []struct{ URL, Description string }
		Paths   map[string]any
	}
	read := func(issuer string) (d document) {
		if err := json.Unmarshal(openapi.For(issuer), &d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, issuer := range []string{"https://auth.example.com", "https://auth.example.com/eu", "http://127.0.0.1:3000", `https://x"y`} {
		d := read(issuer)
		if len(d.Servers) != 1 || d.Servers[0].URL != issuer || d.OpenAPI != "3.1.0" || len(d.Paths) == 0 {
			t.Errorf("%s: the document is OpenAPI %s with %d paths at %v", issuer, d.OpenAPI, len(d.Paths), d.Servers)
		}
		if d.Info.Version != version.Number {
			t.Errorf("the document is of version %s: write %s into docs/openapi.yaml", d.Info.Version, version.Number)
		}
	}
}
