package main

var recordEnds = chapter{"The end of records", []mutant{
	{
		rule: "a revocation keeps a record past its absolute end's", pkg: "store", test: "server.TestPurge",
		edits: []edit{{`number(epoch(earlier(seen.KeepUntil, t.keepRevoked(e.At, p))))`, `number(epoch(t.keepRevoked(e.At, p)))`}},
	},
	{
		rule: "a refresh shortens the time that a record is kept", pkg: "store", test: "server.TestPurge",
		edits: []edit{{`purge_at = if_not_exists(keep_until, :purge_at)"`, `purge_at = :purge_at"`}},
	},
	{
		rule: "the end of a record without an absolute end does not slide", pkg: "store", test: "server.TestPurge",
		edits: []edit{{`purge_at = if_not_exists(keep_until, :purge_at)"`, `purge_at = if_not_exists(purge_at, :purge_at)"`}},
	},
	{
		rule: "a record goes at the end of its family", pkg: "store", test: "server.TestPurge",
		edits: []edit{{`f.KeepUntil = f.ExpiresAt.Add(t.retention.Families)`, `f.KeepUntil = f.ExpiresAt`}},
	},
	{
		rule: "a record without ends goes after its retention", pkg: "store", test: "server.TestPurge",
		edits: []edit{{`		return never
	}
	return now.Add(p.IdleLifetime`, `		return now.Add(t.retention.Families)
	}
	return now.Add(p.IdleLifetime`}},
	},
}}

var outlivedRecords = chapter{"Records that outlive their use", []mutant{
	{
		rule: "a family revoked as one of many keeps its record for as long as if it lived", pkg: "store", test: "server.TestPurgeOfTheRevoked",
		edits: []edit{
			{`" AND (attribute_not_exists(keep_until) OR keep_until > :purge_at)"`, `""`},
			{`purge, unless = "keep_until", " AND keep_until <= :purge_at"`, `unless = ""`},
			{`aws.String(revokeSet + purge)`, `aws.String(revokeSet + "if_not_exists(keep_until, :purge_at)" + purge[:0])`},
		},
	},
	{
		rule: "a revoked family keeps its record for as long as if it lived", pkg: "store", test: "server.TestPurgeOfTheRevoked",
		edits: []edit{{`if fixed.IsZero() || other.Before(fixed) {`, `if fixed.IsZero() {`}},
	},
	{
		rule: "a device that comes back within its idle lifetime is not told why", pkg: "store", test: "server.TestPurgeOfTheRevoked",
		edits: []edit{{`return at.Add(late + t.retention.Families)`, `return at.Add(t.retention.Families)`}},
	},
	{
		rule: "without an idle lifetime a device that comes back late is not told why", pkg: "store", test: "server.TestPurgeOfTheRevoked",
		edits: []edit{{`	if late == 0 {
		late = lateReturn
	}
`, ``}},
	},
	{
		rule: "one of many: the policy is believed where the record has another end", pkg: "store", test: "server.TestPurgeOfTheRevoked",
		edits: []edit{{`" AND (attribute_not_exists(keep_until) OR keep_until > :purge_at)"`, `""`}},
	},
	{
		rule: "the records of all but one are kept past their absolute ends", pkg: "store", test: "server.TestPurgeOfTheRevoked",
		edits: []edit{{`number(epoch(earlier(f.Family.KeepUntil, t.keepRevoked(e.At, f.Policy))))`, `number(epoch(t.keepRevoked(e.At, f.Policy)))`}},
	},
	{
		rule: "one of many: where the policy was wrong the family is not ended", pkg: "store", test: "server.TestPurgeOfTheRevoked",
		edits: []edit{{`failed.Item["revoked_at"] != nil || unless == "":`, `unless != "":`}},
	},
}}

