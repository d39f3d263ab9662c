package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
)

// Revoke ends the family at e's time for e's cause and stores e, both or neither. done is
// false if the family was revoked before; of many simultaneous callers exactly one gets true.
// The record is kept until [Table.keepRevoked].
func (t *Table) Revoke(ctx context.Context, seen *family.Family, p *family.Policy, e *audit.Event) (done bool, err error) {
	d := types.AttributeValueMemberM{Value: item{"event": &types.AttributeValueMemberB{Value: e.ID[:]}}}
	if e.Type == audit.Reuse {
		d.Value["counter"] = number(e.TokenCounter)
		d.Value["age_ms"] = number(e.Age.Milliseconds())
	}
	_, done, err = t.updateWithEvent(ctx, seen.ID, e, types.Update{
		ConditionExpression: aws.String(revokeCondition),
		UpdateExpression:    aws.String(revokeSet + ":purge_at"),
		ExpressionAttributeValues: item{
			":now": number(e.At.UnixMilli()), ":cause": text(string(e.Cause)), ":details": &d,
			":purge_at": number(epoch(earlier(seen.KeepUntil, t.keepRevoked(e.At, p)))),
		},
	})
	if err != nil {
		return false, fmt.Errorf("revoke a family: %w", err)
	}
	return done, nil
}

// End revokes a family as one of many, under the event r.Event, which names them all and is
// stored separately. ours reports whether the record has that event afterwards. It does not if
// the record is gone, or was revoked before under another event.
func (t *Table) End(ctx context.Context, id family.ID, p *family.Policy, r family.Revocation) (ours bool, err error) {
	return t.end(ctx, id, p, r, revokeCondition, t.endValues(p, r))
}

// EndUnused does what [Table.End] does if the family's last use is still lastUsed. A family
// that has been used since is not ended, and ours is false.
func (t *Table) EndUnused(ctx context.Context, id family.ID, p *family.Policy, r family.Revocation, lastUsed time.Time) (ours bool, err error) {
	values := t.endValues(p, r)
	values[":last_used"] = number(millis(lastUsed))
	// Any other time means a use. It may even be earlier, since clocks differ.
	return t.end(ctx, id, p, r, revokeCondition+" AND last_used_at = :last_used", values)
}

func (t *Table) end(ctx context.Context, id family.ID, p *family.Policy, r family.Revocation, condition string, values item) (ours bool, err error) {
	// Only the record shows whether its absolute end permits an earlier deletion. The policy
	// is usually right about that, and then one write is enough.
	keep := t.keepRevoked(r.At, p)
	fixed := p.AbsoluteLifetime != 0 && !id.IssuedAt().Add(p.AbsoluteLifetime.Duration()+t.retention.Families).After(keep)
	purge, unless := ":purge_at", " AND (attribute_not_exists(keep_until) OR keep_until > :purge_at)"
	if fixed {
		purge, unless = "keep_until", " AND keep_until <= :purge_at"
	}
	for {
		_, err = t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName:                 &t.name,
			Key:                       familyKey(id),
			ConditionExpression:       aws.String(condition + unless),
			UpdateExpression:          aws.String(revokeSet + purge),
			ExpressionAttributeValues: values,

			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		})
		var failed *types.ConditionalCheckFailedException
		switch {
		case err == nil:
			return true, nil
		case !errors.As(err, &failed):
			return false, fmt.Errorf("end a family: %w", err)
		case len(failed.Item) == 0 || failed.Item["revoked_at"] != nil || unless == "":
			return hasMark(failed.Item, r.Event), nil
		}
		f, err := unmarshalFamily(id, failed.Item)
		if err != nil {
			return false, fmt.Errorf("end a family: %w", err)
		}
		end := epoch(earlier(f.KeepUntil, keep))
		if is := end == epoch(f.KeepUntil); is == fixed {
			return false, nil // the policy was right, and the condition failed for another reason
		}
		purge, unless, values[":purge_at"] = ":purge_at", "", number(end)
	}
}

// endValues returns the values of revokeSet for a family that ends as one of many.
func (t *Table) endValues(p *family.Policy, r family.Revocation) item {
	d := item{"event": &types.AttributeValueMemberB{Value: r.Event[:]}}
	if r.Evict != "" {
		d["evict"], d["active"] = text(string(r.Evict)), number(r.Active)
	}
	return item{
		":now": number(r.At.UnixMilli()), ":cause": text(string(r.Cause)),
		":details":  &types.AttributeValueMemberM{Value: d},
		":purge_at": number(epoch(t.keepRevoked(r.At, p))),
	}
}

// lateReturn is the latest time after a revocation at which a device is expected to return, if
// the policy has no idle lifetime.
const lateReturn = 60 * 24 * time.Hour

// keepRevoked returns until when the record of a family that is revoked at the given time is
// kept, unless its absolute end permits an earlier deletion. A device that returns as late as
// the idle lifetime allows can still be told why its family ended, and support can find it for
// the retention after that.
func (t *Table) keepRevoked(at time.Time, p *family.Policy) time.Time {
	late := p.IdleLifetime.Duration()
	if late == 0 {
		late = lateReturn
	}
	return at.Add(late + t.retention.Families)
}

// earlier returns the earlier of two times. fixed is zero if there is none.
func earlier(fixed, other time.Time) time.Time {
	if fixed.IsZero() || other.Before(fixed) {
		return other
	}
	return fixed
}

