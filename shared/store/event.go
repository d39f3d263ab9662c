package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
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

// eventItem is an event as the table holds it: under its user, and in the index
// "log" by type and day. It is only ever put.
type eventItem struct {
	PK    string `dynamodbav:"pk"`
	SK    string `dynamodbav:"sk"`
	LogPK string `dynamodbav:"log_pk"`
	LogSK string `dynamodbav:"log_sk"`

	PurgeAt       int64        `dynamodbav:"purge_at"`
	Type          audit.Type   `dynamodbav:"type"`
	At            int64        `dynamodbav:"at"`
	UserID        string       `dynamodbav:"user_id,omitempty"`
	ClientID      string       `dynamodbav:"client_id,omitempty"`
	Family        string       `dynamodbav:"family,omitempty"`
	IP            string       `dynamodbav:"ip,omitempty"`
	UserAgent     string       `dynamodbav:"user_agent,omitempty"`
	ForwardedBy   string       `dynamodbav:"forwarded_by,omitempty"`
	RequestID     string       `dynamodbav:"request_id,omitempty"`
	By            string       `dynamodbav:"by,omitempty"`
	Cause         family.Cause `dynamodbav:"cause,omitempty"`
	TokenCounter  uint32       `dynamodbav:"token_counter,omitempty"`
	LatestCounter uint32       `dynamodbav:"latest_counter,omitempty"`
	AgeMS         int64        `dynamodbav:"age_ms,omitempty"`
	Observed      bool         `dynamodbav:"observed,omitempty"`
	OtherIP       bool         `dynamodbav:"other_ip,omitempty"`
	OtherAgent    bool         `dynamodbav:"other_user_agent,omitempty"`
	Families      string       `dynamodbav:"families,omitempty"` // ULIDs joined with spaces
	Start         int          `dynamodbav:"start,omitempty"`
	Removed       int          `dynamodbav:"removed,omitempty"`
	End           int          `dynamodbav:"end,omitempty"`
}

func (t *Table) marshalEvent(e *audit.Event) (item, error) {
	families := make([]string, len(e.Families))
	for i, u := range e.Families {
		families[i] = u.String()
	}
	one := ""
	if e.Family != (family.ID{}) {
		one = e.Family.String()
	}
	m, err := attributevalue.MarshalMap(eventItem{
		PK:            userPK(e.UserKey()),
		SK:            "e#" + e.ID.String(),
		LogPK:         logPK(e.Type, e.At),
		LogSK:         e.ID.String(),
		PurgeAt:       epoch(e.At.Add(t.retention.Events)),
		Type:          e.Type,
		At:            millis(e.At),
		UserID:        e.UserID,
		ClientID:      e.ClientID,
		Family:        one,
		Families:      strings.Join(families, " "),
		Start:         e.Start,
		Removed:       e.Removed,
		End:           e.End,
		IP:            e.IP,
		UserAgent:     e.UserAgent,
		ForwardedBy:   e.ForwardedBy,
		RequestID:     e.RequestID,
		By:            e.By,
		Cause:         e.Cause,
		TokenCounter:  e.TokenCounter,
		LatestCounter: e.LatestCounter,
		AgeMS:         e.Age.Milliseconds(),
		Observed:      e.Observed,
		OtherIP:       e.OtherIP,
		OtherAgent:    e.OtherAgent,
	})
	if err != nil {
		return nil, fmt.Errorf("marshal an event: %w", err)
	}
	return m, nil
}

// PutEvent stores an event, unless another has stored it already: then it is not
// done.
func (t *Table) PutEvent(ctx context.Context, e *audit.Event) (done bool, err error) {
	m, err := t.marshalEvent(e)
	if err != nil {
		return false, err
	}
	putBy := make([]byte, 8)
	_, _ = rand.Read(putBy) // never fails, by its contract
	m["put_by"] = &types.AttributeValueMemberB{Value: putBy}
	_, err = t.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &t.name, Item: m, ConditionExpression: aws.String("attribute_not_exists(pk)"),
	})
	var there *types.ConditionalCheckFailedException
	switch {
	case err == nil:
		return true, nil
	case !errors.As(err, &there):
		return false, fmt.Errorf("put an event: %w", err)
	}
	// It may be our own, where only the answer to it was lost.
	stored, err := t.read(ctx, item{"pk": m["pk"], "sk": m["sk"]})
	if err != nil {
		return false, fmt.Errorf("put an event: %w", err)
	}
	by, ok := stored["put_by"].(*types.AttributeValueMemberB)
	return ok && bytes.Equal(by.Value, putBy), nil
}

