package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
)

// familyItem is a family as the table holds it. Every attribute that a refresh
// reads is always there.
type familyItem struct {
	PK string `dynamodbav:"pk"`
	SK string `dynamodbav:"sk"`

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

	Scope    string `dynamodbav:"scope"`    // each token between spaces, so that a condition can ask for it
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

// details is what is kept of a revocation beside its time and cause.
type details struct {
	TokenCounter uint32 `dynamodbav:"counter,omitempty"`
	AgeMS        int64  `dynamodbav:"age_ms,omitempty"`
	Event        []byte `dynamodbav:"event,omitempty"`

	Evict  family.Evict `dynamodbav:"evict,omitempty"`
	Active int          `dynamodbav:"active,omitempty"`
}

func marshalFamily(f *family.Family) (item, error) {
	k := familyKey(f.ID)
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
	m["pk"], m["sk"] = k["pk"], k["sk"]
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

// Family reads the record of a family, strongly consistent; [ErrNotFound] where
// there is none.
func (t *Table) Family(ctx context.Context, id family.ID) (*family.Family, error) {
	m, err := t.read(ctx, familyKey(id))
	if err != nil {
		return nil, fmt.Errorf("read a family: %w", err)
	}
	return unmarshalFamily(id, m)
}

// Issue puts a new family on record, counted to its owner first: dying between
// the two only overcounts. An owner with more than maxActive goes on the work
// list of the sweep. It sets the end of f's record.
func (t *Table) Issue(ctx context.Context, f *family.Family, p *family.Policy) error {
	m, err := t.prepare(ctx, f, p)
	if err != nil {
		return err
	}
	// No condition: the id is new, and a retry of a lost answer puts the same.
	if _, err := t.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: m}); err != nil {
		return fmt.Errorf("issue a family: %w", err)
	}
	return nil
}

// prepare counts a new family to its owner, and returns its record, whose end it sets.
func (t *Table) prepare(ctx context.Context, f *family.Family, p *family.Policy) (item, error) {
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

// purgeAt is when the record of a family may go that has no absolute end and
// is used at now. Without an idle end either there is no such time.
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

// wrote says whether the record is as this use of a token left it: not where the
// family was revoked meanwhile.
func (r *Refresh) wrote(f *family.Family) bool {
	return f != nil && f.Revoked.At.IsZero() && bytes.Equal(f.RotationID, r.Attempt.WriteID)
}

const (
	useSet           = "SET last_used_at = :now, last_ip = :ip, last_user_agent = :ua, purge_at = if_not_exists(keep_until, :purge_at)"
	heldSet          = ", held = :n"
	rotateSet        = ", #counter = :next, rotated_at = :now, rotation_id = :id"
	refreshCondition = "#counter = :n AND client_id = :client AND " + alive
	// A family rotates at most once per reuse interval.
	notHeld = " AND rotated_at <= :held_since"
	// A record of before uses were recorded says nothing of them.
	unused = " AND (attribute_not_exists(held) OR held <> :n)"
)

// Refresh moves the family on by one if the token is its newest, its last
// rotation is a reuse interval ago, and it lives: one conditional write, with no
// read before it. Where the policy does not rotate, only the time of use moves. It
// returns the record as it is after the write, done; or as it stands where the
// condition failed, not done, nil where there is none.
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
	condition += isFor(a, values)
	return t.updateFamily(ctx, r.Family, "refresh a family", types.Update{
		ConditionExpression: &condition, UpdateExpression: &set,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	})
}

// RecordUse writes down a use of the family seen that rotated nothing, if the
// record still has seen's counter and lives; held says that the token used was
// the newest. It returns as [Table.Refresh] does.
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

// Skip writes what [family.Family.Skip] made of seen, if the record still has
// seen's counter, its newest token has not been used, and it lives. It returns as
// [Table.Refresh] does, but is done as well where the record shows that it was,
// and only the answer was lost.
func (t *Table) Skip(ctx context.Context, seen, next *family.Family, r Refresh) (f *family.Family, done bool, err error) {
	u := t.advance(seen, next, r)
	u.ConditionExpression = aws.String(*u.ConditionExpression + unused)
	f, done, err = t.updateFamily(ctx, seen.ID, "skip a lost response", u)
	return f, done || r.wrote(f), err
}

// MoveAhead writes what [family.Family.MoveAhead] made of seen, if the record
// still has seen's counter and lives, and stores e with it, both or neither. It
// returns as [Table.Skip] does.
func (t *Table) MoveAhead(ctx context.Context, seen, next *family.Family, r Refresh, e *audit.Event) (f *family.Family, done bool, err error) {
	old, done, err := t.updateWithEvent(ctx, seen.ID, e, t.advance(seen, next, r))
	if err != nil {
		return nil, false, fmt.Errorf("move a family ahead: %w", err)
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
		return nil, false, fmt.Errorf("move a family ahead: %w", err)
	}
	return f, r.wrote(f), nil
}

// advance is the update from seen to next, on the condition that the record is
// still as seen and lives.
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

// updateFamily makes a conditional update of a family. It returns the record as it
// is after the update, done; or as it stands where the condition failed, not done,
// nil where there is none.
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

// fields are the parts of a text joined with spaces; nil where there are none.
func fields(s string) []string {
	if f := strings.Fields(s); len(f) > 0 {
		return f
	}
	return nil
}
