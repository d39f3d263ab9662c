package keyring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/rotor-auth/rotor/shared/signing"
)

// The staging labels of a secret's versions.
const (
	labelCurrent  = "AWSCURRENT"
	labelPending  = "AWSPENDING"
	labelPrevious = "AWSPREVIOUS"
)

// Rotation rotates the keys in the secrets. Secrets Manager invokes it once for each
// step, each secret by itself.
//
// Each step may be repeated, and may die at any point: only the last request of the
// last step changes what is in use. A pending version must not become current if
// another version, which it does not follow, has become current since. Nor must it
// if so much time has passed that its keys would be used before everyone has them.
// It is then given up: the step fails and removes the label AWSPENDING, so that the
// next rotation starts afresh.
type Rotation struct {
	Client    *secretsmanager.Client
	Secrets   Secrets           // that it rotates
	Algorithm signing.Algorithm // of new signing keys
	// LongestAccessToken is how long the public half of a signing key stays
	// published after the key's last signature.
	LongestAccessToken time.Duration
	Log                *slog.Logger
}

// RotationEvent is the event with which Secrets Manager invokes a rotation function.
type RotationEvent struct {
	Step     string `json:"Step"`
	SecretID string `json:"SecretId"`
	Version  string `json:"ClientRequestToken"` // the version that is to become current
}

// Step carries out one step of a rotation:
//
//	createSecret  makes the next document of the current one, and puts it
//	setSecret     has nothing to do: functions read the secret by themselves
//	testSecret    tries the pending document, alone and beside the current one
//	finishSecret  tries it again, and makes it the current one
//
// If neither the current version nor the one before it has keys, createSecret makes
// the first ones. A version has no keys if its text is empty, "{}", or as short as
// what Secrets Manager generates for a password. Any other text that is not a
// document may be a damaged one. It is never overwritten: the step fails.
//
// If the signing keys have a secret of their own, its first keys are those that the secret
// of the token keys has from an earlier release. The secret of the token keys keeps a copy
// of them until the signing keys have been rotated once more. The rotation of signing keys
// also publishes their public halves (see [Secrets]).
func (r Rotation) Step(ctx context.Context, now time.Time, e RotationEvent) error {
	var step func(context.Context, time.Time, rotating) error
	switch e.Step {
	case "createSecret":
		step = r.create
	case "setSecret":
		step = func(context.Context, time.Time, rotating) error { return nil }
	case "testSecret":
		step = r.test
	case "finishSecret":
		step = r.finish
	default:
		return fmt.Errorf("keyring: rotate: there is no step %q", e.Step)
	}
	state, err := r.describe(ctx, e)
	if err == nil && !state.finished {
		err = step(ctx, now, state)
	}
	if err == nil && e.Step == "finishSecret" {
		err = r.settle(ctx, e.SecretID)
	}
	if err != nil {
		return fmt.Errorf("keyring: rotate: %s: %w", e.Step, err)
	}
	return nil
}

// rotating is the state of a rotation that is in progress.
type rotating struct {
	secret   string
	version  string // the pending version
	current  string // the version labeled AWSCURRENT, or ""
	previous string
	finished bool // the pending version has become the current one
}

// describe returns the state of the rotation. It fails unless Secrets Manager has
// begun one.
func (r Rotation) describe(ctx context.Context, e RotationEvent) (rotating, error) {
	err := r.Secrets.check(e.SecretID)
	if err != nil {
		return rotating{}, err
	}
	out, err := r.Client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String(e.SecretID)})
	if err != nil {
		return rotating{}, err
	}
	if !aws.ToBool(out.RotationEnabled) {
		return rotating{}, errors.New("rotation is not enabled for the secret")
	}
	state := rotating{secret: e.SecretID, version: e.Version}
	for version, labels := range out.VersionIdsToStages {
		if slices.Contains(labels, labelCurrent) {
			state.current = version
		}
		if slices.Contains(labels, labelPrevious) {
			state.previous = version
		}
	}
	state.finished = state.current != "" && state.current == e.Version
	if !state.finished && !slices.Contains(out.VersionIdsToStages[e.Version], labelPending) {
		return rotating{}, fmt.Errorf("version %s of the secret is not labeled %s", e.Version, labelPending)
	}
	return state, nil
}

