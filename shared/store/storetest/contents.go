package storetest

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Contents returns every string and every binary value in the table, with the keys.
func (rt *Transport) Contents(ctx context.Context) ([]string, error) {
	var items []map[string]types.AttributeValue
	pages := dynamodb.NewScanPaginator(dynamodb.NewFromConfig(rt.Config()), &dynamodb.ScanInput{TableName: aws.String(rt.name), ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("scan the table: %w", err)
		}
		items = append(items, page.Items...)
	}
	var all []string
	var add func(v types.AttributeValue)
	add = func(v types.AttributeValue) {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			all = append(all, v.Value)
		case *types.AttributeValueMemberB:
			all = append(all, string(v.Value))
		case *types.AttributeValueMemberL:
			for _, e := range v.Value {
				add(e)
			}
		case *types.AttributeValueMemberM:
			for _, e := range v.Value {
				add(e)
			}
		}
	}
	for _, item := range items {
		add(&types.AttributeValueMemberM{Value: item})
	}
	return all, nil
}
