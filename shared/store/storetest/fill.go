package storetest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/schema"
)

// Fill stores what put stores in the table that it is given, but with few requests: families
// by [store.Table.Issue] and events by [store.Table.PutEvent]. They are in the table once Fill
// returns, and put does not find them. Owners get over their limit unnoticed: the next family
// that is issued without Fill puts them on the sweep's work list.
func (rt *Transport) Fill(ctx context.Context, put func(*store.Table) error) error {
	f := &filler{counts: map[string]*count{}}
	cfg := rt.Config()
	cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(f, middleware.Before)
	})
	if err := put(store.New(cfg, rt.name, store.DefaultRetention)); err != nil {
		return err
	}
	db := dynamodb.NewFromConfig(rt.Config())
	const most = 25 // of the items in a batch, by DynamoDB's rule
	for batch := range slices.Chunk(f.items, most) {
		for len(batch) > 0 {
			out, err := db.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{rt.name: batch}})
			if err != nil {
				return fmt.Errorf("put %d items: %w", len(batch), err)
			}
			batch = out.UnprocessedItems[rt.name]
		}
	}
	for _, c := range f.counts {
		if c.more == 0 {
			continue
		}
		values := c.update.ExpressionAttributeValues
		for name := range values {
			values[name] = c.last[name]
		}
		values[":one"] = &types.AttributeValueMemberN{Value: strconv.Itoa(c.more)}
		if _, err := db.UpdateItem(ctx, c.update); err != nil {
			return fmt.Errorf("count %d families to their owner: %w", c.more, err)
		}
	}
	return nil
}

// filler gathers the items that are put without a condition. Of the updates, each of which
// adds one to an owner's count, it lets an owner's first ones through, until one is done, and
// counts the others.
type filler struct {
	mu     sync.Mutex
	items  []types.WriteRequest
	counts map[string]*count // by the owner's keys
}

// count is an update that was done, how many more like it there were, and the values of the
// last.
type count struct {
	update *dynamodb.UpdateItemInput
	more   int
	last   map[string]types.AttributeValue
}

// ID implements [middleware.InitializeMiddleware].
func (*filler) ID() string { return "fill" }

// HandleInitialize implements [middleware.InitializeMiddleware].
func (f *filler) HandleInitialize(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (out middleware.InitializeOutput, metadata middleware.Metadata, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch p := in.Parameters.(type) {
	case *dynamodb.PutItemInput:
		// A batch has no conditions. That a family is new need not be checked.
		if p.ConditionExpression != nil && !strings.HasPrefix(text(p.Item[schema.SK]), schema.FamilyPrefix) {
			break
		}
		f.items = append(f.items, types.WriteRequest{PutRequest: &types.PutRequest{Item: p.Item}})
		return middleware.InitializeOutput{Result: &dynamodb.PutItemOutput{}}, metadata, nil
	case *dynamodb.UpdateItemInput:
		owner := text(p.Key[schema.PK]) + " " + text(p.Key[schema.SK])
		if c := f.counts[owner]; c != nil {
			c.more, c.last = c.more+1, p.ExpressionAttributeValues
			one := map[string]types.AttributeValue{"active": &types.AttributeValueMemberN{Value: "1"}}
			return middleware.InitializeOutput{Result: &dynamodb.UpdateItemOutput{Attributes: one}}, metadata, nil
		}
		if out, metadata, err = next.HandleInitialize(ctx, in); err == nil {
			f.counts[owner] = &count{update: p}
		}
		return out, metadata, err
	}
	return next.HandleInitialize(ctx, in)
}

func text(v types.AttributeValue) string {
	s, _ := v.(*types.AttributeValueMemberS)
	if s == nil {
		return ""
	}
	return s.Value
}
