package main

// deviceSessions breaks the rules of sessions that are bound to the browser's device.
var deviceSessions = chapter{"Sessions bound to the device", []mutant{
	{
		rule: "a key is registered at any time after the login", pkg: "oauth", test: "server.TestForeignRegistration",
		edits: []edit{{`	case !s.Family.RegistrationOpen(now):`, `	case s.Family.RegistrationOpen(now) && s.Family == (family.ID{}):`}},
	},
	{
		rule: "a key is offered to be registered at any time", pkg: "family", test: "server.TestBrowserWithoutDBSC",
		edits: []edit{{`!f.Origin.Kind.Foreign() && f.ID.RegistrationOpen(now)`, `!f.Origin.Kind.Foreign() && f.ID.RegistrationOpen(f.IssuedAt())`}},
	},
	{
		rule: "a family that is bound already is offered another key", pkg: "family", test: "server.TestDeviceSettings",
		edits: []edit{{`return !f.Bound() && !f.Origin.Kind`, `return !f.Origin.Kind`}},
	},
	{
		rule: "a client that is not device-bound has keys registered", pkg: "oauth", test: "server.TestForeignRegistration",
		edits: []edit{{`!q.client.DeviceBound || !t.Record`, `!t.Record`}},
	},
	{
		rule: "a page of another origin registers a key", pkg: "oauth", test: "server.TestForeignRegistration",
		edits: []edit{{`if !isSameOrigin(r) || !a.isOwnOrigin(sentOrigin(r)) {`, `if !isSameOrigin(r) && !a.isOwnOrigin(sentOrigin(r)) {`}},
	},
	{
		rule: "a key is registered without a cookie of the session", pkg: "oauth", test: "server.TestForeignRegistration",
		edits: []edit{{`	if err == nil && !holds {`, `	if err == nil && !holds && cookie == nil {`}},
	},
	{
		rule: "a key is registered for a session with another one's cookie", pkg: "session", test: "server.TestForeignRegistration",
		edits: []edit{{`return err == nil && held.family == id, orIfBad(err, nil)`, `return err == nil || c.Tokens != nil && held.family != id, orIfBad(err, nil)`}},
	},
	{
		rule: "a challenge is good forever", pkg: "session", test: "server.TestChallenges",
		edits: []edit{{`	if ahead < -1 || ahead > 1 {`, `	if ahead > 1 {`}},
	},
	{
		rule: "a challenge is good in its own quarter of an hour alone", pkg: "session", test: "server.TestChallenges",
		edits: []edit{{`	if ahead < -1 || ahead > 1 {`, `	if ahead < 0 || ahead > 1 {`}},
	},
	{
		rule: "each challenge is another, so that the browser must sign each time", pkg: "session", test: "server.TestChallenges",
		edits: []edit{{`uint64(now.UnixMilli()/while.Milliseconds()))`, `uint64(now.UnixMilli()/while.Milliseconds())+uint64(now.UnixMilli()/1000)<<40)`}, {`ahead := int64(binary.BigEndian.Uint64(opened.content)) - now`, `ahead := int64(binary.BigEndian.Uint64(opened.content)&(1<<40-1)) - now`}},
	},
	{
		rule: "a challenge of one session is good for another", pkg: "oauth", test: "server.TestRenewalRefused",
		edits: []edit{{`	if err == nil && (id != s.Family || clientID != s.ClientID) {`, `	if err == nil && (id == (family.ID{}) || clientID != s.ClientID) {`}},
	},
	{
		rule: "a stale challenge ends the session", pkg: "oauth", test: "server.TestChallenges",
		edits: []edit{{`		a.challenge(w, keys, s, identifier, now)
		return errUnsigned`, `		return sessionEnded(w)`}},
	},
	{
		rule: "a device cookie is good for ever", pkg: "session", test: "server.TestDeviceCookieCopied",
		edits: []edit{{`	case !u.Now.Before(d.until):`, `	case d.until.IsZero():`}},
	},
	{
		rule: "a device cookie ends while the browser still has it", pkg: "oauth", test: "server.TestDeviceCookieCopied",
		edits: []edit{{`a.DeviceCookieLife + deviceCookieDelay)`, `a.DeviceCookieLife)`}},
	},
	{
		rule: "an old device cookie stays, so that the browser does not renew it", pkg: "oauth", test: "server.TestDeviceCookieCopied",
		edits: []edit{{`	case errors.Is(err, session.ErrNotRenewed):
		j.clearDevice(w, j.sid)`, ``}},
	},
	{
		rule: "a device cookie of one session is good for another", pkg: "session", test: "server.TestSeveralDeviceSessions",
		edits: []edit{{`len(opened.content) < head || c.SessionID != opened.family.ULID().String() {`, `len(opened.content) < head {`}},
	},
	{
		rule: "a refresh token of a bound session that was under way logs the user out", pkg: "family", test: "server.TestTokensUnderWay",
		edits: []edit{{`underWay = 2 * time.Minute`, `underWay = 0`}},
	},
	{
		rule: "a code that was used waits for a renewal", pkg: "session", test: "server.TestCodeOfTheBound",
		edits: []edit{{`refreshes := u.Origin != family.Code && `, `refreshes := `}},
	},
	{
		rule: "a page whose browser could not renew is logged out", pkg: "session", test: "server.TestLostRenewal",
		edits: []edit{{`		return nil, false, "skipped", nil`, `		return nil, false, "", nil`}},
	},
	{
		rule: "a renewal that was skipped excuses every session", pkg: "session", test: "server.TestSkippedIsOfTheSession",
		edits: []edit{{`(u.Cookie.SessionID == "" || u.Cookie.SessionID == s.Family.ULID().String()):`, `s.ClientID != "":`}},
	},
	{
		rule: "a device key binds nothing", pkg: "store", test: "server.TestDeviceCookieCopied",
		edits: []edit{{`deviceSet = ", jkt = :jkt, bound_at`, `deviceSet = ", bound_at`}},
	},
	{
		rule: "each use of a device key binds the family anew", pkg: "store", test: "server.TestDeviceBound",
		edits: []edit{{`bound_at = if_not_exists(bound_at, :now)`, `bound_at = :now`}},
	},
	{
		rule: "of two keys the last one wins", pkg: "store", test: "server.TestKeyKeptForLater",
		edits: []edit{{`OR (attribute_not_exists(jkt) AND last_used_at`, `OR (attribute_exists(pk) AND last_used_at`}},
	},
	{
		rule: "a key that was kept binds a session weeks later", pkg: "store", test: "server.TestKeyKeptForLater",
		edits: []edit{{`last_used_at <= :may_bind_until`, `last_used_at <> :may_bind_until`}},
	},
	{
		rule: "the refusal of a key that was kept is a failure", pkg: "family", test: "server.TestKeyKeptForLater",
		edits: []edit{{`!f.Bound() && f.LastUsedAt.After(`, `!f.Bound() && f.ID.IssuedAt().After(`}},
	},
	{
		rule: "a dead session's device cookie gets access tokens", pkg: "store", test: "server.TestRenewalOfTheDead",
		edits: []edit{{`deviceCondition = "client_id = :client AND " + aliveCondition`, `deviceCondition = "client_id = :client AND (:idle_since < :now OR expires_at > :now)"`}},
	},
	{
		rule: "a device cookie gets a scope that was not granted", pkg: "store", test: "server.TestDeviceScope",
		edits: []edit{{`	if len(a.Scope) > 0 {`, `	if len(a.Scope) > 100 {`}},
	},
	{
		rule: "a key that lost sees the cookies of the session deleted", pkg: "oauth", test: "server.TestTwoRegistrations",
		edits: []edit{{`		if dead.Cause != family.WrongKey {`, `		if dead.Cause != "" {`}},
	},
	{
		rule: "a session that has ended keeps its cookies", pkg: "oauth", test: "server.TestRenewalOfTheDead",
		edits: []edit{{`		if dead.Cause != family.WrongKey {`, `		if dead.Cause == "" {`}},
	},
	{
		rule: "a logout does not know the device cookie", pkg: "session", test: "server.TestDeviceBound",
		edits: []edit{{`		return inCookie{family: d.family}, nil`, `		return inCookie{family: d.family}, token.ErrMalformed`}},
	},
	{
		rule: "an answer to a device cookie has a refresh token", pkg: "session", test: "server.TestDeviceBound",
		edits: []edit{{`answer.RefreshToken, answer.ByDevice = "", true`, `answer.ByDevice = true`}},
	},
	{
		rule: "a login deletes the device cookies of other sessions", pkg: "oauth", test: "server.TestManyDeviceSessions",
		edits: []edit{{`if excess > 0 && j.values[sid].device == nil {`, `if excess > 0 {`}},
	},
	{
		rule: "pages may send the headers of the browser", pkg: "oauth", test: "server.TestPagesSendNoDeviceHeaders",
		edits: []edit{{`strings.Contains(asked, devicePrefix)`, `strings.Contains(asked, "x-"+devicePrefix)`}},
	},
	{
		rule: "a renewal that ends a session asks for a password", pkg: "oauth", test: "server.TestRenewalRefused",
		edits: []edit{{`	w.Header().Set("WWW-Authenticate", "Secure-Session") // and`, `	// and`}, {`func sessionEnded(w http.ResponseWriter)`, `func sessionEnded(http.ResponseWriter)`}},
	},
	{
		rule: "device_bound goes together with keys of the application", pkg: "manage", test: "server.TestDeviceSettings",
		edits: []edit{{`	if c.DeviceBound && c.Policy.DPoP == family.DPoPRequired {`, `	if c.DeviceBound && c.Policy.DPoP == "" {`}},
	},
}}
