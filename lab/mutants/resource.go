package main

var resources = chapter{"Resources and audiences", []mutant{
	{
		rule: "a resource that is not of the audience rotates all the same", pkg: "store", test: "store.TestRefreshForResources",
		edits: []edit{{`OR contains(audience, :among%d))", i, i)`, `OR contains(audience, :among%d) OR #counter = :n)", i, i)`}},
	},
	{
		rule: "a part of an audience is enough", pkg: "store", test: "store.TestRefreshForResources",
		edits: []edit{{`= text("\n" + r + "\n")`, `= text(r)`}},
	},
	{
		rule: "an audience alone is not found", pkg: "store", test: "store.TestRefreshForResources",
		edits: []edit{{`"audience = :audience%d OR contains(audience, :among%d))", i, i)`, `"contains(audience, :among%d))", i)`}, {`		values[fmt.Sprintf(":audience%d", i)] = text(r)
`, ``}},
	},
	{
		rule: "the issuer is of every audience", pkg: "store", test: "store.TestRefreshForResources",
		edits: []edit{{`OR audience = :none OR ")`, `OR audience >= :none OR ")`}},
	},
	{
		rule: "the issuer is of no audience", pkg: "store", test: "store.TestRefreshForResources",
		edits: []edit{{`if r == a.Issuer {`, `if r == a.ClientID {`}},
	},
	{
		rule: "of several audiences one is stored", pkg: "store", test: "store.TestRefreshForResources",
		edits: []edit{{`strings.Join(audience, "\n") + "\n"`, `audience[0] + "\n"`}},
	},
	{
		rule: "the condition does not ask for the resources", pkg: "store", test: "store.TestRefreshForResources",
		edits: []edit{{`condition += audienceCondition(a, values)`, `_ = audienceCondition(a, item{})`}},
	},
	{
		rule: "a racer gets a resource that is not of the audience", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`if v.Active() && !f.IsFor(a.Resource, a.Issuer) {`, `if v.Kind == Current && !f.IsFor(a.Resource, a.Issuer) {`}},
	},
	{
		rule: "a resource that is not of the audience comes before reuse", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`if v.Active() && !f.IsFor(a.Resource, a.Issuer) {`, `if !f.IsFor(a.Resource, a.Issuer) {`}},
	},
	{
		rule: "of the resources asked for one is enough", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`		if !slices.Contains(audience, r) {
			return false
		}
	}
	return true`, `		if slices.Contains(audience, r) {
			return true
		}
	}
	return len(resource) == 0`}},
	},
	{
		rule: "a family with an audience is for the issuer too", pkg: "family", test: "family.TestDecide",
		edits: []edit{{`	if len(audience) == 0 {
		audience = []string{issuer}
	}`, `	audience = append([]string{issuer}, audience...)`}},
	},
	{
		rule: "a resource selects nothing", pkg: "session", test: "server.TestResource",
		edits: []edit{{`	if resource == nil {
		resource = f.Audience
	}`, `	resource = f.Audience`}},
	},
	{
		rule: "of several resources one is heard", pkg: "oauth", test: "server.TestResource",
		edits: []edit{{`		p.set(name, vs...)`, `		p.set(name, vs[0])`}},
	},
	{
		rule: "a JSON array has no resources", pkg: "oauth", test: "server.TestResource",
		edits: []edit{{`p.set(name, resource...)`, `p.set(name, resource[:0]...)`}},
	},
	{
		rule: "a resource may have a fragment", pkg: "oauth", test: "server.TestAudienceThatIsNoResource",
		edits: []edit{{`&'()*+,;=%"`, `&'()*+,;=%#"`}},
	},
	{
		rule: "a resource may be relative", pkg: "oauth", test: "server.TestAudienceThatIsNoResource",
		edits: []edit{{`case err != nil, !u.IsAbs():`, `case err != nil:`}},
	},
	{
		rule: "a resource may have any characters", pkg: "oauth", test: "server.TestAudienceThatIsNoResource",
		edits: []edit{{`	if strings.Trim(s, characters) != "" {`, `	if strings.Trim(s, characters) == " " {`}},
	},
	{
		rule: "a resource may have no host", pkg: "oauth", test: "server.TestAudienceThatIsNoResource",
		edits: []edit{{`		return u.Hostname() != ""`, `		return u.Hostname() != " "`}},
	},
	{
		rule: "a parameter that nobody knows may not repeat", pkg: "oauth", test: "server.TestTokenBodies",
		edits: []edit{{`len(vs) > 1 && name != resourceParam && slices.Contains(knownParams, name)`, `len(vs) > 1 && name != resourceParam`}},
	},
	{
		rule: "a JSON member that nobody knows may not repeat", pkg: "oauth", test: "server.TestTokenBodies",
		edits: []edit{{`		if known && seen[name] {`, `		if seen[name] {`}},
	},
	{
		rule: "a parameter may repeat", pkg: "oauth", test: "server.TestBadTokenRequests",
		edits: []edit{{`len(vs) > 1 && name != resourceParam && slices.Contains(knownParams, name)`, `len(vs) > 1 && name == ""`}},
	},
	{
		rule: "the JSON member resource may repeat", pkg: "oauth", test: "server.TestBadTokenRequests",
		edits: []edit{{`		if known && seen[name] {`, `		if known && name != resourceParam && seen[name] {`}},
	},
	{
		rule: "another parameter may be an array", pkg: "oauth", test: "server.TestBadTokenRequests",
		edits: []edit{{`			} else if known {`, `			} else if known && name == "token" {`}},
	},
	{
		rule: "one audience is an array in a token", pkg: "signing", test: "signing.TestAudiences",
		edits: []edit{{`	if len(a) == 1 {`, `	if len(a) == 0 {`}, {`return a[0]`, `return ""`}},
	},
	{
		rule: "an array of audiences is not read", pkg: "signing", test: "signing.TestAudiences",
		edits: []edit{{`	return r.strings(name)
}

func (r *reader) strings`, `	return Audience{r.string(name)}
}

func (r *reader) strings`}},
	},
	{
		rule: "a token is for nobody", pkg: "signing", test: "signing.TestVerifyClaims",
		edits: []edit{{`len(a) > 0 && !slices`, `!slices`}},
	},
	{
		rule: "an audience of many values is taken", pkg: "manage", test: "server.TestFamilyLimits",
		edits: []edit{{`case len(audience) > session.MaxAudiences:`, `case len(audience) > maxAudience:`}},
	},
	{
		rule: "an audience is measured by its longest value", pkg: "manage", test: "server.TestClientLimits",
		edits: []edit{{`			size += len(v)`, `			size = max(size, len(v))`}},
	},
}}

