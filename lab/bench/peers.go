package main

// peer is the result of another product, measured on another machine of 2 cores that
// also made the load, or published by its makers. This program does not measure it.
type peer struct {
	what, rate, cpu, calls, alone, race string
}

var peers = []peer{
	{
		"Supabase Auth v2.196: counter tokens, HS256, Postgres 15", "336 (334–389)", "3.0 + 1.95", "19 SQL", "7.6 / 15.8",
		"50 × 200, one successor, p50 0.34–0.6 s",
	},
	{
		"Ory Hydra v26.2: opaque tokens, Postgres 15", "381 (351–409)", "2.96 + 1.62", "9 SQL", "6.5 / 13.2",
		"14–18 % 200, 7–15 % 500 (deadlocks), the newest token dead in 8 to 11 of 20 sessions; with 30 s grace 50 different live tokens",
	},
	{"Ory Hydra v26.2: RS256 JWT, Postgres 15", "145", "10.9 + 1.98", "10 SQL", "17.9 / 26.4", ""},
	{"node-oidc-provider 9.13: ES256, in memory", "1,422–1,603", "0.74–0.81", "5 calls", "1.7 / 7", "one 200, and the session is dead"},
	{"Keycloak, as it publishes", "120 a vCPU", "", "", "", ""},
}
