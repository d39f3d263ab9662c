package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/assertion"
	"github.com/rotor-auth/rotor/shared/family"
	"github.com/rotor-auth/rotor/shared/foreign"
	"github.com/rotor-auth/rotor/shared/store/schema"
	"github.com/rotor-auth/rotor/shared/token"
)

// MaxSecrets is how many secrets a client has at most: the one in use and the one that
// replaces it.
const MaxSecrets = 2

// secretSlots are the attributes that hold the secrets.
var secretSlots = [MaxSecrets]string{"secret_1", "secret_2"}

// ErrTooManySecrets is returned if a client already has [MaxSecrets].
var ErrTooManySecrets = errors.New("the client has as many secrets as it may")

// Client is an application in the registry.
type Client struct {
	ID            string
	Confidential  bool
	Preset        string // the preset from which the policy was derived
	Policy        family.Policy
	Scope         []string // what its families may be granted, and are granted by default; nil allows any (see Bound)
	Audience      []string // the default audience of its access tokens
	MayIntrospect bool     // may introspect access tokens of other clients
	MayForward    bool     // may name the address and user agent of its user
	Secrets       []Secret
	Version       int // how often it was put

	// Where a browser may be sent with a code, and after a logout.
	RedirectURIs           []string
	PostLogoutRedirectURIs []string

	// TrustedIssuers are those whose assertions start families of the client.
	TrustedIssuers []assertion.Issuer

	// Keys are those by which it authenticates with private_key_jwt, if it is confidential.
	Keys assertion.Keys

	// AcceptsImported is what refresh tokens of another provider look like, which may have been
	// imported; nil for none.
	AcceptsImported *foreign.Shape

	// Adopt is another provider whose refresh tokens start families of the client; nil for none.
	Adopt *foreign.Provider

	// Cookie says that its refresh tokens travel in cookies, which browsers send from pages of the same
	// site alone; with CookieLax also when a link of another site leads to the app.
	Cookie, CookieLax bool
	// DeviceBound says that browsers are asked to bind their sessions to a key of the device.
	DeviceBound bool

	CreatedAt time.Time
	UpdatedAt time.Time
}

// KnowsForeign reports whether a refresh token may be one of another provider that was imported,
// or adopted, or can be adopted. What begins as a token of Rotor is one that was damaged.
func (c *Client) KnowsForeign(presented string) bool {
	return !strings.HasPrefix(presented, token.Prefix) && (c.AcceptsImported.Fits(presented) || c.Adopt.Fits(presented))
}

// Bound returns the part of a scope that the client's families may be granted now, which
// is all of it if the client has no scope of its own.
func (c *Client) Bound(scope []string) []string {
	if c.Scope == nil {
		return scope
	}
	var bound []string
	for _, s := range scope {
		if slices.Contains(c.Scope, s) {
			bound = append(bound, s)
		}
	}
	return bound
}

// Secret is what the registry stores of a client secret, which is only its hash. Rotor
// generates secrets of 256 random bits, so they need no password hash.
type Secret struct {
	ID        string
	Hash      [sha256.Size]byte
	CreatedAt time.Time
}

type clientItem struct {
	SK            string `dynamodbav:"sk"`
	Type          string `dynamodbav:"type"`
	Preset        string `dynamodbav:"preset,omitempty"`
	Policy        string `dynamodbav:"policy"`             // JSON; a missing member has the preset's value
	Scope         string `dynamodbav:"scope"`              // joined with spaces
	Audience      string `dynamodbav:"audience,omitempty"` // see joinAudience
	MayIntrospect bool   `dynamodbav:"may_introspect,omitempty"`
	MayForward    bool   `dynamodbav:"may_forward,omitempty"`
	Redirects     string `dynamodbav:"redirect_uris,omitempty"` // joined with spaces, as the next
	AfterLogout   string `dynamodbav:"post_logout_redirect_uris,omitempty"`
	Issuers       string `dynamodbav:"trusted_issuers,omitempty"`  // JSON; "" for none
	Keys          string `dynamodbav:"client_keys,omitempty"`      // JSON; "" for none
	Imported      string `dynamodbav:"accepts_imported,omitempty"` // JSON; "" for none
	Adopt         string `dynamodbav:"adopt,omitempty"`            // JSON; "" for none
	Cookie        bool   `dynamodbav:"cookie,omitempty"`
	CookieLax     bool   `dynamodbav:"cookie_lax,omitempty"`
	DeviceBound   bool   `dynamodbav:"device_bound,omitempty"`
	NotBefore     int64  `dynamodbav:"not_before,omitempty"`
	Secret1       string `dynamodbav:"secret_1"` // JSON of a secretItem; "" for none
	Secret2       string `dynamodbav:"secret_2"`
	Version       int    `dynamodbav:"version"`
	CreatedAt     int64  `dynamodbav:"created_at"`
	UpdatedAt     int64  `dynamodbav:"updated_at"`
}

type secretItem struct {
	ID        string `json:"id"`
	Hash      []byte `json:"hash"`
	CreatedAt int64  `json:"created_at"`
}

func clientType(confidential bool) string {
	if confidential {
		return "confidential"
	}
	return "public"
}

