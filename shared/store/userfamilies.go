package store

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store/schema"
)

// familiesPerRead is how many families one request reads at most. DynamoDB ends a page at
// 1 MB.
const familiesPerRead = 1000

// FamiliesBefore reads up to limit of the user's families that began before the ULID, newest
// first and strongly consistent, in one request. The zero ULID stands for the end of time.
// next is where to continue, or zero at the end.
func (t *Table) FamiliesBefore(ctx context.Context, userKey [16]byte, before ulid.ULID, limit int) (families []*family.Family, next ulid.ULID, err error) {
	in := t.familiesQuery(userKey, schema.FamilyPrefix, schema.FamilyPrefix+"~")
	in.ScanIndexForward = aws.Bool(false)
	in.Limit = pageLimit(limit)
	if before != (ulid.ULID{}) {
		in.ExclusiveStartKey = key(userPK(userKey), schema.FamilyPrefix+before.String())
	}
	return t.families(ctx, userKey, in)
}

// FamiliesFrom reads all of the user's families from the ULID on, oldest first and
// strongly consistent.
func (t *Table) FamiliesFrom(ctx context.Context, userKey [16]byte, from ulid.ULID) ([]*family.Family, error) {
	var all []*family.Family
	err := t.EachFamilyFrom(ctx, userKey, from, func(f *family.Family) { all = append(all, f) })
	if err != nil {
		return nil, err
	}
	return all, nil
}

// EachFamilyFrom calls do with each of the user's families from the ULID on, as
// [Table.FamiliesFrom] reads them. It holds one page of them in memory.
func (t *Table) EachFamilyFrom(ctx context.Context, userKey [16]byte, from ulid.ULID, do func(*family.Family)) error {
	in := t.familiesQuery(userKey, schema.FamilyPrefix+from.String(), schema.FamilyPrefix+"~")
	in.Limit = pageLimit(familiesPerRead)
	for {
		page, next, err := t.families(ctx, userKey, in)
		if err != nil {
			return err
		}
		for _, f := range page {
			do(f)
		}
		if next == (ulid.ULID{}) {
			return nil
		}
		in.ExclusiveStartKey = key(userPK(userKey), schema.FamilyPrefix+next.String())
	}
}

func (t *Table) familiesQuery(userKey [16]byte, from, to string) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{
		TableName:                 &t.name,
		KeyConditionExpression:    aws.String("pk = :pk AND sk BETWEEN :from AND :to"),
		ExpressionAttributeValues: item{":pk": text(userPK(userKey)), ":from": text(from), ":to": text(to)},
		ConsistentRead:            aws.Bool(true),
	}
}

func (t *Table) families(ctx context.Context, userKey [16]byte, in *dynamodb.QueryInput) (families []*family.Family, next ulid.ULID, err error) {
	out, err := t.db.Query(ctx, in)
	if err != nil {
		return nil, next, fmt.Errorf("list families: %w", err)
	}
	for _, m := range out.Items {
		u, err := skULID(m)
		if err != nil {
			return nil, next, fmt.Errorf("list families: %w", err)
		}
		f, err := unmarshalFamily(family.JoinID(userKey, u), m)
		if err != nil {
			return nil, next, fmt.Errorf("list families: %w", err)
		}
		families = append(families, f)
	}
	if len(out.LastEvaluatedKey) > 0 {
		if next, err = skULID(out.LastEvaluatedKey); err != nil {
			return nil, next, fmt.Errorf("list families: %w", err)
		}
	}
	return families, next, nil
}

// skULID returns the ULID in an item's sort key, which follows a letter and "#".
func skULID(m item) (ulid.ULID, error) {
	sk, ok := m[schema.SK].(*types.AttributeValueMemberS)
	if !ok || len(sk.Value) < 2 {
		return ulid.ULID{}, fmt.Errorf("a sort key without a ULID")
	}
	u, err := ulid.ParseStrict(sk.Value[2:])
	if err != nil {
		return ulid.ULID{}, fmt.Errorf("the sort key %q: %w", sk.Value, err)
	}
	return u, nil
}