func (r Rotation) create(ctx context.Context, now time.Time, state rotating) error {
	_, found, err := r.read(ctx, state.secret, state.version)
	if err != nil || found {
		return err
	}
	current, inherited, err := r.current(ctx, state)
	if err != nil {
		return err
	}
	next, err := r.next(ctx, state.secret, current, inherited, now)
	if err != nil {
		return err
	}
	data, err := next.Encode()
	if err != nil {
		return err
	}
	_, err = r.Client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId:           aws.String(state.secret),
		ClientRequestToken: aws.String(state.version),
		SecretString:       aws.String(string(data)),
		VersionStages:      []string{labelPending},
	})
	if err != nil {
		return err
	}
	r.Log.InfoContext(ctx, "keys made", slog.Bool("first", current == nil), slog.String("secret_version", state.version), slog.Bool("taken_over", inherited),
		slog.Any("keys", next))
	return nil
}

// next returns the document that follows the current one of the secret.
func (r Rotation) next(ctx context.Context, secret string, current *Document, inherited bool, now time.Time) (*Document, error) {
	if current == nil {
		return r.first(secret, now)
	}
	// Keys that do not work are left for an operator to look at.
	_, err := current.compile()
	if err != nil {
		return nil, fmt.Errorf("the current version: %w", err)
	}
	switch {
	case inherited:
		return current, nil
	case !r.Secrets.apart(), len(current.Signing) == 0, r.Secrets.isSigning(secret):
		return current.Rotate(now, r.Algorithm, r.LongestAccessToken)
	}
	next, err := current.Token().Rotate(now, r.Algorithm, r.LongestAccessToken)
	if err != nil {
		return nil, err
	}
	drop, err := r.superseded(ctx, current)
	if err == nil && !drop {
		next.Signing = current.Signing
	}
	return next, err
}

// first returns the first keys of a secret.
func (r Rotation) first(secret string, now time.Time) (*Document, error) {
	switch {
	case !r.Secrets.apart():
		return Generate(r.Algorithm, now)
	case r.Secrets.isSigning(secret):
		return generateSigning(r.Algorithm, now)
	default:
		return generateToken(now), nil
	}
}

func (r Rotation) test(ctx context.Context, now time.Time, state rotating) error {
	current, _, err := r.current(ctx, state)
	if err != nil {
		return err
	}
	text, found, err := r.read(ctx, state.secret, state.version)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("version %s of the secret has no text", state.version)
	}
	current, err = r.toFollow(ctx, state.secret, text, current)
	if err != nil {
		return err
	}
	err = r.try(state.secret, text, current, now)
	if err != nil {
		return r.giveUp(ctx, state, fmt.Errorf("version %s of the secret is given up: %w", state.version, err))
	}
	return nil
}

// toFollow returns what a pending version must follow. That is the current document,
// without signing keys in the secret of the token keys of which a pending version without
// them rids it in time.
func (r Rotation) toFollow(ctx context.Context, secret, text string, current *Document) (*Document, error) {
	if current == nil || !r.Secrets.apart() || r.Secrets.isSigning(secret) || len(current.Signing) == 0 {
		return current, nil
	}
	pending, err := Parse([]byte(text))
	if err != nil || len(pending.Signing) > 0 {
		return current, nil //nolint:nilerr // try says so
	}
	drop, err := r.superseded(ctx, current)
	if err != nil || !drop {
		return current, err
	}
	return current.Token(), nil
}

// try returns an error unless the text is a document that may become current at now.
func (r Rotation) try(secret, text string, current *Document, now time.Time) error {
	pending, err := r.Secrets.parse(secret, text)
	if err != nil {
		return err
	}
	err = pending.check(now)
	if err != nil || current == nil {
		return err
	}
	return pending.checkFollows(current, now, r.LongestAccessToken)
}

// giveUp removes the label of the pending version, which nothing has used.
func (r Rotation) giveUp(ctx context.Context, state rotating, why error) error {
	_, err := r.Client.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId:            aws.String(state.secret),
		VersionStage:        aws.String(labelPending),
		RemoveFromVersionId: aws.String(state.version),
	})
	return errors.Join(why, err)
}