var owners = chapter{"The record of an owner", []mutant{
	{
		rule: "an owner without a record begins with one family", pkg: "store", test: "server.TestLimitOfAnOwnerWithoutARecord",
		edits: []edit{{`made, err := t.makeOwner(ctx, id, living+1, f.PurgeAt, f.LastUsedAt)`, `living = 0
		made, err := t.makeOwner(ctx, id, living+1, f.PurgeAt, f.LastUsedAt)`}},
	},
	{
		rule: "an owner without a record has the dead counted", pkg: "store", test: "server.TestCountOfAnOwnerWithoutARecord",
		edits: []edit{{`if f.ClientID == id.ClientID && f.Death(p, now) == "" {`, `if f.ClientID == id.ClientID {`}},
	},
	{
		rule: "an owner without a record has families of other clients counted", pkg: "store", test: "server.TestCountOfAnOwnerWithoutARecord",
		edits: []edit{{`if f.ClientID == id.ClientID && f.Death(p, now) == "" {`, `if f.Death(p, now) == "" {`}},
	},
	{
		rule: "an owner without a record, among more families than a login reads, is taken to be within the limit", pkg: "store", test: "server.TestOwnerWithoutARecordAmongMany",
		edits: []edit{{`living+1 > p.MaxActive || !all`, `living+1 > p.MaxActive && all`}},
	},
	{
		rule: "of two logins that find no record of their owner one is not counted", pkg: "store", test: "server.TestLoginsAtOnceWithoutAnOwnersRecord",
		edits: []edit{{`		if made {
			return t.listOwner(`, `		if made || living > 0 {
			return t.listOwner(`}},
	},
	{
		rule: "a login takes an owner's record for one that is there", pkg: "store", test: "server.TestLimitOfAnOwnerWithoutARecord",
		edits: []edit{{`"SET counted_at = :now", "attribute_exists(pk)"`, `"SET counted_at = :now", "(attribute_exists(pk) OR attribute_not_exists(pk))"`}},
	},
	{
		rule: "a login does not keep the record of its owner", pkg: "store", test: "server.TestOwnerRecordMoves",
		edits: []edit{{`update += ", purge_at = :purge_at"`, `update += ", purge_at = if_not_exists(purge_at, :purge_at)"`}},
	},
	{
		rule: "a login of a shorter life lets the record of its owner go earlier", pkg: "store", test: "server.TestOwnerRecordEnds",
		edits: []edit{{`" AND (attribute_not_exists(purge_at) OR purge_at <= :purge_at)"`, `""`}},
	},
	{
		rule: "the record of an owner stays for ever", pkg: "store", test: "server.TestOwnerRecordEnds",
		edits: []edit{{`m["active"], m["plan_id"], m["purge_at"] = number(active), text(""), number(epoch(keep))`, `m["active"], m["plan_id"], m["purge_at"] = number(active), text(""), number(epoch(never))`}},
	},
	{
		rule: "a sweep takes an owner without a record off the work list", pkg: "sweep", test: "server.TestSweepOfAnOwnerWithoutARecord",
		edits: []edit{{`if len(found.active) == 0 {`, `if len(found.active) >= 0 {`}},
	},
	{
		rule: "a sweep puts an owner on record that has nothing left", pkg: "sweep", test: "server.TestSweepOfAnOwnerWithoutARecord",
		edits: []edit{{`if len(found.active) == 0 {`, `if len(found.active) < 0 {`}},
	},
}}