// Ending is a family that is to end, or to be kept, and its client's policy.
type Ending struct {
	Family *family.Family
	Policy *family.Policy
}

// MaxOthers is how many families [Table.EndOthers] ends at most. With the kept family and the
// event, that is what one transaction holds.
const MaxOthers = 98

// EndOthers ends up to [MaxOthers] families at e's time for e's cause, all of them or none, if
// the family kept is alive then. If withEvent is set, it stores e in the same transaction. If
// it is not done, dead has the indexes of the families that had already ended; it is nil if
// kept has ended.
func (t *Table) EndOthers(ctx context.Context, kept Ending, families []Ending, e *audit.Event, withEvent bool) (done bool, dead []int, err error) {
	check := types.ConditionCheck{
		TableName: &t.name, Key: familyKey(kept.Family.ID),
		ConditionExpression:       aws.String("attribute_exists(pk) AND " + aliveCondition),
		ExpressionAttributeValues: aliveValues(e.At, kept.Policy.IdleLifetime.Duration()),
	}
	items := []types.TransactWriteItem{{ConditionCheck: &check}}
	for _, f := range families {
		values := t.endValues(f.Policy, family.Revocation{At: e.At, Cause: e.Cause, Event: e.ID})
		values[":purge_at"] = number(epoch(earlier(f.Family.KeepUntil, t.keepRevoked(e.At, f.Policy))))
		items = append(items, types.TransactWriteItem{Update: &types.Update{
			TableName: &t.name, Key: familyKey(f.Family.ID),
			ConditionExpression:       aws.String(revokeCondition),
			UpdateExpression:          aws.String(revokeSet + ":purge_at"),
			ExpressionAttributeValues: values,

			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}})
	}
	if withEvent {
		put, err := t.marshalEvent(e)
		if err != nil {
			return false, nil, err
		}
		items = append(items, types.TransactWriteItem{Put: &types.Put{TableName: &t.name, Item: put}})
	}
	reasons, err := t.transact(ctx, items)
	if err != nil {
		return false, nil, fmt.Errorf("end families: %w", err)
	}
	if reasons == nil {
		return true, nil, nil
	}
	for i, r := range reasons[1 : 1+len(families)] {
		if aws.ToString(r.Code) != conditionFailed {
			continue
		}
		if hasMark(r.Item, e.ID) { // it was done, and only the answer was lost
			return true, nil, nil
		}
		dead = append(dead, i)
	}
	if aws.ToString(reasons[0].Code) == conditionFailed {
		dead = nil
	}
	return false, dead, nil
}

const (
	revokeCondition = "attribute_exists(pk) AND attribute_not_exists(revoked_at)"
	revokeSet       = "SET revoked_at = :now, cause = :cause, details = :details, purge_at = "
)

// Observe marks the family as one in which reuse was observed, and stores e, both or
// neither. done is false if it was marked before.
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

// updateWithEvent updates a family and stores e in one transaction. If the update's condition
// fails, done is false and old is the present record. If e is there already, the transaction was
// done before and only its answer was lost: done is true.
func (t *Table) updateWithEvent(ctx context.Context, id family.ID, e *audit.Event, update types.Update) (old item, done bool, err error) {
	put, err := t.marshalEvent(e)
	if err != nil {
		return nil, false, err
	}
	update.TableName = &t.name
	update.Key = familyKey(id)
	update.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	reasons, err := t.transact(ctx, []types.TransactWriteItem{
		{Put: &types.Put{TableName: &t.name, Item: put, ConditionExpression: aws.String("attribute_not_exists(pk)")}},
		{Update: &update},
	})
	if err != nil || reasons == nil || aws.ToString(reasons[0].Code) == conditionFailed {
		return nil, err == nil, err
	}
	return reasons[1].Item, false, nil
}

// conditionFailed is the code of a transaction's item whose condition does not hold.
const conditionFailed = "ConditionalCheckFailed"

// transact makes all of the writes or none. If a condition fails, it returns a reason for
// each item, and nil otherwise. A transaction that meets another write to one of its
// items is cancelled; the SDK does not retry that, but transact does.
func (t *Table) transact(ctx context.Context, items []types.TransactWriteItem) ([]types.CancellationReason, error) {
	in := &dynamodb.TransactWriteItemsInput{TransactItems: items}
	const tries = 8
	for try := 1; ; try++ {
		_, err := t.db.TransactWriteItems(ctx, in)
		if err == nil {
			return nil, nil
		}
		var cancelled *types.TransactionCanceledException
		switch {
		case !errors.As(err, &cancelled):
			return nil, err
		case cancelledFor(cancelled, conditionFailed):
			return cancelled.CancellationReasons, nil
		case try == tries || !cancelledFor(cancelled, "TransactionConflict"):
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Duration(try) * 5 * time.Millisecond):
		}
	}
}

// hasMark reports whether the record was revoked under the event. If that event is this
// request's own, its write was done and only the answer was lost.
func hasMark(old item, event ulid.ULID) bool {
	d, ok := old["details"].(*types.AttributeValueMemberM)
	if !ok {
		return false
	}
	id, ok := d.Value["event"].(*types.AttributeValueMemberB)
	return ok && bytes.Equal(id.Value, event[:])
}

// cancelledFor reports whether the transaction was cancelled for that reason.
func cancelledFor(e *types.TransactionCanceledException, code string) bool {
	return slices.ContainsFunc(e.CancellationReasons, func(r types.CancellationReason) bool { return aws.ToString(r.Code) == code })
}
