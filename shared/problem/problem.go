// Package problem writes the error answers of the management API: the problem
// documents of RFC 9457.
package problem

import (
	"encoding/json"
	"net/http"
)

// MediaType is the media type of a [Document].
const MediaType = "application/problem+json"

// Document is an error document. It has no type of its own, so its title is that of
// its status (RFC 9457 §4.2.1).
type Document struct {
	Type   string  `json:"type"`
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail"`
	Errors []Field `json:"errors,omitempty"`
}

// Field is an error in one field of the request.
type Field struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Write answers with a document, which no cache may keep. detail says what went wrong;
// errs name the fields that are wrong.
func Write(w http.ResponseWriter, status int, detail string, errs ...Field) {
	body, err := json.Marshal(Document{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Errors: errs,
	})
	if err != nil {
		panic(err) // the document is made of strings and a number
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", MediaType)
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // fails only if the client has gone away
}
