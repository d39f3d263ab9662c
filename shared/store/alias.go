package store

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store/schema"
)

// Alias is the name that a login gives to a family, so that it can ask again and get the same
// one. It belongs to the family's user. The record has hashes of what the login sent.
type Alias struct {
	Name   [16]byte  // a hash of the key that the login chose
	Asked  [16]byte  // a hash of the request
	Family family.ID // the named family
	Until  time.Time // when it ends
}

type aliasItem struct {
	Family []byte `dynamodbav:"family_id"` // the ULID
	Asked  []byte `dynamodbav:"asked"`
	Until  int64  `dynamodbav:"valid_until"`
}

func aliasKey(userKey, name [16]byte) item {
	return key(userPK(userKey), schema.AliasPrefix+base64.RawURLEncoding.EncodeToString(name[:]))
}

func unmarshalAlias(userKey, name [16]byte, m item) (*Alias, error) {
	var i aliasItem
	if err := attributevalue.UnmarshalMap(m, &i); err != nil {
		return nil, fmt.Errorf("unmarshal an alias: %w", err)
	}
	a := &Alias{Name: name, Until: fromMillis(i.Until)}
	var u ulid.ULID
	if copy(u[:], i.Family) != len(u) || copy(a.Asked[:], i.Asked) != len(a.Asked) {
		return nil, errors.New("unmarshal an alias: it is not an alias")
	}
	a.Family = family.JoinID(userKey, u)
	return a, nil
}

// Alias reads a name that a login of the user has given, strongly consistent. It returns
// [ErrNotFound] if the name stands for no family at now.
func (t *Table) Alias(ctx context.Context, userKey, name [16]byte, now time.Time) (*Alias, error) {
	m, err := t.read(ctx, aliasKey(userKey, name))
	if err != nil {
		return nil, fmt.Errorf("read an alias: %w", err)
	}
	a, err := unmarshalAlias(userKey, name, m)
	if err == nil && !now.Before(a.Until) {
		err = fmt.Errorf("read an alias: %w", ErrNotFound)
	}
	return a, err
}

// IssueAs does what [Table.Issue] does and gives the family a name. It writes both or neither.
// If the name stands for a family already, it writes nothing and returns that alias. The alias
// names this very family if only the answer to its own write was lost.
func (t *Table) IssueAs(ctx context.Context, f *family.Family, p *family.Policy, a Alias) (there *Alias, err error) {
	m, err := t.countNew(ctx, f, p)
	if err != nil {
		return nil, err
	}
	u := f.ID.ULID()
	reasons, err := t.transact(ctx, []types.TransactWriteItem{{Update: &types.Update{
		TableName:           &t.name,
		Key:                 aliasKey(f.ID.UserKey(), a.Name),
		ConditionExpression: aws.String("attribute_not_exists(pk) OR valid_until <= :now"),
		UpdateExpression:    aws.String("SET family_id = :family, asked = :asked, valid_until = :until, purge_at = :purge_at"),
		ExpressionAttributeValues: item{
			":now":      number(f.LastUsedAt.UnixMilli()),
			":family":   &types.AttributeValueMemberB{Value: u[:]},
			":asked":    &types.AttributeValueMemberB{Value: a.Asked[:]},
			":until":    number(a.Until.UnixMilli()),
			":purge_at": number(epoch(a.Until)),
		},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}}, {Put: &types.Put{TableName: &t.name, Item: m}}})
	if err == nil && reasons != nil {
		there, err = unmarshalAlias(f.ID.UserKey(), a.Name, reasons[0].Item)
	}
	if err != nil {
		return nil, fmt.Errorf("issue a family: %w", err)
	}
	return there, nil
}
