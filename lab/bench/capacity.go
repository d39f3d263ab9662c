package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// reads has the operations that DynamoDB bills, with true for those that read.
var reads = map[string]bool{
	"GetItem": true, "Query": true, "Scan": true,
	"PutItem": false, "UpdateItem": false, "DeleteItem": false, "TransactWriteItems": false,
}

// used is the number of units that a request consumed.
type used struct {
	table, index float64
	unknown      bool // not reported, and not computable
}

// asking returns a request's body with ReturnConsumedCapacity added. allOld reports
// whether a failed condition returns the item.
func asking(body io.Reader) (asked []byte, allOld bool, err error) {
	var in map[string]json.RawMessage
	if err := json.NewDecoder(body).Decode(&in); err != nil {
		return nil, false, err
	}
	allOld = string(in["ReturnValuesOnConditionCheckFailure"]) == `"ALL_OLD"`
	in["ReturnConsumedCapacity"] = json.RawMessage(`"INDEXES"`)
	asked, err = json.Marshal(in)
	return asked, allOld, err
}

// consumed returns the units that a response reports. What a failed condition
// consumed is billed but not reported: it depends on the size of the existing item,
// which came with the error, and is at least one unit (the developer guide's
// "Capacity unit consumption for write operations"). If the item did not come, and
// for a cancelled transaction, the units are unknown. Other failures consume
// nothing.
func consumed(operation string, allOld bool, status int, body []byte) (used, error) {
	var out struct {
		Type             string `json:"__type"`
		ConsumedCapacity json.RawMessage
		Item             item
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return used{}, err
	}
	_, failure, _ := strings.Cut(out.Type, "#")
	switch {
	case status == http.StatusOK && out.ConsumedCapacity == nil:
		return used{unknown: true}, nil
	case status == http.StatusOK:
		return reported(operation, out.ConsumedCapacity)
	case failure == "ConditionalCheckFailedException" && allOld:
		size, err := out.Item.size()
		return used{table: float64(max(1, (size+1023)/1024))}, err
	case failure == "ConditionalCheckFailedException" || failure == "TransactionCanceledException":
		return used{unknown: true}, nil
	default:
		return used{}, nil
	}
}

func reported(operation string, capacity json.RawMessage) (used, error) {
	type of struct {
		CapacityUnits          float64
		GlobalSecondaryIndexes map[string]struct{ CapacityUnits float64 }
	}
	list := []of{{}}
	var into any = &list[0]
	if operation == "TransactWriteItems" {
		into = &list // with an entry for each table
	}
	if err := json.Unmarshal(capacity, into); err != nil {
		return used{}, err
	}
	var u used
	for _, c := range list {
		u.table += c.CapacityUnits
		for _, index := range c.GlobalSecondaryIndexes {
			u.table -= index.CapacityUnits
			u.index += index.CapacityUnits
		}
	}
	return u, nil
}

// item is an item in DynamoDB's JSON.
type item map[string]attribute

// attribute is a value, keyed by its type.
type attribute map[string]json.RawMessage

func (i item) text(name string) string {
	var s string
	_ = json.Unmarshal(i[name]["S"], &s) // otherwise it is no string
	return s
}

// size returns the item's size by "DynamoDB item sizes and formats" in the developer
// guide, as shared/store/storetest does for typed items.
func (i item) size() (int, error) {
	n := 0
	for name, value := range i {
		size, err := value.size()
		if err != nil {
			return 0, fmt.Errorf("attribute %s: %w", name, err)
		}
		n += len(name) + size
	}
	return n, nil
}

func (a attribute) size() (int, error) {
	for kind, raw := range a {
		switch kind {
		case "S", "N", "B":
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return 0, err
			}
			switch kind {
			case "N": // a byte for two digits, one more, and one for the sign
				digits := strings.TrimLeft(s, "-0")
				return (len(digits)+1)/2 + 1 + strings.Count(s, "-"), nil
			case "B":
				return base64.RawStdEncoding.DecodedLen(len(strings.TrimRight(s, "="))), nil
			}
			return len(s), nil
		case "BOOL", "NULL":
			return 1, nil
		case "L":
			var list []attribute
			if err := json.Unmarshal(raw, &list); err != nil {
				return 0, err
			}
			n := 3
			for _, e := range list {
				size, err := e.size()
				if err != nil {
					return 0, err
				}
				n += 1 + size
			}
			return n, nil
		case "M":
			var m item
			if err := json.Unmarshal(raw, &m); err != nil {
				return 0, err
			}
			size, err := m.size()
			return 3 + len(m) + size, err
		default:
			return 0, fmt.Errorf("its type is %s, which Rotor does not use", kind)
		}
	}
	return 0, errors.New("it has no value")
}
