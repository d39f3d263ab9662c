package command

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
)

// parse returns the one document of a file of YAML, or nil if there is something wrong with it.
func (f *clientFile) parse(text []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) || (err == nil && len(document.Content) != 1) {
		f.wrong(&yaml.Node{Line: 1, Column: 1}, "the file is empty: it must have clients")
		return nil
	}
	if err == nil {
		if err = decoder.Decode(&second); err == nil {
			f.wrong(&second, "a second document begins: the file must have one")
			return nil
		}
	}
	if !errors.Is(err, io.EOF) {
		f.wrong(placeOf(err, text), "%s", faultOf(err))
		return nil
	}
	if f.refuseAliases(&document); len(f.errs) > 0 {
		return nil
	}
	return document.Content[0]
}

// refuseAliases refuses aliases: with them a short file can have more members than fit the
// memory.
func (f *clientFile) refuseAliases(n *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		f.wrong(n, "an alias is not allowed: write what *%s stands for", n.Value)
	}
	for _, child := range n.Content {
		f.refuseAliases(child)
	}
}

// placeOf returns where an error of the YAML package is, within the text.
func placeOf(err error, text []byte) *yaml.Node {
	var e *yaml.LoadError
	if !errors.As(err, &e) || e.Mark.Line < 1 {
		return &yaml.Node{Line: 1, Column: 1}
	}
	lines := strings.Split(strings.TrimRight(string(text), "\r\n"), "\n")
	if e.Mark.Line > len(lines) { // the file ends too early
		return &yaml.Node{Line: len(lines), Column: len(lines[len(lines)-1]) + 1}
	}
	return &yaml.Node{Line: e.Mark.Line, Column: max(e.Mark.Column, 1)}
}

// faultOf returns what is wrong, without its place.
func faultOf(err error) string {
	var e *yaml.LoadError
	if errors.As(err, &e) {
		return e.Message
	}
	return strings.TrimPrefix(err.Error(), "yaml: ")
}
