package command

import (
	"bytes"
	"encoding/json"
	"errors"

	"github.com/rotor-auth/rotor/clients/manage"
)

// acceptedShape is accepts_imported in a file of clients, nil for none.
type acceptedShape struct{ *manage.TokenShape }

// UnmarshalJSON reads true, false or an object, which must have no other members.
func (s *acceptedShape) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "true":
		s.TokenShape = &manage.TokenShape{}
		return nil
	case "false":
		s.TokenShape = nil
		return nil
	}
	var shape struct {
		Prefix string `json:"prefix"`
		Length int    `json:"length"`
	}
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&shape); err != nil {
		return errors.New("it must be true, false, or a mapping with a prefix, a length or both")
	}
	s.TokenShape = &manage.TokenShape{Prefix: shape.Prefix, Length: shape.Length}
	return nil
}

// shapeText returns a shape as JSON, "" for none.
func shapeText(s *manage.TokenShape) string {
	if s == nil {
		return ""
	}
	text, _ := json.Marshal(s) // of a string and a number
	return string(text)
}
