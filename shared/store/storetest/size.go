package storetest

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
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
		sizes = append(sizes, itemSize(item))
	}
	return sizes, nil
}

func itemSize(item map[string]types.AttributeValue) int {
	n := 0
	for name, value := range item {
		n += len(name) + size(value)
	}
	return n
}

// size follows "DynamoDB item sizes and formats" in the developer guide: a
// number takes a byte for two significant digits and one more, and one where it
// is negative; a list or map three bytes, and one for each element. Zeros at the
// end of a number, which DynamoDB leaves out, are counted.
func size(v types.AttributeValue) int {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		digits := strings.TrimLeft(v.Value, "-0")
		return (len(digits)+1)/2 + 1 + strings.Count(v.Value, "-")
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberL:
		n := 3
		for _, e := range v.Value {
			n += 1 + size(e)
		}
		return n
	case *types.AttributeValueMemberM:
		n := 3
		for name, e := range v.Value {
			n += 1 + len(name) + size(e)
		}
		return n
	case *types.AttributeValueMemberBOOL, *types.AttributeValueMemberNULL:
		return 1
	default:
		panic(fmt.Sprintf("an attribute of a type that Rotor does not use: %T", v))
	}
}
