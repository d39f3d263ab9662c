package embedded_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
)

// TestRefusals checks that what DynamoDB refuses is refused with the same message, and that
// what DynamoDB accepts is accepted.
func TestRefusals(t *testing.T) {
	cfg := embedded.Config(embedded.New())
	if err := store.New(cfg, "table", store.DefaultRetention).Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	db := dynamodb.NewFromConfig(cfg)
	name := aws.String("table")
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	key := func(sk string) map[string]types.AttributeValue {
		return map[string]types.AttributeValue{"pk": text("a"), "sk": text(sk)}
	}
	if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: name, Item: key("m")}); err != nil {
		t.Fatal(err)
	}
	query := func(low, high, start string) error {
		in := &dynamodb.QueryInput{
			TableName: name, KeyConditionExpression: aws.String("pk = :pk AND sk BETWEEN :low AND :high"),
			ExpressionAttributeValues: map[string]types.AttributeValue{":pk": text("a"), ":low": text(low), ":high": text(high)},
		}
		if start != "" {
			in.ExclusiveStartKey = key(start)
		}
		_, err := db.Query(t.Context(), in)
		return err
	}
	transact := func(items int) error {
		in := &dynamodb.TransactWriteItemsInput{}
		for i := range items {
			in.TransactItems = append(in.TransactItems, types.TransactWriteItem{Put: &types.Put{TableName: name, Item: key(fmt.Sprint("t", i))}})
		}
		_, err := db.TransactWriteItems(t.Context(), in)
		return err
	}
	for _, tt := range []struct {
		what, want string
		err        error
	}{
		{"bounds", "", query("b", "y", "")},
		{"bounds that are one", "", query("m", "m", "")},
		{"bounds the wrong way around", "upper bound", query("y", "b", "")},
		{"a start inside", "", query("b", "y", "m")},
		{"a start at the lower bound", "", query("b", "y", "b")},
		{"a start at the upper bound", "", query("b", "y", "y")},
		{"a start below", "starting key", query("b", "y", "a")},
		{"a start above", "starting key", query("b", "y", "z")},
		{"a transaction of 100", "", transact(100)},
		{"a transaction of 101", "less than or equal to 100", transact(101)},
	} {
		if (tt.err != nil) != (tt.want != "") || tt.err != nil && (!strings.Contains(tt.err.Error(), tt.want) || !strings.Contains(tt.err.Error(), "ValidationException")) {
			t.Errorf("%s: %v", tt.what, tt.err)
		}
	}
}
