package storetest

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/schema"
)

// Sizes returns the sizes in bytes, as DynamoDB counts them, of all items whose sort key
// begins with the prefix.
func (rt *Transport) Sizes(ctx context.Context, prefix string) ([]int, error) {
	pages := dynamodb.NewScanPaginator(dynamodb.NewFromConfig(rt.Config()), &dynamodb.ScanInput{TableName: aws.String(rt.name)})
	var sizes []int
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("scan the table: %w", err)
		}
		for _, item := range out.Items {
			sk, ok := item[schema.SK].(*types.AttributeValueMemberS)
			if !ok || !strings.HasPrefix(sk.Value, prefix) {
				continue
			}
			sizes = append(sizes, store.ItemSize(item))
		}
	}
	return sizes, nil
}

// Put puts an item with text attributes into the table, which may be of a kind that Rotor does
// not know.
func (rt *Transport) Put(ctx context.Context, attributes map[string]string) error {
	item := map[string]types.AttributeValue{}
	for name, value := range attributes {
		item[name] = &types.AttributeValueMemberS{Value: value}
	}
	_, err := dynamodb.NewFromConfig(rt.Config()).PutItem(ctx, &dynamodb.PutItemInput{TableName: aws.String(rt.name), Item: item})
	if err != nil {
		return fmt.Errorf("put an item: %w", err)
	}
	return nil
}
