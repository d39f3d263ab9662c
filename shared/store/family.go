package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
)

// familyItem is a family as the table holds it. An attribute that a refresh reads is
// in every record.
type familyItem struct {
	UserID   string `dynamodbav:"user_id"`
	ClientID string `dynamodbav:"client_id"`

	Counter    uint32 `dynamodbav:"counter"`
	RotatedAt  int64  `dynamodbav:"rotated_at"`
	Held       uint32 `dynamodbav:"held"`
	RotationID []byte `dynamodbav:"rotation_id,omitempty"`
	Skipped    uint32 `dynamodbav:"skipped,omitempty"`
	SkippedTo  uint32 `dynamodbav:"skipped_to,omitempty"`

	ExpiresAt  int64 `dynamodbav:"expires_at"`
	LastUsedAt int64 `dynamodbav:"last_used_at"`
	KeepUntil  int64 `dynamodbav:"keep_until,omitempty"`
	PurgeAt    int64 `dynamodbav:"purge_at"`

	Scope    string `dynamodbav:"scope"`    // each scope between spaces, so that a condition can ask for it
	Audience string `dynamodbav:"audience"` // see joinAudience
	Claims   string `dynamodbav:"claims,omitempty"`
	AuthTime int64  `dynamodbav:"auth_time,omitempty"`
	ACR      string `dynamodbav:"acr,omitempty"`
	AMR      string `dynamodbav:"amr,omitempty"` // joined with spaces

	Device        string `dynamodbav:"device,omitempty"`
	LastIP        string `dynamodbav:"last_ip,omitempty"`
	LastUserAgent string `dynamodbav:"last_user_agent,omitempty"`

	ObservedAt int64        `dynamodbav:"observed_at,omitempty"`
	RevokedAt  int64        `dynamodbav:"revoked_at,omitempty"`
	Cause      family.Cause `dynamodbav:"cause,omitempty"`
	Details    *details     `dynamodbav:"details,omitempty"`
}

// details are what a record keeps of a revocation beside its time and cause.
type details struct {
	TokenCounter uint32 `dynamodbav:"counter,omitempty"`
	AgeMS        int64  `dynamodbav:"age_ms,omitempty"`
	Event        []byte `dynamodbav:"event,omitempty"`

	Evict  family.Evict `dynamodbav:"evict,omitempty"`
	Active int          `dynamodbav:"active,omitempty"`
}

func marshalFamily(f *family.Family) (item, error) {
	expires := f.ExpiresAt
	if expires.IsZero() {
		expires = never
	}
	m, err := attributevalue.MarshalMap(familyItem{
		UserID:        f.UserID,
		ClientID:      f.ClientID,
		Counter:       f.Counter,
		RotatedAt:     millis(f.RotatedAt),
		Held:          f.Held,
		RotationID:    f.RotationID,
		Skipped:       f.Skipped.From,
		SkippedTo:     f.Skipped.To,
		ExpiresAt:     expires.UnixMilli(),
		LastUsedAt:    millis(f.LastUsedAt),
		KeepUntil:     epoch(f.KeepUntil),
		PurgeAt:       epoch(f.PurgeAt),
		Scope:         " " + strings.Join(f.Scope, " ") + " ",
		Audience:      joinAudience(f.Audience),
		Claims:        f.Claims,
		AuthTime:      epoch(f.AuthTime),
		ACR:           f.ACR,
		AMR:           strings.Join(f.AMR, " "),
		Device:        f.Device,
		LastIP:        f.LastIP,
		LastUserAgent: f.LastUserAgent,
	})
	if err != nil {
		return nil, fmt.Errorf("marshal a family: %w", err)
	}
	maps.Copy(m, familyKey(f.ID))
	return m, nil
}

