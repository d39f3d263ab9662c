package main

// manage breaks how families are started and changed through the management API.
var manage = []chapter{
	{"The scope of a client", []mutant{
		{
			rule: "a refresh grants what the client no longer has", file: "shared/api/respond.go", test: "api.TestScopeOfTheClientBoundsRefreshes",
			edits: []edit{{`scope = client.Bound(scope)`, `_ = client.Bound(scope)`}},
		},
		{
			rule: "a client without a scope is granted nothing", file: "shared/store/client.go", test: "api.TestScopeOfTheClientBoundsRefreshes",
			edits: []edit{{`	if c.Scope == nil {
		return scope
	}
	var bound`, `	var bound`}},
		},
		{
			rule: "a client that has nothing left is not told so", file: "shared/api/respond.go", test: "api.TestScopeOfTheClientBoundsRefreshes",
			edits: []edit{{`if len(f.Scope) > 0 {`, `if access.Scope != "" {`}},
		},
		{
			rule: "who was never granted a scope is said to have an empty one", file: "shared/api/respond.go", test: "api.TestScopeOfTheClientGrantsNothing",
			edits: []edit{{`if len(f.Scope) > 0 {`, `if f.ClientID != "" {`}},
		},
		{
			rule: "a scope that the client lost, and that is asked for, rotates", file: "shared/api/refresh.go", test: "api.TestScopeThatTheClientLost",
			edits: []edit{{`if len(u.client.Bound(u.scope)) < len(u.scope) {`, `if len(u.client.Bound(u.scope)) > len(u.scope) {`}},
		},
		{
			rule: "of the scopes asked for it is enough that the client has one", file: "shared/api/refresh.go", test: "api.TestScopeThatTheClientLost",
			edits: []edit{{`if len(u.client.Bound(u.scope)) < len(u.scope) {`, `if len(u.scope) > 0 && len(u.client.Bound(u.scope)) == 0 {`}},
		},
		{
			rule: "introspection says more than a refresh would grant", file: "shared/api/introspect.go", test: "api.TestIntrospectionIsBoundByTheClient",
			edits: []edit{{`strings.Join(client.Bound(f.Scope), " ")`, `strings.Join(f.Scope, " ")`}},
		},
	}},
	{"Records that outlive their use", []mutant{
		{
			rule: "a family revoked as one of many keeps its record for as long as if it lived", file: "shared/store/revoke.go", test: "api.TestPurgeOfTheRevoked",
			edits: []edit{
				{`" AND (attribute_not_exists(keep_until) OR keep_until > :purge_at)"`, `""`},
				{`purge, unless = "keep_until", " AND keep_until <= :purge_at"`, `unless = ""`},
				{`aws.String(revokeSet + purge)`, `aws.String(revokeSet + "if_not_exists(keep_until, :purge_at)" + purge[:0])`},
			},
		},
		{
			rule: "a revoked family keeps its record for as long as if it lived", file: "shared/store/revoke.go", test: "api.TestPurgeOfTheRevoked",
			edits: []edit{{`if fixed.IsZero() || other.Before(fixed) {`, `if fixed.IsZero() {`}},
		},
		{
			rule: "a device that comes back within its idle lifetime is not told why", file: "shared/store/revoke.go", test: "api.TestPurgeOfTheRevoked",
			edits: []edit{{`return at.Add(late + t.retention.Families)`, `return at.Add(t.retention.Families)`}},
		},
		{
			rule: "without an idle lifetime a device that comes back late is not told why", file: "shared/store/revoke.go", test: "api.TestPurgeOfTheRevoked",
			edits: []edit{{`	if late == 0 {
		late = lateReturn
	}
`, ``}},
		},
		{
			rule: "one of many: the policy is believed where the record has another end", file: "shared/store/revoke.go", test: "api.TestPurgeOfTheRevoked",
			edits: []edit{{`" AND (attribute_not_exists(keep_until) OR keep_until > :purge_at)"`, `""`}},
		},
		{
			rule: "the records of all but one are kept past their absolute ends", file: "shared/store/revoke.go", test: "api.TestPurgeOfTheRevoked",
			edits: []edit{{`number(epoch(earlier(f.Family.KeepUntil, t.keepRevoked(e.At, f.Policy))))`, `number(epoch(t.keepRevoked(e.At, f.Policy)))`}},
		},
		{
			rule: "one of many: where the policy was wrong the family is not ended", file: "shared/store/revoke.go", test: "api.TestPurgeOfTheRevoked",
			edits: []edit{{`failed.Item["revoked_at"] != nil || unless == "":`, `unless != "":`}},
		},
	}},
	{"Settings that trade safety away", []mutant{
		{
			rule: "a public client need not rotate", file: "shared/api/clients.go", test: "api.TestPublicClientRotates",
			edits: []edit{{`if body.clientType == "public" && !policy.Rotation {`, `if body.clientType == "" && !policy.Rotation {`}},
		},
		{
			rule: "a confidential client must rotate", file: "shared/api/clients.go", test: "api.TestPublicClientRotates",
			edits: []edit{{`if body.clientType == "public" && !policy.Rotation {`, `if !policy.Rotation {`}},
		},
		{
			rule: "a PUT does not warn", file: "shared/api/clients.go", test: "api.TestWarnings",
			edits: []edit{{`shown.Warnings = warnings(before, after, now)`, `_ = warnings(before, after, now)`}},
		},
		{
			rule: "nobody is warned when a client becomes public", file: "shared/api/clients.go", test: "api.TestWarningsOfChanges",
			edits: []edit{{`shown.Warnings = warnings(before, after, now)`, `shown.Warnings = warnings(nil, after, now)`}},
		},
		{
			rule: "nobody is warned of a family that never ends", file: "shared/api/warnings.go", test: "api.TestWarnings",
			edits: []edit{{`add(p.AbsoluteLifetime == 0 && p.IdleLifetime == 0,`, `add(p.AbsoluteLifetime < 0,`}},
		},
		{
			rule: "nobody is warned that until_used undoes strictness", file: "shared/api/warnings.go", test: "api.TestWarnings",
			edits: []edit{{`add(forgives && p.ReuseInterval == 0,`, `add(false,`}},
		},
		{
			rule: "a usual interval is warned of", file: "shared/api/warnings.go", test: "api.TestWarnings",
			edits: []edit{{`add(p.ReuseInterval > tooLong,`, `add(p.ReuseInterval >= tooLong,`}},
		},
		{
			rule: "a not_before that is left out is warned of", file: "shared/api/clients.go", test: "api.TestWarningsOfChanges",
			edits: []edit{{`shown.Warnings = warnings(before, after, now)`, `shown.Warnings = warnings(before, client, now)`}},
		},
	}},
	{"The record of an owner", []mutant{
		{
			rule: "an owner without a record begins with one family", file: "shared/store/owner.go", test: "api.TestLimitOfAnOwnerWithoutARecord",
			edits: []edit{{`made, err := t.MakeOwner(ctx, id, living+1, f.PurgeAt)`, `living = 0
		made, err := t.MakeOwner(ctx, id, living+1, f.PurgeAt)`}},
		},
		{
			rule: "an owner without a record has the dead counted", file: "shared/store/owner.go", test: "api.TestCountOfAnOwnerWithoutARecord",
			edits: []edit{{`if f.ClientID == id.ClientID && f.Death(p, now) == "" {`, `if f.ClientID == id.ClientID {`}},
		},
		{
			rule: "an owner without a record has families of other clients counted", file: "shared/store/owner.go", test: "api.TestCountOfAnOwnerWithoutARecord",
			edits: []edit{{`if f.ClientID == id.ClientID && f.Death(p, now) == "" {`, `if f.Death(p, now) == "" {`}},
		},
		{
			rule: "an owner without a record, among more families than a login reads, is taken to be within the limit", file: "shared/store/owner.go", test: "api.TestOwnerWithoutARecordAmongMany",
			edits: []edit{{`living+1 > p.MaxActive || !all`, `living+1 > p.MaxActive && all`}},
		},
		{
			rule: "of two logins that find no record of their owner one is not counted", file: "shared/store/owner.go", test: "api.TestLoginsAtOnceWithoutAnOwnersRecord",
			edits: []edit{{`		if made {
			return t.listOwner(`, `		if made || living > 0 {
			return t.listOwner(`}},
		},
		{
			rule: "a login takes an owner's record for one that is there", file: "shared/store/owner.go", test: "api.TestLimitOfAnOwnerWithoutARecord",
			edits: []edit{{`"ADD active :one", "attribute_exists(pk)"`, `"ADD active :one", "(attribute_exists(pk) OR attribute_not_exists(pk))"`}},
		},
		{
			rule: "a login does not keep the record of its owner", file: "shared/store/owner.go", test: "api.TestOwnerRecordMoves",
			edits: []edit{{`update = "SET purge_at = :purge_at " + update`, `update = "SET purge_at = if_not_exists(purge_at, :purge_at) " + update`}},
		},
		{
			rule: "a login of a shorter life lets the record of its owner go earlier", file: "shared/store/owner.go", test: "api.TestOwnerRecordEnds",
			edits: []edit{{`" AND (attribute_not_exists(purge_at) OR purge_at <= :purge_at)"`, `""`}},
		},
		{
			rule: "the record of an owner stays for ever", file: "shared/store/owner.go", test: "api.TestOwnerRecordEnds",
			edits: []edit{{`m["active"], m["plan_id"], m["purge_at"] = number(active), text(""), number(epoch(keep))`, `m["active"], m["plan_id"], m["purge_at"] = number(active), text(""), number(epoch(never))`}},
		},
		{
			rule: "a sweep takes an owner without a record off the work list", file: "shared/sweep/sweep.go", test: "api.TestSweepOfAnOwnerWithoutARecord",
			edits: []edit{{`if len(found.active) == 0 {`, `if len(found.active) >= 0 {`}},
		},
		{
			rule: "a sweep puts an owner on record that has nothing left", file: "shared/sweep/sweep.go", test: "api.TestSweepOfAnOwnerWithoutARecord",
			edits: []edit{{`if len(found.active) == 0 {`, `if len(found.active) < 0 {`}},
		},
	}},
	{"A login that tries again", []mutant{
		{
			rule: "a key is not looked for before a family is counted", file: "shared/api/families.go", test: "api.TestIdempotencyKey",
			edits: []edit{{`		case err == nil:
			return a.started(`, `		case err == nil && there == nil:
			return a.started(`}},
		},
		{
			rule: "a key names a family after its time is over", file: "shared/store/alias.go", test: "api.TestIdempotencyKeyLastsADay",
			edits: []edit{{`if err == nil && !now.Before(a.Until) {`, `if err == nil && a.Until.IsZero() {`}},
		},
		{
			rule: "a key whose time is over cannot be used again", file: "shared/store/alias.go", test: "api.TestIdempotencyKeyLastsADay",
			edits: []edit{{`"attribute_not_exists(pk) OR valid_until <= :now"`, `"attribute_not_exists(pk) OR valid_until < :now"`}},
		},
		{
			rule: "of two tries at once each starts a family", file: "shared/store/alias.go", test: "api.TestIdempotencyKeyAtOnce",
			edits: []edit{{`"attribute_not_exists(pk) OR valid_until <= :now"`, `"attribute_not_exists(pk) OR valid_until <= :now OR valid_until > :now"`}},
		},
		{
			rule: "a try that another overtook is given a family that is not on record", file: "shared/api/families.go", test: "api.TestIdempotencyKeyAtOnce",
			edits: []edit{{`	if err != nil || there == nil {
		return f, err
	}`, `	if err != nil || there == nil || there.Family != f.ID {
		return f, err
	}`}},
		},
		{
			rule: "the item of a key stays", file: "shared/store/alias.go", test: "api.TestIdempotencyKeyLastsADay",
			edits: []edit{{`":purge_at": number(epoch(a.Until)),`, `":purge_at": number(epoch(never)),`}},
		},
		{
			rule: "a key is looked up eventually consistent", file: "shared/store/table.go", test: "api.TestIdempotencyKey",
			edits: []edit{{`Key: key, ConsistentRead: aws.Bool(true)})`, `Key: key})`}},
		},
		{
			rule: "a key names one family in all clients", file: "shared/api/idempotency.go", test: "api.TestIdempotencyKey",
			edits: []edit{{`body.userID + "\x00" + body.clientID + "\x00" + what`, `body.userID + "\x00" + what`}},
		},
		{
			rule: "other parameters are given the family that there is", file: "shared/api/idempotency.go", test: "api.TestIdempotencyKeyOfOtherParameters",
			edits: []edit{{`if there.Asked != asked {`, `if there.Asked == [16]byte{} {`}},
		},
		{
			rule: "the spelling of the parameters counts", file: "shared/api/idempotency.go", test: "api.TestIdempotencyKeyOfOtherParameters",
			edits: []edit{{`	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("spell out a request: %w", err)
	}
	return json.Marshal(v)`, `	return b, nil`}, {`	d.UseNumber() // a number keeps its digits
`, `	d.UseNumber()
	_ = d
`}},
		},
		{
			rule: "numbers that look different are one", file: "shared/api/idempotency.go", test: "api.TestIdempotencyKeyOfOtherParameters",
			edits: []edit{{`	d.UseNumber() // a number keeps its digits
`, ``}},
		},
		{
			rule: "after the first refresh the newest token is handed out", file: "shared/api/idempotency.go", test: "api.TestIdempotencyKeyOfAUsedFamily",
			edits: []edit{{`case f.Counter != 1:`, `case f.Counter == 0:`}},
		},
		{
			rule: "tokens of a dead family are handed out", file: "shared/api/idempotency.go", test: "api.TestIdempotencyKeyOfAUsedFamily",
			edits: []edit{{`case f.Death(p, now) != "":`, `case f.Death(p, f.IssuedAt()) == "x":`}},
		},
		{
			rule: "a family whose record is gone is started again by its key", file: "shared/api/idempotency.go", test: "api.TestIdempotencyKeyOfAUsedFamily",
			edits: []edit{{`return nil, conflict("the family that this Idempotency-Key started is gone: log in again, with a key of its own")`, `return nil, err`}},
		},
		{
			rule: "of repeated keys the first counts", file: "shared/api/idempotency.go", test: "api.TestIdempotencyKeyForms",
			edits: []edit{{`case len(values) > 1:`, `case len(values) > 2:`}},
		},
		{
			rule: "a key without a value is none", file: "shared/api/idempotency.go", test: "api.TestIdempotencyKeyForms",
			edits: []edit{{`case len(values) == 0:`, `case len(values) == 0 || values[0] == "":`}},
		},
		{
			rule: "a transaction that meets another is not tried again", file: "shared/store/revoke.go", test: "api.TestIdempotencyKeyAtOnce",
			edits: []edit{{`case try == tries || !has(cancelled, "TransactionConflict"):`, `case try == 1 || !has(cancelled, "TransactionConflict"):`}},
		},
	}},
	{"Changes of living families", []mutant{
		{
			rule: "of two that narrow a scope at once the later widens it again", file: "shared/store/change.go", test: "api.TestChangeBesideOthers",
			edits: []edit{{`"#scope = :seen AND " + alive`, `"(#scope = :seen OR #scope <> :seen) AND " + alive`}},
		},
		{
			rule: "a family is changed that was revoked meanwhile", file: "shared/store/change.go", test: "api.TestChangeBesideOthers",
			edits: []edit{{`"#scope = :seen AND " + alive`, `"#scope = :seen AND :now > :idle_since"`}},
		},
		{
			rule: "a change takes back another's", file: "shared/store/change.go", test: "api.TestChangeBesideOthers",
			edits: []edit{{`		if !given {
			continue
		}
`, `		if !given && name == "scope" {
			continue
		}
`}},
		},
		{
			rule: "what is empty is not taken away", file: "shared/store/change.go", test: "api.TestChangeOneMember",
			edits: []edit{{`		if !ok { // the record has none
`, `		if !ok && len(was) > 0 {
			continue
		}
		if !ok { // the record has none
`}, {`	return t.updateFamily(ctx, seen.ID, "change a family"`, `	if len(sets) == 0 {
		return seen, true, nil
	}
	return t.updateFamily(ctx, seen.ID, "change a family"`}},
		},
		{
			rule: "a change looks once", file: "shared/api/familychange.go", test: "api.TestChangeBesideOthers",
			edits: []edit{{`const looks = 8 `, `const looks = 1 `}},
		},
		{
			rule: "a dead family is changed", file: "shared/api/familychange.go", test: "api.TestChangeOfADeadFamily",
			edits: []edit{{`return nil, conflict("the family has ended: " + string(cause))`, `_ = cause`}},
		},
		{
			rule: "a family's scope is widened", file: "shared/api/familychange.go", test: "api.TestChangeNarrowsTheScope",
			edits: []edit{{`if change.Scope != nil && !f.Granted(*change.Scope) {`, `if change.Scope != nil && f.ClientID == "" {`}},
		},
		{
			rule: "a family's scope is taken away", file: "shared/api/familychange.go", test: "api.TestChangeNarrowsTheScope",
			edits: []edit{{`if *body.scope == "" {`, `if *body.scope == " " {`}},
		},
		{
			rule: "a change that changes nothing is accepted", file: "shared/api/familychange.go", test: "api.TestChangeFamilyRefuses",
			edits: []edit{{`if *c == (store.Change{}) && len(in.errs) == 0 {`, `if *c == (store.Change{}) && len(in.errs) > 0 {`}},
		},
		{
			rule: "a change makes a record larger than it may be", file: "shared/api/familychange.go", test: "api.TestChangeFitsTheRecord",
			edits: []edit{{`if err := fits(c.Of(f)); err != nil {`, `if err := fits(f); err != nil {`}},
		},
		{
			rule: "a change of many widens scopes", file: "shared/api/familychange.go", test: "api.TestChangeAll",
			edits: []edit{{`	narrower.Scope = &scope
`, ``}},
		},
		{
			rule: "a change of many leaves a family without a scope", file: "shared/api/familychange.go", test: "api.TestChangeAll",
			edits: []edit{{`	if len(scope) == 0 {
		return nil, fieldErrors{{`, `	if len(*c.Scope) == 0 {
		return nil, fieldErrors{{`}},
		},
		{
			rule: "a change of many is refused when some are changed", file: "shared/api/familychange.go", test: "api.TestChangeAllOrNone",
			edits: []edit{{`			narrower, err := kept(c, l.Family)
			if err != nil {
				return err
			}
`, `			narrower, err := kept(c, l.Family)
			if err != nil {
				continue
			}
`}},
		},
		{
			rule: "a scope that no family has is left out of a change of many", file: "shared/api/familychange.go", test: "api.TestChangeAll",
			edits: []edit{{`		if !had[s] {
`, `		if !had[s] && s == "" {
`}},
		},
		{
			rule: "a change of many forgets those that do not fit into a call", file: "shared/api/familychange.go", test: "api.TestChangeAllPages",
			edits: []edit{{`Next: pages.sealULID(before)})`, `Next: pages.sealULID(ulid.ULID{})})`}},
		},
		{
			rule: "a change of many ends with a family that ended meanwhile", file: "shared/api/familychange.go", test: "api.TestChangeBesideOthers",
			edits: []edit{{`case errors.As(err, &ended), errors.Is(err, store.ErrNotFound):`, `case errors.As(err, &ended) && errors.Is(err, store.ErrNotFound):`}},
		},
	}},
}
