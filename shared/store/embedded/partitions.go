package embedded

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/rotor-auth/rotor/shared/store/schema"
)

// partitions records the partitions, of all tables, that something was written to. For a
// query minidyn looks at every item of a table, which is needless for an empty partition,
// such as that of a new user.
type partitions struct {
	mu      sync.Mutex
	written map[partition]bool
	pending map[partition]int // the number of writes in progress, which may have been applied already
}

type partition struct{ table, key string }

type attributes map[string]struct{ S string }

// written returns the partitions that a request writes to, and how many items it has if it
// is a transaction. It reads the request's body, and returns the request to go on with.
func written(r *http.Request) (next *http.Request, all []partition, transacted int, err error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	switch operation {
	case "PutItem", "UpdateItem", "TransactWriteItems", "BatchWriteItem":
	default:
		return r, nil, 0, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return r, nil, 0, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	type write struct {
		TableName string
		Key, Item attributes
	}
	var in struct {
		write
		TransactItems []map[string]write
		RequestItems  map[string][]struct{ PutRequest write }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return r, nil, 0, err
	}
	add := func(table string, w write) {
		for _, a := range []attributes{w.Key, w.Item} {
			if pk, ok := a[schema.PK]; ok {
				all = append(all, partition{table, pk.S})
			}
		}
	}
	add(in.TableName, in.write)
	for _, t := range in.TransactItems {
		for _, w := range t {
			add(w.TableName, w)
		}
	}
	for table, requests := range in.RequestItems {
		for _, w := range requests {
			add(table, w.PutRequest)
		}
	}
	return r, all, len(in.TransactItems), nil
}

// begin records that a write to all of the partitions begins.
func (p *partitions) begin(all []partition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range all {
		p.pending[one]++
	}
}

// end records that the write has ended, and whether it was done.
func (p *partitions) end(all []partition, done bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range all {
		if p.pending[one]--; p.pending[one] == 0 {
			delete(p.pending, one)
		}
		if done {
			p.written[one] = true
		}
	}
}

// answer answers a query of a partition that is empty. It returns nil if there may be items.
func (p *partitions) answer(table, key string) *httptest.ResponseRecorder {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one := (partition{table, key}); p.written[one] || p.pending[one] > 0 {
		return nil
	}
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_, _ = w.WriteString(`{"Count":0,"Items":[],"ScannedCount":0}`)
	return w
}
