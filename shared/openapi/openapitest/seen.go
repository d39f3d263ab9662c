package openapitest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// part is a part of a document that an exchange can have.
type part struct {
	kind   kind
	of     any // an operation, an answer, a schema, or the side of the API
	detail string
	status int
}

// kind is what a part is.
type kind string

const (
	status       kind = "the answer"             // of an operation or a side
	headerGiven  kind = "the header"             // of an answer
	parameterIn  kind = "the parameter"          // of an operation, in a request that was accepted
	memberIn     kind = "in an accepted request" // a member of a request
	answered     kind = "in an answer"           // a schema
	valueGiven   kind = "the value"              // of a schema's list of values, in an answer
	memberAbsent kind = "left out of an answer"  // a member that may be
)

func (p part) String() string {
	var of string
	switch v := p.of.(type) {
	case *operation:
		of = v.String()
	case *answer:
		of = v.at
	case *jsonschema.Schema:
		of = strings.TrimPrefix(v.Location, documentURL+"#")
		if plain, err := url.PathUnescape(of); err == nil {
			of = plain
		}
	default:
		of = fmt.Sprintf("outside operations, %v", v)
	}
	switch p.kind {
	case status:
		return fmt.Sprintf("%s: %s %d", of, p.kind, p.status)
	case headerGiven, parameterIn, valueGiven:
		return fmt.Sprintf("%s: %s %s", of, p.kind, p.detail)
	}
	return fmt.Sprintf("%s, %s", of, p.kind)
}

// value returns the part that is a value of a schema's list of values.
func value(s *jsonschema.Schema, v any) part {
	text, ok := v.(string)
	if !ok {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err) // it comes from a JSON document
		}
		text = string(b)
	}
	return part{kind: valueGiven, of: s, detail: text}
}

// seen counts the parts of a document: those that there are, and those that were in an exchange.
type seen struct {
	expected map[part]bool // written by [Document.expect] alone
	mu       sync.RWMutex
	were     map[part]bool
}

func (s *seen) add(p part) {
	s.mu.RLock()
	known := s.were[p]
	s.mu.RUnlock()
	if !known {
		s.mu.Lock()
		s.were[p] = true
		s.mu.Unlock()
	}
}

// mark counts the schemas that an answer, which is valid, has met: each member that it has or leaves out, each
// alternative, and each value of a list of values.
func (s *seen) mark(schema *jsonschema.Schema, v any) {
	s.add(part{kind: answered, of: schema})
	if schema.Enum != nil {
		s.add(value(schema, v))
	}
	if schema.Ref != nil {
		s.mark(schema.Ref, v)
	}
	for _, sub := range schema.AllOf {
		s.mark(sub, v)
	}
	for _, sub := range slices.Concat(schema.OneOf, schema.AnyOf) {
		if sub.Validate(v) == nil {
			s.mark(sub, v)
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for name, sub := range schema.Properties {
			if member, ok := v[name]; ok {
				s.mark(sub, member)
			} else {
				s.add(part{kind: memberAbsent, of: sub})
			}
		}
	case []any:
		if schema.Items2020 != nil {
			for _, item := range v {
				s.mark(schema.Items2020, item)
			}
		}
	}
}

// markRequest counts the members of a request's body.
func (s *seen) markRequest(schema *jsonschema.Schema, v any) {
	if schema.Ref != nil {
		s.markRequest(schema.Ref, v)
	}
	for _, sub := range schema.OneOf {
		if sub.Validate(v) == nil {
			s.markRequest(sub, v)
		}
	}
	if v, ok := v.(map[string]any); ok {
		for name, sub := range schema.Properties {
			if member, ok := v[name]; ok {
				s.add(part{kind: memberIn, of: sub})
				s.markRequest(sub, member)
			}
		}
	}
}

// expect lists all parts of the document that the service must have.
func (d *Document) expect() {
	expected := map[part]bool{}
	d.seen.expected, d.seen.were = expected, map[part]bool{}
	visited := map[*jsonschema.Schema]bool{}
	answers := func(of any, all map[int]*answer) {
		for code, a := range all {
			expected[part{kind: status, of: of, status: code}] = true
			for name := range a.headers {
				expected[part{kind: headerGiven, of: a, detail: name}] = true
			}
			if a.schema != nil {
				expectAnswer(expected, visited, a.schema)
			}
		}
	}
	for _, o := range d.operations {
		answers(o, o.answers)
		for _, p := range o.parameters {
			expected[part{kind: parameterIn, of: o, detail: p.name}] = true
		}
		for _, body := range o.bodies {
			expectRequest(expected, body)
		}
	}
	for side, all := range d.outside {
		answers(side, all)
	}
}

// expectAnswer lists the parts of an answer's schema, as [seen.mark] counts them.
func expectAnswer(expected map[part]bool, visited map[*jsonschema.Schema]bool, s *jsonschema.Schema) {
	if visited[s] {
		return
	}
	visited[s] = true
	expected[part{kind: answered, of: s}] = true
	if s.Enum != nil {
		for _, v := range s.Enum.Values {
			expected[value(s, v)] = true
		}
	}
	for name, sub := range s.Properties {
		if !requires(s, name) {
			expected[part{kind: memberAbsent, of: sub}] = true
		}
	}
	for _, sub := range slices.Concat([]*jsonschema.Schema{s.Ref, s.Items2020}, s.AllOf, s.OneOf, s.AnyOf, slices.Collect(maps.Values(s.Properties))) {
		if sub != nil {
			expectAnswer(expected, visited, sub)
		}
	}
}

// requires reports whether each object of a schema has that member.
func requires(s *jsonschema.Schema, name string) bool {
	return slices.Contains(s.Required, name) || s.Ref != nil && requires(s.Ref, name) ||
		slices.ContainsFunc(s.AllOf, func(part *jsonschema.Schema) bool { return requires(part, name) })
}

// expectRequest lists the members of a request's schema, as [seen.markRequest] counts them.
func expectRequest(expected map[part]bool, s *jsonschema.Schema) {
	for _, sub := range slices.Concat([]*jsonschema.Schema{s.Ref}, s.OneOf) {
		if sub != nil {
			expectRequest(expected, sub)
		}
	}
	for _, sub := range s.Properties {
		expected[part{kind: memberIn, of: sub}] = true
		expectRequest(expected, sub)
	}
}

// Unseen returns the parts of the document that were in no exchange so far: answers, their headers, members and values,
// answers without a member that may be left out, and parameters and members of requests that were accepted.
func (d *Document) Unseen() []string { return d.seen.parts(false) }

// Seen returns the other parts.
func (d *Document) Seen() []string { return d.seen.parts(true) }

// parts returns the parts that were in an exchange, or the others.
func (s *seen) parts(were bool) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var parts []string
	for p := range s.expected {
		if s.were[p] == were {
			parts = append(parts, p.String())
		}
	}
	slices.Sort(parts)
	return parts
}
