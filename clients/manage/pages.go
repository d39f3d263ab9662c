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
		var place follower
		for {
			page, err := read(place.next)
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
			more, err := place.follow(page.Next, len(page.Items))
			if err != nil {
				var none T
				yield(none, err)
			}
			if !more {
				return
			}
		}
	}
}

// maxEmpty limits the answers in a row that have nothing and name a next one. A page of the
// service can be empty where all that it has read is filtered out.
const maxEmpty = 1000

// follower goes from one answer to the next, and notices if they do not end.
type follower struct {
	next  string
	seen  map[string]bool
	empty int
}

// follow goes to the answer that next names, and reports whether there is one. The one
// before had n items.
func (f *follower) follow(next string, n int) (more bool, err error) {
	if next == "" {
		return false, nil
	}
	if f.empty++; n > 0 {
		f.empty = 0
	}
	if f.seen[next] || f.empty == maxEmpty {
		return false, errEndless
	}
	if f.seen == nil {
		f.seen = map[string]bool{}
	}
	f.seen[next] = true
	f.next = next
	return true, nil
}

// errEndless is returned instead of asking again and again.
var errEndless = errors.New("the answer is not that of a Rotor service: its pages do not end")

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

// batches repeats a call that does its work in parts, and yields what each part did. What
// sum returns is how much a part did, and what names the next one.
func batches[T any](ctx context.Context, c *Client, r request, sum func(*T) (n int, next string)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var place follower
		for {
			var done T
			err := c.call(ctx, r, &done)
			if !yield(done, err) || err != nil {
				return
			}
			n, next := sum(&done)
			more, err := place.follow(next, n)
			if err != nil {
				var none T
				yield(none, err)
			}
			if !more {
				return
			}
			r.query.Set("next", place.next)
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
