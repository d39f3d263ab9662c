package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store/schema"
)

// Claim says that a foreign token's provider is being asked about it, or was asked in vain. It
// takes the place of what leads to the token's family. Only the claim that is there may be
// settled, or turned into a family, so that there is never a second family.
type Claim struct {
	ID       [16]byte // chosen by the one who asks
	ClientID string
	At       time.Time // when it was made

	// Cause says why the token is dead. It is "" while the provider is being asked.
	Cause  family.Cause
	Reason string
	Until  time.Time // when a refusal is forgotten; zero for never
}

// Settled reports whether the provider is not being asked any more.
func (c *Claim) Settled() bool { return c.Cause != "" }

// Refuses reports whether the token is refused because of the claim when the client presents it.
// A refusal by the provider is for the client that asked, which may have been the wrong one.
func (c *Claim) Refuses(clientID string, now time.Time) bool {
	return c.Settled() && (c.Until.IsZero() || c.ClientID == clientID && now.Before(c.Until))
}

type claimItem struct {
	Family   []byte       `dynamodbav:"family_id"`
	ClientID string       `dynamodbav:"client_id"`
	ID       []byte       `dynamodbav:"claim"`
	At       int64        `dynamodbav:"claimed_at"`
	Cause    family.Cause `dynamodbav:"cause"`
	Reason   string       `dynamodbav:"reason"`
	Until    int64        `dynamodbav:"valid_until"`
}

// Known is what the table knows of a foreign token: its family, or a claim. Both are nil if it
// knows nothing.
type Known struct {
	Family *family.ID
	Claim  *Claim
}

func unmarshalKnown(m item) (Known, error) {
	if len(m) == 0 {
		return Known{}, nil
	}
	var i claimItem
	if err := attributevalue.UnmarshalMap(m, &i); err != nil {
		return Known{}, fmt.Errorf("unmarshal a claim: %w", err)
	}
	var id family.ID
	if copy(id[:], i.Family) == len(id) {
		return Known{Family: &id}, nil
	}
	c := &Claim{ClientID: i.ClientID, At: fromMillis(i.At), Cause: i.Cause, Reason: i.Reason, Until: fromMillis(i.Until)}
	if copy(c.ID[:], i.ID) != len(c.ID) {
		return Known{}, errors.New("unmarshal a claim: it is neither a claim nor leads to a family")
	}
	return Known{Claim: c}, nil
}

// Known reads what is known of a foreign token, strongly consistent.
func (t *Table) Known(ctx context.Context, name ForeignName) (Known, error) {
	m, err := t.read(ctx, foreignKey(name))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Known{}, fmt.Errorf("read a foreign token: %w", err)
	}
	return unmarshalKnown(m)
}

// claimKept is how long the table keeps a claim that nobody settles. It says for as long that the
// token may have been spent.
const claimKept = foreignKept

// isClaim holds if the claim is there as it was last seen.
const isClaim = "claim = :claim AND cause = :seen AND attribute_not_exists(family_id)"

// isClaimValues returns the values of isClaim, for a claim that was last seen with that cause.
func isClaimValues(c *Claim, seen family.Cause) item {
	return item{":claim": &types.AttributeValueMemberB{Value: c.ID[:]}, ":seen": text(string(seen))}
}

// Claim makes a claim to a foreign token of which nothing is known, or instead of another
// claim, nil for none. It returns what is there then, which is this claim unless somebody else
// came first.
func (t *Table) Claim(ctx context.Context, name ForeignName, c, over *Claim) (Known, error) {
	condition := "attribute_not_exists(pk)"
	values := item{
		":id": &types.AttributeValueMemberB{Value: c.ID[:]}, ":client": text(c.ClientID),
		":at": number(millis(c.At)), ":kept": number(epoch(c.At.Add(claimKept))), ":none": text(""), ":zero": number(0),
	}
	if over != nil {
		condition += " OR (" + isClaim + ")"
		maps.Copy(values, isClaimValues(over, over.Cause))
	}
	_, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: foreignKey(name),
		ConditionExpression: &condition, ExpressionAttributeValues: values,
		UpdateExpression: aws.String("SET claim = :id, client_id = :client, claimed_at = :at, " + schema.TTL + " = :kept, cause = :none, reason = :none, valid_until = :zero"),

		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var there *types.ConditionalCheckFailedException
	switch {
	case err == nil:
		return Known{Claim: c}, nil
	case errors.As(err, &there): // or our own try, whose answer was lost
		return unmarshalKnown(there.Item)
	default:
		return Known{}, fmt.Errorf("claim a foreign token: %w", err)
	}
}

// SettleClaim records of a claim why its token is dead, and until when, zero for good. It returns what is
// there then, which is something else if others came first.
func (t *Table) SettleClaim(ctx context.Context, name ForeignName, settled *Claim, now time.Time) (Known, error) {
	kept := settled.Until
	if kept.IsZero() {
		kept = now.Add(claimKept)
	}
	values := isClaimValues(settled, "")
	values[":cause"], values[":reason"] = text(string(settled.Cause)), text(settled.Reason)
	values[":until"], values[":kept"] = number(millis(settled.Until)), number(epoch(kept))
	_, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &t.name, Key: foreignKey(name),
		ConditionExpression: aws.String(isClaim), ExpressionAttributeValues: values,
		UpdateExpression: aws.String("SET cause = :cause, reason = :reason, valid_until = :until, " + schema.TTL + " = :kept"),

		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var there *types.ConditionalCheckFailedException
	switch {
	case err == nil:
		return Known{Claim: settled}, nil
	case errors.As(err, &there):
		return unmarshalKnown(there.Item)
	default:
		return Known{}, fmt.Errorf("settle a claim: %w", err)
	}
}

// Release removes a claim, so that the token can be claimed again. It does nothing if the claim is
// not there, or settled.
func (t *Table) Release(ctx context.Context, name ForeignName, c *Claim) error {
	_, err := t.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &t.name, Key: foreignKey(name),
		ConditionExpression: aws.String(isClaim), ExpressionAttributeValues: isClaimValues(c, ""),
	})
	var gone *types.ConditionalCheckFailedException
	if err != nil && !errors.As(err, &gone) {
		return fmt.Errorf("release a claim: %w", err)
	}
	return nil
}

// IssueClaimed does what [Table.Issue] does with a pending family, and puts what leads to it
// where the claim is. It writes both, or neither if the claim is not there any more or is
// settled. It returns what is there then.
func (t *Table) IssueClaimed(ctx context.Context, f *family.Family, p *family.Policy, name ForeignName, c *Claim) (Known, error) {
	m, err := t.countNew(ctx, f, p)
	if err != nil {
		return Known{}, err
	}
	reasons, err := t.transact(ctx, []types.TransactWriteItem{
		t.leadTo(f, name, isClaim, isClaimValues(c, "")),
		{Put: &types.Put{TableName: &t.name, Item: m}},
	})
	if err != nil {
		return Known{}, fmt.Errorf("issue a family: %w", err)
	}
	if reasons == nil {
		return Known{Family: &f.ID}, nil
	}
	return unmarshalKnown(reasons[0].Item)
}

// IsMine reports whether a claim is the one with that id.
func (c *Claim) IsMine(id [16]byte) bool { return c != nil && bytes.Equal(c.ID[:], id[:]) }
