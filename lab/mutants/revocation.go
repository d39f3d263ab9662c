package main

var revocations = chapter{"Revocation", []mutant{
	{
		rule: "what was revoked is revoked again", pkg: "store", test: "server.TestReplayDuringAReplay",
		edits: []edit{{`"attribute_exists(pk) AND attribute_not_exists(revoked_at)"`, `"attribute_exists(pk)"`}},
	},
	{
		rule: "a purged family is revoked into being", pkg: "store", test: "server.TestRevocationOfAPurgedFamily",
		edits: []edit{{`"attribute_exists(pk) AND attribute_not_exists(revoked_at)"`, `"attribute_not_exists(revoked_at)"`}},
	},
	{
		rule: "the event is stored on its own, before the revocation", pkg: "store", test: "server.TestReplayDuringAReplay",
		edits: []edit{{`	reasons, err := t.transact(ctx, []types.TransactWriteItem{
		{Put: &types.Put{TableName: &t.name, Item: put, ConditionExpression: aws.String("attribute_not_exists(pk)")}},
		{Update: &update},
	})
	if err != nil || reasons == nil || aws.ToString(reasons[0].Code) == conditionFailed {
		return nil, err == nil, err
	}
	return reasons[1].Item, false, nil`, `	if _, err := t.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: put}); err != nil {
		return nil, false, err
	}
	reasons, err := t.transact(ctx, []types.TransactWriteItem{{Update: &update}})
	if err != nil || reasons == nil {
		return nil, err == nil, err
	}
	return reasons[0].Item, false, nil`}},
	},
	{
		rule: "the event is stored on its own, after the revocation", pkg: "store", test: "server.TestReuseThatCannotBeRecorded",
		edits: []edit{{`		{Put: &types.Put{TableName: &t.name, Item: put, ConditionExpression: aws.String("attribute_not_exists(pk)")}},
		{Update: &update},
	})
	if err != nil || reasons == nil || aws.ToString(reasons[0].Code) == conditionFailed {
		return nil, err == nil, err
	}
	return reasons[1].Item, false, nil`, `		{Update: &update},
	})
	if err == nil && reasons == nil {
		_, err = t.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: put})
	}
	if err != nil || reasons == nil {
		return nil, err == nil, err
	}
	return reasons[0].Item, false, nil`}},
	},
	{
		rule: "one's own revocation, whose answer was lost, is another's", pkg: "store", test: "server.TestAnswerOfARevocationLostToTheSDK",
		edits: []edit{{`	if err != nil || reasons == nil || aws.ToString(reasons[0].Code) == conditionFailed {
		return nil, err == nil, err
	}
	return reasons[1].Item, false, nil`, `	if err != nil || reasons == nil {
		return nil, err == nil, err
	}
	return reasons[1].Item, false, nil`}},
	},
	{
		rule: "the record of a late use, whose answer was lost, is another's", pkg: "store", test: "storetest.TestEventWhoseAnswerWasLost",
		edits: []edit{{`Item: put, ConditionExpression: aws.String("attribute_not_exists(pk)")}},
		{Update: &update},`, `Item: put}},
		{Update: &update},`}},
	},
	{
		rule: "one's own revocation as one of many, whose answer was lost, is another's", pkg: "store", test: "sweep.TestSweepFaults",
		edits: []edit{{`return hasMark(failed.Item, r.Event), nil`, `return false, nil`}},
	},
	{
		rule: "the record does not say of which token the reuse was", pkg: "store", test: "server.TestExplainCauses",
		edits: []edit{{`if e.Type == audit.Reuse {`, `if e.Type == audit.Ahead {`}},
	},
	{
		rule: "another client's token revokes the family", pkg: "session", test: "server.TestRevokeIsRefusedOrIdle",
		edits: []edit{{`if f.ClientID != client.ID {`, `if f.ClientID != client.ID && f.ClientID == "" {`}},
	},
	{
		rule: "what has ended is revoked as well", pkg: "session", test: "server.TestRevokeIsRefusedOrIdle",
		edits: []edit{{`if f.DeathOnceBegun(&client.Policy, now) != "" {`, `if f.DeathOnceBegun(&client.Policy, now) == "none" {`}},
	},
	{
		rule: "an expired access token revokes nothing", pkg: "session", test: "server.TestRevoke",
		edits: []edit{{`now, (*signing.Set).VerifyExpired)`, `now, (*signing.Set).Verify)`}},
	},
	{
		rule: "a revocation of all ends the first page alone", pkg: "manage", test: "server.TestRevokeAll",
		edits: []edit{{`answer.Next = pages.next(before)`, `answer.Next = pages.next(ulid.ULID{})`}},
	},
	{
		rule: "a revocation of all ends other clients' families, too", pkg: "session", test: "server.TestRevokeAll",
		edits: []edit{{`if s.ClientID != "" && f.ClientID != s.ClientID ||`, `if s.ClientID != "" && f.ClientID == "" ||`}},
	},
	{
		rule: "a dry run revokes", pkg: "manage", test: "server.TestRevokeAll",
		edits: []edit{{`	case dryRun:
`, `	case dryRun && rev.Now.IsZero():
`}},
	},
	{
		rule: "a password change is recorded as any other revocation", pkg: "manage", test: "server.TestRevokeAll",
		edits: []edit{{`case family.RevokedByAdmin, family.PasswordChanged:
`, `case family.RevokedByAdmin, family.PasswordChanged:
		rev.Cause = family.RevokedByAdmin
`}},
	},
	{
		rule: "a revocation of all ends before its event is stored", pkg: "session", test: "server.TestRevokeAllFailsMidway",
		edits: []edit{{`		done, err := e.Table.Revoke(ctx, oldest.Family, oldest.Policy, event)
`, `		if _, _, err := e.endFamilies(ctx, rev, others, event); err != nil {
			return 0, next, err
		}
		done, err := e.Table.Revoke(ctx, oldest.Family, oldest.Policy, event)
`}},
	},
}}

