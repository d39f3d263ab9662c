package main

var keysApart = chapter{"Two secrets", []mutant{
	{
		rule: "a set of public keys does not say that it cannot sign", pkg: "signing", test: "signing.TestVerifier",
		edits: []edit{{`return signer{}, ErrVerifiesOnly`, `return signer{}, ErrNoKey`}},
	},
	{
		rule: "a private key is published", pkg: "keyring", test: "keyring.TestApartFirstKeys",
		edits: []edit{{`d.Signing = append(d.Signing, k.Retired(k.Until))`, `d.Signing = append(d.Signing, k)`}},
	},
	{
		rule: "a rotation publishes its key after the key may sign", pkg: "keyring", test: "keyring.TestApartFaults",
		edits: []edit{{`	err = r.publishPending(ctx, state)
`, `	err = nil
`}},
	},
	{
		rule: "an emergency publishes its key after the key signs", pkg: "keyring", test: "keyring.TestApartFaults",
		edits: []edit{{`	err = r.publish(ctx, secret, next)
`, `	err = nil
`}},
	},
	{
		rule: "what an emergency revoked stays published", pkg: "keyring", test: "keyring.TestApartEmergency",
		edits: []edit{{`return next, true, r.publish(ctx, secret, nil)`, `return next, true, nil`}},
	},
	{
		rule: "an emergency that died leaves a revoked key published when it is repeated", pkg: "keyring", test: "keyring.TestApartFaults",
		edits: []edit{{`return current, true, r.publish(ctx, secret, nil) // it may`, `return current, true, nil // it may`}},
	},
	{
		rule: "a rotation publishes what an emergency has revoked meanwhile", pkg: "keyring", test: "keyring.TestApartEmergencyMeetsRotation",
		edits: []edit{{`VersionStages:      []string{labelPublishing},`, `VersionStages:      []string{LabelPublic},`}},
	},
	{
		rule: "a last step that is repeated publishes nothing", pkg: "keyring", test: "keyring.TestApartFaults",
		edits: []edit{{`if err == nil && e.Step == "finishSecret" {`, `if err == nil && e.Step == "finishSecret" && !state.finished {`}},
	},
	{
		rule: "nobody is told that the keys are apart", pkg: "keyring", test: "keyring.TestApartFirstKeys",
		edits: []edit{{`Tags:     []types.Tag{{Key: aws.String(TagApart),`, `Tags:     []types.Tag{{Key: aws.String("apart"),`}},
	},
	{
		rule: "an upgrade replaces the signing keys", pkg: "keyring", test: "keyring.TestApartTakesOver",
		edits: []edit{{`	case inherited:
		return current, nil
`, `	case inherited:
		return current.Rotate(now, r.Algorithm, r.LongestAccessToken)
`}},
	},
	{
		rule: "an upgrade makes first signing keys although there are some", pkg: "keyring", test: "keyring.TestApartTakesOver",
		edits: []edit{{`	if err == nil && d == nil && r.Secrets.isSigning(state.secret) {`, `	if err == nil && d == nil && state.secret == "" {`}},
	},
	{
		rule: "the way back to the earlier release is closed at once", pkg: "keyring", test: "keyring.TestApartTakesOver",
		edits: []edit{{`return slices.ContainsFunc(own.Signing, func(k signing.Key) bool { return !has(d, k) }), nil`, `return len(own.Signing) > 0, nil`}},
	},
	{
		rule: "signing keys stay among the token keys for ever", pkg: "keyring", test: "keyring.TestApartTakesOver",
		edits: []edit{{`	if err == nil && !drop {`, `	if err == nil || drop {`}},
	},
	{
		rule: "a pending version without the signing keys that are still needed comes into use", pkg: "keyring", test: "keyring.TestApartKeepsSigningKeys",
		edits: []edit{{`	if err != nil || !drop {
		return current, err`, `	if err != nil && drop {
		return current, err`}},
	},
	{
		rule: "an emergency before the keys have moved is undone by the move", pkg: "keyring", test: "keyring.TestApartEmergencyMeetsRotation",
		edits: []edit{{`		move.RemoveFromVersionId = aws.String(state.current)
`, `		if current, _ := r.labeled(ctx, state.secret, labelCurrent); current != "" {
			move.RemoveFromVersionId = aws.String(current)
		}
`}},
	},
	{
		rule: "a leak of which a key is unknown is revoked in part", pkg: "keyring", test: "keyring.TestApartEmergency",
		edits: []edit{{`if r.Secrets.apart() && len(leak.MAC) > 0 && len(leak.Signing) > 0 {`, `if r.Secrets.apart() && len(leak.MAC) > maxMAC && len(leak.Signing) > 0 {`}},
	},
	{
		rule: "a secret that cannot be read keeps leaked keys of the other in use", pkg: "keyring", test: "keyring.TestApartEmergency",
		edits: []edit{{`			others = append(others, secret)
			continue
`, `			others = append(others, secret)
`}},
	},
	{
		rule: "the keys of any secret are rotated", pkg: "keyring", test: "keyring.TestSecretOfTheEvent",
		edits: []edit{{`if sameSecret(id, s.Token) || s.isSigning(id) {`, `if s.Token != "" || s.isSigning(id) {`}},
	},
	{
		rule: "a secret is told by the head of its name", pkg: "keyring", test: "keyring.TestSecretOfTheEvent",
		edits: []edit{{`name[:len(name)-suffix] == configured &&`, `strings.HasPrefix(name, configured) &&`}},
	},
	{
		rule: "all keys in the secret of the signing keys are taken", pkg: "keyring", test: "keyring.TestApartRefuses",
		edits: []edit{{`case s.isSigning(secret) && token:`, `case s.isSigning(secret) && token && !sign:`}},
	},
	{
		rule: "who checks tokens reads private keys", pkg: "keyring", test: "keyring.TestApartReads",
		edits: []edit{{`	if s.need == ToIssue {
`, `	if s.need != ToPublish {
`}},
	},
	{
		rule: "who publishes keys reads those of refresh tokens", pkg: "keyring", test: "keyring.TestApartReads",
		edits: []edit{{`if s.need != ToPublish || !s.secrets.apart() {`, `if s.need >= ToIssue {`}},
	},
	{
		rule: "two secrets may be one", pkg: "boot", test: "boot.TestLoadConfigRefuses",
		edits: []edit{{`	case secret == e.getenv(first):`, `	case secret == first:`}},
	},
}}
