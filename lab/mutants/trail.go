package main

var auditTrail = chapter{"The audit trail", []mutant{
	{
		rule: "a deletion by the management API leaves no line", pkg: "manage", test: "server.TestEveryOperationIsOnRecord",
		edits: []edit{{`|| method == http.MethodGet {`, `|| method == http.MethodGet || method == http.MethodDelete {`}},
	},
	{
		rule: "an operation that was refused leaves no line", pkg: "manage", test: "server.TestEveryOperationIsOnRecord",
		edits: []edit{{`a.Trail.Record(r.Context(), &e)`, "if e.Status < 400 {\n\t\t\t\ta.Trail.Record(r.Context(), &e)\n\t\t\t}"}},
	},
	{
		rule: "an operation that failed is on record as done", pkg: "manage", test: "server.TestEveryOperationIsOnRecord",
		edits: []edit{{`e.Status = answer.status`, `e.Status = min(answer.status, 499)`}},
	},
	{
		rule: "an operation with a bug in it is on record as done", pkg: "manage", test: "server.TestPanicIsAnsweredAndOnRecord",
		edits: []edit{{`e.Status = http.StatusInternalServerError // unless h answers, thus after a panic`, `e.Status = http.StatusOK // unless h answers, thus after a panic`}},
	},
	{
		rule: "what a panic was with is logged", pkg: "web", test: "server.TestPanicIsAnsweredAndOnRecord",
		edits: []edit{{`fmt.Sprintf("%T", v)`, `fmt.Sprintf("%v", v)`}},
	},
	{
		rule: "reading is on record", pkg: "manage", test: "server.TestReadsAreNotOnRecord",
		edits: []edit{{`|| method == http.MethodGet {`, `|| method == http.MethodOptions {`}},
	},
	{
		rule: "nobody knows who called the management API", pkg: "web", test: "server.TestEveryOperationIsOnRecord",
		edits: []edit{{`By: session.Principal(r.Context())`, `By: ""`}},
	},
	{
		rule: "the stored event of a revocation does not say who asked", pkg: "store", test: "server.TestRevocationSaysWhoAsked",
		edits: []edit{{`By:            e.By,`, `By:            "",`}},
	},
	{
		rule: "the timeline does not say who revoked", pkg: "manage", test: "server.TestRevocationSaysWhoAsked",
		edits: []edit{{`m[at].EventID = e.By, e.ID.String()`, `m[at].EventID = "", e.ID.String()`}},
	},
	{
		rule: "an operation does not name the family that it issued", pkg: "manage", test: "server.TestEveryOperationIsOnRecord",
		edits: []edit{{`	operationOf(r.Context()).Family = id
`, `	_ = id
`}},
	},
	{
		rule: "a dry run is on record as a revocation", pkg: "manage", test: "server.TestDryRunIsOnRecordAsOne",
		edits: []edit{{`e.DryRun, _ = strconv.ParseBool(q.Get("dry_run"))`, `e.DryRun, _ = strconv.ParseBool("")`}},
	},
	{
		rule: "that a client became public is not said", pkg: "manage", test: "server.TestChangesOfAClient",
		edits: []edit{{`before.Confidential && !put.Confidential)`, `before.Confidential && !put.Confidential && put.MayIntrospect)`}},
	},
	{
		rule: "observing for longer is not said", pkg: "manage", test: "server.TestChangesOfAClient",
		edits: []edit{{`is.ObserveUntil.After(was.ObserveUntil)`, `was.ObserveUntil.IsZero() && !is.ObserveUntil.IsZero()`}},
	},
	{
		rule: "what was so before is said to be changed", pkg: "manage", test: "server.TestChangesOfAClient",
		edits: []edit{{`put.MayIntrospect && !before.MayIntrospect`, `put.MayIntrospect`}},
	},
	{
		rule: "a secret that was refused is said to be added", pkg: "manage", test: "server.TestRefusedSecretIsNoChange",
		edits: []edit{{`e.Changes = nil`, `_ = e.Changes`}},
	},
	{
		rule: "of two puts at once one says what the other has changed", pkg: "store", test: "server.TestPutsAtOnceAreEachOnRecord",
		edits: []edit{{`"version = :version"`, `"(version = :version OR version <> :version)"`}},
	},
	{
		rule: "a change whose answer was lost is no change", pkg: "store", test: "server.TestChangesWhoseAnswerWasLost",
		edits: []edit{{`if !ok || !bytes.Equal(by.Value, putBy) {`, `if !ok || !bytes.Equal(by.Value, nil) {`}},
	},
	{
		rule: "a client that is not believed leaves no line", pkg: "oauth", test: "server.TestInvalidClientIsOnRecord",
		edits: []edit{{`|| refused.reason == "" {`, `|| refused.reason != "" {`}},
	},
	{
		rule: "the log does not tell an unknown client from a wrong secret", pkg: "oauth", test: "server.TestInvalidClientIsOnRecord",
		edits: []edit{{`audit.InvalidClient, refused.reason,`, `audit.InvalidClient, "",`}},
	},
	{
		rule: "of an unknown client's id the whole is in the log", pkg: "oauth", test: "server.TestInvalidClientIsOnRecord",
		edits: []edit{{`session.Cut(audit.Hide(c.id), maxUnknownID), true`, `session.Cut(audit.Hide(c.id), 64), true`}},
	},
	{
		rule: "a token in the place of an id is in the log", pkg: "audit", test: "audit.TestHide",
		edits: []edit{{`text("userId", Hide(e.UserID))`, `text("userId", e.UserID)`}},
	},
	{
		rule: "a token after another word is in the log", pkg: "audit", test: "audit.TestHide",
		edits: []edit{{"\t\t_, s, found = strings.Cut(s, prefix)", "\t\t_, s, _ = strings.Cut(s, prefix)\n\t\tfound = false"}},
	},
}}

