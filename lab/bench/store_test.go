package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

func TestSince(t *testing.T) {
	before := counts{Operations: map[string]int64{"GetItem": 2, "UpdateItem": 3}, Write: 3, Read: 2, Unknown: 1}
	after := counts{Operations: map[string]int64{"GetItem": 2, "UpdateItem": 5, "Query": 1}, Write: 6, Read: 2.5, Index: .5, Unknown: 1}
	want := counts{Operations: map[string]int64{"UpdateItem": 2, "Query": 1}, Write: 3, Read: .5, Index: .5}
	if diff := cmp.Diff(want, after.since(before)); diff != "" {
		t.Error(diff)
	}
}

// TestCountingStore checks that the proxy passes on requests and answers unchanged, and counts
// what is billed.
func TestCountingStore(t *testing.T) {
	var asked string
	below := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in map[string]any
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		asked, _ = in["ReturnConsumedCapacity"].(string)
		w.Header().Set("X-Amz-Crc32", "7")
		switch r.Header.Get("X-Amz-Target") {
		case "DynamoDB_20120810.UpdateItem":
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","Item":{"pk":{"S":"` + strings.Repeat("x", 1023) + `"}}}`))
		case "DynamoDB_20120810.Query":
			_, _ = w.Write([]byte(`{"ConsumedCapacity":{"CapacityUnits":1.5,"GlobalSecondaryIndexes":{"log":{"CapacityUnits":0.5}}}}`))
		default:
			_, _ = w.Write([]byte(`{}`))
		}
	}))
	defer below.Close()
	s, err := newCountingStore(below.URL)
	if err != nil {
		t.Fatal(err)
	}
	send := func(operation, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Header().Get("X-Amz-Crc32") != "7" {
			t.Errorf("%s is answered with the headers %v", operation, w.Header())
		}
		return w
	}
	if w := send("UpdateItem", `{"ReturnValuesOnConditionCheckFailure":"ALL_OLD"}`); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "xxx") || asked != "INDEXES" {
		t.Errorf("answered %d %s, asked for %q", w.Code, w.Body, asked)
	}
	send("Query", `{}`)
	send("GetItem", `{}`) // its answer has no capacity
	if send("DescribeTable", `{}`); asked != "" {
		t.Errorf("a call that is not billed is asked for %q", asked)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, countsPath, nil))
	var got counts
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := counts{Operations: map[string]int64{"UpdateItem": 1, "Query": 1, "GetItem": 1, "DescribeTable": 1}, Write: 2, Read: 1, Index: .5, Unknown: 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	below.Close()
	w = httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{}")))
	if w.Code != http.StatusBadGateway {
		t.Errorf("with nothing below it answers %d", w.Code)
	}
}

func TestConsumed(t *testing.T) {
	const failure = `{"__type":"com.amazonaws.dynamodb.v20120810#`
	item := func(bytes int) string { return `,"Item":{"pk":{"S":"` + strings.Repeat("x", bytes-2) + `"}}}` }
	for _, tt := range []struct {
		what, operation string
		allOld          bool
		status          int
		body            string
		want            used
	}{
		{"a read", "GetItem", false, 200, `{"ConsumedCapacity":{"CapacityUnits":0.5}}`, used{table: .5}},
		{"an indexed put", "PutItem", false, 200, `{"ConsumedCapacity":{"CapacityUnits":3,"GlobalSecondaryIndexes":{"log":{"CapacityUnits":1}}}}`, used{table: 2, index: 1}},
		{"a transaction", "TransactWriteItems", false, 200, `{"ConsumedCapacity":[{"CapacityUnits":4},{"CapacityUnits":2}]}`, used{table: 6}},
		{"an answer without", "GetItem", false, 200, `{}`, used{unknown: true}},
		{"a failed condition, 1,024 bytes", "UpdateItem", true, 400, failure + `ConditionalCheckFailedException"` + item(1024), used{table: 1}},
		{"a failed condition, 1,025 bytes", "UpdateItem", true, 400, failure + `ConditionalCheckFailedException"` + item(1025), used{table: 2}},
		{"a failed condition, no item", "UpdateItem", true, 400, failure + `ConditionalCheckFailedException"}`, used{table: 1}},
		{"a failed condition, not shown", "UpdateItem", false, 400, failure + `ConditionalCheckFailedException"}`, used{unknown: true}},
		{"a cancelled transaction", "TransactWriteItems", true, 400, failure + `TransactionCanceledException"}`, used{unknown: true}},
		{"another failure", "UpdateItem", true, 400, failure + `ValidationException"}`, used{}},
	} {
		if got, err := consumed(tt.operation, tt.allOld, tt.status, []byte(tt.body)); err != nil || got != tt.want {
			t.Errorf("%s consumes %+v, not %+v: %v", tt.what, got, tt.want, err)
		}
	}
	if _, err := consumed("GetItem", false, 200, []byte("<html>")); err == nil {
		t.Error("what is no answer is read")
	}
}

func TestItemSize(t *testing.T) {
	var i item
	text := `{"pk":{"S":"été"},"n":{"N":"1767323045006"},"-":{"N":"-5"},"b":{"B":"AAECAwQ="},"t":{"BOOL":true},"l":{"L":[{"N":"7"},{"S":"x"}]},"m":{"M":{"x":{"S":"y"}}}}`
	if err := json.Unmarshal([]byte(text), &i); err != nil {
		t.Fatal(err)
	}
	want := 2 + 5 + 1 + 8 + 1 + 3 + 1 + 5 + 1 + 1 + 1 + 3 + 1 + 2 + 1 + 1 + 1 + 3 + 1 + 1 + 1
	if got, err := i.size(); err != nil || got != want {
		t.Errorf("%d bytes, not %d: %v", got, want, err)
	}
	for _, text := range []string{`{"a":{"SS":["x"]}}`, `{"a":{}}`, `{"a":{"N":1}}`} {
		var i item
		if err := json.Unmarshal([]byte(text), &i); err != nil {
			t.Fatal(err)
		}
		if got, err := i.size(); err == nil {
			t.Errorf("%s has %d bytes", text, got)
		}
	}
}

// TestItemSizeIsThatOfTheTests checks that the size of an item in JSON is the size that
// storetest computes from its types.
func TestItemSizeIsThatOfTheTests(t *testing.T) {
	table, rt := storetest.Open(t)
	now := time.Date(2030, 1, 2, 3, 4, 5, 6e6, time.UTC)
	if _, _, err := table.PutClient(t.Context(), &store.Client{ID: "app", Scope: []string{"read", "write"}, CreatedAt: now, UpdatedAt: now}); err != nil {
		t.Fatal(err)
	}
	want, err := rt.Sizes(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := storetest.Endpoint()
	if endpoint == "" {
		endpoint = "http://dynamodb.invalid"
	}
	got, err := items(t.Context(), rt, endpoint, rt.Name(), "")
	if err != nil || len(got) == 0 || !slices.Equal(got, want) {
		t.Errorf("sizes %v, not %v: %v", got, want, err)
	}
}
