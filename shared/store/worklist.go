package store

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/store/schema"
)

// overLimitKey returns the key of the owner's entry on the sweep's work list.
func overLimitKey(id OwnerID) item {
	return key(schema.OverLimitPK, base64.RawURLEncoding.EncodeToString(id.UserKey[:])+"#"+id.ClientID)
}

// listOwner puts the owner on the work list if it is over the limit.
func (t *Table) listOwner(ctx context.Context, id OwnerID, over bool) error {
	if !over {
		return nil
	}
	_, err := t.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: overLimitKey(id)})
	if err != nil {
		return fmt.Errorf("put an owner on the work list: %w", err)
	}
	return nil
}

// OverLimit reads up to limit owners from the work list, strongly consistent. Unless after
// is nil, it begins after that owner. more reports whether there may be more.
func (t *Table) OverLimit(ctx context.Context, after *OwnerID, limit int32) (owners []OwnerID, more bool, err error) {
	in := &dynamodb.QueryInput{
		TableName:                 &t.name,
		KeyConditionExpression:    aws.String("pk = :pk"),
		ExpressionAttributeValues: item{":pk": text(schema.OverLimitPK)},
		ConsistentRead:            aws.Bool(true),
		Limit:                     &limit,
	}
	if after != nil {
		in.ExclusiveStartKey = overLimitKey(*after)
	}
	out, err := t.db.Query(ctx, in)
	if err != nil {
		return nil, false, fmt.Errorf("read the work list: %w", err)
	}
	for _, m := range out.Items {
		sk, ok := m[schema.SK].(*types.AttributeValueMemberS)
		if !ok {
			return nil, false, fmt.Errorf("read the work list: an item without a sort key")
		}
		encoded, clientID, _ := strings.Cut(sk.Value, "#")
		userKey, err := userKeyOf(schema.UserPrefix + encoded)
		if err != nil {
			return nil, false, fmt.Errorf("read the work list: %w", err)
		}
		owners = append(owners, OwnerID{userKey, clientID})
	}
	return owners, len(out.LastEvaluatedKey) > 0, nil
}

// DropOverLimit takes an owner that has no record, or whose client is gone, off the work list.
// It does not change the owner's record.
func (t *Table) DropOverLimit(ctx context.Context, id OwnerID) error {
	_, err := t.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &t.name, Key: overLimitKey(id)})
	if err != nil {
		return fmt.Errorf("take an owner off the work list: %w", err)
	}
	return nil
}
