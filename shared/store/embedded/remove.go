package embedded

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
)

// removal is an update that removes attributes. minidyn's REMOVE does nothing to an attribute of the item
// itself.
type removal struct {
	TableName        string
	Key              json.RawMessage
	UpdateExpression string
}

// names returns the attributes that are removed. REMOVE is the last clause of Rotor's expressions, and names
// attributes as they are called.
func (u *removal) names() []string {
	_, names, ok := strings.Cut(u.UpdateExpression, " REMOVE ")
	if !ok {
		return nil
	}
	return strings.Split(names, ", ")
}

// removals returns the updates of a request that remove attributes. It reads the request's body, and returns the
// request to go on with.
func removals(r *http.Request) (next *http.Request, all []removal, err error) {
	if _, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), "."); operation != "UpdateItem" && operation != "TransactWriteItems" {
		return r, nil, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return r, nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	if !bytes.Contains(body, []byte(" REMOVE ")) {
		return r, nil, nil
	}
	var in struct {
		removal
		TransactItems []struct{ Update removal }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return r, nil, err
	}
	for _, item := range in.TransactItems {
		all = append(all, item.Update)
	}
	all = append(all, in.removal)
	return r, all, nil
}

// remove removes the attributes of an update that minidyn has made, also from its answer. Nothing else is
// requested meanwhile.
func (t *transport) remove(ctx context.Context, u *removal, answer *httptest.ResponseRecorder) error {
	names := u.names()
	if len(names) == 0 {
		return nil
	}
	var got struct{ Item map[string]json.RawMessage }
	if err := t.ask(ctx, "GetItem", map[string]any{"TableName": u.TableName, "Key": u.Key, "ConsistentRead": true}, &got); err != nil {
		return err
	}
	for _, name := range names {
		delete(got.Item, name)
	}
	if err := t.ask(ctx, "PutItem", map[string]any{"TableName": u.TableName, "Item": got.Item}, nil); err != nil {
		return err
	}
	var out map[string]map[string]json.RawMessage
	if json.Unmarshal(answer.Body.Bytes(), &out) != nil || out["Attributes"] == nil {
		return nil
	}
	for _, name := range names {
		delete(out["Attributes"], name)
	}
	answer.Body.Reset()
	answer.Header().Del("Content-Length")
	return json.NewEncoder(answer.Body).Encode(out)
}

// ask makes a request to minidyn.
func (t *transport) ask(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	w := httptest.NewRecorder()
	t.handler.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return fmt.Errorf("embedded: %s: %s", operation, w.Body)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(w.Body.Bytes(), out)
}