func unmarshalClient(m item) (*Client, error) {
	var i clientItem
	if err := attributevalue.UnmarshalMap(m, &i); err != nil {
		return nil, fmt.Errorf("unmarshal a client: %w", err)
	}
	c := &Client{
		ID:            i.SK,
		Confidential:  i.Type == clientType(true),
		Preset:        i.Preset,
		Policy:        presetPolicy(i.Preset),
		Scope:         fields(i.Scope),
		Audience:      splitAudience(i.Audience),
		MayIntrospect: i.MayIntrospect,
		MayForward:    i.MayForward,
		Cookie:        i.Cookie,
		CookieLax:     i.CookieLax,
		DeviceBound:   i.DeviceBound,
		Version:       i.Version,
		CreatedAt:     fromMillis(i.CreatedAt),
		UpdatedAt:     fromMillis(i.UpdatedAt),

		RedirectURIs:           fields(i.Redirects),
		PostLogoutRedirectURIs: fields(i.AfterLogout),
	}
	if err := json.Unmarshal([]byte(i.Policy), &c.Policy); err != nil {
		return nil, fmt.Errorf("unmarshal the policy of client %s: %w", i.SK, err)
	}
	for _, part := range []struct {
		name, json string
		into       any
	}{
		{"the trusted issuers", i.Issuers, &c.TrustedIssuers},
		{"the keys", i.Keys, &c.Keys},
		{"the imported tokens", i.Imported, &c.AcceptsImported},
		{"the adopted provider", i.Adopt, &c.Adopt},
	} {
		if part.json == "" {
			continue
		}
		if err := json.Unmarshal([]byte(part.json), part.into); err != nil {
			return nil, fmt.Errorf("unmarshal %s of client %s: %w", part.name, i.SK, err)
		}
	}
	c.Policy.NotBefore = fromMillis(i.NotBefore)
	for _, slot := range []string{i.Secret1, i.Secret2} {
		if slot == "" {
			continue
		}
		var s secretItem
		if err := json.Unmarshal([]byte(slot), &s); err != nil || len(s.Hash) != sha256.Size {
			return nil, fmt.Errorf("unmarshal a secret of client %s: it is not a secret", i.SK)
		}
		c.Secrets = append(c.Secrets, Secret{ID: s.ID, Hash: [sha256.Size]byte(s.Hash), CreatedAt: fromMillis(s.CreatedAt)})
	}
	return c, nil
}

// presetPolicy returns the policy from which a record's was derived. If the record is older
// than a member of [family.Policy], the preset's value applies.
func presetPolicy(name string) family.Policy {
	p, err := family.Preset(name)
	if err != nil {
		return family.DefaultPolicy()
	}
	return p
}

