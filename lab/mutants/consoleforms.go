package main

var consoleForms = chapter{"The console's forms", []mutant{
	{
		rule: "of a change whose answer was lost it is said that nothing was changed", pkg: "console", test: "console.TestLostAnswersOfChanges",
		edits: []edit{{`case errors.As(err, &refused) && unsure == "":`, `case errors.As(err, &refused) && unsure != "?":`}},
	},
	{
		rule: "that a secret may exist is kept back", pkg: "console", test: "console.TestLostAnswersOfChanges",
		edits: []edit{{`f := failure{Text: text, Unsure: unsure}`, `f := failure{Text: text}`}},
	},
	{
		rule: "a bug in a page cuts the connection", pkg: "console", test: "console.TestBugIsAPage",
		edits: []edit{{`				c.failBadly(w, r, value, unsure)`, `				defer panic(http.ErrAbortHandler)
				c.failBadly(w, r, value, unsure)`}},
	},
	{
		rule: "what a page panics with is logged", pkg: "console", test: "console.TestBugIsAPage",
		edits: []edit{{`what := fmt.Sprintf("%T", value)`, `what := fmt.Sprint(value)`}},
	},
	{
		rule: "to ask what would end ends it", pkg: "console", test: "console.TestSignOut",
		edits: []edit{{`Except: e.Except, DryRun: true}`, `Except: e.Except}`}},
	},
	{
		rule: "the session to keep ends as well", pkg: "console", test: "console.TestSignOut",
		edits: []edit{{`what := manage.Revocation{UserID: e.UserID, Except: e.Except,`, `what := manage.Revocation{UserID: e.UserID,`}},
	},
	{
		rule: "to end one session ends all", pkg: "console", test: "console.TestSignOut",
		edits: []edit{{`	if e.Family != "" {
		alive, err`, `	if e.Family == "x" {
		alive, err`}},
	},
	{
		rule: "the reason for signing out is not passed on", pkg: "console", test: "console.TestCauseOfSigningOut",
		edits: []edit{{`, Cause: r.PostForm.Get("cause")}`, `}`}},
	},
	{
		rule: "another user's session ends", pkg: "console", test: "console.TestEndings",
		edits: []edit{{`if e.Shown.UserID != e.UserID {`, `if e.Shown.UserID == "" {`}},
	},
	{
		rule: "a token that is pasted as a user id is led to an address", pkg: "console", test: "console.TestWrongUserIDs",
		edits: []edit{{`	case isSecret(id):`, `	case id == "secret":`}},
	},
	{
		rule: "a token that is pasted into the filter is led to an address", pkg: "console", test: "console.TestEventFormLeadsToAnAddress",
		edits: []edit{{`		if isSecret(value) {`, `		if value == "secret" {`}},
	},
	{
		rule: "the filter is shown with the token in it", pkg: "console", test: "console.TestEventFormLeadsToAnAddress",
		edits: []edit{{`			if isSecret(*value) {
				*value = ""`, `			if isSecret(*value) {
				_ = ""`}},
	},
	{
		rule: "the second page of events forgets the filter", pkg: "console", test: "console.TestEventsArePaged",
		edits: []edit{{`UserID: get("user_id"), Family`, `Family`}},
	},
	{
		rule: "saving a policy takes the client's scope away", pkg: "console", test: "console.TestPolicyRoundTrip",
		edits: []edit{{`Policy: f.policy(), Scope: c.Scope,`, `Policy: f.policy(),`}},
	},
	{
		rule: "saving a policy takes rights away", pkg: "console", test: "console.TestPolicyRoundTrip",
		edits: []edit{{`MayIntrospect: c.MayIntrospect, `, ``}},
	},
	{
		rule: "a form undoes somebody else's change", pkg: "console", test: "console.TestStalePolicy",
		edits: []edit{{`if r.PostForm.Get("updated_at") != form.UpdatedAt {`, `if r.PostForm.Get("updated_at") == "" {`}},
	},
	{
		rule: "what was typed is lost when it is refused", pkg: "console", test: "console.TestRefusedPolicy",
		edits: []edit{{`		form.mark(refused)
`, `		form = newPolicyForm(found)
		form.mark(refused)
`}},
	},
	{
		rule: "what is no number counts as none", pkg: "console", test: "console.TestRefusedPolicy",
		edits: []edit{{`case field.Kind == "time" && field.Value == "":`, `case field.Kind == "time" && field.Value == "", field.Kind == "number" && !json.Valid([]byte(field.Value)):`}},
	},
	{
		rule: "the service's warnings are not shown", pkg: "console", test: "console.TestWarningsAreShown",
		edits: []edit{{`n.Warnings = append(n.Warnings, warning.Detail)`, `_ = warning`}},
	},
	{
		rule: "a secret is shown as often as its page is loaded", pkg: "console", test: "console.TestSecretsAreShownOnce",
		edits: []edit{{`append(n.waiting[:i:i], n.waiting[i+1:]...)`, `append(n.waiting[:i:i], n.waiting[i:]...)`}},
	},
	{
		rule: "a note that nobody came for is kept", pkg: "console", test: "console.TestNotes",
		edits: []edit{{`!now.Before(n.waiting[0].until)`, `now.IsZero()`}},
	},
	{
		rule: "the histogram has every client's reuse", pkg: "console", test: "console.TestAgesAreOfTheClient",
		edits: []edit{{`case e.ClientID != clientID, `, `case e.ClientID == "", `}},
	},
	{
		rule: "who may not read events does not see the client", pkg: "console", test: "console.TestAgesAreOfTheClient",
		edits: []edit{{`case errors.As(err, &refused) && refused.Denied():
		page.Missing`, `case errors.As(err, &refused) && refused.NotFound():
		page.Missing`}},
	},
}}
