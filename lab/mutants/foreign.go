package main

var foreignTokens = chapter{"Another provider's tokens", []mutant{
	{
		rule: "another provider's token is good once, as a code is", pkg: "family", test: "family.TestDecideForeign",
		edits: []edit{{`return decideCounter(f, p, 0, a.Now)`, `return decideCode(f, p, a)`}},
	},
	{
		rule: "an adopted token is none that was imported", pkg: "family", test: "family.TestDecideForeign",
		edits: []edit{{`case Imported, Adopted: // it is`, `case Imported: // it is`}},
	},
	{
		rule: "a family that waits for another provider's token ends as one that waits for its code", pkg: "family", test: "family.TestForeignWaits",
		edits: []edit{{`if pending && f.Origin.Kind == Code && !now.Before(f.Origin.Until) {`, `if pending && !now.Before(f.Origin.Until) {`}},
	},
	{
		rule: "the first use of another provider's token must prove what that of a code does", pkg: "store", test: "storetest.TestForeign",
		edits: []edit{{`	if a.Origin == family.Code {
		condition`, `	if a.Counter == 0 {
		condition`}},
	},
	{
		rule: "the record of a family that waits for another provider's token is kept as one that waits for its code", pkg: "store", test: "storetest.TestForeign",
		edits: []edit{{`if f.Pending() && f.Origin.Kind == family.Code {`, `if f.Pending() {`}},
	},
	{
		rule: "a second import of a token gives it another family", pkg: "store", test: "storetest.TestForeignImportedAgain",
		edits: []edit{{`t.leadTo(f, name, "attribute_not_exists(family_id)", nil)`, `t.leadTo(f, name, "attribute_not_exists(nothing)", nil)`}},
	},
	{
		rule: "another provider's token is forgotten with its family, and may be imported again", pkg: "store", test: "storetest.TestForeignIsRemembered",
		edits: []edit{{`kept := f.IssuedAt().Add(foreignKept)`, `kept := f.PurgeAt`}},
	},
	{
		rule: "another provider's token is forgotten before its family", pkg: "store", test: "storetest.TestForeignIsRemembered",
		edits: []edit{{`	if f.PurgeAt.After(kept) {
		kept = f.PurgeAt
	}`, ``}},
	},
	{
		rule: "a token that nobody imported is looked up at each use", pkg: "session", test: "server.TestCapacity",
		edits: []edit{{`now.Sub(seen.at).Abs() < strangerFor {`, `now.Sub(seen.at).Abs() < 0 {`}},
	},
	{
		rule: "a token that nobody imported is unknown for a minute after that", pkg: "session", test: "server.TestSavedHistories",
		edits: []edit{{`10 * time.Second // how long a token that was unknown`, `time.Minute // how long a token that was unknown`}},
	},
	{
		rule: "another provider's token is looked up before one of ours is parsed", pkg: "session", test: "server.TestCapacity",
		edits: []edit{{`		tok, keys, err = e.parseToken(ctx, keys, u.Token, (*token.Codec).Parse, u.Now)
`, `		_, _ = e.ParseForeign(ctx, keys, u.Client, u.Token, u.Now)
		tok, keys, err = e.parseToken(ctx, keys, u.Token, (*token.Codec).Parse, u.Now)
`}},
	},
}}