func unmarshalFamily(id family.ID, m item) (*family.Family, error) {
	var i familyItem
	if err := attributevalue.UnmarshalMap(m, &i); err != nil {
		return nil, fmt.Errorf("unmarshal a family: %w", err)
	}
	f := &family.Family{
		ID:            id,
		UserID:        i.UserID,
		ClientID:      i.ClientID,
		Counter:       i.Counter,
		RotatedAt:     fromMillis(i.RotatedAt),
		Held:          i.Held,
		RotationID:    i.RotationID,
		Skipped:       family.Range{From: i.Skipped, To: i.SkippedTo},
		ExpiresAt:     fromMillis(i.ExpiresAt),
		LastUsedAt:    fromMillis(i.LastUsedAt),
		KeepUntil:     fromEpoch(i.KeepUntil),
		PurgeAt:       fromEpoch(i.PurgeAt),
		Scope:         fields(i.Scope),
		Audience:      splitAudience(i.Audience),
		Claims:        i.Claims,
		AuthTime:      fromEpoch(i.AuthTime),
		ACR:           i.ACR,
		AMR:           fields(i.AMR),
		Device:        i.Device,
		LastIP:        i.LastIP,
		LastUserAgent: i.LastUserAgent,
		ObservedAt:    fromMillis(i.ObservedAt),
	}
	if !f.ExpiresAt.Before(never) {
		f.ExpiresAt = time.Time{}
	}
	if i.RevokedAt != 0 {
		f.Revoked = family.Revocation{At: fromMillis(i.RevokedAt), Cause: i.Cause}
		if d := i.Details; d != nil {
			f.Revoked.TokenCounter = d.TokenCounter
			f.Revoked.ReuseAge = time.Duration(d.AgeMS) * time.Millisecond
			f.Revoked.Evict, f.Revoked.Active = d.Evict, d.Active
			copy(f.Revoked.Event[:], d.Event)
		}
	}
	return f, nil
}

// Family reads the record of a family, strongly consistent. It returns [ErrNotFound] if
// there is none.
func (t *Table) Family(ctx context.Context, id family.ID) (*family.Family, error) {
	m, err := t.read(ctx, familyKey(id))
	if err != nil {
		return nil, fmt.Errorf("read a family: %w", err)
	}
	return unmarshalFamily(id, m)
}

// Issue puts a new family on record, and sets the time when the record may be deleted.
// It counts the family to its owner first, so that dying between the two writes only
// overcounts. An owner with more than the policy's MaxActive goes on the sweep's work
// list.
func (t *Table) Issue(ctx context.Context, f *family.Family, p *family.Policy) error {
	m, err := t.countNew(ctx, f, p)
	if err != nil {
		return err
	}
	// There is no condition: the id is new, and a retry puts the same item.
	if _, err := t.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: m}); err != nil {
		return fmt.Errorf("issue a family: %w", err)
	}
	return nil
}

// countNew counts a new family to its owner, and sets when its record may be deleted. It
// returns the record, which it does not write.
func (t *Table) countNew(ctx context.Context, f *family.Family, p *family.Policy) (item, error) {
	f.KeepUntil = time.Time{}
	f.PurgeAt = t.purgeAt(f.LastUsedAt, p)
	if !f.ExpiresAt.IsZero() {
		f.KeepUntil = f.ExpiresAt.Add(t.retention.Families)
		f.PurgeAt = f.KeepUntil
	}
	if err := t.countOwner(ctx, f, p); err != nil {
		return nil, fmt.Errorf("issue a family: %w", err)
	}
	m, err := marshalFamily(f)
	if err != nil {
		return nil, fmt.Errorf("issue a family: %w", err)
	}
	return m, nil
}

// purgeAt returns when the record of a family without an absolute end that is used at
// now may be deleted: never, if it has no idle end either.
func (t *Table) purgeAt(now time.Time, p *family.Policy) time.Time {
	if p.IdleLifetime == 0 {
		return never
	}
	return now.Add(p.IdleLifetime.Duration() + t.retention.Families)
}

// Refresh is one use of a refresh token by its client.
type Refresh struct {
	Family        family.ID
	Attempt       family.Attempt
	Policy        *family.Policy
	LastIP        string
	LastUserAgent string
}

