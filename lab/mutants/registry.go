package main

// registry breaks the cache of clients.
var registry = []chapter{{"The registry's cache", []mutant{
	{
		rule: "a known client fails while the table cannot be read", file: "shared/store/clients.go", test: "api.TestRegistryUnreachable",
		edits: []edit{{`if err == nil || errors.Is(err, ErrNotFound) || kept.client == nil {`, `if err == nil || errors.Is(err, ErrNotFound) || kept.client != nil {`}},
	},
	{
		rule: "a copy serves for ever while the table cannot be read", file: "shared/store/clients.go", test: "api.TestRegistryUnreachable",
		edits: []edit{{`if kept.client != nil && age(now, kept.readAt) >= clientsStale {`, `if kept.client != nil && age(now, kept.readAt) < 0 {`}},
	},
	{
		rule: "that an old copy serves is not logged", file: "shared/store/clients.go", test: "api.TestRegistryUnreachable",
		edits: []edit{{`	if c.failed(id, now) {
`, `	if c.failed(id, now) && kept.client == nil {
`}},
	},
	{
		rule: "a table that does not answer is read by each request", file: "shared/store/clients.go", test: "api.TestRegistryReadsArePaced",
		edits: []edit{{`|| !kept.failedAt.IsZero() && age(now, kept.failedAt) < readPause):`, `):`}},
	},
	{
		rule: "a read that hangs holds up the next", file: "shared/store/clients.go", test: "api.TestRegistryReadsArePaced",
		edits: []edit{{`	c.reads.Forget(id) // one that hangs must not hold up the next
`, ``}},
	},
	{
		rule: "made-up ids drive known clients out", file: "shared/store/clients.go", test: "api.TestMadeUpClientsDriveNobodyOut",
		edits: []edit{{`	if client == nil {
		makeRoom`, `	if client == nil {
		makeRoom(c.known, func(kept clientCopy) time.Time { return kept.readAt.Add(-time.Duration(len(c.unknown))) })
		if len(c.unknown) >= clientsKept-1 {
			clear(c.known)
		}
		makeRoom`}},
	},
	{
		rule: "an unknown id is read each time", file: "shared/store/clients.go", test: "api.TestMadeUpClientsDriveNobodyOut",
		edits: []edit{{`	case unknown:
`, `	case unknown && c == nil:
`}},
	},
	{
		rule: "an unknown id stays unknown", file: "shared/store/clients.go", test: "api.TestRegistryFollows",
		edits: []edit{{`ok && age(now, readAt) < clientsFor`, `ok && age(now, readAt) < clientsStale`}},
	},
	{
		rule: "a clock that was set back keeps a copy", file: "shared/store/clients.go", test: "api.TestRegistryWhenTheClockIsSetBack",
		edits: []edit{{`{ return now.Sub(t).Abs() }`, `{ return now.Sub(t) }`}},
	},
}}}
