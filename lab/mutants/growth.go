package main

var growth = chapter{"What a call takes", []mutant{
	{
		rule: "a refresh reads the record before it writes", pkg: "store", file: "refresh.go", test: "counts.TestCounts",
		edits: []edit{{`condition, set := r.condition(values), useSet`, `_, _ = t.read(ctx, familyKey(r.Family))
	condition, set := r.condition(values), useSet`}},
	},
	{
		rule: "a record has the user agent twice", pkg: "store", file: "refresh.go", test: "counts.TestCounts",
		edits: []edit{{`last_user_agent = :ua, purge_at`, `last_user_agent = :ua, last_agent = :ua, purge_at`}},
	},
	{
		rule: "a count may grow by half", pkg: "counts", test: "counts.TestGrowthFails",
		edits: []edit{{`now > before*(1+tolerance(what))`, `now > before*1.5`}},
	},
	{
		rule: "what is counted no more is not missed", pkg: "counts", test: "counts.TestGrowthFails",
		edits: []edit{{`case !was || !is ||`, `case !was || (!is && now > 0) ||`}},
	},
}}
