package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestRefreshForResources checks that a stored audience reads back, and that a refresh finds
// each resource in it and nothing else. This includes older records, which have a single
// audience as it is, or no attribute if there is none.
func TestRefreshForResources(t *testing.T) {
	const issuer, a, b = "https://rotor.example", "https://a.example", "https://b.example"
	type row struct {
		name     string
		audience []string
		older    bool     // whether the record has the older form
		granted  []string // resources that are granted, each alone and all together
		refused  []string
	}
	rows := []row{
		{"none", nil, false, []string{issuer}, []string{a, "https://rotor"}},
		{"one", []string{a}, false, []string{a}, []string{issuer, b, "https://a"}},
		{"one, of an older record", []string{a}, true, []string{a}, []string{issuer, b, "https://a"}},
		{"two", []string{a, b}, false, []string{b, a}, []string{issuer, "https://a", "https://a.example/"}},
		{"the issuer and another", []string{a, issuer}, false, []string{a, issuer}, []string{b}},
	}
	if storetest.Endpoint() != "" { // records of the embedded store are never older than its process
		rows = append(rows, row{"none, of an older record", nil, true, []string{issuer}, []string{a, "https://rotor"}})
	}
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			table, rt := storetest.Open(t)
			now := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
			id, err := family.NewID([16]byte{1}, now)
			if err != nil {
				t.Fatal(err)
			}
			policy := family.DefaultPolicy()
			policy.ReuseInterval = 0
			f := &family.Family{ID: id, UserID: "u", ClientID: "app", Counter: 1, LastUsedAt: now, Audience: tt.audience}
			if err := table.Issue(t.Context(), f, &policy); err != nil {
				t.Fatal(err)
			}
			if tt.older {
				older(t, rt, tt.audience)
			}
			got, err := table.Family(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.audience, got.Audience); diff != "" {
				t.Errorf("the audience (-stored +read):\n%s", diff)
			}
			counter := uint32(1)
			refresh := func(resource ...string) bool {
				t.Helper()
				attempt := family.Attempt{Counter: counter, ClientID: "app", Resource: resource, Issuer: issuer, WriteID: []byte("mark"), Now: now}
				f, done, err := table.Refresh(t.Context(), store.Refresh{Family: id, Attempt: attempt, Policy: &policy})
				if err != nil {
					t.Fatal(err)
				}
				if done {
					counter++
				} else if v := family.Decide(f, &policy, family.Attempt{Counter: counter, ClientID: "app", Resource: resource, Issuer: issuer, Now: now}); v.Kind != family.TargetNotGranted {
					t.Errorf("%q: the condition failed, and the record says %+v", resource, v)
				}
				return done
			}
			for _, resource := range append([][]string{nil, tt.granted}, each(tt.granted)...) {
				if !refresh(resource...) {
					t.Errorf("%q is refused", resource)
				}
			}
			for _, resource := range each(tt.refused) {
				if refresh(resource...) || refresh(append(resource, tt.granted...)...) || refresh(append(tt.granted, resource...)...) {
					t.Errorf("%q is granted", resource)
				}
			}
		})
	}
}

// each returns a list for each of the texts.
func each(texts []string) (lists [][]string) {
	for _, s := range texts {
		lists = append(lists, []string{s})
	}
	return lists
}

// older rewrites the audience of the only family in the older form.
func older(t *testing.T, rt *storetest.Transport, audience []string) {
	t.Helper()
	db := dynamodb.NewFromConfig(rt.Config())
	out, err := db.Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(rt.Name())})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range out.Items {
		if sk, ok := item["sk"].(*types.AttributeValueMemberS); !ok || !strings.HasPrefix(sk.Value, "f#") {
			continue
		}
		delete(item, "audience")
		if len(audience) > 0 {
			item["audience"] = &types.AttributeValueMemberS{Value: audience[0]}
		}
		if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(rt.Name()), Item: item}); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal(fmt.Errorf("no family among %d items", len(out.Items)))
}
