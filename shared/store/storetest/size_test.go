package storetest_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/store"
)

// TestSizesOfItems checks sizes against those in the developer guide.
func TestSizesOfItems(t *testing.T) {
	number := func(s string) types.AttributeValue { return &types.AttributeValueMemberN{Value: s} }
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	for name, tt := range map[string]struct {
		value types.AttributeValue
		want  int // without the name
	}{
		"text": {text("four"), 4}, "text of two bytes": {text("é"), 2}, "no text": {text(""), 0},
		"bytes":        {&types.AttributeValueMemberB{Value: make([]byte, 5)}, 5},
		"0":            {number("0"), 1},
		"one digit":    {number("7"), 2},
		"two digits":   {number("77"), 2},
		"three digits": {number("777"), 3},
		"negative":     {number("-77"), 3},
		"milliseconds": {number("1893553445006"), 8},
		"a boolean":    {&types.AttributeValueMemberBOOL{Value: true}, 1}, "null": {&types.AttributeValueMemberNULL{Value: true}, 1},
		"an empty list": {&types.AttributeValueMemberL{}, 3},
		"a list":        {&types.AttributeValueMemberL{Value: []types.AttributeValue{text("ab"), number("7")}}, 3 + 1 + 2 + 1 + 2},
		"an empty map":  {&types.AttributeValueMemberM{}, 3},
		"a map":         {&types.AttributeValueMemberM{Value: map[string]types.AttributeValue{"xyz": text("ab"), "n": number("7")}}, 3 + 1 + 3 + 2 + 1 + 1 + 2},
	} {
		if got := store.ItemSize(map[string]types.AttributeValue{"name": tt.value, "é": text("")}) - len("name") - len("é"); got != tt.want {
			t.Errorf("%s has %d bytes, not %d", name, got, tt.want)
		}
	}
}
