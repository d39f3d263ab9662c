package main

var keyChecks = chapter{"What a key verifies", []mutant{
	{
		rule: "a MAC key verifies for ever", pkg: "token", test: "token.TestKeyEndsWithItsSuccessor",
		edits: []edit{{`if began(t) >= key.end {`, `if began(t) < 0 {`}},
	},
	{
		rule: "a family that began at its key's end is the key's", pkg: "token", test: "token.TestKeyEndsWithItsSuccessor",
		edits: []edit{{`if began(t) >= key.end {`, `if began(t) > key.end {`}},
	},
	{
		rule: "a MAC key ends the moment its successor mints", pkg: "token", test: "server.TestOldKeyForgesNothingNewer",
		edits: []edit{{`end = k.From.Add(Lead).UnixMilli()`, `end = k.From.UnixMilli()`}},
	},
	{
		rule: "a key ends with the newest, not with its successor", pkg: "token", test: "token.TestKeyEndsWithItsSuccessor",
		edits: []edit{{`		if k.takesOver() {
			end =`, `		if k.takesOver() && end == math.MaxInt64 {
			end =`}},
	},
	{
		rule: "when a family began is read from its user key", pkg: "token", test: "token.TestKeyEndsWithItsSuccessor",
		edits: []edit{{`copy(ms[2:], t.Family[userKeySize:userKeySize+6])`, `copy(ms[2:], t.Family[:6])`}},
	},
	{
		rule: "a clock that is behind mints under a key that does not verify the family", pkg: "token", test: "token.TestMintNeverExceedsABound",
		edits: []edit{{` || began >= chosen.end {`, ` {`}},
	},
	{
		rule: "a revoked MAC key mints", pkg: "token", test: "token.TestRevokedKey",
		edits: []edit{{`		if !k.revoked.IsZero() {
			continue
		}
		if chosen == nil`, `		if chosen == nil`}},
	},
	{
		rule: "a token under a revoked MAC key is good", pkg: "token", test: "token.TestRevokedKey",
		edits: []edit{{`if !key.revoked.IsZero() {`, `if key.revoked.After(key.from.AddDate(1000, 0, 0)) {`}},
	},
	{
		rule: "a token under a revoked MAC key is forged, and nobody learns why", pkg: "token", test: "server.TestEmergencyMACKey",
		edits: []edit{{`return Token{}, &RevokedError{Token: t, At: key.revoked}`, `return Token{}, ErrForged`}},
	},
	{
		rule: "a revoked MAC key reaches further than a good one", pkg: "token", test: "token.TestRevokedKey",
		edits: []edit{{`if began(t) >= key.end {`, `if began(t) >= key.end && key.revoked.IsZero() {`}},
	},
	{
		rule: "who has no key learns that it is revoked", pkg: "token", test: "token.TestRevokedKey",
		edits: []edit{{`	full := sum(key.mac, message[:labelSize+atTag])
`, `	if !key.revoked.IsZero() {
		return Token{}, &RevokedError{Token: Token{Family: [32]byte(raw[atFamily:atCounter]), Counter: counter}, At: key.revoked}
	}
	full := sum(key.mac, message[:labelSize+atTag])
`}},
	},
	{
		rule: "a key that was revoked before its time ends the one before it", pkg: "token", test: "token.TestRevokedBeforeItsTime",
		edits: []edit{{`return k.Revoked.IsZero() || k.Revoked.After(k.From) }`, `return !k.From.IsZero() || k.Revoked.IsZero() }`}},
	},
	{
		rule: "keys of which the last is revoked are taken", pkg: "token", test: "token.TestNewCodecRefusesRevokedAlone",
		edits: []edit{{`i >= 0 && !sorted[i].Revoked.IsZero() {`, `i >= len(sorted) {`}},
	},
	{
		rule: "two MAC keys may share an id", pkg: "token", test: "token.TestNewCodecErrors",
		edits: []edit{{`		if seen[k.ID] {`, `		if seen[k.ID] && k.Secret == nil {`}},
	},
	{
		rule: "a MAC key may be short", pkg: "token", test: "token.TestNewCodecErrors",
		edits: []edit{{`if n := len(secret); n < minSecret || n > maxSecret {`, `if n := len(secret); n < 1 || n > maxSecret {`}},
	},
	{
		rule: "of several MAC keys as new as each other the lowest id mints", pkg: "token", test: "token.TestMintChoosesTheKey",
		edits: []edit{{`return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.ID, b.ID))`, `return cmp.Or(a.From.Compare(b.From), cmp.Compare(b.ID, a.ID))`}},
	},
	{
		rule: "what a codec was made of can be changed under it", pkg: "token", test: "token.TestNewCodecCopies",
		edits: []edit{{`	secret = bytes.Clone(secret)
`, `	_ = bytes.Clone(secret)
`}},
	},
	{
		rule: "a user's key is that of whoever's id begins alike", pkg: "token", test: "token.TestUserKey",
		edits: []edit{{`		message = message[n:]
`, `		message = message[len(message):]
`}},
	},
	{
		rule: "the user key may be short", pkg: "token", test: "token.TestNewUserKeysErrors",
		edits: []edit{{`	if err := checkSecret(secret); err != nil {
		return nil, fmt.Errorf("user key: %w", err)`, `	if err := checkSecret(secret); err != nil && secret == nil {
		return nil, fmt.Errorf("user key: %w", err)`}},
	},
	{
		rule: "a document of keys tells its first fault alone", pkg: "keyring", test: "keyring.TestCompileErrors",
		edits: []edit{{`	if err := errors.Join(usersErr, codecErr, setErr); err != nil {`, `	if usersErr != nil {
		codecErr, setErr = nil, nil
	}
	if err := errors.Join(usersErr, codecErr, setErr); err != nil {`}},
	},
	{
		rule: "user keys print as they are", pkg: "token", test: "token.TestSecretsDoNotPrint",
		edits: []edit{{`func (u UserKeys) String() string { return redactedUserKeys }`, `func (u UserKeys) String() string { return fmt.Sprint(u.mac.states.New()) }`}},
	},
	{
		rule: "a MAC key prints as it is", pkg: "token", test: "token.TestSecretsDoNotPrint",
		edits: []edit{{`func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }`, `func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, string(k.Secret)) }`}},
	},
	{
		rule: "a MAC key is in JSON", pkg: "token", test: "token.TestSecretsDoNotPrint",
		edits: []edit{{"`json:\"-\"` // 32", "// 32"}},
	},
}}

