package openapitest

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// seen counts the parts of a document: those that there are, and those that were in an exchange.
type seen struct {
	expected map[string]bool // written by [Document.expect] alone
	were     *sync.Map
}

func newSeen() seen { return seen{map[string]bool{}, &sync.Map{}} }

func (s *seen) add(key string) { s.were.LoadOrStore(key, true) }

func statusKey(o *operation, status int) string { return fmt.Sprintf("%s: the answer %d", o, status) }

func outsideKey(side string, status int) string {
	return fmt.Sprintf("outside operations, %s: the answer %d", side, status)
}

func headerKey(a *answer, name string) string { return a.at + ": the header " + name }

func parameterKey(o *operation, p parameter) string {
	return fmt.Sprintf("%s: the parameter %s in the %s", o, p.name, p.in)
}

// place returns the place of a schema in the document.
func place(s *jsonschema.Schema) string {
	at := strings.TrimPrefix(s.Location, documentURL+"#")
	if plain, err := url.PathUnescape(at); err == nil {
		return plain
	}
	return at
}

func answerKey(s *jsonschema.Schema) string { return place(s) + ", in an answer" }

func valueKey(s *jsonschema.Schema, value any) string {
	return place(s) + ": the value " + text(value) + ", in an answer"
}

func absentKey(s *jsonschema.Schema) string { return place(s) + ", left out of an answer" }

func memberKey(s *jsonschema.Schema) string { return place(s) + ", in an accepted request" }

// mark counts the schemas that an answer, which is valid, has met: each member that it has or leaves out, each
// alternative, and each value of a list of values.
func (s *seen) mark(schema *jsonschema.Schema, value any) {
	s.add(answerKey(schema))
	if schema.Enum != nil {
		s.add(valueKey(schema, value))
	}
	if schema.Ref != nil {
		s.mark(schema.Ref, value)
	}
	for _, part := range schema.AllOf {
		s.mark(part, value)
	}
	for _, part := range slices.Concat(schema.OneOf, schema.AnyOf) {
		if part.Validate(value) == nil {
			s.mark(part, value)
		}
	}
	switch v := value.(type) {
	case map[string]any:
		for name, part := range schema.Properties {
			if member, ok := v[name]; ok {
				s.mark(part, member)
			} else {
				s.add(absentKey(part))
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
func (s *seen) markRequest(schema *jsonschema.Schema, value any) {
	if schema.Ref != nil {
		s.markRequest(schema.Ref, value)
	}
	for _, part := range schema.OneOf {
		if part.Validate(value) == nil {
			s.markRequest(part, value)
		}
	}
	if v, ok := value.(map[string]any); ok {
		for name, part := range schema.Properties {
			if member, ok := v[name]; ok {
				s.add(memberKey(part))
				s.markRequest(part, member)
			}
		}
	}
}

// expect lists all parts of the document that the service must have.
func (d *Document) expect() {
	expected := d.seen.expected
	visited := map[*jsonschema.Schema]bool{}
	answers := func(key func(int) string, all map[int]*answer) {
		for _, status := range statuses(all) {
			a := all[status]
			expected[key(status)] = true
			for name := range a.headers {
				expected[headerKey(a, name)] = true
			}
			if a.schema != nil {
				expectAnswer(expected, visited, a.schema)
			}
		}
	}
	for _, o := range d.operations {
		answers(func(status int) string { return statusKey(o, status) }, o.answers)
		for _, p := range o.parameters {
			expected[parameterKey(o, p)] = true
		}
		for _, body := range o.bodies {
			expectRequest(expected, body)
		}
	}
	for name, all := range d.outside {
		answers(func(status int) string { return outsideKey(name, status) }, all)
	}
}

// expectAnswer lists the parts of an answer's schema, as [seen.mark] counts them.
func expectAnswer(expected map[string]bool, visited map[*jsonschema.Schema]bool, s *jsonschema.Schema) {
	if visited[s] {
		return
	}
	visited[s] = true
	expected[answerKey(s)] = true
	if s.Enum != nil {
		for _, v := range s.Enum.Values {
			expected[valueKey(s, v)] = true
		}
	}
	for name, part := range s.Properties {
		if !requires(s, name) {
			expected[absentKey(part)] = true
		}
	}
	for _, part := range slices.Concat([]*jsonschema.Schema{s.Ref, s.Items2020}, s.AllOf, s.OneOf, s.AnyOf, slices.Collect(maps.Values(s.Properties))) {
		if part != nil {
			expectAnswer(expected, visited, part)
		}
	}
}

// requires reports whether each object of a schema has that member.
func requires(s *jsonschema.Schema, name string) bool {
	return slices.Contains(s.Required, name) || s.Ref != nil && requires(s.Ref, name) ||
		slices.ContainsFunc(s.AllOf, func(part *jsonschema.Schema) bool { return requires(part, name) })
}

// expectRequest lists the members of a request's schema, as [seen.markRequest] counts them.
func expectRequest(expected map[string]bool, s *jsonschema.Schema) {
	for _, part := range slices.Concat([]*jsonschema.Schema{s.Ref}, s.OneOf) {
		if part != nil {
			expectRequest(expected, part)
		}
	}
	for _, part := range s.Properties {
		expected[memberKey(part)] = true
		expectRequest(expected, part)
	}
}

// Unseen returns the parts of the document that were in no exchange so far: answers, their headers, members and values,
// answers without a member that may be left out, and parameters and members of requests that were accepted.
func (d *Document) Unseen() []string {
	var unseen []string
	for key := range d.seen.expected {
		if _, ok := d.seen.were.Load(key); !ok {
			unseen = append(unseen, key)
		}
	}
	slices.Sort(unseen)
	return unseen
}

// Seen returns the other parts.
func (d *Document) Seen() []string {
	var parts []string
	for key := range d.seen.expected {
		if _, ok := d.seen.were.Load(key); ok {
			parts = append(parts, key)
		}
	}
	slices.Sort(parts)
	return parts
}
