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

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
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
	ID        OwnerID
	Active    int       // how many families are active at most
	CountedAt time.Time // when the last of them was counted; zero where that is not known
	Horizon   Horizon   // how far back the next sweep reads
	Plan      *Plan     // while a sweep runs
}

// Horizon spares a sweep the reading of what has ended for good: of the families
// that began before From, those in Kept alone may still be active.
type Horizon struct {
	From ulid.ULID
	Kept []ulid.ULID // in a record of their own, since each login writes the owner's
	// Idle and NotBefore are the policy that it was found under: under one that lets
	// families live for longer it says nothing.
	Idle      family.Seconds // 0 is no idle end
	NotBefore time.Time
}

// Holds reports whether the horizon says anything under the policy.
func (h *Horizon) Holds(p *family.Policy) bool {
	longer := h.Idle != 0 && (p.IdleLifetime == 0 || p.IdleLifetime > h.Idle)
	return !longer && !p.NotBefore.Before(h.NotBefore)
}

// Plan is what a sweep of an owner is about to do. It is stored before it is
// carried out, so that another sweep can finish what one began.
type Plan struct {
	Event    ulid.ULID    `json:"event"` // the id of the cleanup's event
	At       time.Time    `json:"at"`
	UserID   string       `json:"user_id"`
	Start    int          `json:"start"`     // how many were active
	Evict    family.Evict `json:"evict"`     // the rule by which the families were chosen
	Families []ulid.ULID  `json:"families"`  // which end
	LastUsed []int64      `json:"last_used"` // the last use of each that the plan saw, in epoch milliseconds
}

// Add adds a family to the plan, as it is now.
func (p *Plan) Add(f *family.Family) {
	p.Families = append(p.Families, f.ID.ULID())
	p.LastUsed = append(p.LastUsed, millis(f.LastUsedAt))
}

// SeenUsed returns the last use of the plan's i-th family that the plan saw; ok is
// false for a plan of before plans looked at that.
func (p *Plan) SeenUsed(i int) (at time.Time, ok bool) {
	if i >= len(p.LastUsed) {
		return time.Time{}, false
	}
	return fromMillis(p.LastUsed[i]), true
}

func ownerKey(id OwnerID) item { return key(userPK(id.UserKey), "o#"+id.ClientID) }

func keptKey(id OwnerID) item { return key(userPK(id.UserKey), "k#"+id.ClientID) }

func overLimitKey(id OwnerID) item {
	return key(overLimit, base64.RawURLEncoding.EncodeToString(id.UserKey[:])+"#"+id.ClientID)
}

// countOwner adds one, for f, to the number of families that its owner has active
// at most. An owner past the limit goes on the work list.
//
// The owner's record is kept for as long as the family's, or longer for one from
// before. It may still go too early: a family without an absolute end lives on for
// as long as it is used, and a policy may come to give longer lives. So where there
// is no record, the families say how many there are.
func (t *Table) countOwner(ctx context.Context, f *family.Family, p *family.Policy) error {
	id := OwnerID{f.ID.UserKey(), f.ClientID}
	kept := false // for longer than f
	const looks = 4
	for range looks {
		active, there, err := t.addToOwner(ctx, id, f.LastUsedAt, f.PurgeAt, kept)
		switch {
		case err != nil:
			return fmt.Errorf("count a family to its owner: %w", err)
		case active > 0:
			return t.listOwner(ctx, id, active > p.MaxActive)
		case there:
			kept = true
			continue
		}
		living, all, err := t.livingOf(ctx, id, p, f.LastUsedAt)
		if err != nil {
			return fmt.Errorf("count a family to its owner: %w", err)
		}
		made, err := t.makeOwner(ctx, id, living+1, f.PurgeAt, f.LastUsedAt)
		if err != nil {
			return fmt.Errorf("count a family to its owner: %w", err)
		}
		if made {
			return t.listOwner(ctx, id, living+1 > p.MaxActive || !all)
		}
	}
	return errors.New("count a family to its owner: its record kept changing")
}

