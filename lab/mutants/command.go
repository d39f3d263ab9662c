package main

var manageClient = chapter{"The client of the management API", []mutant{
	{
		rule: "calls without TLS are signed", pkg: "manageclient", test: "manageclient.TestUnsigned",
		edits: []edit{{`		o.AWS = nil
`, ``}},
	},
	{
		rule: "a redirect takes a token to somebody else", pkg: "manageclient", test: "manageclient.TestStrangeServers",
		edits: []edit{{`error { return http.ErrUseLastResponse }`, `error { return nil }`}},
	},
	{
		rule: "a login without a key is repeated after a lost answer", pkg: "manageclient", test: "manageclient.TestRetries",
		edits: []edit{{`body: l, once: l.IdempotencyKey == "",`, `body: l,`}},
	},
	{
		rule: "a secret is made again after a lost answer", pkg: "manageclient", test: "manageclient.TestRetries",
		edits: []edit{{`"/secrets", once: true,`, `"/secrets",`}},
	},
	{
		rule: "what must not be done twice is repeated after a 503", pkg: "manageclient", test: "manageclient.TestRetries",
		edits: []edit{{`case busy && (!once || refused.Status == http.StatusTooManyRequests):`, `case busy && (!once || refused.Status != http.StatusOK):`}},
	},
	{
		rule: "Retry-After is not kept to", pkg: "manageclient", test: "manageclient.TestRetries",
		edits: []edit{{`pause = refused.RetryAfter`, `pause = 0`}},
	},
	{
		rule: "an id of dots names another path", pkg: "manageclient", test: "manageclient.TestIDsOfOtherPaths",
		edits: []edit{{`id = strings.ReplaceAll(id, ".", "%2E")`, `id = strings.TrimSpace(id)`}},
	},
	{
		rule: "an empty id names the list", pkg: "manageclient", test: "manageclient.TestIDsOfOtherPaths",
		edits: []edit{{`if strings.HasSuffix(r.path, "/") {`, `if r.path == "" {`}},
	},
	{
		rule: "a deletion that is repeated has failed", pkg: "manageclient", test: "manageclient.TestDeletedAlready",
		edits: []edit{{`if arrived && r.gone &&`, `if attempt > 9 && r.gone &&`}},
	},
	{
		rule: "a client that never was is deleted after a 429", pkg: "manageclient", test: "manageclient.TestGoneWithoutAttempt",
		edits: []edit{{`if arrived && r.gone &&`, `if attempt > 1 && r.gone &&`}},
	},
	{
		rule: "an answer of another server is taken for done", pkg: "manageclient", test: "manageclient.TestAnswersThatAreNone",
		edits: []edit{{`for _, name := range r.needs {`, `for _, name := range r.needs[:0] {`}},
	},
	{
		rule: "a verdict that is not known is taken for a good token", pkg: "manageclient", test: "manageclient.TestAnswersThatAreNone",
		edits: []edit{{`case "valid", "valid_in_reuse_interval", "dead":`, `case "valid", "valid_in_reuse_interval", "dead", "fine":`}},
	},
	{
		rule: "a list without a family's id is taken for one", pkg: "manageclient", test: "manageclient.TestAnswersThatAreNone",
		edits: []edit{{`func (l *list[T]) check() error { return checkAll(l.items) }`, `func (l *list[T]) check() error { return checkAll(l.items[:0]) }`}},
	},
	{
		rule: "pages that go in a circle are read for ever", pkg: "manageclient", test: "manageclient.TestEndlessPages",
		edits: []edit{{`if f.seen[next] ||`, `if f.next == next ||`}},
	},
	{
		rule: "a lost answer is told as nothing done", pkg: "manageclient", test: "manageclient.TestMayBeDone",
		edits: []edit{{`arrived = arrived || mayHaveArrived(err)`, `arrived = arrived || err == nil`}},
	},
	{
		rule: "a filter is not sent", pkg: "manageclient", test: "manageclient.TestEveryCall",
		edits: []edit{{`"except", r.Except, `, ``}},
	},
	{
		rule: "an error names the user", pkg: "manageclient", test: "manageclient.TestUnreachable",
		edits: []edit{{`return u.Err`, `return u`}},
	},
	{
		rule: "a question about a token prints it", pkg: "manageclient", test: "manageclient.TestRedaction",
		edits: []edit{{`func (q Question) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, q.String()) }`, `func (q Question) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, q.RefreshToken) }`}},
	},
	{
		rule: "first tokens are logged", pkg: "manageclient", test: "manageclient.TestRedaction",
		edits: []edit{{`func (t Tokens) LogValue() slog.Value { return slog.StringValue(t.String()) }`, `func (t Tokens) LogValue() slog.Value { return slog.StringValue(t.RefreshToken) }`}},
	},
}}

