package store

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/shared/family"
)

const (
	deviceCondition = "client_id = :client AND " + aliveCondition +
		" AND (jkt = :jkt OR (attribute_not_exists(jkt) AND last_used_at <= :may_bind_until))"
	// A key comes into force with the first use of it, also after a backup was restored.
	deviceSet = ", jkt = :jkt, bound_at = if_not_exists(bound_at, :now)"
)

// UseDevice records a use of the family by the browser that has the device key with the thumbprint r.Attempt.JKT, if the
// family is alive and bound to that key, or to none and not used without one since [family.ID.MayBindUntil]. From then on
// it is bound. It makes one conditional write and no
// read before it, and rotates nothing. It returns what [Table.Refresh] returns. Repeated, it changes nothing more.
func (t *Table) UseDevice(ctx context.Context, r Refresh) (f *family.Family, done bool, err error) {
	a := &r.Attempt
	values := t.refreshValues(r)
	delete(values, ":n")
	values[":jkt"] = &types.AttributeValueMemberB{Value: a.JKT}
	values[":may_bind_until"] = number(r.Family.MayBindUntil().UnixMilli())
	var names map[string]string
	condition := deviceCondition
	if len(a.Scope) > 0 {
		names = map[string]string{}
		condition += scopeCondition(a, names, values)
	}
	condition += audienceCondition(a, values)
	set := useSet + deviceSet
	return t.updateFamily(ctx, r.Family, "use a device key", types.Update{
		ConditionExpression: &condition, UpdateExpression: &set,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	})
}
