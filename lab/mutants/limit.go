package main

var activeLimit = chapter{"The limit of active families", []mutant{
	{
		rule: "a family is counted after it is on record", pkg: "store", test: "sweep.TestIssueCountsFirst",
		edits: []edit{{`	if err := t.countOwner(ctx, f, p); err != nil {
		return nil, fmt.Errorf("issue a family: %w", err)
	}
	if f.Pending`, `	if f.Pending`}, {`	if err != nil && !errors.As(err, &there) {
		return fmt.Errorf("issue a family: %w", err)
	}
	return nil`, `	if err != nil && !errors.As(err, &there) {
		return fmt.Errorf("issue a family: %w", err)
	}
	return t.countOwner(ctx, f, p)`}},
	},
	{
		rule: "an owner with one family too many is not put on the work list", pkg: "store", test: "sweep.TestSettlingDuringAnIssue",
		edits: []edit{{`t.listOwner(ctx, id, active > p.MaxActive)`, `t.listOwner(ctx, id, active > p.MaxActive+1)`}},
	},
	{
		rule: "an owner at its limit is put on the work list", pkg: "store", test: "sweep.TestSweep",
		edits: []edit{{`t.listOwner(ctx, id, active > p.MaxActive)`, `t.listOwner(ctx, id, active >= p.MaxActive)`}},
	},
	{
		rule: "the newest families end", pkg: "family", test: "family.TestExcess",
		edits: []edit{{`	return sorted[:n]`, `	return sorted[len(sorted)-n:]`}},
	},
	{
		rule: "one family too many ends", pkg: "family", test: "family.TestExcess",
		edits: []edit{{`	return sorted[:n]`, `	return sorted[:n+1]`}},
	},
	{
		rule: "expired families count", pkg: "sweep", test: "sweep.TestSweep",
		edits: []edit{{`f.ClientID == o.ID.ClientID && f.Death(p, now) == "" {`, `f.ClientID == o.ID.ClientID && (f.Death(p, now) == "" || f.Death(p, now) == family.ExpiredAbsolute) {`}},
	},
	{
		rule: "other clients' families count", pkg: "sweep", test: "sweep.TestSweep",
		edits: []edit{{`if f.ClientID == o.ID.ClientID && f.Death(p, now) == "" {`, `if f.Death(p, now) == "" {`}},
	},
	{
		rule: "families end before the plan is stored", pkg: "sweep", test: "sweep.TestSweepFaults",
		edits: []edit{{`done, err := s.Table.StorePlan(ctx, id, o.Plan)`, `done, err := true, error(nil)`}},
	},
	{
		rule: "a plan replaces another's", pkg: "store", test: "sweep.TestSweepFindsAPlan",
		edits: []edit{{`"SET plan_id = :id, #plan = :plan", "plan_id = :none",`, `"SET plan_id = :id, #plan = :plan", "plan_id = :none OR plan_id <> :none",`}},
	},
	{
		rule: "who finds a plan drops it and makes another", pkg: "sweep", test: "sweep.TestSweepFaults",
		edits: []edit{{`		if o.Plan == nil {
`, `		if o.Plan != nil {
			if _, err := s.Table.FinishPlan(ctx, id, o.Plan, nil); err != nil {
				return removed, err
			}
			o.Plan = nil
		}
		if o.Plan == nil {
`}},
	},
	{
		rule: "a plan is removed by who has carried out another", pkg: "store", test: "sweep.TestSweepLeavesAPlan",
		edits: []edit{{`const update, condition = "SET plan_id = :none, #plan = :none", "plan_id = :id"`, `const update, condition = "SET plan_id = :none, #plan = :none", "plan_id = :id OR plan_id <> :id"`}},
	},
	{
		rule: "a plan is never removed: the sweep does not end", pkg: "sweep", test: "sweep.TestSweepFollowsThePolicy", hangs: true,
		edits: []edit{{`	stored, err := s.Table.FinishPlan(ctx, o.ID, plan, &e)
`, `	stored, err := true, s.Table.PutEvent(ctx, &e)
`}},
	},
	{
		rule: "the cleanup's event has an id of its own each time", pkg: "sweep", test: "sweep.TestEvict",
		edits: []edit{{`ID: plan.Event, Type: audit.Cleanup,`, `ID: ulid.Make(), Type: audit.Cleanup,`}},
	},
	{
		rule: "two sweeps at once log two events", pkg: "sweep", test: "sweep.TestSweepsAtOnce",
		edits: []edit{{`if err != nil || !stored {`, `if err != nil || !stored && e.Removed == 0 {`}},
	},
	{
		rule: "an event whose answer was lost is another's", pkg: "store", test: "sweep.TestSweepCountsALostAnswer",
		edits: []edit{{`return ok && bytes.Equal(by.Value, mark), nil`, `return ok && bytes.Equal(by.Value, nil), nil`}},
	},
	{
		rule: "the event names families that ended of something else", pkg: "sweep", test: "sweep.TestSweepOfWhatEndsMeanwhile",
		edits: []edit{{`		if ours[i] {
`, `		if ours[i] || i >= 0 {
`}},
	},
	{
		rule: "the next sweep begins after families that live", pkg: "sweep", test: "sweep.TestSweepRemembersWhatLives",
		edits: []edit{{`found.horizon.From, found.horizon.Kept = settled.Kept[0], nil`, `found.horizon.Kept = nil`}},
	},
	{
		rule: "the next sweep begins after families whose idle end may move", pkg: "store", test: "sweep.TestSweepReadsAgainWhatLivesAgain",
		edits: []edit{{`longer := h.Idle != 0 && (p.IdleLifetime == 0 || p.IdleLifetime > h.Idle)`, `longer := h.Idle != 0 && p.IdleLifetime == 0`}},
	},
	{
		rule: "the next sweep begins after a family that is just being issued", pkg: "sweep", test: "sweep.TestSweepRemembersWhatLives",
		edits: []edit{{`ulid.Timestamp(now.Add(-settleAge))`, `ulid.Timestamp(now)`}},
	},
	{
		rule: "the next sweep begins at the first family again", pkg: "sweep", test: "server.TestCapacityOfASweepAmongTheDead",
		edits: []edit{{`s.Table.EachFamilyFrom(ctx, o.ID.UserKey, before.From, see)`, `s.Table.EachFamilyFrom(ctx, o.ID.UserKey, ulid.ULID{}, see)`}},
	},
	{
		rule: "the count is set although it has moved meanwhile", pkg: "store", test: "sweep.TestSettlingDuringAnIssue",
		edits: []edit{
			{`condition := "active = :seen AND plan_id = :none"`, `condition := "(active = :seen OR active <> :seen) AND plan_id = :none"`},
			{`condition += " AND counted_at = :counted_at"`, `condition += " AND (counted_at = :counted_at OR counted_at <> :counted_at)"`},
		},
	},
	{
		rule: "a swept owner stays on the work list", pkg: "store", test: "sweep.TestSweep",
		edits: []edit{{`	if unlist {
`, `	if unlist && len(items) == 0 {
`}},
	},
	{
		rule: "a login under way is forgotten when its owner is settled", pkg: "sweep", test: "sweep.TestSweepBetweenTheCountAndTheRecord",
		edits: []edit{{`		active = max(active, o.Active)
`, ``}},
	},
	{
		rule: "an owner stays on the work list for a login of long ago", pkg: "sweep", test: "sweep.TestSweepOfOvercounted",
		edits: []edit{{`now.Sub(o.CountedAt).Abs() < settleAge`, `now.Sub(o.CountedAt).Abs() < 2*settleAge`}},
	},
	{
		rule: "an owner stays on the work list for as long as a login's clock was ahead", pkg: "sweep", test: "sweep.TestSweepOfACountByAClockAhead",
		edits: []edit{{`now.Sub(o.CountedAt).Abs() < settleAge`, `now.Sub(o.CountedAt) < settleAge`}},
	},
	{
		rule: "what a sweep ended still counts", pkg: "store", test: "sweep.TestSweepsAtOnce",
		edits: []edit{{`number(-e.Removed)`, `number(0 * e.Removed)`}},
	},
	{
		rule: "a login does not say when it was counted", pkg: "store", test: "storetest.TestWhatIsStoredReadsBack",
		edits: []edit{{`"SET counted_at = :now", "attribute_exists(pk)"`, `"SET looked_at = :now", "attribute_exists(pk)"`}},
	},
	{
		rule: "a count that came back to what it was is set", pkg: "store", test: "storetest.TestSettleOfACountThatCameBack",
		edits: []edit{{`condition += " AND counted_at = :counted_at"`, `condition += " AND (counted_at = :counted_at OR counted_at <> :counted_at)"`}},
	},
}}

