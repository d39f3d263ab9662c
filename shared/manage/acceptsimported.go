package manage

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rotor-auth/rotor/shared/foreign"
	"github.com/rotor-auth/rotor/shared/session"
	"github.com/rotor-auth/rotor/shared/token"
)

// acceptsField is the member of a client that says which tokens may have been imported.
const acceptsField = "accepts_imported"

// maxShapePrefix limits the prefix of a shape, in bytes.
const maxShapePrefix = 64

// acceptsImported checks that member of PUT /v1/clients/{client_id} and returns the shape of the
// tokens, nil for none.
func (in *input) acceptsImported(raw json.RawMessage) *foreign.Shape {
	switch string(raw) {
	case "", "false":
		return nil
	case "true":
		return &foreign.Shape{}
	}
	var prefix string
	var length *int
	var more fieldErrors
	err := readObject(raw, acceptsField+".", map[string]any{"prefix": &prefix, "length": &length})
	if errors.As(err, &more) && more[0].Field == acceptsField { // it is no object
		in.wrong(acceptsField, session.Cut(string(raw), 64), "true, false, or an object with prefix and length")
		return nil
	}
	in.errs = append(in.errs, more...)
	return in.shape(acceptsField, prefix, length)
}

// shape checks what the tokens of another provider look like: their beginning, "" for any, and
// their length, nil for any.
func (in *input) shape(field, prefix string, length *int) *foreign.Shape {
	s := &foreign.Shape{Prefix: prefix}
	if length != nil {
		s.Length = *length
		if least := max(1, len(prefix)); *length < least || *length > foreign.MaxToken {
			in.wrong(field+".length", strconv.Itoa(*length), fmt.Sprintf("from %d to %d", least, foreign.MaxToken))
		}
	}
	switch {
	case prefix == "":
	case len(prefix) > maxShapePrefix:
		in.wrong(field+".prefix", fmt.Sprintf("%d bytes long", len(prefix)), fmt.Sprintf("at most %d bytes", maxShapePrefix))
	case strings.HasPrefix(prefix, token.Prefix):
		in.wrong(field+".prefix", strconv.Quote(prefix), "another than "+token.Prefix+": that is how Rotor's own tokens begin")
	case !(&foreign.Shape{}).Fits(prefix):
		in.wrong(field+".prefix", "", "visible ASCII characters, without spaces")
	}
	return s
}

// showShape returns a shape as a client shows it: true if any token fits.
func showShape(s *foreign.Shape) any {
	if *s == (foreign.Shape{}) {
		return true
	}
	return s
}
