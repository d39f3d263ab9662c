package main

// records breaks how families and users end: limits, erasure, the end of records.
var records = []chapter{
	{"Which families end at the limit", []mutant{
		{
			rule: "the oldest always go", file: "shared/family/evict.go", test: "family.TestExcess",
			edits: []edit{{`if p.Evict == Oldest {`, `if p.Evict != "" {`}},
		},
		{
			rule: "the least recently used always go", file: "shared/family/evict.go", test: "family.TestExcess",
			edits: []edit{{`if p.Evict == Oldest {`, `if p.Evict == "" {`}},
		},
		{
			rule: "the default ends the oldest", file: "shared/family/policy.go", test: "family.TestPresets",
			edits: []edit{{`LeastRecentlyUsed,
		ReuseDetection:`, `Oldest,
		ReuseDetection:`}},
		},
		{
			rule: "a client's rule is whatever it says", file: "shared/family/policy.go", test: "family.TestPolicyCheck",
			edits: []edit{{`if p.Evict != LeastRecentlyUsed && p.Evict != Oldest {`, `if p.Evict == "" {`}},
		},
		{
			rule: "a record of before the rules has the default and not its preset's", file: "shared/store/client.go", test: "api.TestClientOfBeforeAMember",
			edits: []edit{{`	p, err := family.Preset(name)
`, `	p, err := family.Preset("")
`}},
		},
		{
			rule: "the record does not say by which rule", file: "shared/store/revoke.go", test: "sweep.TestEvict",
			edits: []edit{{`if r.Evict != "" {`, `if r.Evict == "none" {`}},
		},
		{
			rule: "the event does not say by which rule", file: "shared/sweep/sweep.go", test: "sweep.TestEvict",
			edits: []edit{{`Cause: family.LimitExceeded, Evict: plan.Evict, Start:`, `Cause: family.LimitExceeded, Start:`}},
		},
		{
			rule: "an explanation calls all of them the oldest", file: "shared/family/explain.go", test: "api.TestExplainCauses",
			edits: []edit{{`if f.Revoked.Evict == LeastRecentlyUsed {`, `if f.Revoked.Evict == "none" {`}},
		},
	}},
	{"A plan that is old", []mutant{
		{
			rule: "a plan ends what came into use since", file: "shared/store/revoke.go", test: "sweep.TestOldPlan",
			edits: []edit{{`revokeCondition+" AND last_used_at = :last_used"`, `revokeCondition+" AND last_used_at >= :last_used"`}},
		},
		{
			rule: "a plan ends what was used by a clock behind", file: "shared/store/revoke.go", test: "sweep.TestOldPlanThatEndsNothing",
			edits: []edit{{`revokeCondition+" AND last_used_at = :last_used"`, `revokeCondition+" AND last_used_at <= :last_used"`}},
		},
		{
			rule: "issuing drops a plan", file: "shared/store/owner.go", test: "sweep.TestIssueLeavesAPlan",
			edits: []edit{{`update = "SET purge_at = :purge_at " + update`, `update = "SET purge_at = :purge_at, plan_id = :none " + update
		values[":none"] = text("")`}},
		},
		{
			rule: "what fell out of a plan is not planned again", file: "shared/sweep/sweep.go", test: "sweep.TestPlannedFamilyIsUsed",
			edits: []edit{{`maxFruitless = 3`, `maxFruitless = 1`}},
		},
		{
			rule: "a sweep goes on for as long as families come into use", file: "shared/sweep/sweep.go", test: "sweep.TestFamiliesInUseAllTheTime", hangs: true,
			edits: []edit{{`			fruitless++
`, `			fruitless += 0
`}},
		},
		{
			rule: "the event is stored apart from the plan's end", file: "shared/sweep/sweep.go", test: "sweep.TestSweepBesideAnErasure",
			edits: []edit{{`	stored, err := s.Table.FinishPlan(ctx, o.ID, plan, &e)
`, `	if err := s.Table.PutEvent(ctx, &e); err != nil {
		return 0, err
	}
	stored, err := s.Table.FinishPlan(ctx, o.ID, plan, nil)
`}},
		},
	}},
	{"What a sweep reads", []mutant{
		{
			rule: "beside a family that lives, all that has ended is read again", file: "shared/sweep/reading.go", test: "sweep.TestSweepOfAHealthCheckBesideADevice",
			edits: []edit{{`n > maxKept || n > 0 && !beyond &&`, `n > 0 || beyond &&`}},
		},
		{
			rule: "what is remembered is not read", file: "shared/sweep/reading.go", test: "sweep.TestSweepOfAHealthCheckBesideADevice",
			edits: []edit{{`	for _, f := range kept {
`, `	for _, f := range kept[:0] {
`}},
		},
		{
			rule: "a family remembered is forgotten by the sweep after the next", file: "shared/sweep/reading.go", test: "sweep.TestSweepOfAHealthCheckBesideADevice",
			edits: []edit{{`beyond := len(settled.Kept) > 0`, `beyond := len(settled.Kept) > 1000`}, {`found.horizon.From, found.horizon.Kept = settled.Kept[0], nil`, `found.horizon.Kept = nil`}},
		},
		{
			rule: "where what is remembered is gone, nothing older is read", file: "shared/store/owner.go", test: "sweep.TestSweepWhoseMemoryIsGone",
			edits: []edit{{`o.Horizon = Horizon{} // their`, `_ = Horizon{} // their`}},
		},
		{
			rule: "an earlier not_before leaves the horizon where it is", file: "shared/store/owner.go", test: "sweep.TestSweepReadsAgainWhatLivesAgain",
			edits: []edit{{`return !longer && !p.NotBefore.Before(h.NotBefore)`, `return !longer`}},
		},
		{
			rule: "no idle end any more leaves the horizon where it is", file: "shared/store/owner.go", test: "sweep.TestSweepReadsAgainWhatLivesAgain",
			edits: []edit{{`(p.IdleLifetime == 0 || p.IdleLifetime > h.Idle)`, `p.IdleLifetime > h.Idle`}},
		},
		{
			rule: "a family is passed over at the moment of its idle end", file: "shared/sweep/reading.go", test: "sweep.TestSweepSeesAUseByAClockBehind",
			edits: []edit{{`f.Death(p, now.Add(-settleAge)) == ""`, `f.Death(p, now) == ""`}},
		},
	}},
	{"Everywhere else", []mutant{
		{
			rule: "the family that is kept ends, too", file: "shared/api/familyrevoke.go", test: "api.TestRevokeAllBut",
			edits: []edit{{`rev.kept != nil && f.ID == rev.kept.Family.ID {`, `rev.kept != nil && f.ID == (family.ID{}) {`}},
		},
		{
			rule: "another user's family can be the one to keep", file: "shared/api/familyrevoke.go", test: "api.TestRevokeAllButNothing",
			edits: []edit{{`if err != nil || id.UserKey() != userKey {`, `if err != nil {`}},
		},
		{
			rule: "a dead family can be the one to keep", file: "shared/api/familyrevoke.go", test: "api.TestRevokeAllButNothing",
			edits: []edit{{`if client == nil || f.Death(&client.Policy, now) != "" {`, `if client == nil {`}},
		},
		{
			rule: "a family whose client is gone can be the one to keep", file: "shared/api/familyrevoke.go", test: "api.TestRevokeAllButNothing",
			edits: []edit{{`	if client == nil || f.Death(&client.Policy, now) != "" {
		return nil, errNotKept
	}
	return &store.Ending{Family: f, Policy: &client.Policy}, nil`, `	if f.Death(policyOf(client), now) != "" {
		return nil, errNotKept
	}
	return &store.Ending{Family: f, Policy: policyOf(client)}, nil`}},
		},
		{
			rule: "two devices sign each other out", file: "shared/store/revoke.go", test: "api.TestRevokeAllButRace",
			edits: []edit{{`aws.String("attribute_exists(pk) AND " + alive)`, `aws.String("attribute_exists(pk) AND :now > :idle_since")`}},
		},
		{
			rule: "the one to keep may be gone when the others end", file: "shared/store/revoke.go", test: "storetest.TestNothingComesOfNothing",
			edits: []edit{{`aws.String("attribute_exists(pk) AND " + alive)`, `aws.String("attribute_not_exists(revoked_at) AND :now > :idle_since")`}},
		},
		{
			rule: "one that ended meanwhile keeps the others from ending", file: "shared/api/familyrevoke.go", test: "api.TestRevokeAllButBesideOthers",
			edits: []edit{{`		case len(dead) > 0: // they ended since they were read
`, `		case len(dead) > 0 && len(living) == 0:
`}},
		},
		{
			rule: "one's own answer that was lost is another's", file: "shared/store/revoke.go", test: "api.TestRevokeAllButFaults",
			edits: []edit{{`		if hasMark(r.Item, e.ID) { // it`, `		if hasMark(r.Item, ulid.ULID{}) { // it`}},
		},
		{
			rule: "each transaction stores the event", file: "shared/api/familyrevoke.go", test: "api.TestRevokeAllButMany",
			edits: []edit{{`living[:n], e, len(ended) == 0)`, `living[:n], e, len(ended) > 0)`}},
		},
	}},
	{"A revocation of many that does not get through", []mutant{
		{
			rule: "what there was no time for is skipped", file: "shared/api/familyrevoke.go", test: "api.TestRevokeAllOnASlowStore",
			edits: []edit{{`		if tried < len(others) {
`, `		if tried < 0 {
`}},
		},
		{
			rule: "of all but one, what there was no time for is skipped", file: "shared/api/familyrevoke.go", test: "api.TestRevokeAllOnASlowStore",
			edits: []edit{{`			next = ended[len(ended)-1].Family.ID.ULID()
`, ``}},
		},
		{
			rule: "it takes the time that it likes", file: "shared/api/familyrevoke.go", test: "api.TestRevokeAllOnASlowStore",
			edits: []edit{{`if i > 0 && (rev.budget.spent() || groupCtx.Err() != nil) {`, `if i > 0 && groupCtx.Err() != nil {`}},
		},
		{
			rule: "its budget is not the request's", file: "shared/api/budget.go", test: "api.TestRevokeAllOnASlowStore",
			edits: []edit{{`d = min(d, time.Until(end)*2/3)`, `d = max(d, time.Until(end)*2/3)`}},
		},
		{
			rule: "the event counts what was meant to end", file: "shared/api/familyrevoke.go", test: "api.TestRevokeAllOnASlowStore",
			edits: []edit{{`	if names(e, ended); e.Removed < stored {`, `	if e.Removed < stored {`}},
		},
		{
			rule: "the stored event names what was meant to end", file: "shared/api/familyrevoke.go", test: "api.TestRevokeAllOnASlowStore",
			edits: []edit{{`	if names(e, ended); e.Removed < stored {`, `	if names(e, ended); e.Removed > stored {`}},
		},
		{
			rule: "what another call ended is counted", file: "shared/api/familyrevoke.go", test: "api.TestRevokeAllTwiceAtOnce",
			edits: []edit{{`ours[i] = done || err != nil`, `ours[i] = done || err == nil`}},
		},
		{
			rule: "what may bear the event is not named", file: "shared/api/familyrevoke.go", test: "api.TestRevokeAllFailsMidway",
			edits: []edit{{`ours[i] = done || err != nil`, `ours[i] = done`}},
		},
		{
			rule: "an event that is amended brings back one that was erased", file: "shared/store/event.go", test: "storetest.TestNothingComesOfNothing",
			edits: []edit{{`		ConditionExpression:       aws.String("attribute_exists(pk)"),
		UpdateExpression:          aws.String("SET families`, `		UpdateExpression:          aws.String("SET families`}},
		},
	}},
	{"Erasure", []mutant{
		{
			rule: "events go before families", file: "shared/api/erase.go", test: "api.TestEraseFaults",
			edits: []edit{{`	var err error
	if e.ErasedFamilies, err`, `	var err error
	if _, err := a.eraseAll(ctx, userKey, found.Events, b); err != nil {
		return true, err
	}
	if e.ErasedFamilies, err`}},
		},
		{
			rule: "events go although a family is left", file: "shared/api/erase.go", test: "api.TestEraseInPages",
			edits: []edit{{`if err != nil || families.Next != "" {
		return families, true, err
	}`, `if err != nil {
		return families, true, err
	}`}, {`	left, err := a.Table.UserFamilies(ctx, userKey, 1)
	if err != nil || !left.Empty() {
		return true, err
	}
`, `	var left *store.UserItems
`}},
		},
		{
			rule: "other kinds of items stay", file: "shared/api/erase.go", test: "api.TestErase",
			edits: []edit{{`a.eraseAll(ctx, userKey, found.Others, b); err != nil || n < len(found.Others) {`, `a.eraseAll(ctx, userKey, found.Others[:0], b); err != nil || n < 0 {`}, {`	return !left.Empty(), nil`, `	return false, nil`}},
		},
		{
			rule: "the entry on the work list stays", file: "shared/store/erase.go", test: "api.TestErase",
			edits: []edit{{`strings.CutPrefix(sk, "o#"); ok {`, `strings.CutPrefix(sk, "o#"); ok && clientID == "" {`}},
		},
		{
			rule: "what came meanwhile stays", file: "shared/api/erase.go", test: "api.TestEraseBesideOthers",
			edits: []edit{{`	return !left.Empty(), nil`, `	return false, nil`}},
		},
		{
			rule: "the event is the user's, and goes with the next erasure", file: "shared/store/event.go", test: "api.TestErase",
			edits: []edit{{`	if eventType == audit.Erased {
		pk = erasures`, `	if eventType == audit.Ahead {
		pk = erasures`}},
		},
		{
			rule: "the event bears the caller's address", file: "shared/api/erase.go", test: "api.TestErase",
			edits: []edit{{`e.RequestID, e.By, e.User = by.requestID, by.by, userKey`, `e.RequestID, e.By, e.User, e.IP = by.requestID, by.by, userKey, by.ip`}},
		},
		{
			rule: "the event does not say whose it is", file: "shared/store/event.go", test: "api.TestErase",
			edits: []edit{{`		erased = audit.EncodeUserKey(e.User)
`, `		erased = audit.EncodeUserKey([16]byte{})
`}},
		},
		{
			rule: "an erasure that finds nothing has no event", file: "shared/api/erase.go", test: "api.TestErase",
			edits: []edit{{`if found.Empty() && !first {`, `if found.Empty() {`}},
		},
		{
			rule: "something is erased before the event is stored", file: "shared/api/erase.go", test: "api.TestEraseFaults",
			edits: []edit{{`	if err := a.Table.PutEvent(ctx, e); err != nil {
		return nil, false, err
	}
	e.Erased`, `	e.Erased`}, {`	if e.ErasedFamilies < len(found.Families) ||`, `	if e.ErasedFamilies <= len(found.Families) ||`}},
		},
		{
			rule: "the event counts what was found", file: "shared/api/erase.go", test: "api.TestEraseOnASlowStore",
			edits: []edit{{`if e.ErasedFamilies < len(found.Families) || e.ErasedEvents < len(found.Events) {`, `if e.ErasedFamilies < 0 {`}},
		},
		{
			rule: "an erasure takes the time that it likes", file: "shared/api/erase.go", test: "api.TestEraseOnASlowStore",
			edits: []edit{{`if i > 0 && (b.spent() || groupCtx.Err() != nil) {`, `if i > 0 && groupCtx.Err() != nil {`}},
		},
		{
			rule: "a dry run erases", file: "shared/api/erase.go", test: "api.TestErase",
			edits: []edit{{`	if dryRun {
`, `	if dryRun && userID == "" {
`}},
		},
		{
			rule: "a user key is read in any spelling", file: "shared/audit/event.go", test: "api.TestEraseQueriesRefused",
			edits: []edit{{` || base64.RawURLEncoding.EncodeToString(b) != s {`, ` {`}},
		},
		{
			rule: "a cursor of a dry run goes on with an erasure", file: "shared/api/erase.go", test: "api.TestEraseInPages",
			edits: []edit{{`"erase\x00%s\x00%t", audit.EncodeUserKey(userKey), dryRun)`, `"erase\x00%s", audit.EncodeUserKey(userKey))`}},
		},
		{
			rule: "erasures are not listed beyond a page", file: "shared/store/event.go", test: "api.TestErasuresAreListed",
			edits: []edit{{`in.ExclusiveStartKey = eventKey(eventType, userKey, before)`, `in.ExclusiveStartKey = eventKey(audit.Revoked, userKey, before)`}},
		},
		{
			rule: "a revocation of many stores its event on its own", file: "shared/api/familyrevoke.go", test: "api.TestOthersBesideAnErasure",
			edits: []edit{{`		done, err := a.Table.Revoke(ctx, oldest.Family, oldest.Policy, e)
`, `		if err := a.Table.PutEvent(ctx, e); err != nil {
			return 0, next, err
		}
		done, err := a.Table.End(ctx, oldest.Family.ID, oldest.Policy, family.Revocation{At: e.At, Cause: e.Cause, Event: e.ID})
`}},
		},
	}},
}
