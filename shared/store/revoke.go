package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
)

// Revoke ends the family seen at e's time for e's cause and stores e, both or
// neither, unless it was revoked before: then it is not done. Of many callers
// at once one is done. The record is kept for its retention from now on.
func (t *Table) Revoke(ctx context.Context, seen *family.Family, p *family.Policy, e *audit.Event) (done bool, err error) {
	d := types.AttributeValueMemberM{Value: item{"event": &types.AttributeValueMemberB{Value: e.ID[:]}}}
	if e.Type == audit.Reuse {
		d.Value["counter"] = number(e.TokenCounter)
		d.Value["age_ms"] = number(e.Age.Milliseconds())
	}
	_, done, err = t.updateWithEvent(ctx, seen.ID, e, types.Update{
		ConditionExpression: aws.String(revokeCondition),
		UpdateExpression:    aws.String(revokeSet),
		ExpressionAttributeValues: item{
			":now": number(e.At.UnixMilli()), ":cause": text(string(e.Cause)), ":details": &d,
			":purge_at": number(epoch(e.At.Add(p.IdleLifetime.Duration() + t.retention.Families))),
		},
	})
	if err != nil {
		return false, fmt.Errorf("revoke a family: %w", err)
	}
	return done, nil
}

// End revokes a family as one of many, under the event r.Event that names them
// all and is stored apart. ours says whether the record then bears that event:
// false where it is gone, or was revoked before for another cause.
func (t *Table) End(ctx context.Context, id family.ID, p *family.Policy, r family.Revocation) (ours bool, err error) {
	_, err = t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:           &t.name,
		Key:                 familyKey(id),
		ConditionExpression: aws.String(revokeCondition),
		UpdateExpression:    aws.String(revokeSet),
		ExpressionAttributeValues: item{
			":now": number(r.At.UnixMilli()), ":cause": text(string(r.Cause)),
			":details":  &types.AttributeValueMemberM{Value: item{"event": &types.AttributeValueMemberB{Value: r.Event[:]}}},
			":purge_at": number(epoch(r.At.Add(p.IdleLifetime.Duration() + t.retention.Families))),
		},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return hasMark(failed.Item, r.Event), nil
	}
	if err != nil {
		return false, fmt.Errorf("end a family: %w", err)
	}
	return true, nil
}

const (
	revokeCondition = "attribute_exists(pk) AND attribute_not_exists(revoked_at)"
	revokeSet       = "SET revoked_at = :now, cause = :cause, details = :details, purge_at = if_not_exists(keep_until, :purge_at)"
)

// Observe marks the family seen as one in which reuse was observed, and stores
// e, both or neither; not done where it was marked before.
func (t *Table) Observe(ctx context.Context, seen *family.Family, e *audit.Event) (done bool, err error) {
	_, done, err = t.updateWithEvent(ctx, seen.ID, e, types.Update{
		ConditionExpression:       aws.String("attribute_exists(pk) AND attribute_not_exists(observed_at)"),
		UpdateExpression:          aws.String("SET observed_at = :now"),
		ExpressionAttributeValues: item{":now": number(e.At.UnixMilli())},
	})
	if err != nil {
		return false, fmt.Errorf("record an observed reuse: %w", err)
	}
	return done, nil
}

// updateWithEvent updates a family and puts e in one transaction. Where the
// update's condition fails it is not done, and old is the record as it stands.
func (t *Table) updateWithEvent(ctx context.Context, id family.ID, e *audit.Event, update types.Update) (old item, done bool, err error) {
	put, err := t.marshalEvent(e)
	if err != nil {
		return nil, false, err
	}
	update.TableName = &t.name
	update.Key = familyKey(id)
	update.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	in := &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Update: &update},
		{Put: &types.Put{TableName: &t.name, Item: put}},
	}}
	// A transaction that meets another write on its items is cancelled, which the
	// SDK does not try again.
	const tries = 8
	for try := 1; ; try++ {
		_, err = t.db.TransactWriteItems(ctx, in)
		if err == nil {
			return nil, true, nil
		}
		var cancelled *types.TransactionCanceledException
		if !errors.As(err, &cancelled) || len(cancelled.CancellationReasons) == 0 {
			return nil, false, err
		}
		reason := cancelled.CancellationReasons[0]
		switch {
		case aws.ToString(reason.Code) == "ConditionalCheckFailed":
			return reason.Item, hasMark(reason.Item, e.ID), nil
		case try == tries || !conflicted(cancelled):
			return nil, false, err
		}
		select {
		case <-ctx.Done():
			return nil, false, ctx.Err()
		case <-time.After(time.Duration(try) * 5 * time.Millisecond):
		}
	}
}

// hasMark says whether the record shows that the event was applied to it: where
// it is ours, only the answer was lost.
func hasMark(old item, event ulid.ULID) bool {
	d, ok := old["details"].(*types.AttributeValueMemberM)
	if !ok {
		return false
	}
	id, ok := d.Value["event"].(*types.AttributeValueMemberB)
	return ok && bytes.Equal(id.Value, event[:])
}

func conflicted(e *types.TransactionCanceledException) bool {
	for _, r := range e.CancellationReasons {
		if aws.ToString(r.Code) == "TransactionConflict" {
			return true
		}
	}
	return false
}