var eviction = chapter{"Which families end at the limit", []mutant{
	{
		rule: "the oldest always go", pkg: "family", test: "family.TestExcess",
		edits: []edit{{`if p.Evict == Oldest {`, `if p.Evict != "" {`}},
	},
	{
		rule: "the least recently used always go", pkg: "family", test: "family.TestExcess",
		edits: []edit{{`if p.Evict == Oldest {`, `if p.Evict == "" {`}},
	},
	{
		rule: "the default ends the oldest", pkg: "family", test: "family.TestPresets",
		edits: []edit{{`LeastRecentlyUsed,
		ReuseDetection:`, `Oldest,
		ReuseDetection:`}},
	},
	{
		rule: "a client's rule is whatever it says", pkg: "family", test: "family.TestPolicyCheck",
		edits: []edit{{`if p.Evict != LeastRecentlyUsed && p.Evict != Oldest {`, `if p.Evict == "" {`}},
	},
	{
		rule: "a record of before the rules has the default and not its preset's", pkg: "store", test: "server.TestClientOfBeforeAMember",
		edits: []edit{{`	p, err := family.Preset(name)
`, `	p, err := family.Preset("")
`}},
	},
	{
		rule: "the record does not say by which rule", pkg: "store", test: "sweep.TestEvict",
		edits: []edit{{`if r.Evict != "" {`, `if r.Evict == "none" {`}},
	},
	{
		rule: "the event does not say by which rule", pkg: "sweep", test: "sweep.TestEvict",
		edits: []edit{{`Cause: family.LimitExceeded, Evict: plan.Evict, Start:`, `Cause: family.LimitExceeded, Start:`}},
	},
	{
		rule: "an explanation calls all of them the oldest", pkg: "family", test: "server.TestExplainCauses",
		edits: []edit{{`	case f.Revoked.Evict == LeastRecentlyUsed:`, `	case f.Revoked.Evict == "none":`}},
	},
}}

