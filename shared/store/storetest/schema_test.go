package storetest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/oklog/ulid/v2"

	"github.com/rotor-auth/rotor/shared/audit"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/schema"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// TestSchema checks that each kind of item has the keys, the TTL and the place in the index
// that the schema names.
func TestSchema(t *testing.T) {
	table, rt := storetest.Open(t)
	now := storetest.NewClock().Now()
	policy := family.DefaultPolicy()
	if _, _, err := table.PutClient(t.Context(), &store.Client{ID: "app", Policy: policy, UpdatedAt: now}); err != nil {
		t.Fatal(err)
	}
	policy.MaxActive = 0
	f := wholeFamily(t, now)
	if _, err := table.IssueAs(t.Context(), f, &policy, store.Alias{Family: f.ID, Until: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	for _, eventType := range []audit.Type{audit.Revoked, audit.Erased} {
		if err := table.PutEvent(t.Context(), event(t, eventType, f, now)); err != nil {
			t.Fatal(err)
		}
	}
	o, err := table.Owner(t.Context(), store.OwnerID{UserKey: f.ID.UserKey(), ClientID: f.ClientID})
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Recount(t.Context(), o, 1, store.Horizon{Kept: []ulid.ULID{f.ID.ULID()}}, now); err != nil {
		t.Fatal(err)
	}
	out, err := dynamodb.NewFromConfig(rt.Config()).Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(rt.Name())})
	if err != nil {
		t.Fatal(err)
	}
	kinds := []struct {
		pk, sk       string // prefixes of the keys
		ends, logged bool
		found        int
	}{
		{schema.UserPrefix, schema.FamilyPrefix, true, false, 0},
		{schema.UserPrefix, schema.OwnerPrefix, true, false, 0},
		{schema.UserPrefix, schema.KeptPrefix, true, false, 0},
		{schema.UserPrefix, schema.AliasPrefix, true, false, 0},
		{schema.UserPrefix, schema.EventPrefix, true, true, 0},
		{schema.ErasuresPK, schema.EventPrefix, true, true, 0},
		{schema.ClientsPK, "app", false, false, 0},
		{schema.OverLimitPK, "", false, false, 0},
	}
	text := func(v types.AttributeValue) string {
		s, _ := v.(*types.AttributeValueMemberS)
		if s == nil {
			return ""
		}
		return s.Value
	}
	for _, item := range out.Items {
		for i, k := range kinds {
			if !strings.HasPrefix(text(item[schema.PK]), k.pk) || !strings.HasPrefix(text(item[schema.SK]), k.sk) {
				continue
			}
			kinds[i].found++
			if _, ends := item[schema.TTL].(*types.AttributeValueMemberN); ends != k.ends {
				t.Errorf("%s in %s has an end: %t", k.sk, k.pk, ends)
			}
			if logged := text(item[schema.LogPK]) != "" && text(item[schema.LogSK]) != ""; logged != k.logged {
				t.Errorf("%s in %s is in the index: %t", k.sk, k.pk, logged)
			}
		}
	}
	for _, k := range kinds {
		if k.found != 1 {
			t.Errorf("%d of the %d items are %s in %s", k.found, len(out.Items), k.sk, k.pk)
		}
	}
}
