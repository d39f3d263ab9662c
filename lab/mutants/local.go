package main

var localProgram = chapter{"The local program", []mutant{
	{
		rule: "the documentation's commands print something else", pkg: "local", test: "local.TestReadme",
		edits: []edit{{`{"demo-copies", `, `{"demo-copy", `}},
	},
	{
		rule: "a scope that a client never had is one that it has lost", pkg: "oauth", test: "local.TestReadme",
		edits: []edit{{`The client may not be granted this scope.`, `The client may no longer be granted this scope.`}},
	},
	{
		rule: "under the base path calls have no caller", pkg: "local", test: "local.TestBasePath",
		edits: []edit{{`strings.HasPrefix(c.pathOf(r), "/v1/")`, `strings.HasPrefix(r.URL.Path, "/v1/")`}},
	},
	{
		rule: "under the base path there are no profiles", pkg: "local", test: "local.TestBasePath",
		edits: []edit{{`path := c.pathOf(r)`, `path := r.URL.Path`}},
	},
	{
		rule: "under the base path profiles have no name", pkg: "local", test: "local.TestBasePath",
		edits: []edit{{`			r.URL.Path = path
`, ``}},
	},
	{
		rule: "calls have no caller", pkg: "local", test: "local.TestOperationsAreByThisMachine",
		edits: []edit{{`			ctx = session.WithPrincipal(ctx, caller)`, `_ = caller`}},
	},
	{
		rule: "a request has another id than its events", pkg: "local", test: "local.TestRequestsAreLogged",
		edits: []edit{{`session.WithRequestID(r.Context(), id)`, `session.WithRequestID(r.Context(), rand.Text())`}},
	},
	{
		rule: "every request is logged as answered 200", pkg: "local", test: "local.TestRequestsAreLogged",
		edits: []edit{{`	w.status = status
`, ``}},
	},
	{
		rule: "a token in a path is logged", pkg: "local", test: "local.TestLogHasNoTokens",
		edits: []edit{{`if len(part) > 64 || strings.Contains(part, "rotor_") {`, `if len(part) > 640 {`}},
	},
	{
		rule: "a long part of a path is logged", pkg: "local", test: "local.TestRequestsAreLogged",
		edits: []edit{{`len(part) > 64 ||`, `len(part) > 65 ||`}},
	},
	{
		rule: "a problem document may be cached", pkg: "problem", test: "problem.TestWrite",
		edits: []edit{{`	h.Set("Cache-Control", "no-store")
`, ``}},
	},
	{
		rule: "browsers may guess what a problem document is", pkg: "problem", test: "problem.TestWrite",
		edits: []edit{{`	h.Set("X-Content-Type-Options", "nosniff")
`, ``}},
	},
	{
		rule: "a form starts families", pkg: "local", test: "local.TestManagementTakesJSONAlone",
		edits: []edit{{`err == nil && mediaType == "application/json" {`, `err == nil && mediaType != "" {`}},
	},
	{
		rule: "of two types of a body the first one counts", pkg: "local", test: "local.TestManagementTakesJSONAlone",
		edits: []edit{{`if len(types) == 1 {`, `if len(types) > 0 {`}},
	},
	{
		rule: "a body without a type is taken", pkg: "local", test: "local.TestManagementTakesJSONAlone",
		edits: []edit{{`if len(types) == 0 && r.ContentLength == 0 {`, `if len(types) == 0 {`}},
	},
	{
		rule: "without a host everything is answered", pkg: "loopback", test: "local.TestNoHostIsRefused",
		edits: []edit{{`case "127.0.0.1", "::1",`, `case "", "127.0.0.1", "::1",`}},
	},
	{
		rule: "a host may have a port that is none", pkg: "loopback", test: "local.TestForeignHostIsRefused",
		edits: []edit{{`	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return false
	}
	switch`, `	_, _ = strconv.ParseUint(port, 10, 16)
	switch`}},
	},
	{
		rule: "the clock goes back", pkg: "local", test: "local.TestClockRefusesBadBodies",
		edits: []edit{{`d <= 0 || d > maxAdvance`, `d == 0 || d > maxAdvance`}},
	},
	{
		rule: "one call moves the clock by any time", pkg: "local", test: "local.TestClockRefusesBadBodies",
		edits: []edit{{`d <= 0 || d > maxAdvance`, `d <= 0`}},
	},
	{
		rule: "calls together move the clock past what a duration holds", pkg: "local", test: "local.TestClockDoesNotOverflow",
		edits: []edit{{`if ahead+int64(d) > int64(maxAhead) {`, `if ahead+int64(d) < 0 {`}},
	},
	{
		rule: "moving the clock purges nothing", pkg: "local", test: "local.TestClockSeesFamiliesEnd",
		edits: []edit{{`table.Purge(r.Context(), now)`, `table.Purge(r.Context(), time.Time{})`}},
	},
	{
		rule: "a purge that fails is not logged", pkg: "local", test: "local.TestPurgeFails",
		edits: []edit{{`		log.ErrorContext(r.Context(), "purge failed", slog.Any("error", err))
`, `		_ = log
`}},
	},
	{
		rule: "a purge that fails is a success", pkg: "local", test: "local.TestPurgeFails",
		edits: []edit{{`		problem.Write(w, http.StatusServiceUnavailable, "the clock was moved, but records that have expired could not be purged; see the log")
		return
`, ``}},
	},
	{
		rule: "a misspelled member beside advance is passed over", pkg: "local", test: "local.TestClockRefusesBadBodies",
		edits: []edit{{`if name != "advance" {`, `if name == "" {`}},
	},
	{
		rule: "whole days are no duration", pkg: "local", test: "local.TestClockMoves",
		edits: []edit{{`strings.CutSuffix(s, "d"); ok {`, `strings.CutSuffix(s, "d"); ok && s == "d" {`}},
	},
	{
		rule: "the service has not the clock that is moved", pkg: "local", test: "local.TestClockSeesFamiliesEnd",
		edits: []edit{{`Keys: keys, Log: log, Now: clock.now,`, `Keys: keys, Log: log, Now: time.Now,`}},
	},
	{
		rule: "it never sweeps by itself", pkg: "local", test: "local.TestProgramSweepsByItself",
		edits: []edit{{`background.Go(func() { sweep.run(sweeping) })`, `_ = sweeping`}},
	},
	{
		rule: "after one sweep there is no other", pkg: "local", test: "local.TestSweepsByItself",
		edits: []edit{{`			_, _ = s.sweep(ctx) // it has logged its error, and the next one may succeed
`, `			_, _ = s.sweep(ctx)
			return
`}},
	},
	{
		rule: "a sweep that fails is not logged", pkg: "local", test: "local.TestSweepFails",
		edits: []edit{{`if err != nil && !errors.Is(ctx.Err(), context.Canceled) {`, `if err != nil && errors.Is(ctx.Err(), context.Canceled) {`}},
	},
	{
		rule: "a sweep that was given up is logged as failed", pkg: "local", test: "local.TestSweepGivenUp",
		edits: []edit{{`!errors.Is(ctx.Err(), context.Canceled)`, `!errors.Is(ctx.Err(), context.DeadlineExceeded)`}},
	},
	{
		rule: "a sweep takes a body that asks for something", pkg: "local", test: "local.TestSweepRefuses",
		edits: []edit{{` || members == nil || len(members) > 0) {`, `) {`}},
	},
	{
		rule: "a GET sweeps", pkg: "local", test: "local.TestSweepRefuses",
		edits: []edit{{`if r.Method != http.MethodPost {`, `if r.Method != http.MethodPost && r.Method != http.MethodGet {`}},
	},
	{
		rule: "the environment's algorithm is not that of new keys", pkg: "local", test: "local.TestAlgorithm",
		edits: []edit{{`keyring.Generate(cmp.Or(c.alg, signing.RS256), now)`, `keyring.Generate(cmp.Or("", signing.RS256), now)`}},
	},
	{
		rule: "new keys are not for API Gateway's authorizer", pkg: "local", test: "local.TestKeysMadeUpAreRS256",
		edits: []edit{{`cmp.Or(c.alg, signing.RS256)`, `cmp.Or(c.alg, signing.ES256)`}},
	},
	{
		rule: "a file of keys with another algorithm is taken", pkg: "local", test: "local.TestRefusesToStart",
		edits: []edit{{`keyring.File(c.keys, c.alg, now)`, `keyring.File(c.keys, "", now)`}},
	},
	{
		rule: "keys do not outlive the program", pkg: "local", test: "local.TestRestart",
		edits: []edit{{`	if c.keys != "" {
		return`, `	if c.keys == "" {
		return`}},
	},
	{
		rule: "the table has one name", pkg: "local", test: "local.TestDynamoDBOutside",
		edits: []edit{{`store.New(databaseOf(c), c.table, store`, `store.New(databaseOf(c), "rotor", store`}},
	},
	{
		rule: "a DynamoDB outside is asked in one region", pkg: "local", test: "local.TestDynamoDBOutside",
		edits: []edit{{`c.region,`, `"us-east-1",`}},
	},
	{
		rule: "a DynamoDB outside is asked without the session's token", pkg: "local", test: "local.TestDynamoDBOutside",
		edits: []edit{{`c.secretAccessKey, c.sessionToken)`, `c.secretAccessKey, "")`}},
	},
	{
		rule: "a DynamoDB outside is not asked at all", pkg: "local", test: "local.TestRestart",
		edits: []edit{{`if c.dynamodb == "" {
		return`, `if c.dynamodb != "0" {
		return`}},
	},
	{
		rule: "connections to DynamoDB are not kept", pkg: "local", test: "local.TestConnectionsToDynamoDB",
		edits: []edit{{`t.MaxConnsPerHost, t.MaxIdleConnsPerHost, t.MaxIdleConns = databaseConns, databaseConns, databaseConns`, `t.MaxConnsPerHost = databaseConns`}},
	},
	{
		rule: "the table must be there", pkg: "local", test: "local.TestRestart",
		edits: []edit{{`	if err := table.Create(starting); err != nil {
		return err
	}
`, ``}},
	},
	{
		rule: "it listens on what a name means, whatever that is", pkg: "loopback", test: "local.TestListensOnLoopbackAlone",
		edits: []edit{{`!bound.Addr().IsLoopback()`, `!bound.IsValid()`}},
	},
	{
		rule: "it may be told to listen on every address", pkg: "local", test: "local.TestConfigAddresses",
		edits: []edit{{` || !ip.IsLoopback() ||`, ` || !ip.IsLoopback() && !ip.IsUnspecified() ||`}},
	},
	{
		rule: "of what is wrong in the environment one thing is said", pkg: "local", test: "local.TestConfigNamesAllThatIsWrong",
		edits: []edit{{`return nil, errors.Join(errs...)`, `return nil, errs[0]`}},
	},
	{
		rule: "stray credentials go to a DynamoDB that needs none", pkg: "local", test: "local.TestConfigMakesUpCredentials",
		edits: []edit{{`"local", "local", ""`, `"local", "local", c.sessionToken`}},
	},
	{
		rule: "one of two credentials is enough", pkg: "local", test: "local.TestConfigNamesAllThatIsWrong",
		edits: []edit{{`if (c.accessKeyID == "") != (c.secretAccessKey == "") {`, `if c.accessKeyID == "" && c.secretAccessKey != "" {`}},
	},
	{
		rule: "the demo clients are on record as somebody's doing", pkg: "local", test: "local.TestOperationsAreByThisMachine",
		edits: []edit{{`Level: slog.LevelWarn`, `Level: slog.LevelInfo`}},
	},
	{
		rule: "demo clients that were changed are set back", pkg: "local", test: "local.TestRestart",
		edits: []edit{{`if status == http.StatusNotFound {`, `if status != 0 {`}},
	},
	{
		rule: "each start makes one more secret", pkg: "local", test: "local.TestRestart",
		edits: []edit{{`if len(c.Secrets) > 0 {`, `if len(c.Secrets) > 1 {`}},
	},
	{
		rule: "two programs that start at once are an error", pkg: "local", test: "local.TestDemoClientsBesideAnother",
		edits: []edit{{`	case status == http.StatusConflict: // another process starts at the same time
		c.note = hasOne
`, ``}},
	},
	{
		rule: "a demo client that could not be registered is not named", pkg: "local", test: "local.TestDemoClientsBesideAnother",
		edits: []edit{{`fmt.Errorf("register %s: %w", want.id, err)`, `err`}},
	},
	{
		rule: "a lifetime that is no whole day is shown as one", pkg: "local", test: "local.TestLifetimesAsShown",
		edits: []edit{{`case s%day == 0:`, `case s >= day:`}},
	},
	{
		rule: "where the keys are kept is not said", pkg: "local", test: "local.TestRestart",
		edits: []edit{{`kept in %s\n", strings.Join(algorithms, ", "), c.keys)`, `kept in %s\n", strings.Join(algorithms, ", "), "a file")`}},
	},
	{
		rule: "it is ready without saying so", pkg: "local", test: "local.TestWelcomeThatNobodyReads",
		edits: []edit{{`return errors.Join(fmt.Errorf("write the welcome: %w", err), server.Close())`, `return server.Close()`}},
	},
	{
		rule: "a signal cuts off the requests under way", pkg: "local", test: "local.TestStopFinishesRequests",
		edits: []edit{{`	return shutdown(ctx, server)
`, `	return server.Close()
`}},
	},
	{
		rule: "it waits for ever for a request under way", pkg: "local", test: "local.TestStopCutsOff",
		edits: []edit{{`context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)`, `context.WithTimeout(context.WithoutCancel(ctx), 10*shutdownTimeout)`}},
	},
	{
		rule: "a signal leaves requests no time", pkg: "local", test: "local.TestStopCutsOff",
		edits: []edit{{`context.WithoutCancel(ctx)`, `ctx`}},
	},
	{
		rule: "what was cut off is left open", pkg: "local", test: "local.TestStopCutsOff",
		edits: []edit{{`cut off: %w", err), server.Close())`, `cut off: %w", err))`}}, hangs: true,
	},
	{
		rule: "a second signal is not heard", pkg: "rotor", test: "rotor.TestSecondSignalEndsTheProcess",
		edits: []edit{{`	context.AfterFunc(ctx, stop) // so that a second signal ends the program at once
`, ``}}, hangs: true,
	},
	{
		rule: "SIGTERM ends it at once", pkg: "rotor", test: "rotor.TestSignalsStopTheProcess",
		edits: []edit{{`os.Interrupt, syscall.SIGTERM)`, `os.Interrupt, syscall.SIGHUP)`}},
	},
	{
		rule: "a program that could not start has succeeded", pkg: "command", test: "rotor.TestProcessSaysWhatIsWrong",
		edits: []edit{{`	exitRefused     = 1 `, `	exitRefused     = 0 `}},
	},
	{
		rule: "headers are read at any length", pkg: "local", test: "local.TestLargeHeaders",
		edits: []edit{{`MaxHeaderBytes:    16 << 10,`, `MaxHeaderBytes:    16 << 20,`}},
	},
	{
		rule: "a profile may be had by POST", pkg: "local", test: "local.TestProfilesAreGuarded",
		edits: []edit{{`r.Method != http.MethodGet && r.Method != http.MethodHead {`, `r.Method == http.MethodDelete {`}},
	},
	{
		rule: "a profile of a minute never arrives", pkg: "local", test: "local.TestProfilesMayTakeTheirTime",
		edits: []edit{{`func (w *statusWriter) Unwrap() http.ResponseWriter`, `func (w *statusWriter) below() http.ResponseWriter`}},
	},
	{
		rule: "profiles may be cached", pkg: "local", test: "local.TestProfiles",
		edits: []edit{{`		w.Header().Set("Cache-Control", "no-store")
`, ``}},
	},
}}