// Span is the time from From, included, to To, not included.
type Span struct{ From, To time.Time }

// bounds are the least and the greatest ULID of the span, which has at least a
// millisecond.
func (s Span) bounds() (low, high ulid.ULID) {
	_ = low.SetTime(ulid.Timestamp(s.From)) // fails after the year 10889
	_ = high.SetTime(ulid.Timestamp(s.To.Add(-time.Millisecond)))
	_ = high.SetEntropy([]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255}) // it has ten bytes
	return low, high
}

// UserEvents reads up to limit stored events of a user in the span, newest
// first, before the event with the given id unless it is zero. next is where to
// go on, zero at the end. One request.
func (t *Table) UserEvents(ctx context.Context, userKey [16]byte, s Span, before ulid.ULID, limit int) (events []audit.Event, next ulid.ULID, err error) {
	low, high := s.bounds()
	in := &dynamodb.QueryInput{
		TableName:              &t.name,
		KeyConditionExpression: aws.String("pk = :pk AND sk BETWEEN :low AND :high"),
		ExpressionAttributeValues: item{
			":pk": text(userPK(userKey)), ":low": text("e#" + low.String()), ":high": text("e#" + high.String()),
		},
		ConsistentRead: aws.Bool(true),
		Limit:          pageOf(limit),
	}
	if before != (ulid.ULID{}) {
		in.ExclusiveStartKey = key(userPK(userKey), "e#"+before.String())
	}
	return t.events(ctx, in)
}

// DayEvents reads up to limit stored events of a type on the day of s.From, in
// UTC, and in the span, as [Table.UserEvents] does. The index that it reads lags
// behind the table by less than a second as a rule. Where to go on takes the
// event's user as well as its id: userKey is the one of before.
func (t *Table) DayEvents(ctx context.Context, eventType audit.Type, s Span, before ulid.ULID, userKey [16]byte, limit int) (events []audit.Event, next ulid.ULID, err error) {
	low, high := s.bounds()
	pk := logPK(eventType, s.From)
	in := &dynamodb.QueryInput{
		TableName:              &t.name,
		IndexName:              aws.String("log"),
		KeyConditionExpression: aws.String("log_pk = :pk AND log_sk BETWEEN :low AND :high"),
		ExpressionAttributeValues: item{
			":pk": text(pk), ":low": text(low.String()), ":high": text(high.String()),
		},
		Limit: pageOf(limit),
	}
	if before != (ulid.ULID{}) {
		in.ExclusiveStartKey = key(userPK(userKey), "e#"+before.String())
		in.ExclusiveStartKey["log_pk"] = text(pk)
		in.ExclusiveStartKey["log_sk"] = text(before.String())
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
		Cause: i.Cause, TokenCounter: i.TokenCounter, LatestCounter: i.LatestCounter,
		Age: time.Duration(i.AgeMS) * time.Millisecond, Observed: i.Observed, OtherIP: i.OtherIP, OtherAgent: i.OtherAgent,
		Start: i.Start, Removed: i.Removed, End: i.End,
	}
	var err error
	if e.ID, err = ulid.ParseStrict(i.LogSK); err != nil {
		return audit.Event{}, fmt.Errorf("unmarshal an event: %w", err)
	}
	if e.User, err = userKeyOf(i.PK); err != nil {
		return audit.Event{}, fmt.Errorf("unmarshal an event: %w", err)
	}
	if i.Family != "" {
		if e.Family, err = family.ParseID(i.Family); err != nil {
			return audit.Event{}, fmt.Errorf("unmarshal an event: %w", err)
		}
	}
	for s := range strings.FieldsSeq(i.Families) {
		u, err := ulid.ParseStrict(s)
		if err != nil {
			return audit.Event{}, fmt.Errorf("unmarshal an event: %w", err)
		}
		e.Families = append(e.Families, u)
	}
	return e, nil
}