var metrics = chapter{"Metrics", []mutant{
	{
		rule: "the time of a metric is in seconds", pkg: "audit", test: "audit.TestMetricsOfEachType",
		edits: []edit{{`e.At.UnixMilli()`, `e.At.Unix()`}},
	},
	{
		rule: "a revocation of many counts one", pkg: "audit", test: "audit.TestMetricsOfEachType",
		edits: []edit{{`add(MetricRevoked, int64(e.Removed), unitCount)`, `count(MetricRevoked)`}},
	},
	{
		rule: "a revocation of one counts none", pkg: "audit", test: "audit.TestMetricsOfEachType",
		edits: []edit{{`		if e.Family != (family.ID{}) {
			count(MetricRevoked)`, `		if e.Type == "" {
			count(MetricRevoked)`}},
	},
	{
		rule: "a client that was made up becomes a dimension", pkg: "audit", test: "audit.TestMetricsOfEachType",
		edits: []edit{{`e.ClientID != "" && !e.Unregistered`, `e.ClientID != ""`}},
	},
	{
		rule: "the client that a revocation of many asked for becomes a dimension", pkg: "audit", test: "audit.TestMetricsOfEachType",
		edits: []edit{{`e.ClientID != "" && e.Family != (family.ID{})`, `e.ClientID != "" && (e.Family != (family.ID{}) || e.Removed > 0)`}},
	},
	{
		rule: "clients that are not believed count as tokens refused", pkg: "audit", test: "audit.TestMetricsOfEachType",
		edits: []edit{{`count(MetricInvalid)`, `count(MetricRefused)`}},
	},
	{
		rule: "reuse that is observed counts as detected", pkg: "audit", test: "audit.TestMetricsOfEachType",
		edits: []edit{{`count(MetricObserved)`, `count(MetricReuse)`}},
	},
	{
		rule: "an age is said to be a count", pkg: "audit", test: "audit.TestMetricsOfEachType",
		edits: []edit{{`unitMilliseconds = "Milliseconds"`, `unitMilliseconds = "Count"`}},
	},
	{
		rule: "the cause of a refusal is no dimension", pkg: "audit", test: "audit.TestMetricsOfEachType",
		edits: []edit{{`append(slices.Clip(all), dimensionClient, dimensionCause)`, `append(slices.Clip(all), dimensionCause)`}},
	},
	{
		rule: "two stages are counted together", pkg: "audit", test: "audit.TestMetricsOfAStage",
		edits: []edit{{`		all = append(all, DimensionStage)`, `		all = []string{}`}},
	},
	{
		rule: "the functions do not know their stage", pkg: "boot", test: "boot.TestLoadConfig",
		edits: []edit{{`		Stage: e.stage("ROTOR_STAGE"),
		Table:`, `		Table:`}},
	},
	{
		rule: "a stage that is refused is in the log lines", pkg: "boot", test: "boot.TestLogOfAWrongStage",
		edits: []edit{{`stage != "" && isStage(stage)`, `stage != ""`}},
	},
	{
		rule: "that a client may introspect now is not counted", pkg: "audit", test: "audit.TestMetricsOfEachType",
		edits: []edit{{`case MayIntrospectOn:`, `case BecamePublic:`}},
	},
	{
		rule: "there are metrics where there should be none", pkg: "audit", test: "audit.TestMetricsOfEachType",
		edits: []edit{{`if t.Metrics {`, `if !t.Metrics || e.Type != "" {`}},
	},
	{
		rule: "the API makes no metrics whatever its settings are", pkg: "session", test: "server.TestMetrics",
		edits: []edit{{`Metrics: c.Metrics, Stage`, `Metrics: false, Stage`}},
	},
}}

