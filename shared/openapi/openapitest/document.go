// Package openapitest holds requests and their answers against the OpenAPI document, for tests. It remembers what of the
// document it has seen, so that a test can find what the service does not have.
package openapitest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rotor-auth/rotor/shared/openapi"
)

// Document is the OpenAPI document, compiled. It is safe for concurrent use.
type Document struct {
	operations []*operation
	outside    map[string]map[int]*answer // by the side of the API, see [side]
	seen       seen
}

// operation is a method of a path.
type operation struct {
	method, path string
	id           string
	parameters   []parameter
	bodies       map[string]*jsonschema.Schema // by media type
	answers      map[int]*answer
}

func (o *operation) String() string { return o.method + " " + o.path }

// parameter is a parameter of an operation.
type parameter struct {
	name, in string
	required bool
	schema   *jsonschema.Schema
}

// answer is what the document says of the answers with one status.
type answer struct {
	at        string // its place in the document
	mediaType string // "" if there is no body
	schema    *jsonschema.Schema
	headers   map[string]header
}

// header is a header of an answer.
type header struct {
	required bool
	schema   *jsonschema.Schema
}

// Operation names an operation of the document.
type Operation struct{ ID, Method, Path string }

// Operations returns all operations, in the order of the document's paths.
func (d *Document) Operations() []Operation {
	var all []Operation
	for _, o := range d.operations {
		all = append(all, Operation{o.id, o.method, o.path})
	}
	return all
}

// Load returns the document, which is compiled once for all tests of a program.
var Load = sync.OnceValue(func() *Document {
	d, err := compile(openapi.For("https://auth.example.com"))
	if err != nil {
		panic(err)
	}
	return d
})

// read returns a compiler of a document.
func read(text []byte) (*compiler, error) {
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	c := &compiler{root: root, schemas: jsonschema.NewCompiler(), shared: map[string]*answer{}}
	c.schemas.DefaultDraft(jsonschema.Draft2020)
	c.schemas.AssertFormat()
	if err := c.schemas.AddResource(documentURL, root); err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	return c, nil
}

// compile compiles a document.
func compile(text []byte) (*Document, error) {
	c, err := read(text)
	if err != nil {
		return nil, err
	}
	d := &Document{outside: map[string]map[int]*answer{}}
	for path, p := range c.members("/paths") {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete} {
			if at := p + "/" + strings.ToLower(method); c.has(at) {
				d.operations = append(d.operations, c.operation(method, path, p, at))
			}
		}
	}
	slices.SortFunc(d.operations, func(a, b *operation) int { return strings.Compare(a.path+" "+a.method, b.path+" "+b.method) })
	for name, at := range c.members("/x-answers-outside-operations") {
		d.outside[name] = c.answers(at)
	}
	d.expect()
	return d, c.err
}

const documentURL = "https://auth.example.com/openapi.json"

// compiler reads the parts of a document. Places are JSON pointers. It keeps the first error.
type compiler struct {
	root    any
	schemas *jsonschema.Compiler
	shared  map[string]*answer // by their places
	err     error
}

// resolve returns the value at a place, and its own place if it is a reference.
func (c *compiler) resolve(at string) (value any, place string) {
	for {
		value = c.root
		for name := range strings.SplitSeq(strings.TrimPrefix(at, "/"), "/") {
			switch v := value.(type) {
			case map[string]any:
				value = v[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
			case []any:
				if i, err := strconv.Atoi(name); err == nil && i < len(v) {
					value = v[i]
				}
			default:
				value = nil
			}
		}
		m, _ := value.(map[string]any)
		ref, ok := m["$ref"].(string)
		if !ok {
			return value, at
		}
		at = strings.TrimPrefix(ref, "#")
	}
}

// has reports whether there is anything at a place.
func (c *compiler) has(at string) bool {
	v, _ := c.resolve(at)
	return v != nil
}

// text returns the string at a place.
func (c *compiler) text(at string) string {
	v, _ := c.resolve(at)
	s, _ := v.(string)
	return s
}

// flag reports whether there is true at a place.
func (c *compiler) flag(at string) bool {
	v, _ := c.resolve(at)
	return v == true
}

// members returns the places of the members of the object at a place, by name.
func (c *compiler) members(at string) map[string]string {
	v, at := c.resolve(at)
	found := map[string]string{}
	if m, ok := v.(map[string]any); ok {
		for name := range m {
			found[name] = at + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		}
	}
	return found
}

// elements returns the places of the elements of the array at a place.
func (c *compiler) elements(at string) []string {
	v, at := c.resolve(at)
	var found []string
	if list, ok := v.([]any); ok {
		for i := range list {
			found = append(found, at+"/"+strconv.Itoa(i))
		}
	}
	return found
}

// schema compiles the schema at a place, which may be a reference.
func (c *compiler) schema(at string) *jsonschema.Schema {
	s, err := c.schemas.Compile(documentURL + "#" + (&url.URL{Path: at}).EscapedPath())
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("the schema at %s: %w", at, err)
	}
	return s
}

