package store

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Purge deletes every item whose purge_at has come: what DynamoDB's TTL does by
// itself in AWS, for local runs, whose clock can be moved. It scans the table.
// It returns how many items it deleted.
func (t *Table) Purge(ctx context.Context, now time.Time) (int, error) {
	purged := 0
	pages := dynamodb.NewScanPaginator(t.db, &dynamodb.ScanInput{
		TableName:                 &t.name,
		FilterExpression:          aws.String("purge_at <= :now"),
		ExpressionAttributeValues: item{":now": number(now.Unix())},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return purged, fmt.Errorf("purge: %w", err)
		}
		for _, m := range page.Items {
			_, err := t.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{
				TableName: &t.name, Key: map[string]types.AttributeValue{"pk": m["pk"], "sk": m["sk"]},
			})
			if err != nil {
				return purged, fmt.Errorf("purge: %w", err)
			}
			purged++
		}
	}
	return purged, nil
}
