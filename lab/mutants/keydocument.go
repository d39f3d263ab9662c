package main

var keyDocument = chapter{"The document of the keys", []mutant{
	{
		rule: "a document with an unknown member is read", pkg: "keyring", test: "keyring.TestParseRefuses",
		edits: []edit{{`if !slices.Contains(required, name) && !slices.Contains(optional, name) {`, `if name == "" {`}},
	},
	{
		rule: "of a repeated member the last one counts", pkg: "keyring", test: "keyring.TestParseRefuses",
		edits: []edit{{`if _, again := members[name]; again {`, `if _, again := members[name]; again && name == "" {`}},
	},
	{
		rule: "what follows a document is passed over", pkg: "keyring", test: "keyring.TestParseRefuses",
		edits: []edit{{`	if !errors.Is(err, io.EOF) {
		return nil, notObject
	}
`, `	_ = errors.Is(err, io.EOF)
`}},
	},
	{
		rule: "a key in two lines is read", pkg: "keyring", test: "keyring.TestParseRefuses",
		edits: []edit{{`err != nil || strings.ContainsAny(s, "\r\n") {`, `err != nil || strings.ContainsAny(s, "\v") {`}},
	},
	{
		rule: "a key of any length is read", pkg: "keyring", test: "keyring.TestParseRefuses",
		edits: []edit{{`if len(key) < minSecret || len(key) > maxSecret {`, `if len(key) > maxSecret*1000 {`}},
	},
	{
		rule: "the error about a document shows what is wrong with it", pkg: "keyring", test: "keyring.TestParseRefuses",
		edits: []edit{{`if len(name) > longestName {`, `if len(name) > 1000*longestName {`}},
	},
	{
		rule: "two MAC keys of a document share an id", pkg: "keyring", test: "keyring.TestParseRefuses",
		edits: []edit{{`return k.ID == key.ID }) {`, `return k.ID == key.ID && k.Secret == nil }) {`}},
	},
	{
		rule: "a revocation is forgotten when it is written", pkg: "keyring", test: "keyring.TestRevokeMAC",
		edits: []edit{{`k.From.UTC(), k.Revoked.UTC()})
	}
	for`, `k.From.UTC(), time.Time{}})
	}
	for`}},
	},
	{
		rule: "a revocation is forgotten when it is read", pkg: "keyring", test: "keyring.TestRevokeMAC",
		edits: []edit{{`return token.Key{ID: byte(id), Secret: key, From: from, Revoked: revoked}, nil`, `return token.Key{ID: byte(id), Secret: key, From: from, Revoked: time.Time{}.Add(0 * revoked.Sub(from))}, nil`}},
	},
	{
		rule: "a signing key's revocation is forgotten when it is read", pkg: "keyring", test: "keyring.TestEmergencyBesideRotation",
		edits: []edit{{`return signing.Key{JWK: jwk, From: from, Until: until, Revoked: revoked}, nil`, `return signing.Key{JWK: jwk, From: from, Until: until, Revoked: time.Time{}.Add(0 * revoked.Sub(from))}, nil`}},
	},
	{
		rule: "a document without revocations is written so that an earlier release cannot read it", pkg: "keyring", test: "keyring.TestParseWithoutRevocations",
		edits: []edit{{"json:\"from\"`\n\t\tRevoked time.Time `json:\"revoked,omitzero\"`\n\t}\n\ttype sig", "json:\"from\"`\n\t\tRevoked time.Time `json:\"revoked\"`\n\t}\n\ttype sig"}},
	},
	{
		rule: "a document prints its keys", pkg: "keyring", test: "keyring.TestRedaction",
		edits: []edit{{`	_, _ = io.WriteString(f, d.String())
`, `	_, _ = io.WriteString(f, fmt.Sprint(d.UserKey))
`}},
	},
	{
		rule: "a document inside JSON has its keys", pkg: "keyring", test: "keyring.TestRedaction",
		edits: []edit{{`	return json.Marshal(d.String())
`, `	return json.Marshal(d.UserKey)
`}},
	},
	{
		rule: "all first keys are one", pkg: "keyring", test: "keyring.TestGenerate",
		edits: []edit{{`	_, _ = rand.Read(secret) // never returns an error
`, `	_, _ = rand.Read(nil) // never returns an error
`}},
	},
}}

