package store

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store/schema"
)

// ForeignName names another provider's refresh token in the table. It is a MAC of the token's
// hash, so that nobody can tell from the table which tokens it knows.
type ForeignName [16]byte

// foreignKept is how long the table remembers at least which family a foreign token belongs to.
// While it does, the token is recognized when it is presented again, and when it is imported
// again, although its family may be gone.
const foreignKept = 365 * 24 * time.Hour

// Foreign is what the table knows of another provider's refresh token: the family that it belongs
// to, and that family's client. It outlives the family.
type Foreign struct {
	Family   family.ID
	ClientID string
}

type foreignItem struct {
	Family   []byte `dynamodbav:"family_id"`
	ClientID string `dynamodbav:"client_id"`
}

func foreignKey(name ForeignName) item {
	return key(schema.ForeignPrefix+base64.RawURLEncoding.EncodeToString(name[:]), schema.ForeignSK)
}

func unmarshalForeign(m item) (*Foreign, error) {
	var i foreignItem
	if err := attributevalue.UnmarshalMap(m, &i); err != nil {
		return nil, fmt.Errorf("unmarshal a foreign token: %w", err)
	}
	f := &Foreign{ClientID: i.ClientID}
	if copy(f.Family[:], i.Family) != len(f.Family) {
		return nil, errors.New("unmarshal a foreign token: it leads to no family")
	}
	return f, nil
}

// Foreign returns what is known of a foreign token, strongly consistent. It returns [ErrNotFound]
// if the token is unknown.
func (t *Table) Foreign(ctx context.Context, name ForeignName) (*Foreign, error) {
	m, err := t.read(ctx, foreignKey(name))
	if err == nil && m["family_id"] == nil { // its provider was asked about it, but it has no family
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read a foreign token: %w", err)
	}
	return unmarshalForeign(m)
}

// leadTo returns the write of what leads from a foreign token to its family, on a condition with
// values of its own. A claim that is there loses its meaning.
func (t *Table) leadTo(f *family.Family, name ForeignName, condition string, values item) types.TransactWriteItem {
	kept := f.IssuedAt().Add(foreignKept)
	if f.PurgeAt.After(kept) {
		kept = f.PurgeAt
	}
	all := item{
		":family": &types.AttributeValueMemberB{Value: f.ID[:]},
		":client": text(f.ClientID),
		":kept":   number(epoch(kept)),
	}
	maps.Copy(all, values)
	return types.TransactWriteItem{Update: &types.Update{
		TableName:           &t.name,
		Key:                 foreignKey(name),
		ConditionExpression: &condition,
		UpdateExpression:    aws.String("SET family_id = :family, client_id = :client, " + schema.TTL + " = :kept"),

		ExpressionAttributeValues:           all,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}
}

// IssueForeign does what [Table.Issue] does with a pending family, and remembers that it is the
// family of a foreign token. It writes both or neither. It returns the family of the token, which
// is another one if the token had one already; then nothing is written.
func (t *Table) IssueForeign(ctx context.Context, f *family.Family, p *family.Policy, name ForeignName) (*Foreign, error) {
	m, err := t.countNew(ctx, f, p)
	if err != nil {
		return nil, err
	}
	// A claim must not stop who knows the user.
	reasons, err := t.transact(ctx, []types.TransactWriteItem{
		t.leadTo(f, name, "attribute_not_exists(family_id)", nil),
		{Put: &types.Put{TableName: &t.name, Item: m}},
	})
	if err != nil {
		return nil, fmt.Errorf("issue a family: %w", err)
	}
	if reasons == nil {
		return &Foreign{Family: f.ID, ClientID: f.ClientID}, nil
	}
	there, err := unmarshalForeign(reasons[0].Item)
	if err != nil {
		return nil, fmt.Errorf("issue a family: %w", err)
	}
	return there, nil
}
