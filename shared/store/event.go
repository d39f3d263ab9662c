package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store/schema"
)

// eventItem is an event as the table holds it: in its user's partition, and in the index
// "log" by type and day.
type eventItem struct {
	PK    string `dynamodbav:"pk,omitempty"`
	LogPK string `dynamodbav:"log_pk"`
	LogSK string `dynamodbav:"log_sk"`

	PurgeAt       int64             `dynamodbav:"purge_at"`
	Type          audit.Type        `dynamodbav:"type"`
	At            int64             `dynamodbav:"at"`
	UserID        string            `dynamodbav:"user_id,omitempty"`
	ClientID      string            `dynamodbav:"client_id,omitempty"`
	Family        string            `dynamodbav:"family,omitempty"`
	IP            string            `dynamodbav:"ip,omitempty"`
	UserAgent     string            `dynamodbav:"user_agent,omitempty"`
	ForwardedBy   string            `dynamodbav:"forwarded_by,omitempty"`
	RequestID     string            `dynamodbav:"request_id,omitempty"`
	By            string            `dynamodbav:"by,omitempty"`
	Cause         family.Cause      `dynamodbav:"cause,omitempty"`
	OriginToken   family.OriginKind `dynamodbav:"origin_token,omitempty"`
	TokenCounter  uint32            `dynamodbav:"token_counter,omitempty"`
	LatestCounter uint32            `dynamodbav:"latest_counter,omitempty"`
	AgeMS         int64             `dynamodbav:"age_ms,omitempty"`
	Observed      bool              `dynamodbav:"observed,omitempty"`
	OtherIP       bool              `dynamodbav:"other_ip,omitempty"`
	OtherAgent    bool              `dynamodbav:"other_user_agent,omitempty"`
	Families      string            `dynamodbav:"families,omitempty"` // ULIDs joined with spaces
	Evict         family.Evict      `dynamodbav:"evict,omitempty"`
	Start         int               `dynamodbav:"start,omitempty"`
	Removed       int               `dynamodbav:"removed,omitempty"`
	End           int               `dynamodbav:"end,omitempty"`

	// These are set for the event of an erasure, which is in a partition of its own.
	UserKey        string `dynamodbav:"user_key,omitempty"`
	ErasedFamilies int    `dynamodbav:"erased_families,omitempty"`
	ErasedEvents   int    `dynamodbav:"erased_events,omitempty"`
}

// eventKey returns the key of an event of the user.
func eventKey(eventType audit.Type, userKey [16]byte, id ulid.ULID) item {
	pk := userPK(userKey)
	if eventType == audit.Erased {
		pk = schema.ErasuresPK
	}
	return key(pk, schema.EventPrefix+id.String())
}

func (t *Table) marshalEvent(e *audit.Event) (item, error) {
	one, erased := "", ""
	if e.Family != (family.ID{}) {
		one = e.Family.String()
	}
	if e.Type == audit.Erased {
		erased = audit.EncodeUserKey(e.User)
	}
	m, err := attributevalue.MarshalMap(eventItem{
		LogPK:         logPK(e.Type, e.At),
		LogSK:         e.ID.String(),
		PurgeAt:       epoch(e.At.Add(t.retention.Events)),
		Type:          e.Type,
		At:            millis(e.At),
		UserID:        e.UserID,
		ClientID:      e.ClientID,
		Family:        one,
		Families:      joinULIDs(e.Families),
		Evict:         e.Evict,
		Start:         e.Start,
		Removed:       e.Removed,
		End:           e.End,
		IP:            e.IP,
		UserAgent:     e.UserAgent,
		ForwardedBy:   e.ForwardedBy,
		RequestID:     e.RequestID,
		By:            e.By,
		Cause:         e.Cause,
		OriginToken:   e.OriginToken,
		TokenCounter:  e.TokenCounter,
		LatestCounter: e.LatestCounter,
		AgeMS:         e.Age.Milliseconds(),
		Observed:      e.Observed,
		OtherIP:       e.OtherIP,
		OtherAgent:    e.OtherAgent,

		UserKey: erased, ErasedFamilies: e.ErasedFamilies, ErasedEvents: e.ErasedEvents,
	})
	if err != nil {
		return nil, fmt.Errorf("marshal an event: %w", err)
	}
	maps.Copy(m, eventKey(e.Type, e.UserKey(), e.ID))
	return m, nil
}

