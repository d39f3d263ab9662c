package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/store/schema"
)

const (
	// aheadBy is by how many seconds the clock of another server may be ahead. What a clock
	// further ahead has written is overruled.
	aheadBy = 60
	// countKept is how long the count of a second is kept.
	countKept = time.Hour
)

// CountAdoption counts an adoption by a client that begins at now, of which at most limit may
// begin in a second on all servers together. It returns false if they have begun already.
func (t *Table) CountAdoption(ctx context.Context, clientID string, limit int, now time.Time) (bool, error) {
	second := now.Unix()
	const tries = 4
	for range tries {
		done, there, err := t.count(ctx, clientID, "began_at = :second AND taken < :limit", "ADD taken :one",
			item{":second": number(second), ":limit": number(limit), ":one": number(1)})
		switch {
		case done || err != nil:
			return done, err
		case there == second:
			return false, nil
		case there > second && there <= second+aheadBy: // by another server's clock that second has begun
			second = there
			continue
		}
		done, _, err = t.count(ctx, clientID, "attribute_not_exists(pk) OR began_at = :there", "SET began_at = :second, taken = :one, purge_at = :purge_at",
			item{":there": number(there), ":second": number(second), ":one": number(1), ":purge_at": number(epoch(now.Add(countKept)))})
		if done || err != nil {
			return done, err
		}
	}
	return false, nil // there are too many at once
}

// count makes a conditional update of a client's count. It returns the second on record if it was
// not done.
func (t *Table) count(ctx context.Context, clientID, condition, update string, values item) (done bool, second int64, err error) {
	_, err = t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: key(schema.ForeignPrefix+clientID, schema.AdoptionsSK),
		ConditionExpression: &condition, UpdateExpression: &update, ExpressionAttributeValues: values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	if err != nil && !errors.As(err, &failed) {
		return false, 0, fmt.Errorf("count an adoption: %w", err)
	}
	if err == nil {
		return true, 0, nil
	}
	if n, ok := failed.Item["began_at"].(*types.AttributeValueMemberN); ok {
		if second, err = strconv.ParseInt(n.Value, 10, 64); err != nil {
			return false, 0, fmt.Errorf("count an adoption: %w", err)
		}
	}
	return false, second, nil
}
