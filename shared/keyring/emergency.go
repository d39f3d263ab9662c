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

// labelEmergency is the staging label of a version that an emergency makes.
// AWSPENDING is not used, since it belongs to rotations: if an emergency died while
// its version had that label, no rotation could begin.
const labelEmergency = "ROTOR_EMERGENCY"

// emergencyAttempts is how many times an emergency is tried. A try fails if another
// version becomes current meanwhile.
const emergencyAttempts = 5

// Emergency revokes leaked keys in the secret at once, as [Document.Revoke] does,
// and returns the inventory of the keys afterwards. The functions apply it when they
// next read the secret, which is within five minutes.
//
// It may be repeated: keys that are already revoked stay as they are and are not
// replaced again. It may die at any point, because only its last request changes
// what is in use. It may run at the same time as a rotation or another emergency.
// Whichever moves AWSCURRENT second finds that the version which it started from is
// no longer current. An emergency then starts again from the new version. A rotation
// gives its version up, because that version does not follow one with revoked keys,
// and Secrets Manager begins another rotation.
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
	return nil, fmt.Errorf("keyring: emergency: the secret has changed %d times meanwhile: try again", emergencyAttempts)
}

// Inventory returns the inventory of the keys in the secret.
func (r Rotation) Inventory(ctx context.Context, now time.Time, secret string) (*Inventory, error) {
	d, _, err := r.inUse(ctx, secret)
	if err != nil {
		return nil, fmt.Errorf("keyring: inventory: %w", err)
	}
	return d.Inventory(now), nil
}

// revoke makes one attempt. done is false if another version has become current
// since it began.
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
	err = next.check(now)
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
		RemoveFromVersionId: aws.String(version), // refused unless that version is still current
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
		// The label was moved, but the response was lost.
	}
	r.Log.WarnContext(ctx, "keys revoked", slog.Any("mac", leak.MAC), slog.Any("signing", leak.Signing),
		slog.String("secret_version", made), slog.String("before", version), slog.Any("keys", next))
	return next, true, nil
}

// inUse returns the current document and its version. It fails if the secret has no
// keys, or none that work.
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

// labeled returns the version that has the label, or "" if none has.
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
