package embedded_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/embedded"
)

// TestRemove checks that an update removes attributes, alone and in a transaction, and tells so; that it removes
// nothing if its condition fails; and that no write beside it is lost.
func TestRemove(t *testing.T) {
	cfg := embedded.Config(embedded.New())
	if err := store.New(cfg, "table", store.DefaultRetention).Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	db, name := dynamodb.NewFromConfig(cfg), aws.String("table")
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	key := map[string]types.AttributeValue{"pk": text("a"), "sk": text("b")}
	one := map[string]types.AttributeValue{":one": &types.AttributeValueMemberN{Value: "1"}}
	names := func(item map[string]types.AttributeValue) string {
		return strings.Join(slices.Sorted(maps.Keys(item)), " ")
	}
	stored := func() map[string]types.AttributeValue {
		t.Helper()
		out, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: name, Key: key, ConsistentRead: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		return out.Item
	}
	update := func(expression, condition string) (map[string]types.AttributeValue, error) {
		in := &dynamodb.UpdateItemInput{
			TableName: name, Key: key, UpdateExpression: &expression, ExpressionAttributeValues: one, ReturnValues: types.ReturnValueAllNew,
		}
		if condition != "" {
			in.ConditionExpression = &condition
		}
		out, err := db.UpdateItem(t.Context(), in)
		if err != nil {
			return nil, err
		}
		return out.Attributes, nil
	}
	got, err := update("SET c = :one, d = :one, e = :one", "")
	if err != nil || names(got) != "c d e pk sk" {
		t.Fatal(names(got), err)
	}
	if _, err := update("SET c = :one REMOVE d", "attribute_not_exists(c) AND e = :one"); err == nil || names(stored()) != "c d e pk sk" {
		t.Errorf("a condition that fails: %v, %s", err, names(stored()))
	}
	if got, err = update("SET f = :one REMOVE c", "c = :one"); err != nil || names(got) != "d e f pk sk" || names(stored()) != "d e f pk sk" {
		t.Errorf("removed: %v, %s, %s", err, names(got), names(stored()))
	}
	_, err = db.TransactWriteItems(t.Context(), &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Update: &types.Update{TableName: name, Key: key, UpdateExpression: aws.String("SET g = :one REMOVE d, e"), ExpressionAttributeValues: one}},
		{Put: &types.Put{TableName: name, Item: map[string]types.AttributeValue{"pk": text("a"), "sk": text("c"), "d": text(" REMOVE ")}}},
	}})
	if err != nil || names(stored()) != "f g pk sk" {
		t.Errorf("removed in a transaction: %v, %s", err, names(stored()))
	}
	const writers = 20
	var done sync.WaitGroup
	for i := range writers {
		done.Go(func() {
			expression := "ADD n :one"
			if i%2 == 0 {
				expression = "SET h = :one REMOVE g"
			}
			if _, err := update(expression, ""); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	if n, ok := stored()["n"].(*types.AttributeValueMemberN); !ok || n.Value != "10" || names(stored()) != "f h n pk sk" {
		t.Errorf("with others: %v, %s", n, names(stored()))
	}
}
