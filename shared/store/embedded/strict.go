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

// misasked says what DynamoDB has against a query, "" for nothing: bounds of BETWEEN
// that are the wrong way around, or a start key outside them. minidyn takes both.
// It returns the request to go on with, whose body it has read.
func misasked(r *http.Request) (*http.Request, string, error) {
	if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".Query") {
		return r, "", nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return r, "", err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	type text struct{ S string }
	var in struct {
		KeyConditionExpression    string
		ExpressionAttributeValues map[string]text
		ExclusiveStartKey         map[string]text
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return r, "", err
	}
	m := between.FindStringSubmatch(in.KeyConditionExpression)
	if m == nil {
		return r, "", nil
	}
	low, high := in.ExpressionAttributeValues[m[2]].S, in.ExpressionAttributeValues[m[3]].S
	start, given := in.ExclusiveStartKey[m[1]]
	switch {
	case low > high:
		return r, "The BETWEEN operator requires upper bound to be greater than or equal to lower bound", nil
	case given && (start.S < low || start.S > high):
		return r, "The provided starting key does not match the range key predicate", nil
	}
	return r, "", nil
}

// refusal is DynamoDB's answer to a request that is not as it must be.
func refusal(kind, message string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.WriteString(`{"__type":"` + kind + `","message":"` + message + `"}`)
	return w
}