var keyRotation = chapter{"Rotation of the keys", []mutant{
	{
		rule: "a rotation replaces the user key", pkg: "keyring", file: "next.go", test: "keyring.TestRotate",
		edits: []edit{{`next := &Document{UserKey: d.UserKey, MAC`, `next := &Document{UserKey: newSecret(), MAC`}},
	},
	{
		rule: "a rotation changes the document itself", pkg: "keyring", test: "keyring.TestRotate",
		edits: []edit{{`Signing: slices.Clone(d.Signing)}
	if`, `Signing: d.Signing}
	if`}},
	},
	{
		rule: "while a MAC key waits another is made", pkg: "keyring", test: "keyring.TestRotateAgain",
		edits: []edit{{`return k.Revoked.IsZero() && k.From.After(now) })`, `return k.Secret == nil })`}},
	},
	{
		rule: "while a signing key waits another is made", pkg: "keyring", file: "next.go", test: "keyring.TestRotateAgain",
		edits: []edit{{`return k.Private() && k.From.After(now) })`, `return k.Private() && k.From.IsZero() })`}},
	},
	{
		rule: "a MAC key that was revoked while it waited keeps the next from being made", pkg: "keyring", test: "keyring.TestRotateAfterRevoke",
		edits: []edit{{`return k.Revoked.IsZero() && k.From.After(now) })`, `return k.From.After(now) })`}},
	},
	{
		rule: "the id of a MAC key that was removed is the first to be used again", pkg: "keyring", test: "keyring.TestRotateMACIDs",
		edits: []edit{{`id := newest.ID + 1
`, `id := newest.ID &^ 255
`}},
	},
	{
		rule: "there may be more MAC keys than ids", pkg: "keyring", test: "keyring.TestRotateMACIDs", hangs: true,
		edits: []edit{{`maxMAC = 256`, `maxMAC = 257`}},
	},
	{
		rule: "a signing key that was replaced keeps its private half", pkg: "keyring", test: "keyring.TestRotate",
		edits: []edit{{`k = k.Retired(k.Until)
`, `_ = k.Retired(k.Until)
`}},
	},
	{
		rule: "a signing key loses its private half before its last signature", pkg: "keyring", test: "keyring.TestRotate",
		edits: []edit{{`if !stops.After(now) {`, `if stops.After(now) || !stops.After(now) {`}},
	},
	{
		rule: "signing keys that are no longer published stay", pkg: "keyring", test: "keyring.TestRotate",
		edits: []edit{{`return !published(k, now) && (k.Revoked`, `return !published(k, now) && k.Until.IsZero() && (k.Revoked`}},
	},
	{
		rule: "a revoked signing key is forgotten at the next rotation", pkg: "keyring", test: "keyring.TestRotateAfterRevoke",
		edits: []edit{{`now.Sub(k.Revoked) > revokedKeptFor)`, `now.Sub(k.Revoked) > 0)`}},
	},
	{
		rule: "a revoked signing key stays for ever", pkg: "keyring", test: "keyring.TestRotateAfterRevoke",
		edits: []edit{{`now.Sub(k.Revoked) > revokedKeptFor)`, `now.Sub(k.Revoked) > 1000*revokedKeptFor)`}},
	},
	{
		rule: "a pending version with another user key comes into use", pkg: "keyring", test: "keyring.TestRotationGivesUp",
		edits: []edit{{`if !bytes.Equal(d.UserKey, current.UserKey) {`, `if d.UserKey == nil {`}},
	},
	{
		rule: "a pending version without a MAC key in use comes into use", pkg: "keyring", test: "keyring.TestRotationGivesUp",
		edits: []edit{{`		case i < 0:
			return fmt.Errorf("MAC key %d is missing", k.ID)
		case !bytes`, `		case i < 0:
		case !bytes`}},
	},
	{
		rule: "a pending version with another MAC key of an id in use comes into use", pkg: "keyring", test: "keyring.TestRotationGivesUp",
		edits: []edit{{`!bytes.Equal(d.MAC[i].Secret, k.Secret) || !d.MAC[i].From.Equal(k.From)`, `d.MAC[i].Secret == nil`}},
	},
	{
		rule: "a pending version whose MAC key mints before all know it comes into use", pkg: "keyring", test: "keyring.TestRotationTooLate",
		edits: []edit{{`if added && k.From.Before(now.Add(macLead-rotationTime)) {`, `if added && k.From.IsZero() {`}},
	},
	{
		rule: "a pending version whose signing key signs before all know it comes into use", pkg: "keyring", test: "keyring.TestRotationGivesUp",
		edits: []edit{{`if added && k.From.Before(now.Add(signingLead-rotationTime)) {`, `if added && k.From.IsZero() {`}},
	},
	{
		rule: "a pending version without a published signing key comes into use", pkg: "keyring", test: "keyring.TestRotationGivesUp",
		edits: []edit{{`			return fmt.Errorf("signing key %q is missing", k.JWK.KeyID)
`, ``}},
	},
	{
		rule: "a pending version that withdraws a signing key early comes into use", pkg: "keyring", test: "keyring.TestRotationGivesUp",
		edits: []edit{{`case !k.Until.IsZero() && !published(d.Signing[i], k.Until.Add(-1)):`, `case k.From.IsZero():`}},
	},
	{
		rule: "a pending version under which the last access token dies comes into use", pkg: "keyring", test: "keyring.TestRotationGivesUp",
		edits: []edit{{`	err = checkSignature(after, before, now, now.Add(longestAccessToken-1))
`, `	err = checkSignature(after, before, now, now)
`}},
	},
	{
		rule: "a pending version that is unfit keeps the next rotation from beginning", pkg: "keyring", test: "keyring.TestRotationGivesUp",
		edits: []edit{{`return r.giveUp(ctx, state, fmt.Errorf(`, `return errors.Join(fmt.Errorf(`}},
	},
	{
		rule: "a version that has become unfit since it was tried comes into use", pkg: "keyring", test: "keyring.TestRotationGivesUp",
		edits: []edit{{`	err := r.test(ctx, now, state)
	if err != nil {
		return err
	}
	// Keys are public before they sign.
	err = r`, `	err := r`}},
	},
	{
		rule: "a step that is repeated makes other keys", pkg: "keyring", test: "keyring.TestRotationRepeatsSteps",
		edits: []edit{{`	if err != nil || found {
		return err
	}
	current`, `	if err != nil || found && now.IsZero() {
		return err
	}
	current`}},
	},
	{
		rule: "a damaged document is written over with first keys", pkg: "keyring", test: "keyring.TestRotationRefusesDamagedKeys",
		edits: []edit{{`	if !placeholder(text) {
		d, err := r.Secrets.parse(state.secret, text)
		if err != nil {`, `	if !placeholder(text) {
		d, err := r.Secrets.parse(state.secret, text)
		if err != nil && len(text) < 100 {
			return nil, nil
		}
		if err != nil {`}},
	},
	{
		rule: "keys whose place a random text took are lost", pkg: "keyring", test: "keyring.TestRotationRefusesReplacedKeys",
		edits: []edit{{`	text, _, err = r.read(ctx, state.secret, state.previous)
`, `	text, _, err = r.read(ctx, state.secret, "")
`}},
	},
	{
		rule: "a secret whose rotation is off is rotated", pkg: "keyring", test: "keyring.TestRotationRefuses",
		edits: []edit{{`if !aws.ToBool(out.RotationEnabled) {`, `if out.RotationEnabled == nil {`}},
	},
	{
		rule: "a version that no rotation has begun comes into use", pkg: "keyring", test: "keyring.TestRotationRefuses",
		edits: []edit{{`if !state.finished && !slices.Contains(out.VersionIdsToStages[e.Version], labelPending) {`, `if e.Version == "" {`}},
	},
}}

