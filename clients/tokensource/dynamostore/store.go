// Package dynamostore stores refresh tokens in a DynamoDB table, so that any number
// of Lambda functions, pods and machines can share a user's token.
//
// The table has the partition key "id", a string, and no sort key. An item holds the
// tokens in the clear, and the version of the record: anyone who can read the table
// can use the tokens. A program needs dynamodb:GetItem and dynamodb:UpdateItem.
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

// Store is a [tokensource.Store] in one item of a table. It uses the attributes
// version and record, and leaves others as they are.
type Store struct {
	db        *dynamodb.Client
	table, id string
}

// New returns a store in the item with the given id. Each session needs its own id,
// such as the user's. The table must be written to in one region only.
func New(db *dynamodb.Client, table, id string) *Store { return &Store{db, table, id} }

// Load implements [tokensource.Store] by one strongly consistent read.
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

// Save implements [tokensource.Store] by one conditional write.
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