var callers = chapter{"Who may call the management API", []mutant{
	{
		rule: "a route without authorizer is served", pkg: "gateway", test: "gateway.TestManageAsksForIAM",
		edits: []edit{{`case authorizer == nil && c.Local != "":`, `case authorizer == nil:`}},
	},
	{
		rule: "any authorizer will do", pkg: "gateway", test: "gateway.TestManageAsksForIAM",
		edits: []edit{
			{`|| authorizer.IAM == nil || !strings.HasPrefix(authorizer.IAM.UserARN, "arn:"):`, `|| authorizer.IAM != nil && !strings.HasPrefix(authorizer.IAM.UserARN, "arn:"):`},
			{`return authorizer.IAM.UserARN, ""`, "if authorizer.IAM == nil {\n\t\treturn \"arn:\", \"\"\n\t}\n\treturn authorizer.IAM.UserARN, \"\""},
		},
	},
	{
		rule: "an identity without an ARN is one", pkg: "gateway", test: "gateway.TestManageAsksForIAM",
		edits: []edit{{`!strings.HasPrefix(authorizer.IAM.UserARN, "arn:")`, `!strings.HasPrefix(authorizer.IAM.UserARN, "")`}},
	},
	{
		rule: "a slash in an id leads to another call than the one that IAM has allowed", pkg: "gateway", test: "gateway.TestManageServesTheCallOfTheRoute",
		edits: []edit{{`			u.RawPath = `, `			_ = `}},
	},
	{
		rule: "the path need not be that of the route", pkg: "gateway", test: "gateway.TestManageServesTheCallOfTheRoute",
		edits: []edit{{`prefix, ok := strings.CutSuffix(event.RawPath, path); ok {`, `prefix := strings.TrimSuffix(event.RawPath, path); true {`}},
	},
	{
		rule: "the method need not be that of the route", pkg: "gateway", test: "gateway.TestManageServesTheCallOfTheRoute",
		edits: []edit{{`method != event.RequestContext.HTTP.Method`, `method == ""`}},
	},
	{
		rule: "what goes around the edge is served", pkg: "gateway", test: "gateway.TestThroughTheEdge",
		edits: []edit{{`if len(given) != 1 || !equal(given[0], want) {`, `if len(given) > 1 {`}},
	},
	{
		rule: "everything is served while the edge's secret cannot be read", pkg: "gateway", test: "gateway.TestEdgeSecretNotRead",
		edits: []edit{{`if err != nil || want == "" {`, `if err != nil && want != "" {`}},
	},
	{
		rule: "all who fail at the edge come back in the same second", pkg: "gateway", test: "gateway.TestEdgeSecretNotRead",
		edits: []edit{{`problem.SetRetryAfter(w.Header())`, `w.Header().Set("Retry-After", "1")`}},
	},
	{
		rule: "behind the edge, all viewers have the address of CloudFront", pkg: "gateway", test: "gateway.TestViewersAddress",
		edits: []edit{{`		r.RemoteAddr = viewer(r.Header.Get(viewerHeader))
`, ``}},
	},
	{
		rule: "cookies do not arrive", pkg: "gateway", test: "gateway.TestCookies",
		edits: []edit{{`if len(event.Cookies) > 0 {`, `if len(event.Cookies) > 8 {`}},
	},
	{
		rule: "the functions do not know of the edge", pkg: "boot", test: "boot.TestEdgeSecret",
		edits: []edit{{`	if c.EdgeSecret == "" {`, `	if c.EdgeSecret != "" {`}},
	},
	{
		rule: "another API's callers are served", pkg: "gateway", test: "gateway.TestManageAsksForIAM",
		edits: []edit{{`case request.APIID != c.APIID:`, `case request.APIID == "":`}},
	},
	{
		rule: "who was refused is served all the same", pkg: "gateway", test: "gateway.TestManageAsksForIAM",
		edits: []edit{{`problem.Write(w, http.StatusForbidden, "this call was not authorized by IAM at the gateway of this API")`, `_ = problem.Write
		h.ServeHTTP(w, r)`}},
	},
	{
		rule: "the caller does not reach the audit trail", pkg: "gateway", test: "gateway.TestManageAsksForIAM",
		edits: []edit{{`r.WithContext(session.WithPrincipal(r.Context(), caller))`, `r.WithContext(session.WithPrincipal(r.Context(), caller[:0]))`}},
	},
	{
		rule: "a refused caller is not logged", pkg: "gateway", test: "gateway.TestManageAsksForIAM",
		edits: []edit{{`log.WarnContext(r.Context(), "caller refused"`, `log.DebugContext(r.Context(), "caller refused"`}},
	},
	{
		rule: "a deployment can be told that everybody may call", pkg: "boot", test: "boot.TestLoadManageConfig",
		edits: []edit{{`if c.LocalCaller != "" && c.KeysFile == "" {`, `if c.LocalCaller != "" && c.KeysFile != "" && c.KeysSecrets.Token != "" {`}},
	},
	{
		rule: "the function starts without knowing its API", pkg: "boot", test: "boot.TestLoadManageConfig",
		edits: []edit{{"\tif !gateway.IsAPIID(value) {", "\tif value != \"\" && !gateway.IsAPIID(value) {"}},
	},
}}