// joinJSON returns the attribute that holds v as JSON, "" if there is none.
func joinJSON(v any, there bool) (string, error) {
	if !there {
		return "", nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// clientKey returns the key of a client. All clients are in one partition, so that a list
// is a query and never a scan. Each function instance reads a client once a minute.
func clientKey(id string) item { return key(schema.ClientsPK, id) }

// Client reads a client, strongly consistent. It returns [ErrNotFound] if there is none.
// Requests with tokens read through a [Registry] instead.
func (t *Table) Client(ctx context.Context, id string) (*Client, error) {
	m, err := t.read(ctx, clientKey(id))
	if err != nil {
		return nil, fmt.Errorf("read a client: %w", err)
	}
	return unmarshalClient(m)
}

// maxPutAttempts is how often a put is tried while others change the client.
const maxPutAttempts = 8

// PutClient creates the client, or replaces all of it except two things. A confidential client
// keeps its secrets; a public one loses them. And not_before is kept if c has none, since
// leaving it out must not revive families.
//
// It returns the client as it was, which is nil if it is new, and as it is now. before is
// exactly what this put replaced. It is returned with an error as well: if an answer was lost,
// the put may have been done.
func (t *Table) PutClient(ctx context.Context, c *Client) (before, after *Client, err error) {
	policy, err := json.Marshal(c.Policy)
	if err != nil {
		return nil, nil, fmt.Errorf("put a client: %w", err)
	}
	issuers, err1 := joinJSON(c.TrustedIssuers, len(c.TrustedIssuers) > 0)
	keys, err2 := joinJSON(c.Keys, c.Keys.Any())
	imported, err3 := joinJSON(c.AcceptsImported, c.AcceptsImported != nil)
	adopt, err4 := joinJSON(c.Adopt, c.Adopt != nil)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, nil, fmt.Errorf("put a client: %w", err)
	}
	update := "SET #type = :type, preset = :preset, #policy = :policy, #scope = :scope, audience = :audience," +
		" may_introspect = :may_introspect, may_forward = :may_forward, put_by = :put_by," +
		" redirect_uris = :redirect_uris, post_logout_redirect_uris = :post_logout_redirect_uris, trusted_issuers = :trusted_issuers, client_keys = :client_keys," +
		" accepts_imported = :accepts_imported, adopt = :adopt, cookie = :cookie, cookie_lax = :cookie_lax, device_bound = :device_bound," +
		" created_at = if_not_exists(created_at, :now), updated_at = :now"
	putBy := make([]byte, 8)
	_, _ = rand.Read(putBy) // never fails, by its contract
	values := item{
		":type":           text(clientType(c.Confidential)),
		":preset":         text(c.Preset),
		":policy":         text(string(policy)),
		":scope":          text(strings.Join(c.Scope, " ")),
		":audience":       text(joinAudience(c.Audience)),
		":may_introspect": &types.AttributeValueMemberBOOL{Value: c.MayIntrospect},
		":may_forward":    &types.AttributeValueMemberBOOL{Value: c.MayForward},
		":not_before":     number(millis(c.Policy.NotBefore)),
		":redirect_uris":  text(strings.Join(c.RedirectURIs, " ")),
		":put_by":         &types.AttributeValueMemberB{Value: putBy},
		":now":            number(millis(c.UpdatedAt)),
		":none":           text(""),
		":one":            number(1),

		":post_logout_redirect_uris": text(strings.Join(c.PostLogoutRedirectURIs, " ")),

		":trusted_issuers":  text(issuers),
		":client_keys":      text(keys),
		":accepts_imported": text(imported),
		":adopt":            text(adopt),
		":cookie":           &types.AttributeValueMemberBOOL{Value: c.Cookie},
		":cookie_lax":       &types.AttributeValueMemberBOOL{Value: c.CookieLax},
		":device_bound":     &types.AttributeValueMemberBOOL{Value: c.DeviceBound},
	}
	if c.Confidential {
		update += ", secret_1 = if_not_exists(secret_1, :none), secret_2 = if_not_exists(secret_2, :none)"
	} else {
		update += ", secret_1 = :none, secret_2 = :none"
	}
	if c.Policy.NotBefore.IsZero() {
		update += ", not_before = if_not_exists(not_before, :not_before)"
	} else {
		update += ", not_before = :not_before"
	}
	update += " ADD version :one"
	seen, err := t.read(ctx, clientKey(c.ID))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, nil, fmt.Errorf("put a client: %w", err)
	}
	for range maxPutAttempts {
		before = nil
		condition := "attribute_not_exists(version)"
		delete(values, ":version")
		if len(seen) > 0 {
			if before, err = unmarshalClient(seen); err != nil {
				return nil, nil, fmt.Errorf("put a client: %w", err)
			}
			condition, values[":version"] = "version = :version", seen["version"]
		}
		out, err := t.db.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName:                 &t.name,
			Key:                       clientKey(c.ID),
			ConditionExpression:       &condition,
			UpdateExpression:          &update,
			ExpressionAttributeNames:  map[string]string{"#type": "type", "#policy": "policy", "#scope": "scope"},
			ExpressionAttributeValues: values,
			ReturnValues:              types.ReturnValueAllNew,

			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		})
		var changed *types.ConditionalCheckFailedException
		switch {
		case err == nil:
			after, err = unmarshalClient(out.Attributes)
		case errors.As(err, &changed):
			seen = changed.Item
			by, ok := seen["put_by"].(*types.AttributeValueMemberB)
			if !ok || !bytes.Equal(by.Value, putBy) {
				continue
			}
			after, err = unmarshalClient(seen) // this is our own write, whose answer was lost
		}
		if err != nil {
			return before, nil, fmt.Errorf("put a client: %w", err)
		}
		return before, after, nil
	}
	return before, nil, errors.New("put a client: others kept changing it")
}

// DeleteClient deletes the client. It returns [ErrNotFound] if there is none. It reads the
// client first, because the delete itself cannot tell: its own first try, whose answer was
// lost, may have deleted the client.
func (t *Table) DeleteClient(ctx context.Context, id string) error {
	if _, err := t.read(ctx, clientKey(id)); err != nil {
		return fmt.Errorf("delete a client: %w", err)
	}
	if _, err := t.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &t.name, Key: clientKey(id)}); err != nil {
		return fmt.Errorf("delete a client: %w", err)
	}
	return nil
}

// ListClients returns up to limit clients whose ids follow the given one, in the order of
// their ids. next is the id to continue after, or "" at the end.
func (t *Table) ListClients(ctx context.Context, after string, limit int32) (clients []*Client, next string, err error) {
	in := &dynamodb.QueryInput{
		TableName:                 &t.name,
		KeyConditionExpression:    aws.String("pk = :pk"),
		ExpressionAttributeValues: item{":pk": text(schema.ClientsPK)},
		ConsistentRead:            aws.Bool(true),
		Limit:                     &limit,
	}
	if after != "" {
		in.ExclusiveStartKey = clientKey(after)
	}
	out, err := t.db.Query(ctx, in)
	if err != nil {
		return nil, "", fmt.Errorf("list clients: %w", err)
	}
	for _, m := range out.Items {
		c, err := unmarshalClient(m)
		if err != nil {
			return nil, "", fmt.Errorf("list clients: %w", err)
		}
		clients = append(clients, c)
	}
	if sk, ok := out.LastEvaluatedKey[schema.SK].(*types.AttributeValueMemberS); ok {
		next = sk.Value
	}
	return clients, next, nil
}
