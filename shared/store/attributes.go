package store

import (
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// attributes reads the attributes of an item. One that the item does not have has the zero value. err is
// the first fault that was found.
type attributes struct {
	item item
	err  error
}

func (a *attributes) text(name string) string {
	switch v := a.item[name].(type) {
	case nil:
	case *types.AttributeValueMemberS:
		return v.Value
	default:
		a.fail(name, fmt.Errorf("it is a %T", v))
	}
	return ""
}

func (a *attributes) binary(name string) []byte {
	switch v := a.item[name].(type) {
	case nil:
	case *types.AttributeValueMemberB:
		return v.Value
	default:
		a.fail(name, fmt.Errorf("it is a %T", v))
	}
	return nil
}

func (a *attributes) number(name string) int64 {
	n, err := strconv.ParseInt(a.digits(name), 10, 64)
	a.fail(name, err)
	return n
}

func (a *attributes) counter(name string) uint32 {
	n, err := strconv.ParseUint(a.digits(name), 10, 32)
	a.fail(name, err)
	return uint32(n)
}

// digits returns the text of a number.
func (a *attributes) digits(name string) string {
	switch v := a.item[name].(type) {
	case nil:
	case *types.AttributeValueMemberN:
		return v.Value
	default:
		a.fail(name, fmt.Errorf("it is a %T", v))
	}
	return "0"
}

// fail keeps the first fault, and ignores a nil one.
func (a *attributes) fail(name string, err error) {
	if err != nil && a.err == nil {
		a.err = fmt.Errorf("attribute %s: %w", name, err)
	}
}
