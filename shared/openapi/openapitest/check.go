package openapitest

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Exchange is a request and its answer.
type Exchange struct {
	Method string
	Path   string // escaped, without the path of the issuer
	Query  string
	Header http.Header
	Body   []byte

	Status       int
	AnswerHeader http.Header
	AnswerBody   []byte
}

// Check returns what the document does not say of an exchange. The answer must be one of those of its operation, of
// whatever status. A request that the service has accepted must be valid.
func (d *Document) Check(e *Exchange) error {
	o := d.find(e.Method, e.Path)
	if o == nil {
		a, ok := d.outside[side(e.Path)][e.Status]
		if !ok {
			return fmt.Errorf("%s %s is no operation, and is answered %d", e.Method, e.Path, e.Status)
		}
		d.seen.add(part{kind: status, of: side(e.Path), status: e.Status})
		return wrap(e, d.checkAnswer(a, e))
	}
	a, ok := o.answers[e.Status]
	if !ok {
		return fmt.Errorf("%s has no answer %d: %s", o, e.Status, e.AnswerBody)
	}
	d.seen.add(part{kind: status, of: o, status: e.Status})
	errs := []error{d.checkAnswer(a, e)}
	if e.Status < http.StatusBadRequest {
		errs = append(errs, d.checkRequest(o, e))
	}
	return wrap(e, errors.Join(errs...))
}

// wrap adds the request to an error, without what may be secret.
func wrap(e *Exchange, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s, answered %d: %w", e.Method, e.Path, e.Status, err)
}

// general are the headers of HTTP itself and of the Fetch standard. The document does not list them.
var general = []string{
	"Connection", "Content-Length", "Content-Type", "Date", "Vary", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods",
	"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers", "Access-Control-Max-Age",
}

// checkAnswer returns what the document does not say of an answer.
func (d *Document) checkAnswer(a *answer, e *Exchange) error {
	var errs []error
	for name, values := range e.AnswerHeader {
		h, ok := a.headers[name]
		switch {
		case ok:
			if err := h.schema.Validate(strings.Join(values, ", ")); err != nil {
				errs = append(errs, fmt.Errorf("the header %s: %w", name, err))
			}
			d.seen.add(part{kind: headerGiven, of: a, detail: name})
		case !slices.Contains(general, name):
			errs = append(errs, fmt.Errorf("the header %s is not in the document", name))
		}
	}
	for name, h := range a.headers {
		if h.required && e.AnswerHeader.Get(name) == "" {
			errs = append(errs, fmt.Errorf("the header %s is missing", name))
		}
	}
	if got := e.AnswerHeader.Get("Content-Type"); got != a.mediaType {
		errs = append(errs, fmt.Errorf("the answer is of type %q, in the document of %q", got, a.mediaType))
	}
	switch {
	case e.Method == http.MethodHead:
		if len(e.AnswerBody) > 0 {
			errs = append(errs, errors.New("the answer to HEAD has a body"))
		}
	case a.schema == nil:
		if len(e.AnswerBody) > 0 {
			errs = append(errs, errors.New("the answer has a body, and none in the document"))
		}
	default:
		var body any = string(e.AnswerBody)
		var err error
		if strings.Contains(a.mediaType, "json") {
			body, err = jsonschema.UnmarshalJSON(bytes.NewReader(e.AnswerBody))
		}
		if err == nil {
			err = a.schema.Validate(body)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the answer's body: %w", err))
			break
		}
		d.seen.mark(a.schema, body)
	}
	return errors.Join(errs...)
}

// checkRequest returns what is wrong with a request that was accepted.
func (d *Document) checkRequest(o *operation, e *Exchange) error {
	query, err := url.ParseQuery(e.Query)
	if err != nil {
		return fmt.Errorf("the query of an accepted request: %w", err)
	}
	path, _ := o.values(e.Path)
	var errs []error
	for _, p := range o.parameters {
		var values []string
		switch p.in {
		case "path":
			values = []string{path[p.name]}
		case "query":
			values = query[p.name]
			delete(query, p.name)
		case "header":
			values = e.Header.Values(p.name)
		}
		if len(values) == 0 {
			if p.required {
				errs = append(errs, fmt.Errorf("%s is missing in an accepted request", p.name))
			}
			continue
		}
		d.seen.add(part{kind: parameterIn, of: o, detail: p.name})
		if err := p.validate(strings.Join(values, ", ")); err != nil {
			errs = append(errs, fmt.Errorf("%s of an accepted request: %w", p.name, err))
		}
	}
	if strings.HasPrefix(o.path, "/v1/") { // the public endpoints ignore the query
		for name := range query {
			errs = append(errs, fmt.Errorf("an accepted request has the query parameter %s, which is not in the document", name))
		}
	}
	return errors.Join(append(errs, d.checkBody(o, e))...)
}

// validate checks the value of a parameter, which can be meant as a string or as a boolean.
func (p parameter) validate(text string) error {
	err := p.schema.Validate(text)
	if err != nil && (text == "true" || text == "false") {
		return p.schema.Validate(text == "true")
	}
	return err
}

// checkBody returns what is wrong with the body of a request that was accepted.
func (d *Document) checkBody(o *operation, e *Exchange) error {
	if len(o.bodies) == 0 {
		return nil // it has none, or it was not read
	}
	mediaType, _, err := mime.ParseMediaType(e.Header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("the content type of an accepted request: %w", err)
	}
	schema, ok := o.bodies[mediaType]
	if !ok {
		return fmt.Errorf("an accepted request has a body of type %s, which is not in the document", mediaType)
	}
	var body any
	if mediaType == "application/json" {
		body, err = jsonschema.UnmarshalJSON(bytes.NewReader(e.Body))
	} else {
		body, err = readForm(schema, e.Body)
	}
	if err == nil {
		err = schema.Validate(body)
	}
	if err != nil {
		return fmt.Errorf("the body of an accepted request: %w", err)
	}
	d.seen.markRequest(schema, body)
	return nil
}

// alternatives returns the schemas of which a value must fit one: the schema, or those in its oneOf.
func alternatives(s *jsonschema.Schema) []*jsonschema.Schema {
	for s.Ref != nil {
		s = s.Ref
	}
	if len(s.OneOf) == 0 {
		return []*jsonschema.Schema{s}
	}
	var all []*jsonschema.Schema
	for _, one := range s.OneOf {
		all = append(all, alternatives(one)...)
	}
	return all
}

// readForm returns a form as the object that its schema is about. A parameter is a list if its schema says so, or if it is
// repeated.
func readForm(schema *jsonschema.Schema, body []byte) (any, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	forms := alternatives(schema)
	isList := func(name string) bool {
		return slices.ContainsFunc(forms, func(s *jsonschema.Schema) bool {
			p := s.Properties[name]
			return p != nil && p.Items2020 != nil
		})
	}
	object := map[string]any{}
	for name, values := range form {
		if len(values) == 1 && !isList(name) {
			object[name] = values[0]
			continue
		}
		list := []any{}
		for _, v := range values {
			list = append(list, v)
		}
		object[name] = list
	}
	return object, nil
}
