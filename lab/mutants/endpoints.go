package main

var publicEndpoints = chapter{"Public endpoints", []mutant{
	// What is set shows.
	{
		rule: "a group serves another's endpoint", pkg: "api", test: "api.TestGroups",
		edits: []edit{{`return a.serve(a.tokenEndpoint()...)`, `return a.serve(a.revokeEndpoint()...)`}},
	},
	{
		rule: "a group serves all endpoints", pkg: "api", test: "api.TestGroups",
		edits: []edit{{`return a.serve(a.revokeEndpoint()...)`, `return a.Handler()`}},
	},
	{
		rule: "metrics are off whatever is set", pkg: "api", test: "api.TestLinesOfUses",
		edits: []edit{{`Metrics: c.Metrics}`, `Metrics: false}`}},
	},
	{
		rule: "no time is no time at all", pkg: "api", test: "api.TestTimeout",
		edits: []edit{{`if a.Timeout > 0 {`, `if a.Timeout >= 0 {`}},
	},
	{
		rule: "a request has twice the time that is set", pkg: "api", test: "api.TestTimeout",
		edits: []edit{{`context.WithTimeout(ctx, a.Timeout)`, `context.WithTimeout(ctx, 2*a.Timeout)`}},
	},
	{
		rule: "a body that is late is the client's mistake", pkg: "api", test: "api.TestBodyThatIsLate",
		edits: []edit{{`case r.Context().Err() != nil:`, `case r.Context().Err() != nil && err == nil:`}},
	},
	{
		rule: "the service's own origin has the issuer's path", pkg: "api", test: "api.TestOwnOrigin",
		edits: []edit{{`ownOrigin: origin.Of(c.Issuer)`, `ownOrigin: c.Issuer`}},
	},
	{
		rule: "the clock is read again when a token is answered", pkg: "api", test: "api.TestClockIsReadOnce",
		edits: []edit{{`client, scope, resource, now)
	if err`, `client, scope, resource, a.now())
	if err`}},
	},
	{
		rule: "the clock is read again when a family is revoked", pkg: "api", test: "api.TestClockIsReadOnce",
		edits: []edit{{`counter, from, now); err`, `counter, from, a.now()); err`}},
	},
	{
		rule: "times are finer than records have them", pkg: "api", test: "api.TestTimesAreWholeMilliseconds",
		edits: []edit{{`a.Now().UTC().Truncate(time.Millisecond)`, `a.Now().UTC()`}},
	},
	{
		rule: "keys and clients are read ahead one after the other", pkg: "api", test: "api.TestWarmReadsBothAtOnce",
		edits: []edit{{`reading.Go(func() { _, keys = a.Keys.Keys(ctx, now) })`, `_, keys = a.Keys.Keys(ctx, now)`}},
	},
	{
		rule: "where no clients are needed nothing is read ahead", pkg: "api", test: "api.TestWarmKeys",
		edits: []edit{{`	_, err := a.Keys.Keys(ctx, a.now())
	return err`, `	return ctx.Err()`}},
	},
	{
		rule: "a call that does much begins new work for as long as its request has", pkg: "api", test: "api.TestBudget",
		edits: []edit{{`time.Until(end)*2/3)`, `time.Until(end))`}},
	},
	{
		rule: "a call that does much works longer than the gateway waits", pkg: "api", test: "api.TestBudget",
		edits: []edit{{`const callBudget = 20 * time.Second`, `const callBudget = 40 * time.Second`}},
	},

	// Who called, and what the log has of it.
	{
		rule: "an address without a port is none", pkg: "api", test: "api.TestRemoteAddress",
		edits: []edit{{`} else if ip, err := netip.ParseAddr(r.RemoteAddr); err == nil {`, `} else if ip, err := netip.ParseAddr(r.RemoteAddr); err == nil && ip.IsLoopback() {`}},
	},
	{
		rule: "an IPv4 address that is seen as one in IPv6 is another", pkg: "api", test: "api.TestRemoteAddress",
		edits: []edit{{`ap.Addr().Unmap().WithZone("")`, `ap.Addr().WithZone("")`}},
	},
	{
		rule: "the zone of an address is kept", pkg: "api", test: "api.TestRemoteAddress",
		edits: []edit{{`ap.Addr().Unmap().WithZone("")`, `ap.Addr().Unmap()`}},
	},
	{
		rule: "a user agent that is no text is kept as it is", pkg: "api", test: "api.TestUserAgentThatIsNoText",
		edits: []edit{{`description(strings.ToValidUTF8(s, "?"))`, `description(s)`}},
	},
	{
		rule: "the id that the client sees is not the one in the log", pkg: "api", test: "api.TestFailuresAreLoggedOnce",
		edits: []edit{{`	if requestID(ctx) == "" {
`, `	if a.Timeout == 0 {
`}},
	},
	{
		rule: "a request without an id gets none", pkg: "api", test: "api.TestFailuresAreLoggedOnce",
		edits: []edit{{`ctx = WithRequestID(ctx, rand.Text())`, `ctx = WithRequestID(ctx, rand.Text()[:0])`}},
	},
	{
		rule: "events do not say of which request they are", pkg: "api", test: "api.TestLinesOfUses",
		edits: []edit{{`e.IP, e.UserAgent, e.RequestID, e.By = c.ip, c.userAgent, c.requestID, c.by`, `e.IP, e.UserAgent, e.By = c.ip, c.userAgent, c.by`}},
	},
	{
		rule: "a refused origin does not say of which request it is", pkg: "api", file: "crossorigin.go", test: "api.TestForeignOriginIsLogged",
		edits: []edit{{`		e := callerOf(r).event(`, `		from2 := callerOf(r)
		from2.requestID = ""
		e := from2.event(`}},
	},
	{
		rule: "a failure of ours is not logged", pkg: "api", test: "api.TestFailuresAreLoggedOnce",
		edits: []edit{{`		a.logFailure(r, err)
		w.Header().Set("Retry-After", retryAfter)
		e =`, `		w.Header().Set("Retry-After", retryAfter)
		e =`}},
	},
	{
		rule: "the log does not say what failed", pkg: "api", file: "errors.go", test: "api.TestFailuresAreLoggedOnce",
		edits: []edit{{`, slog.Any("error", err))`, `)`}},
	},
	{
		rule: "the log does not say which request failed", pkg: "api", test: "api.TestFailuresAreLoggedOnce",
		edits: []edit{{`slog.String("http_request_id", requestID(r.Context()))`, `slog.String("http_request_id", "")`}},
	},
	{
		rule: "a use does not say which token it was", pkg: "api", test: "api.TestLinesOfUses",
		edits: []edit{{`	e.TokenCounter = tok.Counter
`, ``}},
	},
	{
		rule: "a use does not say which token is the newest", pkg: "api", test: "api.TestLinesOfUses",
		edits: []edit{{`		e.LatestCounter = f.Counter
`, ``}},
	},
	{
		rule: "a lost response has no age", pkg: "api", test: "api.TestLinesOfUses",
		edits: []edit{{`		e.LostResponse = true
		e.Age = v.Age
`, `		e.LostResponse = true
`}},
	},
	{
		rule: "a logout does not say which token asked for it", pkg: "api", test: "api.TestLinesOfUses",
		edits: []edit{{`e.Cause, e.TokenCounter, e.LatestCounter = cause, counter, f.Counter`, `e.Cause, e.LatestCounter = cause, f.Counter`}},
	},
	{
		rule: "a stored event has no user agent", pkg: "store", test: "api.TestLinesOfUses",
		edits: []edit{{`UserAgent:     e.UserAgent,`, `UserAgent:     "",`}},
	},

	// Answers.
	{
		rule: "after a failure of ours clients come again in an hour", pkg: "api", test: "api.TestErrorAnswers",
		edits: []edit{{`const retryAfter = "1"`, `const retryAfter = "3600"`}},
	},
	{
		rule: "an error may be kept by caches", pkg: "api", test: "api.TestErrorAnswers",
		edits: []edit{{`	noStore(w)
	if strings`, `	if strings`}},
	},
	{
		rule: "another's token is refused with the status of dead ones", pkg: "api", test: "api.TestRevocationOfAnothersToken",
		edits: []edit{{`&oauthError{status: http.StatusBadRequest, code: "invalid_grant", description: "The token`, `&oauthError{status: client.Policy.InvalidGrantStatus, code: "invalid_grant", description: "The token`}},
	},
	{
		rule: "token_type_hint may repeat", pkg: "api", test: "api.TestKnownParametersAreGivenOnce",
		edits: []edit{{`, "token_type_hint", resourceParam,`, `, resourceParam,`}},
	},
	{
		rule: "client_secret may repeat", pkg: "api", test: "api.TestKnownParametersAreGivenOnce",
		edits: []edit{{`"client_id", "client_secret", "token"`, `"client_id", "token"`}},
	},
	{
		rule: "a refresh may ask for any number of resources", pkg: "api", test: "api.TestManyResources",
		edits: []edit{{`if len(resource) > maxAudiences {`, `if len(resource) > maxAudience {`}},
	},
	{
		rule: "a resource asked for twice is two", pkg: "api", file: "resource.go", test: "api.TestManyResources",
		edits: []edit{{`		if !slices.Contains(resource, r) {
			resource = append(resource, r)
		}
`, `		resource = append(resource, r)
`}, {`	"slices"
`, ``}},
	},
	{
		rule: "an id of a client may have 65 characters", pkg: "api", test: "api.TestLengthOfClientIDs",
		edits: []edit{{`len(id) <= 64`, `len(id) <= 65`}},
	},
	{
		rule: "an id of a client has 63 characters at most", pkg: "api", test: "api.TestLengthOfClientIDs",
		edits: []edit{{`len(id) <= 64`, `len(id) <= 63`}},
	},
	{
		rule: "after Basic there is one space", pkg: "api", test: "api.TestSpacesAfterBasic",
		edits: []edit{{`strings.TrimSpace(encoded)`, `encoded`}},
	},
	{
		rule: "pages may not ask for discovery by HEAD", pkg: "api", test: "api.TestHeadIsGetWithoutABody",
		edits: []edit{{`[]string{http.MethodGet, http.MethodHead}`, `[]string{http.MethodGet}`}},
	},
	{
		rule: "pages may write to discovery", pkg: "api", test: "api.TestCrossOriginHeaders",
		edits: []edit{{`[]string{http.MethodGet, http.MethodHead}`, `[]string{http.MethodGet, http.MethodHead, http.MethodPost}`}},
	},
	{
		rule: "pages cannot read when to come again for discovery", pkg: "api", test: "api.TestCrossOriginHeaders",
		edits: []edit{{`		options.AllowedOrigins = []string{"*"}
		options.AllowedMethods`, `		options.AllowedOrigins, options.ExposedHeaders = []string{"*"}, nil
		options.AllowedMethods`}},
	},
	{
		rule: "browsers keep a preflight for a day", pkg: "api", test: "api.TestCrossOriginHeaders",
		edits: []edit{{`MaxAge: 600`, `MaxAge: 86400`}},
	},
	{
		rule: "a cache may give one page's refusal to another", pkg: "api", test: "api.TestCrossOriginHeaders",
		edits: []edit{{`				w.Header().Add("Vary", "Origin")
				a.fail`, `				a.fail`}},
	},
	{
		rule: "discovery is kept for an hour", pkg: "api", test: "api.TestMetadataIsTrue",
		edits: []edit{{`const maxAge = 300`, `const maxAge = 3600`}},
	},
	{
		rule: "the metadata leave a claim out", pkg: "api", test: "api.TestMetadataIsTrue",
		edits: []edit{{`"acr", "amr", "sid"}`, `"acr", "amr"}`}},
	},
	{
		rule: "the metadata do not say that there is no request_uri", pkg: "api", test: "api.TestMetadataIsTrue",
		edits: []edit{{`json:"request_uri_parameter_supported"`, `json:"request_uri_parameter_supported,omitempty"`}},
	},

	// What fails.
	{
		rule: "a logout that failed is answered 200", pkg: "api", test: "api.TestRevocationFaults",
		edits: []edit{{`	_, err = a.revokeLiving(ctx, f, &client.Policy, family.RevokedByClient, counter, from, now)
	return err`, `	_, _ = a.revokeLiving(ctx, f, &client.Policy, family.RevokedByClient, counter, from, now)
	return nil`}},
	},
	{
		rule: "a logout of a family that cannot be read is answered 200", pkg: "api", test: "api.TestRevocationFaults",
		edits: []edit{{`	if err != nil {
		return err
	}
	if f.ClientID`, `	if err != nil {
		return nil
	}
	if f.ClientID`}},
	},
	{
		rule: "a logout that came second is on record, too", pkg: "api", file: "revoke.go", test: "api.TestRevocationDuringARevocation",
		edits: []edit{{`	if err == nil && done {
`, `	if err == nil {
`}},
	},
	{
		rule: "a refresh token whose family cannot be read is inactive", pkg: "api", test: "api.TestIntrospectionFaults",
		edits: []edit{{`		return introspection{}, err
	}
	p := &client.Policy`, `		return introspection{}, nil
	}
	p := &client.Policy`}},
	},
	{
		rule: "an access token whose family cannot be read is inactive", pkg: "api", test: "api.TestIntrospectionFaults",
		edits: []edit{{`		return introspection{}, err
	}
	if f.ClientID`, `		return introspection{}, nil
	}
	if f.ClientID`}},
	},
	{
		rule: "an access token whose client cannot be read is inactive", pkg: "api", test: "api.TestIntrospectionFaults",
		edits: []edit{{`			return introspection{}, err
		}
	}
	sid`, `			return introspection{}, nil
		}
	}
	sid`}},
	},
	{
		rule: "what has no end has one by introspection", pkg: "api", file: "introspect.go", test: "api.TestIntrospectionOfAnEndlessFamily",
		edits: []edit{{`end := f.End(p); !end.IsZero() {`, `end := f.End(p); end.IsZero() || !end.IsZero() {`}},
	},
	{
		rule: "an access token from ahead of the clock is refused", pkg: "signing", test: "api.TestTokensFromAheadOfTheClock",
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