func (r Rotation) finish(ctx context.Context, now time.Time, state rotating) error {
	// The secret may have changed since testSecret.
	err := r.test(ctx, now, state)
	if err != nil {
		return err
	}
	// Keys are public before they sign.
	err = r.publishPending(ctx, state)
	if err != nil {
		return err
	}
	move := &secretsmanager.UpdateSecretVersionStageInput{
		SecretId:        aws.String(state.secret),
		VersionStage:    aws.String(labelCurrent),
		MoveToVersionId: aws.String(state.version),
	}
	if state.current != "" {
		// Refused unless this is still the version that was tested against.
		move.RemoveFromVersionId = aws.String(state.current)
	}
	_, err = r.Client.UpdateSecretVersionStage(ctx, move)
	if err != nil {
		return err
	}
	r.Log.InfoContext(ctx, "keys rotated", slog.String("secret_version", state.version), slog.String("before", state.current))
	return nil
}

// publishPending publishes the keys of the pending version of the signing keys, besides the
// current ones.
func (r Rotation) publishPending(ctx context.Context, state rotating) error {
	if !r.Secrets.isSigning(state.secret) {
		return nil
	}
	text, _, err := r.read(ctx, state.secret, state.version)
	if err != nil {
		return err
	}
	pending, err := r.Secrets.parse(state.secret, text)
	if err != nil {
		return err
	}
	return r.publish(ctx, state.secret, pending)
}

// current returns the current document, or nil if the secret has never had keys. Before the
// signing keys' own secret has any, the current ones are inherited.
func (r Rotation) current(ctx context.Context, state rotating) (d *Document, inherited bool, err error) {
	d, err = r.own(ctx, state)
	if err == nil && d == nil && r.Secrets.isSigning(state.secret) {
		d, err = r.inherited(ctx)
		inherited = d != nil
	}
	return d, inherited, err
}

// own returns the current document of the secret itself, or nil if it has never had keys.
func (r Rotation) own(ctx context.Context, state rotating) (*Document, error) {
	text, _, err := r.read(ctx, state.secret, state.current)
	if err != nil {
		return nil, err
	}
	if !placeholder(text) {
		d, err := r.Secrets.parse(state.secret, text)
		if err != nil {
			return nil, fmt.Errorf("the current version of the secret is not a valid keys document; it may be a damaged one and is not overwritten: %w", err)
		}
		return d, nil
	}
	text, _, err = r.read(ctx, state.secret, state.previous)
	if err != nil {
		return nil, err
	}
	if !placeholder(text) {
		return nil, fmt.Errorf("the current version of the secret has no keys, but the version before it, %s, may have: give that version the label %s again", state.previous, labelCurrent)
	}
	return nil, nil //nolint:nilnil // no keys, and nothing wrong with that
}

// read returns the text of a version, and whether it has one.
func (r Rotation) read(ctx context.Context, secret, version string) (text string, found bool, err error) {
	if version == "" {
		return "", false, nil
	}
	out, err := r.Client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{
		SecretId:  aws.String(secret),
		VersionId: aws.String(version),
	})
	if missing := new(types.ResourceNotFoundException); errors.As(err, &missing) {
		return "", false, nil // a version may be labeled before it has a value
	}
	if err != nil {
		return "", false, err
	}
	if out.SecretString == nil {
		return "", false, fmt.Errorf("version %s of the secret is binary, not text", version)
	}
	return *out.SecretString, true, nil
}

// longestPlaceholder is the greatest length of a placeholder. Secrets Manager
// generates no more characters by default, and keys need more.
const longestPlaceholder = 64

// placeholder reports whether the text of a secret means that there are no keys yet,
// and is not the remains of a document.
func placeholder(text string) bool {
	text = strings.TrimSpace(text)
	if text == "" {
		return true
	}
	if json.Valid([]byte(text)) && strings.ContainsAny(text[:1], `{["`) {
		var members map[string]json.RawMessage
		return json.Unmarshal([]byte(text), &members) == nil && len(members) == 0
	}
	for _, member := range []string{"user_key", `"mac"`, `"signing"`} {
		if strings.Contains(text, member) {
			return false
		}
	}
	return len(text) <= longestPlaceholder
}