var commandLine = chapter{"The command line", []mutant{
	{
		rule: "a token may be an argument", pkg: "command", test: "command.TestMisuse",
		edits: []edit{{`if slices.ContainsFunc(args, tokenLike.MatchString) {`, `if len(args) == 0 {`}},
	},
	{
		rule: "a filter that a script lost widens what is ended", pkg: "command", test: "command.TestMisuse",
		edits: []edit{{`f.Value.Type() == "string" && f.Value.String() == ""`, `f.Value.Type() == "String"`}},
	},
	{
		rule: "without a terminal nothing is asked, and all is done", pkg: "command", test: "command.TestMisuse",
		edits: []edit{{`if yes || dryRun || (e.io.CanAsk() && !e.json) {`, `if true {`}},
	},
	{
		rule: "a dry run ends a family", pkg: "command", test: "command.TestRevoke",
		edits: []edit{{`	if r.DryRun {
		e.io.Errorf("This would end %s.\n", what)
		return e.revokedCount(1, true)
	}
`, ``}},
	},
	{
		rule: "any answer is a yes", pkg: "terminal", test: "rotor.TestTerminal",
		edits: []edit{{`return answer == "y" || answer == "yes", err`, `return answer != "x", err`}},
	},
	{
		rule: "any user's id erases this one", pkg: "command", test: "rotor.TestTerminal",
		edits: []edit{{`if typed != id {`, `if typed == "" {`}},
	},
	{
		rule: "a dead token is a success", pkg: "command", test: "command.TestExplain",
		edits: []edit{{`if err == nil && x.Dead() {`, `if err != nil {`}},
	},
	{
		rule: "a service that does not answer has refused", pkg: "command", test: "command.TestUnreachable",
		edits: []edit{{`exitUnreachable = 4`, `exitUnreachable = 1`}},
	},
	{
		rule: "keys of another server are shown as the service's", pkg: "command", test: "command.TestRedirectedKeys",
		edits: []edit{{`error { return http.ErrUseLastResponse }`, `error { return nil }`}},
	},
	{
		rule: "a change that may have been made is told as refused", pkg: "command", test: "command.TestMayBeDone",
		edits: []edit{{`e.warnMayBeDone(refused.MayBeDone)`, `e.warnMayBeDone(false)`}},
	},
	{
		rule: "an id that begins with a dash is flags", pkg: "command", test: "command.TestIDsThatBeginWithADash",
		edits: []edit{{`if len(ids) == 0 {`, `if len(ids) < 9 {`}},
	},
	{
		rule: "an event is followed twice", pkg: "command", test: "command.TestFollow",
		edits: []edit{{`seen[event.ID] = event.At`, `seen[event.ID+"x"] = event.At`}},
	},
	{
		rule: "following ends with a failure that passes", pkg: "command", test: "command.TestFollow",
		edits: []edit{{`case !began || !isPassing(err):`, `case !began || isPassing(err):`}},
	},
	{
		rule: "an interrupt is taken for a service that does not answer", pkg: "command", test: "command.TestInterrupt",
		edits: []edit{{`err = terminal.ErrInterrupted`, `_ = terminal.ErrInterrupted`}},
	},
	{
		rule: "a file takes not_before away", pkg: "command", test: "command.TestApply",
		edits: []edit{{`if c.NotBefore.IsZero() && now != nil {`, `if false && now != nil {`}},
	},
	{
		rule: "a misspelled member of a file is left out", pkg: "command", test: "command.TestBadFiles",
		file: "clientfile.go", edits: []edit{{`	decoder.DisallowUnknownFields()
`, ``}, {`case err == nil && !hasMember(to, key.Value):`, `case err == nil && key.Value == "":`}},
	},
	{
		rule: "a file with aliases of aliases fills the memory", pkg: "command", test: "command.TestBadFiles",
		edits: []edit{{`if n.Kind == yaml.AliasNode {`, `if n.Kind == yaml.AliasNode && n.Value == "" {`}},
	},
	{
		rule: "a second document of a file is left out", pkg: "command", test: "command.TestBadFiles",
		edits: []edit{{`if err = decoder.Decode(&second); err == nil {`, `if err = decoder.Decode(&second); err == nil && second.Line == 0 {`}},
	},
	{
		rule: "a client may have an empty id", pkg: "command", test: "command.TestBadFiles",
		edits: []edit{{`case key.Value == "":`, `case key.Value == "" && n.Line == 0:`}},
	},
	{
		rule: "that a client loses its secrets is told afterwards", pkg: "command", test: "command.TestCautions",
		edits: []edit{{`add(before.Type == "confidential" && after.Type == "public", "type",`, `add(before.Type == "public" && after.Type == "public", "type",`}},
	},
	{
		rule: "without --yes and a terminal a file is applied", pkg: "command", test: "command.TestApply",
		edits: []edit{{`case due == 0 || yes:`, `case due == 0 || yes || refusal != nil:`}},
	},
	{
		rule: "what is registered is registered again", pkg: "command", test: "command.TestApply",
		edits: []edit{{`case len(c.Fields) > 0:`, `default:`}},
	},
	{
		rule: "a name acts on the terminal", pkg: "terminal", test: "terminal.TestInert",
		edits: []edit{{`	if isInert(text) {`, `	if isInert(text) || text[0] != ' ' {`}},
	},
	{
		rule: "a name in JSON acts on the terminal", pkg: "terminal", test: "terminal.TestWriteJSON",
		edits: []edit{{`case unicode.IsPrint(r): // all that stands outside strings, too`, `case r >= ' ':`}},
	},
	{
		rule: "a token is shown while it is typed", pkg: "terminal", test: "rotor.TestTerminal",
		edits: []edit{{`	before, err := term.MakeRaw(fd)
`, `	before, err := term.GetState(fd)
`}},
	},
	{
		rule: "NO_COLOR is not kept to", pkg: "terminal", test: "rotor.TestTerminal",
		edits: []edit{{`getenv("NO_COLOR") == ""`, `getenv("NO_COLOR") != "x"`}},
	},
	{
		rule: "a full disk is success", pkg: "command", test: "command.TestFullDisk",
		edits: []edit{{`err = io.Failed()`, `_ = io.Failed()`}},
	},
}}