// addToOwner adds one to the count on the owner's record, at now, keeps the record
// until the given time, unless it is kept for longer, and returns the count. Where it
// returns 0, nothing was added: there says whether the owner has a record, which then
// is kept for longer.
func (t *Table) addToOwner(ctx context.Context, id OwnerID, now, keep time.Time, longer bool) (active int, there bool, err error) {
	update, condition := "SET counted_at = :now", "attribute_exists(pk)"
	values := item{":one": number(1), ":now": number(millis(now))}
	if !longer {
		update += ", purge_at = :purge_at"
		condition += " AND (attribute_not_exists(purge_at) OR purge_at <= :purge_at)"
		values[":purge_at"] = number(epoch(keep))
	}
	update += " ADD active :one"
	out, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                           &t.name,
		Key:                                 ownerKey(id),
		UpdateExpression:                    &update,
		ConditionExpression:                 &condition,
		ExpressionAttributeValues:           values,
		ReturnValues:                        types.ReturnValueUpdatedNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return 0, len(failed.Item) > 0, nil
	}
	if err != nil {
		return 0, false, err
	}
	n, ok := out.Attributes["active"].(*types.AttributeValueMemberN)
	if !ok {
		return 0, false, errors.New("the count is missing in the answer")
	}
	active, err = strconv.Atoi(n.Value)
	return active, true, err
}

// livingOf counts the owner's families that live at now, among the newest of the
// user; all says whether those are all.
func (t *Table) livingOf(ctx context.Context, id OwnerID, p *family.Policy, now time.Time) (living int, all bool, err error) {
	families, next, err := t.FamiliesBefore(ctx, id.UserKey, ulid.ULID{}, familiesPerRead)
	for _, f := range families {
		if f.ClientID == id.ClientID && f.Death(p, now) == "" {
			living++
		}
	}
	return living, next == ulid.ULID{}, err
}

// MakeOwner puts an owner on record who has so many active families, to be kept
// until that time, unless there is a record: then it is not done.
func (t *Table) MakeOwner(ctx context.Context, id OwnerID, active int, keep time.Time) (done bool, err error) {
	return t.makeOwner(ctx, id, active, keep, time.Time{})
}

// makeOwner does what MakeOwner does; countedAt is when a family was counted that is
// not on record yet, or zero.
func (t *Table) makeOwner(ctx context.Context, id OwnerID, active int, keep, countedAt time.Time) (done bool, err error) {
	m := ownerKey(id)
	if !countedAt.IsZero() {
		m["counted_at"] = number(millis(countedAt))
	}
	m["active"], m["plan_id"], m["purge_at"] = number(active), text(""), number(epoch(keep))
	_, err = t.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &t.name, Item: m, ConditionExpression: aws.String("attribute_not_exists(pk)"),
	})
	var there *types.ConditionalCheckFailedException
	if errors.As(err, &there) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("make an owner: %w", err)
	}
	return true, nil
}

