package main

var loginRetries = chapter{"A login that tries again", []mutant{
	{
		rule: "a key is not looked for before a family is counted", pkg: "api", test: "api.TestIdempotencyKey",
		edits: []edit{{`		case err == nil:
			return a.started(`, `		case err == nil && there == nil:
			return a.started(`}},
	},
	{
		rule: "a key names a family after its time is over", pkg: "store", test: "api.TestIdempotencyKeyLastsADay",
		edits: []edit{{`if err == nil && !now.Before(a.Until) {`, `if err == nil && a.Until.IsZero() {`}},
	},
	{
		rule: "a key whose time is over cannot be used again", pkg: "store", test: "api.TestIdempotencyKeyLastsADay",
		edits: []edit{{`"attribute_not_exists(pk) OR valid_until <= :now"`, `"attribute_not_exists(pk) OR valid_until < :now"`}},
	},
	{
		rule: "of two tries at once each starts a family", pkg: "store", test: "api.TestIdempotencyKeyAtOnce",
		edits: []edit{{`"attribute_not_exists(pk) OR valid_until <= :now"`, `"attribute_not_exists(pk) OR valid_until <= :now OR valid_until > :now"`}},
	},
	{
		rule: "a try that another overtook is given a family that is not on record", pkg: "api", test: "api.TestIdempotencyKeyAtOnce",
		edits: []edit{{`	if err != nil || there == nil {
		return f, err
	}`, `	if err != nil || there == nil || there.Family != f.ID {
		return f, err
	}`}},
	},
	{
		rule: "the item of a key stays", pkg: "store", test: "api.TestIdempotencyKeyLastsADay",
		edits: []edit{{`":purge_at": number(epoch(a.Until)),`, `":purge_at": number(epoch(never)),`}},
	},
	{
		rule: "a key is looked up eventually consistent", pkg: "store", test: "api.TestIdempotencyKey",
		edits: []edit{{`Key: key, ConsistentRead: aws.Bool(true)})`, `Key: key})`}},
	},
	{
		rule: "a key names one family in all clients", pkg: "api", test: "api.TestIdempotencyKey",
		edits: []edit{{`body.userID + "\x00" + body.clientID + "\x00" + what`, `body.userID + "\x00" + what`}},
	},
	{
		rule: "other parameters are given the family that there is", pkg: "api", test: "api.TestIdempotencyKeyOfOtherParameters",
		edits: []edit{{`if there.Asked != asked {`, `if there.Asked == [16]byte{} {`}},
	},
	{
		rule: "the spelling of the parameters counts", pkg: "api", test: "api.TestIdempotencyKeyOfOtherParameters",
		edits: []edit{{`	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("spell out a request: %w", err)
	}
	return json.Marshal(v)`, `	return b, nil`}, {`	d.UseNumber() // a number keeps its digits
`, `	d.UseNumber()
	_ = d
`}},
	},
	{
		rule: "numbers that look different are one", pkg: "api", test: "api.TestIdempotencyKeyOfOtherParameters",
		edits: []edit{{`	d.UseNumber() // a number keeps its digits
`, ``}},
	},
	{
		rule: "after the first refresh the newest token is handed out", pkg: "api", test: "api.TestIdempotencyKeyOfAUsedFamily",
		edits: []edit{{`case f.Counter != 1:`, `case f.Counter == 0:`}},
	},
	{
		rule: "tokens of a dead family are handed out", pkg: "api", test: "api.TestIdempotencyKeyOfAUsedFamily",
		edits: []edit{{`case f.Death(p, now) != "":`, `case f.Death(p, f.IssuedAt()) == "x":`}},
	},
	{
		rule: "a family whose record is gone is started again by its key", pkg: "api", test: "api.TestIdempotencyKeyOfAUsedFamily",
		edits: []edit{{`return nil, conflict("the family that this Idempotency-Key started is gone: log in again, with a key of its own")`, `return nil, err`}},
	},
	{
		rule: "of repeated keys the first counts", pkg: "api", test: "api.TestIdempotencyKeyForms",
		edits: []edit{{`case len(values) > 1:`, `case len(values) > 2:`}},
	},
	{
		rule: "a key without a value is none", pkg: "api", test: "api.TestIdempotencyKeyForms",
		edits: []edit{{`case len(values) == 0:`, `case len(values) == 0 || values[0] == "":`}},
	},
	{
		rule: "a transaction that meets another is not tried again", pkg: "store", test: "api.TestIdempotencyKeyAtOnce",
		edits: []edit{{`case try == tries || !cancelledFor(cancelled, "TransactionConflict"):`, `case try == 1 || !has(cancelled, "TransactionConflict"):`}},
	},
}}

