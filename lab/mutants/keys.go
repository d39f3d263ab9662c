package main

// keys breaks the keys: what each verifies, and how a leaked one is replaced.
var keys = []chapter{
	{"What a key verifies", []mutant{
		{
			rule: "a MAC key verifies for ever", file: "shared/token/codec.go", test: "token.TestKeyEndsWithItsSuccessor",
			edits: []edit{{`if began(t) >= key.end {`, `if began(t) < 0 {`}},
		},
		{
			rule: "a family that began at its key's end is the key's", file: "shared/token/codec.go", test: "token.TestKeyEndsWithItsSuccessor",
			edits: []edit{{`if began(t) >= key.end {`, `if began(t) > key.end {`}},
		},
		{
			rule: "a MAC key ends the moment its successor mints", file: "shared/token/codec.go", test: "api.TestOldKeyForgesNothingNewer",
			edits: []edit{{`end = k.From.Add(Lead).UnixMilli()`, `end = k.From.UnixMilli()`}},
		},
		{
			rule: "families that others began in time are refused, once in a while", file: "shared/token/codec.go", test: "api.TestRotationsAtRandom",
			edits: []edit{{`end = k.From.Add(Lead).UnixMilli()`, `end = k.From.UnixMilli()`}},
		},
		{
			rule: "a key ends with the newest, not with its successor", file: "shared/token/codec.go", test: "token.TestKeyEndsWithItsSuccessor",
			edits: []edit{{`		if k.takesOver() {
			end =`, `		if k.takesOver() && end == math.MaxInt64 {
			end =`}},
		},
		{
			rule: "when a family began is read from its user key", file: "shared/token/codec.go", test: "token.TestKeyEndsWithItsSuccessor",
			edits: []edit{{`copy(ms[2:], t.Family[userKeySize:userKeySize+6])`, `copy(ms[2:], t.Family[:6])`}},
		},
		{
			rule: "a clock that is behind mints under a key that does not verify the family", file: "shared/token/codec.go", test: "token.TestMintNeverExceedsABound",
			edits: []edit{{` || began >= chosen.end {`, ` {`}},
		},
		{
			rule: "a revoked MAC key mints", file: "shared/token/codec.go", test: "token.TestRevokedKey",
			edits: []edit{{`		if !k.revoked.IsZero() {
			continue
		}
		if chosen == nil`, `		if chosen == nil`}},
		},
		{
			rule: "a token under a revoked MAC key is good", file: "shared/token/codec.go", test: "token.TestRevokedKey",
			edits: []edit{{`if !key.revoked.IsZero() {`, `if key.revoked.After(key.from.AddDate(1000, 0, 0)) {`}},
		},
		{
			rule: "a token under a revoked MAC key is forged, and nobody learns why", file: "shared/token/codec.go", test: "api.TestEmergencyMACKey",
			edits: []edit{{`return Token{}, &RevokedError{Token: t, At: key.revoked}`, `return Token{}, ErrForged`}},
		},
		{
			rule: "a revoked MAC key reaches further than a good one", file: "shared/token/codec.go", test: "token.TestRevokedKey",
			edits: []edit{{`if began(t) >= key.end {`, `if began(t) >= key.end && key.revoked.IsZero() {`}},
		},
		{
			rule: "who has no key learns that it is revoked", file: "shared/token/codec.go", test: "token.TestRevokedKey",
			edits: []edit{{`	full := sum(key.mac, message[:len(label)+atTag])
`, `	if !key.revoked.IsZero() {
		return Token{}, &RevokedError{Token: Token{Family: [32]byte(raw[atFamily:atCounter]), Counter: counter}, At: key.revoked}
	}
	full := sum(key.mac, message[:len(label)+atTag])
`}},
		},
		{
			rule: "a key that was revoked before its time ends the one before it", file: "shared/token/key.go", test: "token.TestRevokedBeforeItsTime",
			edits: []edit{{`return k.Revoked.IsZero() || k.Revoked.After(k.From) }`, `return !k.From.IsZero() || k.Revoked.IsZero() }`}},
		},
		{
			rule: "keys of which the last is revoked are taken", file: "shared/token/codec.go", test: "token.TestNewCodecRefusesRevokedAlone",
			edits: []edit{{`i >= 0 && !sorted[i].Revoked.IsZero() {`, `i >= len(sorted) {`}},
		},
		{
			rule: "two MAC keys may share an id", file: "shared/token/codec.go", test: "token.TestNewCodecErrors",
			edits: []edit{{`		if seen[k.ID] {`, `		if seen[k.ID] && k.Secret == nil {`}},
		},
		{
			rule: "a MAC key may be short", file: "shared/token/codec.go", test: "token.TestNewCodecErrors",
			edits: []edit{{`if n := len(secret); n < minSecret || n > maxSecret {`, `if n := len(secret); n < 1 || n > maxSecret {`}},
		},
		{
			rule: "of several MAC keys as new as each other the lowest id mints", file: "shared/token/codec.go", test: "token.TestMintChoosesTheKey",
			edits: []edit{{`return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.ID, b.ID))`, `return cmp.Or(a.From.Compare(b.From), cmp.Compare(b.ID, a.ID))`}},
		},
		{
			rule: "what a codec was made of can be changed under it", file: "shared/token/mac.go", test: "token.TestNewCodecCopies",
			edits: []edit{{`	secret = bytes.Clone(secret)
`, `	_ = bytes.Clone(secret)
`}},
		},
		{
			rule: "a user's key is that of whoever's id begins alike", file: "shared/token/mac.go", test: "token.TestUserKey",
			edits: []edit{{`		message = message[n:]
`, `		message = message[len(message):]
`}},
		},
		{
			rule: "a MAC key prints as it is", file: "shared/token/key.go", test: "token.TestSecretsDoNotPrint",
			edits: []edit{{`func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }`, `func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, string(k.Secret)) }`}},
		},
		{
			rule: "a MAC key is in JSON", file: "shared/token/key.go", test: "token.TestSecretsDoNotPrint",
			edits: []edit{{"`json:\"-\"` // 32", "// 32"}},
		},
	}},
	{"A copy of the keys", []mutant{
		{
			rule: "a copy of the keys is never too old", file: "shared/keyring/secret.go", test: "keyring.TestSecretStale",
			edits: []edit{{`old.Stale = age > macLead`, `old.Stale = age < 0`}},
		},
		{
			rule: "with keys that are too old a family is started", file: "shared/api/keys.go", test: "api.TestStaleKeysStartNoFamily",
			edits: []edit{{`if keys.Stale {`, `if keys.Stale && keys.Codec == nil {`}},
		},
		{
			rule: "families that others will refuse are started, once in a while", file: "shared/api/keys.go", test: "api.TestRotationsAtRandom",
			edits: []edit{{`if keys.Stale {`, `if keys.Stale && keys.Codec == nil {`}},
		},
		{
			rule: "as soon as the keys are due no family is started", file: "shared/api/keys.go", test: "api.TestStaleKeysStartNoFamily",
			edits: []edit{{`if keys.Stale {`, `if keys.Overdue {`}},
		},
		{
			rule: "families are started with any keys", file: "shared/api/families.go", test: "api.TestStaleKeysStartNoFamily",
			edits: []edit{{`a.startingKeys(ctx, now)`, `a.Keys.Keys(ctx, now)`}},
		},
		{
			rule: "a MAC key that is newer than the copy at hand is the token's fault", file: "shared/api/keys.go", test: "api.TestRotationMissed",
			edits: []edit{{`if keys.Overdue && errors.Is(err, token.ErrUnknownKey) {`, `if keys.Overdue && errors.Is(err, token.ErrMalformed) {`}},
		},
		{
			rule: "a signing key that is newer than the copy at hand is the token's fault", file: "shared/api/keys.go", test: "api.TestOverdueKeys",
			edits: []edit{{`if keys.Overdue && errors.Is(err, signing.ErrUnknownKey) {`, `if keys.Overdue && err == nil {`}},
		},
		{
			rule: "without the newer MAC key a revocation is answered 200 and revokes nothing", file: "shared/api/revoke.go", test: "api.TestOverdueKeys",
			edits: []edit{{`	if errors.Is(err, keyring.ErrUnavailable) {
		return family.ID{}, 0, false, err
	}
	access, err`, `	access, err`}},
		},
		{
			rule: "without the newer signing key a revocation is answered 200 and revokes nothing", file: "shared/api/revoke.go", test: "api.TestOverdueKeys",
			edits: []edit{{`(*signing.Set).VerifyExpired)
	if errors.Is(err, keyring.ErrUnavailable) {`, `(*signing.Set).VerifyExpired)
	if errors.Is(err, store.ErrNotFound) {`}},
		},
		{
			rule: "without the newer MAC key a refresh token is inactive", file: "shared/api/introspect.go", test: "api.TestOverdueKeys",
			edits: []edit{{`	tok, err := a.parseToken(ctx, keys, presented, now)
	if errors.Is(err, keyring.ErrUnavailable) {`, `	tok, err := a.parseToken(ctx, keys, presented, now)
	if errors.Is(err, store.ErrNotFound) {`}},
		},
		{
			rule: "without the newer signing key an access token is inactive", file: "shared/api/introspect.go", test: "api.TestOverdueKeys",
			edits: []edit{{`(*signing.Set).Verify)
	if errors.Is(err, keyring.ErrUnavailable) {`, `(*signing.Set).Verify)
	if errors.Is(err, store.ErrNotFound) {`}},
		},
		{
			rule: "without the newer signing key an access token is explained as never issued", file: "shared/api/explain.go", test: "api.TestOverdueKeys",
			edits: []edit{{`(*signing.Set).VerifyExpired)
	if errors.Is(err, keyring.ErrUnavailable) {`, `(*signing.Set).VerifyExpired)
	if errors.Is(err, store.ErrNotFound) {`}},
		},
		{
			rule: "without the newer MAC key a token is explained as never issued", file: "shared/api/explain.go", test: "api.TestOverdueKeys",
			edits: []edit{{`	case errors.Is(err, keyring.ErrUnavailable):
		return explanation{}, err
`, ``}},
		},
		{
			rule: "a MAC key made in an emergency is unknown to others for five minutes", file: "shared/api/keys.go", test: "api.TestNewKeyReachesOtherServers",
			edits: []edit{{`	tok, err := keys.Codec.Parse(presented)
	if !errors.Is(err, token.ErrUnknownKey) {`, `	tok, err := keys.Codec.Parse(presented)
	if !keys.Overdue || !errors.Is(err, token.ErrUnknownKey) {`}},
		},
		{
			rule: "a signing key made in an emergency is unknown to others for five minutes", file: "shared/api/keys.go", test: "api.TestEmergencySigningKey",
			edits: []edit{{`	access, err := verify(keys.Signing, presented, a.Issuer, now)
	if !errors.Is(err, signing.ErrUnknownKey) {`, `	access, err := verify(keys.Signing, presented, a.Issuer, now)
	if !keys.Overdue || !errors.Is(err, signing.ErrUnknownKey) {`}},
		},
		{
			rule: "each token of a key that nobody has causes a read", file: "shared/keyring/secret.go", test: "keyring.TestSecretNewer",
			edits: []edit{{`return s.noOlder(ctx, now, retryAfter)`, `return s.noOlder(ctx, now, -1)`}},
		},
		{
			rule: "a copy is not marked as overdue", file: "shared/keyring/secret.go", test: "keyring.TestSecretKeepsOldCopyWhenReadingFails",
			edits: []edit{{`old.Overdue = true`, `old.Overdue = false`}},
		},
		{
			rule: "a copy of the keys is kept for a day", file: "shared/keyring/secret.go", test: "keyring.TestSecretIsCachedForFiveMinutes",
			edits: []edit{{`maxAge = 5 * time.Minute`, `maxAge = 24 * time.Hour`}},
		},
		{
			rule: "beside a copy a request waits for ten seconds", file: "shared/keyring/secret.go", test: "keyring.TestSecretPatience",
			edits: []edit{{`		patience = nextPatience
`, ``}},
		},
		{
			rule: "without a copy a request does not wait", file: "shared/keyring/secret.go", test: "keyring.TestSecretPatience",
			edits: []edit{{`patience := firstPatience`, `patience := nextPatience`}},
		},
		{
			rule: "beside one that reads all requests wait", file: "shared/keyring/secret.go", test: "keyring.TestSecretPatience",
			edits: []edit{{`if failed || s.reading != nil && oldest == maxAge {`, `if failed {`}},
		},
		{
			rule: "who has met an unknown key does not wait for the read under way", file: "shared/keyring/secret.go", test: "keyring.TestSecretNewerWaits",
			edits: []edit{{`s.reading != nil && oldest == maxAge {`, `s.reading != nil {`}},
		},
		{
			rule: "after a failure each request tries again", file: "shared/keyring/secret.go", test: "keyring.TestSecretKeepsOldCopyWhenReadingFails",
			edits: []edit{{`if failed || s.reading`, `if failed && age < 0 || s.reading`}},
		},
		{
			rule: "a failure to read is never tried again", file: "shared/keyring/secret.go", test: "keyring.TestSecretKeepsOldCopyWhenReadingFails",
			edits: []edit{{`now.Sub(s.failedAt).Abs() < retryAfter`, `now.Sub(s.failedAt).Abs() >= 0`}},
		},
		{
			rule: "a failure to read drops the copy", file: "shared/keyring/secret.go", test: "keyring.TestSecretKeepsOldCopyWhenReadingFails",
			edits: []edit{{`		s.failedAt = now
`, `		s.failedAt, s.keys = now, nil
`}},
		},
		{
			rule: "a clock set back makes a copy young again", file: "shared/keyring/secret.go", test: "keyring.TestSecretClockSetBack",
			edits: []edit{{`	if now.Before(s.latest.Add(-setBack)) {
		s.readAt = time.Time{}
	}
`, ``}},
		},
		{
			rule: "with a clock set back families are started on a copy of any age", file: "shared/keyring/secret.go", test: "api.TestCopyOfKeysWhenTheClockIsSetBack",
			edits: []edit{{`	if now.Before(s.latest.Add(-setBack)) {
		s.readAt = time.Time{}
	}
`, ``}},
		},
		{
			rule: "requests that overlap are taken for a clock set back", file: "shared/keyring/secret.go", test: "keyring.TestSecretClockSetBack",
			edits: []edit{{`if now.Before(s.latest.Add(-setBack)) {`, `if now.Before(s.latest) {`}},
		},
		{
			rule: "a clock set back is told by the time of the read alone", file: "shared/keyring/secret.go", test: "keyring.TestSecretClockSetBack",
			edits: []edit{{`	if now.After(s.latest) {
		s.latest = now
	}
`, ``}},
		},
		{
			rule: "of many first requests each reads", file: "shared/keyring/secret.go", test: "keyring.TestSecretConcurrentFirstRequestsReadOnce",
			edits: []edit{{`	if s.reading == nil {
`, `	if s.reading == nil || s.keys == nil {
`}},
		},
		{
			rule: "a read ends with the request that began it", file: "shared/keyring/secret.go", test: "keyring.TestSecretRequestGivesUp",
			edits: []edit{{`context.WithoutCancel(ctx), s.reading`, `ctx, s.reading`}},
		},
		{
			rule: "keys that cannot be read are no ErrUnavailable", file: "shared/keyring/secret.go", test: "keyring.TestSecretWithoutCopyIsUnavailable",
			edits: []edit{{`fmt.Errorf("keyring: read secret: %w: %w", ErrUnavailable, err)`, `fmt.Errorf("keyring: read secret: %w", err)`}},
		},
		{
			rule: "any version of the secret is read", file: "shared/keyring/secret.go", test: "keyring.TestSecretIsCachedForFiveMinutes",
			edits: []edit{{`VersionStage: aws.String("AWSCURRENT"),`, `VersionStage: aws.String("AWSPENDING"),`}},
		},
		{
			rule: "others may read the file with the keys", file: "shared/keyring/file.go", test: "keyring.TestFileRefuses",
			edits: []edit{{`mode&0o077 != 0`, `mode&0o007 != 0`}},
		},
		{
			rule: "a file of any length is read", file: "shared/keyring/file.go", test: "keyring.TestFileRefuses",
			edits: []edit{{`if len(data) > maxFile {`, `if len(data) > 2*maxFile {`}},
		},
		{
			rule: "keys that another process has just made are replaced", file: "shared/keyring/file.go", test: "keyring.TestFileConcurrentCreatorsAgree",
			edits: []edit{{`	linked := os.Link(temporary, path)
	err = os.Remove(temporary)
`, `	linked := os.Rename(temporary, path)
	err = nil
`}},
		},
		{
			rule: "a temporary file with keys stays behind", file: "shared/keyring/file.go", test: "keyring.TestFileMakesAndReopens",
			edits: []edit{{`	err = os.Remove(temporary)
`, ``}},
		},
		{
			rule: "a file whose keys sign with something else is taken", file: "shared/keyring/file.go", test: "keyring.TestFileRefuses",
			edits: []edit{{`if alg == "" || k.JWK.Algorithm == string(alg) {`, `if alg != "none" {`}},
		},
		{
			rule: "a file without a key that signs is taken", file: "shared/keyring/file.go", test: "keyring.TestFileRefuses",
			edits: []edit{{`		if !k.Private() {
			continue
		}
		if alg`, `		if alg`}},
		},
	}},
	{"The document of the keys", []mutant{
		{
			rule: "a document with an unknown member is read", file: "shared/keyring/parse.go", test: "keyring.TestParseRefuses",
			edits: []edit{{`if !slices.Contains(required, name) && !slices.Contains(optional, name) {`, `if name == "" {`}},
		},
		{
			rule: "of a repeated member the last one counts", file: "shared/keyring/parse.go", test: "keyring.TestParseRefuses",
			edits: []edit{{`if _, again := members[name]; again {`, `if _, again := members[name]; again && name == "" {`}},
		},
		{
			rule: "what follows a document is passed over", file: "shared/keyring/parse.go", test: "keyring.TestParseRefuses",
			edits: []edit{{`	if !errors.Is(err, io.EOF) {
		return nil, notObject
	}
`, `	_ = errors.Is(err, io.EOF)
`}},
		},
		{
			rule: "a key in two lines is read", file: "shared/keyring/parse.go", test: "keyring.TestParseRefuses",
			edits: []edit{{`err != nil || strings.ContainsAny(s, "\r\n") {`, `err != nil || strings.ContainsAny(s, "\v") {`}},
		},
		{
			rule: "a key of any length is read", file: "shared/keyring/parse.go", test: "keyring.TestParseRefuses",
			edits: []edit{{`if len(key) < minSecret || len(key) > maxSecret {`, `if len(key) > maxSecret*1000 {`}},
		},
		{
			rule: "the error about a document shows what is wrong with it", file: "shared/keyring/parse.go", test: "keyring.TestParseRefuses",
			edits: []edit{{`if len(name) > longestName {`, `if len(name) > 1000*longestName {`}},
		},
		{
			rule: "two MAC keys of a document share an id", file: "shared/keyring/parse.go", test: "keyring.TestParseRefuses",
			edits: []edit{{`return k.ID == key.ID }) {`, `return k.ID == key.ID && k.Secret == nil }) {`}},
		},
		{
			rule: "a revocation is forgotten when it is written", file: "shared/keyring/document.go", test: "keyring.TestRevokeMAC",
			edits: []edit{{`k.From.UTC(), k.Revoked.UTC()})
	}
	for`, `k.From.UTC(), time.Time{}})
	}
	for`}},
		},
		{
			rule: "a revocation is forgotten when it is read", file: "shared/keyring/parse.go", test: "keyring.TestRevokeMAC",
			edits: []edit{{`return token.Key{ID: byte(id), Secret: key, From: from, Revoked: revoked}, nil`, `return token.Key{ID: byte(id), Secret: key, From: from, Revoked: time.Time{}.Add(0 * revoked.Sub(from))}, nil`}},
		},
		{
			rule: "a signing key's revocation is forgotten when it is read", file: "shared/keyring/parse.go", test: "keyring.TestEmergencyBesideRotation",
			edits: []edit{{`return signing.Key{JWK: jwk, From: from, Until: until, Revoked: revoked}, nil`, `return signing.Key{JWK: jwk, From: from, Until: until, Revoked: time.Time{}.Add(0 * revoked.Sub(from))}, nil`}},
		},
		{
			rule: "a document without revocations is written so that an earlier release cannot read it", file: "shared/keyring/document.go", test: "keyring.TestParseWithoutRevocations",
			edits: []edit{{"json:\"from\"`\n\t\tRevoked time.Time `json:\"revoked,omitzero\"`\n\t}\n\ttype sig", "json:\"from\"`\n\t\tRevoked time.Time `json:\"revoked\"`\n\t}\n\ttype sig"}},
		},
		{
			rule: "a document prints its keys", file: "shared/keyring/document.go", test: "keyring.TestRedaction",
			edits: []edit{{`	_, _ = io.WriteString(f, d.String())
`, `	_, _ = io.WriteString(f, fmt.Sprint(d.UserKey))
`}},
		},
		{
			rule: "a document inside JSON has its keys", file: "shared/keyring/document.go", test: "keyring.TestRedaction",
			edits: []edit{{`	return json.Marshal(d.String())
`, `	return json.Marshal(d.UserKey)
`}},
		},
		{
			rule: "all first keys are one", file: "shared/keyring/document.go", test: "keyring.TestGenerate",
			edits: []edit{{`	_, _ = rand.Read(secret) // never returns an error
`, `	_, _ = rand.Read(nil) // never returns an error
`}},
		},
	}},
	{"Rotation of the keys", []mutant{
		{
			rule: "a rotation replaces the user key", file: "shared/keyring/rotate.go", test: "keyring.TestRotate",
			edits: []edit{{`next := &Document{UserKey: d.UserKey, MAC`, `next := &Document{UserKey: newSecret(), MAC`}},
		},
		{
			rule: "a rotation changes the document itself", file: "shared/keyring/rotate.go", test: "keyring.TestRotate",
			edits: []edit{{`Signing: slices.Clone(d.Signing)}
	if`, `Signing: d.Signing}
	if`}},
		},
		{
			rule: "while a MAC key waits another is made", file: "shared/keyring/rotate.go", test: "keyring.TestRotateAgain",
			edits: []edit{{`return k.Revoked.IsZero() && k.From.After(now) })`, `return k.Secret == nil })`}},
		},
		{
			rule: "while a signing key waits another is made", file: "shared/keyring/rotate.go", test: "keyring.TestRotateAgain",
			edits: []edit{{`return k.Private() && k.From.After(now) })`, `return k.Private() && k.From.IsZero() })`}},
		},
		{
			rule: "a MAC key that was revoked while it waited keeps the next from being made", file: "shared/keyring/rotate.go", test: "keyring.TestRotateAfterRevoke",
			edits: []edit{{`return k.Revoked.IsZero() && k.From.After(now) })`, `return k.From.After(now) })`}},
		},
		{
			rule: "the id of a MAC key that was removed is the first to be used again", file: "shared/keyring/rotate.go", test: "keyring.TestRotateMACIDs",
			edits: []edit{{`id := newest.ID + 1
`, `id := newest.ID &^ 255
`}},
		},
		{
			rule: "there may be more MAC keys than ids", file: "shared/keyring/rotate.go", test: "keyring.TestRotateMACIDs", hangs: true,
			edits: []edit{{`maxMAC = 256`, `maxMAC = 257`}},
		},
		{
			rule: "a signing key that was replaced keeps its private half", file: "shared/keyring/rotate.go", test: "keyring.TestRotate",
			edits: []edit{{`k = k.Retired(k.Until)
`, `_ = k.Retired(k.Until)
`}},
		},
		{
			rule: "a signing key loses its private half before its last signature", file: "shared/keyring/rotate.go", test: "keyring.TestRotate",
			edits: []edit{{`if !stops.After(now) {`, `if stops.After(now) || !stops.After(now) {`}},
		},
		{
			rule: "signing keys that are no longer published stay", file: "shared/keyring/rotate.go", test: "keyring.TestRotate",
			edits: []edit{{`return !published(k, now) && (k.Revoked`, `return !published(k, now) && k.Until.IsZero() && (k.Revoked`}},
		},
		{
			rule: "a revoked signing key is forgotten at the next rotation", file: "shared/keyring/rotate.go", test: "keyring.TestRotateAfterRevoke",
			edits: []edit{{`now.Sub(k.Revoked) > remembered)`, `now.Sub(k.Revoked) > 0)`}},
		},
		{
			rule: "a revoked signing key stays for ever", file: "shared/keyring/rotate.go", test: "keyring.TestRotateAfterRevoke",
			edits: []edit{{`now.Sub(k.Revoked) > remembered)`, `now.Sub(k.Revoked) > 1000*remembered)`}},
		},
		{
			rule: "a pending version with another user key comes into use", file: "shared/keyring/rotate.go", test: "keyring.TestRotationGivesUp",
			edits: []edit{{`if !bytes.Equal(d.UserKey, current.UserKey) {`, `if d.UserKey == nil {`}},
		},
		{
			rule: "a pending version without a MAC key in use comes into use", file: "shared/keyring/rotate.go", test: "keyring.TestRotationGivesUp",
			edits: []edit{{`		case i < 0:
			return fmt.Errorf("MAC key %d is missing", k.ID)
		case !bytes`, `		case i < 0:
		case !bytes`}},
		},
		{
			rule: "a pending version with another MAC key of an id in use comes into use", file: "shared/keyring/rotate.go", test: "keyring.TestRotationGivesUp",
			edits: []edit{{`!bytes.Equal(d.MAC[i].Secret, k.Secret) || !d.MAC[i].From.Equal(k.From)`, `d.MAC[i].Secret == nil`}},
		},
		{
			rule: "a pending version whose MAC key mints before all know it comes into use", file: "shared/keyring/rotate.go", test: "keyring.TestRotationTooLate",
			edits: []edit{{`if added && k.From.Before(now.Add(macLead-rotationTime)) {`, `if added && k.From.IsZero() {`}},
		},
		{
			rule: "a pending version whose signing key signs before all know it comes into use", file: "shared/keyring/rotate.go", test: "keyring.TestRotationGivesUp",
			edits: []edit{{`if added && k.From.Before(now.Add(signingLead-rotationTime)) {`, `if added && k.From.IsZero() {`}},
		},
		{
			rule: "a pending version without a published signing key comes into use", file: "shared/keyring/rotate.go", test: "keyring.TestRotationGivesUp",
			edits: []edit{{`			return fmt.Errorf("signing key %q is missing", k.JWK.KeyID)
`, ``}},
		},
		{
			rule: "a pending version that withdraws a signing key early comes into use", file: "shared/keyring/rotate.go", test: "keyring.TestRotationGivesUp",
			edits: []edit{{`case !k.Until.IsZero() && !published(d.Signing[i], k.Until.Add(-1)):`, `case k.From.IsZero():`}},
		},
		{
			rule: "a pending version under which the last access token dies comes into use", file: "shared/keyring/rotate.go", test: "keyring.TestRotationGivesUp",
			edits: []edit{{`	err = signs(after, before, now, now.Add(longestAccessToken-1))
`, `	err = signs(after, before, now, now)
`}},
		},
		{
			rule: "a pending version that is unfit keeps the next rotation from beginning", file: "shared/keyring/rotation.go", test: "keyring.TestRotationGivesUp",
			edits: []edit{{`return r.giveUp(ctx, state, fmt.Errorf(`, `return errors.Join(fmt.Errorf(`}},
		},
		{
			rule: "a version that has become unfit since it was tried comes into use", file: "shared/keyring/rotation.go", test: "keyring.TestRotationGivesUp",
			edits: []edit{{`	err := r.test(ctx, now, state)
	if err != nil {
		return err
	}
	move`, `	move`}, {`	_, err = r.Client.UpdateSecretVersionStage(ctx, move)`, `	_, err := r.Client.UpdateSecretVersionStage(ctx, move)`}},
		},
		{
			rule: "a step that is repeated makes other keys", file: "shared/keyring/rotation.go", test: "keyring.TestRotationRepeatsSteps",
			edits: []edit{{`	if err != nil || found {
		return err
	}
	current`, `	if err != nil || found && now.IsZero() {
		return err
	}
	current`}},
		},
		{
			rule: "a damaged document is written over with first keys", file: "shared/keyring/rotation.go", test: "keyring.TestRotationRefusesDamagedKeys",
			edits: []edit{{`	if !placeholder(text) {
		d, err := Parse([]byte(text))
		if err != nil {`, `	if !placeholder(text) {
		d, err := Parse([]byte(text))
		if err != nil && len(text) < 100 {
			return nil, nil
		}
		if err != nil {`}},
		},
		{
			rule: "keys whose place a random text took are lost", file: "shared/keyring/rotation.go", test: "keyring.TestRotationRefusesReplacedKeys",
			edits: []edit{{`	text, _, err = r.read(ctx, state.secret, state.previous)
`, `	text, _, err = r.read(ctx, state.secret, "")
`}},
		},
		{
			rule: "a secret whose rotation is off is rotated", file: "shared/keyring/rotation.go", test: "keyring.TestRotationRefuses",
			edits: []edit{{`if !aws.ToBool(out.RotationEnabled) {`, `if out.RotationEnabled == nil {`}},
		},
		{
			rule: "a version that no rotation has begun comes into use", file: "shared/keyring/rotation.go", test: "keyring.TestRotationRefuses",
			edits: []edit{{`if !state.finished && !slices.Contains(out.VersionIdsToStages[e.Version], labelPending) {`, `if e.Version == "" {`}},
		},
	}},
	{"An emergency", []mutant{
		{
			rule: "a revoked MAC key gets no successor", file: "shared/keyring/leak.go", test: "keyring.TestRevokeMAC",
			edits: []edit{{`return k.ID == minting && !k.Revoked.IsZero() }) {`, `return k.Secret == nil && k.ID == minting }) {`}},
		},
		{
			rule: "for each MAC key that is revoked a new one mints", file: "shared/keyring/leak.go", test: "keyring.TestRevokeMAC",
			edits: []edit{{`return k.ID == minting && !k.Revoked.IsZero() }) {`, `return minting >= 0 && !k.Revoked.IsZero() }) {`}},
		},
		{
			rule: "the MAC key in a revoked one's place waits like any other", file: "shared/keyring/leak.go", test: "keyring.TestRevokeMAC",
			edits: []edit{{`Secret: newSecret(), From: now})`, `Secret: newSecret(), From: now.Add(macLead)})`}},
		},
		{
			rule: "a MAC key that waits is taken for the one in use", file: "shared/keyring/leak.go", test: "keyring.TestRevokeMAC",
			edits: []edit{{`if k.Revoked.IsZero() && (!found || !k.From.After(now)) {`, `if k.Revoked.IsZero() && (!found || !k.From.IsZero()) {`}},
		},
		{
			rule: "an id past 255 names another MAC key", file: "shared/keyring/leak.go", test: "keyring.TestRevokeRefuses",
			edits: []edit{{`return int(k.ID) == id })`, `return k.ID == byte(id) })`}},
		},
		{
			rule: "to revoke again voids what was made since", file: "shared/keyring/leak.go", test: "keyring.TestRevokeMAC",
			edits: []edit{{`		if !d.MAC[i].Revoked.IsZero() {
			continue
		}
`, ``}},
		},
		{
			rule: "to revoke a signing key again makes another", file: "shared/keyring/leak.go", test: "keyring.TestRevokeSigning",
			edits: []edit{{`		if !k.Revoked.IsZero() {
			continue
		}
		k.Revoked`, `		k.Revoked`}},
		},
		{
			rule: "a revoked signing key keeps its private half", file: "shared/keyring/leak.go", test: "keyring.TestRevokeSigning",
			edits: []edit{{`d.Signing[i] = k.Retired(k.Until)`, `d.Signing[i] = k`}},
		},
		{
			rule: "a revoked signing key gets no successor", file: "shared/keyring/leak.go", test: "keyring.TestRevokeSigning",
			edits: []edit{{`if signer == "" || slices.Contains(ids, signer) {`, `if signer == "" {`}},
		},
		{
			rule: "for a signing key that no longer signs a new one takes over, unknown to all", file: "shared/keyring/leak.go", test: "keyring.TestRevokeSigning",
			edits: []edit{{`if signer == "" || slices.Contains(ids, signer) {`, `if signer != "" {`}},
		},
		{
			rule: "the signing key in a revoked one's place signs a day later", file: "shared/keyring/leak.go", test: "keyring.TestRevokeSigning",
			edits: []edit{{`signing.GenerateKey(alg, now)`, `signing.GenerateKey(alg, now.Add(signingLead))`}},
		},
		{
			rule: "where the key that was to take over is revoked nobody signs any more", file: "shared/keyring/leak.go", test: "keyring.TestRevokeSigning",
			edits: []edit{{`		d.Signing[i].Until = time.Time{}
`, `		_ = i
`}},
		},
		{
			rule: "a leak of which nothing is known is taken for success", file: "shared/keyring/leak.go", test: "keyring.TestRevokeRefuses",
			edits: []edit{{`if len(leak.MAC)+len(leak.Signing) == 0 {`, `if d == nil {`}},
		},
		{
			rule: "a rotation brings back a MAC key that was revoked meanwhile", file: "shared/keyring/rotate.go", test: "keyring.TestEmergencyBesideRotation",
			edits: []edit{{`case !d.MAC[i].Revoked.Equal(k.Revoked):`, `case k.From.IsZero():`}, {`case i >= 0 && !d.Signing[i].Revoked.Equal(k.Revoked):`, `case k.From.IsZero():`}},
		},
		{
			rule: "an emergency puts its version in the place of whatever has become current meanwhile", file: "shared/keyring/emergency.go", test: "keyring.TestEmergencyMeetsRotation",
			edits: []edit{{`VersionStages:      []string{labelEmergency},`, `VersionStages:      []string{labelCurrent},`}},
		},
		{
			rule: "an emergency that dies keeps rotations from beginning", file: "shared/keyring/emergency.go", test: "keyring.TestEmergencyFaults",
			edits: []edit{{`labelEmergency = "ROTOR_EMERGENCY"`, `labelEmergency = "AWSPENDING"`}},
		},
		{
			rule: "an emergency gives up where a rotation was faster", file: "shared/keyring/emergency.go", test: "keyring.TestEmergencyMeetsRotation",
			edits: []edit{{`		case after != made:
			return nil, false, nil
`, `		case after != made:
			return nil, false, failed
`}},
		},
		{
			rule: "an emergency whose last answer was lost begins again", file: "shared/keyring/emergency.go", test: "keyring.TestEmergencyFaults",
			edits: []edit{{`		case after == version:
			return nil, false, failed
		case after != made:`, `		case after == version:
			return nil, true, nil
		case after != made:`}},
		},
		{
			rule: "an emergency that is repeated writes another version", file: "shared/keyring/emergency.go", test: "keyring.TestEmergency",
			edits: []edit{{`	if next == current {
		return current, true, nil
	}
`, ``}},
		},
		{
			rule: "an emergency leaves no line in the log", file: "shared/keyring/emergency.go", test: "keyring.TestEmergency",
			edits: []edit{{`r.Log.WarnContext(ctx, "keys revoked",`, `r.Log.DebugContext(ctx, "keys revoked",`}},
		},
		{
			rule: "a token under a revoked key is refused as forged", file: "shared/api/refresh.go", test: "api.TestEmergencyMACKey",
			edits: []edit{{`a.refuse(ctx, u, revoked.Token, nil, family.KeyRevoked)`, `a.refuse(ctx, u, revoked.Token, nil, family.NeverIssued)`}},
		},
		{
			rule: "of a token under a revoked key the log does not say whose it is", file: "shared/api/refresh.go", test: "api.TestEmergencyMACKey",
			edits: []edit{{`a.refuse(ctx, u, revoked.Token, nil, family.KeyRevoked)`, `a.refuse(ctx, u, token.Token{}, nil, family.KeyRevoked)`}},
		},
		{
			rule: "a token under a revoked key is explained as if it were good", file: "shared/api/explain.go", test: "api.TestEmergencyMACKey",
			edits: []edit{{`answer.Verdict, answer.Cause, answer.Recommendation = family.DeadToken, family.KeyRevoked, nil`, `answer.Recommendation = nil`}},
		},
		{
			rule: "who has a revoked MAC key ends the sessions of others", file: "shared/api/revoke.go", test: "api.TestEmergencyMACKey",
			edits: []edit{{`	if err == nil {
		return tok.Family, tok.Counter, true, nil
	}
`, `	if revoked := new(token.RevokedError); errors.As(err, &revoked) {
		tok, err = revoked.Token, nil
	}
	if err == nil {
		return tok.Family, tok.Counter, true, nil
	}
`}, {`	"github.com/rotor-auth/rotor/shared/store"
`, `	"github.com/rotor-auth/rotor/shared/store"
	"github.com/rotor-auth/rotor/shared/token"
`}},
		},
		{
			rule: "an action with a member that is spelled wrong is carried out", file: "shared/keyring/action.go", test: "boot.TestKeysActions",
			edits: []edit{{`	strict.DisallowUnknownFields()
`, ``}},
		},
		{
			rule: "an emergency is about the secret that the event names", file: "shared/keyring/action.go", test: "boot.TestKeysActions",
			edits: []edit{{`keys, err = r.act(ctx, now, secret, event)`, `keys, err = r.act(ctx, now, step.SecretID, event)`}},
		},
		{
			rule: "the function that rotates the keys does not know the secret", file: "functions/internal/boot/config.go", test: "boot.TestLoadKeysConfig",
			edits: []edit{{`Secret:    e.secret("ROTOR_KEYS_SECRET"),`, `Secret:    e.getenv("ROTOR_SECRET"),`}},
		},
	}},
	{"Signing", []mutant{
		{
			rule: "a revoked signing key is published and verifies", file: "shared/signing/set.go", test: "signing.TestRevokedKey",
			edits: []edit{{`		if checked.Revoked.IsZero() {
`, `		if checked.Revoked.IsZero() || checked.From.IsZero() == checked.Revoked.IsZero() {
`}},
		},
		{
			rule: "a revoked signing key is taken for one that may be newer", file: "shared/signing/set.go", test: "signing.TestRevokedKey",
			edits: []edit{{`		s.ids[k.JWK.KeyID] = true
`, `		s.ids[k.JWK.KeyID] = checked.Revoked.IsZero()
`}},
		},
		{
			rule: "a signing key that is retired is good again", file: "shared/signing/key.go", test: "signing.TestRevokedKey",
			edits: []edit{{`Until: until, Revoked: k.Revoked}`, `Until: until}`}},
		},
		{
			rule: "a token of another issuer is taken for one of a newer key", file: "shared/signing/verify.go", test: "signing.TestUnknownKey",
			edits: []edit{{`	a, err := readAccess(payload)
	if err != nil {
		return Access{}, refused("claims: %w", err)
	}
`, `	a, err := readAccess(payload)
	if unknown != nil {
		return a, unknown
	}
	if err != nil {
		return Access{}, refused("claims: %w", err)
	}
`}},
		},
		{
			rule: "a token that has expired is taken for one of a newer key", file: "shared/signing/verify.go", test: "signing.TestUnknownKey",
			edits: []edit{{`if err != nil && !errors.Is(err, ErrUnknownKey) {`, `if err != nil {`}},
		},
		{
			rule: "what an unknown key has signed is believed", file: "shared/signing/verify.go", test: "signing.TestUnknownKey",
			edits: []edit{{`	return a, unknown
`, `	return a, nil
`}},
		},
		{
			rule: "the header of a token chooses the algorithm", file: "shared/signing/verify.go", test: "signing.TestVerifyRefusesOtherAlgorithms",
			edits: []edit{{`	case header.Algorithm != key.Algorithm: // RFC 8725 §3.1
		return nil, refused("its algorithm is not that of its key")
`, ``}, {`jose.RS256, jose.ES256})`, `jose.RS256, jose.ES256, jose.PS256, jose.RS512})`}},
		},
		{
			rule: "an id token is taken for an access token", file: "shared/signing/verify.go", test: "signing.TestVerifyType",
			edits: []edit{{`if !strings.EqualFold(typ, typAccess) && !strings.EqualFold(typ, "application/"+typAccess) {`, `if typ == "" {`}},
		},
		{
			rule: "an access token has two spellings", file: "shared/signing/verify.go", test: "signing.TestVerifyRefusesTampering",
			edits: []edit{{`		_, err := base64.RawURLEncoding.Strict().DecodeString(part)`, `		_, err := base64.RawURLEncoding.DecodeString(part)`}},
		},
		{
			rule: "an access token of another issuer is ours", file: "shared/signing/verify.go", test: "signing.TestVerifyClaims",
			edits: []edit{{`if a.Issuer != issuer {`, `if a.Issuer == "" {`}},
		},
		{
			rule: "at the second of its end an access token is good", file: "shared/signing/verify.go", test: "signing.TestVerifyExpiry",
			edits: []edit{{`if !a.ExpiresAt.After(now) {`, `if a.ExpiresAt.Before(now) {`}},
		},
		{
			rule: "an access token lives for ever", file: "shared/signing/verify.go", test: "signing.TestVerifyExpiry",
			edits: []edit{{`if !a.ExpiresAt.After(now) {`, `if a.ExpiresAt.IsZero() {`}},
		},
		{
			rule: "a key that is no longer published verifies", file: "shared/signing/verify.go", test: "signing.TestVerifyRetiredKey",
			edits: []edit{{`key, ok := s.publicationAt(now).keys[header.KeyID]`, `key, ok := s.publications[0].keys[header.KeyID]`}},
		},
		{
			rule: "a key that is yet to sign is not published", file: "shared/signing/jwks.go", test: "signing.TestJWKS",
			edits: []edit{{`if !k.Until.IsZero() && (p.end`, `if i := len(ends); i > 0 && k.From.After(ends[i-1]) || !k.Until.IsZero() && (p.end`}},
		},
		{
			rule: "a key is published past its end", file: "shared/signing/jwks.go", test: "signing.TestJWKS",
			edits: []edit{{`if now.Before(s.publications[i].end) {`, `if !now.After(s.publications[i].end) {`}},
		},
		{
			rule: "the private half of a key is published", file: "shared/signing/jwks.go", test: "signing.TestJWKS",
			edits: []edit{{`public := k.JWK.Public()`, `public := k.JWK`}},
		},
		{
			rule: "who asks for the key set can change it", file: "shared/signing/jwks.go", test: "signing.TestJWKS",
			edits: []edit{{`return bytes.Clone(s.publicationAt(now).jwks)`, `return bytes.TrimSpace(s.publicationAt(now).jwks)`}},
		},
		{
			rule: "a new key signs before its time", file: "shared/signing/set.go", test: "signing.TestKeyChoice",
			edits: []edit{{`if chosen == nil || !candidate.key.From.After(now) {`, `if chosen == nil || !candidate.key.From.IsZero() {`}},
		},
		{
			rule: "a key signs what nobody can verify", file: "shared/signing/set.go", test: "signing.TestSignPastEveryEnd",
			edits: []edit{{`		if !candidate.key.publishedAt(now) {
			continue
		}
`, ``}},
		},
		{
			rule: "a custom claim replaces one of ours", file: "shared/signing/access.go", test: "signing.TestCustomClaimsCannotOverride",
			edits: []edit{{`if strings.EqualFold(name, reserved) {`, `if strings.EqualFold(name, reserved) && name == "nbf" {`}},
		},
		{
			rule: "a claim that is reserved is free in capitals", file: "shared/signing/access.go", test: "signing.TestCustomClaimsCannotOverride",
			edits: []edit{{`if strings.EqualFold(name, reserved) {`, `if strings.EqualFold(name, reserved) && name == reserved {`}},
		},
		{
			rule: "all access tokens have one jti", file: "shared/signing/access.go", test: "signing.TestSignAccessAgainstStandardLibrary",
			edits: []edit{{`	_, _ = rand.Read(id[:]) // never returns an error
`, `	_, _ = rand.Read(nil) // never returns an error
`}},
		},
		{
			rule: "an access token without an audience is signed", file: "shared/signing/access.go", test: "signing.TestSignAccessRequires",
			edits: []edit{{`claim{"aud", a.Audience.present()},`, `claim{"aud", true},`}},
		},
		{
			rule: "an id token without a subject is signed", file: "shared/signing/id.go", test: "signing.TestSignIDRequires",
			edits: []edit{{`claim{"sub", i.Subject != ""},`, `claim{"sub", true},`}},
		},
		{
			rule: "an id token is signed as an access token", file: "shared/signing/id.go", test: "signing.TestSignID",
			edits: []edit{{`sign(key.id, claims{`, `sign(key.access, claims{`}},
		},
		{
			rule: "an RSA key of 1024 bits is taken", file: "shared/signing/key.go", test: "signing.TestNewSetRefuses",
			edits: []edit{{`case public.N.BitLen() < rsaBits:`, `case public.N.BitLen() < rsaBits/2:`}},
		},
		{
			rule: "a key whose halves do not belong together is taken", file: "shared/signing/key.go", test: "signing.TestNewSetRefuses",
			edits: []edit{{`if err != nil || !private.PublicKey.Equal(&m.PublicKey) {`, `if err != nil {`}},
		},
		{
			rule: "a key's id is any number", file: "shared/signing/key.go", test: "signing.TestGenerateKey",
			edits: []edit{{`base64.RawURLEncoding.EncodeToString(thumbprint[:sha256.Size])`, `base64.RawURLEncoding.EncodeToString(thumbprint[:sha256.Size/2])`}},
		},
		{
			rule: "a signing key prints its private half", file: "shared/signing/key.go", test: "signing.TestRedaction",
			edits: []edit{{`	_, _ = io.WriteString(f, k.String())
`, `	_, _ = io.WriteString(f, fmt.Sprintf("%+v", k.JWK.Key))
`}},
		},
	}},
	{"Secrets of clients", []mutant{
		{
			rule: "a new secret whose answer was lost takes both places, and outlives its deletion", file: "shared/store/client.go", test: "api.TestSecretWhoseAnswerWasLostToTheSDK",
			edits: []edit{{`			if have.ID == s.ID {
				return nil // our own write, whose answer was lost
			}
`, `			_ = have
`}},
		},
		{
			rule: "a deletion whose answer was lost fails", file: "shared/store/client.go", test: "api.TestSecretWhoseAnswerWasLost",
			edits: []edit{{`if err != nil && !errors.As(err, &gone) {`, `if err != nil || errors.As(err, &gone) {`}},
		},
		{
			rule: "a third secret takes the place of the first", file: "shared/store/client.go", test: "api.TestSecrets",
			edits: []edit{{`"#type = :confidential AND " + slot + " = :none"`, `"#type = :confidential AND (" + slot + " = :none OR " + slot + " <> :none)"`}},
		},
		{
			rule: "a deleted secret works on where it was deleted", file: "shared/api/clients.go", test: "api.TestSecrets",
			edits: []edit{{`	err = a.Table.RemoveSecret(r.Context(), id, secretID.String())
	a.clients.Forget(id)
`, `	err = a.Table.RemoveSecret(r.Context(), id, secretID.String())
`}},
		},
		{
			rule: "a secret is compared with the first alone", file: "shared/api/clientauth.go", test: "api.TestSecrets",
			edits: []edit{{`		match |= subtle.ConstantTimeCompare(hash[:], s.Hash[:])
`, `		match |= subtle.ConstantTimeCompare(hash[:], s.Hash[:])
		break //nolint:staticcheck // a mutant
`}},
		},
	}},
}
