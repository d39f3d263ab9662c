package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/store/schema"
)

// Purge deletes every item whose purge_at has passed, and returns how many. In AWS DynamoDB's
// TTL does that; Purge is for local runs, whose clock can be moved. It scans the table. An
// item that gets a later purge_at meanwhile is kept.
func (t *Table) Purge(ctx context.Context, now time.Time) (int, error) {
	const due = schema.TTL + " <= :now"
	purged, values := 0, item{":now": number(now.Unix())}
	pages := dynamodb.NewScanPaginator(t.db, &dynamodb.ScanInput{
		TableName:                 &t.name,
		FilterExpression:          aws.String(due),
		ExpressionAttributeValues: values,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return purged, fmt.Errorf("purge: %w", err)
		}
		for _, m := range page.Items {
			_, err := t.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{
				TableName: &t.name, Key: map[string]types.AttributeValue{schema.PK: m[schema.PK], schema.SK: m[schema.SK]},
				ConditionExpression: aws.String(due), ExpressionAttributeValues: values,
			})
			var later *types.ConditionalCheckFailedException
			if errors.As(err, &later) {
				continue
			}
			if err != nil {
				return purged, fmt.Errorf("purge: %w", err)
			}
			purged++
		}
	}
	return purged, nil
}
