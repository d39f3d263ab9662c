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

// Rotation rotates the keys in a secret, as a function that Secrets Manager
// invokes once for each step of a rotation.
//
// Each step may be repeated, and may die anywhere: what is in use changes in the
// last request of the last step and nowhere else. A pending version that must
// not come into use, because it does not follow what has become current since,
// or because so much time has passed that its keys would be used before all
// know them, is given up: the step fails and takes the label AWSPENDING away, so
// that the next rotation starts afresh.
type Rotation struct {
	Client    *secretsmanager.Client
	Algorithm signing.Algorithm // of new signing keys
	// LongestAccessToken is how long the public half of a signing key is
	// published after the key's last signature.
	LongestAccessToken time.Duration
	Log                *slog.Logger
}

// RotationEvent is what Secrets Manager invokes a rotation function with.
type RotationEvent struct {
	Step     string `json:"Step"`
	SecretID string `json:"SecretId"`
	Version  string `json:"ClientRequestToken"` // the version that is to become current
}

// Step takes one step of a rotation:
//
//	createSecret  makes the next document of the current one, and puts it
//	setSecret     has nothing to do: functions read the secret by themselves
//	testSecret    tries the pending document, alone and beside the current one
//	finishSecret  tries it again, and makes it the current one
//
// Where the current version has no keys, createSecret makes the first: that is
// where it has no text, or "{}", or a short one as Secrets Manager generates in
// place of a password, and the version before it has no more than that. Any
// other text that is not a document may be one that was damaged, or that another
// replaced. It is never written over: the step fails.
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
	if err != nil {
		return fmt.Errorf("keyring: rotate: %s: %w", e.Step, err)
	}
	return nil
}

// rotating is a rotation on its way.
type rotating struct {
	secret   string
	version  string // the pending one
	current  string // which have these labels; "" for none
	previous string
	finished bool // the pending version is the current one
}

// describe finds where the rotation is, and that Secrets Manager asked for it.
func (r Rotation) describe(ctx context.Context, e RotationEvent) (rotating, error) {
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
	current, err := r.current(ctx, state)
	if err != nil {
		return err
	}
	next, err := r.next(current, now)
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
	r.Log.InfoContext(ctx, "keys made", slog.Bool("first", current == nil), slog.String("version", state.version), slog.Any("keys", next))
	return nil
}

func (r Rotation) next(current *Document, now time.Time) (*Document, error) {
	if current == nil {
		return Generate(r.Algorithm, now)
	}
	// Keys that are of no use are for people to look at.
	_, err := current.Compile()
	if err != nil {
		return nil, fmt.Errorf("the current version: %w", err)
	}
	return current.Rotate(now, r.Algorithm, r.LongestAccessToken)
}

func (r Rotation) test(ctx context.Context, now time.Time, state rotating) error {
	current, err := r.current(ctx, state)
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
	err = r.try(text, current, now)
	if err != nil {
		return r.giveUp(ctx, state, fmt.Errorf("version %s of the secret is given up: %w", state.version, err))
	}
	return nil
}

// try is an error unless the text is a document that may come into use at now.
func (r Rotation) try(text string, current *Document, now time.Time) error {
	pending, err := Parse([]byte(text))
	if err != nil {
		return err
	}
	err = pending.works(now)
	if err != nil || current == nil {
		return err
	}
	return pending.follows(current, now, r.LongestAccessToken)
}

// giveUp takes the label away from the pending version, which nothing has used.
func (r Rotation) giveUp(ctx context.Context, state rotating, why error) error {
	_, err := r.Client.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId:            aws.String(state.secret),
		VersionStage:        aws.String(labelPending),
		RemoveFromVersionId: aws.String(state.version),
	})
	return errors.Join(why, err)
}

func (r Rotation) finish(ctx context.Context, now time.Time, state rotating) error {
	// Much may have happened since testSecret.
	err := r.test(ctx, now, state)
	if err != nil {
		return err
	}
	move := &secretsmanager.UpdateSecretVersionStageInput{
		SecretId:        aws.String(state.secret),
		VersionStage:    aws.String(labelCurrent),
		MoveToVersionId: aws.String(state.version),
	}
	if state.current != "" {
		// Refused unless that is still the version which was tried.
		move.RemoveFromVersionId = aws.String(state.current)
	}
	_, err = r.Client.UpdateSecretVersionStage(ctx, move)
	if err != nil {
		return err
	}
	r.Log.InfoContext(ctx, "keys rotated", slog.String("version", state.version), slog.String("before", state.current))
	return nil
}

// current is the current document, nil before there have been any keys.
func (r Rotation) current(ctx context.Context, state rotating) (*Document, error) {
	text, _, err := r.read(ctx, state.secret, state.current)
	if err != nil {
		return nil, err
	}
	if !placeholder(text) {
		d, err := Parse([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("the current version of the secret has a text that is not a keys document, and may have been one: it is not written over: %w", err)
		}
		return d, nil
	}
	text, _, err = r.read(ctx, state.secret, state.previous)
	if err != nil {
		return nil, err
	}
	if !placeholder(text) {
		return nil, fmt.Errorf("the current version of the secret has no keys, but the one before it, %s, may have: label that one %s again", state.previous, labelCurrent)
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

// longestPlaceholder is more characters than Secrets Manager generates unless
// asked for more, and too few for keys.
const longestPlaceholder = 64

// placeholder reports whether the text of a secret stands for no keys yet, and
// is not what is left of a document.
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
