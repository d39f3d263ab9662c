package keyring

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// labelEmergency is the staging label of a version that an emergency makes. It is
// not AWSPENDING: that one is a rotation's, and where an emergency died with it, no
// rotation would begin any more.
const labelEmergency = "ROTOR_EMERGENCY"

// emergencyAttempts is how often an emergency begins again because another version
// has become current while it was under way.
const emergencyAttempts = 5

// Emergency revokes leaked keys in the secret at once, as [Document.Revoke] has it,
// and returns which keys there are then. The functions go by it as soon as they read
// the secret again, in five minutes at most.
//
// It may be repeated: keys that are revoked already stay as they are, and no new
// ones are made for them. It may die anywhere, as what is in use changes in its last
// request. It may run beside a rotation, and beside another emergency. Whichever
// moves AWSCURRENT second finds that the version it built on is not current any
// more. An emergency then begins again with the new one; a rotation gives up its
// version, which does not follow one with keys that are revoked, and Secrets Manager
// begins another.
func (r Rotation) Emergency(ctx context.Context, now time.Time, secret string, leak Leak) (*Inventory, error) {
	for range emergencyAttempts {
		d, moved, err := r.revoke(ctx, now, secret, leak)
		if err != nil {
			return nil, fmt.Errorf("keyring: emergency: %w", err)
		}
		if moved {
			return d.Inventory(now), nil
		}
	}
	return nil, fmt.Errorf("keyring: emergency: the secret has changed %d times meanwhile: repeat it", emergencyAttempts)
}

// Inventory returns which keys are in the secret.
func (r Rotation) Inventory(ctx context.Context, now time.Time, secret string) (*Inventory, error) {
	d, _, err := r.inUse(ctx, secret)
	if err != nil {
		return nil, fmt.Errorf("keyring: inventory: %w", err)
	}
	return d.Inventory(now), nil
}

// revoke is one attempt. It is done unless another version has become current since
// it began.
func (r Rotation) revoke(ctx context.Context, now time.Time, secret string, leak Leak) (d *Document, done bool, err error) {
	current, version, err := r.inUse(ctx, secret)
	if err != nil {
		return nil, false, err
	}
	next, err := current.Revoke(leak, now, r.Algorithm)
	if err != nil {
		return nil, false, err
	}
	if next == current {
		return current, true, nil
	}
	err = next.works(now)
	if err != nil {
		return nil, false, err
	}
	data, err := next.Encode()
	if err != nil {
		return nil, false, err
	}
	made := "emergency-" + rand.Text()
	_, err = r.Client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId:           aws.String(secret),
		ClientRequestToken: aws.String(made),
		SecretString:       aws.String(string(data)),
		VersionStages:      []string{labelEmergency},
	})
	if err != nil {
		return nil, false, err
	}
	_, failed := r.Client.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
		SecretId:            aws.String(secret),
		VersionStage:        aws.String(labelCurrent),
		MoveToVersionId:     aws.String(made),
		RemoveFromVersionId: aws.String(version), // refused unless that is current still
	})
	if failed != nil {
		after, err := r.labeled(ctx, secret, labelCurrent)
		switch {
		case err != nil:
			return nil, false, errors.Join(failed, err)
		case after == version:
			return nil, false, failed
		case after != made:
			return nil, false, nil
		}
		// The label was moved, and the answer lost.
	}
	r.Log.WarnContext(ctx, "keys revoked", slog.Any("mac", leak.MAC), slog.Any("signing", leak.Signing),
		slog.String("version", made), slog.String("before", version), slog.Any("keys", next))
	return next, true, nil
}

// inUse returns the current document and its version. The error says so where there
// are no keys to be revoked, or none that work.
func (r Rotation) inUse(ctx context.Context, secret string) (*Document, string, error) {
	version, err := r.labeled(ctx, secret, labelCurrent)
	if err != nil {
		return nil, "", err
	}
	text, found, err := r.read(ctx, secret, version)
	if err != nil {
		return nil, "", err
	}
	if !found {
		return nil, "", errors.New("the secret has no text")
	}
	d, err := Parse([]byte(text))
	if err != nil {
		return nil, "", fmt.Errorf("the current version: %w", err)
	}
	_, err = d.Compile()
	if err != nil {
		return nil, "", fmt.Errorf("the current version: %w", err)
	}
	return d, version, nil
}

// labeled returns the version that has the label, "" where none has.
func (r Rotation) labeled(ctx context.Context, secret, label string) (string, error) {
	out, err := r.Client.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String(secret)})
	if err != nil {
		return "", err
	}
	for version, labels := range out.VersionIdsToStages {
		if slices.Contains(labels, label) {
			return version, nil
		}
	}
	return "", nil
}
