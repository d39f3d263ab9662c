package main

var loginRetries = chapter{"A login that tries again", []mutant{
	{
		rule: "a key is not looked for before a family is counted", pkg: "session", test: "server.TestIdempotencyKey",
		edits: []edit{{`	if name != nil {
		switch`, `	if name != nil && p == nil {
		switch`}},
	},
	{
		rule: "a key names a family after its time is over", pkg: "store", test: "server.TestIdempotencyKeyLastsADay",
		edits: []edit{{`if err == nil && !now.Before(a.Until) {`, `if err == nil && a.Until.IsZero() {`}},
	},
	{
		rule: "a key whose time is over cannot be used again", pkg: "store", test: "server.TestIdempotencyKeyLastsADay",
		edits: []edit{{`"attribute_not_exists(pk) OR valid_until <= :now"`, `"attribute_not_exists(pk) OR valid_until < :now"`}},
	},
	{
		rule: "of two tries at once each starts a family", pkg: "store", test: "server.TestIdempotencyKeyAtOnce",
		edits: []edit{{`"attribute_not_exists(pk) OR valid_until <= :now"`, `"attribute_not_exists(pk) OR valid_until <= :now OR valid_until > :now"`}},
	},
	{
		rule: "a try that another overtook is given a family that is not on record", pkg: "session", test: "server.TestIdempotencyKeyAtOnce",
		edits: []edit{{`	if err == nil && first.existing != nil {`, `	if err == nil && first.existing != nil && first.family == nil {`}},
	},
	{
		rule: "the item of a key stays", pkg: "store", test: "server.TestIdempotencyKeyLastsADay",
		edits: []edit{{`":purge_at": number(epoch(a.Until)),`, `":purge_at": number(epoch(never)),`}},
	},
	{
		rule: "a key is looked up eventually consistent", pkg: "store", test: "server.TestIdempotencyKey",
		edits: []edit{{`Key: key, ConsistentRead: aws.Bool(true)})`, `Key: key})`}},
	},
	{
		rule: "a key names one family in all clients", pkg: "session", test: "server.TestIdempotencyKey",
		edits: []edit{{`userID + "\x00" + clientID + "\x00" + value`, `userID + "\x00" + value`}},
	},
	{
		rule: "other parameters are given the family that there is", pkg: "session", test: "server.TestIdempotencyKeyOfOtherParameters",
		edits: []edit{{`if existing.Asked != asked {`, `if existing.Asked == [16]byte{} {`}},
	},
	{
		rule: "the spelling of the parameters counts", pkg: "manage", test: "server.TestIdempotencyKeyOfOtherParameters",
		edits: []edit{{`	if err := d.Decode(&plain); err != nil {
		return nil, fmt.Errorf("write a request in canonical form: %w", err)
	}
	return json.Marshal(plain)`, `	return b, nil`}, {`	d.UseNumber() // numbers keep their digits
	var plain any // decoding into v would overwrite what its pointers refer to
`, `	d.UseNumber()
	_ = d
`}},
	},
	{
		rule: "numbers that look different are one", pkg: "manage", test: "server.TestIdempotencyKeyOfOtherParameters",
		edits: []edit{{`	d.UseNumber() // numbers keep their digits
`, ``}},
	},
	{
		rule: "after the first refresh the newest token is handed out", pkg: "session", test: "server.TestIdempotencyKeyOfAUsedFamily",
		edits: []edit{{`case f.Counter > 1, f.Counter == 1 && f.Origin.Kind == family.Code:`, `case f.Counter == 0:`}},
	},
	{
		rule: "tokens of a dead family are handed out", pkg: "session", test: "server.TestIdempotencyKeyOfAUsedFamily",
		edits: []edit{{`case f.Death(p, now) != "":`, `case f.Death(p, f.IssuedAt()) == "x":`}},
	},
	{
		rule: "a family whose record is gone is started again by its key", pkg: "session", test: "server.TestIdempotencyKeyOfAUsedFamily",
		edits: []edit{{`return existing.Family, nil, ErrKeyPurged`, `return existing.Family, nil, err`}},
	},
	{
		rule: "of repeated keys the first counts", pkg: "manage", test: "server.TestIdempotencyKeyForms",
		edits: []edit{{`case len(values) > 1:`, `case len(values) > 2:`}},
	},
	{
		rule: "a key without a value is none", pkg: "manage", test: "server.TestIdempotencyKeyForms",
		edits: []edit{{`case len(values) == 0:`, `case len(values) == 0 || values[0] == "":`}},
	},
	{
		rule: "a transaction that meets another is not tried again", pkg: "store", test: "server.TestIdempotencyKeyAtOnce",
		edits: []edit{{`case try == tries || !cancelledFor(cancelled, "TransactionConflict"):`, `case try == 1 || !cancelledFor(cancelled, "TransactionConflict"):`}},
	},
}}