var familyChanges = chapter{"Changes of living families", []mutant{
	{
		rule: "of two that narrow a scope at once the later widens it again", pkg: "store", test: "api.TestChangeBesideOthers",
		edits: []edit{{`"#scope = :seen AND " + aliveCondition`, `"(#scope = :seen OR #scope <> :seen) AND " + aliveCondition`}},
	},
	{
		rule: "a family is changed that was revoked meanwhile", pkg: "store", test: "api.TestChangeBesideOthers",
		edits: []edit{{`"#scope = :seen AND " + aliveCondition`, `"#scope = :seen AND :now > :idle_since"`}},
	},
	{
		rule: "a change takes back another's", pkg: "store", test: "api.TestChangeBesideOthers",
		edits: []edit{{`		if !given {
			continue
		}
`, `		if !given && name == "scope" {
			continue
		}
`}},
	},
	{
		rule: "what is empty is not taken away", pkg: "store", test: "api.TestChangeOneMember",
		edits: []edit{{`		if !ok { // an empty value, which marshalFamily leaves out
`, `		if !ok && len(was) > 0 {
			continue
		}
		if !ok { // an empty value, which marshalFamily leaves out
`}, {`	return t.updateFamily(ctx, seen.ID, "change a family"`, `	if len(sets) == 0 {
		return seen, true, nil
	}
	return t.updateFamily(ctx, seen.ID, "change a family"`}},
	},
	{
		rule: "a change looks once", pkg: "api", test: "api.TestChangeBesideOthers",
		edits: []edit{{`const looks = 8 `, `const looks = 1 `}},
	},
	{
		rule: "a dead family is changed", pkg: "api", test: "api.TestChangeOfADeadFamily",
		edits: []edit{{`return nil, conflict("the family has ended: " + string(cause))`, `_ = cause`}},
	},
	{
		rule: "a family's scope is widened", pkg: "api", test: "api.TestChangeNarrowsTheScope",
		edits: []edit{{`if change.Scope != nil && !f.Granted(*change.Scope) {`, `if change.Scope != nil && f.ClientID == "" {`}},
	},
	{
		rule: "a family's scope is taken away", pkg: "api", test: "api.TestChangeNarrowsTheScope",
		edits: []edit{{`if *body.scope == "" {`, `if *body.scope == " " {`}},
	},
	{
		rule: "a change that changes nothing is accepted", pkg: "api", test: "api.TestChangeFamilyRefuses",
		edits: []edit{{`if *c == (store.Change{}) && len(in.errs) == 0 {`, `if *c == (store.Change{}) && len(in.errs) > 0 {`}},
	},
	{
		rule: "a change makes a record larger than it may be", pkg: "api", test: "api.TestChangeFitsTheRecord",
		edits: []edit{{`if err := fits(c.Of(f)); err != nil {`, `if err := fits(f); err != nil {`}},
	},
	{
		rule: "a change of many widens scopes", pkg: "api", test: "api.TestChangeAll",
		edits: []edit{{`	narrower.Scope = &scope
`, ``}},
	},
	{
		rule: "a change of many leaves a family without a scope", pkg: "api", test: "api.TestChangeAll",
		edits: []edit{{`	if len(scope) == 0 {
		return nil, fieldErrors{{`, `	if len(*c.Scope) == 0 {
		return nil, fieldErrors{{`}},
	},
	{
		rule: "a change of many is refused when some are changed", pkg: "api", test: "api.TestChangeAllOrNone",
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
		rule: "a scope that no family has is left out of a change of many", pkg: "api", test: "api.TestChangeAll",
		edits: []edit{{`		if !had[s] {
`, `		if !had[s] && s == "" {
`}},
	},
	{
		rule: "a change of many forgets those that do not fit into a call", pkg: "api", test: "api.TestChangeAllPages",
		edits: []edit{{`Next: pages.sealULID(before)})`, `Next: pages.sealULID(ulid.ULID{})})`}},
	},
	{
		rule: "a change of many ends with a family that ended meanwhile", pkg: "api", test: "api.TestChangeBesideOthers",
		edits: []edit{{`case errors.As(err, &ended), errors.Is(err, store.ErrNotFound):`, `case errors.As(err, &ended) && errors.Is(err, store.ErrNotFound):`}},
	},
}}