var partialRevocations = chapter{"A revocation of many that does not get through", []mutant{
	{
		rule: "what there was no time for is skipped", pkg: "session", test: "server.TestRevokeAllOnASlowStore",
		edits: []edit{{`		if tried < len(others) {
`, `		if tried < 0 {
`}},
	},
	{
		rule: "of all but one, what there was no time for is skipped", pkg: "session", test: "server.TestRevokeAllOnASlowStore",
		edits: []edit{{`			next = ended[len(ended)-1].Family.ID.ULID()
`, ``}},
	},
	{
		rule: "it takes the time that it likes", pkg: "session", test: "server.TestRevokeAllOnASlowStore",
		edits: []edit{{`if i > 0 && (rev.Budget.Spent() || groupCtx.Err() != nil) {`, `if i > 0 && groupCtx.Err() != nil {`}},
	},
	{
		rule: "its budget is not the request's", pkg: "session", test: "server.TestRevokeAllOnASlowStore",
		edits: []edit{{`d = min(d, time.Until(end)*2/3)`, `d = max(d, time.Until(end)*2/3)`}},
	},
	{
		rule: "the event counts what was meant to end", pkg: "session", test: "server.TestRevokeAllOnASlowStore",
		edits: []edit{{`	if setFamilies(event, ended); event.Removed < stored {`, `	if event.Removed < stored {`}},
	},
	{
		rule: "the stored event names what was meant to end", pkg: "session", test: "server.TestRevokeAllOnASlowStore",
		edits: []edit{{`	if setFamilies(event, ended); event.Removed < stored {`, `	if setFamilies(event, ended); event.Removed > stored {`}},
	},
	{
		rule: "what another call ended is counted", pkg: "session", test: "server.TestRevokeAllTwiceAtOnce",
		edits: []edit{{`ours[i] = done || err != nil`, `ours[i] = done || err == nil`}},
	},
	{
		rule: "what may bear the event is not named", pkg: "session", test: "server.TestRevokeAllFailsMidway",
		edits: []edit{{`ours[i] = done || err != nil`, `ours[i] = done`}},
	},
	{
		rule: "an event that is amended brings back one that was erased", pkg: "store", test: "storetest.TestNothingComesOfNothing",
		edits: []edit{{`		ConditionExpression:       aws.String("attribute_exists(pk)"),
		UpdateExpression:          aws.String("SET families`, `		UpdateExpression:          aws.String("SET families`}},
	},
}}

