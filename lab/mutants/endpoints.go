package main

var publicEndpoints = chapter{"Public endpoints", []mutant{
	// What is set shows.
	{
		rule: "a group serves another's endpoint", pkg: "oauth", test: "server.TestGroups",
		edits: []edit{{`func (a *API) Token() http.Handler { return a.serve(a.tokenEndpoints()) }`, `func (a *API) Token() http.Handler { return a.serve(a.revokeEndpoints()) }`}},
	},
	{
		rule: "a group serves all endpoints", pkg: "oauth", test: "server.TestGroups",
		edits: []edit{{`func (a *API) Revoke() http.Handler { return a.serve(a.revokeEndpoints()) }`, `func (a *API) Revoke() http.Handler { return a.Handler() }`}},
	},
	{
		rule: "metrics are off whatever is set", pkg: "session", test: "server.TestLinesOfUses",
		edits: []edit{{`Metrics: c.Metrics, Stage`, `Metrics: false, Stage`}},
	},
	{
		rule: "no time is no time at all", pkg: "web", test: "server.TestTimeout",
		edits: []edit{{`if s.Timeout > 0 {`, `if s.Timeout >= 0 {`}},
	},
	{
		rule: "a request has twice the time that is set", pkg: "web", test: "server.TestTimeout",
		edits: []edit{{`context.WithTimeout(ctx, s.Timeout)`, `context.WithTimeout(ctx, 2*s.Timeout)`}},
	},
	{
		rule: "a body that is late is the client's mistake", pkg: "web", test: "server.TestBodyThatIsLate",
		edits: []edit{{`case r.Context().Err() != nil:`, `case r.Context().Err() != nil && err == nil:`}},
	},
	{
		rule: "the service's own origin has the issuer's path", pkg: "oauth", test: "server.TestOwnOrigin",
		edits: []edit{{`ownOrigin: origin.Of(engine.Issuer)`, `ownOrigin: engine.Issuer`}},
	},
	{
		rule: "the clock is read again when a token is answered", pkg: "session", file: "refresh.go", test: "server.TestClockIsReadOnce",
		edits: []edit{{`grant{scope: u.Scope, resource: u.Resource, jkt: u.accessKey(f)}, u.Now)`, `grant{scope: u.Scope, resource: u.Resource, jkt: u.accessKey(f)}, e.Now())`}},
	},
	{
		rule: "the clock is read again when a family is revoked", pkg: "oauth", test: "server.TestClockIsReadOnce",
		edits: []edit{{`q.client, q.token, from, q.now)`, `q.client, q.token, from, a.Now())`}},
	},
	{
		rule: "times are finer than records have them", pkg: "session", test: "server.TestTimesAreWholeMilliseconds",
		edits: []edit{{`e.clock().UTC().Truncate(time.Millisecond)`, `e.clock().UTC()`}},
	},
	{
		rule: "keys and clients are read ahead one after the other", pkg: "session", test: "server.TestWarmReadsBothAtOnce",
		edits: []edit{{`reading.Go(func() { _, keys = e.Keys.Keys(ctx, now) })`, `_, keys = e.Keys.Keys(ctx, now)`}},
	},
	{
		rule: "where no clients are needed nothing is read ahead", pkg: "session", test: "server.TestWarmKeys",
		edits: []edit{{`	_, err := e.Keys.Keys(ctx, e.Now())
	return err`, `	return ctx.Err()`}},
	},
	{
		rule: "a call that does much begins new work for as long as its request has", pkg: "session", test: "session.TestBudget",
		edits: []edit{{`time.Until(end)*2/3)`, `time.Until(end))`}},
	},
	{
		rule: "a call that does much works longer than the gateway waits", pkg: "session", test: "session.TestBudget",
		edits: []edit{{`const callBudget = 20 * time.Second`, `const callBudget = 40 * time.Second`}},
	},

	// Who called, and what the log has of it.
	{
		rule: "an address without a port is none", pkg: "web", test: "server.TestRemoteAddress",
		edits: []edit{{`} else if ip, err := netip.ParseAddr(r.RemoteAddr); err == nil {`, `} else if ip, err := netip.ParseAddr(r.RemoteAddr); err == nil && ip.IsLoopback() {`}},
	},
	{
		rule: "an IPv4 address that is seen as one in IPv6 is another", pkg: "web", test: "server.TestRemoteAddress",
		edits: []edit{{`ap.Addr().Unmap().WithZone("")`, `ap.Addr().WithZone("")`}},
	},
	{
		rule: "the zone of an address is kept", pkg: "web", test: "server.TestRemoteAddress",
		edits: []edit{{`ap.Addr().Unmap().WithZone("")`, `ap.Addr().Unmap()`}},
	},
	{
		rule: "a user agent that is no text is kept as it is", pkg: "web", test: "server.TestUserAgentThatIsNoText",
		edits: []edit{{`session.Describe(strings.ToValidUTF8(s, "?"))`, `session.Describe(s)`}},
	},
	{
		rule: "the id that the client sees is not the one in the log", pkg: "web", test: "server.TestFailuresAreLoggedOnce",
		edits: []edit{{`	if session.RequestID(ctx) == "" {
`, `	if s.Timeout == 0 {
`}},
	},
	{
		rule: "a request without an id gets none", pkg: "web", test: "server.TestFailuresAreLoggedOnce",
		edits: []edit{{`ctx = session.WithRequestID(ctx, rand.Text())`, `ctx = session.WithRequestID(ctx, rand.Text()[:0])`}},
	},
	{
		rule: "events do not say of which request they are", pkg: "session", test: "server.TestLinesOfUses",
		edits: []edit{{`event.IP, event.UserAgent, event.RequestID, event.By = c.IP, c.UserAgent, c.RequestID, c.By`, `event.IP, event.UserAgent, event.By = c.IP, c.UserAgent, c.By`}},
	},
	{
		rule: "a refused origin does not say of which request it is", pkg: "oauth", test: "server.TestForeignOriginIsLogged",
		edits: []edit{{`	e := web.CallerOf(r).Event(audit.OriginRefused`, `	from2 := web.CallerOf(r)
	from2.RequestID = ""
	e := from2.Event(audit.OriginRefused`}},
	},
	{
		rule: "a failure of ours is not logged", pkg: "web", test: "server.TestFailuresAreLoggedOnce",
		edits: []edit{{`log.ErrorContext(r.Context(), "unavailable"`, `log.DebugContext(r.Context(), "unavailable"`}},
	},
	{
		rule: "the log does not say what failed", pkg: "web", test: "server.TestFailuresAreLoggedOnce",
		edits: []edit{{`, slog.Any("error", err))`, `)`}},
	},
	{
		rule: "the log does not say which request failed", pkg: "web", test: "server.TestFailuresAreLoggedOnce",
		edits: []edit{{`slog.String("http_request_id", session.RequestID(r.Context()))`, `slog.String("http_request_id", session.RequestID(r.Context())[:0])`}},
	},
	{
		rule: "a use does not say which token it was", pkg: "session", test: "server.TestLinesOfUses",
		edits: []edit{{`	event.TokenCounter = tok.Counter
`, ``}},
	},
	{
		rule: "a use does not say which token is the newest", pkg: "session", test: "server.TestLinesOfUses",
		edits: []edit{{`		event.LatestCounter = f.Counter
`, ``}},
	},
	{
		rule: "a lost response has no age", pkg: "session", test: "server.TestLinesOfUses",
		edits: []edit{{`		event.LostResponse = true
		event.Age = v.Age
`, `		event.LostResponse = true
`}},
	},
	{
		rule: "a logout does not say which token asked for it", pkg: "session", test: "server.TestLinesOfUses",
		edits: []edit{{`event.Cause, event.TokenCounter, event.LatestCounter = cause, counter, f.Counter`, `event.Cause, event.LatestCounter = cause, f.Counter`}},
	},
	{
		rule: "a stored event has no user agent", pkg: "store", test: "server.TestLinesOfUses",
		edits: []edit{{`UserAgent:     e.UserAgent,`, `UserAgent:     "",`}},
	},

	// Answers.
	{
		rule: "a line does not say of which invocation it is", pkg: "boot", test: "boot.TestLogLines",
		edits: []edit{{`ok := lambdacontext.FromContext(ctx); ok {`, `ok := lambdacontext.FromContext(ctx); !ok {`}},
	},
	{
		rule: "a line with a member of its own loses those of the invocation", pkg: "boot", test: "boot.TestLogLines",
		edits: []edit{{`	return invocationHandler{h.Handler.WithAttrs(attrs)}`, `	return h.Handler.WithAttrs(attrs)`}},
	},
	{
		rule: "the trace's id is the whole header", pkg: "boot", test: "boot.TestLogLines",
		edits: []edit{{`root = id`, `root = header + id`}},
	},
	{
		rule: "the id of a trace that X-Ray does not keep is logged", pkg: "boot", test: "boot.TestLogLines",
		edits: []edit{{`if !sampled {`, `if !sampled && root == "" {`}},
	},
	{
		rule: "after a failure of ours clients come again in an hour", pkg: "problem", test: "server.TestErrorAnswers",
		edits: []edit{{`const longestWait = 3`, `const longestWait = 3600`}},
	},
	{
		rule: "after a failure of ours clients come back all at once", pkg: "problem", test: "server.TestCallersDoNotComeBackTogether",
		edits: []edit{{`strconv.Itoa(1+rand.IntN(longestWait))`, `strconv.Itoa(1+rand.IntN(1))`}},
	},
	{
		rule: "a service without its table calls itself healthy", pkg: "oauth", test: "server.TestHealth",
		edits: []edit{{`err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil`, `err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return nil`}},
	},
	{
		rule: "a service that can start no family calls itself healthy", pkg: "oauth", test: "server.TestHealth",
		edits: []edit{{`if keys.Stale {`, `if keys == nil {`}},
	},
	{
		rule: "each check of the health is a read of the table", pkg: "oauth", test: "server.TestHealth",
		edits: []edit{{`age >= 0 && age < checkedFor`, `age < 0`}},
	},
	{
		rule: "the health is checked once and for all", pkg: "oauth", test: "server.TestHealth",
		edits: []edit{{`age >= 0 && age < checkedFor`, `age >= 0 && !c.at.IsZero()`}},
	},
	{
		rule: "one who hangs up makes the service ill for others", pkg: "oauth", test: "server.TestHealthOfACallerWhoHangsUp",
		edits: []edit{{`if ctx.Err() == nil { // a caller`, `if err != nil || ctx.Err() == nil { // a caller`}},
	},
	{
		rule: "an error may be kept by caches", pkg: "oauth", test: "server.TestErrorAnswers",
		edits: []edit{{`	web.NoStore(w)
	if isSupabase(r) {`, `	if isSupabase(r) {`}},
	},
	{
		rule: "another's token is refused with the status of dead ones", pkg: "oauth", test: "server.TestRevocationOfAnothersToken",
		edits: []edit{{`&oauthError{status: http.StatusBadRequest, code: "invalid_grant", description: "The token`, `&oauthError{status: http.StatusForbidden, code: "invalid_grant", description: "The token`}},
	},
	{
		rule: "token_type_hint may repeat", pkg: "oauth", test: "server.TestKnownParametersAreGivenOnce",
		edits: []edit{{`"token", "token_type_hint",`, `"token",`}},
	},
	{
		rule: "client_secret may repeat", pkg: "oauth", test: "server.TestKnownParametersAreGivenOnce",
		edits: []edit{{`"client_id", "client_secret", "client_assertion", `, `"client_id", "client_assertion", `}},
	},
	{
		rule: "a refresh may ask for any number of resources", pkg: "oauth", test: "server.TestManyResources",
		edits: []edit{{`if len(resource) > session.MaxAudiences {`, `if len(resource) > 64*session.MaxAudiences {`}},
	},
	{
		rule: "a resource asked for twice is two", pkg: "oauth", file: "resource.go", test: "server.TestManyResources",
		edits: []edit{{`		if !slices.Contains(resource, r) {
			resource = append(resource, r)
		}
`, `		resource = append(resource, r)
`}, {`	"slices"
`, ``}},
	},
	{
		rule: "an id of a client may have 65 characters", pkg: "session", test: "server.TestLengthOfClientIDs",
		edits: []edit{{`len(id) <= 64`, `len(id) <= 65`}},
	},
	{
		rule: "an id of a client has 63 characters at most", pkg: "session", test: "server.TestLengthOfClientIDs",
		edits: []edit{{`len(id) <= 64`, `len(id) <= 63`}},
	},
	{
		rule: "after Basic there is one space", pkg: "oauth", test: "server.TestSpacesAfterBasic",
		edits: []edit{{`strings.TrimSpace(encoded)`, `encoded`}},
	},
	{
		rule: "pages may not ask for discovery by HEAD", pkg: "oauth", test: "server.TestHeadIsGetWithoutABody",
		edits: []edit{{`[]string{http.MethodGet, http.MethodHead}`, `[]string{http.MethodGet}`}},
	},
	{
		rule: "pages may write to discovery", pkg: "oauth", test: "server.TestCrossOriginHeaders",
		edits: []edit{{`[]string{http.MethodGet, http.MethodHead}`, `[]string{http.MethodGet, http.MethodHead, http.MethodPost}`}},
	},
	{
		rule: "pages cannot read when to come again for discovery", pkg: "oauth", test: "server.TestCrossOriginHeaders",
		edits: []edit{{`ExposedHeaders: exposedHeaders, MaxAge: 600,
		AllowedOrigins`, `MaxAge: 600,
		AllowedOrigins`}},
	},
	{
		rule: "browsers keep a preflight for a day", pkg: "oauth", test: "server.TestCrossOriginHeaders",
		edits: []edit{{`options.MaxAge = []string{"*"}, 600`, `options.MaxAge = []string{"*"}, 86400`}},
	},
	{
		rule: "a cache may give one page's refusal to another", pkg: "oauth", test: "server.TestCrossOriginHeaders",
		edits: []edit{{`				w.Header().Add("Vary", "Origin")
				a.Fail(w, r, errForwardingPage)`, `				a.Fail(w, r, errForwardingPage)`}},
	},
	{
		rule: "discovery is kept for an hour", pkg: "oauth", test: "server.TestMetadataIsTrue",
		edits: []edit{{`const maxAge = 300`, `const maxAge = 3600`}},
	},
	{
		rule: "the metadata leave a claim out", pkg: "oauth", test: "server.TestMetadataIsTrue",
		edits: []edit{{`"acr", "amr", "sid"}`, `"acr", "amr"}`}},
	},
	{
		rule: "the metadata do not say that there is no request_uri", pkg: "oauth", test: "server.TestMetadataIsTrue",
		edits: []edit{{`json:"request_uri_parameter_supported"`, `json:"request_uri_parameter_supported,omitempty"`}},
	},

	// What fails.
	{
		rule: "a logout that failed is answered 200", pkg: "session", test: "server.TestRevocationFaults",
		edits: []edit{{`	_, err = e.RevokeLiving(ctx, f, &client.Policy, family.RevokedByClient, counter, from, now)
	return err`, `	_, _ = e.RevokeLiving(ctx, f, &client.Policy, family.RevokedByClient, counter, from, now)
	return nil`}},
	},
	{
		rule: "a logout of a family that cannot be read is answered 200", pkg: "session", test: "server.TestRevocationFaults",
		edits: []edit{{`	if err != nil {
		return err
	}
	if f.ClientID`, `	if err != nil {
		return nil
	}
	if f.ClientID`}},
	},
	{
		rule: "a logout that came second is on record, too", pkg: "session", file: "revoke.go", test: "server.TestRevocationDuringARevocation",
		edits: []edit{{`	if err == nil && done {
`, `	if err == nil {
`}},
	},
	{
		rule: "a refresh token whose family cannot be read is inactive", pkg: "oauth", test: "server.TestIntrospectionFaults",
		edits: []edit{{`		return introspection{}, err
	}
	p := &q.client.Policy`, `		return introspection{}, nil
	}
	p := &q.client.Policy`}},
	},
	{
		rule: "an access token whose family cannot be read is inactive", pkg: "oauth", test: "server.TestIntrospectionFaults",
		edits: []edit{{`	} else if err != nil {
		return introspection{}, err
	}`, `	} else if err != nil {
		return introspection{}, nil
	}`}},
	},
	{
		rule: "an access token whose client cannot be read is inactive", pkg: "oauth", test: "server.TestIntrospectionFaults",
		edits: []edit{{`			return introspection{}, err
		}
	}
	if _`, `			return introspection{}, nil
		}
	}
	if _`}},
	},
	{
		rule: "what has no end has one by introspection", pkg: "oauth", test: "server.TestIntrospectionOfAnEndlessFamily",
		edits: []edit{{`end := f.End(p); !end.IsZero() {`, `end := f.End(p); end.IsZero() || !end.IsZero() {`}},
	},
	{
		rule: "an access token from ahead of the clock is refused", pkg: "signing", test: "server.TestTokensFromAheadOfTheClock",
		edits: []edit{{`	if !a.ExpiresAt.After(now) { // RFC`, `	if a.IssuedAt.After(now) {
		return Access{}, refused("from ahead of the clock")
	}
	if !a.ExpiresAt.After(now) { // RFC`}},
	},

	// Origins.
	{
		rule: "a socket's scheme is an origin", pkg: "origin", test: "origin.TestParseRefuses",
		edits: []edit{{`case "ws", "wss",`, `case "wss",`}},
	},
	{
		rule: "a script's scheme is an origin", pkg: "origin", test: "origin.TestParseRefuses",
		edits: []edit{{`"about", "javascript":`, `"about":`}},
	},
	{
		rule: "any is the same as none", pkg: "origin", test: "origin.TestSetOfAny",
		edits: []edit{{`s.any == t.any && `, ``}},
	},
	{
		rule: "a list does not say that it has loopback", pkg: "origin", test: "origin.TestSetOfLoopback",
		edits: []edit{{`	if s.loopback {
		all = append(all, Loopback)
	}
`, ``}},
	},
	{
		rule: "an origin is in a list twice", pkg: "origin", test: "origin.TestSet",
		edits: []edit{{`case !slices.Contains(s.origins, o):`, `case len(s.origins) >= 0:`}},
	},
	{
		rule: "a space about any makes it none", pkg: "origin", test: "origin.TestSetOfAny",
		edits: []edit{{`		value = strings.TrimSpace(value)
`, ``}},
	},
}}
