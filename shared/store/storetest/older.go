package storetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Without takes an attribute from the one item with the sort key: what is left is
// an item as a version of before that attribute wrote it.
func (rt *Transport) Without(ctx context.Context, sk, attribute string) error {
	db := dynamodb.NewFromConfig(rt.Config())
	out, err := db.Scan(ctx, &dynamodb.ScanInput{TableName: aws.String(rt.name), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return fmt.Errorf("scan the table: %w", err)
	}
	for _, item := range out.Items {
		if key, ok := item["sk"].(*types.AttributeValueMemberS); !ok || key.Value != sk || item[attribute] == nil {
			continue
		}
		delete(item, attribute)
		if _, err := db.PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(rt.name), Item: item}); err != nil {
			return fmt.Errorf("put an item without %s: %w", attribute, err)
		}
		return nil
	}
	return errors.New("there is no such item with that attribute")
}
