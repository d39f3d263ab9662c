// Package openapi holds the OpenAPI document of the whole API. docs/openapi.yaml is its source, and `make openapi` writes
// the JSON that is embedded here.
package openapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
)

//go:embed openapi.json
var document []byte

// server begins the server of the document, whose URL [For] replaces.
const server = `"servers":[{"url":`

// example is the issuer in docs/openapi.yaml.
const example = `"https://auth.example.com"`

// For returns the document of the service with that issuer, as JSON.
func For(issuer string) []byte {
	url, err := json.Marshal(issuer)
	if err != nil {
		panic(err) // it is a string
	}
	return bytes.Replace(document, []byte(server+example), append([]byte(server), url...), 1)
}
