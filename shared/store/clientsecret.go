package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// AddSecret adds a secret to a confidential client. It returns [ErrNotFound] if there is
// no such client, and [ErrTooManySecrets] if it has [MaxSecrets].
func (t *Table) AddSecret(ctx context.Context, id string, s Secret) error {
	added, err := json.Marshal(secretItem{ID: s.ID, Hash: s.Hash[:], CreatedAt: millis(s.CreatedAt)})
	if err != nil {
		return fmt.Errorf("add a secret: %w", err)
	}
	for _, slot := range secretSlots {
		_, err = t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName:                 &t.name,
			Key:                       clientKey(id),
			ConditionExpression:       aws.String("#type = :confidential AND " + slot + " = :none"),
			UpdateExpression:          aws.String("SET " + slot + " = :added"),
			ExpressionAttributeNames:  map[string]string{"#type": "type"},
			ExpressionAttributeValues: item{":confidential": text(clientType(true)), ":none": text(""), ":added": text(string(added))},

			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		})
		var failed *types.ConditionalCheckFailedException
		if !errors.As(err, &failed) {
			break
		}
		if len(failed.Item) == 0 {
			return fmt.Errorf("add a secret: %w", ErrNotFound)
		}
		c, err := unmarshalClient(failed.Item)
		if err != nil {
			return fmt.Errorf("add a secret: %w", err)
		}
		for _, have := range c.Secrets {
			if have.ID == s.ID {
				return nil // this is our own write, whose answer was lost
			}
		}
	}
	var full *types.ConditionalCheckFailedException
	if errors.As(err, &full) {
		return fmt.Errorf("add a secret: %w", ErrTooManySecrets)
	}
	if err != nil {
		return fmt.Errorf("add a secret: %w", err)
	}
	return nil
}

// RemoveSecret removes a secret from a client. It returns [ErrNotFound] if there is no such
// client or secret.
func (t *Table) RemoveSecret(ctx context.Context, id, secretID string) error {
	m, err := t.read(ctx, clientKey(id))
	if err != nil {
		return fmt.Errorf("remove a secret: %w", err)
	}
	for _, slot := range secretSlots {
		seen, ok := m[slot].(*types.AttributeValueMemberS)
		var s secretItem
		if !ok || json.Unmarshal([]byte(seen.Value), &s) != nil || s.ID != secretID {
			continue
		}
		_, err = t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName:                 &t.name,
			Key:                       clientKey(id),
			ConditionExpression:       aws.String(slot + " = :seen"),
			UpdateExpression:          aws.String("SET " + slot + " = :none"),
			ExpressionAttributeValues: item{":seen": seen, ":none": text("")},
		})
		var gone *types.ConditionalCheckFailedException
		if err != nil && !errors.As(err, &gone) {
			return fmt.Errorf("remove a secret: %w", err)
		}
		return nil
	}
	return fmt.Errorf("remove a secret: %w", ErrNotFound)
}
