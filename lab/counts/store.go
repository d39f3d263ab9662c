package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/schema"
)

// countingStore passes requests on to the embedded store, and counts them. It computes the
// units by the developer guide ("Read and write consumption"), since the embedded store
// does not report them.
type countingStore struct {
	below   http.RoundTripper
	db      *dynamodb.Client // of the store, not counted
	counted map[string]float64
	err     error
}

// written is an item that a request writes, or checks in a transaction.
type written struct{ Key, Item map[string]struct{ S string } }

func (w *written) key() map[string]types.AttributeValue {
	from := w.Key
	if from == nil {
		from = w.Item
	}
	return map[string]types.AttributeValue{
		schema.PK: &types.AttributeValueMemberS{Value: from[schema.PK].S}, schema.SK: &types.AttributeValueMemberS{Value: from[schema.SK].S},
	}
}

// RoundTrip implements [http.RoundTripper].
func (s *countingStore) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.counted == nil {
		return s.below.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var in struct {
		written
		ConsistentRead bool
		TransactItems  []map[string]*written
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	items, times := []*written{&in.written}, 1.0
	if operation == "TransactWriteItems" {
		items, times = nil, 2
		for _, entry := range in.TransactItems {
			for _, w := range entry {
				items = append(items, w)
			}
		}
	}
	writes := operation == "UpdateItem" || operation == "PutItem" || operation == "DeleteItem" || operation == "TransactWriteItems"
	var before [][2]float64
	if writes {
		before = s.sizes(r.Context(), items)
	}
	resp, err := s.below.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	s.counted[operation]++
	s.counted[sent] += float64(len(body))
	s.counted[received] += float64(len(answer))
	switch {
	case writes:
		for i, after := range s.sizes(r.Context(), items) {
			s.counted[writeUnits] += times * units(max(before[i][0], after[0]), 1024)
			if index := max(before[i][1], after[1]); index > 0 {
				s.counted[indexUnits] += units(index, 1024)
			}
		}
	default:
		s.reads(in.ConsistentRead, answer)
	}
	return resp, nil
}

// units returns how many units an item of that size takes, at least one.
func units(size, of float64) float64 { return float64(max(1, (int(size)+int(of)-1)/int(of))) }

// sizes returns the sizes of items, and of those in the index their size there.
func (s *countingStore) sizes(ctx context.Context, items []*written) [][2]float64 {
	sizes := make([][2]float64, len(items))
	for i, w := range items {
		out, err := s.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(tableName), Key: w.key(), ConsistentRead: aws.Bool(true)})
		if err != nil {
			s.err = errors.Join(s.err, err)
			continue
		}
		sizes[i][0] = float64(store.ItemSize(out.Item))
		if out.Item[schema.LogPK] != nil {
			sizes[i][1] = sizes[i][0]
		}
	}
	return sizes
}

// reads counts the units of a read by what it returned: none of the calls that are counted
// filters what it reads.
func (s *countingStore) reads(consistent bool, answer []byte) {
	size := float64(len(answer)) // no less than the items' own
	n := units(size, 4096)
	if !consistent {
		n /= 2
	}
	s.counted[readUnits] += n
}

// family returns the record of the first family.
func (s *countingStore) family(ctx context.Context) (map[string]types.AttributeValue, error) {
	out, err := s.db.Scan(ctx, &dynamodb.ScanInput{TableName: aws.String(tableName)})
	if err != nil {
		return nil, err
	}
	for _, item := range out.Items {
		if sk, ok := item[schema.SK].(*types.AttributeValueMemberS); ok && strings.HasPrefix(sk.Value, schema.FamilyPrefix) {
			return item, nil
		}
	}
	return nil, errors.New("there is no family")
}
