package main

// wire breaks the wire of the OAuth endpoints.
var wire = []chapter{
	{"Resources and audiences", []mutant{
		{
			rule: "a resource that is not of the audience rotates all the same", file: "shared/store/audience.go", test: "store.TestRefreshForResources",
			edits: []edit{{`OR contains(audience, :among%d))", i, i)`, `OR contains(audience, :among%d) OR #counter = :n)", i, i)`}},
		},
		{
			rule: "a part of an audience is enough", file: "shared/store/audience.go", test: "store.TestRefreshForResources",
			edits: []edit{{`= text("\n" + r + "\n")`, `= text(r)`}},
		},
		{
			rule: "an audience alone is not found", file: "shared/store/audience.go", test: "store.TestRefreshForResources",
			edits: []edit{{`"audience = :audience%d OR contains(audience, :among%d))", i, i)`, `"contains(audience, :among%d))", i)`}, {`		values[fmt.Sprintf(":audience%d", i)] = text(r)
`, ``}},
		},
		{
			rule: "the issuer is of every audience", file: "shared/store/audience.go", test: "store.TestRefreshForResources",
			edits: []edit{{`OR audience = :none OR ")`, `OR audience >= :none OR ")`}},
		},
		{
			rule: "the issuer is of no audience", file: "shared/store/audience.go", test: "store.TestRefreshForResources",
			edits: []edit{{`if r == a.Issuer {`, `if r == a.ClientID {`}},
		},
		{
			rule: "of several audiences one is stored", file: "shared/store/audience.go", test: "store.TestRefreshForResources",
			edits: []edit{{`strings.Join(audience, "\n") + "\n"`, `audience[0] + "\n"`}},
		},
		{
			rule: "the condition does not ask for the resources", file: "shared/store/family.go", test: "store.TestRefreshForResources",
			edits: []edit{{`condition += isFor(a, values)`, `_ = isFor(a, item{})`}},
		},
		{
			rule: "a racer gets a resource that is not of the audience", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`if v.Active() && !f.For(a.Resource, a.Issuer) {`, `if v.Kind == Current && !f.For(a.Resource, a.Issuer) {`}},
		},
		{
			rule: "a resource that is not of the audience comes before reuse", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`if v.Active() && !f.For(a.Resource, a.Issuer) {`, `if !f.For(a.Resource, a.Issuer) {`}},
		},
		{
			rule: "of the resources asked for one is enough", file: "shared/family/decide.go", test: "family.TestDecide",
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
			rule: "a family with an audience is for the issuer too", file: "shared/family/decide.go", test: "family.TestDecide",
			edits: []edit{{`	if len(audience) == 0 {
		audience = []string{issuer}
	}`, `	audience = append([]string{issuer}, audience...)`}},
		},
		{
			rule: "a resource selects nothing", file: "shared/api/respond.go", test: "api.TestResource",
			edits: []edit{{`	if resource == nil {
		resource = f.Audience
	}`, `	resource = f.Audience`}},
		},
		{
			rule: "of several resources one is heard", file: "shared/api/params.go", test: "api.TestResource",
			edits: []edit{{`		p.set(name, vs...)`, `		p.set(name, vs[0])`}},
		},
		{
			rule: "a JSON array has no resources", file: "shared/api/params.go", test: "api.TestResource",
			edits: []edit{{`p.set(name, resource...)`, `p.set(name, resource[:0]...)`}},
		},
		{
			rule: "a resource may have a fragment", file: "shared/api/resource.go", test: "api.TestAudienceThatIsNoResource",
			edits: []edit{{`&'()*+,;=%"`, `&'()*+,;=%#"`}},
		},
		{
			rule: "a resource may be relative", file: "shared/api/resource.go", test: "api.TestAudienceThatIsNoResource",
			edits: []edit{{`case err != nil, !u.IsAbs():`, `case err != nil:`}},
		},
		{
			rule: "a resource may have any characters", file: "shared/api/resource.go", test: "api.TestAudienceThatIsNoResource",
			edits: []edit{{`	if strings.Trim(s, characters) != "" {`, `	if strings.Trim(s, characters) == " " {`}},
		},
		{
			rule: "a resource may have no host", file: "shared/api/resource.go", test: "api.TestAudienceThatIsNoResource",
			edits: []edit{{`		return u.Hostname() != ""`, `		return u.Hostname() != " "`}},
		},
		{
			rule: "a parameter that nobody knows may not repeat", file: "shared/api/params.go", test: "api.TestTokenBodies",
			edits: []edit{{`len(vs) > 1 && name != resourceParam && slices.Contains(knownParams, name)`, `len(vs) > 1 && name != resourceParam`}},
		},
		{
			rule: "a JSON member that nobody knows may not repeat", file: "shared/api/params.go", test: "api.TestTokenBodies",
			edits: []edit{{`		if known && seen[name] {`, `		if seen[name] {`}},
		},
		{
			rule: "a parameter may repeat", file: "shared/api/params.go", test: "api.TestBadTokenRequests",
			edits: []edit{{`len(vs) > 1 && name != resourceParam && slices.Contains(knownParams, name)`, `len(vs) > 1 && name == ""`}},
		},
		{
			rule: "the JSON member resource may repeat", file: "shared/api/params.go", test: "api.TestBadTokenRequests",
			edits: []edit{{`		if known && seen[name] {`, `		if known && name != resourceParam && seen[name] {`}},
		},
		{
			rule: "another parameter may be an array", file: "shared/api/params.go", test: "api.TestBadTokenRequests",
			edits: []edit{{`			} else if known {`, `			} else if known && name == "token" {`}},
		},
		{
			rule: "one audience is an array in a token", file: "shared/signing/audience.go", test: "signing.TestAudiences",
			edits: []edit{{`	if len(a) == 1 {`, `	if len(a) == 0 {`}, {`encode(a[0])`, `encode("")`}},
		},
		{
			rule: "an array of audiences is not read", file: "shared/signing/verify.go", test: "signing.TestAudiences",
			edits: []edit{{`	return r.strings(name)
}

func (r *reader) strings`, `	return Audience{r.string(name)}
}

func (r *reader) strings`}},
		},
		{
			rule: "a token is for nobody", file: "shared/signing/audience.go", test: "signing.TestVerifyClaims",
			edits: []edit{{`len(a) > 0 && !slices`, `!slices`}},
		},
		{
			rule: "an audience of many values is taken", file: "shared/api/manage.go", test: "api.TestFamilyLimits",
			edits: []edit{{`case len(audience) > maxAudiences:`, `case len(audience) > maxAudience:`}},
		},
		{
			rule: "an audience is measured by its longest value", file: "shared/api/manage.go", test: "api.TestClientLimits",
			edits: []edit{{`			size += len(v)`, `			size = max(size, len(v))`}},
		},
	}},
	{"The issuer's path", []mutant{
		{
			rule: "the issuer's path is not taken off", file: "shared/api/prefix.go", test: "api.TestIssuerPath",
			edits: []edit{{`return rest, ok && prefix != "" && strings.HasPrefix(rest, "/")`, `return rest, ok && prefix == "?" && strings.HasPrefix(rest, "/")`}},
		},
		{
			rule: "the issuer's path ends within a segment", file: "shared/api/prefix.go", test: "api.TestPathsUnderAnIssuerPath",
			edits: []edit{{`	rest, ok = strings.CutPrefix(path, prefix)
	return rest, ok && prefix != "" && strings.HasPrefix(rest, "/")`, `	rest, ok = strings.CutPrefix(path, prefix)
	return "/" + strings.TrimPrefix(rest, "/"), ok && prefix != ""`}},
		},
		{
			rule: "what looks like the issuer's path is taken off", file: "shared/api/prefix.go", test: "api.TestIssuerPath",
			edits: []edit{{`	if !routed(mux, without) && routed(mux, r) {
		return r
	}
`, ``}},
		},
		{
			rule: "a path that has a route without the issuer's is not served with it", file: "shared/api/prefix.go", test: "api.TestIssuerPath",
			edits: []edit{{`	if !routed(mux, without) && routed(mux, r) {`, `	if routed(mux, r) || r.URL.RawPath == "" && routed(mux, without) {`}},
		},
		{
			rule: "an encoded slash is one", file: "shared/api/prefix.go", test: "api.TestPathsUnderAnIssuerPath",
			edits: []edit{{`	if !ok && r.URL.RawPath != "" {
		return r
	}
`, ``}, {`	rawPath, ok := cutPath(r.URL.RawPath, p.written)`, `	rawPath := ""`}},
		},
		{
			rule: "links leave the issuer's path out", file: "shared/api/families.go", test: "api.TestIssuerPath",
			edits: []edit{{`prefixOf(r)+"/v1/families/"`, `"/v1/families/"`}},
		},
		{
			rule: "links have the issuer's path where the request had none", file: "shared/api/families.go", test: "api.TestIssuerPath",
			edits: []edit{{`prefixOf(r)+"/v1/families/"`, `a.prefix().written+"/v1/families/"`}},
		},
		{
			rule: "the metadata is not where RFC 8414 inserts it", file: "shared/api/discovery.go", test: "api.TestIssuerPath",
			edits: []edit{{`get("/.well-known/oauth-authorization-server"+path, a.metadata)`, `get("/.well-known/oauth-authorization-server"+path+"x", a.metadata)`}},
		},
		{
			rule: "the configuration of OpenID is not where RFC 8414 inserts it", file: "shared/api/discovery.go", test: "api.TestIssuerPath",
			edits: []edit{{`get("/.well-known/openid-configuration"+path, a.metadata)`, `get("/.well-known/openid-configuration"+path+"x", a.metadata)`}},
		},
		{
			rule: "an issuer's path need not be clean", file: "functions/internal/boot/environment.go", test: "boot.TestLoadConfigRefuses",
			edits: []edit{{`u.Path != "" && path.Clean(u.Path) != u.Path,`, `u.Path != "" && path.Clean(u.Path) == "",`}},
		},
		{
			rule: "an issuer's path may be encoded", file: "functions/internal/boot/environment.go", test: "boot.TestLoadConfigRefuses",
			edits: []edit{{`strings.Contains(u.EscapedPath(), "%")`, `strings.Contains(u.EscapedPath(), "%%")`}},
		},
		{
			rule: "under the base path everything is for browsers", file: "cmd/rotor/local/config.go", test: "local.TestBasePath",
			edits: []edit{{`	if rest, ok := strings.CutPrefix(r.URL.Path, c.base); ok && strings.HasPrefix(rest, "/") {
		return rest
	}`, `	if rest, ok := strings.CutPrefix(r.URL.Path, c.base); ok && c.base != "" {
		return "/oauth" + rest
	}`}},
		},
		{
			rule: "under the base path nothing is for browsers", file: "cmd/rotor/local/guard.go", test: "local.TestBasePath",
			edits: []edit{{`forBrowsers(c.pathOf(r))`, `forBrowsers(r.URL.Path)`}},
		},
		{
			rule: "a base path may begin like one of the API's", file: "cmd/rotor/local/config.go", test: "local.TestConfigURLs",
			edits: []edit{{`strings.Trim(s, characters) == "" && !own`, `strings.Trim(s, characters) == ""`}, {`	own := slices`, `	_ = slices`}},
		},
	}},
	{"Ends", []mutant{
		{
			rule: "an access token outlives its family by a part of a second", file: "shared/api/respond.go", test: "api.TestAccessTokenEndsWithItsFamily",
			edits: []edit{{`	if end := f.ExpiresAt.Truncate(time.Second); end.Before(expires) {`, `	if end := now.Add(time.Duration(max(1, secondsUntil(f.ExpiresAt, now))) * time.Second); end.Before(expires) {`}},
		},
		{
			rule: "an access token outlives its family", file: "shared/api/respond.go", test: "api.TestAccessTokenEndsWithItsFamily",
			edits: []edit{{`	if f.ExpiresAt.IsZero() {
		return expires, expiresIn
	}
	if end`, `	if f.ExpiresAt.IsZero() || f.ID != (family.ID{}) {
		return expires, expiresIn
	}
	if end`}},
		},
		{
			rule: "expires_in is 0", file: "shared/api/respond.go", test: "api.TestAccessTokenEndsWithItsFamily",
			edits: []edit{{`max(1, min(expiresIn, secondsUntil(f.ExpiresAt, now)))`, `max(0, min(expiresIn, secondsUntil(f.ExpiresAt, now)))`}},
		},
		{
			rule: "expires_in is past the family's end", file: "shared/api/respond.go", test: "api.TestAccessTokenEndsWithItsFamily",
			edits: []edit{{`max(1, min(expiresIn, secondsUntil(f.ExpiresAt, now)))`, `max(1, min(expiresIn, 1+secondsUntil(f.ExpiresAt, now)))`}},
		},
		{
			rule: "refresh_token_timeout is past the absolute end", file: "shared/api/respond.go", test: "api.TestTokenAnswer",
			edits: []edit{{`		left := max(0, secondsUntil(f.End(p), now))
		e.RefreshTokenTimeout`, `		left := max(0, secondsUntil(f.IdleEnd(p), now))
		e.RefreshTokenTimeout`}},
		},
		{
			rule: "there is a refresh_token_timeout without an idle end", file: "shared/api/respond.go", test: "api.TestTokenAnswer",
			edits: []edit{{`	if p.IdleLifetime != 0 {
		left`, `	if !f.End(p).IsZero() {
		left`}},
		},
		{
			rule: "authorization_expires_in is the idle end", file: "shared/api/respond.go", test: "api.TestTokenAnswer",
			edits: []edit{{`		left := max(0, secondsUntil(f.ExpiresAt, now))
		e.AuthorizationExpiresIn`, `		left := max(0, secondsUntil(f.End(p), now))
		e.AuthorizationExpiresIn`}},
		},
		{
			rule: "introspection does not say when a refresh token ends", file: "shared/api/introspect.go", test: "api.TestIntrospect",
			edits: []edit{{`	answer.expirations = expirationsOf(f, p, now)
`, ``}},
		},
	}},
	{"Sizes", []mutant{
		{
			rule: "a record may grow past its limit", file: "shared/api/families.go", test: "api.TestItemSize",
			edits: []edit{{`	excess := size - store.MaxFamily
`, `	excess := size - 2*store.MaxFamily
`}},
		},
		{
			rule: "what uses add to a record does not count", file: "shared/store/size.go", test: "api.TestItemSize",
			edits: []edit{{`	g.LastUserAgent = strings.Repeat("a", userAgent)
`, ``}, {`	"strings"
`, `	"strings"
	_ "time"
`}},
		},
		{
			rule: "an address in a record does not count", file: "shared/store/size.go", test: "api.TestItemSize",
			edits: []edit{{`	g.LastIP = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
`, ``}},
		},
		{
			rule: "numbers that grow in a record do not count", file: "shared/store/size.go", test: "api.TestItemSize",
			edits: []edit{{`	g.Counter, g.Held, g.Skipped = math.MaxUint32, math.MaxUint32, family.Range{From: math.MaxUint32, To: math.MaxUint32}
`, `	g.Counter = math.MaxUint8
`}},
		},
		{
			rule: "more is refused than has to be", file: "shared/store/size.go", test: "api.TestItemSize",
			edits: []edit{{`return ItemSize(m), nil`, `return ItemSize(m) + 64, nil`}},
		},
		{
			rule: "a refresh may ask for any number of scopes", file: "shared/api/token.go", test: "api.TestScope",
			edits: []edit{{`if len(scope) > maxAskedScopes {`, `if len(scope) > maxScope {`}},
		},
		{
			rule: "a scope asked for twice is two", file: "shared/api/token.go", test: "api.TestScope",
			edits: []edit{{`		if !seen[t] {
			scope = append(scope, t)`, `		if !seen[t] || len(scope) > 0 {
			scope = append(scope, t)`}},
		},
		{
			rule: "a long device is refused", file: "shared/api/families.go", test: "api.TestDescriptionsAreCut",
			edits: []edit{{`	f.Claims = in.claims(body.claims)
`, `	f.Claims = in.claims(body.claims)
	in.text("device", body.device, maxText)
`}},
		},
		{
			rule: "a text is cut within a character", file: "shared/api/api.go", test: "api.TestDescriptionsAreCut",
			edits: []edit{{`for n > 0 && !utf8.RuneStart(s[n]) {`, `for n > 0 && !utf8.RuneStart(s[n]) && s == "" {`}},
		},
		{
			rule: "a user agent is cut to where browsers begin to differ", file: "shared/api/manage.go", test: "api.TestDescriptionsAreCut",
			edits: []edit{{`	maxText      = 256`, `	maxText      = 48`}},
		},
		{
			rule: "characters of HTML are six bytes in a token", file: "shared/signing/access.go", test: "signing.TestClaimsAreNotEscaped",
			edits: []edit{{`	e.SetEscapeHTML(false)
`, ``}},
		},
	}},
}