// wrote reports whether the record is as this use of a token left it. It is not if the
// family has been revoked since.
func (r *Refresh) wrote(f *family.Family) bool {
	return f != nil && f.Revoked.At.IsZero() && bytes.Equal(f.RotationID, r.Attempt.WriteID)
}

const (
	useSet           = "SET last_used_at = :now, last_ip = :ip, last_user_agent = :ua, purge_at = if_not_exists(keep_until, :purge_at)"
	heldSet          = ", held = :n"
	rotateSet        = ", #counter = :next, rotated_at = :now, rotation_id = :id"
	refreshCondition = "#counter = :n AND client_id = :client AND " + aliveCondition
	// A family rotates at most once per reuse interval.
	notHeld = " AND rotated_at <= :held_since"
	// A record from before uses were recorded has no such attribute.
	unused = " AND (attribute_not_exists(held) OR held <> :n)"
)

// Refresh moves the family on by one if it lives, the token is its newest, and its last
// rotation is a reuse interval ago. It makes one conditional write and no read before
// it. If the policy does not rotate, it only records the use.
//
// If the write is done, f is the record after it. If the condition fails, done is false
// and f is the record as it stands, or nil if there is none.
func (t *Table) Refresh(ctx context.Context, r Refresh) (f *family.Family, done bool, err error) {
	a := &r.Attempt
	values := t.refreshValues(r)
	condition, set := refreshCondition, useSet
	if r.Policy.Rotation {
		set += rotateSet
		values[":next"] = number(a.Counter + 1)
		values[":id"] = &types.AttributeValueMemberB{Value: a.WriteID}
		if interval := r.Policy.ReuseInterval.Duration(); interval > 0 {
			condition += notHeld
			values[":held_since"] = number(a.Now.Add(-interval).UnixMilli())
		}
	} else {
		set += heldSet
	}
	names := map[string]string{"#counter": "counter"}
	if len(a.Scope) > 0 {
		var b strings.Builder
		b.WriteString(condition)
		names["#scope"] = "scope"
		for i, s := range a.Scope {
			fmt.Fprintf(&b, " AND contains(#scope, :scope%d)", i)
			values[fmt.Sprintf(":scope%d", i)] = text(" " + s + " ")
		}
		condition = b.String()
	}
	condition += audienceCondition(a, values)
	return t.updateFamily(ctx, r.Family, "refresh a family", types.Update{
		ConditionExpression: &condition, UpdateExpression: &set,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	})
}

// RecordUse records a use of the family that rotated nothing, if the family lives and
// still has the counter that seen has. held says that the token used was the newest. It
// returns what [Table.Refresh] returns.
func (t *Table) RecordUse(ctx context.Context, seen *family.Family, held bool, r Refresh) (f *family.Family, done bool, err error) {
	set := useSet
	if held {
		set += heldSet
	}
	values := t.refreshValues(r)
	values[":n"] = number(seen.Counter)
	return t.updateFamily(ctx, seen.ID, "record a use", types.Update{
		ConditionExpression: aws.String(refreshCondition), UpdateExpression: &set,
		ExpressionAttributeNames: map[string]string{"#counter": "counter"}, ExpressionAttributeValues: values,
	})
}

// ForgiveLost writes next, which [family.Family.AfterLost] made of seen, if the family
// lives, still has the counter that seen has, and its newest token has not been used.
// It returns what [Table.Refresh] returns; done is true as well if the record shows
// that the write was done and only its answer was lost.
func (t *Table) ForgiveLost(ctx context.Context, seen, next *family.Family, r Refresh) (f *family.Family, done bool, err error) {
	u := t.advance(seen, next, r)
	u.ConditionExpression = aws.String(*u.ConditionExpression + unused)
	f, done, err = t.updateFamily(ctx, seen.ID, "forgive a lost response", u)
	return f, done || r.wrote(f), err
}

