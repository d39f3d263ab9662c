package manage

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Page is one page of a list.
type Page[T any] struct {
	Items []T
	Next  string // names the next page; "" on the last one
}

// pages calls read for one page after another, and yields what is on them.
func pages[T any](read func(next string) (*Page[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for next := ""; ; {
			page, err := read(next)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			if page.Next == next {
				var none T
				yield(none, errRepeated)
				return
			}
			next = page.Next
		}
	}
}

// errRepeated is returned instead of asking for one page again and again.
var errRepeated = errors.New("the answer is not that of a Rotor service: it names itself as the next page")

// parameters returns a query with those of the pairs of name and value that have a value.
func parameters(pairs ...string) url.Values {
	q := url.Values{}
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			q.Set(pair[0], pair[1])
		}
	}
	return q
}

// batches repeats a call that does its work in parts, and yields what each part did.
func batches[T any](ctx context.Context, c *Client, r request, next func(*T) string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			var done T
			err := c.call(ctx, r, &done)
			if !yield(done, err) || err != nil {
				return
			}
			n := next(&done)
			if n == "" {
				return
			}
			r.query.Set("next", n)
		}
	}
}

// segment returns a path with an id as its last segment. An id of dots alone would name another
// path.
func segment(path, id string) string {
	id = url.PathEscape(id)
	if strings.Trim(id, ".") == "" {
		id = strings.ReplaceAll(id, ".", "%2E")
	}
	return path + "/" + id
}

func flag(b bool) string {
	if !b {
		return ""
	}
	return strconv.FormatBool(b)
}

func get(path string, pairs ...string) request {
	return request{method: http.MethodGet, path: path, query: parameters(pairs...)}
}
