package storetest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestFaults checks that each fault does what it says, because otherwise the tests that inject
// it would prove nothing. A request fails and is applied or not, and each attempt of the SDK
// is counted.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fault   storetest.Fault
		once    bool // otherwise always
		applied bool
		fails   bool
		is      any // the expected error
		calls   int
	}{
		{"none", storetest.None, false, true, false, nil, 1},
		{"failed", storetest.Failed, false, false, true, new(*types.InternalServerError), 3},
		{"failed once", storetest.Failed, true, true, false, nil, 2},
		{"throttled", storetest.Throttled, false, false, true, new(*types.ProvisionedThroughputExceededException), 3},
		{"timeout", storetest.Timeout, false, false, true, nil, 3},
		{"lost", storetest.Lost, false, true, true, nil, 3},
		{"lost once", storetest.Lost, true, true, false, nil, 2},
		{"conflict", storetest.Conflict, false, false, true, new(*types.TransactionConflictException), 3},
		{"hang", storetest.Hang, false, false, true, nil, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table, rt := storetest.Open(t)
			ctx := t.Context()
			if tt.fault == storetest.Hang {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
			}
			if tt.once {
				rt.Once(1, tt.fault)
			} else {
				rt.Break(func(int, string) storetest.Fault { return tt.fault })
			}
			e := audit.New(audit.Revoked, storetest.NewClock().Now())
			err := table.PutEvent(ctx, &e)
			if (err != nil) != tt.fails || tt.is != nil && !errors.As(err, tt.is) {
				t.Errorf("got %v", err)
			}
			if calls := rt.Counted(); !slices.Equal(calls, slices.Repeat([]string{"PutItem"}, tt.calls)) {
				t.Errorf("counted %v, not %d", calls, tt.calls)
			}
			rt.Break(nil)
			sizes, err := rt.Sizes(t.Context(), "e#")
			if err != nil || (len(sizes) == 1) != tt.applied {
				t.Errorf("applied %t, not %t: %v", len(sizes) == 1, tt.applied, err)
			}
			if calls := rt.Counted(); !slices.Equal(calls, []string{"Scan"}) {
				t.Errorf("after that %v were counted", calls)
			}
		})
	}
}

// TestWeakReads checks that a read of the table which is not strongly consistent is found, and
// that a read of the index, which cannot be, is not reported.
func TestWeakReads(t *testing.T) {
	_, rt := storetest.Open(t)
	db := dynamodb.NewFromConfig(rt.Config())
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	key := map[string]types.AttributeValue{"pk": text("a"), "sk": text("b")}
	query := &dynamodb.QueryInput{
		TableName: aws.String(rt.Name()), KeyConditionExpression: aws.String("pk = :pk"), ExpressionAttributeValues: map[string]types.AttributeValue{":pk": text("a")},
	}
	index := &dynamodb.QueryInput{
		TableName: aws.String(rt.Name()), IndexName: aws.String("log"), KeyConditionExpression: aws.String("log_pk = :pk"), ExpressionAttributeValues: query.ExpressionAttributeValues,
	}
	for _, tt := range []struct {
		what string
		read func() error
		want []string
	}{
		{"an item", func() error {
			_, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: query.TableName, Key: key, ConsistentRead: aws.Bool(true)})
			return err
		}, nil},
		{"the index", func() error { _, err := db.Query(t.Context(), index); return err }, nil},
		{"a write", func() error {
			_, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: query.TableName, Item: key})
			return err
		}, nil},
		{"an item, weakly", func() error {
			_, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: query.TableName, Key: key})
			return err
		}, []string{"GetItem"}},
		{"a partition, weakly", func() error { _, err := db.Query(t.Context(), query); return err }, []string{"GetItem", "Query"}},
	} {
		if err := tt.read(); err != nil {
			t.Fatalf("%s: %v", tt.what, err)
		}
		if got := rt.WeakReads(); !slices.Equal(got, tt.want) {
			t.Errorf("after %s: %v, not %v", tt.what, got, tt.want)
		}
	}
}