var issuerPath = chapter{"The issuer's path", []mutant{
	{
		rule: "the issuer's path is not taken off", pkg: "web", test: "server.TestIssuerPath",
		edits: []edit{{`return rest, ok && prefix != "" && strings.HasPrefix(rest, "/")`, `return rest, ok && prefix == "?" && strings.HasPrefix(rest, "/")`}},
	},
	{
		rule: "the issuer's path ends within a segment", pkg: "web", test: "server.TestPathsUnderAnIssuerPath",
		edits: []edit{{`	rest, ok = strings.CutPrefix(path, prefix)
	return rest, ok && prefix != "" && strings.HasPrefix(rest, "/")`, `	rest, ok = strings.CutPrefix(path, prefix)
	return "/" + strings.TrimPrefix(rest, "/"), ok && prefix != ""`}},
	},
	{
		rule: "what looks like the issuer's path is taken off", pkg: "web", test: "server.TestIssuerPath",
		edits: []edit{{`	if !hasRoute(mux, without) && hasRoute(mux, r) {
		return r
	}
`, ``}},
	},
	{
		rule: "a path that has a route without the issuer's is not served with it", pkg: "web", test: "server.TestIssuerPath",
		edits: []edit{{`	if !hasRoute(mux, without) && hasRoute(mux, r) {`, `	if hasRoute(mux, r) || r.URL.RawPath == "" && hasRoute(mux, without) {`}},
	},
	{
		rule: "an encoded slash is one", pkg: "web", test: "server.TestPathsUnderAnIssuerPath",
		edits: []edit{{`	if !ok && r.URL.RawPath != "" {
		return r
	}
`, ``}, {`	rawPath, ok := cutPath(r.URL.RawPath, p.Escaped)`, `	rawPath := ""`}},
	},
	{
		rule: "links leave the issuer's path out", pkg: "manage", test: "server.TestIssuerPath",
		edits: []edit{{`web.StrippedPrefix(r)+"/v1/families/"`, `"/v1/families/"`}},
	},
	{
		rule: "links have the issuer's path where the request had none", pkg: "manage", test: "server.TestIssuerPath",
		edits: []edit{{`web.StrippedPrefix(r)+"/v1/families/"`, `web.PrefixOf(a.Issuer).Escaped+"/v1/families/"`}},
	},
	{
		rule: "the metadata is not where RFC 8414 inserts it", pkg: "oauth", test: "server.TestIssuerPath",
		edits: []edit{{`get("/.well-known/oauth-authorization-server"+path, a.metadata)`, `get("/.well-known/oauth-authorization-server"+path+"x", a.metadata)`}},
	},
	{
		rule: "the configuration of OpenID is not where RFC 8414 inserts it", pkg: "oauth", test: "server.TestIssuerPath",
		edits: []edit{{`get("/.well-known/openid-configuration"+path, a.metadata)`, `get("/.well-known/openid-configuration"+path+"x", a.metadata)`}},
	},
	{
		rule: "an issuer's path need not be clean", pkg: "boot", test: "boot.TestLoadConfigRefuses",
		edits: []edit{{`u.Path != "" && path.Clean(u.Path) != u.Path,`, `u.Path != "" && path.Clean(u.Path) == "",`}},
	},
	{
		rule: "an issuer's path may be encoded", pkg: "boot", test: "boot.TestLoadConfigRefuses",
		edits: []edit{{`strings.Contains(u.EscapedPath(), "%")`, `strings.Contains(u.EscapedPath(), "%%")`}},
	},
	{
		rule: "under the base path everything is for browsers", pkg: "local", test: "local.TestBasePath",
		edits: []edit{{`	if rest, ok := strings.CutPrefix(r.URL.Path, c.base); ok && strings.HasPrefix(rest, "/") {
		return rest
	}`, `	if rest, ok := strings.CutPrefix(r.URL.Path, c.base); ok && c.base != "" {
		return "/oauth" + rest
	}`}},
	},
	{
		rule: "under the base path nothing is for browsers", pkg: "local", test: "local.TestBasePath",
		edits: []edit{{`forBrowsers(c.pathOf(r))`, `forBrowsers(r.URL.Path)`}},
	},
	{
		rule: "a base path may begin like one of the API's", pkg: "local", test: "local.TestConfigURLs",
		edits: []edit{{`strings.Trim(s, characters) == "" && !own`, `strings.Trim(s, characters) == ""`}, {`	own := slices`, `	_ = slices`}},
	},
}}