var recordSizes = chapter{"Sizes", []mutant{
	{
		rule: "a record may grow past its limit", pkg: "manage", test: "server.TestItemSize",
		edits: []edit{{`	excess := size - store.MaxFamilySize
`, `	excess := size - 2*store.MaxFamilySize
`}},
	},
	{
		rule: "what uses add to a record does not count", pkg: "store", file: "size.go", test: "server.TestItemSize",
		edits: []edit{{`	g.LastUserAgent = strings.Repeat("a", userAgent)
`, ``}, {`	"strings"
`, `	"strings"
	_ "time"
`}},
	},
	{
		rule: "an address in a record does not count", pkg: "store", test: "server.TestItemSize",
		edits: []edit{{`	g.LastIP = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
`, ``}},
	},
	{
		rule: "numbers that grow in a record do not count", pkg: "store", test: "server.TestItemSize",
		edits: []edit{{`	g.Counter, g.Held, g.Skipped = math.MaxUint32, math.MaxUint32, family.Range{From: math.MaxUint32, To: math.MaxUint32}
`, `	g.Counter = math.MaxUint8
`}},
	},
	{
		rule: "more is refused than has to be", pkg: "store", test: "server.TestItemSize",
		edits: []edit{{`return ItemSize(m), nil`, `return ItemSize(m) + 64, nil`}},
	},
	{
		rule: "a refresh may ask for any number of scopes", pkg: "oauth", test: "server.TestScope",
		edits: []edit{{`if len(scope) > maxAskedScopes {`, `if len(scope) > session.MaxScope {`}},
	},
	{
		rule: "a scope asked for twice is two", pkg: "session", test: "server.TestScope",
		edits: []edit{{`		if !seen[t] {
			scope = append(scope, t)`, `		if !seen[t] || len(scope) > 0 {
			scope = append(scope, t)`}},
	},
	{
		rule: "a long device is refused", pkg: "manage", test: "server.TestDescriptionsAreCut",
		edits: []edit{{`	f.Claims = in.claims(body.claims)
`, `	f.Claims = in.claims(body.claims)
	in.text("device", body.device, session.MaxText)
`}},
	},
	{
		rule: "a text is cut within a character", pkg: "session", test: "server.TestDescriptionsAreCut",
		edits: []edit{{`for n > 0 && !utf8.RuneStart(s[n]) {`, `for n > 0 && !utf8.RuneStart(s[n]) && s == "" {`}},
	},
	{
		rule: "a user agent is cut to where browsers begin to differ", pkg: "session", test: "server.TestDescriptionsAreCut",
		edits: []edit{{`	MaxText      = 256`, `	MaxText      = 48`}},
	},
	{
		rule: "characters of HTML are six bytes in a token", pkg: "signing", test: "signing.TestClaimsAreNotEscaped",
		edits: []edit{{`	e.SetEscapeHTML(false)
`, ``}},
	},
}}

var elsewhere = chapter{"Everywhere else", []mutant{
	{
		rule: "the family that is kept ends, too", pkg: "session", test: "server.TestRevokeAllBut",
		edits: []edit{{`s.Keep != nil && f.ID == s.Keep.Family.ID {`, `s.Keep != nil && f.ID == (family.ID{}) {`}},
	},
	{
		rule: "another user's family can be the one to keep", pkg: "manage", test: "server.TestRevokeAllButNothing",
		edits: []edit{{`if err != nil || id.UserKey() != userKey {`, `if err != nil {`}},
	},
	{
		rule: "a dead family can be the one to keep", pkg: "manage", test: "server.TestRevokeAllButNothing",
		edits: []edit{{`if client == nil || f.Death(&client.Policy, now) != "" {`, `if client == nil {`}},
	},
	{
		rule: "a family whose client is gone can be the one to keep", pkg: "manage", test: "server.TestRevokeAllButNothing",
		edits: []edit{{`	if client == nil || f.Death(&client.Policy, now) != "" {
		return nil, errNoFamilyToKeep
	}
	return &store.Ending{Family: f, Policy: &client.Policy}, nil`, `	if f.Death(policyOf(client), now) != "" {
		return nil, errNoFamilyToKeep
	}
	return &store.Ending{Family: f, Policy: policyOf(client)}, nil`}},
	},
	{
		rule: "two devices sign each other out", pkg: "store", test: "server.TestRevokeAllButRace",
		edits: []edit{{`aws.String("attribute_exists(pk) AND " + aliveCondition)`, `aws.String("attribute_exists(pk) AND :now > :idle_since")`}},
	},
	{
		rule: "the one to keep may be gone when the others end", pkg: "store", test: "storetest.TestNothingComesOfNothing",
		edits: []edit{{`aws.String("attribute_exists(pk) AND " + aliveCondition)`, `aws.String("attribute_not_exists(revoked_at) AND :now > :idle_since")`}},
	},
	{
		rule: "one that ended meanwhile keeps the others from ending", pkg: "session", test: "server.TestRevokeAllButBesideOthers",
		edits: []edit{{`		case len(dead) > 0: // they ended after they were read
`, `		case len(dead) > 0 && len(living) == 0:
`}},
	},
	{
		rule: "one's own answer that was lost is another's", pkg: "store", test: "server.TestRevokeAllButFaults",
		edits: []edit{{`		if hasMark(r.Item, e.ID) { // it`, `		if hasMark(r.Item, ulid.ULID{}) { // it`}},
	},
	{
		rule: "each transaction stores the event", pkg: "session", test: "server.TestRevokeAllButMany",
		edits: []edit{{`living[:n], event, len(ended) == 0)`, `living[:n], e, len(ended) > 0)`}},
	},
}}
