package store

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
)

// Refresh is one use of a refresh token by its client.
type Refresh struct {
	Family        family.ID
	Attempt       family.Attempt
	Policy        *family.Policy
	LastIP        string
	LastUserAgent string
}

// wrote reports whether the record is as this use of a token left it. If the family has been
// revoked since, it is not.
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
	// An authorization code is exchanged in time, and by whom it was issued for.
	originCondition = " AND origin_until > :now AND challenge = :challenge AND redirect = :redirect"
	originSet       = ", origin_until = :forgiven_until"
	// A family that is bound to a key is used by who has it.
	unboundCondition = " AND attribute_not_exists(jkt)"
	boundCondition   = " AND (attribute_not_exists(jkt) OR jkt = :jkt)"
	bindSet          = ", jkt = :jkt"
	unbind           = " REMOVE jkt"
	// An older record, from before uses were recorded, has no such attribute.
	unused = " AND (attribute_not_exists(held) OR held <> :n)"
)

// Refresh moves the family on by one if it is alive, the token is its newest, and its last
// rotation is a reuse interval ago. It makes one conditional write and no read before it. If
// the policy does not rotate, it only records the use. Token number 0 starts
// its family, whether the policy rotates or not. If it is an authorization code, it must come in
// time and with the proof that the record asks for.
//
// If the write is done, f is the record after it. If the condition fails, done is false and f
// is the present record, or nil if there is none.
func (t *Table) Refresh(ctx context.Context, r Refresh) (f *family.Family, done bool, err error) {
	a := &r.Attempt
	values := t.refreshValues(r)
	condition, set := r.condition(values), useSet
	if a.Origin == family.Code {
		condition += originCondition
		set += originSet
		values[":challenge"] = &types.AttributeValueMemberB{Value: a.Challenge}
		values[":redirect"] = &types.AttributeValueMemberB{Value: a.Redirect}
		values[":forgiven_until"] = number(family.AfterExchange(a.Now).UnixMilli())
	}
	if r.Policy.Rotation || a.Counter == 0 {
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
	condition += scopeCondition(a, names, values) + audienceCondition(a, values)
	set += r.bind()
	if a.Unbinds && a.Origin == family.Code && a.JKT != nil {
		set += unbind
	}
	return t.updateFamily(ctx, r.Family, "refresh a family", types.Update{
		ConditionExpression: &condition, UpdateExpression: &set,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	})
}

// RecordUse records a use of the family that rotated nothing, if the family is alive and still
// has the counter that seen has. held says that the token used was the newest. It returns what
// [Table.Refresh] returns.
func (t *Table) RecordUse(ctx context.Context, seen *family.Family, held bool, r Refresh) (f *family.Family, done bool, err error) {
	set := useSet
	if held {
		set += heldSet
	}
	values := t.refreshValues(r)
	values[":n"] = number(seen.Counter)
	condition := r.condition(values)
	return t.updateFamily(ctx, seen.ID, "record a use", types.Update{
		ConditionExpression: &condition, UpdateExpression: &set,
		ExpressionAttributeNames: map[string]string{"#counter": "counter"}, ExpressionAttributeValues: values,
	})
}

// RecordLate records a use of the family that rotated nothing and stores e with it, both or neither, if the
// family is alive, still has the counter that seen has, and no such event was stored lately. If done is
// false, f is the present record, or nil if there is none.
func (t *Table) RecordLate(ctx context.Context, seen *family.Family, r Refresh, e *audit.Event) (f *family.Family, done bool, err error) {
	if r.Attempt.Now.Before(seen.LastUsedAt) { // a slow request does not take the last use back
		r.Attempt.Now = seen.LastUsedAt
	}
	values := t.refreshValues(r)
	values[":n"] = number(seen.Counter)
	values[":recently"] = number(family.LateStoredSince(r.Attempt.Now).UnixMilli())
	condition := r.condition(values) + " AND (attribute_not_exists(observed_at) OR observed_at <= :recently)"
	old, done, err := t.updateWithEvent(ctx, seen.ID, e, types.Update{
		ConditionExpression: &condition, UpdateExpression: aws.String(useSet + ", observed_at = :now"),
		ExpressionAttributeNames: map[string]string{"#counter": "counter"}, ExpressionAttributeValues: values,
	})
	if err == nil && !done && len(old) > 0 {
		f, err = unmarshalFamily(seen.ID, old)
	}
	if err != nil {
		return nil, false, fmt.Errorf("record a late use: %w", err)
	}
	return f, done, nil
}

// ForgiveLost writes next, which [family.Family.AfterLost] made of seen, if the family is
// alive, still has the counter that seen has, and its newest token has not been used. It
// returns what [Table.Refresh] returns; done is true as well if the record shows that the
// write was done and only its answer was lost.
func (t *Table) ForgiveLost(ctx context.Context, seen, next *family.Family, r Refresh) (f *family.Family, done bool, err error) {
	u := t.advance(seen, next, r)
	u.ConditionExpression = aws.String(*u.ConditionExpression + unused)
	f, done, err = t.updateFamily(ctx, seen.ID, "forgive a lost response", u)
	return f, done || r.wrote(f), err
}

// CatchUp writes next, which [family.Family.AfterRestore] made of seen, if the family is alive
// and still has the counter that seen has. It stores e with it, both or neither. It returns
// what [Table.ForgiveLost] returns.
func (t *Table) CatchUp(ctx context.Context, seen, next *family.Family, r Refresh, e *audit.Event) (f *family.Family, done bool, err error) {
	old, done, err := t.updateWithEvent(ctx, seen.ID, e, t.advance(seen, next, r))
	if err != nil {
		return nil, false, fmt.Errorf("catch up with a token: %w", err)
	}
	if done {
		after := *next
		after.RotationID, after.LastUsedAt = r.Attempt.WriteID, r.Attempt.Now
		after.LastIP, after.LastUserAgent = r.LastIP, r.LastUserAgent
		if after.PurgeAt = after.KeepUntil; after.KeepUntil.IsZero() {
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

// advance returns the update from seen to next, on the condition that the family is alive and
// still has the counter that seen has.
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
	set += r.bind()
	condition := r.condition(values)
	if seen.Bound() && !next.Bound() {
		condition = refreshCondition
		delete(values, ":jkt")
		set += unbind
	}
	return types.Update{
		ConditionExpression:       &condition,
		UpdateExpression:          &set,
		ExpressionAttributeNames:  map[string]string{"#counter": "counter"},
		ExpressionAttributeValues: values,
	}
}

// scopeCondition returns the part of a condition that holds if the family was granted every scope that a asks for. It
// adds the condition's name and values.
func scopeCondition(a *family.Attempt, names map[string]string, values item) string {
	var b strings.Builder
	for i, s := range a.Scope {
		names["#scope"] = "scope"
		fmt.Fprintf(&b, " AND contains(#scope, :scope%d)", i)
		values[fmt.Sprintf(":scope%d", i)] = text(" " + s + " ")
	}
	return b.String()
}

// condition returns refreshCondition, and that the caller has the family's key if it is bound to one. It
// adds the value of that.
func (r *Refresh) condition(values item) string {
	if r.Attempt.JKT == nil {
		return refreshCondition + unboundCondition
	}
	values[":jkt"] = &types.AttributeValueMemberB{Value: r.Attempt.JKT}
	return refreshCondition + boundCondition
}

// bind returns what binds the family to the caller's key, or "".
func (r *Refresh) bind() string {
	if r.Attempt.Binds {
		return bindSet
	}
	return ""
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
