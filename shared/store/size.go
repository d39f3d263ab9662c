package store

import (
	"crypto/sha256"
	"fmt"
	"math"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/family"
)

// MaxFamilySize is how large the record of a living family may become, in bytes as
// DynamoDB counts them. A refresh costs a write unit for each 1,024 of them.
const MaxFamilySize = 4096

// GrownSize returns how many bytes f's record can have at most while f is alive. Uses of its
// tokens leave numbers in it, an address, and a user agent of at most userAgent bytes.
func GrownSize(f *family.Family, userAgent int) (int, error) {
	g := *f
	g.Counter, g.Held, g.Skipped = math.MaxUint32, math.MaxUint32, family.Range{From: math.MaxUint32, To: math.MaxUint32}
	g.RotatedAt, g.LastUsedAt, g.ExpiresAt, g.KeepUntil, g.PurgeAt = never, never, never, never, never
	g.RotationID = make([]byte, 8)
	if f.Origin.Kind == family.Code {
		g.Origin.Until = never
	}
	if f.Pending() { // its first use may bind it, or the browser that has it
		g.JKT, g.BoundAt = make([]byte, sha256.Size), never
	}
	g.LastIP = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
	g.LastUserAgent = strings.Repeat("a", userAgent)
	m, err := marshalFamily(&g)
	if err != nil {
		return 0, err
	}
	m["observed_at"] = number(never.UnixMilli())
	return ItemSize(m), nil
}

// ItemSize returns the size of an item in bytes, by "DynamoDB item sizes and formats" in
// the developer guide. A number takes a byte for every two significant digits, one more,
// and another if it is negative. A list or map takes three bytes, and one for each
// element. ItemSize counts zeros at the end of a number, which DynamoDB does not.
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
		panic(fmt.Sprintf("Rotor uses no attribute of type %T", v))
	}
}
