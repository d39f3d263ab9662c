package main

var recordRules = chapter{"Records and rules", []mutant{
	{
		rule: "how the user signed in is not read back", pkg: "store", test: "storetest.TestWhatIsStoredReadsBack",
		edits: []edit{{`		ACR:           a.text("acr"),
`, ``}},
	},
	{
		rule: "that reuse was observed is not read back", pkg: "store", test: "storetest.TestWhatIsStoredReadsBack",
		edits: []edit{{`		ObservedAt:    fromMillis(a.number("observed_at")),
`, ``}},
	},
	{
		rule: "when a record may go is not read back", pkg: "store", test: "storetest.TestWhatIsStoredReadsBack",
		edits: []edit{{`		KeepUntil:     fromEpoch(a.number("keep_until")),
`, ``}},
	},
	{
		rule: "an event does not say that the agent was another", pkg: "store", test: "storetest.TestWhatIsStoredReadsBack",
		edits: []edit{{`OtherIP: i.OtherIP, OtherAgent: i.OtherAgent`, `OtherIP: i.OtherIP`}},
	},
	{
		rule: "an event does not say by which request", pkg: "store", test: "storetest.TestWhatIsStoredReadsBack",
		edits: []edit{{`RequestID: i.RequestID, By: i.By`, `By: i.By`}},
	},
	{
		rule: "an event does not say how many were left", pkg: "store", test: "storetest.TestWhatIsStoredReadsBack",
		edits: []edit{{`Removed: i.Removed, End: i.End`, `Removed: i.Removed`}},
	},
	{
		rule: "an event does not say how many events were erased", pkg: "store", test: "storetest.TestWhatIsStoredReadsBack",
		edits: []edit{{`ErasedFamilies: i.ErasedFamilies, ErasedEvents: i.ErasedEvents`, `ErasedFamilies: i.ErasedFamilies`}},
	},
	{
		rule: "an event does not say which token was the newest", pkg: "store", test: "storetest.TestWhatIsStoredReadsBack",
		edits: []edit{{`TokenCounter: i.TokenCounter, LatestCounter: i.LatestCounter`, `TokenCounter: i.TokenCounter`}},
	},
	{
		rule: "the age of a reuse is kept in seconds", pkg: "store", test: "storetest.TestWhatIsStoredReadsBack",
		edits: []edit{{`d.Value["age_ms"] = number(e.Age.Milliseconds())`, `d.Value["age_ms"] = number(int64(e.Age.Seconds()))`}},
	},
	{
		rule: "the not_before of what a sweep remembers is read in seconds", pkg: "store", test: "storetest.TestWhatIsStoredReadsBack",
		edits: []edit{{`fromMillis(i.KeptNotBefore)`, `fromEpoch(i.KeptNotBefore)`}},
	},
	{
		rule: "the idle lifetime of what a sweep remembers is another", pkg: "store", test: "storetest.TestWhatIsStoredReadsBack",
		edits: []edit{{`number(int64(h.Idle))`, `number(int64(h.Idle)/1000)`}},
	},
	{
		rule: "of a family that moved ahead the answer has the address of before", pkg: "store", test: "storetest.TestWritesReturnTheRecord",
		edits: []edit{{`		after.LastIP, after.LastUserAgent = r.LastIP, r.LastUserAgent
`, ``}},
	},
	{
		rule: "of a family that moved ahead the answer has the last use of before", pkg: "store", test: "storetest.TestWritesReturnTheRecord",
		edits: []edit{{`		after.RotationID, after.LastUsedAt = r.Attempt.WriteID, r.Attempt.Now
`, ``}},
	},
	{
		rule: "of a family that moved ahead the answer has the end of its record of before", pkg: "store", test: "storetest.TestWritesReturnTheRecord",
		edits: []edit{{`after.PurgeAt = after.KeepUntil; after.KeepUntil.IsZero() {
`, `after.PurgeAt = after.KeepUntil; after.KeepUntil.IsZero() && done == false {
`}},
	},
	{
		rule: "to take a time away makes the record unreadable", pkg: "store", test: "storetest.TestWritesReturnTheRecord",
		edits: []edit{{`			if name == "auth_time" {
				value = number(0)
			}
`, ``}},
	},
	{
		rule: "records end up to a second early", pkg: "store", test: "storetest.TestWhatIsStoredReadsBack",
		edits: []edit{{`math.Ceil(`, `math.Floor(`}},
	},
	{
		rule: "a record that cannot be read is taken for an empty one", pkg: "store", test: "server.TestDamagedRecords",
		edits: []edit{{`	if a.err != nil {
		return nil, fmt.Errorf("unmarshal a family: %w", a.err)
	}
`, ``}},
	},
	{
		rule: "a damaged key names whatever family", pkg: "store", test: "server.TestDamagedRecords",
		edits: []edit{{`	if copy(u[:], i.Family) != len(u) || copy(a.Asked[:], i.Asked) != len(a.Asked) {
		return nil, errors.New("unmarshal an alias: it is not an alias")
	}
`, `	copy(u[:], i.Family)
	copy(a.Asked[:], i.Asked)
	_ = errors.New
`}},
	},
	{
		rule: "a damaged secret takes the process down", pkg: "store", test: "server.TestDamagedRecords",
		edits: []edit{{`err != nil || len(s.Hash) != sha256.Size {`, `err != nil {`}},
	},
	{
		rule: "a damaged policy is the default one", pkg: "store", test: "server.TestDamagedRecords",
		edits: []edit{{`		return nil, fmt.Errorf("unmarshal the policy of client %s: %w", i.SK, err)`, `		c.Policy = family.DefaultPolicy()`}},
	},
	{
		rule: "an owner whose plan cannot be read has none", pkg: "store", test: "sweep.TestDamagedPlan", hangs: true,
		edits: []edit{{`			return nil, fmt.Errorf("read an owner's plan: %w", err)`, `			o.Plan = nil`}},
	},
	{
		rule: "past its idle end a family is changed", pkg: "store", test: "storetest.TestWritesAtTheEnd",
		edits: []edit{{`aliveValues(now, p.IdleLifetime.Duration())`, `aliveValues(now, 0)`}},
	},
	{
		rule: "past its end a family is changed", pkg: "store", test: "storetest.TestWritesAtTheEnd",
		edits: []edit{{`aliveValues(now, p.IdleLifetime.Duration())`, `aliveValues(now.Add(-time.Hour), p.IdleLifetime.Duration())`}},
	},
	{
		rule: "what ends in this second is not purged", pkg: "store", test: "storetest.TestPurgeCounts",
		edits: []edit{{`schema.TTL + " <= :now"`, `schema.TTL + " < :now"`}},
	},
	{
		rule: "a purge does not say how much it deleted", pkg: "store", test: "storetest.TestPurgeCounts",
		edits: []edit{{`			purged++
`, `			_ = purged
`}},
	},
	{
		rule: "a purge deletes what came into use since it looked", pkg: "store", test: "storetest.TestPurgeBesideAUse",
		edits: []edit{{`				ConditionExpression: aws.String(due), ExpressionAttributeValues: values,
`, ``}},
	},
	{
		rule: "a table that is there is an error", pkg: "store", test: "storetest.TestCreateTwice",
		edits: []edit{{`	if errors.As(err, &exists) {
		return nil
	}
`, `	_ = exists
`}},
	},
	{
		rule: "an event is of its day in the zone of its time", pkg: "store", test: "storetest.TestDaysAreOfUTC",
		edits: []edit{{`day.UTC().Format`, `day.Format`}},
	},
	{
		rule: "the item of a key ends in milliseconds, which is never", pkg: "store", test: "server.TestIdempotencyKeyLastsADay",
		edits: []edit{{`":purge_at": number(epoch(a.Until))`, `":purge_at": number(a.Until.UnixMilli())`}},
	},
	{
		rule: "the record of an owner ends in milliseconds, which is never", pkg: "store", test: "server.TestOwnerRecordMoves",
		edits: []edit{{`values[":purge_at"] = number(epoch(keep))`, `values[":purge_at"] = number(keep.UnixMilli())`}},
	},
	{
		rule: "an event ends in milliseconds, which is never", pkg: "store", test: "server.TestEvents",
		edits: []edit{{`epoch(e.At.Add(t.retention.Events))`, `millis(e.At.Add(t.retention.Events))`}},
	},
	{
		rule: "what a sweep remembers is gone at once", pkg: "store", test: "storetest.TestEndOfWhatASweepRemembers",
		edits: []edit{{`number(epoch(purgeAt))`, `number(0)`}},
	},
	{
		rule: "what a sweep remembers stays for ever", pkg: "store", test: "storetest.TestEndOfWhatASweepRemembers",
		edits: []edit{{`number(epoch(purgeAt))`, `number(epoch(never))`}},
	},
	{
		rule: "what another sweep remembered is taken", pkg: "store", test: "storetest.TestEndOfWhatASweepRemembers",
		edits: []edit{{`	if i.From != from {
		return nil, nil
	}
`, ``}},
	},
	{
		rule: "a login that ends with its owner's record asks twice", pkg: "store", test: "storetest.TestRequestsOfALogin",
		edits: []edit{{`purge_at <= :purge_at)"`, `purge_at < :purge_at)"`}},
	},
	{
		rule: "the record of an owner from before it had an end never gets one", pkg: "store", test: "storetest.TestOwnerOfBeforeItHadAnEnd",
		edits: []edit{{`(attribute_not_exists(purge_at) OR purge_at <= :purge_at)`, `(purge_at <= :purge_at)`}},
	},
	{
		rule: "an owner without a record is over the limit at the limit", pkg: "store", test: "storetest.TestOwnerWithoutARecordAtTheLimit",
		edits: []edit{{`living+1 > p.MaxActive || !all`, `living+1 >= p.MaxActive || !all`}},
	},
	{
		rule: "an owner without a record is within the limit one past it", pkg: "store", test: "storetest.TestOwnerWithoutARecordAtTheLimit",
		edits: []edit{{`living+1 > p.MaxActive || !all`, `living > p.MaxActive || !all`}},
	},
	{
		rule: "more families end at once than a transaction holds", pkg: "store", test: "server.TestRevokeAllButMany",
		edits: []edit{{`MaxOthers = 98`, `MaxOthers = 99`}},
	},
	{
		rule: "a request that failed is repeated after seconds", pkg: "store", test: "store.TestBackoff",
		edits: []edit{{`25 * time.Millisecond << min(attempt, 3)`, `2500 * time.Millisecond << min(attempt, 3)`}},
	},
	{
		rule: "the sign of a number has no size", pkg: "store", test: "storetest.TestSizesOfItems",
		edits: []edit{{` + 1 + strings.Count(v.Value, "-")`, ` + 1`}},
	},
	{
		rule: "the elements of a list have no size of their own", pkg: "store", test: "storetest.TestSizesOfItems",
		edits: []edit{{`			n += 1 + sizeOf(e)`, `			n += sizeOf(e)`}},
	},
	{
		rule: "the work list ends with its first part", pkg: "store", test: "storetest.TestPartsOfLists",
		edits: []edit{{`return owners, len(out.LastEvaluatedKey) > 0, nil`, `return owners, false, nil`}},
	},
	{
		rule: "the work list begins again with each part", pkg: "store", test: "storetest.TestPartsOfLists",
		edits: []edit{{`		in.ExclusiveStartKey = overLimitKey(*after)
`, `		_ = after
`}},
	},
	{
		rule: "of a user more is read than was asked for", pkg: "store", test: "storetest.TestPartsOfLists",
		edits: []edit{{`		limit -= len(out.Items)
`, ``}},
	},
	{
		rule: "what there is of a user begins again with each part", pkg: "store", test: "storetest.TestPartsOfLists",
		edits: []edit{{`		in.ExclusiveStartKey = key(userPK(userKey), after)
	}
	return t.userItems`, `		_ = after
	}
	return t.userItems`}},
	},
	{
		rule: "a racer whose use is recorded has used the newest token", pkg: "store", test: "server.TestRecordedRacerIsNoUseOfTheNewest",
		edits: []edit{{`	if held {
		set += heldSet
`, `	if held || true {
		set += heldSet
`}},
	},
	{
		rule: "a secret that is removed takes along the one that came into its place", pkg: "store", test: "server.TestSecretReplacedMeanwhile",
		edits: []edit{{`aws.String(slot + " = :seen")`, `aws.String("attribute_exists(pk)")`}},
	},
	{
		rule: "the registry's cache has no bound", pkg: "store", test: "storetest.TestRegistryIsBounded",
		edits: []edit{{`	if len(cache) < maxCached {`, `	if len(cache) < 1000*maxCached {`}},
	},
	{
		rule: "the newest client goes from a cache that is full", pkg: "store", test: "storetest.TestRegistryIsBounded",
		edits: []edit{{`readAt(v).Before(readAt(cache[oldest]))`, `readAt(v).After(readAt(cache[oldest]))`}},
	},
	{
		rule: "who goes away takes along the read of all who wait", pkg: "store", test: "storetest.TestRegistryReadsForAll",
		edits: []edit{{`context.WithTimeout(context.WithoutCancel(ctx), readTimeout)`, `context.WithTimeout(ctx, readTimeout)`}},
	},
	{
		rule: "of many who ask for a client each reads it", pkg: "store", test: "storetest.TestRegistryReadsForAll",
		edits: []edit{{`r.reads.DoChan(id,`, `r.reads.DoChan(id+now.String()+fmt.Sprint(time.Now().UnixNano()),`}},
	},
	{
		rule: "an unknown client stays unknown where the clock is set back", pkg: "store", test: "storetest.TestRegistryOfAClockSetBack",
		edits: []edit{{`ok && age(now, readAt) < freshFor`, `ok && now.Sub(readAt) < freshFor`}},
	},
	{
		rule: "a copy of later than now serves", pkg: "store", test: "storetest.TestRegistryOfAClockSetBack",
		edits: []edit{{`age(now, kept.readAt) >= staleFor`, `now.Sub(kept.readAt) >= staleFor`}},
	},
	{
		rule: "a failure of later than now keeps a client from being read", pkg: "store", test: "storetest.TestRegistryOfAClockSetBack",
		edits: []edit{{`!kept.failedAt.IsZero() && age(now, kept.failedAt) < failurePause):`, `!kept.failedAt.IsZero() && now.Sub(kept.failedAt) < failurePause):`}},
	},
	{
		rule: "an owner that a sweep finds again is kept for as long as the first of its families", pkg: "sweep", test: "sweep.TestOwnerMadeBySweepIsKept",
		edits: []edit{{`		if f.PurgeAt.After(keep) {`, `		if f.PurgeAt.Before(keep) {`}},
	},
	{
		rule: "a plan of before plans saw uses ends nothing", pkg: "sweep", test: "sweep.TestPlanOfBeforeLastUses",
		edits: []edit{{`				ours[i], err = s.Table.End(groupCtx, id, p, r)
`, `				ours[i] = false
`}},
	},
	{
		rule: "a plan of before plans saw uses saw one", pkg: "store", test: "sweep.TestPlanOfBeforeLastUses",
		edits: []edit{{`		return time.Time{}, false
	}
	return fromMillis(p.LastUsed[i]), true`, `		return time.Time{}, true
	}
	return fromMillis(p.LastUsed[i]), true`}},
	},
	{
		rule: "a plan has no bound", pkg: "sweep", test: "sweep.TestPlansAreBounded",
		edits: []edit{{`min(len(excess), maxPlanSize)`, `len(excess)`}},
	},
	{
		rule: "a token that is honoured while reuse is observed is inactive", pkg: "family", test: "family.TestActive",
		edits: []edit{{`Ours, Newest, Proven, Observed, Lost, Ahead:`, `Ours, Newest, Proven, Lost, Ahead:`}},
	},
	{
		rule: "a lost response that is forgiven is inactive", pkg: "family", test: "family.TestActive",
		edits: []edit{{`Ours, Newest, Proven, Observed, Lost, Ahead:`, `Ours, Newest, Proven, Observed, Ahead:`}},
	},
	{
		rule: "a token newer than the record is inactive", pkg: "family", test: "family.TestActive",
		edits: []edit{{`Ours, Newest, Proven, Observed, Lost, Ahead:`, `Ours, Newest, Proven, Observed, Lost:`}},
	},
	{
		rule: "the newest token is inactive", pkg: "family", test: "family.TestActive",
		edits: []edit{{`case Current, Held, Ours,`, `case Held, Ours,`}},
	},
	{
		rule: "after an hour a token is still taken for a lost response", pkg: "family", test: "family.TestLostResponseLikely",
		edits: []edit{{`newest-token == 1 && after < maxLostResponseAge`, `newest-token == 1 && after <= maxLostResponseAge`}},
	},
	{
		rule: "an interval is said to have kept what came at its very end", pkg: "family", test: "family.TestRecommend",
		edits: []edit{{`			if a < interval.Duration() {`, `			if a <= interval.Duration() {`}},
	},
	{
		rule: "an interval that keeps nine in ten is recommended", pkg: "family", test: "family.TestRecommend",
		edits: []edit{{`* 0.95`, `* 0.9`}},
	},
	{
		rule: "an interval below the present one is recommended", pkg: "family", test: "family.TestRecommend",
		edits: []edit{{`best = max(best, interval)`, `best = interval`}},
	},
	{
		rule: "an absolute end is said to move", pkg: "family", test: "family.TestTexts",
		edits: []edit{{`if end.Equal(f.ExpiresAt) {`, `if !end.Equal(f.ExpiresAt) {`}},
	},
	{
		rule: "an age is told to the second", pkg: "family", test: "family.TestTexts",
		edits: []edit{{`	if len(parts) > 2 {
		parts = parts[:2]
	}
`, ``}},
	},
	{
		rule: "the embedded store takes bounds the wrong way around", pkg: "embedded", test: "embedded.TestRefusals",
		edits: []edit{{`	case low > high:`, `	case low > "~"+high:`}},
	},
	{
		rule: "the embedded store takes a start outside the bounds", pkg: "embedded", test: "embedded.TestRefusals",
		edits: []edit{{`case given && (start.S < low || start.S > high):`, `case given && start.S < "":`}},
	},
	{
		rule: "the embedded store takes a transaction of any size", pkg: "embedded", test: "embedded.TestRefusals",
		edits: []edit{{`transacted > maxTransactItems`, `transacted > 100*maxTransactItems`}},
	},
	{
		rule: "no read is found to be weak", pkg: "storetest", test: "storetest.TestWeakReads",
		edits: []edit{{`return r, !in.ConsistentRead && in.IndexName == "", nil`, `return r, false, nil`}},
	},
	{
		rule: "a request without an answer is applied", pkg: "storetest", test: "storetest.TestFaults",
		edits: []edit{{`	case Timeout:
		return nil, errNoAnswer
`, `	case Timeout:
		_, _ = rt.send(r, operation)
		return nil, errNoAnswer
`}},
	},
}}
