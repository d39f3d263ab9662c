package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/store/schema"
)

// learn lets Rotor answer, and keeps what a refresh asked of the store.
func (f *floor) learn(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.URL.Path != tokenPath {
		f.rotor.ServeHTTP(w, r)
		return
	}
	if f.learned.Load() { // while this request waited
		f.answer(w, r)
		return
	}
	f.recorder.bodies = nil
	answer := httptest.NewRecorder()
	f.rotor.ServeHTTP(answer, r)
	if err := f.keep(answer); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()) // fails only if the client has gone away
}

// keep keeps a refresh, and its answer once every family has been refreshed twice: the
// first use of a family may ask for more than others.
func (f *floor) keep(answer *httptest.ResponseRecorder) error {
	if answer.Code != http.StatusOK || len(f.recorder.bodies) != 1 {
		return fmt.Errorf("a refresh is answered with %d, after %d UpdateItem", answer.Code, len(f.recorder.bodies))
	}
	in, key, err := updateOf(f.recorder.bodies[0])
	if err != nil {
		return err
	}
	next, ok := in.ExpressionAttributeValues[":next"].(*types.AttributeValueMemberN)
	if !ok {
		return errors.New("a refresh does not say which token is next")
	}
	family := f.families[key]
	if family == nil {
		family = &floorFamily{}
		f.families[key] = family
	}
	family.in = in
	family.seen++
	if family.n, err = strconv.Atoi(next.Value); err != nil {
		return err
	}
	if family.seen == 2 {
		f.twice++
	}
	if f.twice < sessions {
		return nil
	}
	return f.repeat(answer)
}

// repeat makes the floor answer from now on, as Rotor did.
func (f *floor) repeat(answer *httptest.ResponseRecorder) error {
	body := answer.Body.Bytes()
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal(body, &tokens); err != nil {
		return err
	}
	end := bytes.Index(body, []byte(tokens.Refresh)) + len(tokens.Refresh)
	f.header, f.before, f.after = answer.Header(), body[:end-digits], body[end:]
	f.input = []byte(tokens.Access[:strings.LastIndexByte(tokens.Access, '.')])
	for _, family := range f.families {
		f.free <- family
	}
	f.learned.Store(true)
	return nil
}

// recorder keeps the bodies of the UpdateItem requests that a client makes.
type recorder struct {
	aws.HTTPClient
	bodies [][]byte
}

func (c *recorder) Do(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".UpdateItem") {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		c.bodies = append(c.bodies, body)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return c.HTTPClient.Do(r)
}

// updateOf returns the input of the SDK that makes a request with this body, and the
// item's key as text.
func updateOf(body []byte) (in *dynamodb.UpdateItemInput, key string, err error) {
	var wire struct {
		TableName, ConditionExpression, UpdateExpression  *string
		Key, ExpressionAttributeValues                    item
		ExpressionAttributeNames                          map[string]string
		ReturnValues, ReturnValuesOnConditionCheckFailure string
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields() // what is not repeated would make the floor too low
	if err := decoder.Decode(&wire); err != nil {
		return nil, "", fmt.Errorf("read an UpdateItem: %w", err)
	}
	at, err1 := wire.Key.values()
	values, err2 := wire.ExpressionAttributeValues.values()
	return &dynamodb.UpdateItemInput{
		TableName: wire.TableName, Key: at, ConditionExpression: wire.ConditionExpression, UpdateExpression: wire.UpdateExpression,
		ExpressionAttributeNames: wire.ExpressionAttributeNames, ExpressionAttributeValues: values, ReturnValues: types.ReturnValue(wire.ReturnValues),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailure(wire.ReturnValuesOnConditionCheckFailure),
	}, wire.Key.text(schema.PK) + wire.Key.text(schema.SK), errors.Join(err1, err2)
}

// values returns the item as the SDK has it. Its attributes are text, numbers and
// bytes.
func (i item) values() (map[string]types.AttributeValue, error) {
	values := make(map[string]types.AttributeValue, len(i))
	for name, a := range i {
		var err error
		for kind, raw := range a {
			switch kind {
			case "S":
				v := &types.AttributeValueMemberS{}
				values[name], err = v, json.Unmarshal(raw, &v.Value)
			case "N":
				v := &types.AttributeValueMemberN{}
				values[name], err = v, json.Unmarshal(raw, &v.Value)
			case "B":
				v := &types.AttributeValueMemberB{}
				values[name], err = v, json.Unmarshal(raw, &v.Value)
			default:
				err = fmt.Errorf("%s is of type %s", name, kind)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return values, nil
}