// listOwner puts an owner who is over the limit on the work list.
func (t *Table) listOwner(ctx context.Context, id OwnerID, over bool) error {
	if !over {
		return nil
	}
	_, err := t.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: overLimitKey(id)})
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
		Active        int    `dynamodbav:"active"`
		CountedAt     int64  `dynamodbav:"counted_at"`
		KeptFrom      string `dynamodbav:"kept_from"`
		Kept          int    `dynamodbav:"kept"`
		KeptIdle      int64  `dynamodbav:"kept_idle"`
		KeptNotBefore int64  `dynamodbav:"kept_not_before"`
		PlanID        string `dynamodbav:"plan_id"`
		Plan          string `dynamodbav:"plan"`
	}
	if err := attributevalue.UnmarshalMap(m, &i); err != nil {
		return nil, fmt.Errorf("read an owner: %w", err)
	}
	o := &Owner{ID: id, Active: i.Active, CountedAt: fromMillis(i.CountedAt)}
	if i.KeptFrom != "" {
		o.Horizon.Idle, o.Horizon.NotBefore = family.Seconds(i.KeptIdle), fromMillis(i.KeptNotBefore)
		if o.Horizon.From, err = ulid.ParseStrict(i.KeptFrom); err != nil {
			return nil, fmt.Errorf("read an owner: %w", err)
		}
	}
	if i.Kept > 0 {
		if o.Horizon.Kept, err = t.kept(ctx, id, i.KeptFrom); err != nil {
			return nil, fmt.Errorf("read an owner: %w", err)
		}
		if o.Horizon.Kept == nil {
			o.Horizon = Horizon{} // their record is gone: read all again
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

// kept reads which families before an owner's horizon may be active, nil where the
// record is gone or is of another horizon.
func (t *Table) kept(ctx context.Context, id OwnerID, from string) ([]ulid.ULID, error) {
	m, err := t.read(ctx, keptKey(id))
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var i struct {
		From     string `dynamodbav:"from"`
		Families string `dynamodbav:"families"`
	}
	if err := attributevalue.UnmarshalMap(m, &i); err != nil {
		return nil, err
	}
	if i.From != from {
		return nil, nil
	}
	return splitULIDs(i.Families)
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

// FinishPlan removes a plan that has been carried out, takes the families that e says
// it ended from the owner's count, and stores e: all or nothing. It does nothing, and
// returns false, where another sweep was first, or the owner is gone with its user.
// Without e it removes the plan alone.
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
		done, err = t.putBy(ctx, e, mark) // by us, where the answer was lost
	}
	if err != nil {
		return false, fmt.Errorf("finish a plan: %w", err)
	}
	return done || reasons == nil, nil
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

// Settle sets the owner's count, which active is from now on, and its horizon, and
// takes the owner off the work list, all or nothing: nothing if the count has moved
// since o was read, for then a family is being issued. purgeAt is when the record of
// what the horizon keeps may go: now, where it keeps nothing.
func (t *Table) Settle(ctx context.Context, o *Owner, active int, h Horizon, purgeAt time.Time) error {
	return t.settle(ctx, o, active, h, purgeAt, true)
}

// Recount does what [Table.Settle] does, and leaves the owner on the work list.
func (t *Table) Recount(ctx context.Context, o *Owner, active int, h Horizon, purgeAt time.Time) error {
	return t.settle(ctx, o, active, h, purgeAt, false)
}

func (t *Table) settle(ctx context.Context, o *Owner, active int, h Horizon, purgeAt time.Time, unlist bool) error {
	condition := "active = :seen AND plan_id = :none"
	values := item{
		":active": number(active), ":seen": number(o.Active), ":none": text(""), ":kept_from": text(h.From.String()),
		":kept": number(len(h.Kept)), ":kept_idle": number(int64(h.Idle)), ":kept_not_before": number(millis(h.NotBefore)),
	}
	// The count goes up and down: it may be what it was, and another family be among it.
	if o.CountedAt.IsZero() {
		condition += " AND attribute_not_exists(counted_at)"
	} else {
		condition += " AND counted_at = :counted_at"
		values[":counted_at"] = number(millis(o.CountedAt))
	}
	items := []types.TransactWriteItem{{Update: &types.Update{
		TableName:                 &t.name,
		Key:                       ownerKey(o.ID),
		UpdateExpression:          aws.String("SET active = :active, kept_from = :kept_from, kept = :kept, kept_idle = :kept_idle, kept_not_before = :kept_not_before"),
		ConditionExpression:       &condition,
		ExpressionAttributeValues: values,
	}}}
	if unlist {
		items = append(items, types.TransactWriteItem{Delete: &types.Delete{TableName: &t.name, Key: overLimitKey(o.ID)}})
	}
	if len(h.Kept) > 0 || len(o.Horizon.Kept) > 0 {
		m := keptKey(o.ID)
		m["from"], m["families"], m["purge_at"] = text(h.From.String()), text(joinULIDs(h.Kept)), number(epoch(purgeAt))
		items = append(items, types.TransactWriteItem{Put: &types.Put{TableName: &t.name, Item: m}})
	}
	_, err := t.db.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: items})
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
