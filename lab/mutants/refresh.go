package main

var refreshWrite = chapter{"The write of a refresh", []mutant{
	{
		rule: "the counter is not compared: a superseded token rotates", pkg: "store", test: "server.TestLostResponseRevokesByDefault",
		edits: []edit{{`"#counter = :n AND client_id`, `"#counter >= :n AND client_id`}},
	},
	{
		rule: "a token newer than the record rotates like any other", pkg: "store", test: "server.TestRestoredBackup",
		edits: []edit{{`"#counter = :n AND client_id`, `"#counter <= :n AND client_id`}},
	},
	{
		rule: "the client is not compared", pkg: "store", test: "server.TestWrongClient",
		edits: []edit{{`AND client_id = :client AND`, `AND (client_id = :client OR client_id <> :client) AND`}},
	},
	{
		rule: "a revoked family is refreshed", pkg: "store", test: "server.TestLostResponseRevokesByDefault",
		edits: []edit{{`"attribute_not_exists(revoked_at) AND expires_at`, `"expires_at`}},
	},
	{
		rule: "the absolute end is not looked at", pkg: "store", test: "server.TestAbsoluteEnd",
		edits: []edit{{`expires_at > :now AND`, `(expires_at > :now OR expires_at <= :now) AND`}},
	},
	{
		rule: "at the millisecond of its absolute end a family lives", pkg: "store", test: "server.TestAbsoluteEnd",
		edits: []edit{{`expires_at > :now AND`, `expires_at >= :now AND`}},
	},
	{
		rule: "the idle end is not looked at", pkg: "store", test: "server.TestIdleEnd",
		edits: []edit{{`last_used_at > :idle_since"`, `(last_used_at > :idle_since OR last_used_at <= :idle_since)"`}},
	},
	{
		rule: "at the millisecond of its idle end a family lives", pkg: "store", test: "server.TestIdleEnd",
		edits: []edit{{`last_used_at > :idle_since"`, `last_used_at >= :idle_since"`}},
	},
	{
		rule: "the idle lifetime is not the client's", pkg: "store", test: "server.TestIdleEnd",
		edits: []edit{{`aliveValues(r.Attempt.Now, r.Policy.IdleLifetime.Duration())`, `aliveValues(r.Attempt.Now, family.Days(15).Duration())`}},
	},
	{
		rule: "a scope that was not granted rotates all the same", pkg: "store", test: "server.TestScope",
		edits: []edit{{`" AND contains(#scope, :scope%d)", i`, `" AND (contains(#scope, :scope%d) OR #counter = :n)", i`}},
	},
	{
		rule: "of the scopes asked for one is enough", pkg: "store", file: "refresh.go", test: "server.TestScope",
		edits: []edit{
			{`" AND contains(#scope, :scope%d)", i`, `" %s contains(#scope, :scope%d)", map[bool]string{true: "AND (", false: "OR"}[i == 0], i`},
			{`return b.String()`, `return b.String() + strings.Repeat(")", min(1, len(a.Scope)))`},
		},
	},
	{
		rule: "a part of a scope's name is enough", pkg: "store", test: "server.TestScope",
		edits: []edit{{`= text(" " + s + " ")`, `= text(s)`}},
	},
	{
		rule: "the time of the rotation is not written", pkg: "store", test: "server.TestRotationTimes",
		edits: []edit{{`", #counter = :next, rotated_at = :now, rotation_id`, `", #counter = :next, rotation_id`}},
	},
	{
		rule: "nothing is held: the write does not ask for the last rotation", pkg: "store", test: "server.TestHeld",
		edits: []edit{{`condition += notHeld`, `condition += " AND :held_since <= :now"`}},
	},
	{
		rule: "a token is held a millisecond too long", pkg: "store", test: "server.TestHeld",
		edits: []edit{{`rotated_at <= :held_since`, `rotated_at < :held_since`}},
	},
	{
		rule: "a token is held a millisecond too short", pkg: "store", test: "server.TestHeld",
		edits: []edit{{`number(a.Now.Add(-interval).UnixMilli())`, `number(a.Now.Add(-interval).UnixMilli() + 1)`}},
	},
	{
		rule: "the interval that holds is not the client's", pkg: "store", test: "server.TestHeldFamilyDoesNotDieIdle",
		edits: []edit{{`if interval := r.Policy.ReuseInterval.Duration(); interval > 0`, `if interval := family.DefaultPolicy().ReuseInterval.Duration(); interval > 0`}},
	},
	{
		rule: "with an interval of 0 a token is held in its millisecond", pkg: "store", test: "server.TestClockThatRanAheadStrict",
		edits: []edit{{`if interval := r.Policy.ReuseInterval.Duration(); interval > 0`, `if interval := r.Policy.ReuseInterval.Duration(); interval >= 0`}},
	},
	{
		rule: "without rotation a use is not recorded as one of the newest token", pkg: "store", test: "server.TestUseWithoutRotationCounts",
		edits: []edit{{`		set += heldSet
	}
	names`, `		set += ""
	}
	names`}},
	},
	{
		rule: "a rotation's mark is not written", pkg: "store", test: "server.TestAnswerLostToTheSDK",
		edits: []edit{{
			`values[":next"] = number(a.Counter + 1)
		values[":id"] = &types.AttributeValueMemberB{Value: a.WriteID}`,
			`values[":next"] = number(a.Counter + 1)
		values[":id"] = &types.AttributeValueMemberB{Value: []byte("none")}`,
		}},
	},
	{
		rule: "every request leaves the same mark", pkg: "session", test: "server.TestStrict",
		edits: []edit{{`_, _ = rand.Read(writeID) // never`, `_ = rand.Read // never`}},
	},
	{
		rule: "the time of use is not written", pkg: "store", test: "server.TestIdleEnd",
		edits: []edit{{`"SET last_used_at = :now, last_ip`, `"SET last_ip`}},
	},
	{
		rule: "address and user agent stay those of the first rotation", pkg: "store", test: "server.TestLastRotationFromElsewhere",
		edits: []edit{{`, last_ip = :ip, last_user_agent = :ua, purge_at`, `, last_ip = if_not_exists(last_ip, :ip), last_user_agent = if_not_exists(last_user_agent, :ua), purge_at`}},
	},
	{
		rule: "a policy without rotation rotates", pkg: "store", test: "server.TestWithoutRotation",
		edits: []edit{{`if r.Policy.Rotation || a.Counter == 0 {`, `if r.Policy.Rotation || a.Counter > 0 {`}},
	},
	{
		rule: "the record is read before it is written", pkg: "session", test: "server.TestRace",
		edits: []edit{{
			`f, done, err := e.firstTry(ctx, u, write)`,
			`_, _ = e.Table.Family(ctx, tok.Family)
	f, done, err := e.firstTry(ctx, u, write)`,
		}},
	},
	{
		rule: "a slow request of a bound family takes its last use back", pkg: "store", test: "server.TestSlowUseOfASupersededToken",
		edits: []edit{{`if r.Attempt.Now.Before(seen.LastUsedAt) {`, `if false {`}},
	},
}}

