package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Image returns every attribute of every item in the table, an item a line. Two images of a table are the
// same if and only if nothing was written between them that differs from what was there.
func (rt *Transport) Image(ctx context.Context) (string, error) {
	var lines []string
	pages := dynamodb.NewScanPaginator(dynamodb.NewFromConfig(rt.Config()), &dynamodb.ScanInput{TableName: aws.String(rt.name), ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", fmt.Errorf("scan the table: %w", err)
		}
		for _, item := range page.Items {
			b, err := json.Marshal(typed(&types.AttributeValueMemberM{Value: item}))
			if err != nil {
				return "", fmt.Errorf("write an item: %w", err)
			}
			lines = append(lines, string(b))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n"), nil
}

// typed returns a value with the names of its types, since a number and a string may look alike.
func typed(v types.AttributeValue) any {
	switch v := v.(type) {
	case *types.AttributeValueMemberM:
		members := map[string]any{}
		for name, member := range v.Value {
			members[name] = typed(member)
		}
		return members
	case *types.AttributeValueMemberL:
		elements := []any{}
		for _, e := range v.Value {
			elements = append(elements, typed(e))
		}
		return elements
	default:
		return []any{fmt.Sprintf("%T", v), v}
	}
}
