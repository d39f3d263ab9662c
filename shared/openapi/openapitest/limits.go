package openapitest

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Limits returns, for each member of an operation's JSON body, the values at the limits that the document sets: the least
// and the most of a number, the longest text, and each value of a list of values. The name of a member's member has a dot.
func (d *Document) Limits(method, path string) map[string][]any {
	limits := map[string][]any{}
	for _, o := range d.operations {
		if o.method == method && o.path == path {
			addMembers(limits, "", o.bodies["application/json"])
		}
	}
	return limits
}

// addMembers adds the limits of the members of an object.
func addMembers(limits map[string][]any, prefix string, s *jsonschema.Schema) {
	if s == nil {
		return
	}
	for name, member := range s.Properties {
		addLimits(limits, prefix+name, member)
	}
	for _, part := range append([]*jsonschema.Schema{s.Ref}, s.OneOf...) {
		addMembers(limits, prefix, part)
	}
}

// addLimits adds the limits of one member, and those of its own members.
func addLimits(limits map[string][]any, name string, s *jsonschema.Schema) {
	add := func(values ...any) { limits[name] = append(limits[name], values...) }
	if s.Maximum != nil {
		add(json.Number(s.Maximum.RatString()))
	}
	if s.Minimum != nil {
		add(json.Number(s.Minimum.RatString()))
	}
	if s.MaxLength != nil {
		add(strings.Repeat("a", *s.MaxLength))
	}
	if s.Enum != nil {
		add(s.Enum.Values...)
	}
	if s.Types != nil && slices.Contains(s.Types.ToStrings(), "boolean") {
		add(true, false)
	}
	if s.Types != nil && slices.Contains(s.Types.ToStrings(), "null") {
		add(nil)
	}
	for _, part := range append([]*jsonschema.Schema{s.Ref}, s.OneOf...) {
		if part != nil {
			addLimits(limits, name, part)
		}
	}
	addMembers(limits, name+".", s)
}

// Parameters returns the names of an operation's parameters in a place: path, query, header, or form for the members of a
// form.
func (d *Document) Parameters(method, path, in string) []string {
	var names []string
	for _, o := range d.operations {
		if o.method != method || o.path != path {
			continue
		}
		for _, p := range o.parameters {
			if p.in == in {
				names = append(names, p.name)
			}
		}
		form := o.bodies["application/x-www-form-urlencoded"]
		if in == "form" && form != nil {
			for _, one := range alternatives(form) {
				for name := range one.Properties {
					names = append(names, name)
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