var environment = chapter{"What the functions are told", []mutant{
	{
		rule: "the issuer that is set is in no token", pkg: "boot", test: "boot.TestIssuerShows",
		edits: []edit{{`Issuer:  c.Issuer,`, `Issuer:  "https://auth.example.com",`}},
	},
	{
		rule: "the table that is named is not asked", pkg: "boot", test: "boot.TestTableShows",
		edits: []edit{{`return store.New(sdk, c.Table,`, `return store.New(sdk, "rotor",`}},
	},
	{
		rule: "the API keeps records for as long as usual, whatever is set", pkg: "boot", test: "boot.TestRetentionShows",
		edits: []edit{{`Table:   store.New(sdk, c.Table, c.Retention),`, `Table:   store.New(sdk, c.Table, store.DefaultRetention),`}},
	},
	{
		rule: "the sweep keeps records for as long as usual, whatever is set", pkg: "boot", test: "boot.TestRetentionShows",
		edits: []edit{{`return store.New(sdk, c.Table, c.Retention), nil`, `return store.New(sdk, c.Table, store.DefaultRetention), nil`}},
	},
	{
		rule: "families are kept for as long as events", pkg: "boot", test: "boot.TestRetentionShows",
		edits: []edit{{`e.days("ROTOR_FAMILY_RETENTION_DAYS", store.DefaultRetention.Families)`, `e.days("ROTOR_EVENT_RETENTION_DAYS", store.DefaultRetention.Families)`}},
	},
	{
		rule: "the functions count nothing", pkg: "boot", test: "boot.TestMetricsShow",
		edits: []edit{{`Metrics: true,`, `Metrics: false,`}},
	},
	{
		rule: "the sweep counts nothing", pkg: "sweep", test: "boot.TestMetricsShow",
		edits: []edit{{`Metrics: true, Stage`, `Metrics: false, Stage`}},
	},
}}
