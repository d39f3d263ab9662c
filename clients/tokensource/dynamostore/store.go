// Package dynamostore keeps refresh tokens in a DynamoDB table, so that any number
// of Lambda functions, pods and machines can share one user's token.
//
// The table has the partition key "id", a string, and no sort key. An item holds
// the tokens in the clear, beside its version: whoever may read the table can use
// them. A program needs dynamodb:GetItem and dynamodb:UpdateItem.
package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/clients/tokensource"
)

// Store is a [tokensource.Store] in one item of a table. Its attributes are
// version and record; others that the item has are left alone.
type Store struct {
	db        *dynamodb.Client
	table, id string
}

// New is the store in the item of that id: one for each session, the user's id for
// example. The table must not be written to in two regions.
func New(db *dynamodb.Client, table, id string) *Store { return &Store{db, table, id} }

// Load is [tokensource.Store.Load]: one strongly consistent read.
func (s *Store) Load(ctx context.Context) (tokensource.Record, error) {
	out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.table, Key: s.key(), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return tokensource.Record{}, fmt.Errorf("read the token item: %w", err)
	}
	version, hasVersion := out.Item["version"].(*types.AttributeValueMemberN)
	data, hasData := out.Item["record"].(*types.AttributeValueMemberB)
	if !hasVersion && !hasData {
		return tokensource.Record{}, nil
	}
	if !hasVersion || !hasData {
		return tokensource.Record{}, fmt.Errorf("read the token item: %q lacks its version or its record", s.id)
	}
	n, err := strconv.ParseUint(version.Value, 10, 64)
	if err != nil {
		return tokensource.Record{}, fmt.Errorf("read the token item: its version: %w", err)
	}
	return tokensource.Record{Version: n, Data: data.Value}, nil
}

// Save is [tokensource.Store.Save]: one conditional write.
func (s *Store) Save(ctx context.Context, r tokensource.Record) error {
	values := map[string]types.AttributeValue{
		":version": number(r.Version),
		":record":  &types.AttributeValueMemberB{Value: r.Data},
	}
	condition := "attribute_not_exists(#version)"
	if r.Version > 1 {
		condition = "#version = :before"
		values[":before"] = number(r.Version - 1)
	}
	_, err := s.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &s.table, Key: s.key(),
		UpdateExpression:          aws.String("SET #version = :version, #record = :record"),
		ConditionExpression:       &condition,
		ExpressionAttributeNames:  map[string]string{"#version": "version", "#record": "record"},
		ExpressionAttributeValues: values,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return tokensource.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("write the token item: %w", err)
	}
	return nil
}

func (s *Store) key() map[string]types.AttributeValue {
	return map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: s.id}}
}

func number(n uint64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatUint(n, 10)}
}
