package tokensource_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/clients/tokensource"
	"github.com/rotor-auth/rotor/clients/tokensource/dynamostore"
	"github.com/rotor-auth/rotor/shared/store/storetest"
)

// openDynamo creates a table for tokens and returns a function that opens stores in
// its item "u", each with its own SDK client.
func openDynamo(t testing.TB, rt *storetest.Transport) func() tokensource.Store {
	t.Helper()
	table := rt.Name() + "-tokens"
	db := dynamodb.NewFromConfig(rt.Config())
	_, err := db.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &table, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() tokensource.Store { return dynamostore.New(dynamodb.NewFromConfig(rt.Config()), table, "u") }
}

// stores returns a function for each kind of store, which opens the store of the
// same record as another process would.
func stores(t *testing.T) map[string]func() tokensource.Store {
	t.Helper()
	memory := tokensource.NewMemory()
	path := filepath.Join(private(t), "token")
	_, rt := storetest.Open(t)
	return map[string]func() tokensource.Store{
		"memory":   func() tokensource.Store { return memory },
		"file":     func() tokensource.Store { return tokensource.NewFile(path) },
		"dynamodb": openDynamo(t, rt),
	}
}

func TestStore(t *testing.T) {
	for name, open := range stores(t) {
		t.Run(name, func(t *testing.T) {
			ctx, s := t.Context(), open()
			if r, err := s.Load(ctx); err != nil || r.Version != 0 || r.Data != nil {
				t.Fatalf("an empty store has %v, %v", r, err)
			}
			if err := s.Save(ctx, tokensource.Record{Version: 2, Data: []byte("x")}); !errors.Is(err, tokensource.ErrConflict) {
				t.Fatalf("the second version of nothing: %v", err)
			}
			first := []byte("first \x00\xff\n line")
			if err := s.Save(ctx, tokensource.Record{Version: 1, Data: first}); err != nil {
				t.Fatal(err)
			}
			first[0] = 'X' // the store has a copy
			r, err := open().Load(ctx)
			if err != nil || r.Version != 1 || string(r.Data) != "first \x00\xff\n line" {
				t.Fatalf("loaded version %d with %d bytes, %v", r.Version, len(r.Data), err)
			}
			for _, version := range []uint64{0, 1, 3} {
				if err := s.Save(ctx, tokensource.Record{Version: version, Data: []byte("x")}); !errors.Is(err, tokensource.ErrConflict) {
					t.Errorf("version %d on 1: %v", version, err)
				}
			}
			if err := open().Save(ctx, tokensource.Record{Version: 2, Data: []byte("second")}); err != nil {
				t.Fatal(err)
			}
			if r, err := s.Load(ctx); err != nil || r.Version != 2 || string(r.Data) != "second" {
				t.Fatalf("loaded version %d, %v", r.Version, err)
			}
		})
	}
}

// TestStoreRace checks that of many saves over one version exactly one succeeds.
func TestStoreRace(t *testing.T) {
	for name, open := range stores(t) {
		t.Run(name, func(t *testing.T) {
			const savers, rounds = 8, 5
			for version := uint64(1); version <= rounds; version++ {
				var saved atomic.Int64
				var all sync.WaitGroup
				for i := range savers {
					s := open()
					all.Go(func() {
						err := s.Save(t.Context(), tokensource.Record{Version: version, Data: []byte{byte(i)}})
						if err == nil {
							saved.Add(1)
						} else if !errors.Is(err, tokensource.ErrConflict) {
							t.Error(err)
						}
					})
				}
				all.Wait()
				if saved.Load() != 1 {
					t.Fatalf("%d savers of version %d succeeded", saved.Load(), version)
				}
			}
		})
	}
}