// joinULIDs returns the ULIDs joined with spaces.
func joinULIDs(ulids []ulid.ULID) string {
	texts := make([]string, len(ulids))
	for i, u := range ulids {
		texts[i] = u.String()
	}
	return strings.Join(texts, " ")
}

// splitULIDs returns the ULIDs that joinULIDs joined.
func splitULIDs(s string) (ulids []ulid.ULID, err error) {
	for text := range strings.FieldsSeq(s) {
		u, err := ulid.ParseStrict(text)
		if err != nil {
			return nil, err
		}
		ulids = append(ulids, u)
	}
	return ulids, nil
}

// PutEvent stores an event. It replaces what was stored under its id before.
func (t *Table) PutEvent(ctx context.Context, e *audit.Event) error {
	m, err := t.marshalEvent(e)
	if err != nil {
		return err
	}
	// The write needs no condition: the id is new, and no other request stores it.
	if _, err := t.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: m}); err != nil {
		return fmt.Errorf("put an event: %w", err)
	}
	return nil
}

// newMark returns random bytes by which a request recognizes its own write if the answer was
// lost.
func newMark() []byte {
	mark := make([]byte, 8)
	_, _ = rand.Read(mark) // never fails, by its contract
	return mark
}

// putBy reports whether the event is stored and bears the mark.
func (t *Table) putBy(ctx context.Context, e *audit.Event, mark []byte) (bool, error) {
	stored, err := t.read(ctx, eventKey(e.Type, e.UserKey(), e.ID))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	by, ok := stored["put_by"].(*types.AttributeValueMemberB)
	return ok && bytes.Equal(by.Value, mark), nil
}

// AmendEvent completes an event that was stored before its operation was done: it sets which
// families ended, and how many. If the event has been erased with its user, it does nothing.
func (t *Table) AmendEvent(ctx context.Context, e *audit.Event) error {
	_, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 &t.name,
		Key:                       eventKey(e.Type, e.UserKey(), e.ID),
		ConditionExpression:       aws.String("attribute_exists(pk)"),
		UpdateExpression:          aws.String("SET families = :families, removed = :removed"),
		ExpressionAttributeValues: item{":families": text(joinULIDs(e.Families)), ":removed": number(e.Removed)},
	})
	var gone *types.ConditionalCheckFailedException
	if err != nil && !errors.As(err, &gone) {
		return fmt.Errorf("amend an event: %w", err)
	}
	return nil
}

// Span is a time from From, included, to To, excluded.
type Span struct{ From, To time.Time }

// bounds returns the least and the greatest ULID of the span, which must be a millisecond
// long at least.
func (s Span) bounds() (low, high ulid.ULID) {
	_ = low.SetTime(ulid.Timestamp(s.From)) // fails after the year 10889
	_ = high.SetTime(ulid.Timestamp(s.To.Add(-time.Millisecond)))
	_ = high.SetEntropy([]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255}) // ten bytes never fail
	return low, high
}

// UserEvents reads up to limit stored events of a user in the span, newest first and strongly
// consistent, in one request. Unless before is zero, it begins after the event with that id.
// next is the id to continue from, or zero at the end.
func (t *Table) UserEvents(ctx context.Context, userKey [16]byte, s Span, before ulid.ULID, limit int) (events []audit.Event, next ulid.ULID, err error) {
	low, high := s.bounds()
	in := &dynamodb.QueryInput{
		TableName:              &t.name,
		KeyConditionExpression: aws.String("pk = :pk AND sk BETWEEN :low AND :high"),
		ExpressionAttributeValues: item{
			":pk": text(userPK(userKey)), ":low": text(schema.EventPrefix + low.String()), ":high": text(schema.EventPrefix + high.String()),
		},
		ConsistentRead: aws.Bool(true),
		Limit:          pageLimit(limit),
	}
	if before != (ulid.ULID{}) {
		in.ExclusiveStartKey = key(userPK(userKey), schema.EventPrefix+before.String())
	}
	return t.events(ctx, in)
}

