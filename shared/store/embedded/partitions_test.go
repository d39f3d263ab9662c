package embedded_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
)

// TestQueryOfAPartition checks that a query finds every item, by whichever request it was
// written, and nothing after a write that failed.
func TestQueryOfAPartition(t *testing.T) {
	cfg := embedded.Config(embedded.New())
	if err := store.New(cfg, "table", store.DefaultRetention).Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	db := dynamodb.NewFromConfig(cfg)
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	key := func(pk string) map[string]types.AttributeValue {
		return map[string]types.AttributeValue{"pk": text(pk), "sk": text("x")}
	}
	name := aws.String("table")
	for pk, write := range map[string]func() error{
		"put": func() error {
			_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: name, Item: key("put")})
			return err
		},
		"updated": func() error {
			_, err := db.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
				TableName: name, Key: key("updated"), UpdateExpression: aws.String("SET a = :a"),
				ExpressionAttributeValues: map[string]types.AttributeValue{":a": text("a")},
			})
			return err
		},
		"transacted": func() error {
			_, err := db.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
				{Put: &types.Put{TableName: name, Item: key("transacted")}},
			}})
			return err
		},
		"one of a batch": func() error {
			_, err := db.BatchWriteItem(t.Context(), &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{
				"table": {{PutRequest: &types.PutRequest{Item: key("one of a batch")}}},
			}})
			return err
		},
		"refused": nil,
	} {
		count := func() int32 {
			t.Helper()
			out, err := db.Query(t.Context(), &dynamodb.QueryInput{
				TableName: name, KeyConditionExpression: aws.String("pk = :pk"),
				ExpressionAttributeValues: map[string]types.AttributeValue{":pk": text(pk)},
			})
			if err != nil || int(out.Count) != len(out.Items) || out.LastEvaluatedKey != nil {
				t.Fatal(out, err)
			}
			return out.Count
		}
		if n := count(); n != 0 {
			t.Errorf("%s: %d before", pk, n)
		}
		if write == nil {
			_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: name, Item: key(pk), ConditionExpression: aws.String("attribute_exists(pk)")})
			if n := count(); n != 0 || err == nil {
				t.Errorf("%s: %d, %v", pk, n, err)
			}
			continue
		}
		if err := write(); err != nil {
			t.Fatalf("%s: %v", pk, err)
		}
		if n := count(); n != 1 {
			t.Errorf("%s: %d after", pk, n)
		}
	}
}
