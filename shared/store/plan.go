package store

import (
	"context"
	"encoding/json"
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

// Plan is what a sweep of an owner is about to do. It is stored before it is carried out, so
// that another sweep can finish it.
type Plan struct {
	Event    ulid.ULID    `json:"event"` // the id of the event that it will store
	At       time.Time    `json:"at"`
	UserID   string       `json:"user_id"`
	Start    int          `json:"start"`     // how many families were active
	Evict    family.Evict `json:"evict"`     // the rule by which the families were chosen
	Families []ulid.ULID  `json:"families"`  // the families that are to end
	LastUsed []int64      `json:"last_used"` // when each was last used as the plan was made, in epoch milliseconds
}

// Add adds a family and its last use to the plan.
func (p *Plan) Add(f *family.Family) {
	p.Families = append(p.Families, f.ID.ULID())
	p.LastUsed = append(p.LastUsed, millis(f.LastUsedAt))
}

// SeenUsed returns the last use of the plan's i-th family as the plan was made. ok is false
// for an older plan, which did not record that.
func (p *Plan) SeenUsed(i int) (at time.Time, ok bool) {
	if i >= len(p.LastUsed) {
		return time.Time{}, false
	}
	return fromMillis(p.LastUsed[i]), true
}

// StorePlan stores what a sweep is about to do. done is false if the owner has a plan
// already.
func (t *Table) StorePlan(ctx context.Context, id OwnerID, p *Plan) (done bool, err error) {
	b, err := json.Marshal(p)
	if err != nil {
		return false, fmt.Errorf("store a plan: %w", err)
	}
	done, err = t.updateOwner(ctx, id, "SET plan_id = :id, #plan = :plan", "plan_id = :none",
		item{":id": text(p.Event.String()), ":plan": text(string(b)), ":none": text("")}, map[string]string{"#plan": "plan"})
	if err != nil {
		return false, fmt.Errorf("store a plan: %w", err)
	}
	return done, nil
}

// FinishPlan removes a plan that has been carried out, subtracts the families that it
// ended from the owner's count, and stores e, which names them: all or nothing. done is
// false if another sweep was first, or if the owner has been erased with its user. If e is
// nil, FinishPlan only removes the plan.
func (t *Table) FinishPlan(ctx context.Context, id OwnerID, p *Plan, e *audit.Event) (done bool, err error) {
	const update, condition = "SET plan_id = :none, #plan = :none", "plan_id = :id"
	values, names := item{":id": text(p.Event.String()), ":none": text("")}, map[string]string{"#plan": "plan"}
	if e == nil {
		if done, err = t.updateOwner(ctx, id, update, condition, values, names); err != nil {
			return false, fmt.Errorf("finish a plan: %w", err)
		}
		return done, nil
	}
	m, err := t.marshalEvent(e)
	if err != nil {
		return false, fmt.Errorf("finish a plan: %w", err)
	}
	mark := newMark()
	m["put_by"] = &types.AttributeValueMemberB{Value: mark}
	values[":ended"] = number(-e.Removed)
	reasons, err := t.transact(ctx, []types.TransactWriteItem{
		{Update: &types.Update{
			TableName: &t.name, Key: ownerKey(id), UpdateExpression: aws.String(update + " ADD active :ended"), ConditionExpression: aws.String(condition),
			ExpressionAttributeNames: names, ExpressionAttributeValues: values,
		}},
		{Put: &types.Put{TableName: &t.name, Item: m}},
	})
	if err == nil && reasons != nil {
		done, err = t.putBy(ctx, e, mark) // whether it was us, and the answer was lost
	}
	if err != nil {
		return false, fmt.Errorf("finish a plan: %w", err)
	}
	return done || reasons == nil, nil
}

// updateOwner makes a conditional update of an owner. done reports whether the condition
// held.
func (t *Table) updateOwner(ctx context.Context, id OwnerID, update, condition string, values item, names map[string]string) (done bool, err error) {
	_, err = t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &t.name,
		Key:                       ownerKey(id),
		UpdateExpression:          &update,
		ConditionExpression:       &condition,
		ExpressionAttributeNames:  names,
		ExpressionAttributeValues: values,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return false, nil
	}
	return err == nil, err
}
