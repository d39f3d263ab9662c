package storetest

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/store"
)

// Sizes are the sizes in bytes, as DynamoDB counts them, of all items in the
// table whose sort key begins with the prefix.
func (rt *Transport) Sizes(ctx context.Context, prefix string) ([]int, error) {
	out, err := dynamodb.NewFromConfig(rt.Config()).Scan(ctx, &dynamodb.ScanInput{TableName: aws.String(rt.name)})
	if err != nil {
		return nil, fmt.Errorf("scan the table: %w", err)
	}
	var sizes []int
	for _, item := range out.Items {
		sk, ok := item["sk"].(*types.AttributeValueMemberS)
		if !ok || !strings.HasPrefix(sk.Value, prefix) {
			continue
		}
		sizes = append(sizes, store.ItemSize(item))
	}
	return sizes, nil
}
