// Package store is Rotor's one DynamoDB table: what is in it, and every request that is
// made to it. Each kind of item has a file.
//
//	item                  pk             sk                       file
//	family                u#<user key>   f#<ULID>                 family.go, with its refresh (refresh.go)
//	owner                 u#<user key>   o#<client id>            owner.go, with its plan (plan.go)
//	old active families   u#<user key>   k#<client id>            horizon.go
//	owner over the limit  over_limit     <user key>#<client id>   worklist.go
//	alias                 u#<user key>   i#<hash>                 alias.go
//	event                 u#<user key>   e#<ULID>                 event.go
//	event of an erasure   erasures       e#<ULID>                 event.go
//	client                clients        <client id>              client.go
//
// The names are in [github.com/rotor-auth/rotor/shared/store/schema].
// Times are in epoch milliseconds. Only purge_at, which is the TTL attribute, and what it
// is computed from are in epoch seconds. TTL deletes late, and no check relies on it.
package store

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store/schema"
)

// ErrNotFound is returned if there is no such item.
var ErrNotFound = errors.New("not found")

// Retention holds how long records are kept after the end of what they record.
type Retention struct {
	Families time.Duration // after a family's end
	Events   time.Duration // after the event
}

// DefaultRetention keeps families for 30 days after their end, and events for 90.
var DefaultRetention = Retention{Families: 30 * 24 * time.Hour, Events: 90 * 24 * time.Hour}

// Table is Rotor's table. It is safe for concurrent use.
type Table struct {
	db        *dynamodb.Client
	name      string
	retention Retention
}

// New returns a Table for the named DynamoDB table, with the endpoint and credentials of
// cfg. It makes no request.
func New(cfg aws.Config, name string, retention Retention) *Table {
	db := dynamodb.NewFromConfig(cfg, func(o *dynamodb.Options) {
		standard := retry.NewStandard(func(s *retry.StandardOptions) {
			s.MaxAttempts = 3
			s.Backoff = retry.BackoffDelayerFunc(backoff)
		})
		// A write fails with this while a transaction holds its item. That takes
		// milliseconds, and the SDK would not retry it by itself.
		o.Retryer = retry.AddWithErrorCodes(standard, "TransactionConflictException")
		o.HTTPClient = inMemory{o.HTTPClient}
		o.EndpointResolverV2 = &endpointOnce{EndpointResolverV2: o.EndpointResolverV2}
		o.APIOptions = append(o.APIOptions, withoutInvocationID)
	})
	return &Table{db: db, name: name, retention: retention}
}

// IsTableName reports whether a table can have that name: 3 to 255 letters, digits,
// underscores, dots and hyphens ("Supported data types and naming rules" in DynamoDB's
// developer guide). It uses no regular expression, since compiling one would take time
// in each cold start.
func IsTableName(s string) bool {
	const characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
	return len(s) >= 3 && len(s) <= 255 && strings.Trim(s, characters) == ""
}

// backoff returns how long to wait before the next attempt: a random time of up to 50 ms, then
// 100, so that callers which failed together do not retry together. The SDK's own backoff
// waits for up to 20 s, which is too long for a caller of the token endpoint.
func backoff(attempt int, _ error) (time.Duration, error) {
	return rand.N(25 * time.Millisecond << min(attempt, 3)), nil //nolint:gosec // it spreads load, and protects nothing
}

// inMemory shows net/http that a request's body is in memory, which the SDK hides.
// Otherwise net/http would send the header by itself first: two writes, and over TLS
// two records, for what fits into one.
type inMemory struct{ dynamodb.HTTPClient }

func (c inMemory) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.ContentLength > 0 {
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, fmt.Errorf("read the body of a request: %w", err)
		}
		_ = r.Body.Close() // closing a reader of memory cannot fail
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return c.HTTPClient.Do(r)
}

// Create creates the table unless it exists, for local runs and tests. In AWS the deployment
// creates it.
func (t *Table) Create(ctx context.Context) error {
	out, err := t.db.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName:   &t.name,
		BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String(schema.PK), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(schema.SK), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(schema.LogPK), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(schema.LogSK), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: keySchema(schema.PK, schema.SK),
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName:  aws.String(schema.LogIndex),
			KeySchema:  keySchema(schema.LogPK, schema.LogSK),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
		}},
	})
	var exists *types.ResourceInUseException
	if errors.As(err, &exists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create table %s: %w", t.name, err)
	}
	if out.TableDescription == nil || out.TableDescription.TableStatus != types.TableStatusCreating {
		return nil // DynamoDB Local and the embedded store create it at once
	}
	err = dynamodb.NewTableExistsWaiter(t.db, func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 50*time.Millisecond, time.Second
	}).Wait(ctx, &dynamodb.DescribeTableInput{TableName: &t.name}, 30*time.Second)
	if err != nil {
		return fmt.Errorf("wait for table %s: %w", t.name, err)
	}
	return nil
}

func keySchema(hash, sort string) []types.KeySchemaElement {
	return []types.KeySchemaElement{
		{AttributeName: &hash, KeyType: types.KeyTypeHash},
		{AttributeName: &sort, KeyType: types.KeyTypeRange},
	}
}

type item = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number[N int | int64 | uint32](n N) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
}

func key(pk, sk string) item { return item{schema.PK: text(pk), schema.SK: text(sk)} }

func userPK(userKey [16]byte) string {
	return schema.UserPrefix + base64.RawURLEncoding.EncodeToString(userKey[:])
}

// userKeyOf returns the user key in a partition key that userPK made.
func userKeyOf(pk string) (userKey [16]byte, err error) {
	encoded, ok := strings.CutPrefix(pk, schema.UserPrefix)
	b, err := base64.RawURLEncoding.DecodeString(encoded)
	if !ok || err != nil || len(b) != len(userKey) {
		return userKey, fmt.Errorf("the partition key %q is not a user's", pk)
	}
	return [16]byte(b), nil
}

func familyKey(id family.ID) item {
	return key(userPK(id.UserKey()), schema.FamilyPrefix+id.ULID().String())
}

// read returns the item with that key, strongly consistent, or [ErrNotFound].
func (t *Table) read(ctx context.Context, key item) (item, error) {
	out, err := t.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &t.name, Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, err
	}
	if len(out.Item) == 0 {
		return nil, ErrNotFound
	}
	return out.Item, nil
}

// pageLimit returns the Limit of a query, which is how many items it reads.
func pageLimit(items int) *int32 {
	return aws.Int32(int32(min(items, 1000))) //nolint:gosec // it is no larger than 1,000
}

// never stands for "no end": the last millisecond of the year 9999.
var never = time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)

// millis returns t in epoch milliseconds, and 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// fromMillis returns the time of which millis returned ms.
func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// epoch returns t in epoch seconds, rounded up so that no record is purged early, and 0
// for the zero time.
func epoch(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return int64(math.Ceil(float64(t.UnixMilli()) / 1000))
}

func fromEpoch(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// aliveCondition holds if a family is alive at now. It checks what [family.Family.Death]
// checks, except the client's not_before, for which the family's id is enough.
const aliveCondition = "attribute_not_exists(revoked_at) AND expires_at > :now AND last_used_at > :idle_since"

// aliveValues returns the values of aliveCondition. idle is the idle lifetime, or 0.
func aliveValues(now time.Time, idle time.Duration) item {
	since := int64(-1)
	if idle > 0 {
		since = now.Add(-idle).UnixMilli()
	}
	values := make(item, 16) // as many as a refresh has, so that the map does not grow
	values[":now"], values[":idle_since"] = number(now.UnixMilli()), number(since)
	return values
}
