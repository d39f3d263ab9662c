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

// Emergency revokes leaked keys in the secrets at once, as [Document.Revoke] does,
// and returns the inventory of the keys afterwards. The functions apply it when they
// next read the secrets, which is within five minutes.
//
// It may be repeated: keys that are already revoked stay as they are and are not
// replaced again. It may die at any point, because only its last request changes
// what is in use. It may run at the same time as a rotation or another emergency.
// Whichever moves AWSCURRENT second finds that the version which it started from is
// no longer current. An emergency then starts again from the new version. A rotation
// gives its version up, because that version does not follow one with revoked keys,
// and Secrets Manager begins another rotation.
//
// If the signing keys have a secret of their own, and both kinds have leaked, the secrets
// change one after the other, but neither changes if the other lacks a key of the leak.
// Signing keys that the own secret has not taken over yet are revoked there, with which it
// takes them over.
func (r Rotation) Emergency(ctx context.Context, now time.Time, leak Leak) (*Inventory, error) {
	if r.Secrets.apart() && len(leak.MAC) > 0 && len(leak.Signing) > 0 {
		err := r.tryBoth(ctx, now, leak)
		if err != nil {
			return nil, fmt.Errorf("keyring: emergency: %w", err)
		}
	}
	all := new(Document)
	var others []string
	for _, secret := range r.Secrets.all() {
		part := leak
		if r.Secrets.isSigning(secret) {
			part.MAC = nil
		} else if r.Secrets.apart() {
			part.Signing = nil
		}
		if len(part.MAC)+len(part.Signing) == 0 && len(leak.MAC)+len(leak.Signing) > 0 {
			others = append(others, secret)
			continue
		}
		d, err := r.revokeIn(ctx, now, secret, part)
		if err != nil {
			return nil, fmt.Errorf("keyring: emergency: %w", err)
		}
		r.Secrets.add(all, secret, d)
	}
	// An unreadable secret must not keep the keys in the other one from being revoked.
	for _, secret := range others {
		d, _, err := r.inUse(ctx, secret)
		if err != nil {
			return nil, fmt.Errorf("keyring: emergency: the keys are revoked, but the other secret cannot be read for the list: %w", err)
		}
		r.Secrets.add(all, secret, d)
	}
	return all.Inventory(now), nil
}

// Inventory returns the inventory of the keys in the secrets.
func (r Rotation) Inventory(ctx context.Context, now time.Time) (*Inventory, error) {
	all := new(Document)
	for _, secret := range r.Secrets.all() {
		d, _, err := r.inUse(ctx, secret)
		if err != nil {
			return nil, fmt.Errorf("keyring: inventory: %w", err)
		}
		r.Secrets.add(all, secret, d)
	}
	return all.Inventory(now), nil
}

// tryBoth returns an error if a key of the leak is in neither secret.
func (r Rotation) tryBoth(ctx context.Context, now time.Time, leak Leak) error {
	for secret, part := range map[string]Leak{r.Secrets.Token: {MAC: leak.MAC}, r.Secrets.Signing: {Signing: leak.Signing}} {
		d, _, err := r.inUse(ctx, secret)
		if err == nil {
			_, err = d.Revoke(part, now, r.Algorithm)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// revokeIn revokes leaked keys in the secret, and returns the document then in it.
func (r Rotation) revokeIn(ctx context.Context, now time.Time, secret string, leak Leak) (*Document, error) {
	for range emergencyAttempts {
		d, moved, err := r.revoke(ctx, now, secret, leak)
		if err != nil || moved {
			return d, err
		}
	}
	return nil, fmt.Errorf("the secret has changed %d times meanwhile: try again", emergencyAttempts)
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
		return current, true, r.publish(ctx, secret, nil) // it may have died before
	}
	err = next.check(now)
	if err != nil {
		return nil, false, err
	}
	err = r.publish(ctx, secret, next)
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
	return next, true, r.publish(ctx, secret, nil)
}

// inUse returns the current document and its version. It fails if the secret has no
// keys, or none that work. Before the signing keys' own secret has keys, it returns the
// inherited ones, with the version that is current in the own secret.
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
	var d *Document
	if r.Secrets.isSigning(secret) && placeholder(text) {
		d, err = r.inherited(ctx)
		if err == nil && d == nil {
			err = errNoKeys
		}
	} else {
		d, err = r.Secrets.parse(secret, text)
	}
	if err != nil {
		return nil, "", fmt.Errorf("the current version: %w", err)
	}
	_, err = d.compile()
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
