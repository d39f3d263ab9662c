package store

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// overLimit is the partition of the sweep's work list.
const overLimit = "over_limit"

// countOwner adds one to the number of families that the owner, the user in
// the client, has active at most. An owner past maxActive goes on the work list.
func (t *Table) countOwner(ctx context.Context, userKey [16]byte, clientID string, maxActive int) error {
	out, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &t.name,
		Key:                       key(userPK(userKey), "o#"+clientID),
		UpdateExpression:          aws.String("ADD active :one"),
		ExpressionAttributeValues: item{":one": number(1)},
		ReturnValues:              types.ReturnValueUpdatedNew,
	})
	if err != nil {
		return fmt.Errorf("count a family to its owner: %w", err)
	}
	n, ok := out.Attributes["active"].(*types.AttributeValueMemberN)
	if !ok {
		return fmt.Errorf("count a family to its owner: the count is missing in the answer")
	}
	active, err := strconv.Atoi(n.Value)
	if err != nil {
		return fmt.Errorf("count a family to its owner: %w", err)
	}
	if active <= maxActive {
		return nil
	}
	_, err = t.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &t.name,
		Item:      key(overLimit, base64.RawURLEncoding.EncodeToString(userKey[:])+"#"+clientID),
	})
	if err != nil {
		return fmt.Errorf("put an owner on the work list: %w", err)
	}
	return nil
}
