package storetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"

	"github.com/rotor-auth/rotor/shared/store"
)

// Units holds numbers of read and write units, by which DynamoDB bills.
type Units struct{ Read, Write float64 }

// Capacity is the capacity that requests consumed.
type Capacity struct {
	Units
	Operations map[string]Units // by operation
	Indexes    map[string]Units // the part that each index consumed
}

// ReportsCapacity reports whether the store tells what requests consume. The embedded store
// does not.
func (rt *Transport) ReportsCapacity() bool { return rt.endpoint != "" }

// Consumed returns what was consumed since it was last called, which is nothing if the store
// does not report it.
//
// The store reports what a successful request consumed, since ReturnConsumedCapacity asks
// for it. A failed condition is billed as well, but its error does not report it. Consumed
// computes that by the developer guide's rule, "Capacity unit consumption for write
// operations": by the size of the item that is there, which the error returns, and at
// least one unit. (The guide counts the item as it would have become if that is larger,
// which is not known here.) A failed condition without ALL_OLD does not return the item,
// and the guide says nothing of a cancelled transaction. In both cases the test fails.
//
// docs/stores.md says where DynamoDB Local reports something else than DynamoDB.
func (rt *Transport) Consumed() Capacity {
	rt.t.Helper()
	rt.mu.Lock()
	defer rt.mu.Unlock()
	all := Capacity{Operations: map[string]Units{}, Indexes: map[string]Units{}}
	for _, u := range rt.used {
		if u.unknown != "" {
			rt.t.Errorf("nothing says what a %s consumed: %s", u.operation, u.unknown)
		}
		all.Units = all.add(u.operation, u.units)
		all.Operations[u.operation] = all.Operations[u.operation].add(u.operation, u.units)
		for name, units := range u.indexes {
			all.Indexes[name] = all.Indexes[name].add(u.operation, units)
		}
	}
	rt.used = nil
	return all
}

func (u Units) add(operation string, units float64) Units {
	if reads[operation] {
		u.Read += units
	} else {
		u.Write += units
	}
	return u
}

// reads lists the operations that consume capacity. The value is true for reads.
var reads = map[string]bool{
	"GetItem": true, "Query": true, "Scan": true,
	"PutItem": false, "UpdateItem": false, "DeleteItem": false, "TransactWriteItems": false,
}

// use is what one request consumed.
type use struct {
	operation string
	units     float64
	indexes   map[string]float64 // the part of the units that was for each index
	unknown   string             // why the units are unknown, or ""
}

// send sends the request to the store and returns the answer as it came, since the SDK knows
// its checksum. It asks the store to report what the request consumed, if the store can. The
// request's signature is then of another body, but DynamoDB Local checks none.
func (rt *Transport) send(r *http.Request, operation string) (*http.Response, error) {
	if _, ok := reads[operation]; !ok || !rt.ReportsCapacity() {
		return rt.below.RoundTrip(r)
	}
	r, allOld, err := askForCapacity(r)
	if err != nil {
		return nil, err
	}
	resp, err := rt.below.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	used, err := consumed(operation, allOld, resp.StatusCode, body)
	if err != nil {
		return nil, fmt.Errorf("read what a %s consumed: %w", operation, err)
	}
	rt.mu.Lock()
	rt.used = append(rt.used, used)
	rt.mu.Unlock()
	return resp, nil
}

// askForCapacity returns the request with ReturnConsumedCapacity. allOld reports whether a
// failed condition returns the item.
func askForCapacity(r *http.Request) (asked *http.Request, allOld bool, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, false, err
	}
	var in map[string]json.RawMessage
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, false, err
	}
	allOld = string(in["ReturnValuesOnConditionCheckFailure"]) == `"ALL_OLD"`
	in["ReturnConsumedCapacity"] = json.RawMessage(`"INDEXES"`)
	if body, err = json.Marshal(in); err != nil {
		return nil, false, err
	}
	r = r.Clone(r.Context())
	r.ContentLength = int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = r.GetBody()
	return r, allOld, nil
}

// reported is an element of ConsumedCapacity.
type reported struct {
	CapacityUnits          float64
	GlobalSecondaryIndexes map[string]struct{ CapacityUnits float64 }
}

// consumed returns what an answer reports that its request consumed.
func consumed(operation string, allOld bool, status int, body []byte) (use, error) {
	u := use{operation: operation, indexes: map[string]float64{}}
	var out struct {
		Type             string `json:"__type"`
		ConsumedCapacity json.RawMessage
		Item             json.RawMessage
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return u, err
	}
	_, failure, _ := strings.Cut(out.Type, "#")
	switch {
	case status == http.StatusOK && out.ConsumedCapacity == nil:
		u.unknown = "its answer has no ConsumedCapacity"
	case status == http.StatusOK:
		list := []reported{{}}
		var into any = &list[0]
		if operation == "TransactWriteItems" {
			into = &list // one for each table
		}
		if err := json.Unmarshal(out.ConsumedCapacity, into); err != nil {
			return u, err
		}
		for _, c := range list {
			u.units += c.CapacityUnits
			for name, index := range c.GlobalSecondaryIndexes {
				u.indexes[name] += index.CapacityUnits
			}
		}
	case failure == "ConditionalCheckFailedException" && allOld:
		u.units = 1
		if out.Item != nil {
			item, err := attributevalue.UnmarshalMapJSON(out.Item)
			if err != nil {
				return u, err
			}
			u.units = float64((store.ItemSize(item) + 1023) / 1024)
		}
	case failure == "ConditionalCheckFailedException" || failure == "TransactionCanceledException":
		u.unknown = failure
	}
	return u, nil // other failures consume nothing
}