var emergencies = chapter{"An emergency", []mutant{
	{
		rule: "a revoked MAC key gets no successor", pkg: "keyring", test: "keyring.TestRevokeMAC",
		edits: []edit{{`return k.ID == minting && !k.Revoked.IsZero() }) {`, `return k.Secret == nil && k.ID == minting }) {`}},
	},
	{
		rule: "for each MAC key that is revoked a new one mints", pkg: "keyring", test: "keyring.TestRevokeMAC",
		edits: []edit{{`return k.ID == minting && !k.Revoked.IsZero() }) {`, `return minting >= 0 && !k.Revoked.IsZero() }) {`}},
	},
	{
		rule: "the MAC key in a revoked one's place waits like any other", pkg: "keyring", test: "keyring.TestRevokeMAC",
		edits: []edit{{`Secret: newSecret(), From: now})`, `Secret: newSecret(), From: now.Add(macLead)})`}},
	},
	{
		rule: "a MAC key that waits is taken for the one in use", pkg: "keyring", test: "keyring.TestRevokeMAC",
		edits: []edit{{`if k.Revoked.IsZero() && (!found || !k.From.After(now)) {`, `if k.Revoked.IsZero() && (!found || !k.From.IsZero()) {`}},
	},
	{
		rule: "an id past 255 names another MAC key", pkg: "keyring", test: "keyring.TestRevokeRefuses",
		edits: []edit{{`return int(k.ID) == id })`, `return k.ID == byte(id) })`}},
	},
	{
		rule: "to revoke again voids what was made since", pkg: "keyring", test: "keyring.TestRevokeMAC",
		edits: []edit{{`		if !d.MAC[i].Revoked.IsZero() {
			continue
		}
`, ``}},
	},
	{
		rule: "to revoke a signing key again makes another", pkg: "keyring", test: "keyring.TestRevokeSigning",
		edits: []edit{{`		if !k.Revoked.IsZero() {
			continue
		}
		k.Revoked`, `		k.Revoked`}},
	},
	{
		rule: "a revoked signing key keeps its private half", pkg: "keyring", test: "keyring.TestRevokeSigning",
		edits: []edit{{`d.Signing[i] = k.Retired(k.Until)`, `d.Signing[i] = k`}},
	},
	{
		rule: "a revoked signing key gets no successor", pkg: "keyring", test: "keyring.TestRevokeSigning",
		edits: []edit{{`if signer == "" || slices.Contains(ids, signer) {`, `if signer == "" {`}},
	},
	{
		rule: "for a signing key that no longer signs a new one takes over, unknown to all", pkg: "keyring", test: "keyring.TestRevokeSigning",
		edits: []edit{{`if signer == "" || slices.Contains(ids, signer) {`, `if signer != "" {`}},
	},
	{
		rule: "the signing key in a revoked one's place signs a day later", pkg: "keyring", file: "leak.go", test: "keyring.TestRevokeSigning",
		edits: []edit{{`signing.GenerateKey(alg, now)`, `signing.GenerateKey(alg, now.Add(signingLead))`}},
	},
	{
		rule: "where the key that was to take over is revoked nobody signs any more", pkg: "keyring", test: "keyring.TestRevokeSigning",
		edits: []edit{{`		d.Signing[i].Until = time.Time{}
`, `		_ = i
`}},
	},
	{
		rule: "a leak of which nothing is known is taken for success", pkg: "keyring", test: "keyring.TestRevokeRefuses",
		edits: []edit{{`if len(leak.MAC)+len(leak.Signing) == 0 {`, `if d == nil {`}},
	},
	{
		rule: "a rotation brings back a MAC key that was revoked meanwhile", pkg: "keyring", test: "keyring.TestEmergencyBesideRotation",
		edits: []edit{{`case !d.MAC[i].Revoked.Equal(k.Revoked):`, `case k.From.IsZero():`}, {`case i >= 0 && !d.Signing[i].Revoked.Equal(k.Revoked):`, `case k.From.IsZero():`}},
	},
	{
		rule: "an emergency puts its version in the place of whatever has become current meanwhile", pkg: "keyring", test: "keyring.TestEmergencyMeetsRotation",
		edits: []edit{{`VersionStages:      []string{labelEmergency},`, `VersionStages:      []string{labelCurrent},`}},
	},
	{
		rule: "an emergency that dies keeps rotations from beginning", pkg: "keyring", test: "keyring.TestEmergencyFaults",
		edits: []edit{{`labelEmergency = "ROTOR_EMERGENCY"`, `labelEmergency = "AWSPENDING"`}},
	},
	{
		rule: "an emergency gives up where a rotation was faster", pkg: "keyring", test: "keyring.TestEmergencyMeetsRotation",
		edits: []edit{{`		case after != made:
			return nil, false, nil
`, `		case after != made:
			return nil, false, failed
`}},
	},
	{
		rule: "an emergency whose last answer was lost begins again", pkg: "keyring", test: "keyring.TestEmergencyFaults",
		edits: []edit{{`		case after == version:
			return nil, false, failed
		case after != made:`, `		case after == version:
			return nil, true, nil
		case after != made:`}},
	},
	{
		rule: "an emergency that is repeated writes another version", pkg: "keyring", test: "keyring.TestEmergency",
		edits: []edit{{`	if next == current {
		return current, true, r.publish(ctx, secret, nil) // it may have died before
	}
`, ``}},
	},
	{
		rule: "an emergency leaves no line in the log", pkg: "keyring", test: "keyring.TestEmergency",
		edits: []edit{{`r.Log.WarnContext(ctx, "keys revoked",`, `r.Log.DebugContext(ctx, "keys revoked",`}},
	},
	{
		rule: "a token under a revoked key is refused as forged", pkg: "session", test: "server.TestEmergencyMACKey",
		edits: []edit{{`e.refuse(ctx, u, revoked.Token, nil, family.KeyRevoked)`, `e.refuse(ctx, u, revoked.Token, nil, family.NeverIssued)`}},
	},
	{
		rule: "of a token under a revoked key the log does not say whose it is", pkg: "session", test: "server.TestEmergencyMACKey",
		edits: []edit{{`e.refuse(ctx, u, revoked.Token, nil, family.KeyRevoked)`, `e.refuse(ctx, u, token.Token{}, nil, family.KeyRevoked)`}},
	},
	{
		rule: "a token under a revoked key is explained as if it were good", pkg: "manage", test: "server.TestEmergencyMACKey",
		edits: []edit{{`answer.Verdict, answer.Cause, answer.Recommendation = family.DeadToken, family.KeyRevoked, nil`, `answer.Recommendation = nil`}},
	},
	{
		rule: "who has a revoked MAC key ends the sessions of others", pkg: "session", file: "revoke.go", test: "server.TestEmergencyMACKey",
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
		rule: "an action with a member that is spelled wrong is carried out", pkg: "keyring", test: "boot.TestKeysActions",
		edits: []edit{{`	strict.DisallowUnknownFields()
`, ``}},
	},
	{
		rule: "an emergency is about the secret that the event names", pkg: "keyring", test: "boot.TestKeysActions",
		edits: []edit{{`		keys, err = r.act(ctx, now, event)`, `		r.Secrets.Token = step.SecretID
		keys, err = r.act(ctx, now, event)`}},
	},
	{
		rule: "the function that rotates the keys does not know the secret", pkg: "boot", test: "boot.TestLoadKeysConfig",
		edits: []edit{{`Secrets:   keyring.Secrets{Token: e.secret("ROTOR_KEYS_SECRET"),`, `Secrets:   keyring.Secrets{Token: e.getenv("ROTOR_SECRET"),`}},
	},
}}
