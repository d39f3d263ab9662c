package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/rotor-auth/rotor/lab/inside"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/signing"
	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/store/schema"
	"github.com/rotor-auth/rotor/shared/token"
)

// app is the client whose families fill a table. It is confidential, so that it may
// introspect. It has no reuse interval, so that every refresh rotates and any token
// that comes back is reuse. It allows a user as many families as a client can.
const app = "app"

const appPolicy = `{"reuse_interval":0,"max_active":1000}`

// limited returns the id of a client whose users may have the given number of
// families.
func limited(families int) string { return fmt.Sprintf("limited-%d", families) }

// filler fills tables faster than Rotor could issue families. Rotor makes one item
// of each kind, and filler puts copies that differ only in user, client and ULID.
type filler struct {
	url    string // of the store that is filled
	rt     http.RoundTripper
	env    []string // of local programs, which share the keys
	keys   *keyring.Keys
	secret string // of the client app
	issued time.Time

	clients                  []item // all registered clients
	family, owner, overLimit item
	counter                  uint32 // of the family
}

// newFiller makes Rotor create the items to copy. The keys are kept in dir. limits
// are those of the [limited] clients.
func (b *bench) newFiller(ctx context.Context, at, dir string, limits ...int) (f *filler, err error) {
	file := filepath.Join(dir, "keys.json")
	source, err := keyring.File(file, signing.ES256, time.Now())
	if err != nil {
		return nil, err
	}
	f = &filler{
		url: at, rt: &http.Transport{MaxIdleConnsPerHost: writers, DisableCompression: true},
		env: []string{"KEYS=" + file, "ALG=ES256"},
	}
	if f.keys, err = source.Keys(ctx, time.Now()); err != nil {
		return nil, err
	}
	s, err := b.start(ctx, at, f.env...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()

	if err := s.manage(ctx, http.StatusCreated, http.MethodPut, "/v1/clients/"+app, `{"type":"confidential","policy":`+appPolicy+`}`, nil); err != nil {
		return nil, err
	}
	var made struct {
		Secret string `json:"client_secret"`
	}
	if err := s.manage(ctx, http.StatusCreated, http.MethodPost, "/v1/clients/"+app+"/secrets", "", &made); err != nil {
		return nil, err
	}
	f.secret = made.Secret
	limits = append(limits, 1) // of the owner that is over its limit
	slices.Sort(limits)
	for _, n := range slices.Compact(limits) {
		if err := s.register(ctx, limited(n), fmt.Sprintf(`{"max_active":%d}`, n)); err != nil {
			return nil, err
		}
	}
	for range 2 { // one more than limited(1) allows
		if _, err := s.issue(ctx, userOf(0), limited(1)); err != nil {
			return nil, err
		}
	}
	usual := strings.Replace(inside.Family, inside.User, userOf(0), 1)
	var answer issued
	if err := s.manage(ctx, http.StatusCreated, http.MethodPost, "/v1/families", usual, &answer); err != nil {
		return nil, err
	}
	for range rotations {
		if answer.RefreshToken, err = f.refresh(ctx, s, http.StatusOK, answer.RefreshToken); err != nil {
			return nil, err
		}
	}
	id, err := family.ParseID(answer.Family)
	if err != nil {
		return nil, err
	}
	f.issued, f.counter = id.IssuedAt(), 1+rotations
	return f, f.take(ctx, s.table)
}

// take reads the items that Rotor has made.
func (f *filler) take(ctx context.Context, table string) error {
	all, err := scan(ctx, f.rt, f.url, table)
	if err != nil {
		return err
	}
	for _, i := range all {
		switch pk, sk := i.text(schema.PK), i.text(schema.SK); {
		case pk == schema.ClientsPK:
			f.clients = append(f.clients, i)
		case strings.HasPrefix(sk, schema.FamilyPrefix) && i.text("client_id") == app:
			f.family = i
		case sk == schema.OwnerPrefix+app:
			f.owner = i
		case pk == schema.OverLimitPK:
			f.overLimit = i
		}
	}
	if f.clients == nil || f.family == nil || f.owner == nil || f.overLimit == nil {
		return errors.New("there is not an item of each kind in Rotor's table")
	}
	return nil
}

// userOf returns the id of a user. All ids have the same length.
func userOf(i int) string { return fmt.Sprintf("auth0|%024d", i) }

// owner is a user of a client, with a number of families.
type owner struct {
	user, client string
	families     int
	overLimit    bool // and so on the work list
}

// id returns the id of the owner's n-th family, from 0 on. All were issued in the
// same millisecond.
func (f *filler) id(o owner, n int) family.ID {
	key := f.keys.Users.Key(o.user)
	var u ulid.ULID
	_ = u.SetTime(ulid.Timestamp(f.issued)) // fails only after the year 10889
	copy(u[6:14], key[:])
	binary.BigEndian.PutUint16(u[14:], uint16(n)) //nolint:gosec // an owner has thousands at most
	return family.JoinID(key, u)
}

// token returns the newest token of the owner's first family.
func (f *filler) token(o owner) string {
	return f.keys.Codec.Mint(token.Token{Family: f.id(o, 0), Counter: f.counter}, f.issued).Reveal()
}

// items returns all items of an owner.
func (f *filler) items(o owner) iter.Seq[item] {
	return func(yield func(item) bool) {
		key := f.keys.Users.Key(o.user)
		user := base64.RawURLEncoding.EncodeToString(key[:])
		for n := range o.families {
			sk := schema.FamilyPrefix + f.id(o, n).ULID().String()
			if !yield(with(f.family, map[string]attribute{schema.PK: stringValue(schema.UserPrefix + user), schema.SK: stringValue(sk), "user_id": stringValue(o.user), "client_id": stringValue(o.client)})) {
				return
			}
		}
		active := attribute{"N": json.RawMessage(strconv.Quote(strconv.Itoa(o.families)))}
		if !yield(with(f.owner, map[string]attribute{schema.PK: stringValue(schema.UserPrefix + user), schema.SK: stringValue(schema.OwnerPrefix + o.client), "active": active})) {
			return
		}
		if o.overLimit {
			yield(with(f.overLimit, map[string]attribute{schema.SK: stringValue(user + "#" + o.client)}))
		}
	}
}

// with returns a copy of the item with other values for some attributes.
func with(i item, others map[string]attribute) item {
	i = maps.Clone(i)
	maps.Copy(i, others)
	return i
}

// stringValue returns the attribute of a string that needs no escaping.
func stringValue(s string) attribute { return attribute{"S": json.RawMessage(`"` + s + `"`)} }

const (
	writers = 4  // requests at a time
	batch   = 25 // items in a request, DynamoDB's maximum
)

// open creates a table that has only the clients.
func (f *filler) open(ctx context.Context, table string) error {
	if err := tableAt(f.url, table).Create(ctx); err != nil {
		return err
	}
	return f.put(ctx, table, slices.Values(f.clients))
}

// add puts all items of the owners.
func (f *filler) add(ctx context.Context, table string, owners ...owner) error {
	return f.put(ctx, table, f.all(slices.Values(owners)))
}

// all returns the items of all owners.
func (f *filler) all(owners iter.Seq[owner]) iter.Seq[item] {
	return func(yield func(item) bool) {
		for o := range owners {
			for i := range f.items(o) {
				if !yield(i) {
					return
				}
			}
		}
	}
}

// put puts items.
func (f *filler) put(ctx context.Context, table string, items iter.Seq[item]) error {
	type request struct{ PutRequest struct{ Item item } }
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	var requests []request
	send := func() {
		all := requests
		requests = nil
		group.Go(func() error {
			var out struct{ UnprocessedItems map[string]json.RawMessage }
			err := ask(ctx, f.rt, f.url, "BatchWriteItem", map[string]any{"RequestItems": map[string][]request{table: all}}, &out)
			if err == nil && len(out.UnprocessedItems) > 0 {
				err = errors.New("the store has not taken them all")
			}
			return err
		})
	}
	for i := range items {
		var r request
		r.PutRequest.Item = i
		if requests = append(requests, r); len(requests) == batch {
			send()
		}
		if ctx.Err() != nil {
			break // a request has failed
		}
	}
	if len(requests) > 0 {
		send()
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("fill a table: %w", err)
	}
	return nil
}

// check fails unless the table has the given number of items besides the clients.
// DynamoDB itself counts every six hours, but these stores count at once.
func (f *filler) check(ctx context.Context, table string, items int) error {
	var out struct{ Table struct{ ItemCount int } }
	if err := ask(ctx, f.rt, f.url, "DescribeTable", map[string]any{"TableName": table}, &out); err != nil {
		return fmt.Errorf("count the items of a table: %w", err)
	}
	if n := out.Table.ItemCount - len(f.clients); n != items {
		return fmt.Errorf("a table was filled with %d items, not %d", n, items)
	}
	return nil
}

// tableAt returns Rotor's named table in the store at the URL.
func tableAt(endpoint, name string) *store.Table {
	return store.New(aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""), BaseEndpoint: &endpoint,
	}, name, store.DefaultRetention)
}

// refresh presents a token of the client app, fails unless it gets the given status,
// and returns the successor.
func (f *filler) refresh(ctx context.Context, s *service, status int, presented string) (string, error) {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {presented}}
	var answer issued
	err := f.post(ctx, s, status, "/oauth/token", form, &answer)
	return answer.RefreshToken, err
}

// introspect fails unless a token of the client app is active.
func (f *filler) introspect(ctx context.Context, s *service, presented string) error {
	var answer struct{ Active bool }
	err := f.post(ctx, s, http.StatusOK, "/oauth/introspect", url.Values{"token": {presented}}, &answer)
	if err == nil && !answer.Active {
		err = errors.New("a token that was filled in is not active")
	}
	return err
}

// post sends a form with the credentials of the client app.
func (f *filler) post(ctx context.Context, s *service, status int, path string, form url.Values, v any) error {
	form.Set("client_id", app)
	form.Set("client_secret", f.secret)
	return s.call(ctx, status, http.MethodPost, path, "application/x-www-form-urlencoded", form.Encode(), v)
}