// CatchUp writes next, which [family.Family.AfterRestore] made of seen, if the family
// lives and still has the counter that seen has. It stores e with it, both or neither.
// It returns what [Table.ForgiveLost] returns.
func (t *Table) CatchUp(ctx context.Context, seen, next *family.Family, r Refresh, e *audit.Event) (f *family.Family, done bool, err error) {
	old, done, err := t.updateWithEvent(ctx, seen.ID, e, t.advance(seen, next, r))
	if err != nil {
		return nil, false, fmt.Errorf("catch up with a token: %w", err)
	}
	if done {
		after := *next
		after.RotationID, after.LastUsedAt = r.Attempt.WriteID, r.Attempt.Now
		after.LastIP, after.LastUserAgent = r.LastIP, r.LastUserAgent
		if after.KeepUntil.IsZero() {
			after.PurgeAt = fromEpoch(epoch(t.purgeAt(r.Attempt.Now, r.Policy)))
		}
		return &after, true, nil
	}
	if len(old) == 0 {
		return nil, false, nil
	}
	f, err = unmarshalFamily(seen.ID, old)
	if err != nil {
		return nil, false, fmt.Errorf("catch up with a token: %w", err)
	}
	return f, r.wrote(f), nil
}

// advance returns the update from seen to next, on the condition that the family lives
// and still has the counter that seen has.
func (t *Table) advance(seen, next *family.Family, r Refresh) types.Update {
	values := t.refreshValues(r)
	values[":n"] = number(seen.Counter)
	values[":next"] = number(next.Counter)
	values[":id"] = &types.AttributeValueMemberB{Value: r.Attempt.WriteID}
	values[":held"] = number(next.Held)
	set := useSet + rotateSet + ", held = :held"
	set += ", skipped = :skipped, skipped_to = :skipped_to"
	values[":skipped"] = number(next.Skipped.From)
	values[":skipped_to"] = number(next.Skipped.To)
	return types.Update{
		ConditionExpression:       aws.String(refreshCondition),
		UpdateExpression:          &set,
		ExpressionAttributeNames:  map[string]string{"#counter": "counter"},
		ExpressionAttributeValues: values,
	}
}

// refreshValues returns the values of useSet and refreshCondition.
func (t *Table) refreshValues(r Refresh) item {
	values := aliveValues(r.Attempt.Now, r.Policy.IdleLifetime.Duration())
	values[":n"] = number(r.Attempt.Counter)
	values[":client"] = text(r.Attempt.ClientID)
	values[":ip"] = text(r.LastIP)
	values[":ua"] = text(r.LastUserAgent)
	values[":purge_at"] = number(epoch(t.purgeAt(r.Attempt.Now, r.Policy)))
	return values
}

// updateFamily makes a conditional update of a family. It returns what [Table.Refresh]
// returns. op names the operation in errors.
func (t *Table) updateFamily(ctx context.Context, id family.ID, op string, u types.Update) (f *family.Family, done bool, err error) {
	out, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                           &t.name,
		Key:                                 familyKey(id),
		ConditionExpression:                 u.ConditionExpression,
		UpdateExpression:                    u.UpdateExpression,
		ExpressionAttributeNames:            u.ExpressionAttributeNames,
		ExpressionAttributeValues:           u.ExpressionAttributeValues,
		ReturnValues:                        types.ReturnValueAllNew,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	var record item
	switch {
	case err == nil:
		record, done = out.Attributes, true
	case !errors.As(err, &failed):
		return nil, false, fmt.Errorf("%s: %w", op, err)
	case len(failed.Item) == 0:
		return nil, false, nil
	default:
		record = failed.Item
	}
	if f, err = unmarshalFamily(id, record); err != nil {
		return nil, false, fmt.Errorf("%s: %w", op, err)
	}
	return f, done, nil
}

// fields returns the parts of a text joined with spaces, or nil if there are none.
func fields(s string) []string {
	if f := strings.Fields(s); len(f) > 0 {
		return f
	}
	return nil
}
