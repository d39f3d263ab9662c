package main

var codePages = chapter{"What people are shown of codes", []mutant{
	{
		rule: "a code that came again is an old token in the histogram", pkg: "console", test: "console.TestReuseOfCodesIsInNoHistogram",
		edits: []edit{{`, e.OriginToken != "" && !isForeign(e.OriginToken): //`, `: //`}},
	},
	{
		rule: "the age of a code is among those of old tokens", pkg: "audit", test: "audit.TestMetricsOfEachType",
		edits: []edit{{`		if e.OriginToken != family.Code {`, `		if e.OriginToken != "x" {`}},
	},
	{
		rule: "a code whose record is gone is a refresh token", pkg: "manage", test: "console.TestExpiredCode",
		edits: []edit{{`		answer.OriginToken = attempt.Origin
`, ``}},
	},
	{
		rule: "nobody asks about number 0", pkg: "console", test: "console.TestExplainCode",
		edits: []edit{{`if page.Kind == aRefreshToken || page.Kind == aCode || page.Kind == aForeignToken {`, `if page.Kind == aRefreshToken {`}},
	},
	{
		rule: "a code is called a refresh token", pkg: "console", test: "console.TestExplainCode",
		edits: []edit{{`		page.Kind = aCode //`, `		_ = aCode //`}},
	},
	{
		rule: "a pending session cannot be ended", pkg: "console", test: "console.TestSignOutWhilePending",
		edits: []edit{{`return f.Status == "active" || f.Status == "pending"`, `return f.Status == "active"`}},
	},
	{
		rule: "a reuse interval follows the exchange of a code", pkg: "timeline", test: "timeline.TestCode",
		edits: []edit{{`m.Kind != Issued && (m.Kind != Exchanged || isForeign(m.Origin))`, `m.Kind != Issued`}},
	},
	{
		rule: "a code that ended its family is an unknown cause", pkg: "timeline", test: "timeline.TestCode",
		edits: []edit{{`		case m.Origin != "":
			return`, `		case m.Origin == "x":
			return`}},
	},
	{
		rule: "an exchange is told twice", pkg: "console", test: "local.TestStoryOfACode",
		edits: []edit{{`case timeline.Exchanged, timeline.Rotated, timeline.Skipped:`, `case timeline.Rotated, timeline.Skipped:`}},
	},
	{
		rule: "the trail has no refused codes", pkg: "local", test: "local.TestTrailOfACode",
		edits: []edit{{`case audit.Refused, audit.CodeRefused:`, `case audit.Refused:`}},
	},
	{
		rule: "a pending family has ended", pkg: "command", test: "command.TestPendingFamily",
		edits: []edit{{`case "active", "pending", "unregistered":`, `case "active", "unregistered":`}},
	},
	{
		rule: "number 0 is no number", pkg: "command", test: "command.TestPendingFamily",
		edits: []edit{{`if n == 0 && origin == "" {`, `if n == 0 {`}},
	},
}}
