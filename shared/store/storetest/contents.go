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
	out, err := dynamodb.NewFromConfig(rt.Config()).Scan(ctx, &dynamodb.ScanInput{TableName: aws.String(rt.name), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, fmt.Errorf("scan the table: %w", err)
	}
	var all []string
	var add func(v types.AttributeValue)
	add = func(v types.AttributeValue) {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			all = append(all, v.Value)
		case *types.AttributeValueMemberB:
			all = append(all, string(v.Value))
		case *types.AttributeValueMemberM:
			for _, e := range v.Value {
				add(e)
			}
		}
	}
	for _, item := range out.Items {
		add(&types.AttributeValueMemberM{Value: item})
	}
	return all, nil
}
