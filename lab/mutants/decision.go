package main

var decisions = chapter{"The decision", []mutant{
	{
		rule: "another client's token is decided like one's own", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`if f.ClientID != a.ClientID {`, `if f.ClientID != a.ClientID && f.ClientID == "" {`}},
	},
	{
		rule: "another client's token is reuse: it ends the family", pkg: "family", file: "decide.go", test: "family.TestDecide",
		edits: []edit{{`Verdict{Kind: Dead, Cause: WrongClient}`, `Verdict{Kind: Reuse}`}},
	},
	{
		rule: "revoked comes before wrong client", pkg: "family", file: "decide.go", test: "family.TestDecide",
		edits: []edit{{`if f.ClientID != a.ClientID {`, `if f.ClientID != a.ClientID && f.Revoked.At.IsZero() {`}},
	},
	{
		rule: "expired comes before revoked", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`if !f.Revoked.At.IsZero() {`, `if !f.Revoked.At.IsZero() && now.Before(f.ExpiresAt) {`}},
	},
	{
		rule: "a revocation is not looked at", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`if !f.Revoked.At.IsZero() {`, `if !f.Revoked.At.IsZero() && f.Revoked.Cause == "" {`}},
	},
	{
		rule: "the client's not_before is not looked at", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`if f.IssuedAt().Before(p.NotBefore) {`, `if f.IssuedAt().IsZero() {`}},
	},
	{
		rule: "a family that was issued at the client's not_before is dead", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`if f.IssuedAt().Before(p.NotBefore) {`, `if !f.IssuedAt().After(p.NotBefore) {`}},
	},
	{
		rule: "expired comes before the client's not_before", pkg: "family", test: "family.TestOrderOfTheRules",
		edits: []edit{{`if f.IssuedAt().Before(p.NotBefore) {`, `if end := f.End(p); f.IssuedAt().Before(p.NotBefore) && (end.IsZero() || now.Before(end)) {`}},
	},
	{
		rule: "an end is inclusive", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`case end.IsZero() || now.Before(end):`, `case end.IsZero() || !now.After(end):`}},
	},
	{
		rule: "of two ends the later one counts", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`!idle.IsZero() && idle.Before(f.ExpiresAt) {`, `!idle.IsZero() && idle.After(f.ExpiresAt) {`}},
	},
	{
		rule: "the idle end is counted from the issue", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`return f.LastUsedAt.Add(p.IdleLifetime.Duration())`, `return f.IssuedAt().Add(p.IdleLifetime.Duration())`}},
	},
	{
		rule: "the idle lifetime is not that of the client's present policy", pkg: "family", test: "server.TestIdleEndFollowsThePolicy",
		edits: []edit{{`return f.LastUsedAt.Add(p.IdleLifetime.Duration())`, `return f.LastUsedAt.Add(DefaultPolicy().IdleLifetime.Duration())`}},
	},
	{
		rule: "one's own write is not known by its mark", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`bytes.Equal(f.RotationID, a.WriteID) {`, `bytes.Equal(f.RotationID, a.WriteID) && f.Counter == 0 {`}},
	},
	{
		rule: "another's mark is taken for one's own", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`bytes.Equal(f.RotationID, a.WriteID) {`, `!bytes.Equal(f.RotationID, nil) {`}},
	},
	{
		rule: "one's own write comes before revoked", pkg: "family", file: "decide.go", test: "family.TestOrderOfTheRules",
		edits: []edit{{`cause != "" {`, `cause != "" && (len(a.WriteID) == 0 || !bytes.Equal(f.RotationID, a.WriteID)) {`}},
	},
	{
		rule: "a scope that was not granted comes before reuse", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`if v.Active() && !f.Granted(a.Scope) {`, `if !f.Granted(a.Scope) {`}},
	},
	{
		rule: "a racer gets what was not granted", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`if v.Active() && !f.Granted(a.Scope) {`, `if v.Kind == Current && !f.Granted(a.Scope) {`}},
	},
	{
		rule: "the end of the reuse interval is inside", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`f.sinceRotation(now) < p.ReuseInterval.Duration():`, `f.sinceRotation(now) <= p.ReuseInterval.Duration():`}},
	},
	{
		rule: "at the end of the interval a token is still held, the decision says", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`f.sinceRotation(now) < p.ReuseInterval.Duration()
}`, `f.sinceRotation(now) <= p.ReuseInterval.Duration()
}`}},
	},
	{
		rule: "a token is held without rotation as well", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`return p.Rotation && f.sinceRotation`, `return f.sinceRotation`}},
	},
	{
		rule: "a held token is taken for one that explains nothing", pkg: "family", test: "server.TestHeld",
		edits: []edit{{`case n == f.Counter && f.holds(p, now):`, `case n == f.Counter && f.holds(p, now) && p == nil:`}},
	},
	{
		rule: "a token superseded twice is honoured inside the interval of the newest", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`case n == pred && f.sinceRotation`, `case n <= pred && f.sinceRotation`}},
	},
	{
		rule: "a request older than the newest rotation is reuse", pkg: "family", test: "server.TestSlowRequestIsNoReuse",
		edits: []edit{{`case n < pred && now.Before(f.RotatedAt) &&`, `case n < pred && now.After(now) &&`}},
	},
	{
		rule: "a request older than the newest rotation is not honoured though reuse is only observed", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`p.ReuseInterval > 0 && !p.Observing(now):`, `p.ReuseInterval > 0:`}},
	},
	{
		rule: "without an interval a request older than the newest rotation is never reuse", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`now.Before(f.RotatedAt) && p.ReuseInterval > 0 &&`, `now.Before(f.RotatedAt) &&`}},
	},
	{
		rule: "a token superseded twice is refused, and the family lives: no thief is found who refreshes fast", pkg: "family", test: "server.TestFastThief",
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
		rule: "a reuse interval of 0 is honoured", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`f.sinceRotation(now) < p.ReuseInterval.Duration():`, `f.sinceRotation(now) < max(p.ReuseInterval.Duration(), time.Millisecond):`}},
	},
	{
		rule: "a negative age stays negative", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`return max(now.Sub(f.RotatedAt), 0)`, `return now.Sub(f.RotatedAt)`}},
	},
	{
		rule: "a negative age counts as that long ago", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`return max(now.Sub(f.RotatedAt), 0)`, `return now.Sub(f.RotatedAt).Abs()`}},
	},
	{
		rule: "a racer moves the counter", pkg: "family", file: "decide.go", test: "family.TestDecide",
		edits: []edit{{`return Verdict{Kind: Newest, Age`, `return Verdict{Kind: Lost, Age`}},
	},
	{
		rule: "a skipped token inside the reuse interval is honoured", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`case n > pred: // it was skipped`, `case n > pred && f.sinceRotation(now) >= p.ReuseInterval.Duration(): // skipped`}, {`case n == pred && f.sinceRotation`, `case n >= pred && f.sinceRotation`}},
	},
	{
		rule: "a skipped token is a lost response", pkg: "family", test: "family.TestAfterLost",
		edits: []edit{{`case n > pred: // it was skipped`, `case n > pred && p.LostResponse == Revoke: // skipped`}, {`case n == pred && p.LostResponse`, `case n >= pred && p.LostResponse`}},
	},
	{
		rule: "a token superseded twice is a lost response", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`case n == pred && p.LostResponse`, `case n <= pred && p.LostResponse`}},
	},
	{
		rule: "a held use does not count as use: a thief's token is taken for a lost response", pkg: "family", test: "server.TestHeldUseCountsAsUse",
		edits: []edit{{`&& f.Held != f.Counter && f.Counter <`, `&& f.Counter <`}},
	},
	{
		rule: "a held use of an earlier token counts as one of the newest", pkg: "family", test: "server.TestLostResponseAfterHeldUses",
		edits: []edit{{`&& f.Held != f.Counter && f.Counter <`, `&& f.Held == 0 && f.Counter <`}},
	},
	{
		rule: "a held use is not written down where lost responses are forgiven", pkg: "family", test: "family.TestMustRecord",
		edits: []edit{{`if v.Kind == Held && p.LostResponse == UntilUsed &&`, `if v.Kind == Held && p == nil &&`}},
	},
	{
		rule: "a held use is written down each time", pkg: "family", test: "family.TestMustRecord",
		edits: []edit{{`&& f.Held != f.Counter {
		return true`, `{
		return true`}},
	},
	{
		rule: "a racer's use of the predecessor is one of the newest token", pkg: "family", test: "family.TestMustRecord",
		edits: []edit{{`if v.Kind == Held && p.LostResponse`, `if p.LostResponse`}},
	},
	{
		rule: "a use without rotation does not keep a family from dying idle", pkg: "family", test: "family.TestMustRecord",
		edits: []edit{{`return now.Sub(f.LastUsedAt) > behind`, `return now.Sub(f.LastUsedAt) > behind && p == nil`}},
	},
	{
		rule: "a short idle lifetime is not looked at when a use is left unrecorded", pkg: "family", test: "family.TestMustRecord",
		edits: []edit{{`if p.IdleLifetime != 0 {
		behind`, `if p.IdleLifetime < 0 {
		behind`}},
	},
	{
		rule: "a held use is not written as one of the newest token", pkg: "store", test: "server.TestHeldUseCountsAsUse",
		edits: []edit{{`	if held {
		set += heldSet`, `	if !held {
		set += heldSet`}},
	},
	{
		rule: "a held use is written whatever the record has become", pkg: "store", test: "server.TestHeldUseIsOfTheRecordSeen",
		edits: []edit{{`condition := r.condition(values)
	return t.updateFamily(ctx, seen.ID, "record a use"`, `condition := "attribute_exists(pk) AND " + aliveCondition + " AND (#counter = :n OR client_id = :client)"
	return t.updateFamily(ctx, seen.ID, "record a use"`}},
	},
	{
		rule: "a held use is written to a family that was revoked meanwhile", pkg: "store", test: "server.TestHeldUseIsOfTheRecordSeen",
		edits: []edit{{`condition := r.condition(values)
	return t.updateFamily(ctx, seen.ID, "record a use"`, `condition := "#counter = :n AND client_id = :client AND expires_at > :now AND last_used_at > :idle_since"
	return t.updateFamily(ctx, seen.ID, "record a use"`}},
	},
	{
		rule: "a held use that cannot be written down is a success", pkg: "session", test: "server.TestHeldUseThatCannotBeRecorded",
		edits: []edit{{`			if err == nil && done {
				e.recordExchange(ctx, u, tok, seen, v)`, `			if err != nil || done {
				e.recordExchange(ctx, u, tok, seen, v)`}},
	},
	{
		rule: "a record of before uses were recorded is not skipped", pkg: "store", test: "server.TestSkipOfAnOlderRecord",
		edits: []edit{{`" AND (attribute_not_exists(held) OR held <> :n)"`, `" AND held <= :n AND held < :n"`}},
	},
	{
		rule: "a lost response is skipped although the newest token was used meanwhile", pkg: "store", test: "server.TestSkipBesideAHeldUse",
		edits: []edit{{`*u.ConditionExpression + unused)`, `*u.ConditionExpression)`}},
	},
	{
		rule: "a response that was lost twice is reuse", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`return f.Skipped.From - 1`, `return f.Counter - 1`}},
	},
	{
		rule: "a lost response is forgiven where the policy revokes", pkg: "family", file: "decide.go", test: "family.TestDecide",
		edits: []edit{{`&& p.LostResponse == UntilUsed &&`, `&& p.LostResponse != "" &&`}},
	},
	{
		rule: "a lost response is forgiven at the largest counter", pkg: "family", test: "family.TestLostResponseAtTheLargestCounter",
		edits: []edit{{`&& f.Counter < math.MaxUint32:`, `:`}},
	},
	{
		rule: "reuse is not detected", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`v := Verdict{Kind: Reuse, Age`, `v := Verdict{Kind: Refused, Age`}},
	},
	{
		rule: "a policy that observes revokes", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`return p.ReuseDetection == Observe && now.Before(p.ObserveUntil)`, `return p.ReuseDetection == "" && now.Before(p.ObserveUntil)`}},
	},
	{
		rule: "observing has no end", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`return p.ReuseDetection == Observe && now.Before(p.ObserveUntil)`, `return p.ReuseDetection == Observe`}},
	},
	{
		rule: "the largest counter is not refused", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`case n == math.MaxUint32: // there`, `case n == math.MaxUint32 && f == nil: // there`}},
	},
	{
		rule: "a token newer than the record is the newest", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`	case n == f.Counter:
`, `	case n >= f.Counter:
`}},
	},
	{
		rule: "where there is no record, nothing is said", pkg: "family", file: "decide.go", test: "family.TestDecide",
		edits: []edit{{`return Verdict{Kind: Dead, Cause: Purged}`, `return Verdict{}`}},
	},
}}
