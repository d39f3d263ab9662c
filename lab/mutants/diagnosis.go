package main

// diagnosis breaks what explain says.
var diagnosis = []chapter{{"Diagnosis", []mutant{
	{
		rule: "a lost response is thought of although its successor was used", file: "shared/family/explain.go", test: "family.TestAdvice",
		edits: []edit{{`case n == pred && f.Held == f.Counter:`, `case n == pred && f.Held > f.Counter:`}},
	},
	{
		rule: "a token that was passed over is advised upon like the predecessor", file: "shared/family/explain.go", test: "family.TestAdvice",
		edits: []edit{{`	case n > pred:
		says`, `	case n > pred && p == nil:
		says`}, {`	case n == pred:
		says`, `	case n >= pred:
		says`}},
	},
	{
		rule: "until_used is recommended where it is set", file: "shared/family/explain.go", test: "family.TestAdvice",
		edits: []edit{{`if p.LostResponse != UntilUsed {`, `if p.LostResponse != "" {`}},
	},
	{
		rule: "an interval is recommended that is no longer than the present one", file: "shared/family/explain.go", test: "family.TestAdvice",
		edits: []edit{{`after < lostResponse && cover > p.ReuseInterval &&`, `after < lostResponse &&`}},
	},
	{
		rule: "an interval is recommended that is longer than any may be", file: "shared/family/explain.go", test: "family.TestAdvice",
		edits: []edit{{`after < lostResponse && cover > p.ReuseInterval && cover <= MaxReuseInterval`, `cover > p.ReuseInterval`}},
	},
	{
		rule: "the preset copies is recommended where its interval is set", file: "shared/family/explain.go", test: "family.TestAdvice",
		edits: []edit{{`p.ReuseInterval < copies && after < copies.Duration()`, `after < copies.Duration()`}},
	},
	{
		rule: "a higher limit is recommended where there is none", file: "shared/family/explain.go", test: "family.TestAdvice",
		edits: []edit{{`if p.MaxActive < MaxMaxActive {`, `if p.MaxActive <= MaxMaxActive {`}},
	},
	{
		rule: "a longer idle lifetime is recommended where there is none", file: "shared/family/explain.go", test: "family.TestAdvice",
		edits: []edit{{`if p.IdleLifetime < MaxLifetime {`, `if p.IdleLifetime <= MaxLifetime {`}},
	},
	{
		rule: "a longer absolute lifetime is recommended where there is none", file: "shared/family/explain.go", test: "family.TestAdvice",
		edits: []edit{{`	case p.AbsoluteLifetime < MaxLifetime:
		return`, `	case p.AbsoluteLifetime <= MaxLifetime:
		return`}},
	},
	{
		rule: "an access token is explained as malformed", file: "shared/api/explain.go", test: "api.TestExplainWhatIsPasted",
		edits: []edit{{`case strings.Count(pasted, ".") == 2:`, `case strings.Count(pasted, ".") == 3:`}},
	},
	{
		rule: "an expired access token is not explained", file: "shared/api/explain.go", test: "api.TestExplainWhatIsPasted",
		edits: []edit{{`now, (*signing.Set).VerifyExpired)`, `now, (*signing.Set).Verify)`}},
	},
	{
		rule: "a sid is not looked for among the user's families", file: "shared/api/explain.go", test: "api.TestExplainWhatIsPasted",
		edits: []edit{{`case notSID == nil && q.userID != "":`, `case notSID == nil && q.userID == "none":`}},
	},
	{
		rule: "the interval that is set is recommended", file: "shared/api/explain.go", test: "api.TestNoRecommendationOfWhatIsSet",
		edits: []edit{{`if best.ReuseInterval == present {`, `if best.ReuseInterval == 0 {`}},
	},
}}}
