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
	// validation is the type of the error for an invalid request.
	validation = "com.amazon.coral.validate#ValidationException"
	// maxTransactItems is how many items a transaction may have. minidyn accepts more.
	maxTransactItems = 100
)

// query is the body of a query.
type query struct {
	TableName                 string
	IndexName                 string
	KeyConditionExpression    string
	ExpressionAttributeValues attributes
	ExclusiveStartKey         attributes
}

// readQuery reads the body of a query, or returns nil if the request is not a query. It
// returns the request to go on with.
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

// invalid returns DynamoDB's error message for a query that minidyn accepts and DynamoDB
// does not, or "". Such a query has the bounds of BETWEEN the wrong way around, or a start
// key outside them.
func (in *query) invalid() string {
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

// errorResponse returns DynamoDB's answer to a request that fails with that error.
func errorResponse(kind, message string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.WriteString(`{"__type":"` + kind + `","message":"` + message + `"}`)
	return w
}