func TestFile(t *testing.T) {
	folder := private(t)
	path := filepath.Join(folder, "token")
	s := tokensource.NewFile(path)
	// This is the file of a process that died while writing.
	if err := os.WriteFile(path+".new", []byte("half a rec"), 0o644); err != nil {
		t.Fatal(err)
	}
	for version := range uint64(3) {
		if err := s.Save(t.Context(), tokensource.Record{Version: version + 1, Data: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"token", "token.lock"} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, %v", name, info.Mode(), err)
		}
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 2 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
}

// TestFileRefuses checks that a file which is no token file is an error and not an
// empty store, which a login would overwrite.
func TestFileRefuses(t *testing.T) {
	for _, test := range []struct {
		name, content string
		mode          os.FileMode
		want          string
	}{
		{"readable by others", "1\n{}", 0o640, "chmod 600"},
		{"empty", "", 0o600, "does not begin with the version"},
		{"version 0", "0\n{}", 0o600, "does not begin with the version"},
		{"another file", "{\"access_token\":\"x\"}", 0o600, "does not begin with the version"},
		{"too large", strings.Repeat("1", 1<<20+1), 0o600, "larger than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(private(t), "token")
			if err := os.WriteFile(path, []byte(test.content), test.mode); err != nil {
				t.Fatal(err)
			}
			s := tokensource.NewFile(path)
			if _, err := s.Load(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("load: %v", err)
			}
			if err := s.Save(t.Context(), tokensource.Record{Version: 1}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("save: %v", err)
			}
		})
	}
	if _, err := tokensource.NewFile(private(t)).Load(t.Context()); err == nil {
		t.Error("a folder was read as a token")
	}
}

// TestFileLock checks that a save waits for the lock as long as its context allows.
func TestFileLock(t *testing.T) {
	path := filepath.Join(private(t), "token")
	unlock, err := tokensource.Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s := tokensource.NewFile(path)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Save(ctx, tokensource.Record{Version: 1}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a save under another's lock: %v", err)
	}
	saved := make(chan error, 1)
	go func() { saved <- s.Save(t.Context(), tokensource.Record{Version: 1}) }()
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if err := <-saved; err != nil {
		t.Fatal(err)
	}
}

// TestDynamoDB checks that the item's other attributes stay, that damage is an
// error, and that a write whose response was lost is found again.
func TestDynamoDB(t *testing.T) {
	_, rt := storetest.Open(t)
	s := openDynamo(t, rt)()
	db, table := dynamodb.NewFromConfig(rt.Config()), aws.String(rt.Name()+"-tokens")
	key := map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "u"}}
	put := func(name string, v types.AttributeValue) {
		t.Helper()
		item := map[string]types.AttributeValue{"id": key["id"], "owner": &types.AttributeValueMemberS{Value: "team"}}
		if v != nil {
			item[name] = v
		}
		if _, err := db.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: table, Item: item}); err != nil {
			t.Fatal(err)
		}
	}
	put("version", &types.AttributeValueMemberN{Value: "1"})
	if _, err := s.Load(t.Context()); err == nil {
		t.Error("a record without data was loaded")
	}
	put("record", &types.AttributeValueMemberB{Value: []byte("x")})
	if _, err := s.Load(t.Context()); err == nil {
		t.Error("a record without version was loaded")
	}
	put("", nil)
	if r, err := s.Load(t.Context()); err != nil || r.Version != 0 {
		t.Errorf("an item without a record: %v, %v", r, err)
	}
	rt.Once(1, storetest.Lost)
	if err := s.Save(t.Context(), tokensource.Record{Version: 1, Data: []byte("x")}); !errors.Is(err, tokensource.ErrConflict) {
		t.Errorf("a write that the SDK repeats: %v", err)
	}
	if r, err := s.Load(t.Context()); err != nil || r.Version != 1 {
		t.Errorf("afterwards: %v, %v", r, err)
	}
	out, err := db.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: table, Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil || out.Item["owner"] == nil {
		t.Errorf("the item's own attribute is gone: %v", err)
	}
	if weak := rt.WeakReads(); len(weak) > 0 {
		t.Errorf("reads that are not strongly consistent: %v", weak)
	}
}
