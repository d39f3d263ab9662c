package storetest_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/store/storetest"
)

type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue   { return &types.AttributeValueMemberS{Value: s} }
func number(n string) types.AttributeValue { return &types.AttributeValueMemberN{Value: n} }

// sized returns an item of that size by the guide's rules, with every type of
// attribute that Rotor uses.
func sized(sk string, size int) item {
	m := item{
		"pk": text("p"), "sk": text(sk), // 2+1 and 2+1
		"n":  number("1767323045006"),                                                               // 1+8
		"-":  number("-5"),                                                                          // 1+3
		"b":  &types.AttributeValueMemberB{Value: []byte{0, 1, 2, 3, 4}},                            // 1+5
		"t":  &types.AttributeValueMemberBOOL{Value: true},                                          // 1+1
		"l":  &types.AttributeValueMemberL{Value: []types.AttributeValue{number("7"), text("été")}}, // 1+3 +1+2 +1+5
		"m":  &types.AttributeValueMemberM{Value: item{"x": text("y")}},                             // 1+3 +1+1+1
		"ué": text(""),                                                                              // 3+0
	}
	m["pad"] = text(strings.Repeat("x", size-53)) // 3+…
	return m
}

// TestConsumed checks that what the store reports, and what is computed for a failed
// condition, are the numbers of the developer guide, to the byte.
func TestConsumed(t *testing.T) {
	_, rt := storetest.Open(t)
	db := dynamodb.NewFromConfig(rt.Config())
	ctx, name := t.Context(), aws.String(rt.Name())
	put := func(m item) func() error {
		return func() error {
			_, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: name, Item: m})
			return err
		}
	}
	get := func(sk string, consistent bool) func() error {
		return func() error {
			_, err := db.GetItem(ctx, &dynamodb.GetItemInput{TableName: name, Key: item{"pk": text("p"), "sk": text(sk)}, ConsistentRead: &consistent})
			return err
		}
	}
	query := func(index, key, value string, consistent bool) func() error {
		in := &dynamodb.QueryInput{
			TableName: name, KeyConditionExpression: aws.String(key + " = :v"), ExpressionAttributeValues: item{":v": text(value)}, ConsistentRead: &consistent,
		}
		if index != "" {
			in.IndexName = &index
		}
		return func() error {
			_, err := db.Query(ctx, in)
			return err
		}
	}
	update := func(sk, condition string) func() error {
		return func() error {
			_, err := db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
				TableName: name, Key: item{"pk": text("p"), "sk": text(sk)},
				UpdateExpression: aws.String("SET n = :n"), ConditionExpression: &condition, ExpressionAttributeValues: item{":n": number("1767323045007")},
				ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
			})
			return err
		}
	}
	indexed := func(sk string, size int) item {
		m := sized(sk, size-18)
		m["log_pk"], m["log_sk"] = text("day"), text(sk+"-1") // 6+3 and 6+3
		return m
	}
	const exists, absent = "attribute_exists(pk)", "attribute_not_exists(pk)"
	for _, tt := range []struct {
		what      string
		do        func() error
		operation string
		fails     bool
		want      storetest.Units
		index     storetest.Units
	}{
		{"put 1,024 bytes", put(sized("1", 1024)), "PutItem", false, storetest.Units{Write: 1}, storetest.Units{}},
		{"put 1,025 bytes", put(sized("2", 1025)), "PutItem", false, storetest.Units{Write: 2}, storetest.Units{}},
		{"put 4,096 bytes", put(sized("3", 4096)), "PutItem", false, storetest.Units{Write: 4}, storetest.Units{}},
		{"put 4,097 bytes", put(sized("4", 4097)), "PutItem", false, storetest.Units{Write: 5}, storetest.Units{}},
		{"update 1,024 bytes", update("1", exists), "UpdateItem", false, storetest.Units{Write: 1}, storetest.Units{}},
		{"update 1,025 bytes", update("2", exists), "UpdateItem", false, storetest.Units{Write: 2}, storetest.Units{}},
		{"fail on 1,024 bytes", update("1", absent), "UpdateItem", true, storetest.Units{Write: 1}, storetest.Units{}},
		{"fail on 1,025 bytes", update("2", absent), "UpdateItem", true, storetest.Units{Write: 2}, storetest.Units{}},
		{"fail on nothing", update("none", exists), "UpdateItem", true, storetest.Units{Write: 1}, storetest.Units{}},
		{"read 4,096 bytes", get("3", true), "GetItem", false, storetest.Units{Read: 1}, storetest.Units{}},
		{"read 4,097 bytes", get("4", true), "GetItem", false, storetest.Units{Read: 2}, storetest.Units{}},
		{"read 4,097 bytes eventually", get("4", false), "GetItem", false, storetest.Units{Read: 1}, storetest.Units{}},
		{"read nothing", get("none", true), "GetItem", false, storetest.Units{Read: 1}, storetest.Units{}},
		{"query 10,242 bytes", query("", "pk", "p", true), "Query", false, storetest.Units{Read: 3}, storetest.Units{}},
		{"put 1,024 bytes, indexed", put(indexed("5", 1024)), "PutItem", false, storetest.Units{Write: 2}, storetest.Units{Write: 1}},
		{"put 1,025 bytes, indexed", put(indexed("6", 1025)), "PutItem", false, storetest.Units{Write: 4}, storetest.Units{Write: 2}},
		{"query the index", query("log", "log_pk", "day", false), "Query", false, storetest.Units{Read: .5}, storetest.Units{Read: .5}},
	} {
		rt.Counted()
		rt.Consumed()
		err := tt.do()
		var failed *types.ConditionalCheckFailedException
		if err != nil && !tt.fails || tt.fails && !errors.As(err, &failed) {
			t.Fatalf("%s: %v", tt.what, err)
		}
		if calls := rt.Counted(); !slices.Equal(calls, []string{tt.operation}) {
			t.Errorf("%s: requests %v", tt.what, calls)
		}
		want := storetest.Capacity{Operations: map[string]storetest.Units{}, Indexes: map[string]storetest.Units{}}
		if rt.ReportsCapacity() {
			want.Units = tt.want
			want.Operations[tt.operation] = tt.want
			if tt.index != (storetest.Units{}) {
				want.Indexes["log"] = tt.index
			}
		}
		if diff := cmp.Diff(want, rt.Consumed()); diff != "" {
			t.Errorf("%s: %s", tt.what, diff)
		}
	}
	sizes, err := rt.Sizes(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(sizes)
	if want := []int{1024, 1024, 1025, 1025, 4096, 4097}; !slices.Equal(sizes, want) {
		t.Errorf("the items have %v bytes, not %v", sizes, want)
	}
}

// TestConsumedByTransaction checks that a transaction costs twice, and that an index that it
// writes to is reported separately.
func TestConsumedByTransaction(t *testing.T) {
	_, rt := storetest.Open(t)
	db := dynamodb.NewFromConfig(rt.Config())
	event := sized("e", 500)
	event["log_pk"], event["log_sk"] = text("day"), text("1")
	_, err := db.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Put: &types.Put{TableName: aws.String(rt.Name()), Item: sized("1", 1025)}},
		{Put: &types.Put{TableName: aws.String(rt.Name()), Item: event}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if calls := rt.Counted(); !slices.Equal(calls, []string{"TransactWriteItems"}) {
		t.Errorf("requests %v", calls)
	}
	c := rt.Consumed()
	got := fmt.Sprint(c.Read, c.Write, c.Indexes)
	want := "0 0 map[]"
	if rt.ReportsCapacity() {
		want = "0 8 map[log:{0 2}]" // DynamoDB itself takes 7, and 1 for the index: see docs/stores.md
	}
	if got != want {
		t.Errorf("consumed %s, not %s", got, want)
	}
}
