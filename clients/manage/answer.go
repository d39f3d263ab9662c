package manage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// checked is an answer that may lack what it must have.
type checked interface {
	// check returns what is wrong with it.
	check() error
}

// decode reads the answer to a call. Another server than Rotor, or one that is broken, may
// answer anything: what the call needs must be there, so that nothing is taken for done.
func (r *request) decode(status int, text []byte, answer any) error {
	if answer == nil {
		if status != http.StatusNoContent {
			return fmt.Errorf("status %d", status)
		}
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return err
	}
	for _, name := range r.needs {
		if value := string(members[name]); value == "" || value == "null" || value == `""` {
			return fmt.Errorf("it has no %s", name)
		}
	}
	if c, ok := answer.(checked); ok {
		return c.check()
	}
	return nil
}

// checkAll checks the items of a list.
func checkAll[T checked](items []T) error {
	for _, item := range items {
		if err := item.check(); err != nil {
			return err
		}
	}
	return nil
}

func (f *Family) check() error {
	if f == nil || f.ID == "" || f.Status == "" {
		return errors.New("a family has no id or status")
	}
	return nil
}

func (e *Event) check() error {
	if e == nil || e.ID == "" || e.Type == "" {
		return errors.New("an event has no id or type")
	}
	return nil
}

func (r *Registration) check() error {
	switch {
	case r == nil || r.ClientID == "" || r.Type == "":
		return errors.New("a client has no id or type")
	case slices.ContainsFunc(r.Secrets, func(s Secret) bool { return s.ID == "" }):
		return errors.New("a secret has no id")
	}
	return nil
}

func (e *Explanation) check() error {
	switch e.Verdict {
	case "valid", "valid_in_reuse_interval", "dead":
	default:
		return fmt.Errorf("the verdict %.40q is not known", e.Verdict)
	}
	if e.Family != nil {
		return e.Family.check()
	}
	return nil
}

func (r *Revoked) check() error { return notNegative(r.Families) }
func (c *Changed) check() error { return notNegative(c.Families) }
func (e *Erased) check() error  { return notNegative(e.Families, e.Events) }

func notNegative(counts ...int) error {
	if slices.Min(counts) < 0 {
		return errors.New("a number is negative")
	}
	return nil
}

// list is the answer of a list.
type list[T checked] struct {
	name  string // of the member that has the items
	items []T
	next  string
}

// UnmarshalJSON reads a document such as {"families": [...], "next": "..."}.
func (l *list[T]) UnmarshalJSON(b []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(b, &members); err != nil {
		return err
	}
	if err := json.Unmarshal(members[l.name], &l.items); err != nil || l.items == nil {
		return fmt.Errorf("it has no list of %s", l.name)
	}
	if next := members["next"]; next != nil {
		return json.Unmarshal(next, &l.next)
	}
	return nil
}

func (l *list[T]) check() error { return checkAll(l.items) }

// page makes a call, and returns the page of a list that is its answer. After an error the
// page is empty.
func page[T checked](ctx context.Context, c *Client, r request, name string) (*Page[T], error) {
	answer := list[T]{name: name}
	if err := c.call(ctx, r, &answer); err != nil {
		return &Page[T]{}, err
	}
	return &Page[T]{answer.items, answer.next}, nil
}
