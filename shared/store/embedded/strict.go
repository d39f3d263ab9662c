package embedded

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
)

var between = regexp.MustCompile(`(\w+) BETWEEN (:\w+) AND (:\w+)`)

const (
	// validation is the error of a request that is not as it must be.
	validation = "com.amazon.coral.validate#ValidationException"
	// mostTransacted is how many items a transaction has at most. minidyn takes more.
	mostTransacted = 100
)

// query is what a query asks for.
type query struct {
	TableName                 string
	IndexName                 string
	KeyConditionExpression    string
	ExpressionAttributeValues attributes
	ExclusiveStartKey         attributes
}

// readQuery reads a request that is a query; nil where it is none. It returns the
// request to go on with, whose body it has read.
func readQuery(r *http.Request) (*http.Request, *query, error) {
	if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".Query") {
		return r, nil, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return r, nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	in := &query{}
	return r, in, json.Unmarshal(body, in)
}

// misasked says what DynamoDB has against the query, "" for nothing: bounds of BETWEEN
// that are the wrong way around, or a start key outside them. minidyn takes both.
func (in *query) misasked() string {
	m := between.FindStringSubmatch(in.KeyConditionExpression)
	if m == nil {
		return ""
	}
	low, high := in.ExpressionAttributeValues[m[2]].S, in.ExpressionAttributeValues[m[3]].S
	start, given := in.ExclusiveStartKey[m[1]]
	switch {
	case low > high:
		return "The BETWEEN operator requires upper bound to be greater than or equal to lower bound"
	case given && (start.S < low || start.S > high):
		return "The provided starting key does not match the range key predicate"
	}
	return ""
}

// refusal is DynamoDB's answer to a request that is not as it must be.
func refusal(kind, message string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.WriteString(`{"__type":"` + kind + `","message":"` + message + `"}`)
	return w
}
