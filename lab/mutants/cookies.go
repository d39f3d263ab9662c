package main

// sessionCookies breaks the rules of the transport "cookie".
var sessionCookies = chapter{"Session cookies", []mutant{
	{
		rule: "each first visit to a page is a refusal in the log", pkg: "session", test: "server.TestCookieNotYetThere",
		edits: []edit{{`case errors.Is(err, errNoCookie) && u.Cookie.SessionID == "":`, `case errors.Is(err, errNoCookie) && u.Cookie == nil:`}},
	},
	{
		rule: "a form of another page uses a session's cookie: the header is not asked for", pkg: "oauth", test: "server.TestCookieCallers",
		edits: []edit{{`if h := r.Header.Values(transportHeader); len(h) != 1 || h[0] != "cookie" {`, `if h := r.Header.Values(transportHeader); len(h) > 1 || len(h) == 1 && h[0] != "cookie" {`}},
	},
	{
		rule: "a request that no page sends uses a session's cookie", pkg: "oauth", test: "server.TestCookieCallers",
		edits: []edit{{`if !isSameOrigin(r) && (from == "" || !a.originNamed(from)) {`, `if !isSameOrigin(r) && from != "" && !a.originNamed(from) {`}},
	},
	{
		rule: "the setting * lets every page use a session's cookie", pkg: "oauth", test: "server.TestCookieCallers",
		edits: []edit{{`return a.Origins.Has(header) && !a.Origins.Any() || a.isOwnOrigin(header)`, `return a.Origins.Has(header) || a.isOwnOrigin(header)`}},
	},
	{
		rule: "a page's own server cannot forward its requests", pkg: "oauth", test: "server.TestCookieCallers",
		edits: []edit{{`if !isSameOrigin(r) && (from == "" || !a.originNamed(from)) {`, `if from == "" || !a.originNamed(from) {`}},
	},
	{
		rule: "the log does not say that a page was refused a cookie", pkg: "oauth", test: "server.TestCookieCallers",
		edits: []edit{{`		a.recordOrigin(r, from)
		return nil, errNotAPage`, `		return nil, errNotAPage`}},
	},
	{
		rule: "browsers send no cookie to a named origin's requests", pkg: "oauth", test: "server.TestCookiePreflight",
		edits: []edit{{`ExposedHeaders: exposedHeaders, AllowCredentials: true`, `ExposedHeaders: exposedHeaders, AllowCredentials: false`}},
	},
	{
		rule: "the setting * allows credentials", pkg: "oauth", test: "server.TestCookiePreflight",
		edits: []edit{{`options.AllowedOrigins, options.AllowCredentials = []string{"*"}, false`, `options.AllowedOrigins = []string{"*"}`}},
	},
	{
		rule: "Supabase's wire gives a cookie client a refresh token in a body", pkg: "oauth", test: "server.TestCookieOnSupabasesWire",
		edits: []edit{{`if err == nil && client.Cookie {`, `if err == nil && client.Cookie && client.Confidential {`}},
	},
	{
		rule: "any name that begins like a cookie of the client is one", pkg: "oauth", test: "server.TestCookieNames",
		edits: []edit{{`		if ok && isSID(sid) {`, `		if ok {`}},
	},
	{
		rule: "a sid in small letters is another name for the session", pkg: "oauth", test: "server.TestCookieNames",
		edits: []edit{{`return err == nil && id.String() == s`, `return err == nil && strings.EqualFold(id.String(), s)`}},
	},
	{
		rule: "of a cookie that comes twice the first is taken", pkg: "oauth", test: "server.TestCookieRequests",
		edits: []edit{{`		if len(values) > 1 {
			return nil, errRepeatedCookie
		}
		c.Tokens = append(c.Tokens, values...)`, `		c.Tokens = append(c.Tokens, values[:min(1, len(values))]...)`}},
	},
	{
		rule: "a malformed sid is a session without a cookie", pkg: "oauth", test: "server.TestCookieRequests",
		edits: []edit{{`	case sid != "" && !isSID(sid):
		return nil, errMalformedSID
`, ``}},
	},
	{
		rule: "a sid may be sent twice", pkg: "oauth", test: "server.TestCookieRequests",
		edits: []edit{{`"code", "code_verifier", "redirect_uri", sidParam,`, `"code", "code_verifier", "redirect_uri",`}},
	},
	{
		rule: "a token beside a sid is taken", pkg: "oauth", test: "server.TestCookieRequests",
		edits: []edit{{`	case body != "" && q.params.get(sidParam) != "":
		return "", nil, errTokenAndSID
`, ``}},
	},
	{
		rule: "of two sessions one is taken", pkg: "oauth", test: "server.TestCookieSession",
		edits: []edit{{`case len(j.values) > 1:`, `case len(j.values) > 2:`}},
	},
	{
		rule: "a cookie refreshes the session of whatever token is in it", pkg: "session", test: "server.TestCookieSession",
		edits: []edit{{`case c.SessionID != family.ID(tok.Family).ULID().String():`, `case c.SessionID == "" && family.ID(tok.Family).ULID().String() != "":`}},
	},
	{
		rule: "a token of another provider in a cookie is looked up", pkg: "session", test: "server.TestCookieOfAnotherProvider",
		edits: []edit{{`		tok, keys, err = e.parseCookie(ctx, keys, u.Cookie, u.Now)
`, `		tok, keys, err = e.parseCookie(ctx, keys, u.Cookie, u.Now)
		if errors.Is(err, token.ErrMalformed) && u.Client.KnowsForeign(u.Cookie.Tokens[0]) {
			u.Token, u.Origin = u.Cookie.Tokens[0], family.Imported
			tok, err = e.openForeign(ctx, keys, &u)
		}
`}},
	},
	{
		rule: "a refresh token leaves in the body as well", pkg: "oauth", test: "server.TestCookie",
		edits: []edit{{`	t.RefreshToken = ""
`, ``}},
	},
	{
		rule: "a racer's answer does not set the newest cookie", pkg: "oauth", test: "server.TestCookie",
		edits: []edit{{`	j.set(w, t.SessionID, even, t.RefreshToken, age)
`, `	if t.Record.RotatedAt.Equal(now) {
		j.set(w, t.SessionID, even, t.RefreshToken, age)
	}
`}},
	},
	{
		rule: "an answer that is late overwrites the newest token", pkg: "oauth", test: "server.TestCookieLate",
		edits: []edit{{`even := t.Record.Counter%2 == 0`, `even := t.Record.Counter == 0`}},
	},
	{
		rule: "an answer that is late deletes the newest token", pkg: "oauth", test: "server.TestCookieLate",
		edits: []edit{{` && t.Record.RotatedAt.Equal(now) {`, ` && !now.IsZero() {`}},
	},
	{
		rule: "of a session's two tokens the older is used", pkg: "session", test: "server.TestCookieLate",
		edits: []edit{{`case tok.Counter > newest.Counter:`, `case newest.Counter == 0 || tok.Counter < newest.Counter:`}},
	},
	{
		rule: "a browser keeps every session's cookie", pkg: "oauth", test: "server.TestCookieSessions",
		edits: []edit{{`excess := len(j.values) - (maxSessions - 1)`, `excess := len(j.values) - 100*maxSessions`}},
	},
	{
		rule: "a browser keeps four sessions", pkg: "oauth", test: "server.TestCookieSessions",
		edits: []edit{{`len(j.values) - (maxSessions - 1)`, `len(j.values) - (maxSessions - 2)`}},
	},
	{
		rule: "of too many sessions the newest goes", pkg: "oauth", test: "server.TestCookieSessions",
		edits: []edit{{`range slices.Sorted(maps.Keys(j.values)) { // the oldest first`, `range slices.SortedFunc(maps.Keys(j.values), func(a, b string) int { return strings.Compare(b, a) }) {`}},
	},
	{
		rule: "a failure of the store deletes the cookie", pkg: "oauth", test: "server.TestCookieOutage",
		edits: []edit{{`	case refused:`, `	case refused || e == nil:`}},
	},
	{
		rule: "every refusal deletes the cookie", pkg: "oauth", test: "server.TestCookieErrors",
		edits: []edit{{`errors.As(err, &e) && e.code == "invalid_grant" ||`, `errors.As(err, &e) ||`}, {`errors.Is(err, session.ErrOtherClient)
	switch`, `errors.Is(err, session.ErrOtherClient) || errors.Is(err, session.ErrScopeNotGranted)
	switch`}},
	},
	{
		rule: "a dead token leaves its cookie", pkg: "oauth", test: "server.TestCookieRefused",
		edits: []edit{{`	case refused:`, `	case refused && j.sid == "":`}},
	},
	{
		rule: "a refresh without a cookie deletes the one that was set meanwhile", pkg: "oauth", test: "server.TestCookieNotYetThere",
		edits: []edit{{`	case !j.hasCookie():
	case refused:
		j.clear(w, j.sid)`, `	case j == nil || j.sid == "":
	case refused:
		j.clearEnded(w, j.sid)`}},
	},
	{
		rule: "a revocation ends the session of whatever token is in the cookie", pkg: "session", test: "server.TestCookieRevocation",
		edits: []edit{{`	if errors.As(err, &wrong) || errors.Is(err, errNoCookie) {
		err = token.ErrMalformed
	}`, `	if errors.As(err, &wrong) {
		tok, err = wrong.token, nil
	} else if errors.Is(err, errNoCookie) {
		err = token.ErrMalformed
	}`}},
	},
	{
		rule: "a revocation leaves a cookie that is good for nothing", pkg: "oauth", test: "server.TestCookieRevocation",
		edits: []edit{{`			q.jar.clearEnded(w, q.jar.sid)
		}
	case`, `		}
	case`}},
	},
	{
		rule: "a revocation by an access token leaves the cookie", pkg: "oauth", test: "server.TestCookieRevocation",
		edits: []edit{{`		if ok && q.jar != nil {
			q.jar.clearEnded(w, id.ULID().String())
		}
`, `		_, _ = id, ok
`}},
	},
	{
		rule: "a revocation that fails deletes the cookie", pkg: "oauth", test: "server.TestCookieFaults",
		edits: []edit{{`			q.jar.clearRefused(w, err)
			return err`, `			q.jar.clear(w, q.jar.sid)
			return err`}},
	},
	{
		rule: "a logout leaves the cookie", pkg: "oauth", test: "server.TestCookieLogout",
		edits: []edit{{`		if client.Cookie {
			(&cookieJar{client: client}).clearEnded(w, hint.SessionID)
		}
`, ``}},
	},
	{
		rule: "a cookie outlives 400 days", pkg: "oauth", test: "server.TestCookieLifetime",
		edits: []edit{{`maxCookieAge = 400 * 24 * time.Hour`, `maxCookieAge = 4000 * 24 * time.Hour`}},
	},
	{
		rule: "a cookie outlives its session", pkg: "oauth", test: "server.TestCookieLifetime",
		edits: []edit{{`age = min(age, time.Duration(*left)*time.Second)`, `age = max(age, time.Duration(*left)*time.Second)`}},
	},
	{
		rule: "the cookie of a session in its last second has no end", pkg: "oauth", test: "server.TestCookieLifetime",
		edits: []edit{{`	if c.MaxAge == 0 {
		c.MaxAge = -1 // its family ends within a second; a MaxAge of 0 would leave it to the browser
	}
`, ``}},
	},
	{
		rule: "every cookie is strict", pkg: "oauth", test: "server.TestCookieLifetime",
		edits: []edit{{`	if j.client.CookieLax {`, `	if j.client.CookieLax && j.client.Confidential {`}},
	},
	{
		rule: "a script can read the cookie", pkg: "oauth", test: "server.TestCookie",
		edits: []edit{{`Path: "/", Secure: true, HttpOnly: true,`, `Path: "/", Secure: true,`}},
	},
	{
		rule: "a confidential client has cookies", pkg: "manage", test: "server.TestCookieSettings",
		edits: []edit{{`	if c.Confidential {
		in.wrong(transportField,`, `	if c.Confidential && c.MayForward {
		in.wrong(transportField,`}},
	},
	{
		rule: "a cookie client's interval is shorter than an answer can be late", pkg: "manage", test: "server.TestCookieSettings",
		edits: []edit{{`minCookieInterval family.Seconds = 60`, `minCookieInterval family.Seconds = 59`}},
	},
	{
		rule: "the attribute of cookies is accepted without cookies", pkg: "manage", test: "server.TestCookieSettings",
		edits: []edit{{`		if body.cookieSameSite != "" {
			in.wrong`, `		if body.cookieSameSite == inCookie {
			in.wrong`}},
	},
	{
		rule: "a login gets a cookie client's refresh token in a body", pkg: "manage", test: "server.TestCookieFamilies",
		edits: []edit{{`if client.Cookie && body.deliver == "" {`, `if client.Cookie && body.deliver == "" && key == "" {`}},
	},
	{
		rule: "nobody is warned that refresh tokens are in bodies again", pkg: "manage", test: "server.TestWarningsOfChanges",
		edits: []edit{{`add(before.Cookie && !c.Cookie, transportField,`, `add(before.Cookie && !c.Cookie && c.Confidential, transportField,`}},
	},
	{
		rule: "the audit log does not say that refresh tokens are in bodies again", pkg: "manage", test: "server.TestChangesOfAClient",
		edits: []edit{{`add(audit.CookieOff, before.Cookie && !put.Cookie)`, `add(audit.CookieOff, before.Cookie && !put.Cookie && put.Confidential)`}},
	},
}}