var familyChanges = chapter{"Changes of living families", []mutant{
	{
		rule: "of two that narrow a scope at once the later widens it again", pkg: "store", test: "server.TestChangeBesideOthers",
		edits: []edit{{`"#scope = :seen AND " + aliveCondition`, `"(#scope = :seen OR #scope <> :seen) AND " + aliveCondition`}},
	},
	{
		rule: "a family is changed that was revoked meanwhile", pkg: "store", test: "server.TestChangeBesideOthers",
		edits: []edit{{`"#scope = :seen AND " + aliveCondition`, `"#scope = :seen AND :now > :idle_since"`}},
	},
	{
		rule: "a change takes back another's", pkg: "store", test: "server.TestChangeBesideOthers",
		edits: []edit{{`		if !given {
			continue
		}
`, `		if !given && name == "scope" {
			continue
		}
`}},
	},
	{
		rule: "what is empty is not taken away", pkg: "store", test: "server.TestChangeOneMember",
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
		rule: "a change looks once", pkg: "manage", test: "server.TestChangeBesideOthers",
		edits: []edit{{`const attempts = 8 `, `const attempts = 1 `}},
	},
	{
		rule: "a dead family is changed", pkg: "manage", test: "server.TestChangeOfADeadFamily",
		edits: []edit{{`return nil, conflict("the family has ended: " + string(cause))`, `_ = cause`}},
	},
	{
		rule: "a family's scope is widened", pkg: "manage", test: "server.TestChangeNarrowsTheScope",
		edits: []edit{{`if change.Scope != nil && !f.Granted(*change.Scope) {`, `if change.Scope != nil && f.ClientID == "" {`}},
	},
	{
		rule: "a family's scope is taken away", pkg: "manage", test: "server.TestChangeNarrowsTheScope",
		edits: []edit{{`if *body.scope == "" {`, `if *body.scope == " " {`}},
	},
	{
		rule: "a change that changes nothing is accepted", pkg: "manage", test: "server.TestChangeFamilyRefuses",
		edits: []edit{{`if *c == (store.Change{}) && len(in.errs) == 0 {`, `if *c == (store.Change{}) && len(in.errs) > 0 {`}},
	},
	{
		rule: "a change makes a record larger than it may be", pkg: "manage", test: "server.TestChangeFitsTheRecord",
		edits: []edit{{`if err := checkRecordSize(c.Of(f)); err != nil {`, `if err := checkRecordSize(f); err != nil {`}},
	},
	{
		rule: "a change of many widens scopes", pkg: "manage", test: "server.TestChangeAll",
		edits: []edit{{`	narrower.Scope = &scope
`, ``}},
	},
	{
		rule: "a change of many leaves a family without a scope", pkg: "manage", test: "server.TestChangeAll",
		edits: []edit{{`	if len(scope) == 0 {
		return nil, fieldErrors{{`, `	if len(*c.Scope) == 0 {
		return nil, fieldErrors{{`}},
	},
	{
		rule: "a change of many is refused when some are changed", pkg: "manage", test: "server.TestChangeAllOrNone",
		edits: []edit{{`			narrower, err := narrowChange(c, l.Family)
			if err != nil {
				return err
			}
`, `			narrower, err := narrowChange(c, l.Family)
			if err != nil {
				continue
			}
`}},
	},
	{
		rule: "a scope that no family has is left out of a change of many", pkg: "manage", test: "server.TestChangeAll",
		edits: []edit{{`		if !granted[token] {
`, `		if !granted[token] && token == "" {
`}},
	},
	{
		rule: "a change of many forgets those that do not fit into a call", pkg: "manage", test: "server.TestChangeAllPages",
		edits: []edit{{`Next: pages.next(next)})`, `Next: pages.next(ulid.ULID{})})`}},
	},
	{
		rule: "a change of many ends with a family that ended meanwhile", pkg: "manage", test: "server.TestChangeBesideOthers",
		edits: []edit{{`case errors.As(err, &ended), errors.Is(err, store.ErrNotFound):`, `case errors.As(err, &ended) && errors.Is(err, store.ErrNotFound):`}},
	},
}}