var oldPlans = chapter{"A plan that is old", []mutant{
	{
		rule: "a plan ends what came into use since", pkg: "store", test: "sweep.TestOldPlan",
		edits: []edit{{`revokeCondition+" AND last_used_at = :last_used"`, `revokeCondition+" AND last_used_at >= :last_used"`}},
	},
	{
		rule: "a plan ends what was used by a clock behind", pkg: "store", test: "sweep.TestOldPlanThatEndsNothing",
		edits: []edit{{`revokeCondition+" AND last_used_at = :last_used"`, `revokeCondition+" AND last_used_at <= :last_used"`}},
	},
	{
		rule: "issuing drops a plan", pkg: "store", test: "sweep.TestIssueLeavesAPlan",
		edits: []edit{{`update += ", purge_at = :purge_at"`, `update += ", purge_at = :purge_at, plan_id = :none"
		values[":none"] = text("")`}},
	},
	{
		rule: "what fell out of a plan is not planned again", pkg: "sweep", test: "sweep.TestPlannedFamilyIsUsed",
		edits: []edit{{`maxFruitless = 3`, `maxFruitless = 1`}},
	},
	{
		rule: "a sweep goes on for as long as families come into use", pkg: "sweep", test: "sweep.TestFamiliesInUseAllTheTime", hangs: true,
		edits: []edit{{`			fruitless++
`, `			fruitless += 0
`}},
	},
	{
		rule: "the event is stored apart from the plan's end", pkg: "sweep", test: "sweep.TestSweepBesideAnErasure",
		edits: []edit{{`	stored, err := s.Table.FinishPlan(ctx, o.ID, plan, &e)
`, `	if err := s.Table.PutEvent(ctx, &e); err != nil {
		return 0, err
	}
	stored, err := s.Table.FinishPlan(ctx, o.ID, plan, nil)
`}},
	},
}}

var sweepReads = chapter{"What a sweep reads", []mutant{
	{
		rule: "beside a family that lives, all that has ended is read again", pkg: "sweep", test: "sweep.TestSweepOfAHealthCheckBesideADevice",
		edits: []edit{{`n > maxKept || n > 0 && !beyond &&`, `n > 0 || beyond &&`}},
	},
	{
		rule: "what is remembered is not read", pkg: "sweep", test: "sweep.TestSweepOfAHealthCheckBesideADevice",
		edits: []edit{{`	for _, f := range kept {
`, `	for _, f := range kept[:0] {
`}},
	},
	{
		rule: "a family remembered is forgotten by the sweep after the next", pkg: "sweep", test: "sweep.TestSweepOfAHealthCheckBesideADevice",
		edits: []edit{{`beyond := len(settled.Kept) > 0`, `beyond := len(settled.Kept) > 1000`}, {`found.horizon.From, found.horizon.Kept = settled.Kept[0], nil`, `found.horizon.Kept = nil`}},
	},
	{
		rule: "where what is remembered is gone, nothing older is read", pkg: "store", test: "sweep.TestSweepWhoseMemoryIsGone",
		edits: []edit{{`o.Horizon = Horizon{} // their`, `_ = Horizon{} // their`}},
	},
	{
		rule: "an earlier not_before leaves the horizon where it is", pkg: "store", test: "sweep.TestSweepReadsAgainWhatLivesAgain",
		edits: []edit{{`return !longer && !p.NotBefore.Before(h.NotBefore)`, `return !longer`}},
	},
	{
		rule: "no idle end any more leaves the horizon where it is", pkg: "store", test: "sweep.TestSweepReadsAgainWhatLivesAgain",
		edits: []edit{{`(p.IdleLifetime == 0 || p.IdleLifetime > h.Idle)`, `p.IdleLifetime > h.Idle`}},
	},
	{
		rule: "a family is passed over at the moment of its idle end", pkg: "sweep", test: "sweep.TestSweepSeesAUseByAClockBehind",
		edits: []edit{{`f.DeathOnceBegun(p, now.Add(-settleAge)) == ""`, `f.Death(p, now) == ""`}},
	},
	{
		rule: "a family that a restored table takes for one that never began is not found again", pkg: "sweep", test: "server.TestSavedHistories",
		edits: []edit{{`f.DeathOnceBegun(p, now.Add(-settleAge)) == ""`, `f.Death(p, now.Add(-settleAge)) == ""`}},
	},
}}