// DayEvents reads up to limit stored events of a type that are in the span and on the day of
// s.From in UTC, as [Table.UserEvents] does. It reads an index, which is usually less than a
// second behind the table. To continue, it needs the user of the previous event as well as its
// id: userKey is that user's key.
func (t *Table) DayEvents(ctx context.Context, eventType audit.Type, s Span, before ulid.ULID, userKey [16]byte, limit int) (events []audit.Event, next ulid.ULID, err error) {
	low, high := s.bounds()
	pk := logPK(eventType, s.From)
	in := &dynamodb.QueryInput{
		TableName:              &t.name,
		IndexName:              aws.String(schema.LogIndex),
		KeyConditionExpression: aws.String("log_pk = :pk AND log_sk BETWEEN :low AND :high"),
		ExpressionAttributeValues: item{
			":pk": text(pk), ":low": text(low.String()), ":high": text(high.String()),
		},
		Limit: pageLimit(limit),
	}
	if before != (ulid.ULID{}) {
		in.ExclusiveStartKey = eventKey(eventType, userKey, before)
		in.ExclusiveStartKey[schema.LogPK] = text(pk)
		in.ExclusiveStartKey[schema.LogSK] = text(before.String())
	}
	return t.events(ctx, in)
}

func logPK(eventType audit.Type, day time.Time) string {
	return string(eventType) + "#" + day.UTC().Format(time.DateOnly)
}

func (t *Table) events(ctx context.Context, in *dynamodb.QueryInput) (events []audit.Event, next ulid.ULID, err error) {
	in.ScanIndexForward = aws.Bool(false)
	out, err := t.db.Query(ctx, in)
	if err != nil {
		return nil, next, fmt.Errorf("list events: %w", err)
	}
	for _, m := range out.Items {
		e, err := unmarshalEvent(m)
		if err != nil {
			return nil, next, fmt.Errorf("list events: %w", err)
		}
		events = append(events, e)
	}
	if len(out.LastEvaluatedKey) > 0 {
		if next, err = skULID(out.LastEvaluatedKey); err != nil {
			return nil, next, fmt.Errorf("list events: %w", err)
		}
	}
	return events, next, nil
}

func unmarshalEvent(m item) (audit.Event, error) {
	var i eventItem
	if err := attributevalue.UnmarshalMap(m, &i); err != nil {
		return audit.Event{}, fmt.Errorf("unmarshal an event: %w", err)
	}
	e := audit.Event{
		Type: i.Type, At: fromMillis(i.At), UserID: i.UserID, ClientID: i.ClientID,
		IP: i.IP, UserAgent: i.UserAgent, ForwardedBy: i.ForwardedBy, RequestID: i.RequestID, By: i.By,
		Cause: i.Cause, OriginToken: i.OriginToken, TokenCounter: i.TokenCounter, LatestCounter: i.LatestCounter,
		Age: time.Duration(i.AgeMS) * time.Millisecond, Observed: i.Observed, OtherIP: i.OtherIP, OtherAgent: i.OtherAgent,
		Evict: i.Evict, Start: i.Start, Removed: i.Removed, End: i.End,
		ErasedFamilies: i.ErasedFamilies, ErasedEvents: i.ErasedEvents,
	}
	var err error
	if e.ID, err = ulid.ParseStrict(i.LogSK); err != nil {
		return audit.Event{}, fmt.Errorf("unmarshal an event: %w", err)
	}
	pk := i.PK
	if pk == schema.ErasuresPK {
		pk = schema.UserPrefix + i.UserKey
	}
	if e.User, err = userKeyOf(pk); err != nil {
		return audit.Event{}, fmt.Errorf("unmarshal an event: %w", err)
	}
	if i.Family != "" {
		if e.Family, err = family.ParseID(i.Family); err != nil {
			return audit.Event{}, fmt.Errorf("unmarshal an event: %w", err)
		}
	}
	if e.Families, err = splitULIDs(i.Families); err != nil {
		return audit.Event{}, fmt.Errorf("unmarshal an event: %w", err)
	}
	return e, nil
}