var lostResponses = chapter{"Lost responses and restored backups", []mutant{
	{
		rule: "the skipped tokens are not remembered", pkg: "family", test: "family.TestAfterLost",
		edits: []edit{{`g.Skipped = Range{From: n + 1, To: f.Counter}`, `g.Skipped = Range{}`}},
	},
	{
		rule: "of the skipped tokens only the last is remembered", pkg: "family", test: "family.TestAfterLost",
		edits: []edit{{`g.Skipped = Range{From: n + 1, To: f.Counter}`, `g.Skipped = Range{From: f.Counter, To: f.Counter}`}},
	},
	{
		rule: "the skipped tokens are not written", pkg: "store", test: "server.TestLostResponse",
		edits: []edit{{`values[":skipped_to"] = number(next.Skipped.To)`, `values[":skipped_to"] = number(uint32(0))`}},
	},
	{
		rule: "a lost response is skipped whatever the record has become", pkg: "store", test: "server.TestSkipIsOfTheRecordSeen",
		edits: []edit{{`ConditionExpression = aws.String(*u.ConditionExpression + unused)`, `ConditionExpression = aws.String("#counter >= :n AND client_id = :client AND " + aliveCondition)`}},
	},
	{
		rule: "a family that was revoked meanwhile is skipped to life", pkg: "store", test: "server.TestSkipIsOfTheRecordSeen",
		edits: []edit{{`ConditionExpression = aws.String(*u.ConditionExpression + unused)`, `ConditionExpression = aws.String("#counter = :n AND client_id = :client AND expires_at > :now AND last_used_at > :idle_since")`}},
	},
	{
		rule: "a skip's or a move's mark is not written", pkg: "store", test: "server.TestAnswerOfAnAdvanceLostToTheSDK",
		edits: []edit{{`Value: r.Attempt.WriteID}`, `Value: []byte("none")}`}},
	},
	{
		rule: "a skip or a move, whose answer was lost, is another's", pkg: "store", test: "server.TestAnswerOfAnAdvanceLostToTheSDK",
		edits: []edit{{`return f != nil && f.Revoked.At.IsZero() && bytes.Equal(f.RotationID, r.Attempt.WriteID)`, `return f != nil && bytes.Equal(f.RotationID, nil)`}},
	},
	{
		rule: "any skip or move is one's own", pkg: "store", test: "server.TestSkipIsOfTheRecordSeen",
		edits: []edit{{`return f != nil && f.Revoked.At.IsZero() && bytes.Equal(f.RotationID, r.Attempt.WriteID)`, `return f != nil && !bytes.Equal(f.RotationID, nil)`}},
	},
	{
		rule: "a skip that was revoked meanwhile is one's own", pkg: "store", test: "server.TestRevokedBeforeTheRetryOfASkip",
		edits: []edit{{`f != nil && f.Revoked.At.IsZero() && bytes`, `f != nil && bytes`}},
	},
	{
		rule: "who loses the race of a skip does not look again", pkg: "session", test: "server.TestSkipIsOfTheRecordSeen",
		edits: []edit{{`const attempts = 4`, `const attempts = 1`}},
	},
	{
		rule: "moving ahead keeps the time of the last rotation that is known", pkg: "family", test: "family.TestAfterRestore",
		edits: []edit{{`	g.RotatedAt = now
	if p.Rotation`, `	if p.Rotation`}},
	},
	{
		rule: "moving ahead does not count as use of the token", pkg: "family", test: "family.TestAfterRestore",
		edits: []edit{{`	g.Held = n
`, ``}},
	},
	{
		rule: "moving ahead forgets nothing of what was skipped", pkg: "family", test: "family.TestAfterRestoreForgetsWhatWasSkipped",
		edits: []edit{{`	g.Skipped = Range{}
`, ``}},
	},
	{
		rule: "moving ahead goes past the token: the one behind it is reuse", pkg: "family", test: "family.TestAfterRestore",
		edits: []edit{{`	if p.Rotation && p.ReuseInterval == 0 {`, `	if p.Rotation {`}},
	},
	{
		rule: "where nothing is held, moving ahead stops at the token that was presented", pkg: "family", test: "family.TestAfterRestoreStrict",
		edits: []edit{{`	if p.Rotation && p.ReuseInterval == 0 {`, `	if p.Rotation && p.ReuseInterval < 0 {`}},
	},
	{
		rule: "who loses the race to move a family ahead whose token does not rotate gets 503", pkg: "session", test: "server.TestMoveAheadBesideAnother",
		edits: []edit{{`if v.Kind == family.Current && attempt > 0 {`, `if v.Kind == family.Current && attempt > 4 {`}},
	},
	{
		rule: "who loses that race gets the token, and its use is not recorded", pkg: "session", test: "server.TestMoveAheadBesideAnother",
		edits: []edit{{`				f, done, err = e.Table.Refresh(ctx, write)
				if err == nil && done {
					e.recordExchange(ctx, u, tok, f, v)
					return f, nil
				}
				continue`, `				return f, nil`}},
	},
	{
		rule: "the largest counter reaches the table", pkg: "session", test: "server.TestLargestCounter",
		edits: []edit{{`if tok.Counter == math.MaxUint32 {`, `if tok.Counter == math.MaxUint32 && p == nil {`}},
	},
}}

