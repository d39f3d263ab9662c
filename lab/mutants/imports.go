package main

var imports = chapter{"Imports", []mutant{
	{
		rule: "a token in the wrong place of an import is repeated", pkg: "manage", test: "server.TestImportRefused",
		edits: []edit{{` || strings.HasPrefix(field, importsField)`, ``}},
	},
	{
		rule: "a dry run of an import writes", pkg: "session", test: "server.TestImportDryRun",
		edits: []edit{{`		case i.DryRun:`, `		case i.DryRun && f.UserID == "":`}},
	},
	{
		rule: "a session that is over is imported", pkg: "session", test: "server.TestImportAfterTheEnd",
		edits: []edit{{`!now.Before(f.ExpiresAt):`, `now.After(f.ExpiresAt):`}},
	},
	{
		rule: "an import lengthens what the policy says", pkg: "manage", test: "server.TestImportAfterTheEnd",
		edits: []edit{{` && (f.ExpiresAt.IsZero() || end.Before(f.ExpiresAt)) {`, ` {`}},
	},
	{
		rule: "a token of another client is said to be there already", pkg: "session", test: "server.TestImportTwice",
		edits: []edit{{` && there.ClientID == f.ClientID:`, `:`}},
	},
	{
		rule: "a token of another user is said to be there already", pkg: "session", test: "server.TestImportTwice",
		edits: []edit{{`case there.Family.UserKey() == f.ID.UserKey() && `, `case `}},
	},
	{
		rule: "tokens are imported that their client refuses", pkg: "manage", test: "server.TestImportRefused",
		edits: []edit{{`	if client.AcceptsImported == nil {`, `	if client.AcceptsImported == nil && id == "" {`}},
	},
	{
		rule: "an import has one token twice, for two users", pkg: "manage", test: "server.TestImportRefused",
		edits: []edit{{`again && err == nil {`, `again && err != nil {`}},
	},
	{
		rule: "a hash with stray bits is imported", pkg: "manage", test: "server.TestImportRefused",
		file: "imports.go", edits: []edit{{`base64.RawURLEncoding.Strict()`, `base64.RawURLEncoding`}},
	},
	{
		rule: "a wrong row is found after the rows before it were imported", pkg: "manage", test: "server.TestImportRefused",
		edits: []edit{{`	imports, err := toImports(body.tokens, client, now)
`, `	for _, raw := range body.tokens {
		if imports, err := toImports(newImports{raw}, client, now); err == nil {
			if _, _, err := a.Import(r.Context(), imports[0], now); err != nil {
				return err
			}
		}
	}
	imports, err := toImports(body.tokens, client, now)
`}},
	},
	{
		rule: "Rotor's own tokens are taken for those of another provider", pkg: "manage", test: "server.TestAcceptsImported",
		edits: []edit{{`case strings.HasPrefix(prefix, token.Prefix):`, `case strings.HasPrefix(token.Prefix, prefix):`}},
	},
	{
		rule: "tokens are to begin with more than they have", pkg: "manage", test: "server.TestAcceptsImported",
		edits: []edit{{`max(1, len(prefix))`, `1`}},
	},
	{
		rule: "an import has 16 KiB at most", pkg: "manage", test: "server.TestLargestImport",
		edits: []edit{{`MaxBody: e.maxBody, `, ``}},
	},
	{
		rule: "nobody is warned of tokens of any shape", pkg: "manage", test: "server.TestWarnings",
		edits: []edit{{`add(c.AcceptsImported != nil && *c.AcceptsImported == foreign.Shape{}, acceptsField,`, `add(c.AcceptsImported != nil && *c.AcceptsImported == foreign.Shape{Length: 1}, acceptsField,`}},
	},
	{
		rule: "saving a policy in the console takes the imported tokens away", pkg: "console", test: "console.TestPolicyRoundTrip",
		edits: []edit{{`AcceptsImported: c.AcceptsImported, `, ``}},
	},
	{
		rule: "a file of clients leaves the imported tokens out", pkg: "command", test: "command.TestAcceptsImportedInAFile",
		file: "clientfile.go", edits: []edit{{`		TrustedIssuers: c.TrustedIssuers, AcceptsImported: c.AcceptsImported.TokenShape, Adopt: c.Adopt,
		JWKSURI: c.JWKSURI, JWKS: c.JWKS,
	}
	members`, `		TrustedIssuers: c.TrustedIssuers, Adopt: c.Adopt,
	}
	members`}},
	},
	{
		rule: "a file is imported that the service has not checked", pkg: "command", test: "command.TestImportNamesLines",
		edits: []edit{{`if i.dryRun || !i.skipBad && len(i.faults) == 0 {`, `if i.dryRun {`}},
	},
	{
		rule: "a file with a wrong line is imported", pkg: "command", test: "command.TestImportNamesLines",
		edits: []edit{{`	if len(i.faults) > 0 && !i.skipBad {`, `	if len(i.faults) > 0 && !i.skipBad && i.Rows == 0 {`}},
	},
	{
		rule: "nobody is told of a token that belongs to another user", pkg: "command", test: "command.TestImportNamesLines",
		edits: []edit{{`		i.fault(line, "its token belongs to another user or client, by family "+r.Family)
`, ``}},
	},
	{
		rule: "a row that the service refuses takes its call with it", pkg: "command", test: "command.TestImportNamesLines",
		edits: []edit{{`		batch = good
`, `		batch = good[:0]
`}},
	},
	{
		rule: "one file has a token twice", pkg: "command", test: "command.TestImportNamesLines",
		edits: []edit{{`			if !again {
`, `			if !again || first > 0 {
`}},
	},
	{
		rule: "an import gives up while the service is busy", pkg: "command", test: "command.TestImportOfABusyService",
		edits: []edit{{`		if waited > maxBusy {`, `		if waited > 0 {`}},
	},
	{
		rule: "a file without an end of a row fills the memory", pkg: "command", test: "command.TestImportMisused",
		edits: []edit{{`	if l.got > maxImportLine {`, `	if l.got > maxImportInput {`}},
	},
}}
