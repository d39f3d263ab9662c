package store

import (
	"fmt"
	"math"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/family"
)

// MaxFamily is how large the record of a living family may be, in bytes as DynamoDB
// counts them. A refresh costs a write unit for each 1,024 of them.
const MaxFamily = 4096

// GrownSize returns the most bytes that f's record can have while f lives: uses of
// its tokens leave numbers in it, an address, and a user agent of up to that many
// bytes.
func GrownSize(f *family.Family, userAgent int) (int, error) {
	g := *f
	g.Counter, g.Held, g.Skipped = math.MaxUint32, math.MaxUint32, family.Range{From: math.MaxUint32, To: math.MaxUint32}
	g.RotatedAt, g.LastUsedAt, g.ExpiresAt, g.KeepUntil, g.PurgeAt = never, never, never, never, never
	g.RotationID = make([]byte, 8)
	g.LastIP = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
	g.LastUserAgent = strings.Repeat("a", userAgent)
	m, err := marshalFamily(&g)
	if err != nil {
		return 0, err
	}
	m["observed_at"] = number(never.UnixMilli())
	return ItemSize(m), nil
}

// ItemSize returns the size of an item in bytes, by "DynamoDB item sizes and formats"
// in the developer guide: a number takes a byte for two significant digits and one
// more, and one where it is negative; a list or map three bytes, and one for each
// element. Zeros at the end of a number, which DynamoDB leaves out, are counted.
func ItemSize(m map[string]types.AttributeValue) int {
	n := 0
	for name, value := range m {
		n += len(name) + sizeOf(value)
	}
	return n
}

func sizeOf(v types.AttributeValue) int {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		digits := strings.TrimLeft(v.Value, "-0")
		return (len(digits)+1)/2 + 1 + strings.Count(v.Value, "-")
	case *types.AttributeValueMemberB:
		return len(v.Value)
	case *types.AttributeValueMemberL:
		n := 3
		for _, e := range v.Value {
			n += 1 + sizeOf(e)
		}
		return n
	case *types.AttributeValueMemberM:
		n := 3
		for name, e := range v.Value {
			n += 1 + len(name) + sizeOf(e)
		}
		return n
	case *types.AttributeValueMemberBOOL, *types.AttributeValueMemberNULL:
		return 1
	default:
		panic(fmt.Sprintf("an attribute of a type that Rotor does not use: %T", v))
	}
}
