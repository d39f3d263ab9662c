package main

import "slices"

// table is the mutants. Left out are those that change nothing anybody can see.
var table = slices.Concat(protocol, browser, wire, manage, records, trail, keys, diagnosis, holder, registry, promisesLocal, promisesWire, promisesManage, promisesCore)

// protocol breaks what family, store and api make of a refresh, and what stands around it.
var protocol = []chapter{
	{"The write of a refresh", []mutant{
		{
			rule: "the counter is not compared: a superseded token rotates", file: "shared/store/family.go", test: "api.TestLostResponseRevokesByDefault",
			edits: []edit{{`"#counter = :n AND client_id`, `"#counter >= :n AND client_id`}},
		},
		{
			rule: "a token newer than the record rotates like any other", file: "shared/store/family.go", test: "api.TestRestoredBackup",
			edits: []edit{{`"#counter = :n AND client_id`, `"#counter <= :n AND client_id`}},
		},
		{
			rule: "the client is not compared", file: "shared/store/family.go", test: "api.TestWrongClient",
			edits: []edit{{`AND client_id = :client AND`, `AND (client_id = :client OR client_id <> :client) AND`}},
		},
		{
			rule: "a revoked family is refreshed", file: "shared/store/table.go", test: "api.TestLostResponseRevokesByDefault",
			edits: []edit{{`"attribute_not_exists(revoked_at) AND expires_at`, `"expires_at`}},
		},
		{
			rule: "the absolute end is not looked at", file: "shared/store/table.go", test: "api.TestAbsoluteEnd",
			edits: []edit{{`expires_at > :now AND`, `(expires_at > :now OR expires_at <= :now) AND`}},
		},
		{
			rule: "at the millisecond of its absolute end a family lives", file: "shared/store/table.go", test: "api.TestAbsoluteEnd",
			edits: []edit{{`expires_at > :now AND`, `expires_at >= :now AND`}},
		},
		{
			rule: "the idle end is not looked at", file: "shared/store/table.go", test: "api.TestIdleEnd",
			edits: []edit{{`last_used_at > :idle_since"`, `(last_used_at > :idle_since OR last_used_at <= :idle_since)"`}},
		},
		{
			rule: "at the millisecond of its idle end a family lives", file: "shared/store/table.go", test: "api.TestIdleEnd",
			edits: []edit{{`last_used_at > :idle_since"`, `last_used_at >= :idle_since"`}},
		},
		{
			rule: "the idle lifetime is not the client's", file: "shared/store/family.go", test: "api.TestIdleEnd",
			edits: []edit{{`aliveValues(r.Attempt.Now, r.Policy.IdleLifetime.Duration())`, `aliveValues(r.Attempt.Now, family.Days(15).Duration())`}},
		},
		{
			rule: "a scope that was not granted rotates all the same", file: "shared/store/family.go", test: "api.TestScope",
			edits: []edit{{`" AND contains(#scope, :scope%d)", i`, `" AND (contains(#scope, :scope%d) OR #counter = :n)", i`}},
		},
		{
			rule: "of the scopes asked for one is enough", file: "shared/store/family.go", test: "api.TestScope",
			edits: []edit{
				{`" AND contains(#scope, :scope%d)", i`, `" %s contains(#scope, :scope%d)", map[bool]string{true: "AND (", false: "OR"}[i == 0], i`},
				{`condition = b.String()`, `condition = b.String() + ")"`},
			},
		},
		{
			rule: "a part of a scope's name is enough", file: "shared/store/family.go", test: "api.TestScope",
			edits: []edit{{`= text(" " + s + " ")`, `= text(s)`}},
		},
		{
			rule: "the time of the rotation is not written", file: "shared/store/family.go", test: "api.TestRotationTimes",
			edits: []edit{{`", #counter = :next, rotated_at = :now, rotation_id`, `", #counter = :next, rotation_id`}},
		},
		{
			rule: "nothing is held: the write does not ask for the last rotation", file: "shared/store/family.go", test: "api.TestHeld",
			edits: []edit{{`condition += notHeld`, `condition += " AND :held_since <= :now"`}},
		},
		{
			rule: "a token is held a millisecond too long", file: "shared/store/family.go", test: "api.TestHeld",
			edits: []edit{{`rotated_at <= :held_since`, `rotated_at < :held_since`}},
		},
		{
			rule: "a token is held a millisecond too short", file: "shared/store/family.go", test: "api.TestHeld",
			edits: []edit{{`number(a.Now.Add(-interval).UnixMilli())`, `number(a.Now.Add(-interval).UnixMilli() + 1)`}},
		},
		{
			rule: "the interval that holds is not the client's", file: "shared/store/family.go", test: "api.TestHeldFamilyDoesNotDieIdle",
			edits: []edit{{`if interval := r.Policy.ReuseInterval.Duration(); interval > 0`, `if interval := family.DefaultPolicy().ReuseInterval.Duration(); interval > 0`}},
		},
		{
			rule: "with an interval of 0 a token is held in its millisecond", file: "shared/store/family.go", test: "api.TestClockThatRanAheadStrict",
			edits: []edit{{`if interval := r.Policy.ReuseInterval.Duration(); interval > 0`, `if interval := r.Policy.ReuseInterval.Duration(); interval >= 0`}},
		},
		{
			rule: "without rotation a use is not recorded as one of the newest token", file: "shared/store/family.go", test: "api.TestUseWithoutRotationCounts",
			edits: []edit{{`		set += heldSet
	}
	names`, `		set += ""
	}
	names`}},
		},
		{
			rule: "a rotation's mark is not written", file: "shared/store/family.go", test: "api.TestAnswerLostToTheSDK",
			edits: []edit{{
				`values[":next"] = number(a.Counter + 1)
		values[":id"] = &types.AttributeValueMemberB{Value: a.WriteID}`,
				`values[":next"] = number(a.Counter + 1)
		values[":id"] = &types.AttributeValueMemberB{Value: []byte("none")}`,
			}},
		},
		{
			rule: "every request leaves the same mark", file: "shared/api/refresh.go", test: "api.TestStrict",
			edits: []edit{{`_, _ = rand.Read(writeID) // never`, `_ = rand.Read // never`}},
		},
		{
			rule: "the time of use is not written", file: "shared/store/family.go", test: "api.TestIdleEnd",
			edits: []edit{{`"SET last_used_at = :now, last_ip`, `"SET last_ip`}},
		},
		{
			rule: "address and user agent stay those of the first rotation", file: "shared/store/family.go", test: "api.TestLastRotationFromElsewhere",
			edits: []edit{{`, last_ip = :ip, last_user_agent = :ua, purge_at`, `, last_ip = if_not_exists(last_ip, :ip), last_user_agent = if_not_exists(last_user_agent, :ua), purge_at`}},
		},
		{
			rule: "a policy without rotation rotates", file: "shared/store/family.go", test: "api.TestWithoutRotation",
			edits: []edit{{`if r.Policy.Rotation {`, `if r.Policy.Rotation || a.Counter > 0 {`}},
		},
		{
			rule: "the record is read before it is written", file: "shared/api/refresh.go", test: "api.TestRace",
			edits: []edit{{
				`f, done, err := a.Table.Refresh(ctx, write)`,
				`_, _ = a.Table.Family(ctx, tok.Family)
	f, done, err := a.Table.Refresh(ctx, write)`,
			}},
		},
	}},
	{"The decision", []mutant{
		{
			rule: "another client's token is decided like one's own", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`if f.ClientID != a.ClientID {`, `if f.ClientID != a.ClientID && f.ClientID == "" {`}},
		},
		{
			rule: "another client's token is reuse: it ends the family", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`Verdict{Kind: Dead, Cause: WrongClient}`, `Verdict{Kind: Reuse}`}},
		},
		{
			rule: "revoked comes before wrong client", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`if f.ClientID != a.ClientID {`, `if f.ClientID != a.ClientID && f.Revoked.At.IsZero() {`}},
		},
		{
			rule: "expired comes before revoked", file: "shared/family/family.go", test: "family.TestDecide",
			edits: []edit{{`if !f.Revoked.At.IsZero() {`, `if !f.Revoked.At.IsZero() && now.Before(f.ExpiresAt) {`}},
		},
		{
			rule: "a revocation is not looked at", file: "shared/family/family.go", test: "family.TestDecide",
			edits: []edit{{`if !f.Revoked.At.IsZero() {`, `if !f.Revoked.At.IsZero() && f.Revoked.Cause == "" {`}},
		},
		{
			rule: "the client's not_before is not looked at", file: "shared/family/family.go", test: "family.TestDecide",
			edits: []edit{{`if f.IssuedAt().Before(p.NotBefore) {`, `if f.IssuedAt().IsZero() {`}},
		},
		{
			rule: "a family that was issued at the client's not_before is dead", file: "shared/family/family.go", test: "family.TestDecide",
			edits: []edit{{`if f.IssuedAt().Before(p.NotBefore) {`, `if !f.IssuedAt().After(p.NotBefore) {`}},
		},
		{
			rule: "expired comes before the client's not_before", file: "shared/family/family.go", test: "family.TestOrderOfTheRules",
			edits: []edit{{`if f.IssuedAt().Before(p.NotBefore) {`, `if end := f.End(p); f.IssuedAt().Before(p.NotBefore) && (end.IsZero() || now.Before(end)) {`}},
		},
		{
			rule: "an end is inclusive", file: "shared/family/family.go", test: "family.TestDecide",
			edits: []edit{{`case end.IsZero() || now.Before(end):`, `case end.IsZero() || !now.After(end):`}},
		},
		{
			rule: "of two ends the later one counts", file: "shared/family/family.go", test: "family.TestDecide",
			edits: []edit{{`!idle.IsZero() && idle.Before(f.ExpiresAt) {`, `!idle.IsZero() && idle.After(f.ExpiresAt) {`}},
		},
		{
			rule: "the idle end is counted from the issue", file: "shared/family/family.go", test: "family.TestDecide",
			edits: []edit{{`return f.LastUsedAt.Add(p.IdleLifetime.Duration())`, `return f.IssuedAt().Add(p.IdleLifetime.Duration())`}},
		},
		{
			rule: "the idle lifetime is not that of the client's present policy", file: "shared/family/family.go", test: "api.TestIdleEndFollowsThePolicy",
			edits: []edit{{`return f.LastUsedAt.Add(p.IdleLifetime.Duration())`, `return f.LastUsedAt.Add(DefaultPolicy().IdleLifetime.Duration())`}},
		},
		{
			rule: "one's own write is not known by its mark", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`bytes.Equal(f.RotationID, a.WriteID) {`, `bytes.Equal(f.RotationID, a.WriteID) && f.Counter == 0 {`}},
		},
		{
			rule: "another's mark is taken for one's own", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`bytes.Equal(f.RotationID, a.WriteID) {`, `!bytes.Equal(f.RotationID, nil) {`}},
		},
		{
			rule: "one's own write comes before revoked", file: "shared/family/decide.go", test: "family.TestOrderOfTheRules",
			edits: []edit{{`cause != "" {`, `cause != "" && (len(a.WriteID) == 0 || !bytes.Equal(f.RotationID, a.WriteID)) {`}},
		},
		{
			rule: "a scope that was not granted comes before reuse", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`if v.Active() && !f.Granted(a.Scope) {`, `if !f.Granted(a.Scope) {`}},
		},
		{
			rule: "a racer gets what was not granted", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`if v.Active() && !f.Granted(a.Scope) {`, `if v.Kind == Current && !f.Granted(a.Scope) {`}},
		},
		{
			rule: "the end of the reuse interval is inside", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`f.sinceRotation(now) < p.ReuseInterval.Duration():`, `f.sinceRotation(now) <= p.ReuseInterval.Duration():`}},
		},
		{
			rule: "at the end of the interval a token is still held, the decision says", file: "shared/family/family.go", test: "family.TestDecide",
			edits: []edit{{`f.sinceRotation(now) < p.ReuseInterval.Duration()
}`, `f.sinceRotation(now) <= p.ReuseInterval.Duration()
}`}},
		},
		{
			rule: "a token is held without rotation as well", file: "shared/family/family.go", test: "family.TestDecide",
			edits: []edit{{`return p.Rotation && f.sinceRotation`, `return f.sinceRotation`}},
		},
		{
			rule: "a held token is taken for one that explains nothing", file: "shared/family/decide.go", test: "api.TestHeld",
			edits: []edit{{`case n == f.Counter && f.holds(p, now):`, `case n == f.Counter && f.holds(p, now) && p == nil:`}},
		},
		{
			rule: "a token superseded twice is honoured inside the interval of the newest", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`case n == pred && f.sinceRotation`, `case n <= pred && f.sinceRotation`}},
		},
		{
			rule: "a request older than the newest rotation is reuse", file: "shared/family/decide.go", test: "api.TestSlowRequestIsNoReuse",
			edits: []edit{{`case n < pred && now.Before(f.RotatedAt) &&`, `case n < pred && now.After(now) &&`}},
		},
		{
			rule: "a request older than the newest rotation is not honoured though reuse is only observed", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`p.ReuseInterval > 0 && !p.Observing(now):`, `p.ReuseInterval > 0:`}},
		},
		{
			rule: "without an interval a request older than the newest rotation is never reuse", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`now.Before(f.RotatedAt) && p.ReuseInterval > 0 &&`, `now.Before(f.RotatedAt) &&`}},
		},
		{
			rule: "a token superseded twice is refused, and the family lives: no thief is found who refreshes fast", file: "shared/family/decide.go", test: "api.TestFastThief",
			edits: []edit{{`	default:
		return reuse(f, p, n, now)
	}
}`, `	case n < pred:
		return Verdict{Kind: Refused, Cause: CounterSpent}
	default:
		return reuse(f, p, n, now)
	}
}`}},
		},
		{
			rule: "a reuse interval of 0 is honoured", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`f.sinceRotation(now) < p.ReuseInterval.Duration():`, `f.sinceRotation(now) < max(p.ReuseInterval.Duration(), time.Millisecond):`}},
		},
		{
			rule: "a negative age stays negative", file: "shared/family/family.go", test: "family.TestDecide",
			edits: []edit{{`return max(now.Sub(f.RotatedAt), 0)`, `return now.Sub(f.RotatedAt)`}},
		},
		{
			rule: "a negative age counts as that long ago", file: "shared/family/family.go", test: "family.TestDecide",
			edits: []edit{{`return max(now.Sub(f.RotatedAt), 0)`, `return now.Sub(f.RotatedAt).Abs()`}},
		},
		{
			rule: "a racer moves the counter", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`return Verdict{Kind: Newest, Age`, `return Verdict{Kind: Skip, Age`}},
		},
		{
			rule: "a skipped token inside the reuse interval is honoured", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`case n > pred: // skipped`, `case n > pred && f.sinceRotation(now) >= p.ReuseInterval.Duration(): // skipped`}, {`case n == pred && f.sinceRotation`, `case n >= pred && f.sinceRotation`}},
		},
		{
			rule: "a skipped token is a lost response", file: "shared/family/decide.go", test: "family.TestSkip",
			edits: []edit{{`case n > pred: // skipped`, `case n > pred && p.LostResponse == Revoke: // skipped`}, {`case n == pred && p.LostResponse`, `case n >= pred && p.LostResponse`}},
		},
		{
			rule: "a token superseded twice is a lost response", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`case n == pred && p.LostResponse`, `case n <= pred && p.LostResponse`}},
		},
		{
			rule: "a held use does not count as use: a thief's token is taken for a lost response", file: "shared/family/decide.go", test: "api.TestHeldUseCountsAsUse",
			edits: []edit{{`&& f.Held != f.Counter && f.Counter <`, `&& f.Counter <`}},
		},
		{
			rule: "a held use of an earlier token counts as one of the newest", file: "shared/family/decide.go", test: "api.TestLostResponseAfterHeldUses",
			edits: []edit{{`&& f.Held != f.Counter && f.Counter <`, `&& f.Held == 0 && f.Counter <`}},
		},
		{
			rule: "a held use is not written down where lost responses are forgiven", file: "shared/family/family.go", test: "family.TestMustRecord",
			edits: []edit{{`if v.Kind == Held && p.LostResponse == UntilUsed &&`, `if v.Kind == Held && p == nil &&`}},
		},
		{
			rule: "a held use is written down each time", file: "shared/family/family.go", test: "family.TestMustRecord",
			edits: []edit{{`&& f.Held != f.Counter {
		return true`, `{
		return true`}},
		},
		{
			rule: "a racer's use of the predecessor is one of the newest token", file: "shared/family/family.go", test: "family.TestMustRecord",
			edits: []edit{{`if v.Kind == Held && p.LostResponse`, `if p.LostResponse`}},
		},
		{
			rule: "a use without rotation does not keep a family from dying idle", file: "shared/family/family.go", test: "family.TestMustRecord",
			edits: []edit{{`return now.Sub(f.LastUsedAt) > behind`, `return now.Sub(f.LastUsedAt) > behind && p == nil`}},
		},
		{
			rule: "a short idle lifetime is not looked at when a use is left unrecorded", file: "shared/family/family.go", test: "family.TestMustRecord",
			edits: []edit{{`if p.IdleLifetime != 0 {
		behind`, `if p.IdleLifetime < 0 {
		behind`}},
		},
		{
			rule: "a held use is not written as one of the newest token", file: "shared/store/family.go", test: "api.TestHeldUseCountsAsUse",
			edits: []edit{{`	if held {
		set += heldSet`, `	if !held {
		set += heldSet`}},
		},
		{
			rule: "a held use is written whatever the record has become", file: "shared/store/family.go", test: "api.TestHeldUseIsOfTheRecordSeen",
			edits: []edit{{`ConditionExpression: aws.String(refreshCondition), UpdateExpression: &set,`, `ConditionExpression: aws.String("attribute_exists(pk) AND " + alive + " AND (#counter = :n OR client_id = :client)"), UpdateExpression: &set,`}},
		},
		{
			rule: "a held use is written to a family that was revoked meanwhile", file: "shared/store/family.go", test: "api.TestHeldUseIsOfTheRecordSeen",
			edits: []edit{{`ConditionExpression: aws.String(refreshCondition), UpdateExpression: &set,`, `ConditionExpression: aws.String("#counter = :n AND client_id = :client AND expires_at > :now AND last_used_at > :idle_since"), UpdateExpression: &set,`}},
		},
		{
			rule: "a held use that cannot be written down is a success", file: "shared/api/refresh.go", test: "api.TestHeldUseThatCannotBeRecorded",
			edits: []edit{{`			if err == nil && done {
				return seen, a.exchanged(ctx, u, tok, seen, v)`, `			if err != nil || done {
				return seen, a.exchanged(ctx, u, tok, seen, v)`}},
		},
		{
			rule: "a record of before uses were recorded is not skipped", file: "shared/store/family.go", test: "api.TestSkipOfAnOlderRecord",
			edits: []edit{{`" AND (attribute_not_exists(held) OR held <> :n)"`, `" AND held <= :n AND held < :n"`}},
		},
		{
			rule: "a lost response is skipped although the newest token was used meanwhile", file: "shared/store/family.go", test: "api.TestSkipBesideAHeldUse",
			edits: []edit{{`*u.ConditionExpression + unused)`, `*u.ConditionExpression)`}},
		},
		{
			rule: "a response that was lost twice is reuse", file: "shared/family/family.go", test: "family.TestDecide",
			edits: []edit{{`return f.Skipped.From - 1`, `return f.Counter - 1`}},
		},
		{
			rule: "a lost response is forgiven where the policy revokes", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`&& p.LostResponse == UntilUsed &&`, `&& p.LostResponse != "" &&`}},
		},
		{
			rule: "a lost response is forgiven at the largest counter", file: "shared/family/decide.go", test: "family.TestLostResponseAtTheLargestCounter",
			edits: []edit{{`&& f.Counter < math.MaxUint32:`, `:`}},
		},
		{
			rule: "reuse is not detected", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`v := Verdict{Kind: Reuse, Age`, `v := Verdict{Kind: Refused, Age`}},
		},
		{
			rule: "a policy that observes revokes", file: "shared/family/policy.go", test: "family.TestDecide",
			edits: []edit{{`return p.ReuseDetection == Observe && now.Before(p.ObserveUntil)`, `return p.ReuseDetection == "" && now.Before(p.ObserveUntil)`}},
		},
		{
			rule: "observing has no end", file: "shared/family/policy.go", test: "family.TestDecide",
			edits: []edit{{`return p.ReuseDetection == Observe && now.Before(p.ObserveUntil)`, `return p.ReuseDetection == Observe`}},
		},
		{
			rule: "the largest counter is not refused", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`case n == math.MaxUint32: // there`, `case n == math.MaxUint32 && f == nil: // there`}},
		},
		{
			rule: "a token newer than the record is the newest", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`	case n == f.Counter:
`, `	case n >= f.Counter:
`}},
		},
		{
			rule: "where there is no record, nothing is said", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`return Verdict{Kind: Dead, Cause: Purged}`, `return Verdict{}`}},
		},
	}},
	{"Lost responses and restored backups", []mutant{
		{
			rule: "the skipped tokens are not remembered", file: "shared/family/decide.go", test: "family.TestSkip",
			edits: []edit{{`g.Skipped = Range{From: n + 1, To: f.Counter}`, `g.Skipped = Range{}`}},
		},
		{
			rule: "of the skipped tokens only the last is remembered", file: "shared/family/decide.go", test: "family.TestSkip",
			edits: []edit{{`g.Skipped = Range{From: n + 1, To: f.Counter}`, `g.Skipped = Range{From: f.Counter, To: f.Counter}`}},
		},
		{
			rule: "the skipped tokens are not written", file: "shared/store/family.go", test: "api.TestLostResponse",
			edits: []edit{{`values[":skipped_to"] = number(next.Skipped.To)`, `values[":skipped_to"] = number(uint32(0))`}},
		},
		{
			rule: "a lost response is skipped whatever the record has become", file: "shared/store/family.go", test: "api.TestSkipIsOfTheRecordSeen",
			edits: []edit{{`ConditionExpression = aws.String(*u.ConditionExpression + unused)`, `ConditionExpression = aws.String("#counter >= :n AND client_id = :client AND " + alive)`}},
		},
		{
			rule: "a family that was revoked meanwhile is skipped to life", file: "shared/store/family.go", test: "api.TestSkipIsOfTheRecordSeen",
			edits: []edit{{`ConditionExpression = aws.String(*u.ConditionExpression + unused)`, `ConditionExpression = aws.String("#counter = :n AND client_id = :client AND expires_at > :now AND last_used_at > :idle_since")`}},
		},
		{
			rule: "a skip's or a move's mark is not written", file: "shared/store/family.go", test: "api.TestAnswerOfAnAdvanceLostToTheSDK",
			edits: []edit{{`Value: r.Attempt.WriteID}`, `Value: []byte("none")}`}},
		},
		{
			rule: "a skip or a move, whose answer was lost, is another's", file: "shared/store/family.go", test: "api.TestAnswerOfAnAdvanceLostToTheSDK",
			edits: []edit{{`return f != nil && f.Revoked.At.IsZero() && bytes.Equal(f.RotationID, r.Attempt.WriteID)`, `return f != nil && bytes.Equal(f.RotationID, nil)`}},
		},
		{
			rule: "any skip or move is one's own", file: "shared/store/family.go", test: "api.TestSkipIsOfTheRecordSeen",
			edits: []edit{{`return f != nil && f.Revoked.At.IsZero() && bytes.Equal(f.RotationID, r.Attempt.WriteID)`, `return f != nil && !bytes.Equal(f.RotationID, nil)`}},
		},
		{
			rule: "a skip that was revoked meanwhile is one's own", file: "shared/store/family.go", test: "api.TestRevokedBeforeTheRetryOfASkip",
			edits: []edit{{`f != nil && f.Revoked.At.IsZero() && bytes`, `f != nil && bytes`}},
		},
		{
			rule: "who loses the race of a skip does not look again", file: "shared/api/refresh.go", test: "api.TestSkipIsOfTheRecordSeen",
			edits: []edit{{`const looks = 4`, `const looks = 1`}},
		},
		{
			rule: "moving ahead keeps the time of the last rotation that is known", file: "shared/family/decide.go", test: "family.TestMoveAhead",
			edits: []edit{{`	g.RotatedAt = now
	if p.Rotation`, `	if p.Rotation`}},
		},
		{
			rule: "moving ahead does not count as use of the token", file: "shared/family/decide.go", test: "family.TestMoveAhead",
			edits: []edit{{`	g.Held = n
`, ``}},
		},
		{
			rule: "moving ahead forgets nothing of what was skipped", file: "shared/family/decide.go", test: "family.TestMoveAheadForgetsWhatWasSkipped",
			edits: []edit{{`	g.Skipped = Range{}
`, ``}},
		},
		{
			rule: "moving ahead goes past the token: the one behind it is reuse", file: "shared/family/decide.go", test: "family.TestMoveAhead",
			edits: []edit{{`	if p.Rotation && p.ReuseInterval == 0 {`, `	if p.Rotation {`}},
		},
		{
			rule: "where nothing is held, moving ahead stops at the token that was presented", file: "shared/family/decide.go", test: "family.TestMoveAheadStrict",
			edits: []edit{{`	if p.Rotation && p.ReuseInterval == 0 {`, `	if p.Rotation && p.ReuseInterval < 0 {`}},
		},
		{
			rule: "the largest counter reaches the table", file: "shared/api/refresh.go", test: "api.TestLargestCounter",
			edits: []edit{{`if tok.Counter == math.MaxUint32 {`, `if tok.Counter == math.MaxUint32 && p == nil {`}},
		},
	}},
	{"What a decision leads to", []mutant{
		{
			rule: "a superseded token gets its own successor, not the newest", file: "shared/api/refresh.go", test: "api.TestRacerAfterALostResponse",
			edits: []edit{{`				return seen, a.exchanged(ctx, u, tok, seen, v)`, `				if v.Kind == family.Newest {
					seen.Counter = tok.Counter + 1
				}
				return seen, a.exchanged(ctx, u, tok, seen, v)`}},
		},
		{
			rule: "reuse is refused, but the family lives", file: "shared/api/refresh.go", test: "api.TestStraggler",
			edits: []edit{{`return nil, a.revokeReused(ctx, u, tok, f, v)`, `return nil, a.refuse(ctx, u, tok, f, v.Cause)`}},
		},
		{
			rule: "reuse inside the interval is logged like any refresh", file: "shared/api/refresh.go", test: "api.TestStraggler",
			edits: []edit{{`e.Reused = true`, `e.Reused = false`}},
		},
		{
			rule: "a held use is logged like any refresh", file: "shared/api/refresh.go", test: "api.TestHeld",
			edits: []edit{{`e.Held = true`, `e.Held = false`}},
		},
		{
			rule: "losers of the race to revoke log the reuse, too", file: "shared/api/refresh.go", test: "api.TestReplayDuringAReplay",
			edits: []edit{{`if done {
		a.trail.Record(ctx, &e)
	}
	return errDeadToken`, `if done || err == nil {
		a.trail.Record(ctx, &e)
	}
	return errDeadToken`}},
		},
		{
			rule: "a failure of the storage is invalid_grant", file: "shared/api/refresh.go", test: "api.TestStorageFails",
			edits: []edit{{`	for range looks {
		if err != nil {
			return nil, err
		}`, `	for range looks {
		if err != nil {
			return nil, errDeadToken
		}`}},
		},
		{
			rule: "a failure to revoke is invalid_grant", file: "shared/api/refresh.go", test: "api.TestReuseThatCannotBeRecorded",
			edits: []edit{{`done, err := a.Table.Revoke(ctx, f, &u.client.Policy, &e)
	if err != nil {
		return err
	}`, `done, err := a.Table.Revoke(ctx, f, &u.client.Policy, &e)
	if err != nil {
		return errDeadToken
	}`}},
		},
		{
			rule: "a record that explains nothing refuses the token", file: "shared/api/refresh.go", test: "api.TestRecordThatExplainsNothing",
			edits: []edit{{`return nil, fmt.Errorf("refresh family %s: its record explains no refusal", f.ID)`, `return nil, a.refuse(ctx, u, tok, f, v.Cause)`}},
		},
		{
			rule: "a record that explains nothing is taken for a success", file: "shared/api/refresh.go", test: "api.TestRecordThatExplainsNothing",
			edits: []edit{{`return nil, fmt.Errorf("refresh family %s: its record explains no refusal", f.ID)`, `return f, a.exchanged(ctx, u, tok, f, v)`}},
		},
		{
			rule: "who observes does not record", file: "shared/api/refresh.go", test: "api.TestObserve",
			edits: []edit{{`if f.ObservedAt.IsZero() {`, `if f.ObservedAt.After(u.now) {`}},
		},
		{
			rule: "while observing, each reuse is recorded", file: "shared/store/revoke.go", test: "api.TestObserveRace",
			edits: []edit{{`"attribute_exists(pk) AND attribute_not_exists(observed_at)"`, `"attribute_exists(pk)"`}},
		},
		{
			rule: "while observing, each reuse costs a second write", file: "shared/api/refresh.go", test: "api.TestObserveRace",
			edits: []edit{{`if f.ObservedAt.IsZero() {`, `if !f.ObservedAt.After(u.now) {`}},
		},
		{
			rule: "the client's not_before is not looked at before the write", file: "shared/api/refresh.go", test: "api.TestClientNotBefore",
			edits: []edit{{`if family.ID(tok.Family).IssuedAt().Before(p.NotBefore) {`, `if family.ID(tok.Family).IssuedAt().IsZero() {`}},
		},
		{
			rule: "a refused token is stored as an event: with one the table can be filled", file: "shared/api/refresh.go", test: "api.TestStorageCalls",
			edits: []edit{{`	e.Cause = cause
	a.trail.Record(ctx, &e)
`, `	e.Cause = cause
	_ = a.Table.PutEvent(ctx, &e)
	a.trail.Record(ctx, &e)
`}},
		},
		{
			rule: "every client's dead tokens are refused with 400", file: "shared/api/token.go", test: "api.TestOneAnswerForEveryDeadToken",
			edits: []edit{{`return invalidGrant(client.Policy.InvalidGrantStatus)`, `return invalidGrant(http.StatusBadRequest)`}},
		},
		{
			rule: "a token is looked at before its client has authenticated", file: "shared/api/token.go", test: "api.TestClientAuthentication",
			edits: []edit{{`	client, err := a.authenticate(r.Context(), r, p, now)
`, `	if keys, err := a.Keys.Keys(r.Context(), now); err == nil {
		if _, err := a.parseToken(r.Context(), keys, p.get("refresh_token"), now); err != nil {
			return invalidGrant(http.StatusBadRequest)
		}
	}
	client, err := a.authenticate(r.Context(), r, p, now)
`}},
		},
		{
			rule: "the client's cached policy is never read again", file: "shared/store/clients.go", test: "api.TestPolicyReachesOtherServers",
			edits: []edit{{`clientsFor   = 60 * time.Second`, `clientsFor   = 24 * time.Hour`}},
		},
		{
			rule: "a narrowed scope narrows nothing", file: "shared/api/respond.go", test: "api.TestScope",
			edits: []edit{{`	if scope == nil {
		scope = f.Scope
	}`, `	scope = f.Scope`}},
		},
	}},
	{"Revocation", []mutant{
		{
			rule: "what was revoked is revoked again", file: "shared/store/revoke.go", test: "api.TestReplayDuringAReplay",
			edits: []edit{{`"attribute_exists(pk) AND attribute_not_exists(revoked_at)"`, `"attribute_exists(pk)"`}},
		},
		{
			rule: "a purged family is revoked into being", file: "shared/store/revoke.go", test: "api.TestRevocationOfAPurgedFamily",
			edits: []edit{{`"attribute_exists(pk) AND attribute_not_exists(revoked_at)"`, `"attribute_not_exists(revoked_at)"`}},
		},
		{
			rule: "the event is stored on its own, before the revocation", file: "shared/store/revoke.go", test: "api.TestReplayDuringAReplay",
			edits: []edit{{`	reasons, err := t.transact(ctx, []types.TransactWriteItem{
		{Update: &update},
		{Put: &types.Put{TableName: &t.name, Item: put}},
	})`, `	if _, err := t.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: put}); err != nil {
		return nil, false, err
	}
	reasons, err := t.transact(ctx, []types.TransactWriteItem{{Update: &update}})`}},
		},
		{
			rule: "the event is stored on its own, after the revocation", file: "shared/store/revoke.go", test: "api.TestReuseThatCannotBeRecorded",
			edits: []edit{{`		{Update: &update},
		{Put: &types.Put{TableName: &t.name, Item: put}},
	})`, `		{Update: &update},
	})
	if err == nil && reasons == nil {
		_, err = t.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: put})
	}`}},
		},
		{
			rule: "one's own revocation, whose answer was lost, is another's", file: "shared/store/revoke.go", test: "api.TestAnswerOfARevocationLostToTheSDK",
			edits: []edit{{`return reasons[0].Item, hasMark(reasons[0].Item, e.ID), nil`, `return reasons[0].Item, false, nil`}},
		},
		{
			rule: "one's own revocation as one of many, whose answer was lost, is another's", file: "shared/store/revoke.go", test: "sweep.TestSweepFaults",
			edits: []edit{{`return hasMark(failed.Item, r.Event), nil`, `return false, nil`}},
		},
		{
			rule: "the record does not say of which token the reuse was", file: "shared/store/revoke.go", test: "api.TestExplainCauses",
			edits: []edit{{`if e.Type == audit.Reuse {`, `if e.Type == audit.Ahead {`}},
		},
		{
			rule: "another client's token revokes the family", file: "shared/api/revoke.go", test: "api.TestRevokeIsRefusedOrIdle",
			edits: []edit{{`if f.ClientID != client.ID {`, `if f.ClientID != client.ID && f.ClientID == "" {`}},
		},
		{
			rule: "what has ended is revoked as well", file: "shared/api/revoke.go", test: "api.TestRevokeIsRefusedOrIdle",
			edits: []edit{{`if f.Death(&client.Policy, now) != "" {`, `if f.Death(&client.Policy, now) == "none" {`}},
		},
		{
			rule: "an expired access token revokes nothing", file: "shared/api/revoke.go", test: "api.TestRevoke",
			edits: []edit{{`now, (*signing.Set).VerifyExpired)`, `now, (*signing.Set).Verify)`}},
		},
		{
			rule: "a revocation of all ends the first page alone", file: "shared/api/familyrevoke.go", test: "api.TestRevokeAll",
			edits: []edit{{`answer.Next = pages.sealULID(before)`, `answer.Next = pages.sealULID(ulid.ULID{})`}},
		},
		{
			rule: "a revocation of all ends other clients' families, too", file: "shared/api/familyrevoke.go", test: "api.TestRevokeAll",
			edits: []edit{{`if rev.clientID != "" && f.ClientID != rev.clientID ||`, `if rev.clientID != "" && f.ClientID == "" ||`}},
		},
		{
			rule: "a dry run revokes", file: "shared/api/familyrevoke.go", test: "api.TestRevokeAll",
			edits: []edit{{`	case dryRun:
`, `	case dryRun && rev.now.IsZero():
`}},
		},
		{
			rule: "a password change is recorded as any other revocation", file: "shared/api/familyrevoke.go", test: "api.TestRevokeAll",
			edits: []edit{{`case family.RevokedByAdmin, family.PasswordChanged:
`, `case family.RevokedByAdmin, family.PasswordChanged:
		cause = family.RevokedByAdmin
`}},
		},
		{
			rule: "a revocation of all ends before its event is stored", file: "shared/api/familyrevoke.go", test: "api.TestRevokeAllFailsMidway",
			edits: []edit{{`		done, err := a.Table.Revoke(ctx, oldest.Family, oldest.Policy, e)
`, `		if _, _, err := a.end(ctx, rev, others, e); err != nil {
			return 0, next, err
		}
		done, err := a.Table.Revoke(ctx, oldest.Family, oldest.Policy, e)
`}},
		},
	}},
	{"The end of records", []mutant{
		{
			rule: "a revocation keeps a record past its absolute end's", file: "shared/store/revoke.go", test: "api.TestPurge",
			edits: []edit{{`number(epoch(earlier(seen.KeepUntil, t.keepRevoked(e.At, p))))`, `number(epoch(t.keepRevoked(e.At, p)))`}},
		},
		{
			rule: "a refresh shortens the time that a record is kept", file: "shared/store/family.go", test: "api.TestPurge",
			edits: []edit{{`purge_at = if_not_exists(keep_until, :purge_at)"`, `purge_at = :purge_at"`}},
		},
		{
			rule: "the end of a record without an absolute end does not slide", file: "shared/store/family.go", test: "api.TestPurge",
			edits: []edit{{`purge_at = if_not_exists(keep_until, :purge_at)"`, `purge_at = if_not_exists(purge_at, :purge_at)"`}},
		},
		{
			rule: "a record goes at the end of its family", file: "shared/store/family.go", test: "api.TestPurge",
			edits: []edit{{`f.KeepUntil = f.ExpiresAt.Add(t.retention.Families)`, `f.KeepUntil = f.ExpiresAt`}},
		},
		{
			rule: "a record without ends goes after its retention", file: "shared/store/family.go", test: "api.TestPurge",
			edits: []edit{{`		return never
	}
	return now.Add(p.IdleLifetime`, `		return now.Add(t.retention.Families)
	}
	return now.Add(p.IdleLifetime`}},
		},
	}},
	{"The limit of active families", []mutant{
		{
			rule: "a family is counted after it is on record", file: "shared/store/family.go", test: "sweep.TestIssueCountsFirst",
			edits: []edit{{`	if err := t.countOwner(ctx, f, p); err != nil {
		return nil, fmt.Errorf("issue a family: %w", err)
	}
	m, err`, `	m, err`}, {`	if _, err := t.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: m}); err != nil {
		return fmt.Errorf("issue a family: %w", err)
	}
	return nil`, `	if _, err := t.db.PutItem(ctx, &dynamodb.PutItemInput{TableName: &t.name, Item: m}); err != nil {
		return fmt.Errorf("issue a family: %w", err)
	}
	return t.countOwner(ctx, f, p)`}},
		},
		{
			rule: "an owner with one family too many is not put on the work list", file: "shared/store/owner.go", test: "sweep.TestSettlingDuringAnIssue",
			edits: []edit{{`t.listOwner(ctx, id, active > p.MaxActive)`, `t.listOwner(ctx, id, active > p.MaxActive+1)`}},
		},
		{
			rule: "an owner at its limit is put on the work list", file: "shared/store/owner.go", test: "sweep.TestSweep",
			edits: []edit{{`t.listOwner(ctx, id, active > p.MaxActive)`, `t.listOwner(ctx, id, active >= p.MaxActive)`}},
		},
		{
			rule: "the newest families end", file: "shared/family/evict.go", test: "family.TestExcess",
			edits: []edit{{`	return sorted[:n]`, `	return sorted[len(sorted)-n:]`}},
		},
		{
			rule: "one family too many ends", file: "shared/family/evict.go", test: "family.TestExcess",
			edits: []edit{{`	return sorted[:n]`, `	return sorted[:n+1]`}},
		},
		{
			rule: "expired families count", file: "shared/sweep/reading.go", test: "sweep.TestSweep",
			edits: []edit{{`f.ClientID == o.ID.ClientID && f.Death(p, now) == "" {`, `f.ClientID == o.ID.ClientID && (f.Death(p, now) == "" || f.Death(p, now) == family.ExpiredAbsolute) {`}},
		},
		{
			rule: "other clients' families count", file: "shared/sweep/reading.go", test: "sweep.TestSweep",
			edits: []edit{{`if f.ClientID == o.ID.ClientID && f.Death(p, now) == "" {`, `if f.Death(p, now) == "" {`}},
		},
		{
			rule: "families end before the plan is stored", file: "shared/sweep/sweep.go", test: "sweep.TestSweepFaults",
			edits: []edit{{`done, err := s.Table.StorePlan(ctx, id, o.Plan)`, `done, err := true, error(nil)`}},
		},
		{
			rule: "a plan replaces another's", file: "shared/store/owner.go", test: "sweep.TestSweepFindsAPlan",
			edits: []edit{{`"SET plan_id = :id, #plan = :plan", "plan_id = :none",`, `"SET plan_id = :id, #plan = :plan", "plan_id = :none OR plan_id <> :none",`}},
		},
		{
			rule: "who finds a plan drops it and makes another", file: "shared/sweep/sweep.go", test: "sweep.TestSweepFaults",
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
			rule: "a plan is removed by who has carried out another", file: "shared/store/owner.go", test: "sweep.TestSweepLeavesAPlan",
			edits: []edit{{`const update, condition = "SET plan_id = :none, #plan = :none", "plan_id = :id"`, `const update, condition = "SET plan_id = :none, #plan = :none", "plan_id = :id OR plan_id <> :id"`}},
		},
		{
			rule: "a plan is never removed: the sweep does not end", file: "shared/sweep/sweep.go", test: "sweep.TestSweepFollowsThePolicy", hangs: true,
			edits: []edit{{`	stored, err := s.Table.FinishPlan(ctx, o.ID, plan, &e)
`, `	stored, err := true, s.Table.PutEvent(ctx, &e)
`}},
		},
		{
			rule: "the cleanup's event has an id of its own each time", file: "shared/sweep/sweep.go", test: "sweep.TestEvict",
			edits: []edit{{`ID: plan.Event, Type: audit.Cleanup,`, `ID: ulid.Make(), Type: audit.Cleanup,`}},
		},
		{
			rule: "two sweeps at once log two events", file: "shared/sweep/sweep.go", test: "sweep.TestSweepsAtOnce",
			edits: []edit{{`if err != nil || !stored {`, `if err != nil || !stored && e.Removed == 0 {`}},
		},
		{
			rule: "an event whose answer was lost is another's", file: "shared/store/event.go", test: "sweep.TestSweepCountsALostAnswer",
			edits: []edit{{`return ok && bytes.Equal(by.Value, mark), nil`, `return ok && bytes.Equal(by.Value, nil), nil`}},
		},
		{
			rule: "the event names families that ended of something else", file: "shared/sweep/sweep.go", test: "sweep.TestSweepOfWhatEndsMeanwhile",
			edits: []edit{{`		if ours[i] {
`, `		if ours[i] || i >= 0 {
`}},
		},
		{
			rule: "the next sweep begins after families that live", file: "shared/sweep/reading.go", test: "sweep.TestSweepRemembersWhatLives",
			edits: []edit{{`found.horizon.From, found.horizon.Kept = settled.Kept[0], nil`, `found.horizon.Kept = nil`}},
		},
		{
			rule: "the next sweep begins after families whose idle end may move", file: "shared/store/owner.go", test: "sweep.TestSweepReadsAgainWhatLivesAgain",
			edits: []edit{{`longer := h.Idle != 0 && (p.IdleLifetime == 0 || p.IdleLifetime > h.Idle)`, `longer := h.Idle != 0 && p.IdleLifetime == 0`}},
		},
		{
			rule: "the next sweep begins after a family that is just being issued", file: "shared/sweep/reading.go", test: "sweep.TestSweepRemembersWhatLives",
			edits: []edit{{`ulid.Timestamp(now.Add(-settleAge))`, `ulid.Timestamp(now)`}},
		},
		{
			rule: "the next sweep begins at the first family again", file: "shared/sweep/reading.go", test: "api.TestCapacityOfASweepAmongTheDead",
			edits: []edit{{`s.Table.EachFamilyFrom(ctx, o.ID.UserKey, before.From, see)`, `s.Table.EachFamilyFrom(ctx, o.ID.UserKey, ulid.ULID{}, see)`}},
		},
		{
			rule: "the count is set although it has moved meanwhile", file: "shared/store/owner.go", test: "sweep.TestSettlingDuringAnIssue",
			edits: []edit{{`aws.String("active = :seen AND plan_id = :none"),`, `aws.String("(active = :seen OR active <> :seen) AND plan_id = :none"),`}},
		},
		{
			rule: "a swept owner stays on the work list", file: "shared/store/owner.go", test: "sweep.TestSweep",
			edits: []edit{{`		{Delete: &types.Delete{TableName: &t.name, Key: overLimitKey(o.ID)}},
`, ``}},
		},
	}},
	{"The token", []mutant{
		{
			rule: "of the tag only 16 bytes are compared", file: "shared/token/codec.go", test: "token.TestParseRefusesEveryFlippedBit",
			edits: []edit{{`subtle.ConstantTimeCompare(full[:tagSize], raw[atTag:]) != 1`, `subtle.ConstantTimeCompare(full[:16], raw[atTag:atTag+16]) != 1`}},
		},
		{
			rule: "the counter is not under the MAC", file: "shared/token/codec.go", test: "token.TestParseRefusesEveryFlippedBit",
			edits: []edit{{`full := sum(k.mac, message[:len(label)+atTag])`, `full := sum(k.mac, message[:len(label)+atCounter])`}, {`full := sum(key.mac, message[:len(label)+atTag])`, `full := sum(key.mac, message[:len(label)+atCounter])`}},
		},
		{
			rule: "the user key is not under the MAC", file: "shared/token/codec.go", test: "token.TestParseRefusesEveryFlippedBit",
			edits: []edit{{`full := sum(k.mac, message[:len(label)+atTag])`, `full := sum(k.mac, message[len(label)+atFamily+userKeySize:len(label)+atTag])`}, {`full := sum(key.mac, message[:len(label)+atTag])`, `full := sum(key.mac, message[len(label)+atFamily+userKeySize:len(label)+atTag])`}},
		},
		{
			rule: "the label is not under the MAC", file: "shared/token/codec.go", test: "token.TestGolden",
			edits: []edit{{`full := sum(k.mac, message[:len(label)+atTag])`, `full := sum(k.mac, message[len(label):len(label)+atTag])`}, {`full := sum(key.mac, message[:len(label)+atTag])`, `full := sum(key.mac, message[len(label):len(label)+atTag])`}},
		},
		{
			rule: "stray bits at the end are accepted", file: "shared/token/codec.go", test: "token.TestParseRefusesStrayTrailingBits",
			edits: []edit{{`base64.RawURLEncoding.Strict()`, `base64.RawURLEncoding`}},
		},
		{
			rule: "line breaks are accepted", file: "shared/token/codec.go", test: "token.TestParseRefusesLineBreaksInTheRightLength",
			edits: []edit{{`err != nil || n != size {`, `err != nil || n > size {`}},
		},
		{
			rule: "any version is accepted", file: "shared/token/codec.go", test: "token.TestParseSigned",
			edits: []edit{{`if raw[atVersion] != version || counter == 0 {`, `if counter == 0 {`}},
		},
		{
			rule: "a counter of 0 is accepted", file: "shared/token/codec.go", test: "token.TestParseSigned",
			edits: []edit{{`if raw[atVersion] != version || counter == 0 {`, `if raw[atVersion] != version {`}},
		},
		{
			rule: "a key mints before its time", file: "shared/token/codec.go", test: "token.TestMintChoosesTheKey",
			edits: []edit{{`!k.from.After(now)`, `!k.from.IsZero()`}},
		},
		{
			rule: "a token under a key that was replaced is forged", file: "shared/token/codec.go", test: "token.TestRotation",
			edits: []edit{{`return k.id == raw[atKey] })`, `return k.id == raw[atKey] && k.id == c.keys[len(c.keys)-1].id })`}},
		},
		{
			rule: "a token that was minted prints as it is", file: "shared/token/encoded.go", test: "token.TestSecretsDoNotPrint",
			edits: []edit{{`func (e Encoded) String() string { return redactedToken }`, `func (e Encoded) String() string { return e.token }`}},
		},
		{
			rule: "a new MAC key mints at once", file: "shared/keyring/rotate.go", test: "keyring.TestRotate",
			edits: []edit{{`Secret: newSecret(), From: now.Add(macLead)})`, `Secret: newSecret(), From: now})`}},
		},
		{
			rule: "a new signing key signs at once", file: "shared/keyring/rotate.go", test: "keyring.TestRotate",
			edits: []edit{{`signing.GenerateKey(alg, now.Add(signingLead))`, `signing.GenerateKey(alg, now)`}},
		},
		{
			rule: "a signing key is withdrawn with its last token still living", file: "shared/keyring/rotate.go", test: "keyring.TestRotate",
			edits: []edit{{`k.Until = stops.Add(longestAccessToken)`, `k.Until = stops`}},
		},
	}},
	{"Reading, introspection, explanation", []mutant{
		{
			rule: "a family is read eventually consistent", file: "shared/store/table.go", test: "api.TestIntrospect",
			edits: []edit{{`Key: key, ConsistentRead: aws.Bool(true)})`, `Key: key})`}},
		},
		{
			rule: "a user's families are listed eventually consistent", file: "shared/store/families.go", test: "api.TestListFamilies",
			edits: []edit{{`ConsistentRead:            aws.Bool(true),`, `ConsistentRead:            aws.Bool(false),`}},
		},
		{
			rule: "the work list is read eventually consistent", file: "shared/store/owner.go", test: "sweep.TestSweep",
			edits: []edit{{`ConsistentRead:            aws.Bool(true),`, `ConsistentRead:            aws.Bool(false),`}},
		},
		{
			rule: "a refresh token is active while its family lives", file: "shared/api/introspect.go", test: "api.TestIntrospect",
			edits: []edit{{`if !v.Active() {`, `if v.Kind == family.Dead {`}},
		},
		{
			rule: "another client's refresh token is active", file: "shared/api/introspect.go", test: "api.TestIntrospect",
			edits: []edit{{`ClientID: client.ID, Now: now})`, `ClientID: f.ClientID, Now: now})`}},
		},
		{
			rule: "an access token is active after its family's death", file: "shared/api/introspect.go", test: "api.TestIntrospect",
			edits: []edit{{`f.Death(&owner.Policy, now) != ""`, `f.Death(&owner.Policy, now) == "none"`}},
		},
		{
			rule: "an access token lives by the policy of who asks", file: "shared/api/introspect.go", test: "api.TestIntrospect",
			edits: []edit{{`f.Death(&owner.Policy, now) != ""`, `owner == nil || f.Death(&client.Policy, now) != ""`}},
		},
		{
			rule: "any confidential client may introspect access tokens", file: "shared/api/introspect.go", test: "api.TestIntrospect",
			edits: []edit{{`access.ClientID != client.ID && !client.MayIntrospect {`, `access.ClientID == "" {`}},
		},
		{
			rule: "a superseded token is explained as one that was revoked for reuse", file: "shared/family/explain.go", test: "api.TestExplainValid",
			edits: []edit{{`Verdict: DeadToken, Cause: Superseded,`, `Verdict: DeadToken, Cause: ReuseDetected,`}},
		},
		{
			rule: "a forged token is explained as purged", file: "shared/api/explain.go", test: "api.TestExplainCauses",
			edits: []edit{{`Verdict: family.DeadToken, Cause: family.NeverIssued,
			Summary: "We never`, `Verdict: family.DeadToken, Cause: family.Purged,
			Summary: "We never`}},
		},
		{
			rule: "a purged family is explained as never issued", file: "shared/family/explain.go", test: "api.TestExplainCauses",
			edits: []edit{{`Verdict: DeadToken, Cause: Purged,`, `Verdict: DeadToken, Cause: NeverIssued,`}},
		},
		{
			rule: "the interval that would have saved it is a second too short", file: "shared/family/explain.go", test: "api.TestExplainCauses",
			edits: []edit{{`return Seconds(age/time.Second) + 1 }`, `return Seconds(age / time.Second) }`}},
		},
		{
			rule: "the first token's return is advised upon like any other's", file: "shared/family/explain.go", test: "api.TestExplainCauses",
			edits: []edit{{`	case n == 1:
`, `	case n == 0:
`}},
		},
		{
			rule: "the asking client is not told apart", file: "shared/api/explain.go", test: "api.TestExplainCauses",
			edits: []edit{{`	if clientID == "" {
		attempt.ClientID`, `	if attempt.ClientID != f.ClientID {
		attempt.ClientID`}},
		},
		{
			rule: "to explain reads the family twice", file: "shared/api/explain.go", test: "api.TestExplainOneRead",
			edits: []edit{{`	f, err := a.Table.Family(ctx, id)
`, `	_, _ = a.Table.Family(ctx, id)
	f, err := a.Table.Family(ctx, id)
`}},
		},
	}},
}