// operation reads the operation at a place of the path at place p.
func (c *compiler) operation(method, path, p, at string) *operation {
	o := &operation{method: method, path: path, id: c.text(at + "/operationId"), bodies: map[string]*jsonschema.Schema{}, answers: c.answers(at + "/responses")}
	for _, place := range slices.Concat(c.elements(p+"/parameters"), c.elements(at+"/parameters")) {
		_, place = c.resolve(place)
		o.parameters = append(o.parameters, parameter{
			name: c.text(place + "/name"), in: c.text(place + "/in"), required: c.flag(place + "/required"), schema: c.schema(place + "/schema"),
		})
	}
	_, body := c.resolve(at + "/requestBody")
	for mediaType, place := range c.members(body + "/content") {
		o.bodies[mediaType] = c.schema(place + "/schema")
	}
	return o
}

// answers reads the answers at a place, by status.
func (c *compiler) answers(at string) map[int]*answer {
	all := map[int]*answer{}
	for name, place := range c.members(at) {
		status, err := strconv.Atoi(name)
		if err != nil && c.err == nil {
			c.err = fmt.Errorf("%s: the status %q is none", at, name)
		}
		_, place = c.resolve(place)
		if a, ok := c.shared[place]; ok {
			all[status] = a
			continue
		}
		a := &answer{at: place, headers: map[string]header{}}
		for name, place := range c.members(place + "/headers") {
			_, place = c.resolve(place)
			a.headers[http.CanonicalHeaderKey(name)] = header{c.flag(place + "/required"), c.schema(place + "/schema")}
		}
		types := c.members(place + "/content")
		if len(types) > 1 && c.err == nil {
			c.err = fmt.Errorf("%s has answers of several types", place)
		}
		for mediaType, place := range types {
			a.mediaType, a.schema = mediaType, c.schema(place+"/schema")
		}
		all[status], c.shared[place] = a, a
	}
	return all
}

// find returns the operation of a request, nil if there is none. The path is escaped.
func (d *Document) find(method, path string) *operation {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, o := range d.operations {
		if _, ok := o.values(path); ok && o.method == method {
			return o
		}
	}
	return nil
}

// values returns the values of the path's parameters. ok is false if it is another path.
func (o *operation) values(path string) (values map[string]string, ok bool) {
	template, got := strings.Split(o.path, "/"), strings.Split(path, "/")
	if len(template) != len(got) {
		return nil, false
	}
	values = map[string]string{}
	for i, want := range template {
		value, err := url.PathUnescape(got[i])
		if err != nil {
			return nil, false
		}
		if name, ok := strings.CutPrefix(want, "{"); ok && value != "" && value != "." && value != ".." {
			values[strings.TrimSuffix(name, "}")] = value
		} else if want != value {
			return nil, false
		}
	}
	return values, true
}

// side returns the side of the API that answers a request of no operation.
func side(path string) string {
	if path == "/v1" || strings.HasPrefix(path, "/v1/") {
		return "management"
	}
	if strings.HasPrefix(path, "/auth/v1/") {
		return "supabase"
	}
	return "public"
}
