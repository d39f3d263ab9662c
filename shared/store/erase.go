package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/store/schema"
)

// UserItems holds the sort keys of items in a user's partition, by kind. Others are all other
// kinds: owners, and what may be added to the partition later.
type UserItems struct {
	Families, Events, Others []string
	Next                     string // the key after which there may be more, or "" at the end
}

// Empty reports whether there are no items.
func (u *UserItems) Empty() bool { return len(u.Families)+len(u.Events)+len(u.Others) == 0 }

func (u *UserItems) add(sk string) {
	switch {
	case strings.HasPrefix(sk, schema.FamilyPrefix):
		u.Families = append(u.Families, sk)
	case strings.HasPrefix(sk, schema.EventPrefix):
		u.Events = append(u.Events, sk)
	default:
		u.Others = append(u.Others, sk)
	}
}

// UserItems reads the keys of up to limit items of the user, strongly consistent. after is the
// key to continue after, or "". This covers everything about the user in the table, except the
// events of erasures, which are not in the user's partition.
func (t *Table) UserItems(ctx context.Context, userKey [16]byte, after string, limit int) (*UserItems, error) {
	in := t.keysQuery(userKey, "pk = :pk", item{})
	if after != "" {
		in.ExclusiveStartKey = key(userPK(userKey), after)
	}
	return t.userItems(ctx, in, limit)
}

// UserFamilies reads the keys of up to limit families of the user, oldest first and
// strongly consistent.
func (t *Table) UserFamilies(ctx context.Context, userKey [16]byte, limit int) (*UserItems, error) {
	return t.userItems(ctx, t.keysQuery(userKey, "pk = :pk AND begins_with(sk, :families)", item{":families": text(schema.FamilyPrefix)}), limit)
}

func (t *Table) keysQuery(userKey [16]byte, condition string, values item) *dynamodb.QueryInput {
	values[":pk"] = text(userPK(userKey))
	return &dynamodb.QueryInput{
		TableName:                 &t.name,
		KeyConditionExpression:    &condition,
		ExpressionAttributeValues: values,
		ProjectionExpression:      aws.String(schema.PK + ", " + schema.SK),
		ConsistentRead:            aws.Bool(true),
	}
}

func (t *Table) userItems(ctx context.Context, in *dynamodb.QueryInput, limit int) (*UserItems, error) {
	found := &UserItems{}
	for limit > 0 {
		in.Limit = pageLimit(limit)
		out, err := t.db.Query(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("read the items of a user: %w", err)
		}
		for _, m := range out.Items {
			sk, ok := m[schema.SK].(*types.AttributeValueMemberS)
			if !ok {
				return nil, fmt.Errorf("read the items of a user: an item without a sort key")
			}
			found.add(sk.Value)
		}
		found.Next = ""
		if last, ok := out.LastEvaluatedKey[schema.SK].(*types.AttributeValueMemberS); ok {
			found.Next = last.Value
		}
		if found.Next == "" {
			break
		}
		limit -= len(out.Items)
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
	return found, nil
}

// Erase deletes an item of the user's partition. It can be repeated. If the item is an owner,
// it deletes the owner's entry on the sweep's work list first, since only the owner shows
// where that is.
func (t *Table) Erase(ctx context.Context, userKey [16]byte, sk string) error {
	if clientID, ok := strings.CutPrefix(sk, schema.OwnerPrefix); ok {
		if err := t.DropOverLimit(ctx, OwnerID{userKey, clientID}); err != nil {
			return fmt.Errorf("erase an owner: %w", err)
		}
	}
	_, err := t.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &t.name, Key: key(userPK(userKey), sk)})
	if err != nil {
		return fmt.Errorf("erase an item of a user: %w", err)
	}
	return nil
}

// InOrder returns the keys in the order in which the items must be erased. Families are first,
// so that no family whose events are gone can be used.
func (u *UserItems) InOrder() []string { return slices.Concat(u.Families, u.Others, u.Events) }
