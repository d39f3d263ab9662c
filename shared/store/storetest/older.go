package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/store/schema"
)

// Without removes an attribute from the item with the sort key. This leaves the item as an
// older version wrote it, from before that attribute.
func (rt *Transport) Without(ctx context.Context, sk, attribute string) error {
	db := dynamodb.NewFromConfig(rt.Config())
	out, err := db.Scan(ctx, &dynamodb.ScanInput{TableName: aws.String(rt.name), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return fmt.Errorf("scan the table: %w", err)
	}
	for _, item := range out.Items {
		if key, ok := item[schema.SK].(*types.AttributeValueMemberS); !ok || key.Value != sk || item[attribute] == nil {
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

// Damage gives an attribute another value in each item whose sort key begins with the prefix,
// so that the items are such as Rotor never writes. mend restores them.
func (rt *Transport) Damage(ctx context.Context, prefix, attribute string, value any) (mend func() error, err error) {
	damaged, err := attributevalue.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("marshal another %s: %w", attribute, err)
	}
	was, err := rt.items(ctx, prefix)
	if err != nil {
		return nil, err
	}
	put := func(change func(item map[string]types.AttributeValue)) error {
		for _, item := range was {
			item = maps.Clone(item)
			change(item)
			if _, err := dynamodb.NewFromConfig(rt.Config()).PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(rt.name), Item: item}); err != nil {
				return fmt.Errorf("put an item with another %s: %w", attribute, err)
			}
		}
		return nil
	}
	mend = func() error { return put(func(map[string]types.AttributeValue) {}) }
	return mend, put(func(item map[string]types.AttributeValue) { item[attribute] = damaged })
}

// Delete deletes each item whose sort key begins with the prefix, as TTL does at the item's
// end.
func (rt *Transport) Delete(ctx context.Context, prefix string) error {
	items, err := rt.items(ctx, prefix)
	if err != nil {
		return err
	}
	for _, item := range items {
		_, err := dynamodb.NewFromConfig(rt.Config()).DeleteItem(ctx, &dynamodb.DeleteItemInput{
			TableName: aws.String(rt.name), Key: map[string]types.AttributeValue{schema.PK: item[schema.PK], schema.SK: item[schema.SK]},
		})
		if err != nil {
			return fmt.Errorf("delete an item: %w", err)
		}
	}
	return nil
}

// items reads the items whose sort key begins with the prefix. It returns an error if there is
// none.
func (rt *Transport) items(ctx context.Context, prefix string) ([]map[string]types.AttributeValue, error) {
	out, err := dynamodb.NewFromConfig(rt.Config()).Scan(ctx, &dynamodb.ScanInput{TableName: aws.String(rt.name), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, fmt.Errorf("scan the table: %w", err)
	}
	items := slices.DeleteFunc(out.Items, func(item map[string]types.AttributeValue) bool {
		key, ok := item[schema.SK].(*types.AttributeValueMemberS)
		return !ok || !strings.HasPrefix(key.Value, prefix)
	})
	if len(items) == 0 {
		return nil, fmt.Errorf("there is no item whose sort key begins with %q", prefix)
	}
	return items, nil
}
