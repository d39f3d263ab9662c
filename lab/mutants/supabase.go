package main

var supabaseWire = chapter{"Supabase's wire", []mutant{
	{
		rule: "the engine does not say why it refuses a token", pkg: "session", test: "server.TestSupabaseRefusals",
		edits: []edit{{`	return &DeadTokenError{cause}`, `	return ErrDeadToken`}},
	},
	{
		rule: "a token that was used before is not found", pkg: "oauth", test: "server.TestSupabaseRefusals",
		edits: []edit{{`"refresh_token_already_used", "Invalid Refresh Token: Already Used"`, `"refresh_token_not_found", "Invalid Refresh Token: Already Used"`}},
	},
	{
		rule: "a failure of the store signs the user out", pkg: "oauth", test: "server.TestSupabaseOutage",
		edits: []edit{{`e = &supabaseError{http.StatusServiceUnavailable, "unexpected_failure", "The service`, `e = &supabaseError{http.StatusBadRequest, "refresh_token_not_found", "The service`}},
	},
	{
		rule: "an SDK of today gets errors of the old shape", pkg: "oauth", test: "server.TestSupabaseVersions",
		edits: []edit{{`sent.Format(time.DateOnly) < supabaseVersion`, `sent.Format(time.DateOnly) <= supabaseVersion`}},
	},
	{
		rule: "a page cannot read of which version an error is", pkg: "oauth", test: "server.TestSupabaseOrigins",
		edits: []edit{{`append([]string{supabaseVersionHeader, supabaseCodeHeader}, exposedHeaders...)`, `append([]string{supabaseCodeHeader}, exposedHeaders...)`}},
	},
	{
		rule: "of two keys the first counts", pkg: "oauth", test: "server.TestSupabaseKey",
		edits: []edit{{`c.id = strings.Join(given, ", ")`, `c.id, _, _ = strings.Cut(given[0], ",")`}},
	},
	{
		rule: "an access token of another client names a session", pkg: "oauth", test: "server.TestSupabaseUser",
		edits: []edit{{`if err != nil || access.ClientID != s.client.ID || bound`, `if err != nil || bound`}},
	},
	{
		rule: "the user of a session that has ended is shown", pkg: "session", test: "server.TestSupabaseUser",
		edits: []edit{{`f.ClientID != client.ID || f.DeathOnceBegun(&client.Policy, now) != ""`, `f.ClientID == ""`}},
	},
	{
		rule: "a claim of another type is shown", pkg: "oauth", test: "server.TestSupabaseUser",
		edits: []edit{{`len(raw) > 0 && raw[0] == '{'`, `len(raw) > 0`}},
	},
	{
		rule: "a logout of others ends the session itself", pkg: "oauth", test: "server.TestSupabaseLogout",
		edits: []edit{{`end = a.SignOutElsewhere`, `end = a.SignOutEverywhere`}},
	},
	{
		rule: "a logout ends sessions of other clients", pkg: "session", test: "server.TestSupabaseLogout",
		edits: []edit{{`ClientID: client.ID, Keep:`, `Keep:`}},
	},
	{
		rule: "a logout of all that fails cannot be repeated", pkg: "session", test: "server.TestSupabaseLogoutThatFails",
		edits: []edit{{`	if err := e.signOutOthers(ctx, f, client, from, now, e.RevokeAll); err != nil {
		return err
	}
	return e.SignOut(ctx, f, client, from, now)`, `	if err := e.SignOut(ctx, f, client, from, now); err != nil {
		return err
	}
	return e.signOutOthers(ctx, f, client, from, now, e.RevokeAll)`}},
	},
	{
		rule: "a logout ends as many sessions as an event names", pkg: "session", test: "server.TestSupabaseLogoutOfMany",
		edits: []edit{{`err != nil || before == (ulid.ULID{}) {`, `err != nil || rev != nil {`}},
	},
	{
		rule: "what is not served hides /v1 of an issuer with the path /auth", pkg: "oauth", test: "server.TestSupabaseBelowAPath",
		edits: []edit{{`if strings.HasPrefix(web.PrefixOf(a.Issuer).Escaped+"/v1/", supabasePath) {`, `if web.PrefixOf(a.Issuer).Escaped == supabasePath {`}},
	},
}}