var outcomes = chapter{"What a decision leads to", []mutant{
	{
		rule: "a superseded token gets its own successor, not the newest", pkg: "session", test: "server.TestRacerAfterALostResponse",
		edits: []edit{{`				e.recordExchange(ctx, u, tok, seen, v)`, `				if v.Kind == family.Newest {
					seen.Counter = tok.Counter + 1
				}
				e.recordExchange(ctx, u, tok, seen, v)`}},
	},
	{
		rule: "reuse is refused, but the family lives", pkg: "session", test: "server.TestStraggler",
		edits: []edit{{`return nil, e.revokeReused(ctx, u, tok, f, v)`, `return nil, e.refuse(ctx, u, tok, f, v.Cause)`}},
	},
	{
		rule: "reuse inside the interval is logged like any refresh", pkg: "session", test: "server.TestStraggler",
		edits: []edit{{`event.Reused = true`, `event.Reused = false`}},
	},
	{
		rule: "a held use is logged like any refresh", pkg: "session", test: "server.TestHeld",
		edits: []edit{{`event.Held = true`, `event.Held = false`}},
	},
	{
		rule: "losers of the race to revoke log the reuse, too", pkg: "session", test: "server.TestReplayDuringAReplay",
		edits: []edit{{`if done {
		e.Trail.Record(ctx, &event)
	}
	return &DeadTokenError{family.ReuseDetected}`, `if done || err == nil {
		e.Trail.Record(ctx, &event)
	}
	return &DeadTokenError{family.ReuseDetected}`}},
	},
	{
		rule: "a failure of the storage is invalid_grant", pkg: "session", test: "server.TestStorageFails",
		edits: []edit{{`	for attempt := range attempts {
		if err != nil {
			return nil, err
		}`, `	for attempt := range attempts {
		if err != nil {
			return nil, ErrDeadToken
		}`}},
	},
	{
		rule: "a failure to revoke is invalid_grant", pkg: "session", test: "server.TestReuseThatCannotBeRecorded",
		edits: []edit{{`done, err := e.Table.Revoke(ctx, f, &u.Client.Policy, &event)
	if err != nil {
		return err
	}`, `done, err := e.Table.Revoke(ctx, f, &u.Client.Policy, &event)
	if err != nil {
		return ErrDeadToken
	}`}},
	},
	{
		rule: "a record that explains nothing refuses the token", pkg: "session", test: "server.TestRecordThatExplainsNothing",
		edits: []edit{{`return nil, fmt.Errorf("refresh family %s: its record explains no refusal", f.ID)`, `return nil, e.refuse(ctx, u, tok, f, v.Cause)`}},
	},
	{
		rule: "a record that explains nothing is taken for a success", pkg: "session", test: "server.TestRecordThatExplainsNothing",
		edits: []edit{{`return nil, fmt.Errorf("refresh family %s: its record explains no refusal", f.ID)`, `return f, nil`}},
	},
	{
		rule: "a record that explains nothing is written again and again", pkg: "session", test: "server.TestRecordThatExplainsNothing",
		edits: []edit{{`if v.Kind == family.Current && attempt > 0 {`, `if v.Kind == family.Current && attempt >= 0 {`}},
	},
	{
		rule: "who observes does not record", pkg: "session", test: "server.TestObserve",
		edits: []edit{{`if f.ObservedAt.IsZero() {`, `if f.ObservedAt.After(u.Now) {`}},
	},
	{
		rule: "while observing, each reuse is recorded", pkg: "store", test: "server.TestObserveRace",
		edits: []edit{{`"attribute_exists(pk) AND attribute_not_exists(observed_at)"`, `"attribute_exists(pk)"`}},
	},
	{
		rule: "while observing, each reuse costs a second write", pkg: "session", test: "server.TestObserveRace",
		edits: []edit{{`if f.ObservedAt.IsZero() {`, `if !f.ObservedAt.After(u.Now) {`}},
	},
	{
		rule: "the client's not_before is not looked at before the write", pkg: "session", test: "server.TestClientNotBefore",
		edits: []edit{{`if family.ID(tok.Family).IssuedAt().Before(p.NotBefore) {`, `if family.ID(tok.Family).IssuedAt().IsZero() {`}},
	},
	{
		rule: "a refused token is stored as an event: with one the table can be filled", pkg: "session", test: "server.TestStorageCalls",
		edits: []edit{{`	event.Cause = cause
	e.Trail.Record(ctx, &event)
`, `	event.Cause = cause
	_ = e.Table.PutEvent(ctx, &event)
	e.Trail.Record(ctx, &event)
`}},
	},
	{
		rule: "every client's dead tokens are refused with 400", pkg: "oauth", test: "server.TestOneAnswerForEveryDeadToken",
		edits: []edit{{`return nil, invalidGrant(q.client.Policy.InvalidGrantStatus, "refresh token")`, `return nil, invalidGrant(http.StatusBadRequest, "refresh token")`}},
	},
	{
		rule: "a token is looked at before its client has authenticated", pkg: "oauth", test: "server.TestClientAuthentication",
		edits: []edit{{`	if q.client, err = a.authenticate(r.Context(), r, q.params, q.now); err != nil {
`, `	if keys, err := a.Keys.Keys(r.Context(), q.now); err == nil {
		if _, err := a.ParseToken(r.Context(), keys, q.params.get("refresh_token"), q.now); err != nil {
			return invalidGrant(http.StatusBadRequest, "refresh token")
		}
	}
	if q.client, err = a.authenticate(r.Context(), r, q.params, q.now); err != nil {
`}},
	},
	{
		rule: "the client's cached policy is never read again", pkg: "store", test: "server.TestPolicyReachesOtherServers",
		edits: []edit{{`freshFor    = 60 * time.Second`, `freshFor   = 24 * time.Hour`}},
	},
	{
		rule: "a narrowed scope narrows nothing", pkg: "session", test: "server.TestScope",
		edits: []edit{{`	if scope == nil {
		scope = f.Scope
	}`, `	scope = f.Scope`}},
	},
}}