var keyCopies = chapter{"A copy of the keys", []mutant{
	{
		rule: "a copy of the keys is never too old", pkg: "keyring", test: "keyring.TestSecretStale",
		edits: []edit{{`old.Stale = age > macLead`, `old.Stale = age < 0`}},
	},
	{
		rule: "with keys that are too old a family is started", pkg: "session", test: "server.TestStaleKeysStartNoFamily",
		edits: []edit{{`if keys.Stale {`, `if keys.Stale && keys.Codec == nil {`}},
	},
	{
		rule: "as soon as the keys are due no family is started", pkg: "session", test: "server.TestStaleKeysStartNoFamily",
		edits: []edit{{`if keys.Stale {`, `if keys.Overdue {`}},
	},
	{
		rule: "families are started with any keys", pkg: "session", test: "server.TestStaleKeysStartNoFamily",
		edits: []edit{{`id family.ID, f *family.Family, err error) {
	keys, err := e.freshKeys(ctx, now)`, `id family.ID, f *family.Family, err error) {
	keys, err := e.Keys.Keys(ctx, now)`}},
	},
	{
		rule: "a MAC key that is newer than the copy at hand is the token's fault", pkg: "session", test: "server.TestRotationMissed",
		edits: []edit{{`if newer.Overdue && errors.Is(err, token.ErrUnknownKey) {`, `if newer.Overdue && errors.Is(err, token.ErrMalformed) {`}},
	},
	{
		rule: "a signing key that is newer than the copy at hand is the token's fault", pkg: "session", test: "server.TestOverdueKeys",
		edits: []edit{{`if keys.Overdue && errors.Is(err, signing.ErrUnknownKey) {`, `if keys.Overdue && err == nil {`}},
	},
	{
		rule: "without the newer MAC key a revocation is answered 200 and revokes nothing", pkg: "session", test: "server.TestOverdueKeys",
		edits: []edit{{`	if !IsBadToken(err) {
		return family.ID{}, 0, false, err
	}
	access, err`, `	access, err`}},
	},
	{
		rule: "without the newer signing key a revocation is answered 200 and revokes nothing", pkg: "session", test: "server.TestOverdueKeys",
		edits: []edit{{`(*signing.Set).VerifyExpired)
	if errors.Is(err, keyring.ErrUnavailable) {`, `(*signing.Set).VerifyExpired)
	if errors.Is(err, store.ErrNotFound) {`}},
	},
	{
		rule: "without the newer MAC key a refresh token is inactive", pkg: "oauth", test: "server.TestOverdueKeys",
		edits: []edit{{`	if session.IsBadToken(err) {`, `	if err != nil {`}},
	},
	{
		rule: "without the newer signing key an access token is inactive", pkg: "oauth", file: "introspect.go", test: "server.TestOverdueKeys",
		edits: []edit{{`(*signing.Set).Verify)
	if errors.Is(err, keyring.ErrUnavailable) {`, `(*signing.Set).Verify)
	if errors.Is(err, store.ErrNotFound) {`}},
	},
	{
		rule: "without the newer signing key an access token is explained as never issued", pkg: "manage", test: "server.TestOverdueKeys",
		edits: []edit{{`(*signing.Set).VerifyExpired)
	if errors.Is(err, keyring.ErrUnavailable) {`, `(*signing.Set).VerifyExpired)
	if errors.Is(err, store.ErrNotFound) {`}},
	},
	{
		rule: "without the newer MAC key a token is explained as never issued", pkg: "manage", test: "server.TestOverdueKeys",
		edits: []edit{{`	case errors.Is(err, keyring.ErrUnavailable):
		return explanation{}, err
`, ``}},
	},
	{
		rule: "a MAC key made in an emergency is unknown to others for five minutes", pkg: "session", test: "server.TestNewKeyReachesOtherServers",
		edits: []edit{{`	content, err := parse(keys.Codec, presented)
	if !errors.Is(err, token.ErrUnknownKey) {`, `	content, err := parse(keys.Codec, presented)
	if !keys.Overdue || !errors.Is(err, token.ErrUnknownKey) {`}},
	},
	{
		rule: "a signing key made in an emergency is unknown to others for five minutes", pkg: "session", test: "server.TestEmergencySigningKey",
		edits: []edit{{`	claims, err := verify(keys.Signing, presented, e.Issuer, now)
	if !errors.Is(err, signing.ErrUnknownKey) {`, `	claims, err := verify(keys.Signing, presented, e.Issuer, now)
	if !keys.Overdue || !errors.Is(err, signing.ErrUnknownKey) {`}},
	},
	{
		rule: "each token of a key that nobody has causes a read", pkg: "keyring", test: "keyring.TestSecretNewer",
		edits: []edit{{`return s.noOlder(ctx, now, retryAfter)`, `return s.noOlder(ctx, now, -1)`}},
	},
	{
		rule: "a copy is not marked as overdue", pkg: "keyring", test: "keyring.TestSecretKeepsOldCopyWhenReadingFails",
		edits: []edit{{`old.Overdue = true`, `old.Overdue = false`}},
	},
	{
		rule: "a copy of the keys is kept for a day", pkg: "keyring", test: "keyring.TestSecretIsCachedForFiveMinutes",
		edits: []edit{{`maxAge = 5 * time.Minute`, `maxAge = 24 * time.Hour`}},
	},
	{
		rule: "beside a copy a request waits for ten seconds", pkg: "keyring", test: "keyring.TestSecretPatience",
		edits: []edit{{`		patience = nextPatience
`, ``}},
	},
	{
		rule: "without a copy a request does not wait", pkg: "keyring", test: "keyring.TestSecretPatience",
		edits: []edit{{`patience := firstPatience`, `patience := nextPatience`}},
	},
	{
		rule: "beside one that reads all requests wait", pkg: "keyring", test: "keyring.TestSecretPatience",
		edits: []edit{{`if failed || s.reading != nil && oldest == maxAge {`, `if failed {`}},
	},
	{
		rule: "who has met an unknown key does not wait for the read under way", pkg: "keyring", test: "keyring.TestSecretNewerWaits",
		edits: []edit{{`s.reading != nil && oldest == maxAge {`, `s.reading != nil {`}},
	},
	{
		rule: "after a failure each request tries again", pkg: "keyring", test: "keyring.TestSecretKeepsOldCopyWhenReadingFails",
		edits: []edit{{`if failed || s.reading`, `if failed && age < 0 || s.reading`}},
	},
	{
		rule: "a failure to read is never tried again", pkg: "keyring", test: "keyring.TestSecretKeepsOldCopyWhenReadingFails",
		edits: []edit{{`now.Sub(s.failedAt).Abs() < retryAfter`, `now.Sub(s.failedAt).Abs() >= 0`}},
	},
	{
		rule: "a failure to read drops the copy", pkg: "keyring", test: "keyring.TestSecretKeepsOldCopyWhenReadingFails",
		edits: []edit{{`		s.failedAt = now
`, `		s.failedAt, s.keys = now, nil
`}},
	},
	{
		rule: "a clock set back makes a copy young again", pkg: "keyring", test: "keyring.TestSecretClockSetBack",
		edits: []edit{{`	if now.Before(s.latest.Add(-setBack)) {
		s.readAt = time.Time{}
	}
`, ``}},
	},
	{
		rule: "with a clock set back families are started on a copy of any age", pkg: "keyring", test: "server.TestCopyOfKeysWhenTheClockIsSetBack",
		edits: []edit{{`	if now.Before(s.latest.Add(-setBack)) {
		s.readAt = time.Time{}
	}
`, ``}},
	},
	{
		rule: "requests that overlap are taken for a clock set back", pkg: "keyring", test: "keyring.TestSecretClockSetBack",
		edits: []edit{{`if now.Before(s.latest.Add(-setBack)) {`, `if now.Before(s.latest) {`}},
	},
	{
		rule: "a clock set back is told by the time of the read alone", pkg: "keyring", test: "keyring.TestSecretClockSetBack",
		edits: []edit{{`	if now.After(s.latest) {
		s.latest = now
	}
`, ``}},
	},
	{
		rule: "of many first requests each reads", pkg: "keyring", test: "keyring.TestSecretConcurrentFirstRequestsReadOnce",
		edits: []edit{{`	if s.reading == nil {
`, `	if s.reading == nil || s.keys == nil {
`}},
	},
	{
		rule: "a read ends with the request that began it", pkg: "keyring", test: "keyring.TestSecretRequestGivesUp",
		edits: []edit{{`context.WithoutCancel(ctx), s.reading`, `ctx, s.reading`}},
	},
	{
		rule: "keys that cannot be read are no ErrUnavailable", pkg: "keyring", test: "keyring.TestSecretWithoutCopyIsUnavailable",
		edits: []edit{{`fmt.Errorf("keyring: read secret: %w: %w", ErrUnavailable, err)`, `fmt.Errorf("keyring: read secret: %w", err)`}},
	},
	{
		rule: "any version of the secret is read", pkg: "keyring", test: "keyring.TestSecretIsCachedForFiveMinutes",
		edits: []edit{{`text, err := getText(ctx, s.client, s.secrets.Token, labelCurrent)`, `text, err := getText(ctx, s.client, s.secrets.Token, labelPending)`}},
	},
	{
		rule: "others may read the file with the keys", pkg: "keyring", test: "keyring.TestFileRefuses",
		edits: []edit{{`mode&0o077 != 0`, `mode&0o007 != 0`}},
	},
	{
		rule: "a file of any length is read", pkg: "keyring", test: "keyring.TestFileRefuses",
		edits: []edit{{`if len(data) > maxFile {`, `if len(data) > 2*maxFile {`}},
	},
	{
		rule: "keys that another process has just made are replaced", pkg: "keyring", test: "keyring.TestFileConcurrentCreatorsAgree",
		edits: []edit{{`	linked := os.Link(temporary, path)
	err = os.Remove(temporary)
`, `	linked := os.Rename(temporary, path)
	err = nil
`}},
	},
	{
		rule: "a temporary file with keys stays behind", pkg: "keyring", test: "keyring.TestFileMakesAndReopens",
		edits: []edit{{`	err = os.Remove(temporary)
`, ``}},
	},
	{
		rule: "a file whose keys sign with something else is taken", pkg: "keyring", test: "keyring.TestFileRefuses",
		edits: []edit{{`if alg == "" || k.JWK.Algorithm == string(alg) {`, `if alg != "none" {`}},
	},
	{
		rule: "a file without a key that signs is taken", pkg: "keyring", test: "keyring.TestFileRefuses",
		edits: []edit{{`		if !k.Private() {
			continue
		}
		if alg`, `		if alg`}},
	},
}}
