// Command openapi turns docs/openapi.yaml into the JSON that Rotor serves. It keeps the order, so that what shows the document
// to people shows it as it was written.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"go.yaml.in/yaml/v4"
)

// The files, from the root of the repository.
const (
	source = "docs/openapi.yaml"
	target = "shared/openapi/openapi.json"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

func run() error {
	text, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	out, err := convert(text)
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	return os.WriteFile(target, out, 0o644) //nolint:gosec // it is a public document
}

// convert returns a YAML document as JSON on one line.
func convert(text []byte) ([]byte, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	if root.Kind != yaml.DocumentNode || len(root.Content) != 1 {
		return nil, errors.New("it is not one YAML document")
	}
	var out bytes.Buffer
	if err := write(&out, root.Content[0]); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// write appends a node as JSON.
func write(out *bytes.Buffer, n *yaml.Node) error {
	switch n.Kind {
	case yaml.AliasNode:
		return write(out, n.Alias)
	case yaml.MappingNode:
		out.WriteByte('{')
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i]
			if name.Kind != yaml.ScalarNode || name.Tag != "!!str" || seen[name.Value] {
				return fmt.Errorf("line %d: a name must be a string, and given once", name.Line)
			}
			seen[name.Value] = true
			if i > 0 {
				out.WriteByte(',')
			}
			if err := write(out, name); err != nil {
				return err
			}
			out.WriteByte(':')
			if err := write(out, n.Content[i+1]); err != nil {
				return err
			}
		}
		out.WriteByte('}')
	case yaml.SequenceNode:
		out.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := write(out, item); err != nil {
				return err
			}
		}
		out.WriteByte(']')
	default:
		var value any
		if err := n.Decode(&value); err != nil {
			return err
		}
		switch value.(type) {
		case nil, bool, int, string:
		default:
			return fmt.Errorf("line %d: %q is a %T, which is not meant to be in the document: quote it", n.Line, n.Value, value)
		}
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		if err := e.Encode(value); err != nil {
			return err
		}
		out.Truncate(out.Len() - 1) // the line break of Encode
	}
	return nil
}
