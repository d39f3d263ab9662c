package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/oklog/ulid/v2"
)

// overLimit is the partition of the sweep's work list.
const overLimit = "over_limit"

// OwnerID is a user in an application.
type OwnerID struct {
	UserKey  [16]byte
	ClientID string
}

// Owner is what is kept of an owner.
type Owner struct {
	ID       OwnerID
	Active   int       // how many families are active at most
	KeptFrom ulid.ULID // what began before has ended for good
	Plan     *Plan     // while a sweep runs
}

// Plan is what a sweep of an owner is about to do. It is stored before it is
// carried out, so that another sweep can finish what one began.
type Plan struct {
	Event    ulid.ULID   `json:"event"` // the id of the cleanup's event
	At       time.Time   `json:"at"`
	UserID   string      `json:"user_id"`
	Start    int         `json:"start"`    // how many were active
	Families []ulid.ULID `json:"families"` // the oldest of them, which end
}

func ownerKey(id OwnerID) item { return key(userPK(id.UserKey), "o#"+id.ClientID) }

func overLimitKey(id OwnerID) item {
	return key(overLimit, base64.RawURLEncoding.EncodeToString(id.UserKey[:])+"#"+id.ClientID)
}

// countOwner adds one to the number of families that the owner, the user in
// the client, has active at most. An owner past maxActive goes on the work list.
func (t *Table) countOwner(ctx context.Context, userKey [16]byte, clientID string, maxActive int) error {
	out, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &t.name,
		Key:                       ownerKey(OwnerID{userKey, clientID}),
		UpdateExpression:          aws.String("SET plan_id = if_not_exists(plan_id, :none) ADD active :one"),
		ExpressionAttributeValues: item{":one": number(1), ":none": text("")},
		ReturnValues:              types.ReturnValueUpdatedNew,
	})
	if err != nil {
		return fmt.Errorf("count a family to its owner: %w", err)
	}
	n, ok := out.Attributes["active"].(*types.AttributeValueMemberN)
	if !ok {
		return fmt.Errorf("count a family to its owner: the count is missing in the answer")
	}
	active, err := strconv.Atoi(n.Value)
	if err != nil {
		return fmt.Errorf("count a family to its owner: %w", err)
	}
	if active <= maxActive {
		return nil
	}
	_, err = t.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &t.name,
		Item:      overLimitKey(OwnerID{userKey, clientID}),
	})
	if err != nil {
		return fmt.Errorf("put an owner on the work list: %w", err)
	}
	return nil
}

// OverLimit reads up to limit owners from the work list, after the given one
// unless it is nil. more says whether there may be more.
func (t *Table) OverLimit(ctx context.Context, after *OwnerID, limit int32) (owners []OwnerID, more bool, err error) {
	in := &dynamodb.QueryInput{
		TableName:                 &t.name,
		KeyConditionExpression:    aws.String("pk = :pk"),
		ExpressionAttributeValues: item{":pk": text(overLimit)},
		ConsistentRead:            aws.Bool(true),
		Limit:                     &limit,
	}
	if after != nil {
		in.ExclusiveStartKey = overLimitKey(*after)
	}
	out, err := t.db.Query(ctx, in)
	if err != nil {
		return nil, false, fmt.Errorf("read the work list: %w", err)
	}
	for _, m := range out.Items {
		sk, ok := m["sk"].(*types.AttributeValueMemberS)
		if !ok {
			return nil, false, fmt.Errorf("read the work list: an item without a sort key")
		}
		encoded, clientID, _ := strings.Cut(sk.Value, "#")
		userKey, err := userKeyOf("u#" + encoded)
		if err != nil {
			return nil, false, fmt.Errorf("read the work list: %w", err)
		}
		owners = append(owners, OwnerID{userKey, clientID})
	}
	return owners, len(out.LastEvaluatedKey) > 0, nil
}

// Owner reads an owner, strongly consistent; [ErrNotFound] where there is none.
func (t *Table) Owner(ctx context.Context, id OwnerID) (*Owner, error) {
	m, err := t.read(ctx, ownerKey(id))
	if err != nil {
		return nil, fmt.Errorf("read an owner: %w", err)
	}
	var i struct {
		Active   int    `dynamodbav:"active"`
		KeptFrom string `dynamodbav:"kept_from"`
		PlanID   string `dynamodbav:"plan_id"`
		Plan     string `dynamodbav:"plan"`
	}
	if err := attributevalue.UnmarshalMap(m, &i); err != nil {
		return nil, fmt.Errorf("read an owner: %w", err)
	}
	o := &Owner{ID: id, Active: i.Active}
	if i.KeptFrom != "" {
		if o.KeptFrom, err = ulid.ParseStrict(i.KeptFrom); err != nil {
			return nil, fmt.Errorf("read an owner: %w", err)
		}
	}
	if i.PlanID != "" {
		o.Plan = &Plan{}
		if err := json.Unmarshal([]byte(i.Plan), o.Plan); err != nil {
			return nil, fmt.Errorf("read an owner's plan: %w", err)
		}
	}
	return o, nil
}

// StorePlan stores what a sweep is about to do, unless the owner has a plan
// already: then it is not done.
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

// FinishPlan removes a plan that has been carried out, unless another sweep has.
func (t *Table) FinishPlan(ctx context.Context, id OwnerID, p *Plan) error {
	_, err := t.updateOwner(ctx, id, "SET plan_id = :none, #plan = :none", "plan_id = :id",
		item{":id": text(p.Event.String()), ":none": text("")}, map[string]string{"#plan": "plan"})
	if err != nil {
		return fmt.Errorf("finish a plan: %w", err)
	}
	return nil
}

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

// Settle sets the owner's count to the families found active and takes the owner
// off the work list, both or neither: neither if the count has moved since o was
// read, for then a family is being issued.
func (t *Table) Settle(ctx context.Context, o *Owner, active int, keptFrom ulid.ULID) error {
	_, err := t.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Update: &types.Update{
			TableName:           &t.name,
			Key:                 ownerKey(o.ID),
			UpdateExpression:    aws.String("SET active = :active, kept_from = :kept_from"),
			ConditionExpression: aws.String("active = :seen AND plan_id = :none"),
			ExpressionAttributeValues: item{
				":active": number(active), ":seen": number(o.Active), ":none": text(""), ":kept_from": text(keptFrom.String()),
			},
		}},
		{Delete: &types.Delete{TableName: &t.name, Key: overLimitKey(o.ID)}},
	}})
	var cancelled *types.TransactionCanceledException
	if errors.As(err, &cancelled) {
		return nil // the owner stays on the work list
	}
	if err != nil {
		return fmt.Errorf("settle an owner: %w", err)
	}
	return nil
}

// DropOverLimit takes an owner off the work list without more ado: one that has
// no record, or whose client is gone.
func (t *Table) DropOverLimit(ctx context.Context, id OwnerID) error {
	_, err := t.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &t.name, Key: overLimitKey(id)})
	if err != nil {
		return fmt.Errorf("take an owner off the work list: %w", err)
	}
	return nil
}
