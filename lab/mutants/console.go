package main

var consolePages = chapter{"The console", []mutant{
	{
		rule: "a page of another origin reads the console", pkg: "console", test: "console.TestOtherPagesAreRefused",
		edits: []edit{{`case loopback.FromElsewhere(r):`, `case r.Method == http.MethodPost && loopback.FromElsewhere(r):`}},
	},
	{
		rule: "a rebound name reads the console", pkg: "console", test: "console.TestOtherPagesAreRefused",
		edits: []edit{{`case !loopback.IsOwnHost(r.Host, c.Host):`, `case !loopback.IsOwnHost(r.Host, c.Host) && loopback.FromElsewhere(r):`}},
	},
	{
		rule: "errors have no policy", pkg: "console", test: "console.TestEveryAnswerIsSecured",
		edits: []edit{{`	loopback.Secure(w.Header(), policy)
	switch {`, `	if r.Method == http.MethodGet {
		loopback.Secure(w.Header(), policy)
	}
	switch {`}},
	},
	{
		rule: "a form may be of any size", pkg: "console", test: "console.TestOnlySmallFormsArePosted",
		edits: []edit{{`http.MaxBytesReader(w, r.Body, maxForm)`, `http.MaxBytesReader(w, r.Body, 100*maxForm)`}},
	},
	{
		rule: "the key opens every browser", pkg: "console", test: "console.TestKeyOpensOneBrowser",
		edits: []edit{{`	k.used = true
`, ``}},
	},
	{
		rule: "a preview uses up the key", pkg: "console", test: "console.TestKeyOpensOneBrowser",
		edits: []edit{{`isOpening && r.Method == http.MethodGet && `, `isOpening && `}},
	},
	{
		rule: "the first requests need no key", pkg: "console", test: "console.TestKeyOpensOneBrowser",
		edits: []edit{{`return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1`, `return a == "" || subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1`}},
	},
	{
		rule: "the console's cookie is sent to every port", pkg: "console", test: "console.TestKeyOpensOneBrowser",
		edits: []edit{{`Path: k.base, HttpOnly`, `Path: "/", HttpOnly`}},
	},
	{
		rule: "the cookie opens the console without its path", pkg: "console", test: "console.TestKeyOpensOneBrowser",
		edits: []edit{{`case c.Key != nil && !c.Key.isUnder(r.URL.Path):`, `case c.Key != nil && !c.Key.isUnder(r.URL.Path) && len(r.Cookies()) == 0:`}},
	},
	{
		rule: "a refusal tells the secret path", pkg: "console", test: "console.TestSecretPathIsToldToNobody",
		edits: []edit{{`case c.Key != nil && !c.Key.isUnder(r.URL.Path):`, `case c.Key != nil && r.Header.Get("Origin") == "" && !c.Key.isUnder(r.URL.Path):`}},
	},
	{
		rule: "the address to open is a name that others may answer to", pkg: "console", test: "console.TestServe",
		edits: []edit{{`key.Address("http://"+bound)`, `key.Address("http://localhost:"+port)`}},
	},
	{
		rule: "cookies of other servers shut the console", pkg: "console", test: "console.TestServe",
		edits: []edit{{`maxHeader = 1 << 20`, `maxHeader = 16 << 10`}},
	},
	{
		rule: "what was pasted is shown again", pkg: "console", test: "console.TestPastedTokensAreNowhere",
		edits: []edit{{`const most = 4`, `const most = 12`}},
	},
	{
		rule: "a token in an address is passed on", pkg: "console", test: "console.TestPastedTokensAreNowhere",
		edits: []edit{{`	if kindOf(family) != aFamily {`, `	if kindOf(family) == unknown {`}},
	},
	{
		rule: "what turns a text around is written as it is", pkg: "console", test: "console.TestHostileTextsAreInert",
		edits: []edit{{`unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co)`, `unicode.In(r, unicode.Cc, unicode.Co)`}},
	},
	{
		rule: "a missing permission has no name", pkg: "console", test: "console.TestMissingPermissionIsNamed",
		edits: []edit{{`			Action: refused.Action(),
`, ``}},
	},
	{
		rule: "without the client's policy there is no picture", pkg: "console", test: "console.TestMissingPermissionIsNamed",
		edits: []edit{{`(refused.Denied() || refused.NotFound())`, `refused.NotFound()`}},
	},
	{
		rule: "the interval outlives the family", pkg: "timeline", test: "timeline.TestPicture",
		edits: []edit{{`b.From, b.To = min(b.From, p.Life), min(b.To, p.Life)`, `b.From = min(b.From, p.Life)`}},
	},
	{
		rule: "the interval is as long as the pause", pkg: "timeline", test: "timeline.TestPicture",
		edits: []edit{{`times = append(times, m.At.Add(s.Interval).UnixNano())`, `times = append(times, m.At.UnixNano())`}, {`p.Axis.Place(m.At.Add(p.story.Interval))}`, `p.Axis.Place(m.At.Add(2 * p.story.Interval))}`}},
	},
	{
		rule: "uses from two places in turn are a mark each", pkg: "timeline", test: "timeline.TestSizeIsBounded",
		edits: []edit{{`return at-u.From < useRadius`, `return false`}, {`if len(u.Of) > 1 || u.Of[0].Kind`, `if u.Of[0].Kind`}},
	},
	{
		rule: "a mark of several sorts hides the gravest", pkg: "timeline", test: "timeline.TestPicture",
		edits: []edit{{`max(u.Kind, kind), u.Elsewhere || elsewhere`, `u.Kind, u.Elsewhere`}},
	},
	{
		rule: "the texts of a hostile service are as long as they are", pkg: "timeline", test: "timeline.TestSizeIsBounded",
		edits: []edit{{`len(r) > maxText`, `len(r) > 1_000_000`}},
	},
	{
		rule: "labels cover each other", pkg: "timeline", test: "timeline.TestPicture",
		edits: []edit{{`if covers || onLine || through {`, `if covers && onLine || through {`}},
	},
	{
		rule: "a text of the picture is markup", pkg: "timeline", test: "timeline.TestPicture",
		edits: []edit{{`l.Class, l.X, l.Y, text(l.Text))`, `l.Class, l.X, l.Y, l.Text)`}},
	},
	{
		rule: "the playground is for programs, too", pkg: "local", test: "local.TestAddressIsAPageForBrowsers",
		edits: []edit{{`&& isRead && strings.Contains(r.Header.Get("Accept"), "text/html")`, `&& (isRead || strings.Contains(r.Header.Get("Accept"), "text/html"))`}},
	},
	{
		rule: "calls of the console have no caller", pkg: "local", test: "local.TestCallsOfTheConsoleAreRecorded",
		edits: []edit{{`if isManagement(t.config, r) {`, `if r.URL.Path == "" {`}},
	},
	{
		rule: "the playground's thief is the operator", pkg: "local", test: "local.TestThiefIsNamed",
		edits: []edit{{`	if isManagement(t.config, r) {`, `	if r.URL.Path != "" {`}},
	},
	{
		rule: "a lower bound is counted as an age", pkg: "console", test: "console.TestAgesBeforeTheLastRotation",
		edits: []edit{{`case e.AgeMS == nil, isLowerBound(e):`, `case e.AgeMS == nil:`}},
	},
	{
		rule: "the picture has the machine's time", pkg: "local", test: "local.TestTrail",
		edits: []edit{{`ulid.Time(event.Time()).UTC(), strings.TrimSpace`, `r.Time.UTC().Add(time.Duration(event.Time()-event.Time())), strings.TrimSpace`}},
	},
	{
		rule: "the trail forgets a family with its oldest use", pkg: "local", test: "local.TestTrailIsBounded",
		edits: []edit{{`place.family != "" && t.newest[place.family]+maxTrail == t.count`, `place.family != ""`}},
	},
	{
		rule: "the trail never forgets a family", pkg: "local", test: "local.TestTrailIsBounded",
		edits: []edit{{`delete(t.newest, place.family)`, `_ = place`}},
	},
	{
		rule: "every browser's play is kept", pkg: "console", test: "local.TestPlaysAreApart",
		edits: []edit{{`if ps.used.Len() > maxPlays {`, `if ps.used.Len() > 2*maxPlays {`}},
	},
	{
		rule: "a lost response is saved", pkg: "console", test: "local.TestPlaygroundTellsTheStory",
		edits: []edit{{`		p.behind = true
`, `		p.held = got.Token
`}},
	},
}}
