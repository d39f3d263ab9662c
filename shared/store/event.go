package store

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
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
	RequestID     string       `dynamodbav:"request_id,omitempty"`
	Cause         family.Cause `dynamodbav:"cause,omitempty"`
	TokenCounter  uint32       `dynamodbav:"token_counter,omitempty"`
	LatestCounter uint32       `dynamodbav:"latest_counter,omitempty"`
	AgeMS         int64        `dynamodbav:"age_ms,omitempty"`
	Observed      bool         `dynamodbav:"observed,omitempty"`
	OtherIP       bool         `dynamodbav:"other_ip,omitempty"`
	OtherAgent    bool         `dynamodbav:"other_user_agent,omitempty"`
}

func (t *Table) marshalEvent(e *audit.Event) (item, error) {
	m, err := attributevalue.MarshalMap(eventItem{
		PK:            userPK(e.Family.UserKey()),
		SK:            "e#" + e.ID.String(),
		LogPK:         string(e.Type) + "#" + e.At.UTC().Format("2006-01-02"),
		LogSK:         e.ID.String(),
		PurgeAt:       epoch(e.At.Add(t.retention.Events)),
		Type:          e.Type,
		At:            millis(e.At),
		UserID:        e.UserID,
		ClientID:      e.ClientID,
		Family:        e.Family.String(),
		IP:            e.IP,
		UserAgent:     e.UserAgent,
		RequestID:     e.RequestID,
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

// UserEvents are the stored events of a user's families, oldest first.
func (t *Table) UserEvents(ctx context.Context, userKey [16]byte) ([]audit.Event, error) {
	var events []audit.Event
	pages := dynamodb.NewQueryPaginator(t.db, &dynamodb.QueryInput{
		TableName:                 &t.name,
		KeyConditionExpression:    aws.String("pk = :pk AND begins_with(sk, :event)"),
		ExpressionAttributeValues: item{":pk": text(userPK(userKey)), ":event": text("e#")},
		ConsistentRead:            aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("list events: %w", err)
		}
		for _, m := range page.Items {
			e, err := unmarshalEvent(m)
			if err != nil {
				return nil, fmt.Errorf("list events: %w", err)
			}
			events = append(events, e)
		}
	}
	return events, nil
}

func unmarshalEvent(m item) (audit.Event, error) {
	var i eventItem
	if err := attributevalue.UnmarshalMap(m, &i); err != nil {
		return audit.Event{}, fmt.Errorf("unmarshal an event: %w", err)
	}
	id, err := ulid.ParseStrict(i.LogSK)
	if err != nil {
		return audit.Event{}, fmt.Errorf("unmarshal an event: %w", err)
	}
	f, err := family.ParseID(i.Family)
	if err != nil {
		return audit.Event{}, fmt.Errorf("unmarshal an event: %w", err)
	}
	return audit.Event{
		ID: id, Type: i.Type, At: fromMillis(i.At), UserID: i.UserID, ClientID: i.ClientID, Family: f,
		IP: i.IP, UserAgent: i.UserAgent, RequestID: i.RequestID,
		Cause: i.Cause, TokenCounter: i.TokenCounter, LatestCounter: i.LatestCounter,
		Age: time.Duration(i.AgeMS) * time.Millisecond, Observed: i.Observed, OtherIP: i.OtherIP, OtherAgent: i.OtherAgent,
	}, nil
}