var erasure = chapter{"Erasure", []mutant{
	{
		rule: "events go before families", pkg: "manage", test: "server.TestEraseFaults",
		edits: []edit{{`	var err error
	if e.ErasedFamilies, err`, `	var err error
	if _, err := a.eraseItems(ctx, userKey, found.Events, budget); err != nil {
		return true, err
	}
	if e.ErasedFamilies, err`}},
	},
	{
		rule: "events go although a family is left", pkg: "manage", test: "server.TestEraseInPages",
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
		rule: "other kinds of items stay", pkg: "manage", test: "server.TestErase",
		edits: []edit{{`a.eraseItems(ctx, userKey, found.Others, budget); err != nil || n < len(found.Others) {`, `a.eraseItems(ctx, userKey, found.Others[:0], budget); err != nil || n < 0 {`}, {`	return !left.Empty(), nil`, `	return false, nil`}},
	},
	{
		rule: "the entry on the work list stays", pkg: "store", test: "server.TestErase",
		edits: []edit{{`strings.CutPrefix(sk, schema.OwnerPrefix); ok {`, `strings.CutPrefix(sk, schema.OwnerPrefix); ok && clientID == "" {`}},
	},
	{
		rule: "what came meanwhile stays", pkg: "manage", test: "server.TestEraseBesideOthers",
		edits: []edit{{`	return !left.Empty(), nil`, `	return false, nil`}},
	},
	{
		rule: "the event is the user's, and goes with the next erasure", pkg: "store", test: "server.TestErase",
		edits: []edit{{`	if eventType == audit.Erased {
		pk = schema.ErasuresPK`, `	if eventType == audit.Ahead {
		pk = schema.ErasuresPK`}},
	},
	{
		rule: "the event bears the caller's address", pkg: "manage", test: "server.TestErase",
		edits: []edit{{`e.RequestID, e.By, e.User = caller.RequestID, caller.By, userKey`, `e.RequestID, e.By, e.User, e.IP = caller.RequestID, caller.By, userKey, caller.IP`}},
	},
	{
		rule: "the event does not say whose it is", pkg: "store", test: "server.TestErase",
		edits: []edit{{`		erased = audit.EncodeUserKey(e.User)
`, `		erased = audit.EncodeUserKey([16]byte{})
`}},
	},
	{
		rule: "an erasure that finds nothing has no event", pkg: "manage", test: "server.TestErase",
		edits: []edit{{`if found.Empty() && !first {`, `if found.Empty() {`}},
	},
	{
		rule: "something is erased before the event is stored", pkg: "manage", test: "server.TestEraseFaults",
		edits: []edit{{`	if err := a.Table.PutEvent(ctx, e); err != nil {
		return nil, false, err
	}
	e.Erased`, `	e.Erased`}, {`	if e.ErasedFamilies < len(found.Families) ||`, `	if e.ErasedFamilies <= len(found.Families) ||`}},
	},
	{
		rule: "the event counts what was found", pkg: "manage", test: "server.TestEraseOnASlowStore",
		edits: []edit{{`if e.ErasedFamilies < len(found.Families) || e.ErasedEvents < len(found.Events) {`, `if e.ErasedFamilies < 0 {`}},
	},
	{
		rule: "an erasure takes the time that it likes", pkg: "manage", file: "erase.go", test: "server.TestEraseOnASlowStore",
		edits: []edit{{`if i > 0 && (budget.Spent() || groupCtx.Err() != nil) {`, `if i > 0 && groupCtx.Err() != nil {`}},
	},
	{
		rule: "a dry run erases", pkg: "manage", test: "server.TestErase",
		edits: []edit{{`	if dryRun {
`, `	if dryRun && userID == "" {
`}},
	},
	{
		rule: "a user key is read in any spelling", pkg: "audit", test: "server.TestEraseQueriesRefused",
		edits: []edit{{` || base64.RawURLEncoding.EncodeToString(b) != s {`, ` {`}},
	},
	{
		rule: "a cursor of a dry run goes on with an erasure", pkg: "manage", test: "server.TestEraseInPages",
		edits: []edit{{`"erase\x00%s\x00%t", audit.EncodeUserKey(userKey), dryRun)`, `"erase\x00%s", audit.EncodeUserKey(userKey))`}},
	},
	{
		rule: "erasures are not listed beyond a page", pkg: "store", test: "server.TestErasuresAreListed",
		edits: []edit{{`in.ExclusiveStartKey = eventKey(eventType, userKey, before)`, `in.ExclusiveStartKey = eventKey(audit.Revoked, userKey, before)`}},
	},
	{
		rule: "a revocation of many stores its event on its own", pkg: "session", test: "server.TestOthersBesideAnErasure",
		edits: []edit{{`		done, err := e.Table.Revoke(ctx, oldest.Family, oldest.Policy, event)
`, `		if err := a.Table.PutEvent(ctx, e); err != nil {
			return 0, next, err
		}
		done, err := a.Table.End(ctx, oldest.Family.ID, oldest.Policy, family.Revocation{At: e.At, Cause: e.Cause, Event: e.ID})
`}},
	},
}}
