package store

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/family"
)

// Change is what the management of a family may change while it lives; nil stays.
type Change struct {
	Scope    *[]string
	Claims   *string
	AuthTime *time.Time
	ACR      *string
	AMR      *[]string
	Device   *string
}

// Of returns f with the change.
func (c *Change) Of(f *family.Family) *family.Family {
	g := *f
	set(&g.Scope, c.Scope)
	set(&g.Claims, c.Claims)
	set(&g.AuthTime, c.AuthTime)
	set(&g.ACR, c.ACR)
	set(&g.AMR, c.AMR)
	set(&g.Device, c.Device)
	return &g
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// Change writes c, if the family that was seen lives at now, and still has the scope
// that was seen: of two that narrow it at once the later is decided again. Nothing
// else is written, so that neither a use of a token nor another change is lost. It
// returns as [Table.Refresh] does.
func (t *Table) Change(ctx context.Context, seen *family.Family, p *family.Policy, c *Change, now time.Time) (f *family.Family, done bool, err error) {
	m, err := marshalFamily(c.Of(seen))
	if err != nil {
		return nil, false, err
	}
	was, err := marshalFamily(seen)
	if err != nil {
		return nil, false, err
	}
	values := aliveValues(now, p.IdleLifetime.Duration())
	values[":seen"] = was["scope"]
	names := map[string]string{"#scope": "scope"}
	var sets []string
	for name, given := range map[string]bool{
		"scope": c.Scope != nil, "claims": c.Claims != nil, "auth_time": c.AuthTime != nil, "acr": c.ACR != nil, "amr": c.AMR != nil, "device": c.Device != nil,
	} {
		if !given {
			continue
		}
		value, ok := m[name]
		if !ok { // the record has none
			value = text("")
			if name == "auth_time" {
				value = number(0)
			}
		}
		names["#"+name], values[":"+name] = name, value
		sets = append(sets, "#"+name+" = :"+name)
	}
	return t.updateFamily(ctx, seen.ID, "change a family", types.Update{
		ConditionExpression:       aws.String("#scope = :seen AND " + alive),
		UpdateExpression:          aws.String("SET " + strings.Join(sets, ", ")),
		ExpressionAttributeNames:  names,
		ExpressionAttributeValues: values,
	})
}
