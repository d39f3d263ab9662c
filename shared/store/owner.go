package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store/schema"
)

// OwnerID is a user in an application.
type OwnerID struct {
	UserKey  [16]byte
	ClientID string
}

// Owner is the record of an owner.
type Owner struct {
	ID        OwnerID
	Active    int       // an upper bound of how many of its families are active
	CountedAt time.Time // when a family was last counted, or zero if unknown
	Horizon   Horizon   // how far back the next sweep reads
	Plan      *Plan     // the plan of the sweep in progress, or nil
}

func ownerKey(id OwnerID) item { return key(userPK(id.UserKey), schema.OwnerPrefix+id.ClientID) }

// countOwner adds one, for f, to the count of its owner's active families. If the owner then
// has too many, it puts the owner on the work list.
//
// The owner's record is kept for as long as the family's, or longer if it already had a later
// end. It may still be deleted too early: a family without an absolute end lives for as long
// as it is used, and a policy may lengthen lifetimes. So if there is no record, countOwner
// counts the families.
func (t *Table) countOwner(ctx context.Context, f *family.Family, p *family.Policy) error {
	id := OwnerID{f.ID.UserKey(), f.ClientID}
	kept := false // whether the owner's record is kept for longer than f's
	const attempts = 4
	for range attempts {
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
		living, all, err := t.countLiving(ctx, id, p, f.LastUsedAt)
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

// addToOwner adds one to the count on the owner's record at now, and returns the count. Unless
// longer says that the record is kept for longer, it sets the record to be kept until the
// given time. If active is 0, nothing was added: either there is no record, or it exists and
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

// countLiving counts the owner's families that are alive at now, among the user's newest. all
// reports whether those are all of the user's.
func (t *Table) countLiving(ctx context.Context, id OwnerID, p *family.Policy, now time.Time) (living int, all bool, err error) {
	families, next, err := t.FamiliesBefore(ctx, id.UserKey, ulid.ULID{}, familiesPerRead)
	for _, f := range families {
		if f.ClientID == id.ClientID && f.Death(p, now) == "" {
			living++
		}
	}
	return living, next == ulid.ULID{}, err
}

// MakeOwner writes an owner with the given number of active families, to be kept until the
// given time. done is false if there is a record already.
func (t *Table) MakeOwner(ctx context.Context, id OwnerID, active int, keep time.Time) (done bool, err error) {
	return t.makeOwner(ctx, id, active, keep, time.Time{})
}

// makeOwner does what MakeOwner does. countedAt is when a family was counted that is not
// written yet, or zero.
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

// Owner reads an owner, strongly consistent. It returns [ErrNotFound] if there is none.
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
			o.Horizon = Horizon{} // their record is gone, so the next sweep reads everything
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

// Settle sets the owner's count and horizon, and takes the owner off the work list: all or
// nothing. It does nothing if a family was counted or a plan stored since o was read.
// purgeAt is when the record of the families that the horizon keeps may be deleted: now,
// if it keeps none.
func (t *Table) Settle(ctx context.Context, o *Owner, active int, h Horizon, purgeAt time.Time) error {
	return t.settle(ctx, o, active, h, purgeAt, true)
}

// Recount does what [Table.Settle] does, but leaves the owner on the work list.
func (t *Table) Recount(ctx context.Context, o *Owner, active int, h Horizon, purgeAt time.Time) error {
	return t.settle(ctx, o, active, h, purgeAt, false)
}

func (t *Table) settle(ctx context.Context, o *Owner, active int, h Horizon, purgeAt time.Time, unlist bool) error {
	condition := "active = :seen AND plan_id = :none"
	values := item{
		":active": number(active), ":seen": number(o.Active), ":none": text(""), ":kept_from": text(h.From.String()),
		":kept": number(len(h.Kept)), ":kept_idle": number(int64(h.Idle)), ":kept_not_before": number(millis(h.NotBefore)),
	}
	// The count goes up and down, so it may be the same again after a family was counted.
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
