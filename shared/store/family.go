package store

import (
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

	"github.com/rotor-auth/rotor/shared/family"
)

// familyItem is a family as it is written. Every record has the attributes that a refresh reads.
type familyItem struct {
	UserID   string `dynamodbav:"user_id"`
	ClientID string `dynamodbav:"client_id"`

	Origin      family.OriginKind `dynamodbav:"origin,omitempty"`
	OriginUntil int64             `dynamodbav:"origin_until,omitempty"`
	Challenge   []byte            `dynamodbav:"challenge,omitempty"`
	Redirect    []byte            `dynamodbav:"redirect,omitempty"`
	Nonce       string            `dynamodbav:"nonce,omitempty"`

	JKT     []byte `dynamodbav:"jkt,omitempty"`
	BoundAt int64  `dynamodbav:"bound_at,omitempty"`

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
}

// details holds what a record keeps of a revocation besides its time and cause.
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
		Origin:        f.Origin.Kind,
		OriginUntil:   millis(f.Origin.Until),
		Challenge:     f.Origin.Challenge,
		Redirect:      f.Origin.Redirect,
		Nonce:         f.Origin.Nonce,
		JKT:           f.JKT,
		BoundAt:       millis(f.BoundAt),
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

// unmarshalFamily reads a record by its attributes' names, as each refresh does, and so without reflection.
func unmarshalFamily(id family.ID, m item) (*family.Family, error) {
	a := attributes{item: m}
	f := &family.Family{
		ID:       id,
		UserID:   a.text("user_id"),
		ClientID: a.text("client_id"),
		Origin: family.Origin{
			Kind: family.OriginKind(a.text("origin")), Until: fromMillis(a.number("origin_until")),
			Challenge: a.binary("challenge"), Redirect: a.binary("redirect"), Nonce: a.text("nonce"),
		},
		JKT:           a.binary("jkt"),
		BoundAt:       fromMillis(a.number("bound_at")),
		Counter:       a.counter("counter"),
		RotatedAt:     fromMillis(a.number("rotated_at")),
		Held:          a.counter("held"),
		RotationID:    a.binary("rotation_id"),
		Skipped:       family.Range{From: a.counter("skipped"), To: a.counter("skipped_to")},
		ExpiresAt:     fromMillis(a.number("expires_at")),
		LastUsedAt:    fromMillis(a.number("last_used_at")),
		KeepUntil:     fromEpoch(a.number("keep_until")),
		PurgeAt:       fromEpoch(a.number("purge_at")),
		Scope:         fields(a.text("scope")),
		Audience:      splitAudience(a.text("audience")),
		Claims:        a.text("claims"),
		AuthTime:      fromEpoch(a.number("auth_time")),
		ACR:           a.text("acr"),
		AMR:           fields(a.text("amr")),
		Device:        a.text("device"),
		LastIP:        a.text("last_ip"),
		LastUserAgent: a.text("last_user_agent"),
		ObservedAt:    fromMillis(a.number("observed_at")),
	}
	if !f.ExpiresAt.Before(never) {
		f.ExpiresAt = time.Time{}
	}
	if at := a.number("revoked_at"); at != 0 {
		f.Revoked = family.Revocation{At: fromMillis(at), Cause: family.Cause(a.text("cause"))}
		if m, ok := m["details"]; ok {
			var d details
			if err := attributevalue.Unmarshal(m, &d); err != nil {
				return nil, fmt.Errorf("unmarshal a family's revocation: %w", err)
			}
			f.Revoked.TokenCounter = d.TokenCounter
			f.Revoked.ReuseAge = time.Duration(d.AgeMS) * time.Millisecond
			f.Revoked.Evict, f.Revoked.Active = d.Evict, d.Active
			copy(f.Revoked.Event[:], d.Event)
		}
	}
	if a.err != nil {
		return nil, fmt.Errorf("unmarshal a family: %w", a.err)
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

// Issue writes a new family, and sets the time when the record may be deleted. It counts the
// family for its owner first, so that a crash between the two writes only overcounts. An owner
// with more than the policy's MaxActive goes on the sweep's work list.
func (t *Table) Issue(ctx context.Context, f *family.Family, p *family.Policy) error {
	m, err := t.countNew(ctx, f, p)
	if err != nil {
		return err
	}
	// The id is new, so what is there is this family, from a try whose answer was lost. It may
	// have been used or revoked since, which a try that arrives late must not undo.
	_, err = t.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: m, ConditionExpression: aws.String("attribute_not_exists(pk)")})
	var there *types.ConditionalCheckFailedException
	if err != nil && !errors.As(err, &there) {
		return fmt.Errorf("issue a family: %w", err)
	}
	return nil
}

// pendingKept is how long after its code the record of a family is kept that the code never
// started, so that it can be explained.
const pendingKept = 24 * time.Hour

// countNew counts a new family for its owner, and sets when its record may be deleted. It
// returns the record, which it does not write. The first use of a pending family's origin sets
// again when the record may be deleted.
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
	if f.Pending() && f.Origin.Kind == family.Code {
		f.PurgeAt = f.Origin.Until.Add(pendingKept)
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
