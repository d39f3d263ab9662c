package main

var managementCalls = chapter{"Management calls", []mutant{
	{
		rule: "caches may keep what the management API answers", pkg: "manage", test: "server.TestSecrets",
		edits: []edit{{`web.NoStore(w) // an answer`, `_ = web.NoStore // an answer`}},
	},
	// Answers that are lost.
	{
		rule: "a deletion of a client that had to be repeated fails", pkg: "store", test: "server.TestDeletedClientWhoseAnswerWasLost",
		edits: []edit{{
			`if _, err := t.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &t.name, Key: clientKey(id)}); err != nil {`,
			`if _, err := t.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &t.name, Key: clientKey(id), ConditionExpression: aws.String("attribute_exists(pk)")}); err != nil {`,
		}},
	},
	{
		rule: "a client that there is not is deleted", pkg: "store", test: "server.TestDeletedClientWhoseAnswerWasLost",
		edits: []edit{{`	if _, err := t.read(ctx, clientKey(id)); err != nil {
		return fmt.Errorf("delete a client: %w", err)`, `	if _, err := t.read(ctx, clientKey(id)); err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("delete a client: %w", err)`}},
	},
	{
		rule: "after a PUT without an answer the copy stays in use", pkg: "manage", test: "server.TestClientChangedWithoutAnAnswer",
		edits: []edit{{`	a.Clients.Forget(id) // also after an error, as the write may have been done
`, `	if err == nil {
		a.Clients.Forget(id)
	}
`}},
	},
	{
		rule: "after a deletion without an answer the copy stays in use", pkg: "manage", test: "server.TestClientChangedWithoutAnAnswer",
		edits: []edit{{`	err = a.Table.DeleteClient(r.Context(), id)
	a.Clients.Forget(id)
`, `	err = a.Table.DeleteClient(r.Context(), id)
	if err == nil {
		a.Clients.Forget(id)
	}
`}},
	},
	{
		rule: "what was read before a change of the client is kept", pkg: "store", test: "server.TestChangeBesideAReadOfTheRegistry",
		edits: []edit{{`	if r.changes != changes {
		return
	}
`, `	_ = changes
`}},
	},
	{
		rule: "after a change of the client a request waits for a read of before it", pkg: "store", test: "server.TestChangeBesideAReadOfTheRegistry",
		edits: []edit{{`	r.reads.Forget(id)
	r.mu.Lock()
`, `	r.mu.Lock()
`}},
	},
	{
		rule: "a revocation of all without an answer has an event of families that it did not end", pkg: "session", test: "server.TestRevocationWithoutAnAnswer",
		edits: []edit{{`			e.amendEvent(ctx, event, []store.Ending{oldest})
`, ``}},
	},
	{
		rule: "all but one: the first transaction without an answer has an event of families that it did not end", pkg: "session", test: "server.TestRevocationWithoutAnAnswer",
		edits: []edit{{`			e.amendEvent(ctx, event, living[:n])
`, ``}},
	},
	{
		rule: "all but one: what a later transaction without an answer ended has no event that names it", pkg: "session", test: "server.TestRevocationWithoutAnAnswer",
		edits: []edit{{`ended, err = append(ended, living[:n]...), endErr`, `err = endErr`}},
	},
	// Time that runs out.
	{
		rule: "a change of many that runs out of its time skips families", pkg: "manage", test: "server.TestChangeAllOnASlowStore",
		edits: []edit{{`if tried < len(living) {`, `if tried < 0 {`}},
	},
	{
		rule: "a change of many takes the time that it likes", pkg: "manage", file: "familychange.go", test: "server.TestChangeAllOnASlowStore",
		edits: []edit{{`if i > 0 && (budget.Spent() || groupCtx.Err() != nil) {`, `if i > 0 && groupCtx.Err() != nil {`}},
	},
	{
		rule: "a change of many counts what ended meanwhile", pkg: "manage", test: "server.TestChangeBesideOthers",
		edits: []edit{{`return int(done.Load()), tried, err`, `return tried, tried, err`}},
	},
	{
		rule: "a call that finds nothing in its time says that there is nothing", pkg: "session", test: "server.TestManyOnAStoreThatIsSlowToRead",
		edits: []edit{{`		if next == (ulid.ULID{}) || len(living) == MaxFamilies || s.Budget.Spent() {
			return living, next, nil
		}`, `		if next == (ulid.ULID{}) || len(living) == MaxFamilies {
			return living, next, nil
		}
		if s.Budget.Spent() {
			return living, ulid.ULID{}, nil
		}`}},
	},
	{
		rule: "a call reads for as long as it takes", pkg: "session", test: "server.TestManyOnAStoreThatIsSlowToRead",
		edits: []edit{{`len(living) == MaxFamilies || s.Budget.Spent() {`, `len(living) == MaxFamilies {`}},
	},
	{
		rule: "a scope is said to be none's before all families were looked at", pkg: "manage", test: "server.TestChangeOfScopesOnAStoreThatIsSlowToRead",
		edits: []edit{{`!some || next != (ulid.ULID{}) {`, `!some {`}},
	},
	{
		rule: "a change of many looks at the families of one call alone", pkg: "manage", test: "server.TestChangeAllIsRefusedBeforeAnyIsChanged",
		edits: []edit{{`if !first || next == (ulid.ULID{}) || s.Budget.Spent() {`, `if !first || next == (ulid.ULID{}) || len(living) > 0 {`}},
	},
	// Clocks that differ.
	{
		rule: "a family cannot be shown by a server whose clock is behind", pkg: "manage", test: "server.TestManageWhereClocksDiffer",
		edits: []edit{{`To: ulid.Time(ulid.MaxTime())}`, `To: f.LastUsedAt.Add(-time.Hour)}`}},
	},
	{
		rule: "the timeline leaves out what a clock that is ahead wrote down", pkg: "manage", test: "server.TestManageWhereClocksDiffer",
		edits: []edit{{`To: ulid.Time(ulid.MaxTime())}`, `To: f.LastUsedAt.Add(time.Millisecond)}`}},
	},
	{
		rule: "the timeline leaves out a revocation by a clock that is behind", pkg: "manage", test: "server.TestManageWhereClocksDiffer",
		edits: []edit{{`[]time.Time{f.ObservedAt, f.Revoked.At}`, `[]time.Time{f.ObservedAt}`}},
	},
	{
		rule: "the timeline leaves out reuse that a clock which is behind observed", pkg: "manage", test: "server.TestTimelineOfAClockThatIsBehind",
		edits: []edit{{`[]time.Time{f.ObservedAt, f.Revoked.At}`, `[]time.Time{f.Revoked.At}`}},
	},
	{
		rule: "a list of events leaves out what a clock that is ahead stored", pkg: "manage", test: "server.TestEventsOfAClockThatIsAhead",
		edits: []edit{{`filter.span.To = now.Add(maxClockSkew)`, `filter.span.To = now.Add(time.Millisecond)`}},
	},
	{
		rule: "a list of events goes past the end that was asked for", pkg: "manage", test: "server.TestEventsOfAClockThatIsAhead",
		edits: []edit{{`	if q.Get("to") == "" {
		filter`, `	if q.Get("from") == "" {
		filter`}},
	},
	// Pages and cursors.
	{
		rule: "a list of families skips what a full page left of its read", pkg: "manage", test: "server.TestPagesThatAreExactlyFull",
		edits: []edit{{`				before = f.ID.ULID()
				break
`, `				break
`}},
	},
	{
		rule: "a list of families that finds nothing in a call is over", pkg: "manage", test: "server.TestListsThatFindLittle",
		edits: []edit{{`	page.Next = pages.next(before)
`, `	if len(page.Families) > 0 {
		page.Next = pages.next(before)
	}
`}},
	},
	{
		rule: "a list of a user's events skips what a full page left of its read", pkg: "manage", test: "server.TestPagesThatAreExactlyFull",
		edits: []edit{{`				p.event = page[i].ID
				break
`, `				break
`}},
	},
	{
		rule: "a list of a user's events that finds nothing in a call is over", pkg: "manage", test: "server.TestListsThatFindLittle",
		edits: []edit{{`	return all, p, nil
}`, `	if len(all) == 0 {
		return nil, position{}, nil
	}
	return all, p, nil
}`}},
	},
	{
		rule: "a list of clients repeats the last of a page", pkg: "store", test: "server.TestPagesThatAreExactlyFull",
		edits: []edit{{`		in.ExclusiveStartKey = clientKey(after)`, `		in.ExclusiveStartKey = clientKey(after[:len(after)-1])`}},
	},
	{
		rule: "a cursor of a dry run goes on with a revocation", pkg: "manage", test: "server.TestCursorsOfARevocation",
		edits: []edit{{`q.Get("except"), rev.Cause, dryRun)`, `q.Get("except"), rev.Cause, false)`}},
	},
	{
		rule: "a cursor that keeps a family goes on without it", pkg: "manage", test: "server.TestCursorsOfARevocation",
		edits: []edit{{`q.userID, q.clientID, q.Get("except"), rev.Cause`, `q.userID, q.clientID, "", rev.Cause`}},
	},
	{
		rule: "a cursor goes on for another cause", pkg: "manage", test: "server.TestCursorsOfARevocation",
		edits: []edit{{`q.Get("except"), rev.Cause, dryRun)`, `q.Get("except"), "", dryRun)`}},
	},
	{
		rule: "a cursor of one client goes on in all", pkg: "manage", test: "server.TestCursorsOfARevocation",
		edits: []edit{{`q.userID, q.clientID, q.Get("except"), rev.Cause`, `q.userID, "", q.Get("except"), rev.Cause`}},
	},
	{
		rule: "a cursor that was altered is taken", pkg: "manage", test: "server.TestFamilyQueriesRefused",
		edits: []edit{{`subtle.ConstantTimeCompare(tag[:cursorTag], b[:cursorTag]) == 1 && c.seal(position) == cursor`, `subtle.ConstantTimeCompare(tag[:cursorTag], b[:cursorTag]) >= 0 && position != ""`}},
	},
	{
		rule: "a cursor is taken in another spelling", pkg: "manage", test: "server.TestListClients",
		edits: []edit{{` && c.seal(position) == cursor {`, ` {`}},
	},
	// Limits.
	{
		rule: "an auth_time of exactly a minute ahead is refused", pkg: "manage", test: "server.TestManagementLimitsAreExact",
		edits: []edit{{`if t.After(now.Add(time.Minute)) ||`, `if !t.Before(now.Add(time.Minute)) ||`}},
	},
	{
		rule: "an auth_time may be further ahead than a minute", pkg: "manage", test: "server.TestManagementLimitsAreExact",
		edits: []edit{{`if t.After(now.Add(time.Minute)) ||`, `if t.After(now.Add(time.Minute + time.Second)) ||`}},
	},
	{
		rule: "events of exactly 400 days are refused", pkg: "manage", test: "server.TestManagementLimitsAreExact",
		edits: []edit{{`d <= 0 || d > maxSpan`, `d <= 0 || d >= maxSpan`}},
	},
	{
		rule: "events of more than 400 days are listed", pkg: "manage", test: "server.TestManagementLimitsAreExact",
		edits: []edit{{`d <= 0 || d > maxSpan`, `d <= 0 || d > maxSpan+time.Second`}},
	},
	{
		rule: "events of no time at all are asked for", pkg: "manage", test: "server.TestManagementLimitsAreExact",
		edits: []edit{{`d <= 0 || d > maxSpan`, `d < 0 || d > maxSpan`}},
	},
	{
		rule: "a record of exactly its limit is refused", pkg: "manage", test: "server.TestRecordAtItsLimit",
		edits: []edit{{`if excess <= 0 {`, `if excess < 0 {`}},
	},
	{
		rule: "a record may be a byte larger than its limit", pkg: "manage", test: "server.TestRecordAtItsLimit",
		edits: []edit{{`if excess <= 0 {`, `if excess <= 1 {`}},
	},
	{
		rule: "a recommendation is made from one page of events", pkg: "manage", test: "server.TestListsThatFindLittle",
		edits: []edit{{`recommendEvents = 1000`, `recommendEvents = 100`}},
	},
	{
		rule: "a recommendation counts the reuse of other clients", pkg: "manage", test: "server.TestRecommendation",
		edits: []edit{{`			if e.ClientID != client.ID {
				continue
			}
`, ``}},
	},
	{
		rule: "a recommendation is made from reuse that no interval would have kept", pkg: "manage", test: "server.TestRecommendation",
		edits: []edit{{`if !skipped && family.LostResponseLikely(e.OriginToken, e.TokenCounter, e.LatestCounter, e.Age) {`, `if !skipped && e.LatestCounter > 0 {`}},
	},
	// What a call asks for.
	{
		rule: "of a member that is repeated the last counts", pkg: "manage", test: "server.TestManagementRefusesWhatIsAmbiguous",
		edits: []edit{{`case seen[name]:`, `case seen[name] && name == "":`}},
	},
	{
		rule: "a member that there is not is passed over", pkg: "manage", test: "server.TestManagementRefusesWhatIsAmbiguous",
		edits: []edit{{`			in.wrong(prefix+session.Cut(name, 64), "", "left out: there is no such member")
`, ``}},
	},
	{
		rule: "what follows the body's object is passed over", pkg: "manage", test: "server.TestManagementRefusesWhatIsAmbiguous",
		edits: []edit{{`	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badRequest("the request body has more`, `	if _, err := d.Token(); err != nil && !errors.Is(err, io.EOF) && len(fields) == 0 {
		return badRequest("the request body has more`}},
	},
	{
		rule: "a body that is no text is read", pkg: "manage", test: "server.TestManagementRefusesWhatIsAmbiguous",
		edits: []edit{{`	if !utf8.Valid(body) {
		return badRequest("the request body is not UTF-8")
	}
`, ``}},
	},
	{
		rule: "a filter that was lost widens what is revoked", pkg: "manage", test: "server.TestManagementRefusesWhatIsAmbiguous",
		edits: []edit{{`case vs[0] == "": // a filter`, `case vs[0] == "" && name == "": // a filter`}},
	},
	{
		rule: "a filter that was misspelled widens what is revoked", pkg: "manage", test: "server.TestManagementRefusesWhatIsAmbiguous",
		edits: []edit{{`case !slices.Contains(names, name):`, `case !slices.Contains(names, name) && len(names) == 0:`}},
	},
	{
		rule: "of a parameter that is repeated the first counts", pkg: "manage", test: "server.TestManagementRefusesWhatIsAmbiguous",
		edits: []edit{{`case len(vs) > 1:
			in.wrong(name, "", "given once")`, `case len(vs) > 9:
			in.wrong(name, "", "given once")`}},
	},
	{
		rule: "a call without parameters takes any", pkg: "manage", test: "server.TestManagementRequests",
		edits: []edit{{`	_, err := readQuery(r)
	return err
`, `	_, _ = readQuery(r)
	return nil
`}},
	},
	{
		rule: "the line of a call names a client that the call was not about", pkg: "manage", test: "server.TestOperationIsOfItsPath",
		edits: []edit{{`cmp.Or(r.PathValue("client_id"), q.Get("client_id"))`, `cmp.Or(q.Get("client_id"), r.PathValue("client_id"))`}},
	},
	// Idempotency-Key beside others.
	{
		rule: "the keys of an erased user stay", pkg: "store", test: "server.TestErasureTakesKeys",
		edits: []edit{{`	default:
		u.Others = append(u.Others, sk)`, `	case strings.HasPrefix(sk, "i#"):
	default:
		u.Others = append(u.Others, sk)`}},
	},
	{
		rule: "the family is on record before its key", pkg: "store", file: "alias.go", test: "server.TestAliasAndFamilyAreOne",
		edits: []edit{{`	reasons, err := t.transact(ctx, []`, `	if _, err := t.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: m}); err != nil {
		return nil, err
	}
	reasons, err := t.transact(ctx, []`}, {`	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
`, `	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
`}},
	},
	{
		rule: "another try goes by no policy of the client", pkg: "session", test: "server.TestIdempotencyKeyWhenTheClientHasChanged",
		edits: []edit{{`e.alreadyStarted(ctx, first.existing, alias.Asked, &s.Client.Policy, now)`, `e.alreadyStarted(ctx, first.existing, alias.Asked, &family.Policy{}, now)`}},
	},
	{
		rule: "another try is given scope that the client has lost", pkg: "session", test: "server.TestIdempotencyKeyWhenTheClientHasChanged",
		edits: []edit{{`	scope = client.Bound(scope)
`, ``}},
	},
	// Settings that trade safety away.
	{
		rule: "nobody is warned that a client does not rotate", pkg: "manage", test: "server.TestWarnings",
		edits: []edit{{`add(!p.Rotation && (c.Confidential ||`, `add(!p.Rotation && (!c.Confidential &&`}},
	},
	{
		rule: "nobody is warned that families are no longer bound", pkg: "manage", test: "server.TestWarningsOfChanges",
		edits: []edit{{`add(before.Policy.DPoP != family.DPoPOff && p.DPoP == family.DPoPOff,`, `add(p.DPoP != family.DPoPOff && p.DPoP == family.DPoPOff,`}},
	},
	{
		rule: "the audit trail does not name that families may begin without a key", pkg: "family", test: "server.TestChangesOfAClient",
		edits: []edit{{`(other == DPoPRequired || d == DPoPOff)`, `other == DPoPRequired && d == DPoPOff`}},
	},
	{
		rule: "nobody is warned that access tokens last", pkg: "manage", test: "server.TestWarnings",
		edits: []edit{{`add(p.AccessTokenLifetime > longLifetime,`, `add(p.AccessTokenLifetime > 6*longLifetime,`}},
	},
	{
		rule: "access tokens of four hours are warned of", pkg: "manage", test: "server.TestWarnings",
		edits: []edit{{`add(p.AccessTokenLifetime > longLifetime,`, `add(p.AccessTokenLifetime >= longLifetime,`}},
	},
	{
		rule: "nobody is warned that reuse is only observed", pkg: "manage", test: "server.TestWarnings",
		edits: []edit{{`add(p.Observing(now),`, `add(p.ObserveUntil.Before(now) && p.Observing(now),`}},
	},
	{
		rule: "nobody is warned of until_used", pkg: "manage", test: "server.TestWarnings",
		edits: []edit{{`add(forgives && p.ReuseInterval > 0,`, `add(forgives && p.ReuseInterval < 0,`}},
	},
	{
		rule: "nobody is warned that families live again", pkg: "manage", test: "server.TestWarningsOfChanges",
		edits: []edit{{`add(p.NotBefore.Before(before.Policy.NotBefore),`, `add(p.NotBefore.Before(before.Policy.NotBefore) && p.NotBefore.IsZero(),`}},
	},
	{
		rule: "nobody is warned that a client may introspect", pkg: "manage", test: "server.TestWarnings",
		edits: []edit{{`add(c.MayIntrospect,`, `add(c.MayIntrospect && !before.MayIntrospect,`}},
	},
	{
		rule: "nobody is warned that a client may forward", pkg: "manage", test: "server.TestWarnings",
		edits: []edit{{`add(c.MayForward,`, `add(c.MayForward && !before.MayForward,`}},
	},
	{
		rule: "a change of many that another one met is refused", pkg: "manage", test: "server.TestChangeAllBesideAnother",
		edits: []edit{{`if errors.As(err, &unfit) {`, `if errors.As(err, &unfit) && tried < 0 {`}},
	},
	{
		rule: "a skipped token recommends an interval", pkg: "manage", test: "server.TestSkippedTokensRecommendNothing",
		edits: []edit{{`if !skipped && family.LostResponseLikely(`, `if family.LostResponseLikely(`}, {`skipped := client.Policy`, `_ = client.Policy`}},
	},
	{
		rule: "of two user agents that are told both are taken", pkg: "web", test: "server.TestForwardedMalformed",
		edits: []edit{{`if len(agents) > 1 {`, `if len(agents) > 2 {`}},
	},
	{
		rule: "a refused secret is on record", pkg: "manage", test: "server.TestRefusedSecretIsNoChange",
		edits: []edit{{`		operation.SecretID = "" // there is none
`, ``}},
	},
	{
		rule: "a pasted key of a member is read with what is around it", pkg: "manage", test: "server.TestExplainUnwrapsWhatIsPasted",
		edits: []edit{{`pasted := unwrap(cmp.Or(`, `pasted := strings.TrimSpace(cmp.Or(`}},
	},
}}
