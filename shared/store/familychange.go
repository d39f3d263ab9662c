package store

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/family"
)

// Change is a change to a living family by the management API. A member that is nil leaves the
// value unchanged.
type Change struct {
	Scope    *[]string
	Claims   *string
	AuthTime *time.Time
	ACR      *string
	AMR      *[]string
	Device   *string
}

// Of returns a copy of f with the change.
func (c *Change) Of(f *family.Family) *family.Family {
	g := *f
	setIfGiven(&g.Scope, c.Scope)
	setIfGiven(&g.Claims, c.Claims)
	setIfGiven(&g.AuthTime, c.AuthTime)
	setIfGiven(&g.ACR, c.ACR)
	setIfGiven(&g.AMR, c.AMR)
	setIfGiven(&g.Device, c.Device)
	return &g
}

func setIfGiven[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// Change writes c if the family is alive at now and still has the scope that seen has. If two
// requests narrow the scope at once, the later is thus decided again. It writes nothing else,
// so that no use of a token and no other change is lost. It returns what [Table.Refresh]
// returns.
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
		if !ok { // an empty value, which marshalFamily leaves out
			value = text("")
			if name == "auth_time" {
				value = number(0)
			}
		}
		names["#"+name], values[":"+name] = name, value
		sets = append(sets, "#"+name+" = :"+name)
	}
	return t.updateFamily(ctx, seen.ID, "change a family", types.Update{
		ConditionExpression:       aws.String("#scope = :seen AND " + aliveCondition),
		UpdateExpression:          aws.String("SET " + strings.Join(sets, ", ")),
		ExpressionAttributeNames:  names,
		ExpressionAttributeValues: values,
	})
}
